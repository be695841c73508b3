//! Each restore mode, by Flink's own word and by what becomes of the files.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    job::{Job, Version},
    namespace::Sandbox,
    wait::{self, Seen},
};
use flink_savepoint_operator::api::{FlinkJobUpgrade, FlinkSavepoint, Ownership, RestoreMode};
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::{
    store,
    story::{self, Upgraded},
};

/// So many checkpoints of the new job are more than what is retained.
const CHECKPOINTS: i64 = 4;

/// What lies at a place: each file's bytes.
type Files = BTreeMap<String, Vec<u8>>;

/// One job, upgraded once with each mode; then it ends.
pub async fn one_after_the_other(sandbox: &Sandbox, version: Version) -> Result<()> {
    sandbox.create_store(store::RIGHT).await?;
    // All state in files, however small it is; and the format whose files a checkpoint could refer to.
    let job = Job::counting(&sandbox.env, "orders", version)
        .never_empty()
        .set("/spec/flinkConfiguration/execution.checkpointing.data-inline-threshold", json!("0b"))
        .set("/spec/upgrade/savepoint/formatType", json!("NATIVE"))
        .set("/spec/deletion/job", json!("Cancel"));
    let first = story::started(sandbox, &job).await?;

    let (kept, kept_files) = with_mode(sandbox, &first, &job.clone().rate(220), "NO_CLAIM").await?;
    let (shared, shared_files) = with_mode(sandbox, &kept.job, &job.clone().rate(240), "LEGACY").await?;
    let (claimed, _) = with_mode(sandbox, &shared.job, &job.clone().rate(260), "CLAIM").await?;
    owned_by(sandbox, &kept, Ownership::User).await?;
    owned_by(sandbox, &shared, Ownership::Unclear).await?;
    owned_by(sandbox, &claimed, Ownership::Flink).await?;
    wait::until("Flink deletes the savepoint that it claimed", story::SOON, async || {
        let left = sandbox.env.s3.list(&format!("{}/", sandbox.env.s3.key(&claimed.location)?)).await?;
        let whole = left.iter().any(|key| key.ends_with("/_metadata"));
        Ok(if whole { Seen::NotYet(format!("{left:?}")) } else { Seen::Yes(()) })
    })
    .await?;

    // Whoever names it is refused, and nothing starts.
    let named = json!({"id": "named", "savepointRef": {"name": claimed.entry.savepoint}});
    let other = Job::counting(&sandbox.env, "others", version).set("/spec/job/restoreFrom", named);
    sandbox.apply(&other).await?;
    let stalled = wait::stalled::<FlinkJobUpgrade>(&sandbox.jobs(), "others", story::SOON).await?;
    ensure!(stalled.reason == "SnapshotOwnedByFlink", "{stalled:?}");
    ensure!(stalled.message.contains(&claimed.location), "{stalled:?}");

    // When the jobs are gone the other two are as they were, and what was Flink's stays so.
    for name in ["others", "orders"] {
        sandbox.jobs().delete(name, &DeleteParams::default()).await?;
        wait::gone::<FlinkJobUpgrade>(&sandbox.jobs(), name, story::UPGRADE).await?;
        story::all_removed(sandbox, name).await?;
    }
    ensure!(files(sandbox, &kept.location).await? == kept_files, "{} has changed", kept.location);
    ensure!(files(sandbox, &shared.location).await? == shared_files, "{} has changed", shared.location);
    owned_by(sandbox, &kept, Ownership::User).await?;
    owned_by(sandbox, &shared, Ownership::Unclear).await?;
    owned_by(sandbox, &claimed, Ownership::Flink).await
}

/// An upgrade with a mode, which Flink confirms; then the new job takes more checkpoints than are retained. With the
/// files of its savepoint as they were when the new job was stable.
async fn with_mode(
    sandbox: &Sandbox,
    before: &FlinkJobUpgrade,
    changed: &Job,
    mode: &str,
) -> Result<(Upgraded, Files)> {
    let changed = changed.clone().set("/spec/job/restoreMode", json!(mode));
    let upgraded = story::upgraded(sandbox, before, &changed).await.with_context(|| mode.to_owned())?;
    let submission = story::submission(&upgraded.job)?;
    ensure!(submission.restore_mode.map(RestoreMode::as_str) == Some(mode), "{submission:?}");
    ensure!(submission.restore_confirmed, "{submission:?}");
    story::handed_over(sandbox, before, &upgraded).await?;
    let before = files(sandbox, &upgraded.location).await?;
    let flink = story::flink(sandbox, &upgraded.job).await?;
    let path = format!("/jobs/{}/checkpoints", submission.job_id);
    wait::until(&format!("{CHECKPOINTS} checkpoints after {mode}"), story::SOON, async || {
        let answer = flink.get(&path).await?;
        let done = answer.pointer("/counts/completed").and_then(Value::as_i64).unwrap_or_default();
        Ok(if done >= CHECKPOINTS { Seen::Yes(()) } else { Seen::NotYet(format!("{done} are completed")) })
    })
    .await?;
    if mode != "CLAIM" {
        ensure!(!before.is_empty(), "{} is empty", upgraded.location);
        ensure!(files(sandbox, &upgraded.location).await? == before, "{mode}: {} has changed", upgraded.location);
    }
    Ok((upgraded, before))
}

async fn files(sandbox: &Sandbox, location: &str) -> Result<Files> {
    let s3 = &sandbox.env.s3;
    let mut files = Files::new();
    for key in s3.list(&format!("{}/", s3.key(location)?)).await? {
        // Flink deletes what it has claimed, at any time.
        if let Ok(bytes) = s3.read(&key).await {
            files.insert(key, bytes);
        }
    }
    Ok(files)
}

/// The FlinkSavepoint of an upgrade says whose its files are.
async fn owned_by(sandbox: &Sandbox, upgraded: &Upgraded, owner: Ownership) -> Result<()> {
    let name = upgraded.entry.savepoint.as_deref().context("the history names no savepoint")?;
    let says = |savepoint: &FlinkSavepoint| savepoint.status.as_ref().and_then(|s| s.ownership) == Some(owner);
    wait::on(&sandbox.savepoints(), name, &format!("owned by {owner}"), story::SOON, says).await.map(drop)
}
