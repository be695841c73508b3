//! Reads the world of a FlinkJobUpgrade: Kubernetes live, then the JobManagers that the pass is about.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use futures::future::{join_all, try_join_all};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Service};
use kube::api::{ListParams, PartialObjectMeta};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::heal::Live;
use super::jobmanager::Process;
use super::observed::{
    self, Cluster, Existing, HighAvailability, JobFacts, Newest, Observed, Record, Restore, Retained, Revision, Up,
};
use super::plan::FAST;
use super::scope::{self, Scope};
use super::{account, child, high_availability, jar, jobmanager, recoverable, refusals, session, snapshots, workload};
use crate::api::{FlinkJobUpgrade, FlinkSavepoint, annotations, coverage, labels};
use crate::flink::{self, CheckpointStatus, CheckpointsConfig, JobId};
use crate::naming;
use crate::reconcile::{Error, within};
use crate::runtime::Context;
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
    let objects = async {
        match scope::of(&upgrade) {
            Scope::Whole => Box::pin(objects(ctx, &namespace, &upgrade)).await,
            Scope::Revisions => Box::pin(objects_by_name(ctx, &namespace, &upgrade)).await,
        }
    };
    let (objects, savepoint, terminating, account_is_left) = tokio::try_join!(
        objects,
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
    let not_yet = not_yet(&upgrade);
    // Only now: what was waited for has just happened.
    let now = ctx.clock.now();
    let mut observed = Observed {
        now,
        upgrade,
        not_yet,
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
    };
    session::add(ctx, &mut observed, session_pod.flatten()).await?;
    // After the pods and the job: what is the newest is certain only of a job that was fenced before.
    snapshots::add(ctx, &mut observed).await?;
    jar::add(ctx, &mut observed).await?;
    refusals::add(ctx, &mut observed).await;
    Ok(observed)
}

/// What Kubernetes has of a job.
#[derive(Default)]
struct Objects {
    revisions: BTreeMap<i64, Revision>,
    stable_service: Option<i64>,
}

impl Objects {
    fn pod(&mut self, number: i64, pod: &Pod) {
        let revision = self.revisions.entry(number).or_default();
        let job_manager = pod.labels().get(labels::COMPONENT).is_some_and(|c| c == labels::JOBMANAGER);
        if job_manager {
            revision.job_manager = jobmanager::process(pod).or(revision.job_manager.take());
        }
        let (restarts, container) = jobmanager::container(pod);
        revision.pods.push(observed::Pod {
            name: pod.name_any(),
            uid: pod.uid().unwrap_or_default(),
            job_manager,
            restarts,
            container,
            image_digest: jobmanager::image_digest(pod),
            jar_sha256: jobmanager::jar_sha256(pod),
            leaving: pod.metadata.deletion_timestamp.is_some(),
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            trouble: jobmanager::trouble(pod),
        });
    }

    fn record(&mut self, record: &ControllerRevision) -> Result<(), Error> {
        let (number, record) = read_record(record)?;
        let revision = self.revisions.entry(number).or_default();
        (revision.recorded, revision.record) = (true, Some(Box::new(record)));
        Ok(())
    }
}

/// All of them.
async fn objects(ctx: &Context, namespace: &str, upgrade: &FlinkJobUpgrade) -> Result<Objects, Error> {
    let of_job = ListParams::default().labels(&naming::job_selector(&upgrade.uid().unwrap_or_default()));
    let others = async {
        if scope::drift_matters(upgrade) {
            Live::list(ctx, namespace, &of_job).await.map(|live| (numbers(&live), Some(live)))
        } else {
            count_objects(ctx, namespace, &of_job).await.map(|counts| (counts, None))
        }
    };
    let mut objects = Objects::default();
    let (records, services, pods, (counts, live)) = tokio::try_join!(
        records(ctx, namespace, upgrade, &of_job),
        list::<Service>(ctx, namespace, &of_job),
        list::<Pod>(ctx, namespace, &of_job),
        others,
    )?;
    for (number, high_availability) in records.numbers {
        let revision = objects.revisions.entry(number).or_default();
        revision.recorded = true;
        revision.high_availability = high_availability.then(HighAvailability::default);
    }
    for record in &records.whole {
        objects.record(record)?;
    }
    for number in counts {
        objects.revisions.entry(number).or_default().objects += 1;
    }
    for service in &services {
        if service.name_any() == naming::stable_service_name(&upgrade.name_any()) {
            objects.stable_service = Some(selected_revision(service).unwrap_or_default());
        } else if let Some(number) = revision_of(service) {
            objects.revisions.entry(number).or_default().objects += 1;
        }
    }
    for pod in &pods {
        if let Some(number) = revision_of(pod) {
            objects.pod(number, pod);
        }
    }
    if let Some(live) = live {
        let live = Live { services, ..live };
        objects.revisions.values_mut().for_each(|revision| live.compare(revision, namespace));
    }
    Ok(objects)
}

/// The ControllerRevisions of a job.
struct Records {
    /// The revisions that have one, and whether with high availability.
    numbers: Vec<(i64, bool)>,
    /// Those that matter.
    whole: Vec<ControllerRevision>,
}

/// Each holds all objects of its revision, and there are many: only those that matter are read whole.
async fn records(
    ctx: &Context,
    namespace: &str,
    upgrade: &FlinkJobUpgrade,
    of_job: &ListParams,
) -> Result<Records, Error> {
    let api: Api<ControllerRevision> = Api::namespaced(ctx.client.clone(), namespace);
    let listed = within("list", api.list_metadata(of_job)).await?;
    let (mut numbers, mut names) = (Vec::new(), Vec::new());
    // A StatefulSet keeps ControllerRevisions of its own, with its pods' labels.
    for record in listed.items.iter().filter(|r| r.owner_references().is_empty()) {
        let Some(number) = revision_of(record) else { continue };
        let storage = record.annotations().get(annotations::HIGH_AVAILABILITY_STORAGE);
        if scope::record_matters(upgrade, number) || storage.is_some_and(|s| s == annotations::STORAGE_USED) {
            names.push(record.name_any());
        }
        numbers.push((number, storage.is_some()));
    }
    let whole = names.iter().map(|name| within("get", api.get_opt(name)));
    let whole = try_join_all(whole).await?;
    Ok(Records { numbers, whole: whole.into_iter().flatten().collect() })
}

/// The revisions of what was listed, Services and pods aside: one for each object.
fn numbers(live: &Live) -> Vec<i64> {
    let config_maps = live.config_maps.iter().filter_map(revision_of);
    let stateful_sets = live.stateful_sets.iter().filter_map(revision_of);
    config_maps.chain(stateful_sets).chain(live.deployments.iter().filter_map(revision_of)).collect()
}

/// Those that lead to the JobManagers that are asked.
async fn objects_by_name(ctx: &Context, namespace: &str, upgrade: &FlinkJobUpgrade) -> Result<Objects, Error> {
    let (name, uid) = (upgrade.name_any(), upgrade.uid().unwrap_or_default());
    let each = scope::jobs_of_interest(upgrade).into_keys().map(async |number| {
        let revision = naming::revision_name(&name, number);
        let pod = naming::job_manager_pod_name(&name, number);
        let record = async {
            if scope::record_matters(upgrade, number) {
                named::<ControllerRevision>(ctx, namespace, &revision, &uid).await
            } else {
                Ok(None)
            }
        };
        let found = tokio::try_join!(record, named::<Pod>(ctx, namespace, &pod, &uid))?;
        Ok::<_, Error>((number, found))
    });
    let mut objects = Objects::default();
    for (number, (record, pod)) in try_join_all(each).await? {
        if let Some(record) = record {
            objects.record(&record)?;
        }
        if let Some(pod) = pod {
            objects.pod(number, &pod);
        }
    }
    Ok(objects)
}

/// An object of this job by its name; somebody else's of that name is none.
async fn named<K>(ctx: &Context, namespace: &str, name: &str, uid: &str) -> Result<Option<K>, Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let api: Api<K> = Api::namespaced(ctx.client.clone(), namespace);
    let found = within("get", api.get_opt(name)).await?;
    Ok(found.filter(|k| k.labels().get(labels::JOB_UID).is_some_and(|owner| owner == uid)))
}

fn not_yet(upgrade: &FlinkJobUpgrade) -> Vec<String> {
    let spec = serde_json::to_value(&upgrade.spec).unwrap_or_default();
    coverage::not_yet("FlinkJobUpgrade", &spec)
}

async fn list<K>(ctx: &Context, namespace: &str, params: &ListParams) -> Result<Vec<K>, Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let api: Api<K> = Api::namespaced(ctx.client.clone(), namespace);
    Ok(within("list", api.list(params)).await?.items)
}

/// The same, where no more of the objects matters than how many there are.
async fn count_objects(ctx: &Context, namespace: &str, params: &ListParams) -> Result<Vec<i64>, Error> {
    let (config_maps, stateful_sets, deployments) = tokio::try_join!(
        metadata::<ConfigMap>(ctx, namespace, params),
        metadata::<StatefulSet>(ctx, namespace, params),
        metadata::<Deployment>(ctx, namespace, params),
    )?;
    Ok([config_maps, stateful_sets, deployments].concat())
}

async fn metadata<K>(ctx: &Context, namespace: &str, params: &ListParams) -> Result<Vec<i64>, Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let api: Api<K> = Api::namespaced(ctx.client.clone(), namespace);
    let list = within("list", api.list_metadata(params)).await?;
    Ok(list.items.iter().filter_map(revision_of::<PartialObjectMeta<K>>).collect())
}

fn revision_of<K: ResourceExt>(object: &K) -> Option<i64> {
    object.labels().get(labels::REVISION)?.parse().ok()
}

fn selected_revision(service: &Service) -> Option<i64> {
    service.spec.as_ref()?.selector.as_ref()?.get(labels::REVISION)?.parse().ok()
}

fn read_record(record: &ControllerRevision) -> Result<(i64, Record), Error> {
    let unreadable = |message: String| Error::Record { name: record.name_any(), message };
    let rendered = workload::from_controller_revision(record).map_err(|e| unreadable(e.to_string()))?;
    let revision_hash = rendered.revision_hash.clone();
    let storage = record.annotations().get(annotations::HIGH_AVAILABILITY_STORAGE);
    let high_availability_storage_settled = storage.is_some_and(|storage| storage != annotations::STORAGE_USED);
    Ok((record.revision, Record { rendered, revision_hash, high_availability_storage_settled }))
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
        None => child::name(&upgrade.name_any(), &operation.id),
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
    let api: Api<Namespace> = Api::all(ctx.client.clone());
    let found = within("get Namespace", api.get_metadata_opt(namespace)).await?;
    Ok(found.is_none_or(|n| n.metadata.deletion_timestamp.is_some()))
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
