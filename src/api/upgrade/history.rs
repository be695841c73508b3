//! What becomes of upgrades: how they ended, and what their preflights found.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::status::is_zero;
use crate::api::common::{RestoreMode, string_enum};
use crate::api::condition;

string_enum! {
    /// How an upgrade ended.
    pub enum UpgradeResult {
        /// The new revision runs and is stable.
        Succeeded = "Succeeded",
        /// The new revision failed; the old job was never stopped.
        Failed = "Failed",
        /// The new revision failed; the old one was put back from the savepoint.
        RolledBack = "RolledBack",
        /// It was given up before the old job was stopped, as a newer spec took over or the old job was lost.
        Superseded = "Superseded",
        /// The job was lost, and runs again.
        Recovered = "Recovered",
        /// The job was stopped as `job.state` asks.
        Suspended = "Suspended",
    }
}

string_enum! {
    /// How far a preflight is, or how it ended.
    #[derive(Default)]
    pub enum PreflightState {
        /// The job's own `main()` is being called on the new revision's JobManager.
        #[default]
        Running = "Running",
        /// The new job can take the state.
        Passed = "Passed",
        /// It can't, or Flink would refuse to start it.
        Refused = "Refused",
        /// Nobody can tell before the job is submitted.
        NotPossible = "NotPossible",
        /// The job's `main()` does not end, or ends its JobManager.
        Failed = "Failed",
    }
}

/// What the preflight found: operators by uid, by name where they have none, else by operator ID; of each list the first
/// 100.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PreflightResult {
    /// How far it is, or how it ended.
    pub state: PreflightState,
    /// The JobManager that was asked: pod UID and number of container restarts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_manager_instance: Option<String>,
    /// When it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<MicroTime>,
    /// How often it was asked.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: i32,
    /// The snapshot that the job was held against: the newest one of the job before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// Operators whose state the new job takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<String>,
    /// Operators whose state the new job does not take.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<String>,
    /// Operators of the new job without state in the snapshot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub new: Vec<String>,
    /// Operators of the new job whose ID was made from the shape of its graph, as no uid is set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub generated: Vec<String>,
    /// Why the new job can't take the state, or what is not promised of it, one a line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
    /// IDs of all operators of the new job, where `job.allowedDroppedOperators` lets some go: the snapshot that it really
    /// starts from is held against them once more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operator_ids: Vec<String>,
}

/// One upgrade of the past.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// ID of the upgrade.
    pub id: String,
    /// Revision that it came from; left out at the first start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
    /// Revision that it went to.
    pub to: i64,
    /// Name of its FlinkSavepoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub savepoint: Option<String>,
    /// `BlueGreen`: name of the FlinkSavepoint with which the old job was stopped when the new revision was promoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_savepoint: Option<String>,
    /// Snapshot that its job was restored from, by Flink's own report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_from: Option<String>,
    /// Who owns that snapshot's files since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_mode: Option<RestoreMode>,
    /// Whether state without an operator in the job might be dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_non_restored_state: Option<bool>,
    /// How it ended.
    pub result: UpgradeResult,
    /// Seconds from the end of the old job's tasks to all tasks of the new one running; 0 where both ran side by side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downtime_seconds: Option<f64>,
    /// Seconds from its beginning to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// What its preflight found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preflight: Option<PreflightResult>,
    /// What going back undid: the checkpoints of the new job that were given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewind: Option<String>,
    /// Why it did not succeed, as the reason of a condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<condition::Reason>,
    /// Why it ended so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
}
