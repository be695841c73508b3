//! Decides what a FlinkJobUpgrade needs next. Pure and total: no client, no clock of its own.

use std::time::Duration;

use kube::ResourceExt;

pub use super::effect::Effect;
use super::heal::{self, Healing};
use super::observed::{Existing, Observed, Restore, Revision, Up};
use super::state_source::{self, Now};
use super::strategy::{blue_green, prewarm, recovery};
use super::workload;
use super::{children, deletion, ended, finish, foreign, high_availability, jar, session, status, suspend, windows};
use crate::api::condition::{self, Reason, types};
use crate::api::{
    ActiveRevision, FlinkJobUpgradeStatus, FlinkSavepoint, JobPhase, Operation, OperationKind, RestoreMode,
    SavepointPhase, StateSource, UpgradeFrom, UpgradeProgress, UpgradeStep, UpgradeStrategy,
};
use crate::flink::{ClaimMode, JobId, RunRequest};
use crate::holds::references;
use crate::naming;
use crate::reconcile::{Next, SETTLED, unknown_values};
use crate::time;

/// How often a job at rest is looked at without any event.
pub const AT_REST: Duration = Duration::from_secs(15);
/// How often something slow is looked at: pods that start, an operation of somebody else.
pub const SLOW: Duration = Duration::from_secs(2);
/// How often pods that are to go are looked at.
pub const LEAVING: Duration = Duration::from_millis(200);
/// How often something that downtime waits for is looked at.
pub const FAST: Duration = Duration::from_millis(25);

/// What becomes of the status when Flink refuses a submit: the request was answered, so nothing of it runs.
pub fn refused(o: &Observed, draft: &mut FlinkJobUpgradeStatus, cause: &str) {
    let Some(upgrade) = draft.upgrade.clone() else { return };
    match upgrade.step {
        UpgradeStep::PuttingBack => {
            let message = format!("revision {} can't be put back: {cause}", upgrade.from.unwrap_or_default());
            status::stalled(o, draft, Reason::RollbackFailed, &message);
        }
        _ => finish::refused(o, draft, &upgrade, cause),
    }
}

/// The outcome of a pass: what the status becomes, then at most one effect.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The status as it shall be.
    pub status: FlinkJobUpgradeStatus,
    /// What to do once the status is written.
    pub effect: Option<Effect>,
    /// When to look again.
    pub next: Next,
}

/// What a part of the planner answers: an effect, and when to look again.
pub type Decision = (Option<Effect>, Next);

/// Plans the next step of a FlinkJobUpgrade.
#[must_use]
pub fn plan(o: &Observed) -> Plan {
    let mut status = o.upgrade.status.clone().unwrap_or_default();
    let (effect, next) = decide(o, &mut status);
    // Of a generation whose conditions were not judged yet nothing is said: kstatus would take the former ones for its.
    if !status::has_unknown_values(&status) && effect != Some(Effect::AddFinalizer) {
        status.observed_generation = o.upgrade.metadata.generation;
    }
    Plan { status, effect, next }
}

fn decide(o: &Observed, draft: &mut FlinkJobUpgradeStatus) -> Decision {
    if status::has_unknown_values(draft) {
        // Written by a newer version: whatever it means, acting on a guess could lose state.
        return (None, Next::After(SETTLED));
    }
    if o.upgrade.metadata.deletion_timestamp.is_some() {
        return deletion::decide(o, draft);
    }
    if !status::has_finalizer(&o.upgrade) {
        return (Some(Effect::AddFinalizer), Next::Again);
    }
    if let Some(upgrade) = draft.upgrade.clone() {
        return prewarm::decide(o, draft, &upgrade);
    }
    release_lock(o, draft);
    if !o.unknown.is_empty() {
        status::stalled(o, draft, Reason::NotImplemented, &unknown_values(&o.unknown));
        return (None, Next::After(AT_REST));
    }
    if let Err(e) = workload::check(&o.upgrade).and_then(|()| windows::check(&o.upgrade.spec)) {
        status::stalled(o, draft, Reason::InvalidSpec, &e.to_string());
        return (None, Next::After(AT_REST));
    }
    match draft.active.clone() {
        None if suspend::is_wanted(o) => suspend::rest(o, draft),
        None => first_start(o, draft),
        Some(active) => at_rest(o, draft, &active),
    }
}

fn first_start(o: &Observed, draft: &mut FlinkJobUpgradeStatus) -> Decision {
    let restore = references::pending_restore(&o.upgrade);
    if draft.failed_spec_hash.as_deref() == Some(workload::attempt_hash(&o.upgrade.spec).as_str()) {
        // Told anew: something else may have been wrong meanwhile.
        status::refusal(o, draft);
        return sweep(o, draft, None).unwrap_or((None, Next::After(AT_REST)));
    }
    // An earlier attempt's job may still run: nothing is started beside it.
    if let Some(decision) = sweep(o, draft, None) {
        return decision;
    }
    let pods = suspend::left_pods(o, draft);
    if !pods.is_empty() {
        return suspend::wait_for_pods(o, draft, &pods, Reason::Starting);
    }
    if restore.is_none()
        && let Some(suspension) = draft.suspension.clone()
    {
        return suspend::resume(o, draft, &suspension);
    }
    if restore.is_none()
        && let Some((reason, message)) = may_not_start_empty(o)
    {
        status::stalled(o, draft, reason, &message);
        return (None, Next::After(AT_REST));
    }
    begin_or_wait(o, draft, None)
}

/// Why a job may not start without state: an earlier one of its name has left some, or nobody can tell.
fn may_not_start_empty(o: &Observed) -> Option<(Reason, String)> {
    match &o.existing {
        Existing::Nothing => None,
        Existing::Found(newest) => Some((
            Reason::StateExists,
            format!(
                "an earlier job of this name has left state, the newest is {newest}; set job.restoreFrom with latest: true to \
                 start from it, or with empty: true to start without"
            ),
        )),
        Existing::Unknown(why) => Some((
            Reason::StateUnknown,
            format!(
                "whether an earlier job of this name has left state can't be found out: {why}; or say in job.restoreFrom \
                 what to start from (empty: true: nothing)"
            ),
        )),
        Existing::NotAsked => Some((Reason::StateUnknown, "state of earlier jobs was not looked for yet".to_owned())),
    }
}

/// No upgrade under way and a revision active: begin one if the spec asks for it, else keep watch.
fn at_rest(o: &Observed, draft: &mut FlinkJobUpgradeStatus, active: &ActiveRevision) -> Decision {
    let Some(record) = o.record(active.revision) else {
        let name = naming::revision_name(status::name(o), active.revision);
        status::stalled(
            o,
            draft,
            Reason::RevisionRecordMissing,
            &format!("ControllerRevision {name} is gone; restore it"),
        );
        return (None, Next::After(AT_REST));
    };
    let now = state_source::now(o, &active.submission);
    // A job that came to its end leaves nothing that could be suspended.
    let suspends =
        suspend::is_wanted(o) && (now != Now::Finished || o.upgrade.spec.upgrade_from() == UpgradeFrom::Empty);
    let starts = !suspend::is_wanted(o)
        && (record.revision_hash != workload::revision_hash(&o.upgrade.spec)
            || references::pending_restore(&o.upgrade).is_some());
    let changed = suspends || starts;
    // A job that has ended since needs no savepoint for it.
    let failed = draft.failed_spec_hash.as_deref() == Some(workload::attempt_hash(&o.upgrade.spec).as_str())
        && !(suspends && matches!(now, Now::Lost | Now::Forgotten | Now::Failed | Now::Canceled));
    let over = matches!(draft.phase, Some(JobPhase::Finished | JobPhase::Failed));
    // Of a job that is lost the recovery does it, once what may still process is fenced.
    let runs = !over && now != Now::Lost;
    let healing = if runs { heal::decide(o, draft, active.revision) } else { Healing::Nothing };
    let soon = match healing {
        Healing::Nothing => AT_REST,
        Healing::Now(decision) => return decision,
        Healing::Later(wait) => wait.min(AT_REST),
    };
    foreign::tell(o, draft, active.revision);
    let waits = if starts && !failed { windows::closed(o, &now) } else { None };
    windows::tell(o, draft, waits);
    // A job that is lost comes back before it is forked: what follows it has to be promoted.
    let comes_back = starts
        && o.upgrade.spec.strategy() == UpgradeStrategy::BlueGreen
        && now == Now::Lost
        && !over
        && !recovery::was_refused(draft);
    if changed && !failed && waits.is_none() && !comes_back {
        if let Some(operation) = draft.operation.as_ref().filter(|operation| !gives_way(o, operation)) {
            let message = format!("the change waits for {} {}", operation.kind, operation.id);
            status::reconciling(o, draft, Reason::WaitingForOperation, &message);
            return (None, Next::After(SLOW));
        }
        if let (Now::Finished, None, Some(message)) = (
            &now,
            references::pending_restore(&o.upgrade),
            state_source::no_state_is_left(o.upgrade.spec.upgrade_from()),
        ) {
            status::stalled(o, draft, Reason::StateUnknown, message);
            return (None, Next::After(AT_REST));
        }
        if let Some(message) = foreign::would_end(o, active.revision) {
            status::stalled(o, draft, Reason::ForeignJob, &message);
            return (None, Next::After(AT_REST));
        }
        let needs_savepoint = now == Now::Running
            && !matches!(o.upgrade.spec.upgrade_from(), UpgradeFrom::Empty | UpgradeFrom::Checkpoint);
        if needs_savepoint && !has_savepoint_directory(o, record.rendered.savepoint_directory.is_some()) {
            let message = "the change needs a savepoint, and there is nowhere to write it: set \
                           upgrade.savepoint.targetDirectory, or execution.checkpointing.savepoint-dir in \
                           flinkConfiguration of a first start";
            status::stalled(o, draft, Reason::NoTargetDirectory, message);
            return (None, Next::After(AT_REST));
        }
        if suspends {
            return suspend::begin(o, draft, active);
        }
        if let Some(message) = blue_green::has_no_name_of_its_own(o, active) {
            status::stalled(o, draft, Reason::RevisionNameReused, &message);
            return (None, Next::After(AT_REST));
        }
        // What is left of earlier revisions would take the new one's room, and the stable Service might lead there.
        if let Some(decision) = sweep(o, draft, Some(active.revision)) {
            // It is Ready for an older spec only.
            let message = "the change waits until what is left of earlier revisions is removed";
            status::reconciling(o, draft, Reason::Upgrading, message);
            return decision;
        }
        return begin_or_wait(o, draft, Some(active.revision));
    }
    if !changed {
        draft.failed_spec_hash = None;
    }
    if over && o.job(active.revision, &active.submission.job_id).is_none() {
        // It had ended before its JobManager went: nothing is started again.
        status::ended_before(o, draft);
    } else if recovery::was_refused(draft) {
        status::refusal(o, draft);
    } else {
        status::at_rest(o, draft, active, failed && changed);
        if now == Now::Lost {
            return recovery::begin(o, draft, active);
        }
    }
    if let Some(decision) = sweep(o, draft, Some(active.revision)) {
        return decision;
    }
    let next = Next::After(waits.map_or(soon, |closed| closed.opens_in(o.now).min(soon)));
    tidy(o, draft, active, now == Now::Running, next)
}

/// What earlier revisions have left elsewhere. Nothing waits for it: a store may be away.
fn tidy(o: &Observed, draft: &mut FlinkJobUpgradeStatus, active: &ActiveRevision, runs: bool, next: Next) -> Decision {
    let left = |(n, r): &(&i64, &Revision)| {
        let ended = r.objects == 0 && r.pods.is_empty() && high_availability::config_maps(o, **n).is_empty();
        **n != active.revision && ended && high_availability::storage_is_left(r)
    };
    if let Some((n, _)) = o.revisions.iter().find(left) {
        return (Some(Effect::RemoveHaStorage(*n)), next);
    }
    if let Some(effect) = surplus_child(o) {
        return (Some(effect), Next::After(SLOW));
    }
    let ended = if runs { ended::decide(o, draft) } else { None };
    ended.unwrap_or((None, next))
}

/// A FlinkSavepoint of an earlier operation that goes with the history.
pub fn surplus_child(o: &Observed) -> Option<Effect> {
    let surplus = children::surplus(&o.upgrade, &o.children)?;
    Some(Effect::DeleteChild(surplus.name_any(), surplus.uid()))
}

/// A savepoint that is overdue keeps no change waiting: the stop of the upgrade makes it fail, and it is tried again
/// when the upgrade is over.
#[must_use]
pub fn gives_way(o: &Observed, operation: &Operation) -> bool {
    let overdue =
        |s: &FlinkSavepoint| s.status.as_ref().is_some_and(|s| condition::is_true(&s.conditions, types::OVERDUE));
    operation.kind == OperationKind::Savepoint && o.savepoint.as_ref().is_some_and(overdue)
}

/// The old job writes the savepoint: its own configured directory counts, not that of the new spec.
fn has_savepoint_directory(o: &Observed, configured: bool) -> bool {
    let wish = o.upgrade.spec.upgrade.as_ref().and_then(|u| u.savepoint.as_ref());
    configured || wish.is_some_and(|w| w.target_directory.is_some())
}

/// A user's FlinkSavepoint takes the lock itself; it is released here, when that savepoint is settled or gone, so that
/// one deleted in the middle never leaves a job locked. Its files are looked at without the job.
pub fn release_lock(o: &Observed, draft: &mut FlinkJobUpgradeStatus) {
    let held_by_savepoint = draft.operation.as_ref().is_some_and(|op| op.kind == OperationKind::Savepoint);
    let settled = match &o.savepoint {
        None => true,
        Some(s) => s.status.as_ref().is_some_and(|s| {
            // One that failed may be followed by another: the lock is kept, or two would hold it.
            let flink_is_done = s.location.is_some() && s.attempts.last().is_some_and(|a| a.result.is_some());
            let settled = [SavepointPhase::Completed, SavepointPhase::Failed, SavepointPhase::Superseded];
            flink_is_done || s.phase.is_some_and(|phase| settled.contains(&phase))
        }),
    };
    if held_by_savepoint && settled {
        draft.operation = None;
    }
}

/// Begins, once it is known how the jar is fetched and what `job.restoreFrom` comes to, if there is one to act on.
fn begin_or_wait(o: &Observed, draft: &mut FlinkJobUpgradeStatus, from: Option<i64>) -> Decision {
    if let Some(why) = jar::refused(o) {
        status::stalled(o, draft, Reason::InvalidSpec, why);
        return (None, Next::After(AT_REST));
    }
    let Some(wish) = references::pending_restore(&o.upgrade) else { return begin(o, draft, from, None) };
    match &o.restore {
        Restore::From(path) => begin(o, draft, from, Some((wish.id.clone(), path.clone()))),
        Restore::Refused(reason, message) => {
            status::stalled(o, draft, *reason, message);
            (None, Next::After(AT_REST))
        }
        Restore::Wait(message) => {
            status::reconciling(o, draft, Reason::Starting, message);
            (None, Next::After(SLOW))
        }
        Restore::Take(savepoint) => {
            let of = savepoint.spec.job_ref.as_ref().map(|job| job.name.as_str()).unwrap_or_default();
            status::reconciling(o, draft, Reason::Starting, &format!("a savepoint of job {of} is taken"));
            (Some(Effect::CreateSavepoint(savepoint.clone())), Next::After(SLOW))
        }
        Restore::NotAsked => (None, Next::Again),
    }
}

/// Begins an upgrade, or the first start. `restore`: the id of the `job.restoreFrom` that it acts on, and the snapshot.
pub fn begin(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    from: Option<i64>,
    restore: Option<(String, Option<String>)>,
) -> Decision {
    let to = draft.last_revision.unwrap_or(0) + 1;
    let id = naming::upgrade_id(status::uid(o), to);
    draft.last_revision = Some(to);
    draft.sweep = None;
    draft.phase = Some(if from.is_some() { JobPhase::Upgrading } else { JobPhase::Starting });
    let kind = if from.is_some() { OperationKind::Upgrade } else { OperationKind::Start };
    draft.operation = Some(Operation { id: id.clone(), kind, savepoint: None, since: Some(time::to_k8s(o.now)) });
    let source = match (&restore, from) {
        (Some(_), _) => Some(StateSource::RestoreFrom),
        (None, None) => Some(StateSource::Empty),
        (None, Some(_)) => None,
    };
    let (restore_from_id, snapshot) = restore.unzip();
    let strategy = from.map(|_| o.upgrade.spec.strategy());
    draft.upgrade = Some(UpgradeProgress {
        id,
        from,
        to,
        generation: o.upgrade.metadata.generation.unwrap_or_default(),
        step: UpgradeStep::Preparing,
        color: Some(blue_green::next_color(draft.active.as_ref(), strategy).to_owned()),
        strategy,
        start_time: Some(time::to_k8s_precise(o.now)),
        step_since: Some(time::to_k8s_precise(o.now)),
        source,
        snapshot: snapshot.flatten(),
        restore_from_id,
        restore_mode: o.upgrade.spec.job.restore_mode,
        allow_non_restored_state: o.upgrade.spec.job.allow_non_restored_state,
        spec_hash: Some(workload::attempt_hash(&o.upgrade.spec)),
        ..UpgradeProgress::default()
    });
    status::reconciling(o, draft, status::under_way(draft), &format!("revision {to} is being prepared"));
    (None, Next::Again)
}

/// Removes what no revision in use needs any more, one thing a pass, and keeps the stable Service in place.
pub fn sweep(o: &Observed, draft: &FlinkJobUpgradeStatus, keep: Option<i64>) -> Option<Decision> {
    let on_session_cluster = o.session.is_some();
    if let Some(active) = keep
        && !on_session_cluster
        && o.stable_service != Some(active)
    {
        return Some((Some(Effect::PointService(active)), Next::Again));
    }
    let upgrading = draft.upgrade.as_ref();
    let in_use = |n: i64| keep == Some(n) || upgrading.is_some_and(|u| u.to == n || u.from == Some(n));
    // Of a job on a session cluster no revision needs a pod once it runs.
    let needs_pods = |n: i64| in_use(n) && !on_session_cluster;
    if let Some((n, _)) = o.revisions.iter().find(|(n, r)| !needs_pods(**n) && r.objects > 0) {
        return Some((Some(Effect::DeleteObjects(*n)), Next::After(SLOW)));
    }
    if let Some(effect) = session::surplus_jars(o, in_use) {
        return Some((Some(effect), Next::Again));
    }
    let ended = |(n, r): &(&i64, &Revision)| !in_use(**n) && r.pods.is_empty();
    if let Some((n, _)) =
        o.revisions.iter().filter(ended).find(|(n, _)| !high_availability::config_maps(o, **n).is_empty())
    {
        return Some((Some(Effect::DeleteHaConfigMaps(*n)), Next::Again));
    }
    let limit = o.upgrade.spec.revision_history_limit();
    let suspended = draft.suspension.as_ref().map(|s| s.revision);
    let settled = |(n, r): &(&i64, &Revision)| {
        !in_use(**n) && suspended != Some(**n) && r.recorded && !high_availability::storage_is_left(r)
    };
    let mut old = o.revisions.iter().filter(settled).map(|(n, _)| *n);
    let surplus = old.clone().count().saturating_sub(limit);
    (surplus > 0).then(|| old.next()).flatten().map(|n| (Some(Effect::DeleteRecord(n)), Next::Again))
}

/// The request that starts a revision's job.
#[must_use]
pub fn run_request(
    o: &Observed,
    revision: i64,
    job_id: JobId,
    path: Option<&str>,
    upgrade: &UpgradeProgress,
) -> Option<RunRequest> {
    let submission = &o.record(revision)?.rendered.submission;
    let target = revision == upgrade.to;
    Some(RunRequest {
        job_id,
        entry_class: submission.entry_class.clone(),
        args: submission.args.clone(),
        parallelism: Some(submission.parallelism),
        savepoint_path: path.map(str::to_owned),
        // Going back is always possible with what the old revision itself wrote, and must never hand it over.
        allow_non_restored_state: Some(target && upgrade.allow_non_restored_state.unwrap_or(false)),
        claim_mode: path.map(|_| match upgrade.restore_mode {
            Some(RestoreMode::Claim) if target => ClaimMode::Claim,
            Some(RestoreMode::Legacy) if target => ClaimMode::Legacy,
            _ => ClaimMode::NoClaim,
        }),
        flink_configuration: submission.flink_configuration.clone(),
    })
}

/// Enough slots are registered and free for the job's parallelism.
#[must_use]
pub fn slots_ready(up: &Up, parallelism: i32) -> bool {
    up.free_slots.is_some_and(|free| free >= parallelism)
}
