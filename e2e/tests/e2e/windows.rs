//! A change that waits for a window.

use anyhow::{Result, ensure};
use chrono::{TimeDelta, Utc};
use e2e::{
    job::{Job, Version},
    namespace::Sandbox,
    wait,
};
use serde_json::{Value, json};

use crate::story;

const WINDOWS: &str = "/spec/upgrade/windows";

/// Outside of its windows a change is announced and the job runs on, Ready; one that is wanted now starts by annotation,
/// the next one by a window that is open.
pub async fn opened(sandbox: &Sandbox, version: Version) -> Result<()> {
    let job = Job::counting(&sandbox.env, "orders", version).set(WINDOWS, json!([in_half_a_day()]));
    // A first start waits for none.
    let before = story::started(sandbox, &job).await?;

    let changed = job.rate(250);
    let waiting = sandbox.apply_ready(&changed, story::UPGRADE).await?;
    wait::kubectl(&sandbox.env, &sandbox.namespace, "fju/orders", "UpgradePending")?;
    let status = waiting.status.clone().unwrap_or_default();
    ensure!(status.next_window.is_some() && status.next == waiting.metadata.generation, "{}", wait::describe(&waiting));
    story::goes_on(sandbox, "orders").await?;
    let still = sandbox.jobs().get("orders").await?;
    ensure!(story::submission(&still)?.job_id == story::submission(&before)?.job_id, "{}", wait::describe(&still));

    let generation = waiting.metadata.generation.unwrap_or_default().to_string();
    let opened = changed.clone().set("/metadata/annotations/savepoints.dev~1open-window", json!(generation));
    sandbox.apply(&opened).await?;
    let old = story::revision(&before)?;
    let moved = |job: &_| story::revision(job).is_ok_and(|now| now > old) && wait::holds(job, "Ready");
    wait::on(&sandbox.jobs(), "orders", "the opened change runs", story::UPGRADE, moved).await?;
    let second = story::upgraded(sandbox, &before, &opened).await?;
    ensure!(!wait::holds(&second.job, "UpgradePending"), "{}", wait::describe(&second.job));
    story::handed_over(sandbox, &before, &second).await?;

    let always = json!([in_half_a_day(), {"schedule": "* * * * *", "duration": "2m"}]);
    let third = story::upgraded(sandbox, &second.job, &changed.rate(300).set(WINDOWS, always)).await?;
    story::handed_over(sandbox, &second.job, &third).await.map(drop)
}

fn in_half_a_day() -> Value {
    let hour = (Utc::now() + TimeDelta::hours(12)).format("%-H").to_string();
    json!({"schedule": format!("0 {hour} * * *"), "timeZone": "Etc/UTC", "duration": "1m"})
}
