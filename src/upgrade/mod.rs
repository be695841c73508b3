//! The FlinkJobUpgrade controller: a job, and how it moves from revision to revision.

mod account;
mod act;
pub mod changes;
mod child;
mod children;
mod claims;
mod deletion;
mod drift;
mod effect;
mod ended;
mod fence;
mod finish;
mod foreign;
mod fork;
mod heal;
mod high_availability;
mod jar;
pub mod jobmanager;
mod objects;
mod observe;
mod observed;
mod plan;
mod preflight;
mod progress;
mod recoverable;
pub mod refusals;
mod scope;
mod session;
mod snapshots;
mod state_source;
mod status;
mod strategy;
mod suspend;
#[cfg(test)]
mod tests;
mod windows;
pub mod workload;

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource, ResourceExt};

use self::act::Outcome;
use self::observed::Observed;
use crate::api::condition::{self, Reason, types};
use crate::api::{FlinkJobUpgrade, FlinkJobUpgradeStatus, FlinkSavepoint, UpgradeResult, labels};
use crate::context::Context;
use crate::reconcile::{Error, Next, Reconciler, SETTLED, write_status};
use crate::runtime::failpoint;

/// The controller.
#[derive(Debug, Clone, Copy)]
pub struct Upgrades;

impl Reconciler for Upgrades {
    type Object = FlinkJobUpgrade;

    const KIND: &'static str = "FlinkJobUpgrade";

    async fn pass(ctx: &Context, api: &Api<FlinkJobUpgrade>, live: FlinkJobUpgrade) -> Result<Next, Error> {
        let about = live.object_ref(&());
        if live.status.as_ref().is_some_and(status::has_unknown_values) {
            let note = "its status was written by a newer operator: nothing is done with it; run that one again";
            ctx.events.warning(about, Reason::UnknownStatus.as_str(), "Reconcile", note);
            return Ok(Next::After(SETTLED));
        }
        let observed = Box::pin(observe::observe(ctx, live)).await.inspect_err(|error| {
            // The status is not written: who wrote the record may have written there, too.
            if let Error::Record { message, .. } = error {
                ctx.events.warning(about, Reason::RevisionRecordUnreadable.as_str(), "Reconcile", message);
            }
        })?;
        Box::pin(pass(ctx, api, observed)).await
    }
}

/// The job that a savepoint is of.
#[must_use]
pub fn job_of_savepoint(savepoint: &FlinkSavepoint) -> Option<ObjectRef<FlinkJobUpgrade>> {
    let namespace = savepoint.namespace()?;
    Some(ObjectRef::new(&savepoint.spec.job_ref.as_ref()?.name).within(&namespace))
}

/// The job that a pod runs for.
#[must_use]
pub fn job_of_pod(pod: &PartialObjectMeta<Pod>) -> Option<ObjectRef<FlinkJobUpgrade>> {
    Some(ObjectRef::new(pod.labels().get(labels::JOB)?).within(&pod.namespace()?))
}

/// `<namespace>/<name>`.
fn key(object: &FlinkJobUpgrade) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

async fn pass(ctx: &Context, api: &Api<FlinkJobUpgrade>, observed: Observed) -> Result<Next, Error> {
    let key = key(&observed.upgrade);
    let plan = plan::plan(&observed);
    let changed = observed.upgrade.status.as_ref() != Some(&plan.status);
    let mut live = observed.upgrade.clone();
    if changed {
        failpoint::hit("upgrade.status.before", &key);
        live = write_status(api, FlinkJobUpgrade { status: Some(plan.status), ..live }).await?;
        failpoint::hit("upgrade.status.after", &key);
        tell(ctx, &observed.upgrade, &live);
    }
    let Some(effect) = plan.effect else { return Ok(plan.next) };
    let name = effect.name();
    tracing::info!(job = %key, effect = name, "acting");
    let observed = Observed { upgrade: live, ..observed };
    let (before, after) = effect.failpoints();
    failpoint::hit(before, &key);
    let outcome = act::act(ctx, &observed, effect).await?;
    failpoint::hit(after, &key);
    let mut status = observed.upgrade.status.clone().unwrap_or_default();
    let mut next = Next::Again;
    match outcome {
        Outcome::Done => return Ok(plan.next),
        Outcome::Refused(cause) => plan::refused(&observed, &mut status, &cause),
        Outcome::Said(said) => preflight::answered(&observed, &mut status, said),
        Outcome::Disposing(name) => {
            // It ends, or gives way: then the next pass goes on.
            let message = format!("{name}, which the job is to start from, is being deleted");
            status::reconciling(&observed, &mut status, Reason::Disposing, &message);
            next = Next::After(plan::SLOW);
        }
    }
    let before = observed.upgrade.clone();
    if before.status.as_ref() == Some(&status) {
        return Ok(next);
    }
    let live = write_status(api, FlinkJobUpgrade { status: Some(status), ..observed.upgrade }).await?;
    tell(ctx, &before, &live);
    Ok(next)
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
    let forks = |s: &FlinkJobUpgradeStatus| s.upgrade.as_ref().is_some_and(strategy::blue_green::applies);
    if forks(&new) && !forks(&old) && !workload::tells_sides_apart(&after.spec) {
        let note = strategy::blue_green::SIDES;
        ctx.events.warning(about.clone(), Reason::SidesNotApart.as_str(), "Upgrade", note);
    }
    let stalled = |s: &FlinkJobUpgradeStatus| condition::find(&s.conditions, types::STALLED).cloned();
    if let Some(now) = stalled(&new).filter(|now| stalled(&old).is_none_or(|was| was.message != now.message)) {
        tracing::warn!(job = %key(after), reason = now.reason, message = now.message, "stalled");
        ctx.events.warning(about.clone(), &now.reason, "Reconcile", &now.message);
    }
    for type_ in [types::DRIFTED, types::FOREIGN_JOBS] {
        if let Some(now) =
            condition::find(&new.conditions, type_).filter(|_| !condition::is_true(&old.conditions, type_))
        {
            ctx.events.warning(about.clone(), &now.reason, "Reconcile", &now.message);
        }
    }
    if let Some(healed) = new.healed.as_ref().filter(|healed| old.healed.as_ref() != Some(healed)) {
        let note = format!("{}: it is put back as the revision was made", healed.what);
        tracing::warn!(job = %key(after), what = healed.what, "somebody has changed objects: they are put back");
        ctx.events.warning(about.clone(), Reason::Healed.as_str(), "Heal", &note);
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
        if matches!(entry.result, UpgradeResult::Succeeded | UpgradeResult::Suspended) {
            ctx.events.normal(about, result, "Upgrade", note.trim_end());
        } else {
            ctx.events.warning(about, result, "Upgrade", note.trim_end());
        }
    }
}
