//! The end of a job.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    job::{CHECKPOINTS, Job, Version},
    namespace::Sandbox,
    records, wait,
};
use kube::api::{DeleteParams, ListParams};
use serde_json::json;

use crate::story;

/// Cancelled, as asked: nothing is left of it but its last checkpoint.
pub async fn cancels(sandbox: &Sandbox, version: Version) -> Result<()> {
    let job = Job::counting(&sandbox.env, "orders", version).set("/spec/deletion/job", json!("Cancel"));
    story::started(sandbox, &job).await?;
    deleted(sandbox).await?;
    let savepoints = sandbox.savepoints().list(&ListParams::default()).await?.items;
    ensure!(savepoints.is_empty(), "{savepoints:?}");
    story::only_savepoints(sandbox, &[]).await?;
    let retained = sandbox.env.s3.snapshots(&format!("{CHECKPOINTS}/{}/", sandbox.namespace)).await?;
    ensure!(!retained.is_empty(), "no checkpoint is retained");
    Ok(())
}

/// By default the state is saved first, and the savepoint stays.
pub async fn saves(sandbox: &Sandbox, version: Version) -> Result<()> {
    let job = Job::counting(&sandbox.env, "orders", version);
    story::started(sandbox, &job).await?;
    deleted(sandbox).await?;
    let savepoints = sandbox.savepoints().list(&ListParams::default()).await?.items;
    ensure!(savepoints.len() == 1, "{savepoints:?}");
    let location = story::completed(savepoints.first().context("no savepoint")?)?;
    story::only_savepoints(sandbox, &[&location]).await
}

/// Deletes the job, in the foreground, which must not reach the pods before the finalizer has done its work.
async fn deleted(sandbox: &Sandbox) -> Result<()> {
    sandbox.jobs().delete("orders", &DeleteParams::foreground()).await?;
    wait::gone(&sandbox.jobs(), "orders", story::UPGRADE).await?;
    story::all_removed(sandbox, "orders").await?;
    records::check_exactly_once(&sandbox.records("orders")?)?;
    Ok(())
}
