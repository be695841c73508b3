//! The operator dies in the middle of a savepoint of a job that nobody manages: one savepoint all the same.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    job::Version,
    namespace::Sandbox,
    session::{Behaviour, Wish},
};
use serde_json::{Value, json};
use std::time::Duration;

use crate::{
    crash::{INTENT_RECORDED, REQUEST_SENT, SAVEPOINT_COMPLETE},
    foreign::{DEADLINE, Foreign, results},
};

/// The intent is recorded, and the request was not sent.
const REQUEST: &str = "savepoint.trigger.before";
/// The savepoint is Completed, and its finalizer still there.
const RELEASE: &str = "savepoint.remove-finalizer.before";
/// Where it dies in CI, in the order in which a savepoint passes there.
const SOME: &[&str] = &[REQUEST, REQUEST_SENT, SAVEPOINT_COMPLETE, RELEASE];
/// Where else, with the full matrix.
const OTHERS: &[&str] = &[
    "savepoint.add-finalizer.before",
    "savepoint.add-finalizer.after",
    "savepoint.intent.before",
    INTENT_RECORDED,
    "savepoint.complete.after",
    "savepoint.remove-finalizer.after",
];
/// Passed only by a savepoint that takes its time: the status says that Flink writes it.
const WRITTEN: &[&str] = &["savepoint.status.before", "savepoint.status.after"];
/// So long a savepoint takes its time.
const SLOW: Behaviour = Behaviour::SnapshotsTake(Duration::from_secs(3));

/// Passed only by a savepoint after which the job is cancelled.
const CANCELS: &[&str] = &["savepoint.cancel.before", "savepoint.cancel.after"];

/// All points at which it dies, with the full matrix.
pub fn points() -> impl Iterator<Item = &'static str> {
    [SOME, OTHERS, WRITTEN, CANCELS].into_iter().flatten().copied()
}

/// One job, one FlinkSavepoint for each failpoint; and jobs that are stopped or cancelled by one.
pub async fn in_the_middle(sandbox: &Sandbox, version: Version) -> Result<()> {
    let full = sandbox.env.full;
    let history = ("web.checkpoints.history", "100".to_owned());
    let wish = Wish { configuration: [history].into(), ..Wish::of(version) };
    let foreign = Foreign::new(sandbox, wish).await?;
    let job = foreign.job("goes-on", 1).await?;
    let mut taken = Vec::new();
    for point in SOME.iter().chain(OTHERS.iter().filter(|_| full)) {
        taken.push(survived(&foreign, &job, point, json!({})).await?);
    }
    if full {
        foreign.cluster.behave("goes-on", SLOW)?;
        for point in WRITTEN {
            taken.push(survived(&foreign, &job, point, json!({})).await?);
        }
        foreign.cluster.behave_no_more("goes-on", SLOW)?;
    }
    foreign.history_has(&job, &taken).await?;
    ensure!(foreign.state(&job).await?.as_deref() == Some("RUNNING"), "the job runs on");
    let stop = json!({"then": "Stop"});
    let last = survived(&foreign, &job, REQUEST_SENT, stop.clone()).await?;
    ensure!(foreign.state(&job).await?.as_deref() == Some("FINISHED"), "the job was stopped");
    taken.push(last);
    foreign.history_has(&job, &taken).await?;
    if full {
        ends(&foreign, REQUEST, stop.clone(), "FINISHED").await?;
        ends(&foreign, SAVEPOINT_COMPLETE, stop, "FINISHED").await?;
        for point in CANCELS {
            ends(&foreign, point, json!({"then": "Cancel"}), "CANCELED").await?;
        }
    }
    foreign.one_each().await.map(drop)
}

/// A job of its own, which the savepoint ends.
async fn ends(foreign: &Foreign<'_>, point: &str, spec: Value, state: &str) -> Result<()> {
    let job = foreign.job(&point.replace('.', "-"), 1).await?;
    let location = survived(foreign, &job, point, spec).await?;
    foreign.history_has(&job, &[location]).await?;
    let found = foreign.state(&job).await?;
    ensure!(found.as_deref() == Some(state), "killed at {point} the job is {found:?}");
    Ok(())
}

/// A savepoint in the middle of which the operator dies: one attempt, one savepoint. Returns where it lies.
async fn survived(foreign: &Foreign<'_>, job: &str, point: &str, spec: Value) -> Result<String> {
    let then = spec.get("then").and_then(Value::as_str).unwrap_or("Continue").to_lowercase();
    let name = format!("{}-{then}", point.replace('.', "-"));
    let survived = async {
        let operator = &foreign.sandbox.operator;
        let armed = operator.arm(point, &format!("{}/{name}", foreign.sandbox.namespace)).await?;
        foreign.take(&name, job, spec).await?;
        armed.fired(DEADLINE).await?;
        let status = foreign.completed(&name).await?;
        ensure!(results(&status) == ["Completed"], "{:?}", status.attempts);
        status.location.context("no location")
    };
    survived.await.with_context(|| format!("the operator dies at {point}, then: {then}"))
}
