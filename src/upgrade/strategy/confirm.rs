//! A new job is confirmed: its tasks run, Flink says that it restored what was asked, and it stays stable.

use std::time::Duration;

use super::prewarm::{STARTING, failed, set_message, step, step_since};
use super::{blue_green, recovery};
use crate::api::condition::Reason;
use crate::api::{FlinkJobUpgradeStatus, RestoreMode, StateSource, Submission, UpgradeProgress, UpgradeStep};
use crate::flink;
use crate::reconcile::Next;
use crate::time;
use crate::upgrade::observed::{JobFacts, Observed};
use crate::upgrade::plan::{AT_REST, Decision, Effect, FAST};
use crate::upgrade::{finish, progress, status};

/// How long Flink may take to show a restored checkpoint that it has: its cache lives 3 s.
const RESTORED_LIMIT: Duration = Duration::from_secs(60);

/// Waits until all tasks run, and Flink says what they were restored from.
pub fn restoring(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    let Some(submission) = &upgrade.submission else { return (None, Next::After(AT_REST)) };
    let Some(job) = o.job(upgrade.to, &submission.job_id) else {
        return unseen(o, draft, upgrade, submission);
    };
    if let Some(failure) = ended(job) {
        return failed(o, draft, upgrade, Reason::JobFailed, &failure);
    }
    if let Some(message) = restarted_too_often(o, job) {
        return failed(o, draft, upgrade, Reason::JobFailed, &message);
    }
    follow(o, draft, submission);
    if !job.all_tasks_running {
        return late_or(o, draft, upgrade, job, "tasks are being started");
    }
    if let Some(u) = &mut draft.upgrade {
        u.running_at.get_or_insert_with(|| time::to_k8s_precise(o.now));
    }
    match restored(job, submission) {
        Restored::AsAsked => {
            status::restored(o, draft, submission);
            let confirmed = confirmed(draft, submission);
            if recovery::is_recovery(draft) {
                finish::recovered(o, draft, upgrade, confirmed);
                return (None, Next::Again);
            }
            step(o, draft, UpgradeStep::Stabilizing, "waiting for the first completed checkpoint");
            (None, Next::Again)
        }
        // Flink shows it from a cache: not there yet is no mismatch.
        Restored::NotShown if o.since(step_since(o, upgrade)) < RESTORED_LIMIT => (None, Next::After(FAST)),
        Restored::NotShown => {
            let message = "Flink does not say what the job was restored from";
            failed(o, draft, upgrade, Reason::RestoreMismatch, message)
        }
        Restored::Elsewhere(told) => {
            let message = format!("Flink restored {told}, asked was {}", asked(submission));
            failed(o, draft, upgrade, Reason::RestoreMismatch, &message)
        }
    }
}

/// What Flink reports of a restore, compared with what was asked.
pub enum Restored {
    /// The asked path in the asked mode, or none where none was asked.
    AsAsked,
    /// Nothing is reported yet.
    NotShown,
    /// Another path, or in another mode: what it was.
    Elsewhere(String),
}

/// What a submission asks to be restored from, in words.
fn asked(submission: &Submission) -> String {
    match (&submission.restored_from, submission.restore_mode) {
        (None, _) => "nothing".to_owned(),
        (Some(path), None) => path.clone(),
        (Some(path), Some(mode)) => format!("{path} with {mode}"),
    }
}

/// Flink has reported the restore of a submission: that is recorded with it.
pub fn confirmed(draft: &mut FlinkJobUpgradeStatus, submission: &Submission) -> Submission {
    let restore_confirmed = submission.restored_from.is_some();
    if let Some(noted) = draft.upgrade.as_mut().and_then(|u| u.submission.as_mut()) {
        noted.restore_confirmed = restore_confirmed;
    }
    let named = draft.upgrade.as_ref().and_then(|u| u.source) == Some(StateSource::RestoreFrom);
    let shares = matches!(submission.restore_mode, Some(RestoreMode::Claim | RestoreMode::Legacy));
    if let Some(place) = submission.restored_from.as_ref().filter(|_| named && shares)
        && !draft.taken_over.contains(place)
    {
        draft.taken_over.push(place.clone());
    }
    Submission { restore_confirmed, ..submission.clone() }
}

/// With high availability a job keeps its id when another JobManager recovers it: from then on that one is its own.
pub fn follow(o: &Observed, draft: &mut FlinkJobUpgradeStatus, submission: &Submission) {
    let up = o.up(submission.revision).filter(|_| submission.high_availability);
    if let (Some(up), Some(noted)) = (up, draft.upgrade.as_mut().and_then(|u| u.submission.as_mut())) {
        noted.job_manager_instance = Some(up.instance.clone());
    }
}

fn is_checkpoint_of(path: &str, job_id: &str) -> bool {
    path.contains(&format!("/{job_id}/chk-"))
}

/// Compares what Flink reports with what was asked.
pub fn restored(job: &JobFacts, submission: &Submission) -> Restored {
    match (&submission.restored_from, &job.restored_path) {
        (None, None) => Restored::AsAsked,
        (Some(_), None) => Restored::NotShown,
        (Some(asked), Some(path)) if flink::location::same(asked, path) => {
            // Who owns the files from now on: the snapshot is the job's own checkpoint, or it is not.
            let claims = submission.restore_mode == Some(RestoreMode::Claim);
            match (claims, job.restored_as_savepoint) {
                (true, false) | (false, true) => Restored::AsAsked,
                (true, true) => Restored::Elsewhere(format!("{path} without CLAIM")),
                (false, false) => Restored::Elsewhere(format!("{path} with CLAIM")),
            }
        }
        // Flink has recovered it meanwhile.
        (_, Some(path)) if submission.high_availability && is_checkpoint_of(path, &submission.job_id) => {
            Restored::AsAsked
        }
        (_, Some(path)) => Restored::Elsewhere(path.clone()),
    }
}

/// Waits until the new job is stable.
pub fn stabilizing(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    let Some(submission) = &upgrade.submission else { return (None, Next::After(AT_REST)) };
    let Some(job) = o.job(upgrade.to, &submission.job_id) else {
        return unseen(o, draft, upgrade, submission);
    };
    if let Some(failure) = ended(job) {
        return failed(o, draft, upgrade, Reason::JobFailed, &failure);
    }
    if let Some(message) = restarted_too_often(o, job) {
        return failed(o, draft, upgrade, Reason::JobFailed, &message);
    }
    follow(o, draft, submission);
    let Some(missing) = not_yet_stable(o, upgrade, job) else {
        if blue_green::applies(upgrade) {
            return blue_green::stable(o, draft);
        }
        finish::succeeded(o, draft, upgrade, Some(job));
        return (None, Next::Again);
    };
    let (_, next) = match missing {
        Missing::Progress(message) => late_or(o, draft, upgrade, job, &message),
        Missing::Time(message) => {
            set_message(draft, &message);
            (None, Next::After(FAST))
        }
    };
    let ask = job.completed_checkpoints < i64::from(o.upgrade.spec.completed_checkpoints())
        && job.all_tasks_running
        && job.checkpoints_in_progress == 0
        && draft.upgrade.is_some();
    (ask.then(|| Effect::TriggerCheckpoint(upgrade.to, job.id.clone())), next)
}

/// More restarts than the spec allows, of which no lost pod is the cause. A recovered job has shown before that it runs.
fn restarted_too_often(o: &Observed, job: &JobFacts) -> Option<String> {
    let recovers = o.upgrade.status.as_ref().is_some_and(recovery::is_recovery);
    let allowed = o.upgrade.spec.max_restarts();
    (!recovers && job.own_failures > allowed).then(|| {
        let why = job.failure.clone().unwrap_or_else(|| "no failure is reported".to_owned());
        format!("the job failed {} times (upgrade.stability.maxRestarts: {allowed}): {why}", job.own_failures)
    })
}

/// What a new job still has to show.
enum Missing {
    /// It has to come further.
    Progress(String),
    /// It has to run for longer.
    Time(String),
}

/// What the new job still has to show; `None`: it is stable.
fn not_yet_stable(o: &Observed, upgrade: &UpgradeProgress, job: &JobFacts) -> Option<Missing> {
    let (spec, done) = (&o.upgrade.spec, job.completed_checkpoints);
    let wanted = i64::from(spec.completed_checkpoints());
    if done < wanted || !job.all_tasks_running {
        return Some(Missing::Progress(match wanted {
            0 | 1 => "waiting for the first completed checkpoint".to_owned(),
            _ => format!("{done} of {wanted} checkpoints are completed"),
        }));
    }
    let runs = upgrade.running_at.as_ref().map_or(Duration::ZERO, |t| o.since(time::from_k8s(t)));
    let wanted = spec.min_running();
    let message = || format!("running for less than {} s (upgrade.stability.minRunning)", wanted.as_secs_f64());
    (runs < wanted).then(|| Missing::Time(message()))
}

/// The new revision's JobManager does not know the job that it had, or gives no answer.
fn unseen(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    upgrade: &UpgradeProgress,
    submission: &Submission,
) -> Decision {
    let instance = o.up(upgrade.to).map(|up| up.instance.as_str());
    if instance.is_some() && instance != submission.job_manager_instance.as_deref() {
        return recovery::again(o, draft, upgrade);
    }
    if progress::stuck_for(o, upgrade) > o.upgrade.spec.progress_deadline() {
        return failed(o, draft, upgrade, Reason::JobManagerUnreachable, "its JobManager gives no answer");
    }
    (None, Next::After(STARTING))
}

/// Why a job that should run has ended, if it has.
pub fn ended(job: &JobFacts) -> Option<String> {
    job.state.is_terminal().then(|| {
        let why = job.failure.clone().unwrap_or_else(|| "no failure is reported".to_owned());
        format!("the job is {}: {why}", job.state)
    })
}

fn late_or(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    upgrade: &UpgradeProgress,
    job: &JobFacts,
    message: &str,
) -> Decision {
    let message = job.failure.as_ref().map_or_else(|| message.to_owned(), |f| format!("{message}; last failure: {f}"));
    if progress::stuck_for(o, upgrade) > o.upgrade.spec.progress_deadline() {
        return failed(o, draft, upgrade, Reason::ProgressDeadlineExceeded, &message);
    }
    set_message(draft, &message);
    (None, Next::After(FAST))
}
