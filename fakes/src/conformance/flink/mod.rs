//! What the operator counts on in a Flink session cluster, as cases over a [`World`]: the fake of `crate::flink`, or a
//! real cluster.

mod cluster;
mod fake;
mod hands;
mod history;
mod job_manager;
mod run;
mod savepoint;
mod shape;
mod stop;
mod task_manager;

use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use serde_json::Value;

pub use crate::flink::Version;
pub use fake::{Fake, multipart};
pub use run::{Case, Needs, Report, cases, run};

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body; a body that is no JSON as a string of JSON.
    pub body: Value,
}

/// Nobody answered: no connection, or it was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody answers")]
pub struct NoAnswer;

/// A job that a case wants: streaming, endless, with state, checkpoints every 2 s below a directory of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobWish {
    /// Of all its operators but the source, which has one task.
    pub parallelism: u32,
    /// What its snapshots do.
    pub snapshots: Snapshots,
}

/// What the snapshots of a job do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Snapshots {
    /// They are done at once.
    Fast,
    /// Each takes so long on the one task that has data.
    Take(Duration),
    /// The operator's `snapshotState` throws.
    Fail,
}

/// What is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// `kill -9` of the JobManager's process. It is started again by itself.
    JobManager,
    /// `kill -9` of the process of a TaskManager that runs a task of the job. It is started again by itself.
    TaskManager,
}

/// When it is struck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// Before this call returns.
    Now,
    /// As soon as a `_metadata` appears anywhere below this directory, once. The call returns at once.
    AsMetadataAppears {
        /// A directory of [`World::directory`].
        below: String,
    },
}

/// A Flink session cluster of its own, with two TaskManagers of one slot each, which nobody else uses. It has no default
/// directory for savepoints; checkpoints are retained after a cancel, two at most; the restart strategy is the default
/// one, and so are `rest.async.store-duration` and `web.refresh-interval`.
///
/// Time is that of `tokio::time`, on a paused clock in the fake.
#[async_trait]
pub trait World: Send + Sync {
    /// The version of Flink.
    fn version(&self) -> Version;

    /// Whether the JobManager has high availability by Kubernetes.
    fn high_availability(&self) -> bool;

    /// A directory for savepoints that nobody has used, as a URL; the name is part of it.
    fn directory(&self, name: &str) -> String;

    /// A directory in a bucket that does not exist, with a scheme that Flink can load.
    fn unwritable_directory(&self) -> String;

    /// Sends a request to the JobManager; `path` with its leading slash.
    async fn request(&self, method: &str, path: &str, body: Option<Value>) -> Result<Answer, NoAnswer>;

    /// Uploads a file by this name as a jar.
    async fn upload(&self, name: &str, content: &str) -> Result<Answer, NoAnswer>;

    /// Submits a job without a savepoint and returns its id as soon as the JobManager has taken it.
    async fn start_job(&self, wish: &JobWish) -> Result<String>;

    /// Kills a process.
    async fn strike(&self, target: Target, when: When) -> Result<()>;

    /// Whether no JobManager will lead here any more; the cluster is then made anew, without its jobs. With high availability
    /// Flink 2.3.0 may start no more once a JobManager was killed that had stored that a job has ended, and had not removed yet
    /// what it had kept of it.
    async fn made_anew(&self) -> Result<bool>;

    /// The files below a directory, a URL of [`World::directory`] or a location that Flink gave, as paths relative to
    /// it, without markers of directories.
    async fn files(&self, directory: &str) -> Result<Vec<String>>;

    /// The retained checkpoints of a job that have a `_metadata`: the names of their directories, `chk-7`.
    async fn retained_checkpoints(&self, job: &str) -> Result<Vec<String>>;

    /// Whether the ConfigMap exists in which high availability keeps a job's checkpoints.
    async fn has_high_availability_map(&self, job: &str) -> Result<bool>;
}
