//! A resource is deleted while something is gone that its job would be saved by.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    job::{Job, MAIN_CONTAINER, Version},
    namespace::Sandbox,
    records,
    session::Process,
    wait::{self, Seen},
};
use flink_savepoint_operator::{api::FlinkJobUpgrade, naming};
use k8s_openapi::api::{
    core::v1::{Namespace, Pod},
    events::v1::Event,
};
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use serde_json::json;

use crate::{store, story};

/// So long its savepoint is tried.
const TIMEOUT: &str = "15s";
/// The timeout, pods that leave, and what leaving takes on a busy machine.
const GONE: Duration = Duration::from_secs(90);

/// A JobManager that gives no answer; a place for savepoints that is not there; a namespace that is being deleted. Each
/// time the resource goes, nothing of it is left, and its state is found again.
pub async fn whatever_is_gone(sandbox: &Sandbox, version: Version) -> Result<()> {
    sandbox.create_store(store::RIGHT).await?;
    let job = Job::counting(&sandbox.env, "orders", version).never_empty();
    let job = job.set("/spec/deletion/timeout", json!(TIMEOUT));

    let first = story::started(sandbox, &job).await?;
    let pods: Api<Pod> = sandbox.api();
    let pod = pods.get(&naming::job_manager_pod_name("orders", story::revision(&first)?)).await?;
    Process::of(&pod, MAIN_CONTAINER)?.cut_off()?;
    deleted(sandbox).await.context("without a JobManager")?;

    let job = job.set("/spec/job/restoreFrom", json!({"id": "again", "latest": true}));
    let second = again(sandbox, &job, &first).await.context("after a JobManager was cut off")?;
    let nowhere = job.clone().set("/spec/upgrade/savepoint/targetDirectory", json!("s3://nowhere/savepoints"));
    sandbox.apply_ready(&nowhere, story::START).await?;
    deleted(sandbox).await.context("without a bucket")?;

    again(sandbox, &job, &second).await.context("after no savepoint could be taken")?;
    let namespaces: Api<Namespace> = Api::all(sandbox.client.clone());
    namespaces.delete(&sandbox.namespace, &DeleteParams::default()).await?;
    wait::gone(&namespaces, &sandbox.namespace, GONE).await
}

/// It goes, and says what it leaves behind.
async fn deleted(sandbox: &Sandbox) -> Result<()> {
    sandbox.jobs().delete("orders", &DeleteParams::default()).await?;
    wait::gone::<FlinkJobUpgrade>(&sandbox.jobs(), "orders", GONE).await?;
    story::all_removed(sandbox, "orders").await?;
    let events: Api<Event> = sandbox.api();
    wait::until("an Event says what is left behind", story::SOON, async || {
        let notes: Vec<String> =
            events.list(&ListParams::default()).await?.items.into_iter().filter_map(|event| event.note).collect();
        let said = notes.iter().any(|note| note.contains("left behind"));
        Ok(if said { Seen::Yes(()) } else { Seen::NotYet(format!("{notes:?}")) })
    })
    .await
}

/// Made again, it goes on from the newest that the one before has left: records come again, and none is lost.
async fn again(sandbox: &Sandbox, job: &Job, before: &FlinkJobUpgrade) -> Result<FlinkJobUpgrade> {
    let object = sandbox.apply_ready(job, story::START).await?;
    let (old, new) = (story::submission(before)?, story::submission(&object)?);
    ensure!(new.restored_from.as_ref().is_some_and(|from| from.contains(&old.job_id)), "{new:?}");
    records::check(&story::writes(sandbox, "orders", &new.job_id).await?)?;
    Ok(object)
}
