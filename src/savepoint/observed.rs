//! What a pass over a FlinkSavepoint knows.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::copy::Copying;
use super::format::Setting;
use crate::api::condition::Reason;
use crate::api::{FlinkSavepoint, Hold, Operation, Ownership, SavepointSource};
use crate::cluster::JobManager;
use crate::flink::{Cause, JobId, JobState};
use crate::runtime::room::Full;
use crate::snapshot::store::Contents;
use crate::store::check::{Check, Failure};

/// Everything that a decision is made from, read in one pass.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The time of this pass.
    pub now: DateTime<Utc>,
    /// The resource, read live.
    pub savepoint: FlinkSavepoint,
    /// Fields of its spec with values that this version does not know.
    pub unknown: Vec<String>,
    /// The job that it names; read only while no attempt is open.
    pub job: Job,
    /// The JobManager: of the job or, once there is an attempt, of what the attempt was asked of.
    pub job_manager: Option<JobManager>,
    /// What became of the attempt that is open.
    pub answer: Answer,
    /// What became of the job, once its savepoint is whole and it is to be cancelled.
    pub job_now: JobNow,
    /// What is known of the snapshot's files.
    pub check: Check,
    /// Files of attempts that came to nothing.
    pub leftovers: Leftovers,
    /// Who owns the snapshot's files, once it is complete, by what FlinkJobUpgrades tell.
    pub ownership: Option<Ownership>,
    /// Who needs the snapshot, once it is complete; `None`: that was not looked at.
    pub holds: Option<Vec<Hold>>,
    /// How it stands with the copy, with `copyOf`.
    pub copying: Copying,
    /// What lies in the snapshot's directory, while its files go.
    pub place: Place,
    /// The namespace is being deleted: nothing in it lasts.
    pub namespace_terminating: bool,
}

/// What lies where a snapshot's files are to be deleted.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// It was not looked at.
    NotRead,
    /// A store serves it: this.
    Contents(Contents),
    /// No store does: its job's JobManager deletes it.
    ByFlink(ByFlink),
    /// Nobody can look, or it is no snapshot's own directory: why.
    Trouble(String),
}

/// Flink's own disposal of a savepoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ByFlink {
    /// It was not asked for, or that was forgotten.
    NotAsked,
    /// It goes on.
    UnderWay,
    /// It has deleted the savepoint.
    Done,
    /// There is no `_metadata` any more. Whether what it named is gone, too, Flink can't tell.
    Gone,
    /// It failed.
    Failed(String),
}

/// The job that a savepoint is taken of.
#[derive(Debug, Clone)]
pub enum Job {
    /// It was not read: an open attempt depends on its JobManager alone.
    NotRead,
    /// It can't be had now, and may come.
    Waiting {
        /// The condition's reason.
        reason: Reason,
        /// What it waits for.
        message: String,
    },
    /// It can't be had before somebody helps.
    Blocked {
        /// The condition's reason.
        reason: Reason,
        /// Why, and the cure.
        message: String,
    },
    /// It will never be had.
    Never {
        /// The condition's reason.
        reason: Reason,
        /// Why.
        message: String,
    },
    /// Its store takes no more savepoints now.
    NoRoom(Full),
    /// It was submitted.
    Submitted(Box<Submitted>),
}

/// A job that was submitted, and what its JobManager says of it.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// Who lets a savepoint be taken of it.
    pub turn: Turn,
    /// What is known of it.
    pub source: SavepointSource,
    /// Flink's id of the job.
    pub job_id: JobId,
    /// The job's own savepoint directory, if one is configured.
    pub savepoint_directory: Option<String>,
    /// Flink's version, as the JobManager reports it.
    pub flink_version: Option<String>,
    /// Why no savepoint can be taken now: Flink refuses one unless all tasks run.
    pub not_ready: Option<String>,
    /// What it runs with, and what its upgrade is about to change.
    pub setting: Setting,
    /// Why the store that the savepoint would be written to can't be used now: a job that is to be stopped is not, then.
    pub store_trouble: Option<Failure>,
    /// The last attempt made the job restart: the words of the task that failed in its snapshot.
    pub harmed: Option<String>,
}

/// One operation at a time on a job.
#[derive(Debug, Clone)]
pub enum Turn {
    /// The lock in a FlinkJobUpgrade's status.
    Lock {
        /// UID of the FlinkJobUpgrade.
        uid: String,
        /// What holds it.
        operation: Option<Operation>,
    },
    /// Of a foreign cluster: the other FlinkSavepoint of this job that has an open attempt, and how many wait longer.
    Queue {
        /// Its name.
        busy: Option<String>,
        /// Number of others that came before.
        before: usize,
    },
}

/// What became of the open attempt.
#[derive(Debug, Clone)]
pub enum Answer {
    /// There is none, or its JobManager can't be found now.
    NotAsked,
    /// Its JobManager gave no answer: nothing is known.
    Unreachable(String),
    /// The savepoint is being written; how far that is, if it takes longer.
    InProgress(Option<Written>),
    /// Flink names a savepoint that is whole.
    Completed(Box<Completed>),
    /// Flink says that it failed.
    Failed {
        /// In its own words.
        cause: Cause,
        /// It made the job restart: the words of the task that failed in its snapshot.
        harmed: Option<String>,
    },
    /// The JobManager does not know the trigger, or there is no JobManager any more: what else could be found out.
    Forgotten(Box<Forgotten>),
}

/// How far a savepoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Bytes of state that subtasks have reported.
    pub bytes: i64,
    /// Subtasks that have written their part.
    pub acknowledged: i32,
    /// All subtasks.
    pub subtasks: i32,
}

/// A savepoint that is whole.
#[derive(Debug, Clone)]
pub struct Completed {
    /// Where it lies, as Flink writes it.
    pub location: String,
    /// What became of the job, where that matters.
    pub job: JobNow,
    /// The job failed while it was being stopped: what its sinks had not committed yet may be lost.
    pub uncommitted: bool,
    /// Flink's checkpoint id, if the history still has it.
    pub checkpoint_id: Option<i64>,
    /// Bytes of state, if the history still has it.
    pub size_bytes: Option<i64>,
}

/// What is known of an attempt whose trigger nobody knows any more, or knew ever.
#[derive(Debug, Clone)]
pub struct Forgotten {
    /// What lies in the attempt's own directory.
    pub found: Found,
    /// The job's history shows a savepoint that is being written.
    pub in_progress: bool,
    /// What became of the job.
    pub job: JobNow,
    /// No JobManager is left that could still act on the request.
    pub gone: bool,
    /// For so long after a request a JobManager certainly knows it.
    pub remembered: Duration,
}

/// What lies in the directory of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// Files without a `_metadata`.
    Unfinished,
    /// A whole savepoint.
    Whole {
        /// Its directory.
        location: String,
        /// Flink's checkpoint id, if the history has it.
        checkpoint_id: Option<i64>,
    },
    /// No FlinkSnapshotStore serves the directory: nobody can look.
    NoStore(String),
    /// The store gives no answer now.
    Trouble(Failure),
}

/// What became of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobNow {
    /// It was not asked.
    NotAsked,
    /// It has not ended.
    Lives {
        /// All its tasks run.
        all_tasks_running: bool,
        /// Its state.
        state: JobState,
    },
    /// It has ended, in this state.
    Ended(JobState),
    /// Its JobManager does not know it, and nothing is left from which a JobManager could start it.
    Gone,
    /// Its JobManager does not know it, and might recover it.
    MayReturn(String),
    /// That can't be told now.
    CantTell(String),
}

/// Files in directories of attempts that came to nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Leftovers {
    /// Those that can be removed, by the directory of their attempt.
    pub files: Vec<(String, Vec<String>)>,
    /// Why it could not be looked for others, or these can't be removed.
    pub trouble: Option<String>,
}
