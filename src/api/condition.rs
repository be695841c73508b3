//! Conditions: their types and reasons, and the one way to set them.

use chrono::{DateTime, Utc};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

pub use super::reason::Reason;
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
    /// FlinkJobUpgrade: the job leaves checkpoints from which it could be started again.
    pub const RECOVERABLE: &str = "Recoverable";
    /// FlinkJobUpgrade: a newer spec waits.
    pub const UPGRADE_PENDING: &str = "UpgradePending";
    /// FlinkJobUpgrade: objects of the active revision are changed again and again; exists only while true.
    pub const DRIFTED: &str = "Drifted";
    /// FlinkJobUpgrade: jobs of somebody else live on the active revision's cluster; exists only while true.
    pub const FOREIGN_JOBS: &str = "ForeignJobs";
    /// FlinkSnapshotStore: the last probe could write, list, read and delete.
    pub const AVAILABLE: &str = "Available";
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
