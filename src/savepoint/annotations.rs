//! What a person knows of an attempt whose answer is lost, said by annotations. Pure.

use super::observed::{JobNow, Observed};
use super::plan::Decision;
use super::{follow, settle, status};
use crate::api::annotations::{ADOPT, RETRY};
use crate::api::condition::Reason;
use crate::api::{FlinkSavepointStatus, SavepointAttempt, SavepointPhase};
use crate::flink::location;
use crate::reconcile::Next;

/// Does what an annotation says, if one does.
pub fn obey(
    o: &Observed,
    draft: &mut FlinkSavepointStatus,
    attempt: &SavepointAttempt,
    job: &JobNow,
) -> Option<Decision> {
    let annotation = |key: &str| o.savepoint.metadata.annotations.as_ref()?.get(key).map(|v| v.trim());
    if let Some(path) = annotation(ADOPT) {
        return Some(adopt(o, draft, attempt, job, path));
    }
    let number = annotation(RETRY)?;
    // One that names an older attempt has done its work.
    if number.parse::<i32>().is_ok_and(|n| n < attempt.number) {
        return None;
    }
    if number != attempt.number.to_string() {
        let message = format!(
            "annotation {RETRY}: {number:?} is not the number of the attempt whose answer is lost; set it to {}",
            attempt.number
        );
        return Some(refuse(o, draft, &message));
    }
    let message = format!("its answer is lost, and annotation {RETRY} asks for another attempt");
    Some(settle::failed(o, draft, attempt, Reason::AnswerLost, &message, settle::Next::Asked))
}

fn adopt(
    o: &Observed,
    draft: &mut FlinkSavepointStatus,
    attempt: &SavepointAttempt,
    job: &JobNow,
    path: &str,
) -> Decision {
    if location::scheme(path).is_none() {
        let message = format!(
            "annotation {ADOPT}: {path:?} is no location; write the savepoint's directory, such as s3://bucket/savepoints/savepoint-1a2b3c"
        );
        return refuse(o, draft, &message);
    }
    if let JobNow::Lives { state, .. } = job
        && !follow::is_over(o.savepoint.spec.then(), job)
    {
        let message = format!(
            "annotation {ADOPT}: the job that the savepoint should have ended is {state}: what it processes is not in {path}; take the annotation away, or set {RETRY}: \"{}\"",
            attempt.number
        );
        return refuse(o, draft, &message);
    }
    settle::completed(o, draft, attempt, path, false)
}

fn refuse(o: &Observed, draft: &mut FlinkSavepointStatus, message: &str) -> Decision {
    draft.phase = Some(SavepointPhase::InProgress);
    status::stalled(o, draft, Reason::AnswerLost, message);
    (None, Next::After(super::plan::WAITING))
}

/// What to do about an answer that is lost.
#[must_use]
pub fn cure(attempt: &SavepointAttempt, why: &str) -> String {
    format!(
        "attempt {n}: the JobManager does not know trigger {trigger}, and whether a savepoint was written can't be found \
         out: {why}. Look into {directory}: if a directory with a _metadata is there, set the annotation {ADOPT} to it; \
         if not, set {RETRY}: \"{n}\"",
        n = attempt.number,
        trigger = attempt.trigger_id,
        directory = attempt.directory,
    )
}

#[cfg(test)]
#[path = "annotations_tests.rs"]
mod tests;
