//! What the pods of a copy's Job say, and why there are none. It is only for people.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::job::{CONTAINER, labels_of};
use crate::context::Context;
use crate::reconcile::{Error, within};
use crate::time;
use crate::upgrade::{jobmanager, refusals};

/// A Job that is younger has only not come to its pod yet.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a Job that has not ended does not get on. What can't be found out is not said.
pub async fn trouble(ctx: &Context, namespace: &str, uid: &str, job: &Job) -> Option<String> {
    let runs = job.status.as_ref().and_then(|s| s.ready).unwrap_or_default() > 0;
    let age = job.creation_timestamp().and_then(|at| (ctx.clock.now() - time::from_k8s(&at)).to_std().ok());
    if runs || age.is_none_or(|age| age < PATIENCE) {
        return None;
    }
    let found = of_pods(ctx, namespace, uid, job).await;
    found.unwrap_or_else(|error| {
        tracing::debug!(job = job.name_any(), %error, "why it does not get on is not known");
        None
    })
}

async fn of_pods(ctx: &Context, namespace: &str, uid: &str, job: &Job) -> Result<Option<String>, Error> {
    let pods = list(ctx, namespace, uid).await?;
    if let Some(newest) = pods.iter().max_by_key(|pod| pod.creation_timestamp()) {
        return Ok(jobmanager::trouble(newest));
    }
    let refused = refusals::failed_create(ctx, namespace, &job.uid().unwrap_or_default()).await?;
    Ok(refused.map(|note| format!("FailedCreate: {note}")))
}

/// What the last pod of a Job that failed has said.
///
/// # Errors
/// If Kubernetes can't be asked.
pub async fn last_words(ctx: &Context, namespace: &str, uid: &str) -> Result<String, Error> {
    let said = |pod: &Pod| {
        let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
        let ended = containers.iter().find(|c| c.name == CONTAINER)?.state.as_ref()?.terminated.as_ref()?;
        Some((ended.finished_at.clone(), ended.message.clone()?.trim().to_owned()))
    };
    let last = list(ctx, namespace, uid).await?.iter().filter_map(said).max();
    Ok(last.map_or_else(|| "its pods have said nothing; see its Events".to_owned(), |(_, words)| words))
}

async fn list(ctx: &Context, namespace: &str, uid: &str) -> Result<Vec<Pod>, Error> {
    let pods: Api<Pod> = Api::namespaced(ctx.client.clone(), namespace);
    let labels = labels_of(uid).into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
    Ok(within("list Pods", pods.list(&ListParams::default().labels(&labels.join(",")))).await?.items)
}
