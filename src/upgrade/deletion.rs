//! What a FlinkJobUpgrade owes before it may go: its job's state is saved or its end was asked for, its pods are gone.
//! What can't be had in time is left behind, and said.

use std::time::Duration;

use super::observed::{JobFacts, Observed, Revision};
use super::plan::{self, AT_REST, Decision, Effect, SLOW};
use super::strategy::{blue_green, prewarm};
use super::{child, high_availability, session, status, workload};
use crate::api::condition::{self, Reason, types};
use crate::api::{
    ActiveRevision, DeletionJob, DeletionPolicy, FlinkJobUpgradeStatus, FlinkSavepoint, JobPhase, ObjectRef, Operation,
    OperationKind, SavepointPhase, Then, UpgradeProgress, UpgradeStep,
};
use crate::flink::{JobId, JobState};
use crate::naming;
use crate::reconcile::Next;
use crate::time;

/// In a namespace that is being deleted, and where nothing is to be saved, no answer is waited for longer than this.
const SOON: Duration = Duration::from_secs(15);
/// A cancel that was asked for may take so long beyond the time in which the job's state is saved.
const CANCELS: Duration = Duration::from_secs(20);
/// Pods may take so long beyond it. In a namespace that is being deleted all is over within a minute.
const LEAVES: Duration = Duration::from_secs(40);
/// What is said of jars that are deleted too late to see whether they are.
const JARS: &str = "jars on the session cluster, unless it deletes them now";
/// How often it is looked whether something has gone.
const OFTEN: Duration = Duration::from_millis(200);

/// Carries the deletion one step on.
pub fn decide(o: &Observed, draft: &mut FlinkJobUpgradeStatus) -> Decision {
    if !status::has_finalizer(&o.upgrade) {
        return (None, Next::After(AT_REST));
    }
    // Nobody may have been there when the resource was deleted.
    draft.deletion.get_or_insert_default().since.get_or_insert_with(|| time::to_k8s(o.now));
    if let Some(upgrade) = draft.upgrade.clone() {
        if blue_green::runs_beside(&upgrade) && !o.namespace_terminating && !late(o, draft) {
            return blue_green::discard(o, draft, None, "the resource is deleted");
        }
        if leads_through(draft, &upgrade) && !o.namespace_terminating {
            // But not for ever: a way that leads nowhere must not keep the resource.
            if !late(o, draft) {
                return prewarm::decide(o, draft, &upgrade);
            }
            leave_behind(draft, &in_the_middle(&upgrade));
        }
        draft.upgrade = None;
        draft.operation = None;
    }
    draft.phase = Some(JobPhase::Deleting);
    if let Some(active) = draft.active.clone()
        && let Some(decision) = end_job(o, draft, &active)
    {
        return decision;
    }
    tear_down(o, draft)
}

/// Once the old job is being stopped the way leads through: to the new revision, or back; and a job that goes on from a
/// suspended one's state is a job that has state.
fn leads_through(draft: &FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> bool {
    use UpgradeStep::{Checkpoint, Preflight, Preparing, Savepoint, Starting, WarmingUp};
    if blue_green::before_promotion(upgrade) {
        // A savepoint that was asked for comes to its end, and nothing is made of it.
        return upgrade.step == Savepoint && upgrade.savepoint.is_some();
    }
    let harmless = matches!(upgrade.step, Preparing | Starting | Preflight | WarmingUp | Checkpoint);
    !harmless && (upgrade.from.is_some() || draft.suspension.is_some())
}

/// What an upgrade leaves that was not led to its end.
fn in_the_middle(upgrade: &UpgradeProgress) -> String {
    let submission = upgrade.submission.as_ref();
    let began = submission.and_then(|s| s.restored_from.as_deref()).or(upgrade.savepoint_location.as_deref());
    let job = submission.map(|s| format!(", and the checkpoints of job {}", s.job_id)).unwrap_or_default();
    format!(
        "revision {} was at step {}; its state is {}{job}",
        upgrade.to,
        upgrade.step,
        began.unwrap_or("that of the job before")
    )
}

/// Ends the job as the spec asks. `None`: it has ended, or nothing can be asked of it.
fn end_job(o: &Observed, draft: &mut FlinkJobUpgradeStatus, active: &ActiveRevision) -> Option<Decision> {
    let (revision, job_id) = (active.revision, &active.submission.job_id);
    let saves = o.upgrade.spec.deletion_job() != DeletionJob::Cancel && !o.namespace_terminating;
    let Some(job) = o.job(revision, job_id) else {
        return unknown(o, draft, active, saves);
    };
    if job.state.is_terminal() {
        return None;
    }
    let late = late_to_save(o, draft);
    if saves && !late {
        // A user's savepoint may still hold the lock: its end says nothing of the one that is taken here.
        let taken = own_savepoint(o, draft).and_then(|s| s.status.as_ref());
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
    if o.upgrade.spec.deletion_job() != DeletionJob::Cancel {
        let kept = newest(active, Some(job));
        leave_behind(draft, &format!("the job is cancelled without a savepoint; its state is {kept}"));
    }
    say(o, draft, "the job is being cancelled");
    if job.state == JobState::Cancelling {
        if over_for(o, draft) > CANCELS {
            leave_behind(draft, &format!("job {job_id} does not come to its end, and its pods go"));
            return None;
        }
        // Asked once: a cancel that is repeated helps nothing.
        return Some((None, Next::After(OFTEN)));
    }
    let id = JobId::new(job_id).ok()?;
    Some((Some(Effect::Cancel(revision, id)), Next::After(OFTEN)))
}

/// The JobManager gives no answer, or does not know the job.
fn unknown(o: &Observed, draft: &mut FlinkJobUpgradeStatus, active: &ActiveRevision, saves: bool) -> Option<Decision> {
    let revision = o.revisions.get(&active.revision);
    // Objects are deleted once nothing is to be asked of the job any more: by a process that died in the middle.
    let completed = own_savepoint(o, draft).and_then(|s| s.status.as_ref()?.phase) == Some(SavepointPhase::Completed);
    let finished = draft.job_state.as_ref() == Some(&JobState::Finished.to_string());
    let begun = if o.session.is_some() {
        completed || finished
    } else {
        revision.is_none_or(|r| r.pods.is_empty() || r.objects < workload::OBJECTS)
    };
    let returns = high_availability::returns_from(o, &active.submission);
    let forgotten = o.up(active.revision).is_some() && returns.is_none();
    let limit = if saves { limit(o) } else { limit(o).min(SOON) };
    if !begun && !forgotten && since(o, draft) <= limit {
        let why = match returns.filter(|_| o.up(active.revision).is_some()) {
            Some(map) => format!("it does not know the job yet, which ConfigMap {map} tells of"),
            None => o.why_down(active.revision),
        };
        status::reconciling(o, draft, Reason::Deleting, &format!("the JobManager gives no answer: {why}"));
        return Some((None, Next::After(SLOW)));
    }
    if !begun && !completed && !finished && o.upgrade.spec.deletion_job() != DeletionJob::Cancel {
        let why = if forgotten { "does not know the job" } else { "gives no answer" };
        let kept = newest(active, None);
        leave_behind(draft, &format!("no savepoint could be taken, as the JobManager {why}; its state is {kept}"));
    }
    None
}

/// The newest checkpoint of a job that is known.
fn newest(active: &ActiveRevision, job: Option<&JobFacts>) -> String {
    let told = job.and_then(|job| job.last_checkpoint.as_ref()).map(|(_, path)| path.as_str());
    let recorded = active.last_checkpoint.as_ref().and_then(|c| c.path.as_deref());
    let submission = &active.submission;
    told.map(str::to_owned)
        .or_else(|| submission.checkpoint_directory.as_ref().map(|place| format!("the newest checkpoint in {place}")))
        .or_else(|| recorded.map(str::to_owned))
        .or_else(|| submission.restored_from.clone())
        .unwrap_or_else(|| "not known".to_owned())
}

/// The FlinkSavepoint of the deletion itself.
fn own_savepoint<'a>(o: &'a Observed, draft: &FlinkJobUpgradeStatus) -> Option<&'a FlinkSavepoint> {
    let ours = draft.operation.as_ref().is_some_and(|op| op.kind == OperationKind::Deletion);
    o.savepoint.as_ref().filter(|_| ours)
}

/// For how long the end of the job may hold up the end of the resource.
fn limit(o: &Observed) -> Duration {
    let asked = o.upgrade.spec.deletion_timeout();
    if o.namespace_terminating { asked.min(SOON) } else { asked }
}

/// For how long the resource is being ended.
fn since(o: &Observed, draft: &FlinkJobUpgradeStatus) -> Duration {
    let began = draft.deletion.as_ref().and_then(|d| d.since.as_ref());
    began.map_or(Duration::ZERO, |t| o.since(time::from_k8s(t)))
}

/// The same for the job's end: the time for the savepoint begins when it is asked for.
fn saving_since(o: &Observed, draft: &FlinkJobUpgradeStatus) -> Duration {
    let own = draft.operation.as_ref().filter(|op| op.kind == OperationKind::Deletion);
    own.and_then(|op| op.since.as_ref()).map_or_else(|| since(o, draft), |t| o.since(time::from_k8s(t)))
}

/// `deletion.timeout` has passed.
fn late(o: &Observed, draft: &FlinkJobUpgradeStatus) -> bool {
    since(o, draft) > limit(o)
}

/// No savepoint is waited for any longer. One is tried, however long it took until it could be.
fn late_to_save(o: &Observed, draft: &FlinkJobUpgradeStatus) -> bool {
    draft.operation.is_some() && saving_since(o, draft) > limit(o)
}

/// For how long everything should be over.
fn over_for(o: &Observed, draft: &FlinkJobUpgradeStatus) -> Duration {
    saving_since(o, draft).saturating_sub(limit(o))
}

/// Notes what is left behind; once for each thing.
fn leave_behind(draft: &mut FlinkJobUpgradeStatus, what: &str) {
    let left = &mut draft.deletion.get_or_insert_default().left_behind;
    match left {
        Some(noted) if noted.contains(what) => {}
        Some(noted) => *noted = format!("{noted}; {what}"),
        None => *left = Some(what.to_owned()),
    }
}

/// Says what is being done, or what is left behind: in the same words all the time, so that one Event tells of it.
fn say(o: &Observed, draft: &mut FlinkJobUpgradeStatus, message: &str) {
    match draft.deletion.as_ref().and_then(|d| d.left_behind.clone()) {
        Some(left) => {
            status::stalled(o, draft, Reason::Deleting, &format!("left behind: {left}"));
        }
        None => status::reconciling(o, draft, Reason::Deleting, message),
    }
}

fn save(o: &Observed, draft: &mut FlinkJobUpgradeStatus) -> Decision {
    status::reconciling(o, draft, Reason::Deleting, "a last savepoint is taken");
    match &draft.operation {
        Some(operation) if operation.kind == OperationKind::Deletion => {}
        Some(operation) if !plan::gives_way(o, operation) => {
            let message = format!("the deletion waits for {} {}", operation.kind, operation.id);
            plan::release_lock(o, draft);
            status::reconciling(o, draft, Reason::Deleting, &message);
            return (None, Next::After(Duration::from_millis(500)));
        }
        _ => {
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
        let then = if o.upgrade.spec.deletion_job() == DeletionJob::Drain { Then::Drain } else { Then::Stop };
        let mut child = child::savepoint(o, &naming::deletion_id(status::uid(o)), then);
        // All that is left of the job: it goes only when a person says so of it.
        child.spec.deletion_policy = Some(DeletionPolicy::Retain);
        return (Some(Effect::CreateSavepoint(Box::new(child))), Next::Again);
    };
    let conditions = savepoint.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    if condition::is_true(conditions, types::STALLED) {
        let message = format!("a last savepoint is taken: {}", status::message_of(conditions));
        status::stalled(o, draft, Reason::SavepointBlocked, &message);
    }
    if let Some(operation) = &mut draft.operation {
        operation.savepoint = Some(ObjectRef {
            name: savepoint.metadata.name.clone().unwrap_or_default(),
            uid: savepoint.metadata.uid.clone(),
        });
    }
    (None, Next::After(Duration::from_millis(500)))
}

/// The jars on a session cluster. Nobody may have been there in time: then it is tried once.
fn jars(o: &Observed, draft: &mut FlinkJobUpgradeStatus) -> Option<Decision> {
    let session = o.session.as_ref()?;
    if let Some(effect) = session::surplus_jars(o, |_| false) {
        let left = draft.deletion.as_ref().and_then(|d| d.left_behind.as_deref());
        if late(o, draft) && left.is_some_and(|left| left.contains(JARS)) {
            return None;
        }
        if late(o, draft) {
            leave_behind(draft, JARS);
        }
        return Some((Some(effect), Next::After(OFTEN)));
    }
    // A cluster that is gone has taken them with it.
    if session.jars.is_none() && draft.last_revision.is_some() {
        if since(o, draft) <= limit(o).min(SOON) {
            return Some((None, Next::After(SLOW)));
        }
        leave_behind(draft, "jars on the session cluster, which gives no answer");
    }
    None
}

/// Pods, objects, records, the stable Service, the pods' account; the finalizer last.
fn tear_down(o: &Observed, draft: &mut FlinkJobUpgradeStatus) -> Decision {
    say(o, draft, "the revisions' objects are removed");
    if let Some((n, _)) = o.revisions.iter().find(|(_, r)| r.objects > 0) {
        return (Some(Effect::DeleteObjects(*n)), Next::After(OFTEN));
    }
    let pods: Vec<&str> = o.revisions.values().flat_map(|r| &r.pods).map(|pod| pod.name.as_str()).collect();
    if !pods.is_empty() {
        if over_for(o, draft) <= LEAVES {
            return (None, Next::After(Duration::from_millis(300)));
        }
        leave_behind(draft, &format!("pods that were told to go and do not: {}", pods.join(", ")));
    }
    if let Some(decision) = jars(o, draft) {
        return decision;
    }
    // Under a living JobManager they are never touched.
    let mut maps = o.revisions.iter().filter(|(n, _)| !high_availability::config_maps(o, **n).is_empty());
    if let Some((n, _)) = maps.clone().find(|(_, r)| r.pods.is_empty()) {
        return (Some(Effect::DeleteHaConfigMaps(*n)), Next::Again);
    }
    if let Some((n, _)) = maps.next() {
        let cluster = naming::revision_name(status::name(o), *n);
        leave_behind(draft, &format!("ConfigMaps of high availability of cluster {cluster}"));
    }
    let left = |(_, r): &(&i64, &Revision)| r.pods.is_empty() && high_availability::storage_is_left(r);
    if let Some((n, revision)) = o.revisions.iter().find(left) {
        if !o.namespace_terminating && !late(o, draft) {
            return (Some(Effect::RemoveHaStorage(*n)), Next::After(SLOW));
        }
        let directories = revision.record.as_ref().map(|r| r.rendered.high_availability_directories.join(", "));
        leave_behind(draft, &format!("high availability storage {}", directories.unwrap_or_default()));
    }
    say(o, draft, "the revisions' records are removed");
    if let Some((n, _)) = o.revisions.iter().find(|(_, r)| r.recorded) {
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
