//! How Argo CD, Flux and `kubectl wait` read a resource: the rules of kstatus for custom resources
//! (sigs.k8s.io/cli-utils, `checkGenericProperties` and `readyConditionReader`).

use crate::api::FlinkJobUpgrade;
use crate::api::condition::{self, types};

/// What a resource is to kstatus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kstatus {
    Current,
    InProgress,
    Failed,
    Terminating,
}

/// Reads a resource.
pub fn read(resource: &FlinkJobUpgrade) -> Kstatus {
    let status = resource.status.clone().unwrap_or_default();
    let is = |type_| condition::is_true(&status.conditions, type_);
    if resource.metadata.deletion_timestamp.is_some() {
        Kstatus::Terminating
    } else if status.observed_generation != resource.metadata.generation || is(types::RECONCILING) {
        Kstatus::InProgress
    } else if is(types::STALLED) {
        Kstatus::Failed
    } else if is(types::READY) {
        Kstatus::Current
    } else {
        Kstatus::InProgress
    }
}
