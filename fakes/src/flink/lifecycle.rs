//! The life of a job.

use std::time::Duration;

use super::cause::{Cause, Exception, Thrown};
use super::files::{FileEffect, key};
use super::job::{Durable, Job, JobState, Restored, Tasks};
use super::settings::{JobScript, RestartStrategy};
use super::state::{Event, JobStep, Operation, State};

/// From a submit to a graph.
const INITIALIZATION: Duration = Duration::from_millis(80);
/// Until slots are asked for.
const SCHEDULING: Duration = Duration::from_millis(200);
/// Tasks are cancelled.
const CANCELLING: Duration = Duration::from_millis(50);
/// From the end of a job, which REST tells at once, until its result is in the storage of high availability.
const RESULT_STORED: Duration = Duration::from_millis(20);
/// `web.exception-history-size`.
const EXCEPTIONS: usize = 16;
/// From the last failure of a job until it has failed.
const GIVING_UP: Duration = Duration::from_millis(30);

impl State {
    /// A job is submitted, to start from a snapshot or with nothing.
    pub fn submit(&mut self, id: &str, script: JobScript, from: Option<Restored>) {
        let next = from.as_ref().map_or(1, |from| from.id + 1);
        // What is claimed is the first of the job's own checkpoints, and goes when it is subsumed.
        let claimed = from.iter().filter(|from| !from.is_savepoint).map(|from| (from.id, from.location.clone()));
        let retained = claimed.collect();
        let durable = Durable { script, from, retained, next };
        // A job of this id that has ended makes room.
        self.jobs.retain(|job| job.id != id);
        let location = durable.from.as_ref().map(|from| from.location.as_str());
        self.settings.records.submitted(&self.name, id, location);
        if self.settings.high_availability {
            self.durable().insert(id.to_owned(), (durable.clone(), None));
        }
        self.take_up(id, durable, INITIALIZATION);
    }

    pub(super) fn job_step(&mut self, id: &str, attempt: u64, step: JobStep) {
        let at = self.timestamp();
        let Some(job) = self.job_mut(id).filter(|job| job.attempt == attempt && !job.state.is_terminal()) else {
            return;
        };
        match step {
            JobStep::Initialized => {
                job.change(JobState::Created, at);
                self.run(id);
            }
            JobStep::Schedule => self.deploy_waiting(),
            JobStep::Deployed => {
                job.set_tasks(Tasks::Running, at);
                let (bounded, fails) = (job.script().bounded, job.script().fails_after);
                let from = job.snapshots.restored.as_ref().map(|from| from.location.clone());
                self.settings.records.begin(&self.name, id, self.instance, from.as_deref(), self.now);
                if let Some(bounded) = bounded {
                    self.job_after(bounded, id, JobStep::Ended);
                }
                if let Some(fails) = fails {
                    self.job_after(fails, id, JobStep::Throws);
                }
            }
            JobStep::Checkpoint => self.periodic_checkpoint(id),
            JobStep::Restart => self.run(id),
            JobStep::Cancelled => self.end(id, JobState::Canceled, Tasks::Canceled),
            JobStep::LossNoticed => {
                let gone = Exception::TaskManager("10.0.0.7:6122-fa4e00".to_owned());
                self.task_failed(id, &gone, &Cause::Suspending);
            }
            JobStep::Throws => {
                let exception = Exception::Task("a task of this job always fails".to_owned());
                self.task_failed(id, &exception, &Cause::Suspending);
            }
            JobStep::Stopped => self.stopped(id),
            JobStep::Failed => self.end(id, JobState::Failed, Tasks::Failed),
            JobStep::Ended => self.end(id, JobState::Finished, Tasks::Finished),
        }
    }

    /// The job runs, from its newest checkpoint or what it was submitted with; its tasks wait for slots.
    fn run(&mut self, id: &str) {
        let at = self.timestamp();
        let Some(job) = self.job_mut(id) else { return };
        let newest = job.durable.retained.last().map(|(id, location)| Restored {
            id: *id,
            at,
            is_savepoint: false,
            location: location.clone(),
        });
        let from = newest.or_else(|| job.durable.from.clone().map(|from| Restored { at, ..from }));
        if let Some(from) = from {
            job.snapshots.counts.restored += 1;
            job.snapshots.restored = Some(from);
        }
        job.change(JobState::Running, at);
        job.set_tasks(Tasks::Scheduled, at);
        let interval = job.script().checkpoint_interval;
        self.job_after(SCHEDULING, id, JobStep::Schedule);
        if let Some(interval) = interval {
            self.job_after(interval, id, JobStep::Checkpoint);
        }
    }

    /// A task failed; `cause` is what pending snapshots say.
    pub(super) fn task_failed(&mut self, id: &str, exception: &Exception, cause: &Cause) {
        self.abort_pending(id, cause);
        let Some(job) = self.job_mut(id) else { return };
        if let Some(savepoint) = job.stopped_at.take() {
            let location = savepoint.location.unwrap_or_default();
            self.conclude(savepoint.operation.as_ref(), Operation::Failed(Cause::Stopping { location }, self.now));
            let what = Exception::WhileStopping(Box::new(exception.clone()));
            return self.fail_over(id, what, RestartStrategy::Never);
        }
        if job.state == JobState::Cancelling {
            return;
        }
        let restart = job.script().restart;
        self.fail_over(id, exception.clone(), restart);
    }

    /// Ends this execution attempt; another one follows, or none.
    fn fail_over(&mut self, id: &str, what: Exception, next: RestartStrategy) {
        let at = self.timestamp();
        self.free_slots_of(id);
        // A stop whose job can't be recovered was seen to pass through RESTARTING.
        let restarts = next != RestartStrategy::Never || matches!(what, Exception::WhileStopping(_));
        let Some(job) = self.job_mut(id) else { return };
        job.thrown.insert(0, Thrown { at, what });
        job.thrown.truncate(EXCEPTIONS);
        job.attempt += 1;
        job.lost_tasks = false;
        job.stands_still = false;
        job.change(if restarts { JobState::Restarting } else { JobState::Failing }, at);
        job.set_tasks(Tasks::Canceled, at);
        match next {
            RestartStrategy::After(delay) => self.job_after(delay, id, JobStep::Restart),
            RestartStrategy::Never => self.job_after(GIVING_UP, id, JobStep::Failed),
        }
        self.deploy_waiting();
    }

    /// The tasks that a stop ends have ended, if they could.
    fn stopped(&mut self, id: &str) {
        let Some(job) = self.job_mut(id).filter(|job| !job.lost_tasks) else { return };
        if job.script().fails_while_stopping {
            let exception = Exception::Task("a task failed while the job stopped".to_owned());
            return self.task_failed(id, &exception, &Cause::Suspending);
        }
        if let Some(savepoint) = job.stopped_at.take() {
            let location = savepoint.location.unwrap_or_default();
            self.conclude(savepoint.operation.as_ref(), Operation::Savepoint(location, self.now));
        }
        self.end(id, JobState::Finished, Tasks::Finished);
    }

    /// A submit that could not even start: the job is there, failed.
    pub fn submit_failed(&mut self, id: &str, script: JobScript, why: &str) {
        let at = self.timestamp();
        let durable = Durable { script, from: None, retained: Vec::new(), next: 1 };
        let mut job = Job::new(id, durable, at);
        job.change(JobState::Failed, at);
        job.thrown.push(Thrown { at, what: Exception::Initialization(why.to_owned()) });
        self.jobs.push(job);
        self.submitted.insert(id.to_owned());
    }

    /// The job is at its end, for good.
    fn end(&mut self, id: &str, state: JobState, tasks: Tasks) {
        let at = self.timestamp();
        self.abort_pending(id, &Cause::Suspending);
        self.free_slots_of(id);
        let Some(job) = self.job_mut(id) else { return };
        job.change(state, at);
        job.set_tasks(tasks, at);
        let stored = match (self.settings.high_availability, self.settings.finished_runs_again) {
            (false, _) => Duration::ZERO,
            (true, false) => RESULT_STORED,
            (true, true) => self.settings.clean_up,
        };
        self.after(stored, Event::ResultStored(id.to_owned()));
        self.deploy_waiting();
    }

    /// From here on no JobManager will run the job again, so its checkpoints can go.
    pub(super) fn result_stored(&mut self, id: &str) {
        let Some(job) = self.job_mut(id).filter(|job| job.state.is_terminal()) else { return };
        let kept = match job.state {
            JobState::Finished => false,
            JobState::Canceled => job.script().retain_on_cancellation,
            _ => true,
        };
        if !kept {
            let retained = std::mem::take(&mut job.durable.retained);
            let root = self.settings.storage_root.clone();
            let directories = retained.iter().filter_map(|(_, location)| key(&root, location));
            self.outbox.extend(directories.map(FileEffect::Delete));
        }
        self.forget_soon(id);
    }

    /// A cancel is asked for; the state of a job that has ended comes back.
    pub fn cancel(&mut self, id: &str) -> Option<Result<(), JobState>> {
        let at = self.timestamp();
        let job: &mut Job = self.job_mut(id)?;
        // A job that is cancelled can be cancelled again.
        if job.state.is_terminal() && job.state != JobState::Canceled {
            return Some(Err(job.state));
        }
        if !matches!(job.state, JobState::Cancelling | JobState::Canceled) {
            job.attempt += 1;
            job.change(JobState::Cancelling, at);
            job.set_tasks(Tasks::Canceling, at);
            self.abort_pending(id, &Cause::Suspending);
            self.job_after(CANCELLING, id, JobStep::Cancelled);
        }
        Some(Ok(()))
    }
}
