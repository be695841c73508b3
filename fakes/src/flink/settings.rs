//! What a fake cluster and its jobs are like.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;

use super::records::Records;
use crate::clock::Clock;

/// The Flink versions that can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Flink 1.20.
    V1_20,
    /// Flink 2.3.
    V2_3,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1_20 => "1.20",
            Self::V2_3 => "2.3",
        })
    }
}

/// The format of a savepoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The same for all state backends.
    Canonical,
    /// The state backend's own.
    Native,
}

impl Format {
    /// As Flink writes it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Canonical => "CANONICAL",
            Self::Native => "NATIVE",
        }
    }
}

/// A cluster.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The version of Flink.
    pub version: Version,
    /// Whether it survives the JobManager's process with its jobs: high availability by Kubernetes.
    pub high_availability: bool,
    /// `kubernetes.cluster-id`: begins the names of its ConfigMaps.
    pub cluster_id: String,
    /// `jobmanager.rpc.address`.
    pub address: String,
    /// `kubernetes.namespace`.
    pub namespace: String,
    /// Where its files go.
    pub storage: Arc<dyn ObjectStore>,
    /// The location that the store's root stands for, such as `s3://snapshots`. Any other can't be written.
    pub storage_root: String,
    /// The wall clock.
    pub clock: Clock,
    /// `execution.checkpointing.savepoint-dir`.
    pub savepoint_directory: Option<String>,
    /// `execution.checkpointing.dir`: each job's checkpoints go to `<this>/<job id>/chk-<n>`.
    pub checkpoint_directory: Option<String>,
    /// `web.refresh-interval`: how old the answers about one job may be.
    pub refresh_interval: Duration,
    /// `rest.async.store-duration`: how long the result of a trigger is kept.
    pub results_kept: Duration,
    /// `heartbeat.timeout`: how long TaskManagers go on without a JobManager that knows them.
    pub heartbeat_timeout: Duration,
    /// `high-availability.kubernetes.leader-election.lease-duration`: at least so long after `kill -9` of a JobManager
    /// there is no other leader.
    pub lease: Duration,
    /// With high availability: from the end of a job, once its result is stored, until it is forgotten.
    pub clean_up: Duration,
    /// With high availability: the result of a job that ended is stored only when the job is forgotten, so that a
    /// JobManager which is killed in between is followed by one that runs the job again. Else it is stored at once.
    pub finished_runs_again: bool,
    /// How many TaskManagers there are.
    pub task_managers: usize,
    /// How many slots each of them has.
    pub slots: usize,
    /// The jars that `/jars/:id/run` knows, and the jobs in them.
    pub jars: Vec<(String, JobScript)>,
    /// The job in a jar that is uploaded, by its content.
    pub uploaded: fn(&str) -> Option<JobScript>,
    /// What its tasks do; shared by the clusters whose jobs follow each other.
    pub records: Records,
}

impl Settings {
    /// Two TaskManagers of one slot each, Flink's defaults but for the lease, which is over at once, no default directory for savepoints, checkpoints below
    /// `<root>/checkpoints`.
    #[must_use]
    pub fn new(version: Version, storage: Arc<dyn ObjectStore>, storage_root: &str, clock: Clock) -> Self {
        let storage_root = storage_root.trim_end_matches('/').to_owned();
        Self {
            version,
            high_availability: false,
            cluster_id: "fake".to_owned(),
            address: "fake".to_owned(),
            namespace: "default".to_owned(),
            storage,
            checkpoint_directory: Some(format!("{storage_root}/checkpoints")),
            storage_root,
            clock,
            savepoint_directory: None,
            refresh_interval: Duration::from_secs(3),
            results_kept: Duration::from_secs(5 * 60),
            heartbeat_timeout: Duration::from_secs(50),
            lease: Duration::ZERO,
            clean_up: match version {
                Version::V1_20 => Duration::from_millis(1200),
                Version::V2_3 => Duration::from_millis(300),
            },
            finished_runs_again: false,
            task_managers: 2,
            slots: 1,
            jars: Vec::new(),
            uploaded: |_| None,
            records: Records::default(),
        }
    }
}

/// A part of a job that is scheduled as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vertex {
    /// The operator id of its chain's head.
    pub id: String,
    /// The names of its operators.
    pub name: String,
    /// How many tasks it has.
    pub parallelism: u32,
}

/// What happens when an operator's `snapshotState` is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Snapshots {
    /// It works.
    Work,
    /// It throws an `IOException` with this message, which fails the task.
    Throw(String),
}

/// What happens after a task has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartStrategy {
    /// The job restarts, always, after a time.
    After(Duration),
    /// The job fails.
    Never,
}

/// What happens when a job is submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Main {
    /// It is taken.
    Works,
    /// `main()` throws an `IllegalArgumentException` with this message.
    Throws(String),
    /// `main()` does not end within the time that somebody gives it; what the helper program says of that.
    Hangs(String),
    /// Snapshots have state of the job's last vertex, and this job has no such operator.
    LacksOperator,
}

/// What a job does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobScript {
    /// Its name.
    pub name: String,
    /// What happens when it is submitted.
    pub main: Main,
    /// Its parts, from the source on.
    pub vertices: Vec<Vertex>,
    /// How long its tasks take from a slot to running.
    pub deployment: Duration,
    /// How long a snapshot takes until `_metadata` is written.
    pub snapshot: Duration,
    /// What its `snapshotState` does.
    pub snapshots: Snapshots,
    /// How long its tasks take to end once the savepoint of a stop is whole.
    pub stopping: Duration,
    /// Whether a task fails in that time.
    pub fails_while_stopping: bool,
    /// Whether no barrier gets through until [`super::Cluster::release`].
    pub backpressure: bool,
    /// What follows the failure of a task.
    pub restart: RestartStrategy,
    /// `execution.checkpointing.interval`.
    pub checkpoint_interval: Option<Duration>,
    /// `execution.checkpointing.num-retained`.
    pub retained: usize,
    /// `execution.checkpointing.dir`, if it has one of its own.
    pub checkpoint_directory: Option<String>,
    /// Whether a cancelled job's checkpoints stay.
    pub retain_on_cancellation: bool,
    /// How long it runs; for ever if this is left out.
    pub bounded: Option<Duration>,
    /// How long after all tasks run one of them fails, in each execution attempt.
    pub fails_after: Option<Duration>,
}

impl JobScript {
    /// An endless job of three vertices, with a checkpoint every two seconds.
    #[must_use]
    pub fn new(name: &str, parallelism: u32) -> Self {
        let vertex =
            |id: &str, name: &str, parallelism| Vertex { id: id.to_owned(), name: name.to_owned(), parallelism };
        Self {
            name: name.to_owned(),
            main: Main::Works,
            vertices: vec![
                vertex("5900d2cb0a81c830ac5f9c198a565783", "Source: numbers", 1),
                vertex("0da08f51eaa85fc298e176a139b3649a", "count", parallelism),
                vertex("8eeed16b661251f13cfc6a3c5e75c420", "totals -> sink: Writer", parallelism),
            ],
            deployment: Duration::from_millis(600),
            snapshot: Duration::from_millis(80),
            snapshots: Snapshots::Work,
            stopping: Duration::from_millis(120),
            fails_while_stopping: false,
            backpressure: false,
            restart: RestartStrategy::After(Duration::from_secs(1)),
            checkpoint_interval: Some(Duration::from_secs(2)),
            retained: 2,
            checkpoint_directory: None,
            retain_on_cancellation: true,
            bounded: None,
            fails_after: None,
        }
    }

    /// How many tasks it has.
    #[must_use]
    pub fn tasks(&self) -> u32 {
        self.vertices.iter().map(|vertex| vertex.parallelism).sum()
    }

    /// How many slots it needs: its vertices share them.
    #[must_use]
    pub fn slots(&self) -> usize {
        let most = self.vertices.iter().map(|vertex| vertex.parallelism).max().unwrap_or_default();
        usize::try_from(most).unwrap_or(usize::MAX)
    }
}
