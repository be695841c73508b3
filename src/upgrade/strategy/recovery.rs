//! A job that was lost with its JobManager's process runs again: what may still process is fenced, and the job is
//! submitted anew from the newest verified checkpoint of the submission that was lost. With high availability Flink
//! recovers by itself, and this is for a job that its data was taken from.

use std::time::Duration;

use super::prewarm::{set_message, step, step_since};
use crate::api::condition::Reason;
use crate::api::{
    ActiveRevision, FlinkJobUpgradeStatus, JobPhase, Operation, OperationKind, Submission, UpgradeProgress,
    UpgradeResult, UpgradeStep,
};
use crate::naming;
use crate::reconcile::Next;
use crate::time;
use crate::upgrade::fence;
use crate::upgrade::heal::{self, Healing};
use crate::upgrade::observed::Observed;
use crate::upgrade::plan::{self, Decision, LEAVING};
use crate::upgrade::state_source::{self, Now};
use crate::upgrade::{finish, session, status, workload};

/// Submissions of one revision in an upgrade, each lost with its JobManager, after which the upgrade goes back.
const ATTEMPTS: i32 = 3;

/// Begins the recovery of the job that is meant to run.
pub fn begin(o: &Observed, draft: &mut FlinkJobUpgradeStatus, active: &ActiveRevision) -> Decision {
    let number = draft.last_submission.unwrap_or_default() + 1;
    let id = naming::recovery_id(status::uid(o), number);
    // A savepoint of the job has nothing left to be taken of: its lock is no reason to wait.
    draft.sweep = None;
    draft.operation = Some(Operation {
        id: id.clone(),
        kind: OperationKind::Recovery,
        savepoint: None,
        since: Some(time::to_k8s(o.now)),
    });
    draft.phase = Some(JobPhase::Recovering);
    draft.upgrade = Some(UpgradeProgress {
        id,
        from: Some(active.revision),
        to: active.revision,
        generation: o.upgrade.metadata.generation.unwrap_or_default(),
        start_time: Some(time::to_k8s_precise(o.now)),
        allow_non_restored_state: active.submission.allow_non_restored_state,
        spec_hash: Some(workload::attempt_hash(&o.upgrade.spec)),
        ..UpgradeProgress::default()
    });
    let message =
        format!("job {} was lost with its JobManager; what may still process is ended", active.submission.job_id);
    step(o, draft, UpgradeStep::Fencing, &message);
    (None, Next::Again)
}

/// A submission of this upgrade was lost with its JobManager, before it was known to be stable: another one follows, or
/// the way back.
pub fn again(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    let message = "the JobManager restarted before the job was stable";
    if upgrade.attempt >= ATTEMPTS && !is_recovery(draft) {
        return super::prewarm::failed(o, draft, upgrade, Reason::JobManagerLost, message);
    }
    step(o, draft, UpgradeStep::Fencing, message);
    (None, Next::Again)
}

/// Whether the last thing that happened was a recovery which Flink refused: it would only be refused again.
#[must_use]
pub fn was_refused(draft: &FlinkJobUpgradeStatus) -> bool {
    draft.history.first().is_some_and(|entry| {
        entry.result == UpgradeResult::Failed && entry.from == Some(entry.to) && !naming::is_suspend_id(&entry.id)
    })
}

/// Whether what is under way is a recovery.
#[must_use]
pub fn is_recovery(draft: &FlinkJobUpgradeStatus) -> bool {
    draft.operation.as_ref().is_some_and(|operation| operation.kind == OperationKind::Recovery)
}

/// With high availability a job that seemed to be lost may be there: then there is nothing to be submitted.
#[must_use]
pub fn came_back(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    upgrade: &UpgradeProgress,
    before: &Submission,
) -> Option<Decision> {
    o.job(before.revision, &before.job_id).filter(|job| before.high_availability && !job.state.is_terminal())?;
    if upgrade.submission.is_some() {
        step(o, draft, UpgradeStep::Restoring, "Flink has recovered the job by itself");
    } else {
        finish::given_up(o, draft, upgrade, "Flink has recovered the job by itself");
    }
    Some((None, Next::Again))
}

/// Records which TaskManager pods knew the JobManager's process that is gone: those that are there as soon as that is
/// seen. Later ones know only its successor. `None`: that is recorded, or nothing is gone.
#[must_use]
pub fn note_the_loss(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    upgrade: &UpgradeProgress,
    before: &Submission,
) -> Option<Decision> {
    let gone = fence::is_lost(o, before) && upgrade.lost_instance != before.job_manager_instance;
    if !gone {
        return None;
    }
    if let Some(u) = &mut draft.upgrade {
        u.lost_instance.clone_from(&before.job_manager_instance);
        u.fenced_pods = fence::task_managers(o, before.revision);
    }
    Some((None, Next::Again))
}

/// Somebody has made sure of what can't be fenced: the job goes on with a new set of objects, and nothing old is waited
/// for.
pub fn elsewhere(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    finish::given_up(o, draft, upgrade, "the job before could not be fenced, and somebody has made sure of it");
    plan::begin(o, draft, Some(upgrade.to), None)
}

/// The objects of the revision that is submitted to are made again if some are gone; then its JobManager is waited for.
#[must_use]
pub fn cluster_is_missing(o: &Observed, draft: &mut FlinkJobUpgradeStatus, revision: i64) -> Option<Decision> {
    if o.session.is_some() {
        return session::brings_the_jar(o, draft, revision);
    }
    let soon = match heal::decide(o, draft, revision) {
        Healing::Nothing => LEAVING,
        Healing::Now(decision) => return Some(decision),
        Healing::Later(wait) => wait.min(LEAVING),
    };
    if o.up(revision).is_none() {
        let message = format!("the JobManager of revision {revision} is being waited for: {}", o.why_down(revision));
        set_message(draft, &message);
        status::reconciling(o, draft, status::under_way(draft), &message);
        return Some((None, Next::After(soon)));
    }
    None
}

/// Whether the old job was lost while the new revision's pods, which are not there yet, take longer than they should: it
/// is recovered first.
#[must_use]
pub fn comes_first(o: &Observed, draft: &FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> bool {
    let lost = |active: &ActiveRevision| state_source::now(o, &active.submission) == Now::Lost;
    o.since(step_since(o, upgrade)) > PREPARES && draft.active.as_ref().is_some_and(lost)
}

/// A new revision's pods that take longer are no short cut to a job that runs.
const PREPARES: Duration = Duration::from_secs(60);
