//! Killing a process of a session cluster, now or at an exact moment.

use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, Preconditions},
};

use super::{objects::CONTAINER, process::Process};
use crate::s3::S3;

/// A process of a session cluster that is about to be killed.
#[derive(Debug)]
pub struct Aim {
    process: Process,
    pod: Pod,
    pods: Api<Pod>,
    s3: S3,
}

impl Aim {
    pub(super) fn at(pod: Pod, pods: Api<Pod>, s3: S3) -> Result<Self> {
        Ok(Self { process: Process::of(&pod, CONTAINER)?, pod, pods, s3 })
    }

    /// Kills it now.
    ///
    /// # Errors
    /// It has ended already.
    pub async fn now(self) -> Result<()> {
        self.process.kill()?;
        self.skip_back_off().await
    }

    /// Kills it as soon as a `_metadata` is anywhere below a directory (`s3://…`), within milliseconds.
    ///
    /// # Errors
    /// None appears within the deadline, or the process has ended before.
    pub async fn as_metadata_appears(self, below: &str, deadline: Duration) -> Result<()> {
        let prefix = format!("{}/", self.s3.key(below)?);
        self.process.kill_as_metadata_appears(&self.s3, &prefix, deadline).await?;
        self.skip_back_off().await
    }

    /// A container that dies again waits for 10 s and more until it is started; a new pod does not.
    async fn skip_back_off(&self) -> Result<()> {
        if restarts(&self.pod) == 0 {
            return Ok(());
        }
        let name = self.pod.metadata.name.as_deref().unwrap_or_default();
        // Not the one that may have come meanwhile.
        let this = Preconditions { uid: self.pod.metadata.uid.clone(), resource_version: None };
        let parameters = DeleteParams::default().grace_period(0).preconditions(this);
        self.pods.delete(name, &parameters).await.with_context(|| format!("delete pod {name}"))?;
        Ok(())
    }
}

/// How often the containers of a pod were started again.
pub(super) fn restarts(pod: &Pod) -> i32 {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    statuses.iter().map(|status| status.restart_count).sum()
}
