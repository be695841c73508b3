//! What tasks really did, whatever a JobManager says of them: which job processed which records from when to when.
//!
//! The source of every job gives one record a millisecond, numbered from 0. A snapshot holds the number of the next
//! one, and a job that is restored from it goes on with that.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// The records of all clusters that share a store. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Records(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    /// The next record, by the location of the snapshot that holds it.
    snapshots: BTreeMap<String, u64>,
    runs: Vec<Run>,
    submits: Vec<Submit>,
    /// How many clusters had an id.
    clusters: BTreeMap<String, u32>,
}

/// All tasks of a job, from the moment that they run until they have ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The cluster: its id, and a number if others had that id before.
    pub cluster: String,
    /// The job's id.
    pub job: String,
    /// The JobManager's process that started them.
    pub instance: u32,
    /// The first record.
    pub first: u64,
    /// The record after the last one so far.
    pub next: u64,
    /// When they began.
    pub began: Instant,
    /// When they had ended.
    pub ended: Option<Instant>,
    /// Since when they process records, from `next` on. Not at all: they have ended, or stand still behind the barrier
    /// of a stop.
    since: Option<Instant>,
}

/// A job that a JobManager took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submit {
    /// The cluster, as in [`Run`].
    pub cluster: String,
    /// The job's id.
    pub job: String,
    /// The snapshot that it starts from.
    pub from: Option<String>,
}

impl Run {
    /// Whether records are being processed.
    #[must_use]
    pub fn processes(&self) -> bool {
        self.since.is_some()
    }

    /// Counts what was processed up to `now`.
    fn count(&mut self, now: Instant) {
        if let Some(since) = &mut self.since {
            let passed = now.duration_since(*since).as_millis();
            self.next += u64::try_from(passed).unwrap_or(u64::MAX);
            *since = now;
        }
    }

    fn stand_still(&mut self, now: Instant) {
        self.count(now);
        self.since = None;
    }
}

impl Records {
    /// All runs so far, in the order of their beginnings, counted up to now.
    #[must_use]
    pub fn runs(&self) -> Vec<Run> {
        let mut runs = self.kept().runs.clone();
        for run in &mut runs {
            run.count(Instant::now());
        }
        runs
    }

    /// All jobs that were taken, in their order.
    #[must_use]
    pub fn submits(&self) -> Vec<Submit> {
        self.kept().submits.clone()
    }

    /// The next record by each snapshot, by its location.
    #[must_use]
    pub fn snapshots(&self) -> BTreeMap<String, u64> {
        self.kept().snapshots.clone()
    }

    /// The name of a new cluster with this id: clusters that follow each other may have the same, and their tasks are
    /// not to be confused.
    pub(super) fn name(&self, cluster_id: &str) -> String {
        let mut kept = self.kept();
        let count = kept.clusters.entry(cluster_id.to_owned()).or_default();
        *count += 1;
        if *count == 1 { cluster_id.to_owned() } else { format!("{cluster_id}#{count}") }
    }

    pub(super) fn submitted(&self, cluster: &str, job: &str, from: Option<&str>) {
        let (cluster, job) = (cluster.to_owned(), job.to_owned());
        self.kept().submits.push(Submit { cluster, job, from: from.map(str::to_owned) });
    }

    pub(super) fn begin(&self, cluster: &str, job: &str, instance: u32, from: Option<&str>, now: Instant) {
        let mut kept = self.kept();
        let first = from.and_then(|from| kept.snapshots.get(from)).copied().unwrap_or_default();
        let (cluster, job) = (cluster.to_owned(), job.to_owned());
        kept.runs.push(Run { cluster, job, instance, first, next: first, began: now, ended: None, since: Some(now) });
    }

    /// A barrier has passed all tasks of a job. Behind that of a stop they stand still.
    pub(super) fn barrier(&self, cluster: &str, job: &str, location: Option<&str>, stop: bool, now: Instant) {
        let mut kept = self.kept();
        let Some(run) = kept.runs.iter_mut().rev().find(|run| run.is(cluster, job)) else { return };
        run.count(now);
        if stop {
            run.since = None;
        }
        let next = run.next;
        if let Some(location) = location {
            kept.snapshots.insert(location.to_owned(), next);
        }
    }

    /// The tasks of a job stand still.
    pub(super) fn stand_still(&self, cluster: &str, job: &str, now: Instant) {
        if let Some(run) = self.kept().runs.iter_mut().rev().find(|run| run.is(cluster, job)) {
            run.stand_still(now);
        }
    }

    /// A stop came to nothing, or what kept them, and the tasks go on.
    pub(super) fn go_on(&self, cluster: &str, job: &str, now: Instant) {
        if let Some(run) = self.kept().runs.iter_mut().rev().find(|run| run.is(cluster, job)) {
            run.since.get_or_insert(now);
        }
    }

    /// The runs of a cluster end whose tasks have no slot any more.
    pub(super) fn end(&self, cluster: &str, has_slot: impl Fn(&str, u32) -> bool, now: Instant) {
        let mut kept = self.kept();
        let open = kept.runs.iter_mut().filter(|run| run.ended.is_none() && run.cluster == cluster);
        for run in open.filter(|run| !has_slot(&run.job, run.instance)) {
            run.stand_still(now);
            run.ended = Some(now);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    /// Whether it is the open run of a job.
    fn is(&self, cluster: &str, job: &str) -> bool {
        self.ended.is_none() && self.cluster == cluster && self.job == job
    }
}
