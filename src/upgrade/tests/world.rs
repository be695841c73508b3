//! A cluster, its Flink jobs and its clock: as much of them as the planner can tell apart. What a job does follows from
//! the tag of its image.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::api::condition::{Conditions, Reason};
use crate::api::{
    FlinkJobUpgrade, FlinkJobUpgradeSpec, FlinkJobUpgradeStatus, FlinkSavepoint, FlinkSavepointSpec, ObjectRef,
    Operation, OperationKind, SavepointPhase,
};
use crate::flink::{JobId, JobState, RunRequest};
use crate::time;
use crate::upgrade::observed::Record;
use crate::upgrade::workload;

pub const NAME: &str = "orders";
pub const UID: &str = "6a1f0c2e-1111-4222-8333-444455556666";

/// From a pod's creation until its process answers, and from its deletion until it is gone.
pub const POD_STARTS: i64 = 400;
const POD_ENDS: i64 = 300;
/// From a submit: the job is known as RUNNING, its tasks run, Flink shows what it restored, a broken job fails.
const RUNNING: i64 = 100;
const TASKS_RUN: i64 = 300;
const RESTORED_SHOWN: i64 = 400;
/// A throw-away job's whole life; a cancel; a checkpoint; the job's own interval of checkpoints.
const WARM_UP: i64 = 300;
const CANCEL: i64 = 150;
const CHECKPOINT: i64 = 200;
const FAILS_LATE: i64 = 2000;
const INTERVAL: i64 = 10_000;
/// From the moment that a savepoint holds the lock until its job has ended, and until its resource says so.
const STOP: i64 = 300;
const COMPLETE: i64 = 400;

#[derive(Debug, Clone)]
pub struct World {
    pub now: DateTime<Utc>,
    /// `None`: it is gone.
    pub upgrade: Option<FlinkJobUpgrade>,
    pub revisions: BTreeMap<i64, Revision>,
    pub jobs: Vec<Job>,
    pub savepoints: BTreeMap<String, Savepoint>,
    pub stable_service: Option<i64>,
    /// The ServiceAccount that was made for the job is there.
    pub account: bool,
    pub namespace_terminating: bool,
    pub taking: Taking,
    pub shelf: Shelf,
    /// The newest snapshot that an earlier job of the name has left.
    pub earlier: Option<String>,
    /// Savepoints that were created: each gets a UID of its own.
    pub created: usize,
}

/// What becomes of savepoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taking {
    Works,
    Fails,
    Hangs,
}

/// What the store says of checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    /// All that there are.
    Lists,
    /// No store serves the place.
    Nobody,
    /// It can't be asked now.
    Down,
    /// The newest one lacks a file.
    Broken,
}

#[derive(Debug, Clone, Default)]
pub struct Revision {
    pub record: Option<Record>,
    pub image: String,
    pub objects: usize,
    /// What somebody has changed of them.
    pub drift: Vec<String>,
    /// Its pods, all as one: created, deleted.
    pub pods: Option<Pods>,
    /// How often the JobManager's container was restarted.
    pub restarts: u32,
    /// How often the TaskManager's pod was replaced, and since when it is on its way out.
    pub task_manager: u32,
    pub task_manager_leaves: Option<DateTime<Utc>>,
    /// How many TaskManagers its Deployment asks for, one or none, and since when that one is there.
    pub replicas: i32,
    pub task_manager_since: Option<DateTime<Utc>>,
    /// Its node is silent: pods do not go.
    pub silent: bool,
    /// Its image's tag stands for other bytes than before.
    pub moved: bool,
    /// What its high availability has stored.
    pub config_maps: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy)]
pub struct Pods {
    pub created: DateTime<Utc>,
    pub deleted: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone)]
pub struct Job {
    pub id: JobId,
    pub revision: i64,
    pub warm_up: bool,
    pub request: RunRequest,
    pub submitted: DateTime<Utc>,
    pub state: JobState,
    pub cancelled: Option<DateTime<Utc>>,
    pub ended: Option<DateTime<Utc>>,
    pub failure: Option<String>,
    /// Failures since its last checkpoint.
    pub failures: usize,
    pub checkpoint_began: Option<DateTime<Utc>>,
    pub checkpoints: i64,
    /// Its JobManager's process is gone, and with it whatever it knew.
    pub forgotten: bool,
    /// The TaskManager's pod that its tasks run in.
    pub task_manager: u32,
    /// The checkpoint from which another JobManager started it.
    pub recovered: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Savepoint {
    pub object: FlinkSavepoint,
    /// Since when the job's operation names it.
    pub holds_lock: Option<DateTime<Utc>>,
}

/// A job as most users write it.
pub fn spec(tag: &str) -> Value {
    json!({
        "flinkVersion": "v1_20",
        "image": format!("example.com/orders:{tag}"),
        "flinkConfiguration": {"state.savepoints.dir": "s3://flink/sp", "state.checkpoints.dir": "s3://flink/ck"},
        "job": {"jarURI": "local:///opt/flink/usrlib/orders.jar", "parallelism": 2},
        "upgrade": {"progressDeadline": "10s"},
    })
}

pub fn ms(milliseconds: i64) -> chrono::TimeDelta {
    chrono::TimeDelta::milliseconds(milliseconds)
}

impl World {
    /// A world in which a resource was just applied.
    pub fn new(spec: &Value) -> Self {
        let mut upgrade = FlinkJobUpgrade::new(NAME, serde_json::from_value(spec.clone()).unwrap());
        upgrade.metadata.namespace = Some("shop".to_owned());
        upgrade.metadata.uid = Some(UID.to_owned());
        upgrade.metadata.generation = Some(1);
        // As the schema has it.
        upgrade.status =
            Some(FlinkJobUpgradeStatus { observed_generation: Some(-1), ..FlinkJobUpgradeStatus::default() });
        Self {
            now: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
            upgrade: Some(upgrade),
            revisions: BTreeMap::new(),
            jobs: Vec::new(),
            savepoints: BTreeMap::new(),
            stable_service: None,
            account: false,
            namespace_terminating: false,
            taking: Taking::Works,
            shelf: Shelf::Lists,
            earlier: None,
            created: 0,
        }
    }

    pub fn status(&self) -> FlinkJobUpgradeStatus {
        self.upgrade.as_ref().and_then(|u| u.status.clone()).unwrap_or_default()
    }

    /// Writes the status as the API server keeps it: what does not survive JSON is lost.
    pub fn write_status(&mut self, status: &FlinkJobUpgradeStatus) {
        if let Some(upgrade) = &mut self.upgrade {
            upgrade.status = Some(serde_json::from_value(serde_json::to_value(status).unwrap()).unwrap());
        }
    }

    /// A user applies a changed spec.
    pub fn change(&mut self, change: impl FnOnce(&mut FlinkJobUpgradeSpec)) {
        let upgrade = self.upgrade.as_mut().unwrap();
        change(&mut upgrade.spec);
        upgrade.metadata.generation = upgrade.metadata.generation.map(|g| g + 1);
    }

    /// A user applies another image.
    pub fn image(&mut self, tag: &str) {
        self.change(|spec| spec.image = Some(format!("example.com/orders:{tag}")));
    }

    /// A user deletes the resource: it goes at once unless a finalizer holds it.
    pub fn delete(&mut self) {
        let upgrade = self.upgrade.as_mut().unwrap();
        upgrade.metadata.deletion_timestamp = Some(time::to_k8s(self.now));
        if upgrade.metadata.finalizers.is_none() {
            self.upgrade = None;
        }
    }

    /// A user takes a savepoint of the running job; its controller takes the job's lock.
    pub fn take_savepoint(&mut self, name: &str) {
        let mut object = FlinkSavepoint::new(name, FlinkSavepointSpec::default());
        object.metadata.uid = Some(format!("uid-of-{name}"));
        let mut status = self.status();
        status.operation = Some(Operation {
            id: format!("savepoint-{name}"),
            kind: OperationKind::Savepoint,
            savepoint: Some(ObjectRef { name: name.to_owned(), uid: object.metadata.uid.clone() }),
            since: None,
        });
        self.write_status(&status);
        self.savepoints.insert(name.to_owned(), Savepoint { object, holds_lock: None });
    }

    /// The JobManager's process, if it runs.
    pub fn instance(&self, revision: i64) -> Option<String> {
        let r = self.revisions.get(&revision)?;
        let pods = r.pods?;
        let up = pods.deleted.is_none() && !r.image.ends_with(":bad") && self.now >= pods.created + ms(POD_STARTS);
        up.then(|| format!("pod-of-{revision}/{}", r.restarts))
    }

    /// Whether a TaskManager of a revision has registered its slots.
    pub fn has_slots(&self, revision: i64) -> bool {
        let since = self.revisions.get(&revision).and_then(|r| r.task_manager_since.filter(|_| r.pods.is_some()));
        since.is_some_and(|since| self.now >= since + ms(POD_STARTS))
    }

    /// Jobs, throw-away ones aside, that process records or may do so: their pods are there and they have not ended.
    pub fn alive(&self) -> Vec<&Job> {
        let has_pods = |j: &Job| {
            self.revisions.get(&j.revision).is_some_and(|r| r.pods.is_some() && r.task_manager == j.task_manager)
        };
        self.jobs.iter().filter(|j| !j.warm_up && !j.state.is_terminal() && has_pods(j)).collect()
    }

    /// The newest checkpoint that a job has left: Flink deletes them when it comes to its end.
    pub fn retained(&self, id: &str) -> Option<(i64, String)> {
        let job = self.jobs.iter().find(|j| j.id.as_str() == id)?;
        let left = job.checkpoints > 0 && job.state != JobState::Finished;
        left.then(|| (job.checkpoints, format!("s3://flink/ck/{id}/chk-{}", job.checkpoints)))
    }

    pub fn job(&self, revision: i64, id: &str) -> Option<&Job> {
        self.jobs.iter().find(|j| j.revision == revision && j.id.as_str() == id)
    }

    /// The JobManager of a revision crashes: its jobs are forgotten.
    pub fn restart_job_manager(&mut self, revision: i64) {
        if let Some(r) = self.revisions.get_mut(&revision) {
            r.restarts += 1;
        }
        let (now, maps) = (self.now, self.revisions.get(&revision).map(|r| r.config_maps.clone()).unwrap_or_default());
        for job in self.jobs.iter_mut().filter(|j| j.revision == revision) {
            if maps.contains(&super::election::job_map(job)) {
                job.recover(now);
            } else {
                job.forgotten = true;
            }
        }
    }

    /// Lets time pass. Whether something happened that a watch would report.
    pub fn pass(&mut self, time: Duration) -> bool {
        self.now += time;
        let mut reported = false;
        for revision in self.revisions.values_mut() {
            if revision.pods.is_none() && revision.objects == workload::OBJECTS {
                revision.pods = Some(Pods { created: self.now, deleted: None });
                revision.task_manager += 1;
            }
            let Some(pods) = revision.pods else { continue };
            if revision.replicas > 0 && pods.deleted.is_none() && !revision.image.ends_with(":no-room") {
                revision.task_manager_since.get_or_insert(self.now);
            }
            if revision.task_manager_leaves.is_some_and(|t| !revision.silent && self.now >= t + ms(POD_ENDS)) {
                revision.task_manager += 1;
                revision.task_manager_leaves = None;
                revision.task_manager_since = None;
                reported = true;
            }
            if pods.deleted.is_some_and(|t| !revision.silent && self.now >= t + ms(POD_ENDS)) {
                revision.pods = None;
                revision.task_manager_since = None;
                reported = true;
            }
            let comes_up = |since: DateTime<Utc>| {
                let began = since + ms(POD_STARTS);
                began <= self.now && began > self.now - time
            };
            reported |= comes_up(pods.created) || revision.task_manager_since.is_some_and(comes_up);
        }
        self.forget_revisions();
        self.elect();
        self.live_jobs();
        reported | self.take_savepoints()
    }

    /// A revision of which nothing is left is not seen any more.
    pub fn forget_revisions(&mut self) {
        self.revisions
            .retain(|_, r| r.record.is_some() || r.objects > 0 || r.pods.is_some() || !r.config_maps.is_empty());
    }

    fn live_jobs(&mut self) {
        let now = self.now;
        let gone: Vec<i64> = self.jobs.iter().map(|j| j.revision).filter(|n| self.instance(*n).is_none()).collect();
        for job in self.jobs.iter_mut().filter(|j| !j.state.is_terminal()) {
            if gone.contains(&job.revision) || job.forgotten {
                job.forgotten = true;
                continue;
            }
            let tag = self.revisions.get(&job.revision).map(|r| r.image.as_str()).unwrap_or_default();
            job.live(now, tag);
        }
    }

    /// What the FlinkSavepoint controller does: it acts only once the job's operation names the savepoint by its UID.
    fn take_savepoints(&mut self) -> bool {
        if self.savepoints.values().all(Savepoint::settled) {
            return false;
        }
        let status = self.status();
        let named = status.operation.and_then(|o| o.savepoint).and_then(|s| s.uid);
        let mut reported = false;
        for savepoint in self.savepoints.values_mut() {
            if savepoint.settled() || savepoint.object.metadata.uid != named {
                continue;
            }
            let Some(active) = &status.active else { continue };
            let job = self.jobs.iter_mut().find(|j| j.id.as_str() == active.submission.job_id);
            let Some(job) = job.filter(|j| !j.forgotten) else { continue };
            let Some(since) = savepoint.holds_lock else {
                if job.all_tasks_running(self.now) {
                    savepoint.holds_lock = Some(self.now);
                }
                continue;
            };
            let uid = savepoint.object.metadata.uid.clone().unwrap_or_default();
            if self.taking == Taking::Hangs {
                continue;
            }
            if self.taking == Taking::Fails {
                if self.now >= since + ms(COMPLETE) {
                    savepoint.settle(self.now, SavepointPhase::Failed, "IOException: disk full");
                    reported = true;
                }
                continue;
            }
            let stops = savepoint.object.spec.then().stops();
            if stops && self.now >= since + ms(STOP) && !job.state.is_terminal() {
                job.state = JobState::Finished;
                job.ended = Some(since + ms(STOP));
            }
            if self.now >= since + ms(COMPLETE) {
                let status = savepoint.object.status.get_or_insert_default();
                status.location = Some(format!("s3://flink/sp/shop/{uid}/1/savepoint-abc"));
                savepoint.settle(self.now, SavepointPhase::Completed, "complete");
                reported = true;
            }
        }
        reported
    }
}

impl Savepoint {
    pub fn phase(&self) -> Option<SavepointPhase> {
        self.object.status.as_ref().and_then(|s| s.phase)
    }

    fn settled(&self) -> bool {
        self.phase().is_some_and(SavepointPhase::is_terminal)
    }

    pub fn settle(&mut self, now: DateTime<Utc>, phase: SavepointPhase, message: &str) {
        let status = self.object.status.get_or_insert_default();
        status.phase = Some(phase);
        let mut conditions = Conditions::new(&mut status.conditions, Some(1), now);
        if phase == SavepointPhase::Completed {
            conditions.ready(Reason::Completed, message);
        } else {
            conditions.stalled(Reason::SavepointFailed, message);
        }
    }
}

impl Job {
    pub fn all_tasks_running(&self, now: DateTime<Utc>) -> bool {
        self.state == JobState::Running && now >= self.submitted + ms(TASKS_RUN)
    }

    /// Where Flink says that it was restored from.
    pub fn restored_path(&self, now: DateTime<Utc>, tag: &str) -> Option<String> {
        let asked = self.recovered.clone().or_else(|| self.request.savepoint_path.clone());
        let path = asked.filter(|_| now >= self.submitted + ms(RESTORED_SHOWN))?;
        Some(if tag.ends_with(":elsewhere") { "s3://flink/other/savepoint-xyz".to_owned() } else { path })
    }

    fn live(&mut self, now: DateTime<Utc>, tag: &str) {
        let age = now - self.submitted;
        if let Some(at) = self.cancelled {
            if now >= at + ms(CANCEL) && !tag.ends_with(":undying") {
                (self.state, self.ended) = (JobState::Canceled, Some(at + ms(CANCEL)));
            }
            return;
        }
        if self.warm_up {
            let over = age >= ms(WARM_UP) && !tag.ends_with(":endless-warm-up");
            self.state = if over { JobState::Finished } else { JobState::Running };
            self.ended = over.then_some(self.submitted + ms(WARM_UP));
            return;
        }
        if self.failures > 0 {
            self.state = JobState::Restarting;
            return;
        }
        if tag.ends_with(":fails-late") && self.checkpoints > 0 && age >= ms(FAILS_LATE) {
            (self.state, self.ended) = (JobState::Failed, Some(self.submitted + ms(FAILS_LATE)));
            self.failure = Some("IllegalStateException: a record that it can't take".to_owned());
            return;
        }
        if age >= ms(TASKS_RUN) && tag.ends_with(":fails") {
            (self.state, self.ended) = (JobState::Failed, Some(self.submitted + ms(TASKS_RUN)));
            self.failure = Some("IllegalStateException: no such operator".to_owned());
            return;
        }
        self.state = match () {
            () if age < ms(RUNNING) => JobState::Initializing,
            () if tag.ends_with(":restarts") => JobState::Restarting,
            () => JobState::Running,
        };
        if !self.all_tasks_running(now) || tag.ends_with(":no-checkpoint") {
            return;
        }
        let own = self.submitted + ms(TASKS_RUN + INTERVAL * (self.checkpoints + 1));
        let began = self.checkpoint_began.or((now >= own).then_some(own));
        self.checkpoint_began = began;
        if began.is_some_and(|t| now >= t + ms(CHECKPOINT)) {
            self.checkpoints += 1;
            self.checkpoint_began = None;
        }
    }
}
