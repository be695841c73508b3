//! The fake as a world.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{ObjectStore, memory::InMemory};
use serde_json::Value;

use super::{Answer, JobWish, NoAnswer, Snapshots, Target, When, World};
use crate::clock::Clock;
use crate::flink::{self, Cluster, JobScript, Settings, Version};

/// The root of its store.
const ROOT: &str = "s3://snapshots";
/// From a JobManager's death to the next leader.
const JOB_MANAGER_BACK: Duration = Duration::from_secs(10);
/// From a TaskManager's death until its slots are there again.
const TASK_MANAGER_BACK: Duration = Duration::from_secs(8);

/// A fake cluster with files in memory.
#[derive(Debug)]
pub struct Fake {
    version: Version,
    high_availability: bool,
    cluster: Cluster,
    files: Arc<InMemory>,
    names: AtomicU32,
    newest_job: Arc<Mutex<String>>,
}

fn locked(job: &Mutex<String>) -> MutexGuard<'_, String> {
    job.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Fake {
    /// A new cluster.
    #[must_use]
    pub fn new(version: Version, high_availability: bool) -> Self {
        let files = Arc::new(InMemory::new());
        let clock = Clock::new(DateTime::UNIX_EPOCH + chrono::TimeDelta::days(20_000));
        let settings = Settings { high_availability, ..Settings::new(version, files.clone(), ROOT, clock) };
        Self {
            version,
            high_availability,
            cluster: Cluster::new(settings),
            files,
            names: AtomicU32::new(0),
            newest_job: Arc::default(),
        }
    }

    async fn send(&self, request: http::Request<Bytes>) -> Result<Answer, NoAnswer> {
        let response = self.cluster.handle(request).await.map_err(|_| NoAnswer)?;
        let status = response.status().as_u16();
        Ok(Answer { status, body: serde_json::from_slice(response.body()).map_err(|_| NoAnswer)? })
    }

    async fn below(&self, location: &str) -> Result<Vec<String>> {
        self.cluster.settle().await?;
        let key = Path::from(location.strip_prefix(ROOT).with_context(|| format!("{location} is not below {ROOT}"))?);
        let files: Vec<_> = self.files.list(Some(&key)).try_collect().await?;
        let relative = |path: &Path| {
            Some(path.prefix_match(&key)?.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"))
        };
        Ok(files.iter().filter_map(|file| relative(&file.location)).collect())
    }
}

/// A form with one file, and what separates its parts.
#[must_use]
pub fn multipart(name: &str, content: &str) -> (&'static str, String) {
    let boundary = "----x32e2210d52e34d7eb028aaff93740e0b";
    let head = format!("Content-Disposition: form-data; name=\"jarfile\"; filename=\"{name}\"");
    (boundary, format!("--{boundary}\r\n{head}\r\n\r\n{content}\r\n--{boundary}--\r\n"))
}

fn kill(cluster: &Cluster, target: Target, job: &str) -> bool {
    match target {
        Target::JobManager => {
            cluster.kill_job_manager(JOB_MANAGER_BACK);
            true
        }
        Target::TaskManager => cluster.kill_task_manager(job, TASK_MANAGER_BACK),
    }
}

#[async_trait]
impl World for Fake {
    fn version(&self) -> Version {
        self.version
    }

    fn high_availability(&self) -> bool {
        self.high_availability
    }

    fn directory(&self, name: &str) -> String {
        format!("{ROOT}/savepoints/{name}-{}", self.names.fetch_add(1, Ordering::Relaxed))
    }

    fn unwritable_directory(&self) -> String {
        "s3://no-such-bucket/savepoints".to_owned()
    }

    async fn request(&self, method: &str, path: &str, body: Option<Value>) -> Result<Answer, NoAnswer> {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request =
            http::Request::builder().method(method).uri(path).body(Bytes::from(body)).map_err(|_| NoAnswer)?;
        self.send(request).await
    }

    async fn upload(&self, name: &str, content: &str) -> Result<Answer, NoAnswer> {
        let (boundary, body) = multipart(name, content);
        let request = http::Request::post("/jars/upload")
            .header("content-type", format!("multipart/form-data; boundary={boundary}"))
            .body(Bytes::from(body))
            .map_err(|_| NoAnswer)?;
        self.send(request).await
    }

    async fn start_job(&self, wish: &JobWish) -> Result<String> {
        let mut job = JobScript::new("counting", wish.parallelism);
        match wish.snapshots {
            Snapshots::Fast => {}
            Snapshots::Take(time) => job.snapshot = time,
            Snapshots::Fail => job.snapshots = flink::Snapshots::Throw("a snapshot that throws".to_owned()),
        }
        let id = format!("{:06x}{:026x}", 0xc9_ba30, self.names.fetch_add(1, Ordering::Relaxed));
        locked(&self.newest_job).clone_from(&id);
        self.cluster.start_job(&id, job);
        Ok(id)
    }

    async fn strike(&self, target: Target, when: When) -> Result<()> {
        match when {
            When::Now => {
                let job = locked(&self.newest_job).clone();
                ensure!(kill(&self.cluster, target, &job), "no process to kill");
            }
            When::AsMetadataAppears { below } => {
                let (struck, job) = (AtomicBool::new(false), self.newest_job.clone());
                self.cluster.on_metadata(move |cluster, location| {
                    if location.starts_with(&below) && !struck.swap(true, Ordering::Relaxed) {
                        let job = locked(&job).clone();
                        kill(cluster, target, &job);
                    }
                });
            }
        }
        Ok(())
    }

    async fn made_anew(&self) -> Result<bool> {
        Ok(false)
    }

    async fn files(&self, directory: &str) -> Result<Vec<String>> {
        self.below(directory).await
    }

    async fn retained_checkpoints(&self, job: &str) -> Result<Vec<String>> {
        let files = self.below(&format!("{ROOT}/checkpoints/{job}")).await?;
        Ok(files.iter().filter_map(|file| file.strip_suffix("/_metadata")).map(str::to_owned).collect())
    }

    async fn has_high_availability_map(&self, job: &str) -> Result<bool> {
        let maps = self.cluster.high_availability_maps().unwrap_or_default();
        Ok(maps.keys().any(|name| name.ends_with(&format!("-{job}-config-map"))))
    }
}
