//! What starts an upgrade, and what does not.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    job::{Job, Version},
    namespace::Sandbox,
    wait,
};
use flink_savepoint_operator::api::FlinkJobUpgrade;
use k8s_openapi::api::{autoscaling::v2::HorizontalPodAutoscaler, core::v1::Pod};
use kube::api::ListParams;
use serde_json::json;

use crate::story;

/// How a job moves, how it ends, its name and labels are no part of what runs; its parallelism is, whoever changes it.
pub async fn starts_an_upgrade(sandbox: &Sandbox, version: Version) -> Result<()> {
    let job = Job::counting(&sandbox.env, "orders", version);
    let before = story::started(sandbox, &job).await?;

    let moves = job
        .set("/metadata/labels", json!({"team": "payments"}))
        .set("/spec/revisionName", json!("one"))
        .set("/spec/revisionHistoryLimit", json!(3))
        .set("/spec/upgrade", json!({"progressDeadline": "10m", "stability": {"completedCheckpoints": 2}}))
        .set("/spec/deletion", json!({"job": "Cancel", "timeout": "5m"}));
    let same = sandbox.apply_ready(&moves, story::SOON).await?;
    is_the_same(&before, &same).context("upgrade, deletion, labels and revisionName")?;
    ensure!(same.metadata.generation > before.metadata.generation, "{}", wait::describe(&same));

    sandbox.apply(&moves).await?;
    story::goes_on(sandbox, "orders").await?;
    let again = sandbox.jobs().get("orders").await?;
    ensure!(again.metadata.resource_version == same.metadata.resource_version, "{}", wait::describe(&again));

    let scaled = wait::kubectl_command(&sandbox.env)
        .args(["scale", "--namespace", &sandbox.namespace, "--replicas=2", "fju/orders"])
        .output()?;
    ensure!(scaled.status.success(), "kubectl scale: {}", String::from_utf8_lossy(&scaled.stderr));
    let two = runs_with(sandbox, 2).await.context("kubectl scale")?;
    story::goes_on(sandbox, "orders").await?;

    // Below minReplicas an autoscaler scales without a metric.
    let autoscaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "spec": {
            "scaleTargetRef": {"apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkJobUpgrade", "name": "orders"},
            "minReplicas": 3, "maxReplicas": 4,
        },
    });
    sandbox.put::<HorizontalPodAutoscaler>("orders", autoscaler).await?;
    let three = runs_with(sandbox, 3).await.context("a HorizontalPodAutoscaler whose minReplicas is raised")?;
    story::goes_on(sandbox, "orders").await?;
    ensure!(story::revision(&three)? == story::revision(&two)? + 1, "{}", wait::describe(&three));
    Ok(())
}

/// The same job on the same revision, and nothing was begun meanwhile.
fn is_the_same(before: &FlinkJobUpgrade, after: &FlinkJobUpgrade) -> Result<()> {
    let history = |job: &FlinkJobUpgrade| job.status.as_ref().map_or(0, |status| status.history.len());
    ensure!(story::submission(before)?.job_id == story::submission(after)?.job_id, "{}", wait::describe(after));
    ensure!(history(before) == history(after), "{}", wait::describe(after));
    Ok(())
}

/// The job has that parallelism, by its resource and by its pods.
async fn runs_with(sandbox: &Sandbox, parallelism: i32) -> Result<FlinkJobUpgrade> {
    let what = format!("it runs with parallelism {parallelism}");
    let job = wait::on(&sandbox.jobs(), "orders", &what, story::UPGRADE, |job: &FlinkJobUpgrade| {
        let is = job.status.as_ref().and_then(|status| status.parallelism);
        job.spec.job.parallelism == parallelism && is == Some(parallelism) && wait::holds(job, "Ready")
    })
    .await?;
    story::removed(sandbox, "orders", story::revision(&job)? - 1).await?;
    let selector = job.status.as_ref().and_then(|status| status.selector.clone()).context("status.selector")?;
    let pods = sandbox.api::<Pod>().list(&ListParams::default().labels(&selector)).await?.items;
    ensure!(i32::try_from(pods.len())? == parallelism, "{} TaskManager pods", pods.len());
    Ok(job)
}
