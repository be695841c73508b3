//! Reads what a session cluster has of a job.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt as _};

use crate::api::{FlinkJobUpgrade, SessionClusterRef, UpgradeStep};
use crate::cluster::{self, Found, JobManager};
use crate::context::Context;
use crate::flink::UploadedJar;
use crate::naming::{self, MAIN_CONTAINER};
use crate::reconcile::{Error, within};
use crate::upgrade::jobmanager::Process;
use crate::upgrade::observed::{CarrierPod, Cluster, Observed, Revision, Session, SessionJar, SessionJobManager};
use crate::upgrade::workload::{self, Carrier};

/// Finds the JobManager of the session cluster that a job runs on, if it does.
///
/// # Errors
/// If Kubernetes can't be asked.
pub async fn find(ctx: &Context, upgrade: &FlinkJobUpgrade) -> Result<Option<(Session, Option<String>)>, Error> {
    let Some(spec) = &upgrade.spec.flink_cluster else { return Ok(None) };
    let namespace = upgrade.namespace().unwrap_or_default();
    let found = cluster::job_manager(ctx, &namespace, spec).await?;
    let pod = match &found {
        Found::Here(found) => found.pod.clone(),
        _ => None,
    };
    let job_manager = match found {
        Found::Here(found) => known(found, spec),
        Found::NotNow(why) => SessionJobManager::NotNow(why),
        Found::Blocked(reason, why) => SessionJobManager::Blocked(reason, why),
    };
    Ok(Some((Session { job_manager, ..Session::default() }, pod)))
}

/// Whose process is not known can't be told to have ended, so no job is run there.
fn known(found: JobManager, spec: &SessionClusterRef) -> SessionJobManager {
    let JobManager { url, instance, authorization, tls, .. } = found;
    match instance {
        Some(instance) => SessionJobManager::Here(Process { instance, url, authorization, tls }),
        None => SessionJobManager::NotNow(format!(
            "spec.flinkCluster.service: which pod is behind Service {} can't be seen: it must be exactly one JobManager's, in \
             this namespace, and the operator must be allowed to read EndpointSlices and Pods",
            spec.service
        )),
    }
}

/// The JobManager of these revisions' jobs is the session cluster's; what they have of their own is their carrier's.
pub fn lay_over(session: &Session, revisions: &mut BTreeMap<i64, Revision>, asked: impl Iterator<Item = i64>) {
    for number in asked {
        let revision = revisions.entry(number).or_default();
        let process = revision.job_manager.take();
        revision.carrier = CarrierPod { process, cluster: Cluster::NotAsked };
        match &session.job_manager {
            SessionJobManager::Here(process) => revision.job_manager = Some(process.clone()),
            SessionJobManager::NotNow(why) | SessionJobManager::Blocked(_, why) => {
                revision.cluster = Cluster::Down(why.clone());
            }
        }
    }
}

/// Adds its jars, its configuration and what a carrier is made of, where that matters. `pod`: its JobManager's.
///
/// # Errors
/// If Kubernetes can't be asked. A JobManager that gives no answer is an observation.
pub async fn add(ctx: &Context, o: &mut Observed, pod: Option<String>) -> Result<(), Error> {
    let step = o.upgrade.status.as_ref().and_then(|s| s.upgrade.as_ref()).map(|u| u.step);
    let uid = o.upgrade.uid().unwrap_or_default();
    let (Some(session), Some(spec)) = (&mut o.session, &o.upgrade.spec.flink_cluster) else { return Ok(()) };
    let SessionJobManager::Here(process) = &session.job_manager else { return Ok(()) };
    let flink = process.client(ctx);
    if !matches!(step, Some(UpgradeStep::Restoring | UpgradeStep::Stabilizing)) {
        session.jars = flink.jars().await.ok().map(|jars| own(jars, &uid));
    }
    if !matches!(step, Some(UpgradeStep::Preparing | UpgradeStep::Starting)) {
        return Ok(());
    }
    session.configuration = flink.configuration().await.ok();
    let (Some(configuration), Some(pod)) = (&session.configuration, pod) else { return Ok(()) };
    if step == Some(UpgradeStep::Preparing) {
        let namespace = o.upgrade.namespace().unwrap_or_default();
        let pods: Api<Pod> = Api::namespaced(ctx.client.clone(), &namespace);
        let found = within("get Pod", pods.get_opt(&pod)).await?;
        session.carrier = found.and_then(|pod| carrier(&pod, &namespace, spec, configuration));
    }
    Ok(())
}

/// Those that are this resource's, by their names; the last one comes last.
fn own(mut jars: Vec<UploadedJar>, uid: &str) -> Vec<SessionJar> {
    jars.sort_by(|a, b| (a.uploaded, &a.id).cmp(&(b.uploaded, &b.id)));
    let prefix = naming::session_jars(uid);
    let parsed = |jar: UploadedJar| {
        let (revision, sha256) = jar.name.strip_prefix(&prefix)?.strip_suffix(".jar")?.split_once('-')?;
        Some(SessionJar { revision: revision.parse().ok()?, sha256: sha256.to_owned(), id: jar.id })
    };
    jars.into_iter().filter_map(parsed).collect()
}

fn carrier(
    pod: &Pod,
    namespace: &str,
    spec: &SessionClusterRef,
    configuration: &BTreeMap<String, String>,
) -> Option<Carrier> {
    let pod = pod.spec.as_ref()?;
    let named = pod.containers.iter().find(|c| c.name == MAIN_CONTAINER || c.name == "jobmanager");
    let secrets = pod.image_pull_secrets.iter().flatten().map(|secret| secret.name.clone());
    let (checkpoint_directory, savepoint_directory) = workload::directories(configuration);
    Some(Carrier {
        image: named.or(pod.containers.first())?.image.clone()?,
        pull_secrets: secrets.collect(),
        // By its name: it is uploaded to whoever leads when the pod has come up.
        url: cluster::url(spec, namespace),
        auth_secret: spec.auth_secret_ref.as_ref().map(|secret| secret.name.clone()),
        server_name: spec.tls.as_ref().map(|tls| cluster::server_name(spec, tls, namespace)),
        tls_secret: spec.tls.as_ref().and_then(|tls| tls.secret_ref.as_ref()).map(|secret| secret.name.clone()),
        checkpoint_directory,
        savepoint_directory,
    })
}

#[cfg(test)]
#[path = "observe_tests.rs"]
mod tests;
