//! The program that tells a job's operators, called past the operator: what it costs a JobManager.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    flink::Flink,
    job::{Job, Version},
    namespace::Sandbox,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::story;

/// As many as a revision that is tried again and again.
const ASKED: usize = 20;
/// Enough for classes that are never unloaded to fill the metaspace.
const MANY: usize = 400;

/// StateMachineExample, a job that nobody wrote for this, is asked for its operators: none has a uid, and chained ones are
/// among them. Asked 20 times the JobManager has no thread more than after the first few, and asked 400 times it still
/// answers.
pub async fn asked_again_and_again(sandbox: &Sandbox, version: Version) -> Result<()> {
    let job = Job::state_machine(&sandbox.env, "state-machine", version);
    let object = sandbox.apply_ready(&job, story::START).await?;
    let flink = story::flink(sandbox, &object).await?;
    let first = Instant::now();
    let operators = ask(&flink).await?;
    let first = first.elapsed();
    ensure!(operators.len() >= 3, "{operators:#?}");
    ensure!(operators.iter().all(|operator| operator.get("generated") == Some(&json!(true))), "{operators:#?}");
    // They are those of the job that runs.
    let vertices = vertices(&flink, &story::submission(&object)?.job_id).await?;
    let known = |id: &&String| operators.iter().any(|operator| operator.get("id") == Some(&json!(id)));
    ensure!(vertices.iter().all(|id| known(&id)), "{vertices:?} are not all in {operators:#?}");

    let mut times = Vec::new();
    ask_often(&flink, 5, &mut times).await?;
    let before = cost(&flink).await?;
    times.clear();
    ask_often(&flink, ASKED, &mut times).await?;
    let after = cost(&flink).await?;
    times.sort();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    eprintln!(
        "preflight: the first {first:?}, then {median:?} (median of {ASKED}); {before:?} before, {after:?} after"
    );
    ensure!(after.threads <= before.threads + 2, "{before:?} before, {after:?} after {ASKED} preflights");

    ask_often(&flink, MANY, &mut times).await?;
    let many = cost(&flink).await?;
    eprintln!("preflight: {many:?} after {MANY} more");
    // Flink's own pools grow a little; a leak is one for each.
    ensure!(many.threads < before.threads + 40, "{before:?} before, {many:?} after {MANY} preflights");
    ensure!(flink.jobs().await?.len() == 1, "a preflight has left a job");
    Ok(())
}

async fn ask_often(flink: &Flink, times: usize, took: &mut Vec<Duration>) -> Result<()> {
    for _ in 0..times {
        let began = Instant::now();
        ask(flink).await?;
        took.push(began.elapsed());
    }
    Ok(())
}

async fn ask(flink: &Flink) -> Result<Vec<Value>> {
    let class = "org.apache.flink.streaming.examples.statemachine.StateMachineExample";
    let args = ["/flink-jars/flink-web-upload/job.jar", class, "1", "45000", "--error-rate", "0.01", "--sleep", "10"];
    let body = json!({"entryClass": "dev.savepoints.helper.Preflight", "programArgsList": args});
    let (status, answer) = flink.request(Method::POST, "/jars/helper.jar/plan", Some(&body)).await?;
    ensure!(status == 200, "{status}: {answer}");
    let said: Value =
        serde_json::from_str(answer.pointer("/plan/name").and_then(Value::as_str).context("a plan without a name")?)?;
    said.get("operators").and_then(Value::as_array).cloned().with_context(|| said.to_string())
}

async fn vertices(flink: &Flink, job: &str) -> Result<Vec<String>> {
    let answer = flink.get(&format!("/jobs/{job}")).await?;
    let vertices = answer.get("vertices").and_then(Value::as_array).context("a job without vertices")?;
    Ok(vertices.iter().filter_map(|vertex| Some(vertex.get("id")?.as_str()?.to_owned())).collect())
}

/// What a JobManager's process has in use.
#[derive(Debug)]
struct Cost {
    threads: i64,
    #[allow(dead_code, reason = "told by Debug")]
    metaspace_mib: i64,
}

async fn cost(flink: &Flink) -> Result<Cost> {
    let names = "Status.JVM.Threads.Count,Status.JVM.Memory.Metaspace.Used";
    let answer = flink.get(&format!("/jobmanager/metrics?get={names}")).await?;
    let metric = |name: &str| {
        let found = answer.as_array()?.iter().find(|metric| metric.get("id") == Some(&json!(name)))?;
        found.get("value")?.as_str()?.parse::<i64>().ok()
    };
    Ok(Cost {
        threads: metric("Status.JVM.Threads.Count").with_context(|| answer.to_string())?,
        metaspace_mib: metric("Status.JVM.Memory.Metaspace.Used").with_context(|| answer.to_string())? >> 20,
    })
}
