//! A savepoint that takes longer than its timeout. Flink can't abort one: it is said, and nothing new is sent. Pure.

use std::time::Duration;

use super::observed::Observed;
use super::settle::{self, since};
use crate::api::condition::{Conditions, Reason, types};
use crate::api::{FlinkSavepointStatus, SavepointAttempt, SavepointPhase};

/// Whether the timeout is over: since the first attempt, or while there is none since the resource was made.
#[must_use]
pub fn is_overdue(o: &Observed, draft: &FlinkSavepointStatus) -> bool {
    elapsed(o, draft) > o.savepoint.spec.timeout()
}

fn elapsed(o: &Observed, draft: &FlinkSavepointStatus) -> Duration {
    let began = draft.start_time.as_ref().filter(|_| !draft.attempts.is_empty());
    began.or(o.savepoint.metadata.creation_timestamp.as_ref()).map_or(Duration::ZERO, |t| since(o, t))
}

/// Says so, as long as it is true.
pub fn mark(o: &Observed, draft: &mut FlinkSavepointStatus) {
    let open = !draft.phase.is_some_and(SavepointPhase::is_terminal) && o.savepoint.spec.path.is_none();
    let overdue = open && is_overdue(o, draft);
    let mut conditions = Conditions::new(&mut draft.conditions, o.savepoint.metadata.generation, o.now);
    if overdue {
        let limit = o.savepoint.spec.timeout().as_secs();
        let given = if o.savepoint.spec.timeout.is_some() { ", and nothing new is sent" } else { "" };
        let message = format!(
            "it takes longer than spec.timeout ({limit} s); Flink can't abort a savepoint, so it is waited for{given}"
        );
        conditions.set(types::OVERDUE, true, Reason::TimeoutExceeded, message);
    } else {
        conditions.remove(types::OVERDUE);
    }
}

/// Nothing that was sent can act any more, and the user has said how long it may take.
#[must_use]
pub fn gives_up(o: &Observed, last: Option<&SavepointAttempt>) -> Option<String> {
    let status = o.savepoint.status.clone().unwrap_or_default();
    let limit = o.savepoint.spec.timeout.as_ref()?;
    if !is_overdue(o, &status) || last.is_some_and(settle::was_asked_for) {
        return None;
    }
    let waited_for = status.message.unwrap_or_else(|| "nothing was begun".to_owned());
    Some(match last {
        Some(_) => {
            format!("spec.timeout ({limit}) is over, and no attempt is under way; the last word was: {waited_for}")
        }
        None => format!("spec.timeout ({limit}) is over, and nothing was sent; it waited for: {waited_for}"),
    })
}
