//! Stops.

use anyhow::{Result, ensure};
use serde_json::json;
use tokio::time::Instant;

use super::hands::{Hands, SOON};
use super::run::case;
use super::savepoint::{OTHER, THIRD, TRIGGER, UNDER_WAY, are_under_way, is_named_after};
use super::{Case, Snapshots, World};

pub(super) const CASES: &[Case] =
    &[case!(stop), case!(stop_with_drain), case!(stop_to_unwritable_directory), case!(stop_ends_savepoints)];

async fn stop(world: &dyn World) -> Result<()> {
    stops(world, false).await
}

async fn stop_with_drain(world: &dyn World) -> Result<()> {
    stops(world, true).await
}

async fn stops(world: &dyn World, drain: bool) -> Result<()> {
    let hands = Hands(world);
    let job = hands.running_job(2, Snapshots::Fast).await?;
    hands.has_checkpoint(&job).await?;
    let directory = world.directory("stop");
    hands.asks_stop(&job, TRIGGER, &directory, drain).await?;
    let location = hands.outcome(&job, TRIGGER).await?.savepoint()?;
    is_named_after(&location, &directory, &job)?;
    hands.is_whole(&location).await?;
    hands.comes_to(&job, "FINISHED", SOON).await?;
    // The savepoint is all that is left of the job's state.
    let gone = async || Ok(world.retained_checkpoints(&job).await?.is_empty().then_some(()));
    hands.until("its checkpoints are gone", SOON, gone).await?;
    let entry = hands
        .checkpoints_show("the stop's savepoint", &job, |body| {
            body.pointer("/latest/savepoint").filter(|one| one.is_object()).cloned()
        })
        .await?;
    ensure!(entry.get("checkpoint_type") == Some(&json!("SYNC_SAVEPOINT")), "{entry}");
    ensure!(entry.get("external_path") == Some(&json!(location)), "{entry}");
    // The result can be read as often as one likes.
    let again = hands.outcome(&job, TRIGGER).await?.savepoint()?;
    ensure!(again == location, "{again}, not {location}");
    Ok(())
}

async fn stop_to_unwritable_directory(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let job = hands.running_job(1, Snapshots::Fast).await?;
    hands.asks_stop(&job, TRIGGER, &world.unwritable_directory(), false).await?;
    hands.outcome(&job, TRIGGER).await?.fails_with("IO-problem detected.")?;
    ensure!(hands.state(&job).await.as_deref() == Some("RUNNING"), "the job does not run on");
    // Its checkpoints go on.
    let before = world.retained_checkpoints(&job).await?;
    let newer = async || Ok((world.retained_checkpoints(&job).await? != before).then_some(()));
    hands.until("a newer checkpoint", SOON, newer).await
}

async fn stop_ends_savepoints(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let (savepoints, stop) = (world.directory("ended"), world.directory("stop"));
    let mut tries = 0;
    let job = loop {
        let job = hands.running_job(1, Snapshots::Take(UNDER_WAY)).await?;
        let asked = Instant::now();
        hands.asks_savepoint(&job, TRIGGER, &savepoints).await?;
        hands.asks_savepoint(&job, OTHER, &savepoints).await?;
        are_under_way(hands, &job, 2).await?;
        hands.asks_stop(&job, THIRD, &stop, false).await?;
        if asked.elapsed() < UNDER_WAY * 2 / 3 {
            break job;
        }
        // A machine that stood still for so long has shown nothing.
        tries += 1;
        ensure!(tries < 3, "the stop was never asked for while the savepoints were under way");
    };
    let suspending = "CheckpointException: Checkpoint Coordinator is suspending.";
    hands.outcome(&job, TRIGGER).await?.fails_with(suspending)?;
    hands.outcome(&job, OTHER).await?.fails_with(suspending)?;
    let location = hands.outcome(&job, THIRD).await?.savepoint()?;
    is_named_after(&location, &stop, &job)?;
    hands.comes_to(&job, "FINISHED", SOON).await
}
