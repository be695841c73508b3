//! Jobs with Flink's Kubernetes high availability: a JobManager that is lost recovers them by itself, and the operator
//! leaves nothing behind that would start one again.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    env::Env,
    job::{Job, MAIN_CONTAINER, Version},
    namespace::Sandbox,
    records,
    session::Process,
    wait::{self, Seen},
};
use flink_savepoint_operator::{api::FlinkJobUpgrade, naming};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, DeleteParams, ListParams};
use serde_json::json;

use crate::{crash, store, story};

/// The rest of the lease (15 s), a JVM's start, and a restore, on a machine that is busy with another test.
const RECOVERY: Duration = Duration::from_secs(120);
/// Key prefix of what high availability stores.
const STORAGE: &str = "ha";
/// The ServiceAccount of the pods.
const ACCOUNT: &str = "flink";

/// What an old revision's cluster would start its job from is gone.
pub const CONFIG_MAPS_DELETED: &str = "upgrade.delete-ha-config-maps.after";
/// What that pointed to is gone.
pub const STORAGE_REMOVED: &str = "upgrade.remove-ha-storage.after";

/// A job whose JobManager is killed, which is then upgraded, deleted, and made again beside what another cluster of its
/// id seems to have left.
pub async fn recovers(sandbox: &Sandbox, version: Version) -> Result<()> {
    sandbox.create_store(store::RIGHT).await?;
    sandbox.grant_high_availability(ACCOUNT).await?;
    let job = highly_available(&sandbox.env, version).never_empty().set("/spec/deletion/job", json!("Cancel"));
    let first = story::started(sandbox, &job).await?;
    let first = recovered(sandbox, &first).await.context("its JobManager is killed")?;
    let second = upgraded(sandbox, &first, &job.clone().rate(250)).await.context("an upgrade")?;
    deleted(sandbox, &second).await.context("deletion")?;
    made_again(sandbox, &job).await.context("made again")
}

/// The counting job with high availability, and the memory that it takes.
pub fn highly_available(env: &Env, version: Version) -> Job {
    Job::counting(env, "orders", version)
        .set("/spec/serviceAccount", json!(ACCOUNT))
        .set("/spec/jobManager/resource/memory", json!("512Mi"))
        .set("/spec/flinkConfiguration/high-availability.type", json!("kubernetes"))
        .set("/spec/flinkConfiguration/high-availability.storageDir", json!(env.s3.url(STORAGE)))
        .set("/spec/flinkConfiguration/jobmanager.memory.jvm-metaspace.size", json!("192m"))
}

/// Flink recovers the job: the same id, and the operator submits nothing.
async fn recovered(sandbox: &Sandbox, before: &FlinkJobUpgrade) -> Result<FlinkJobUpgrade> {
    let old = story::submission(before)?;
    let history = history(before);
    let pod = naming::job_manager_pod_name("orders", story::revision(before)?);
    let pod = sandbox.api::<Pod>().get(&pod).await?;
    Process::of(&pod, MAIN_CONTAINER)?.kill()?;
    let after = wait::on(&sandbox.jobs(), "orders", "it runs again", RECOVERY, |job: &FlinkJobUpgrade| {
        let instance = story::submission(job).ok().and_then(|submission| submission.job_manager_instance);
        instance.is_some() && instance != old.job_manager_instance && wait::holds(job, "Ready")
    })
    .await?;
    let new = story::submission(&after)?;
    let submitted = |job: &FlinkJobUpgrade| job.status.as_ref().and_then(|status| status.last_submission);
    ensure!(new.job_id == old.job_id && submitted(&after) == submitted(before), "it was submitted again: {new:?}");
    ensure!(self::history(&after) == history, "{:?}, before {history:?}", self::history(&after));
    story::writes(sandbox, "orders", &old.job_id).await?;
    let records = sandbox.records("orders")?;
    // The old tasks have ended before the new ones began: two that write would leave holes.
    let summary = records::check(&records)?;
    ensure!(summary.repeated > 0, "nothing was restored: {summary:?}");
    let jobs = story::flink(sandbox, &after).await?.jobs().await?;
    ensure!(jobs == [(old.job_id.clone(), "RUNNING".to_owned())], "{jobs:?}");
    Ok(after)
}

/// A changed spec moves the job by a savepoint, and of the old revision's high availability nothing is left.
async fn upgraded(sandbox: &Sandbox, before: &FlinkJobUpgrade, changed: &Job) -> Result<FlinkJobUpgrade> {
    let old = story::revision(before)?;
    let cluster = naming::revision_name("orders", old);
    ensure!(!config_maps(sandbox, Some(&cluster)).await?.is_empty(), "{cluster} has no high availability");
    ensure!(!stored(sandbox, &format!("{old}/")).await?.is_empty(), "{cluster} has stored nothing");
    let armed = crash::arm_in_full(sandbox, CONFIG_MAPS_DELETED).await?;
    let after = story::upgraded(sandbox, before, changed).await?;
    crash::fired(armed).await?;
    nothing_left(sandbox, Some(&cluster), &format!("{old}/")).await?;
    let new = naming::revision_name("orders", story::revision(&after.job)?);
    ensure!(!config_maps(sandbox, Some(&new)).await?.is_empty(), "{new} has no high availability");

    let (from, to) = (story::submission(before)?.job_id, story::submission(&after.job)?.job_id);
    let summary = records::check(&story::writes(sandbox, "orders", &to).await?)?;
    ensure!(summary.jobs == [from, to], "{summary:?}");
    ensure!(summary.handovers.iter().all(|handover| handover.repeated == 0), "{summary:?}");
    Ok(after.job)
}

/// Cancelled and deleted: no object of high availability is left.
async fn deleted(sandbox: &Sandbox, job: &FlinkJobUpgrade) -> Result<()> {
    let cluster = naming::revision_name("orders", story::revision(job)?);
    ensure!(!config_maps(sandbox, Some(&cluster)).await?.is_empty(), "{cluster} has no high availability");
    let armed = crash::arm_in_full(sandbox, STORAGE_REMOVED).await?;
    sandbox.jobs().delete("orders", &DeleteParams::background()).await?;
    crash::fired(armed).await?;
    wait::gone::<FlinkJobUpgrade>(&sandbox.jobs(), "orders", story::UPGRADE).await?;
    story::all_removed(sandbox, "orders").await?;
    nothing_left(sandbox, None, "").await
}

/// Nothing starts by itself: neither from the state that the job before has left, nor from what a cluster of the same id
/// seems to have left.
async fn made_again(sandbox: &Sandbox, job: &Job) -> Result<()> {
    let writers = sandbox.records("orders")?.jobs();
    sandbox.apply(job).await?;
    let stalled = wait::stalled(&sandbox.jobs(), "orders", story::SOON).await?;
    ensure!(stalled.reason == "StateExists", "{stalled:?}");
    sandbox.jobs().delete("orders", &DeleteParams::background()).await?;
    wait::gone::<FlinkJobUpgrade>(&sandbox.jobs(), "orders", story::UPGRADE).await?;

    let cluster = naming::revision_name("orders", 1);
    let left = format!("{cluster}-cluster-config-map");
    let manifest = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": left, "labels": {"app": cluster, "type": "flink-native-kubernetes"}},
    });
    sandbox.put::<ConfigMap>(&left, manifest).await?;
    let empty = job.clone().set("/spec/job/restoreFrom", json!({"id": "again", "empty": true}));
    sandbox.apply(&empty).await?;
    let stalled = wait::stalled(&sandbox.jobs(), "orders", story::SOON).await?;
    ensure!(stalled.reason == "HighAvailabilityDataExists" && stalled.message.contains(&left), "{stalled:?}");
    ensure!(sandbox.records("orders")?.jobs() == writers, "somebody has written");
    sandbox.api::<ConfigMap>().delete(&left, &DeleteParams::default()).await?;

    let started =
        wait::on(&sandbox.jobs(), "orders", "it starts", story::START, |job| wait::holds(job, "Ready")).await?;
    let submission = story::submission(&started)?;
    ensure!(submission.restored_from.is_none(), "{submission:?}");
    let jobs = story::flink(sandbox, &started).await?.jobs().await?;
    ensure!(jobs == [(submission.job_id.clone(), "RUNNING".to_owned())], "{jobs:?}");
    let records = story::writes(sandbox, "orders", &submission.job_id).await?;
    ensure!(records.jobs() == [writers, vec![submission.job_id]].concat(), "{:?} have written", records.jobs());
    records::check(&records)?;
    Ok(())
}

fn history(job: &FlinkJobUpgrade) -> Vec<String> {
    let history = job.status.as_ref().map(|status| status.history.as_slice()).unwrap_or_default();
    history.iter().map(|entry| format!("{} {:?}", entry.id, entry.result)).collect()
}

/// ConfigMaps of a cluster's high availability, or of all clusters in the namespace.
async fn config_maps(sandbox: &Sandbox, cluster: Option<&str>) -> Result<Vec<String>> {
    let of = cluster.map(|cluster| format!("app={cluster},")).unwrap_or_default();
    // Not its label `configmap-type`: 2.3 has none.
    let theirs = ListParams::default().labels(&format!("{of}type=flink-native-kubernetes"));
    let api: Api<ConfigMap> = sandbox.api();
    Ok(api.list_metadata(&theirs).await?.items.into_iter().filter_map(|map| map.metadata.name).collect())
}

/// The files that high availability stores for the job, below the job's own prefix.
async fn stored(sandbox: &Sandbox, below: &str) -> Result<Vec<String>> {
    sandbox.env.s3.list(&format!("{STORAGE}/{}/orders/{below}", sandbox.namespace)).await
}

async fn nothing_left(sandbox: &Sandbox, cluster: Option<&str>, below: &str) -> Result<()> {
    wait::until(&format!("nothing is left of the high availability of {cluster:?}"), story::SOON, async || {
        let left = [config_maps(sandbox, cluster).await?, stored(sandbox, below).await?].concat();
        Ok(if left.is_empty() { Seen::Yes(()) } else { Seen::NotYet(left.join("\n")) })
    })
    .await
}
