//! A job is suspended, goes on from what it left, and ends for good with a drain.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    job::{Job, Version},
    namespace::Sandbox,
    records, wait,
};
use flink_savepoint_operator::api::{FlinkJobUpgrade, FlinkSavepoint, Then, UpgradeResult};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams};
use serde_json::json;

use crate::story;

/// Suspended: no pod is left. Started again, changed meanwhile: every record once. Then deleted, as `kubectl delete
/// --cascade=orphan` asks, which leaves nothing either.
pub async fn suspended(sandbox: &Sandbox, version: Version) -> Result<()> {
    let job = Job::counting(&sandbox.env, "orders", version).set("/spec/deletion/job", json!("Drain"));
    let first = story::started(sandbox, &job).await?;
    let rests = sandbox.apply_ready(&job.clone().set("/spec/job/state", json!("suspended")), story::UPGRADE).await?;
    wait::kubectl(&sandbox.env, &sandbox.namespace, "fju/orders", "Ready")?;
    let snapshot = left(sandbox, &rests).await?;
    story::only_savepoints(sandbox, &[&snapshot]).await?;
    nothing_is_taken_of_it(sandbox, &snapshot).await?;

    let changed = job.rate(250).set("/spec/job/state", json!("running"));
    let resumed = sandbox.apply_ready(&changed, story::START).await?;
    let submission = story::submission(&resumed)?;
    ensure!(submission.restored_from.as_deref() == Some(&snapshot), "{submission:?}, left was {snapshot}");
    let restored = story::flink(sandbox, &resumed).await?.restored(&submission.job_id).await?;
    let restored = restored.context("Flink says that it started empty")?;
    ensure!(restored.path.trim_end_matches('/') == snapshot, "{restored:?}, left was {snapshot}");
    ensure!(resumed.status.context("no status")?.suspension.is_none(), "it is not suspended any more");
    let jobs = records::check_exactly_once(&story::writes(sandbox, "orders", &submission.job_id).await?)?.jobs;
    ensure!(jobs == [story::submission(&first)?.job_id, submission.job_id], "{jobs:?}");

    sandbox.jobs().delete("orders", &DeleteParams::orphan()).await?;
    wait::gone::<FlinkJobUpgrade>(&sandbox.jobs(), "orders", story::UPGRADE).await?;
    story::all_removed(sandbox, "orders").await?;
    records::check_exactly_once(&sandbox.records("orders")?)?;
    let savepoints = sandbox.savepoints().list(&ListParams::default()).await?.items;
    let drained = savepoints.iter().find(|s| s.spec.then() == Then::Drain).context("no savepoint was drained to")?;
    story::only_savepoints(sandbox, &[&snapshot, &story::completed(drained)?]).await
}

/// What a suspended job has left, after which no pod of it is there.
async fn left(sandbox: &Sandbox, rests: &FlinkJobUpgrade) -> Result<String> {
    let ready = wait::condition(rests, "Ready").context("no condition Ready")?;
    ensure!(ready.get("reason") == Some(&json!("Suspended")), "{ready}");
    let pods = sandbox.api::<Pod>().list(&ListParams::default()).await?.items;
    ensure!(pods.is_empty(), "{} pods are left", pods.len());
    story::removed(sandbox, "orders", 1).await?;
    ensure!(story::newest(rests)?.result == UpgradeResult::Suspended, "{:?}", story::newest(rests)?);
    let status = rests.status.as_ref().context("no status")?;
    let suspension = status.suspension.clone().context("status.suspension is missing")?;
    let name = suspension.savepoint.context("it was not stopped with a savepoint")?;
    let location = story::completed(&sandbox.savepoints().get(&name).await?)?;
    ensure!(suspension.snapshot.as_deref() == Some(&location), "{:?}, savepoint {location}", suspension.snapshot);
    Ok(location)
}

/// A savepoint of it says at once why there is none, and what the state is.
async fn nothing_is_taken_of_it(sandbox: &Sandbox, snapshot: &str) -> Result<()> {
    sandbox.take_savepoint("daily", "orders", json!({})).await?;
    let stalled = wait::stalled::<FlinkSavepoint>(&sandbox.savepoints(), "daily", story::SOON).await?;
    ensure!(stalled.reason == "Suspended" && stalled.message.contains(snapshot), "{stalled:?}");
    Ok(())
}
