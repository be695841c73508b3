//! `Prewarm`: the new revision's cluster is up and warm before the old job stops, so that downtime is a stop, a submit
//! and a restore.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{blue_green, confirm, ending, put_back, recovery, recreate};
use crate::api::condition::Reason;
use crate::api::{FlinkJobUpgradeStatus, JobPhase, RestoreMode, StateSource, Submission, UpgradeProgress, UpgradeStep};
use crate::flink::{JobId, RunRequest};
use crate::naming;
use crate::reconcile::Next;
use crate::upgrade::observed::{Cluster, Observed};
use crate::upgrade::plan::{AT_REST, Decision, Effect, SLOW, run_request, slots_ready};
use crate::upgrade::{finish, high_availability, jar, preflight, progress, session, status, workload};
use crate::{flink, time};

/// Pods that start are looked at this often.
pub const STARTING: Duration = Duration::from_millis(200);
/// A warm-up is worth waiting for, but never a reason to fail: past this it is cancelled and the upgrade goes on.
const WARM_UP_LIMIT: Duration = Duration::from_secs(60);
/// A submit whose answer was lost is repeated only after this long, with the same job id.
const SUBMIT_DEADLINE: Duration = Duration::from_secs(30);
/// Within this time of the intent no submit can have been answered and lost.
const SUBMIT_FIRST: Duration = Duration::from_secs(3);
/// What the step of the stop does.
const STOP: &str = "the old job is stopped with a savepoint";
/// The same where the old job runs on.
const FORK: &str = "a savepoint of the old job is taken, which runs on";

/// Carries an upgrade, or a first start, one step on.
pub fn decide(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    if let Some(decision) = blue_green::interrupted(o, draft, upgrade) {
        return decision;
    }
    if before_the_stop(draft, upgrade) {
        if ending::spec_changed(o, upgrade) {
            if let Some(decision) = ending::left_child(o, draft, upgrade) {
                return decision;
            }
            finish::abandoned(o, draft, upgrade);
            return (None, Next::Again);
        }
    } else if upgrade.failure_reason.is_some()
        && !blue_green::applies(upgrade)
        && (upgrade.step != UpgradeStep::PuttingBack || put_back::is_stuck(draft))
        && ending::spec_changed(o, upgrade)
    {
        // The fix is not kept waiting by what it fixes.
        finish::replaced(o, draft, upgrade);
        return (None, Next::Again);
    } else {
        draft.next = ending::spec_changed(o, upgrade).then_some(o.upgrade.metadata.generation).flatten();
    }
    progress::note(o, draft, upgrade);
    match upgrade.step {
        UpgradeStep::Preparing => preparing(o, draft, upgrade),
        UpgradeStep::Starting => starting(o, draft, upgrade),
        UpgradeStep::Preflight => preflight::decide(o, draft, upgrade),
        UpgradeStep::WarmingUp => warming_up(o, draft, upgrade),
        UpgradeStep::Savepoint => ending::savepoint(o, draft, upgrade),
        UpgradeStep::Checkpoint => ending::checkpoint(o, draft, upgrade),
        UpgradeStep::Fencing => ending::fencing(o, draft, upgrade),
        UpgradeStep::Swapping => recreate::swapping(o, draft, upgrade),
        UpgradeStep::Submitting => submitting(o, draft, upgrade),
        UpgradeStep::Restoring => confirm::restoring(o, draft, upgrade),
        UpgradeStep::Stabilizing => confirm::stabilizing(o, draft, upgrade),
        UpgradeStep::PuttingBack => put_back::decide(o, draft, upgrade),
        UpgradeStep::Promotion => blue_green::waiting(o, draft, upgrade),
        UpgradeStep::Promoting => blue_green::promoting(o, draft, upgrade),
        UpgradeStep::Retiring => blue_green::retiring(o, draft, upgrade),
        UpgradeStep::Discarding => blue_green::discarding(o, draft, upgrade),
        UpgradeStep::Unknown => (None, Next::After(AT_REST)),
    }
}

/// The old job is untouched in these steps, or it was lost and nothing is submitted yet: a newer spec simply takes over.
fn before_the_stop(draft: &FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> bool {
    match upgrade.step {
        UpgradeStep::Preparing
        | UpgradeStep::Starting
        | UpgradeStep::Preflight
        | UpgradeStep::WarmingUp
        | UpgradeStep::Checkpoint => true,
        UpgradeStep::Savepoint => upgrade.savepoint.is_none(),
        UpgradeStep::Fencing => recovery::is_recovery(draft) && upgrade.submission.is_none(),
        _ => false,
    }
}

fn preparing(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    if o.record(upgrade.to).is_none() {
        if let Some(decision) = session::before_it_is_made(o, draft, upgrade) {
            return decision;
        }
        if let Some(why) = jar::refused(o) {
            set_message(draft, why);
            status::stalled(o, draft, Reason::InvalidSpec, why);
            return (None, Next::After(AT_REST));
        }
        return (Some(Effect::StoreRevision(upgrade.to)), Next::Again);
    }
    let objects = o.revisions.get(&upgrade.to).map_or(0, |r| r.objects);
    let left = high_availability::config_maps(o, upgrade.to);
    if objects == 0 && !left.is_empty() {
        let id = naming::revision_name(status::name(o), upgrade.to);
        let message = format!(
            "high availability data of an earlier cluster {id} is there, and would start its job by itself: {}; once no pod \
             of it runs any more, delete them: kubectl delete configmap -l app={id},type=flink-native-kubernetes",
            left.join(", ")
        );
        set_message(draft, &message);
        status::stalled(o, draft, Reason::HighAvailabilityDataExists, &message);
        return (None, Next::After(AT_REST));
    }
    if objects < workload::OBJECTS {
        let effect = if recreate::applies(upgrade) {
            Effect::CreateWithoutTaskManagers(upgrade.to)
        } else {
            Effect::CreateObjects(upgrade.to)
        };
        return (Some(effect), Next::Again);
    }
    step(o, draft, UpgradeStep::Starting, "pods of the new revision start");
    (None, Next::Again)
}

fn starting(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    let (Some(revision), Some(record)) = (o.revisions.get(&upgrade.to), o.record(upgrade.to)) else {
        return (None, Next::After(SLOW));
    };
    // `Recreate`: its TaskManagers start when the old ones have left.
    let slots = if recreate::applies(upgrade) { 0 } else { record.rendered.slots };
    let mut effect = None;
    let missing = match &revision.cluster {
        _ if o.session.is_some() => session::lacks(o, upgrade).map(|(missing, brings)| {
            effect = brings;
            missing
        }),
        Cluster::Up(up) if slots_ready(up, slots) => None,
        Cluster::Up(up) => Some(format!("{} of {slots} slots are free", up.free_slots.unwrap_or_default())),
        Cluster::Down(message) => Some(message.clone()),
        Cluster::NotAsked => Some("its JobManager was not asked yet".to_owned()),
    };
    let leads = high_availability::foreign_leader(o, upgrade.to);
    let missing = missing.or_else(|| leads.is_err().then(|| "its JobManager does not lead yet".to_owned()));
    let Some(missing) = missing else {
        if let Ok(Some(other)) = leads {
            let message = format!(
                "{other} leads the cluster {}, and not the revision's own JobManager: another cluster in this namespace \
                 has the same kubernetes.cluster-id; give that one another",
                naming::revision_name(status::name(o), upgrade.to)
            );
            finish::failed_before_the_stop(o, draft, upgrade, Reason::ForeignLeader, &message);
            return (None, Next::Again);
        }
        if preflight::is_due(o, upgrade) && upgrade.preflight.is_none() {
            step(o, draft, UpgradeStep::Preflight, "the operators of the new job are held against the state");
            return (None, Next::Again);
        }
        if upgrade.from.is_none() {
            // Nothing is down meanwhile: warming up would only make the first start longer.
            return intend_submit(
                o,
                draft,
                upgrade,
                upgrade.source.unwrap_or(StateSource::Empty),
                upgrade.snapshot.clone(),
            );
        }
        step_to_the_stop(o, draft, upgrade);
        return (None, Next::Again);
    };
    let trouble = revision.pods.iter().find_map(|p| p.trouble.clone().map(|t| format!("pod {}: {t}", p.name)));
    let trouble = trouble.or_else(|| revision.refusal.clone());
    let stuck = trouble.is_some();
    let message = trouble.unwrap_or(missing);
    if progress::stuck_for(o, upgrade) > o.upgrade.spec.progress_deadline() || recovery::comes_first(o, draft, upgrade)
    {
        finish::failed_before_the_stop(o, draft, upgrade, Reason::PodsNotReady, &message);
        return (None, Next::Again);
    }
    set_message(draft, &message);
    status::reconciling(o, draft, status::under_way(draft), &format!("revision {}: {message}", upgrade.to));
    (effect, Next::After(if stuck { SLOW } else { STARTING }))
}

/// The new revision's cluster is there: it is warmed up, if it has TaskManagers, and then the old job is stopped. A session
/// cluster is warm, and its slots are others' as well.
pub fn step_to_the_stop(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) {
    if blue_green::applies(upgrade) {
        // Nothing is down while it warms up by itself.
        step(o, draft, UpgradeStep::Savepoint, FORK);
    } else if recreate::applies(upgrade) || o.session.is_some() {
        step(o, draft, UpgradeStep::Savepoint, STOP);
    } else {
        step(o, draft, UpgradeStep::WarmingUp, "a throw-away job warms the new cluster");
    }
}

fn warming_up(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    let (Some(up), Some(record)) = (o.up(upgrade.to), o.record(upgrade.to)) else {
        if progress::stuck_for(o, upgrade) > o.upgrade.spec.progress_deadline() {
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
    step(o, draft, UpgradeStep::Savepoint, STOP);
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

/// Writes down what is about to be submitted, and to which JobManager process; then it is submitted.
pub fn intend_submit(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    upgrade: &UpgradeProgress,
    source: StateSource,
    path: Option<String>,
) -> Decision {
    if upgrade.step != UpgradeStep::Swapping {
        if let Some(decision) = preflight::before_the_submit(o, draft) {
            return decision;
        }
        if recreate::applies(upgrade) {
            return recreate::begin(o, draft, source, path);
        }
    }
    let submission = Submission {
        allow_non_restored_state: upgrade.allow_non_restored_state,
        ..new_submission(o, draft, upgrade.to, path, upgrade.restore_mode.unwrap_or(RestoreMode::NoClaim))
    };
    if let Some(u) = &mut draft.upgrade {
        u.source = Some(source);
        u.attempt += 1;
        u.submission = Some(submission.clone());
    }
    step(o, draft, UpgradeStep::Submitting, "the job is submitted to the new revision");
    send_first(o, draft, upgrade, &submission)
}

/// The next submission to a revision's cluster, under a number that was never used.
pub fn new_submission(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    revision: i64,
    path: Option<String>,
    mode: RestoreMode,
) -> Submission {
    let number = draft.last_submission.unwrap_or_default() + 1;
    draft.last_submission = Some(number);
    let process = o.revisions.get(&revision).and_then(|r| r.pods.iter().find(|pod| pod.job_manager));
    // On a session cluster the pod is not where the job runs.
    let process = process.filter(|_| o.session.is_none());
    let uploaded = session::jar(o, revision).map(|jar| jar.sha256.clone());
    Submission {
        high_availability: o.record(revision).is_some_and(|r| r.rendered.high_availability),
        image_digest: process.and_then(|pod| pod.image_digest.clone()),
        jar_sha256: process.and_then(|pod| pod.jar_sha256.clone()).or(uploaded),
        job_id: naming::job_id(status::uid(o), revision, number),
        revision,
        restore_mode: path.as_ref().map(|_| mode),
        restored_from: path,
        since: Some(time::to_k8s_precise(o.now)),
        ..Submission::default()
    }
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
    if let Some(decision) = session::brings_the_jar(o, draft, revision) {
        return decision;
    }
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
            && progress::stuck_for(o, upgrade) > o.upgrade.spec.progress_deadline()
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
    if *instance != up.instance && !(submission.high_availability && up.jobs.contains_key(&job_id)) {
        return match upgrade.step {
            UpgradeStep::Submitting => recovery::again(o, draft, upgrade),
            _ => put_back::again(o, draft, upgrade, submission),
        };
    }
    if up.jobs.contains_key(&job_id) {
        confirm::follow(o, draft, submission);
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

/// The new revision failed: the way back follows at once, unless there is none.
pub fn failed(
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

/// Moves an upgrade to its next step.
pub fn step(o: &Observed, draft: &mut FlinkJobUpgradeStatus, step: UpgradeStep, message: &str) {
    if let Some(u) = &mut draft.upgrade {
        u.step = step;
        u.step_since = Some(time::to_k8s_precise(o.now));
        u.progress = 0;
        u.progress_time = None;
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

/// When the step that an upgrade is at began.
#[must_use]
pub fn step_since(o: &Observed, upgrade: &UpgradeProgress) -> chrono::DateTime<chrono::Utc> {
    upgrade.step_since.as_ref().map_or(o.now, time::from_k8s)
}
