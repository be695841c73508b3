//! The process of a container, killed from outside: within a container nobody can kill process 1.

use std::{
    fs,
    os::fd::OwnedFd,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::{pause::Paused, proc, s3::S3};

/// Time between two looks into the bucket for a `_metadata`.
const TIGHT: Duration = Duration::from_millis(5);

/// The main process of a running container. A descriptor and not a number: it never comes to mean another process.
#[derive(Debug)]
pub struct Process {
    descriptor: OwnedFd,
    number: Pid,
    /// Namespace and name of its pod.
    pod: String,
}

impl Process {
    /// The main process of a pod's container of that name.
    ///
    /// # Errors
    /// The container does not run, or not on this machine.
    pub fn of(pod: &Pod, container: &str) -> Result<Self> {
        let name = |part: &Option<String>| part.clone().unwrap_or_default();
        let called = format!("{}/{}", name(&pod.metadata.namespace), name(&pod.metadata.name));
        let id = running_container(pod, container).with_context(|| format!("{called}: {container} does not run"))?;
        if let Some((number, folder)) = proc::all()?.find(|(_, folder)| is_main_process(folder, id)) {
            let descriptor = pidfd_open(number, PidfdFlags::empty())?;
            // It may have ended just before, and its number be another's.
            ensure!(is_main_process(&folder, id), "{called}: {container} has ended");
            return Ok(Self { descriptor, number, pod: called });
        }
        anyhow::bail!("{called}: {container} has no process on this machine; only its own cluster's can be killed")
    }

    /// Kills it (`kill -9`): with process 1 all others of the container end.
    ///
    /// # Errors
    /// It has ended already.
    pub fn kill(&self) -> Result<()> {
        pidfd_send_signal(&self.descriptor, Signal::KILL).with_context(|| format!("kill {}", self.pod))
    }

    /// A file as the process sees it.
    ///
    /// # Errors
    /// It has ended, or there is no such file.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        let path = format!("/proc/{}/root{path}", self.number.as_raw_nonzero());
        fs::read(&path).with_context(|| format!("{}: {path}", self.pod))
    }

    /// Lets it stand still.
    ///
    /// # Errors
    /// It has ended already.
    pub fn pause(self) -> Result<Paused> {
        Paused::new(self.descriptor, &self.pod)
    }

    /// Cuts its pod off: nothing comes in or goes out any more, and its processes do not notice. The pod's network
    /// namespace ends with the pod, and the cut with it.
    ///
    /// # Errors
    /// The process has ended, or the packet filter can't be had.
    pub fn cut_off(&self) -> Result<()> {
        let rules = "add table ip cut; add chain ip cut in { type filter hook input priority 0; policy drop; }; \
                     add chain ip cut out { type filter hook output priority 0; policy drop; }";
        let target = format!("--net=/proc/{}/ns/net", self.number.as_raw_nonzero());
        let made = Command::new("nsenter").args([&target, "nft", rules]).output().context("nsenter")?;
        ensure!(made.status.success(), "nft in {}: {}", self.pod, String::from_utf8_lossy(&made.stderr));
        Ok(())
    }

    /// Kills it as soon as a `_metadata` is anywhere below a key prefix that has none yet; returns its key.
    ///
    /// # Errors
    /// None appears within the deadline.
    pub async fn kill_as_metadata_appears(&self, s3: &S3, prefix: &str, deadline: Duration) -> Result<String> {
        let start = Instant::now();
        // Looks that take long are not made up for.
        let mut looks = tokio::time::interval(TIGHT);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            if let Some(key) = s3.list(prefix).await?.into_iter().find(|key| key.ends_with("/_metadata")) {
                self.kill()?;
                return Ok(key);
            }
            ensure!(start.elapsed() < deadline, "no _metadata below {prefix} within {deadline:?}");
        }
    }
}

/// The id of a container that runs.
fn running_container<'a>(pod: &'a Pod, name: &str) -> Option<&'a str> {
    let runs = |status: &&ContainerStatus| {
        status.name == name && status.state.as_ref().is_some_and(|state| state.running.is_some())
    };
    let statuses = pod.status.as_ref()?.container_statuses.as_deref()?;
    let (_, id) = statuses.iter().find(runs)?.container_id.as_deref()?.split_once("://")?;
    // Anything shorter could be found in the control group of another container.
    (id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

/// Whether `/proc/<pid>` is that of process 1 of a container.
fn is_main_process(folder: &Path, container: &str) -> bool {
    let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap_or_default();
    in_container(&read("cgroup"), container) && is_first(&read("status"))
}

/// Whether a process with these control groups is in a container: the last part of a path is its id, or a systemd
/// scope with the id.
fn in_container(cgroup: &str, container: &str) -> bool {
    let last = |line: &str| line.rsplit('/').next().map(str::to_owned);
    cgroup.lines().filter_map(last).any(|last| last.trim_end_matches(".scope").ends_with(container))
}

/// Whether `/proc/<pid>/status` is that of process 1 of its innermost namespace.
fn is_first(status: &str) -> bool {
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let numbers: Vec<&str> = numbers.unwrap_or_default().split_whitespace().collect();
    numbers.len() > 1 && numbers.last() == Some(&"1")
}

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;
