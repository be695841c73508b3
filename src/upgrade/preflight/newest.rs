//! The snapshot that a preflight holds a job against: the newest one of the job before, read from its store.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::from_the_snapshot;
use crate::api::{StateSource, UpgradeProgress, UpgradeStep};
use crate::context::Context;
use crate::flink::JobId;
use crate::reconcile::Error;
use crate::snapshot::SnapshotFacts;
use crate::store::check::{self, By, Check, Serving};
use crate::upgrade::observed::{Newest, Observed};
use crate::upgrade::{scope, snapshots};

/// Reads it, where a decision depends on it.
///
/// # Errors
/// If Kubernetes can't be asked for the stores. A store that can't be asked is an observation, not an error.
pub async fn read(ctx: &Context, by: By<'_>, o: &Observed) -> Result<Newest, Error> {
    let under_way = o.upgrade.status.as_ref().and_then(|s| s.upgrade.as_ref());
    let Some(upgrade) = under_way.filter(|_| scope::newest_matters(&o.upgrade)) else { return Ok(Newest::NotAsked) };
    if upgrade.step != UpgradeStep::Preflight {
        return match starts_from(o, upgrade) {
            Some(place) => look(ctx, by, o, &place).await,
            None => Ok(Newest::NotAsked),
        };
    }
    if from_the_snapshot(upgrade) {
        return match &upgrade.snapshot {
            Some(place) => look(ctx, by, o, place).await,
            None => Ok(Newest::Nothing),
        };
    }
    // The newest first; Flink may delete one while it is read.
    let mut why = None;
    for place in candidates(ctx, by, o).await? {
        match look(ctx, by, o, &place).await? {
            Newest::Unreadable(message) => why = why.or(Some(message)),
            found => return Ok(found),
        }
    }
    Ok(why.map_or(Newest::Nothing, Newest::Unreadable))
}

/// The snapshot that the new job is about to start from.
fn starts_from(o: &Observed, upgrade: &UpgradeProgress) -> Option<String> {
    let taken = o.savepoint.as_ref().and_then(|s| s.status.as_ref()?.location.clone());
    match upgrade.source {
        Some(StateSource::Savepoint) | None => upgrade.savepoint_location.clone().or(taken),
        Some(_) => upgrade.snapshot.clone(),
    }
}

/// Where the newest snapshots of the active job are, as far as anybody tells.
async fn candidates(ctx: &Context, by: By<'_>, o: &Observed) -> Result<Vec<String>, Error> {
    let Some(active) = o.upgrade.status.as_ref().and_then(|s| s.active.as_ref()) else { return Ok(Vec::new()) };
    let submission = &active.submission;
    let told = o.job(active.revision, &submission.job_id).and_then(|job| job.last_checkpoint.clone());
    let mut places: Vec<String> = told.map(|(_, path)| path).into_iter().collect();
    if let Some(directory) = snapshots::directory(o, submission)
        && let Serving::By(store) = check::store_of(ctx, by, &directory).await?
        && let Ok(Some((_, newest))) = store.newest_checkpoint(&directory).await
    {
        places.push(newest);
    }
    places.extend(active.last_checkpoint.as_ref().and_then(|c| c.path.clone()));
    places.extend(submission.restored_from.clone());
    places.dedup();
    Ok(places)
}

async fn look(ctx: &Context, by: By<'_>, o: &Observed, place: &str) -> Result<Newest, Error> {
    let key = format!("preflight/{}/{place}", o.upgrade.metadata.uid.as_deref().unwrap_or_default());
    Ok(match check::check(ctx, by, &key, place, false).await? {
        Check::NotAsked | Check::Running(_) => Newest::Reading(place.to_owned()),
        Check::NoStore { message, .. } => Newest::Unreadable(message),
        Check::Failed(failure) => Newest::Unreadable(format!("{place}: {}", failure.message)),
        Check::Done(checked) => match checked.facts {
            Some(facts) => {
                Newest::Read { location: checked.directory, facts: Arc::new(with_names(ctx, o, facts).await) }
            }
            None => Newest::Unreadable(format!("{place} was not read")),
        },
    })
}

/// Snapshots of Flink before 2.0 know their operators by ID only. The running job names the first of each chain.
async fn with_names(ctx: &Context, o: &Observed, facts: Arc<SnapshotFacts>) -> SnapshotFacts {
    let mut facts = Arc::unwrap_or_clone(facts);
    if facts.operators.iter().all(|operator| operator.name.is_some()) {
        return facts;
    }
    let active = o.upgrade.status.as_ref().and_then(|s| s.active.as_ref());
    let process = active.and_then(|a| o.revisions.get(&a.revision)?.job_manager.as_ref());
    let job = active.and_then(|a| JobId::new(&a.submission.job_id).ok());
    let (Some(process), Some(job)) = (process, job) else { return facts };
    let Ok(job) = process.client(ctx).job(&job).await else { return facts };
    let head = |name: &str| name.split(" -> ").next().unwrap_or_default().to_owned();
    let names: BTreeMap<String, String> = job.vertices.into_iter().map(|v| (v.id, head(&v.name))).collect();
    for operator in facts.operators.iter_mut().filter(|operator| operator.name.is_none()) {
        operator.name = names.get(&operator.id.to_string()).cloned();
    }
    facts
}
