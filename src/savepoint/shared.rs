//! Who uses files of a snapshot that a job was restored from with LEGACY: its checkpoints may name them, and so may those
//! of jobs that went on from there, for ever after.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::ResourceExt;

use crate::api::{FlinkJobUpgrade, FlinkSavepoint};
use crate::flink::location;
use crate::reconcile::Error;
use crate::runtime::Context;
use crate::snapshot::store::{self, LoadError, Stores};
use crate::store::open;
use crate::upgrade::references;

/// A `_metadata` names files of the snapshot.
const USED: &str = "its _metadata names files of it";

/// What holds a snapshot: kind, name, reason.
pub type Found = (&'static str, String, String);

/// Those of a snapshot's namespace whose `_metadata` names files in its directory. One that can't be read counts.
///
/// # Errors
/// If Kubernetes can't be asked.
pub async fn users(
    ctx: &Context,
    savepoint: &FlinkSavepoint,
    jobs: &[Arc<FlinkJobUpgrade>],
    savepoints: &[Arc<FlinkSavepoint>],
) -> Result<Vec<Found>, Error> {
    let Some(directory) = savepoint.status.as_ref().and_then(|s| s.location.as_deref()) else { return Ok(Vec::new()) };
    let namespace = savepoint.namespace().unwrap_or_default();
    let opened = open::of_namespace(ctx, &namespace, None).await?;
    let mut found = Vec::new();
    for (place, who) in known(savepoint, jobs, savepoints) {
        let reason = reason(opened.stores(), &place, directory, who.goes_on).await;
        found.extend(reason.map(|reason| (who.kind, who.name, reason)));
    }
    Ok(found)
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

/// Why the snapshot at `place` needs that in `directory`.
async fn reason(stores: &Stores, place: &str, directory: &str, goes_on: bool) -> Option<String> {
    match store::load(stores, place, &store::quietly).await {
        Ok(snapshot) => {
            let theirs = |path: &str| location::is_below(path, directory);
            snapshot.facts.files.iter().any(|file| !file.relative && theirs(&file.path)).then(|| USED.to_owned())
        }
        Err(LoadError::NotFound { .. } | LoadError::NoMetadata { .. }) if !goes_on => None,
        Err(error) => Some(format!("whether its _metadata names files of it can't be told: {error}")),
    }
}

#[cfg(test)]
#[path = "shared_tests.rs"]
mod tests;
