//! Conditions: their types and reasons, and the one way to set them.

use chrono::{DateTime, Utc};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::time::to_k8s;

/// Types of conditions. `Ready`, `Reconciling` and `Stalled` follow kstatus.
pub mod types {
    /// Whether the resource is as its spec asks; on every kind.
    pub const READY: &str = "Ready";
    /// Work is under way; exists only while true.
    pub const RECONCILING: &str = "Reconciling";
    /// Nothing goes on without help; exists only while true.
    pub const STALLED: &str = "Stalled";
    /// FlinkSavepoint: the files were checked.
    pub const VERIFIED: &str = "Verified";
    /// FlinkSavepoint: nothing holds the snapshot.
    pub const DELETABLE: &str = "Deletable";
    /// FlinkSavepoint: it takes longer than its timeout.
    pub const OVERDUE: &str = "Overdue";
    /// FlinkJobUpgrade: the new revision can take the newest snapshot.
    pub const PREFLIGHT: &str = "Preflight";
    /// FlinkJobUpgrade: the savepoint of the upgrade is complete.
    pub const SAVEPOINT_TAKEN: &str = "SavepointTaken";
    /// FlinkJobUpgrade: the JobManager reports that it restored what was asked.
    pub const RESTORED: &str = "Restored";
    /// FlinkJobUpgrade: the new colour has been promoted.
    pub const PROMOTED: &str = "Promoted";
    /// FlinkJobUpgrade: the last upgrade went back.
    pub const ROLLED_BACK: &str = "RolledBack";
    /// FlinkJobUpgrade: a snapshot exists from which the job could be started again.
    pub const RECOVERABLE: &str = "Recoverable";
    /// FlinkJobUpgrade: a newer spec waits.
    pub const UPGRADE_PENDING: &str = "UpgradePending";
    /// FlinkSnapshotStore: the last probe could write, list, read and delete.
    pub const AVAILABLE: &str = "Available";
}

super::string_enum! {
    /// Reasons: the stable strings that a condition, its Event and its metric label share.
    pub enum Reason {
        /// First start under way.
        Starting = "Starting",
        /// Running and stable.
        Running = "Running",
        /// An upgrade is under way.
        Upgrading = "Upgrading",
        /// A failed upgrade is going back.
        RollingBack = "RollingBack",
        /// The last upgrade went back to the revision before it.
        RolledBack = "RolledBack",
        /// Suspended as asked.
        Suspended = "Suspended",
        /// The job reached its end.
        Finished = "Finished",
        /// The job ended by a failure.
        JobFailed = "JobFailed",
        /// The resource is being deleted.
        Deleting = "Deleting",
        /// The savepoint is under way.
        InProgress = "InProgress",
        /// The savepoint is complete.
        Completed = "Completed",
        /// No savepoint came of it.
        SavepointFailed = "SavepointFailed",
        /// A newer savepoint takes its place.
        Superseded = "Superseded",
        /// The files are being deleted.
        Disposing = "Disposing",
        /// A field is set that this version does not act upon.
        NotImplemented = "NotImplemented",
        /// A field's value cannot be used.
        InvalidSpec = "InvalidSpec",
        /// A Flink option is set that the operator owns, or set twice.
        InvalidConfiguration = "InvalidConfiguration",
        /// The object that the spec names is not there.
        JobNotFound = "JobNotFound",
        /// The job is not in a state in which this can be done.
        JobNotRunning = "JobNotRunning",
        /// Neither the resource nor the job names a savepoint directory.
        NoTargetDirectory = "NoTargetDirectory",
        /// The job is stopped by `job.state`, not by a savepoint of one's own.
        UseSuspend = "UseSuspend",
        /// Another operation of the job comes first.
        WaitingForOperation = "WaitingForOperation",
        /// The JobManager does not answer; that says nothing about the savepoint or the job.
        JobManagerUnreachable = "JobManagerUnreachable",
        /// An answer was lost and cannot be found out any more.
        AnswerLost = "AnswerLost",
        /// A failed savepoint made the job restart: no more are tried.
        SnapshotHarmsJob = "SnapshotHarmsJob",
        /// It takes longer than its timeout.
        Overdue = "Overdue",
        /// The savepoint of an upgrade could not be taken.
        SavepointBlocked = "SavepointBlocked",
        /// The new revision cannot take the state.
        PreflightFailed = "PreflightFailed",
        /// The new revision's pods do not come up.
        PodsNotReady = "PodsNotReady",
        /// Flink refused the submitted job.
        SubmitFailed = "SubmitFailed",
        /// The new job restored something other than what was asked.
        RestoreMismatch = "RestoreMismatch",
        /// No progress within `upgrade.progressDeadline`.
        ProgressDeadlineExceeded = "ProgressDeadlineExceeded",
        /// The previous submission may still process.
        PreviousJobNotFenced = "PreviousJobNotFenced",
        /// State of an earlier job of this name exists, and the spec does not say what to do with it.
        StateExists = "StateExists",
        /// Whether state of an earlier job exists cannot be found out.
        StateUnknown = "StateUnknown",
        /// A revision name was used before for another spec.
        RevisionNameReused = "RevisionNameReused",
        /// An object of the same name belongs to something else.
        NameConflict = "NameConflict",
        /// The status holds a value that this version does not know.
        UnknownStatus = "UnknownStatus",
        /// A window has to open first.
        WaitingForWindow = "WaitingForWindow",
        /// Somebody has to promote the new colour.
        WaitingForPromotion = "WaitingForPromotion",
        /// A newer spec waits until the current upgrade is over.
        UpgradeInProgress = "UpgradeInProgress",
        /// The probe of the store succeeded.
        ProbeSucceeded = "ProbeSucceeded",
        /// The probe of the store failed.
        ProbeFailed = "ProbeFailed",
    }
}

/// Sets conditions of one resource, for one generation, at one moment.
pub struct Conditions<'a> {
    list: &'a mut Vec<Condition>,
    generation: Option<i64>,
    now: DateTime<Utc>,
}

/// Longest message that Kubernetes allows, in bytes.
const MAX_MESSAGE: usize = 32_768;

impl<'a> Conditions<'a> {
    /// Conditions in `list`, which will carry `generation` as the one they were set for.
    pub fn new(list: &'a mut Vec<Condition>, generation: Option<i64>, now: DateTime<Utc>) -> Self {
        Self { list, generation, now }
    }

    /// Sets a condition; the time of its last transition moves only if its status does.
    pub fn set(&mut self, type_: &str, status: bool, reason: Reason, message: impl Into<String>) -> &mut Self {
        self.put(type_, if status { "True" } else { "False" }, reason, message.into())
    }

    /// Sets a condition whose status cannot be told.
    pub fn set_unknown(&mut self, type_: &str, reason: Reason, message: impl Into<String>) -> &mut Self {
        self.put(type_, "Unknown", reason, message.into())
    }

    /// Removes a condition, as for those that exist only while true.
    pub fn remove(&mut self, type_: &str) -> &mut Self {
        self.list.retain(|condition| condition.type_ != type_);
        self
    }

    /// Ready, and nothing else to say.
    pub fn ready(&mut self, reason: Reason, message: impl Into<String>) -> &mut Self {
        self.set(types::READY, true, reason, message).remove(types::RECONCILING).remove(types::STALLED)
    }

    /// Not ready, and working on it.
    pub fn reconciling(&mut self, reason: Reason, message: impl Into<String>) -> &mut Self {
        let message = message.into();
        self.set(types::READY, false, reason, message.clone())
            .set(types::RECONCILING, true, reason, message)
            .remove(types::STALLED)
    }

    /// Not ready, and nothing goes on without help.
    pub fn stalled(&mut self, reason: Reason, message: impl Into<String>) -> &mut Self {
        let message = message.into();
        self.set(types::READY, false, reason, message.clone())
            .set(types::STALLED, true, reason, message)
            .remove(types::RECONCILING)
    }

    fn put(&mut self, type_: &str, status: &str, reason: Reason, mut message: String) -> &mut Self {
        let end = (0..=MAX_MESSAGE.min(message.len())).rev().find(|&end| message.is_char_boundary(end));
        message.truncate(end.unwrap_or_default());
        let existing = self.list.iter_mut().find(|condition| condition.type_ == type_);
        let last_transition_time = match &existing {
            Some(condition) if condition.status == status => condition.last_transition_time.clone(),
            _ => to_k8s(self.now),
        };
        let condition = Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.as_str().to_owned(),
            message,
            observed_generation: self.generation,
            last_transition_time,
        };
        match existing {
            Some(place) => *place = condition,
            None => self.list.push(condition),
        }
        self
    }
}

/// The condition of that type, if there is one.
#[must_use]
pub fn find<'a>(list: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    list.iter().find(|condition| condition.type_ == type_)
}

/// Whether a condition of that type is there and true.
#[must_use]
pub fn is_true(list: &[Condition], type_: &str) -> bool {
    find(list, type_).is_some_and(|condition| condition.status == "True")
}

#[cfg(test)]
#[path = "condition_tests.rs"]
mod tests;
