//! Who else depends on a snapshot that a job is about to start from, or is about to delete it.
//!
//! A job's status says what it starts from, and in which mode, before this is looked at. So of two jobs one always sees the
//! other, and of one that starts and one that deletes, too; of two that see each other none starts (decision 0024).

use super::ended;
use super::observed::Observed;
use crate::api::{Hold, RestoreMode, StateSource};
use crate::context::Context;
use crate::holds::{self, Everybody, Need};
use crate::reconcile::Error;

/// Why a job can't be started from a snapshot now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contest {
    /// It is being deleted: whose it is.
    Disposing(String),
    /// Another one has it, or needs it: why, and what helps.
    Lost(String),
}

/// That a snapshot is Flink's, and what helps.
#[must_use]
pub fn owned(place: &str, owner: &str) -> String {
    format!(
        "{place} is Flink's own, which may delete it at any time: {owner}; name another snapshot, or a copy of this one, \
         which a FlinkSavepoint with copyOf makes"
    )
}

/// That others need a snapshot which a job is to claim, and what helps.
#[must_use]
pub fn needed(place: &str, holds: &[Hold]) -> String {
    format!(
        "job.restoreMode: CLAIM would give {place} to Flink, which may delete it at any time, but others need it: {}; set \
         NO_CLAIM, or name a copy of it, which a FlinkSavepoint with copyOf makes",
        holds::listed(holds)
    )
}

/// What is in the way of a job that is about to be submitted from a snapshot. That it is about to is in its status by
/// now: who begins to delete or to claim from here on sees that.
///
/// # Errors
/// If Kubernetes can't be asked.
pub async fn contested(ctx: &Context, o: &Observed, place: &str) -> Result<Option<Contest>, Error> {
    let Some(upgrade) = o.upgrade.status.as_ref().and_then(|s| s.upgrade.as_ref()) else { return Ok(None) };
    let claims = upgrade.submission.as_ref().and_then(|s| s.restore_mode) == Some(RestoreMode::Claim);
    let source = upgrade.source;
    // The upgrade's own was needed from before it was taken.
    if source == Some(StateSource::Savepoint) && !claims {
        return Ok(None);
    }
    let everybody = Everybody::read(ctx).await?;
    let names_a_place = source == Some(StateSource::RestoreFrom);
    if source != Some(StateSource::Savepoint)
        && let Some(record) = everybody.disposing(place)
    {
        return Ok(Some(Contest::Disposing(format!("FlinkSavepoint {record}"))));
    }
    if names_a_place && let Some(job) = ended::sweeper(place, everybody.jobs.iter().map(AsRef::as_ref)) {
        return Ok(Some(Contest::Disposing(format!("a checkpoint of FlinkJobUpgrade {job}"))));
    }
    if let Some(owner) = everybody.claimant(&o.upgrade, place) {
        return Ok(Some(Contest::Lost(owned(place, &owner))));
    }
    if !claims {
        return Ok(None);
    }
    let mut holds = everybody.holds_of_others(ctx, &o.upgrade, place).await?;
    // Who has only asked for it sees the claim. Its own savepoint is to be claimed from before it was taken: only a job that
    // has begun to start from it counts.
    holds.retain(|hold| hold.reason != Need::RestoreFrom.words() && (names_a_place || hold.kind == "FlinkJobUpgrade"));
    Ok((!holds.is_empty()).then(|| Contest::Lost(needed(place, &holds))))
}
