//! What Flux and others make of a resource, which its conditions are written for: the rules of kstatus for custom
//! resources (sigs.k8s.io/cli-utils, `checkGenericProperties` and `readyConditionReader`). Tests hold the status to it.

use super::FlinkJobUpgrade;
use super::condition::is_true;
use super::condition::types::{READY, RECONCILING, STALLED};

/// How a resource stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kstatus {
    /// It is as its spec asks.
    Current,
    /// It is on its way there.
    InProgress,
    /// It won't get there.
    Failed,
    /// It is being deleted.
    Terminating,
}

/// Computes it.
#[must_use]
pub fn of(resource: &FlinkJobUpgrade) -> Kstatus {
    let status = resource.status.clone().unwrap_or_default();
    let is = |type_| is_true(&status.conditions, type_);
    if resource.metadata.deletion_timestamp.is_some() {
        Kstatus::Terminating
    } else if status.observed_generation != resource.metadata.generation || is(RECONCILING) {
        Kstatus::InProgress
    } else if is(STALLED) {
        Kstatus::Failed
    } else if is(READY) || !status.conditions.iter().any(|c| c.type_ == READY) {
        // Of what has no Ready it thinks the best.
        Kstatus::Current
    } else {
        Kstatus::InProgress
    }
}
