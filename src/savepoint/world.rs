//! Reads what the end of a snapshot depends on: who needs it, and what lies in its directory.

use std::sync::Arc;

use kube::{Api, ResourceExt};

use super::dispose;
use super::job::upgrade;
use super::observe::{Located, job_manager};
use super::observed::{ByFlink, Place};
use crate::api::{FlinkJobUpgrade, FlinkSavepoint, Hold, Ownership, SavepointPhase};
use crate::cluster::JobManager;
use crate::context::Context;
use crate::flink::{self, DisposalOperation};
use crate::holds::shared::{self, User};
use crate::holds::{self, Everybody, World, ownership, service_lives};
use crate::reconcile::{Error, namespace_terminating, within};
use crate::store::check::{self, Serving};
use crate::time;

/// What the end of a snapshot depends on.
#[derive(Debug)]
pub struct End {
    /// Who owns its files.
    pub ownership: Option<Ownership>,
    /// Who needs it; `None`: that was not looked at.
    pub holds: Option<Vec<Hold>>,
    /// What lies in its directory.
    pub place: Place,
    /// The JobManager that could delete it.
    pub job_manager: Option<JobManager>,
    /// The namespace is being deleted.
    pub namespace_terminating: bool,
}

impl End {
    /// Nothing was looked at.
    pub fn of(savepoint: &FlinkSavepoint) -> Self {
        Self {
            ownership: savepoint.status.as_ref().and_then(|s| s.ownership),
            holds: None,
            place: Place::NotRead,
            job_manager: None,
            namespace_terminating: false,
        }
    }
}

/// Looks at a snapshot that is complete.
///
/// # Errors
/// If Kubernetes can't be asked.
pub async fn end(ctx: &Context, savepoint: &FlinkSavepoint) -> Result<End, Error> {
    let mut end = End::of(savepoint);
    let phase = savepoint.status.as_ref().and_then(|s| s.phase);
    let deleted = savepoint.metadata.deletion_timestamp.is_some();
    if phase == Some(SavepointPhase::Verifying) && deleted {
        end.namespace_terminating = namespace_terminating(ctx, &savepoint.namespace().unwrap_or_default()).await?;
    }
    if !matches!(phase, Some(SavepointPhase::Completed | SavepointPhase::Superseded | SavepointPhase::Disposing)) {
        return Ok(end);
    }
    let goes = deleted && dispose::is_wanted(savepoint);
    let (jobs, savepoints) = if goes { live(ctx).await? } else { known(ctx).await? };
    // What is Flink's stays so.
    if end.ownership != Some(Ownership::Flink) {
        end.ownership = ownership::of(savepoint, jobs.iter().map(AsRef::as_ref));
    }
    // Of a foreign cluster's job it is said only when it matters: nobody tells when another one is complete.
    let service_lives = goes && service_lives(ctx, savepoint).await?;
    let world = World { jobs: &jobs, savepoints: &savepoints, service_lives };
    let now = ctx.clock.now();
    let mut holds = world.holds(savepoint, now);
    let mut unreadable = None;
    if goes && end.ownership == Some(Ownership::Unclear) && holds.is_empty() && !dispose::begun(savepoint) {
        match Box::pin(shared::user(ctx, savepoint, &jobs, &savepoints)).await? {
            User::Nobody => {}
            User::One(found) => holds.push(holds::hold(found, savepoint, now)),
            User::Unknown(why) => unreadable = Some(Place::Trouble(why)),
        }
    }
    end.holds = Some(holds);
    if goes {
        end.namespace_terminating = namespace_terminating(ctx, &savepoint.namespace().unwrap_or_default()).await?;
        (end.place, end.job_manager) = Box::pin(place(ctx, savepoint)).await?;
        end.place = unreadable.unwrap_or(end.place);
    }
    Ok(end)
}

/// Who will need a savepoint that is about to be complete at this place: so that one write says both.
///
/// # Errors
/// If Kubernetes can't be asked.
pub async fn holds_once_complete(ctx: &Context, savepoint: &FlinkSavepoint, place: String) -> Result<Vec<Hold>, Error> {
    let mut complete = savepoint.clone();
    let now = ctx.clock.now();
    let status = complete.status.get_or_insert_default();
    status.phase = Some(SavepointPhase::Completed);
    status.completion_time = Some(time::to_k8s(now));
    status.location = Some(place);
    let (jobs, savepoints) = known(ctx).await?;
    Ok(World { jobs: &jobs, savepoints: &savepoints, service_lives: false }.holds(&complete, now))
}

type Lists = (Vec<Arc<FlinkJobUpgrade>>, Vec<Arc<FlinkSavepoint>>);

/// The resources, as the process knows them: enough to tell who needs it.
async fn known(ctx: &Context) -> Result<Lists, Error> {
    match (ctx.known.jobs(), ctx.known.savepoints()) {
        (Some(jobs), Some(savepoints)) => Ok((jobs, savepoints)),
        _ => live(ctx).await,
    }
}

/// The same as the API server knows them now, of all namespaces: a place is the same whichever names it.
async fn live(ctx: &Context) -> Result<Lists, Error> {
    let everybody = Everybody::read(ctx).await?;
    Ok((everybody.jobs, everybody.savepoints))
}

/// What lies in the directory of a snapshot whose files go.
async fn place(ctx: &Context, savepoint: &FlinkSavepoint) -> Result<(Place, Option<JobManager>), Error> {
    let status = savepoint.status.as_ref();
    let (Some(location), Some(disposal)) =
        (status.and_then(|s| s.location.as_deref()), status.and_then(|s| s.disposal.as_ref()))
    else {
        return Ok((Place::NotRead, None));
    };
    let why = match check::store_of(ctx, super::by(savepoint), location).await? {
        Serving::By(store) if !store.may_remove() => {
            let why = format!(
                "the FlinkSnapshotStore of {location} is readOnly; set spec.readOnly to false, or leave the files with \
                 spec.deletionPolicy: Retain"
            );
            return Ok((Place::Trouble(why), None));
        }
        Serving::By(store) => {
            let place = store.contents(location).await;
            return Ok((place.map_or_else(|error| Place::Trouble(error.to_string()), Place::Contents), None));
        }
        Serving::Refused(failure) => return Ok((Place::Trouble(failure.message), None)),
        Serving::Nobody(why) => why,
    };
    let Some(found) = disposer(ctx, savepoint).await? else {
        let why = format!(
            "{why}, and no JobManager lives that could delete it; create a FlinkSnapshotStore, or leave the files with \
             spec.deletionPolicy: Retain"
        );
        return Ok((Place::Trouble(why), None));
    };
    let by_flink = match &disposal.request_id {
        None => ByFlink::NotAsked,
        Some(request) => match found.client(ctx).disposal_status(request).await {
            Ok(DisposalOperation::InProgress) => ByFlink::UnderWay,
            Ok(DisposalOperation::Completed) => ByFlink::Done,
            // Another request, whose answer was lost, has deleted the _metadata at least.
            Ok(DisposalOperation::Failed(cause)) if cause.is_no_such_savepoint() => ByFlink::Gone,
            Ok(DisposalOperation::Failed(cause)) => ByFlink::Failed(cause.to_string()),
            // Another process, or one that has restarted.
            Err(flink::Error::UnknownTrigger { .. }) => ByFlink::NotAsked,
            Err(error) => ByFlink::Failed(error.to_string()),
        },
    };
    Ok((Place::ByFlink(by_flink), Some(found)))
}

/// A JobManager that can delete a savepoint: the one that took it, or the one that runs its job now.
async fn disposer(ctx: &Context, savepoint: &FlinkSavepoint) -> Result<Option<JobManager>, Error> {
    if let Located::Here(found) = job_manager(ctx, savepoint).await? {
        return Ok(Some(found));
    }
    let Some(named) = &savepoint.spec.job_ref else { return Ok(None) };
    let namespace = savepoint.namespace().unwrap_or_default();
    let jobs: Api<FlinkJobUpgrade> = Api::namespaced(ctx.client.clone(), &namespace);
    let job = within("get FlinkJobUpgrade", jobs.get_opt(&named.name)).await?;
    let Some(job) = job else { return Ok(None) };
    let session = job.spec.flink_cluster.as_ref();
    let Some(revision) = job.status.as_ref().and_then(|s| s.active.as_ref()).map(|active| active.revision) else {
        return Ok(None);
    };
    Ok(match upgrade::of_job(ctx, &namespace, &named.name, session, revision).await? {
        upgrade::Found::Here(found) => Some(found),
        upgrade::Found::NotRunning(_) | upgrade::Found::Removed => None,
    })
}
