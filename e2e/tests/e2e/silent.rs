//! A node that is silent: what runs on it can't be ended, and nothing is started beside it. Pods stay Terminating, and a
//! process that slept through being told to go wakes and processes on.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    job::{Job, MAIN_CONTAINER, Version},
    namespace::Sandbox,
    pause, records,
    session::process::Process,
    wait::{self, Seen},
};
use flink_savepoint_operator::{
    api::{FlinkJobUpgrade, StateSource, Submission, UpgradeResult, UpgradeStep, labels},
    naming,
};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use serde_json::json;

use crate::{store, story};

/// From a kubelet that hears again until its node's pods are gone, its node takes new ones, and the new job is stable.
const BACK: Duration = Duration::from_secs(180);
/// The tasks must not give up by themselves while their JobManager is cut off: that would be no fence either. Besides the
/// heartbeat it is a message of a source (2.3) that has no answer.
const PATIENT: [&str; 2] = ["heartbeat.timeout", "pekko.ask.timeout"];
/// Far longer than all of this takes.
const PATIENCE: &str = "300s";

/// The JobManager is cut off, the spec is changed, and then the kubelet hears nothing any more: the old pods are told to
/// go and stay. The TaskManager sleeps meanwhile; awake it processes on, although it was told to go. Nothing is started
/// beside it until the kubelet is back and the pods are gone.
pub async fn node(sandbox: &Sandbox, version: Version) -> Result<()> {
    sandbox.create_store(store::RIGHT).await?;
    let job = Job::counting(&sandbox.env, "orders", version).never_empty();
    let job = PATIENT.iter().fold(job.set("/spec/upgrade/savepoint/timeout", json!("10s")), |job, key| {
        job.set(&format!("/spec/flinkConfiguration/{key}"), json!(PATIENCE))
    });
    let before = story::started(sandbox, &job).await?;
    let (old, revision) = (story::submission(&before)?, story::revision(&before)?);
    let pods: Api<Pod> = sandbox.api();
    let job_manager = pods.get(&naming::job_manager_pod_name("orders", revision)).await?;
    Process::of(&job_manager, MAIN_CONTAINER)?.cut_off()?;
    sandbox.apply(&job.clone().rate(250)).await?;
    // From here on nothing of the new revision has to be started any more.
    at(sandbox, UpgradeStep::Savepoint).await?;
    let Some(kubelet) = pause::kubelet(&sandbox.env)? else {
        eprintln!("the kubelet does not run on this machine: it can't be paused");
        return Ok(());
    };
    let old_pods = pods_of(sandbox, revision).await?;
    let task_manager = old_pods.iter().find(|pod| pod.metadata.name != job_manager.metadata.name);
    let task_manager = task_manager.context("no TaskManager")?;
    let sleeper = Process::of(task_manager, MAIN_CONTAINER)?.pause()?;

    let fencing = at(sandbox, UpgradeStep::Fencing).await?;
    let upgrade = fencing.status.and_then(|status| status.upgrade).context("no upgrade")?;
    ensure!(upgrade.source == Some(StateSource::Checkpoint), "{upgrade:?}");
    is_told(sandbox, &old, &old_pods).await?;
    sleeper.wake()?;
    processes_on(sandbox, &old).await?;
    let still = pods_of(sandbox, revision).await?;
    ensure!(still.len() == old_pods.len(), "{} of {} pods are left on the silent node", still.len(), old_pods.len());
    ensure!(still.iter().all(|pod| pod.metadata.deletion_timestamp.is_some()), "a pod was not told to go: {still:?}");

    kubelet.wake()?;
    story::removed(sandbox, "orders", revision).await?;
    // It is Stalled until it has looked again.
    let after = wait::on(&sandbox.jobs(), "orders", "Ready", BACK, |job| wait::holds(job, "Ready")).await?;
    let new = story::submission(&after)?;
    ensure!(new.revision > revision, "{new:?}");
    ensure!(new.restored_from.as_ref().is_some_and(|from| from.contains(&old.job_id)), "{new:?}");
    ensure!(story::newest(&after)?.result == UpgradeResult::Succeeded, "{:?}", story::newest(&after)?);
    let records = story::writes(sandbox, "orders", &new.job_id).await?;
    let jobs = records::check(&records)?.jobs;
    ensure!(jobs == [old.job_id, new.job_id], "{jobs:?}");
    Ok(())
}

/// Waits until the upgrade has come so far.
async fn at(sandbox: &Sandbox, step: UpgradeStep) -> Result<FlinkJobUpgrade> {
    let what = format!("its upgrade is at {step:?}");
    wait::on(&sandbox.jobs(), "orders", &what, story::UPGRADE, |job: &FlinkJobUpgrade| {
        let upgrade = job.status.as_ref().and_then(|status| status.upgrade.as_ref());
        upgrade.is_some_and(|upgrade| upgrade.step == step)
    })
    .await
}

/// Stalled, and the message says which pods are in the way, where, and what helps.
async fn is_told(sandbox: &Sandbox, old: &Submission, pods: &[Pod]) -> Result<()> {
    let stalled = wait::until("the job is Stalled", story::UPGRADE, async || {
        let job = sandbox.jobs().get("orders").await?;
        let fencing = job.status.as_ref().and_then(|s| s.upgrade.as_ref()).map(|upgrade| upgrade.step);
        Ok(if wait::holds(&job, "Stalled") {
            Seen::Yes(wait::stalled(&sandbox.jobs(), "orders", story::SOON).await?)
        } else if fencing == Some(UpgradeStep::Fencing) {
            Seen::NotYet(wait::describe(&job))
        } else {
            Seen::Never(format!("it went on: {}", wait::describe(&job)))
        })
    })
    .await?;
    ensure!(stalled.reason == "PreviousJobNotFenced", "{stalled:?}");
    for pod in pods {
        let name = pod.metadata.name.as_deref().context("a pod without a name")?;
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).context("a pod without a node")?;
        ensure!(stalled.message.contains(&format!("{name} on node {node}")), "{name}: {stalled:?}");
    }
    for cure in ["out-of-service", &format!("kubectl annotate fju orders savepoints.dev/fenced={}", old.job_id)] {
        ensure!(stalled.message.contains(cure), "{cure:?} is not in {stalled:?}");
    }
    Ok(())
}

/// The old job writes, and no other has: a job that was started beside it would have overlapped.
async fn processes_on(sandbox: &Sandbox, old: &Submission) -> Result<()> {
    let records = story::writes(sandbox, "orders", &old.job_id).await?;
    ensure!(records.jobs() == [old.job_id.clone()], "{:?} have written", records.jobs());
    let job = sandbox.jobs().get("orders").await?;
    let reason = wait::condition(&job, "Stalled").and_then(|c| c.get("reason").cloned());
    ensure!(reason == Some(json!("PreviousJobNotFenced")), "{}", wait::describe(&job));
    Ok(())
}

async fn pods_of(sandbox: &Sandbox, revision: i64) -> Result<Vec<Pod>> {
    let theirs = ListParams::default().labels(&format!("{}=orders,{}={revision}", labels::JOB, labels::REVISION));
    Ok(sandbox.api::<Pod>().list(&theirs).await?.items)
}
