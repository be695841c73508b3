//! A job of any Flink cluster, behind a Service.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::endpoint::{self, Means};
use super::{JobManager, not_ready, reasons_against};
use crate::api::condition::{self, Reason, types};
use crate::api::{FlinkClusterRef, FlinkJobUpgrade, FlinkSavepoint, SavepointAttempt, SessionClusterRef, Then, labels};
use crate::flink::{self, JobId, JobOverview, config};
use crate::naming::{self, MAIN_CONTAINER};
use crate::reconcile::{Error, within};
use crate::runtime::Context;
use crate::savepoint::current;
use crate::savepoint::format::Setting;
use crate::savepoint::lineage;
use crate::savepoint::observed::{Job, JobNow, Submitted, Turn};

/// Where a foreign JobManager is.
#[derive(Debug, Clone)]
pub enum Found {
    /// There.
    Here(JobManager),
    /// It can't be found now, and why.
    NotNow(String),
    /// It can't be asked as the spec says, and the cure.
    Blocked(Reason, String),
}

/// Finds the JobManager behind a Service. Where exactly one pod is behind it, which Kubernetes lets the operator see,
/// that pod is asked at its own address: whoever answers there is this process.
///
/// # Errors
/// If Kubernetes can't be asked.
pub async fn job_manager(ctx: &Context, namespace: &str, cluster: &SessionClusterRef) -> Result<Found, Error> {
    let services: Api<Service> = Api::namespaced(ctx.client.clone(), namespace);
    let name = &cluster.service;
    let Some(service) = within("get Service", services.get_opt(name)).await? else {
        return Ok(Found::NotNow(format!(
            "spec.flinkCluster.service: there is no Service {name} in this namespace; name the Service of the \
             JobManager's REST endpoint"
        )));
    };
    if let Some(job) = service.labels().get(labels::JOB) {
        let message = format!(
            "spec.flinkCluster.service: Service {name} belongs to the FlinkJobUpgrade {job}, whose lock would be passed \
             by: its savepoints are taken by spec.jobRef, and no other job may run there"
        );
        return Ok(Found::Blocked(Reason::InvalidSpec, message));
    }
    let Means { authorization, tls } = match endpoint::means(ctx, namespace, cluster).await? {
        Ok(means) => means,
        Err((reason, message)) => return Ok(Found::Blocked(reason, message)),
    };
    let port = endpoint::port(cluster);
    let Some(named) = service.spec.iter().flat_map(|s| s.ports.iter().flatten()).find(|p| p.port == port) else {
        let message = format!(
            "spec.flinkCluster.port: Service {name} has no port {port}; name the port of the JobManager's REST endpoint"
        );
        return Ok(Found::Blocked(Reason::InvalidSpec, message));
    };
    let url = endpoint::url(cluster, namespace);
    let by_name = JobManager { url, instance: None, pod: None, authorization, tls };
    let slices: Api<EndpointSlice> = Api::namespaced(ctx.client.clone(), namespace);
    let of_service = ListParams::default().labels(&format!("kubernetes.io/service-name={name}"));
    let slices = match within("list EndpointSlices", slices.list(&of_service)).await {
        Ok(slices) => slices.items,
        // Whoever installed the operator did not want it to see them.
        Err(e) if e.reason() == "Forbidden" => return Ok(Found::Here(by_name)),
        Err(e) => return Err(e),
    };
    let Some((endpoint, port)) = the_one(&slices, named.name.as_deref()) else {
        let none = !slices.is_empty() && slices.iter().all(|s| s.endpoints.is_empty());
        return Ok(if none {
            Found::NotNow(format!("no pod is behind Service {name} now"))
        } else {
            Found::Here(by_name)
        });
    };
    let pods: Api<Pod> = Api::namespaced(ctx.client.clone(), namespace);
    let pod = match endpoint.target_ref.as_ref().filter(|t| t.kind.as_deref() == Some("Pod")) {
        Some(target) => within("get Pod", pods.get_opt(target.name.as_deref().unwrap_or_default())).await?,
        None => None,
    };
    let address = endpoint.addresses.first().and_then(|a| a.parse::<IpAddr>().ok());
    Ok(Found::Here(match (pod.as_ref().and_then(instance), address) {
        (Some(instance), Some(address)) => JobManager {
            url: format!("{}://{}", endpoint::scheme(cluster), SocketAddr::new(address, port)),
            instance: Some(instance),
            pod: pod.as_ref().map(ResourceExt::name_any),
            ..by_name
        },
        _ => by_name,
    }))
}

/// The endpoint, if there is exactly one that is ready, or exactly one at all; with the port of that name.
fn the_one<'a>(slices: &'a [EndpointSlice], port: Option<&str>) -> Option<(&'a Endpoint, u16)> {
    let all = slices.iter().flat_map(|slice| {
        let named =
            slice.ports.iter().flatten().find(|p| p.name.as_deref().unwrap_or_default() == port.unwrap_or_default());
        let port = named.and_then(|p| u16::try_from(p.port?).ok());
        slice.endpoints.iter().filter_map(move |endpoint| Some((endpoint, port?)))
    });
    let all: Vec<_> = all.collect();
    let ready = |e: &Endpoint| e.conditions.as_ref().and_then(|c| c.ready).unwrap_or(true);
    let mut those: Vec<_> = all.iter().filter(|(e, _)| ready(e)).collect();
    if those.is_empty() {
        those = all.iter().collect();
    }
    match those.as_slice() {
        [one] => Some(**one),
        _ => None,
    }
}

/// The process in a pod: its JobManager's container is the only one, or has one of the usual names.
fn instance(pod: &Pod) -> Option<String> {
    let uid = pod.metadata.uid.as_deref()?;
    let containers = pod.status.as_ref()?.container_statuses.as_deref()?;
    let named = containers.iter().find(|c| c.name == MAIN_CONTAINER || c.name == "jobmanager");
    let main = match (named, containers) {
        (Some(named), _) => named,
        (None, [only]) => only,
        (None, _) => return None,
    };
    Some(format!("{uid}/{}", main.restart_count))
}

/// The job as it is, for a savepoint that is about to be taken.
///
/// # Errors
/// If Kubernetes can't be asked.
pub async fn job(
    ctx: &Context,
    savepoint: &FlinkSavepoint,
    cluster: &FlinkClusterRef,
) -> Result<(Job, Option<JobManager>), Error> {
    let namespace = savepoint.namespace().unwrap_or_default();
    let waiting = |reason, message: String| Ok((Job::Waiting { reason, message }, None));
    let job_manager = match job_manager(ctx, &namespace, &cluster.cluster()).await? {
        Found::Here(job_manager) => job_manager,
        Found::NotNow(message) => return waiting(Reason::JobManagerUnreachable, message),
        Found::Blocked(reason, message) => return Ok((Job::Blocked { reason, message }, None)),
    };
    let flink = job_manager.client(ctx);
    let (jobs, overview, configuration) = match tokio::try_join!(flink.jobs(), flink.overview(), flink.configuration())
    {
        Ok(answers) => answers,
        Err(e) => return waiting(Reason::JobManagerUnreachable, e.to_string()),
    };
    let job = match choose(&jobs, cluster) {
        Ok(job) => job,
        Err(other) => return Ok((other, None)),
    };
    if let Some(name) = managed_by(ctx, &namespace, &job.id).await? {
        let message = format!(
            "spec.flinkCluster: job {} is that of the FlinkJobUpgrade {name}, whose lock would be passed by; name it by \
             spec.jobRef",
            job.id
        );
        return Ok((Job::Blocked { reason: Reason::InvalidSpec, message }, None));
    }
    if savepoint.spec.then() != Then::Continue
        && let Err(kind) = high_availability(&configuration)
    {
        let message = format!(
            "spec.then: whether a job of this cluster has really ended can't be told, as its high availability ({kind}) \
             can't be looked into; leave it out, and stop the job by hand"
        );
        return Ok((Job::Blocked { reason: Reason::NotPossible, message }, None));
    }
    let not_ready = not_ready(Some(job));
    let option = |key: config::Key| key.get(&configuration).map(str::to_owned);
    let savepoint_directory = option(config::SAVEPOINT_DIRECTORY);
    let (store_trouble, harmed) =
        reasons_against(ctx, savepoint, &flink, &job.id, savepoint_directory.as_deref(), not_ready.is_none()).await?;
    // What it was restored from is told for the record only.
    let checkpoints = flink.checkpoints(&job.id).await.ok();
    let restored_from = checkpoints.and_then(|checkpoints| checkpoints.latest.restored?.external_path);
    let submitted = Submitted {
        turn: queue(ctx, savepoint, cluster, &job.id).await?,
        source: lineage::of_foreign(&job.id, restored_from, &ctx.known.savepoints().unwrap_or_default()),
        job_id: job.id.clone(),
        savepoint_directory,
        flink_version: overview.flink_version,
        not_ready,
        setting: Setting { state_backend: option(config::STATE_BACKEND), changes: Vec::new() },
        store_trouble,
        harmed,
    };
    Ok((Job::Submitted(Box::new(submitted)), Some(job_manager)))
}

/// The FlinkJobUpgrade that runs a job on a session cluster.
async fn managed_by(ctx: &Context, namespace: &str, job: &JobId) -> Result<Option<String>, Error> {
    let on_session = |upgrade: &Arc<FlinkJobUpgrade>| {
        upgrade.spec.flink_cluster.is_some() && upgrade.metadata.namespace.as_deref() == Some(namespace)
    };
    // One that is not known yet has not submitted anything.
    if ctx.known.jobs().is_some_and(|known| !known.iter().any(on_session)) {
        return Ok(None);
    }
    let api: Api<FlinkJobUpgrade> = Api::namespaced(ctx.client.clone(), namespace);
    let all = within("list FlinkJobUpgrades", api.list(&ListParams::default())).await?.items;
    let runs = |upgrade: &&FlinkJobUpgrade| {
        let status = upgrade.status.as_ref();
        let active = status.and_then(|s| s.active.as_ref()).map(|active| &active.submission);
        let next = status.and_then(|s| s.upgrade.as_ref()?.submission.as_ref());
        upgrade.spec.flink_cluster.is_some() && active.into_iter().chain(next).any(|s| s.job_id == job.as_str())
    };
    Ok(all.iter().find(runs).map(ResourceExt::name_any))
}

/// The one job that the spec means.
fn choose<'a>(jobs: &'a [JobOverview], cluster: &FlinkClusterRef) -> Result<&'a JobOverview, Job> {
    let waiting = |message: String| Job::Waiting { reason: Reason::JobNotFound, message };
    if let Some(id) = &cluster.job_id {
        let Some(job) = jobs.iter().find(|j| j.id.as_str() == id) else {
            return Err(waiting(format!("spec.flinkCluster.jobId: the JobManager does not know the job {id}")));
        };
        if job.state.is_terminal() {
            let message = format!("job {id} has ended: it is {}, and an ended job can't give a savepoint", job.state);
            return Err(Job::Never { reason: Reason::JobEnded, message });
        }
        return Ok(job);
    }
    let wanted = |j: &&JobOverview| cluster.job_name.as_ref().is_none_or(|name| &j.name == name);
    let alive: Vec<_> = jobs.iter().filter(|j| !j.state.is_terminal()).filter(wanted).collect();
    match (alive.as_slice(), &cluster.job_name) {
        ([job], _) => Ok(job),
        ([], Some(name)) => {
            Err(waiting(format!("spec.flinkCluster.jobName: no job of the name {name:?} that has not ended")))
        }
        ([], None) => Err(waiting("the cluster has no job that has not ended".to_owned())),
        (several, name) => {
            let ids: Vec<_> = several.iter().map(|j| format!("{} ({:?})", j.id, j.name)).collect();
            let field = if name.is_some() { "jobName" } else { "jobId" };
            let message =
                format!("spec.flinkCluster.{field}: {} jobs fit: {}; name one by jobId", several.len(), ids.join(", "));
            Err(Job::Blocked { reason: Reason::InvalidSpec, message })
        }
    }
}

/// Who else wants a savepoint of this job. Nothing in a foreign cluster could hold a lock, so the FlinkSavepoints
/// themselves are looked at, live, and one after the other ([`crate::runtime::turns`]).
async fn queue(ctx: &Context, mine: &FlinkSavepoint, cluster: &FlinkClusterRef, job: &JobId) -> Result<Turn, Error> {
    let may_be_of_it = |other: &FlinkSavepoint| {
        let theirs = other.spec.flink_cluster.as_ref().filter(|theirs| theirs.service == cluster.service);
        theirs.is_some_and(|theirs| theirs.job_id.as_ref().is_none_or(|id| id == job.as_str()))
            && other.metadata.uid != mine.metadata.uid
            && !current::is_settled(other)
    };
    let namespace = mine.namespace().unwrap_or_default();
    let others = current::savepoints(ctx, &namespace, &ListParams::default(), [], may_be_of_it).await?;
    let (mut busy, mut before) = (None, 0);
    let age = |s: &FlinkSavepoint| (s.creation_timestamp(), s.uid());
    for other in &others {
        let attempt = other.status.as_ref().and_then(|s| s.attempts.last());
        if attempt.is_some_and(|a| a.job_id == job.as_str() && holds(other, a)) {
            busy = Some(other.name_any());
        } else if age(other) < age(mine) {
            before += 1;
        }
    }
    Ok(Turn::Queue { busy, before })
}

/// An attempt keeps others from its job until Flink's part is done or, where the job is cancelled after it, to the end.
/// Not one whose answer is lost, as that may last.
fn holds(savepoint: &FlinkSavepoint, attempt: &SavepointAttempt) -> bool {
    let ready = savepoint.status.as_ref().and_then(|s| condition::find(&s.conditions, types::READY));
    if ready.is_some_and(|c| c.reason == Reason::AnswerLost.as_str()) {
        return false;
    }
    attempt.result.is_none()
        || (savepoint.spec.then() == Then::Cancel && savepoint.status.as_ref().is_some_and(|s| s.location.is_some()))
}

/// Whether a job that has ended, or that its JobManager does not know, may come back by itself. With Kubernetes HA a
/// JobManager recovers every job that still has a ConfigMap; without HA none comes back.
pub async fn may_return(ctx: &Context, namespace: &str, flink: &flink::Client, job: &JobId) -> JobNow {
    let configuration = match flink.configuration().await {
        Ok(configuration) => configuration,
        Err(e) => return JobNow::CantTell(e.to_string()),
    };
    let cluster_id = match high_availability(&configuration) {
        Ok(None) => return JobNow::Gone,
        Ok(Some(cluster_id)) => cluster_id,
        Err(kind) => {
            return JobNow::MayReturn(format!(
                "the JobManager's high availability ({kind}) can't be looked into, and it might recover the job"
            ));
        }
    };
    let maps: Api<ConfigMap> =
        Api::namespaced(ctx.client.clone(), config::NAMESPACE.get(&configuration).unwrap_or(namespace));
    let name = naming::job_config_map(cluster_id, job.as_str());
    match within("get ConfigMap", maps.get_metadata_opt(&name)).await {
        Ok(None) => JobNow::Gone,
        Ok(Some(_)) => JobNow::MayReturn(format!(
            "ConfigMap {name}, from which the JobManager would recover the job, is still there"
        )),
        Err(e) => JobNow::CantTell(e.to_string()),
    }
}

/// By which id a cluster's ConfigMaps are named; `None` without high availability, an error with one that is not
/// Kubernetes'.
fn high_availability(configuration: &BTreeMap<String, String>) -> Result<Option<&str>, &str> {
    let kind = config::HIGH_AVAILABILITY.get(configuration).unwrap_or("NONE");
    if kind.eq_ignore_ascii_case("NONE") {
        return Ok(None);
    }
    let kubernetes = kind.eq_ignore_ascii_case("kubernetes") || kind.ends_with("KubernetesHaServicesFactory");
    config::CLUSTER_ID.get(configuration).filter(|_| kubernetes).map(Some).ok_or(kind)
}

#[cfg(test)]
#[path = "cluster_tests.rs"]
mod tests;
