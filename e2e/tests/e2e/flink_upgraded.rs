//! From one version of Flink to the next.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    job::{
        Job,
        Version::{self, V1_20, V2_3},
    },
    namespace::Sandbox,
};
use flink_savepoint_operator::api::UpgradeResult;
use serde_json::json;

use crate::{
    failed_upgrade::{heals, refused},
    store, story,
};

/// A job of Flink 1.20 goes on with Flink 2.3; the way back is refused before anything is stopped. Of the two formats
/// `format` picks one: that of 1.20 is CANONICAL.
pub async fn forth_and_not_back(sandbox: &Sandbox, format: Version) -> Result<()> {
    sandbox.create_store(store::RIGHT).await?;
    let format = match format {
        V1_20 => "CANONICAL",
        V2_3 => "NATIVE",
    };
    let of = |version| {
        let job = Job::counting(&sandbox.env, "orders", version).never_empty();
        job.set("/spec/upgrade/savepoint/formatType", json!(format))
    };
    let before = story::started(sandbox, &of(V1_20)).await?;
    let after = story::upgraded(sandbox, &before, &of(V2_3).rate(250)).await?;
    story::handed_over(sandbox, &before, &after).await?;

    sandbox.apply(&of(V1_20)).await?;
    let stalled = refused(sandbox, &after.job, UpgradeResult::Failed, "and Flink 1.20.0 can't read it").await?;
    ensure!(stalled.reason == "PreflightFailed", "{stalled:?}");
    let now = sandbox.jobs().get("orders").await?;
    ensure!(story::submission(&now)? == story::submission(&after.job)?, "the job was touched");
    heals(sandbox, &of(V2_3).rate(250)).await.context("back to what runs")
}
