//! What a pass has to read: decided from the recorded status alone, so that what it decides later never depends on
//! something that it did not look at.

use std::collections::BTreeMap;

use super::strategy::{blue_green, recreate};
use crate::api::{
    FlinkJobUpgrade, FlinkJobUpgradeStatus, JobState, PreflightResult, PreflightState, RestoreFrom, StateSource,
    Submission, UpgradeProgress, UpgradeStep,
};
use crate::flink::JobId;
use crate::holds::references;

/// What a pass reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every object of the job, by lists. A list waits until the API server's cache has caught up with the last write,
    /// which took 50 to 80 ms on Kubernetes 1.35; a GET takes 3 ms.
    Whole,
    /// The objects of these revisions that lead to their JobManagers, by their names: enough from the warm-up to the
    /// first checkpoint, where the job is down and every millisecond counts.
    Revisions,
}

/// What the job needs read in its present state.
#[must_use]
pub fn of(upgrade: &FlinkJobUpgrade) -> Scope {
    let deleted = upgrade.metadata.deletion_timestamp.is_some();
    match under_way(upgrade) {
        Some(u) if !deleted && by_name(u) => Scope::Revisions,
        _ => Scope::Whole,
    }
}

/// The revisions whose JobManagers are asked, each with the job that matters there.
#[must_use]
pub fn jobs_of_interest(upgrade: &FlinkJobUpgrade) -> BTreeMap<i64, Option<JobId>> {
    let mut jobs: BTreeMap<i64, Option<JobId>> = BTreeMap::new();
    let under_way = under_way(upgrade);
    // While the new revision comes up or takes over, nothing depends on the old one's JobManager.
    let new_only = |u: &UpgradeProgress| by_name(u) && u.step != UpgradeStep::Savepoint;
    if !under_way.is_some_and(new_only) || of(upgrade) == Scope::Whole {
        let active = upgrade.status.as_ref().and_then(|s| s.active.as_ref());
        jobs.extend(active.map(|a| (a.revision, JobId::new(&a.submission.job_id).ok())));
    }
    if let Some(u) = under_way {
        if let Some(submission) = &u.submission {
            jobs.insert(submission.revision, JobId::new(&submission.job_id).ok());
        }
        jobs.entry(u.to).or_default();
    }
    jobs
}

/// Whether slots matter: before the submit.
#[must_use]
pub fn slots_matter(upgrade: &FlinkJobUpgrade) -> bool {
    use UpgradeStep::{Preflight, PuttingBack, Starting, Swapping, WarmingUp};
    under_way(upgrade).is_some_and(|u| match u.step {
        Starting | Preflight | WarmingUp | Swapping => true,
        PuttingBack => recreate::applies(u),
        _ => false,
    })
}

/// Whether nothing is under way or asked for.
#[must_use]
pub fn at_rest(upgrade: &FlinkJobUpgrade) -> bool {
    let status = upgrade.status.as_ref();
    let seen = status.and_then(|s| s.observed_generation) == upgrade.metadata.generation;
    seen && upgrade.metadata.deletion_timestamp.is_none() && status.is_some_and(|s| s.upgrade.is_none())
}

/// Whether a revision's record matters: it says what is submitted, and how its objects were made. Of a former revision it
/// is enough that there is one.
#[must_use]
pub fn record_matters(upgrade: &FlinkJobUpgrade, revision: i64) -> bool {
    let under_way = under_way(upgrade);
    if of(upgrade) == Scope::Revisions {
        let submits = |u: &UpgradeProgress| !matches!(u.step, UpgradeStep::Restoring | UpgradeStep::Stabilizing);
        return under_way.is_some_and(|u| u.to == revision && submits(u));
    }
    let status = upgrade.status.as_ref();
    let active = status.and_then(|s| s.active.as_ref()).map(|active| active.revision);
    let suspended = status.and_then(|s| s.suspension.as_ref()).map(|suspension| suspension.revision);
    let moves = under_way.into_iter().flat_map(|u| [Some(u.to), u.from]).flatten();
    let submitted = submissions(upgrade).map(|submission| submission.revision);
    active.into_iter().chain(suspended).chain(moves).chain(submitted).any(|number| number == revision)
}

/// Whether a JobManager is asked for a moment until the job's tasks run: the job is down, and nothing else that a pass
/// reads changes meanwhile.
#[must_use]
pub fn waits_for_tasks(upgrade: &FlinkJobUpgrade) -> bool {
    let waits = |u: &UpgradeProgress| matches!(u.step, UpgradeStep::Submitting | UpgradeStep::Restoring);
    of(upgrade) == Scope::Revisions && under_way(upgrade).is_some_and(waits)
}

/// Whether the operation's savepoint matters: until the job is submitted.
#[must_use]
pub fn savepoint_matters(upgrade: &FlinkJobUpgrade) -> bool {
    of(upgrade) == Scope::Whole || under_way(upgrade).is_some_and(|u| u.step == UpgradeStep::Savepoint)
}

/// Whether the snapshot that a new job is held against matters: for its preflight, and again before its submit where only
/// some operators may be dropped.
#[must_use]
pub fn newest_matters(upgrade: &FlinkJobUpgrade) -> bool {
    let asks = |p: &PreflightResult| p.state == PreflightState::Running;
    let by_name = |p: &PreflightResult| !p.operator_ids.is_empty();
    under_way(upgrade).is_some_and(|u| match u.step {
        UpgradeStep::Preflight => u.preflight.as_ref().is_none_or(asks),
        UpgradeStep::Savepoint | UpgradeStep::Fencing => u.preflight.as_ref().is_some_and(by_name),
        _ => false,
    })
}

/// The submission whose newest retained checkpoint matters: while one is chosen, and again once it is fenced.
#[must_use]
pub fn retained_matters(upgrade: &FlinkJobUpgrade) -> Option<Submission> {
    let status = upgrade.status.as_ref()?;
    let u = under_way(upgrade)?;
    match u.step {
        UpgradeStep::Checkpoint | UpgradeStep::Fencing => subject(status, u).cloned(),
        // Of the old job that was put back: it may have come on before it was lost again.
        UpgradeStep::PuttingBack => u.submission.clone().filter(|s| u.from == Some(s.revision)),
        _ => None,
    }
}

/// The submission that has to be fenced before the next one: of this upgrade, if it has made one, else the active one.
#[must_use]
pub fn subject<'a>(status: &'a FlinkJobUpgradeStatus, upgrade: &'a UpgradeProgress) -> Option<&'a Submission> {
    upgrade.submission.as_ref().or_else(|| status.active.as_ref().map(|active| &active.submission))
}

/// The submissions that the status tells of: the active one, and that of the upgrade under way.
pub fn submissions(upgrade: &FlinkJobUpgrade) -> impl Iterator<Item = &Submission> {
    let status = upgrade.status.as_ref();
    let active = status.and_then(|s| s.active.as_ref()).map(|active| &active.submission);
    active.into_iter().chain(status.and_then(|s| s.upgrade.as_ref()).and_then(|u| u.submission.as_ref()))
}

/// Whether the objects of the revisions are compared with their records: where a revision is to run as it was made, at
/// rest, until it is promoted, or to be submitted to once more; and where TaskManagers change places, as they do under a resource that is deleted, too.
#[must_use]
pub fn drift_matters(upgrade: &FlinkJobUpgrade) -> bool {
    use UpgradeStep::{Fencing, Promotion, PuttingBack, Swapping};
    let runs = upgrade.status.as_ref().is_some_and(|s| s.active.is_some());
    let submits = |u: &UpgradeProgress| matches!(u.step, Fencing | PuttingBack | Promotion);
    let swaps = |u: &UpgradeProgress| recreate::applies(u) && matches!(u.step, Swapping | PuttingBack);
    under_way(upgrade).is_some_and(swaps)
        || upgrade.metadata.deletion_timestamp.is_none() && runs && under_way(upgrade).is_none_or(submits)
}

/// Whether state of earlier jobs of this name matters: before the first start.
#[must_use]
pub fn existing_matters(upgrade: &FlinkJobUpgrade) -> bool {
    let status = upgrade.status.as_ref();
    upgrade.metadata.deletion_timestamp.is_none()
        && upgrade.spec.job.restore_from.is_none()
        && upgrade.spec.job.state() == JobState::Running
        && status.is_none_or(|s| s.active.is_none() && s.upgrade.is_none() && s.suspension.is_none())
}

/// Whether it matters what earlier operations have left: while nothing is under way.
#[must_use]
pub fn children_matter(upgrade: &FlinkJobUpgrade) -> bool {
    upgrade.metadata.deletion_timestamp.is_none() && under_way(upgrade).is_none()
}

/// What the job shall start from, if the spec says so under an id that was not acted on.
#[must_use]
pub fn restore_matters(upgrade: &FlinkJobUpgrade) -> Option<RestoreFrom> {
    let status = upgrade.status.as_ref();
    let idle = upgrade.metadata.deletion_timestamp.is_none()
        && upgrade.spec.job.state() == JobState::Running
        && status.is_none_or(|s| s.upgrade.is_none());
    references::pending_restore(upgrade).filter(|_| idle).cloned()
}

/// The revision whose own JobManager calls `main()` for the preflight, on a session cluster.
#[must_use]
pub fn preflight_at(upgrade: &FlinkJobUpgrade) -> Option<i64> {
    let asks = |u: &&UpgradeProgress| matches!(u.step, UpgradeStep::Starting | UpgradeStep::Preflight);
    under_way(upgrade).filter(asks).map(|u| u.to)
}

/// The job on a session cluster that is ended by a cancel though its checkpoints are its successor's state.
#[must_use]
pub fn cancelled_for_its_checkpoint(upgrade: &FlinkJobUpgrade) -> Option<(i64, JobId)> {
    upgrade.spec.flink_cluster.as_ref()?;
    let ends = |u: &&UpgradeProgress| u.step == UpgradeStep::Fencing && u.source == Some(StateSource::Checkpoint);
    let submission = subject(upgrade.status.as_ref()?, under_way(upgrade).filter(ends)?)?;
    JobId::new(&submission.job_id).ok().map(|id| (submission.revision, id))
}

/// Whether all failures of a job matter: while it is decided how it ends.
#[must_use]
pub fn failures_matter(upgrade: &FlinkJobUpgrade) -> bool {
    under_way(upgrade).is_some_and(|u| {
        matches!(
            u.step,
            UpgradeStep::Savepoint | UpgradeStep::Checkpoint | UpgradeStep::Restoring | UpgradeStep::Stabilizing
        )
    })
}

fn under_way(upgrade: &FlinkJobUpgrade) -> Option<&UpgradeProgress> {
    upgrade.status.as_ref()?.upgrade.as_ref()
}

/// Where two jobs run side by side nothing is down, and both matter all the time.
fn by_name(upgrade: &UpgradeProgress) -> bool {
    use UpgradeStep::{Restoring, Savepoint, Stabilizing, Submitting, WarmingUp};
    matches!(upgrade.step, WarmingUp | Savepoint | Submitting | Restoring | Stabilizing)
        && !blue_green::applies(upgrade)
}
