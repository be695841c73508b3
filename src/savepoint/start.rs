//! No attempt is open: one is begun as soon as the job can give a savepoint. Pure.

use std::time::Duration;

use super::format::{self, Chosen};
use super::observed::{Job, Observed, Submitted, Turn};
use super::plan::{Decision, Effect, WAITING, has_finalizer};
use super::{follow, overdue, room, settle, status};
use crate::api::condition::Reason;
use crate::api::{FlinkSavepointStatus, ObjectRef, Operation, OperationKind, SavepointAttempt, SavepointPhase, Then};
use crate::naming;
use crate::reconcile::{Next, SETTLED};
use crate::time;

/// For so long a job that does not run yet is looked at often.
const YOUNG: Duration = Duration::from_secs(60);
/// While the job comes up: it may be the one that an upgrade waits for.
const SOON: Duration = Duration::from_millis(250);

/// Takes the lock, then records the intent; `last` is the attempt before, which came to nothing.
pub fn start(o: &Observed, draft: &mut FlinkSavepointStatus, last: Option<&SavepointAttempt>) -> Decision {
    if o.savepoint.metadata.deletion_timestamp.is_some() {
        // Nothing is under way, and nothing new is begun.
        return (has_finalizer(o).then_some(Effect::RemoveFinalizer), Next::After(SETTLED));
    }
    if let Some(message) = overdue::gives_up(o, last) {
        return fail(o, draft, Reason::TimeoutExceeded, &message);
    }
    draft.phase = Some(SavepointPhase::Pending);
    let job = match &o.job {
        Job::NotRead => return (None, Next::After(WAITING)),
        Job::Waiting { reason, message } => {
            status::under_way(o, draft, *reason, message);
            return (None, Next::After(WAITING));
        }
        Job::Blocked { reason, message } => {
            status::stalled(o, draft, *reason, message);
            return (None, Next::After(WAITING));
        }
        Job::NoRoom(full) => {
            status::under_way(o, draft, Reason::StoreBusy, &room::words(*full));
            return (None, Next::After(room::wait(*full)));
        }
        Job::Never { reason, message } => return fail(o, draft, *reason, message),
        Job::Submitted(job) => job,
    };
    if let Some(words) = &job.harmed {
        return fail(o, draft, Reason::SnapshotHarmsJob, &settle::harms(words));
    }
    if let Some(wait) = settle::wait_before_next(o, draft, last) {
        return wait;
    }
    let Some(target) = o.savepoint.spec.target_directory.as_ref().or(job.savepoint_directory.as_ref()) else {
        let message = "there is nowhere to write to: set spec.targetDirectory, or \
                       execution.checkpointing.savepoint-dir in the job's flinkConfiguration";
        status::stalled(o, draft, Reason::NoTargetDirectory, message);
        return (None, Next::After(WAITING));
    };
    if let Some(why) = &job.not_ready {
        status::under_way(o, draft, Reason::JobNotRunning, why);
        let age = o.savepoint.metadata.creation_timestamp.as_ref().map_or(Duration::MAX, |t| settle::since(o, t));
        return (None, Next::After(if age < YOUNG && last.is_none() { SOON } else { WAITING }));
    }
    let chosen = match format::choose(o.savepoint.spec.format_type, &job.setting) {
        Ok(chosen) => chosen,
        Err(why) => return fail(o, draft, Reason::NotPossible, &why),
    };
    if let Some(trouble) = &job.store_trouble {
        let message =
            format!("nothing is sent, as the job would be stopped without a place for its state: {}", trouble.message);
        status::under_way(o, draft, trouble.reason, &message);
        return (None, Next::After(WAITING));
    }
    // Last, as a savepoint that can't go on must not keep others from the job.
    if let Err(decision) = turn(o, draft, job) {
        return decision;
    }
    // One that ends its job, or whose job nothing else protects, must not be gone while it acts.
    let guarded = o.savepoint.spec.then() != Then::Continue || o.savepoint.spec.flink_cluster.is_some();
    if guarded && !has_finalizer(o) {
        draft.clone_from(&o.savepoint.status.clone().unwrap_or_default());
        return (Some(Effect::AddFinalizer), Next::Again);
    }
    record(o, draft, job, target, chosen);
    // The record is written first. An attempt that was never recorded was never sent, so nobody need be asked for it.
    (draft.attempts.last().and_then(|attempt| follow::request(o, draft, attempt)), Next::Again)
}

/// Writes down what is about to be asked of Flink.
fn record(o: &Observed, draft: &mut FlinkSavepointStatus, job: &Submitted, target: &str, chosen: Chosen) {
    let metadata = &o.savepoint.metadata;
    let uid = metadata.uid.as_deref().unwrap_or_default();
    let name = metadata.name.as_deref().unwrap_or_default();
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let number = draft.attempts.last().map_or(0, |a| a.number) + 1;
    draft.attempts.push(SavepointAttempt {
        number,
        job_id: job.job_id.to_string(),
        job_manager_instance: o.job_manager.as_ref().and_then(|m| m.instance.clone()),
        trigger_id: naming::trigger_id(uid, number),
        directory: naming::savepoint_directory(target, namespace, name, uid, number),
        location: None,
        result: None,
        start_time: Some(time::to_k8s_precise(o.now)),
        completion_time: None,
    });
    draft.phase = Some(SavepointPhase::Triggering);
    draft.start_time.get_or_insert_with(|| time::to_k8s(o.now));
    draft.format_type = Some(chosen.format);
    draft.format_reason = chosen.because;
    draft.flink_version.clone_from(&job.flink_version);
    draft.source = Some(job.source.clone());
    status::under_way(o, draft, Reason::InProgress, "the request is about to be sent");
}

/// No savepoint will come of it.
fn fail(o: &Observed, draft: &mut FlinkSavepointStatus, reason: Reason, message: &str) -> Decision {
    draft.phase = Some(SavepointPhase::Failed);
    status::stalled(o, draft, reason, message);
    (None, Next::Again)
}

/// One operation at a time on a job. A savepoint that ends the job of a FlinkJobUpgrade must be the operator's own
/// child, named by UID in the job's operation.
fn turn(o: &Observed, draft: &mut FlinkSavepointStatus, job: &Submitted) -> Result<(), Decision> {
    let uid = o.savepoint.metadata.uid.as_deref();
    let ends_the_job = o.savepoint.spec.then() != Then::Continue;
    let (owner, operation) = match &job.turn {
        Turn::Lock { uid, operation } => (uid, operation),
        Turn::Queue { busy: None, .. } => return Ok(()),
        Turn::Queue { busy: Some(other), before } => {
            let message = format!("the job is busy: FlinkSavepoint {other}");
            status::under_way(o, draft, Reason::WaitingForOperation, &message);
            // Who came first looks more often, so that the job is not idle for long and not all look at once.
            return Err((None, Next::After(if *before == 0 { SOON } else { WAITING })));
        }
    };
    match operation {
        Some(Operation { savepoint: Some(named), .. }) if named.uid.is_some() && named.uid.as_deref() == uid => Ok(()),
        Some(operation) if naming::is_child_of(&o.savepoint.metadata, owner, &operation.id) => {
            let message = "the upgrade is about to name this savepoint as its operation";
            status::under_way(o, draft, Reason::InProgress, message);
            Err((None, Next::After(WAITING)))
        }
        _ if ends_the_job => {
            let message = "spec.then: only the operator may end the job of a FlinkJobUpgrade by a FlinkSavepoint; set \
                           job.state: suspended on the FlinkJobUpgrade, or then: Continue here";
            status::stalled(o, draft, Reason::UseSuspend, message);
            Err((None, Next::After(SETTLED)))
        }
        Some(operation) => {
            let message = format!("the job is busy: {} {}", operation.kind, operation.id);
            status::under_way(o, draft, Reason::WaitingForOperation, &message);
            Err((None, Next::After(WAITING)))
        }
        None => {
            // It is taken at once: that it is about to be is not worth a write.
            draft.clone_from(&o.savepoint.status.clone().unwrap_or_default());
            Err((Some(Effect::TakeLock(lock(o))), Next::Again))
        }
    }
}

fn lock(o: &Observed) -> Operation {
    let uid = o.savepoint.metadata.uid.as_deref();
    Operation {
        id: format!("savepoint-{}", uid.unwrap_or_default().chars().take(8).collect::<String>()),
        kind: OperationKind::Savepoint,
        savepoint: Some(ObjectRef {
            name: o.savepoint.metadata.name.clone().unwrap_or_default(),
            uid: uid.map(str::to_owned),
        }),
        since: Some(time::to_k8s(o.now)),
    }
}
