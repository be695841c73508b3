//! A job that starts from a snapshot of another one, which runs on.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    job::{Job, Version},
    namespace::Sandbox,
    records::{self, Record, Records},
    wait,
};
use flink_savepoint_operator::{api::FlinkJobUpgrade, naming};
use serde_json::json;

use crate::story;

const RESTORE_FROM: &str = "/spec/job/restoreFrom";
/// Longer than this the first job may not pause for the savepoint, in milliseconds.
const UNDISTURBED: i64 = 1000;

/// A second job is forked by a new savepoint, and then once more from the latest one that there is.
pub async fn of_a_running_job(sandbox: &Sandbox, version: Version) -> Result<()> {
    let first = story::started(sandbox, &Job::counting(&sandbox.env, "orders", version)).await?;
    let orders = story::submission(&first)?.job_id;

    let wish = json!({"id": "experiment", "fromJob": {"name": "orders"}});
    let canary = Job::counting(&sandbox.env, "canary", version).set(RESTORE_FROM, wish);
    let forked = sandbox.apply_ready(&canary, story::UPGRADE).await?;
    let submission = story::submission(&forked)?;
    let operation = naming::fork_id(forked.metadata.uid.as_deref().unwrap_or_default(), "experiment");
    let savepoint = sandbox.savepoints().get(&naming::child_savepoint_name("canary", &operation)).await?;
    let location = story::completed(&savepoint)?;
    ensure!(submission.restored_from.as_deref() == Some(&location), "{submission:?}, savepoint {location}");
    let began = goes_on_from_there(sandbox, &orders, &submission.job_id).await.context("by a new savepoint")?;

    let taken = savepoint.status.clone().unwrap_or_default();
    let from = taken.start_time.map(|time| time.0.as_millisecond()).context("the savepoint has no startTime")?;
    let until = taken.completion_time.map(|time| time.0.as_millisecond()).context("nor completionTime")?;
    let own = sandbox.records("orders")?;
    let pause = longest_pause(&own, from - 1000, until + 1000);
    ensure!(pause <= UNDISTURBED, "orders paused for {pause} ms while it was forked");
    eprintln!("orders: its longest pause while it was forked was {pause} ms");

    let wish = json!({"id": "again", "fromJob": {"name": "orders", "snapshot": "Latest"}});
    let again = sandbox.apply_ready(&canary.set(RESTORE_FROM, wish), story::UPGRADE).await?;
    let second = story::submission(&again)?;
    ensure!(second.job_id != submission.job_id && second.restored_from == Some(location), "{second:?}");
    let began_again = goes_on_from_there(sandbox, &orders, &second.job_id).await.context("by the latest")?;
    ensure!(began_again == began, "it began with record {began}, and then with {began_again}");
    let orders_now: FlinkJobUpgrade = sandbox.jobs().get("orders").await?;
    ensure!(story::submission(&orders_now)?.job_id == orders, "{}", wait::describe(&orders_now));
    Ok(())
}

/// Both count on from the same record. Returns that one's number.
async fn goes_on_from_there(sandbox: &Sandbox, orders: &str, canary: &str) -> Result<u64> {
    let forked = story::writes(sandbox, "canary", canary).await?;
    let own = story::writes(sandbox, "orders", orders).await?;
    records::check_exactly_once(&own)?;
    let began = forked.0.iter().find(|record| record.job == canary).map(|record| record.s);
    let began = began.context("the fork has written nothing")?;
    ensure!(began > 0, "the fork began with nothing");
    let all = Records(own.0.into_iter().chain(forked.0).collect());
    records::check_exactly_once(&all.lineage(&[orders, canary]))?;
    Ok(began)
}

/// The longest time between two records that were written within this time.
fn longest_pause(records: &Records, from: i64, until: i64) -> i64 {
    let within: Vec<&Record> = records.0.iter().filter(|r| (from..=until).contains(&r.epoch_ms)).collect();
    within
        .windows(2)
        .filter_map(|pair| Some(pair.get(1)?.epoch_ms - pair.first()?.epoch_ms))
        .max()
        .unwrap_or(until - from)
}
