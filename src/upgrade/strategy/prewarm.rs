//! `Prewarm`: the new revision's cluster is up and warm before the old job stops, so that downtime is a stop, a submit
//! and a restore.

use std::collections::BTreeMap;
use std::time::Duration;

use super::put_back;
use crate::api::condition::{self, Reason, types};
use crate::api::{
    FlinkJobUpgradeStatus, JobPhase, ObjectRef, RestoreMode, SavepointPhase, Submission, UpgradeProgress, UpgradeStep,
};
use crate::flink::{JobId, RunRequest};
use crate::naming;
use crate::reconcile::Next;
use crate::upgrade::observed::{Cluster, JobFacts, Observed};
use crate::upgrade::plan::{AT_REST, Decision, Effect, FAST, SLOW, run_request, slots_ready};
use crate::upgrade::{child, finish, status, workload};
use crate::{flink, time};

/// Pods that start are looked at this often.
const STARTING: Duration = Duration::from_millis(200);
/// A warm-up is worth waiting for, but never a reason to fail: past this it is cancelled and the upgrade goes on.
const WARM_UP_LIMIT: Duration = Duration::from_secs(60);
/// A submit whose answer was lost is repeated only after this long, with the same job id.
const SUBMIT_DEADLINE: Duration = Duration::from_secs(30);
/// Within this time of the intent no submit can have been answered and lost.
const SUBMIT_FIRST: Duration = Duration::from_secs(3);
/// How long Flink may take to show a restored checkpoint that it has: its cache lives 3 s.
const RESTORED_LIMIT: Duration = Duration::from_secs(60);

/// Carries an upgrade, or a first start, one step on.
pub fn decide(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    if before_the_stop(upgrade) && spec_changed(o, upgrade) {
        finish::abandoned(o, draft, upgrade);
        return (None, Next::Again);
    }
    match upgrade.step {
        UpgradeStep::Preparing => preparing(o, draft, upgrade),
        UpgradeStep::Starting => starting(o, draft, upgrade),
        UpgradeStep::WarmingUp => warming_up(o, draft, upgrade),
        UpgradeStep::Savepoint => savepoint(o, draft, upgrade),
        UpgradeStep::Submitting => submitting(o, draft, upgrade),
        UpgradeStep::Restoring => restoring(o, draft, upgrade),
        UpgradeStep::Stabilizing => stabilizing(o, draft, upgrade),
        UpgradeStep::PuttingBack => put_back::decide(o, draft, upgrade),
        UpgradeStep::Unknown => (None, Next::After(AT_REST)),
    }
}

/// The old job is untouched in these steps: a newer spec simply takes over.
fn before_the_stop(upgrade: &UpgradeProgress) -> bool {
    match upgrade.step {
        UpgradeStep::Preparing | UpgradeStep::Starting | UpgradeStep::WarmingUp => true,
        UpgradeStep::Savepoint => upgrade.savepoint.is_none(),
        _ => false,
    }
}

fn spec_changed(o: &Observed, upgrade: &UpgradeProgress) -> bool {
    upgrade.spec_hash.as_deref() != Some(workload::attempt_hash(&o.upgrade.spec).as_str())
}

fn preparing(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    if o.record(upgrade.to).is_none() {
        return (Some(Effect::StoreRevision(upgrade.to)), Next::Again);
    }
    if o.revisions.get(&upgrade.to).is_some_and(|r| r.objects < workload::OBJECTS) {
        return (Some(Effect::CreateObjects(upgrade.to)), Next::Again);
    }
    step(o, draft, UpgradeStep::Starting, "pods of the new revision start");
    (None, Next::Again)
}

fn starting(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    let (Some(revision), Some(record)) = (o.revisions.get(&upgrade.to), o.record(upgrade.to)) else {
        return (None, Next::After(SLOW));
    };
    let slots = record.rendered.slots;
    let missing = match &revision.cluster {
        Cluster::Up(up) if slots_ready(up, slots) => None,
        Cluster::Up(up) => Some(format!("{} of {slots} slots are free", up.free_slots.unwrap_or_default())),
        Cluster::Down(message) => Some(message.clone()),
        Cluster::NotAsked => Some("its JobManager was not asked yet".to_owned()),
    };
    let Some(missing) = missing else {
        if upgrade.from.is_none() {
            // Nothing is down meanwhile: warming up would only make the first start longer.
            return intend_submit(o, draft, upgrade, None);
        }
        step(o, draft, UpgradeStep::WarmingUp, "a throw-away job warms the new cluster");
        return (None, Next::Again);
    };
    let trouble = revision.pods.iter().find_map(|p| p.trouble.clone().map(|t| format!("pod {}: {t}", p.name)));
    let stuck = trouble.is_some();
    let message = trouble.unwrap_or(missing);
    if o.since(step_since(o, upgrade)) > o.upgrade.spec.progress_deadline() {
        finish::failed_before_the_stop(o, draft, upgrade, Reason::PodsNotReady, &message);
        return (None, Next::Again);
    }
    set_message(draft, &message);
    status::reconciling(o, draft, status::under_way(draft), &format!("revision {}: {message}", upgrade.to));
    (None, Next::After(if stuck { SLOW } else { STARTING }))
}

fn warming_up(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    let (Some(up), Some(record)) = (o.up(upgrade.to), o.record(upgrade.to)) else {
        if o.since(step_since(o, upgrade)) > o.upgrade.spec.progress_deadline() {
            finish::failed_before_the_stop(o, draft, upgrade, Reason::PodsNotReady, "its JobManager gives no answer");
        }
        return (None, Next::After(STARTING));
    };
    let slots = record.rendered.slots;
    let job_id = naming::warm_up_job_id(status::uid(o), upgrade.to);
    let late = o.since(step_since(o, upgrade)) > WARM_UP_LIMIT;
    match JobId::new(&job_id).ok().and_then(|id| up.jobs.get(&id).map(|s| (id, *s))) {
        None if !late => {
            let Ok(id) = JobId::new(&job_id) else { return (None, Next::After(SLOW)) };
            return (
                Some(Effect::WarmUp(upgrade.to, warm_up(id, record.rendered.warm_up_directory.clone(), slots))),
                Next::After(STARTING),
            );
        }
        Some((id, state)) if !state.is_terminal() => {
            let effect = late.then_some(Effect::Cancel(upgrade.to, id));
            return (effect, Next::After(Duration::from_millis(100)));
        }
        _ => {}
    }
    if !slots_ready(up, slots) {
        return (None, Next::After(Duration::from_millis(100)));
    }
    step(o, draft, UpgradeStep::Savepoint, "the old job is stopped with a savepoint");
    (None, Next::Again)
}

fn warm_up(job_id: JobId, directory: Option<String>, slots: i32) -> RunRequest {
    let mut flink_configuration = BTreeMap::new();
    if let Some(directory) = directory {
        flink_configuration.insert(flink::config::CHECKPOINT_DIRECTORY.name.to_owned(), directory);
    }
    RunRequest {
        job_id,
        entry_class: Some(workload::WARM_UP_CLASS.to_owned()),
        args: Vec::new(),
        parallelism: Some(slots),
        savepoint_path: None,
        allow_non_restored_state: None,
        claim_mode: None,
        flink_configuration,
    }
}

fn savepoint(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    let Some(from) = upgrade.from else { return (None, Next::After(AT_REST)) };
    if upgrade.savepoint.is_none() {
        // From here on the target is frozen: what is stopped is stopped for this revision.
        let name = child::name(status::name(o), &upgrade.id);
        if let Some(u) = &mut draft.upgrade {
            u.savepoint = Some(name);
        }
        return (None, Next::Again);
    }
    let named = draft.operation.as_ref().is_some_and(|op| op.savepoint.is_some());
    let Some(savepoint) = &o.savepoint else {
        if named {
            let name = upgrade.savepoint.clone().unwrap_or_default();
            let message = format!(
                "FlinkSavepoint {name} was deleted while it was needed; whether the old job stops is not known"
            );
            status::stalled(o, draft, Reason::SavepointBlocked, &message);
            return (None, Next::After(SLOW));
        }
        return (Some(Effect::CreateSavepoint(Box::new(child::upgrade_savepoint(o, upgrade)))), Next::Again);
    };
    if !named && let Some(operation) = &mut draft.operation {
        operation.savepoint = Some(ObjectRef {
            name: savepoint.metadata.name.clone().unwrap_or_default(),
            uid: savepoint.metadata.uid.clone(),
        });
        return (None, Next::After(SLOW));
    }
    let taken = savepoint.status.clone().unwrap_or_default();
    match (taken.phase, taken.location) {
        (Some(SavepointPhase::Completed), Some(location)) => {
            let id = draft.active.as_ref().map(|a| a.submission.job_id.clone()).unwrap_or_default();
            let old = o.job(from, &id);
            // The savepoint is complete only once its job ended; this is the fence, asked of the old JobManager itself.
            // One that was restarted meanwhile does not know the job, and can't start it: the tasks that are left stand
            // still behind the barrier of the stop (seen on Flink 1.20) until they miss its heartbeat.
            let forgotten = o.up(from).is_some_and(|up| up.jobs.keys().all(|known| known.as_str() != id));
            if !(forgotten || old.is_some_and(|j| j.state.is_terminal())) {
                set_message(draft, "the old job's end is not confirmed by its JobManager");
                return (None, Next::After(FAST));
            }
            if let Some(u) = &mut draft.upgrade {
                u.savepoint_location = Some(location.clone());
                u.stopped_at = old.and_then(|j| j.end_time).map(time::to_k8s_precise);
            }
            status::savepoint_taken(o, draft, &location);
            intend_submit(o, draft, upgrade, Some(&location))
        }
        (Some(SavepointPhase::Failed), _) => {
            let message = status::message_of(&taken.conditions);
            finish::failed_before_the_stop(o, draft, upgrade, Reason::SavepointFailed, &message);
            (None, Next::Again)
        }
        _ if condition::is_true(&taken.conditions, types::STALLED) => {
            let message = status::message_of(&taken.conditions);
            set_message(draft, &message);
            status::stalled(o, draft, Reason::SavepointBlocked, &message);
            (None, Next::After(SLOW))
        }
        _ => {
            // How far it is stands in its own status; to repeat it here would be a write for each of its writes. What
            // keeps it is worth one: the job may be down meanwhile.
            let kept = condition::find(&taken.conditions, types::RECONCILING);
            let kept = kept.filter(|c| c.reason != Reason::InProgress.as_str());
            let name = upgrade.savepoint.as_deref().unwrap_or_default();
            let message = match kept {
                Some(kept) => format!("FlinkSavepoint {name} waits: {}", kept.message),
                None => format!("FlinkSavepoint {name} is being taken"),
            };
            set_message(draft, &message);
            status::reconciling(o, draft, status::under_way(draft), &message);
            (None, Next::After(SLOW))
        }
    }
}

/// Writes down what is about to be submitted, and to which JobManager process; then it is submitted.
fn intend_submit(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    upgrade: &UpgradeProgress,
    path: Option<&str>,
) -> Decision {
    let submission = Submission {
        job_id: naming::job_id(status::uid(o), upgrade.to, 1),
        revision: upgrade.to,
        restored_from: path.map(str::to_owned),
        restore_mode: path.map(|_| upgrade.restore_mode.unwrap_or(RestoreMode::NoClaim)),
        since: Some(time::to_k8s_precise(o.now)),
        ..Submission::default()
    };
    if let Some(u) = &mut draft.upgrade {
        u.submission = Some(submission.clone());
    }
    step(o, draft, UpgradeStep::Submitting, "the job is submitted to the new revision");
    send_first(o, draft, upgrade, &submission)
}

/// Sends a submission that was never sent: with its record goes which process it is sent to.
fn send_first(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    upgrade: &UpgradeProgress,
    submission: &Submission,
) -> Decision {
    let Some(up) = o.up(submission.revision) else { return (None, Next::Again) };
    if let Some(submission) = draft.upgrade.as_mut().and_then(|u| u.submission.as_mut()) {
        submission.job_manager_instance = Some(up.instance.clone());
        submission.since = Some(time::to_k8s_precise(o.now));
    }
    send(o, draft, upgrade, submission)
}

/// Sends a submission that is recorded.
pub fn send(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    upgrade: &UpgradeProgress,
    submission: &Submission,
) -> Decision {
    let Ok(job_id) = JobId::new(&submission.job_id) else { return (None, Next::After(AT_REST)) };
    let revision = submission.revision;
    let Some(request) = run_request(o, revision, job_id, submission.restored_from.as_deref(), upgrade) else {
        let name = naming::revision_name(status::name(o), revision);
        let message = format!("ControllerRevision {name} is gone; restore it, and the job is submitted");
        status::stalled(o, draft, Reason::RevisionRecordMissing, &message);
        return (None, Next::After(SLOW));
    };
    (Some(Effect::Submit(revision, request)), Next::Again)
}

fn submitting(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    submit(o, draft, upgrade, upgrade.to)
}

/// Submits the recorded submission to a revision's cluster, or sees that it is there.
pub fn submit(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress, revision: i64) -> Decision {
    let Some(submission) = &upgrade.submission else { return (None, Next::After(AT_REST)) };
    let Some(up) = o.up(revision) else {
        set_message(draft, "the JobManager gives no answer");
        if upgrade.step == UpgradeStep::Submitting
            && o.since(step_since(o, upgrade)) > o.upgrade.spec.progress_deadline()
        {
            finish::failed_after_the_stop(
                o,
                draft,
                upgrade,
                Reason::JobManagerUnreachable,
                "its JobManager gives no answer",
            );
        }
        return (None, Next::After(STARTING));
    };
    let Ok(job_id) = JobId::new(&submission.job_id) else { return (None, Next::After(AT_REST)) };
    let Some(instance) = &submission.job_manager_instance else { return send_first(o, draft, upgrade, submission) };
    if *instance != up.instance {
        let message = "the JobManager restarted while the job was being submitted";
        if upgrade.step == UpgradeStep::Submitting {
            finish::failed_after_the_stop(o, draft, upgrade, Reason::JobManagerLost, message);
            return (None, Next::Again);
        }
        status::stalled(o, draft, Reason::JobManagerLost, message);
        return (None, Next::After(SLOW));
    }
    if up.jobs.contains_key(&job_id) {
        if upgrade.step == UpgradeStep::Submitting {
            step(o, draft, UpgradeStep::Restoring, "the job restores its state");
        }
        return (None, Next::Again);
    }
    let age = submission.since.as_ref().map_or(Duration::MAX, |t| o.since(time::from_k8s(t)));
    if age > SUBMIT_FIRST && age < SUBMIT_DEADLINE {
        set_message(draft, "the answer to the submit is not known; looking for the job");
        return (None, Next::After(Duration::from_millis(500)));
    }
    send(o, draft, upgrade, submission)
}

fn restoring(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    let Some(submission) = &upgrade.submission else { return (None, Next::After(AT_REST)) };
    let Some(job) = o.job(upgrade.to, &submission.job_id) else {
        return unseen(o, draft, upgrade, submission);
    };
    if let Some(failure) = ended(job) {
        return failed(o, draft, upgrade, Reason::JobFailed, &failure);
    }
    if !job.all_tasks_running {
        return late_or(o, draft, upgrade, job, "tasks are being started");
    }
    if let Some(u) = &mut draft.upgrade {
        u.running_at.get_or_insert_with(|| time::to_k8s_precise(o.now));
    }
    match restored(job, submission) {
        Restored::AsAsked => {
            status::restored(o, draft, submission);
            step(o, draft, UpgradeStep::Stabilizing, "waiting for the first completed checkpoint");
            (None, Next::Again)
        }
        // Flink shows it from a cache: not there yet is no mismatch.
        Restored::NotShown if o.since(step_since(o, upgrade)) < RESTORED_LIMIT => (None, Next::After(FAST)),
        Restored::NotShown => {
            let message = "Flink does not say what the job was restored from";
            finish::failed_after_the_stop(o, draft, upgrade, Reason::RestoreMismatch, message);
            (None, Next::Again)
        }
        Restored::Elsewhere(path) => {
            let asked = submission.restored_from.clone().unwrap_or_else(|| "nothing".to_owned());
            let message = format!("Flink restored {path}, asked was {asked}");
            finish::failed_after_the_stop(o, draft, upgrade, Reason::RestoreMismatch, &message);
            (None, Next::Again)
        }
    }
}

/// What Flink reports of a restore, compared with what was asked.
pub enum Restored {
    /// The asked path, or none where none was asked.
    AsAsked,
    /// Nothing is reported yet.
    NotShown,
    /// Another path.
    Elsewhere(String),
}

/// Compares what Flink reports with what was asked.
pub fn restored(job: &JobFacts, submission: &Submission) -> Restored {
    match (&submission.restored_from, &job.restored_path) {
        (None, None) => Restored::AsAsked,
        (Some(_), None) => Restored::NotShown,
        (Some(asked), Some(path)) if flink::location::same(asked, path) => Restored::AsAsked,
        (_, Some(path)) => Restored::Elsewhere(path.clone()),
    }
}

fn stabilizing(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    let Some(submission) = &upgrade.submission else { return (None, Next::After(AT_REST)) };
    let Some(job) = o.job(upgrade.to, &submission.job_id) else {
        return unseen(o, draft, upgrade, submission);
    };
    if let Some(failure) = ended(job) {
        return failed(o, draft, upgrade, Reason::JobFailed, &failure);
    }
    if job.completed_checkpoints > 0 && job.all_tasks_running {
        finish::succeeded(o, draft, upgrade, job);
        return (None, Next::Again);
    }
    let (_, next) = late_or(o, draft, upgrade, job, "waiting for the first completed checkpoint");
    let ask = job.all_tasks_running && job.checkpoints_in_progress == 0 && draft.upgrade.is_some();
    (ask.then(|| Effect::TriggerCheckpoint(upgrade.to, job.id.clone())), next)
}

/// The new revision failed: the way back follows at once, unless there is none.
fn failed(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    upgrade: &UpgradeProgress,
    reason: Reason,
    message: &str,
) -> Decision {
    finish::failed_after_the_stop(o, draft, upgrade, reason, message);
    let stays = draft.upgrade.as_ref().is_some_and(|u| u.step == upgrade.step);
    (None, if stays { Next::After(AT_REST) } else { Next::Again })
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
        let message = "the JobManager restarted before the job was stable";
        return failed(o, draft, upgrade, Reason::JobManagerLost, message);
    }
    if o.since(step_since(o, upgrade)) > o.upgrade.spec.progress_deadline() {
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
    if o.since(step_since(o, upgrade)) > o.upgrade.spec.progress_deadline() {
        return failed(o, draft, upgrade, Reason::ProgressDeadlineExceeded, &message);
    }
    set_message(draft, &message);
    (None, Next::After(FAST))
}

/// Moves an upgrade to its next step.
pub fn step(o: &Observed, draft: &mut FlinkJobUpgradeStatus, step: UpgradeStep, message: &str) {
    if let Some(u) = &mut draft.upgrade {
        u.step = step;
        u.step_since = Some(time::to_k8s_precise(o.now));
        u.message = Some(message.to_owned());
    }
    if step == UpgradeStep::PuttingBack {
        draft.phase = Some(JobPhase::RollingBack);
    }
    status::reconciling(o, draft, status::under_way(draft), message);
}

/// Says what an upgrade waits for.
pub fn set_message(draft: &mut FlinkJobUpgradeStatus, message: &str) {
    if let Some(u) = &mut draft.upgrade {
        u.message = Some(message.to_owned());
    }
}

fn step_since(o: &Observed, upgrade: &UpgradeProgress) -> chrono::DateTime<chrono::Utc> {
    upgrade.step_since.as_ref().map_or(o.now, time::from_k8s)
}
