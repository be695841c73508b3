//! A job on a session cluster of somebody else, with another job beside it.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    job::{CHECKPOINTS, Job, SAVEPOINTS, Version},
    namespace::Sandbox,
    records,
    session::{Process, Run, SessionCluster, Wish},
    wait,
};
use flink_savepoint_operator::{
    api::{FlinkJobUpgrade, UpgradeResult, labels},
    naming,
};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt as _,
    api::{DeleteParams, ListParams},
};
use serde_json::{Value, json};

use crate::story;

/// The session cluster's Service, and the container of its pods.
const CLUSTER: &str = "flink";
/// The record file of the job beside.
const BESIDE: &str = "clicks";
/// Of it so many records come in a second.
const RATE: u32 = 50;

/// Started, upgraded, suspended, resumed and deleted; the job beside writes on all the while.
pub async fn on_a_session_cluster(sandbox: &Sandbox, version: Version) -> Result<()> {
    let wish = Wish { task_managers: 2, ..Wish::of(version) };
    let (cluster, ()) = futures::try_join!(sandbox.session_cluster(CLUSTER, wish), sandbox.create_store("s3"))?;
    let beside = cluster.run(&Run { rate: RATE, ..Run::of(BESIDE) }).await?;
    cluster.running(&beside).await?;

    let job = job(sandbox, &cluster, version).await?;
    let first = story::started(sandbox, &job).await?;
    nothing_of_its_own(sandbox, &cluster, &first).await?;

    let second = sandbox.apply_ready(&job.clone().rate(250), story::UPGRADE).await?;
    let entry = story::newest(&second)?;
    ensure!(entry.result == UpgradeResult::Succeeded && entry.to == 2, "{entry:?}");
    ensure!(entry.preflight.as_ref().is_some_and(|found| found.findings.is_empty()), "{entry:?}");
    let submission = story::submission(&second)?;
    let restored = cluster.flink.restored(&submission.job_id).await?.context("it started empty")?;
    ensure!(submission.restored_from.as_deref() == Some(restored.path.trim_end_matches('/')), "{restored:?}");
    story::writes(sandbox, &job.name, &submission.job_id).await?;
    nothing_of_its_own(sandbox, &cluster, &second).await?;

    let suspended = job.clone().rate(250).set("/spec/job/state", json!("suspended"));
    sandbox.apply_ready(&suspended, story::UPGRADE).await?;
    ensure!(jars(&cluster).await?.is_empty(), "a suspended job needs no jar");
    let third =
        sandbox.apply_ready(&job.clone().rate(250).set("/spec/job/state", json!("running")), story::UPGRADE).await?;
    story::writes(sandbox, &job.name, &story::submission(&third)?.job_id).await?;
    nothing_of_its_own(sandbox, &cluster, &third).await?;

    sandbox.jobs().delete(&job.name, &DeleteParams::default()).await?;
    wait::gone::<FlinkJobUpgrade>(&sandbox.jobs(), &job.name, story::UPGRADE).await?;
    story::all_removed(sandbox, &job.name).await?;
    ensure!(jars(&cluster).await?.is_empty(), "jars are left: {:?}", jars(&cluster).await?);
    let written = records::check_exactly_once(&sandbox.records(&job.name)?)?;
    ensure!(written.jobs.len() == 3, "{:?}", written.jobs);

    // It was never restarted, and never held up for long.
    let others = records::check_exactly_once(&story::writes(sandbox, BESIDE, &beside).await?)?;
    ensure!(others.jobs == [beside.clone()], "{:?}", others.jobs);
    let state = cluster.flink.jobs().await?.into_iter().find(|(id, _)| *id == beside);
    ensure!(state.is_some_and(|(_, state)| state == "RUNNING"), "the job beside");
    Ok(())
}

/// The counting job, its jar in the bucket, for the session cluster.
pub async fn job(sandbox: &Sandbox, cluster: &SessionCluster, version: Version) -> Result<Job> {
    let pod = sandbox.api::<Pod>().get(&format!("{}-jobmanager-0", cluster.name)).await?;
    let bytes = Process::of(&pod, CLUSTER)?.read(&format!("{}/counting.jar", naming::JAR_DIRECTORY))?;
    let key = format!("jars/{}/counting.jar", sandbox.namespace);
    let hash = naming::sha256_hex(&bytes);
    sandbox.env.s3.write(&key, bytes).await?;
    let mut job = Job::counting(&sandbox.env, "orders", version);
    for field in ["flinkVersion", "image", "podTemplate", "jobManager", "taskManager"] {
        job = job.unset(&format!("/spec/{field}"));
    }
    let configuration: Value = json!({
        "execution.checkpointing.interval": "2s",
        "execution.checkpointing.dir": sandbox.env.s3.url(CHECKPOINTS),
        "execution.checkpointing.savepoint-dir": sandbox.env.s3.url(SAVEPOINTS),
    });
    Ok(job
        .set("/spec/flinkCluster", json!({"service": cluster.name}))
        .set("/spec/flinkConfiguration", configuration)
        .set("/spec/job/jarURI", json!(sandbox.env.s3.url(&key)))
        .set("/spec/job/jarSHA256", json!(hash)))
}

/// While it runs it has no pods, and one jar on the session cluster.
async fn nothing_of_its_own(sandbox: &Sandbox, cluster: &SessionCluster, job: &FlinkJobUpgrade) -> Result<()> {
    let selector = format!("{}={}", labels::JOB, job.name_any());
    wait::until("it has no pods", story::SOON, async || {
        let pods = sandbox.api::<Pod>().list(&ListParams::default().labels(&selector)).await?.items;
        let names: Vec<String> = pods.iter().map(kube::ResourceExt::name_any).collect();
        Ok(if names.is_empty() { wait::Seen::Yes(()) } else { wait::Seen::NotYet(names.join(", ")) })
    })
    .await?;
    let own = naming::session_jar(&job.uid().unwrap_or_default(), story::revision(job)?);
    wait::until("its jar alone is on the session cluster", story::SOON, async || {
        let jars = jars(cluster).await?;
        let alone = matches!(jars.as_slice(), [jar] if jar.starts_with(&own));
        Ok(if alone { wait::Seen::Yes(()) } else { wait::Seen::NotYet(format!("{jars:?}")) })
    })
    .await
}

/// The jars on a session cluster that an operator has uploaded.
async fn jars(cluster: &SessionCluster) -> Result<Vec<String>> {
    let answer = cluster.flink.get("/jars").await?;
    let files = answer.get("files").and_then(Value::as_array).context("no files in the answer")?;
    let names = files.iter().filter_map(|file| file.get("name").and_then(Value::as_str).map(str::to_owned));
    Ok(names.filter(|name| name.starts_with("fju-")).collect())
}
