//! The job of a FlinkJobUpgrade.

use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt};

use super::{not_ready, reasons_against};
use crate::api::condition::Reason;
use crate::api::{self, FlinkJobUpgrade, FlinkSavepoint, SessionClusterRef};
use crate::cluster::{self, JobManager};
use crate::context::Context;
use crate::flink::{self, JobId};
use crate::naming;
use crate::reconcile::{Error, within};
use crate::savepoint::format::{self, Setting};
use crate::savepoint::lineage;
use crate::savepoint::observed::{Job, Submitted, Turn};
use crate::upgrade::jobmanager;
use crate::upgrade::workload::{self, Rendered};

const NOT_RUNNING: &str = "its JobManager's pod is not running";

/// Where a revision's JobManager is.
#[derive(Debug, Clone)]
pub enum Found {
    /// There.
    Here(JobManager),
    /// It does not run now, or can't be found: why.
    NotRunning(String),
    /// It was removed, with all that could bring it back.
    Removed,
}

/// The JobManager that has a revision's job: the revision's own, or that of a session cluster.
///
/// # Errors
/// If Kubernetes can't be asked.
pub async fn of_job(
    ctx: &Context,
    namespace: &str,
    job: &str,
    cluster: Option<&SessionClusterRef>,
    revision: i64,
) -> Result<Found, Error> {
    let Some(cluster) = cluster else { return job_manager(ctx, namespace, job, revision).await };
    Ok(match cluster::job_manager(ctx, namespace, cluster).await? {
        cluster::Found::Here(found) => Found::Here(found),
        cluster::Found::NotNow(why) | cluster::Found::Blocked(_, why) => Found::NotRunning(why),
    })
}

/// A revision's JobManager, found by the name that its pod has for ever. By GET: a list would wait until the API
/// server's cache has caught up with the last write, while the job may be down.
///
/// # Errors
/// If Kubernetes can't be asked.
async fn job_manager(ctx: &Context, namespace: &str, job: &str, revision: i64) -> Result<Found, Error> {
    let pods: Api<Pod> = Api::namespaced(ctx.client.clone(), namespace);
    let pod = within("get Pod", pods.get_opt(&naming::job_manager_pod_name(job, revision))).await?;
    if let Some(pod) = &pod {
        let process = jobmanager::process(pod);
        let here = process.map(|p| JobManager {
            url: p.url,
            instance: Some(p.instance),
            pod: Some(pod.name_any()),
            authorization: p.authorization,
            tls: p.tls,
        });
        return Ok(here.map_or_else(|| Found::NotRunning(NOT_RUNNING.to_owned()), Found::Here));
    }
    let sets: Api<StatefulSet> = Api::namespaced(ctx.client.clone(), namespace);
    let set = within("get StatefulSet", sets.get_opt(&naming::job_manager_name(job, revision))).await?;
    Ok(if set.is_some() { Found::NotRunning(NOT_RUNNING.to_owned()) } else { Found::Removed })
}

/// The job as it is, for a savepoint that is about to be taken.
///
/// # Errors
/// If Kubernetes can't be asked.
pub async fn job(ctx: &Context, savepoint: &FlinkSavepoint, name: &str) -> Result<(Job, Option<JobManager>), Error> {
    let namespace = savepoint.namespace().unwrap_or_default();
    let waiting = |reason, message: String| Ok((Job::Waiting { reason, message }, None));
    let jobs: Api<FlinkJobUpgrade> = Api::namespaced(ctx.client.clone(), &namespace);
    let Some(upgrade) = within("get FlinkJobUpgrade", jobs.get_opt(name)).await? else {
        return waiting(Reason::JobNotFound, format!("there is no FlinkJobUpgrade {name} in this namespace"));
    };
    let uid = upgrade.uid().unwrap_or_default();
    let source = lineage::of_job(&upgrade, savepoint, &ctx.known.savepoints().unwrap_or_default());
    let status = upgrade.status.unwrap_or_default();
    let Some(active) = status.active else {
        if status.phase == Some(api::JobPhase::Suspended) {
            let snapshot = status.suspension.and_then(|suspension| suspension.snapshot);
            let state = snapshot.map_or_else(|| "it has none".to_owned(), |path| format!("that is {path}"));
            let message = format!(
                "FlinkJobUpgrade {name} is suspended, and nothing has changed its state since: {state}; take a savepoint \
                 once it runs again"
            );
            return Ok((Job::Never { reason: Reason::Suspended, message }, None));
        }
        let phase = status.phase.map_or("new", api::JobPhase::as_str);
        return waiting(Reason::JobNotRunning, format!("FlinkJobUpgrade {name} runs no job yet: it is {phase}"));
    };
    let Ok(job_id) = JobId::new(&active.submission.job_id) else {
        return waiting(Reason::JobNotRunning, "status.active has no job id".to_owned());
    };
    // The revision that this savepoint is taken for, if it is one of an upgrade.
    let next = status.upgrade.filter(|u| naming::is_child_of(&savepoint.metadata, &uid, &u.id)).map(|u| u.to);
    let next = async {
        match next {
            Some(number) => record(ctx, &namespace, name, number).await,
            None => Ok(None),
        }
    };
    let (job_manager, running, next) = tokio::try_join!(
        of_job(ctx, &namespace, name, upgrade.spec.flink_cluster.as_ref(), active.revision),
        record(ctx, &namespace, name, active.revision),
        next,
    )?;
    let job_manager = match job_manager {
        Found::Here(job_manager) => job_manager,
        Found::NotRunning(why) => return waiting(Reason::JobNotRunning, why),
        Found::Removed => return waiting(Reason::JobNotRunning, NOT_RUNNING.to_owned()),
    };
    let flink = job_manager.client(ctx);
    let (not_ready, flink_version) = readiness(&flink, &job_id).await;
    let release = |text: &str| text.parse().ok();
    let from = flink_version.as_deref().and_then(release);
    let to = upgrade.spec.flink_version.and_then(|v| release(v.as_str()));
    let setting = match (&running, &next) {
        (Some(running), Some(next)) => format::upgraded(running, next, from, to),
        (Some(running), None) => format::as_it_is(running),
        (None, _) => Setting::default(),
    };
    let savepoint_directory = running.and_then(|r| r.savepoint_directory);
    let (store_trouble, harmed) =
        reasons_against(ctx, savepoint, &flink, &job_id, savepoint_directory.as_deref(), not_ready.is_none()).await?;
    let submitted = Submitted {
        turn: Turn::Lock { uid, operation: status.operation },
        source,
        job_id,
        savepoint_directory,
        flink_version,
        not_ready,
        setting,
        store_trouble,
        harmed,
    };
    Ok((Job::Submitted(Box::new(submitted)), Some(job_manager)))
}

/// A revision as it was rendered, if its record can be read.
async fn record(ctx: &Context, namespace: &str, job: &str, number: i64) -> Result<Option<Rendered>, Error> {
    let records: Api<ControllerRevision> = Api::namespaced(ctx.client.clone(), namespace);
    let name = naming::revision_name(job, number);
    let found = within("get ControllerRevision", records.get_opt(&name)).await?;
    Ok(found.and_then(|r| workload::from_controller_revision(&r).ok()))
}

/// Why Flink would refuse a savepoint now, and its version.
async fn readiness(flink: &flink::Client, job: &JobId) -> (Option<String>, Option<String>) {
    match tokio::try_join!(flink.jobs(), flink.overview()) {
        Ok((jobs, overview)) => (not_ready(jobs.iter().find(|j| &j.id == job)), overview.flink_version),
        Err(e) => (Some(e.to_string()), None),
    }
}
