//! The processes of a cluster, and what dies and lives with them.

use std::time::Duration;

use super::job::{Durable, Job, JobState, Tasks};
use super::state::{Event, JobStep, State};

/// How far the JobManager's process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nobody listens.
    Dead,
    /// The port is open, and there is no leader.
    Elects,
    /// It answers.
    Leads,
}

/// A slot's task, by the job's id and the JobManager instance that sent it.
type Slot = Option<(String, u32)>;

/// A TaskManager's process.
#[derive(Debug, Clone)]
pub(super) struct TaskManager {
    pub name: String,
    pub alive: bool,
    pub slots: Vec<Slot>,
}

impl TaskManager {
    pub fn new(name: String, slots: usize) -> Self {
        Self { name, alive: true, slots: vec![None; slots] }
    }
}

/// A new process says 503 for so long, at most.
const ELECTION: Duration = Duration::from_secs(2);
/// Reads the job's graph and its newest checkpoint.
const RECOVERY: Duration = Duration::from_millis(500);
/// The connection to a dead TaskManager closes.
pub(super) const LOSS_NOTICED: Duration = Duration::from_millis(300);

impl State {
    /// Another process of the JobManager is started, and leads after this time. With high availability it recovers what
    /// was not cleaned up.
    pub fn start_job_manager(&mut self, leads_after: Duration) {
        let lease = self.led_until.duration_since(self.now);
        self.after(leads_after.saturating_sub(ELECTION.min(leads_after / 4)), Event::Listens);
        self.after(leads_after.max(lease), Event::Leads);
    }

    /// `kill -9` of the JobManager: its tasks go on until they miss it.
    pub fn kill_job_manager(&mut self) {
        self.stopped = None;
        self.late_requests.clear();
        self.forget_events(Event::survives);
        self.jobs.clear();
        self.operations.clear();
        self.disposals.clear();
        self.graphs.clear();
        self.checkpoints.clear();
        self.submitted.clear();
        self.uploads.clear();
        self.phase = Phase::Dead;
        if self.settings.high_availability {
            self.led_until = self.now + self.settings.lease;
        }
        let instance = self.instance;
        self.after(self.settings.heartbeat_timeout, Event::HeartbeatTimeout(instance));
    }

    /// The JobManager is told to end, and ends its tasks before.
    pub fn end_job_manager(&mut self) {
        self.kill_job_manager();
        self.led_until = self.now;
        self.free_slots(|_| true);
    }

    pub(super) fn listens(&mut self) {
        self.instance += 1;
        self.phase = Phase::Elects;
    }

    pub(super) fn leads(&mut self) {
        self.phase = Phase::Leads;
        if !self.settings.high_availability {
            return;
        }
        // A new leader ends the tasks of the old one.
        let instance = self.instance;
        self.free_slots(|(_, of)| *of < instance);
        let kept = self.durable().clone();
        for (id, (durable, ended)) in kept {
            match ended {
                Some(mut job) => {
                    // From the job result store: it knows that the job ended, and nothing of its tasks.
                    job.tasks = Tasks::None;
                    job.snapshots = super::job::Snapshots::default();
                    self.jobs.push(job);
                    self.after(self.settings.clean_up, Event::CleanedUp(id));
                }
                None => self.take_up(&id, durable, RECOVERY),
            }
        }
    }

    pub(super) fn heartbeat_timeout(&mut self, instance: u32) {
        self.free_slots(|(_, of)| *of == instance);
        self.deploy_waiting();
    }

    /// A job is in the JobManager's hands.
    pub(super) fn take_up(&mut self, id: &str, durable: Durable, initialization: Duration) {
        let at = self.timestamp();
        self.jobs.push(Job::new(id, durable, at));
        self.submitted.insert(id.to_owned());
        self.job_after(initialization, id, JobStep::Initialized);
    }

    /// A job has come to its end: high availability forgets it soon.
    pub(super) fn forget_soon(&mut self, id: &str) {
        let Some(job) = self.job(id).cloned() else { return };
        let known = self.durable().get_mut(id).map(|(_, ended)| *ended = Some(job)).is_some();
        if known {
            let after = if self.settings.finished_runs_again { Duration::ZERO } else { self.settings.clean_up };
            self.after(after, Event::CleanedUp(id.to_owned()));
        }
    }

    /// `kill -9` of a TaskManager that runs a task of the job. False: none does.
    pub fn kill_task_manager(&mut self, job: &str, back_after: Duration) -> bool {
        let runs = |slot: &Slot| slot.as_ref().is_some_and(|(of, _)| of == job);
        let Some(number) = self.task_managers.iter().rposition(|one| one.alive && one.slots.iter().any(runs)) else {
            return false;
        };
        let Some(name) = self.task_managers.get(number).map(|one| one.name.clone()) else { return false };
        self.lose_task_manager(&name);
        self.after(back_after, Event::TaskManagerBack(name));
        true
    }

    fn lose_task_manager(&mut self, name: &str) {
        let mut lost = Vec::new();
        if let Some(one) = self.task_managers.iter_mut().find(|one| one.name == name) {
            one.alive = false;
            lost.extend(one.slots.iter_mut().filter_map(Option::take).map(|(job, _)| job));
        }
        self.end_runs();
        for id in lost {
            if let Some(job) = self.job_mut(&id)
                && !job.state.is_terminal()
            {
                job.lost_tasks = true;
                self.job_after(LOSS_NOTICED, &id, JobStep::LossNoticed);
            }
        }
    }

    pub(super) fn task_manager_back(&mut self, name: &str) {
        if let Some(one) = self.task_managers.iter_mut().find(|one| one.name == name) {
            one.alive = true;
        }
        self.deploy_waiting();
    }

    /// A TaskManager's process is there that was not there before.
    pub fn start_task_manager(&mut self, name: &str) {
        self.task_managers.push(TaskManager::new(name.to_owned(), self.settings.slots));
        self.deploy_waiting();
    }

    /// A TaskManager's process has ended, for good.
    pub fn end_task_manager(&mut self, name: &str) {
        self.lose_task_manager(name);
        self.task_managers.retain(|one| one.name != name);
    }

    /// All slots, and those that are free.
    pub fn slots(&self) -> (usize, usize) {
        let slots = || self.task_managers.iter().filter(|one| one.alive).flat_map(|one| &one.slots);
        (slots().count(), slots().filter(|slot| slot.is_none()).count())
    }

    pub(super) fn free_slots(&mut self, which: impl Fn(&(String, u32)) -> bool) {
        for slot in self.task_managers.iter_mut().flat_map(|one| &mut one.slots) {
            slot.take_if(|task| which(task));
        }
        self.end_runs();
    }

    /// Tasks without a slot process nothing any more.
    fn end_runs(&self) {
        let slots = || self.task_managers.iter().flat_map(|one| &one.slots).flatten();
        let has_slot = |job: &str, instance| slots().any(|(of, by)| of == job && *by == instance);
        self.settings.records.end(&self.name, has_slot, self.now);
    }

    /// A job's tasks of this instance end; those that a dead one has sent go on.
    pub(super) fn free_slots_of(&mut self, job: &str) {
        let instance = self.instance;
        self.free_slots(|(of, by)| of == job && *by == instance);
    }

    fn allocate(&mut self, job: &str, wanted: usize) -> bool {
        if self.slots().1 < wanted {
            return false;
        }
        let task = (job.to_owned(), self.instance);
        let free = self.task_managers.iter_mut().filter(|one| one.alive).flat_map(|one| &mut one.slots);
        for slot in free.filter(|slot| slot.is_none()).take(wanted) {
            *slot = Some(task.clone());
        }
        true
    }

    /// Gives free slots to the jobs that wait for them.
    pub(super) fn deploy_waiting(&mut self) {
        let waiting: Vec<_> = self
            .jobs
            .iter()
            .filter(|job| job.state == JobState::Running && job.tasks == Tasks::Scheduled)
            .map(|job| (job.id.clone(), job.script().slots(), job.script().deployment))
            .collect();
        for (id, slots, deployment) in waiting {
            if self.phase == Phase::Leads && self.stopped.is_none() && self.allocate(&id, slots) {
                let at = self.timestamp();
                if let Some(job) = self.job_mut(&id) {
                    job.set_tasks(Tasks::Deploying, at);
                }
                self.job_after(deployment, &id, JobStep::Deployed);
            }
        }
    }
}
