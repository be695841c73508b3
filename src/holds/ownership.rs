//! Who owns a snapshot's files: what FlinkJobUpgrades record of the restores from it.

use crate::api::{FlinkJobUpgrade, FlinkSavepoint, Ownership, RestoreMode, SnapshotKind, Submission};
use crate::flink::location;

/// A restore that is recorded.
struct Restore<'a> {
    from: &'a str,
    mode: RestoreMode,
    /// Flink has reported it.
    confirmed: bool,
}

fn of_submission(submission: &Submission) -> Option<Restore<'_>> {
    let (from, mode) = submission.restored_from.as_deref().zip(submission.restore_mode)?;
    Some(Restore { from, mode, confirmed: submission.restore_confirmed })
}

/// The restores that a job's status tells of.
fn restores(job: &FlinkJobUpgrade) -> impl Iterator<Item = Restore<'_>> {
    let status = job.status.as_ref();
    let active = status.and_then(|s| s.active.as_ref()).map(|active| &active.submission);
    let under_way = status.and_then(|s| s.upgrade.as_ref()?.submission.as_ref());
    let of_history = status.into_iter().flat_map(|s| &s.history).filter_map(|entry| {
        let (from, mode) = entry.restored_from.as_deref().zip(entry.restore_mode)?;
        Some(Restore { from, mode, confirmed: true })
    });
    active.into_iter().chain(under_way).filter_map(of_submission).chain(of_history)
}

/// Who owns the files of a snapshot that is complete, by the restores that jobs of its namespace tell of. What is Flink's
/// or unclear stays so, when these jobs are gone, too.
#[must_use]
pub fn of<'a>(savepoint: &FlinkSavepoint, jobs: impl IntoIterator<Item = &'a FlinkJobUpgrade>) -> Option<Ownership> {
    let status = savepoint.status.as_ref()?;
    let Some(location) = &status.location else { return status.ownership };
    let confirmed = jobs.into_iter().flat_map(restores).filter(|restore| restore.confirmed);
    let modes = confirmed.filter(|restore| location::same(restore.from, location)).map(|restore| restore.mode);
    modes.fold(status.ownership, |before, mode| match (before, mode) {
        (Some(Ownership::Flink), _) | (_, RestoreMode::Claim) => Some(Ownership::Flink),
        (Some(Ownership::Unclear), _) | (_, RestoreMode::Legacy) => Some(Ownership::Unclear),
        (_, RestoreMode::NoClaim) => Some(Ownership::User),
        (before, RestoreMode::Unknown) => before,
    })
}

/// Whether a job tells of a restore from a place in this mode.
#[must_use]
pub fn has_restored(job: &FlinkJobUpgrade, location: &str, mode: RestoreMode) -> bool {
    restores(job).any(|restore| restore.mode == mode && location::same(restore.from, location))
}

/// Who owns the files of a snapshot that nobody is known to have been restored from: a savepoint is the user's, and a
/// retained checkpoint may be a job's that lives.
#[must_use]
pub fn at_first(taken: bool, kind: Option<SnapshotKind>) -> Option<Ownership> {
    (taken || kind == Some(SnapshotKind::Savepoint)).then_some(Ownership::User)
}

/// Whether a snapshot's files are Flink's to delete.
#[must_use]
pub fn is_flinks(savepoint: &FlinkSavepoint) -> bool {
    savepoint.status.as_ref().and_then(|s| s.ownership) == Some(Ownership::Flink)
}

#[cfg(test)]
#[path = "ownership_tests.rs"]
mod tests;
