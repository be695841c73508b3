//! What a FlinkJobUpgrade's status says: conditions, and the small readings of spec and status that they rest on.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::observed::{Cluster, Observed};
use super::{recoverable, suspend};
use crate::api::condition::{self, Conditions, Reason, types};
use crate::api::{
    ActiveRevision, CheckpointRef, FINALIZER, FlinkJobUpgrade, FlinkJobUpgradeStatus, HistoryEntry, JobPhase,
    PreflightResult, PreflightState, Submission, UpgradeProgress, UpgradeResult,
};
use crate::flink::{JobState, location};
use crate::holds::references;
use crate::naming;
use crate::time;

/// The resource's name.
#[must_use]
pub fn name(o: &Observed) -> &str {
    o.upgrade.metadata.name.as_deref().unwrap_or_default()
}

/// The resource's UID.
#[must_use]
pub fn uid(o: &Observed) -> &str {
    o.upgrade.metadata.uid.as_deref().unwrap_or_default()
}

/// Whether an annotation of the resource names this.
#[must_use]
pub fn is_annotated(o: &Observed, annotation: &str, value: &str) -> bool {
    let found = o.upgrade.metadata.annotations.as_ref().and_then(|all| all.get(annotation));
    found.is_some_and(|found| found.trim() == value)
}

/// Whether the finalizer is on the resource.
#[must_use]
pub fn has_finalizer(upgrade: &FlinkJobUpgrade) -> bool {
    upgrade.metadata.finalizers.iter().flatten().any(|f| f == FINALIZER)
}

/// Whether a newer version wrote something that this one can't read.
#[must_use]
pub fn has_unknown_values(status: &FlinkJobUpgradeStatus) -> bool {
    use crate::api::{OperationKind, RestoreMode, StateSource, UpgradeStep, UpgradeStrategy};
    let mode = |mode: Option<RestoreMode>| mode == Some(RestoreMode::Unknown);
    let reason = |reason: Option<Reason>| reason == Some(Reason::Unknown);
    let unknown = |u: &UpgradeProgress| {
        u.step == UpgradeStep::Unknown
            || mode(u.restore_mode)
            || u.strategy == Some(UpgradeStrategy::Unknown)
            || u.source == Some(StateSource::Unknown)
            || u.preflight.as_ref().is_some_and(|p| p.state == PreflightState::Unknown)
            || reason(u.failure_reason)
            || u.submission.as_ref().is_some_and(|s| mode(s.restore_mode))
    };
    // What can't be read can't be written back, either.
    let of_history = |entry: &HistoryEntry| {
        entry.result == UpgradeResult::Unknown || mode(entry.restore_mode) || reason(entry.reason)
    };
    status.phase == Some(JobPhase::Unknown)
        || status.upgrade.as_ref().is_some_and(unknown)
        || status.active.as_ref().is_some_and(|a| mode(a.submission.restore_mode))
        || status.history.iter().any(of_history)
        || status.operation.as_ref().is_some_and(|o| o.kind == OperationKind::Unknown)
        || status.suspension.as_ref().is_some_and(|s| s.source == StateSource::Unknown)
}

/// What a resource's `Ready` says.
#[must_use]
pub fn message_of(conditions: &[Condition]) -> String {
    condition::find(conditions, types::READY).map(|c| c.message.clone()).unwrap_or_default()
}

fn conditions<'a>(o: &Observed, draft: &'a mut FlinkJobUpgradeStatus) -> Conditions<'a> {
    Conditions::new(&mut draft.conditions, o.upgrade.metadata.generation, o.now)
}

/// Nothing goes on without help.
pub fn stalled(o: &Observed, draft: &mut FlinkJobUpgradeStatus, reason: Reason, message: &str) {
    conditions(o, draft).stalled(reason, message);
}

/// Work is under way.
pub fn reconciling(o: &Observed, draft: &mut FlinkJobUpgradeStatus, reason: Reason, message: &str) {
    conditions(o, draft).reconciling(reason, message);
}

/// What is under way, by phase.
#[must_use]
pub fn under_way(draft: &FlinkJobUpgradeStatus) -> Reason {
    match draft.phase {
        Some(JobPhase::Upgrading) => Reason::Upgrading,
        Some(JobPhase::RollingBack) => Reason::RollingBack,
        Some(JobPhase::Recovering) => Reason::Recovering,
        Some(JobPhase::Suspending) => Reason::Suspending,
        Some(JobPhase::Deleting) => Reason::Deleting,
        _ => Reason::Starting,
    }
}

/// How the preflight ended.
pub fn preflight(o: &Observed, draft: &mut FlinkJobUpgradeStatus, result: &PreflightResult) {
    let findings = result.findings.join("; ");
    let message = match (&result.snapshot, findings.as_str()) {
        (Some(snapshot), "") => format!("every operator with state in {snapshot} is in the new job"),
        (None, "") => "the job has no snapshot yet".to_owned(),
        (_, findings) => findings.to_owned(),
    };
    let mut conditions = conditions(o, draft);
    match result.state {
        PreflightState::Passed => conditions.set(types::PREFLIGHT, true, Reason::PreflightPassed, message),
        PreflightState::NotPossible => conditions.set_unknown(types::PREFLIGHT, Reason::PreflightNotPossible, message),
        _ => conditions.set(types::PREFLIGHT, false, Reason::PreflightFailed, message),
    };
}

/// The upgrade's savepoint is complete.
pub fn savepoint_taken(o: &Observed, draft: &mut FlinkJobUpgradeStatus, location: &str) {
    conditions(o, draft).set(types::SAVEPOINT_TAKEN, true, Reason::Completed, location);
}

/// Nothing runs, as the spec asks.
pub fn suspended(o: &Observed, draft: &mut FlinkJobUpgradeStatus, message: &str) {
    conditions(o, draft).ready(Reason::Suspended, message).remove(types::ROLLED_BACK);
}

/// Flink confirmed the restore.
pub fn restored(o: &Observed, draft: &mut FlinkJobUpgradeStatus, submission: &Submission) {
    let message = match &submission.restored_from {
        Some(path) => format!("Flink reports {path}"),
        None => "started without state, as there was none".to_owned(),
    };
    conditions(o, draft).set(types::RESTORED, true, Reason::Completed, message);
}

/// Whether the job leaves checkpoints from which it could be started again.
pub fn recoverable(o: &Observed, draft: &mut FlinkJobUpgradeStatus, kept: bool, reason: Reason, message: &str) {
    conditions(o, draft).set(types::RECOVERABLE, kept, reason, message);
}

/// Says how the job at rest is, and why the newest spec does not run, if it does not.
pub fn at_rest(o: &Observed, draft: &mut FlinkJobUpgradeStatus, active: &ActiveRevision, refused: bool) {
    if let Some(record) = o.record(active.revision) {
        draft.parallelism = Some(record.rendered.submission.parallelism);
        draft.selector = Some(naming::task_manager_selector(uid(o)));
    }
    note_checkpoint(o, draft, active);
    note_job_manager(o, draft, active);
    recoverable::tell(o, draft);
    let health = health(o, active);
    draft.job_state = Some(health.state);
    draft.phase = Some(health.phase);
    match health.trouble {
        Some((reason, message, true)) => stalled(o, draft, reason, &message),
        Some((reason, message, false)) => reconciling(o, draft, reason, &message),
        None if refused => refusal(o, draft),
        None => {
            let pending = condition::find(&draft.conditions, types::UPGRADE_PENDING);
            let pending = pending.map(|c| format!("; {}", c.message)).unwrap_or_default();
            let message = format!("revision {} runs job {}{pending}", active.revision, active.submission.job_id);
            conditions(o, draft).ready(Reason::Running, message).remove(types::ROLLED_BACK);
        }
    }
}

/// The job had ended before its JobManager forgot it: what was said of it stays true, unless it was about the spec.
pub fn ended_before(o: &Observed, draft: &mut FlinkJobUpgradeStatus) {
    let of_spec = [Reason::StateUnknown, Reason::InvalidSpec, Reason::NotImplemented].map(Reason::as_str);
    if condition::find(&draft.conditions, types::READY).is_none_or(|c| !of_spec.contains(&c.reason.as_str())) {
        return;
    }
    if draft.phase == Some(JobPhase::Finished) {
        stalled(o, draft, Reason::Finished, FINISHED);
    } else {
        stalled(o, draft, Reason::JobFailed, "the job has ended, and its JobManager has forgotten how");
    }
}

/// What is said of a job that came to its end.
const FINISHED: &str = "the job finished by itself, and nothing is started again; delete the resource, or say in job.restoreFrom, \
                        under another id, what to start from";

/// Where the job's checkpoints are, once Flink has told; and the newest, where no store can be listed.
fn note_checkpoint(o: &Observed, draft: &mut FlinkJobUpgradeStatus, active: &ActiveRevision) {
    let job = o.job(active.revision, &active.submission.job_id);
    let Some((id, path)) = job.and_then(|job| job.last_checkpoint.clone()) else { return };
    let Some(noted) = &mut draft.active else { return };
    // Flink counts those since the restore only, and no savepoints.
    noted.submission.checkpointed |= noted.submission.restored_from.is_some();
    if references::is_independent(&noted.submission) {
        draft.taken_over.clear();
    }
    // As Flink writes it: a job's code may have set one of its own.
    if let Some((directory, _)) = path.rsplit_once('/')
        && !noted.submission.checkpoint_directory.as_deref().is_some_and(|d| location::same(d, directory))
    {
        noted.submission.checkpoint_directory = Some(directory.to_owned());
    }
    if o.unlisted {
        noted.last_checkpoint = Some(CheckpointRef { id, path: Some(path), time: Some(time::to_k8s(o.now)) });
    }
}

/// With high availability a job keeps its id when another JobManager recovers it: from then on that one is its own.
fn note_job_manager(o: &Observed, draft: &mut FlinkJobUpgradeStatus, active: &ActiveRevision) {
    let submission = &active.submission;
    if submission.high_availability
        && o.job(active.revision, &submission.job_id).is_some()
        && let (Some(up), Some(noted)) = (o.up(active.revision), draft.active.as_mut())
    {
        noted.submission.job_manager_instance = Some(up.instance.clone());
    }
}

/// Why the newest spec does not run. Told anew on every pass, so that it stays visible.
pub fn refusal(o: &Observed, draft: &mut FlinkJobUpgradeStatus) {
    let refused = |entry: &&HistoryEntry| matches!(entry.result, UpgradeResult::Failed | UpgradeResult::RolledBack);
    let Some(last) = draft.history.iter().find(refused).cloned() else { return };
    let reason = last.reason.unwrap_or(Reason::RolledBack);
    let why = last.message.clone().unwrap_or_default();
    let what = match (last.result, last.from) {
        (UpgradeResult::RolledBack, Some(from)) => format!("revision {from} was put back from the savepoint"),
        (_, Some(from)) => format!("revision {from} runs on"),
        (_, None) => match &draft.suspension {
            Some(suspension) => format!("nothing runs, and its state stays {}", suspend::state(suspension)),
            None => "nothing runs".to_owned(),
        },
    };
    let message = if naming::is_suspend_id(&last.id) {
        format!("it can't be suspended: {why}; {what}; set job.state: running, and suspended again to try again")
    } else {
        format!("revision {}: {why}; {what}; change the spec to try again", last.to)
    };
    stalled(o, draft, reason, &message);
    if last.result == UpgradeResult::RolledBack {
        conditions(o, draft).set(types::ROLLED_BACK, true, reason, what);
    }
}

struct Health {
    state: String,
    phase: JobPhase,
    /// Reason, message, and whether nothing goes on without help.
    trouble: Option<(Reason, String, bool)>,
}

/// A JobManager that has no room for classes any more was seen to go on for minutes, its pod Ready.
fn is_dying(why: &str) -> bool {
    ["Metaspace", "OutOfMemoryError", "out-of-memory"].iter().any(|word| why.contains(word))
}

fn dying(why: &str) -> String {
    format!(
        "the JobManager's process runs, and has no memory to work with: {why}; raise jobmanager.memory.jvm-metaspace.size or \
         jobManager.resource.memory"
    )
}

fn health(o: &Observed, active: &ActiveRevision) -> Health {
    let job_id = &active.submission.job_id;
    let Some(job) = o.job(active.revision, job_id) else {
        let trouble = match o.revisions.get(&active.revision).map(|r| &r.cluster) {
            Some(Cluster::Up(_)) => {
                let message = if active.submission.high_availability {
                    format!("the JobManager does not know job {job_id}")
                } else {
                    format!("the JobManager does not know job {job_id}: it was restarted without high availability")
                };
                (Reason::JobManagerLost, message, true)
            }
            Some(Cluster::Down(why)) if is_dying(why) => (Reason::JobManagerUnhealthy, dying(why), true),
            Some(Cluster::Down(why)) => (Reason::JobManagerUnreachable, why.clone(), false),
            _ => (Reason::JobManagerUnreachable, "the revision's Service is gone".to_owned(), false),
        };
        return Health { state: "UNKNOWN".to_owned(), phase: JobPhase::Running, trouble: Some(trouble) };
    };
    let why = job.failure.as_ref().map(|f| format!(": {f}")).unwrap_or_default();
    let (phase, trouble) = match job.state {
        JobState::Running if job.all_tasks_running => (JobPhase::Running, None),
        JobState::Finished => (JobPhase::Finished, Some((Reason::Finished, FINISHED.to_owned(), true))),
        JobState::Canceled => {
            let message = "the job was cancelled in Flink".to_owned();
            (JobPhase::Failed, Some((Reason::JobFailed, message, true)))
        }
        JobState::Failed => (JobPhase::Failed, Some((Reason::JobFailed, format!("the job failed{why}"), true))),
        state => {
            let message = format!("the job is {state}, not all tasks run{why}");
            (JobPhase::Running, Some((Reason::JobNotRunning, message, false)))
        }
    };
    Health { state: job.state.to_string(), phase, trouble }
}

/// Whether an upgrade hands its savepoint over to Flink, which may delete it with its second checkpoint.
#[must_use]
pub fn hands_over(upgrade: &UpgradeProgress) -> bool {
    upgrade.restore_mode == Some(crate::api::RestoreMode::Claim)
}
