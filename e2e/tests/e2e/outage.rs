//! The S3 server is stopped before, during and after a savepoint: what could not be done is said, and done once the
//! server is back.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    job::{Job, Version},
    namespace::Sandbox,
    proxy::{Fault, Proxy, Stoppable},
    s3_server::S3Server,
    session::{Behaviour, Wish},
    wait,
};
use flink_savepoint_operator::api::{FlinkSavepoint, SavepointPhase, condition::types};
use serde_json::{Value, json};

use crate::{
    foreign::{DEADLINE, Foreign, results, under_way},
    store, story,
};

/// What the operator calls a store that is away.
const AWAY: &[&str] = &["ConnectionCut", "Unreachable"];
/// What Flink's failure is called, and the cure.
const FAILED: (&str, &str) = ("StorageFailed", "see that Flink's pods may write to");
/// So long a savepoint takes, for the server to be stopped meanwhile.
const SLOW: Behaviour = Behaviour::SnapshotsTake(Duration::from_secs(2));

/// Flink as it can live with an outage: the job runs on without checkpoints meanwhile, and has one to restart from. By
/// default the S3 client tries for minutes before anything fails.
fn patient() -> BTreeMap<&'static str, String> {
    [
        ("execution.checkpointing.interval", "1s"),
        ("execution.checkpointing.tolerable-failed-checkpoints", "1000"),
        ("s3.attempts.maximum", "1"),
        ("s3.retry.limit", "1"),
        ("s3.retry.interval", "100ms"),
    ]
    .map(|(key, value)| (key, value.to_owned()))
    .into()
}

/// A session cluster and a FlinkSnapshotStore whose S3 server is stopped, at five moments.
pub async fn stopped(sandbox: &Sandbox, version: Version) -> Result<()> {
    let mut server = Stoppable::start(&sandbox.env.s3).await?;
    let mut configuration = patient();
    configuration.insert("s3.endpoint", server.s3.endpoint.clone());
    let foreign = Foreign::new(sandbox, Wish { configuration, ..Wish::of(version) }).await?;
    let holds = Proxy::start(&server.s3, Fault::Hold).await?;
    sandbox.put_store("s3", &holds.endpoint, "s3", json!({})).await?;
    wait::ready(&sandbox.stores(), "s3", story::SOON).await?;
    let job = foreign.job("outage", 1).await?;

    after(&foreign, &job, &mut server, &holds).await.context("stopped after the savepoint")?;
    before(&foreign, &job, &mut server).await.context("stopped before the savepoint")?;
    during(&foreign, &job, &mut server, "during", json!({})).await.context("stopped during the savepoint")?;
    ensure!(foreign.state(&job).await?.as_deref() == Some("RUNNING"), "the job runs on");
    // Flink restarts a job whose stop fails so; the next stop ends it.
    during(&foreign, &job, &mut server, "stop-during", json!({"then": "Stop"})).await.context("during a stop")?;
    ensure!(foreign.state(&job).await?.as_deref() == Some("FINISHED"), "the job was stopped");
    let restored = foreign.cluster.flink.restored(&job).await?;
    ensure!(restored.as_ref().is_some_and(|from| !from.is_savepoint), "it was not restarted: {restored:?}");
    let job = foreign.job("stopped", 1).await?;
    before_a_stop(&foreign, &job, &mut server).await.context("stopped before a stop")?;
    foreign.one_each().await.map(drop)
}

/// Flink has written it, and nobody can look at it: it waits for that, and no other is made.
async fn after(foreign: &Foreign<'_>, job: &str, server: &mut Stoppable, holds: &Proxy) -> Result<()> {
    foreign.take("after", job, json!({})).await?;
    tokio::time::timeout(DEADLINE, holds.holds()).await.context("no _metadata was asked for")??;
    server.stop().await;
    holds.open();
    waits(foreign, "after").await?;
    server.restart().await?;
    let status = foreign.completed("after").await?;
    ensure!(results(&status) == ["Completed"], "{:?}", status.attempts);
    Ok(())
}

/// The savepoint is whole by Flink's word, and waits for its files to be looked at.
async fn waits(foreign: &Foreign<'_>, name: &str) -> Result<()> {
    let waits = |savepoint: &FlinkSavepoint| {
        let status = savepoint.status.clone().unwrap_or_default();
        status.phase == Some(SavepointPhase::Verifying)
            && results(&status) == ["Completed"]
            && reason(savepoint, types::VERIFIED).is_some_and(|reason| AWAY.contains(&reason.as_str()))
            && wait::holds(savepoint, types::RECONCILING)
    };
    wait::on(&foreign.sandbox.savepoints(), name, "waits for the store", DEADLINE, waits).await.map(drop)
}

fn reason(savepoint: &FlinkSavepoint, condition: &str) -> Option<String> {
    wait::condition(savepoint, condition)?.get("reason")?.as_str().map(str::to_owned)
}

/// Of a job that runs on nothing is lost: it is asked for, Flink fails, and a later attempt has it.
async fn before(foreign: &Foreign<'_>, job: &str, server: &mut Stoppable) -> Result<()> {
    server.stop().await;
    foreign.take("before", job, json!({})).await?;
    fails_once(foreign, "before", server).await
}

async fn during(foreign: &Foreign<'_>, job: &str, server: &mut Stoppable, name: &str, spec: Value) -> Result<()> {
    foreign.cluster.behave("outage", SLOW)?;
    foreign.take(name, job, spec).await?;
    under_way(foreign, name).await?;
    server.stop().await;
    foreign.cluster.behave_no_more("outage", SLOW)?;
    fails_once(foreign, name, server).await
}

/// Flink's failure is told, with the cure; then the server is back, and the next attempt has it.
async fn fails_once(foreign: &Foreign<'_>, name: &str, server: &mut Stoppable) -> Result<()> {
    let (reason, cure) = FAILED;
    let failed = foreign.says(name, reason).await?;
    let message = failed.status.and_then(|status| status.message).unwrap_or_default();
    ensure!(message.contains(cure), "{name}: the cure is not named: {message}");
    server.restart().await?;
    let status = foreign.completed(name).await?;
    ensure!(results(&status) == [reason, "Completed"], "{name}: {:?}", status.attempts);
    Ok(())
}

/// A job is not stopped without a place for its state.
async fn before_a_stop(foreign: &Foreign<'_>, job: &str, server: &mut Stoppable) -> Result<()> {
    server.stop().await;
    foreign.take("stop-before", job, json!({"then": "Stop"})).await?;
    let held = |savepoint: &FlinkSavepoint| {
        let message = savepoint.status.as_ref().and_then(|status| status.message.clone()).unwrap_or_default();
        message.starts_with("nothing is sent")
            && reason(savepoint, types::READY).is_some_and(|reason| AWAY.contains(&reason.as_str()))
    };
    let held = wait::on(&foreign.sandbox.savepoints(), "stop-before", "waits", DEADLINE, held).await?;
    ensure!(held.status.is_some_and(|status| status.attempts.is_empty()), "an attempt was made");
    ensure!(foreign.state(job).await?.as_deref() == Some("RUNNING"), "the job was touched");
    server.restart().await?;
    let status = foreign.completed("stop-before").await?;
    ensure!(results(&status) == ["Completed"], "{:?}", status.attempts);
    ensure!(foreign.state(job).await?.as_deref() == Some("FINISHED"), "the job was stopped");
    Ok(())
}

/// The cluster's own S3 server is killed: while a user's savepoint of a managed job is asked for, and when an upgrade's
/// is written and was not looked at. Nothing is restored from it before it was.
pub async fn server_killed(sandbox: &Sandbox, version: Version) -> Result<()> {
    let Some(mut server) = S3Server::of(&sandbox.env.s3)? else {
        eprintln!("the S3 server does not run on this machine: it can't be killed");
        return Ok(());
    };
    sandbox.create_store(store::RIGHT).await?;
    let mut job = Job::counting(&sandbox.env, "orders", version);
    for (key, value) in patient() {
        job = job.set(&format!("/spec/flinkConfiguration/{key}"), json!(value));
    }
    let before = story::started(sandbox, &job).await?;

    server.kill().await?;
    sandbox.take_savepoint("asked-for", "orders", json!({})).await?;
    let (reason_of_flink, cure) = FAILED;
    let failed = |s: &FlinkSavepoint| reason(s, types::READY).as_deref() == Some(reason_of_flink);
    let failed = wait::on(&sandbox.savepoints(), "asked-for", reason_of_flink, DEADLINE, failed).await?;
    let message = failed.status.and_then(|status| status.message).unwrap_or_default();
    ensure!(message.contains(cure), "the cure is not named: {message}");
    server.start().await?;
    let asked_for = wait::ready(&sandbox.savepoints(), "asked-for", DEADLINE).await?.status.context("no status")?;
    ensure!(results(&asked_for) == [reason_of_flink, "Completed"], "{:?}", asked_for.attempts);
    let asked_for = asked_for.location.context("no location")?;

    let holds = Proxy::start(&sandbox.env.s3, Fault::Hold).await?;
    sandbox.put_store(store::RIGHT, &holds.endpoint, store::RIGHT, json!({})).await?;
    // A preflight would read there, too, and the job not be stopped.
    let changed = job.rate(250).set("/spec/upgrade/preflight", json!("Skip"));
    sandbox.apply(&changed).await?;
    tokio::time::timeout(story::UPGRADE, holds.holds()).await.context("no _metadata was asked for")??;
    server.kill().await?;
    holds.open();
    let away = wait::until("the upgrade waits for the store", DEADLINE, async || {
        let mut all = sandbox.savepoints().list(&kube::api::ListParams::default()).await?.items;
        all.retain(|savepoint| {
            reason(savepoint, types::VERIFIED).is_some_and(|reason| AWAY.contains(&reason.as_str()))
        });
        Ok(all.pop().map_or_else(|| wait::Seen::NotYet("none".to_owned()), wait::Seen::Yes))
    });
    let away = away.await?;
    ensure!(wait::holds(&away, types::RECONCILING), "{}", wait::describe(&away));
    let (writers, last) = (sandbox.records("orders")?.jobs(), story::submission(&before)?.job_id);
    ensure!(writers.last() == Some(&last), "{writers:?} have written, the last should be {last}");
    server.start().await?;
    let after = story::upgraded(sandbox, &before, &changed).await?;
    story::handed_over(sandbox, &before, &after).await?;
    story::only_whole_savepoints(sandbox, &[&asked_for, &after.location]).await
}
