//! `BlueGreen`: the old job runs on while the new one, forked from it by a savepoint, proves itself on its own state. Until
//! the new one is promoted it can be given up at no cost; then the old one is stopped with a final savepoint.

use std::time::Duration;

use super::prewarm::{failed, intend_submit, set_message, step};
use super::{confirm, ending, recovery};
use crate::api::annotations::{ABORT, PROMOTE};
use crate::api::condition::{Conditions, Reason, types};
use crate::api::{
    ActiveRevision, Automation, FlinkJobUpgradeStatus, JobPhase, Operation, OperationKind, SavepointPhase, StateSource,
    UpgradeProgress, UpgradeStep, UpgradeStrategy,
};
use crate::reconcile::Next;
use crate::time;
use crate::upgrade::fence::{self, Fence};
use crate::upgrade::heal::{self, Healing};
use crate::upgrade::observed::{JobFacts, Observed};
use crate::upgrade::plan::{self, AT_REST, Decision, Effect, FAST, SLOW};
use crate::upgrade::state_source::{self, Now};
use crate::upgrade::{child, finish, foreign, status, workload};

/// The color of a first revision.
pub const BLUE: &str = "blue";
/// The color of one that is promoted beside it.
const GREEN: &str = "green";

/// Whether an upgrade goes this way.
#[must_use]
pub fn applies(upgrade: &UpgradeProgress) -> bool {
    upgrade.strategy == Some(UpgradeStrategy::BlueGreen)
}

/// The color of the next revision: the other one where two run side by side, else that of the job before.
#[must_use]
pub fn next_color(active: Option<&ActiveRevision>, strategy: Option<UpgradeStrategy>) -> &'static str {
    let is_green = active.and_then(|active| active.color.as_deref()) == Some(GREEN);
    let alternates = strategy == Some(UpgradeStrategy::BlueGreen);
    if is_green == alternates { BLUE } else { GREEN }
}

/// Why a change can't be promoted by its name: it has that of what runs, so that to promote one is to promote the other.
#[must_use]
pub fn has_no_name_of_its_own(o: &Observed, active: &ActiveRevision) -> Option<String> {
    let spec = &o.upgrade.spec;
    let by_name = spec.strategy() == UpgradeStrategy::BlueGreen && spec.promotion() == Automation::Manual;
    let name = spec.revision_name.as_ref().filter(|name| by_name && active.revision_name.as_ref() == Some(name))?;
    Some(format!(
        "revisionName {name} is that of revision {}, which runs: give the change a name of its own, which \
         upgrade.blueGreen.promotedRevision can promote",
        active.revision
    ))
}

/// Until the promotion the old job is the job, and nothing has happened to it.
#[must_use]
pub fn before_promotion(upgrade: &UpgradeProgress) -> bool {
    use UpgradeStep::{Discarding, Promoting, Retiring};
    applies(upgrade) && !matches!(upgrade.step, Promoting | Retiring | Discarding)
}

/// Whether a job of the new revision runs, or may run, beside the old one.
#[must_use]
pub fn runs_beside(upgrade: &UpgradeProgress) -> bool {
    before_promotion(upgrade) && upgrade.submission.is_some()
}

/// The job that would be forked does not run: there is nothing to run beside, and its successor takes its place.
pub fn takes_the_place(draft: &mut FlinkJobUpgradeStatus) {
    if let Some(u) = draft.upgrade.as_mut().filter(|u| applies(u)) {
        u.strategy = Some(UpgradeStrategy::Prewarm);
    }
}

/// What ends an upgrade of this kind early. `None`: nothing does.
#[must_use]
pub fn interrupted(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Option<Decision> {
    if !before_promotion(upgrade) {
        return None;
    }
    let aborted = status::is_annotated(o, ABORT, &upgrade.id);
    if !runs_beside(upgrade) {
        // A savepoint that was asked for comes to its end first.
        if aborted && upgrade.savepoint.is_none() {
            finish::failed_before_the_stop(o, draft, upgrade, Reason::Aborted, ABORTED);
            return Some((None, Next::Again));
        }
        return None;
    }
    if ending::spec_changed(o, upgrade) {
        return Some(discard(o, draft, None, "the spec changed before its promotion"));
    }
    if aborted {
        return Some(discard(o, draft, Some(Reason::Aborted), ABORTED));
    }
    let active = draft.active.clone()?;
    let gone = match state_source::now(o, &active.submission) {
        Now::Failed => "failed",
        Now::Canceled => "was cancelled",
        Now::Finished => "finished by itself",
        Now::Forgotten | Now::Lost => "was lost with its JobManager",
        Now::Running | Now::Restarting(_) | Now::Silent(_) => return None,
    };
    let message =
        format!("job {} of revision {}, beside which it ran, {gone}", active.submission.job_id, active.revision);
    Some(discard(o, draft, None, &message))
}

const ABORTED: &str = "given up by annotation before its promotion";

/// The fork's savepoint is complete: the new job is submitted beside the old one.
pub fn forked(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress, location: &str) -> Decision {
    if let Some(u) = &mut draft.upgrade {
        u.savepoint_location = Some(location.to_owned());
    }
    status::savepoint_taken(o, draft, location);
    if status::is_annotated(o, ABORT, &upgrade.id) {
        finish::failed_before_the_stop(o, draft, upgrade, Reason::Aborted, ABORTED);
        return (None, Next::Again);
    }
    if ending::spec_changed(o, upgrade) || o.upgrade.metadata.deletion_timestamp.is_some() {
        finish::abandoned(o, draft, upgrade);
        return (None, Next::Again);
    }
    intend_submit(o, draft, upgrade, StateSource::Savepoint, Some(location.to_owned()))
}

/// The new job is stable. While it waits the lock is free: the old job is the one whose savepoints are taken.
pub fn stable(o: &Observed, draft: &mut FlinkJobUpgradeStatus) -> Decision {
    step(o, draft, UpgradeStep::Promotion, "stable beside the old job, and to be promoted");
    draft.operation.take_if(|operation| operation.kind != OperationKind::Savepoint);
    (None, Next::Again)
}

/// Waits for the promotion: the old job is the job, and the resource is Ready if that one is well.
pub fn waiting(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    let (Some(active), Some(submission)) = (draft.active.clone(), &upgrade.submission) else {
        return (None, Next::After(AT_REST));
    };
    plan::release_lock(o, draft);
    let job = o.job(upgrade.to, &submission.job_id);
    if let Some(failure) = job.and_then(confirm::ended) {
        return failed(o, draft, upgrade, Reason::JobFailed, &failure);
    }
    let process = o.up(upgrade.to).map(|up| up.instance.as_str());
    if job.is_none() && process.is_some() && process != submission.job_manager_instance.as_deref() {
        no_longer_waits(o, draft);
        return recovery::again(o, draft, upgrade);
    }
    confirm::follow(o, draft, submission);
    for revision in [active.revision, upgrade.to] {
        match heal::decide(o, draft, revision) {
            Healing::Nothing => {}
            Healing::Now(decision) => return decision,
            Healing::Later(_) => break,
        }
    }
    let wanted = o.upgrade.spec.promotes() || status::is_annotated(o, PROMOTE, &upgrade.id);
    let well = job.is_some_and(|job| job.all_tasks_running);
    let kept = draft.operation.as_ref().filter(|operation| !plan::gives_way(o, operation)).cloned();
    let foreign = foreign::would_end(o, active.revision);
    if wanted && well && kept.is_none() && foreign.is_none() {
        return promote(o, draft, upgrade);
    }
    let beside = upgrade.running_at.as_ref().map_or(Duration::ZERO, |t| o.since(time::from_k8s(t)));
    let limit = o.upgrade.spec.abort_after();
    if let Some(limit) = limit.filter(|limit| beside > *limit) {
        let message = format!("not promoted within {} s (upgrade.blueGreen.abortAfter)", limit.as_secs_f64());
        return discard(o, draft, Some(Reason::PromotionOverdue), &message);
    }
    let waits_for = match (wanted, kept, foreign) {
        (false, ..) => None,
        (true, Some(operation), _) => Some(format!("promoted after {} {}", operation.kind, operation.id)),
        (true, None, Some(foreign)) => Some(foreign),
        (true, None, None) => Some("promoted as soon as all of its tasks run".to_owned()),
    };
    tell(o, draft, upgrade, &active, waits_for.as_deref());
    (None, Next::After(limit.map_or(AT_REST, |limit| limit.saturating_sub(beside).min(AT_REST))))
}

/// Says what is waited for, and how the old job is.
fn tell(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    upgrade: &UpgradeProgress,
    active: &ActiveRevision,
    waits_for: Option<&str>,
) {
    let name = status::name(o);
    let how = waits_for.map_or_else(
        || {
            let by_name = o.upgrade.spec.revision_name.as_deref();
            let by_name = by_name.map(|name| format!("set upgrade.blueGreen.promotedRevision: {name}, or "));
            format!(
                "to promote it {}kubectl annotate --overwrite fju {name} {PROMOTE}={id}; to give it up revert the spec, or \
                 kubectl annotate --overwrite fju {name} {ABORT}={id}",
                by_name.unwrap_or_default(),
                id = upgrade.id
            )
        },
        str::to_owned,
    );
    let mut message = format!("revision {} runs beside it, from the same savepoint; {how}", upgrade.to);
    if !workload::tells_sides_apart(&o.upgrade.spec) {
        message = format!("{message}; {SIDES}");
    }
    set_message(draft, &message);
    let mut conditions = Conditions::new(&mut draft.conditions, o.upgrade.metadata.generation, o.now);
    conditions.set(types::UPGRADE_PENDING, true, Reason::WaitingForPromotion, message);
    conditions.set(types::PROMOTED, false, Reason::WaitingForPromotion, format!("upgrade {}", upgrade.id));
    status::at_rest(o, draft, active, false);
    draft.phase = Some(JobPhase::Upgrading);
}

/// What is said where the two sides write under the same names.
pub const SIDES: &str = "nothing in the spec tells the two apart: use $(FLINK_COLOR) in transactional ids and consumer \
                         groups, or one takes the other's";

fn promote(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    draft.operation = Some(Operation {
        id: upgrade.id.clone(),
        kind: OperationKind::Upgrade,
        savepoint: None,
        since: Some(time::to_k8s(o.now)),
    });
    if let Some(u) = &mut draft.upgrade {
        u.final_savepoint = Some(child::final_name(status::name(o), &upgrade.id));
    }
    no_longer_waits(o, draft);
    step(
        o,
        draft,
        UpgradeStep::Promoting,
        "the stable Service moves, and the old job is stopped with a final savepoint",
    );
    (None, Next::Again)
}

fn no_longer_waits(o: &Observed, draft: &mut FlinkJobUpgradeStatus) {
    let mut conditions = Conditions::new(&mut draft.conditions, o.upgrade.metadata.generation, o.now);
    conditions.remove(types::UPGRADE_PENDING).remove(types::PROMOTED);
}

/// The stable Service moves; then the old job is stopped with a final savepoint.
pub fn promoting(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    let Some(active) = draft.active.clone() else { return (None, Next::After(AT_REST)) };
    if o.stable_service != Some(upgrade.to) {
        return (Some(Effect::PointService(upgrade.to)), Next::Again);
    }
    let named = draft.operation.as_ref().is_some_and(|op| op.savepoint.is_some());
    let follows = !ending::no_savepoint_follows(o, upgrade, &active.submission);
    let Some(savepoint) = &o.savepoint else {
        if !named && follows {
            return (Some(Effect::CreateSavepoint(Box::new(child::final_savepoint(o, upgrade)))), Next::Again);
        }
        let why = if named { "its FlinkSavepoint was deleted" } else { "the job does not run" };
        return retire(o, draft, why);
    };
    if ending::not_begun(savepoint) && !follows {
        if let Some(operation) = &mut draft.operation {
            operation.savepoint = None;
        }
        return retire(o, draft, "the job does not run");
    }
    if !named {
        ending::name_child(draft, savepoint);
        return (None, Next::After(SLOW));
    }
    let taken = savepoint.status.clone().unwrap_or_default();
    match taken.phase {
        Some(SavepointPhase::Completed) => ended(o, draft, upgrade, &active),
        Some(SavepointPhase::Failed | SavepointPhase::Superseded) => {
            retire(o, draft, &status::message_of(&taken.conditions))
        }
        _ => ending::wait_for_child(o, draft, savepoint),
    }
}

/// The old job has left its final savepoint, and is over once its JobManager says so, or its pods are gone.
fn ended(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    upgrade: &UpgradeProgress,
    active: &ActiveRevision,
) -> Decision {
    let submission = &active.submission;
    if fence::for_good(o, upgrade, submission) != Fence::Closed {
        let lost = state_source::now(o, submission) == Now::Lost;
        if !lost && ending::completed_for(o) < ending::CONFIRMS {
            set_message(draft, "the old job's end is not confirmed by its JobManager");
            return (None, Next::After(FAST));
        }
        step(o, draft, UpgradeStep::Retiring, "the old job's JobManager can't confirm its end: its pods go");
        return (None, Next::Again);
    }
    if let Some(u) = &mut draft.upgrade {
        u.stopped_at = o.job(active.revision, &submission.job_id).and_then(|j| j.end_time).map(time::to_k8s_precise);
    }
    done(o, draft)
}

/// The new revision is the job by now: an old one that can give no final savepoint ends without.
fn retire(o: &Observed, draft: &mut FlinkJobUpgradeStatus, why: &str) -> Decision {
    let active = draft.active.as_ref().map(|active| active.revision).unwrap_or_default();
    let message = format!("revision {active} ends without a final savepoint, and its checkpoints stay: {why}");
    if let Some(u) = &mut draft.upgrade {
        u.failure = Some(message.clone());
    }
    step(o, draft, UpgradeStep::Retiring, &message);
    (None, Next::Again)
}

/// The old job's pods go, which leaves its checkpoints.
pub fn retiring(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    let Some(active) = draft.active.clone() else { return (None, Next::After(AT_REST)) };
    if o.savepoint.as_ref().is_some_and(ending::not_begun) {
        return (Some(Effect::DeleteSavepoint), Next::Again);
    }
    match fence::keeping_checkpoints(o, upgrade, &active.submission) {
        Fence::Closed => done(o, draft),
        open => ending::wait_for_fence(o, draft, open),
    }
}

fn done(o: &Observed, draft: &mut FlinkJobUpgradeStatus) -> Decision {
    let Some(upgrade) = draft.upgrade.clone() else { return (None, Next::After(AT_REST)) };
    let job: Option<&JobFacts> = upgrade.submission.as_ref().and_then(|s| o.job(s.revision, &s.job_id));
    let message = format!("revision {} took the place of revision {}", upgrade.to, upgrade.from.unwrap_or_default());
    finish::succeeded(o, draft, &upgrade, job);
    let mut conditions = Conditions::new(&mut draft.conditions, o.upgrade.metadata.generation, o.now);
    conditions.set(types::PROMOTED, true, Reason::Promoted, message);
    (None, Next::Again)
}

/// The new revision is given up. `reason`: why it is not tried again before the spec changes; `None`: what follows is
/// decided anew.
pub fn discard(o: &Observed, draft: &mut FlinkJobUpgradeStatus, reason: Option<Reason>, why: &str) -> Decision {
    if let Some(u) = &mut draft.upgrade {
        u.failure_reason = reason;
        u.failure = Some(why.to_owned());
    }
    no_longer_waits(o, draft);
    step(o, draft, UpgradeStep::Discarding, &format!("the job beside the old one is ended: {why}"));
    (None, Next::Again)
}

/// The new job is ended, and then all is as it was before.
pub fn discarding(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    let fenced = upgrade.submission.as_ref().map_or(Fence::Closed, |s| fence::for_good(o, upgrade, s));
    if fenced != Fence::Closed {
        return ending::wait_for_fence(o, draft, fenced);
    }
    let why = upgrade.failure.clone().unwrap_or_default();
    match upgrade.failure_reason {
        Some(reason) => finish::failed_before_the_stop(o, draft, upgrade, reason, &why),
        None => finish::given_up(o, draft, upgrade, &why),
    }
    (None, Next::Again)
}
