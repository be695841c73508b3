//! A resource that is deleted while its savepoint is under way waits for its end, but not for ever. Pure.

use std::time::Duration;

use super::observed::{Answer, Observed};
use super::plan::{Decision, Effect, has_finalizer};
use super::settle::since;
use crate::api::{FlinkSavepointStatus, SavepointPhase};
use crate::reconcile::{Next, SETTLED};

/// How long a JobManager that gives no answer is waited for.
const SILENT: Duration = Duration::from_secs(60);

/// Lets go of a resource whose end can't be awaited any longer.
pub fn bound(o: &Observed, draft: &FlinkSavepointStatus) -> Option<Decision> {
    let deleted = since(o, o.savepoint.metadata.deletion_timestamp.as_ref()?);
    if !has_finalizer(o) || draft.phase.is_some_and(SavepointPhase::is_terminal) {
        return None;
    }
    let flink_is_done = draft.attempts.last().is_none_or(|a| a.result.is_some());
    let limit = match &o.answer {
        _ if flink_is_done => Duration::ZERO,
        Answer::InProgress(_) | Answer::Completed(_) => o.savepoint.spec.timeout(),
        _ => SILENT,
    };
    (deleted >= limit).then_some((Some(Effect::RemoveFinalizer), Next::After(SETTLED)))
}

/// What is left behind, for the Event that says so.
#[must_use]
pub fn left_behind(status: &FlinkSavepointStatus) -> Option<String> {
    let open = status.attempts.last().filter(|a| a.result.is_none())?;
    Some(format!(
        "let go while attempt {} was not over: Flink may still write a savepoint below {}",
        open.number, open.directory
    ))
}

#[cfg(test)]
#[path = "deletion_tests.rs"]
mod tests;
