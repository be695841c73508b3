//! All that a cluster is at a moment, and what is due: nothing happens by itself, [`State::next`] applies one due event
//! after the other, in the order of their times.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use tokio::time::Instant;

use super::cause::Cause;
use super::disposal::Disposal;
use super::files::Outbox;
use super::jars::Upload;
use super::job::{Durable, Job, OperationKey, Snapshots};
use super::process::{Phase, TaskManager};
use super::settings::Settings;

/// Something that will happen.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// To a job, in one of its execution attempts.
    Job { job: String, attempt: u64, step: JobStep },
    /// To a snapshot, as long as it is pending.
    Snapshot { job: String, id: i64, step: SnapshotStep },
    /// The new JobManager's port is open; it has no leader yet.
    Listens,
    /// It leads.
    Leads,
    /// A TaskManager's process is back.
    TaskManagerBack(String),
    /// TaskManagers end the tasks that they had from this instance.
    HeartbeatTimeout(u32),
    /// The end of a job outlives the JobManager's process.
    ResultStored(String),
    /// What high availability kept of a job that ended goes.
    CleanedUp(String),
}

impl Event {
    /// It happens though the JobManager's process dies.
    pub fn survives(&self) -> bool {
        matches!(self, Self::TaskManagerBack(_) | Self::HeartbeatTimeout(_))
    }
}

/// What happens to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobStep {
    Initialized,
    Schedule,
    Deployed,
    Checkpoint,
    Restart,
    Cancelled,
    LossNoticed,
    /// A task throws.
    Throws,
    /// It has stopped with a savepoint that is whole, if no task fails now.
    Stopped,
    Failed,
    Ended,
}

/// What happens to a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SnapshotStep {
    Refused(Cause),
    StateWritten,
    Thrown,
    MetadataWritten,
    Completed,
}

/// What became of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operation {
    InProgress,
    Failed(Cause, Instant),
    Savepoint(String, Instant),
    Checkpoint(i64, Instant),
}

impl Operation {
    pub fn ended(&self) -> Option<Instant> {
        match self {
            Self::InProgress => None,
            Self::Failed(_, at) | Self::Savepoint(_, at) | Self::Checkpoint(_, at) => Some(*at),
        }
    }
}

/// What was due.
#[derive(Debug)]
pub(super) enum Due {
    /// Nothing is.
    Nothing,
    /// An event, which is over.
    Done,
    /// The `_metadata` of a savepoint was written at this location.
    Written(String),
}

/// A cached view of a job.
#[derive(Debug, Clone)]
pub(super) struct Cached<T> {
    pub since: Instant,
    pub value: T,
}

/// What high availability keeps of jobs; with the job itself once it has ended, as the job result store does.
pub(super) type Kept = BTreeMap<String, (Durable, Option<Job>)>;

/// A JobManager's process that is stopped.
#[derive(Debug)]
pub(super) struct Stopped {
    pub since: Instant,
    /// What would have happened meanwhile, and when.
    pub events: Vec<(Instant, Event)>,
    /// What was asked of it meanwhile.
    pub requests: Vec<http::Request<Bytes>>,
}

/// A cluster.
#[derive(Debug)]
pub(super) struct State {
    pub settings: Settings,
    /// The name of its tasks in the records: no other cluster has it.
    pub name: String,
    /// The moment at which something happens.
    pub now: Instant,
    /// No event is applied, so that what is done now is done at the moment of the last one.
    pub holds_still: bool,
    agenda: BTreeMap<(Instant, u64), Event>,
    /// How often something was put on the agenda or a name was made: makes each differ, always in the same way.
    count: u64,
    pub outbox: Outbox,

    // What dies with the JobManager's process.
    /// It is stopped.
    pub stopped: Option<Stopped>,
    /// What was asked of it while it was stopped.
    pub late_requests: Vec<http::Request<Bytes>>,
    pub instance: u32,
    pub phase: Phase,
    pub jobs: Vec<Job>,
    pub operations: BTreeMap<OperationKey, Operation>,
    pub disposals: BTreeMap<String, Disposal>,
    pub graphs: BTreeMap<String, Cached<Job>>,
    pub checkpoints: BTreeMap<String, Cached<Snapshots>>,
    /// The ids that were submitted to this process.
    pub submitted: BTreeSet<String>,
    /// The jars that were uploaded to this process.
    pub uploads: Vec<Upload>,

    // What does not.
    pub task_managers: Vec<TaskManager>,
    /// Until then there is no other leader.
    pub led_until: Instant,
    /// A later cluster of the same `kubernetes.cluster-id` finds it.
    pub durable: Arc<Mutex<Kept>>,
}

impl State {
    pub fn new(settings: Settings) -> Self {
        let name = |number| format!("taskmanager-{number}");
        let task_managers =
            (0..settings.task_managers).map(|number| TaskManager::new(name(number), settings.slots)).collect();
        Self {
            name: settings.records.name(&settings.cluster_id),
            settings,
            now: Instant::now(),
            holds_still: false,
            agenda: BTreeMap::new(),
            count: 0,
            outbox: Outbox::new(),
            stopped: None,
            late_requests: Vec::new(),
            instance: 1,
            phase: Phase::Leads,
            jobs: Vec::new(),
            operations: BTreeMap::new(),
            disposals: BTreeMap::new(),
            graphs: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            submitted: BTreeSet::new(),
            uploads: Vec::new(),
            task_managers,
            led_until: Instant::now(),
            durable: Arc::default(),
        }
    }

    /// Applies the first event that is due, if one is.
    pub fn next(&mut self) -> Due {
        if self.holds_still {
            return Due::Nothing;
        }
        let real = Instant::now();
        let due = self.agenda.first_entry().filter(|entry| entry.key().0 <= real);
        let Some(due) = due else {
            self.now = real;
            return Due::Nothing;
        };
        self.now = due.key().0;
        let event = due.remove();
        self.apply(event).map_or(Due::Done, Due::Written)
    }

    /// When something happens next.
    pub fn next_event(&self) -> Option<Instant> {
        self.agenda.first_key_value().map(|((at, _), _)| *at)
    }

    /// Applies an event; if it wrote a savepoint's `_metadata`, says where.
    fn apply(&mut self, event: Event) -> Option<String> {
        match event {
            Event::Job { job, attempt, step } => self.job_step(&job, attempt, step),
            Event::Snapshot { job, id, step } => return self.snapshot_step(&job, id, step),
            Event::Listens => self.listens(),
            Event::Leads => self.leads(),
            Event::TaskManagerBack(name) => self.task_manager_back(&name),
            Event::HeartbeatTimeout(instance) => self.heartbeat_timeout(instance),
            Event::ResultStored(job) => self.result_stored(&job),
            Event::CleanedUp(job) => {
                self.durable().remove(&job);
            }
        }
        None
    }

    pub fn after(&mut self, delay: Duration, event: Event) {
        self.count += 1;
        match &mut self.stopped {
            Some(stopped) if !event.survives() => stopped.events.push((self.now + delay, event)),
            _ => {
                self.agenda.insert((self.now + delay, self.count), event);
            }
        }
    }

    /// Takes the events that a stopped process would have brought about.
    pub fn take_events(&mut self) -> Vec<(Instant, Event)> {
        let all = std::mem::take(&mut self.agenda);
        let (stay, taken): (BTreeMap<_, _>, _) = all.into_iter().partition(|(_, event)| event.survives());
        self.agenda = stay;
        taken.into_iter().map(|((at, _), event)| (at, event)).collect()
    }

    pub fn job_after(&mut self, delay: Duration, job: &str, step: JobStep) {
        let attempt = self.job(job).map(|job| job.attempt).unwrap_or_default();
        self.after(delay, Event::Job { job: job.to_owned(), attempt, step });
    }

    pub fn forget_events(&mut self, keep: impl Fn(&Event) -> bool) {
        self.agenda.retain(|_, event| keep(event));
    }

    /// The moment in milliseconds since the epoch.
    pub fn timestamp(&self) -> i64 {
        let ago = TimeDelta::from_std(Instant::now().duration_since(self.now)).unwrap_or_default();
        (self.settings.clock.now() - ago).timestamp_millis()
    }

    /// A number of 48 bits that looks as if it were random, another one each time.
    pub fn draw(&mut self) -> u64 {
        self.count += 1;
        // The finish of SplitMix64.
        let mut bits = self.count.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) & 0xffff_ffff_ffff
    }

    /// An id in Flink's form.
    pub fn draw_id(&mut self) -> String {
        let (a, b, c) = (self.draw(), self.draw(), self.draw() & 0xffff_ffff);
        format!("{a:012x}{b:012x}{c:08x}")
    }

    pub fn job(&self, id: &str) -> Option<&Job> {
        self.jobs.iter().find(|job| job.id == id)
    }

    pub fn job_mut(&mut self, id: &str) -> Option<&mut Job> {
        self.jobs.iter_mut().find(|job| job.id == id)
    }

    /// What the ConfigMap of the job's checkpoints holds follows the job.
    pub fn persist(&mut self, id: &str) {
        let Some(durable) = self.job(id).map(|job| job.durable.clone()) else { return };
        if let Some((kept, _)) = self.durable().get_mut(id) {
            *kept = durable;
        }
    }

    pub fn durable(&self) -> MutexGuard<'_, Kept> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An operation came to its end.
    pub fn conclude(&mut self, key: Option<&OperationKey>, operation: Operation) {
        if let Some(key) = key {
            self.operations.insert(key.clone(), operation);
        }
    }
}
