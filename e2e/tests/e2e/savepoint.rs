//! Savepoints that a user asks for.

use anyhow::{Context as _, Result, ensure};
use e2e::{job::Job, namespace::Sandbox, wait};
use flink_savepoint_operator::api::{
    FlinkJobUpgrade, FlinkSavepoint, FlinkSavepointStatus, FormatType,
    condition::{self, types},
};
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::story;

/// Key prefix of a directory that is not the configured one.
const ELSEWHERE: &str = "elsewhere";

/// Both formats, into a given directory and into the configured one; the job runs on. Returns the latter's location.
pub async fn canonical_and_native(sandbox: &Sandbox, job: &FlinkJobUpgrade) -> Result<String> {
    let elsewhere = sandbox.env.s3.url(ELSEWHERE);
    let spec = json!({"formatType": "CANONICAL", "targetDirectory": elsewhere});
    let canonical = taken(sandbox, job, "canonical", spec, FormatType::Canonical).await?;
    ensure!(canonical.starts_with(&format!("{elsewhere}/{}/canonical-", sandbox.namespace)), "{canonical}");
    let found = story::directories(sandbox, ELSEWHERE).await?;
    ensure!(found.iter().eq([&canonical]), "{found:#?}, expected {canonical}");
    ensure!(sandbox.env.s3.has_metadata(&canonical).await?, "{canonical} has no _metadata");
    story::only_savepoints(sandbox, &[]).await?;

    let native = taken(sandbox, job, "native", json!({"formatType": "NATIVE"}), FormatType::Native).await?;
    ensure!(native.starts_with(&sandbox.env.s3.url("savepoints/")), "{native}");
    wait::kubectl(&sandbox.env, &sandbox.namespace, "fsp/native", "Ready")?;
    story::only_savepoints(sandbox, &[&native]).await?;

    let name = job.metadata.name.as_deref().unwrap_or_default();
    let jobs = story::goes_on(sandbox, name).await?;
    ensure!(jobs == [story::submission(job)?.job_id], "the job was changed: {jobs:?}");
    let after = wait::ready(&sandbox.jobs(), name, story::SOON).await?;
    let operation = after.status.and_then(|status| status.operation);
    ensure!(operation.is_none(), "the lock is still held: {operation:?}");
    Ok(native)
}

async fn taken(
    sandbox: &Sandbox,
    job: &FlinkJobUpgrade,
    name: &str,
    spec: Value,
    format: FormatType,
) -> Result<String> {
    sandbox.take_savepoint(name, job.metadata.name.as_deref().unwrap_or_default(), spec).await?;
    let savepoint: FlinkSavepoint = wait::ready(&sandbox.savepoints(), name, story::SOON).await?;
    let location = story::completed(&savepoint)?;
    ensure!(savepoint.metadata.owner_references.unwrap_or_default().is_empty(), "{name} must outlive its job");
    let status = savepoint.status.context("no status")?;
    ensure!(status.format_type == Some(format), "{:?}", status.format_type);
    ensure!(status.start_time.is_some() && status.completion_time.is_some(), "{status:?}");
    files_are_known(sandbox, &location, &status).await?;
    let flink = story::flink(sandbox, job).await?;
    let written = flink.savepoint_format(&story::submission(job)?.job_id, &location).await?;
    ensure!(written == format.as_str(), "Flink wrote {written}");
    Ok(location)
}

/// Where a store serves the place its files were checked; else that is said.
async fn files_are_known(sandbox: &Sandbox, location: &str, status: &FlinkSavepointStatus) -> Result<()> {
    let verified = condition::find(&status.conditions, types::VERIFIED).context("Verified is missing")?;
    if sandbox.stores().list(&ListParams::default()).await?.items.is_empty() {
        ensure!((&*verified.status, &*verified.reason) == ("Unknown", "NoStore"), "{verified:?}");
        return Ok(());
    }
    ensure!((&*verified.status, &*verified.reason) == ("True", "FilesChecked"), "{verified:?}");
    let sizes = sandbox.env.s3.sizes(&format!("{}/", sandbox.env.s3.key(location)?)).await?;
    ensure!(status.size_bytes == Some(sizes.values().sum()), "{status:?}, {sizes:?}");
    ensure!(status.file_count == i64::try_from(sizes.len()).ok(), "{status:?}, {sizes:?}");
    ensure!(status.operator_count.is_some_and(|count| count > 0) && !status.operators.is_empty(), "{status:?}");
    Ok(())
}

/// With neither a given nor a configured directory there is nothing to do but to say how to give one. `job` has none.
/// Returns the manifest with the cure that was named, and the job after it.
pub async fn without_a_directory(sandbox: &Sandbox, job: Job) -> Result<(Job, FlinkJobUpgrade)> {
    let object = story::started(sandbox, &job).await?;
    sandbox.take_savepoint("nowhere", &job.name, json!({})).await?;
    let stalled = wait::stalled(&sandbox.savepoints(), "nowhere", story::SOON).await?;
    for cure in ["targetDirectory", "execution.checkpointing.savepoint-dir"] {
        ensure!(stalled.message.contains(cure), "{cure} is not named: {stalled:?}");
    }
    // An upgrade needs one, too: the old job stays.
    let changed = job.rate(150);
    sandbox.apply(&changed).await?;
    let stalled = wait::stalled(&sandbox.jobs(), "orders", story::UPGRADE).await?;
    ensure!(stalled.message.contains("targetDirectory"), "{stalled:?}");
    let jobs = story::goes_on(sandbox, "orders").await?;
    ensure!(jobs == [story::submission(&object)?.job_id], "the job was changed: {jobs:?}");
    story::only_savepoints(sandbox, &[]).await?;

    // And the cure that was named is one.
    let elsewhere = sandbox.env.s3.url(ELSEWHERE);
    let wish = json!({"targetDirectory": elsewhere, "formatType": "CANONICAL"});
    let cured = changed.set("/spec/upgrade/savepoint", wish).set("/spec/revisionName", json!("cured"));
    let after = story::upgraded(sandbox, &object, &cured).await?;
    story::handed_over(sandbox, &object, &after).await?;
    ensure!(after.location.starts_with(&format!("{elsewhere}/{}/", sandbox.namespace)), "{}", after.location);
    let child = sandbox.savepoints().get(after.entry.savepoint.as_deref().unwrap_or_default()).await?;
    let format = child.status.and_then(|status| status.format_type);
    ensure!(format == Some(FormatType::Canonical), "{format:?}");
    let name = after.job.status.as_ref().and_then(|status| status.active.as_ref()?.revision_name.clone());
    ensure!(name.as_deref() == Some("cured"), "{name:?}");
    Ok((cured, after.job))
}
