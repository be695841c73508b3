//! What is asked of a JobManager. Flink ignores fields that it does not know, so a misspelt one would be lost silently:
//! the names differ between `/savepoints` (`target-directory`) and `/stop` (`targetDirectory`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::id::{JobId, TriggerId};

/// How a savepoint is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SavepointFormat {
    /// One format for all state backends.
    Canonical,
    /// The state backend's own files.
    Native,
}

/// Who owns a snapshot's files after a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ClaimMode {
    /// The user. Until the first checkpoint of the new job is complete the snapshot is still needed.
    NoClaim,
    /// Flink, which deletes them once newer checkpoints replace them.
    Claim,
    /// Nobody clearly; deprecated by Flink.
    Legacy,
}

/// `POST /jobs/:jobid/savepoints`: a savepoint of a job that goes on running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SavepointRequest {
    /// Makes the request idempotent on one JobManager process.
    #[serde(rename = "triggerId")]
    pub trigger_id: TriggerId,
    /// Below which Flink makes the savepoint's directory; `None`: the job's configured one.
    #[serde(rename = "target-directory", skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// How it is written.
    #[serde(rename = "formatType")]
    pub format: SavepointFormat,
}

/// `POST /jobs/:jobid/stop`: a savepoint that ends its job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StopRequest {
    /// Makes the request idempotent on one JobManager process.
    pub trigger_id: TriggerId,
    /// Below which Flink makes the savepoint's directory; `None`: the job's configured one.
    #[serde(rename = "targetDirectory", skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// How it is written.
    #[serde(rename = "formatType")]
    pub format: SavepointFormat,
    /// Send the final watermark first, which fires all timers and windows: for jobs that shall not go on.
    pub drain: bool,
}

/// `POST /jars/:jarid/run`: the start of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRequest {
    /// The new job's id. A repeat of a request whose answer was lost must carry the same one, or two jobs run.
    pub job_id: JobId,
    /// The class with `main()`; `None`: the one that the jar's manifest names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry_class: Option<String>,
    /// The arguments of `main()`.
    #[serde(rename = "programArgsList", skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// The default parallelism of the job's operators; `None`: the cluster's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<i32>,
    /// The snapshot to restore from: a directory or its `_metadata`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub savepoint_path: Option<String>,
    /// Drop state of operators that the new job does not have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_non_restored_state: Option<bool>,
    /// Who owns the snapshot afterwards; `None`: Flink's default, `NO_CLAIM`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim_mode: Option<ClaimMode>,
    /// Configuration of this job, over the cluster's.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub flink_configuration: BTreeMap<String, String>,
}

/// `POST /jars/:jarid/plan`: what a program would submit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanRequest {
    /// The class with `main()`; `None`: the one that the jar's manifest names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry_class: Option<String>,
    /// The arguments of `main()`.
    #[serde(rename = "programArgsList", skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
}
