//! The first start of a job.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    job::{Job, Version},
    namespace::Sandbox,
    records,
    wait::{self, Seen},
};
use flink_savepoint_operator::api::{FlinkJobUpgrade, labels};
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::{Resource as _, api::GetParams, core::Request};
use serde_json::{Value, json};

use crate::{store, story};

/// A manifest becomes a running job, of objects as they must be, and then the operator is quiet.
pub async fn first_start(sandbox: &Sandbox, job: &Job) -> Result<FlinkJobUpgrade> {
    let object = story::started(sandbox, job).await?;
    ensure!(story::revision(&object)? == 1);
    let submission = story::submission(&object)?;
    ensure!(submission.restored_from.is_none(), "{submission:?}");
    let jobs = records::check_exactly_once(&sandbox.records(&job.name)?)?.jobs;
    ensure!(jobs == [submission.job_id.clone()], "{jobs:?} wrote, {} was submitted", submission.job_id);
    ensure!(story::flink(sandbox, &object).await?.restored(&submission.job_id).await?.is_none());
    stable_service_leads_to(sandbox, &job.name, &submission.job_id).await?;

    objects_are_as_they_must_be(sandbox, &job.name).await?;
    pods_are_restricted(sandbox).await?;
    columns_tell_the_story(sandbox, &job.name).await?;
    wait::kubectl(&sandbox.env, &sandbox.namespace, "fju/orders", "Ready")?;

    // A job at rest causes no writes: not while a thousand records and two checkpoints go by.
    let version = async || anyhow::Ok(sandbox.jobs().get(&job.name).await?.metadata.resource_version);
    story::goes_on(sandbox, &job.name).await?;
    let before = version().await?;
    for _ in 0..5 {
        story::goes_on(sandbox, &job.name).await?;
    }
    let after = version().await?;
    ensure!(before == after, "the resource was written at rest: {before:?} became {after:?}");
    Ok(object)
}

/// The stable Service leads to the JobManager that runs the job, soon after the job is Ready: a node's proxy follows a
/// Service when it hears of it.
async fn stable_service_leads_to(sandbox: &Sandbox, job: &str, id: &str) -> Result<()> {
    let running = (id.to_owned(), "RUNNING".to_owned());
    wait::until(&format!("Service {job} leads to job {id}"), story::SOON, async || {
        let known = async { sandbox.flink(job).await?.jobs().await };
        Ok(match known.await {
            Ok(jobs) if jobs.contains(&running) => Seen::Yes(()),
            Ok(jobs) => Seen::NotYet(format!("{jobs:?}")),
            Err(e) => Seen::NotYet(format!("{e:#}")),
        })
    })
    .await
}

async fn objects_are_as_they_must_be(sandbox: &Sandbox, job: &str) -> Result<()> {
    let objects = story::objects(sandbox, job, None).await?;
    let mut made = Vec::new();
    for (kind, object) in &objects {
        let owners = object.metadata.owner_references.as_deref().unwrap_or_default();
        let name = object.metadata.name.clone().unwrap_or_default();
        // A foreground delete of the job must not reach them.
        let ours = owners.iter().find(|owner| owner.api_version.starts_with("savepoints.dev/"));
        ensure!(ours.is_none(), "{kind} {name} has owner {ours:?}");
        // Pods, ReplicaSets, and a StatefulSet's own ControllerRevision belong to what made them.
        if owners.is_empty() {
            let label = object.metadata.labels.as_ref().and_then(|labels| labels.get(labels::MANAGED_BY));
            ensure!(label.map(String::as_str) == Some(labels::MANAGER), "{kind} {name} has no label managed-by");
            made.push(format!("{kind} {name}"));
        }
    }
    for name in [
        "ConfigMap orders-1",
        "ConfigMap orders-1-helper",
        "ControllerRevision orders-1",
        "Deployment orders-1-taskmanager",
        "Service orders-1",
        "Service orders-rest",
        "StatefulSet orders-1-jobmanager",
    ] {
        ensure!(made.iter().any(|made| made == name), "there is no {name}: {made:#?}");
    }
    Ok(())
}

/// The namespace enforces `restricted`; a read-only root file system and no token are the operator's own wish.
async fn pods_are_restricted(sandbox: &Sandbox) -> Result<()> {
    let pods = sandbox.api::<Pod>().list(&kube::api::ListParams::default()).await?.items;
    ensure!(pods.len() == 2, "{} pods", pods.len());
    for pod in pods {
        let name = pod.metadata.name.unwrap_or_default();
        let spec = pod.spec.context("a pod without a spec")?;
        ensure!(spec.automount_service_account_token == Some(false), "{name} has a token");
        let read_only = |container: &Container| {
            container.security_context.as_ref().and_then(|context| context.read_only_root_filesystem) == Some(true)
        };
        for container in spec.containers.iter().chain(spec.init_containers.iter().flatten()) {
            ensure!(read_only(container), "{name}: the root of {} can be written", container.name);
        }
    }
    Ok(())
}

/// `kubectl get`, asked of the API server as kubectl does.
async fn columns_tell_the_story(sandbox: &Sandbox, job: &str) -> Result<()> {
    let url = FlinkJobUpgrade::url_path(&(), Some(&sandbox.namespace));
    let mut request = Request::new(url).get(job, &GetParams::default())?;
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io".parse()?;
    request.headers_mut().insert("accept", table);
    let answer: Value = sandbox.client.request(request).await?;
    let names = answer.pointer("/columnDefinitions").and_then(Value::as_array).context("no columns")?;
    let cells = answer.pointer("/rows/0/cells").and_then(Value::as_array).context("no cells")?;
    let cell = |name: &str| {
        let index = names.iter().position(|column| column.get("name").and_then(Value::as_str) == Some(name))?;
        cells.get(index).cloned()
    };
    for (name, value) in
        [("Revision", json!(1)), ("Phase", json!("Running")), ("Ready", json!("True")), ("Job", json!("RUNNING"))]
    {
        ensure!(cell(name) == Some(value), "column {name} is {:?}", cell(name));
    }
    Ok(())
}

/// What the schema admits and Flink could not run is never ignored.
pub async fn refused_is_said(sandbox: &Sandbox, version: Version) -> Result<()> {
    let job = Job::counting(&sandbox.env, "orders", version);
    let job = job.set("/spec/flinkConfiguration/rest.port", json!("9999"));
    sandbox.apply(&job).await?;
    let stalled = wait::stalled(&sandbox.jobs(), &job.name, story::SOON).await?;
    ensure!(stalled.reason == "InvalidSpec", "{stalled:?}");
    wait::kubectl(&sandbox.env, &sandbox.namespace, "fju/orders", "Stalled")?;
    ensure!(stalled.message.contains("spec.flinkConfiguration.rest.port"), "{stalled:?}");
    let objects = story::objects(sandbox, &job.name, None).await?;
    ensure!(objects.is_empty(), "objects were made: {:?}", objects.iter().map(|object| &object.0).collect::<Vec<_>>());
    Ok(())
}

/// A job that nobody wrote for this: Flink's published example, all of whose operator IDs are made from the shape of its
/// graph. It moves by `restartNonce`, which keeps them; a change that breaks them is refused by name before anything stops.
pub async fn state_machine_example(sandbox: &Sandbox, version: Version) -> Result<()> {
    sandbox.create_store(store::RIGHT).await?;
    let job = Job::state_machine(&sandbox.env, "state-machine", version).never_empty();
    let before = sandbox.apply_ready(&job, story::START).await?;
    let after = story::upgraded(sandbox, &before, &job.clone().set("/spec/restartNonce", json!(1))).await?;
    story::only_savepoints(sandbox, &[&after.location]).await?;
    let kept = story::newest(&after.job)?.preflight.context("no preflight")?;
    ensure!(!kept.kept.is_empty() && !kept.generated.is_empty() && kept.dropped.is_empty(), "{kept:?}");

    // What is chained to what is part of the shape.
    let broken = job.set("/spec/flinkConfiguration/pipeline.operator-chaining.enabled", json!(false));
    sandbox.apply(&broken).await?;
    let stalled = wait::stalled(&sandbox.jobs(), "state-machine", story::UPGRADE).await?;
    let refused = sandbox.jobs().get("state-machine").await?;
    let found = story::newest(&refused)?.preflight.context("no preflight")?;
    ensure!(stalled.reason == "PreflightFailed" && !found.dropped.is_empty(), "{stalled:?}: {found:?}");
    ensure!(found.dropped.iter().all(|dropped| stalled.message.contains(dropped)), "{stalled:?}: {found:?}");
    ensure!(story::submission(&refused)? == story::submission(&after.job)?, "the job was touched");
    Ok(())
}
