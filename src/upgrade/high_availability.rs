//! Flink's high availability by Kubernetes: what it keeps of a revision, and how that goes.
//!
//! A JobManager starts by itself every job that its cluster's ConfigMaps tell of. They have neither owner nor finalizer,
//! and Flink removes those of a job that has ended, but nothing when pods go with a job that runs. So they go after the
//! pods, confirmed, before anything of that id is made again; what they point to in the storage goes after them. Under a
//! living JobManager they are never touched: its process would end, and its job with it.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, PostParams};
use kube::{Api, Resource as _, ResourceExt};

use super::observed::{HighAvailability, Observed, Revision};
use super::{scope, status};
use crate::api::annotations::HIGH_AVAILABILITY_STORAGE;
use crate::api::{FlinkJobUpgrade, Submission, UpgradeStep};
use crate::context::Context;
use crate::naming;
use crate::reconcile::{Error, within};
use crate::snapshot::store::Store;
use crate::store::check::{self, By, Serving};

/// Label of Flink's ConfigMaps with the cluster's id.
const CLUSTER_ID: &str = "app";
/// Where a cluster's ConfigMap names the leader, as `<session>,<address>`.
const LEADER: &str = "org.apache.flink.k8s.leader.dispatcher";
/// Files that are removed between two looks.
const BATCH: usize = 500;
/// Looks after which what is left is left to the next pass: somebody writes there.
const LOOKS: usize = 100;

/// Adds what Flink's high availability has of the revisions that use it.
///
/// # Errors
/// If Kubernetes can't be asked.
pub async fn add(
    ctx: &Context,
    upgrade: &FlinkJobUpgrade,
    revisions: &mut BTreeMap<i64, Revision>,
) -> Result<(), Error> {
    let namespace = upgrade.namespace().unwrap_or_default();
    let api: Api<ConfigMap> = Api::namespaced(ctx.client.clone(), &namespace);
    let name = upgrade.name_any();
    if scope::of(upgrade) == scope::Scope::Revisions {
        for submission in scope::submissions(upgrade).filter(|s| s.high_availability) {
            let cluster_id = naming::revision_name(&name, submission.revision);
            let map = naming::job_config_map(&cluster_id, &submission.job_id);
            let found = within("get ConfigMap", api.get_metadata_opt(&map)).await?;
            let config_maps = found.map(|map| map.name_any()).into_iter().collect();
            let revision = revisions.entry(submission.revision).or_default();
            revision.high_availability = Some(HighAvailability { config_maps, leader: None });
        }
        return Ok(());
    }
    let recorded = revisions.iter().filter(|(_, r)| r.high_availability.is_some());
    let submitted = scope::submissions(upgrade).filter(|s| s.high_availability).map(|s| s.revision);
    let numbers: BTreeSet<i64> = recorded.map(|(number, _)| *number).chain(submitted).collect();
    if numbers.is_empty() {
        return Ok(());
    }
    let ids: Vec<String> = numbers.iter().map(|number| naming::revision_name(&name, *number)).collect();
    let params = ListParams::default().labels(&naming::high_availability_selector(&ids));
    let maps = within("list ConfigMaps", api.list_metadata(&params)).await?.items;
    for (number, id) in numbers.into_iter().zip(ids) {
        let own = maps.iter().filter(|map| map.labels().get(CLUSTER_ID) == Some(&id));
        let config_maps = own.map(ResourceExt::name_any).collect();
        let leader = if leader_matters(upgrade, number) { leader(&api, &id).await? } else { None };
        revisions.entry(number).or_default().high_availability = Some(HighAvailability { config_maps, leader });
    }
    Ok(())
}

/// Before its first submit it is certain that the revision's own JobManager leads.
fn leader_matters(upgrade: &FlinkJobUpgrade, revision: i64) -> bool {
    let under_way = upgrade.status.as_ref().and_then(|s| s.upgrade.as_ref());
    under_way.is_some_and(|u| u.to == revision && u.step == UpgradeStep::Starting)
}

async fn leader(api: &Api<ConfigMap>, cluster_id: &str) -> Result<Option<String>, Error> {
    let found = within("get ConfigMap", api.get_opt(&naming::leader_config_map(cluster_id))).await?;
    let entry = found.and_then(|map| map.data?.remove(LEADER));
    Ok(entry.and_then(|entry| entry.split_once(',').map(|(_, address)| address.to_owned())))
}

/// Who leads a revision's cluster, if it is not its own JobManager: two clusters with one id are a leader and its silent
/// standby, whose REST API shows the other's jobs. `Err`: that is not known yet.
pub fn foreign_leader(o: &Observed, revision: i64) -> Result<Option<&str>, ()> {
    let Some(own) = o.revisions.get(&revision).and_then(|r| r.high_availability.as_ref()) else { return Ok(None) };
    let Some(leader) = own.leader.as_deref() else { return Err(()) };
    let service = naming::revision_name(status::name(o), revision);
    Ok((!leader.contains(&format!("@{service}:"))).then_some(leader))
}

/// The ConfigMaps of a revision's high availability that are there.
#[must_use]
pub fn config_maps(o: &Observed, revision: i64) -> &[String] {
    let own = o.revisions.get(&revision).and_then(|r| r.high_availability.as_ref());
    own.map_or(&[], |own| own.config_maps.as_slice())
}

/// The ConfigMap from which a JobManager would start a submission's job again, if there is one, or might be.
#[must_use]
pub fn returns_from(o: &Observed, submission: &Submission) -> Option<String> {
    if !submission.high_availability {
        return None;
    }
    let own = o.revisions.get(&submission.revision).and_then(|r| r.high_availability.as_ref());
    let map = naming::job_config_map(&naming::revision_name(status::name(o), submission.revision), &submission.job_id);
    own.is_none_or(|own| own.config_maps.contains(&map)).then_some(map)
}

/// Whether a revision that is not needed any more has left storage that was not looked after.
#[must_use]
pub fn storage_is_left(revision: &Revision) -> bool {
    let has_storage = |r: &super::observed::Record| {
        !r.rendered.high_availability_directories.is_empty() && !r.high_availability_storage_settled
    };
    revision.record.as_deref().is_some_and(has_storage)
}

/// Removes what a revision's high availability has left in its storage, and notes that. What no store of the namespace
/// can remove is left, and said so.
///
/// # Errors
/// If Kubernetes can't be asked. A store that fails is tried again by a later pass.
pub async fn remove_storage(ctx: &Context, o: &Observed, revision: i64) -> Result<(), Error> {
    let Some(record) = o.record(revision) else { return Ok(()) };
    let namespace = o.upgrade.namespace().unwrap_or_default();
    let by = By { namespace: &namespace, named: None };
    let mut left = Vec::new();
    for directory in &record.rendered.high_availability_directories {
        match empty(ctx, by, directory).await? {
            Storage::Empty => {}
            Storage::Left(why) => left.push(format!("{directory}: {why}")),
            Storage::Later(why) => {
                tracing::warn!(revision, directory, why, "high availability storage is not removed yet");
                return Ok(());
            }
        }
    }
    if !left.is_empty() {
        let note = format!("high availability storage of revision {revision} is left: {}", left.join("; "));
        tracing::warn!(job = status::name(o), note);
        ctx.events.warning(o.upgrade.object_ref(&()), "HighAvailabilityStorageLeft", "RemoveRevision", &note);
    }
    mark(ctx, o, revision, if left.is_empty() { "removed" } else { "left" }).await
}

/// Notes how it stands with a revision's high availability storage.
///
/// # Errors
/// If Kubernetes can't be asked.
pub async fn mark(ctx: &Context, o: &Observed, revision: i64, note: &str) -> Result<(), Error> {
    let api: Api<ControllerRevision> = Api::namespaced(ctx.client.clone(), &o.upgrade.namespace().unwrap_or_default());
    let name = naming::revision_name(status::name(o), revision);
    let Some(mut record) = within("get ControllerRevision", api.get_opt(&name)).await? else { return Ok(()) };
    record.annotations_mut().insert(HIGH_AVAILABILITY_STORAGE.to_owned(), note.to_owned());
    within("replace ControllerRevision", api.replace(&name, &PostParams::default(), &record)).await.map(drop)
}

/// What became of a directory.
#[derive(Debug, PartialEq, Eq)]
enum Storage {
    /// Nothing is in it.
    Empty,
    /// It can't be emptied; why.
    Left(String),
    /// It could not be emptied now; why.
    Later(String),
}

async fn empty(ctx: &Context, by: By<'_>, directory: &str) -> Result<Storage, Error> {
    let store = match check::store_of(ctx, by, directory).await? {
        Serving::By(store) if store.may_remove() => store,
        Serving::By(_) => return Ok(Storage::Left("its FlinkSnapshotStore is readOnly".to_owned())),
        Serving::Nobody(why) => return Ok(Storage::Left(why)),
        Serving::Refused(failure) => return Ok(Storage::Later(failure.message)),
    };
    Ok(remove_all(&store, directory).await.unwrap_or_else(|e| Storage::Later(e.to_string())))
}

async fn remove_all(store: &Store, directory: &str) -> Result<Storage, crate::snapshot::store::StoreError> {
    // Flink keeps pointers here; a snapshot would be somebody's state.
    if let Some((_, snapshot)) = store.newest_snapshot(directory, |_| false).await? {
        return Ok(Storage::Left(format!("the snapshot {snapshot} lies there")));
    }
    // What is listed again after it was removed is no file but a directory: S3 file systems mark one by an object whose
    // key ends in a slash, and requests for keys without one do not reach it.
    let mut removed: BTreeSet<String> = BTreeSet::new();
    for _ in 0..LOOKS {
        let listed = store.files_but(directory, None, BATCH).await?;
        let files: Vec<String> = listed.iter().filter(|file| !removed.contains(*file)).cloned().collect();
        if files.is_empty() {
            return Ok(if listed.len() < BATCH {
                Storage::Empty
            } else {
                Storage::Left(format!("{BATCH} directories and more lie there"))
            });
        }
        store.remove(&files).await?;
        removed.extend(files);
    }
    Ok(Storage::Later("files keep coming".to_owned()))
}

#[cfg(test)]
#[path = "high_availability_tests.rs"]
mod tests;
