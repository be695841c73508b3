//! Why Kubernetes makes no pods of a revision's objects: a quota, Pod Security, an admission webhook. Nothing of that is
//! seen in pods, as there are none.

use chrono::{DateTime, TimeDelta, Utc};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};

use super::act::api;
use super::observed::Observed;
use super::strategy::prewarm;
use crate::api::UpgradeStep;
use crate::context::Context;
use crate::naming;
use crate::reconcile::{Error, within};
use crate::time;

/// Pods that are missing for less have only not been made yet.
const PATIENCE: TimeDelta = TimeDelta::seconds(2);

/// Adds why a revision that starts has no pods, where it should have some. It is only for people: what can't be found out
/// is not said.
pub async fn add(ctx: &Context, o: &mut Observed) {
    let Some(upgrade) = o.upgrade.status.as_ref().and_then(|s| s.upgrade.as_ref()) else { return };
    if upgrade.step != UpgradeStep::Starting || o.now - prewarm::step_since(o, upgrade) < PATIENCE {
        return;
    }
    let number = upgrade.to;
    let Some(rendered) = o.record(number).map(|record| &record.rendered) else { return };
    let pods = o.revisions.get(&number).map(|revision| revision.pods.as_slice()).unwrap_or_default();
    let task_managers = pods.iter().filter(|pod| !pod.job_manager).count();
    let wanted = rendered.deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or_default();
    let name = o.upgrade.name_any();
    let refusal = if !pods.iter().any(|pod| pod.job_manager) {
        of_stateful_set(ctx, o, &naming::job_manager_name(&name, number)).await
    } else if task_managers < usize::try_from(wanted).unwrap_or_default() {
        of_deployment(ctx, o, &naming::task_manager_name(&name, number)).await
    } else {
        return;
    };
    let refusal = refusal.unwrap_or_else(|e| {
        tracing::debug!(revision = number, error = %e, "why there are no pods is not known");
        None
    });
    if let Some(revision) = o.revisions.get_mut(&number) {
        revision.refusal = refusal;
    }
}

/// Only Events tell of a StatefulSet's failures.
async fn of_stateful_set(ctx: &Context, o: &Observed, name: &str) -> Result<Option<String>, Error> {
    let found = within("get StatefulSet", api::<StatefulSet>(ctx, o).get_metadata_opt(name)).await?;
    let Some(uid) = found.and_then(|set| set.uid()) else { return Ok(None) };
    let note = failed_create(ctx, &o.upgrade.namespace().unwrap_or_default(), &uid).await?;
    Ok(note.map(|note| format!("StatefulSet {name}: FailedCreate: {note}")))
}

/// Why the controller of an object could make no pod, by its newest Event that says so.
///
/// # Errors
/// If Kubernetes can't be asked.
pub async fn failed_create(ctx: &Context, namespace: &str, uid: &str) -> Result<Option<String>, Error> {
    let failed = ListParams::default().match_any().fields(&format!("regarding.uid={uid},reason=FailedCreate"));
    let events: Api<Event> = Api::namespaced(ctx.client.clone(), namespace);
    let events = within("list Events", events.list(&failed)).await?.items;
    Ok(events.into_iter().max_by_key(told).and_then(|event| event.note))
}

/// When an Event was told last.
fn told(event: &Event) -> Option<DateTime<Utc>> {
    let precise = event.series.as_ref().map(|series| &series.last_observed_time).or(event.event_time.as_ref());
    precise.map(time::from_k8s).or_else(|| event.deprecated_last_timestamp.as_ref().map(time::from_k8s))
}

/// A Deployment has a condition.
async fn of_deployment(ctx: &Context, o: &Observed, name: &str) -> Result<Option<String>, Error> {
    let found = within("get Deployment", api::<Deployment>(ctx, o).get_opt(name)).await?;
    let conditions = found.and_then(|deployment| deployment.status?.conditions).unwrap_or_default();
    let failure = conditions.into_iter().find(|c| c.type_ == "ReplicaFailure" && c.status == "True");
    Ok(failure
        .map(|c| format!("Deployment {name}: {}: {}", c.reason.unwrap_or_default(), c.message.unwrap_or_default())))
}
