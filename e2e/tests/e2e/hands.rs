//! What somebody does by hand to a job's objects and to its Flink cluster: it is put back or told, and never a second job.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    job::{Job, RECORDS_MOUNT, Version},
    namespace::Sandbox,
    records, wait,
};
use flink_savepoint_operator::api::{FlinkJobUpgrade, Healed};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Pod, Service},
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use reqwest::Method;
use serde_json::json;

use crate::story;

/// The id of a job that somebody else submits.
const FOREIGN: &str = "00000000000000000000000000000bad";

/// Scaled, edited, deleted; and a foreign job, for which an upgrade waits.
pub async fn put_back(sandbox: &Sandbox, version: Version) -> Result<()> {
    let job = Job::counting(&sandbox.env, "orders", version);
    let first = story::started(sandbox, &job).await?;
    let process = process(sandbox).await?;
    let deployments: Api<Deployment> = Api::namespaced(sandbox.client.clone(), &sandbox.namespace);
    let config_maps: Api<ConfigMap> = Api::namespaced(sandbox.client.clone(), &sandbox.namespace);
    let services: Api<Service> = Api::namespaced(sandbox.client.clone(), &sandbox.namespace);

    let patch = Patch::Merge(json!({"spec": {"replicas": 0}}));
    deployments.patch("orders-1-taskmanager", &PatchParams::default(), &patch).await?;
    let healed = healed(sandbox, 1).await?;
    // Of what the API server has filled in nothing is taken for a change.
    ensure!(healed.what == "Deployment orders-1-taskmanager: spec.replicas is 0 instead of 1", "{healed:?}");
    wait::ready::<FlinkJobUpgrade>(&sandbox.jobs(), "orders", story::START).await?;
    goes_on(sandbox, &first).await?;

    let configuration = config_maps.get("orders-1").await?.data;
    let ports = services.get("orders-1").await?.spec.and_then(|spec| spec.ports);
    let patch = Patch::Merge(json!({"data": {"config.yaml": "{}", "flink-conf.yaml": "parallelism.default: 7"}}));
    config_maps.patch("orders-1", &PatchParams::default(), &patch).await?;
    let patch = Patch::Merge(json!({"spec": {"ports": [{"name": "rest", "port": 80}]}}));
    services.patch("orders-1", &PatchParams::default(), &patch).await?;
    let as_before = |map: &ConfigMap| map.data == configuration;
    wait::on(&config_maps, "orders-1", "its data is put back", story::SOON, as_before).await?;
    let as_before = |service: &Service| service.spec.as_ref().and_then(|spec| spec.ports.clone()) == ports;
    wait::on(&services, "orders-1", "its ports are put back", story::SOON, as_before).await?;

    deployments.delete("orders-1-taskmanager", &DeleteParams::default()).await?;
    services.delete("orders-rest", &DeleteParams::default()).await?;
    let ready = |d: &Deployment| d.status.as_ref().and_then(|status| status.ready_replicas) == Some(1);
    wait::on(&deployments, "orders-1-taskmanager", "made again", story::START, ready).await?;
    wait::on(&services, "orders-rest", "made again", story::SOON, |_| true).await?;
    let after = wait::ready::<FlinkJobUpgrade>(&sandbox.jobs(), "orders", story::START).await?;
    ensure!(story::submission(&after)?.job_id == story::submission(&first)?.job_id, "it was submitted again");
    ensure!(self::process(sandbox).await? == process, "the JobManager is another");
    goes_on(sandbox, &first).await?;

    a_foreign_job(sandbox, &after, &job.rate(250)).await
}

/// The job writes on, from a checkpoint: some records come again, and none is lost.
async fn goes_on(sandbox: &Sandbox, job: &FlinkJobUpgrade) -> Result<()> {
    let records = story::writes(sandbox, "orders", &story::submission(job)?.job_id).await?;
    let summary = records::check(&records)?;
    ensure!(summary.repeated > 0, "nothing was restored: {summary:?}");
    Ok(())
}

/// It is told; an upgrade waits until it has ended.
async fn a_foreign_job(sandbox: &Sandbox, before: &FlinkJobUpgrade, changed: &Job) -> Result<()> {
    let flink = story::flink(sandbox, before).await?;
    let out = format!("{RECORDS_MOUNT}/foreign.log");
    let run = json!({"jobId": FOREIGN, "entryClass": "dev.savepoints.jobs.CountingJob", "parallelism": 1,
        "programArgsList": ["--out", out, "--rate", "1"]});
    let (status, answer) = flink.request(Method::POST, "/jars/job.jar/run", Some(&run)).await?;
    ensure!(status == 200, "{status}: {answer}");
    let told = |job: &FlinkJobUpgrade| wait::holds(job, "ForeignJobs");
    wait::on(&sandbox.jobs(), "orders", "the foreign job is told", story::SOON, told).await?;
    sandbox.apply(changed).await?;
    let stalled = wait::stalled::<FlinkJobUpgrade>(&sandbox.jobs(), "orders", story::SOON).await?;
    ensure!(stalled.reason == "ForeignJob" && stalled.message.contains(FOREIGN), "{stalled:?}");
    let (status, answer) = flink.request(Method::PATCH, &format!("/jobs/{FOREIGN}?mode=cancel"), None).await?;
    ensure!(status == 202, "{status}: {answer}");
    let goes_on = |job: &FlinkJobUpgrade| !wait::holds(job, "Stalled");
    wait::on(&sandbox.jobs(), "orders", "the upgrade begins", story::SOON, goes_on).await?;
    let after = story::upgraded(sandbox, before, changed).await?;
    story::handed_over_after_restarts(sandbox, before, &after).await.map(drop)
}

/// What was put back so many times or more.
async fn healed(sandbox: &Sandbox, times: i64) -> Result<Healed> {
    let of = |job: &FlinkJobUpgrade| job.status.as_ref().and_then(|status| status.healed.clone());
    let enough = |job: &FlinkJobUpgrade| of(job).is_some_and(|healed| healed.count >= times);
    let job = wait::on(&sandbox.jobs(), "orders", &format!("healed {times} times"), story::SOON, enough).await?;
    of(&job).context("nothing was healed")
}

/// The JobManager's pod, and how often its container was restarted.
async fn process(sandbox: &Sandbox) -> Result<(Option<String>, i32)> {
    let pods: Api<Pod> = Api::namespaced(sandbox.client.clone(), &sandbox.namespace);
    let pod = pods.get("orders-1-jobmanager-0").await?;
    let containers = pod.status.and_then(|status| status.container_statuses).unwrap_or_default();
    Ok((pod.metadata.uid, containers.iter().map(|container| container.restart_count).sum()))
}
