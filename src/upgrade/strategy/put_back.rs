//! The way back: the new submission is ended and fenced, then the old revision's job goes on from the savepoint.

use super::prewarm::{self, Restored};
use super::{ending, recovery};
use crate::api::condition::Reason;
use crate::api::{FlinkJobUpgradeStatus, RestoreMode, Submission, UpgradeProgress};
use crate::reconcile::Next;
use crate::upgrade::fence::{self, Fence};
use crate::upgrade::observed::Observed;
use crate::upgrade::plan::{AT_REST, Decision, FAST, SLOW};
use crate::upgrade::{finish, status};

/// Carries the way back one step on.
pub fn decide(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    let (Some(from), Some(submission)) = (upgrade.from, &upgrade.submission) else {
        return (None, Next::After(AT_REST));
    };
    if submission.revision == from {
        go_on(o, draft, upgrade, from)
    } else {
        end_target(o, draft, upgrade, submission, from)
    }
}

/// Nothing is submitted to the old cluster before the submission before certainly processes nothing any more.
fn end_target(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    upgrade: &UpgradeProgress,
    submission: &Submission,
    from: i64,
) -> Decision {
    let fenced = if submission.revision == from {
        if let Some(decision) = recovery::note_the_loss(o, draft, upgrade, submission) {
            return decision;
        }
        fence::in_place(o, upgrade, submission)
    } else {
        fence::for_good(o, upgrade, submission)
    };
    if fenced != Fence::Closed {
        return ending::wait_for_fence(o, draft, fenced);
    }
    if let Some(decision) = recovery::cluster_is_missing(o, draft, from) {
        return decision;
    }
    let Some(old) = o.up(from) else { return (None, Next::After(SLOW)) };
    let path = upgrade.savepoint_location.clone();
    let submission = Submission {
        job_manager_instance: Some(old.instance.clone()),
        ..prewarm::new_submission(o, draft, from, path, RestoreMode::NoClaim)
    };
    if let Some(u) = &mut draft.upgrade {
        u.submission = Some(submission.clone());
    }
    prewarm::send(o, draft, upgrade, &submission)
}

/// The submission that was to put the old job back was lost with its JobManager: once it is fenced another one follows.
pub fn again(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    upgrade: &UpgradeProgress,
    submission: &Submission,
) -> Decision {
    prewarm::set_message(draft, "the old revision's JobManager restarted while its job was being put back");
    end_target(o, draft, upgrade, submission, submission.revision)
}

fn go_on(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress, from: i64) -> Decision {
    let Some(submission) = &upgrade.submission else { return (None, Next::After(AT_REST)) };
    let Some(job) = o.job(from, &submission.job_id) else {
        if fence::process_is_gone(o, submission) {
            return again(o, draft, upgrade, submission);
        }
        return prewarm::submit(o, draft, upgrade, from);
    };
    if let Some(failure) = prewarm::ended(job) {
        let message = format!("revision {from} can't be put back: {failure}");
        status::stalled(o, draft, Reason::RollbackFailed, &message);
        return (None, Next::After(AT_REST));
    }
    match prewarm::restored(job, submission) {
        Restored::AsAsked if job.all_tasks_running => {
            finish::put_back(o, draft, upgrade, submission.clone());
            (None, Next::Again)
        }
        Restored::Elsewhere(path) => {
            let message = format!("revision {from} can't be put back: Flink restored {path}");
            status::stalled(o, draft, Reason::RollbackFailed, &message);
            (None, Next::After(AT_REST))
        }
        _ => (None, Next::After(FAST)),
    }
}
