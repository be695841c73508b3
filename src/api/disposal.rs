//! What keeps the files of a snapshot, and how they go.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::savepoint::SavepointPhase;

/// A reason why a snapshot may not be deleted yet.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// Kind of the object that holds it.
    pub kind: String,
    /// Name of that object, as `<namespace>/<name>` if it is in another namespace.
    pub name: String,
    /// Why it holds it.
    pub reason: String,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// How far a copy is.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CopyProgress {
    /// Directory of the snapshot.
    pub from: String,
    /// Directory of the copy.
    pub to: String,
    /// A Job in this namespace copies it; left out: the operator does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_job: bool,
    /// Number of files of the snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_files: Option<i64>,
    /// Their bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<i64>,
    /// Number of files that are copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<i64>,
    /// Their bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// When that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
}

/// The deletion of a snapshot's files.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Disposal {
    /// Since when nobody may start from it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// The phase before, to which it goes back if somebody needs it after all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<SavepointPhase>,
    /// It was made certain that nobody needs it: from here on files go.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub begun: bool,
    /// Number of files that go with it, where they could be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<i64>,
    /// Their bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// Since when that is tried in vain; after ten minutes, of a copy that is not whole after one, the resource goes, and the files stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_vain_since: Option<Time>,
    /// Flink's ID of the request, where a JobManager deletes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}
