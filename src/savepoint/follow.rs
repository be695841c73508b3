//! An attempt is open: it is sent, or followed to its end. Pure.

use std::time::Duration;

use super::observed::{Answer, Completed, Forgotten, Found, JobNow, Observed, Written};
use super::plan::{Decision, Effect, WAITING, has_finalizer};
use super::{annotations, settle, status};
use crate::api::condition::Reason;
use crate::api::{FlinkSavepointStatus, FormatType, SavepointAttempt, SavepointPhase, SavepointProgress, Then};
use crate::flink::{JobId, JobState, SavepointFormat, SavepointRequest, StopRequest, TriggerId};
use crate::reconcile::Next;
use crate::store::check::Again;
use crate::time;

/// Most savepoints of small state are complete within this time.
const SOON: Duration = Duration::from_millis(500);
/// How often the status says how far a savepoint is.
const PROGRESS: Duration = Duration::from_secs(5);

/// Follows an attempt.
pub fn follow(o: &Observed, draft: &mut FlinkSavepointStatus, attempt: &SavepointAttempt) -> Decision {
    match &o.answer {
        Answer::NotAsked => unreachable(o, draft, attempt, "the job's JobManager can't be found now"),
        Answer::Unreachable(message) => unreachable(o, draft, attempt, message),
        Answer::InProgress(written) => in_progress(o, draft, attempt, *written),
        Answer::Completed(done) => completed(o, draft, attempt, done),
        Answer::Failed { harmed: Some(words), .. } => {
            settle::failed(o, draft, attempt, Reason::SnapshotHarmsJob, &settle::harms(words), settle::Next::Never)
        }
        Answer::Failed { cause, harmed: None } => settle::failed_by_flink(o, draft, attempt, cause),
        Answer::Forgotten(known) => forgotten(o, draft, attempt, known),
    }
}

/// Nothing is known, so nothing is sent and nothing is over; unless a person knows more.
fn unreachable(o: &Observed, draft: &mut FlinkSavepointStatus, attempt: &SavepointAttempt, message: &str) -> Decision {
    if let Some(decision) = annotations::obey(o, draft, attempt, &JobNow::CantTell(message.to_owned())) {
        return decision;
    }
    status::under_way(o, draft, Reason::JobManagerUnreachable, &format!("attempt {}: {message}", attempt.number));
    (None, Next::After(WAITING))
}

fn in_progress(
    o: &Observed,
    draft: &mut FlinkSavepointStatus,
    attempt: &SavepointAttempt,
    written: Option<Written>,
) -> Decision {
    let age = age(o, attempt);
    // One that is soon complete is not worth a write that its end would have to wait for.
    if age <= SOON {
        return (None, Next::After(polling(age)));
    }
    draft.phase = Some(SavepointPhase::InProgress);
    if !has_finalizer(o) && o.savepoint.metadata.deletion_timestamp.is_none() {
        return (Some(Effect::AddFinalizer), Next::Again);
    }
    let told = draft.progress.as_ref().and_then(|p| p.time.as_ref()).map(|t| settle::since(o, t));
    if let Some(written) = written.filter(|_| told.is_none_or(|told| told >= PROGRESS)) {
        draft.progress = Some(SavepointProgress {
            bytes: written.bytes,
            acknowledged_subtasks: written.acknowledged,
            subtasks: written.subtasks,
            time: Some(time::to_k8s(o.now)),
        });
    }
    let what = if o.savepoint.spec.then() == Then::Continue { "savepoint" } else { "savepoint that ends the job" };
    let message = match &draft.progress {
        Some(p) => format!(
            "attempt {}: Flink writes the {what}: {} of {} subtasks, {} so far",
            attempt.number,
            p.acknowledged_subtasks,
            p.subtasks,
            human_bytes(p.bytes)
        ),
        None => format!("attempt {}: Flink writes the {what}", attempt.number),
    };
    status::under_way(o, draft, Reason::InProgress, &message);
    (None, Next::After(polling(age)))
}

/// Whether a savepoint that is whole is what was asked for: one that ends its job only once the job has ended. A whole
/// directory does not prove that.
#[must_use]
pub fn is_over(then: Then, job: &JobNow) -> bool {
    // A job is cancelled only when the files were checked.
    !then.stops() || matches!(job, JobNow::Ended(_) | JobNow::Gone)
}

fn completed(o: &Observed, draft: &mut FlinkSavepointStatus, attempt: &SavepointAttempt, done: &Completed) -> Decision {
    if is_over(o.savepoint.spec.then(), &done.job) {
        draft.checkpoint_id = done.checkpoint_id.or(draft.checkpoint_id);
        draft.size_bytes = done.size_bytes.or(draft.size_bytes);
        return settle::completed(o, draft, attempt, &done.location, done.uncommitted);
    }
    // Flink has said that the job fails for good; one whose tasks all run again was recovered, from before.
    if done.uncommitted && matches!(done.job, JobNow::Lives { all_tasks_running: true, .. }) {
        return settle::superseded(o, draft, attempt, &done.location);
    }
    // It is kept at once: the JobManager forgets it.
    for open in draft.attempts.iter_mut().filter(|a| a.number == attempt.number) {
        open.location = Some(done.location.clone());
    }
    draft.phase = Some(SavepointPhase::InProgress);
    status::under_way(o, draft, Reason::InProgress, &whole_but(attempt, &done.job));
    (None, Next::After(polling(age(o, attempt))))
}

fn whole_but(attempt: &SavepointAttempt, job: &JobNow) -> String {
    let why = match job {
        JobNow::Lives { state, .. } => format!("the job has not ended yet: it is {state}"),
        JobNow::MayReturn(why) | JobNow::CantTell(why) => format!("whether the job has ended can't be told: {why}"),
        JobNow::NotAsked | JobNow::Ended(_) | JobNow::Gone => "the job has ended".to_owned(),
    };
    format!("attempt {}: the savepoint is whole; {why}", attempt.number)
}

/// The JobManager does not know the trigger: it never arrived, or was made by a process that is no more, or ended too
/// long ago. A second request is made only if everything says that nothing can come of the first.
fn forgotten(
    o: &Observed,
    draft: &mut FlinkSavepointStatus,
    attempt: &SavepointAttempt,
    known: &Forgotten,
) -> Decision {
    let process = Process::of(o, attempt, known);
    // Past it "unknown trigger" no longer proves that the request never arrived.
    let remembers = process == Process::Same && age(o, attempt) < known.remembered;
    match &known.found {
        Found::Whole { location, checkpoint_id } => {
            whole(o, draft, attempt, known, process, (location, *checkpoint_id))
        }
        _ if known.in_progress && process != Process::Another => in_progress(o, draft, attempt, None),
        Found::Nothing | Found::NoStore(_) | Found::Trouble(_) if remembers => send(o, draft, attempt, known),
        // The request has just arrived; the next look knows its trigger.
        Found::Unfinished if remembers => in_progress(o, draft, attempt, None),
        Found::Trouble(failure) => {
            let message = format!("attempt {}: {}", attempt.number, failure.message);
            match failure.again {
                Again::Soon => status::under_way(o, draft, failure.reason, &message),
                Again::WithHelp | Again::Never => status::stalled(o, draft, failure.reason, &message),
            }
            (None, Next::After(WAITING))
        }
        Found::NoStore(why) => answer_lost(o, draft, attempt, known, why),
        Found::Nothing | Found::Unfinished if process == Process::Unseen => {
            answer_lost(o, draft, attempt, known, "which JobManager process was asked can't be seen")
        }
        Found::Nothing if process == Process::Same => send(o, draft, attempt, known),
        // A JobManager that is no more completes nothing; and one that writes none now, of which files are left, has
        // given up.
        Found::Nothing | Found::Unfinished => {
            if let JobNow::CantTell(why) = &known.job {
                let message = format!("attempt {}: {why}", attempt.number);
                status::under_way(o, draft, Reason::JobManagerUnreachable, &message);
                return (None, Next::After(WAITING));
            }
            let message = match process {
                Process::Another => "the JobManager was lost before it had written the savepoint",
                Process::Same | Process::Unseen => "the JobManager has given up the savepoint, and forgotten why",
            };
            settle::failed(o, draft, attempt, Reason::JobManagerLost, message, settle::Next::Retry)
        }
    }
}

/// Which process answers, compared with the one that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Process {
    Same,
    Another,
    Unseen,
}

impl Process {
    fn of(o: &Observed, attempt: &SavepointAttempt, known: &Forgotten) -> Self {
        let now = o.job_manager.as_ref().and_then(|m| m.instance.as_ref());
        match (&attempt.job_manager_instance, now) {
            _ if known.gone => Self::Another,
            (Some(then), Some(now)) if then == now => Self::Same,
            (Some(_), Some(_)) => Self::Another,
            _ => Self::Unseen,
        }
    }
}

/// A savepoint lies in the attempt's own directory, and whether it is the one that was asked for depends on the job.
fn whole(
    o: &Observed,
    draft: &mut FlinkSavepointStatus,
    attempt: &SavepointAttempt,
    known: &Forgotten,
    process: Process,
    (location, checkpoint_id): (&str, Option<i64>),
) -> Decision {
    let stops = o.savepoint.spec.then().stops();
    if stops {
        match &known.job {
            // In the process that wrote it, a job that fails after its stop's savepoint fails for good; in another one
            // it was recovered from an older checkpoint and has run on.
            JobNow::Ended(JobState::Failed | JobState::Canceled) if process == Process::Another => {
                return settle::superseded(o, draft, attempt, location);
            }
            JobNow::Ended(_) | JobNow::Gone => {}
            JobNow::Lives { .. } => return settle::superseded(o, draft, attempt, location),
            job @ (JobNow::MayReturn(_) | JobNow::CantTell(_) | JobNow::NotAsked) => {
                draft.phase = Some(SavepointPhase::InProgress);
                status::under_way(o, draft, Reason::JobManagerUnreachable, &whole_but(attempt, job));
                return (None, Next::After(WAITING));
            }
        }
    }
    draft.checkpoint_id = checkpoint_id.or(draft.checkpoint_id);
    let uncommitted = stops && known.job == JobNow::Ended(JobState::Failed);
    settle::completed(o, draft, attempt, location, uncommitted)
}

/// Sends the request: for the first time, or once more under the same trigger id, which a JobManager that has seen it
/// takes for the same request.
fn send(o: &Observed, draft: &mut FlinkSavepointStatus, attempt: &SavepointAttempt, known: &Forgotten) -> Decision {
    if let JobNow::Ended(state) = known.job {
        let message = format!("the job has ended without it: it is {state}");
        return settle::failed(o, draft, attempt, Reason::JobEnded, &message, settle::Next::Retry);
    }
    if o.savepoint.metadata.deletion_timestamp.is_some() {
        // It never arrived, and nobody wants it any more.
        let message = "it was deleted before the request arrived";
        return settle::failed(o, draft, attempt, Reason::SavepointFailed, message, settle::Next::Never);
    }
    status::under_way(o, draft, Reason::InProgress, "the request is about to be sent");
    (request(o, draft, attempt), Next::Again)
}

fn answer_lost(
    o: &Observed,
    draft: &mut FlinkSavepointStatus,
    attempt: &SavepointAttempt,
    known: &Forgotten,
    why: &str,
) -> Decision {
    if let Some(decision) = annotations::obey(o, draft, attempt, &known.job) {
        return decision;
    }
    draft.phase = Some(SavepointPhase::InProgress);
    status::stalled(o, draft, Reason::AnswerLost, &annotations::cure(attempt, why));
    (None, Next::After(WAITING))
}

/// The request of an attempt. A repeat asks for what was asked for before.
#[must_use]
pub fn request(o: &Observed, status: &FlinkSavepointStatus, attempt: &SavepointAttempt) -> Option<Effect> {
    let job_id = JobId::new(&attempt.job_id).ok()?;
    let trigger_id = TriggerId::new(&attempt.trigger_id).ok()?;
    let format = match status.format_type? {
        FormatType::Canonical => SavepointFormat::Canonical,
        FormatType::Native => SavepointFormat::Native,
        FormatType::Unknown => return None,
    };
    let directory = Some(attempt.directory.clone());
    Some(match o.savepoint.spec.then() {
        Then::Continue | Then::Cancel => Effect::Trigger(job_id, SavepointRequest { trigger_id, directory, format }),
        Then::Stop | Then::Drain => {
            let drain = o.savepoint.spec.then() == Then::Drain;
            Effect::Stop(job_id, StopRequest { trigger_id, directory, format, drain })
        }
        Then::Unknown => return None,
    })
}

/// How long ago an attempt was recorded.
fn age(o: &Observed, attempt: &SavepointAttempt) -> Duration {
    attempt.start_time.as_ref().map_or(Duration::MAX, |t| settle::since(o, t))
}

/// Often while the answer decides over downtime, seldom when it takes long anyway.
fn polling(age: Duration) -> Duration {
    (age / 20).clamp(Duration::from_millis(20), Duration::from_secs(1))
}

/// As people read it.
fn human_bytes(bytes: i64) -> String {
    indicatif::BinaryBytes(u64::try_from(bytes).unwrap_or_default()).to_string()
}
