//! The FlinkSavepointSchedule controller: a CronJob for savepoints.
//!
//! A slot's savepoint is named after the slot, in UTC, so a slot has at most one whoever looks, and how often; and the
//! newest slot that was acted upon is in the status before its savepoint is made, so a clock that goes back, or a savepoint
//! that was deleted, brings no slot again.

mod keep;
mod plan;
mod retention;
mod slots;

use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource, ResourceExt as _};

use self::plan::{Effect, Observed};
use crate::api::condition::Reason;
use crate::api::{FlinkJobUpgrade, FlinkSavepoint, FlinkSavepointSchedule, annotations, coverage, labels};
use crate::context::Context;
use crate::naming;
use crate::reconcile::{Error, Next, Reconciler, within, write_status};
use crate::runtime::failpoint;
use crate::savepoint::current;

/// The controller.
#[derive(Debug, Clone, Copy)]
pub struct Schedules;

impl Reconciler for Schedules {
    type Object = FlinkSavepointSchedule;

    const KIND: &'static str = "FlinkSavepointSchedule";

    async fn pass(
        ctx: &Context,
        api: &Api<FlinkSavepointSchedule>,
        live: FlinkSavepointSchedule,
    ) -> Result<Next, Error> {
        let observed = observe(ctx, live).await?;
        let plan = plan::plan(&observed);
        let key = format!("{}/{}", observed.schedule.namespace().unwrap_or_default(), observed.schedule.name_any());
        let mut live = observed.schedule.clone();
        if live.status.as_ref() != Some(&plan.status) {
            failpoint::hit("schedule.status.before", &key);
            live = write_status(api, FlinkSavepointSchedule { status: Some(plan.status), ..live }).await?;
            failpoint::hit("schedule.status.after", &key);
        }
        if let Some((reason, note)) = &plan.told {
            tracing::warn!(schedule = %key, reason = reason.as_str(), note, "slot");
            ctx.events.warning(observed.schedule.object_ref(&()), reason.as_str(), "Schedule", note);
        }
        let Some(effect) = plan.effect else { return Ok(plan.next) };
        let Err(error) = act(ctx, &observed, &key, &effect).await else { return Ok(plan.next) };
        let Some(why) = error.refusal() else { return Err(error) };
        // No other slot waits for that but those of which the savepoint could not be made, either.
        let (note, status) = plan::refused(&observed, &live, &effect, &why);
        tracing::warn!(schedule = %key, note, "refused");
        ctx.events.warning(observed.schedule.object_ref(&()), Reason::SavepointBlocked.as_str(), "Schedule", &note);
        if live.status.as_ref() != Some(&status) {
            write_status(api, FlinkSavepointSchedule { status: Some(status), ..live }).await?;
        }
        Ok(match plan.next {
            Next::Again => Next::After(plan::HELP),
            Next::After(wait) => Next::After(wait.min(plan::HELP)),
        })
    }
}

/// The schedule that a savepoint was made by.
#[must_use]
pub fn of_savepoint(savepoint: &FlinkSavepoint) -> Option<ObjectRef<FlinkSavepointSchedule>> {
    Some(ObjectRef::new(savepoint.labels().get(labels::SCHEDULE)?).within(&savepoint.namespace()?))
}

async fn observe(ctx: &Context, schedule: FlinkSavepointSchedule) -> Result<Observed, Error> {
    let namespace = schedule.namespace().unwrap_or_default();
    let spec = serde_json::to_value(&schedule.spec).unwrap_or_default();
    let unknown = coverage::unknown("FlinkSavepointSchedule", &spec);
    let made = ListParams::default().labels(&format!("{}={}", labels::SCHEDULE, schedule.name_any()));
    let is_its = |savepoint: &FlinkSavepoint| savepoint.labels().get(labels::SCHEDULE) == Some(&schedule.name_any());
    let active = schedule.status.iter().flat_map(|s| &s.active).map(|child| child.name.clone());
    let savepoints = current::savepoints(ctx, &namespace, &made, active, is_its).await?;
    let job = match &schedule.spec.savepoint_template.spec.job_ref {
        Some(job) => {
            let jobs: Api<FlinkJobUpgrade> = Api::namespaced(ctx.client.clone(), &namespace);
            within("get FlinkJobUpgrade", jobs.get_opt(&job.name)).await?
        }
        None => None,
    };
    Ok(Observed { now: ctx.clock.now(), schedule, unknown, savepoints, job })
}

async fn act(ctx: &Context, o: &Observed, key: &str, effect: &Effect) -> Result<(), Error> {
    let savepoints: Api<FlinkSavepoint> =
        Api::namespaced(ctx.client.clone(), &o.schedule.namespace().unwrap_or_default());
    match effect {
        Effect::Create(savepoint) => {
            let name = savepoint.name_any();
            failpoint::hit("schedule.create.before", key);
            match within("create FlinkSavepoint", savepoints.create(&PostParams::default(), savepoint)).await {
                Err(error) if error.is_taken() => adopt(&savepoints, &o.schedule, &name).await?,
                created => drop(created?),
            }
            failpoint::hit("schedule.create.after", key);
            tracing::info!(schedule = key, savepoint = name, "slot");
            ctx.events.normal(o.schedule.object_ref(&()), "Scheduled", "Schedule", &format!("FlinkSavepoint {name}"));
        }
        Effect::Supersede(name, slot) => {
            let found = within("get FlinkSavepoint", savepoints.get_opt(name)).await?;
            let Some(found) = found else { return Ok(()) };
            let patch = serde_json::json!({"metadata": {
                "resourceVersion": found.resource_version(), "uid": found.uid(),
                "annotations": {annotations::SUPERSEDED_BY: slot},
            }});
            let parameters = PatchParams::default();
            within("patch FlinkSavepoint", savepoints.patch_metadata(name, &parameters, &Patch::Merge(patch))).await?;
        }
        Effect::Forget(name, uid) => {
            let preconditions = Some(Preconditions { uid: uid.clone(), resource_version: None });
            let parameters = DeleteParams { preconditions, ..DeleteParams::default() };
            match within("delete FlinkSavepoint", savepoints.delete(name, &parameters)).await {
                // What is known of it is a moment old.
                Err(error) if error.is_not_found() => {}
                deleted => drop(deleted?),
            }
        }
    }
    Ok(())
}

/// There is one of the slot's name already: it must be of this schedule.
async fn adopt(savepoints: &Api<FlinkSavepoint>, schedule: &FlinkSavepointSchedule, name: &str) -> Result<(), Error> {
    let found = within("get FlinkSavepoint", savepoints.get_opt(name)).await?;
    let ours = naming::schedule_labels(&schedule.name_any());
    match found {
        Some(found) if ours.iter().any(|(key, value)| found.labels().get(key) != Some(value)) => {
            Err(Error::Foreign { kind: "FlinkSavepoint", name: name.to_owned() })
        }
        _ => Ok(()),
    }
}
