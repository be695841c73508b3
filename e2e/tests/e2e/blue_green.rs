//! Two revisions that run side by side until one of them is promoted.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    job::{Job, Version},
    namespace::Sandbox,
    records, wait,
};
use flink_savepoint_operator::api::{
    FlinkJobUpgrade, HistoryEntry, Then, UpgradeProgress, UpgradeResult, UpgradeStep, labels,
};
use k8s_openapi::api::core::v1::Service;
use serde_json::json;

use crate::{crash, story};

const UPGRADE: &str = "/spec/upgrade";

/// A change runs beside the job and is taken back; the next one is promoted by a commit, and the one after that by
/// itself.
pub async fn forked_and_promoted(sandbox: &Sandbox, version: Version) -> Result<()> {
    let job = Job::counting(&sandbox.env, "orders", version)
        .set("/spec/podTemplate/metadata/labels", json!({"side": "any"}))
        .set("/spec/flinkConfiguration/pipeline.name", json!("orders-$(FLINK_COLOR)"));
    let job = named(&job, "one", "one");
    let first = story::started(sandbox, &job).await?;
    let blue = story::submission(&first)?.job_id;

    let given_up = beside(sandbox, &named(&job.clone().rate(250), "two", "one"), &blue).await.context("a fork")?;
    sandbox.apply(&job).await?;
    let as_before = |job: &FlinkJobUpgrade| under_way(job).is_none() && wait::holds(job, "Ready");
    let back = wait::on(&sandbox.jobs(), "orders", "as before", story::UPGRADE, as_before).await?;
    ensure!(story::submission(&back)?.job_id == blue, "{}", wait::describe(&back));
    ensure!(story::newest(&back)?.result == UpgradeResult::Superseded, "{:?}", story::newest(&back)?);
    story::removed(sandbox, "orders", given_up.to).await?;

    let changed = named(&job.clone().rate(250), "three", "one");
    let fork = beside(sandbox, &changed, &blue).await.context("a second fork")?;
    let armed = crash::arm_in_full(sandbox, crash::SERVICE_MOVED).await?;
    let green = promoted(sandbox, &named(&changed, "three", "three"), &fork, &[&blue]).await.context("by a commit")?;
    crash::fired(armed).await?;

    let automatic = job.rate(300).set(UPGRADE, json!({"strategy": "BlueGreen"}));
    let fork = UpgradeProgress { to: fork.to + 1, ..UpgradeProgress::default() };
    promoted(sandbox, &automatic, &fork, &[&blue, &green]).await.context("by itself").map(drop)
}

/// Under this name, and by a commit that promotes another name or this one.
fn named(job: &Job, name: &str, promoted: &str) -> Job {
    let blue_green = json!({"promotion": "Manual", "promotedRevision": promoted});
    let job = job.clone().set("/spec/revisionName", json!(name));
    job.set(UPGRADE, json!({"strategy": "BlueGreen", "blueGreen": blue_green}))
}

fn under_way(job: &FlinkJobUpgrade) -> Option<UpgradeProgress> {
    job.status.as_ref().and_then(|status| status.upgrade.clone())
}

/// Both write, from the same record on; the resource is Ready with the old one, and the stable Service leads there.
async fn beside(sandbox: &Sandbox, changed: &Job, blue: &str) -> Result<UpgradeProgress> {
    let waiting = sandbox.apply_ready(changed, story::UPGRADE).await?;
    wait::kubectl(&sandbox.env, &sandbox.namespace, "fju/orders", "UpgradePending")?;
    let fork = under_way(&waiting).filter(|upgrade| upgrade.step == UpgradeStep::Promotion);
    let fork = fork.with_context(|| wait::describe(&waiting))?;
    let submission = fork.submission.clone().context("the fork has no submission")?;
    ensure!(story::submission(&waiting)?.job_id == blue, "{}", wait::describe(&waiting));
    leads_to(sandbox, story::revision(&waiting)?).await?;

    let savepoint = sandbox.savepoints().get(&fork.savepoint.clone().unwrap_or_default()).await?;
    ensure!(savepoint.spec.then() == Then::Continue, "{:?}", savepoint.spec);
    ensure!(submission.restored_from == Some(story::completed(&savepoint)?), "{submission:?}");
    story::writes(sandbox, "orders", blue).await?;
    let all = story::writes(sandbox, "orders", &submission.job_id).await?;
    let own = records::check_exactly_once(&all.lineage(&[blue]))?;
    records::check_exactly_once(&all.lineage(&[blue, &submission.job_id]))?;
    eprintln!("orders: a fork beside {blue}, whose longest pause was {} ms", own.longest_gap_ms);
    Ok(fork)
}

/// The new job takes the place, and the old one ends with a final savepoint: no moment without one of them. `before`: the
/// ids of those that it comes from. Returns its id.
async fn promoted(sandbox: &Sandbox, commit: &Job, fork: &UpgradeProgress, before: &[&str]) -> Result<String> {
    sandbox.apply(commit).await?;
    let is_promoted = |job: &FlinkJobUpgrade| {
        story::revision(job).is_ok_and(|revision| revision == fork.to)
            && wait::holds(job, "Ready")
            && wait::holds(job, "Promoted")
    };
    let job = wait::on(&sandbox.jobs(), "orders", "it is promoted", story::UPGRADE, is_promoted).await?;
    let entry: HistoryEntry = story::newest(&job)?;
    ensure!(entry.result == UpgradeResult::Succeeded && entry.downtime_seconds == Some(0.0), "{entry:?}");
    let last = sandbox.savepoints().get(&entry.final_savepoint.clone().unwrap_or_default()).await?;
    ensure!(last.spec.then() == Then::Stop, "{:?}", last.spec);
    story::completed(&last)?;
    leads_to(sandbox, fork.to).await?;
    story::removed(sandbox, "orders", entry.from.unwrap_or_default()).await?;

    let green = story::submission(&job)?.job_id;
    let all = story::writes(sandbox, "orders", &green).await?;
    let lineage: Vec<&str> = before.iter().copied().chain([green.as_str()]).collect();
    records::check_exactly_once(&all.lineage(&lineage))?;
    let blue = before.last().copied().unwrap_or_default();
    let ended = all.0.iter().rfind(|record| record.job == blue).map(|record| record.epoch_ms);
    let began = all.0.iter().find(|record| record.job == green).map(|record| record.epoch_ms);
    let (began, ended) = began.zip(ended).context("one of them wrote nothing")?;
    ensure!(began < ended, "the new job began {} ms after the old one had ended", began - ended);
    eprintln!("orders: promoted; both wrote for {} ms", ended - began);
    Ok(green)
}

async fn leads_to(sandbox: &Sandbox, revision: i64) -> Result<()> {
    let service = sandbox.api::<Service>().get("orders-rest").await?;
    let selector = service.spec.and_then(|spec| spec.selector).unwrap_or_default();
    ensure!(selector.get(labels::REVISION) == Some(&revision.to_string()), "{selector:?}, revision {revision}");
    Ok(())
}
