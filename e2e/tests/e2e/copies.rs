//! Copies for disaster recovery: jobs go on from them when nothing is left of the originals.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    job::{CHECKPOINTS, Job, SAVEPOINTS, Version},
    namespace::Sandbox,
    records::{self, Records},
    wait,
};
use flink_savepoint_operator::{
    api::{FlinkJobUpgrade, FlinkSavepoint},
    naming,
};
use k8s_openapi::api::batch::v1::Job as KubernetesJob;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::{store, story};

/// The Job that copies was asked for; the status does not know.
pub const JOB_CREATED: &str = "savepoint.copy.after";
/// Where copies go, in the bucket.
const COPIES: &str = "copies";
/// More than the operator copies itself, in MiB.
const STATE: &str = "12";

/// The copies of a savepoint and of an incremental checkpoint, made by Jobs while the operator dies once; then all that
/// the job has written is deleted, and two others go on from the copies.
pub async fn restored_with_the_original_gone(sandbox: &Sandbox, version: Version) -> Result<()> {
    sandbox.create_store(store::RIGHT).await?;
    let job = counting(sandbox, "orders", version).set("/spec/deletion/job", json!("Cancel"));
    let runs = story::started(sandbox, &job).await?;
    let orders = story::submission(&runs)?.job_id;
    sandbox.take_savepoint("original", "orders", json!({"deletionPolicy": "Delete"})).await?;
    let original = wait::ready(&sandbox.savepoints(), "original", story::UPGRADE).await?;
    let location = story::completed(&original)?;

    let armed = sandbox.operator.arm(JOB_CREATED, &sandbox.namespace).await?;
    put_copy(sandbox, "east", json!({"name": "original"})).await?;
    armed.fired(story::UPGRADE).await?;
    copied(sandbox, "east").await?;

    // Its last checkpoint stays.
    let last =
        wait::on(&sandbox.jobs(), "orders", "a checkpoint", story::SOON, |job| checkpoint(job).is_some()).await?;
    sandbox.jobs().delete("orders", &DeleteParams::default()).await?;
    wait::gone::<FlinkJobUpgrade>(&sandbox.jobs(), "orders", story::UPGRADE).await?;
    let newest = newest_checkpoint(sandbox, &orders).await?;
    eprintln!("checkpoint {newest}, known before: {:?}", checkpoint(&last));
    put_copy(sandbox, "west", json!({"path": newest})).await?;
    copied(sandbox, "west").await?;

    // Nobody needs it any more.
    sandbox.savepoints().delete("original", &DeleteParams::default()).await?;
    wait::gone::<FlinkSavepoint>(&sandbox.savepoints(), "original", story::SOON).await?;
    let s3 = &sandbox.env.s3;
    let left = s3.list(&format!("{}/", s3.key(&location)?)).await?;
    ensure!(left.is_empty(), "files of the deleted savepoint: {left:#?}");
    for base in [CHECKPOINTS, SAVEPOINTS] {
        for key in s3.list(&format!("{base}/{}/", sandbox.namespace)).await? {
            s3.remove(&key).await?;
        }
    }

    for name in ["east", "west"] {
        let wish = json!({"id": "first", "savepointRef": {"name": name}});
        let job = counting(sandbox, name, version).set("/spec/job/restoreFrom", wish);
        let restored = story::started(sandbox, &job).await.with_context(|| format!("restored from {name}"))?;
        goes_on(sandbox, &orders, name, &story::submission(&restored)?.job_id).await?;
        sandbox.jobs().delete(name, &DeleteParams::default()).await?;
        wait::gone::<FlinkJobUpgrade>(&sandbox.jobs(), name, story::UPGRADE).await?;
    }
    Ok(())
}

/// RocksDB, whose checkpoints share files.
fn counting(sandbox: &Sandbox, name: &str, version: Version) -> Job {
    Job::counting(&sandbox.env, name, version)
        .set("/spec/flinkConfiguration/state.backend.type", json!("rocksdb"))
        .set("/spec/flinkConfiguration/execution.checkpointing.incremental", json!(true))
        .set("/spec/flinkConfiguration/taskmanager.memory.managed.size", json!("64m"))
        .set("/spec/flinkConfiguration/taskmanager.memory.task.heap.size", json!("96m"))
        .set("/spec/taskManager/resource/memory", json!("512Mi"))
        .counting_with(200, &["--state-mib", STATE])
}

async fn put_copy(sandbox: &Sandbox, name: &str, of: Value) -> Result<()> {
    let manifest = json!({
        "apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkSavepoint",
        "spec": {"copyOf": of, "targetDirectory": sandbox.env.s3.url(COPIES)},
    });
    sandbox.put::<FlinkSavepoint>(name, manifest).await.map(drop)
}

/// It is complete and whole, a Job made it, and that one goes by itself.
async fn copied(sandbox: &Sandbox, name: &str) -> Result<()> {
    let copy = wait::ready(&sandbox.savepoints(), name, story::UPGRADE).await?;
    let status = copy.status.clone().unwrap_or_default();
    let (place, progress) =
        (status.location.context("a copy without a location")?, status.copy.context("no progress")?);
    ensure!(progress.by_job && place == progress.to && sandbox.env.s3.has_metadata(&place).await?, "{progress:?}");
    let job = naming::copy_job_name(name, copy.metadata.uid.as_deref().unwrap_or_default());
    let over = |job: &KubernetesJob| job.status.as_ref().and_then(|s| s.succeeded) == Some(1);
    let job = wait::on(&sandbox.api::<KubernetesJob>(), &job, "succeeded", story::SOON, over).await?;
    ensure!(job.spec.and_then(|spec| spec.ttl_seconds_after_finished).is_some(), "it stays for ever");
    Ok(())
}

fn checkpoint(job: &FlinkJobUpgrade) -> Option<String> {
    job.status.as_ref()?.active.as_ref()?.last_checkpoint.as_ref()?.path.clone()
}

/// Of a job that was cancelled.
async fn newest_checkpoint(sandbox: &Sandbox, job_id: &str) -> Result<String> {
    let whole = sandbox.env.s3.snapshots(&format!("{CHECKPOINTS}/{}/orders/{job_id}/", sandbox.namespace)).await?;
    let number = |place: &String| place.rsplit_once("chk-").and_then(|(_, number)| number.parse::<u64>().ok());
    whole.into_iter().max_by_key(number).context("no checkpoint was retained")
}

/// It counts on from a record of the first job's.
async fn goes_on(sandbox: &Sandbox, orders: &str, name: &str, id: &str) -> Result<()> {
    let restored = story::writes(sandbox, name, id).await?;
    ensure!(restored.0.iter().all(|record| record.s > 0), "{name} began with nothing");
    let all = Records(sandbox.records("orders")?.0.into_iter().chain(restored.0).collect());
    records::check_exactly_once(&all.lineage(&[orders, id])).with_context(|| name.to_owned()).map(drop)
}
