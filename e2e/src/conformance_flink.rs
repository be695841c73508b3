//! The real side of the suite that holds the fake of Flink to Flink: [`World`] over a session cluster.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use fakes::conformance::flink::{Answer, JobWish, NoAnswer, Snapshots, Target, Version, When, World};
use reqwest::Method;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::{
    job,
    namespace::Sandbox,
    s3::S3,
    session::{Behaviour, NEVER_STARTS, Run, SessionCluster, Wish},
};

/// As the cases expect it.
const TASK_MANAGERS: u32 = 2;
/// How long the slow jobs take to commit a snapshot.
const COMMIT: Duration = Duration::from_secs(1);
/// How long after it was asked for a strike may wait for its moment.
const MOMENT: Duration = Duration::from_secs(120);

/// A real session cluster.
pub struct RealFlink {
    cluster: SessionCluster,
    s3: S3,
    /// Names that were given out.
    names: AtomicUsize,
    strikes: Mutex<Vec<JoinHandle<Result<()>>>>,
}

impl RealFlink {
    /// Makes one in the namespace of a test, as the cases expect it.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn start(sandbox: &Sandbox, version: job::Version, high_availability: bool) -> Result<Self> {
        let configuration = [
            ("execution.checkpointing.interval", "2s".to_owned()),
            ("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION".to_owned()),
            ("execution.checkpointing.num-retained", "2".to_owned()),
        ];
        let wish = Wish {
            high_availability,
            task_managers: TASK_MANAGERS,
            configuration: configuration.into(),
            ..Wish::of(version)
        };
        let name = if high_availability { "available" } else { "plain" };
        let cluster = sandbox.session_cluster(name, wish).await?;
        let s3 = sandbox.env.s3.clone();
        Ok(Self { cluster, s3, names: AtomicUsize::new(0), strikes: Mutex::default() })
    }

    /// Makes it as it was before a case: strikes have struck, no job has a slot, all processes run.
    ///
    /// # Errors
    /// A strike did not come or failed, or the cluster does not get well.
    pub async fn settle(&self) -> Result<()> {
        let strikes = std::mem::take(&mut *self.strikes.lock().unwrap_or_else(PoisonError::into_inner));
        for strike in strikes {
            ensure!(strike.is_finished(), "a strike was asked for, and its moment did not come");
            strike.await??;
        }
        self.cluster.complete().await?;
        for (job, state) in self.cluster.flink.jobs().await? {
            if !["FINISHED", "CANCELED", "FAILED"].contains(&state.as_str()) {
                // 409 if it ended meanwhile; what counts is that it ends.
                let path = format!("/jobs/{job}?mode=cancel");
                self.cluster.flink.request(Method::PATCH, &path, None).await?;
            }
        }
        self.cluster.idle().await
    }

    fn unique(&self, name: &str) -> String {
        format!("{name}-{}", self.names.fetch_add(1, Ordering::Relaxed))
    }

    /// The keys of the files below a directory, relative to it.
    async fn below(&self, directory: &str) -> Result<Vec<String>> {
        let prefix = format!("{}/", self.s3.key(directory)?);
        let keys = self.s3.list(&prefix).await?;
        Ok(keys.iter().filter_map(|key| key.strip_prefix(&prefix)).map(str::to_owned).collect())
    }
}

#[async_trait]
impl World for RealFlink {
    fn version(&self) -> Version {
        match self.cluster.version() {
            job::Version::V1_20 => Version::V1_20,
            job::Version::V2_3 => Version::V2_3,
        }
    }

    fn high_availability(&self) -> bool {
        self.cluster.high_availability()
    }

    fn directory(&self, name: &str) -> String {
        self.s3.url(&format!("{}/{}", self.cluster.prefix(), self.unique(name)))
    }

    fn unwritable_directory(&self) -> String {
        format!("s3://{}-that-does-not-exist/savepoints", self.s3.bucket)
    }

    async fn request(&self, method: &str, path: &str, body: Option<Value>) -> Result<Answer, NoAnswer> {
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| NoAnswer)?;
        let answer = self.cluster.flink.request(method, path, body.as_ref()).await;
        answer.map(|(status, body)| Answer { status, body }).map_err(|_| NoAnswer)
    }

    async fn upload(&self, name: &str, content: &str) -> Result<Answer, NoAnswer> {
        let answer = self.cluster.flink.upload(name, content).await;
        answer.map(|(status, body)| Answer { status, body }).map_err(|_| NoAnswer)
    }

    async fn start_job(&self, wish: &JobWish) -> Result<String> {
        // The record volume is that of all clusters of the test.
        let records = self.unique(&self.cluster.name);
        match wish.snapshots {
            Snapshots::Fast => (),
            Snapshots::Take(time) => {
                self.cluster.behave(&records, Behaviour::SnapshotsTake(time))?;
                // Else its tasks have ended before a busy machine can strike as the savepoint of a stop is whole.
                self.cluster.behave(&records, Behaviour::CommitsTake(COMMIT))?;
            }
            Snapshots::Fail => self.cluster.behave(&records, Behaviour::SnapshotsFail)?,
        }
        self.cluster.run(&Run { parallelism: wish.parallelism, ..Run::of(&records) }).await
    }

    async fn strike(&self, target: Target, when: When) -> Result<()> {
        let aim = match target {
            Target::JobManager => self.cluster.aim_at_job_manager().await?,
            Target::TaskManager => self.cluster.aim_at_task_manager(self.cluster.busy_task_manager().await?).await?,
        };
        match when {
            When::Now => aim.now().await,
            When::AsMetadataAppears { below } => {
                let strike = tokio::spawn(async move { aim.as_metadata_appears(&below, MOMENT).await });
                self.strikes.lock().unwrap_or_else(PoisonError::into_inner).push(strike);
                Ok(())
            }
        }
    }

    async fn made_anew(&self) -> Result<bool> {
        let may_be_lost = self.high_availability() && self.version() == Version::V2_3;
        if !may_be_lost || self.cluster.job_manager_exit().await? != Some(NEVER_STARTS) {
            return Ok(false);
        }
        eprintln!("the JobManager of Flink 2.3.0 does not start any more: its cluster is made anew");
        self.cluster.make_anew().await.map(|()| true)
    }

    async fn files(&self, directory: &str) -> Result<Vec<String>> {
        self.below(directory).await
    }

    async fn retained_checkpoints(&self, job: &str) -> Result<Vec<String>> {
        let files = self.below(&self.s3.url(&self.cluster.checkpoints(job))).await?;
        Ok(files.iter().filter_map(|file| file.strip_suffix("/_metadata")).map(str::to_owned).collect())
    }

    async fn has_high_availability_map(&self, job: &str) -> Result<bool> {
        let maps = self.cluster.high_availability_maps().await.context("ConfigMaps")?;
        Ok(maps.contains(&format!("{}-{job}-config-map", self.cluster.name)))
    }
}
