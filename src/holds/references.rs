//! Which snapshots a job needs, by what its resource says. Pure.

use kube::ResourceExt;

use crate::api::{
    FlinkJobUpgrade, FlinkSavepoint, HistoryEntry, JobPhase, OperationKind, RestoreFrom, RestoreMode, Submission,
    UpgradeProgress, UpgradeResult,
};
use crate::flink::location;
use crate::naming;

/// Why a job needs a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It was restored from it and has completed no checkpoint of its own since.
    Restored,
    /// It is being restored from it with CLAIM: Flink has not said so yet.
    Claimed,
    /// It was restored from it with LEGACY.
    Legacy,
    /// It is one of its own checkpoints.
    Checkpoint,
    /// An upgrade is under way that starts from it, or goes back to it.
    Upgrade,
    /// What it does waits for this resource.
    Operation,
    /// It goes on from there once it is resumed.
    Suspended,
    /// It would be started again from there.
    Failed,
    /// The spec names it, and that was not acted upon yet.
    RestoreFrom,
}

impl Need {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Restored => "its job was restored from it and has completed no checkpoint of its own since",
            Self::Claimed => "its job is being restored from it with CLAIM, which makes it Flink's",
            Self::Checkpoint => "it is a checkpoint of its job, which may go on from it or delete it",
            Self::Legacy => "its job was restored from it with LEGACY: checkpoints of the job may use its files",
            Self::Upgrade => "an upgrade is under way that starts from it or may go back to it",
            Self::Operation => "an operation of its job waits for it",
            Self::Suspended => "it is what the suspended job goes on from",
            Self::Failed => "it is what the failed job would be started from",
            Self::RestoreFrom => "job.restoreFrom names it and was not acted upon yet",
        }
    }
}

/// A snapshot, and the resource that stands for it, if one does.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    location: &'a str,
    savepoint: Option<&'a FlinkSavepoint>,
}

impl Wanted<'_> {
    fn at(self, place: Option<&String>) -> bool {
        // A person may have named its `_metadata`.
        place.is_some_and(|place| location::same(place.strip_suffix("/_metadata").unwrap_or(place), self.location))
    }

    fn named(self, name: Option<&String>) -> bool {
        name.is_some() && self.savepoint.is_some_and(|savepoint| name == savepoint.metadata.name.as_ref())
    }
}

/// Why a job needs the snapshot of a FlinkSavepoint; nothing if it does not. A resource in another namespace is known by
/// its place only.
#[must_use]
pub fn to(job: &FlinkJobUpgrade, savepoint: &FlinkSavepoint) -> Vec<Need> {
    let Some(location) = savepoint.status.as_ref().and_then(|s| s.location.as_deref()) else { return Vec::new() };
    let neighbours = job.namespace() == savepoint.namespace();
    let wanted = Wanted { location, savepoint: Some(savepoint).filter(|_| neighbours) };
    let status = job.status.as_ref();
    let active = status.and_then(|s| s.active.as_ref());
    let upgrade = status.and_then(|s| s.upgrade.as_ref());
    let submissions: Vec<_> =
        active.map(|a| &a.submission).into_iter().chain(upgrade.and_then(|u| u.submission.as_ref())).collect();
    // One that only takes a savepoint is over with it.
    let operation = status.and_then(|s| s.operation.as_ref()).filter(|o| o.kind != OperationKind::Savepoint);
    let operation = operation.and_then(|operation| operation.savepoint.as_ref());
    let suspension = status.and_then(|s| s.suspension.as_ref());
    let failed = status.is_some_and(|s| s.phase == Some(JobPhase::Failed));
    let needs = [
        (Need::Restored, active.is_some_and(|a| still_needs(&a.submission, wanted))),
        (Need::Claimed, submissions.iter().any(|s| is_claiming(s, wanted))),
        (Need::Legacy, active.is_some_and(|a| shares(&a.submission, wanted))),
        (Need::Checkpoint, submissions.iter().any(|s| is_its_checkpoint(s, wanted))),
        (Need::Upgrade, upgrade.is_some_and(|u| of_upgrade(u, wanted))),
        (Need::Operation, operation.is_some_and(|child| wanted.named(Some(&child.name)))),
        (Need::Suspended, suspension.is_some_and(|s| wanted.at(s.snapshot.as_ref()))),
        (
            Need::Failed,
            failed && active.is_some_and(|a| wanted.at(a.last_checkpoint.as_ref().and_then(|c| c.path.as_ref()))),
        ),
        (Need::RestoreFrom, pending_restore(job).is_some_and(|wish| of_restore(job, wish, wanted))),
    ];
    needs.into_iter().filter_map(|(need, holds)| holds.then_some(need)).collect()
}

/// The places that a job depends on, or may: what it was restored from and still needs, what an upgrade or a later start
/// goes on from, and what its spec names.
pub fn places(job: &FlinkJobUpgrade) -> impl Iterator<Item = &str> {
    let status = job.status.as_ref();
    let active = status.and_then(|s| s.active.as_ref());
    let restored = active.map(|a| &a.submission).filter(|submission| !is_independent(submission));
    let upgrade = status.and_then(|s| s.upgrade.as_ref());
    let submitted = upgrade.and_then(|u| u.submission.as_ref()?.restored_from.as_ref());
    let wish = pending_restore(job).and_then(|wish| wish.path.as_ref());
    [
        restored.and_then(|s| s.restored_from.as_ref()),
        active.and_then(|a| a.last_checkpoint.as_ref()?.path.as_ref()),
        upgrade.and_then(|u| u.snapshot.as_ref()),
        upgrade.and_then(|u| u.savepoint_location.as_ref()),
        submitted,
        status.and_then(|s| s.suspension.as_ref()?.snapshot.as_ref()),
        wish,
    ]
    .into_iter()
    .flatten()
    .chain(status.into_iter().flat_map(|s| &s.taken_over))
    .chain(status.into_iter().flat_map(|s| &s.history).filter_map(way_back))
    .map(String::as_str)
}

/// What an upgrade that succeeded has started from, as long as the history tells of it.
fn way_back(entry: &HistoryEntry) -> Option<&String> {
    entry.restored_from.as_ref().filter(|_| entry.result == UpgradeResult::Succeeded)
}

/// A `job.restoreFrom` that was not acted on yet.
#[must_use]
pub fn pending_restore(upgrade: &FlinkJobUpgrade) -> Option<&RestoreFrom> {
    let done = upgrade.status.as_ref().and_then(|s| s.restore_from_id.as_deref());
    upgrade.spec.job.restore_from.as_ref().filter(|wish| done != Some(wish.id.as_str()))
}

/// It has state of its own, and that names no files of a snapshot that was there before.
#[must_use]
pub fn is_independent(submission: &Submission) -> bool {
    match submission.restore_mode {
        None | Some(RestoreMode::NoClaim) => submission.checkpointed || submission.restored_from.is_none(),
        Some(RestoreMode::Claim | RestoreMode::Legacy | RestoreMode::Unknown) => false,
    }
}

/// Its own checkpoints may name the files, for as long as it runs. What those of its successors name is read from them,
/// when the files are to go.
fn shares(submission: &Submission, wanted: Wanted<'_>) -> bool {
    submission.restore_mode == Some(RestoreMode::Legacy) && wanted.at(submission.restored_from.as_ref())
}

/// With NO_CLAIM the first checkpoint takes nothing over: until it is complete all of the state is in the snapshot.
fn still_needs(submission: &Submission, wanted: Wanted<'_>) -> bool {
    !submission.checkpointed && wanted.at(submission.restored_from.as_ref())
}

/// Once Flink has said so, the snapshot is Flink's.
fn is_claiming(submission: &Submission, wanted: Wanted<'_>) -> bool {
    submission.restore_mode == Some(RestoreMode::Claim)
        && !submission.restore_confirmed
        && wanted.at(submission.restored_from.as_ref())
}

/// Flink deletes it itself once it is subsumed; until then the job may go on from there, also after it has failed.
fn is_its_checkpoint(submission: &Submission, wanted: Wanted<'_>) -> bool {
    let directory = submission.checkpoint_directory.as_deref();
    directory.is_some_and(|directory| location::is_below(wanted.location, directory))
}

fn of_upgrade(upgrade: &UpgradeProgress, wanted: Wanted<'_>) -> bool {
    let submitted = upgrade.submission.as_ref().and_then(|s| s.restored_from.as_ref());
    let places = [upgrade.snapshot.as_ref(), upgrade.savepoint_location.as_ref(), submitted];
    let names = [upgrade.savepoint.as_ref(), upgrade.final_savepoint.as_ref()];
    places.into_iter().any(|place| wanted.at(place)) || names.into_iter().any(|name| wanted.named(name))
}

fn of_restore(job: &FlinkJobUpgrade, wish: &RestoreFrom, wanted: Wanted<'_>) -> bool {
    let named = wish.savepoint_ref.as_ref().map(|named| &named.name);
    let taken_for_it = |savepoint: &FlinkSavepoint| {
        let uid = job.uid().unwrap_or_default();
        naming::is_child_of(&savepoint.metadata, &uid, &naming::fork_id(&uid, &wish.id))
    };
    wanted.at(wish.path.as_ref())
        || wanted.named(named)
        || wish.from_job.is_some() && wanted.savepoint.is_some_and(taken_for_it)
}

#[cfg(test)]
#[path = "references_tests.rs"]
mod tests;
