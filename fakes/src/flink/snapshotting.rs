//! Checkpoints and savepoints.

use std::time::Duration;

use super::cause::{Cause, Exception};
use super::files::{FileEffect, key, normal, scheme};
use super::job::{Job, JobState, Kind, OperationKey, Progress, Snapshot};
use super::settings::{Format, Snapshots};
use super::snapshots::{METADATA, Recorded};
use super::state::{Event, JobStep, Operation, SnapshotStep, State};

/// Until a directory can't be made.
const REFUSED: Duration = Duration::from_millis(20);
/// From `_metadata` to a snapshot that the JobManager knows to be complete.
const COMPLETION: Duration = Duration::from_millis(5);
/// The scheme of a store whose root is a directory.
const FILE: &str = "file";

/// A savepoint, or a stop, that is asked for.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub key: OperationKey,
    pub directory: String,
    pub format: Format,
    pub stop: bool,
    pub cancel: bool,
}

impl State {
    /// A savepoint or a stop is asked for. One that this process knows is not begun again, whatever else it asks.
    pub fn ask(&mut self, ask: Ask) {
        self.forget_old_results();
        if self.operations.contains_key(&ask.key) {
            return;
        }
        self.operations.insert(ask.key.clone(), Operation::InProgress);
        let id = ask.key.job.clone();
        if let Err(cause) = self.can_begin(&id) {
            self.conclude(Some(&ask.key), Operation::Failed(cause, self.now));
            return;
        }
        if ask.stop {
            // It suspends the checkpoint coordinator first.
            self.abort_pending(&id, &Cause::Suspending);
        }
        let kind = if ask.stop { Kind::SyncSavepoint(ask.format) } else { Kind::Savepoint(ask.format) };
        let directory = normal(&ask.directory);
        let location = format!("{directory}/savepoint-{}-{:012x}", id.get(..6).unwrap_or(&id), self.draw());
        let refused = self.refused(&directory);
        self.begin(&id, kind, Some(location), Some(ask.key), ask.cancel, refused);
    }

    /// A checkpoint is asked for.
    pub fn ask_checkpoint(&mut self, key: OperationKey) {
        self.forget_old_results();
        if self.operations.contains_key(&key) {
            return;
        }
        self.operations.insert(key.clone(), Operation::InProgress);
        let id = key.job.clone();
        match self.can_begin(&id) {
            Ok(()) => self.begin_checkpoint(&id, Some(key)),
            Err(cause) => self.conclude(Some(&key), Operation::Failed(cause, self.now)),
        }
    }

    /// What an operation has come to; `None`: this process knows of none, or no more.
    pub fn result(&mut self, key: &OperationKey) -> Option<Operation> {
        self.forget_old_results();
        self.operations.get(key).cloned()
    }

    fn forget_old_results(&mut self) {
        let (now, kept) = (self.now, self.settings.results_kept);
        self.operations.retain(|_, operation| operation.ended().is_none_or(|at| now.duration_since(at) < kept));
    }

    /// Whether a snapshot of the job can begin; if not, it counts as a failed one.
    fn can_begin(&mut self, id: &str) -> Result<(), Cause> {
        let Some(job) = self.job_mut(id).filter(|job| !job.state.is_terminal()) else { return Err(Cause::JobNotFound) };
        if job.state == JobState::Initializing {
            return Err(Cause::Initializing);
        }
        if job.runs() {
            return Ok(());
        }
        job.snapshots.counts.total += 1;
        job.snapshots.counts.failed += 1;
        let first = job.script().vertices.first();
        let task = first.map(|vertex| format!("{} (1/{})", vertex.name, vertex.parallelism)).unwrap_or_default();
        Err(Cause::NotRunning { task })
    }

    /// Why nothing can be written below a directory.
    fn refused(&self, directory: &str) -> Option<Cause> {
        let root = normal(&self.settings.storage_root);
        let known = scheme(&root);
        match scheme(directory) {
            _ if key(&root, directory).is_some() => None,
            other if other == known || other == FILE => Some(Cause::Directory(directory.to_owned())),
            other => Some(Cause::Scheme(other.to_owned())),
        }
    }

    pub(super) fn periodic_checkpoint(&mut self, id: &str) {
        let Some(job) = self.job(id) else { return };
        let interval = job.script().checkpoint_interval;
        // One at a time; a savepoint under way counts. A stop suspends them.
        let busy = !job.snapshots.pending.is_empty() || job.stopped_at.is_some();
        if let Some(interval) = interval {
            self.job_after(interval, id, JobStep::Checkpoint);
        }
        if !busy && self.can_begin(id).is_ok() {
            self.begin_checkpoint(id, None);
        }
    }

    fn begin_checkpoint(&mut self, id: &str, operation: Option<OperationKey>) {
        let next = self.job(id).map(|job| job.durable.next).unwrap_or_default();
        let own = self.job(id).and_then(|job| job.script().checkpoint_directory.as_deref());
        let base = own.or(self.settings.checkpoint_directory.as_deref());
        let location = base.map(|base| format!("{}/{id}/chk-{next}", normal(base)));
        self.begin(id, Kind::Checkpoint, location, operation, false, None);
    }

    fn begin(
        &mut self,
        id: &str,
        kind: Kind,
        location: Option<String>,
        operation: Option<OperationKey>,
        then_cancel: bool,
        refused: Option<Cause>,
    ) {
        let triggered = self.timestamp();
        let Some(job) = self.job_mut(id) else { return };
        let number = job.durable.next;
        job.durable.next += 1;
        job.snapshots.counts.total += 1;
        job.snapshots.pending.push(Snapshot {
            id: number,
            kind,
            progress: Progress::Pending,
            location,
            triggered,
            latest_ack: -1,
            ended: triggered,
            acknowledged: 0,
            discarded: false,
            operation,
            then_cancel,
        });
        let (held, takes) = (job.held || job.stands_still, job.script().snapshot);
        match refused {
            Some(cause) => self.snapshot_after(REFUSED, id, number, SnapshotStep::Refused(cause)),
            None if held => {}
            None => self.snapshot_after(takes / 2, id, number, SnapshotStep::StateWritten),
        }
        self.persist(id);
    }

    pub(super) fn snapshot_after(&mut self, delay: Duration, job: &str, id: i64, step: SnapshotStep) {
        self.after(delay, Event::Snapshot { job: job.to_owned(), id, step });
    }

    /// Barriers get through again.
    pub fn release(&mut self, id: &str) {
        let Some(job) = self.job_mut(id) else { return };
        if !std::mem::take(&mut job.held) {
            return;
        }
        job.durable.script.backpressure = false;
        let takes = job.script().snapshot;
        let waiting: Vec<i64> = job.snapshots.pending.iter().map(|snapshot| snapshot.id).collect();
        for snapshot in waiting {
            self.snapshot_after(takes / 2, id, snapshot, SnapshotStep::StateWritten);
        }
        self.persist(id);
    }

    pub(super) fn snapshot_step(&mut self, id: &str, number: i64, step: SnapshotStep) -> Option<String> {
        let at = self.timestamp();
        let version = self.settings.version;
        let root = self.settings.storage_root.clone();
        let (now, cluster) = (self.now, self.name.clone());
        let records = self.settings.records.clone();
        let job = self.job_mut(id)?;
        // A dead TaskManager acknowledges nothing.
        if job.lost_tasks && step != SnapshotStep::Completed {
            return None;
        }
        // Who is stopped goes on with it later.
        if job.stands_still && matches!(step, SnapshotStep::StateWritten | SnapshotStep::MetadataWritten) {
            return None;
        }
        let script = job.script().clone();
        let snapshot = job.snapshots.pending.iter_mut().find(|snapshot| snapshot.id == number)?;
        let directory = snapshot.location.as_deref().and_then(|location| key(&root, location));
        let recorded = Recorded::of(version, snapshot.kind.format());
        match step {
            SnapshotStep::Refused(cause) => self.abort(id, number, &cause),
            SnapshotStep::StateWritten => {
                snapshot.acknowledged = script.tasks() / 2;
                snapshot.latest_ack = at;
                let stops = matches!(snapshot.kind, Kind::SyncSavepoint(_));
                records.barrier(&cluster, id, snapshot.location.as_deref(), stops, now);
                if let Some(directory) = directory {
                    let files = recorded.files.iter();
                    let writes =
                        files.map(|(name, bytes)| FileEffect::Write(directory.clone().join(*name), (*bytes).into()));
                    self.outbox.extend(writes);
                }
                let next = match script.snapshots {
                    Snapshots::Work => SnapshotStep::MetadataWritten,
                    Snapshots::Throw(_) => SnapshotStep::Thrown,
                };
                self.snapshot_after(script.snapshot / 2, id, number, next);
            }
            SnapshotStep::Thrown => {
                if let Snapshots::Throw(message) = script.snapshots {
                    self.task_failed(id, &Exception::Snapshot(message), &Cause::SnapshotThrew);
                }
            }
            SnapshotStep::MetadataWritten => {
                snapshot.acknowledged = script.tasks();
                snapshot.latest_ack = at;
                let savepoint = snapshot.location.clone().filter(|_| snapshot.kind != Kind::Checkpoint);
                if let Some(directory) = directory {
                    let metadata = recorded.metadata(number);
                    self.outbox.push_back(FileEffect::Write(directory.join(METADATA), metadata));
                }
                self.snapshot_after(COMPLETION, id, number, SnapshotStep::Completed);
                return savepoint;
            }
            SnapshotStep::Completed => self.complete(id, number),
        }
        None
    }

    fn take_pending(&mut self, id: &str, number: i64) -> Option<Snapshot> {
        let pending = &mut self.job_mut(id)?.snapshots.pending;
        let index = pending.iter().position(|snapshot| snapshot.id == number)?;
        Some(pending.remove(index))
    }

    fn complete(&mut self, id: &str, number: i64) {
        let at = self.timestamp();
        let Some(mut snapshot) = self.take_pending(id, number) else { return };
        snapshot.progress = Progress::Completed;
        snapshot.ended = at;
        let Some(job) = self.job_mut(id) else { return };
        job.snapshots.end(snapshot.clone());
        let stopping = job.script().stopping;
        let location = snapshot.location.clone().unwrap_or_default();
        let operation = snapshot.operation.clone();
        match snapshot.kind {
            Kind::Checkpoint => {
                if snapshot.location.is_some() {
                    self.retain(id, number, location);
                }
                self.conclude(operation.as_ref(), Operation::Checkpoint(number, self.now));
            }
            Kind::Savepoint(_) => {
                self.conclude(operation.as_ref(), Operation::Savepoint(location, self.now));
                if snapshot.then_cancel {
                    let _ = self.cancel(id);
                }
            }
            Kind::SyncSavepoint(_) => {
                job.stopped_at = Some(snapshot);
                self.job_after(stopping, id, JobStep::Stopped);
            }
        }
    }

    /// A checkpoint is kept, older ones go.
    fn retain(&mut self, id: &str, number: i64, location: String) {
        let root = self.settings.storage_root.clone();
        let Some(job) = self.job_mut(id) else { return };
        job.durable.retained.push((number, location));
        let surplus = job.durable.retained.len().saturating_sub(job.script().retained.max(1));
        let subsumed: Vec<(i64, String)> = job.durable.retained.drain(..surplus).collect();
        for ended in &mut job.snapshots.ended {
            ended.discarded |= subsumed.iter().any(|(subsumed, _)| *subsumed == ended.id);
        }
        let directories = subsumed.iter().filter_map(|(_, location)| key(&root, location));
        self.outbox.extend(directories.map(FileEffect::Delete));
        self.persist(id);
    }

    fn abort(&mut self, id: &str, number: i64, cause: &Cause) {
        let at = self.timestamp();
        let Some(mut snapshot) = self.take_pending(id, number) else { return };
        snapshot.progress = Progress::Failed(cause.clone());
        snapshot.ended = at;
        if let Some(directory) = snapshot.location.as_deref().and_then(|at| key(&self.settings.storage_root, at)) {
            self.outbox.push_back(FileEffect::Delete(directory));
        }
        self.conclude(snapshot.operation.as_ref(), Operation::Failed(cause.clone(), self.now));
        if matches!(snapshot.kind, Kind::SyncSavepoint(_)) && self.job(id).is_some_and(Job::runs) {
            self.settings.records.go_on(&self.name, id, self.now);
        }
        if let Some(job) = self.job_mut(id) {
            job.snapshots.end(snapshot);
        }
    }

    /// All snapshots of a job that are under way fail.
    pub(super) fn abort_pending(&mut self, id: &str, cause: &Cause) {
        let Some(job) = self.job(id) else { return };
        let pending: Vec<i64> = job.snapshots.pending.iter().map(|snapshot| snapshot.id).collect();
        for number in pending {
            self.abort(id, number, cause);
        }
    }
}
