//! How far a step of an upgrade has come. The deadline is about time without progress: pods that find a node and start,
//! slots, tasks that run, checkpoints, bytes of the one under way. Only more than ever before is progress, so that pods
//! and jobs in a crash loop make none.

use std::time::Duration;

use super::observed::{Container, Observed, Revision};
use super::strategy::prewarm;
use crate::api::{FlinkJobUpgradeStatus, UpgradeProgress, UpgradeStep};
use crate::time;

/// Progress is noted no more often than this, so that it causes few writes while the job may be down.
const NOTED_EVERY: Duration = Duration::from_secs(5);

/// What has come up so far, added up.
fn score(o: &Observed, upgrade: &UpgradeProgress) -> i64 {
    let revision = o.revisions.get(&upgrade.to);
    let pods = |r: &Revision| {
        r.pods
            .iter()
            .map(|pod| i64::from(pod.node.is_some()) + i64::from(pod.container == Container::Runs))
            .sum::<i64>()
    };
    let slots = o.up(upgrade.to).and_then(|up| up.free_slots).unwrap_or_default();
    let submission = upgrade.submission.as_ref();
    let job = submission.and_then(|s| o.job(s.revision, &s.job_id)).map_or(0, |job| {
        job.tasks_running.saturating_add(job.completed_checkpoints).saturating_add(job.checkpoint_bytes)
    });
    revision.map_or(0, pods).saturating_add(i64::from(slots)).saturating_add(job)
}

/// Notes progress, in the steps that have a deadline.
pub fn note(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) {
    use UpgradeStep::{Preflight, Restoring, Stabilizing, Starting, Submitting, Swapping, WarmingUp};
    if !matches!(upgrade.step, Starting | Preflight | WarmingUp | Swapping | Submitting | Restoring | Stabilizing) {
        return;
    }
    let score = score(o, upgrade);
    // The beginning of a step is noted by itself.
    if score <= upgrade.progress || stuck_for(o, upgrade) < NOTED_EVERY {
        return;
    }
    if let Some(u) = &mut draft.upgrade {
        u.progress = score;
        u.progress_time = Some(time::to_k8s_precise(o.now));
    }
}

/// For how long a step has made no progress.
#[must_use]
pub fn stuck_for(o: &Observed, upgrade: &UpgradeProgress) -> Duration {
    let step = o.since(prewarm::step_since(o, upgrade));
    upgrade.progress_time.as_ref().map_or(step, |noted| step.min(o.since(time::from_k8s(noted))))
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
