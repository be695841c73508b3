//! A resource that is deleted while its savepoint is under way waits for its end, but not for ever. Pure.

use std::time::Duration;

use super::dispose::{DEADLINE_OF_NAMESPACE, goes_with_files};
use super::observed::{Answer, Observed};
use super::plan::{Decision, Effect, has_finalizer};
use super::settle::since;
use crate::api::{FlinkSavepoint, FlinkSavepointStatus, SavepointPhase};
use crate::holds::listed;
use crate::reconcile::{Next, SETTLED};

/// How long a JobManager that gives no answer is waited for.
const SILENT: Duration = Duration::from_secs(60);

/// How long a savepoint whose files can't be looked at waits for who needs it, as one that was looked at does.
const NEEDED: Duration = Duration::from_secs(600);

/// Lets go of a resource whose end can't be awaited any longer.
pub fn bound(o: &Observed, draft: &mut FlinkSavepointStatus) -> Option<Decision> {
    let deleted = since(o, o.savepoint.metadata.deletion_timestamp.as_ref()?);
    if !has_finalizer(o) || draft.phase.is_some_and(SavepointPhase::is_terminal) {
        return None;
    }
    let flink_is_done = draft.attempts.last().is_none_or(|a| a.result.is_some());
    let needed = o.holds.as_deref().filter(|holds| !holds.is_empty());
    let limit = match &o.answer {
        _ if flink_is_done && draft.location.is_some() && o.namespace_terminating => DEADLINE_OF_NAMESPACE,
        // There is a savepoint: who needs it, and the store with which its files are to go, may have their turn yet.
        _ if flink_is_done && draft.location.is_some() && needed.is_some() => NEEDED,
        _ if flink_is_done && draft.location.is_some() && goes_with_files(&o.savepoint) => SILENT,
        _ if flink_is_done => Duration::ZERO,
        Answer::InProgress(_) | Answer::Completed(_) => o.savepoint.spec.timeout(),
        _ => SILENT,
    };
    if deleted >= limit {
        return Some((Some(Effect::RemoveFinalizer), Next::After(SETTLED)));
    }
    if let Some(holds) = needed.filter(|_| flink_is_done) {
        draft.message = Some(format!("deletion waits for who needs the snapshot: {}", listed(holds)));
    }
    None
}

/// What is left behind, for the Event that says so.
#[must_use]
pub fn left_behind(savepoint: &FlinkSavepoint) -> Option<String> {
    let status = savepoint.status.as_ref()?;
    if status.phase == Some(SavepointPhase::Verifying)
        && savepoint.spec.copy_of.is_none()
        && let Some(location) = status.location.as_ref().filter(|_| goes_with_files(savepoint))
    {
        let why = status.message.as_deref().unwrap_or_default();
        return Some(format!("{location} is left behind: its files could not be looked at: {why}"));
    }
    let open = status.attempts.last().filter(|a| a.result.is_none())?;
    Some(format!(
        "let go while attempt {} was not over: Flink may still write a savepoint below {}",
        open.number, open.directory
    ))
}

#[cfg(test)]
#[path = "deletion_tests.rs"]
mod tests;
