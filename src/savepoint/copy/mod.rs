//! `copyOf`: a snapshot copied to another directory or store, whole in itself. Pure.
//!
//! Small ones are copied by the operator, others by a Job of its own image in the user's namespace, with the credentials of
//! the namespace's stores; so the operator's memory stays what it is.

pub mod job;
pub mod observe;
mod pods;
mod words;

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::observed::Observed;
use super::plan::{Decision, Effect, WAITING, has_finalizer};
use super::settle::since;
use super::{status, verify};
use crate::api::condition::Reason;
use crate::api::{CopyProgress, FlinkSavepointStatus, SavepointPhase, SavepointSource};
use crate::reconcile::{Next, SETTLED};
use crate::store::check::{Again, Failure};
use crate::time;

/// While it is under way.
const RUNNING: Duration = Duration::from_secs(2);
/// How far it is is written this often.
const TOLD: Duration = Duration::from_secs(5);
/// Until somebody has helped.
const HELP: Duration = Duration::from_secs(30);
/// For so long the end of the resource waits until what was copied is removed.
const REMOVED: Duration = Duration::from_secs(60);
/// While that goes on.
const REMOVING: Duration = Duration::from_secs(1);

/// What is to be copied.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Found {
    /// From where, where to, and how much it is.
    pub copy: CopyProgress,
    /// Where it comes from.
    pub source: SavepointSource,
    /// Flink's version that has written it, if its record says so.
    pub flink_version: Option<String>,
}

/// How it stands with a copy.
#[derive(Debug, Clone, PartialEq)]
pub enum Copying {
    /// It was not looked at.
    NotAsked,
    /// There is nothing to copy yet, and it may come.
    Waits(Reason, String),
    /// Somebody has to help.
    Blocked(Reason, String),
    /// There will be nothing to copy.
    Never(Reason, String),
    /// It is known what is to be copied, and where to.
    Found(Box<Found>),
    /// Its Job is not there.
    NoJob(Box<job::Copy>),
    /// It goes on: so many files and bytes are there.
    Running {
        /// Files.
        files: u64,
        /// Bytes.
        bytes: u64,
    },
    /// Its Job is there, and does not get on: why.
    NotRunning(String),
    /// It came to nothing.
    Failed(Failure),
    /// The same, of a Job, which is to go.
    JobFailed(String),
    /// All is there.
    Done,
    /// What is left of one whose resource is being deleted.
    Left {
        /// Of its Job.
        job: JobLeft,
        /// Of what was copied.
        files: FilesLeft,
    },
}

/// What is left of a Job.
#[derive(Debug, Clone, PartialEq)]
pub enum JobLeft {
    /// It is not there, and writes nothing more.
    Nothing,
    /// It is there.
    There,
    /// It is being deleted since then: its pods have still to end.
    Going(Time),
    /// That can't be told: why.
    Unknown(String),
}

/// What is left of a copy's files.
#[derive(Debug, Clone, PartialEq)]
pub enum FilesLeft {
    /// Nothing.
    Nothing,
    /// So many files.
    There(u64),
    /// That can't be told: why.
    Unknown(String),
}

/// What a copy needs next.
pub fn decide(o: &Observed, draft: &mut FlinkSavepointStatus) -> Decision {
    if draft.location.is_some() {
        return verify::decide(o, draft);
    }
    draft.phase.get_or_insert(SavepointPhase::Pending);
    match &o.copying {
        Copying::NotAsked | Copying::Left { .. } => (None, Next::After(WAITING)),
        Copying::Waits(reason, message) => {
            status::under_way(o, draft, *reason, message);
            (None, Next::After(WAITING))
        }
        Copying::Blocked(reason, message) => {
            status::stalled(o, draft, *reason, message);
            (None, Next::After(HELP))
        }
        Copying::Never(reason, message) => fail(o, draft, *reason, message),
        // What is under way is stopped and removed before the resource goes.
        Copying::Found(_) if !has_finalizer(o) => (Some(Effect::AddFinalizer), Next::Again),
        Copying::Found(found) => {
            let message = words::under_way(&found.copy);
            draft.copy = Some(CopyProgress { time: Some(time::to_k8s(o.now)), ..found.copy.clone() });
            draft.source = Some(found.source.clone());
            draft.flink_version.clone_from(&found.flink_version);
            draft.start_time.get_or_insert_with(|| time::to_k8s(o.now));
            draft.phase = Some(SavepointPhase::InProgress);
            status::under_way(o, draft, Reason::InProgress, &message);
            (None, Next::Again)
        }
        Copying::NoJob(copy) => (Some(Effect::CreateCopyJob(copy.clone())), Next::After(RUNNING)),
        Copying::Running { files, bytes } => {
            running(o, draft, *files, *bytes);
            (None, Next::After(RUNNING))
        }
        Copying::NotRunning(why) => {
            status::stalled(o, draft, Reason::CopyFailed, &words::job_not_running(&o.savepoint, why));
            (None, Next::After(RUNNING))
        }
        Copying::Failed(failure) => failed(o, draft, failure),
        Copying::JobFailed(why) => {
            status::stalled(o, draft, Reason::CopyFailed, &words::job_failed(&o.savepoint, why));
            (Some(Effect::DeleteCopyJob), Next::After(HELP))
        }
        Copying::Done => {
            draft.location = draft.copy.as_ref().map(|copy| copy.to.clone());
            draft.phase = Some(SavepointPhase::Verifying);
            status::under_way(o, draft, Reason::InProgress, "its files are about to be looked at");
            (None, Next::Again)
        }
    }
}

fn fail(o: &Observed, draft: &mut FlinkSavepointStatus, reason: Reason, message: &str) -> Decision {
    draft.phase = Some(SavepointPhase::Failed);
    status::stalled(o, draft, reason, message);
    (None, Next::Again)
}

fn failed(o: &Observed, draft: &mut FlinkSavepointStatus, failure: &Failure) -> Decision {
    match failure.again {
        Again::Soon => {
            status::under_way(o, draft, failure.reason, &failure.message);
            (None, Next::After(RUNNING))
        }
        Again::WithHelp => {
            status::stalled(o, draft, failure.reason, &failure.message);
            (None, Next::After(HELP))
        }
        Again::Never => fail(o, draft, failure.reason, &failure.message),
    }
}

fn running(o: &Observed, draft: &mut FlinkSavepointStatus, files: u64, bytes: u64) {
    let Some(copy) = &mut draft.copy else { return };
    let message = words::under_way(copy);
    let told = copy.time.as_ref().is_some_and(|told| since(o, told) < TOLD);
    let number = |n: u64| Some(i64::try_from(n).unwrap_or(i64::MAX));
    if !told && (copy.files, copy.bytes) != (number(files), number(bytes)) {
        copy.files = number(files);
        copy.bytes = number(bytes);
        copy.time = Some(time::to_k8s(o.now));
    }
    // What was in its way is not any more.
    status::under_way(o, draft, Reason::InProgress, &message);
}

/// The status, and when to look again, once a Job could not be created, or what is left could not be removed.
#[must_use]
pub fn in_vain(o: &Observed, why: &str) -> (FlinkSavepointStatus, Next) {
    let mut draft = o.savepoint.status.clone().unwrap_or_default();
    if o.savepoint.metadata.deletion_timestamp.is_some() {
        let (_, next) = trouble(o, &mut draft, why);
        return (draft, next);
    }
    status::stalled(o, &mut draft, Reason::CopyFailed, &words::no_job(&o.savepoint, why));
    (draft, Next::After(HELP))
}

/// The resource is being deleted before its copy was complete: the Job goes, then what it has written.
pub fn end(o: &Observed, draft: &mut FlinkSavepointStatus) -> Decision {
    let given_up = in_vain_for(o) >= REMOVED;
    let Copying::Left { job, files } = &o.copying else { return let_go() };
    match (job, files) {
        _ if !has_finalizer(o) => let_go(),
        (JobLeft::There, _) if !given_up => (Some(Effect::DeleteCopyJob), Next::After(REMOVING)),
        // A pod on a node that says nothing is not waited for any longer.
        (JobLeft::Going(at), _) if since(o, at) < REMOVED => (None, Next::After(REMOVING)),
        (JobLeft::Unknown(why), _) | (_, FilesLeft::Unknown(why)) if !given_up => trouble(o, draft, why),
        (_, FilesLeft::There(_)) if !given_up => (Some(Effect::RemoveCopy), Next::After(REMOVING)),
        _ => let_go(),
    }
}

fn let_go() -> Decision {
    (Some(Effect::RemoveFinalizer), Next::After(SETTLED))
}

/// It is tried again, but not for ever.
fn trouble(o: &Observed, draft: &mut FlinkSavepointStatus, why: &str) -> Decision {
    let disposal = draft.disposal.get_or_insert_default();
    disposal.in_vain_since.get_or_insert_with(|| time::to_k8s(o.now));
    let message = words::not_removed(draft.copy.as_ref(), why, REMOVED);
    status::under_way(o, draft, Reason::Disposing, &message);
    (None, Next::After(REMOVING))
}

/// How long nothing could be done about what is left.
fn in_vain_for(o: &Observed) -> Duration {
    let disposal = o.savepoint.status.as_ref().and_then(|s| s.disposal.as_ref());
    disposal.and_then(|disposal| disposal.in_vain_since.as_ref()).map_or(Duration::ZERO, |at| since(o, at))
}

/// What a copy that was not complete leaves behind, for the Event that says so.
#[must_use]
pub fn left_behind(o: &Observed) -> Option<String> {
    let status = o.savepoint.status.as_ref().filter(|_| has_finalizer(o))?;
    let copy = status.copy.as_ref().filter(|_| !status.phase.is_some_and(SavepointPhase::is_terminal))?;
    words::left_behind(o, copy)
}

#[cfg(test)]
#[path = "../copy_tests.rs"]
mod tests;
