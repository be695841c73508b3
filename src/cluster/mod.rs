//! A Flink cluster behind a Service: where its JobManager is, which process that is, and how it is asked.

mod endpoint;

use std::net::{IpAddr, SocketAddr};

use http::HeaderValue;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use self::endpoint::Means;
pub use self::endpoint::{server_name, url};
use crate::api::condition::Reason;
use crate::api::{SessionClusterRef, labels};
use crate::context::Context;
use crate::flink;
use crate::naming::MAIN_CONTAINER;
use crate::reconcile::{Error, within};

/// Where a JobManager is, and which process answers there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobManager {
    /// Base URL of its REST API.
    pub url: String,
    /// The process: its pod's UID and the container's restart count. `None`: that can't be seen, and so nothing is
    /// repeated.
    pub instance: Option<String>,
    /// Its pod's name, where that is known by the instance.
    pub pod: Option<String>,
    /// What is sent with every request.
    pub authorization: Option<HeaderValue>,
    /// How, where it speaks HTTPS.
    pub tls: Option<flink::Tls>,
}

impl JobManager {
    /// A client of it.
    #[must_use]
    pub fn client(&self, ctx: &Context) -> flink::Client {
        ctx.flink.client(&self.url).authorized(self.authorization.clone()).over_tls(self.tls.clone())
    }
}

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

#[cfg(test)]
#[path = "cluster_tests.rs"]
mod tests;
