//! Why something failed, in Flink's words.

use serde_json::{Value, json};

use super::recorded::{self, Recording};
use super::settings::Version;

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    /// The job is unknown, or has ended.
    JobNotFound,
    /// The job's state is still being read.
    Initializing,
    /// A task does not run.
    NotRunning { task: String },
    /// The checkpoint coordinator was suspended: by a stop, a cancel or the loss of a TaskManager.
    Suspending,
    /// A task failed while it took the snapshot.
    SnapshotThrew,
    /// The directory can't be made.
    Directory(String),
    /// No file system has this scheme.
    Scheme(String),
    /// The savepoint of a stop is whole, and the job failed after it.
    Stopping { location: String },
}

const FRAMES: &str = "\n\tat java.base/java.util.concurrent.CompletableFuture.encodeRelay(CompletableFuture.java:368)\n\tat java.base/java.util.concurrent.CompletableFuture.completeRelay(CompletableFuture.java:377)";
const CHECKPOINT: &str = "org.apache.flink.runtime.checkpoint.CheckpointException: ";

impl Cause {
    /// The `failure-cause` of an operation on a job.
    pub fn failure(&self, version: Version, job: &str) -> Value {
        let of = |recording: Recording, replace: &[(&str, &str)]| {
            let body = recording.of(version, replace).body;
            body.pointer("/operation/failure-cause").cloned().unwrap_or_default()
        };
        let id = (recorded::JOB, job);
        match self {
            Self::JobNotFound => of(recorded::SAVEPOINT_FAILED_UNKNOWN_JOB, &[id]),
            Self::NotRunning { task } => {
                of(recorded::SAVEPOINT_FAILED_NOT_RUNNING, &[id, ("Source: numbers-source-name (1/16)", task)])
            }
            Self::Suspending => of(recorded::SAVEPOINT_FAILED_SUSPENDED, &[]),
            Self::SnapshotThrew => of(recorded::SAVEPOINT_FAILED_SNAPSHOT, &[]),
            Self::Directory(directory) => of(recorded::SAVEPOINT_FAILED_IO, &[("file:/proc/nope", directory)]),
            Self::Scheme(scheme) => {
                of(recorded::SAVEPOINT_FAILED_SCHEME, &[("scheme 's3'", &format!("scheme '{scheme}'"))])
            }
            Self::Initializing | Self::Stopping { .. } => {
                let inner = self.text(version, job);
                let class = "java.util.concurrent.CompletionException";
                let trace = format!("{class}: {inner}{FRAMES}\nCaused by: {inner}{FRAMES}\n");
                json!({"class": class, "stack-trace": trace, "serialized-throwable": "rO0AB"})
            }
        }
    }

    /// The exception that says it, without its frames.
    pub fn text(&self, version: Version, job: &str) -> String {
        match self {
            Self::Initializing => "org.apache.flink.runtime.dispatcher.UnavailableDispatcherOperationException: Unable to \
                get JobMasterGateway for initializing job. The requested operation is not available while the JobManager \
                is initializing."
                .to_owned(),
            Self::Stopping { location } => format!(
                "org.apache.flink.runtime.scheduler.stopwithsavepoint.StopWithSavepointStoppingException: A savepoint has \
                 been created at: {location}, but the corresponding job {job} failed during stopping. The savepoint is \
                 consistent, but might have uncommitted transactions. If you want to commit the transaction please \
                 restart a job from this savepoint."
            ),
            other => format!("{CHECKPOINT}{}", other.message(version, job)),
        }
    }

    /// The `failure_message` in the checkpoint history.
    pub fn message(&self, version: Version, job: &str) -> String {
        match self {
            Self::NotRunning { task } => format!(
                "Checkpoint triggering task {task} of job {job} is not being executed at the moment. Aborting checkpoint. \
                 Failure reason: Not all required tasks are currently running."
            ),
            Self::SnapshotThrew if version == Version::V2_3 => "FailoverRegion is restarting.".to_owned(),
            Self::Suspending | Self::SnapshotThrew => "Checkpoint Coordinator is suspending.".to_owned(),
            Self::Directory(_) | Self::Scheme(_) => {
                "An Exception occurred while triggering the checkpoint. IO-problem detected.".to_owned()
            }
            Self::JobNotFound => format!("Could not find Flink job ({job})"),
            Self::Initializing | Self::Stopping { .. } => self.text(version, job),
        }
    }
}

/// What a failed task left in the job's exceptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Thrown {
    /// When, in milliseconds since the epoch.
    pub at: i64,
    /// What.
    pub what: Exception,
}

/// An exception that ended an execution attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Exception {
    /// `snapshotState` threw this message.
    Snapshot(String),
    /// A TaskManager is gone.
    TaskManager(String),
    /// The job can't be recovered, as its stop has already saved it; and why it had to be.
    WhileStopping(Box<Exception>),
    /// A task failed while the job stopped.
    Task(String),
    /// The job's graph could not be made.
    Initialization(String),
}

impl Exception {
    /// The entry of the exception history.
    pub fn entry(&self, version: Version, at: i64) -> Value {
        match self {
            Self::Snapshot(message) => {
                let recorded = recorded::EXCEPTIONS_FAILING.of(version, &[("boom in snapshotState", message)]).body;
                let mut entry = recorded.pointer("/exceptionHistory/entries/0").cloned().unwrap_or_default();
                if let Some(timestamp) = entry.get_mut("timestamp") {
                    *timestamp = at.into();
                }
                entry
            }
            other => {
                let stacktrace = other.stacktrace();
                let name = stacktrace.split(':').next().unwrap_or_default();
                json!({"exceptionName": name, "stacktrace": stacktrace, "timestamp": at, "failureLabels": {},
                    "taskName": null, "endpoint": null, "taskManagerId": null, "concurrentExceptions": []})
            }
        }
    }

    fn stacktrace(&self) -> String {
        match self {
            Self::Snapshot(message) => format!("java.io.IOException: {message}{FRAMES}\n"),
            Self::Task(message) => format!("java.lang.RuntimeException: {message}{FRAMES}\n"),
            Self::Initialization(why) => format!(
                "org.apache.flink.runtime.client.JobInitializationException: Could not start the \
                 JobMaster.{FRAMES}\nCaused by: {why}{FRAMES}\n"
            ),
            Self::TaskManager(id) => format!(
                "org.apache.flink.runtime.jobmaster.JobMasterException: TaskManager with id {id} is no longer \
                 reachable.{FRAMES}\n"
            ),
            Self::WhileStopping(why) => format!(
                "org.apache.flink.runtime.JobException: The failure is not recoverable{FRAMES}\nCaused by: {}",
                why.stacktrace()
            ),
        }
    }
}

/// An answer's body with an error that was not recorded.
pub(super) fn errors(text: &str) -> Value {
    json!({"errors": [format!("{text}{FRAMES}\n")]})
}

/// The body of a 500.
pub(super) fn server_error(text: &str) -> Value {
    let text = format!("<Exception on server side:\n{text}{FRAMES}\n\nEnd of exception on server side>");
    json!({"errors": ["Internal server error.", text]})
}
