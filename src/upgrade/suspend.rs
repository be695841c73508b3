//! `job.state: suspended`: the job is stopped as for an upgrade, and nothing takes its place. What it has left is
//! recorded, and the next start goes on from there.

use std::time::Duration;

use super::observed::{Observed, Revision};
use super::plan::{self, AT_REST, Decision, Effect, LEAVING};
use super::strategy::prewarm;
use super::{finish, high_availability, status, workload};
use crate::api::annotations::FENCED;
use crate::api::condition::Reason;
use crate::api::{
    ActiveRevision, FlinkJobUpgradeStatus, JobPhase, JobState, Operation, OperationKind, StateSource, Suspension,
    UpgradeProgress, UpgradeStep,
};
use crate::naming;
use crate::reconcile::Next;
use crate::time;

/// Pods that take longer to go are on a node that is silent.
const GO: Duration = Duration::from_secs(30);

/// Whether the spec asks for it.
#[must_use]
pub fn is_wanted(o: &Observed) -> bool {
    o.upgrade.spec.job.state() == JobState::Suspended
}

/// Whether what is under way is one.
#[must_use]
pub fn is_under_way(status: &FlinkJobUpgradeStatus) -> bool {
    status.operation.as_ref().is_some_and(|operation| operation.kind == OperationKind::Suspend)
}

/// Begins it: the job ends in the way in which an upgrade ends the old one.
pub fn begin(o: &Observed, draft: &mut FlinkJobUpgradeStatus, active: &ActiveRevision) -> Decision {
    let generation = o.upgrade.metadata.generation.unwrap_or_default();
    let id = naming::suspend_id(status::uid(o), generation);
    draft.operation = Some(Operation {
        id: id.clone(),
        kind: OperationKind::Suspend,
        savepoint: None,
        since: Some(time::to_k8s(o.now)),
    });
    // What was to go may be what it goes on from.
    draft.sweep = None;
    draft.phase = Some(JobPhase::Suspending);
    draft.upgrade = Some(UpgradeProgress {
        id,
        from: Some(active.revision),
        to: active.revision,
        generation,
        start_time: Some(time::to_k8s_precise(o.now)),
        spec_hash: Some(workload::attempt_hash(&o.upgrade.spec)),
        ..UpgradeProgress::default()
    });
    prewarm::step(o, draft, UpgradeStep::Savepoint, "the job is stopped with a savepoint");
    (None, Next::Again)
}

/// The job has ended, and this is its state.
pub fn ended(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    upgrade: &UpgradeProgress,
    source: StateSource,
    snapshot: Option<String>,
) -> Decision {
    let Some(active) = draft.active.clone() else { return (None, Next::After(AT_REST)) };
    let suspension = Suspension {
        revision: active.revision,
        job_id: active.submission.job_id,
        source,
        snapshot,
        savepoint: upgrade.savepoint.clone().filter(|_| source == StateSource::Savepoint),
        since: Some(time::to_k8s(o.now)),
    };
    finish::suspended(o, draft, upgrade, suspension);
    (None, Next::Again)
}

/// Nothing shall run: what is left of revisions goes, and then it is said what the next start goes on from.
pub fn rest(o: &Observed, draft: &mut FlinkJobUpgradeStatus) -> Decision {
    // Whatever was refused may be tried again, once it shall run.
    draft.failed_spec_hash = None;
    draft.job_state = None;
    // One that was suspended at once may not have come to that.
    let without_service = |_: &&Suspension| o.session.is_none() && o.stable_service.is_none();
    let service = draft.suspension.as_ref().filter(without_service);
    let service = service.map(|s| (Some(Effect::PointService(s.revision)), Next::Again));
    if let Some(decision) = service.or_else(|| plan::sweep(o, draft, None)) {
        draft.phase = Some(JobPhase::Suspending);
        status::reconciling(o, draft, Reason::Suspending, "what is left of its revisions is removed");
        return decision;
    }
    let pods = left_pods(o, draft);
    if !pods.is_empty() {
        draft.phase = Some(JobPhase::Suspending);
        return wait_for_pods(o, draft, &pods, Reason::Suspending);
    }
    draft.phase = Some(JobPhase::Suspended);
    let message = draft.suspension.as_ref().map_or_else(
        || "suspended before its first start".to_owned(),
        |suspension| format!("suspended; its next start goes on from {}", state(suspension)),
    );
    status::suspended(o, draft, &message);
    // Nothing waits for it: the store may be away.
    let left = |(n, r): &(&i64, &Revision)| {
        r.pods.is_empty() && high_availability::config_maps(o, **n).is_empty() && high_availability::storage_is_left(r)
    };
    let storage = o.revisions.iter().find(left).map(|(n, _)| Effect::RemoveHaStorage(*n));
    let effect = storage.or_else(|| plan::surplus_child(o));
    (effect, Next::After(AT_REST))
}

/// Starts the job from what it left.
pub fn resume(o: &Observed, draft: &mut FlinkJobUpgradeStatus, suspension: &Suspension) -> Decision {
    let decision = plan::begin(o, draft, None, None);
    if let Some(u) = &mut draft.upgrade {
        u.source = Some(suspension.source);
        u.snapshot.clone_from(&suspension.snapshot);
    }
    decision
}

/// Pods beside which nothing is started: all that are there, but for those of a job of which somebody has made sure.
#[must_use]
pub fn left_pods(o: &Observed, draft: &FlinkJobUpgradeStatus) -> Vec<String> {
    let made_sure = |n: i64| {
        draft.suspension.as_ref().is_some_and(|s| s.revision == n && status::is_annotated(o, FENCED, &s.job_id))
    };
    let pods = o.revisions.iter().filter(|(n, _)| !made_sure(**n)).flat_map(|(_, r)| &r.pods);
    pods.map(|pod| pod.name.clone()).collect()
}

/// Waits until pods are gone, which is reported, too. Those that do not go are on a node that nobody hears of.
pub fn wait_for_pods(o: &Observed, draft: &mut FlinkJobUpgradeStatus, pods: &[String], reason: Reason) -> Decision {
    let message = format!("waiting until these pods are gone: {}", pods.join(", "));
    let suspension = draft.suspension.as_ref();
    let since = suspension.and_then(|s| s.since.as_ref());
    if since.is_none_or(|t| o.since(time::from_k8s(t)) <= GO) {
        status::reconciling(o, draft, reason, &message);
        return (None, Next::After(LEAVING));
    }
    let message = format!(
        "{message}; bring the node back, or take it out of service for good. If you are sure that they process nothing any \
         more: kubectl annotate fju {} {FENCED}={}",
        status::name(o),
        suspension.map(|s| s.job_id.as_str()).unwrap_or_default()
    );
    status::stalled(o, draft, Reason::PreviousJobNotFenced, &message);
    (None, Next::After(AT_REST))
}

/// A suspended job's state, in words.
#[must_use]
pub fn state(suspension: &Suspension) -> &str {
    suspension.snapshot.as_deref().unwrap_or("nothing, as it has no state")
}
