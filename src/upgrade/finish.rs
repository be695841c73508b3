//! How an upgrade ends: it succeeded, it failed with the old job untouched, or the old job was put back.

use super::observed::{JobFacts, Observed};
use super::status;
use super::strategy::prewarm;
use crate::api::condition::Reason;
use crate::api::{
    ActiveRevision, CheckpointRef, FlinkJobUpgradeStatus, HistoryEntry, JobPhase, Submission, UpgradeProgress,
    UpgradeResult, UpgradeStep,
};
use crate::time;

/// The new revision is stable: it becomes the active one.
pub fn succeeded(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress, job: &JobFacts) {
    let Some(mut submission) = upgrade.submission.clone() else { return };
    submission.checkpoint_directory = job.last_checkpoint.as_ref().and_then(|(_, path)| parent(path));
    record(o, draft, upgrade, UpgradeResult::Succeeded, None, None);
    draft.active = Some(ActiveRevision {
        revision: upgrade.to,
        revision_name: o.upgrade.spec.revision_name.clone(),
        submission,
        last_checkpoint: job.last_checkpoint.clone().map(|(id, path)| CheckpointRef {
            id,
            path: Some(path),
            time: Some(time::to_k8s(o.now)),
        }),
        ..ActiveRevision::default()
    });
    draft.failed_spec_hash = None;
    close(draft, JobPhase::Running);
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
    let last = draft.history.first().cloned();
    status::refusal(o, draft, last.as_ref());
}

/// The new revision refused the state or died: the old revision goes on from the savepoint, if there is one.
pub fn failed_after_the_stop(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    upgrade: &UpgradeProgress,
    reason: Reason,
    message: &str,
) {
    let Some(from) = upgrade.from else {
        failed_before_the_stop(o, draft, upgrade, reason, message);
        return;
    };
    if status::hands_over(upgrade) && upgrade.step == UpgradeStep::Stabilizing {
        let message = format!(
            "revision {}: {message}; it claimed the savepoint, so revision {from} can't go on from it",
            upgrade.to
        );
        status::stalled(o, draft, reason, &message);
        return;
    }
    if let Some(u) = &mut draft.upgrade {
        u.failure_reason = Some(reason);
        u.failure = Some(message.to_owned());
    }
    prewarm::step(o, draft, UpgradeStep::PuttingBack, message);
}

/// The old revision's job runs again, from the savepoint.
pub fn put_back(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress, submission: Submission) {
    let message = upgrade.failure.clone().unwrap_or_default();
    let reason = upgrade.failure_reason.unwrap_or(Reason::RolledBack);
    record(o, draft, upgrade, UpgradeResult::RolledBack, Some(reason), Some(&message));
    if let Some(active) = &mut draft.active {
        active.submission = submission;
    }
    draft.failed_spec_hash.clone_from(&upgrade.spec_hash);
    close(draft, JobPhase::Running);
    let last = draft.history.first().cloned();
    status::refusal(o, draft, last.as_ref());
}

fn close(draft: &mut FlinkJobUpgradeStatus, phase: JobPhase) {
    draft.upgrade = None;
    draft.operation = None;
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
    draft.history.insert(
        0,
        HistoryEntry {
            id: upgrade.id.clone(),
            from: upgrade.from,
            to: upgrade.to,
            savepoint: upgrade.savepoint.clone(),
            result,
            reason,
            downtime_seconds: stopped.zip(running).map(|(a, b)| time::seconds_between(a, b)),
            duration_seconds: upgrade.start_time.as_ref().map(|t| time::seconds_between(time::from_k8s(t), o.now)),
            message: message.map(str::to_owned),
            completion_time: Some(time::to_k8s(o.now)),
            rewind: None,
        },
    );
    let limit = o.upgrade.spec.revision_history_limit().max(1);
    draft.history.truncate(limit);
}

fn parent(path: &str) -> Option<String> {
    path.rsplit_once('/').map(|(directory, _)| directory.to_owned())
}
