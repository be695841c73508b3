//! The way back: the new submission is ended and fenced, then the old revision's job goes on from the savepoint.

use std::time::Duration;

use super::confirm::{self, Restored};
use super::{ending, prewarm, recovery, recreate};
use crate::api::condition::{self, Reason, types};
use crate::api::{FlinkJobUpgradeStatus, RestoreMode, StateSource, Submission, UpgradeFrom, UpgradeProgress};
use crate::reconcile::Next;
use crate::upgrade::fence::{self, Fence};
use crate::upgrade::observed::{Observed, Pod, Retained};
use crate::upgrade::plan::{AT_REST, Decision, FAST, SLOW};
use crate::upgrade::state_source::{self, Answer, Now, Question};
use crate::upgrade::{finish, session, status};

/// Carries the way back one step on.
pub fn decide(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    let Some(from) = upgrade.from else { return (None, Next::After(AT_REST)) };
    match &upgrade.submission {
        // The old job was fenced, and the new one never submitted.
        None => resume(o, draft, upgrade, None, from),
        Some(submission) if submission.revision == from => go_on(o, draft, upgrade, from),
        Some(submission) => end_target(o, draft, upgrade, submission, from),
    }
}

/// Whether there is no way back without help.
pub fn is_stuck(draft: &FlinkJobUpgradeStatus) -> bool {
    let stuck = [Reason::RollbackFailed, Reason::RevisionChanged].map(Reason::as_str);
    condition::find(&draft.conditions, types::STALLED).is_some_and(|c| stuck.contains(&c.reason.as_str()))
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
    resume(o, draft, upgrade, Some(submission), from)
}

/// The old revision's job is submitted again.
fn resume(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    upgrade: &UpgradeProgress,
    before: Option<&Submission>,
    from: i64,
) -> Decision {
    if recreate::applies(upgrade)
        && let Some(decision) = recreate::change_places(o, draft, upgrade.to, from)
    {
        return decision;
    }
    if let Some(decision) = recovery::cluster_is_missing(o, draft, from) {
        return decision;
    }
    let Some(old) = o.up(from) else { return (None, Next::After(SLOW)) };
    if let Some(message) = changed_since(o, draft, from) {
        prewarm::set_message(draft, &message);
        status::stalled(o, draft, Reason::RevisionChanged, &message);
        return (None, Next::After(AT_REST));
    }
    let path = match state(o, upgrade, before, from) {
        Answer::Start(_, path) => path,
        other => return ending::wait_for_state(o, draft, other),
    };
    let submission = Submission {
        job_manager_instance: Some(old.instance.clone()),
        ..prewarm::new_submission(o, draft, from, path, RestoreMode::NoClaim)
    };
    if let Some(u) = &mut draft.upgrade {
        u.submission = Some(submission.clone());
    }
    prewarm::send(o, draft, upgrade, &submission)
}

/// A revision whose image or jar has other bytes than when it ran is not what is to be gone back to: a tag may have
/// moved before its pods were made anew.
fn changed_since(o: &Observed, draft: &FlinkJobUpgradeStatus, from: i64) -> Option<String> {
    let ran = &draft.active.as_ref().filter(|active| active.revision == from)?.submission;
    let pods = o.revisions.get(&from)?.pods.iter().filter(|pod| !pod.leaving);
    let differs = |was: &Option<String>, is: &Option<String>| {
        was.as_ref().zip(is.as_ref()).filter(|(was, is)| was != is).map(|(was, is)| format!("{is}, it ran with {was}"))
    };
    let uploaded = session::jar(o, from).map(|jar| jar.sha256.clone());
    let of_session =
        differs(&ran.jar_sha256, &uploaded).map(|differs| ("the session cluster".to_owned(), ("jar", differs)));
    let image = |pod: &Pod| Some(("image", differs(&ran.image_digest, &pod.image_digest)?));
    let jar = |pod: &Pod| Some(("jar", differs(&ran.jar_sha256, &pod.jar_sha256)?));
    let mut changed = pods.filter_map(|pod| Some((format!("pod {}", pod.name), image(pod).or_else(|| jar(pod))?)));
    let (holder, (what, differs)) = changed.next().or(of_session)?;
    Some(format!(
        "revision {from} can't be put back: its {what} is not what it was ({holder} has {differs}); use an image by its \
         digest, and change the spec to go on from {}",
        draft.upgrade.as_ref().and_then(|u| u.savepoint_location.as_deref()).unwrap_or("the savepoint")
    ))
}

/// The savepoint; or what the old job has come to since, if it was put back and lost again.
fn state(o: &Observed, upgrade: &UpgradeProgress, before: Option<&Submission>, from: i64) -> Answer {
    let savepoint = || Answer::Start(StateSource::Savepoint, upgrade.savepoint_location.clone());
    let put_back = before.filter(|before| before.revision == from && !matches!(o.retained, Retained::NoStore(_)));
    let Some(before) = put_back else { return savepoint() };
    state_source::source(&Question {
        now: Now::Lost,
        policy: UpgradeFrom::Checkpoint,
        savepoint_failed: false,
        waited: Duration::MAX,
        patience: Duration::ZERO,
        retained: &o.retained,
        told: None,
        restored_from: before.restored_from.as_deref(),
    })
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
        if fence::is_lost(o, submission) {
            return again(o, draft, upgrade, submission);
        }
        return prewarm::submit(o, draft, upgrade, from);
    };
    if let Some(failure) = confirm::ended(job) {
        let message = format!("revision {from} can't be put back: {failure}");
        status::stalled(o, draft, Reason::RollbackFailed, &message);
        return (None, Next::After(AT_REST));
    }
    confirm::follow(o, draft, submission);
    match confirm::restored(job, submission) {
        Restored::AsAsked if job.all_tasks_running => {
            let confirmed = confirm::confirmed(draft, submission);
            finish::put_back(o, draft, upgrade, confirmed);
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
