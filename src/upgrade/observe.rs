//! Reads the world of a FlinkJobUpgrade: Kubernetes live, then the JobManagers that the pass is about.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use futures::future::join_all;
use kube::{Api, ResourceExt};

use super::ended::Left;
use super::jobmanager::Process;
use super::objects::{self, Objects};
use super::observed::{Cluster, Existing, JobFacts, Newest, Observed, Restore, Retained, Revision, Up};
use super::plan::FAST;
use super::{account, child, children, high_availability, jar, recoverable, refusals, scope, session, snapshots};
use crate::api::{FlinkJobUpgrade, FlinkSavepoint, coverage};
use crate::context::Context;
use crate::flink::{self, CheckpointStatus, CheckpointsConfig, JobId};
use crate::naming;
use crate::reconcile::{Error, namespace_terminating, within};
use crate::time::Clock;

/// How long a pass may wait for tasks.
const MOMENT: Duration = Duration::from_millis(300);
/// Within this time of its beginning a job is only starting.
const BEGINNING: TimeDelta = TimeDelta::seconds(3);

/// Reads everything that the planner needs.
///
/// # Errors
/// When the Kubernetes API can't be read. A JobManager that gives no answer is an observation, not an error.
pub async fn observe(ctx: &Context, upgrade: FlinkJobUpgrade) -> Result<Observed, Error> {
    let namespace = upgrade.namespace().unwrap_or_default();
    let (objects, savepoint, terminating, account_is_left) = tokio::try_join!(
        Box::pin(objects::read(ctx, &namespace, &upgrade)),
        child_savepoint(ctx, &namespace, &upgrade),
        terminating(ctx, &namespace, &upgrade),
        account::is_left(ctx, &upgrade),
    )?;
    let Objects { mut revisions, stable_service } = objects;
    high_availability::add(ctx, &upgrade, &mut revisions).await?;
    // After the pods: what one of them has uploaded is there by then.
    let (session, session_pod) = session::find(ctx, &upgrade).await?.unzip();
    if let Some(session) = &session {
        session::lay_over(session, &mut revisions, scope::jobs_of_interest(&upgrade).into_keys());
    }
    let carrier = match scope::preflight_at(&upgrade).filter(|_| session.is_some()) {
        Some(number) => {
            let process = revisions.get(&number).and_then(|r| r.carrier.process.clone());
            let what = Ask { slots: true, patient: false, failures: false };
            Some((number, cluster(ctx, process, None, what).await))
        }
        None => None,
    };
    let what = Ask {
        slots: scope::slots_matter(&upgrade),
        patient: scope::waits_for_tasks(&upgrade),
        failures: scope::failures_matter(&upgrade),
    };
    let asked = scope::jobs_of_interest(&upgrade).into_iter().filter_map(|(number, job)| {
        let revision = revisions.get(&number)?;
        // Of a session cluster it is said already why it has none.
        let (process, known) = (revision.job_manager.clone(), matches!(revision.cluster, Cluster::NotAsked));
        known.then_some(async move { (number, cluster(ctx, process, job, what).await) })
    });
    for (number, cluster) in join_all(asked).await {
        revisions.entry(number).or_default().cluster = cluster;
    }
    if let Some((number, cluster)) = carrier {
        revisions.entry(number).or_default().carrier.cluster = cluster;
    }
    let checkpoints_config = checkpoints_config(ctx, &upgrade, &revisions).await;
    let unknown = unknown(&upgrade);
    // Only now: what was waited for has just happened.
    let now = ctx.clock.now();
    let mut observed = Observed {
        now,
        upgrade,
        unknown,
        revisions,
        savepoint,
        stable_service,
        retained: Retained::NotAsked,
        unlisted: false,
        newest: Newest::NotAsked,
        existing: Existing::NotAsked,
        restore: Restore::NotAsked,
        account_is_left,
        jar: jar::Fetching::NotAsked,
        checkpoints_config,
        namespace_terminating: terminating,
        session,
        children: Vec::new(),
        ended: Left::NotAsked,
    };
    if scope::children_matter(&observed.upgrade) {
        observed.children = children::of(&observed.upgrade, ctx.known.savepoints().unwrap_or_default());
    }
    session::add(ctx, &mut observed, session_pod.flatten()).await?;
    // After the pods and the job: what is the newest is certain only of a job that was fenced before.
    snapshots::add(ctx, &mut observed).await?;
    jar::add(ctx, &mut observed).await?;
    refusals::add(ctx, &mut observed).await;
    Ok(observed)
}

fn unknown(upgrade: &FlinkJobUpgrade) -> Vec<String> {
    let spec = serde_json::to_value(&upgrade.spec).unwrap_or_default();
    coverage::unknown("FlinkJobUpgrade", &spec)
}

/// The FlinkSavepoint that the operation names, or is about to name.
async fn child_savepoint(
    ctx: &Context,
    namespace: &str,
    upgrade: &FlinkJobUpgrade,
) -> Result<Option<FlinkSavepoint>, Error> {
    if !scope::savepoint_matters(upgrade) {
        return Ok(None);
    }
    let status = upgrade.status.as_ref();
    let Some(operation) = status.and_then(|s| s.operation.as_ref()) else { return Ok(None) };
    let name = match &operation.savepoint {
        Some(named) => named.name.clone(),
        None => child::next_name(&upgrade.name_any(), &operation.id, status.and_then(|s| s.upgrade.as_ref())),
    };
    let api: Api<FlinkSavepoint> = Api::namespaced(ctx.client.clone(), namespace);
    let found = within("get FlinkSavepoint", api.get_opt(&name)).await?;
    let wanted = operation.savepoint.as_ref().and_then(|s| s.uid.as_ref());
    Ok(found.filter(|s| match wanted {
        Some(uid) => s.metadata.uid.as_ref() == Some(uid),
        None => naming::is_child_of(&s.metadata, &upgrade.uid().unwrap_or_default(), &operation.id),
    }))
}

/// Asked only while the resource is being deleted: in a terminating namespace nothing can be created any more.
async fn terminating(ctx: &Context, namespace: &str, upgrade: &FlinkJobUpgrade) -> Result<bool, Error> {
    if upgrade.metadata.deletion_timestamp.is_none() {
        return Ok(false);
    }
    namespace_terminating(ctx, namespace).await
}

/// How the job at rest takes checkpoints, where that is to be told. What Flink does not answer is asked for again.
async fn checkpoints_config(
    ctx: &Context,
    upgrade: &FlinkJobUpgrade,
    revisions: &BTreeMap<i64, Revision>,
) -> Option<CheckpointsConfig> {
    let cancelled = scope::cancelled_for_its_checkpoint(upgrade);
    let ends = cancelled.is_some();
    let (number, job) = recoverable::matters(upgrade).or(cancelled)?;
    let revision = revisions.get(&number)?;
    let Cluster::Up(up) = &revision.cluster else { return None };
    let runs = up.job.as_ref().is_some_and(|known| known.id == job && (known.all_tasks_running || ends));
    let process = revision.job_manager.as_ref().filter(|_| runs)?;
    process.client(ctx).checkpoints_config(&job).await.ok()
}

/// What a JobManager is asked for, its jobs aside.
#[derive(Clone, Copy)]
struct Ask {
    slots: bool,
    /// Also of a job that runs.
    failures: bool,
    /// Asked again, for a moment, while the job's tasks are being started.
    patient: bool,
}

async fn cluster(ctx: &Context, process: Option<Process>, job: Option<JobId>, ask: Ask) -> Cluster {
    let Some(process) = process else { return Cluster::Down("the JobManager's pod is not running".to_owned()) };
    let flink = process.client(ctx);
    let moment = if ask.patient { MOMENT } else { Duration::ZERO };
    let enough = |answer: &Result<Up, _>| !matches!(answer, Ok(up) if up.job.as_ref().is_some_and(starts));
    match flink::ask_until(moment, FAST, || up(&flink, &ctx.clock, job.as_ref(), ask), enough).await {
        Ok(up) => Cluster::Up(Box::new(Up { instance: process.instance, ..up })),
        Err(e) => Cluster::Down(e.to_string()),
    }
}

fn starts(job: &JobFacts) -> bool {
    use flink::JobState::{Created, Initializing, Running};
    matches!(job.state, Created | Initializing | Running) && !job.all_tasks_running
}

async fn up(flink: &flink::Client, clock: &Clock, job: Option<&JobId>, ask: Ask) -> Result<Up, flink::Error> {
    let overview = async { if ask.slots { flink.overview().await.map(Some) } else { Ok(None) } };
    let (overview, jobs) = tokio::try_join!(overview, flink.jobs())?;
    let mut up = Up {
        instance: String::new(),
        free_slots: overview.as_ref().map(|o| o.slots_available),
        flink_version: overview.and_then(|o| o.flink_version),
        jobs: jobs.iter().map(|j| (j.id.clone(), j.state)).collect(),
        job: None,
    };
    let Some(found) = job.and_then(|id| jobs.into_iter().find(|j| &j.id == id)) else { return Ok(up) };
    let all_tasks_running = found.state == flink::JobState::Running && found.tasks.all_running();
    let mut facts = JobFacts {
        all_tasks_running,
        tasks_running: i64::from(found.tasks.running),
        end_time: found.end_time.and_then(DateTime::from_timestamp_millis),
        ..JobFacts::of(found.id, found.state)
    };
    let mut last_ack = None;
    // Both may be refused while the job is in its first moments; they only add to what is known.
    if checkpoints_matter(facts.state)
        && let Ok(checkpoints) = flink.checkpoints(&facts.id).await
    {
        let restored = checkpoints.latest.restored;
        facts.restored_as_savepoint = restored.as_ref().is_some_and(|r| r.is_savepoint);
        facts.restored_path = restored.and_then(|r| r.external_path);
        facts.completed_checkpoints = checkpoints.counts.completed;
        facts.checkpoints_in_progress = checkpoints.counts.in_progress;
        let under_way = checkpoints.history.iter().find(|c| c.status == CheckpointStatus::InProgress);
        facts.checkpoint_bytes = under_way.and_then(|c| c.checkpointed_size.or(c.state_size)).unwrap_or_default();
        let last = checkpoints.latest.completed;
        last_ack = last.as_ref().and_then(|c| c.latest_ack_timestamp);
        facts.last_checkpoint = last.and_then(|c| c.external_path.map(|path| (c.id, path)));
    }
    if (ask.failures || failures_matter(facts.state, all_tasks_running, found.start_time, clock))
        && let Ok(exceptions) = flink.exceptions(&facts.id).await
    {
        let since = |e: &&flink::ExceptionEntry| last_ack.is_none_or(|ack| e.timestamp > ack);
        facts.failures = exceptions.iter().filter(since).count();
        facts.own_failures = exceptions.iter().filter(|e| !e.cause.is_lost_task_manager()).count();
        if failures_matter(facts.state, all_tasks_running, found.start_time, clock) {
            facts.failure = exceptions.first().map(|e| e.cause.to_string());
        }
    }
    up.job = Some(facts);
    Ok(up)
}

/// While it is in its first moments Flink has no answer, and of a job that came to its end none is needed.
fn checkpoints_matter(state: flink::JobState) -> bool {
    use flink::JobState::{Canceled, Cancelling, Failed, Failing, Restarting, Running};
    matches!(state, Running | Restarting | Failing | Failed | Cancelling | Canceled)
}

/// A job that has just begun is not asked why it does not run yet: the JobManager has better things to do.
fn failures_matter(state: flink::JobState, all_tasks_running: bool, start_time: Option<i64>, clock: &Clock) -> bool {
    use flink::JobState::{Canceled, Created, Finished, Initializing, Running};
    match state {
        Finished | Canceled => false,
        Initializing | Created | Running => {
            let began = start_time.and_then(DateTime::from_timestamp_millis);
            !all_tasks_running && began.is_none_or(|began| clock.now() - began > BEGINNING)
        }
        _ => true,
    }
}
