//! The operator dies in the middle of an upgrade: the same end, and one savepoint.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    job::{Job, Version},
    namespace::Sandbox,
};
use flink_savepoint_operator::api::FlinkJobUpgrade;

use crate::story::{self, Upgraded};

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

/// Where it dies, in the order in which an upgrade passes there. In CI other scenarios' upgrades die at all of them but
/// one; the planner's own tests die everywhere.
const POINTS: &[&str] = &[INTENT_RECORDED, REQUEST_SENT, SAVEPOINT_COMPLETE, SUBMIT_RECORDED, SUBMITTED];

/// One job, upgraded once for each point.
pub async fn at_every_effect(sandbox: &Sandbox, version: Version) -> Result<()> {
    let job = Job::counting(&sandbox.env, "orders", version);
    let mut before = story::started(sandbox, &job).await?;
    let mut locations: Vec<String> = Vec::new();
    let mut rate = 200;
    for point in POINTS {
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
