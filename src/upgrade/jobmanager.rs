//! Where a revision's JobManager is, and which process answers there.

use k8s_openapi::api::core::v1::{Pod, Service};

use crate::naming;

/// The base URL of a revision's REST endpoint, by the cluster address of its Service: no name has to be looked up.
#[must_use]
pub fn base_url(service: &Service) -> Option<String> {
    let address = service.spec.as_ref()?.cluster_ip.as_deref().filter(|ip| !ip.is_empty() && *ip != "None")?;
    Some(format!("http://{address}:{}", naming::REST_PORT))
}

/// The process in a JobManager's pod: the pod's UID and the container's restart count. A new instance has forgotten
/// every trigger and, without high availability, every job. `None` before the container has run.
#[must_use]
pub fn instance(pod: &Pod) -> Option<String> {
    let uid = pod.metadata.uid.as_deref()?;
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    let main = containers.iter().find(|c| c.name == naming::MAIN_CONTAINER)?;
    main.state.as_ref()?.running.as_ref()?;
    Some(format!("{uid}/{}", main.restart_count))
}

/// Why a pod does not start, in Kubernetes' own words: a container that waits for something that may never come, or
/// no node to run on. Init containers come first, as the others only wait for them.
#[must_use]
pub fn trouble(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let containers = status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
    for container in containers {
        let state = container.state.as_ref();
        let waiting = state.and_then(|s| s.waiting.as_ref());
        if let Some(waiting) = waiting {
            let reason = waiting.reason.as_deref().unwrap_or_default();
            if !matches!(reason, "" | "PodInitializing" | "ContainerCreating") {
                let ended = container.last_state.as_ref().and_then(|s| s.terminated.as_ref());
                let message = waiting.message.clone().or_else(|| ended.and_then(|e| e.message.clone()));
                return Some(format!("container {}: {reason}: {}", container.name, message.unwrap_or_default()));
            }
        }
        let ended = state.and_then(|s| s.terminated.as_ref()).filter(|e| e.exit_code != 0);
        if let Some(ended) = ended {
            let message = ended.message.clone().unwrap_or_default();
            return Some(format!("container {}: exit code {}: {message}", container.name, ended.exit_code));
        }
    }
    let unscheduled = status.conditions.iter().flatten().find(|c| c.type_ == "PodScheduled" && c.status == "False")?;
    let reason = unscheduled.reason.clone().unwrap_or_default();
    Some(format!("{reason}: {}", unscheduled.message.clone().unwrap_or_default()))
}
