//! What nobody keeps in order: directories of savepoints whose FlinkSavepoint is gone, and FlinkSavepoints whose files are.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use crate::api::{FlinkJobUpgrade, FlinkSavepoint, FlinkSnapshotStore, Orphans, SavepointPhase};
use crate::context::Context;
use crate::flink::location;
use crate::reconcile::{Error, within};
use crate::runtime::metrics::OrphanCounts;
use crate::snapshot::store::{Store, StoreError};
use crate::store::open::serves;
use crate::time;

/// Directories that are listed at most: of a bucket with very many only the first are looked into.
const LISTED: usize = 1000;
/// Directories that are deeper below the store's url are not looked into: `<base>/<namespace>/<job>/<namespace>`.
const DEPTH: usize = 8;
/// Requests at a time.
const AT_ONCE: usize = 8;
/// A status names at most so many of each.
const NAMED: usize = 10;

/// What the statuses of all stores say together.
#[must_use]
pub fn counted(stores: &[Arc<FlinkSnapshotStore>]) -> OrphanCounts {
    let told = stores.iter().filter_map(|store| store.status.as_ref()?.orphans.as_ref());
    told.fold(OrphanCounts::default(), |sum, one| OrphanCounts {
        directories: sum.directories + i64::from(one.directories_without_record),
        records: sum.records + i64::from(one.records_without_files),
    })
}

/// Looks through a store.
///
/// # Errors
/// The outer one if Kubernetes can't be asked, the inner one if the store can't be.
pub async fn look(
    ctx: &Context,
    resource: &FlinkSnapshotStore,
    store: &Store,
) -> Result<Result<Orphans, StoreError>, Error> {
    let namespace = resource.namespace().unwrap_or_default();
    // Directories first: one that is made meanwhile is in the records by then.
    let jobs: Api<FlinkJobUpgrade> = Api::namespaced(ctx.client.clone(), &namespace);
    let jobs = within("list FlinkJobUpgrades", jobs.list_metadata(&ListParams::default())).await?.items;
    let jobs: HashSet<String> = jobs.iter().map(ResourceExt::name_any).collect();
    let found = match directories(store, &namespace, &jobs).await {
        Ok(found) => found,
        Err(error) => return Ok(Err(error)),
    };
    let api: Api<FlinkSavepoint> = Api::namespaced(ctx.client.clone(), &namespace);
    let records = within("list FlinkSavepoints", api.list(&ListParams::default())).await?.items;
    let missing = match missing(store, &resource.spec.url, &records).await {
        Ok(missing) => missing,
        Err(error) => return Ok(Err(error)),
    };
    Ok(Ok(orphans(&found, &records, &missing, ctx.clock.now())))
}

/// Directories below the store's url that are named as those of FlinkSavepoints of a namespace are, and not as one of its
/// jobs is.
async fn directories(store: &Store, namespace: &str, jobs: &HashSet<String>) -> Result<Found, StoreError> {
    let (mut found, mut next, mut listed) = (BTreeSet::new(), vec![store.url().trim_end_matches('/').to_owned()], 0);
    let mut truncated = false;
    for _ in 0..DEPTH {
        truncated |= next.len() > LISTED.saturating_sub(listed);
        let here: Vec<String> = next.drain(..).take(LISTED.saturating_sub(listed)).collect();
        listed += here.len();
        let each = futures::stream::iter(here).map(|place| async move {
            let names = store.directories(&place).await?;
            Ok::<_, StoreError>(names.into_iter().map(|name| (place.clone(), name)).collect::<Vec<_>>())
        });
        let below: Vec<Vec<(String, String)>> = each.buffer_unordered(AT_ONCE).try_collect().await?;
        for (place, name) in below.into_iter().flatten() {
            let whole = format!("{place}/{name}");
            let of_a_savepoint = uid_of(&name).is_some() && !jobs.contains(&name);
            if place.rsplit('/').next() == Some(namespace) && of_a_savepoint {
                found.insert(whole);
            } else if !is_flinks(&name) {
                next.push(whole);
            }
        }
        next.sort();
    }
    Ok(Found { directories: found, truncated })
}

/// What was found in a store.
struct Found {
    directories: BTreeSet<String>,
    /// There are more directories than were looked into.
    truncated: bool,
}

/// The first eight characters of the UID at the end of a name.
fn uid_of(name: &str) -> Option<&str> {
    let (_, uid) = name.rsplit_once('-')?;
    (uid.len() == 8 && uid.bytes().all(|b| b.is_ascii_hexdigit())).then_some(uid)
}

/// A directory that Flink makes has none of ours in it.
fn is_flinks(name: &str) -> bool {
    let job = name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit());
    job || name.starts_with("chk-") || name.starts_with("savepoint-") || ["shared", "taskowned"].contains(&name)
}

/// The FlinkSavepoints that are complete, and whose `_metadata` is not there.
async fn missing(store: &Store, url: &str, records: &[FlinkSavepoint]) -> Result<Vec<String>, StoreError> {
    let complete = records.iter().filter_map(|record| {
        let status = record.status.as_ref().filter(|s| s.phase == Some(SavepointPhase::Completed))?;
        let location = status.location.clone().filter(|location| serves(url, location))?;
        Some((record.name_any(), location))
    });
    let each = futures::stream::iter(complete.take(LISTED).collect::<Vec<_>>()).map(|(name, location)| async move {
        let there = store.has_metadata(&location).await?;
        Ok::<_, StoreError>((!there).then_some(name))
    });
    let found: Vec<Option<String>> = each.buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

fn orphans(found: &Found, records: &[FlinkSavepoint], missing: &[String], now: DateTime<Utc>) -> Orphans {
    let attempts = records.iter().filter_map(|r| r.status.as_ref()).flat_map(|s| &s.attempts);
    // The directory of an attempt is right below that of its resource.
    let own = attempts.filter_map(|a| Some(location::normalise(a.directory.trim_end_matches('/').rsplit_once('/')?.0)));
    let known: HashSet<String> = own.collect();
    let uids: HashSet<String> =
        records.iter().filter_map(ResourceExt::uid).map(|u| u.chars().take(8).collect()).collect();
    // Registered where they lie, after their own resource was deleted.
    let places = records.iter().filter_map(|r| r.status.as_ref()?.location.as_deref());
    let places: Vec<&str> = places.collect();
    let has_record = |directory: &&String| {
        let name = directory.rsplit('/').next().unwrap_or_default();
        known.contains(*directory)
            || uid_of(name).is_some_and(|uid| uids.contains(uid))
            || places.iter().any(|place| location::is_below(place, directory))
    };
    let without: Vec<&String> = found.directories.iter().filter(|directory| !has_record(directory)).collect();
    let mut missing: Vec<String> = missing.to_vec();
    missing.sort();
    let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    Orphans {
        time: Some(time::to_k8s(now)),
        truncated: found.truncated,
        directories_without_record: count(without.len()),
        directories: without.into_iter().take(NAMED).cloned().collect(),
        records_without_files: count(missing.len()),
        records: missing.into_iter().take(NAMED).collect(),
    }
}

#[cfg(test)]
#[path = "orphans_tests.rs"]
mod tests;
