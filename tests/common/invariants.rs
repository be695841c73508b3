//! What holds after every write, whatever happens.

use std::sync::{Arc, Mutex};

use fakes::kube::Change;
use flink_savepoint_operator::api::{FlinkSavepointStatus, Ownership, SavepointPhase};
use serde_json::Value;

/// Looks on at every write; what is wrong is kept, as it happens in the middle of a call.
#[derive(Clone, Default)]
pub struct Invariants(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    broken: Vec<String>,
    writes: Vec<String>,
}

impl Invariants {
    pub fn after_write(&self, change: &Change<'_>) {
        if !change.client.starts_with(super::OPERATOR) {
            return;
        }
        let mut seen = self.0.lock().unwrap();
        let at =
            |path: &str| change.new.and_then(|new| new.pointer(path)).map_or_else(|| "-".to_owned(), Value::to_string);
        let (phase, message, finalizers) = (at("/status/phase"), at("/status/message"), at("/metadata/finalizers"));
        seen.writes.push(format!("{} {}: {phase} {message} {finalizers}", change.key.resource, change.key.name));
        if change.key.resource != "flinksavepoints.savepoints.dev" {
            return;
        }
        let status = |object: Option<&Value>| -> FlinkSavepointStatus {
            object
                .and_then(|o| o.get("status"))
                .map_or_else(FlinkSavepointStatus::default, |status| serde_json::from_value(status.clone()).unwrap())
        };
        if change.new.is_none() {
            return;
        }
        let (old, new) = (status(change.old), status(change.new));
        for broken in broken_rules(&old, &new) {
            seen.broken.push(format!("{}: {broken}\n{old:#?}\n{new:#?}", change.key.name));
        }
    }

    pub fn broken(&self) -> Vec<String> {
        self.0.lock().unwrap().broken.clone()
    }

    pub fn writes(&self) -> Vec<String> {
        self.0.lock().unwrap().writes.clone()
    }
}

/// From which phase to which a FlinkSavepoint may go.
fn is_drawn(from: SavepointPhase, to: SavepointPhase) -> bool {
    use SavepointPhase::{Completed, Disposing, Failed, InProgress, Pending, Superseded, Triggering, Verifying};
    from == to
        || matches!(
            (from, to),
            (Pending, Triggering | Failed)
                | (Triggering, InProgress | Verifying | Completed | Failed | Pending)
                | (InProgress, Verifying | Completed | Failed | Pending)
                | (Verifying, Completed | Failed)
                | (Completed, Superseded | Disposing)
                | (Superseded, Disposing)
                // Somebody came who needs it.
                | (Disposing, Completed | Superseded)
        )
}

/// What never changes again once it is over: all but who owns the snapshot, who needs it, and how its files go.
fn record(status: &FlinkSavepointStatus) -> FlinkSavepointStatus {
    let now = FlinkSavepointStatus { ownership: None, ..status.clone() };
    if status.phase == Some(SavepointPhase::Failed) {
        return now;
    }
    let (observed_generation, conditions, holds) = (None, Vec::new(), Vec::new());
    FlinkSavepointStatus { phase: None, message: None, disposal: None, observed_generation, conditions, holds, ..now }
}

fn broken_rules(old: &FlinkSavepointStatus, new: &FlinkSavepointStatus) -> Vec<String> {
    let mut broken = Vec::new();
    let (from, to) = (old.phase.unwrap_or(SavepointPhase::Pending), new.phase.unwrap_or(SavepointPhase::Pending));
    // Nothing is asked of Flink for a copy.
    let copies = new.copy.is_some() && (from, to) == (SavepointPhase::Pending, SavepointPhase::InProgress);
    if !is_drawn(from, to) && !copies {
        broken.push(format!("no edge leads from {from} to {to}"));
    }
    if from.is_terminal() && record(old) != record(new) {
        broken.push("a record that is complete was changed".to_owned());
    }
    if old.ownership == Some(Ownership::Flink) && new.ownership != old.ownership {
        broken.push("what is Flink's own is not any more".to_owned());
    }
    if new.attempts.len() > old.attempts.len() + 1 {
        broken.push("more than one attempt was begun at once".to_owned());
    }
    if new.attempts.len() > old.attempts.len() && old.attempts.last().is_some_and(|a| a.result.is_none()) {
        broken.push("an attempt was begun while one was open".to_owned());
    }
    for (before, after) in old.attempts.iter().zip(&new.attempts) {
        if before.result.is_some() && before != after {
            broken.push(format!("attempt {} was over, and was changed", before.number));
        }
        let identity = |a: &flink_savepoint_operator::api::SavepointAttempt| {
            (a.number, a.job_id.clone(), a.trigger_id.clone(), a.directory.clone(), a.job_manager_instance.clone())
        };
        if identity(before) != identity(after) {
            broken.push(format!("what attempt {} asked for was changed", before.number));
        }
    }
    let last = new.attempts.last();
    if to == SavepointPhase::Completed && last.is_some_and(|a| a.result.as_deref() != Some("Completed")) {
        broken.push("it is complete, and its last attempt is not".to_owned());
    }
    if to == SavepointPhase::Failed && last.is_some_and(|a| a.result.is_none()) {
        broken.push("it has failed while an attempt is open".to_owned());
    }
    if to == SavepointPhase::Completed && new.location.is_none() {
        broken.push("it is complete, and lies nowhere".to_owned());
    }
    broken
}
