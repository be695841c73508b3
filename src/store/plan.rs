//! What a FlinkSnapshotStore's status says of a probe. Pure: no client, no clock of its own.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::open::OpenError;
use crate::api::condition::{self, Conditions, Reason, types};
use crate::api::{FlinkSnapshotStore, FlinkSnapshotStoreStatus, Orphans};
use crate::reconcile::Next;
use crate::time;

/// A store that works is probed this often.
const FINE: Duration = Duration::from_secs(300);
/// One that needs help: a Secret that is mended is not watched.
const NEEDS_HELP: Duration = Duration::from_secs(30);
/// One that may come back by itself.
const TRANSIENT: Duration = Duration::from_secs(15);

/// How often it is looked for what nobody keeps in order.
const ORPHANS: TimeDelta = TimeDelta::hours(1);

/// What a decision is made from.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The time of this pass.
    pub now: DateTime<Utc>,
    /// The resource, read live.
    pub store: FlinkSnapshotStore,
    /// What became of the probe.
    pub probe: Probe,
    /// What nobody keeps in order, if that was looked for.
    pub orphans: Option<Orphans>,
}

/// What became of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// Everything that is asked of the store works.
    Fine,
    /// The store can't be used as it is written down.
    Refused(OpenError),
    /// It did not do what was asked.
    Failed {
        /// A stable word.
        reason: &'static str,
        /// What it did instead, and the cure.
        message: String,
        /// It may be well again without help.
        transient: bool,
    },
}

/// The status, and when to probe again.
#[must_use]
pub fn plan(o: &Observed) -> (FlinkSnapshotStoreStatus, Next) {
    let mut status = o.store.status.clone().unwrap_or_default();
    let generation = o.store.metadata.generation;
    let before = outcome(&status);
    status.observed_generation = generation;
    let mut conditions = Conditions::new(&mut status.conditions, generation, o.now);
    let next = match &o.probe {
        Probe::Fine => {
            let message = if o.store.spec.read_only() {
                "it can be listed"
            } else {
                "it can be written, read, listed and deleted"
            };
            conditions.set(types::AVAILABLE, true, Reason::ProbeSucceeded, message);
            conditions.ready(Reason::ProbeSucceeded, message);
            FINE
        }
        Probe::Refused(why) => {
            let (reason, message) = (Reason::of_error(why.reason()), why.to_string());
            conditions.set(types::AVAILABLE, false, reason, &*message).stalled(reason, message);
            NEEDS_HELP
        }
        Probe::Failed { reason: word, message, transient } => {
            let reason = Reason::of_error(word);
            conditions.set(types::AVAILABLE, false, reason, message);
            if *transient {
                conditions.reconciling(reason, message);
                TRANSIENT
            } else {
                conditions.stalled(reason, message);
                NEEDS_HELP
            }
        }
    };
    status.orphans = o.orphans.clone().or(status.orphans);
    if outcome(&status) != before {
        status.last_probe_time = Some(time::to_k8s(o.now));
    }
    (status, Next::After(next))
}

/// Whether it is time to look for what nobody keeps in order.
#[must_use]
pub fn orphans_are_due(store: &FlinkSnapshotStore, now: DateTime<Utc>) -> bool {
    let told = store.status.as_ref().and_then(|s| s.orphans.as_ref()?.time.as_ref());
    told.is_none_or(|told| now - time::from_k8s(told) >= ORPHANS)
}

fn outcome(status: &FlinkSnapshotStoreStatus) -> Option<(String, String)> {
    condition::find(&status.conditions, types::AVAILABLE).map(|c| (c.status.clone(), c.reason.clone()))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
