//! Whether a job leaves checkpoints from which it could be started again. Its own code may say otherwise than its
//! configuration: then nobody but Flink knows.

use super::observed::Observed;
use super::status;
use crate::api::condition::{self, Reason, types};
use crate::api::{FlinkJobUpgrade, FlinkJobUpgradeStatus};
use crate::flink::{CheckpointsConfig, JobId};

/// The job at rest, while it was not asked yet.
#[must_use]
pub fn matters(upgrade: &FlinkJobUpgrade) -> Option<(i64, JobId)> {
    let status = upgrade.status.as_ref().filter(|s| s.upgrade.is_none())?;
    let active = status.active.as_ref()?;
    let told = condition::find(&status.conditions, types::RECOVERABLE);
    let known = told.is_some_and(|told| told.message.contains(&active.submission.job_id));
    let deleted = upgrade.metadata.deletion_timestamp.is_some();
    JobId::new(&active.submission.job_id).ok().filter(|_| !known && !deleted).map(|id| (active.revision, id))
}

/// Says so, once Flink has.
pub fn tell(o: &Observed, draft: &mut FlinkJobUpgradeStatus) {
    let (Some(config), Some((_, id))) = (&o.checkpoints_config, matters(&o.upgrade)) else { return };
    let (kept, reason, message) = judge(config, &id);
    status::recoverable(o, draft, kept, reason, &message);
}

fn judge(config: &CheckpointsConfig, id: &JobId) -> (bool, Reason, String) {
    let advice = "a lost job goes on from its last savepoint only";
    if config.is_off() {
        let message = format!("job {id} takes no checkpoints: {advice}; set execution.checkpointing.interval");
        return (false, Reason::CheckpointsOff, message);
    }
    if config.is_in_memory() {
        let message = format!(
            "job {id} has its checkpoints in the JobManager's memory: {advice}; set execution.checkpointing.dir, and no \
             checkpoint storage in the job's code"
        );
        return (false, Reason::CheckpointsInMemory, message);
    }
    if !config.are_kept() {
        let message = format!(
            "job {id} has Flink delete its checkpoints when it is cancelled or fails, by its own code or \
             execution.checkpointing.externalized-checkpoint-retention: then {advice}; ask for RETAIN_ON_CANCELLATION"
        );
        return (false, Reason::CheckpointsThrownAway, message);
    }
    (true, Reason::CheckpointsKept, format!("job {id} keeps its newest checkpoints, whatever becomes of it"))
}

#[cfg(test)]
#[path = "recoverable_tests.rs"]
mod tests;
