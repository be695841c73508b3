//! Checkpoints that submissions which have ended leave: Flink removes those of a job that finished, and keeps all others.
//! They go once the job that runs needs none of them. Pure, but for the reading.
//!
//! As with a FlinkSavepoint that is disposed of, what is about to go is written into the status first, then everybody's
//! statuses are read, and only then it goes; who starts from such a place reads this status before (decision 0024).

use std::collections::BTreeSet;
use std::time::Duration;

use kube::ResourceExt;

use super::observed::Observed;
use super::plan::{Decision, Effect, SLOW};
use super::scope;
use crate::api::{CheckpointSweep, FlinkJobUpgrade, FlinkJobUpgradeStatus, FlinkSavepoint};
use crate::context::Context;
use crate::flink::location;
use crate::holds::{Everybody, references};
use crate::naming;
use crate::reconcile::{Error, Next};
use crate::store::check::{self, By, Serving};
use crate::time;

/// So many directories go at once.
const AT_ONCE: usize = 20;

/// For so long it is tried.
const PATIENCE: Duration = Duration::from_secs(300);

/// What is left of submissions that have ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// It was not looked for.
    NotAsked,
    /// These directories of checkpoints that nobody needs.
    Directories(Vec<String>),
    /// Nobody can look, now.
    Unknown,
}

/// Whether what has ended is to be looked for: the job that runs depends on none of it.
#[must_use]
pub fn matters(upgrade: &FlinkJobUpgrade) -> bool {
    let Some(status) = &upgrade.status else { return false };
    let Some(active) = status.active.as_ref().filter(|_| scope::children_matter(upgrade)) else { return false };
    references::is_independent(&active.submission)
        && (status.sweep.is_some() || status.swept_submission < status.last_submission)
}

/// Looks for it.
///
/// # Errors
/// If Kubernetes can't be asked. A store that can't be asked is an observation.
pub async fn look(ctx: &Context, by: By<'_>, o: &Observed) -> Result<Left, Error> {
    if !matters(&o.upgrade) {
        return Ok(Left::NotAsked);
    }
    let mut found = Vec::new();
    for base in bases(o) {
        let store = match check::store_of(ctx, by, &base).await? {
            Serving::By(store) if store.may_remove() => store,
            Serving::By(_) | Serving::Nobody(_) | Serving::Refused(_) => continue,
        };
        let Ok(names) = store.directories(&base).await else { return Ok(Left::Unknown) };
        found.extend(ended(&o.upgrade, names).map(|name| format!("{base}/{name}")));
    }
    if found.is_empty() {
        return Ok(Left::Directories(found));
    }
    // Live: one of the next calls can't be undone.
    let everybody = Everybody::read(ctx).await?;
    found.retain(|directory| !is_needed(directory, &everybody));
    found.truncate(AT_ONCE);
    Ok(Left::Directories(found))
}

/// Where the submissions of all recorded revisions have their checkpoints.
fn bases(o: &Observed) -> BTreeSet<String> {
    let of_record = |n: &i64| o.record(*n)?.rendered.checkpoint_directory.clone();
    o.revisions.keys().filter_map(of_record).map(|base| location::normalise(&base)).collect()
}

/// Which of these directories are of this job's own submissions, and not of the one that runs.
fn ended(upgrade: &FlinkJobUpgrade, names: Vec<String>) -> impl Iterator<Item = String> {
    let status = upgrade.status.clone().unwrap_or_default();
    let (uid, submissions) = (upgrade.uid().unwrap_or_default(), status.last_submission.unwrap_or_default());
    let own: BTreeSet<String> = (1..=status.last_revision())
        .flat_map(|revision| (1..=submissions).map(move |submission| (revision, submission)))
        .map(|(revision, submission)| naming::job_id(&uid, revision, submission))
        .collect();
    let active = status.active.map(|active| active.submission.job_id);
    names.into_iter().filter(move |name| own.contains(name) && active.as_ref() != Some(name))
}

/// Whether anybody's status or spec names a place in there.
fn is_needed(directory: &str, everybody: &Everybody) -> bool {
    let below = |place: &str| location::is_below(place, directory) || location::same(place, directory);
    let records = |s: &FlinkSavepoint| {
        let copied = s.spec.copy_of.as_ref().and_then(|source| source.path.as_deref());
        let place = s.status.as_ref().and_then(|s| s.location.as_deref());
        [copied, place, s.spec.path.as_deref()].into_iter().flatten().any(below)
    };
    everybody.jobs.iter().any(|job| references::places(job).any(below))
        || everybody.savepoints.iter().any(|savepoint| records(savepoint))
}

/// What follows at rest; `None`: nothing.
pub fn decide(o: &Observed, draft: &mut FlinkJobUpgradeStatus) -> Option<Decision> {
    match (&o.ended, &draft.sweep) {
        (Left::NotAsked | Left::Unknown, _) => None,
        (Left::Directories(found), None) if found.is_empty() => {
            draft.swept_submission = draft.last_submission;
            None
        }
        (Left::Directories(found), None) => {
            draft.sweep = Some(CheckpointSweep { directories: found.clone(), since: Some(time::to_k8s(o.now)) });
            Some((None, Next::Again))
        }
        (Left::Directories(found), Some(sweep)) => {
            // Only what was written down, and what still nobody needs.
            let go: Vec<_> = sweep.directories.iter().filter(|d| found.contains(d)).cloned().collect();
            if sweep.since.as_ref().is_some_and(|since| o.since(time::from_k8s(since)) > PATIENCE) {
                // A store that refuses, or what is listed and can't be removed: the next upgrade looks again.
                draft.sweep = None;
                draft.swept_submission = draft.last_submission;
                return None;
            }
            if go.is_empty() {
                draft.sweep = None;
                return Some((None, Next::Again));
            }
            Some((Some(Effect::RemoveCheckpoints(go)), Next::After(SLOW)))
        }
    }
}

/// Removes such directories. What can't be removed stays, and is looked for again.
///
/// # Errors
/// If Kubernetes can't be asked for the stores.
pub async fn remove(ctx: &Context, o: &Observed, directories: &[String]) -> Result<(), Error> {
    let namespace = o.upgrade.namespace().unwrap_or_default();
    let by = By { namespace: &namespace, named: None };
    for directory in directories {
        let Serving::By(store) = check::store_of(ctx, by, directory).await? else { continue };
        tracing::info!(directory, "removing checkpoints of a submission that has ended");
        if let Err(error) = store.remove_tree(directory).await {
            tracing::warn!(directory, %error, "checkpoints of a submission that has ended can't be removed");
        }
    }
    Ok(())
}

/// The FlinkJobUpgrade that is about to remove checkpoints among which a place is.
#[must_use]
pub fn sweeper<'a>(place: &str, jobs: impl IntoIterator<Item = &'a FlinkJobUpgrade>) -> Option<String> {
    let sweeps = |job: &&FlinkJobUpgrade| {
        let sweep = job.status.as_ref().and_then(|s| s.sweep.as_ref());
        sweep.is_some_and(|sweep| sweep.directories.iter().any(|directory| location::is_below(place, directory)))
    };
    jobs.into_iter().find(sweeps).map(ResourceExt::name_any)
}

#[cfg(test)]
#[path = "ended_tests.rs"]
mod tests;
