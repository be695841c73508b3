//! `copyOf`: a snapshot copied to another directory or store, whole in itself. Pure.
//!
//! Small ones are copied by the operator, others by a Job of its own image in the user's namespace, with the credentials of
//! the namespace's stores; so the operator's memory stays what it is.

pub mod job;
pub mod observe;

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
const REMOVED: Duration = Duration::from_secs(600);
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

/// The Job of a copy whose resource is being deleted.
#[derive(Debug, Clone, PartialEq)]
pub enum Worker {
    /// There is none, or no more.
    Gone,
    /// It is there.
    There,
    /// It is being deleted, since then.
    Ends(Time),
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
    /// No pod of its Job can start: why, in Kubernetes' own words.
    NoPod(String),
    /// It came to nothing.
    Failed(Failure),
    /// The same, of a Job, which is to go.
    JobFailed(String),
    /// All is there.
    Done,
    /// What is left of one whose resource is being deleted: its Job, or files.
    Left {
        /// The Job.
        job: Worker,
        /// Files are, or nobody can look.
        files: bool,
    },
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
            let message = format!("{} is copied to {}", found.copy.from, found.copy.to);
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
        Copying::NoPod(why) => {
            let message = format!("the Job that copies can't start: {why}; correct that, and it goes on");
            status::stalled(o, draft, Reason::PodsNotReady, &message);
            (None, Next::After(RUNNING))
        }
        Copying::Failed(failure) => failed(o, draft, failure),
        Copying::JobFailed(why) => {
            let message = format!("its Job has failed: {why}; correct that; another one follows");
            status::stalled(o, draft, Reason::CopyFailed, &message);
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
    let told = copy.time.as_ref().is_some_and(|told| since(o, told) < TOLD);
    let number = |n: u64| Some(i64::try_from(n).unwrap_or(i64::MAX));
    if !told && (copy.files, copy.bytes) != (number(files), number(bytes)) {
        copy.files = number(files);
        copy.bytes = number(bytes);
        copy.time = Some(time::to_k8s(o.now));
    }
}

/// What is left of a copy whose resource goes, for the Event that says so.
#[must_use]
pub fn left_behind(o: &Observed) -> Option<String> {
    let Copying::Left { job, files } = &o.copying else { return None };
    let copy = o.savepoint.status.as_ref()?.copy.as_ref().filter(|_| *job != Worker::Gone || *files)?;
    Some(format!(
        "what was copied to {} is left behind: it could not be removed within {} s",
        copy.to,
        REMOVED.as_secs()
    ))
}

/// The resource is being deleted before its copy was complete: the Job goes, then what it has written.
pub fn end(o: &Observed) -> Decision {
    let let_go = (Some(Effect::RemoveFinalizer), Next::After(SETTLED));
    let Copying::Left { job, files } = &o.copying else { return let_go };
    let disposal = o.savepoint.status.as_ref().and_then(|s| s.disposal.as_ref());
    // Counted from the first try: the operator may have been away.
    let tried = match job {
        Worker::There => None,
        Worker::Ends(at) => Some(at),
        Worker::Gone => disposal.and_then(|disposal| disposal.in_vain_since.as_ref()),
    };
    if !has_finalizer(o) || tried.is_some_and(|at| since(o, at) >= REMOVED) {
        return let_go;
    }
    match (job, files) {
        (Worker::There | Worker::Ends(_), _) => (Some(Effect::DeleteCopyJob), Next::After(REMOVING)),
        (Worker::Gone, true) => (Some(Effect::RemoveCopy), Next::After(REMOVING)),
        (Worker::Gone, false) => let_go,
    }
}

/// The status, and when to look again, once what was copied could not be removed.
#[must_use]
pub fn in_vain(o: &Observed, why: &str) -> (FlinkSavepointStatus, Next) {
    let mut draft = o.savepoint.status.clone().unwrap_or_default();
    draft.disposal.get_or_insert_default().in_vain_since.get_or_insert_with(|| time::to_k8s(o.now));
    let limit = REMOVED.as_secs();
    let message = format!("what was copied can't be removed: {why}; it is tried for {limit} s, then it stays");
    status::under_way(o, &mut draft, Reason::Disposing, &message);
    (draft, Next::After(HELP))
}

#[cfg(test)]
#[path = "../copy_tests.rs"]
mod tests;
