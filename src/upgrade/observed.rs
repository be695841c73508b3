//! What the world looks like to the planner of a FlinkJobUpgrade: plain data, read in one pass.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::jobmanager::Process;
use super::workload::Rendered;
use crate::api::{FlinkJobUpgrade, FlinkSavepoint};
use crate::flink::{JobId, JobState};

/// Everything that a decision is made from.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The time of this pass.
    pub now: DateTime<Utc>,
    /// The resource, read live.
    pub upgrade: FlinkJobUpgrade,
    /// Fields that it sets and that are not built yet.
    pub not_yet: Vec<String>,
    /// Every revision that has a record or any object, by number.
    pub revisions: BTreeMap<i64, Revision>,
    /// The FlinkSavepoint that the operation names, or the one that it is about to name.
    pub savepoint: Option<FlinkSavepoint>,
    /// The revision that the stable Service points to.
    pub stable_service: Option<i64>,
    /// The namespace is being deleted: nothing can be created in it any more.
    pub namespace_terminating: bool,
}

/// One revision as it stands in the cluster.
#[derive(Debug, Clone, Default)]
pub struct Revision {
    /// What was stored at its birth.
    pub record: Option<Box<Record>>,
    /// How many of its workload objects exist; counted under [`Scope::Whole`](super::scope::Scope) only.
    pub objects: usize,
    /// Its pods, terminating ones too; under [`Scope::Revisions`](super::scope::Scope) the JobManager's only.
    pub pods: Vec<Pod>,
    /// Its JobManager's process, if it runs.
    pub job_manager: Option<Process>,
    /// What its JobManager says.
    pub cluster: Cluster,
}

/// A revision's stored rendering, with the hash of the spec that it came from.
#[derive(Debug, Clone)]
pub struct Record {
    /// The objects and the submission.
    pub rendered: Rendered,
    /// Hash over the revision part of the spec.
    pub revision_hash: String,
}

/// A pod of a revision.
#[derive(Debug, Clone, Default)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Why it does not start, in Kubernetes' own words: the first container that waits for more than its turn.
    pub trouble: Option<String>,
}

/// What a revision's JobManager says.
#[derive(Debug, Clone, Default)]
pub enum Cluster {
    /// It was not asked, as nothing depends on it.
    #[default]
    NotAsked,
    /// It gave no answer.
    Down(String),
    /// It answered.
    Up(Box<Up>),
}

/// A JobManager that answers.
#[derive(Debug, Clone, Default)]
pub struct Up {
    /// The process: pod UID and container restart count.
    pub instance: String,
    /// Slots that no job holds, where they matter.
    pub free_slots: Option<i32>,
    /// Its jobs.
    pub jobs: BTreeMap<JobId, JobState>,
    /// More of the job that the pass is about.
    pub job: Option<JobFacts>,
}

/// The job that a pass is about.
#[derive(Debug, Clone)]
pub struct JobFacts {
    /// Its id.
    pub id: JobId,
    /// Its state.
    pub state: JobState,
    /// All its tasks run, which `RUNNING` alone does not say.
    pub all_tasks_running: bool,
    /// When it ended, by the JobManager's clock.
    pub end_time: Option<DateTime<Utc>>,
    /// Where it says that it was restored from.
    pub restored_path: Option<String>,
    /// Checkpoints completed since it was submitted.
    pub completed_checkpoints: i64,
    /// Checkpoints under way.
    pub checkpoints_in_progress: i64,
    /// The newest completed checkpoint: id and place.
    pub last_checkpoint: Option<(i64, String)>,
    /// The newest failure, cut to its cause.
    pub failure: Option<String>,
}

impl Observed {
    /// The cluster of a revision, if its JobManager answered.
    #[must_use]
    pub fn up(&self, revision: i64) -> Option<&Up> {
        match self.revisions.get(&revision).map(|r| &r.cluster) {
            Some(Cluster::Up(up)) => Some(up),
            _ => None,
        }
    }

    /// A job on a revision's cluster, if the JobManager answered and knows it.
    #[must_use]
    pub fn job(&self, revision: i64, id: &str) -> Option<&JobFacts> {
        self.up(revision)?.job.as_ref().filter(|j| j.id.as_str() == id)
    }

    /// The stored rendering of a revision.
    #[must_use]
    pub fn record(&self, revision: i64) -> Option<&Record> {
        self.revisions.get(&revision)?.record.as_deref()
    }

    /// Time since a moment that status recorded.
    #[must_use]
    pub fn since(&self, moment: DateTime<Utc>) -> Duration {
        (self.now - moment).to_std().unwrap_or_default()
    }
}
