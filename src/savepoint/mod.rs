//! The FlinkSavepoint controller: a savepoint that is taken exactly once.

mod act;
mod annotations;
mod attempt;
pub mod copy;
pub mod current;
mod deletion;
mod dispose;
mod follow;
mod format;
pub mod job;
mod lineage;
mod observe;
mod observed;
mod overdue;
mod plan;
mod room;
mod settle;
mod start;
mod status;
#[cfg(test)]
mod testing;
mod verify;
mod world;

use std::sync::Arc;

use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource, ResourceExt};

use self::act::Outcome;
use self::observed::Observed;
use self::plan::Effect;
use crate::api::{FlinkJobUpgrade, FlinkSavepoint, FlinkSnapshotStore, SavepointPhase};
use crate::context::Context;
use crate::holds::{self, ownership};
use crate::reconcile::{Error, Next, Reconciler, SETTLED, within, write_status};
use crate::runtime::failpoint;
use crate::store::check::By;
use crate::time;

/// The controller.
#[derive(Debug, Clone, Copy)]
pub struct Savepoints;

impl Reconciler for Savepoints {
    type Object = FlinkSavepoint;

    const KIND: &'static str = "FlinkSavepoint";

    async fn pass(ctx: &Context, api: &Api<FlinkSavepoint>, live: FlinkSavepoint) -> Result<Next, Error> {
        // Of a foreign cluster's job only one savepoint is begun at a time, and nothing there holds a lock.
        let turn = match &live.spec.flink_cluster {
            Some(cluster) if begins(&live) => {
                let place = format!("{}/{}", live.namespace().unwrap_or_default(), cluster.service);
                Some(ctx.turns.take(&place).await)
            }
            _ => None,
        };
        // Read again: while it waited for its turn it may have changed.
        let live = match &turn {
            Some(_) => match within("get", api.get_opt(&live.name_any())).await? {
                Some(live) => live,
                None => return Ok(Next::After(SETTLED)),
            },
            None => live,
        };
        let observed = Box::pin(observe::observe(ctx, live)).await?;
        Box::pin(pass(ctx, api, observed)).await
    }
}

/// The next thing that it does may be a request of its own.
fn begins(savepoint: &FlinkSavepoint) -> bool {
    let status = savepoint.status.as_ref();
    let settled = status.and_then(|s| s.phase).is_some_and(SavepointPhase::is_terminal);
    let open = status.and_then(|s| s.attempts.last()).is_some_and(|a| a.result.is_none());
    !settled && !open && status.and_then(|s| s.location.as_ref()).is_none()
}

/// The job's savepoints are looked at when the job changes: its lock may be free, its operation may name one of them.
#[must_use]
fn named_by(job: &FlinkJobUpgrade) -> Option<ObjectRef<FlinkSavepoint>> {
    let operation = job.status.as_ref()?.operation.as_ref()?;
    Some(ObjectRef::new(&operation.savepoint.as_ref()?.name).within(&job.namespace()?))
}

/// The savepoints that a changed job concerns: the one that its operation names, and those whose owner or whose need of
/// them that changes.
pub fn concerned_by<S: AsRef<FlinkSavepoint>>(
    job: &FlinkJobUpgrade,
    known: impl IntoIterator<Item = S>,
) -> Vec<ObjectRef<FlinkSavepoint>> {
    let changes = |savepoint: &FlinkSavepoint| {
        let status = savepoint.status.as_ref();
        status.is_some_and(|s| s.phase == Some(SavepointPhase::Completed))
            && (ownership::of(savepoint, [job]) != status.and_then(|s| s.ownership) || !holds::agree(job, savepoint))
    };
    let restored = known.into_iter().filter(|savepoint| changes(savepoint.as_ref()));
    named_by(job).into_iter().chain(restored.map(|savepoint| ObjectRef::from_obj(savepoint.as_ref()))).collect()
}

/// The other savepoints that may be held now because one has changed, or may be held no more.
#[must_use]
pub fn siblings(savepoint: &FlinkSavepoint, known: Vec<Arc<FlinkSavepoint>>) -> Vec<ObjectRef<FlinkSavepoint>> {
    holds::outdated(savepoint, known).iter().map(|other| ObjectRef::from_obj(&**other)).collect()
}

/// The savepoints whose files are still to be looked at, as a store has come or changed.
pub fn waiting_for(
    store: &FlinkSnapshotStore,
    known: Vec<Arc<FlinkSavepoint>>,
) -> impl Iterator<Item = ObjectRef<FlinkSavepoint>> + use<> {
    let namespace = store.namespace();
    let waits = move |savepoint: &Arc<FlinkSavepoint>| {
        let phase = savepoint.status.as_ref().and_then(|s| s.phase);
        savepoint.namespace() == namespace && phase == Some(SavepointPhase::Verifying)
    };
    known.into_iter().filter(waits).map(|savepoint| ObjectRef::from_obj(savepoint.as_ref()))
}

/// The stores by which a savepoint's places are looked at. Both are the savepoint's own.
fn by(savepoint: &FlinkSavepoint) -> By<'_> {
    By {
        namespace: savepoint.metadata.namespace.as_deref().unwrap_or_default(),
        named: savepoint.spec.store_ref.as_ref().map(|r| r.name.as_str()),
    }
}

async fn pass(ctx: &Context, api: &Api<FlinkSavepoint>, observed: Observed) -> Result<Next, Error> {
    let key = format!("{}/{}", observed.savepoint.namespace().unwrap_or_default(), observed.savepoint.name_any());
    let plan = plan::plan(&observed);
    leave_room(ctx, &observed, &plan);
    let mut live = observed.savepoint.clone();
    if live.status.clone().unwrap_or_default() != plan.status {
        let before = live.status.as_ref().and_then(|s| s.phase);
        let (at, done) = failpoint_of(before, plan.status.phase);
        failpoint::hit(at, &key);
        live = write_status(api, FlinkSavepoint { status: Some(plan.status), ..live }).await?;
        failpoint::hit(done, &key);
        tell(ctx, before, &live);
    }
    let Some(effect) = plan.effect else { return Ok(plan.next) };
    let (before, after) = effect.failpoints();
    tracing::info!(savepoint = %key, effect = effect.name(), "acting");
    let observed = Observed { savepoint: live, ..observed };
    if effect == Effect::RemoveFinalizer {
        tell_end(ctx, &observed);
    }
    failpoint::hit(before, &key);
    let outcome = act::act(ctx, &observed, effect).await?;
    failpoint::hit(after, &key);
    let before = observed.savepoint.status.as_ref().and_then(|s| s.phase);
    let (status, next) = match outcome {
        Outcome::Done => match dispose::removed(&observed) {
            Some(status) => (status, plan.next),
            None => return Ok(plan.next),
        },
        Outcome::Refused(cause) => (plan::refused(&observed, &cause), plan.next),
        Outcome::Asked(request) => (dispose::asked(&observed, request), plan.next),
        Outcome::InVain(why) => dispose::failed(&observed, &why),
        Outcome::NoCopy(why) => copy::in_vain(&observed, &why),
    };
    let live = write_status(api, FlinkSavepoint { status: Some(status), ..observed.savepoint }).await?;
    tell(ctx, before, &live);
    Ok(next)
}

/// What a resource that goes leaves behind, and what became of its files.
fn tell_end(ctx: &Context, o: &Observed) {
    let about = || o.savepoint.object_ref(&());
    let name = o.savepoint.name_any();
    if let Some(left) = deletion::left_behind(&o.savepoint) {
        ctx.events.warning(about(), "LeftBehind", "Savepoint", &left);
    }
    if let Some(left) = copy::left_behind(o).filter(|_| o.savepoint.metadata.deletion_timestamp.is_some()) {
        tracing::warn!(savepoint = name, left, "left behind");
        ctx.events.warning(about(), "LeftBehind", "Savepoint", &left);
    }
    match dispose::outcome(o).filter(|_| o.savepoint.metadata.deletion_timestamp.is_some()) {
        Some((true, note)) => {
            tracing::info!(savepoint = name, note, "disposed");
            ctx.events.normal(about(), "Disposed", "Savepoint", &note);
        }
        Some((false, note)) => {
            tracing::warn!(savepoint = name, note, "left behind");
            ctx.events.warning(about(), "LeftBehind", "Savepoint", &note);
        }
        None => {}
    }
}

/// What has not begun, and what is over, is not at its store.
fn leave_room(ctx: &Context, o: &Observed, plan: &plan::Plan) {
    let uid = o.savepoint.uid().unwrap_or_default();
    let writes = plan.status.attempts.last().is_some_and(|attempt| attempt.result.is_none());
    if plan.status.phase.is_some_and(SavepointPhase::is_terminal) || o.savepoint.metadata.deletion_timestamp.is_some() {
        ctx.room.forget(&uid);
    } else if !writes && plan.effect.is_none() {
        ctx.room.leave(&uid);
    }
}

/// The intent and the end are the writes that a crash must not blur.
fn failpoint_of(before: Option<SavepointPhase>, after: Option<SavepointPhase>) -> (&'static str, &'static str) {
    match after {
        Some(SavepointPhase::Triggering) if before != after => ("savepoint.intent.before", "savepoint.intent.after"),
        Some(SavepointPhase::Completed) => ("savepoint.complete.before", "savepoint.complete.after"),
        _ => ("savepoint.status.before", "savepoint.status.after"),
    }
}

fn tell(ctx: &Context, before: Option<SavepointPhase>, after: &FlinkSavepoint) {
    let status = after.status.clone().unwrap_or_default();
    let Some(phase) = status.phase.filter(|p| before != Some(*p)) else { return };
    let message = status.message.clone().unwrap_or_default();
    let name = after.name_any();
    tracing::info!(savepoint = name, namespace = after.namespace(), phase = %phase, message, "savepoint");
    if phase == SavepointPhase::Disposing && !status.holds.is_empty() {
        let note = format!("deleted by force, though it is needed: {}", holds::listed(&status.holds));
        ctx.events.warning(after.object_ref(&()), "ForcedDeletion", "Savepoint", &note);
    }
    let ended = [SavepointPhase::Completed, SavepointPhase::Superseded, SavepointPhase::Failed];
    if !ended.contains(&phase) || before.is_some_and(SavepointPhase::is_terminal) {
        return;
    }
    let took = status.start_time.as_ref().zip(status.completion_time.as_ref());
    let took = took.and_then(|(a, b)| (time::from_k8s(b) - time::from_k8s(a)).to_std().ok());
    ctx.metrics.savepoint_ended(phase.as_str(), after.spec.then().as_str(), took);
    let about = after.object_ref(&());
    if phase == SavepointPhase::Completed {
        ctx.events.normal(about, phase.as_str(), "Savepoint", &message);
    } else {
        ctx.events.warning(about, phase.as_str(), "Savepoint", &message);
    }
}
