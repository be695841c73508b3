//! Carries out one effect of a FlinkSavepoint's plan.

use kube::api::PostParams;
use kube::{Api, ResourceExt};

use super::observed::Observed;
use super::plan::Effect;
use crate::api::{FlinkJobUpgrade, FlinkSavepoint};
use crate::flink::{self, Cause};
use crate::reconcile::{Error, must_lead, set_finalizer, within};
use crate::runtime::Context;
use crate::store::check::{self, Serving};

/// What an effect came to.
#[derive(Debug)]
pub enum Outcome {
    /// It is done, or under way.
    Done,
    /// Flink refused it, in its own words.
    Refused(Cause),
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
        Effect::Sweep(files) => return sweep(ctx, o, files).await.map(|()| Outcome::Done),
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
    let sent = match &effect {
        Effect::Trigger(job, request) => flink.trigger_savepoint(job, request).await,
        Effect::Stop(job, request) => flink.stop(job, request).await,
        Effect::Cancel(job) => match flink.cancel(job).await {
            // It ended meanwhile, or is being cancelled: the next pass sees which.
            Err(flink::Error::Refused { .. } | flink::Error::JobNotFound { .. }) => Ok(()),
            cancelled => cancelled,
        },
        Effect::TakeLock(_) | Effect::AddFinalizer | Effect::RemoveFinalizer | Effect::Sweep(_) => Ok(()),
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

fn namespace(o: &Observed) -> String {
    o.savepoint.namespace().unwrap_or_default()
}

fn job_name(o: &Observed) -> &str {
    o.savepoint.spec.job_ref.as_ref().map_or("", |r| r.name.as_str())
}
