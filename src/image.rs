//! The operator's own image, by which pods in users' namespaces fetch jars and copy snapshots.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;

use crate::reconcile::{Error, within};
use crate::runtime::Context;

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
    let Some((namespace, name)) = &ctx.settings.pod else { return Ok(None) };
    let pods: Api<Pod> = Api::namespaced(ctx.client.clone(), namespace);
    let containers = within("get Pod", pods.get_opt(name)).await?.and_then(|pod| pod.spec).map(|spec| spec.containers);
    let containers = containers.unwrap_or_default();
    let own = containers.iter().find(|container| container.name == OPERATOR_CONTAINER).or(containers.first());
    Ok(own.and_then(|container| container.image.clone()))
}
