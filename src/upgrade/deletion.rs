//! What a FlinkJobUpgrade owes before it may go: its job's state is saved or its end was asked for, its pods are gone.

use std::time::Duration;

use super::observed::Observed;
use super::plan::{AT_REST, Decision, Effect, SLOW};
use super::strategy::prewarm;
use super::{child, high_availability, status, workload};
use crate::api::condition::Reason;
use crate::api::{
    DeletionJob, FlinkJobUpgradeStatus, JobPhase, ObjectRef, Operation, OperationKind, SavepointPhase, UpgradeStep,
};
use crate::flink::JobId;
use crate::naming;
use crate::reconcile::Next;
use crate::time;

/// Carries the deletion one step on.
pub fn decide(o: &Observed, draft: &mut FlinkJobUpgradeStatus) -> Decision {
    if !status::has_finalizer(&o.upgrade) {
        return (None, Next::After(AT_REST));
    }
    if let Some(upgrade) = draft.upgrade.clone() {
        // Once the old job is being stopped the way leads through: to the new revision, or back.
        let harmless = matches!(
            upgrade.step,
            UpgradeStep::Preparing | UpgradeStep::Starting | UpgradeStep::WarmingUp | UpgradeStep::Checkpoint
        );
        // But not for ever: a way that leads nowhere must not keep the resource.
        if !harmless && upgrade.from.is_some() && !o.namespace_terminating && !late(o, None) {
            return prewarm::decide(o, draft, &upgrade);
        }
        draft.upgrade = None;
        draft.operation = None;
    }
    draft.phase = Some(JobPhase::Deleting);
    if let Some(active) = draft.active.clone()
        && let Some(decision) = end_job(o, draft, active.revision, &active.submission.job_id)
    {
        return decision;
    }
    tear_down(o, draft)
}

/// Ends the job as the spec asks. `None`: it has ended, or nothing can be asked of it.
fn end_job(o: &Observed, draft: &mut FlinkJobUpgradeStatus, revision: i64, job_id: &str) -> Option<Decision> {
    let wish = o.upgrade.spec.deletion.as_ref().and_then(|d| d.job).unwrap_or(DeletionJob::Savepoint);
    let Some(job) = o.job(revision, job_id) else {
        let found = o.revisions.get(&revision);
        // Objects are deleted once nothing is to be asked of the job any more: by a process that died in the middle.
        let begun = found.is_none_or(|r| r.pods.is_empty() || r.objects < workload::OBJECTS);
        if o.up(revision).is_some() || begun || late(o, None) {
            return None;
        }
        status::reconciling(o, draft, Reason::Deleting, "the JobManager gives no answer");
        return Some((None, Next::After(SLOW)));
    };
    if job.state.is_terminal() {
        return None;
    }
    let late = late(o, Some(&draft.operation));
    if wish == DeletionJob::Savepoint && !o.namespace_terminating && !late {
        // A user's savepoint may still hold the lock: its end says nothing of the one that is taken here.
        let ours = draft.operation.as_ref().is_some_and(|op| op.kind == OperationKind::Deletion);
        let taken = o.savepoint.as_ref().filter(|_| ours).and_then(|s| s.status.as_ref());
        if taken.and_then(|s| s.phase) != Some(SavepointPhase::Failed) {
            return Some(save(o, draft));
        }
        let why = taken.map(|s| status::message_of(&s.conditions));
        let message = format!(
            "no savepoint could be taken: {}; the job runs until deletion.timeout has passed, then it is cancelled; \
             set deletion.job: Cancel to let it go now",
            why.unwrap_or_default()
        );
        status::stalled(o, draft, Reason::SavepointFailed, &message);
        return Some((None, Next::After(SLOW)));
    }
    if late && wish == DeletionJob::Savepoint {
        let kept = job.last_checkpoint.as_ref().map_or("no checkpoint is known", |(_, path)| path);
        let message =
            format!("deletion.timeout has passed: the job is cancelled without a savepoint; left behind: {kept}");
        status::stalled(o, draft, Reason::Deleting, &message);
    } else {
        status::reconciling(o, draft, Reason::Deleting, "the job is being cancelled");
    }
    let id = JobId::new(job_id).ok()?;
    Some((Some(Effect::Cancel(revision, id)), Next::After(Duration::from_millis(200))))
}

/// `deletion.timeout` has passed. The time for the savepoint begins when it is asked for: nobody may have been there to
/// ask when the resource was deleted.
fn late(o: &Observed, lock: Option<&Option<Operation>>) -> bool {
    let since = match lock {
        Some(None) => return false,
        Some(Some(operation)) if operation.kind == OperationKind::Deletion => operation.since.as_ref(),
        _ => o.upgrade.metadata.deletion_timestamp.as_ref(),
    };
    o.since(since.map_or(o.now, time::from_k8s)) > o.upgrade.spec.deletion_timeout()
}

fn save(o: &Observed, draft: &mut FlinkJobUpgradeStatus) -> Decision {
    status::reconciling(o, draft, Reason::Deleting, "a last savepoint is taken");
    match &draft.operation {
        Some(operation) if operation.kind == OperationKind::Deletion => {}
        Some(operation) => {
            let message = format!("the deletion waits for {} {}", operation.kind, operation.id);
            super::plan::release_lock(o, draft);
            status::reconciling(o, draft, Reason::Deleting, &message);
            return (None, Next::After(Duration::from_millis(500)));
        }
        None => {
            draft.operation = Some(Operation {
                id: naming::deletion_id(status::uid(o)),
                kind: OperationKind::Deletion,
                savepoint: None,
                since: Some(time::to_k8s(o.now)),
            });
            return (None, Next::Again);
        }
    }
    let Some(savepoint) = &o.savepoint else {
        // It was deleted: its name goes, and another one is taken.
        if draft.operation.as_mut().and_then(|op| op.savepoint.take()).is_some() {
            return (None, Next::Again);
        }
        return (
            Some(Effect::CreateSavepoint(Box::new(child::savepoint(o, &naming::deletion_id(status::uid(o)))))),
            Next::Again,
        );
    };
    if let Some(operation) = &mut draft.operation {
        operation.savepoint = Some(ObjectRef {
            name: savepoint.metadata.name.clone().unwrap_or_default(),
            uid: savepoint.metadata.uid.clone(),
        });
    }
    (None, Next::After(Duration::from_millis(500)))
}

/// Pods, objects, records, the stable Service, the pods' account; the finalizer last.
fn tear_down(o: &Observed, draft: &mut FlinkJobUpgradeStatus) -> Decision {
    status::reconciling(o, draft, Reason::Deleting, "the revisions' objects are removed");
    if let Some((n, _)) = o.revisions.iter().find(|(_, r)| r.objects > 0) {
        return (Some(Effect::DeleteObjects(*n)), Next::After(Duration::from_millis(200)));
    }
    if o.revisions.values().any(|r| !r.pods.is_empty()) {
        return (None, Next::After(Duration::from_millis(300)));
    }
    if let Some(n) = o.revisions.keys().find(|n| !high_availability::config_maps(o, **n).is_empty()) {
        return (Some(Effect::DeleteHaConfigMaps(*n)), Next::Again);
    }
    let left = o.revisions.iter().find(|(_, r)| high_availability::storage_is_left(r));
    if let Some((n, _)) = left.filter(|_| !o.namespace_terminating && !late(o, None)) {
        return (Some(Effect::RemoveHaStorage(*n)), Next::After(SLOW));
    }
    if let Some((n, _)) = o.revisions.iter().find(|(_, r)| r.record.is_some()) {
        return (Some(Effect::DeleteRecord(*n)), Next::Again);
    }
    if o.stable_service.is_some() {
        return (Some(Effect::DeleteService), Next::Again);
    }
    if o.account_is_left {
        return (Some(Effect::DeleteAccount), Next::Again);
    }
    (Some(Effect::RemoveFinalizer), Next::After(SLOW))
}
