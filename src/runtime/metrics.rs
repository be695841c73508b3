//! Metrics, in `OpenMetrics` text. Labels are of few values: never an object's name.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

/// The media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A reconcile takes milliseconds, and at most as long as its calls may take.
const RECONCILE_SECONDS: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];
/// From a small job's savepoint to that of terabytes.
const SAVEPOINT_SECONDS: [f64; 12] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 180.0, 600.0, 1800.0, 7200.0];
/// Fine where a warmed upgrade lies, coarse where one with pod starts does.
const DOWNTIME_SECONDS: [f64; 12] = [0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 15.0, 60.0, 180.0, 600.0, 1800.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfError {
    kind: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfSavepoint {
    result: &'static str,
    then: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfUpgrade {
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfOrphan {
    kind: &'static str,
}

/// What nobody keeps in order, of all stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrphanCounts {
    /// Directories without a record.
    pub directories: i64,
    /// Records without files.
    pub records: i64,
}

struct CountOrphans(Box<dyn Fn() -> OrphanCounts + Send + Sync>);

impl fmt::Debug for CountOrphans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountOrphans").finish_non_exhaustive()
    }
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// All metrics of the process. Cheap to clone; all clones count into the same.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    leader: Gauge,
    reconciles: Family<OfKind, Counter>,
    reconcile_seconds: Histograms<OfKind>,
    reconcile_errors: Family<OfError, Counter>,
    savepoints: Family<OfSavepoint, Counter>,
    savepoint_seconds: Histogram,
    upgrades: Family<OfUpgrade, Counter>,
    downtime_seconds: Histogram,
    orphans: Family<OfOrphan, Gauge>,
    count_orphans: Arc<OnceLock<CountOrphans>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics, at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Arc::default(),
            leader: Gauge::default(),
            reconciles: Family::default(),
            reconcile_seconds: Family::new_with_constructor(|| Histogram::new(RECONCILE_SECONDS)),
            reconcile_errors: Family::default(),
            savepoints: Family::default(),
            savepoint_seconds: Histogram::new(SAVEPOINT_SECONDS),
            upgrades: Family::default(),
            downtime_seconds: Histogram::new(DOWNTIME_SECONDS),
            orphans: Family::default(),
            count_orphans: Arc::default(),
        };
        let mut all = Registry::with_prefix("flink_savepoint_operator");
        all.register("leader", "1 while this process holds the Lease", metrics.leader.clone());
        all.register("reconciles", "Reconciles that ended, failed ones included", metrics.reconciles.clone());
        let help = "How long a reconcile took";
        all.register_with_unit("reconcile_duration", help, Unit::Seconds, metrics.reconcile_seconds.clone());
        all.register("reconcile_errors", "Reconciles that failed, by reason", metrics.reconcile_errors.clone());
        let help = "Savepoints that ended, by result and by what became of the job";
        all.register("savepoints", help, metrics.savepoints.clone());
        let help = "From the trigger of a savepoint to its completion";
        all.register_with_unit("savepoint_duration", help, Unit::Seconds, metrics.savepoint_seconds.clone());
        all.register("upgrades", "Upgrades that ended, by result", metrics.upgrades.clone());
        let help = "From the stop of the old submission to all tasks of the new one RUNNING";
        all.register_with_unit("upgrade_downtime", help, Unit::Seconds, metrics.downtime_seconds.clone());
        let help = "Directories without a FlinkSavepoint, and FlinkSavepoints without files, of all stores";
        all.register("orphans", help, metrics.orphans.clone());
        metrics.registry = Arc::new(all);
        metrics
    }

    /// Whether this process leads.
    pub fn set_leader(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// A reconcile of an object of `kind` ended after `took`.
    pub fn reconciled(&self, kind: &'static str, took: Duration) {
        let labels = OfKind { kind };
        self.reconciles.get_or_create(&labels).inc();
        self.reconcile_seconds.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// A reconcile of an object of `kind` failed; `reason` is the one of its condition and Event.
    pub fn reconcile_failed(&self, kind: &'static str, reason: &'static str) {
        self.reconcile_errors.get_or_create(&OfError { kind, reason }).inc();
    }

    /// A savepoint ended: `result` is its phase, `then` the value of `spec.then`. `took` counts only where it is known and the
    /// savepoint completed.
    pub fn savepoint_ended(&self, result: &'static str, then: &'static str, took: Option<Duration>) {
        self.savepoints.get_or_create(&OfSavepoint { result, then }).inc();
        if let Some(took) = took {
            self.savepoint_seconds.observe(took.as_secs_f64());
        }
    }

    /// An upgrade ended; `downtime` where it is known.
    pub fn upgrade_ended(&self, result: &'static str, downtime: Option<Duration>) {
        self.upgrades.get_or_create(&OfUpgrade { result }).inc();
        if let Some(downtime) = downtime {
            self.downtime_seconds.observe(downtime.as_secs_f64());
        }
    }

    /// Says how what nobody keeps in order is counted whenever the metrics are asked for. Only the first call counts.
    pub fn count_orphans_by(&self, count: impl Fn() -> OrphanCounts + Send + Sync + 'static) {
        drop(self.count_orphans.set(CountOrphans(Box::new(count))));
    }

    /// All metrics as text of the media type [`CONTENT_TYPE`].
    ///
    /// # Errors
    /// Only if a metric can't be written as text.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        if let Some(CountOrphans(count)) = self.count_orphans.get() {
            let OrphanCounts { directories, records } = count();
            self.orphans.get_or_create(&OfOrphan { kind: "directory" }).set(directories);
            self.orphans.get_or_create(&OfOrphan { kind: "record" }).set(records);
        }
        let mut page = String::new();
        text::encode(&mut page, &self.registry)?;
        Ok(page)
    }
}
