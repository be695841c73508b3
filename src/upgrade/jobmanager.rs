//! Where a revision's JobManager is, and which process answers there.

use http::HeaderValue;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};

use super::observed::Container;
use crate::context::Context;
use crate::flink;
use crate::naming;

/// A JobManager's process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// The pod's UID and the container's restart count. A new instance has forgotten every trigger and, without high
    /// availability, every job.
    pub instance: String,
    /// Base URL of its REST API, by the pod's own address: whoever answers there is this process, which a Service does
    /// not promise, and a node's proxy need not have heard of it yet.
    pub url: String,
    /// What is sent with every request.
    pub authorization: Option<HeaderValue>,
    /// How, where it speaks HTTPS.
    pub tls: Option<flink::Tls>,
}

impl Process {
    /// A client of it.
    #[must_use]
    pub fn client(&self, ctx: &Context) -> flink::Client {
        ctx.flink.client(&self.url).authorized(self.authorization.clone()).over_tls(self.tls.clone())
    }
}

/// The pod's UID and the container's restart count that an instance names.
#[must_use]
pub fn parts(instance: &str) -> Option<(&str, i32)> {
    let (uid, restarts) = instance.rsplit_once('/')?;
    Some((uid, restarts.parse().ok()?))
}

/// How often Flink's container in a pod was restarted, and how it stands with its process.
#[must_use]
pub fn container(pod: &Pod) -> (i32, Container) {
    let Some(main) = main_container(pod) else { return (0, Container::Waits) };
    let state = main.state.as_ref();
    let waits_after_its_end = || main.last_state.as_ref().is_some_and(|s| s.terminated.is_some());
    let container = match state {
        Some(s) if s.running.is_some() => Container::Runs,
        Some(s) if s.terminated.is_some() || s.waiting.is_some() && waits_after_its_end() => Container::Ended,
        _ => Container::Waits,
    };
    (main.restart_count, container)
}

fn main_container(pod: &Pod) -> Option<&ContainerStatus> {
    let all = pod.status.as_ref()?.container_statuses.as_ref()?;
    all.iter().find(|c| c.name == naming::MAIN_CONTAINER)
}

/// The digest of the image of Flink's container, without the registry's name: `sha256:…`.
#[must_use]
pub fn image_digest(pod: &Pod) -> Option<String> {
    let id = main_container(pod)?.image_id.as_str();
    let digest = id.rsplit_once('@').map_or(id, |(_, digest)| digest);
    digest.starts_with("sha256:").then(|| digest.to_owned())
}

/// The SHA-256 of the job's jar, which its init container has left as its message.
#[must_use]
pub fn jar_sha256(pod: &Pod) -> Option<String> {
    let all = pod.status.as_ref()?.init_container_statuses.as_ref()?;
    let copied = all.iter().find(|c| c.name == naming::JAR_CONTAINER)?.state.as_ref()?.terminated.as_ref()?;
    let hash = copied.message.as_deref()?.split_whitespace().next()?;
    (hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit())).then(|| hash.to_owned())
}

/// The process in a JobManager's pod. `None` while its container does not run.
#[must_use]
pub fn process(pod: &Pod) -> Option<Process> {
    let uid = pod.metadata.uid.as_deref()?;
    let status = pod.status.as_ref()?;
    let main = main_container(pod)?;
    main.state.as_ref()?.running.as_ref()?;
    let ip: std::net::IpAddr = status.pod_ip.as_deref()?.parse().ok()?;
    let url = format!("http://{}", std::net::SocketAddr::new(ip, naming::REST_PORT));
    Some(Process { instance: format!("{uid}/{}", main.restart_count), url, authorization: None, tls: None })
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
                // Of one that is started again and again its own last words tell more than how long that is put off.
                let ended = container.last_state.as_ref().and_then(|s| s.terminated.as_ref());
                let last = ended.filter(|_| reason == "CrashLoopBackOff").and_then(said);
                let message = last.or_else(|| waiting.message.clone()).or_else(|| ended.and_then(said));
                return Some(format!("container {}: {reason}: {}", container.name, message.unwrap_or_default()));
            }
        }
        let ended = state.and_then(|s| s.terminated.as_ref()).filter(|e| e.exit_code != 0);
        if let Some(ended) = ended {
            let message = said(ended).unwrap_or_else(|| format!("exit code {}", ended.exit_code));
            return Some(format!("container {}: {message}", container.name));
        }
    }
    let unscheduled = status.conditions.iter().flatten().find(|c| c.type_ == "PodScheduled" && c.status == "False")?;
    let reason = unscheduled.reason.clone().unwrap_or_default();
    Some(format!("{reason}: {}", unscheduled.message.clone().unwrap_or_default()))
}

/// How a container ended: its exit code and its message, if it has left one.
fn said(ended: &ContainerStateTerminated) -> Option<String> {
    let message = ended.message.as_deref().map(str::trim).filter(|message| !message.is_empty())?;
    Some(format!("exit code {}: {message}", ended.exit_code))
}

#[cfg(test)]
#[path = "jobmanager_tests.rs"]
mod tests;
