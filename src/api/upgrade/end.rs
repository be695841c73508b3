//! How a job ends without a successor, as its controller has recorded it: for a while, or with its resource.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::status::StateSource;

/// What a suspended job has left: its next start goes on from there.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Suspension {
    /// Revision that ran; its record stays.
    pub revision: i64,
    /// Flink's id of the job that was ended.
    pub job_id: String,
    /// What the next start goes on from.
    pub source: StateSource,
    /// Directory of that snapshot; left out: the job had no state, or `upgrade.from` is Empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// Name of the FlinkSavepoint that the job was stopped with, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub savepoint: Option<String>,
    /// When the job had ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// Checkpoints of submissions that have ended, which are about to be removed: nobody starts from there any more.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CheckpointSweep {
    /// Directories of the submissions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub directories: Vec<String>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// How the end of a resource goes on.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DeletionProgress {
    /// When it was first seen that the resource is to go: `deletion.timeout` counts from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// What is left behind, as it could not be had in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_behind: Option<String>,
}
