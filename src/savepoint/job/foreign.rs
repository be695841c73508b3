//! A job of any Flink cluster, behind a Service.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::{not_ready, reasons_against};
use crate::api::condition::{self, Reason, types};
use crate::api::{FlinkClusterRef, FlinkJobUpgrade, FlinkSavepoint, SavepointAttempt, Then};
use crate::cluster::{Found, JobManager, job_manager};
use crate::context::Context;
use crate::flink::{self, JobId, JobOverview, config};
use crate::naming;
use crate::reconcile::{Error, within};
use crate::savepoint::current;
use crate::savepoint::format::Setting;
use crate::savepoint::lineage;
use crate::savepoint::observed::{Job, JobNow, Submitted, Turn};

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
#[path = "foreign_tests.rs"]
mod tests;
