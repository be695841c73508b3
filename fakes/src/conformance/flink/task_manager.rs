//! A TaskManager's process is killed.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde_json::Value;

use super::hands::{Hands, Outcome, SOON};
use super::run::case;
use super::savepoint::TRIGGER;
use super::{Case, Snapshots, Target, When, World};

pub(super) const CASES: &[Case] = &[case!(killed_as_the_savepoint_of_a_stop_is_whole_elsewhere, NoHighAvailability)];

/// The savepoint can be used, and the job does not run on.
async fn killed_as_the_savepoint_of_a_stop_is_whole_elsewhere(world: &dyn World) -> Result<()> {
    for _ in 0..ATTEMPTS {
        if strikes_in_time(world).await? {
            return Ok(());
        }
    }
    bail!("{ATTEMPTS} times the TaskManager was killed too early or too late")
}

/// All that a case needs between the savepoint and the end of the last task are some milliseconds, which a real kill can
/// miss: false.
const ATTEMPTS: usize = 6;

async fn strikes_in_time(world: &dyn World) -> Result<bool> {
    let hands = Hands(world);
    // A slow snapshot, so that not all tasks have ended as the TaskManager dies.
    let job = hands.running_job(2, Snapshots::Take(Duration::from_secs(2))).await?;
    hands.has_checkpoint(&job).await?;
    let directory = world.directory("task-manager");
    world.strike(Target::TaskManager, When::AsMetadataAppears { below: directory.clone() }).await?;
    hands.asks_stop(&job, TRIGGER, &directory, false).await?;
    let Outcome::Failure(trace) = hands.outcome(&job, TRIGGER).await? else { return Ok(false) };
    let told = trace.split("StopWithSavepointStoppingException: A savepoint has been created at: ").nth(1);
    let Some(location) = told.and_then(|rest| rest.split(", but the corresponding job ").next()) else {
        let early = ["Checkpoint Coordinator is suspending.", "Not all required tasks are currently running."];
        ensure!(early.iter().any(|text| trace.contains(text)), "{trace}");
        let _gone = hands.cancel(&job).await;
        hands.comes_to(&job, "CANCELED", SOON).await?;
        return Ok(false);
    };
    hands.is_whole(location).await?;
    hands.comes_to(&job, "FAILED", SOON).await?;
    ensure!(!world.retained_checkpoints(&job).await?.is_empty(), "its checkpoints are gone");
    let path = format!("/jobs/{job}/exceptions");
    let told = async || {
        let body = hands.get(&path).await?.of(200)?;
        let traces = body.pointer("/exceptionHistory/entries").and_then(Value::as_array).into_iter().flatten();
        let mut traces = traces.filter_map(|entry| entry.get("stacktrace")?.as_str());
        Ok(traces.any(|trace| trace.contains("The failure is not recoverable")).then_some(()))
    };
    hands.until("the cause in the exceptions", SOON, told).await?;
    let known = hands
        .checkpoints_show("the savepoint in the history", &job, |body| {
            Some(body.pointer("/latest/savepoint/external_path")?.as_str()?.to_owned())
        })
        .await?;
    ensure!(known == location, "{known}, not {location}");
    Ok(true)
}
