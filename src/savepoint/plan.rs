//! Decides what a FlinkSavepoint needs next. Pure and total: no client, no clock of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use super::observed::Observed;
use super::{copy, deletion, dispose, follow, lineage, overdue, settle, start, status, verify};
use crate::api::condition::Reason;
use crate::api::{FINALIZER, FlinkSavepointStatus, Operation};
use crate::flink::{JobId, SavepointRequest, StopRequest};
use crate::reconcile::{Next, SETTLED, unknown_values};

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Write this savepoint into the job's status as the operation that holds its lock.
    TakeLock(Operation),
    /// Put the finalizer on the resource: from here on it does not go before what it asked for has ended.
    AddFinalizer,
    /// Take it away.
    RemoveFinalizer,
    /// `POST /jobs/:id/savepoints`.
    Trigger(JobId, SavepointRequest),
    /// `POST /jobs/:id/stop`.
    Stop(JobId, StopRequest),
    /// `PATCH /jobs/:id?mode=cancel`.
    Cancel(JobId),
    /// Remove files of attempts that came to nothing: their directory, and the files.
    Sweep(Vec<(String, Vec<String>)>),
    /// Create the Job that copies the snapshot.
    CreateCopyJob(Box<copy::job::Copy>),
    /// Delete it.
    DeleteCopyJob,
    /// Remove what it has copied.
    RemoveCopy,
    /// Put labels on the resource.
    Label(BTreeMap<String, String>),
    /// Remove files of the snapshot.
    Dispose,
    /// Have the JobManager do that: `POST /savepoint-disposal`.
    DisposeByFlink,
}

impl Effect {
    /// Its name in logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::TakeLock(_) => "lock",
            Self::AddFinalizer => "add-finalizer",
            Self::RemoveFinalizer => "remove-finalizer",
            Self::Trigger(..) => "trigger",
            Self::Stop(..) => "stop",
            Self::Cancel(_) => "cancel",
            Self::Sweep(_) => "sweep",
            Self::CreateCopyJob(_) => "create-copy-job",
            Self::DeleteCopyJob => "delete-copy-job",
            Self::RemoveCopy => "remove-copy",
            Self::Label(_) => "label",
            Self::Dispose => "dispose",
            Self::DisposeByFlink => "dispose-by-flink",
        }
    }

    /// The failpoints before and after it.
    #[must_use]
    pub fn failpoints(&self) -> (&'static str, &'static str) {
        match self {
            Self::TakeLock(_) => ("savepoint.lock.before", "savepoint.lock.after"),
            Self::AddFinalizer => ("savepoint.add-finalizer.before", "savepoint.add-finalizer.after"),
            Self::RemoveFinalizer => ("savepoint.remove-finalizer.before", "savepoint.remove-finalizer.after"),
            Self::Trigger(..) | Self::Stop(..) => ("savepoint.trigger.before", "savepoint.trigger.after"),
            Self::Cancel(_) => ("savepoint.cancel.before", "savepoint.cancel.after"),
            Self::Sweep(_) => ("savepoint.sweep.before", "savepoint.sweep.after"),
            Self::CreateCopyJob(_) | Self::DeleteCopyJob | Self::RemoveCopy => {
                ("savepoint.copy.before", "savepoint.copy.after")
            }
            Self::Label(_) => ("savepoint.label.before", "savepoint.label.after"),
            Self::Dispose | Self::DisposeByFlink => ("savepoint.dispose.before", "savepoint.dispose.after"),
        }
    }
}

/// What a part of the planner decides beside the status: at most one effect, and when to look again.
pub type Decision = (Option<Effect>, Next);

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

/// For so long the end of a resource waits until what it left behind is removed.
const SWEPT_FIRST: Duration = Duration::from_secs(60);
/// After files were removed, or could not be.
const SWEPT_AGAIN: Duration = Duration::from_secs(20);
/// While something is awaited that no watch reports.
pub const WAITING: Duration = Duration::from_secs(2);

/// Plans the next step of a FlinkSavepoint.
#[must_use]
pub fn plan(o: &Observed) -> Plan {
    let mut status = o.savepoint.status.clone().unwrap_or_default();
    let draft = &mut status;
    let (effect, next) = match draft.phase {
        // Of a later version: hold still.
        _ if status::has_unknown_values(&o.savepoint) => (None, Next::After(SETTLED)),
        Some(phase) if phase.is_terminal() => {
            draft.ownership = o.ownership;
            settled(o, draft)
        }
        // One that goes needs none of it.
        _ if !o.unknown.is_empty()
            && draft.attempts.is_empty()
            && o.savepoint.metadata.deletion_timestamp.is_none() =>
        {
            status::stalled(o, draft, Reason::NotImplemented, &unknown_values(&o.unknown));
            (None, Next::After(SETTLED))
        }
        // Flink has no part in it.
        _ if o.savepoint.spec.copy_of.is_some() => {
            if o.savepoint.metadata.deletion_timestamp.is_some() {
                copy::end(o, draft)
            } else {
                copy::decide(o, draft)
            }
        }
        _ => {
            let decision = open(o, draft);
            overdue::mark(o, draft);
            deletion::bound(o, draft).unwrap_or(decision)
        }
    };
    Plan { status, effect, next }
}

/// No snapshot is there yet, and one may come.
fn open(o: &Observed, draft: &mut FlinkSavepointStatus) -> Decision {
    match draft.attempts.last().cloned() {
        _ if o.savepoint.spec.path.is_some() => verify::registered(o, draft),
        Some(attempt) if attempt.result.is_none() => follow::follow(o, draft, &attempt),
        Some(_) if draft.location.is_some() => verify::decide(o, draft),
        last => start::start(o, draft, last.as_ref()),
    }
}

/// Nothing more will come: what is left is to clean up, once for all that attempts have left, and at its end for the
/// snapshot's own files, if they go with it.
fn settled(o: &Observed, draft: &mut FlinkSavepointStatus) -> Decision {
    dispose::tell_holds(o, draft);
    let deleted = o.savepoint.metadata.deletion_timestamp.as_ref();
    let with_files = dispose::is_wanted(&o.savepoint);
    let sweep = Some(Effect::Sweep(o.leftovers.files.clone())).filter(|_| !o.leftovers.files.is_empty());
    // Nothing acts any more, so it may go; but one that is about to go is swept first, where that is possible.
    let waits = deleted.is_some_and(|at| settle::since(o, at) < SWEPT_FIRST) && sweep.is_some();
    if deleted.is_some() && with_files && has_finalizer(o) && !waits {
        return dispose::decide(o, draft);
    }
    if let Some(labels) = lineage::missing_labels(&o.savepoint).filter(|_| deleted.is_none()) {
        return (Some(Effect::Label(labels)), Next::Again);
    }
    // Kubernetes takes no new one while a resource goes.
    if with_files && !has_finalizer(o) && deleted.is_none() {
        return (Some(Effect::AddFinalizer), Next::Again);
    }
    if !with_files && has_finalizer(o) && !waits {
        return (Some(Effect::RemoveFinalizer), Next::Again);
    }
    match sweep {
        // A store that refuses is asked again, now and then.
        Some(sweep) => (Some(sweep), Next::After(SWEPT_AGAIN)),
        None => (None, Next::After(SETTLED)),
    }
}

/// Whether the resource has the finalizer.
#[must_use]
pub fn has_finalizer(o: &Observed) -> bool {
    o.savepoint.metadata.finalizers.as_ref().is_some_and(|all| all.iter().any(|f| f == FINALIZER))
}

/// The status after Flink refused the request itself: nothing began.
#[must_use]
pub fn refused(o: &Observed, cause: &crate::flink::Cause) -> FlinkSavepointStatus {
    let mut draft = o.savepoint.status.clone().unwrap_or_default();
    if let Some(attempt) = draft.attempts.last().cloned() {
        settle::failed_by_flink(o, &mut draft, &attempt, cause);
    }
    draft
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
