//! Processes that are stopped for a while, and go on as if nothing had been.

use super::process::LOSS_NOTICED;
use super::state::{Event, JobStep, SnapshotStep, State, Stopped};

impl State {
    /// The JobManager's process is stopped.
    pub fn stop_job_manager(&mut self) {
        if self.stopped.is_some() {
            return;
        }
        let events = self.take_events();
        self.stopped = Some(Stopped { since: self.now, events, requests: Vec::new() });
        let instance = self.instance;
        self.after(self.settings.heartbeat_timeout, Event::HeartbeatTimeout(instance));
    }

    /// It goes on; all that it would have done comes later by the time that it was stopped.
    pub fn continue_job_manager(&mut self) {
        let Some(stopped) = self.stopped.take() else { return };
        let missed = self.now.duration_since(stopped.since);
        for (at, event) in stopped.events {
            self.after((at + missed).duration_since(self.now), event);
        }
        self.late_requests.extend(stopped.requests);
        let instance = self.instance;
        self.forget_events(|event| !matches!(event, Event::HeartbeatTimeout(of) if *of == instance));
        // Tasks that missed it have ended.
        let has_slot = |job: &str| {
            let mut slots = self.task_managers.iter().flat_map(|one| &one.slots).flatten();
            slots.any(|(of, by)| of == job && *by == instance)
        };
        let lost = self.jobs.iter().filter(|job| job.runs() && !has_slot(&job.id));
        let lost: Vec<String> = lost.map(|job| job.id.clone()).collect();
        for id in lost {
            if let Some(job) = self.job_mut(&id) {
                job.lost_tasks = true;
            }
            self.job_after(LOSS_NOTICED, &id, JobStep::LossNoticed);
        }
        self.deploy_waiting();
    }

    /// The jobs that have tasks on a TaskManager.
    fn jobs_on(&self, name: &str) -> Vec<String> {
        let one = self.task_managers.iter().find(|one| one.name == name);
        let slots = one.into_iter().flat_map(|one| &one.slots).flatten();
        slots.map(|(job, _)| job.clone()).collect()
    }

    /// A TaskManager's process is stopped.
    pub fn stop_task_manager(&mut self, name: &str) {
        for id in self.jobs_on(name) {
            let Some(job) = self.job_mut(&id) else { continue };
            job.stands_still = true;
            self.settings.records.stand_still(&self.name, &id, self.now);
        }
    }

    /// It goes on, and the barriers that waited for it.
    pub fn continue_task_manager(&mut self, name: &str) {
        for id in self.jobs_on(name) {
            let Some(job) = self.job_mut(&id).filter(|job| job.stands_still) else { continue };
            job.stands_still = false;
            let (takes, held) = (job.script().snapshot, job.held);
            let waiting: Vec<i64> = job.snapshots.pending.iter().map(|snapshot| snapshot.id).collect();
            let stops = job.stopped_at.is_some();
            if !stops {
                self.settings.records.go_on(&self.name, &id, self.now);
            }
            for snapshot in waiting.into_iter().filter(|_| !held) {
                self.snapshot_after(takes / 2, &id, snapshot, SnapshotStep::StateWritten);
            }
        }
    }
}
