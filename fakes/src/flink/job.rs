//! A job, as one JobManager process knows it.

use std::collections::BTreeMap;

use super::cause::{Cause, Thrown};
use super::settings::{Format, JobScript};

/// A job's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum JobState {
    Initializing,
    Created,
    Running,
    Restarting,
    Failing,
    Cancelling,
    Canceled,
    Failed,
    Finished,
}

impl JobState {
    pub fn word(self) -> &'static str {
        match self {
            Self::Initializing => "INITIALIZING",
            Self::Created => "CREATED",
            Self::Running => "RUNNING",
            Self::Restarting => "RESTARTING",
            Self::Failing => "FAILING",
            Self::Cancelling => "CANCELLING",
            Self::Canceled => "CANCELED",
            Self::Failed => "FAILED",
            Self::Finished => "FINISHED",
        }
    }

    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Canceled | Self::Failed | Self::Finished)
    }
}

/// What all tasks of a job are at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tasks {
    /// There is no graph to have any.
    None,
    Scheduled,
    Deploying,
    Running,
    Canceling,
    Canceled,
    Finished,
    Failed,
}

impl Tasks {
    /// As `/jobs/:id` writes it.
    pub fn word(self) -> Option<&'static str> {
        Some(match self {
            Self::None => return None,
            Self::Scheduled => "SCHEDULED",
            Self::Deploying => "DEPLOYING",
            Self::Running => "RUNNING",
            Self::Canceling => "CANCELING",
            Self::Canceled => "CANCELED",
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
        })
    }

    /// What `/jobs/:id` makes of a vertex with such tasks: it has no word for one that waits for slots.
    pub fn vertex(self) -> Option<&'static str> {
        if self == Self::Scheduled { Some("CREATED") } else { self.word() }
    }
}

/// What kind of snapshot it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Checkpoint,
    Savepoint(Format),
    /// The savepoint of a stop.
    SyncSavepoint(Format),
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Checkpoint => "CHECKPOINT",
            Self::Savepoint(_) => "SAVEPOINT",
            Self::SyncSavepoint(_) => "SYNC_SAVEPOINT",
        }
    }

    pub fn format(self) -> Option<Format> {
        match self {
            Self::Checkpoint => None,
            Self::Savepoint(format) | Self::SyncSavepoint(format) => Some(format),
        }
    }
}

/// How far a snapshot is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    Pending,
    Completed,
    Failed(Cause),
}

/// A checkpoint or a savepoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub id: i64,
    pub kind: Kind,
    pub progress: Progress,
    /// Its directory; `None`: in the JobManager's memory, or nowhere.
    pub location: Option<String>,
    pub triggered: i64,
    pub latest_ack: i64,
    pub ended: i64,
    pub acknowledged: u32,
    pub discarded: bool,
    /// The operation that waits for it.
    pub operation: Option<OperationKey>,
    /// The job is cancelled after it.
    pub then_cancel: bool,
}

/// Which operation: those on savepoints and stops share a cache.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OperationKey {
    pub checkpoint: bool,
    pub job: String,
    pub trigger: String,
}

/// What a job was started from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Restored {
    pub id: i64,
    pub at: i64,
    /// Not under the claim mode `CLAIM`.
    pub is_savepoint: bool,
    pub location: String,
}

/// How many snapshots came to which end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub restored: i64,
    pub total: i64,
    pub completed: i64,
    pub failed: i64,
}

/// What a JobManager process knows of a job's snapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Snapshots {
    /// Oldest first.
    pub pending: Vec<Snapshot>,
    /// The ones at their end, oldest first; no more than are shown.
    pub ended: Vec<Snapshot>,
    pub counts: Counts,
    pub latest_completed: Option<Snapshot>,
    pub latest_savepoint: Option<Snapshot>,
    pub latest_failed: Option<Snapshot>,
    pub restored: Option<Restored>,
}

/// How many snapshots the history has.
pub(super) const HISTORY: usize = 10;

impl Snapshots {
    /// Newest first.
    pub fn history(&self) -> Vec<&Snapshot> {
        let mut all: Vec<&Snapshot> = self.pending.iter().chain(&self.ended).collect();
        all.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.id));
        all.truncate(HISTORY);
        all
    }

    /// One came to its end.
    pub fn end(&mut self, snapshot: Snapshot) {
        match snapshot.progress {
            Progress::Completed => {
                self.counts.completed += 1;
                let latest = if snapshot.kind == Kind::Checkpoint {
                    &mut self.latest_completed
                } else {
                    &mut self.latest_savepoint
                };
                *latest = Some(snapshot.clone());
            }
            Progress::Failed(_) => {
                self.counts.failed += 1;
                self.latest_failed = Some(snapshot.clone());
            }
            Progress::Pending => {}
        }
        self.ended.push(snapshot);
        if self.ended.len() > HISTORY {
            self.ended.remove(0);
        }
    }
}

/// What outlives a process that has high availability: in a ConfigMap and the storage directory.
#[derive(Debug, Clone)]
pub(super) struct Durable {
    pub script: JobScript,
    /// What it was submitted with.
    pub from: Option<Restored>,
    /// The retained checkpoints, oldest first.
    pub retained: Vec<(i64, String)>,
    /// The id of the next snapshot.
    pub next: i64,
}

/// A job.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub id: String,
    pub state: JobState,
    /// When it came to a state last, in milliseconds since the epoch.
    pub times: BTreeMap<JobState, i64>,
    /// When its tasks came to where they are.
    pub tasks_since: i64,
    pub tasks: Tasks,
    /// Rises with every failover.
    pub attempt: u64,
    pub snapshots: Snapshots,
    /// Newest first.
    pub thrown: Vec<Thrown>,
    /// The whole savepoint of a stop.
    pub stopped_at: Option<Snapshot>,
    /// A TaskManager died with some of its tasks, and nobody has noticed.
    pub lost_tasks: bool,
    /// No barrier gets through.
    pub held: bool,
    /// The process of a TaskManager is stopped that runs some of its tasks.
    pub stands_still: bool,
    pub durable: Durable,
}

impl Job {
    pub fn new(id: &str, durable: Durable, at: i64) -> Self {
        Self {
            id: id.to_owned(),
            state: JobState::Initializing,
            times: BTreeMap::from([(JobState::Initializing, at)]),
            tasks_since: at,
            tasks: Tasks::None,
            attempt: 0,
            snapshots: Snapshots::default(),
            thrown: Vec::new(),
            stopped_at: None,
            lost_tasks: false,
            held: durable.script.backpressure,
            stands_still: false,
            durable,
        }
    }

    pub fn script(&self) -> &JobScript {
        &self.durable.script
    }

    pub fn change(&mut self, state: JobState, at: i64) {
        self.state = state;
        self.times.insert(state, at);
    }

    pub fn set_tasks(&mut self, tasks: Tasks, at: i64) {
        self.tasks = tasks;
        self.tasks_since = at;
    }

    pub fn since(&self, state: JobState) -> i64 {
        self.times.get(&state).copied().unwrap_or_default()
    }

    /// All its tasks run.
    pub fn runs(&self) -> bool {
        self.state == JobState::Running && self.tasks == Tasks::Running
    }
}
