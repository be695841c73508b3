//! The way back: the new submission is ended and fenced, then the old revision's job goes on from the savepoint.

use std::time::Duration;

use super::prewarm::{self, Restored};
use crate::api::condition::Reason;
use crate::api::{FlinkJobUpgradeStatus, RestoreMode, Submission, UpgradeProgress};
use crate::flink::JobId;
use crate::naming;
use crate::reconcile::Next;
use crate::time;
use crate::upgrade::observed::{Cluster, Observed};
use crate::upgrade::plan::{AT_REST, Decision, Effect, FAST, SLOW};
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

/// Nothing is submitted to the old cluster before the new submission certainly processes nothing any more.
fn end_target(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    upgrade: &UpgradeProgress,
    submission: &Submission,
    from: i64,
) -> Decision {
    let target = o.revisions.get(&upgrade.to);
    let fenced = match target.map(|r| &r.cluster) {
        Some(Cluster::Up(up)) if submission.job_manager_instance.as_deref() == Some(up.instance.as_str()) => {
            match JobId::new(&submission.job_id).ok().and_then(|id| up.jobs.get(&id).map(|s| (id, *s))) {
                Some((id, state)) if !state.is_terminal() => {
                    return (Some(Effect::Cancel(upgrade.to, id)), Next::After(FAST));
                }
                _ => true,
            }
        }
        // Its JobManager can't say: then its pods go, and only their absence proves the end.
        _ => match target {
            Some(r) if r.objects > 0 => return (Some(Effect::DeleteObjects(upgrade.to)), Next::After(SLOW)),
            Some(r) => r.pods.is_empty(),
            None => true,
        },
    };
    if !fenced {
        prewarm::set_message(draft, "waiting until the new revision's pods are gone");
        return (None, Next::After(Duration::from_millis(200)));
    }
    let Some(old) = o.up(from) else {
        prewarm::set_message(draft, "the old revision's JobManager gives no answer");
        return (None, Next::After(SLOW));
    };
    let submission = Submission {
        // The number of the failed revision is used once, so the id is new for every way back.
        job_id: naming::job_id(status::uid(o), from, upgrade.to),
        revision: from,
        job_manager_instance: Some(old.instance.clone()),
        restored_from: upgrade.savepoint_location.clone(),
        restore_mode: upgrade.savepoint_location.as_ref().map(|_| RestoreMode::NoClaim),
        since: Some(time::to_k8s_precise(o.now)),
        ..Submission::default()
    };
    if let Some(u) = &mut draft.upgrade {
        u.submission = Some(submission.clone());
    }
    prewarm::send(o, draft, upgrade, &submission)
}

fn go_on(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress, from: i64) -> Decision {
    let Some(submission) = &upgrade.submission else { return (None, Next::After(AT_REST)) };
    let Some(job) = o.job(from, &submission.job_id) else {
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
