//! The configuration keys of Flink that the operator reads or sets, with the older names that Flink still takes.

use std::collections::BTreeMap;
use std::time::Duration;

/// A configuration option: its name since Flink 1.20 and the older names that all of 1.20 to 2.3 still read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// The name to write.
    pub name: &'static str,
    /// Older names. Flink prefers the new one where several are set, then these in order.
    pub deprecated: &'static [&'static str],
}

impl Key {
    /// The option's value as Flink would take it.
    #[must_use]
    pub fn get<'a>(&self, configuration: &'a BTreeMap<String, String>) -> Option<&'a str> {
        self.names().find_map(|name| configuration.get(name)).map(String::as_str)
    }

    /// The name under which the option is set, if it is.
    #[must_use]
    pub fn used_name(&self, configuration: &BTreeMap<String, String>) -> Option<&'static str> {
        self.names().find(|name| configuration.contains_key(*name))
    }

    /// All names, the one that Flink prefers first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.deprecated.iter().copied())
    }
}

const fn key(name: &'static str, deprecated: &'static [&'static str]) -> Key {
    Key { name, deprecated }
}

/// Below which checkpoints are written.
pub const CHECKPOINT_DIRECTORY: Key = key("execution.checkpointing.dir", &["state.checkpoints.dir"]);
/// Below which savepoints are written that name no directory.
pub const SAVEPOINT_DIRECTORY: Key =
    key("execution.checkpointing.savepoint-dir", &["state.savepoints.dir", "savepoints.state.backend.fs.dir"]);
/// Time between checkpoints; none: no checkpoints.
pub const CHECKPOINT_INTERVAL: Key = key("execution.checkpointing.interval", &[]);
/// Whether checkpoints outlive their job.
pub const CHECKPOINT_RETENTION: Key = key("execution.checkpointing.externalized-checkpoint-retention", &[]);
/// How many completed checkpoints are kept.
pub const CHECKPOINTS_RETAINED: Key = key("execution.checkpointing.num-retained", &["state.checkpoints.num-retained"]);
/// The state backend.
pub const STATE_BACKEND: Key = key("state.backend.type", &["state.backend"]);
/// The snapshot to restore from. The operator gives it with the submit; never by configuration.
pub const RESTORE_PATH: Key = key("execution.state-recovery.path", &["execution.savepoint.path"]);
/// Who owns that snapshot. The operator gives it with the submit; never by configuration.
pub const RESTORE_CLAIM_MODE: Key = key("execution.state-recovery.claim-mode", &["execution.savepoint-restore-mode"]);
/// Whether state without an operator is dropped. The operator gives it with the submit; never by configuration.
pub const RESTORE_IGNORE_UNCLAIMED: Key =
    key("execution.state-recovery.ignore-unclaimed-state", &["execution.savepoint.ignore-unclaimed-state"]);
/// The parallelism of operators that set none.
pub const DEFAULT_PARALLELISM: Key = key("parallelism.default", &[]);
/// How many slots a TaskManager has.
pub const TASK_SLOTS: Key = key("taskmanager.numberOfTaskSlots", &[]);
/// How old the answers to `/jobs/:jobid` and `/jobs/:jobid/checkpoints` may be, in milliseconds (3000 by default).
pub const REFRESH_INTERVAL: Key = key("web.refresh-interval", &["jobmanager.web.refresh-interval"]);
/// Below which the directory of the jars lies, `flink-web-upload`.
pub const UPLOAD_DIRECTORY: Key = key("web.upload.dir", &["jobmanager.web.upload.dir"]);
/// How long the result of a trigger is kept after it is complete (5 minutes by default).
pub const TRIGGER_RESULTS_KEPT: Key = key("rest.async.store-duration", &[]);
/// Which high availability a JobManager has.
pub const HIGH_AVAILABILITY: Key = key("high-availability.type", &["high-availability"]);
/// By which a cluster's ConfigMaps are named, with Kubernetes' high availability.
pub const CLUSTER_ID: Key = key("kubernetes.cluster-id", &[]);
/// In which namespace they are.
pub const NAMESPACE: Key = key("kubernetes.namespace", &[]);

/// A duration as Flink writes it: `300 s`, `5min`, `10000` (milliseconds), `PT5M`. `None`: none that is known here.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let text = text.trim().to_ascii_lowercase();
    let (number, unit) = match text.strip_prefix("pt") {
        Some(iso) => (iso.trim_end_matches(['h', 'm', 's']), iso.trim_start_matches(|c: char| c.is_ascii_digit())),
        None => text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())),
    };
    let number: u64 = number.parse().ok()?;
    let milliseconds = match unit.trim() {
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1,
        "s" | "sec" | "secs" | "second" | "seconds" => 1000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000,
        "h" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(milliseconds)?))
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
