//! Reads how it stands with a copy.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::super::lineage;
use super::job::Copy;
use super::{Copying, FilesLeft, Found, JobLeft, pods, words};
use crate::api::condition::Reason;
use crate::api::{
    CopyProgress, FlinkSavepoint, FlinkSnapshotStore, FlinkSnapshotStoreSpec, SavepointPhase, SnapshotRef,
};
use crate::context::Context;
use crate::flink::location;
use crate::image;
use crate::naming;
use crate::reconcile::{Error, within};
use crate::runtime::background::Looked;
use crate::snapshot::store::{self, Contents, Store, Stores};
use crate::store::check::{self, Again, By, Check, Failure, Serving};
use crate::store::open::{self, serves};

/// How long a pass looks on.
const MOMENT: Duration = Duration::from_millis(300);
/// What the operator copies itself has at most so many files.
const SMALL_FILES: i64 = 200;

/// Reads it.
///
/// # Errors
/// If Kubernetes can't be asked. A store that can't be asked is an observation.
pub async fn observe(ctx: &Context, savepoint: &FlinkSavepoint, of: &SnapshotRef) -> Result<Copying, Error> {
    let status = savepoint.status.as_ref();
    let copy = status.and_then(|s| s.copy.as_ref());
    if savepoint.metadata.deletion_timestamp.is_some() {
        return match copy {
            Some(copy) => left(ctx, savepoint, copy).await,
            None => Ok(Copying::Left { job: JobLeft::Nothing, files: FilesLeft::Nothing }),
        };
    }
    match copy {
        None => find(ctx, savepoint, of).await,
        Some(copy) if copy.by_job => by_job(ctx, savepoint, copy).await,
        Some(copy) => by_operator(ctx, savepoint, copy).await,
    }
}

/// `storeRef` names the store of the copy, not that of the original.
fn by_target(savepoint: &FlinkSavepoint) -> By<'_> {
    super::super::by(savepoint)
}

/// What is to be copied, and where to.
async fn find(ctx: &Context, savepoint: &FlinkSavepoint, of: &SnapshotRef) -> Result<Copying, Error> {
    let namespace = savepoint.namespace().unwrap_or_default();
    let all: Api<FlinkSavepoint> = Api::namespaced(ctx.client.clone(), &namespace);
    let all = within("list FlinkSavepoints", all.list(&ListParams::default())).await?.items;
    let (from, record) = match source(&all, of) {
        Ok(found) => found,
        Err(other) => return Ok(other),
    };
    let by = By { namespace: &namespace, named: None };
    let target = savepoint.spec.target_directory.clone().unwrap_or_default();
    let name = location::normalise(&from).rsplit('/').next().unwrap_or_default().to_owned();
    let uid = savepoint.uid().unwrap_or_default();
    let directory = naming::savepoint_directory(&target, &namespace, &savepoint.name_any(), &uid, 1);
    let to = format!("{directory}/{name}");
    match check::store_of(ctx, by_target(savepoint), &to).await? {
        Serving::By(store) if store.may_remove() => {}
        Serving::By(store) => {
            return Ok(Copying::Blocked(Reason::NoStore, words::read_only(&target, store.url())));
        }
        Serving::Nobody(_) => return Ok(nobody_writes(savepoint, &to)),
        Serving::Refused(failure) => return Ok(Copying::Failed(failure)),
    }
    let key = format!("{uid}/source");
    let checked = match check::check(ctx, by, &key, &from, false).await? {
        Check::Done(checked) => checked,
        Check::NotAsked | Check::Running(_) => {
            return Ok(Copying::Waits(Reason::InProgress, format!("the metadata of {from} is read")));
        }
        Check::NoStore { reason, .. } => return Ok(Copying::Blocked(reason, words::no_source(&from))),
        Check::Failed(failure) => return Ok(Copying::Failed(failure)),
    };
    let local = [&from, &to].into_iter().any(|place| location::normalise(place).starts_with("file:"));
    let small_bytes = i64::try_from(ctx.settings.small_copy_bytes).unwrap_or(i64::MAX);
    let small = checked.size_bytes <= small_bytes && checked.file_count <= SMALL_FILES;
    let by_job = !(local || small);
    if by_job && let Some(why) = two_stores(&specs(ctx, &namespace).await?, &checked.directory, &checked.outside) {
        return Ok(Copying::Blocked(Reason::FilesNotServed, why));
    }
    let copy = CopyProgress {
        from: checked.directory.clone(),
        to,
        by_job,
        total_files: Some(checked.file_count),
        total_bytes: Some(checked.size_bytes),
        ..CopyProgress::default()
    };
    let flink_version = record.and_then(|record| record.status.as_ref()?.flink_version.clone());
    Ok(Copying::Found(Box::new(Found { source: lineage::of_copy(&copy.from, record), copy, flink_version })))
}

/// The place of what is to be copied, and its record, if it has one.
pub(super) fn source<'a>(
    all: &'a [FlinkSavepoint],
    of: &SnapshotRef,
) -> Result<(String, Option<&'a FlinkSavepoint>), Copying> {
    let record = match (&of.name, &of.path) {
        (Some(name), _) => {
            let Some(record) = all.iter().find(|s| s.name_any() == *name) else {
                return Err(Copying::Waits(Reason::SnapshotNotFound, words::no_record(name)));
            };
            Some(record)
        }
        (None, Some(path)) => {
            let place = path.strip_suffix("/_metadata").unwrap_or(path);
            let at = |s: &&FlinkSavepoint| {
                let known = s.status.as_ref().and_then(|s| s.location.as_deref());
                s.spec.copy_of.is_none() && known.is_some_and(|known| location::same(known, place))
            };
            all.iter().find(at)
        }
        (None, None) => None,
    };
    let Some(record) = record else { return of.path.clone().map(|path| (path, None)).ok_or(Copying::NotAsked) };
    let name = record.name_any();
    let status = record.status.clone().unwrap_or_default();
    match (status.phase, status.location) {
        (Some(SavepointPhase::Completed | SavepointPhase::Superseded), Some(location)) => Ok((location, Some(record))),
        // It gives way, or goes.
        (Some(SavepointPhase::Disposing), _) => Err(Copying::Waits(Reason::Disposing, words::goes(&name))),
        (Some(phase), _) if phase.is_terminal() => {
            Err(Copying::Never(Reason::SnapshotNotFound, words::no_snapshot(&name, phase)))
        }
        _ => Err(Copying::Waits(Reason::InProgress, words::not_yet(&name))),
    }
}

/// No store takes the copy.
fn nobody_writes(savepoint: &FlinkSavepoint, to: &str) -> Copying {
    let (reason, message) = words::no_target(savepoint, to);
    Copying::Blocked(reason, message)
}

/// A small one, copied by this process.
async fn by_operator(ctx: &Context, savepoint: &FlinkSavepoint, copy: &CopyProgress) -> Result<Copying, Error> {
    let namespace = savepoint.namespace().unwrap_or_default();
    let opened = open::of_namespace(ctx, &namespace, None).await?;
    let to = match check::store_of(ctx, by_target(savepoint), &copy.to).await? {
        Serving::By(store) => store,
        Serving::Nobody(_) => return Ok(nobody_writes(savepoint, &copy.to)),
        Serving::Refused(failure) => return Ok(Copying::Failed(failure)),
    };
    let (from, stores, target) = (copy.from.clone(), opened.stores().clone(), copy.to.clone());
    let key = savepoint.uid().unwrap_or_default();
    let looked = ctx.copies.look(&key, MOMENT, |tell| async move {
        let progress = |p| tell.now(p);
        copied(&stores, &from, &to, &target, &progress).await
    });
    Ok(match looked.await {
        Looked::Done(Ok(())) => Copying::Done,
        Looked::Done(Err(failure)) => Copying::Failed(failure),
        Looked::Running(Some(store::CopyProgress::Copying { files, bytes, .. })) => Copying::Running { files, bytes },
        Looked::Running(_) => Copying::Running { files: 0, bytes: 0 },
    })
}

async fn copied(
    stores: &Stores,
    from: &str,
    to: &Store,
    target: &str,
    progress: store::OnCopyProgress<'_>,
) -> Result<(), Failure> {
    let again = |transient| if transient { Again::Soon } else { Again::WithHelp };
    let failure = |reason: &str, message: String, transient| Failure {
        reason: Reason::of_error(reason),
        message,
        again: again(transient),
    };
    let snapshot = store::load(stores, from, &|looked| progress(store::CopyProgress::Looking(looked)))
        .await
        .map_err(|e| failure(e.reason(), e.to_string(), e.is_transient()))?;
    let copy = store::copy(stores, &snapshot, to, target, progress).await;
    copy.map(drop).map_err(|e| failure(e.reason(), e.to_string(), e.is_transient()))
}

/// A large one, copied by a Job.
async fn by_job(ctx: &Context, savepoint: &FlinkSavepoint, copy: &CopyProgress) -> Result<Copying, Error> {
    let namespace = savepoint.namespace().unwrap_or_default();
    let uid = savepoint.uid().unwrap_or_default();
    let contents = contents(ctx, savepoint, &copy.to).await?;
    let jobs: Api<Job> = Api::namespaced(ctx.client.clone(), &namespace);
    let name = naming::copy_job_name(&savepoint.name_any(), &uid);
    let Some(found) = within("get Job", jobs.get_opt(&name)).await? else {
        // It was over, and is deleted: `_metadata` comes last.
        if matches!(contents, Ok(Contents::Snapshot(_))) {
            return Ok(Copying::Done);
        }
        return wanted(ctx, savepoint, &namespace, copy).await;
    };
    let is = |kind: &str| {
        let conditions = found.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
        conditions.iter().any(|c| c.type_ == kind && c.status == "True")
    };
    if is("Complete") {
        return Ok(Copying::Done);
    }
    if is("Failed") {
        return Ok(Copying::JobFailed(pods::last_words(ctx, &namespace, &uid).await?));
    }
    if let Some(why) = pods::trouble(ctx, &namespace, &uid, &found).await {
        return Ok(Copying::NotRunning(why));
    }
    let amount = contents.map(Contents::amount).unwrap_or_default();
    Ok(Copying::Running { files: amount.files, bytes: amount.bytes })
}

async fn contents(ctx: &Context, savepoint: &FlinkSavepoint, place: &str) -> Result<Result<Contents, String>, Error> {
    Ok(match check::store_of(ctx, by_target(savepoint), place).await? {
        Serving::By(store) => store.contents(place).await.map_err(|e| e.to_string()),
        Serving::Nobody(why) => Err(why),
        Serving::Refused(failure) => Err(failure.message),
    })
}

/// The Job as it is to be.
async fn wanted(
    ctx: &Context,
    savepoint: &FlinkSavepoint,
    namespace: &str,
    copy: &CopyProgress,
) -> Result<Copying, Error> {
    let Some(image) = image::own(ctx).await? else {
        return Ok(Copying::Blocked(Reason::CopyFailed, words::no_image()));
    };
    let stores = specs(ctx, namespace).await?;
    let target = match &savepoint.spec.store_ref {
        Some(named) => stores.iter().find(|s| s.name_any() == named.name && serves(&s.spec.url, &copy.to)),
        None => serving(&stores, &copy.to),
    };
    let Some(target) = target else { return Ok(nobody_writes(savepoint, &copy.to)) };
    let Some(source) = serving(&stores, &copy.from) else {
        return Ok(Copying::Blocked(Reason::NoStore, words::no_source(&copy.from)));
    };
    Ok(Copying::NoJob(Box::new(Copy {
        namespace: namespace.to_owned(),
        savepoint: savepoint.name_any(),
        uid: savepoint.uid().unwrap_or_default(),
        image,
        pull_secrets: image::pull_secrets(ctx).await?,
        from: copy.from.clone(),
        to: copy.to.clone(),
        source: source.spec.clone(),
        target: target.spec.clone(),
    })))
}

/// The FlinkSnapshotStores of a namespace.
async fn specs(ctx: &Context, namespace: &str) -> Result<Vec<FlinkSnapshotStore>, Error> {
    let api: Api<FlinkSnapshotStore> = Api::namespaced(ctx.client.clone(), namespace);
    Ok(within("list FlinkSnapshotStores", api.list(&ListParams::default())).await?.items)
}

/// The one that serves a place.
fn serving<'a>(stores: &'a [FlinkSnapshotStore], place: &str) -> Option<&'a FlinkSnapshotStore> {
    let those = stores.iter().filter(|store| serves(&store.spec.url, place));
    those.max_by_key(|store| location::normalise(&store.spec.url).len())
}

/// A Job reads all files of the snapshot in one way: why that does not do, if it does not.
pub(super) fn two_stores(stores: &[FlinkSnapshotStore], from: &str, outside: &BTreeSet<String>) -> Option<String> {
    let way = |store: &FlinkSnapshotStore| {
        let FlinkSnapshotStoreSpec { endpoint, region, credentials_secret_ref, .. } = store.spec.clone();
        (endpoint, region, credentials_secret_ref.map(|secret| secret.name))
    };
    let own = serving(stores, from)?;
    let others = outside.iter().filter_map(|url| serving(stores, url));
    let other = others.into_iter().find(|other| way(other) != way(own))?;
    Some(words::two_stores(from, own, other))
}

/// What is left of a copy that was not complete.
async fn left(ctx: &Context, savepoint: &FlinkSavepoint, copy: &CopyProgress) -> Result<Copying, Error> {
    ctx.copies.give_up(&savepoint.uid().unwrap_or_default());
    let job = if copy.by_job { job_left(ctx, savepoint).await? } else { JobLeft::Nothing };
    let files = match contents(ctx, savepoint, &copy.to).await? {
        Ok(Contents::Nothing) => FilesLeft::Nothing,
        Ok(found) => FilesLeft::There(found.amount().files),
        Err(why) => FilesLeft::Unknown(why),
    };
    Ok(Copying::Left { job, files })
}

async fn job_left(ctx: &Context, savepoint: &FlinkSavepoint) -> Result<JobLeft, Error> {
    let jobs: Api<Job> = Api::namespaced(ctx.client.clone(), &savepoint.namespace().unwrap_or_default());
    let name = naming::copy_job_name(&savepoint.name_any(), &savepoint.uid().unwrap_or_default());
    match within("get Job", jobs.get_opt(&name)).await {
        Ok(None) => Ok(JobLeft::Nothing),
        Ok(Some(found)) => Ok(found.metadata.deletion_timestamp.map_or(JobLeft::There, JobLeft::Going)),
        // Whoever has taken the right away must not keep the resource for ever.
        Err(error) => match error.refusal() {
            Some(why) => Ok(JobLeft::Unknown(why)),
            None => Err(error),
        },
    }
}
