//! Upgrades that cannot succeed: the old job runs on, or is put back, and the reason can be read.

use anyhow::{Result, ensure};
use e2e::{
    job::{Job, Version},
    namespace::Sandbox,
    wait::{self, Stalled},
};
use flink_savepoint_operator::api::{FlinkJobUpgrade, UpgradeResult};
use serde_json::json;

use crate::story;

/// Longer than this is no cause but a stack trace.
const READABLE: usize = 1000;

/// An operator with state is gone from the job. Without the flag Flink refuses the savepoint and the old job is put
/// back; taking the change back heals; with the flag the job moves.
pub async fn drops_operator_with_flag(sandbox: &Sandbox, version: Version) -> Result<()> {
    let job = Job::counting(&sandbox.env, "orders", version);
    let before = story::started(sandbox, &job).await?;
    let dropping = job.clone().counting_with(200, &["--variant", "drops"]);
    sandbox.apply(&dropping).await?;
    let stalled = refused(sandbox, &before, "allowNonRestoredState").await?;
    ensure!(
        stalled.message.split(|c: char| !c.is_ascii_hexdigit()).any(|word| word.len() == 32),
        "no operator: {stalled:?}"
    );
    heals(sandbox, &job).await?;

    let before = sandbox.jobs().get("orders").await?;
    let allowed = dropping.set("/spec/job/allowNonRestoredState", json!(true));
    let after = story::upgraded(sandbox, &before, &allowed).await?;
    story::handed_over(sandbox, &before, &after).await?;
    Ok(())
}

/// Pods of the new revision never start: nothing happens to the old job.
pub async fn bad_image_leaves_the_old_job_running(sandbox: &Sandbox, version: Version) -> Result<()> {
    let job = Job::counting(&sandbox.env, "orders", version);
    let before = story::started(sandbox, &job).await?;
    let image = format!("{}/flink-jobs:does-not-exist", sandbox.env.registry);
    let bad = job.clone().set("/spec/image", json!(image)).set("/spec/upgrade/progressDeadline", json!("20s"));
    sandbox.apply(&bad).await?;
    refused(sandbox, &before, &image).await?;
    let jobs = story::goes_on(sandbox, "orders").await?;
    ensure!(jobs == [story::submission(&before)?.job_id], "the old job was touched: {jobs:?}");
    story::only_savepoints(sandbox, &[]).await?;
    heals(sandbox, &job).await
}

/// The job's own code fails as it builds the job.
pub async fn main_throws_puts_the_old_job_back(sandbox: &Sandbox, version: Version) -> Result<()> {
    let job = Job::counting(&sandbox.env, "orders", version);
    let before = story::started(sandbox, &job).await?;
    sandbox.apply(&job.clone().counting_with(200, &["--variant", "throws"])).await?;
    refused(sandbox, &before, "main() throws, as --variant throws asks").await?;
    heals(sandbox, &job).await
}

/// The change was refused with these words in it, the old revision has the state and goes on, and the new one's
/// objects are gone.
async fn refused(sandbox: &Sandbox, before: &FlinkJobUpgrade, words: &str) -> Result<Stalled> {
    let stalled = wait::stalled(&sandbox.jobs(), "orders", story::UPGRADE).await?;
    ensure!(stalled.message.contains(words), "{words:?} is not in {stalled:?}");
    ensure!(stalled.message.len() <= READABLE && !stalled.message.contains("\tat "), "cannot be read: {stalled:?}");
    let job = sandbox.jobs().get("orders").await?;
    ensure!(!wait::holds(&job, "Ready"), "{}", wait::describe(&job));
    ensure!(story::revision(&job)? == story::revision(before)?, "{}", wait::describe(&job));
    let jobs = story::goes_on(sandbox, "orders").await?;
    let submission = story::submission(&job)?;
    ensure!(jobs.last() == Some(&submission.job_id), "{jobs:?}, status says {}", submission.job_id);
    let entry = story::newest(&job)?;
    let expected = if jobs.len() == 1 { UpgradeResult::Failed } else { UpgradeResult::RolledBack };
    ensure!(entry.result == expected && entry.message.is_some(), "{entry:?}");
    story::removed(sandbox, "orders", entry.to).await?;
    Ok(stalled)
}

/// With the former manifest the job is Ready again, and it is the same Flink job: nothing was restarted for it.
async fn heals(sandbox: &Sandbox, job: &Job) -> Result<()> {
    let before = story::submission(&sandbox.jobs().get(&job.name).await?)?;
    let after = sandbox.apply_ready(job, story::UPGRADE).await?;
    ensure!(story::submission(&after)?.job_id == before.job_id, "{}", wait::describe(&after));
    story::goes_on(sandbox, &job.name).await?;
    Ok(())
}
