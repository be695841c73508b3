//! What a job's successor starts from: one pure function over what the job does, which checkpoint is there, and what the
//! spec allows. Never a checkpoint of another submission, never one chosen by its time, and never nothing by surprise.

use std::time::Duration;

use super::observed::{JobFacts, Observed, Retained};
use super::{fence, high_availability};
use crate::api::condition::Reason;
use crate::api::{JobPhase, StateSource, Submission, UpgradeFrom};
use crate::flink::JobState;

/// Restarts without a completed checkpoint in between, after which no savepoint is waited for any more.
pub const RESTARTS: usize = 3;

/// What a submission does now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Now {
    /// All its tasks run.
    Running,
    /// It is between two tries; so many failures came since its last completed checkpoint.
    Restarting(usize),
    /// It failed for good, or is about to.
    Failed,
    /// Somebody cancelled it.
    Canceled,
    /// It reached its end by itself.
    Finished,
    /// The JobManager that it was submitted to does not know it any more.
    Forgotten,
    /// That JobManager's process is gone.
    Lost,
    /// That JobManager gives no answer, in these words.
    Silent(String),
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// What the submission before does.
    pub now: Now,
    /// What the spec allows.
    pub policy: UpgradeFrom,
    /// A savepoint of it was tried for this upgrade, and none came.
    pub savepoint_failed: bool,
    /// For how long that was waited for already.
    pub waited: Duration,
    /// For how long a savepoint is worth waiting for.
    pub patience: Duration,
    /// The newest retained checkpoint of the submission before.
    pub retained: &'a Retained,
    /// The newest one that Flink has told of: counts only where no store can be listed.
    pub told: Option<&'a str>,
    /// What the submission before was restored from; `None`: it began with nothing.
    pub restored_from: Option<&'a str>,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The job is stopped with a savepoint, and that is the state.
    Stop,
    /// The job is ended without one, and its successor starts from this.
    Start(StateSource, Option<String>),
    /// The job runs on: no savepoint could be had, and nothing else is allowed.
    Keep,
    /// The newest retained checkpoint has to be looked for first.
    Look,
    /// It may still get better by itself.
    Wait(String),
    /// Somebody has to help.
    Stalled(Reason, String),
}

const NO_STATE_IS_LEFT: &str = "the job finished by itself, and Flink has removed its checkpoints: name in \
    job.restoreFrom what the changed job starts from, or set job.restoreFrom.empty";

/// Why a job that finished by itself has no successor, if the spec does not allow one without state.
#[must_use]
pub fn no_state_is_left(policy: UpgradeFrom) -> Option<&'static str> {
    (policy != UpgradeFrom::Empty).then_some(NO_STATE_IS_LEFT)
}

/// Decides it.
#[must_use]
pub fn source(q: &Question<'_>) -> Answer {
    use UpgradeFrom::{Checkpoint, Empty, Savepoint, SavepointOrCheckpoint};
    let in_time = q.waited < q.patience;
    match (&q.now, q.policy) {
        (_, Empty) => Answer::Start(StateSource::Empty, None),
        (_, UpgradeFrom::Unknown) => {
            Answer::Wait("upgrade.from holds a value that this version does not know".to_owned())
        }
        (Now::Running, Savepoint) if q.savepoint_failed => Answer::Keep,
        (Now::Running, SavepointOrCheckpoint) if q.savepoint_failed => checkpoint(q),
        (Now::Running, Savepoint | SavepointOrCheckpoint) => Answer::Stop,
        (Now::Running, Checkpoint) => checkpoint(q),
        (Now::Restarting(failures), Savepoint | SavepointOrCheckpoint) if in_time && *failures < RESTARTS => {
            Answer::Wait(format!(
                "the job is being restarted: a savepoint can be taken once all its tasks run (failures since the last checkpoint: {failures})"
            ))
        }
        (Now::Silent(why), _) if in_time => {
            Answer::Wait(format!("the JobManager gives no answer ({why}), so it is not known what the job does"))
        }
        (Now::Finished, _) => Answer::Stalled(Reason::StateUnknown, NO_STATE_IS_LEFT.to_owned()),
        (Now::Restarting(_) | Now::Failed | Now::Canceled | Now::Forgotten | Now::Lost | Now::Silent(_), _) => {
            checkpoint(q)
        }
    }
}

/// The newest retained checkpoint of the submission before; what that was itself restored from, if it had none yet.
fn checkpoint(q: &Question<'_>) -> Answer {
    match q.retained {
        Retained::NotAsked => Answer::Look,
        Retained::Whole { location, .. } => Answer::Start(StateSource::Checkpoint, Some(location.clone())),
        Retained::Nothing => match q.restored_from {
            Some(path) => Answer::Start(StateSource::Restored, Some(path.to_owned())),
            None => Answer::Start(StateSource::Empty, None),
        },
        Retained::Reading(location) => Answer::Wait(format!("the files of checkpoint {location} are being checked")),
        Retained::Failed(failure) => Answer::Stalled(
            failure.reason,
            format!("the job's checkpoints can't be looked at: {}; it is tried again", failure.message),
        ),
        Retained::Broken { location, failure } => Answer::Stalled(
            failure.reason,
            format!(
                "checkpoint {location} is the newest of the job, and it is not whole: {}; bring its files back, or name \
                 in job.restoreFrom what to start from{}",
                failure.message,
                q.restored_from
                    .map(|path| format!(" (the last snapshot that was verified: {path})"))
                    .unwrap_or_default()
            ),
        ),
        Retained::NoStore(why) => match q.told {
            Some(path) => Answer::Start(StateSource::Checkpoint, Some(path.to_owned())),
            None => Answer::Stalled(
                Reason::StateUnknown,
                format!(
                    "which checkpoint is the job's newest can't be found out: {why}; or name it in job.restoreFrom"
                ),
            ),
        },
    }
}

/// What a submission on a revision's cluster does now.
#[must_use]
pub fn now(o: &Observed, submission: &Submission) -> Now {
    let seen = seen(o, submission);
    let finished = o.upgrade.status.as_ref().is_some_and(|s| s.phase == Some(JobPhase::Finished));
    // A JobManager that restarts forgets that the job had come to its end.
    if finished && matches!(seen, Now::Lost | Now::Forgotten) { Now::Finished } else { seen }
}

fn seen(o: &Observed, submission: &Submission) -> Now {
    if fence::is_lost(o, submission) {
        return Now::Lost;
    }
    let Some(up) = o.up(submission.revision) else {
        return Now::Silent(o.why_down(submission.revision));
    };
    let known = up.jobs.keys().any(|id| id.as_str() == submission.job_id);
    if submission.high_availability
        && !known
        && let Some(map) = high_availability::returns_from(o, submission)
    {
        return Now::Silent(format!("it does not know the job yet, which ConfigMap {map} tells of"));
    }
    if !submission.high_availability && submission.job_manager_instance.as_deref() != Some(up.instance.as_str()) {
        return Now::Lost;
    }
    o.job(submission.revision, &submission.job_id).map_or(Now::Forgotten, of_job)
}

fn of_job(job: &JobFacts) -> Now {
    match job.state {
        JobState::Running if job.all_tasks_running && job.failures < RESTARTS => Now::Running,
        JobState::Finished => Now::Finished,
        JobState::Canceled | JobState::Cancelling => Now::Canceled,
        JobState::Failed | JobState::Failing => Now::Failed,
        _ => Now::Restarting(job.failures),
    }
}

#[cfg(test)]
#[path = "state_source_tests.rs"]
mod tests;
