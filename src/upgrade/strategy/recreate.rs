//! `Recreate`, for clusters without room for two of a job: only the new revision's JobManager is up before the old job
//! stops; then the TaskManagers change places. On the way back they do so once more.

use super::prewarm::{STARTING, failed, intend_submit, set_message, step};
use super::recovery;
use crate::api::condition::Reason;
use crate::api::{FlinkJobUpgradeStatus, StateSource, UpgradeProgress, UpgradeStep, UpgradeStrategy};
use crate::reconcile::Next;
use crate::time;
use crate::upgrade::observed::Observed;
use crate::upgrade::plan::{AT_REST, Decision, Effect, LEAVING, SLOW, slots_ready};
use crate::upgrade::{progress, status};

/// Whether an upgrade goes this way. There is no other job that a first start would have to make room for.
#[must_use]
pub fn applies(upgrade: &UpgradeProgress) -> bool {
    upgrade.strategy == Some(UpgradeStrategy::Recreate)
}

/// The old job has ended, and it is known what the new one starts from.
pub fn begin(o: &Observed, draft: &mut FlinkJobUpgradeStatus, source: StateSource, path: Option<String>) -> Decision {
    if let Some(u) = &mut draft.upgrade {
        u.source = Some(source);
        // The upgrade's own savepoint has a field of its own.
        if source != StateSource::Savepoint {
            u.snapshot = path;
        }
    }
    step(o, draft, UpgradeStep::Swapping, "TaskManagers of the old revision leave, and those of the new one start");
    (None, Next::Again)
}

/// The TaskManagers change places; then the new job is submitted.
pub fn swapping(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    let Some(from) = upgrade.from else { return (None, Next::After(AT_REST)) };
    if let Some(decision) = change_places(o, draft, from, upgrade.to) {
        if decision.0.is_some() {
            // Nobody has waited for it before it was asked for.
            if let Some(u) = &mut draft.upgrade {
                u.progress_time = Some(time::to_k8s_precise(o.now));
            }
        } else if progress::stuck_for(o, upgrade) > o.upgrade.spec.progress_deadline() {
            let message = draft.upgrade.as_ref().and_then(|u| u.message.clone()).unwrap_or_default();
            return failed(o, draft, upgrade, Reason::PodsNotReady, &message);
        }
        return decision;
    }
    let (source, path) = match upgrade.source {
        Some(StateSource::Savepoint) | None => (StateSource::Savepoint, upgrade.savepoint_location.clone()),
        Some(source) => (source, upgrade.snapshot.clone()),
    };
    intend_submit(o, draft, upgrade, source, path)
}

/// The TaskManagers of one revision leave, then those of another start. `None`: its slots are free.
#[must_use]
pub fn change_places(o: &Observed, draft: &mut FlinkJobUpgradeStatus, leaves: i64, starts: i64) -> Option<Decision> {
    if o.revisions.get(&leaves).and_then(|r| r.task_managers).is_some_and(|wanted| wanted > 0) {
        return Some((Some(Effect::Scale(leaves, 0)), Next::Again));
    }
    let staying: Vec<&str> = o.task_managers(leaves).map(|pod| pod.name.as_str()).collect();
    if !staying.is_empty() {
        say(o, draft, &format!("TaskManagers of revision {leaves} leave: {}", staying.join(", ")));
        return Some((None, Next::After(LEAVING)));
    }
    let Some(rendered) = o.record(starts).map(|record| &record.rendered) else {
        return Some((None, Next::After(SLOW)));
    };
    let wanted = rendered.deployment.spec.as_ref().and_then(|spec| spec.replicas);
    let is = o.revisions.get(&starts).and_then(|r| r.task_managers);
    if let Some((wanted, _)) = wanted.zip(is).filter(|(wanted, is)| wanted != is) {
        return Some((Some(Effect::Scale(starts, wanted)), Next::Again));
    }
    if let Some(decision) = recovery::cluster_is_missing(o, draft, starts) {
        return Some(decision);
    }
    let up = o.up(starts)?;
    if slots_ready(up, rendered.slots) {
        return None;
    }
    let trouble = o.task_managers(starts).find_map(|p| p.trouble.as_ref().map(|t| format!("pod {}: {t}", p.name)));
    let refusal = || o.revisions.get(&starts).and_then(|r| r.refusal.clone());
    let slots = || format!("{} of {} slots are free", up.free_slots.unwrap_or_default(), rendered.slots);
    let message = trouble.or_else(refusal).unwrap_or_else(slots);
    say(o, draft, &format!("TaskManagers of revision {starts} start: {message}"));
    Some((None, Next::After(STARTING)))
}

fn say(o: &Observed, draft: &mut FlinkJobUpgradeStatus, message: &str) {
    set_message(draft, message);
    status::reconciling(o, draft, status::under_way(draft), message);
}
