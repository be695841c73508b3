//! Cluster, jobs, and what is not there.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::hands::{Hands, NO_JOB, SOON};
use super::run::case;
use super::{Case, Snapshots, World, shape};
use crate::flink::recorded;

pub(super) const CASES: &[Case] = &[
    case!(overview_of_the_cluster),
    case!(configuration),
    case!(lists_of_jobs),
    case!(one_job),
    case!(unknown_job),
    case!(malformed_ids),
    case!(cancel),
    case!(cancel_unknown_job),
    case!(slots),
    case!(run_unknown_jar),
    case!(uploaded_jars),
];

async fn overview_of_the_cluster(world: &dyn World) -> Result<()> {
    let body = Hands(world).get("/overview").await?.of(200)?;
    shape::same(&recorded::OVERVIEW.of(world.version(), &[]).body, &body)?;
    let number = |field: &str| body.get(field).and_then(Value::as_u64);
    ensure!(number("taskmanagers") == Some(2) && number("slots-total") == Some(2), "{body}");
    let version = body.get("flink-version").and_then(Value::as_str).context("no version")?;
    ensure!(version.starts_with(&world.version().to_string()), "{version}");
    Ok(())
}

async fn configuration(world: &dyn World) -> Result<()> {
    let body = Hands(world).get("/config").await?.of(200)?;
    ensure!(body.get("refresh-interval") == Some(&json!(3000)), "{body}");
    let body = Hands(world).get("/jobmanager/config").await?.of(200)?;
    let entries = body.as_array().context("no list")?;
    let value = |key: &str| {
        let entry = entries.iter().find(|entry| entry.get("key").and_then(Value::as_str) == Some(key))?;
        entry.get("value").and_then(Value::as_str)
    };
    ensure!(value("taskmanager.numberOfTaskSlots") == Some("1"), "{body}");
    ensure!(value("execution.checkpointing.savepoint-dir").is_none(), "{body}");
    if world.high_availability() {
        ensure!(value("high-availability.type") == Some("kubernetes"), "{body}");
        ensure!(value("kubernetes.cluster-id").is_some(), "{body}");
    }
    Ok(())
}

async fn lists_of_jobs(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let job = hands.running_job(2, Snapshots::Fast).await?;
    let jobs = hands.jobs().await?.context("no jobs")?;
    ensure!(jobs.contains(&(job.clone(), "RUNNING".to_owned())), "{jobs:?}");
    let overview = hands.get("/jobs/overview").await?.of(200)?;
    shape::same(&recorded::JOBS_OVERVIEW.of(world.version(), &[]).body, &overview)?;
    let mine = hands.overview(&job).await?.context("not in the overview")?;
    // The source has one task, the two others as many as the parallelism.
    ensure!(mine.pointer("/tasks/running") == mine.pointer("/tasks/total"), "{mine}");
    ensure!(mine.get("end-time") == Some(&json!(-1)), "{mine}");
    let status = hands.get(&format!("/jobs/{job}/status")).await?.of(200)?;
    ensure!(status == json!({"status": "RUNNING"}), "{status}");
    Ok(())
}

async fn one_job(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let job = hands.running_job(1, Snapshots::Fast).await?;
    hands.let_caches_go().await;
    let mut body = hands.get(&format!("/jobs/{job}")).await?.of(200)?;
    let mut recorded = recorded::JOB_RUNNING.of(world.version(), &[]).body;
    // The graph is the job's.
    for body in [&mut body, &mut recorded] {
        body.as_object_mut().and_then(|fields| fields.remove("plan")).context("no plan")?;
    }
    shape::same(&recorded, &body)?;
    let vertices = body.get("vertices").and_then(Value::as_array).context("no vertices")?;
    ensure!(!vertices.is_empty(), "{body}");
    ensure!(vertices.iter().all(|vertex| vertex.get("status") == Some(&json!("RUNNING"))), "{body}");
    let exceptions = hands.get(&format!("/jobs/{job}/exceptions")).await?.of(200)?;
    shape::same(&recorded::EXCEPTIONS_NONE.of(world.version(), &[]).body, &exceptions)?;
    ensure!(exceptions.pointer("/exceptionHistory/entries") == Some(&json!([])), "{exceptions}");
    Ok(())
}

async fn unknown_job(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    hands.get(&format!("/jobs/{NO_JOB}")).await?.refuses(404, "FlinkJobNotFoundException")?;
    hands.get(&format!("/jobs/{NO_JOB}/checkpoints")).await?.refuses(404, "FlinkJobNotFoundException")?;
    hands.get(&format!("/jobs/{NO_JOB}/exceptions")).await?.refuses(404, "FlinkJobNotFoundException")?;
    // Of all answers about a job that is unknown, this one is an error of the server.
    hands.get(&format!("/jobs/{NO_JOB}/status")).await?.refuses(500, "FlinkJobNotFoundException")
}

async fn malformed_ids(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let refusal = "Cannot resolve path parameter (jobid) from value \"xyz\".";
    hands.get("/jobs/xyz").await?.refuses(400, refusal)?;
    hands.get("/jobs/xyz/status").await?.refuses(400, refusal)?;
    let refusal = "Cannot resolve path parameter (triggerid) from value \"zzz\".";
    hands.get(&format!("/jobs/{NO_JOB}/savepoints/zzz")).await?.refuses(400, refusal)
}

async fn cancel(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let job = hands.running_job(1, Snapshots::Fast).await?;
    hands.has_checkpoint(&job).await?;
    let body = hands.cancel(&job).await?.of(202)?;
    ensure!(body == json!({}), "{body}");
    hands.comes_to(&job, "CANCELED", SOON).await?;
    ensure!(!world.retained_checkpoints(&job).await?.is_empty(), "its checkpoints are gone");
    // It can be cancelled again.
    hands.cancel(&job).await?.of(202).map(drop)
}

async fn cancel_unknown_job(world: &dyn World) -> Result<()> {
    Hands(world).cancel(NO_JOB).await?.refuses(404, "Job could not be found.")
}

/// A job has its slots while it runs, and no longer.
async fn slots(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let free = async || -> Result<Option<u64>> {
        Ok(hands.get("/overview").await?.of(200)?.get("slots-available").and_then(Value::as_u64))
    };
    let job = hands.running_job(2, Snapshots::Fast).await?;
    ensure!(free().await? == Some(0), "a slot is free");
    hands.cancel(&job).await?.of(202)?;
    let all_free = async || Ok(free().await?.filter(|slots| *slots == 2).map(drop));
    hands.until("both slots are free", SOON, all_free).await
}

async fn run_unknown_jar(world: &dyn World) -> Result<()> {
    let answer = Hands(world).post("/jars/nope.jar/run", json!({})).await?;
    answer.refuses(500, "nope.jar does not exist")?;
    ensure!(
        Hands(world).jobs().await?.is_some_and(|jobs| jobs.iter().all(|(_, state)| state != "RUNNING")),
        "a job runs"
    );
    Ok(())
}

async fn uploaded_jars(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let uploaded = world.upload("fju-0a-1-0b.jar", "PK").await?.of(200)?;
    shape::same(&recorded::JARS_UPLOAD.of(world.version(), &[]).body, &uploaded)?;
    let path = uploaded.get("filename").and_then(Value::as_str).context("no filename")?;
    let id = path.rsplit('/').next().unwrap_or_default().to_owned();
    ensure!(id.ends_with("_fju-0a-1-0b.jar"), "{uploaded}");
    let listed = hands.get("/jars").await?.of(200)?;
    let files = listed.get("files").and_then(Value::as_array).context("no files")?;
    let mine = files.iter().find(|file| file.get("id") == Some(&json!(id))).context("not listed")?;
    ensure!(mine.get("name") == Some(&json!("fju-0a-1-0b.jar")), "{mine}");
    ensure!(mine.get("uploaded").is_some_and(Value::is_i64), "{mine}");
    world.request("DELETE", &format!("/jars/{id}"), None).await?.of(200)?;
    let listed = hands.get("/jars").await?.of(200)?;
    ensure!(!listed.to_string().contains(&id), "{listed}");
    let gone = world.request("DELETE", &format!("/jars/{id}"), None).await?;
    ensure!(gone.status == 400, "{gone:?}");
    Ok(())
}
