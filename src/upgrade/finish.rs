//! How an upgrade ends: it succeeded, it failed with the old job untouched, or the old job was put back.

use super::observed::{JobFacts, Observed};
use super::snapshots;
use super::status;
use super::strategy::{blue_green, prewarm};
use super::suspend;
use crate::api::annotations::ROLLBACK;
use crate::api::condition::Reason;
use crate::api::{
    ActiveRevision, Automation, CheckpointRef, FlinkJobUpgradeStatus, HistoryEntry, JobPhase, OperationKind,
    PreflightResult, Submission, Suspension, UpgradeProgress, UpgradeResult, UpgradeStep,
};
use crate::time;

/// The new revision is stable: it becomes the active one. `job`: what its JobManager says of its job, if it does.
pub fn succeeded(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress, job: Option<&JobFacts>) {
    let Some(mut submission) = upgrade.submission.clone() else { return };
    let last_checkpoint = job.and_then(|job| job.last_checkpoint.clone());
    submission.checkpoint_directory = last_checkpoint.as_ref().and_then(|(_, path)| parent(path));
    submission.checkpointed = last_checkpoint.is_some() && submission.restored_from.is_some();
    record(o, draft, upgrade, UpgradeResult::Succeeded, None, upgrade.failure.as_deref());
    draft.active = Some(ActiveRevision {
        revision: upgrade.to,
        revision_name: o.upgrade.spec.revision_name.clone(),
        color: upgrade.color.clone(),
        submission,
        last_checkpoint: last_checkpoint.map(|(id, path)| CheckpointRef {
            id,
            path: Some(path),
            time: Some(time::to_k8s(o.now)),
        }),
    });
    draft.failed_spec_hash = None;
    draft.restore_from_id = upgrade.restore_from_id.clone().or(draft.restore_from_id.take());
    draft.suspension = None;
    close(draft, JobPhase::Running);
}

/// The job was ended as the spec asks, and nothing takes its place.
pub fn suspended(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress, suspension: Suspension) {
    let message = format!("its next start goes on from {}", suspend::state(&suspension));
    record(o, draft, upgrade, UpgradeResult::Suspended, None, Some(&message));
    draft.active = None;
    draft.suspension = Some(suspension);
    draft.failed_spec_hash = None;
    close(draft, JobPhase::Suspending);
}

/// The job that was lost runs again.
pub fn recovered(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress, submission: Submission) {
    let message = match &submission.restored_from {
        Some(path) => format!("from {path}"),
        None => "without state, as it had none yet".to_owned(),
    };
    record(o, draft, upgrade, UpgradeResult::Recovered, None, Some(&message));
    runs_again(o, draft, submission);
    close(draft, JobPhase::Running);
}

/// What was under way is given up for something that follows at once.
pub fn given_up(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress, message: &str) {
    record(o, draft, upgrade, UpgradeResult::Superseded, None, Some(message));
    close(draft, JobPhase::Running);
}

/// Flink refused the submit: nothing of it runs.
pub fn refused(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress, cause: &str) {
    if goes_back(upgrade) || blue_green::before_promotion(upgrade) {
        failed_after_the_stop(o, draft, upgrade, Reason::SubmitFailed, cause);
    } else {
        // What it was submitted from stays the state to start from.
        failed_before_the_stop(o, draft, upgrade, Reason::SubmitFailed, cause);
        if draft.active.is_some() {
            draft.phase = Some(JobPhase::Failed);
        }
    }
}

/// Why nothing is put back by itself, and what helps.
fn stays(o: &Observed, upgrade: &UpgradeProgress, reason: Reason) -> Option<String> {
    let spec = &o.upgrade.spec;
    if !goes_back(upgrade) {
        return Some(
            "there is no revision to go back to; change the spec, and the job goes on from its state".to_owned(),
        );
    }
    // Flink deletes it as soon as the job has checkpoints enough of its own.
    if status::hands_over(upgrade) && (upgrade.step == UpgradeStep::Stabilizing || rewind(o, upgrade).is_some()) {
        let from = upgrade.from.unwrap_or_default();
        return Some(format!("it claimed the savepoint, so revision {from} can't go on from it; change the spec"));
    }
    if status::is_annotated(o, ROLLBACK, &upgrade.id) {
        return None;
    }
    let by_hand =
        format!("change the spec, or go back: kubectl annotate fju {} {ROLLBACK}={}", status::name(o), upgrade.id);
    if spec.rollback_policy() == Automation::Manual {
        return Some(format!("upgrade.rollback.policy is Manual; {by_hand}"));
    }
    // What a job did that was never given its state is no progress.
    let rewind = rewind(o, upgrade).filter(|_| !spec.allow_rewind() && reason != Reason::RestoreMismatch)?;
    Some(format!(
        "to go back would undo what it did since ({rewind}), which upgrade.rollback.allowRewind does not allow; {by_hand}"
    ))
}

/// What going back undoes: what the new job did since its first completed checkpoint.
fn rewind(o: &Observed, upgrade: &UpgradeProgress) -> Option<String> {
    let submission = upgrade.submission.as_ref()?;
    let job = o.job(submission.revision, &submission.job_id).filter(|job| job.completed_checkpoints > 0)?;
    let (id, path) = job.last_checkpoint.as_ref()?;
    Some(format!("{} checkpoints of job {}, up to {id}: {path}", job.completed_checkpoints, job.id))
}

/// There is an old job that ran until it was stopped, and its savepoint: it can be put back.
fn goes_back(upgrade: &UpgradeProgress) -> bool {
    upgrade.savepoint_location.is_some() && upgrade.from.is_some_and(|from| from != upgrade.to)
}

/// A newer spec took over before anything happened to the old job.
pub fn abandoned(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) {
    record(o, draft, upgrade, UpgradeResult::Superseded, None, Some("the spec changed before the old job was stopped"));
    let phase = if upgrade.from.is_some() { JobPhase::Running } else { JobPhase::Pending };
    close(draft, phase);
}

/// The new revision can't start, or no savepoint could be taken: the old job runs on as it was.
pub fn failed_before_the_stop(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    upgrade: &UpgradeProgress,
    reason: Reason,
    message: &str,
) {
    record(o, draft, upgrade, UpgradeResult::Failed, Some(reason), Some(message));
    draft.failed_spec_hash.clone_from(&upgrade.spec_hash);
    close(draft, if upgrade.from.is_some() { JobPhase::Running } else { JobPhase::Failed });
    status::refusal(o, draft);
}

/// The new revision refused the state or died: the old revision goes on from the savepoint, if there is one.
pub fn failed_after_the_stop(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    upgrade: &UpgradeProgress,
    reason: Reason,
    message: &str,
) {
    if blue_green::before_promotion(upgrade) {
        blue_green::discard(o, draft, Some(reason), message);
        return;
    }
    let ended =
        upgrade.submission.as_ref().and_then(|s| o.job(s.revision, &s.job_id)).is_none_or(|j| j.state.is_terminal());
    let submitted = matches!(upgrade.step, UpgradeStep::Restoring | UpgradeStep::Stabilizing);
    if !goes_back(upgrade) && (ended || !submitted) {
        failed_for_good(o, draft, upgrade, reason, message);
        return;
    }
    if let Some(u) = &mut draft.upgrade {
        u.failure_reason = Some(reason);
        u.failure = Some(message.to_owned());
    }
    if let Some(why) = stays(o, upgrade, reason) {
        status::stalled(o, draft, reason, &format!("revision {}: {message}; {why}", upgrade.to));
        return;
    }
    if let Some(u) = &mut draft.upgrade {
        u.rewind = rewind(o, upgrade);
    }
    prewarm::step(o, draft, UpgradeStep::PuttingBack, message);
}

/// A newer spec takes the place of a revision that did not become stable, at once: it starts from that one's state.
pub fn replaced(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) {
    let reason = upgrade.failure_reason.unwrap_or(Reason::JobFailed);
    let message = upgrade.failure.clone().unwrap_or_default();
    failed_for_good(o, draft, upgrade, reason, &message);
}

/// There is no way back: the submission that failed is the job, and what follows starts from its state.
fn failed_for_good(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    upgrade: &UpgradeProgress,
    reason: Reason,
    message: &str,
) {
    failed_before_the_stop(o, draft, upgrade, reason, message);
    if let Some(submission) = upgrade.submission.clone() {
        let target = submission.revision == upgrade.to;
        draft.active = Some(ActiveRevision {
            revision: submission.revision,
            revision_name: o.upgrade.spec.revision_name.clone().filter(|_| target),
            // Of a recovery, which has none of its own, it is what it was.
            color: upgrade.color.clone().filter(|_| target).or(draft.active.take().and_then(|active| active.color)),
            submission,
            ..ActiveRevision::default()
        });
        draft.restore_from_id = upgrade.restore_from_id.clone().or(draft.restore_from_id.take());
        draft.suspension = None;
    }
    draft.phase = Some(JobPhase::Failed);
}

/// The old revision's job runs again, from the savepoint.
pub fn put_back(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress, submission: Submission) {
    let message = upgrade.failure.clone().unwrap_or_default();
    let reason = upgrade.failure_reason.unwrap_or(Reason::RolledBack);
    record(o, draft, upgrade, UpgradeResult::RolledBack, Some(reason), Some(&message));
    runs_again(o, draft, submission);
    draft.failed_spec_hash.clone_from(&upgrade.spec_hash);
    close(draft, JobPhase::Running);
    status::refusal(o, draft);
}

/// The active revision runs under another submission.
fn runs_again(o: &Observed, draft: &mut FlinkJobUpgradeStatus, submission: Submission) {
    if let Some(active) = &mut draft.active {
        // Until Flink tells of another.
        let checkpoint_directory = snapshots::directory(o, &submission);
        active.submission = Submission { checkpoint_directory, ..submission };
    }
}

fn close(draft: &mut FlinkJobUpgradeStatus, phase: JobPhase) {
    draft.upgrade = None;
    // While a promotion is waited for the lock may be somebody else's.
    draft.operation.take_if(|operation| operation.kind != OperationKind::Savepoint);
    draft.next = None;
    draft.phase = Some(phase);
}

/// Newest first, as many as the history shall hold.
fn record(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    upgrade: &UpgradeProgress,
    result: UpgradeResult,
    reason: Option<Reason>,
    message: Option<&str>,
) {
    let stopped = upgrade.stopped_at.as_ref().map(time::from_k8s);
    let running = upgrade.running_at.as_ref().map(time::from_k8s);
    let running = if result == UpgradeResult::RolledBack { Some(o.now) } else { running };
    let submission = draft.upgrade.as_ref().unwrap_or(upgrade).submission.clone();
    let restored = submission.filter(|submission| submission.restore_confirmed);
    draft.history.insert(
        0,
        HistoryEntry {
            id: upgrade.id.clone(),
            from: upgrade.from,
            to: upgrade.to,
            savepoint: upgrade.savepoint.clone(),
            // One that came to nothing is told of in the message.
            final_savepoint: upgrade.final_savepoint.clone().filter(|_| upgrade.failure.is_none()),
            restored_from: restored.as_ref().and_then(|s| s.restored_from.clone()),
            restore_mode: restored.as_ref().and_then(|s| s.restore_mode),
            allow_non_restored_state: restored.as_ref().and_then(|s| s.allow_non_restored_state),
            result,
            reason,
            // Of two that ran side by side the new one began before the old one ended.
            downtime_seconds: stopped.zip(running).map(|(a, b)| time::seconds_between(a, b).max(0.0)),
            duration_seconds: upgrade.start_time.as_ref().map(|t| time::seconds_between(time::from_k8s(t), o.now)),
            message: message.map(str::to_owned),
            completion_time: Some(time::to_k8s(o.now)),
            rewind: upgrade.rewind.clone(),
            // How it was asked matters only while it is.
            preflight: upgrade.preflight.clone().map(|found| PreflightResult {
                job_manager_instance: None,
                since: None,
                attempts: 0,
                operator_ids: Vec::new(),
                ..found
            }),
        },
    );
    cut(&mut draft.history, o.upgrade.spec.revision_history_limit().max(1));
}

/// So many upgrades are kept, and so many of all else: a job that is lost ten times a night keeps its ways back.
fn cut(history: &mut Vec<HistoryEntry>, limit: usize) {
    let (mut upgrades, mut others) = (0, 0);
    history.retain(|entry| {
        let moved = matches!(entry.result, UpgradeResult::Succeeded | UpgradeResult::RolledBack);
        let number = if moved { &mut upgrades } else { &mut others };
        *number += 1;
        *number <= limit
    });
}

fn parent(path: &str) -> Option<String> {
    path.rsplit_once('/').map(|(directory, _)| directory.to_owned())
}

#[cfg(test)]
#[path = "finish_tests.rs"]
mod tests;
