//! The end of an attempt, and what follows it. Pure.

use std::time::Duration;

use super::observed::Observed;
use super::plan::Decision;
use super::{overdue, status, verify};
use crate::api::condition::Reason;
use crate::api::{FlinkSavepointStatus, SavepointAttempt, SavepointPhase};
use crate::flink::{Cause, SavepointFailure};
use crate::time::{self, Moment};

/// The result of an attempt whose savepoint is whole.
pub const COMPLETED: &str = "Completed";
/// The result of one that a later one takes the place of.
const SUPERSEDED: &str = "Superseded";
/// Before the second attempt; twice as long before each further one.
const BACKOFF: Duration = Duration::from_secs(5);
/// At most so long.
const LONGEST_BACKOFF: Duration = Duration::from_secs(300);

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another one, as long as `backoffLimit` allows.
    Retry,
    /// Another one, which a person asked for.
    Asked,
    /// None: it would end in the same way, or do harm.
    Never,
}

/// How long ago something was.
pub fn since(o: &Observed, moment: &impl Moment) -> Duration {
    (o.now - time::from_k8s(moment)).to_std().unwrap_or_default()
}

/// Flink's part is done: from here on nothing depends on what it still remembers.
pub fn completed(
    o: &Observed,
    draft: &mut FlinkSavepointStatus,
    attempt: &SavepointAttempt,
    location: &str,
    uncommitted: bool,
) -> Decision {
    draft.location = Some(location.to_owned());
    draft.progress = None;
    draft.uncommitted = uncommitted.then_some(true);
    end(o, draft, attempt, COMPLETED);
    verify::decide(o, draft)
}

/// The savepoint is whole, and the job that it should have ended runs on, recovered from before it: it is nobody's
/// state any more, and the stop is to be asked for anew.
pub fn superseded(
    o: &Observed,
    draft: &mut FlinkSavepointStatus,
    attempt: &SavepointAttempt,
    location: &str,
) -> Decision {
    let message = format!(
        "{SUPERSEDED}: the savepoint {location} is whole, but the job was recovered from an older checkpoint and runs \
         on; it is not used"
    );
    failed(o, draft, attempt, Reason::Superseded, &message, Next::Retry)
}

/// Flink says that an attempt failed.
pub fn failed_by_flink(
    o: &Observed,
    draft: &mut FlinkSavepointStatus,
    attempt: &SavepointAttempt,
    cause: &Cause,
) -> Decision {
    let failure = cause.savepoint_failure();
    let directory = &attempt.directory;
    let (next, cure) = match failure {
        SavepointFailure::TasksNotRunning => (Next::Retry, "see why not all tasks of the job run".to_owned()),
        SavepointFailure::CoordinatorSuspending => {
            (Next::Retry, "the job was restarted, stopped or cancelled meanwhile: see its exceptions".to_owned())
        }
        SavepointFailure::Expired => (
            Next::Retry,
            "it took longer than execution.checkpointing.timeout: see the job's backpressure, or raise that".to_owned(),
        ),
        SavepointFailure::UnknownScheme => (
            Next::Never,
            format!("put Flink's file system plugin for {directory} into its image, or name another directory"),
        ),
        SavepointFailure::Io => (
            Next::Retry,
            format!(
                "see that Flink's pods may write to {directory}: bucket, credentials, endpoint in its configuration"
            ),
        ),
        SavepointFailure::JobNotFound => (Next::Retry, "the job has ended, or its JobManager has lost it".to_owned()),
        SavepointFailure::DirectoryMissing => (Next::Never, "set spec.targetDirectory".to_owned()),
        SavepointFailure::StoppingFailed | SavepointFailure::Other => {
            (Next::Retry, "see the JobManager's log and the job's exceptions".to_owned())
        }
    };
    let reason = Reason::of(failure.reason()).unwrap_or(Reason::SavepointFailed);
    failed(o, draft, attempt, reason, &format!("{cause}; {cure}"), next)
}

/// Nothing came of an attempt.
pub fn failed(
    o: &Observed,
    draft: &mut FlinkSavepointStatus,
    attempt: &SavepointAttempt,
    reason: Reason,
    message: &str,
    next: Next,
) -> Decision {
    draft.progress = None;
    draft.location = None;
    end(o, draft, attempt, &format!("{reason}: {message}"));
    let made = u32::try_from(draft.attempts.len()).unwrap_or(u32::MAX);
    let number = attempt.number;
    let no_more = if o.savepoint.metadata.deletion_timestamp.is_some() {
        Some("no other is made, as the resource is being deleted".to_owned())
    } else if next == Next::Never {
        Some("no other is made".to_owned())
    } else if o.savepoint.spec.timeout.is_some() && overdue::is_overdue(o, draft) && next != Next::Asked {
        Some("no other is made, as spec.timeout is over".to_owned())
    } else if made > o.savepoint.spec.backoff_limit() && next != Next::Asked {
        Some(format!("spec.backoffLimit allows no more than {made} attempts"))
    } else {
        None
    };
    if let Some(why) = no_more {
        draft.phase = Some(SavepointPhase::Failed);
        status::stalled(o, draft, reason, &format!("attempt {number} failed: {message}; {why}"));
        return (None, crate::reconcile::Next::Again);
    }
    draft.phase = Some(SavepointPhase::Pending);
    let wait = if next == Next::Asked { Duration::ZERO } else { backoff(made) };
    let then = format!("another one follows in {} s", wait.as_secs());
    status::under_way(o, draft, reason, &format!("attempt {number} failed: {message}; {then}"));
    (None, crate::reconcile::Next::After(wait))
}

/// A task failed in its snapshot, and the job restarted: what a person needs to know of it.
#[must_use]
pub fn harms(words: &str) -> String {
    format!("taking a savepoint makes the job restart: {words}; mend the operator that fails in its snapshot")
}

/// A person has asked for another attempt after this one.
#[must_use]
pub fn was_asked_for(last: &SavepointAttempt) -> bool {
    last.result.as_deref().is_some_and(|result| result.starts_with(Reason::AnswerLost.as_str()))
}

/// A failed attempt is not followed by the next one at once.
pub fn wait_before_next(
    o: &Observed,
    draft: &mut FlinkSavepointStatus,
    last: Option<&SavepointAttempt>,
) -> Option<Decision> {
    let last = last?;
    if was_asked_for(last) {
        return None;
    }
    let waited = last.completion_time.as_ref().map_or(Duration::MAX, |t| since(o, t));
    let left = backoff(u32::try_from(draft.attempts.len()).unwrap_or(u32::MAX)).checked_sub(waited)?;
    // What it says of the last attempt still holds.
    draft.clone_from(&o.savepoint.status.clone().unwrap_or_default());
    (!left.is_zero()).then_some((None, crate::reconcile::Next::After(left)))
}

/// How long after so many attempts.
fn backoff(attempts: u32) -> Duration {
    BACKOFF.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1))).min(LONGEST_BACKOFF)
}

fn end(o: &Observed, draft: &mut FlinkSavepointStatus, attempt: &SavepointAttempt, result: &str) {
    for open in draft.attempts.iter_mut().filter(|a| a.number == attempt.number) {
        open.result = Some(result.to_owned());
        open.completion_time = Some(time::to_k8s_precise(o.now));
    }
}

#[cfg(test)]
#[path = "settle_tests.rs"]
mod tests;
