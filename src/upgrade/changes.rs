//! What changes from one revision to the next, as far as a snapshot's use depends on it. Pure.

use super::workload::Rendered;
use crate::snapshot::capability::Change;
use crate::snapshot::layout::FlinkRelease;

/// What Flink takes where no state backend is configured.
const DEFAULT_BACKEND: &str = "hashmap";

/// What changes, operators aside: those only the job's own program tells, and what its code does to types of state can't
/// be seen from here. `to`: the Flink of the next revision, if known.
#[must_use]
pub fn between(
    running: &Rendered,
    next: &Rendered,
    from: Option<FlinkRelease>,
    to: Option<FlinkRelease>,
) -> Vec<Change> {
    let mut changes = Vec::new();
    let named = |backend: Option<String>| backend.unwrap_or_else(|| DEFAULT_BACKEND.to_owned());
    if named(running.state_backend()) != named(next.state_backend()) {
        changes.push(Change::StateBackend);
    }
    if running.submission.parallelism != next.submission.parallelism {
        changes.push(Change::Parallelism);
    }
    changes.extend(to.map(|to| Change::Flink { from, to }));
    changes
}
