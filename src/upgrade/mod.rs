//! The FlinkJobUpgrade controller: a job, and how it moves from revision to revision.

mod act;
mod child;
mod deletion;
mod finish;
pub mod jobmanager;
mod observe;
mod observed;
mod plan;
mod status;
mod strategy;
pub mod workload;

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{PartialObjectMeta, PostParams};
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Api, Resource, ResourceExt};

use self::act::Outcome;
use self::observed::Observed;
use self::plan::Effect;
use crate::api::{FlinkJobUpgrade, FlinkJobUpgradeStatus, FlinkSavepoint, UpgradeResult};
use crate::naming;
use crate::runtime::failpoint;
use crate::runtime::reconcile::{Error, Next, within};
use crate::runtime::shutdown::Shutdown;
use crate::runtime::Context;

const KIND: &str = "FlinkJobUpgrade";
/// A reconcile gives way to others after this many passes.
const PASSES: usize = 16;
/// Reconciles at once; each is mostly waiting.
const CONCURRENCY: u16 = 32;

/// Runs the controller until the process is asked to stop.
///
/// # Errors
/// None: what fails is retried, object by object.
pub async fn run(ctx: Context, stop: Shutdown) -> Result<(), std::convert::Infallible> {
    let jobs: Api<FlinkJobUpgrade> = ctx.watched();
    let savepoints: Api<FlinkSavepoint> = ctx.watched();
    let pods: Api<PartialObjectMeta<Pod>> = ctx.watched();
    let ours = watcher::Config::default().labels(naming::MANAGED_SELECTOR).page_size(100);
    let pending = ctx.readiness.wait_for(KIND);
    let controller = Controller::new(jobs, watcher::Config::default().page_size(100))
        .with_config(Config::default().concurrency(CONCURRENCY))
        .watches(savepoints, watcher::Config::default().page_size(100), |s: FlinkSavepoint| job_of_savepoint(&s))
        .watches(pods, ours, |p: PartialObjectMeta<Pod>| job_of_pod(&p))
        .graceful_shutdown_on(async move { stop.requested().await });
    let store = controller.store();
    let ready = async move {
        if store.wait_until_ready().await.is_ok() {
            pending.done();
        }
        futures::future::pending::<()>().await;
    };
    let work = controller.run(reconcile, |_, e, ctx| on_error(e, &ctx), Arc::new(ctx)).for_each(|_| async {});
    tokio::select! {
        () = work => {}
        () = ready => {}
    }
    Ok(())
}

fn job_of_savepoint(savepoint: &FlinkSavepoint) -> Option<ObjectRef<FlinkJobUpgrade>> {
    let namespace = savepoint.namespace()?;
    Some(ObjectRef::new(&savepoint.spec.job_ref.as_ref()?.name).within(&namespace))
}

fn job_of_pod(pod: &PartialObjectMeta<Pod>) -> Option<ObjectRef<FlinkJobUpgrade>> {
    Some(ObjectRef::new(pod.labels().get(naming::LABEL_JOB)?).within(&pod.namespace()?))
}

#[derive(Debug, thiserror::Error)]
#[error("{source}")]
struct Failed {
    uid: String,
    source: Error,
}

fn on_error(failed: &Failed, ctx: &Context) -> Action {
    let reason = failed.source.reason();
    if failed.source.is_conflict() {
        return Action::requeue(Duration::from_millis(20));
    }
    ctx.metrics.reconcile_failed(KIND, reason);
    Action::requeue(ctx.backoff.failed(&failed.uid, tokio::time::Instant::now()))
}

async fn reconcile(object: Arc<FlinkJobUpgrade>, ctx: Arc<Context>) -> Result<Action, Failed> {
    let started = tokio::time::Instant::now();
    let uid = object.uid().unwrap_or_default();
    let outcome = passes(&object, &ctx).await;
    ctx.metrics.reconciled(KIND, started.elapsed());
    match outcome {
        Ok(next) => {
            ctx.backoff.succeeded(&uid);
            Ok(Action::requeue(next))
        }
        Err(source) => {
            if !source.is_conflict() {
                tracing::warn!(job = %key(&object), reason = source.reason(), error = %source, "the pass ended early");
            }
            Err(Failed { uid, source })
        }
    }
}

/// `<namespace>/<name>`.
fn key(object: &FlinkJobUpgrade) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

/// Passes until there is something to wait for.
async fn passes(object: &FlinkJobUpgrade, ctx: &Context) -> Result<Duration, Error> {
    let api: Api<FlinkJobUpgrade> = Api::namespaced(ctx.client.clone(), &object.namespace().unwrap_or_default());
    for _ in 0..PASSES {
        // Live, never from the cache: what is decided may not be undone.
        let Some(live) = within("get FlinkJobUpgrade", api.get_opt(&object.name_any())).await? else {
            return Ok(plan::AT_REST);
        };
        let observed = observe::observe(ctx, live, Utc::now()).await?;
        match pass(ctx, &api, observed).await? {
            Next::Again => {}
            Next::After(duration) => return Ok(duration),
        }
    }
    Ok(Duration::from_millis(10))
}

async fn pass(ctx: &Context, api: &Api<FlinkJobUpgrade>, observed: Observed) -> Result<Next, Error> {
    let key = key(&observed.upgrade);
    let plan = plan::plan(&observed);
    let changed = observed.upgrade.status.as_ref() != Some(&plan.status);
    let mut live = observed.upgrade.clone();
    if changed {
        failpoint::hit("upgrade.status.before", &key);
        live = write_status(api, live, plan.status).await?;
        failpoint::hit("upgrade.status.after", &key);
        tell(ctx, &observed.upgrade, &live);
    }
    let Some(effect) = plan.effect else { return Ok(plan.next) };
    let name = effect.name();
    tracing::info!(job = %key, effect = name, "acting");
    let observed = Observed { upgrade: live, ..observed };
    failpoint::hit(Effect::failpoint_before(name), &key);
    let outcome = act::act(ctx, &observed, effect).await?;
    failpoint::hit(Effect::failpoint_after(name), &key);
    if let Outcome::Refused(cause) = outcome {
        let mut status = observed.upgrade.status.clone().unwrap_or_default();
        plan::refused(&observed, &mut status, &cause);
        let before = observed.upgrade.clone();
        let live = write_status(api, observed.upgrade, status).await?;
        tell(ctx, &before, &live);
        return Ok(Next::Again);
    }
    Ok(plan.next)
}

/// Compare-and-swap: the resourceVersion that was read goes with it.
async fn write_status(
    api: &Api<FlinkJobUpgrade>,
    mut object: FlinkJobUpgrade,
    status: FlinkJobUpgradeStatus,
) -> Result<FlinkJobUpgrade, Error> {
    object.status = Some(status);
    object.metadata.managed_fields = None;
    let name = object.name_any();
    within("replace FlinkJobUpgrade status", api.replace_status(&name, &PostParams::default(), &object)).await
}

/// Events and metrics of what a status write has recorded.
fn tell(ctx: &Context, before: &FlinkJobUpgrade, after: &FlinkJobUpgrade) {
    let (old, new) = (before.status.clone().unwrap_or_default(), after.status.clone().unwrap_or_default());
    let about = after.object_ref(&());
    let step = |s: &FlinkJobUpgradeStatus| s.upgrade.as_ref().map(|u| (u.to, u.step));
    if let (Some((to, now)), true) = (step(&new), step(&new) != step(&old)) {
        let message = new.upgrade.as_ref().and_then(|u| u.message.clone()).unwrap_or_default();
        tracing::info!(job = %key(after), revision = to, step = %now, message, "step");
        ctx.events.normal(about.clone(), now.as_str(), "Upgrade", &format!("revision {to}: {message}"));
    }
    let ended = new.history.first().filter(|entry| old.history.first().map(|e| &e.id) != Some(&entry.id));
    if let Some(entry) = ended {
        let downtime = entry.downtime_seconds.and_then(|s| Duration::try_from_secs_f64(s).ok());
        ctx.metrics.upgrade_ended(entry.result.as_str(), downtime);
        let message = entry.message.clone().unwrap_or_default();
        let result = entry.result.as_str();
        tracing::info!(job = %key(after), revision = entry.to, result, message, "upgrade ended");
        let note = match entry.downtime_seconds {
            Some(seconds) => format!("revision {}: {result}, downtime {seconds:.2} s {message}", entry.to),
            None => format!("revision {}: {result} {message}", entry.to),
        };
        if entry.result == UpgradeResult::Succeeded {
            ctx.events.normal(about, result, "Upgrade", note.trim_end());
        } else {
            ctx.events.warning(about, result, "Upgrade", note.trim_end());
        }
    }
}
