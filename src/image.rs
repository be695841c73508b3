//! The operator's own image, by which pods in users' namespaces fetch jars and copy snapshots.

use k8s_openapi::api::core::v1::{Pod, PodSpec};
use kube::Api;

use crate::context::Context;
use crate::reconcile::{Error, within};

/// The operator's container in its own pod, as chart and kustomize name it.
const OPERATOR_CONTAINER: &str = "operator";

/// Its name: as the operator was told, or else as its pod says.
///
/// # Errors
/// If Kubernetes can't be asked.
pub async fn own(ctx: &Context) -> Result<Option<String>, Error> {
    if ctx.settings.image.is_some() {
        return Ok(ctx.settings.image.clone());
    }
    let containers = own_pod(ctx).await?.containers;
    let own = containers.iter().find(|container| container.name == OPERATOR_CONTAINER).or(containers.first());
    Ok(own.and_then(|container| container.image.clone()))
}

/// The names of the Secrets that it is pulled with, as the operator's own pod says. Another namespace may have Secrets of
/// these names; the kubelet passes over those that it has not.
///
/// # Errors
/// If Kubernetes can't be asked.
pub async fn pull_secrets(ctx: &Context) -> Result<Vec<String>, Error> {
    let secrets = own_pod(ctx).await?.image_pull_secrets.unwrap_or_default();
    Ok(secrets.into_iter().map(|secret| secret.name).collect())
}

/// Empty where it runs in none.
async fn own_pod(ctx: &Context) -> Result<PodSpec, Error> {
    let Some((namespace, name)) = &ctx.settings.pod else { return Ok(PodSpec::default()) };
    let pods: Api<Pod> = Api::namespaced(ctx.client.clone(), namespace);
    Ok(within("get Pod", pods.get_opt(name)).await?.and_then(|pod| pod.spec).unwrap_or_default())
}
