//! Carries out one effect of a FlinkSavepoint's plan.

use k8s_openapi::api::batch::v1::Job;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};

use super::copy;
use super::observed::Observed;
use super::plan::Effect;
use crate::api::{FlinkJobUpgrade, FlinkSavepoint};
use crate::context::Context;
use crate::flink::{self, Cause};
use crate::naming;
use crate::reconcile::{Error, must_lead, set_finalizer, within};
use crate::store::check::{self, Serving};

/// Files of a snapshot that one pass removes.
const DISPOSED_AT_ONCE: usize = 5000;

/// What an effect came to.
#[derive(Debug)]
pub enum Outcome {
    /// It is done, or under way.
    Done,
    /// Flink refused it, in its own words.
    Refused(Cause),
    /// A JobManager deletes the snapshot's files, under this id.
    Asked(String),
    /// Files could not be removed: why.
    InVain(String),
    /// The Job of a copy could not be created or deleted, or what was copied not be removed: why.
    NoCopy(String),
}

/// Carries out an effect.
///
/// # Errors
/// Whatever the Kubernetes API or Flink answered; the next pass looks again before anything is repeated.
pub async fn act(ctx: &Context, o: &Observed, effect: Effect) -> Result<Outcome, Error> {
    let own: Api<FlinkSavepoint> = Api::namespaced(ctx.client.clone(), &namespace(o));
    match &effect {
        Effect::AddFinalizer => {
            return set_finalizer(&own, &o.savepoint, true).await.map(|()| Outcome::Done);
        }
        Effect::RemoveFinalizer => {
            return set_finalizer(&own, &o.savepoint, false).await.map(|()| Outcome::Done);
        }
        Effect::CreateCopyJob(copy) => {
            let jobs: Api<Job> = Api::namespaced(ctx.client.clone(), &namespace(o));
            return match within("create Job", jobs.create(&PostParams::default(), &copy::job::render(copy))).await {
                // Its name has a hash of the UID: it is this one's.
                Err(error) if error.is_taken() => Ok(Outcome::Done),
                Err(error) => match error.refusal() {
                    Some(why) => Ok(Outcome::NoCopy(why)),
                    None => Err(error),
                },
                Ok(_) => Ok(Outcome::Done),
            };
        }
        Effect::DeleteCopyJob => {
            let jobs: Api<Job> = Api::namespaced(ctx.client.clone(), &namespace(o));
            let name = naming::copy_job_name(&o.savepoint.name_any(), &o.savepoint.uid().unwrap_or_default());
            // It is gone only when its pods are: what they write is removed after them.
            return match within("delete Job", jobs.delete(&name, &DeleteParams::foreground())).await {
                Err(error) if error.is_not_found() => Ok(Outcome::Done),
                Err(error) => match error.refusal() {
                    Some(why) => Ok(Outcome::NoCopy(why)),
                    None => Err(error),
                },
                Ok(_) => Ok(Outcome::Done),
            };
        }
        Effect::RemoveCopy => {
            let place = o.savepoint.status.as_ref().and_then(|s| s.copy.as_ref()).map(|copy| copy.to.clone());
            return Ok(match remove(ctx, o, &place.unwrap_or_default()).await? {
                Outcome::InVain(why) => Outcome::NoCopy(why),
                other => other,
            });
        }
        Effect::Label(labels) => {
            let metadata = &o.savepoint.metadata;
            let patch = serde_json::json!({"metadata": {
                "resourceVersion": metadata.resource_version, "uid": metadata.uid, "labels": labels,
            }});
            let (name, patch) = (o.savepoint.name_any(), Patch::Merge(patch));
            within("patch labels", own.patch_metadata(&name, &PatchParams::default(), &patch)).await?;
            return Ok(Outcome::Done);
        }
        Effect::Sweep(files) => return sweep(ctx, o, files).await.map(|()| Outcome::Done),
        Effect::Dispose => return remove(ctx, o, location(o)).await,
        _ => {}
    }
    if let Effect::TakeLock(operation) = effect {
        let jobs: Api<FlinkJobUpgrade> = Api::namespaced(ctx.client.clone(), &namespace(o));
        let name = job_name(o);
        let mut job = within("get FlinkJobUpgrade", jobs.get(name)).await?;
        let status = job.status.get_or_insert_default();
        if status.operation.is_none() {
            status.operation = Some(operation);
            // Compare-and-swap: who comes second gets a conflict and looks again.
            within("replace FlinkJobUpgrade status", jobs.replace_status(name, &PostParams::default(), &job)).await?;
        }
        return Ok(Outcome::Done);
    }
    let Some(job_manager) = &o.job_manager else { return Ok(Outcome::Done) };
    must_lead(ctx)?;
    let flink = job_manager.client(ctx);
    if effect == Effect::DisposeByFlink {
        return Ok(match flink.dispose_savepoint(location(o)).await {
            Ok(request) => Outcome::Asked(request),
            Err(error) => Outcome::InVain(error.to_string()),
        });
    }
    let sent = match &effect {
        Effect::Trigger(job, request) => flink.trigger_savepoint(job, request).await,
        Effect::Stop(job, request) => flink.stop(job, request).await,
        Effect::Cancel(job) => match flink.cancel(job).await {
            // It ended meanwhile, or is being cancelled: the next pass sees which.
            Err(flink::Error::Refused { .. } | flink::Error::JobNotFound { .. }) => Ok(()),
            cancelled => cancelled,
        },
        Effect::TakeLock(_)
        | Effect::AddFinalizer
        | Effect::RemoveFinalizer
        | Effect::Sweep(_)
        | Effect::Dispose
        | Effect::Label(_)
        | Effect::CreateCopyJob(_)
        | Effect::DeleteCopyJob
        | Effect::RemoveCopy
        | Effect::DisposeByFlink => Ok(()),
    };
    match sent {
        Ok(()) => Ok(Outcome::Done),
        Err(flink::Error::Refused { status, cause, .. }) if (400..500).contains(&status) => Ok(Outcome::Refused(cause)),
        Err(e) => Err(e.into()),
    }
}

/// Removes what attempts that came to nothing have left.
async fn sweep(ctx: &Context, o: &Observed, files: &[(String, Vec<String>)]) -> Result<(), Error> {
    must_lead(ctx)?;
    for (directory, files) in files {
        let Serving::By(store) = check::store_of(ctx, super::by(&o.savepoint), directory).await? else { continue };
        tracing::info!(directory, files = files.len(), "removing what a failed attempt has left");
        if let Err(error) = store.remove(files).await {
            // Looked for again with the next pass of the settled resource.
            tracing::warn!(directory, %error, "what a failed attempt has left can't be removed");
        }
    }
    Ok(())
}

/// Removes files of a snapshot, `_metadata` first: what is left of it can't be taken for a whole one.
async fn remove(ctx: &Context, o: &Observed, location: &str) -> Result<Outcome, Error> {
    must_lead(ctx)?;
    let store = match check::store_of(ctx, super::by(&o.savepoint), location).await? {
        Serving::By(store) => store,
        Serving::Nobody(why) => return Ok(Outcome::InVain(why)),
        Serving::Refused(failure) => return Ok(Outcome::InVain(failure.message)),
    };
    Ok(match store.dispose(location, DISPOSED_AT_ONCE).await {
        Ok(_) => Outcome::Done,
        Err(error) => Outcome::InVain(error.to_string()),
    })
}

fn location(o: &Observed) -> &str {
    o.savepoint.status.as_ref().and_then(|s| s.location.as_deref()).unwrap_or_default()
}

fn namespace(o: &Observed) -> String {
    o.savepoint.namespace().unwrap_or_default()
}

fn job_name(o: &Observed) -> &str {
    o.savepoint.spec.job_ref.as_ref().map_or("", |r| r.name.as_str())
}
