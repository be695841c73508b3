//! What a JobManager answers. Tolerant on purpose: fields that are not named here are ignored, missing ones are `None`,
//! empty or zero, and states of later Flink versions become `Unknown`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use super::cause::Cause;
use super::id::JobId;

/// `GET /overview`: the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Overview {
    /// How many of its TaskManager processes are registered.
    pub taskmanagers: i32,
    /// Slots that are registered. With no job listed and fewer of them free, a slot still belongs to a dead job.
    pub slots_total: i32,
    /// Slots that no job holds.
    pub slots_available: i32,
    /// The Flink version, such as `1.20.5`.
    pub flink_version: Option<String>,
}

/// A jar in the JobManager's upload directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct UploadedJar {
    /// By which it is run: `<uuid>_<name>`.
    pub id: String,
    /// The name of the file that was uploaded.
    #[serde(default)]
    pub name: String,
    /// When it came, in milliseconds since the epoch.
    #[serde(default)]
    pub uploaded: i64,
}

/// A job's state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum JobState {
    /// The JobManager knows the job and reads its state.
    Initializing,
    /// Nothing was scheduled yet.
    Created,
    /// Says nothing of the tasks: see [`TaskCounts::all_running`].
    Running,
    /// It will fail for good.
    Failing,
    /// Failed for good.
    Failed,
    /// A cancel is under way.
    Cancelling,
    /// Cancelled.
    Canceled,
    /// Came to its end, or was stopped with a savepoint.
    Finished,
    /// A failover is under way.
    Restarting,
    /// This JobManager has let go of it; another one may run it.
    Suspended,
    /// Kept by Flink for compatibility.
    Reconciling,
    /// A state that this version does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

impl JobState {
    /// Flink's *globally terminal* states: no JobManager will ever run this job again.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Finished | Self::Canceled | Self::Failed)
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// The state of a task, and of a vertex as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskState {
    /// Not scheduled yet.
    Created,
    /// Waits for a slot.
    Scheduled,
    /// On its way to a TaskManager.
    Deploying,
    /// Restores its state.
    Initializing,
    /// Runs.
    Running,
    /// Came to its end.
    Finished,
    /// Is being cancelled.
    Canceling,
    /// Was cancelled.
    Canceled,
    /// Failed.
    Failed,
    /// Kept by Flink for compatibility.
    Reconciling,
    /// A state that this version does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

/// How many tasks are in which state: of a job or of a vertex.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TaskCounts {
    /// All of them, where Flink says it (`/jobs/overview` only).
    pub total: Option<u32>,
    /// Not scheduled yet.
    #[serde(alias = "CREATED")]
    pub created: u32,
    /// Waiting for a slot.
    #[serde(alias = "SCHEDULED")]
    pub scheduled: u32,
    /// On their way to a TaskManager.
    #[serde(alias = "DEPLOYING")]
    pub deploying: u32,
    /// Restoring their state.
    #[serde(alias = "INITIALIZING")]
    pub initializing: u32,
    /// Running.
    #[serde(alias = "RUNNING")]
    pub running: u32,
    /// At their end.
    #[serde(alias = "FINISHED")]
    pub finished: u32,
    /// Being cancelled.
    #[serde(alias = "CANCELING")]
    pub canceling: u32,
    /// Cancelled.
    #[serde(alias = "CANCELED")]
    pub canceled: u32,
    /// Failed.
    #[serde(alias = "FAILED")]
    pub failed: u32,
    /// Kept by Flink for compatibility.
    #[serde(alias = "RECONCILING")]
    pub reconciling: u32,
}

impl TaskCounts {
    /// All tasks.
    #[must_use]
    pub fn all(&self) -> u32 {
        let known = [
            self.created,
            self.scheduled,
            self.deploying,
            self.initializing,
            self.running,
            self.finished,
            self.canceling,
            self.canceled,
            self.failed,
            self.reconciling,
        ];
        // States of later versions are in the total only.
        known.into_iter().fold(0, u32::saturating_add).max(self.total.unwrap_or(0))
    }

    /// Every task runs or, in a job with a bounded part, has come to its end, and at least one runs. Flink refuses a
    /// savepoint and a stop otherwise.
    #[must_use]
    pub fn all_running(&self) -> bool {
        self.running > 0 && self.running.saturating_add(self.finished) == self.all()
    }
}

/// One of `GET /jobs/overview`, which is current, never cached.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct JobOverview {
    /// Its id.
    #[serde(rename = "jid")]
    pub id: JobId,
    /// Its name; not unique.
    #[serde(default)]
    pub name: String,
    /// Its state.
    pub state: JobState,
    /// When this JobManager process took it up, in milliseconds since the epoch; new after a failover of the JobManager.
    #[serde(default)]
    pub start_time: Option<i64>,
    /// When it ended, in milliseconds since the epoch.
    #[serde(default, deserialize_with = "not_negative")]
    pub end_time: Option<i64>,
    /// Its tasks. None at all where the job failed before it had any.
    #[serde(default)]
    pub tasks: TaskCounts,
}

/// `GET /jobs/:jobid`: cached by the JobManager for `web.refresh-interval` (3 s by default).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Job {
    /// Its id.
    #[serde(rename = "jid")]
    pub id: JobId,
    /// Its name; not unique.
    #[serde(default)]
    pub name: String,
    /// Its state.
    pub state: JobState,
    /// When this JobManager process took it up, in milliseconds since the epoch.
    #[serde(default)]
    pub start_time: Option<i64>,
    /// When it ended, in milliseconds since the epoch.
    #[serde(default, deserialize_with = "not_negative")]
    pub end_time: Option<i64>,
    /// Its vertices: one for each chain of operators. None where it failed before it had any.
    #[serde(default)]
    pub vertices: Vec<Vertex>,
}

impl Job {
    /// The job has vertices and every one of them has only tasks that run or came to their end, one at least running.
    #[must_use]
    pub fn all_tasks_running(&self) -> bool {
        let quiet = |v: &Vertex| v.tasks.finished > 0 && v.tasks.finished == v.tasks.all();
        self.vertices.iter().any(|v| v.tasks.all_running())
            && self.vertices.iter().all(|v| v.tasks.all_running() || quiet(v))
    }
}

/// A vertex of a job.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Vertex {
    /// The operator id of its chain's head.
    pub id: String,
    /// The names of its operators.
    #[serde(default)]
    pub name: String,
    /// How many tasks it has.
    #[serde(default)]
    pub parallelism: i32,
    /// Its key groups.
    #[serde(default, rename = "maxParallelism")]
    pub max_parallelism: i32,
    /// Its state as a whole.
    #[serde(default)]
    pub status: TaskState,
    /// Its tasks.
    #[serde(default)]
    pub tasks: TaskCounts,
}

/// `GET /jobs/:jobid/checkpoints`: cached by the JobManager for `web.refresh-interval` (3 s by default).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Checkpoints {
    /// Since this JobManager process took the job up.
    pub counts: CheckpointCounts,
    /// The newest of each kind.
    pub latest: LatestCheckpoints,
    /// The newest ones (10 by default), newest first; savepoints too.
    pub history: Vec<Checkpoint>,
}

/// How many checkpoints and savepoints came to which end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct CheckpointCounts {
    /// Restores, failovers included.
    pub restored: i64,
    /// Begun.
    pub total: i64,
    /// Under way.
    pub in_progress: i64,
    /// Completed.
    pub completed: i64,
    /// Failed. One early failure is normal: the tasks were not up yet.
    pub failed: i64,
}

/// The newest checkpoint of each kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct LatestCheckpoints {
    /// The newest completed checkpoint.
    pub completed: Option<Checkpoint>,
    /// The newest completed savepoint.
    pub savepoint: Option<Checkpoint>,
    /// The newest failure.
    pub failed: Option<Checkpoint>,
    /// What the job was last restored from, failovers included.
    pub restored: Option<RestoredCheckpoint>,
}

/// What a job was restored from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RestoredCheckpoint {
    /// Its checkpoint id.
    pub id: i64,
    /// When, in milliseconds since the epoch.
    #[serde(default)]
    pub restore_timestamp: Option<i64>,
    /// False after a restore by `CLAIM`, true after one by `NO_CLAIM` from a retained checkpoint: it says who owns the
    /// snapshot, not what kind it is.
    #[serde(default)]
    pub is_savepoint: bool,
    /// Where it lies; compare with [`super::location::same`].
    #[serde(default, deserialize_with = "addressable")]
    pub external_path: Option<String>,
}

/// The state of a checkpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CheckpointStatus {
    /// Under way.
    InProgress,
    /// Whole.
    Completed,
    /// Failed.
    Failed,
    /// A status that this version does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

/// A checkpoint or a savepoint.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Checkpoint {
    /// Its id: rising, savepoints included, and carried on over restores.
    pub id: i64,
    /// How far it is.
    #[serde(default)]
    pub status: CheckpointStatus,
    /// A savepoint, not a checkpoint.
    #[serde(default)]
    pub is_savepoint: bool,
    /// `CHECKPOINT`, `UNALIGNED_CHECKPOINT`, `SAVEPOINT`, or `SYNC_SAVEPOINT` for the one of a stop.
    #[serde(default)]
    pub checkpoint_type: Option<String>,
    /// `CANONICAL` or `NATIVE`, of a savepoint.
    #[serde(default, rename = "savepointFormat")]
    pub savepoint_format: Option<String>,
    /// When it began, in milliseconds since the epoch.
    #[serde(default)]
    pub trigger_timestamp: Option<i64>,
    /// When the last task was done, in milliseconds since the epoch.
    #[serde(default)]
    pub latest_ack_timestamp: Option<i64>,
    /// Bytes of state.
    #[serde(default)]
    pub state_size: Option<i64>,
    /// Bytes that were written for it.
    #[serde(default)]
    pub checkpointed_size: Option<i64>,
    /// Milliseconds from begin to end.
    #[serde(default)]
    pub end_to_end_duration: Option<i64>,
    /// Subtasks that take part.
    #[serde(default)]
    pub num_subtasks: Option<i32>,
    /// Subtasks that have written their part.
    #[serde(default)]
    pub num_acknowledged_subtasks: Option<i32>,
    /// Where it lies; `None` while under way, and where no checkpoint directory is configured.
    #[serde(default, deserialize_with = "addressable")]
    pub external_path: Option<String>,
    /// Its files are gone: newer ones replaced it.
    #[serde(default)]
    pub discarded: Option<bool>,
    /// Why it failed.
    #[serde(default)]
    pub failure_message: Option<String>,
}

/// `GET /jobs/:jobid/checkpoints/config`: how a job takes checkpoints, whoever said so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct CheckpointsConfig {
    /// Milliseconds between two of them; `i64::MAX` where none are taken.
    pub interval: i64,
    /// What becomes of them.
    pub externalization: Externalization,
    /// Class of the storage.
    pub checkpoint_storage: String,
}

/// What becomes of a job's checkpoints when it has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Externalization {
    /// Some are kept; in the JobManager's memory there is nothing to be kept.
    pub enabled: bool,
    /// Not when it is cancelled.
    pub delete_on_cancellation: bool,
}

impl CheckpointsConfig {
    /// None are taken by themselves.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.interval == i64::MAX
    }

    /// They end with the JobManager's process.
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        self.checkpoint_storage == "JobManagerCheckpointStorage"
    }

    /// The newest outlive the job, however it ends but by a stop.
    #[must_use]
    pub fn are_kept(&self) -> bool {
        self.externalization.enabled && !self.externalization.delete_on_cancellation
    }
}

/// An entry of `GET /jobs/:jobid/exceptions`: cached for `web.refresh-interval`, forgotten with the JobManager process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExceptionEntry {
    /// The class of the outermost exception.
    pub name: String,
    /// What went wrong.
    pub cause: Cause,
    /// When, in milliseconds since the epoch.
    pub timestamp: i64,
    /// The task that failed, if it was one.
    pub task: Option<String>,
}

/// What became of a triggered savepoint, or of a stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SavepointOperation {
    /// Under way.
    InProgress,
    /// The savepoint is whole. For a stop: not yet proof that the job has ended.
    Completed {
        /// The savepoint's directory as Flink writes it; compare with [`super::location::same`].
        location: String,
    },
    /// No savepoint, with the one exception of [`Cause::savepoint_location`].
    Failed {
        /// Why.
        cause: Cause,
    },
}

/// What became of a triggered checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckpointOperation {
    /// Under way.
    InProgress,
    /// Whole.
    Completed {
        /// Its checkpoint id.
        checkpoint_id: i64,
    },
    /// No checkpoint.
    Failed {
        /// Why.
        cause: Cause,
    },
}

/// What became of a savepoint that Flink was asked to dispose of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DisposalOperation {
    /// Under way.
    InProgress,
    /// It is gone.
    Completed,
    /// It may be there still, whole or in part, or have been gone before: [`Cause::is_no_such_savepoint`].
    Failed(Cause),
}

/// Flink writes -1 for a time that has not come.
fn not_negative<'de, D: Deserializer<'de>>(d: D) -> Result<Option<i64>, D::Error> {
    Ok(Option::<i64>::deserialize(d)?.filter(|t| *t >= 0))
}

/// Flink writes `<checkpoint-not-externally-addressable>` where a checkpoint lies in the JobManager's memory.
fn addressable<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(d)?.filter(|p| !p.is_empty() && !p.starts_with('<')))
}
