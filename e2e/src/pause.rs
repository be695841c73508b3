//! Processes that stand still for a while: what a machine that is silent, or far too busy, looks like from outside.

use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::{env::Env, proc};

/// A process that stands still (`SIGSTOP`) until it is woken, or this is dropped, whatever became of the test.
#[derive(Debug)]
#[must_use = "it wakes when this is dropped"]
pub struct Paused {
    descriptor: OwnedFd,
    what: String,
}

impl Paused {
    /// Stops a process; `what` it is called in errors.
    pub(crate) fn new(descriptor: OwnedFd, what: &str) -> Result<Self> {
        pidfd_send_signal(&descriptor, Signal::STOP).with_context(|| format!("pause {what}"))?;
        Ok(Self { descriptor, what: what.to_owned() })
    }

    /// Lets it run on.
    ///
    /// # Errors
    /// It has ended meanwhile.
    pub fn wake(self) -> Result<()> {
        pidfd_send_signal(&self.descriptor, Signal::CONT).with_context(|| format!("wake {}", self.what))
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        // One that was woken, or has ended, is not disturbed by it.
        let _ = pidfd_send_signal(&self.descriptor, Signal::CONT);
    }
}

/// Pauses the kubelet of the cluster's node: the node is silent, its containers run on. Nothing if it is not on this
/// machine.
///
/// # Errors
/// It is there, and has ended meanwhile.
pub fn kubelet(env: &Env) -> Result<Option<Paused>> {
    let config = env.kubeconfig.with_file_name("kubelet.kubeconfig");
    let option = "--kubeconfig";
    let Some((number, folder)) = proc::with_option(option, &config)? else { return Ok(None) };
    let descriptor = pidfd_open(number, PidfdFlags::empty()).context("the kubelet has ended")?;
    // It may have ended just before, and its number be another's.
    ensure!(proc::has_option(&folder, option, config.as_os_str()), "the kubelet has ended");
    Paused::new(descriptor, "the kubelet").map(Some)
}

#[cfg(test)]
#[path = "pause_tests.rs"]
mod tests;
