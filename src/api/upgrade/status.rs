//! What was observed of a FlinkJobUpgrade, and what its controller has recorded before acting.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, Time};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::end::{CheckpointSweep, DeletionProgress, Suspension};
use super::history::{HistoryEntry, PreflightResult};
use super::policy::UpgradeStrategy;
use crate::api::common::{ObjectRef, RestoreMode, string_enum};
use crate::api::condition;

string_enum! {
    /// Where a FlinkJobUpgrade stands.
    pub enum JobPhase {
        /// Nothing was done yet.
        Pending = "Pending",
        /// The first revision is starting.
        Starting = "Starting",
        /// The job runs.
        Running = "Running",
        /// An upgrade is under way.
        Upgrading = "Upgrading",
        /// A failed upgrade is going back.
        RollingBack = "RollingBack",
        /// The job was lost, and is started again.
        Recovering = "Recovering",
        /// The job is being stopped, as asked, and nothing takes its place.
        Suspending = "Suspending",
        /// Stopped, as asked, with a snapshot to resume from.
        Suspended = "Suspended",
        /// The job does not run and will not without help.
        Failed = "Failed",
        /// The resource is being deleted.
        Deleting = "Deleting",
        /// The job reached its end.
        Finished = "Finished",
    }
}

string_enum! {
    /// Step of an upgrade.
    #[derive(Default)]
    pub enum UpgradeStep {
        /// The revision is recorded and its objects are made.
        #[default]
        Preparing = "Preparing",
        /// Its pods come up and its slots register.
        Starting = "Starting",
        /// The operators of its job are held against the state that they are to take.
        Preflight = "Preflight",
        /// A throw-away job warms its cluster.
        WarmingUp = "WarmingUp",
        /// The old job is stopped with a savepoint.
        Savepoint = "Savepoint",
        /// The old job can give no savepoint: its newest retained checkpoint is looked for and verified.
        Checkpoint = "Checkpoint",
        /// The submission before is ended, and it is made certain that it processes nothing any more.
        Fencing = "Fencing",
        /// `Recreate`: the old revision's TaskManagers leave, then those of the new one start.
        Swapping = "Swapping",
        /// The new job is submitted.
        Submitting = "Submitting",
        /// The new job restores, and what it restored is compared.
        Restoring = "Restoring",
        /// The new job has to prove itself.
        Stabilizing = "Stabilizing",
        /// The old job is submitted again from the savepoint.
        PuttingBack = "PuttingBack",
        /// `BlueGreen`: the new job is stable beside the old one, and waits to be promoted.
        Promotion = "Promotion",
        /// `BlueGreen`: the stable Service moves, and the old job is stopped with a final savepoint.
        Promoting = "Promoting",
        /// `BlueGreen`: the old job can give no final savepoint, and ends without one; its checkpoints stay.
        Retiring = "Retiring",
        /// `BlueGreen`: the new revision is given up, and its job is ended; the old one runs on.
        Discarding = "Discarding",
    }
}

string_enum! {
    /// What holds the lock of a job.
    pub enum OperationKind {
        /// The first start, or one after a suspension.
        Start = "Start",
        /// An upgrade.
        Upgrade = "Upgrade",
        /// Going back after an upgrade that failed.
        Rollback = "Rollback",
        /// A FlinkSavepoint of the job.
        Savepoint = "Savepoint",
        /// A suspension.
        Suspend = "Suspend",
        /// A start after the job was lost.
        Recovery = "Recovery",
        /// The end of the resource.
        Deletion = "Deletion",
    }
}

string_enum! {
    /// What a submission starts from.
    pub enum StateSource {
        /// The savepoint that the old job was stopped with.
        Savepoint = "Savepoint",
        /// The newest retained checkpoint of the submission before.
        Checkpoint = "Checkpoint",
        /// What the submission before was restored from: it had no checkpoint yet.
        Restored = "Restored",
        /// What `job.restoreFrom` names.
        RestoreFrom = "RestoreFrom",
        /// Nothing: the submission before had started with nothing and had no checkpoint yet, or the spec says so.
        Empty = "Empty",
    }
}

/// What was observed of a FlinkJobUpgrade.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct FlinkJobUpgradeStatus {
    /// Generation of the spec that this status answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where the job stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<JobPhase>,
    /// Conditions: `Ready`, `Reconciling`, `Stalled`, `Preflight`, `SavepointTaken`, `Restored`, `Promoted`,
    /// `RolledBack`, `Recoverable`, `UpgradePending`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_string()]))]
    pub conditions: Vec<Condition>,
    /// The lock of the job: one operation at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// The revision that runs, or that would if the job did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<ActiveRevision>,
    /// The upgrade under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<UpgradeProgress>,
    /// What a suspended job has left, until a job that goes on from it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspension: Option<Suspension>,
    /// How the end of the resource goes on, once it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<DeletionProgress>,
    /// Generation of a newer spec that waits until the upgrade under way is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
    /// When the window opens that a waiting upgrade needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_window: Option<Time>,
    /// Parallelism of the job that runs; for the scale subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<i32>,
    /// Label selector of the active revision's TaskManager pods; for the scale subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// State of the job in Flink's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_state: Option<String>,
    /// Highest revision number that was ever used; a number is never used again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_revision: Option<i64>,
    /// Highest number of a submission that was ever used, over all revisions; a Flink job ID is made from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_submission: Option<i64>,
    /// The submission up to which the checkpoints of those that have ended were looked after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swept_submission: Option<i64>,
    /// Checkpoints that are about to be removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep: Option<CheckpointSweep>,
    /// Snapshots of `job.restoreFrom` that the job took over with CLAIM or LEGACY: its checkpoints may name their files, until
    /// it was restored with NO_CLAIM and has completed a checkpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken_over: Vec<String>,
    /// The `job.restoreFrom.id` that was acted on last; it is not acted on again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_from_id: Option<String>,
    /// Hash of a revision part of the spec that failed; it is not tried again until the spec changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_spec_hash: Option<String>,
    /// What somebody had last changed of the active revision's objects, and was put back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healed: Option<Healed>,
    /// The last upgrades, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryEntry>,
}

impl FlinkJobUpgradeStatus {
    /// Highest revision number that was ever used; 0 before the first.
    #[must_use]
    pub fn last_revision(&self) -> i64 {
        self.last_revision.unwrap_or(0)
    }
}

/// What was put back.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Healed {
    /// The objects and their fields.
    pub what: String,
    /// How often something was put back in a row, no half hour without.
    pub count: i64,
    /// When, the last time.
    pub time: MicroTime,
}

/// What holds the lock of a job.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// ID of the operation: of the upgrade, or the UID of the savepoint.
    pub id: String,
    /// What it is.
    pub kind: OperationKind,
    /// The FlinkSavepoint that it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub savepoint: Option<ObjectRef>,
    /// When the lock was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// The revision that runs.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ActiveRevision {
    /// Number of the revision.
    pub revision: i64,
    /// Its name, where the spec gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision_name: Option<String>,
    /// Its colour: another one after each promotion of a `BlueGreen` upgrade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// The submission that is meant to run.
    pub submission: Submission,
    /// The newest completed checkpoint that was seen; written at operations only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_checkpoint: Option<CheckpointRef>,
}

/// One start of a job on a cluster, recorded before the request is sent.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Submission {
    /// Flink job ID, chosen by the operator and never used again.
    pub job_id: String,
    /// Revision on whose cluster it runs.
    pub revision: i64,
    /// The JobManager that it was submitted to: pod UID and number of container restarts. With high availability the last
    /// one that was seen to have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_manager_instance: Option<String>,
    /// Directory of its checkpoints, as Flink reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_directory: Option<String>,
    /// Snapshot that it starts from; left out for an empty start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_from: Option<String>,
    /// Who owns that snapshot's files after the restore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_mode: Option<RestoreMode>,
    /// Flink has reported that it restored that snapshot, in that mode.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restore_confirmed: bool,
    /// It has completed a checkpoint of its own since: with NO_CLAIM it does not need that snapshot any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub checkpointed: bool,
    /// Whether state without an operator in the job may be dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_non_restored_state: Option<bool>,
    /// Flink's own high availability recovers it when its JobManager is lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub high_availability: bool,
    /// Digest of the image that its JobManager runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
    /// SHA-256 of the job's jar, in hexadecimal.
    #[serde(default, rename = "jarSHA256", skip_serializing_if = "Option::is_none")]
    pub jar_sha256: Option<String>,
    /// When it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<MicroTime>,
}

/// A completed checkpoint.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CheckpointRef {
    /// Flink's checkpoint ID.
    pub id: i64,
    /// Its directory, as Flink reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// When it was complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
pub(super) fn is_zero(number: &i32) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_nothing(number: &i64) -> bool {
    *number == 0
}

/// The upgrade under way.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct UpgradeProgress {
    /// ID of the upgrade.
    pub id: String,
    /// Revision that it comes from; left out at the first start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
    /// Revision that it goes to.
    pub to: i64,
    /// Generation of the spec that it carries out.
    pub generation: i64,
    /// Step that it is at.
    pub step: UpgradeStep,
    /// How the new revision takes the old one's place, where there is an old one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<UpgradeStrategy>,
    /// Colour of the new revision, which `$(FLINK_COLOR)` stands for in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<MicroTime>,
    /// When that step began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_since: Option<MicroTime>,
    /// How far that step has come: pods that found a node and pods that run, free slots, running tasks, checkpoints, and
    /// bytes of the one under way, added up. More than ever before is progress.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub progress: i64,
    /// When it last made progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_time: Option<MicroTime>,
    /// Name of its FlinkSavepoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub savepoint: Option<String>,
    /// Directory of the savepoint, once it is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub savepoint_location: Option<String>,
    /// `BlueGreen`: name of the FlinkSavepoint that stops the old job, once the new revision is promoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_savepoint: Option<String>,
    /// What the new job starts from, once that is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<StateSource>,
    /// Directory of the snapshot that the new job starts from, where it is not the upgrade's own savepoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// The `job.restoreFrom.id` that it acts on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_from_id: Option<String>,
    /// UIDs of the TaskManager pods that knew a JobManager process which is gone: while one of them is there, nothing is
    /// submitted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fenced_pods: Vec<String>,
    /// JobManager process that is gone, and that the pods of `fencedPods` knew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_instance: Option<String>,
    /// Number of the attempt to submit the new job, from 1; 0 before the first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempt: i32,
    /// The submission of the new job, once its intent is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submission: Option<Submission>,
    /// Restore mode that the new job is submitted with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_mode: Option<RestoreMode>,
    /// `allowNonRestoredState` that the new job is submitted with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_non_restored_state: Option<bool>,
    /// What the preflight found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preflight: Option<PreflightResult>,
    /// What going back undoes: the checkpoints of the new job that are given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewind: Option<String>,
    /// What it is doing, or why it goes back, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Hash of the revision part of the spec that it carries out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec_hash: Option<String>,
    /// When the old job ended, by its JobManager's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<MicroTime>,
    /// When all tasks of the new job were first seen running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_at: Option<MicroTime>,
    /// Why the old job is being put back, or the new one given up, as the reason of a condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<condition::Reason>,
    /// Why the old job is being put back, the new one given up, or the old one ended without a final savepoint, in Flink's
    /// or Kubernetes' own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}
