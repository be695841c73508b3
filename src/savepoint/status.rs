//! What a FlinkSavepoint's status says.

use super::observed::Observed;
use crate::api::condition::{Conditions, Reason, types};
use crate::api::{FlinkSavepoint, FlinkSavepointStatus, FormatType, Ownership, SavepointPhase, SnapshotKind};

/// Whether a newer version wrote something that this one can't read.
#[must_use]
pub fn has_unknown_values(savepoint: &FlinkSavepoint) -> bool {
    savepoint.status.as_ref().is_some_and(|status| {
        status.phase == Some(SavepointPhase::Unknown)
            || status.kind == Some(SnapshotKind::Unknown)
            || status.format_type == Some(FormatType::Unknown)
            || status.ownership == Some(Ownership::Unknown)
    })
}

fn conditions<'a>(o: &Observed, draft: &'a mut FlinkSavepointStatus, message: &str) -> Conditions<'a> {
    draft.observed_generation = o.savepoint.metadata.generation;
    draft.message = Some(message.to_owned());
    Conditions::new(&mut draft.conditions, o.savepoint.metadata.generation, o.now)
}

/// Nothing goes on without help.
pub fn stalled(o: &Observed, draft: &mut FlinkSavepointStatus, reason: Reason, message: &str) {
    conditions(o, draft, message).stalled(reason, message);
}

/// It waits, or is on its way.
pub fn under_way(o: &Observed, draft: &mut FlinkSavepointStatus, reason: Reason, message: &str) {
    conditions(o, draft, message).reconciling(reason, message);
}

/// The snapshot is there, and may be used.
pub fn completed(o: &Observed, draft: &mut FlinkSavepointStatus) {
    let mut message = draft.location.clone().unwrap_or_default();
    if draft.uncommitted == Some(true) {
        message.push_str(
            "; the job failed while it was being stopped: what its sinks had not committed yet is committed when a job \
             is started from this savepoint",
        );
    }
    conditions(o, draft, &message).ready(Reason::Completed, message);
}

/// What became of looking at the files. `None`: that can't be told.
pub fn verified(o: &Observed, draft: &mut FlinkSavepointStatus, whole: Option<bool>, reason: Reason, message: &str) {
    let mut conditions = Conditions::new(&mut draft.conditions, o.savepoint.metadata.generation, o.now);
    match whole {
        Some(whole) => conditions.set(types::VERIFIED, whole, reason, message),
        None => conditions.set_unknown(types::VERIFIED, reason, message),
    };
}
