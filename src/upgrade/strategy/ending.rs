//! How the submission before ends, and with which state its successor starts: a stop with a savepoint where the job can
//! give one; else its newest retained checkpoint, verified before the job is cancelled and looked for again once it is
//! fenced.

use std::time::Duration;

use super::prewarm::{intend_submit, set_message, step, step_since};
use super::{blue_green, recovery, recreate};
use crate::api::condition::{self, Reason, types};
use crate::api::{
    FlinkJobUpgradeStatus, FlinkSavepoint, ObjectRef, SavepointPhase, StateSource, Submission, UpgradeFrom,
    UpgradeProgress, UpgradeStep,
};
use crate::reconcile::Next;
use crate::time;
use crate::upgrade::fence::{self, Fence};
use crate::upgrade::observed::Observed;
use crate::upgrade::plan::{AT_REST, Decision, Effect, FAST, LEAVING, SLOW};
use crate::upgrade::state_source::{self, Answer, Now, Question};
use crate::upgrade::{child, finish, foreign, scope, status, suspend, workload};

/// Files that are being looked at are asked for this often.
const READING: Duration = Duration::from_millis(200);
/// A JobManager whose job is stopped by a savepoint may be silent for so long, before its pods go instead.
pub const CONFIRMS: Duration = Duration::from_secs(30);

/// The old job is stopped with a savepoint, if it can give one.
pub fn savepoint(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    let Some(active) = draft.active.clone() else { return (None, Next::After(AT_REST)) };
    if upgrade.savepoint.is_none() {
        return how_to_end(o, draft, upgrade, &active.submission);
    }
    let named = draft.operation.as_ref().is_some_and(|op| op.savepoint.is_some());
    let Some(savepoint) = &o.savepoint else {
        if named {
            let name = upgrade.savepoint.clone().unwrap_or_default();
            let message = format!(
                "FlinkSavepoint {name} was deleted while it was needed; whether the old job stops is not known"
            );
            status::stalled(o, draft, Reason::SavepointBlocked, &message);
            return (None, Next::After(SLOW));
        }
        let child = child::upgrade_savepoint(o, upgrade, blue_green::applies(upgrade));
        return (Some(Effect::CreateSavepoint(Box::new(child))), Next::Again);
    };
    if !named {
        name_child(draft, savepoint);
        return (None, Next::After(SLOW));
    }
    let taken = savepoint.status.clone().unwrap_or_default();
    match (taken.phase, taken.location) {
        (Some(SavepointPhase::Completed), Some(location)) if blue_green::applies(upgrade) => {
            blue_green::forked(o, draft, upgrade, &location)
        }
        (Some(SavepointPhase::Completed), Some(location)) => stopped(o, draft, upgrade, &active.submission, &location),
        (Some(SavepointPhase::Failed), _) => {
            let why = status::message_of(&taken.conditions);
            without_savepoint(o, draft, upgrade, &active.submission, &why)
        }
        _ if not_begun(savepoint)
            && (spec_changed(o, upgrade) || no_savepoint_follows(o, upgrade, &active.submission)) =>
        {
            // Nothing was asked of Flink: the way is free for another decision.
            if let Some(u) = &mut draft.upgrade {
                u.savepoint = None;
            }
            if let Some(operation) = &mut draft.operation {
                operation.savepoint = None;
            }
            (Some(Effect::DeleteSavepoint), Next::Again)
        }
        _ => wait_for_child(o, draft, savepoint),
    }
}

/// Says what a child savepoint waits for. How far it is stands in its own status; to repeat it here would be a write for
/// each of its writes. What keeps it is worth one: the job may be down meanwhile.
pub fn wait_for_child(o: &Observed, draft: &mut FlinkJobUpgradeStatus, child: &FlinkSavepoint) -> Decision {
    let conditions = child.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    if condition::is_true(conditions, types::STALLED) {
        let message = status::message_of(conditions);
        set_message(draft, &message);
        status::stalled(o, draft, Reason::SavepointBlocked, &message);
        return (None, Next::After(SLOW));
    }
    let kept = condition::find(conditions, types::RECONCILING);
    let name = child.metadata.name.as_deref().unwrap_or_default();
    let message = match kept.filter(|c| c.reason != Reason::InProgress.as_str()) {
        Some(kept) => format!("FlinkSavepoint {name} waits: {}", kept.message),
        None => format!("FlinkSavepoint {name} is being taken"),
    };
    set_message(draft, &message);
    status::reconciling(o, draft, status::under_way(draft), &message);
    (None, Next::After(SLOW))
}

/// Whether the spec asks for something else than what is under way.
#[must_use]
pub fn spec_changed(o: &Observed, upgrade: &UpgradeProgress) -> bool {
    if o.upgrade.status.as_ref().is_some_and(suspend::is_under_way) {
        // What else it asks for is for the next start.
        return !suspend::is_wanted(o);
    }
    upgrade.spec_hash.as_deref() != Some(workload::attempt_hash(&o.upgrade.spec).as_str())
}

/// A child savepoint that is there although the upgrade names none: what the upgrade did before it died. One of which
/// nothing was asked goes; one that was begun is the upgrade's, whatever the spec says now. `None`: there is none.
#[must_use]
pub fn left_child(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Option<Decision> {
    let child = o.savepoint.as_ref().filter(|_| upgrade.savepoint.is_none())?;
    if not_begun(child) {
        return Some((Some(Effect::DeleteSavepoint), Next::Again));
    }
    name_child(draft, child);
    if let Some(u) = &mut draft.upgrade {
        u.savepoint.clone_from(&child.metadata.name);
        u.step = UpgradeStep::Savepoint;
    }
    Some((None, Next::Again))
}

/// The operation names its child, which may begin then.
pub fn name_child(draft: &mut FlinkJobUpgradeStatus, child: &FlinkSavepoint) {
    if let Some(operation) = &mut draft.operation {
        operation.savepoint =
            Some(ObjectRef { name: child.metadata.name.clone().unwrap_or_default(), uid: child.metadata.uid.clone() });
    }
}

/// No intent of a request to Flink is recorded.
#[must_use]
pub fn not_begun(child: &FlinkSavepoint) -> bool {
    child.status.as_ref().is_none_or(|s| {
        s.attempts.is_empty() && s.location.is_none() && matches!(s.phase, None | Some(SavepointPhase::Pending))
    })
}

fn how_to_end(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    upgrade: &UpgradeProgress,
    active: &Submission,
) -> Decision {
    if let Some(decision) = left_child(o, draft, upgrade) {
        return decision;
    }
    let forks = blue_green::applies(upgrade);
    if let Some(message) = foreign::would_end(o, active.revision).filter(|_| !forks) {
        set_message(draft, &message);
        status::stalled(o, draft, Reason::ForeignJob, &message);
        return (None, Next::After(SLOW));
    }
    let given = upgrade.source == Some(StateSource::RestoreFrom) && state_source::now(o, active) != Now::Running;
    let answer = state_source::source(&question(o, draft, upgrade, active, waited(o, upgrade)));
    match answer {
        // Its state is given up on purpose, and it can give none.
        _ if given => {
            blue_green::takes_the_place(draft);
            step(o, draft, UpgradeStep::Checkpoint, "the job does not run: it starts from what job.restoreFrom names");
            (None, Next::Again)
        }
        // It runs on beside what starts from elsewhere.
        Answer::Stop if forks && upgrade.source == Some(StateSource::RestoreFrom) => {
            intend_submit(o, draft, upgrade, StateSource::RestoreFrom, upgrade.snapshot.clone())
        }
        Answer::Stop => {
            // From here on the target is frozen: what is stopped is stopped for this revision.
            if let Some(u) = &mut draft.upgrade {
                u.savepoint = Some(child::name(status::name(o), &upgrade.id));
            }
            (None, Next::Again)
        }
        Answer::Wait(message) => {
            set_message(draft, &message);
            status::reconciling(o, draft, Reason::JobNotRunning, &message);
            (None, Next::After(SLOW))
        }
        Answer::Stalled(reason, message) => {
            status::stalled(o, draft, reason, &message);
            (None, Next::After(AT_REST))
        }
        Answer::Start(..) | Answer::Keep | Answer::Look => {
            blue_green::takes_the_place(draft);
            step(
                o,
                draft,
                UpgradeStep::Checkpoint,
                "the job can give no savepoint: its newest checkpoint is looked for",
            );
            (None, Next::Again)
        }
    }
}

/// The job does not run any more, so that a savepoint which was not begun will not be.
#[must_use]
pub fn no_savepoint_follows(o: &Observed, upgrade: &UpgradeProgress, active: &Submission) -> bool {
    let now = state_source::now(o, active);
    let lost = matches!(now, Now::Failed | Now::Canceled | Now::Finished | Now::Forgotten | Now::Lost);
    lost || !matches!(now, Now::Running) && waited(o, upgrade) > patience(o)
}

/// The savepoint is complete, and it is so only once its job has ended: what is left is the fence.
fn stopped(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    upgrade: &UpgradeProgress,
    active: &Submission,
    location: &str,
) -> Decision {
    let confirmed = matches!(fence::for_good(o, upgrade, active), Fence::Closed);
    let runs = o.job(active.revision, &active.job_id).is_some_and(|job| !job.state.is_terminal());
    let lost = matches!(state_source::now(o, active), Now::Lost);
    if !confirmed && !lost && (runs || completed_for(o) < CONFIRMS) {
        set_message(draft, "the old job's end is not confirmed by its JobManager");
        return (None, Next::After(FAST));
    }
    if let Some(u) = &mut draft.upgrade {
        u.savepoint_location = Some(location.to_owned());
        u.stopped_at = o.job(active.revision, &active.job_id).and_then(|j| j.end_time).map(time::to_k8s_precise);
    }
    status::savepoint_taken(o, draft, location);
    let (source, path) = match (upgrade.source, &upgrade.snapshot) {
        (Some(StateSource::RestoreFrom), path) => (StateSource::RestoreFrom, path.clone()),
        _ => (StateSource::Savepoint, Some(location.to_owned())),
    };
    if !confirmed {
        if let Some(u) = &mut draft.upgrade {
            u.source = Some(source);
        }
        step(o, draft, UpgradeStep::Fencing, "the old job's JobManager can't confirm its end: its pods go");
        return (None, Next::Again);
    }
    if suspend::is_under_way(draft) {
        return suspend::ended(o, draft, upgrade, source, path);
    }
    intend_submit(o, draft, upgrade, source, path)
}

/// No savepoint could be taken: the old job runs on, or it is one that could give none.
fn without_savepoint(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    upgrade: &UpgradeProgress,
    active: &Submission,
    why: &str,
) -> Decision {
    let q = Question { savepoint_failed: true, ..question(o, draft, upgrade, active, waited(o, upgrade)) };
    match state_source::source(&q) {
        Answer::Keep | Answer::Stop => {
            finish::failed_before_the_stop(o, draft, upgrade, Reason::SavepointFailed, why);
            (None, Next::Again)
        }
        // It runs on: a checkpoint of it may be deleted before another job has read it.
        _ if blue_green::applies(upgrade) && q.now == Now::Running => {
            finish::failed_before_the_stop(o, draft, upgrade, Reason::SavepointFailed, why);
            (None, Next::Again)
        }
        Answer::Wait(message) => {
            set_message(draft, &message);
            (None, Next::After(SLOW))
        }
        _ => {
            let message = format!("no savepoint could be taken ({why}): the job's newest checkpoint is looked for");
            blue_green::takes_the_place(draft);
            step(o, draft, UpgradeStep::Checkpoint, &message);
            (None, Next::Again)
        }
    }
}

/// For how long the upgrade's savepoint is complete.
#[must_use]
pub fn completed_for(o: &Observed) -> Duration {
    let since = o.savepoint.as_ref().and_then(|s| s.status.as_ref()?.completion_time.as_ref());
    since.map_or(Duration::ZERO, |t| o.since(time::from_k8s(t)))
}

/// The newest checkpoint is looked for and verified, while the job still may get better.
pub fn checkpoint(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    let Some(active) = draft.active.clone() else { return (None, Next::After(AT_REST)) };
    if let Some(decision) = left_child(o, draft, upgrade) {
        return decision;
    }
    let chosen = match upgrade.source {
        // Its state is given up on purpose.
        Some(StateSource::RestoreFrom) => Answer::Start(StateSource::RestoreFrom, upgrade.snapshot.clone()),
        _ => state_source::source(&question(o, draft, upgrade, &active.submission, Duration::MAX)),
    };
    match chosen {
        Answer::Start(source, path) => {
            if let Some(u) = &mut draft.upgrade {
                u.source = Some(source);
                u.snapshot = path;
            }
            let message = format!("job {} is ended, and it is made sure that it has", active.submission.job_id);
            step(o, draft, UpgradeStep::Fencing, &message);
            (None, Next::Again)
        }
        Answer::Stop => {
            step(o, draft, UpgradeStep::Savepoint, "the old job is stopped with a savepoint");
            (None, Next::Again)
        }
        Answer::Keep => {
            let message = "no savepoint could be taken, and the job runs on";
            finish::failed_before_the_stop(o, draft, upgrade, Reason::SavepointFailed, message);
            (None, Next::Again)
        }
        other => wait_for_state(o, draft, other),
    }
}

/// The submission before is ended; then its newest checkpoint is looked for once more, and the successor is submitted.
pub fn fencing(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    let Some(before) = scope::subject(draft, upgrade).cloned() else { return (None, Next::After(AT_REST)) };
    let suspends = suspend::is_under_way(draft);
    let fenced = if before.revision == upgrade.to && !suspends {
        let decision = recovery::note_the_loss(o, draft, upgrade, &before)
            .or_else(|| recovery::came_back(o, draft, upgrade, &before));
        if let Some(decision) = decision {
            return decision;
        }
        if fence::overridden(o, &before) {
            return recovery::elsewhere(o, draft, upgrade);
        }
        fence::in_place(o, upgrade, &before)
    } else {
        match upgrade.source {
            Some(StateSource::Checkpoint) => fence::keeping_checkpoints(o, upgrade, &before),
            _ => fence::for_good(o, upgrade, &before),
        }
    };
    if fenced != Fence::Closed {
        return wait_for_fence(o, draft, fenced);
    }
    let chosen = match upgrade.source.filter(|_| upgrade.submission.is_none()) {
        Some(StateSource::RestoreFrom) => Answer::Start(StateSource::RestoreFrom, upgrade.snapshot.clone()),
        Some(StateSource::Savepoint) => Answer::Start(StateSource::Savepoint, upgrade.savepoint_location.clone()),
        // It has ended, so whatever is the newest now stays it.
        _ => state_source::source(&Question { now: Now::Lost, ..question(o, draft, upgrade, &before, Duration::MAX) }),
    };
    match chosen {
        Answer::Start(source, path) if suspends => suspend::ended(o, draft, upgrade, source, path),
        Answer::Start(source, path) => {
            // Else its TaskManagers are not there yet, on purpose.
            if !recreate::applies(upgrade)
                && let Some(decision) = recovery::cluster_is_missing(o, draft, upgrade.to)
            {
                return decision;
            }
            if let Some(u) = draft.upgrade.as_mut().filter(|_| source != StateSource::Savepoint) {
                u.snapshot.clone_from(&path);
            }
            intend_submit(o, draft, upgrade, source, path)
        }
        other => wait_for_state(o, draft, other),
    }
}

/// What an open fence asks for.
pub fn wait_for_fence(o: &Observed, draft: &mut FlinkJobUpgradeStatus, fence: Fence) -> Decision {
    match fence {
        Fence::Act(effect, next) => (Some(effect), Next::After(next)),
        Fence::Leaving(message) => {
            set_message(draft, &message);
            status::reconciling(o, draft, status::under_way(draft), &message);
            (None, Next::After(LEAVING))
        }
        Fence::Stuck(message) => {
            set_message(draft, &message);
            status::stalled(o, draft, Reason::PreviousJobNotFenced, &message);
            (None, Next::After(AT_REST))
        }
        Fence::Closed => (None, Next::Again),
    }
}

/// Says what a decision about the state waits for.
pub fn wait_for_state(o: &Observed, draft: &mut FlinkJobUpgradeStatus, answer: Answer) -> Decision {
    match answer {
        Answer::Wait(message) => {
            set_message(draft, &message);
            (None, Next::After(READING))
        }
        Answer::Stalled(reason, message) => {
            set_message(draft, &message);
            status::stalled(o, draft, reason, &message);
            (None, Next::After(AT_REST))
        }
        // The next pass reads what this one lacked.
        _ => (None, Next::After(READING)),
    }
}

fn question<'a>(
    o: &'a Observed,
    draft: &'a FlinkJobUpgradeStatus,
    upgrade: &'a UpgradeProgress,
    before: &'a Submission,
    waited: Duration,
) -> Question<'a> {
    let job = o.job(before.revision, &before.job_id);
    let active = draft.active.as_ref().filter(|active| active.submission.job_id == before.job_id);
    let recorded = active.and_then(|active| active.last_checkpoint.as_ref()?.path.as_deref());
    let told = job.and_then(|job| job.last_checkpoint.as_ref()).map(|(_, path)| path.as_str());
    let failed = o.savepoint.as_ref().and_then(|s| s.status.as_ref()?.phase) == Some(SavepointPhase::Failed);
    // What the spec allows is about the job that an upgrade ends, not about one that was lost since.
    let lost = recovery::is_recovery(draft) || upgrade.submission.is_some();
    Question {
        now: state_source::now(o, before),
        policy: if lost { UpgradeFrom::Checkpoint } else { o.upgrade.spec.upgrade_from() },
        savepoint_failed: upgrade.savepoint.is_some() && failed,
        waited,
        patience: patience(o),
        retained: &o.retained,
        told: told.or(upgrade.snapshot.as_deref()).or(recorded),
        restored_from: before.restored_from.as_deref(),
    }
}

fn waited(o: &Observed, upgrade: &UpgradeProgress) -> Duration {
    o.since(step_since(o, upgrade))
}

/// For how long a savepoint is worth waiting for: its own timeout.
fn patience(o: &Observed) -> Duration {
    child::upgrade_timeout(&o.upgrade.spec)
}
