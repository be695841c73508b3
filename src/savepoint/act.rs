//! Carries out one effect of a FlinkSavepoint's plan.

use kube::api::PostParams;
use kube::{Api, ResourceExt};

use super::plan::{Effect, Observed};
use crate::api::FlinkJobUpgrade;
use crate::flink;
use crate::reconcile::{Error, must_lead, within};
use crate::runtime::Context;

/// What an effect came to.
#[derive(Debug)]
pub enum Outcome {
    /// It is done, or under way.
    Done,
    /// Flink refused it, in its own words.
    Refused(String),
}

/// Carries out an effect.
///
/// # Errors
/// Whatever the Kubernetes API or Flink answered; the next pass looks again before anything is repeated.
pub async fn act(ctx: &Context, o: &Observed, effect: Effect) -> Result<Outcome, Error> {
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
    let flink = ctx.flink.client(&job_manager.url);
    let sent = match &effect {
        Effect::Trigger(job, request) => flink.trigger_savepoint(job, request).await,
        Effect::Stop(job, request) => flink.stop(job, request).await,
        Effect::TakeLock(_) => Ok(()),
    };
    match sent {
        Ok(()) => Ok(Outcome::Done),
        Err(flink::Error::Refused { status, cause, .. }) if (400..500).contains(&status) => {
            Ok(Outcome::Refused(cause.to_string()))
        }
        Err(e) => Err(e.into()),
    }
}

fn namespace(o: &Observed) -> String {
    o.savepoint.namespace().unwrap_or_default()
}

fn job_name(o: &Observed) -> &str {
    o.savepoint.spec.job_ref.as_ref().map_or("", |r| r.name.as_str())
}
