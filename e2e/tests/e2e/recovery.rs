//! Jobs that never run twice, never start empty, and come back, without high availability and with Flink's default
//! heartbeats: the record file shows that no line of a job comes after the first of its successor.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    job::{Job, MAIN_CONTAINER, Version},
    namespace::Sandbox,
    records,
    session::process::Process,
    wait::{self, Seen},
};
use flink_savepoint_operator::{
    api::{
        FlinkJobUpgrade, StateSource, UpgradeResult, UpgradeStep,
        condition::{self, types},
    },
    naming,
};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams};
use serde_json::json;

use crate::{crash, store, story};

/// JVM starts side by side, on a machine that is busy with another test.
const RECOVERY: Duration = Duration::from_secs(120);
/// Longer than anything that a JobManager which is cut off could still do by itself, and far less than the 50 s after
/// which its TaskManagers would give up.
const WORKS_ON: Duration = Duration::from_secs(30);

/// The TaskManager pods of the job that was lost are told to go.
pub const PODS_TOLD: &str = "upgrade.delete-pods.after";

/// The JobManager is killed, and the job comes back from its newest checkpoint. The resource is deleted without a
/// savepoint and made again: it does not start empty, and goes on from what is left.
pub async fn lost_and_made_again(sandbox: &Sandbox, version: Version) -> Result<()> {
    sandbox.create_store(store::RIGHT).await?;
    let job = Job::counting(&sandbox.env, "orders", version).never_empty().set("/spec/deletion/job", json!("Cancel"));
    let before = story::started(sandbox, &job).await?;
    recovered(sandbox, &before).await?;
    made_again(sandbox, &job).await
}

/// Kills the JobManager's process, and sees the job come back; with the full matrix the operator dies meanwhile.
async fn recovered(sandbox: &Sandbox, before: &FlinkJobUpgrade) -> Result<()> {
    let old = story::submission(before)?;
    let pods: Api<Pod> = sandbox.api();
    let pod = pods.get(&naming::job_manager_pod_name("orders", story::revision(before)?)).await?;
    let armed = crash::arm_in_full(sandbox, PODS_TOLD).await?;
    let killed = Instant::now();
    Process::of(&pod, MAIN_CONTAINER)?.kill()?;
    crash::fired(armed).await?;
    let job = wait::on(&sandbox.jobs(), "orders", "it runs again", RECOVERY, |job: &FlinkJobUpgrade| {
        let again = story::submission(job).is_ok_and(|s| s.job_id != old.job_id);
        again && wait::holds(job, "Ready")
    })
    .await?;
    eprintln!("orders: {:.1} s from kill -9 of the JobManager to all tasks running", killed.elapsed().as_secs_f64());
    let entry = story::newest(&job)?;
    ensure!(entry.result == UpgradeResult::Recovered, "{entry:?}");
    let new = story::submission(&job)?;
    let from = new.restored_from.clone().context("it started empty")?;
    ensure!(from.contains(&format!("/{}/chk-", old.job_id)), "{from} is not a checkpoint of {}", old.job_id);
    let restored = story::flink(sandbox, &job).await?.restored(&new.job_id).await?.context("Flink restored nothing")?;
    ensure!(restored.path.trim_end_matches('/') == from, "{restored:?}, asked was {from}");
    ensure!(new.image_digest.as_ref().is_some_and(|digest| digest.starts_with("sha256:")), "{new:?}");
    ensure!(new.jar_sha256.as_ref().is_some_and(|hash| hash.len() == 64), "{new:?}");
    wait::on(
        &sandbox.jobs(),
        "orders",
        "Flink tells that it keeps checkpoints",
        story::SOON,
        |job: &FlinkJobUpgrade| {
            let conditions = job.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
            let told = condition::find(conditions, types::RECOVERABLE);
            told.is_some_and(|told| told.status == "True" && told.message.contains(&new.job_id))
        },
    )
    .await?;
    story::writes(sandbox, "orders", &new.job_id).await?;
    // Some records come again: those after the checkpoint. None is missing, and none of the old job is late.
    records::check(&sandbox.records("orders")?)?;
    Ok(())
}

async fn made_again(sandbox: &Sandbox, job: &Job) -> Result<()> {
    sandbox.jobs().delete("orders", &DeleteParams::background()).await?;
    wait::gone::<FlinkJobUpgrade>(&sandbox.jobs(), "orders", story::UPGRADE).await?;
    sandbox.apply(job).await?;
    let stalled = wait::stalled(&sandbox.jobs(), "orders", story::SOON).await?;
    ensure!(stalled.reason == "StateExists" && stalled.message.contains("/chk-"), "{stalled:?}");
    ensure!(stalled.message.contains("latest: true"), "{stalled:?}");
    let newest = job.clone().set("/spec/job/restoreFrom", json!({"id": "again", "latest": true}));
    let after = story::started(sandbox, &newest).await?;
    let from = story::submission(&after)?.restored_from.context("it started empty")?;
    ensure!(stalled.message.contains(&from), "started from {from}: {stalled:?}");
    records::check(&sandbox.records("orders")?)?;
    Ok(())
}

/// The JobManager is cut off while its TaskManagers process on. A changed spec takes the job over, from its newest
/// checkpoint, and only once all of its pods are gone.
pub async fn cut_off_and_replaced(sandbox: &Sandbox, version: Version) -> Result<()> {
    sandbox.create_store(store::RIGHT).await?;
    let job = Job::counting(&sandbox.env, "orders", version)
        .never_empty()
        .set("/spec/upgrade/savepoint/timeout", json!("10s"));
    let before = story::started(sandbox, &job).await?;
    let old = story::submission(&before)?;
    let pods: Api<Pod> = sandbox.api();
    let pod = pods.get(&naming::job_manager_pod_name("orders", story::revision(&before)?)).await?;
    Process::of(&pod, MAIN_CONTAINER)?.cut_off()?;
    let cut = chrono::Utc::now().timestamp_millis();
    sandbox.apply(&job.clone().rate(250)).await?;
    wait::on(&sandbox.jobs(), "orders", "its pods go", story::UPGRADE, |job: &FlinkJobUpgrade| {
        let upgrade = job.status.as_ref().and_then(|s| s.upgrade.as_ref());
        upgrade.is_some_and(|u| u.step == UpgradeStep::Fencing && u.source == Some(StateSource::Checkpoint))
    })
    .await?;
    let job = wait::ready(&sandbox.jobs(), "orders", story::UPGRADE).await?;
    let new = story::submission(&job)?;
    ensure!(new.restored_from.as_ref().is_some_and(|from| from.contains(&old.job_id)), "{new:?}");
    let records = story::writes(sandbox, "orders", &new.job_id).await?;
    let late = records.0.iter().filter(|r| r.job == old.job_id && r.epoch_ms > cut).count();
    ensure!(late > 0, "the old job wrote nothing after its JobManager was cut off: this shows nothing");
    eprintln!("orders: {late} records of the old job after the cut");
    records::check(&records)?;
    wait::until("the old revision is removed", WORKS_ON, async || {
        let left = story::objects(sandbox, "orders", Some(story::revision(&before)?)).await?;
        let left: Vec<&String> =
            left.iter().map(|(kind, _)| kind).filter(|kind| *kind != "ControllerRevision").collect();
        Ok(if left.is_empty() { Seen::Yes(()) } else { Seen::NotYet(format!("{left:?}")) })
    })
    .await
}
