//! Decides what a FlinkSavepoint needs next. Pure and total: no client, no clock of its own.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::check::{Check, Failure};
use super::format::{self, Setting};
use super::{status, verify};
use crate::api::condition::Reason;
use crate::api::{
    FlinkSavepoint, FlinkSavepointStatus, FormatType, ObjectRef, Operation, OperationKind, SavepointAttempt,
    SavepointPhase, Then,
};
use crate::flink::{Cause, JobId, SavepointFormat, SavepointRequest, StopRequest, TriggerId};
use crate::naming;
use crate::reconcile::{Next, SETTLED, not_implemented};
use crate::time;
use crate::upgrade::jobmanager::Process;

/// How long Flink keeps the result of a trigger after it is complete: `rest.async.store-duration`, 5 minutes by
/// default. Past it "unknown trigger" no longer proves that the request never arrived.
const TRIGGER_MEMORY: Duration = Duration::from_secs(240);

/// Everything that a decision is made from, read in one pass.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The time of this pass.
    pub now: DateTime<Utc>,
    /// The resource, read live.
    pub savepoint: FlinkSavepoint,
    /// Fields that it sets and that are not built yet.
    pub not_yet: Vec<String>,
    /// The job that it names.
    pub job: Job,
    /// The JobManager: of the job's present revision or, once there is an attempt, of the revision that it is of.
    pub job_manager: Option<Process>,
    /// What Flink says of the attempt in progress.
    pub answer: Answer,
    /// What is known of the snapshot's files.
    pub check: Check,
}

/// The job that a savepoint is taken of.
#[derive(Debug, Clone)]
pub enum Job {
    /// It was not read: an attempt in progress depends on its JobManager alone.
    NotRead,
    /// There is no such resource.
    Missing,
    /// The resource exists and runs nothing that a savepoint could be taken of.
    NotRunning {
        /// What it does instead, for the message.
        message: String,
    },
    /// It has a submission.
    Submitted(Box<Submitted>),
}

/// A job that was submitted, and what its JobManager says of it.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// UID of the FlinkJobUpgrade.
    pub uid: String,
    /// What holds the job's lock.
    pub operation: Option<Operation>,
    /// The revision that runs.
    pub revision: i64,
    /// Flink's id of the job.
    pub job_id: JobId,
    /// The job's own savepoint directory, if one is configured.
    pub savepoint_directory: Option<String>,
    /// Flink's version, as the JobManager reports it.
    pub flink_version: Option<String>,
    /// Why no savepoint can be taken now: Flink refuses one unless all tasks run.
    pub not_ready: Option<String>,
    /// What it runs with, and what its upgrade is about to change.
    pub setting: Setting,
    /// Why the store that the savepoint would be written to can't be used now: a job that is to be stopped is not, then.
    pub store_trouble: Option<Failure>,
}

/// What Flink says of the attempt in progress.
#[derive(Debug, Clone)]
pub enum Answer {
    /// There is no attempt, or its JobManager was not asked.
    NotAsked,
    /// Its JobManager gave no answer: nothing is known.
    Unreachable(String),
    /// The JobManager does not know the trigger.
    UnknownTrigger,
    /// The savepoint is being written.
    InProgress,
    /// The savepoint is whole.
    Completed(Box<Completed>),
    /// Flink says that it failed.
    Failed(Cause),
}

/// A savepoint that Flink reports as whole.
#[derive(Debug, Clone, Default)]
pub struct Completed {
    /// Where it lies, as Flink writes it.
    pub location: String,
    /// The job has ended by its own JobManager's word.
    pub job_ended: bool,
    /// Flink's checkpoint id, if the history still has it.
    pub checkpoint_id: Option<i64>,
    /// Bytes of state, if the history still has it.
    pub size_bytes: Option<i64>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Write this savepoint into the job's status as the operation that holds its lock.
    TakeLock(Operation),
    /// `POST /jobs/:id/savepoints`.
    Trigger(JobId, SavepointRequest),
    /// `POST /jobs/:id/stop`.
    Stop(JobId, StopRequest),
}

impl Effect {
    /// Its name in logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::TakeLock(_) => "lock",
            Self::Trigger(..) => "trigger",
            Self::Stop(..) => "stop",
        }
    }

    /// The failpoints before and after it.
    #[must_use]
    pub fn failpoints(&self) -> (&'static str, &'static str) {
        match self {
            Self::TakeLock(_) => ("savepoint.lock.before", "savepoint.lock.after"),
            Self::Trigger(..) | Self::Stop(..) => ("savepoint.trigger.before", "savepoint.trigger.after"),
        }
    }
}

/// The outcome of a pass: what the status becomes, then at most one effect.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The status as it shall be.
    pub status: FlinkSavepointStatus,
    /// What to do once the status is written.
    pub effect: Option<Effect>,
    /// When to look again.
    pub next: Next,
}

const WAITING: Duration = Duration::from_secs(2);
/// Most savepoints of small state are complete within this time.
const SOON: Duration = Duration::from_millis(500);

/// Plans the next step of a FlinkSavepoint.
#[must_use]
pub fn plan(o: &Observed) -> Plan {
    let mut status = o.savepoint.status.clone().unwrap_or_default();
    let draft = &mut status;
    let (effect, next) = match draft.phase {
        Some(
            SavepointPhase::Completed
            | SavepointPhase::Superseded
            | SavepointPhase::Failed
            | SavepointPhase::Disposing
            | SavepointPhase::Unknown,
        ) => (None, Next::After(SETTLED)),
        _ if !o.not_yet.is_empty() => {
            status::stalled(o, draft, Reason::NotImplemented, &not_implemented(&o.not_yet));
            (None, Next::After(SETTLED))
        }
        _ => match draft.attempts.last().cloned() {
            _ if o.savepoint.spec.path.is_some() => verify::registered(o, draft),
            None => start(o, draft),
            Some(attempt) if attempt.result.is_some() => verify::decide(o, draft),
            Some(attempt) => follow(o, draft, &attempt),
        },
    };
    Plan { status, effect, next }
}

/// The status after Flink refused the request itself: nothing began.
#[must_use]
pub fn refused(o: &Observed, cause: &str) -> FlinkSavepointStatus {
    let mut draft = o.savepoint.status.clone().unwrap_or_default();
    draft.phase = Some(SavepointPhase::Failed);
    if let Some(number) = draft.attempts.last().map(|a| a.number) {
        set_result(&mut draft, number, "Failed");
    }
    status::stalled(o, &mut draft, Reason::SavepointFailed, cause);
    draft
}

/// No attempt yet: take the lock, then record the intent.
fn start(o: &Observed, draft: &mut FlinkSavepointStatus) -> (Option<Effect>, Next) {
    draft.phase = Some(SavepointPhase::Pending);
    let job = match &o.job {
        Job::Missing => {
            let name = o.savepoint.spec.job_ref.as_ref().map_or("", |r| r.name.as_str());
            status::under_way(
                o,
                draft,
                Reason::JobNotFound,
                &format!("there is no FlinkJobUpgrade {name} in this namespace"),
            );
            return (None, Next::After(WAITING));
        }
        Job::NotRunning { message } => {
            status::under_way(o, draft, Reason::JobNotRunning, message);
            return (None, Next::After(WAITING));
        }
        Job::Submitted(job) => job,
        Job::NotRead => return (None, Next::After(WAITING)),
    };
    let Some(target) = o.savepoint.spec.target_directory.as_ref().or(job.savepoint_directory.as_ref()) else {
        status::stalled(
            o,
            draft,
            Reason::NoTargetDirectory,
            "there is nowhere to write to: set spec.targetDirectory, or execution.checkpointing.savepoint-dir in the \
             job's flinkConfiguration",
        );
        return (None, Next::After(WAITING));
    };
    let (None, Some(instance)) = (&job.not_ready, instance(o)) else {
        let why = job.not_ready.as_deref().unwrap_or("its JobManager's pod is not known");
        status::under_way(o, draft, Reason::JobNotRunning, why);
        return (None, Next::After(Duration::from_millis(250)));
    };
    let chosen = match format::choose(o.savepoint.spec.format_type, &job.setting) {
        Ok(chosen) => chosen,
        Err(why) => {
            draft.phase = Some(SavepointPhase::Failed);
            status::stalled(o, draft, Reason::NotPossible, &why);
            return (None, Next::After(SETTLED));
        }
    };
    if let Some(trouble) = &job.store_trouble {
        let message =
            format!("nothing is sent, as the job would be stopped without a place for its state: {}", trouble.message);
        status::under_way(o, draft, trouble.reason, &message);
        return (None, Next::After(WAITING));
    }
    // Last, as a savepoint that can't go on must not keep others from the job.
    match lock(o, job) {
        Lock::Mine => {}
        Lock::Free(operation) => {
            status::under_way(o, draft, Reason::InProgress, "taking the job's lock");
            return (Some(Effect::TakeLock(operation)), Next::Again);
        }
        Lock::Announced => {
            status::under_way(
                o,
                draft,
                Reason::InProgress,
                "the upgrade is about to name this savepoint as its operation",
            );
            return (None, Next::After(WAITING));
        }
        Lock::Taken(by) => {
            status::under_way(o, draft, Reason::WaitingForOperation, &format!("the job is busy: {by}"));
            return (None, Next::After(WAITING));
        }
        Lock::Refused => {
            status::stalled(
                o,
                draft,
                Reason::UseSuspend,
                "spec.then: only the operator may end the job of a FlinkJobUpgrade by a FlinkSavepoint; \
                 set job.state: suspended on the FlinkJobUpgrade, or then: Continue here",
            );
            return (None, Next::After(SETTLED));
        }
    }
    let uid = o.savepoint.metadata.uid.clone().unwrap_or_default();
    let name = o.savepoint.metadata.name.as_deref().unwrap_or_default();
    let namespace = o.savepoint.metadata.namespace.as_deref().unwrap_or_default();
    let number = 1;
    draft.attempts.push(SavepointAttempt {
        number,
        job_id: job.job_id.to_string(),
        job_manager_instance: Some(instance.to_owned()),
        trigger_id: naming::trigger_id(&uid, number),
        directory: naming::savepoint_directory(target, namespace, name, &uid, number),
        result: None,
        start_time: Some(time::to_k8s_precise(o.now)),
    });
    draft.phase = Some(SavepointPhase::Triggering);
    draft.start_time = Some(time::to_k8s(o.now));
    draft.format_type = Some(chosen.format);
    draft.format_reason = chosen.because;
    draft.flink_version.clone_from(&job.flink_version);
    draft.source.get_or_insert_default().revision = Some(job.revision);
    status::under_way(o, draft, Reason::InProgress, "the request is about to be sent");
    // The record is written first. An attempt that was never recorded was never sent, so nobody need be asked for it.
    (draft.attempts.last().and_then(|attempt| request(o, draft, attempt)), Next::Again)
}

fn instance(o: &Observed) -> Option<&str> {
    Some(&o.job_manager.as_ref()?.instance)
}

enum Lock {
    Mine,
    Free(Operation),
    Announced,
    Taken(String),
    Refused,
}

/// One operation at a time on a job. A savepoint that ends the job must be the operator's own child, named by UID in
/// the job's operation.
fn lock(o: &Observed, job: &Submitted) -> Lock {
    let uid = o.savepoint.metadata.uid.as_deref();
    let name = o.savepoint.metadata.name.clone().unwrap_or_default();
    let ends_the_job = o.savepoint.spec.then() != Then::Continue;
    match &job.operation {
        Some(operation) => match &operation.savepoint {
            Some(named) if named.uid.is_some() && named.uid.as_deref() == uid => Lock::Mine,
            _ if ends_the_job && naming::is_child_of(&o.savepoint.metadata, &job.uid, &operation.id) => Lock::Announced,
            _ if ends_the_job => Lock::Refused,
            _ => Lock::Taken(format!("{} {}", operation.kind, operation.id)),
        },
        None if ends_the_job => Lock::Refused,
        None => Lock::Free(Operation {
            id: format!("savepoint-{}", uid.unwrap_or_default().chars().take(8).collect::<String>()),
            kind: OperationKind::Savepoint,
            savepoint: Some(ObjectRef { name, uid: uid.map(str::to_owned) }),
            since: Some(time::to_k8s(o.now)),
        }),
    }
}

/// An attempt is recorded: send it, or follow it to its end.
fn follow(o: &Observed, draft: &mut FlinkSavepointStatus, attempt: &SavepointAttempt) -> (Option<Effect>, Next) {
    let same_process = instance(o).is_some() && instance(o) == attempt.job_manager_instance.as_deref();
    let age =
        attempt.start_time.as_ref().map_or(Duration::MAX, |t| (o.now - time::from_k8s(t)).to_std().unwrap_or_default());
    match &o.answer {
        Answer::NotAsked => {
            status::under_way(
                o,
                draft,
                Reason::JobManagerUnreachable,
                "the job's JobManager can't be found now; nothing is sent",
            );
            (None, Next::After(WAITING))
        }
        Answer::Unreachable(message) => {
            status::under_way(o, draft, Reason::JobManagerUnreachable, message);
            (None, Next::After(WAITING))
        }
        Answer::UnknownTrigger if same_process && age < TRIGGER_MEMORY => {
            status::under_way(o, draft, Reason::InProgress, "the request is about to be sent");
            (request(o, draft, attempt), Next::Again)
        }
        Answer::UnknownTrigger => {
            // Another process, or too late to tell "expired" from "never arrived": a second request could make a
            // second savepoint.
            draft.phase = Some(SavepointPhase::InProgress);
            status::stalled(
                o,
                draft,
                Reason::AnswerLost,
                &format!(
                    "the JobManager no longer knows trigger {}; whether the savepoint was written is not known. Look \
                     into {} and take a new FlinkSavepoint",
                    attempt.trigger_id, attempt.directory
                ),
            );
            (None, Next::After(SETTLED))
        }
        Answer::InProgress => {
            // One that is soon complete is not worth a write that its end would have to wait for.
            if age > SOON {
                draft.phase = Some(SavepointPhase::InProgress);
                status::under_way(o, draft, Reason::InProgress, "Flink writes the savepoint");
            }
            (None, Next::After(polling(age)))
        }
        Answer::Completed(done) => complete(o, draft, attempt, done, age),
        Answer::Failed(cause) => {
            draft.phase = Some(SavepointPhase::Failed);
            set_result(draft, attempt.number, "Failed");
            status::stalled(
                o,
                draft,
                Reason::SavepointFailed,
                &format!("{}: {cause}", cause.savepoint_failure().reason()),
            );
            (None, Next::After(SETTLED))
        }
    }
}

fn complete(
    o: &Observed,
    draft: &mut FlinkSavepointStatus,
    attempt: &SavepointAttempt,
    done: &Completed,
    age: Duration,
) -> (Option<Effect>, Next) {
    draft.location = Some(done.location.clone());
    draft.checkpoint_id = done.checkpoint_id.or(draft.checkpoint_id);
    draft.size_bytes = done.size_bytes.or(draft.size_bytes);
    if o.savepoint.spec.then() != Then::Continue && !done.job_ended {
        // A whole directory does not prove that the job stopped.
        draft.phase = Some(SavepointPhase::Verifying);
        status::under_way(o, draft, Reason::InProgress, "the savepoint is whole; the job has not ended yet");
        return (None, Next::After(polling(age)));
    }
    // Flink's part is done: from here on nothing depends on what it still remembers.
    set_result(draft, attempt.number, "Completed");
    verify::decide(o, draft)
}

fn request(o: &Observed, status: &FlinkSavepointStatus, attempt: &SavepointAttempt) -> Option<Effect> {
    let job_id = JobId::new(&attempt.job_id).ok()?;
    let trigger_id = TriggerId::new(&attempt.trigger_id).ok()?;
    // A repeat asks for what was asked for before.
    let format = match status.format_type? {
        FormatType::Canonical => SavepointFormat::Canonical,
        FormatType::Native => SavepointFormat::Native,
        FormatType::Unknown => return None,
    };
    let directory = Some(attempt.directory.clone());
    Some(match o.savepoint.spec.then() {
        Then::Continue | Then::Cancel => Effect::Trigger(job_id, SavepointRequest { trigger_id, directory, format }),
        then => Effect::Stop(job_id, StopRequest { trigger_id, directory, format, drain: then == Then::Drain }),
    })
}

/// Often while the answer decides over downtime, seldom when it takes long anyway.
fn polling(age: Duration) -> Duration {
    (age / 20).clamp(Duration::from_millis(20), Duration::from_secs(1))
}

fn set_result(draft: &mut FlinkSavepointStatus, number: i32, result: &str) {
    for attempt in draft.attempts.iter_mut().filter(|a| a.number == number) {
        attempt.result = Some(result.to_owned());
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
