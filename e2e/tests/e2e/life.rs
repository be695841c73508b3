//! What a job goes through.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    job::{CHECKPOINTS, Job, Version},
    namespace::Sandbox,
    records, wait,
};
use flink_savepoint_operator::api::{FlinkJobUpgrade, RestoreMode};
use kube::api::{DeleteParams, ListParams};
use serde_json::json;

use crate::{
    crash, savepoint, start, store,
    story::{self, Upgraded},
};

/// First start, savepoints of both formats, upgrades with NO_CLAIM and with CLAIM in which the operator dies, one that
/// waits for a file of its savepoint, and a deletion that saves; all with a store by which files are checked.
pub async fn from_start_to_end(sandbox: &Sandbox, version: Version) -> Result<()> {
    sandbox.create_store(store::RIGHT).await?;
    // All state in files, however small it is.
    let job = Job::counting(&sandbox.env, "orders", version)
        .never_empty()
        .set("/spec/flinkConfiguration/execution.checkpointing.data-inline-threshold", json!("0b"));
    let first = start::first_start(sandbox, &job).await?;
    let native = savepoint::canonical_and_native(sandbox, &first).await?;

    let second = crash::survived(sandbox, &first, &job.clone().rate(250), crash::REQUEST_SENT).await?;
    // NO_CLAIM: the savepoint stays the user's.
    ensure!(story::submission(&second.job)?.restore_mode == Some(RestoreMode::NoClaim));
    story::only_savepoints(sandbox, &[&native, &second.location]).await?;

    let held = store::a_missing_file_holds_an_upgrade(sandbox, &second.job, &job.clone().rate(300)).await?;

    let claims = job.set("/spec/job/restoreMode", json!("CLAIM"));
    let claimed = crash::survived(sandbox, &held.job, &claims, crash::SUBMITTED).await?;
    is_claimed(sandbox, &claimed).await?;
    let jobs = records::check_exactly_once(&sandbox.records("orders")?)?.jobs;
    ensure!(jobs.len() == 4, "{jobs:?}");

    // By default the state is saved first, and the savepoint stays.
    let before = names(sandbox).await?;
    deleted(sandbox).await?;
    let after = names(sandbox).await?;
    let new: Vec<&String> = after.iter().filter(|name| !before.contains(name)).collect();
    let [last] = new[..] else { anyhow::bail!("before the deletion {before:?}, after it {after:?}") };
    let last = story::completed(&sandbox.savepoints().get(last).await?)?;
    // That of the last revision was Flink's, and is gone.
    ensure!(!sandbox.env.s3.has_metadata(&claimed.location).await?, "{}", claimed.location);
    story::only_whole_savepoints(sandbox, &[&native, &second.location, &held.location, &last]).await
}

/// A start, savepoints, an upgrade in which the operator dies, and a deletion that cancels.
pub async fn whole_way(sandbox: &Sandbox, version: Version) -> Result<()> {
    let job = Job::counting(&sandbox.env, "orders", version).set("/spec/deletion/job", json!("Cancel"));
    let first = story::started(sandbox, &job).await?;
    let native = savepoint::canonical_and_native(sandbox, &first).await?;
    let second = crash::survived(sandbox, &first, &job.rate(250), crash::SAVEPOINT_COMPLETE).await?;
    let before = names(sandbox).await?;
    deleted(sandbox).await?;
    // Cancelled, as asked: nothing is left of it but its last checkpoint, and the savepoints that there were.
    ensure!(names(sandbox).await? == before, "{:?}, before the deletion {before:?}", names(sandbox).await?);
    story::only_savepoints(sandbox, &[&native, &second.location]).await?;
    let retained = sandbox.env.s3.snapshots(&format!("{CHECKPOINTS}/{}/", sandbox.namespace)).await?;
    let retained = retained.first().context("no checkpoint is retained")?;
    store::a_checkpoint_is_registered(sandbox, version, retained).await
}

/// With CLAIM the savepoint becomes the new job's own.
async fn is_claimed(sandbox: &Sandbox, upgraded: &Upgraded) -> Result<()> {
    let mode = story::submission(&upgraded.job)?.restore_mode;
    ensure!(mode == Some(RestoreMode::Claim), "{mode:?}");
    // Flink deletes a claimed savepoint with its second checkpoint or so: the mode was really set.
    wait::until("Flink deletes the savepoint that it claimed", story::SOON, async || {
        Ok(if sandbox.env.s3.has_metadata(&upgraded.location).await? {
            wait::Seen::NotYet(format!("{} is whole", upgraded.location))
        } else {
            wait::Seen::Yes(())
        })
    })
    .await
}

/// Deletes the job, in the foreground, which must not reach the pods before the finalizer has done its work.
async fn deleted(sandbox: &Sandbox) -> Result<()> {
    sandbox.jobs().delete("orders", &DeleteParams::foreground()).await?;
    wait::gone::<FlinkJobUpgrade>(&sandbox.jobs(), "orders", story::UPGRADE).await?;
    story::all_removed(sandbox, "orders").await?;
    records::check_exactly_once(&sandbox.records("orders")?)?;
    Ok(())
}

/// Names of the FlinkSavepoints that there are.
async fn names(sandbox: &Sandbox) -> Result<Vec<String>> {
    let items = sandbox.savepoints().list(&ListParams::default()).await?.items;
    items.into_iter().map(|s| s.metadata.name.context("a savepoint without a name")).collect()
}
