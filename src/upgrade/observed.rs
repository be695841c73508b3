//! What the world looks like to the planner of a FlinkJobUpgrade: plain data, read in one pass.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::ended::Left;
use super::jar::Fetching;
use super::jobmanager::Process;
use super::workload::{Carrier, Rendered};
use crate::api::condition::Reason;
use crate::api::{FlinkJobUpgrade, FlinkSavepoint};
use crate::flink::{CheckpointsConfig, JobId, JobState};
use crate::snapshot::SnapshotFacts;
use crate::store::check::Failure;

/// Everything that a decision is made from.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The time of this pass.
    pub now: DateTime<Utc>,
    /// The resource, read live.
    pub upgrade: FlinkJobUpgrade,
    /// Fields of its spec with values that this version does not know.
    pub unknown: Vec<String>,
    /// Every revision that has a record or any object, by number.
    pub revisions: BTreeMap<i64, Revision>,
    /// The FlinkSavepoint that the operation names, or the one that it is about to name.
    pub savepoint: Option<FlinkSavepoint>,
    /// The revision that the stable Service points to.
    pub stable_service: Option<i64>,
    /// The newest retained checkpoint of the submission that the pass is about, where it matters.
    pub retained: Retained,
    /// The checkpoints of the job at rest lie where no store can be listed, so that the newest has to be recorded.
    pub unlisted: bool,
    /// The snapshot that the new revision's job is held against, where that is due.
    pub newest: Newest,
    /// State of earlier jobs of this name, where it matters.
    pub existing: Existing,
    /// What `job.restoreFrom` names, where it is to be acted on.
    pub restore: Restore,
    /// The pods' ServiceAccount that was made for the job is there, or part of it; looked for while the resource is
    /// being deleted.
    pub account_is_left: bool,
    /// How the next revision's jar is fetched, where one is about to be made.
    pub jar: Fetching,
    /// How the job at rest takes checkpoints, where that is to be told.
    pub checkpoints_config: Option<CheckpointsConfig>,
    /// The namespace is being deleted: nothing can be created in it any more.
    pub namespace_terminating: bool,
    /// The session cluster that the job runs on, if it has none of its own.
    pub session: Option<Session>,
    /// The FlinkSavepoints that its operations have left, as the process knows them.
    pub children: Vec<Arc<FlinkSavepoint>>,
    /// What submissions that have ended have left.
    pub ended: Left,
}

/// A session cluster.
#[derive(Debug, Clone, Default)]
pub struct Session {
    /// Its JobManager.
    pub job_manager: SessionJobManager,
    /// The jars of this resource that are there; `None`: it was not asked, or gave no answer.
    pub jars: Option<Vec<SessionJar>>,
    /// Its JobManager's configuration, where that matters.
    pub configuration: Option<BTreeMap<String, String>>,
    /// What the pod of a revision is made of that is about to be recorded.
    pub carrier: Option<Carrier>,
}

/// Where a session cluster's JobManager is.
#[derive(Debug, Clone)]
pub enum SessionJobManager {
    /// There.
    Here(Process),
    /// It can't be found now: why.
    NotNow(String),
    /// It can't be asked as the spec says: why, and the cure.
    Blocked(Reason, String),
}

impl Default for SessionJobManager {
    fn default() -> Self {
        Self::NotNow("it was not looked for".to_owned())
    }
}

/// A jar on a session cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionJar {
    /// By which it is run.
    pub id: String,
    /// The revision that it is of.
    pub revision: i64,
    /// Its SHA-256.
    pub sha256: String,
}

/// The newest retained checkpoint of one submission: the highest number below the submission's own directory.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Retained {
    /// It was not looked for, as nothing depends on it.
    #[default]
    NotAsked,
    /// No store can be listed; why, and the cure.
    NoStore(String),
    /// The store could not be asked, or the files not be looked at.
    Failed(Failure),
    /// There is none.
    Nothing,
    /// Its files are being looked at.
    Reading(String),
    /// It is not whole.
    Broken {
        /// Its directory.
        location: String,
        /// What is wrong.
        failure: Failure,
    },
    /// It is whole.
    Whole {
        /// Flink's number of it.
        id: i64,
        /// Its directory.
        location: String,
    },
}

/// The snapshot that a new revision's job is held against.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Newest {
    /// It was not read, as nothing depends on it.
    #[default]
    NotAsked,
    /// There is none.
    Nothing,
    /// It is being read.
    Reading(String),
    /// It can't be read: why, and the cure.
    Unreadable(String),
    /// It was read.
    Read {
        /// Its directory.
        location: String,
        /// What is in it.
        facts: Arc<SnapshotFacts>,
    },
}

/// State of earlier jobs of a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Existing {
    /// It was not looked for, as nothing depends on it.
    #[default]
    NotAsked,
    /// There is none.
    Nothing,
    /// It could not be found out: why, and the cure.
    Unknown(String),
    /// The newest snapshot.
    Found(String),
}

/// What a `job.restoreFrom` comes to.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Restore {
    /// There is none, or it was acted on.
    #[default]
    NotAsked,
    /// The job starts from this; `None`: from nothing.
    From(Option<String>),
    /// It is being looked at, or not there yet: what is waited for.
    Wait(String),
    /// This savepoint of another job is to be taken.
    Take(Box<FlinkSavepoint>),
    /// It can't be used: why, and the cure.
    Refused(Reason, String),
}

/// One revision as it stands in the cluster.
#[derive(Debug, Clone, Default)]
pub struct Revision {
    /// Something was stored at its birth; looked for under [`Scope::Whole`](super::scope::Scope) only.
    pub recorded: bool,
    /// That, where it [matters](super::scope::record_matters), or while its high availability has storage.
    pub record: Option<Box<Record>>,
    /// How many of its workload objects exist; counted under [`Scope::Whole`](super::scope::Scope) only.
    pub objects: usize,
    /// How its objects differ from its record; looked for where they are to be put back.
    pub drift: Vec<String>,
    /// Its pods, terminating ones too; under [`Scope::Revisions`](super::scope::Scope) the JobManager's only.
    pub pods: Vec<Pod>,
    /// Why Kubernetes makes no pods of its objects, while it starts.
    pub refusal: Option<String>,
    /// The process of the JobManager that has its job, if it runs: its own, or a session cluster's.
    pub job_manager: Option<Process>,
    /// What that JobManager says.
    pub cluster: Cluster,
    /// How many TaskManagers its Deployment is to have, where the objects are compared with the record.
    pub task_managers: Option<i32>,
    /// On a session cluster: what the revision has of its own for the time of an upgrade.
    pub carrier: CarrierPod,
    /// What Flink's high availability has of it, if it uses that.
    pub high_availability: Option<HighAvailability>,
}

/// The JobManager of a revision of a job on a session cluster, which calls `main()` for the preflight and has no job.
#[derive(Debug, Clone, Default)]
pub struct CarrierPod {
    /// Its process, if it runs.
    pub process: Option<Process>,
    /// What it says, where that matters.
    pub cluster: Cluster,
}

/// What Flink's high availability has of a revision in Kubernetes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HighAvailability {
    /// Its ConfigMaps, by name; under [`Scope::Revisions`](super::scope::Scope) that of the submitted job only.
    pub config_maps: Vec<String>,
    /// The address of who leads, before the first submit.
    pub leader: Option<String>,
}

/// A revision's stored rendering, with the hash of the spec that it came from.
#[derive(Debug, Clone)]
pub struct Record {
    /// The objects and the submission.
    pub rendered: Rendered,
    /// Hash over the revision part of the spec.
    pub revision_hash: String,
    /// What its high availability had in its storage was removed, or is left for good.
    pub high_availability_storage_settled: bool,
}

/// A pod of a revision.
#[derive(Debug, Clone, Default)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// It is the JobManager's, and not a TaskManager's.
    pub job_manager: bool,
    /// How often Flink's container was restarted.
    pub restarts: i32,
    /// How it stands with Flink's process, by the word of the kubelet.
    pub container: Container,
    /// It was told to go.
    pub leaving: bool,
    /// Digest of the image of Flink's container.
    pub image_digest: Option<String>,
    /// SHA-256 of the job's jar that its init container has copied.
    pub jar_sha256: Option<String>,
    /// Where it runs.
    pub node: Option<String>,
    /// Why it does not start, in Kubernetes' own words: the first container that waits for more than its turn.
    pub trouble: Option<String>,
}

/// How it stands with the process of a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Container {
    /// It was not started yet.
    #[default]
    Waits,
    /// It runs.
    Runs,
    /// It has ended.
    Ended,
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
    /// Its Flink, where slots matter.
    pub flink_version: Option<String>,
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
    /// Flink counts that as a savepoint, whatever it is: it has not claimed it.
    pub restored_as_savepoint: bool,
    /// Checkpoints completed since it was submitted.
    pub completed_checkpoints: i64,
    /// Checkpoints under way.
    pub checkpoints_in_progress: i64,
    /// Bytes that the one under way has.
    pub checkpoint_bytes: i64,
    /// Tasks that run.
    pub tasks_running: i64,
    /// The newest completed checkpoint: id and place.
    pub last_checkpoint: Option<(i64, String)>,
    /// The newest failure, cut to its cause.
    pub failure: Option<String>,
    /// Failures since the last completed checkpoint, as far as Flink's history of them goes.
    pub failures: usize,
    /// Failures that no lost pod explains, as far as Flink's history of them goes.
    pub own_failures: usize,
}

impl JobFacts {
    /// A job of which nothing but its state is known.
    #[must_use]
    pub fn of(id: JobId, state: JobState) -> Self {
        Self {
            id,
            state,
            all_tasks_running: false,
            end_time: None,
            restored_path: None,
            restored_as_savepoint: false,
            completed_checkpoints: 0,
            checkpoints_in_progress: 0,
            checkpoint_bytes: 0,
            tasks_running: 0,
            last_checkpoint: None,
            failure: None,
            failures: 0,
            own_failures: 0,
        }
    }
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

    /// The JobManager that calls the `main()` of a revision's job for the preflight, if it answered.
    #[must_use]
    pub fn preflight_at(&self, revision: i64) -> Option<&Up> {
        if self.session.is_none() {
            return self.up(revision);
        }
        match self.revisions.get(&revision).map(|r| &r.carrier.cluster) {
            Some(Cluster::Up(up)) => Some(up),
            _ => None,
        }
    }

    /// A job on a revision's cluster, if the JobManager answered and knows it.
    #[must_use]
    pub fn job(&self, revision: i64, id: &str) -> Option<&JobFacts> {
        self.up(revision)?.job.as_ref().filter(|j| j.id.as_str() == id)
    }

    /// Why a revision's JobManager did not answer.
    #[must_use]
    pub fn why_down(&self, revision: i64) -> String {
        match self.revisions.get(&revision).map(|r| &r.cluster) {
            Some(Cluster::Down(why)) => why.clone(),
            _ => "it was not asked".to_owned(),
        }
    }

    /// The stored rendering of a revision.
    #[must_use]
    pub fn record(&self, revision: i64) -> Option<&Record> {
        self.revisions.get(&revision)?.record.as_deref()
    }

    /// The TaskManager pods that a revision has now.
    pub fn task_managers(&self, revision: i64) -> impl Iterator<Item = &Pod> {
        self.revisions.get(&revision).into_iter().flat_map(|r| &r.pods).filter(|pod| !pod.job_manager)
    }

    /// Time since a moment that status recorded.
    #[must_use]
    pub fn since(&self, moment: DateTime<Utc>) -> Duration {
        (self.now - moment).to_std().unwrap_or_default()
    }
}
