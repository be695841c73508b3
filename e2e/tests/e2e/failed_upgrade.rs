//! Upgrades that cannot succeed: the old job runs on, or is put back, and the reason can be read.

use anyhow::{Context as _, Result, bail, ensure};
use e2e::{
    job::{Job, SOURCE_UID, Version},
    namespace::Sandbox,
    records::{self, Violation},
    wait::{self, Stalled},
};
use flink_savepoint_operator::api::{FlinkJobUpgrade, UpgradeResult};
use kube::api::ListParams;
use serde_json::json;

use crate::{crash, savepoint, story};

/// Longer than this is no cause but a stack trace.
const READABLE: usize = 1000;

/// One job and all the changes that it refuses; and at the end one that it must not survive unseen.
pub async fn one_after_the_other(sandbox: &Sandbox, version: Version) -> Result<()> {
    let key = "/spec/flinkConfiguration/execution.checkpointing.savepoint-dir";
    let job = Job::counting(&sandbox.env, "orders", version).unset(key);
    let (job, before) = savepoint::without_a_directory(sandbox, job).await?;
    bad_image_leaves_the_old_job_running(sandbox, &job, &before).await.context("bad image")?;
    main_throws_before_anything_stops(sandbox, &job, &before).await.context("main() throws")?;
    refused_by_flink_puts_the_old_job_back(sandbox, &job, &before).await.context("refused by Flink")?;
    let before = sandbox.jobs().get("orders").await?;
    let dropped = drops_only_what_is_named(sandbox, &job, &before).await.context("drops an operator")?;
    source_uid_changed_is_seen(sandbox, &job, &dropped).await.context("another uid of the source")
}

/// An operator with state is gone from the job: that is seen before the old job is stopped, and named. Taking the change
/// back heals; with the operator's uid in `allowedDroppedOperators` the job moves, though the operator dies meanwhile.
async fn drops_only_what_is_named(sandbox: &Sandbox, job: &Job, before: &FlinkJobUpgrade) -> Result<FlinkJobUpgrade> {
    // By which the operators are known that the old job has state of.
    sandbox.create_store("s3").await?;
    let dropping = job.clone().counting_with(200, &["--variant", "drops"]);
    sandbox.apply(&dropping).await?;
    let stalled = refused(sandbox, before, UpgradeResult::Failed, "allowedDroppedOperators").await?;
    ensure!(stalled.message.contains("totals"), "no operator: {stalled:?}");
    ensure!(story::submission(&sandbox.jobs().get("orders").await?)? == story::submission(before)?, "it was stopped");
    heals(sandbox, job).await?;

    let before = sandbox.jobs().get("orders").await?;
    let allowed = dropping.set("/spec/job/allowedDroppedOperators", json!(["totals"]));
    let after = crash::survived(sandbox, &before, &allowed, crash::INTENT_RECORDED).await?.job;
    let preflight = wait::condition(&after, "Preflight").context("no condition Preflight")?;
    ensure!(preflight.get("status") == Some(&json!("True")), "{preflight}");
    Ok(after)
}

/// The rules that the records are judged by can go red on a real run: a source whose uid was changed starts anew, and
/// the count does not.
async fn source_uid_changed_is_seen(sandbox: &Sandbox, job: &Job, before: &FlinkJobUpgrade) -> Result<()> {
    let other = format!("other-{SOURCE_UID}");
    let changed = job.clone().counting_with(200, &["--source-uid", &other]);
    let changed = changed.set("/spec/job/allowNonRestoredState", json!(true));
    let after = story::upgraded(sandbox, before, &changed).await?;
    let records = story::writes(sandbox, "orders", &story::submission(&after.job)?.job_id).await?;
    match records::check(&records) {
        Err(Violation::Count { s: 0, c, .. }) if c > 1 => Ok(()),
        other => bail!("the source's state was dropped, and the rules say {other:?}"),
    }
}

/// Pods of the new revision never start: nothing happens to the old job.
async fn bad_image_leaves_the_old_job_running(sandbox: &Sandbox, job: &Job, before: &FlinkJobUpgrade) -> Result<()> {
    let image = format!("{}/flink-jobs:does-not-exist", sandbox.env.registry);
    let bad = job.clone().set("/spec/image", json!(image)).set("/spec/upgrade/progressDeadline", json!("10s"));
    let savepoints = sandbox.savepoints().list(&ListParams::default()).await?.items.len();
    sandbox.apply(&bad).await?;
    refused(sandbox, before, UpgradeResult::Failed, &image).await?;
    let after = sandbox.savepoints().list(&ListParams::default()).await?.items.len();
    ensure!(after == savepoints, "{after} savepoints, before it {savepoints}");
    let now = sandbox.jobs().get("orders").await?;
    ensure!(story::submission(&now)? == story::submission(before)?, "the old job was touched");
    heals(sandbox, job).await
}

/// The job's own code fails as it builds the job.
async fn main_throws_before_anything_stops(sandbox: &Sandbox, job: &Job, before: &FlinkJobUpgrade) -> Result<()> {
    sandbox.apply(&job.clone().counting_with(200, &["--variant", "throws"])).await?;
    let words = "main() throws, as --variant throws asks";
    refused(sandbox, before, UpgradeResult::Failed, words).await?;
    ensure!(story::submission(&sandbox.jobs().get("orders").await?)? == story::submission(before)?, "it was stopped");
    heals(sandbox, job).await
}

/// Nobody asks beforehand: Flink refuses the savepoint, and the old job is put back.
async fn refused_by_flink_puts_the_old_job_back(sandbox: &Sandbox, job: &Job, before: &FlinkJobUpgrade) -> Result<()> {
    let dropping = job.clone().counting_with(200, &["--variant", "drops"]);
    sandbox.apply(&dropping.set("/spec/upgrade/preflight", json!("Skip"))).await?;
    let stalled = refused(sandbox, before, UpgradeResult::RolledBack, "allowNonRestoredState").await?;
    ensure!(
        stalled.message.split(|c: char| !c.is_ascii_hexdigit()).any(|word| word.len() == 32),
        "no operator: {stalled:?}"
    );
    heals(sandbox, job).await
}

/// What no preview tells: Flink takes the first job of a `main()`, and refuses the second. The first one is ended before
/// the old job is put back; what it has written is written again.
async fn two_jobs_put_the_old_one_back(sandbox: &Sandbox, job: &Job, before: &FlinkJobUpgrade) -> Result<()> {
    sandbox.apply(&job.clone().counting_with(200, &["--variant", "twice"])).await?;
    let stalled = wait::stalled(&sandbox.jobs(), "orders", story::UPGRADE).await?;
    // 1.20: "more than one execute() or executeAsync() call"; 2.3: "more than 1 streaming jobs".
    ensure!(stalled.message.contains("Cannot have more than"), "{stalled:?}");
    let now = sandbox.jobs().get("orders").await?;
    ensure!(story::revision(&now)? == story::revision(before)?, "{}", wait::describe(&now));
    ensure!(story::newest(&now)?.result == UpgradeResult::RolledBack, "{}", wait::describe(&now));
    sandbox.apply_ready(job, story::UPGRADE).await?;
    let records = story::writes(sandbox, "orders", &story::submission(&now)?.job_id).await?;
    records::check(&records).map(drop).map_err(|violation| anyhow::anyhow!("{violation:?}"))
}

/// A program that ends its JobManager, and one that never comes back: the new revision fails, and the old job runs on.
pub async fn programs_that_harm(sandbox: &Sandbox, version: Version) -> Result<()> {
    let job = Job::counting(&sandbox.env, "orders", version);
    let before = story::started(sandbox, &job).await?;
    for (variant, words) in
        [("exits", "attempted to exit JVM"), ("crashes", "it ends their process"), ("hangs", "did not end within")]
    {
        sandbox.apply(&job.clone().counting_with(200, &["--variant", variant])).await?;
        refused(sandbox, &before, UpgradeResult::Failed, words).await.context(variant)?;
        let now = sandbox.jobs().get("orders").await?;
        ensure!(story::submission(&now)? == story::submission(&before)?, "{variant}: the old job was touched");
        heals(sandbox, &job).await?;
    }
    let before = sandbox.jobs().get("orders").await?;
    two_jobs_put_the_old_one_back(sandbox, &job, &before).await.context("two jobs in one main()")
}

/// The change was refused with these words in it, the old revision has the state and goes on, and the new one's
/// objects are gone.
pub async fn refused(
    sandbox: &Sandbox,
    before: &FlinkJobUpgrade,
    expected: UpgradeResult,
    words: &str,
) -> Result<Stalled> {
    let stalled = wait::stalled(&sandbox.jobs(), "orders", story::UPGRADE).await?;
    for condition in ["Stalled", "Ready=false"] {
        wait::kubectl(&sandbox.env, &sandbox.namespace, "fju/orders", condition)?;
    }
    ensure!(stalled.message.contains(words), "{words:?} is not in {stalled:?}");
    ensure!(stalled.message.len() <= READABLE && !stalled.message.contains("\tat "), "cannot be read: {stalled:?}");
    let job = sandbox.jobs().get("orders").await?;
    ensure!(!wait::holds(&job, "Ready"), "{}", wait::describe(&job));
    ensure!(story::revision(&job)? == story::revision(before)?, "{}", wait::describe(&job));
    let jobs = story::goes_on(sandbox, "orders").await?;
    let submission = story::submission(&job)?;
    ensure!(jobs.last() == Some(&submission.job_id), "{jobs:?}, status says {}", submission.job_id);
    let entry = story::newest(&job)?;
    ensure!(entry.result == expected && entry.message.is_some(), "{entry:?}");
    story::removed(sandbox, "orders", entry.to).await?;
    Ok(stalled)
}

/// With the former manifest the job is Ready again, and it is the same Flink job: nothing was restarted for it.
pub async fn heals(sandbox: &Sandbox, job: &Job) -> Result<()> {
    let before = story::submission(&sandbox.jobs().get(&job.name).await?)?;
    let after = sandbox.apply_ready(job, story::UPGRADE).await?;
    ensure!(story::submission(&after)?.job_id == before.job_id, "{}", wait::describe(&after));
    story::goes_on(sandbox, &job.name).await?;
    Ok(())
}
