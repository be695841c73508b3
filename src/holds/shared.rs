//! Who uses files of a snapshot that a job was restored from with LEGACY: its checkpoints may name them, and so may those
//! of jobs that went on from there, for ever after.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::ResourceExt;

use super::references;
use crate::api::{FlinkJobUpgrade, FlinkSavepoint};
use crate::context::Context;
use crate::flink::location;
use crate::reconcile::Error;
use crate::snapshot::store::{self, LoadError, Stores};
use crate::store::open;

/// A `_metadata` names files of the snapshot.
const USED: &str = "its _metadata names files of it";

/// What holds a snapshot: kind, name, reason.
pub type Found = (&'static str, String, String);

/// Whether anybody uses a snapshot's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum User {
    /// No known `_metadata` names one.
    Nobody,
    /// One does.
    One(Found),
    /// None that could be read does, and one could not be read: why.
    Unknown(String),
}

/// Looks for a user of a snapshot's files among what the resources of its namespace tell of; the first one will do.
///
/// # Errors
/// If Kubernetes can't be asked.
pub async fn user(
    ctx: &Context,
    savepoint: &FlinkSavepoint,
    jobs: &[Arc<FlinkJobUpgrade>],
    savepoints: &[Arc<FlinkSavepoint>],
) -> Result<User, Error> {
    let Some(directory) = savepoint.status.as_ref().and_then(|s| s.location.as_deref()) else {
        return Ok(User::Nobody);
    };
    let namespace = savepoint.namespace().unwrap_or_default();
    let opened = open::of_namespace(ctx, &namespace, None).await?;
    let mut unknown = None;
    for (place, who) in known(savepoint, jobs, savepoints) {
        match uses(opened.stores(), &place, directory, who.goes_on).await {
            Ok(false) => {}
            Ok(true) => return Ok(User::One((who.kind, who.name, USED.to_owned()))),
            Err(why) => unknown = unknown.or(Some(why)),
        }
    }
    Ok(unknown.map_or(User::Nobody, User::Unknown))
}

/// Who tells of a snapshot.
struct Who {
    kind: &'static str,
    name: String,
    /// It is the last checkpoint of a job: where it is gone there is a newer one.
    goes_on: bool,
}

/// The other snapshots that a namespace's resources tell of, each with one that does.
fn known(
    savepoint: &FlinkSavepoint,
    jobs: &[Arc<FlinkJobUpgrade>],
    savepoints: &[Arc<FlinkSavepoint>],
) -> BTreeMap<String, Who> {
    let own = savepoint.status.as_ref().and_then(|s| s.location.as_deref()).unwrap_or_default();
    let namespace = savepoint.namespace();
    let of_jobs = jobs.iter().filter(|job| job.namespace() == namespace).flat_map(|job| {
        let active = job.status.as_ref().and_then(|s| s.active.as_ref());
        let last = active.and_then(|active| active.last_checkpoint.as_ref()?.path.as_deref());
        references::places(job).map(move |place| {
            let goes_on = last == Some(place);
            (place.to_owned(), Who { kind: "FlinkJobUpgrade", name: job.name_any(), goes_on })
        })
    });
    let of_savepoints = savepoints.iter().filter_map(|other| {
        let place = other.status.as_ref()?.location.clone()?;
        Some((place, Who { kind: "FlinkSavepoint", name: other.name_any(), goes_on: false }))
    });
    let all = of_jobs.chain(of_savepoints).map(|(place, who)| (location::normalise(&place), who));
    all.filter(|(place, _)| !location::same(place, own)).collect()
}

/// Whether the snapshot at `place` names files in `directory`; of a job that goes on, where that one is gone, the newest of
/// its checkpoints: what an earlier one did not name no later one names.
async fn uses(stores: &Stores, place: &str, directory: &str, goes_on: bool) -> Result<bool, String> {
    let why = |error: &dyn std::fmt::Display| format!("whether {place} names files of it can't be told: {error}");
    match names_files(stores, place, directory).await {
        Err(LoadError::NotFound { .. } | LoadError::NoMetadata { .. }) if !goes_on => Ok(false),
        Err(LoadError::NotFound { .. } | LoadError::NoMetadata { .. }) => {
            let Some((of_job, _)) = place.rsplit_once('/') else { return Ok(false) };
            let Some(store) = stores.of(of_job) else { return Ok(false) };
            match store.newest_checkpoint(of_job).await {
                Ok(Some((_, newest))) => names_files(stores, &newest, directory).await.map_err(|error| why(&error)),
                // It has finished, and Flink has removed them.
                Ok(None) => Ok(false),
                Err(error) => Err(why(&error)),
            }
        }
        answer => answer.map_err(|error| why(&error)),
    }
}

async fn names_files(stores: &Stores, place: &str, directory: &str) -> Result<bool, LoadError> {
    let snapshot = store::load(stores, place, &store::quietly).await?;
    Ok(snapshot.facts.files.iter().any(|file| !file.relative && location::is_below(&file.path, directory)))
}

#[cfg(test)]
#[path = "shared_tests.rs"]
mod tests;
