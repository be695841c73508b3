//! The operator dies in the middle of an upgrade: the same end, and one savepoint.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    job::{Job, Version},
    namespace::Sandbox,
    operator::Armed,
};
use flink_savepoint_operator::{api::FlinkJobUpgrade, runtime::failpoint};
use serde_json::json;

use crate::{
    copies, high_availability, operator_killed, order, recovery,
    story::{self, Upgraded},
};

/// The trigger id is in the status; nothing was asked of Flink.
pub const INTENT_RECORDED: &str = "savepoint.intent.after";
/// The request for the savepoint went out; its answer is lost.
pub const REQUEST_SENT: &str = "savepoint.trigger.after";
/// Flink has the savepoint; the status does not know.
pub const SAVEPOINT_COMPLETE: &str = "savepoint.complete.before";
/// The old job is stopped, the intent to submit is in the status, and nothing was asked of the new cluster.
pub const SUBMIT_RECORDED: &str = "upgrade.submit.before";
/// The new job runs; the status does not know.
pub const SUBMITTED: &str = "upgrade.submit.after";
/// The stable Service leads to the new revision.
pub const SERVICE_MOVED: &str = "upgrade.point-service.after";

/// The new job was asked for its first checkpoint.
const CHECKPOINT_ASKED: &str = "upgrade.trigger-checkpoint.after";

/// Where it dies, in the order in which an upgrade passes there: before and after what must not be repeated, and after
/// each other effect. In CI other scenarios' upgrades die at some of them.
const POINTS: &[&str] = &[
    "upgrade.status.after",
    "upgrade.store-revision.after",
    "upgrade.create-objects.after",
    "upgrade.preflight.after",
    "upgrade.warm-up.after",
    "upgrade.create-savepoint.after",
    INTENT_RECORDED,
    REQUEST_SENT,
    SAVEPOINT_COMPLETE,
    SUBMIT_RECORDED,
    SUBMITTED,
    CHECKPOINT_ASKED,
    SERVICE_MOVED,
    "upgrade.delete-objects.after",
];

/// Those at which no operator dies on a real cluster. The sweeps over the fakes strike there, and at all others.
const OVER_FAKES_ONLY: &[&str] = &[
    // Of schedules: `tests/schedules`.
    "schedule.status.before",
    "schedule.status.after",
    "schedule.create.before",
    "schedule.create.after",
    // Kept in order: `tests/savepoints` and `tests/upgrades`.
    "savepoint.label.before",
    "savepoint.label.after",
    "savepoint.copy.before",
    "savepoint.dispose.before",
    "upgrade.delete-child.before",
    "upgrade.delete-child.after",
    "upgrade.remove-checkpoints.before",
    "upgrade.remove-checkpoints.after",
    // Only in the way that is not gone by itself.
    "savepoint.lock.before",
    "savepoint.lock.after",
    "savepoint.sweep.before",
    "savepoint.sweep.after",
    "upgrade.delete-savepoint.before",
    "upgrade.delete-savepoint.after",
    "upgrade.cancel.before",
    "upgrade.cancel.after",
    // At a first start and at a deletion.
    "upgrade.add-finalizer.before",
    "upgrade.add-finalizer.after",
    "upgrade.remove-finalizer.before",
    "upgrade.remove-finalizer.after",
    "upgrade.delete-record.before",
    "upgrade.delete-record.after",
    "upgrade.delete-service.before",
    "upgrade.delete-service.after",
    "upgrade.delete-account.before",
    "upgrade.delete-account.after",
    // With `Recreate` only.
    "upgrade.create-without-task-managers.before",
    "upgrade.create-without-task-managers.after",
    "upgrade.scale.before",
    "upgrade.scale.after",
    // What a person did is put back once more.
    "upgrade.heal.before",
    "upgrade.heal.after",
    // Only of a job on a session cluster.
    "upgrade.delete-jars.before",
    "upgrade.delete-jars.after",
    // Nothing was done yet: as if it had died a little earlier.
    "upgrade.status.before",
    "upgrade.store-revision.before",
    "upgrade.create-objects.before",
    "upgrade.delete-objects.before",
    "upgrade.delete-pods.before",
    "upgrade.point-service.before",
    "upgrade.preflight.before",
    "upgrade.warm-up.before",
    "upgrade.create-savepoint.before",
    "upgrade.trigger-checkpoint.before",
    "upgrade.delete-ha-config-maps.before",
    "upgrade.remove-ha-storage.before",
];

/// One job, upgraded once for each point.
pub async fn at_every_effect(sandbox: &Sandbox, version: Version) -> Result<()> {
    // Checkpoints of its own would make those that the operator asks for needless.
    let job = Job::counting(&sandbox.env, "orders", version)
        .set("/spec/flinkConfiguration/execution.checkpointing.interval", json!("10min"))
        .set("/spec/revisionHistoryLimit", json!(2 * POINTS.len()));
    let mut before = story::started(sandbox, &job).await?;
    let mut locations: Vec<String> = Vec::new();
    let mut rate = 200;
    // Flink 2.3 takes a checkpoint as soon as all tasks run, so that the operator need not ask for one.
    let needless = |point: &&&str| version == Version::V2_3 && **point == CHECKPOINT_ASKED;
    for point in POINTS.iter().filter(|point| !needless(point)) {
        rate += 10;
        let after = survived(sandbox, &before, &job.clone().rate(rate), point).await?;
        locations.push(after.location);
        let expected: Vec<&str> = locations.iter().map(String::as_str).collect();
        story::only_savepoints(sandbox, &expected).await.context(*point)?;
        before = after.job;
    }
    Ok(())
}

/// An upgrade in the middle of which the operator dies at a failpoint: the same end as without.
pub async fn survived(sandbox: &Sandbox, before: &FlinkJobUpgrade, changed: &Job, point: &str) -> Result<Upgraded> {
    upgraded(sandbox, before, changed, point).await.with_context(|| format!("the operator dies at {point}"))
}

async fn upgraded(sandbox: &Sandbox, before: &FlinkJobUpgrade, changed: &Job, point: &str) -> Result<Upgraded> {
    let armed = sandbox.operator.arm(point, &sandbox.namespace).await?;
    sandbox.apply(changed).await?;
    armed.fired(story::UPGRADE).await?;
    let after = story::upgraded(sandbox, before, changed).await?;
    story::handed_over(sandbox, before, &after).await?;
    // Two submits would be two jobs on one state.
    let jobs = story::flink(sandbox, &after.job).await?.jobs().await?;
    let running: Vec<_> = jobs.iter().filter(|(_, state)| state != "FINISHED").collect();
    ensure!(running.len() == 1, "{jobs:?}");
    Ok(after)
}

/// Makes the operator die at a failpoint, with the full matrix.
pub async fn arm_in_full<'a>(sandbox: &'a Sandbox, point: &str) -> Result<Option<Armed<'a>>> {
    if !sandbox.env.full {
        return Ok(None);
    }
    sandbox.operator.arm(point, &sandbox.namespace).await.map(Some)
}

/// Waits until it has died there, and is back.
pub async fn fired(armed: Option<Armed<'_>>) -> Result<()> {
    match armed {
        Some(armed) => armed.fired(story::UPGRADE).await,
        None => Ok(()),
    }
}

/// With the full matrix the operator dies at every failpoint but those that are named here.
#[test]
fn every_failpoint_is_struck_or_known() {
    let ha = [high_availability::CONFIG_MAPS_DELETED, high_availability::STORAGE_REMOVED];
    let others = [recovery::PODS_TOLD, copies::JOB_CREATED, order::FILES_GONE].into_iter().chain(ha);
    let struck: Vec<&str> = POINTS.iter().copied().chain(others).chain(operator_killed::points()).collect();
    for name in failpoint::NAMES {
        let known = OVER_FAKES_ONLY.contains(name);
        assert!(struck.contains(name) != known, "{name}: struck {}, known not to be {known}", struck.contains(name));
    }
    let unknown: Vec<_> =
        struck.iter().chain(OVER_FAKES_ONLY).filter(|name| !failpoint::NAMES.contains(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
