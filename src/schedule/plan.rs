//! What follows from what was observed of a FlinkSavepointSchedule; no client, no clock.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;

use super::keep;
use super::slots::{Search, Slots};
use crate::api::condition::{self, Conditions, Reason, types};
use crate::api::{
    ConcurrencyPolicy, DeletionPolicy, FINALIZER, FlinkJobUpgrade, FlinkSavepoint, FlinkSavepointSchedule,
    FlinkSavepointScheduleStatus, FlinkSavepointSpec, JobPhase, ObjectRef, SavepointPhase, UpgradeStep, annotations,
};
use crate::cron::{self, Schedule};
use crate::naming;
use crate::reconcile::{Next, SETTLED, unknown_values};
use crate::savepoint::current::is_settled;
use crate::time;

/// Between two savepoints that are deleted.
const FORGOTTEN: Duration = Duration::from_secs(1);
/// Clocks of two machines may differ by so much.
const AHEAD: TimeDelta = TimeDelta::minutes(5);
/// Until somebody has helped; what was mended may be known a moment later.
pub const HELP: Duration = Duration::from_secs(30);

/// What was seen of a schedule and its savepoints.
#[derive(Debug, Clone)]
pub struct Observed {
    /// What time it was.
    pub now: DateTime<Utc>,
    /// The schedule.
    pub schedule: FlinkSavepointSchedule,
    /// Fields that are set and that this version does not act upon.
    pub unknown: Vec<String>,
    /// The savepoints that carry its name in their labels.
    pub savepoints: Vec<FlinkSavepoint>,
    /// The FlinkJobUpgrade that its `jobRef` names, if there is one.
    pub job: Option<FlinkJobUpgrade>,
}

/// What to do once the status is written.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Create a slot's savepoint, unless there is one of its name.
    Create(Box<FlinkSavepoint>),
    /// Delete a savepoint that failed, or that no rule keeps, of this name and UID.
    Forget(String, Option<String>),
    /// Say on a savepoint under way which slot takes its place.
    Supersede(String, String),
}

/// The outcome of a pass.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The status as it shall be.
    pub status: FlinkSavepointScheduleStatus,
    /// What to do once it is written.
    pub effect: Option<Effect>,
    /// When to look again.
    pub next: Next,
    /// What came of slots in this pass, for an Event.
    pub told: Option<(Reason, String)>,
}

/// Plans the next step.
#[must_use]
pub fn plan(o: &Observed) -> Plan {
    let status = o.schedule.status.clone().unwrap_or_default();
    let mut plan = Plan { status, effect: None, next: Next::After(SETTLED), told: None };
    plan.status.observed_generation = o.schedule.metadata.generation;
    if o.schedule.metadata.deletion_timestamp.is_some() {
        return plan;
    }
    if !o.unknown.is_empty() {
        stalled(o, &mut plan.status, Reason::NotImplemented, &unknown_values(&o.unknown));
        return plan;
    }
    let spec = &o.schedule.spec;
    let schedule = match Schedule::parse(&spec.schedule, spec.time_zone.as_deref()) {
        Ok(schedule) => schedule,
        Err(error) => {
            stalled(o, &mut plan.status, Reason::InvalidSpec, &unreadable(o, &error));
            plan.status.next_schedule_time = None;
            return plan;
        }
    };
    follow(o, &mut plan.status);
    if let Some(trouble) = keep::trouble(o) {
        stalled(o, &mut plan.status, Reason::InvalidSpec, &trouble);
        return plan;
    }
    let expired = keep::expired(o, &mut plan.status);
    run_now(o, &mut plan.status);
    if let Some(effect) = intended(o, &plan.status) {
        // What kept it from being made stays told until it is.
        if o.schedule.status.as_ref().is_none_or(|before| before.active != plan.status.active) {
            told(o, &mut plan.status, None);
        }
        return Plan { effect: Some(effect), next: Next::Again, ..plan };
    }
    if !rests(o, &mut plan) {
        slots(o, &schedule, &mut plan);
    }
    // A slot never waits for what goes.
    if plan.effect.is_none() && plan.next != Next::Again {
        plan.effect = too_many_failures(o).or(expired);
        if plan.effect.is_some() {
            plan.next = plan.next.or_sooner(Next::After(FORGOTTEN));
        }
    }
    plan
}

/// Whether no slot starts, and why.
fn rests(o: &Observed, plan: &mut Plan) -> bool {
    if let Some(harmful) = harmful(o) {
        plan.status.next_schedule_time = None;
        let message =
            format!("{harmful} made its job restart: no slot starts; find out why, then delete that FlinkSavepoint");
        stalled(o, &mut plan.status, Reason::SnapshotHarmsJob, &message);
        plan.next = Next::After(HELP);
        return true;
    }
    if o.schedule.spec.suspend == Some(true) {
        plan.status.next_schedule_time = None;
        let mut conditions = Conditions::new(&mut plan.status.conditions, o.schedule.metadata.generation, o.now);
        conditions.ready(Reason::Suspended, "spec.suspend is true: no slot starts");
        return true;
    }
    false
}

/// What the slots are at now.
fn slots(o: &Observed, schedule: &Schedule, plan: &mut Plan) {
    let spec = &o.schedule.spec;
    let search = Search {
        schedule,
        since: since(o, &plan.status),
        deadline: spec.starting_deadline_seconds.and_then(|s| u64::try_from(s).ok()).map(Duration::from_secs),
        offset: jitter(o),
    };
    let slots = search.at(o.now);
    plan.status.next_schedule_time = slots.next.map(time::to_k8s);
    act(o, &slots, plan);
    if search.since > o.now + AHEAD {
        let message = format!(
            "status.lastScheduleTime is {}, which is still to come: the clock was ahead once, and no slot starts until \
             then; if that is not meant, create the schedule anew: its savepoints stay",
            shown(search.since)
        );
        stalled(o, &mut plan.status, Reason::ClockWentBack, &message);
    }
}

/// What to tell once Kubernetes has refused an effect, and the status: no slot can start while a savepoint can't be made.
#[must_use]
pub fn refused(
    o: &Observed,
    live: &FlinkSavepointSchedule,
    effect: &Effect,
    why: &str,
) -> (String, FlinkSavepointScheduleStatus) {
    let mut draft = live.status.clone().unwrap_or_default();
    let note = match effect {
        Effect::Create(savepoint) => {
            let (name, again) = (savepoint.name_any(), HELP.as_secs());
            let cure = format!("correct spec.savepointTemplate, or what refuses it; it is tried again every {again} s");
            let note = format!("FlinkSavepoint {name} can't be created: {why}; {cure}");
            stalled(o, &mut draft, Reason::SavepointBlocked, &note);
            note
        }
        Effect::Forget(name, _) => {
            format!("FlinkSavepoint {name}, which no rule keeps, can't be deleted: {why}; correct what refuses it")
        }
        Effect::Supersede(name, _) => {
            format!("FlinkSavepoint {name} can't be superseded: {why}; correct what refuses it")
        }
    };
    (note, draft)
}

/// The newest slot that has come: it starts, waits, or is skipped.
fn act(o: &Observed, slots: &Slots, plan: &mut Plan) {
    let to_next = slots.next.and_then(|next| (next - o.now).to_std().ok()).unwrap_or(SETTLED);
    plan.next = Next::After(to_next.min(SETTLED));
    let Some((slot, in_time)) = slots.newest else {
        told(o, &mut plan.status, None);
        return;
    };
    let waits = !plan.status.active.is_empty() && policy(o) != ConcurrencyPolicy::Allow;
    if in_time && waits {
        told(o, &mut plan.status, Some(slot));
        plan.effect = superseded(o, &plan.status, slot);
        return;
    }
    let skipped = if in_time { unfit(o) } else { Some(too_late(o)) };
    let missed = plan.status.missed.unwrap_or_default();
    let passed = i64::try_from(slots.passed).unwrap_or(i64::MAX) + i64::from(skipped.is_some());
    plan.status.missed = (missed + passed > 0).then_some(missed + passed);
    plan.status.last_schedule_time = Some(time::to_k8s(slot));
    match skipped {
        Some((reason, why)) => plan.told = Some((reason, format!("slot {}: skipped: {why}", shown(slot)))),
        None => plan.status.active.push(ObjectRef { name: naming::slot_name(&o.schedule.name_any(), slot), uid: None }),
    }
    told(o, &mut plan.status, None);
    plan.next = Next::Again;
}

/// Why the job can't give a savepoint now that would mean something.
fn unfit(o: &Observed) -> Option<(Reason, String)> {
    // Of a foreign cluster's job nothing is known before.
    let name = &o.schedule.spec.savepoint_template.spec.job_ref.as_ref()?.name;
    let Some(job) = &o.job else {
        return Some((Reason::JobNotFound, format!("there is no FlinkJobUpgrade {name}")));
    };
    let status = job.status.as_ref();
    if job.metadata.deletion_timestamp.is_some() {
        return Some((Reason::Deleting, format!("FlinkJobUpgrade {name} is being deleted")));
    }
    let beside = |step: UpgradeStep| step == UpgradeStep::Promotion;
    if status.and_then(|s| s.upgrade.as_ref()).is_some_and(|upgrade| !beside(upgrade.step)) {
        return Some((Reason::Upgrading, format!("FlinkJobUpgrade {name} is being upgraded")));
    }
    let phase = status.and_then(|s| s.phase);
    match phase {
        Some(JobPhase::Suspended | JobPhase::Suspending) => {
            Some((Reason::Suspended, format!("FlinkJobUpgrade {name} is suspended")))
        }
        Some(JobPhase::Failed) => Some((Reason::JobFailed, format!("the job of FlinkJobUpgrade {name} does not run"))),
        Some(JobPhase::Finished) => Some((Reason::Finished, format!("the job of FlinkJobUpgrade {name} has ended"))),
        Some(JobPhase::Recovering) => Some((Reason::Recovering, format!("FlinkJobUpgrade {name} is being recovered"))),
        _ if status.is_none_or(|s| s.active.is_none()) => {
            Some((Reason::Starting, format!("FlinkJobUpgrade {name} has no running job yet")))
        }
        _ => None,
    }
}

fn too_late(o: &Observed) -> (Reason, String) {
    let deadline = o.schedule.spec.starting_deadline_seconds.unwrap_or_default();
    (Reason::SlotMissed, format!("spec.startingDeadlineSeconds ({deadline}) is over"))
}

/// What goes on, and when a savepoint was last complete.
fn follow(o: &Observed, draft: &mut FlinkSavepointScheduleStatus) {
    let of = |name: &str| o.savepoints.iter().find(|savepoint| savepoint.name_any() == name);
    // One that was made and is gone has come to its end somehow.
    draft.active.retain(|child| of(&child.name).map_or(child.uid.is_none(), |savepoint| !is_settled(savepoint)));
    for child in &mut draft.active {
        child.uid = of(&child.name).and_then(ResourceExt::uid);
    }
    // Somebody may have restored the schedule without its status: what it made is known by its label.
    for savepoint in o.savepoints.iter().filter(|savepoint| !is_settled(savepoint)) {
        let name = savepoint.name_any();
        if !draft.active.iter().any(|child| child.name == name) {
            draft.active.push(ObjectRef { name, uid: savepoint.uid() });
        }
    }
    let completed = o.savepoints.iter().filter(|savepoint| phase(savepoint) == Some(SavepointPhase::Completed));
    let newest = completed.filter_map(|savepoint| savepoint.status.as_ref()?.completion_time.clone()).max();
    draft.last_successful_time = newest.max(draft.last_successful_time.take());
}

/// A savepoint that the status names and that is not there: the intent is recorded, the object is not made.
fn intended(o: &Observed, draft: &FlinkSavepointScheduleStatus) -> Option<Effect> {
    let child = draft.active.iter().find(|child| child.uid.is_none())?;
    Some(Effect::Create(Box::new(savepoint(o, &child.name))))
}

/// Flink can't abort a savepoint: with `Replace` the one under way is told that its result is not wanted any more.
fn superseded(o: &Observed, draft: &FlinkSavepointScheduleStatus, slot: DateTime<Utc>) -> Option<Effect> {
    if policy(o) != ConcurrencyPolicy::Replace {
        return None;
    }
    let slot = naming::slot_name(&o.schedule.name_any(), slot);
    let untold = |child: &&ObjectRef| {
        let found = o.savepoints.iter().find(|savepoint| savepoint.name_any() == child.name);
        // What a person has asked for is no slot's.
        let of_a_slot = !naming::is_run_now(&o.schedule.name_any(), &child.name);
        of_a_slot && found.is_some_and(|found| !found.annotations().contains_key(annotations::SUPERSEDED_BY))
    };
    draft.active.iter().find(untold).map(|child| Effect::Supersede(child.name.clone(), slot))
}

/// A person has asked for one at once: the intent, by an id that is acted upon once.
fn run_now(o: &Observed, draft: &mut FlinkSavepointScheduleStatus) {
    let Some(id) = o.schedule.annotations().get(annotations::RUN_NOW).map(|id| id.trim().to_owned()) else { return };
    if id.is_empty() || draft.run_now_id.as_ref() == Some(&id) {
        return;
    }
    let name = naming::run_now_name(&o.schedule.name_any(), &id);
    draft.run_now_id = Some(id);
    // It was asked for before the status was lost.
    if !o.savepoints.iter().any(|savepoint| savepoint.name_any() == name) {
        draft.active.push(ObjectRef { name, uid: None });
    }
}

/// Those that failed are kept for who looks for the cause, the newest so many.
fn too_many_failures(o: &Observed) -> Option<Effect> {
    let failed =
        |savepoint: &&FlinkSavepoint| phase(savepoint) == Some(SavepointPhase::Failed) && !has_harmed(savepoint);
    let mut failed: Vec<&FlinkSavepoint> = o.savepoints.iter().filter(failed).collect();
    failed.retain(|savepoint| savepoint.metadata.deletion_timestamp.is_none());
    failed.sort_by_key(|savepoint| (savepoint.creation_timestamp(), savepoint.name_any()));
    let kept = usize::try_from(o.schedule.spec.failed_history_limit.unwrap_or(1)).unwrap_or_default();
    let beyond = failed.len().checked_sub(kept + 1)?;
    failed.get(..=beyond)?.first().map(|savepoint| Effect::Forget(savepoint.name_any(), savepoint.uid()))
}

/// The savepoint that did its job harm, until somebody deletes it: the next one would do the same.
fn harmful(o: &Observed) -> Option<String> {
    o.savepoints.iter().find(|savepoint| has_harmed(savepoint)).map(ResourceExt::name_any)
}

fn has_harmed(savepoint: &FlinkSavepoint) -> bool {
    let conditions = savepoint.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let harms = |ready: &Condition| ready.reason == Reason::SnapshotHarmsJob.as_str();
    condition::find(conditions, types::READY).is_some_and(harms)
}

/// A slot's savepoint. It has no owner reference: it outlives the schedule.
fn savepoint(o: &Observed, name: &str) -> FlinkSavepoint {
    let template = o.schedule.spec.savepoint_template.clone();
    let mut spec = FlinkSavepointSpec::from(template.spec);
    // What the retention drops is gone.
    let dropped = o.schedule.spec.retention.is_some().then_some(DeletionPolicy::Delete);
    spec.deletion_policy = spec.deletion_policy.or(dropped);
    let mut savepoint = FlinkSavepoint::new(name, spec);
    savepoint.metadata.namespace.clone_from(&o.schedule.metadata.namespace);
    let metadata = template.metadata.unwrap_or_default();
    let mut labels = metadata.labels;
    labels.extend(naming::schedule_labels(&o.schedule.name_any()));
    savepoint.metadata.labels = Some(labels);
    savepoint.metadata.annotations = Some(metadata.annotations).filter(|annotations| !annotations.is_empty());
    savepoint.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    savepoint
}

fn phase(savepoint: &FlinkSavepoint) -> Option<SavepointPhase> {
    savepoint.status.as_ref().and_then(|status| status.phase)
}

fn policy(o: &Observed) -> ConcurrencyPolicy {
    o.schedule.spec.concurrency_policy.unwrap_or(ConcurrencyPolicy::Forbid)
}

/// The newest slot that was acted upon, or when the schedule came to be.
fn since(o: &Observed, draft: &FlinkSavepointScheduleStatus) -> DateTime<Utc> {
    let from = draft.last_schedule_time.as_ref().or(o.schedule.metadata.creation_timestamp.as_ref());
    from.map_or(o.now, time::from_k8s)
}

/// By how much the slots of this schedule start after their time: always the same.
fn jitter(o: &Observed) -> Duration {
    let within = u64::try_from(o.schedule.spec.jitter_seconds.unwrap_or_default()).unwrap_or_default();
    let (namespace, name) = (o.schedule.namespace().unwrap_or_default(), o.schedule.name_any());
    Duration::from_secs(naming::spread(&[&namespace, &name], within + 1))
}

/// What can't be read, with field, value and cure.
fn unreadable(o: &Observed, error: &cron::Error) -> String {
    let spec = &o.schedule.spec;
    match error {
        cron::Error::Expression(_) => {
            format!("spec.schedule: {:?} {error}; give five fields such as '0 3 * * 1-5'", spec.schedule)
        }
        cron::Error::Never => {
            format!("spec.schedule: {:?} {error}; give a day that its month has", spec.schedule)
        }
        cron::Error::TimeZone => {
            let zone = spec.time_zone.as_deref().unwrap_or_default();
            format!("spec.timeZone: {zone:?} {error}; give a name such as Europe/Berlin, or leave it out for UTC")
        }
    }
}

fn shown(slot: DateTime<Utc>) -> String {
    slot.format("%Y-%m-%dT%H:%MZ").to_string()
}

fn stalled(o: &Observed, draft: &mut FlinkSavepointScheduleStatus, reason: Reason, message: &str) {
    Conditions::new(&mut draft.conditions, o.schedule.metadata.generation, o.now).stalled(reason, message);
}

/// Why a savepoint under way does not go on before somebody helps, in its own words.
fn kept_up(o: &Observed, name: &str) -> Option<(String, String)> {
    let savepoint = o.savepoints.iter().find(|savepoint| savepoint.name_any() == name && !is_settled(savepoint))?;
    let stalled = condition::find(&savepoint.status.as_ref()?.conditions, types::STALLED)?;
    (stalled.status == "True").then(|| (name.to_owned(), stalled.message.clone()))
}

/// How it stands. `waits`: the slot that waits for the savepoint of an earlier one.
fn told(o: &Observed, draft: &mut FlinkSavepointScheduleStatus, waits: Option<DateTime<Utc>>) {
    let active = draft.active.first().map(|child| child.name.clone());
    if let Some((name, why)) = draft.active.iter().find_map(|child| kept_up(o, &child.name)) {
        let message = format!("{name} does not go on: {why}");
        Conditions::new(&mut draft.conditions, o.schedule.metadata.generation, o.now)
            .stalled(Reason::SavepointBlocked, &message);
        return;
    }
    let message = match (waits, active) {
        (Some(slot), Some(active)) => {
            format!("slot {} waits until {active} is settled: concurrencyPolicy is {}", shown(slot), policy(o))
        }
        (_, Some(active)) => format!("{active} is under way"),
        (_, None) => "it waits for the next slot".to_owned(),
    };
    Conditions::new(&mut draft.conditions, o.schedule.metadata.generation, o.now).ready(Reason::Scheduled, message);
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
