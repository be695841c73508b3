//! Two operators act at once, by mistake: one savepoint of each FlinkSavepoint all the same, and no record lost or doubled.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    job::{Job, Version},
    namespace::Sandbox,
    operator::Operator,
    session::Wish,
};
use futures::future;
use serde_json::json;

use crate::{
    foreign::{Foreign, results},
    story,
};

/// Savepoints of one job that are asked for at once.
const AT_ONCE: usize = 10;

/// Ten savepoints of a session job, one that stops it, and the upgrade of a managed job.
pub async fn by_mistake(sandbox: &Sandbox, version: Version) -> Result<()> {
    let both = sandbox.with_second_operator(async |second| {
        savepoints(sandbox, version).await?;
        upgrade(sandbox, version).await?;
        acts(second).await
    });
    Box::pin(both).await
}

async fn savepoints(sandbox: &Sandbox, version: Version) -> Result<()> {
    let history = ("web.checkpoints.history", "100".to_owned());
    let foreign = Foreign::new(sandbox, Wish { configuration: [history].into(), ..Wish::of(version) }).await?;
    let job = foreign.job("clicks", 1).await?;
    let names: Vec<String> = (0..AT_ONCE).map(|number| format!("at-once-{number}")).collect();
    future::try_join_all(names.iter().map(|name| foreign.take(name, &job, json!({})))).await?;
    let mut locations = Vec::new();
    for name in &names {
        let status = foreign.completed(name).await?;
        ensure!(results(&status) == ["Completed"], "{name}: {:?}", status.attempts);
        locations.extend(status.location);
    }
    foreign.take("stop", &job, json!({"then": "Stop"})).await?;
    let status = foreign.completed("stop").await?;
    ensure!(results(&status) == ["Completed"], "{:?}", status.attempts);
    ensure!(foreign.state(&job).await?.as_deref() == Some("FINISHED"), "the job was stopped");
    locations.extend(status.location);
    foreign.history_has(&job, &locations).await?;
    foreign.one_each().await.map(drop)
}

async fn upgrade(sandbox: &Sandbox, version: Version) -> Result<()> {
    let job = Job::counting(&sandbox.env, "orders", version);
    let before = story::started(sandbox, &job).await?;
    let after = story::upgraded(sandbox, &before, &job.rate(250)).await?;
    story::handed_over(sandbox, &before, &after).await?;
    story::only_savepoints(sandbox, &[&after.location]).await
}

/// No bystander: it leads, and has looked at what there is in this namespace.
async fn acts(operator: &Operator) -> Result<()> {
    let metrics = operator.metrics().await?;
    let of = |line: &str| Some(metrics.lines().find_map(|l| l.strip_prefix(line))?.trim().parse::<f64>());
    for line in [
        "flink_savepoint_operator_leader",
        "flink_savepoint_operator_reconciles_total{kind=\"FlinkSavepoint\"}",
        "flink_savepoint_operator_reconciles_total{kind=\"FlinkJobUpgrade\"}",
    ] {
        let value = of(line).with_context(|| format!("no {line} in {metrics}"))??;
        ensure!(value > 0.0, "{line} is {value}");
    }
    let ended = metrics.lines().filter(|line| line.starts_with("flink_savepoint_operator_savepoints_total"));
    eprintln!("the second operator has seen these to their end: {:#?}", ended.collect::<Vec<_>>());
    Ok(())
}
