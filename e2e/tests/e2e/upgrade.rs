//! Upgrades that succeed.

use anyhow::{Result, bail, ensure};
use e2e::{
    job::{Job, SOURCE_UID, Version},
    namespace::Sandbox,
    records::{self, Violation},
    wait,
};
use flink_savepoint_operator::api::RestoreMode;
use kube::api::DeleteParams;
use serde_json::json;

use crate::{savepoint, story};

/// A changed argument: stop with savepoint, restore, and every record once.
pub async fn no_claim(sandbox: &Sandbox, version: Version) -> Result<()> {
    let job = Job::counting(&sandbox.env, "orders", version);
    let before = story::started(sandbox, &job).await?;
    let after = story::upgraded(sandbox, &before, &job.rate(250)).await?;
    ensure!(story::submission(&after.job)?.restore_mode == Some(RestoreMode::NoClaim));
    story::handed_over(sandbox, &before, &after).await?;
    let jobs = records::check_exactly_once(&sandbox.records("orders")?)?.jobs;
    ensure!(jobs.len() == 2, "{jobs:?}");
    // NO_CLAIM: the savepoint stays the user's.
    story::only_savepoints(sandbox, &[&after.location]).await
}

/// With CLAIM the savepoint becomes the new job's own.
pub async fn claim(sandbox: &Sandbox, version: Version) -> Result<()> {
    let job = Job::counting(&sandbox.env, "orders", version);
    let before = story::started(sandbox, &job).await?;
    let changed = job.rate(250).set("/spec/job/restoreMode", json!("CLAIM"));
    let after = story::upgraded(sandbox, &before, &changed).await?;
    ensure!(story::submission(&after.job)?.restore_mode == Some(RestoreMode::Claim));
    story::handed_over(sandbox, &before, &after).await?;
    // Flink deletes a claimed savepoint with its second checkpoint or so: the mode was really set.
    wait::until("Flink deletes the savepoint that it claimed", story::SOON, async || {
        Ok(if sandbox.env.s3.has_metadata(&after.location).await? {
            wait::Seen::NotYet(format!("{} is whole", after.location))
        } else {
            wait::Seen::Yes(())
        })
    })
    .await
}

/// A savepoint, an upgrade and the end, in one go.
pub async fn whole_way(sandbox: &Sandbox, version: Version) -> Result<()> {
    savepoint::canonical_and_native(sandbox, version).await?;
    let before = wait::ready(&sandbox.jobs(), "orders", story::SOON).await?;
    let job = Job::counting(&sandbox.env, "orders", version).set("/spec/deletion/job", json!("Cancel"));
    let after = story::upgraded(sandbox, &before, &job.rate(250)).await?;
    story::handed_over(sandbox, &before, &after).await?;
    sandbox.jobs().delete("orders", &DeleteParams::default()).await?;
    wait::gone(&sandbox.jobs(), "orders", story::SOON).await?;
    story::all_removed(sandbox, "orders").await?;
    ensure!(sandbox.env.s3.has_metadata(&after.location).await?, "{} is gone", after.location);
    Ok(())
}

/// The rules that the records are judged by can go red on a real run: a source whose uid was changed starts anew, and
/// the count does not.
pub async fn source_uid_changed_is_seen(sandbox: &Sandbox, version: Version) -> Result<()> {
    let job = Job::counting(&sandbox.env, "orders", version);
    let before = story::started(sandbox, &job).await?;
    let other = format!("other-{SOURCE_UID}");
    let changed = job.counting_with(200, &["--source-uid", &other]).set("/spec/job/allowNonRestoredState", json!(true));
    let after = story::upgraded(sandbox, &before, &changed).await?;
    let records = story::writes(sandbox, "orders", &story::submission(&after.job)?.job_id).await?;
    match records::check(&records) {
        Err(Violation::Count { s: 0, c, .. }) if c > 1 => Ok(()),
        other => bail!("the source's state was dropped, and the rules say {other:?}"),
    }
}
