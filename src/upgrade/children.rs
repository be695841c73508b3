//! The FlinkSavepoints that a job's operations have left: they follow `revisionHistoryLimit`. Pure.

use std::sync::Arc;

use kube::ResourceExt;

use crate::api::condition::{self, types};
use crate::api::{DeletionPolicy, FlinkJobUpgrade, FlinkSavepoint, SavepointPhase, labels};
use crate::flink::location;
use crate::naming;

/// Those of a job, of all that are known.
#[must_use]
pub fn of(job: &FlinkJobUpgrade, known: Vec<Arc<FlinkSavepoint>>) -> Vec<Arc<FlinkSavepoint>> {
    let (namespace, uid) = (job.namespace(), job.uid());
    let own = |s: &Arc<FlinkSavepoint>| {
        let label = s.labels().get(labels::JOB_UID);
        s.namespace() == namespace && label.is_some() && label == uid.as_ref() && operation(s).is_some()
    };
    known.into_iter().filter(own).collect()
}

fn operation(savepoint: &FlinkSavepoint) -> Option<&String> {
    savepoint.labels().get(naming::LABEL_OPERATION)
}

/// The oldest one that nothing in the job's history tells of any more and that nobody needs. Where `deletionPolicy` is
/// Retain its record is all that is known of its files: it stays.
#[must_use]
pub fn surplus<'a>(job: &FlinkJobUpgrade, children: &'a [Arc<FlinkSavepoint>]) -> Option<&'a FlinkSavepoint> {
    let goes = |s: &&FlinkSavepoint| {
        s.metadata.deletion_timestamp.is_none()
            && s.spec.deletion_policy() == DeletionPolicy::Delete
            && may_go(s)
            && !is_told_of(job, s)
    };
    let age = |s: &&FlinkSavepoint| (s.metadata.creation_timestamp.clone(), s.name_any());
    children.iter().map(AsRef::as_ref).filter(goes).min_by_key(age)
}

fn may_go(savepoint: &FlinkSavepoint) -> bool {
    let status = savepoint.status.clone().unwrap_or_default();
    match status.phase {
        Some(SavepointPhase::Completed | SavepointPhase::Superseded) => {
            condition::is_true(&status.conditions, types::DELETABLE)
        }
        Some(SavepointPhase::Failed) => true,
        _ => false,
    }
}

/// Whether the job's status names it, or the place of its snapshot.
fn is_told_of(job: &FlinkJobUpgrade, savepoint: &FlinkSavepoint) -> bool {
    let Some(status) = &job.status else { return true };
    let (name, operation) = (savepoint.name_any(), operation(savepoint));
    let place = savepoint.status.as_ref().and_then(|s| s.location.as_deref());
    let at = |location: Option<&String>| place.zip(location).is_some_and(|(a, b)| location::same(a, b));
    let named = |given: Option<&String>| given == Some(&name);
    let under_way = status.upgrade.iter().any(|u| operation == Some(&u.id))
        || status.operation.iter().any(|o| operation == Some(&o.id) || o.savepoint.iter().any(|s| s.name == name));
    let restored = status.active.iter().any(|a| at(a.submission.restored_from.as_ref()));
    let suspended = status.suspension.iter().any(|s| named(s.savepoint.as_ref()) || at(s.snapshot.as_ref()));
    let past = status.history.iter().any(|entry| {
        operation == Some(&entry.id)
            || named(entry.savepoint.as_ref())
            || named(entry.final_savepoint.as_ref())
            || at(entry.restored_from.as_ref())
    });
    under_way || restored || suspended || past
}

#[cfg(test)]
#[path = "children_tests.rs"]
mod tests;
