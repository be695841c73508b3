//! The JobManager's process is killed.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::hands::{Hands, RECOVERS, SOON};
use super::run::case;
use super::savepoint::TRIGGER;
use super::{Case, NoAnswer, Snapshots, Target, When, World};

pub(super) const CASES: &[Case] = &[
    case!(killed_without_high_availability, NoHighAvailability),
    case!(killed_while_a_job_runs, HighAvailability),
    case!(killed_in_a_savepoint, HighAvailability),
    case!(killed_in_a_stop, HighAvailability),
    case!(killed_as_the_savepoint_of_a_stop_is_whole, HighAvailability),
    case!(killed_as_a_stopped_job_has_finished, HighAvailability),
    case!(killed_after_a_stopped_job_has_finished, HighAvailability),
    case!(high_availability_forgets_jobs_that_ended, HighAvailability),
];

/// A savepoint takes so long that the kill comes in its middle.
const SLOW: Snapshots = Snapshots::Take(Duration::from_secs(6));

/// A JobManager has taken over: what it says in its first answer to `/jobs`. Until then nobody answers, or it says 503,
/// or, with 2.3, what `between_leaders` knows.
async fn next_leader(hands: Hands<'_>) -> Result<Vec<(String, String)>> {
    next_leader_if_any(hands).await?.context("no JobManager leads any more")
}

/// The same; `None`: there will be none, and the cluster was made anew.
async fn next_leader_if_any(hands: Hands<'_>) -> Result<Option<Vec<(String, String)>>> {
    let gone = async || match hands.get("/jobs").await {
        Err(NoAnswer) => Ok(Some(())),
        Ok(answer) => Ok((answer.status == 503).then_some(())),
    };
    hands.until("the JobManager is gone", RECOVERS, gone).await?;
    let leads = async || {
        if hands.0.made_anew().await? {
            return Ok(Some(None));
        }
        let Ok(answer) = hands.get("/jobs").await else { return Ok(None) };
        match answer.status {
            200 => Ok(hands.jobs().await?.map(Some)),
            503 => Ok(None),
            500 if between_leaders(&answer.body.to_string()) => Ok(None),
            _ => bail!("neither a leader nor none: {} {}", answer.status, answer.body),
        }
    };
    hands.until("a new leader", RECOVERS, leads).await
}

/// What 2.3 says while one leader follows another.
fn between_leaders(errors: &str) -> bool {
    errors.contains("EndpointNotStartedException") || errors.contains("FencingTokenException")
}

async fn trigger_is_forgotten(hands: Hands<'_>, job: &str) -> Result<()> {
    let path = format!("/jobs/{job}/savepoints/{TRIGGER}");
    let answer = hands.get(&path).await?;
    answer.refuses(404, &format!("There is no savepoint operation with triggerId={TRIGGER} for job {job}."))
}

/// The job has been there since the first answer, runs again from its newest checkpoint, and nothing of before is known.
async fn runs_again(hands: Hands<'_>, first: &[(String, String)], job: &str) -> Result<()> {
    let state = first.iter().find(|(id, _)| id == job).map(|(_, state)| state.as_str());
    ensure!(matches!(state, Some("INITIALIZING" | "CREATED" | "RUNNING")), "in the first answer: {first:?}");
    hands.runs(job, RECOVERS).await?;
    trigger_is_forgotten(hands, job).await?;
    let body = hands
        .checkpoints_show("where it came from", job, |body| {
            body.pointer("/latest/restored").filter(|one| one.is_object()).map(|_| body.clone())
        })
        .await?;
    let restored = body.pointer("/latest/restored").context("nothing restored")?;
    let path = restored.get("external_path").and_then(Value::as_str).context("no path")?;
    let id = restored.get("id").and_then(Value::as_i64).context("no id")?;
    ensure!(path.ends_with(&format!("/{job}/chk-{id}")), "restored {path}, which is not its checkpoint {id}");
    ensure!(restored.get("is_savepoint") == Some(&json!(false)), "{restored}");
    ensure!(body.pointer("/latest/savepoint") == Some(&Value::Null), "it knows of a savepoint: {body}");
    ensure!(hands.0.has_high_availability_map(job).await?, "its ConfigMap is gone");
    Ok(())
}

async fn killed_without_high_availability(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let job = hands.running_job(1, Snapshots::Fast).await?;
    hands.asks_savepoint(&job, TRIGGER, &world.directory("killed")).await?;
    hands.outcome(&job, TRIGGER).await?.savepoint()?;
    world.strike(Target::JobManager, When::Now).await?;
    let jobs = next_leader(hands).await?;
    ensure!(jobs.is_empty(), "it knows jobs: {jobs:?}");
    trigger_is_forgotten(hands, &job).await?;
    hands.get(&format!("/jobs/{job}/status")).await?.refuses(500, "FlinkJobNotFoundException")
}

async fn killed_while_a_job_runs(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let job = hands.running_job(1, Snapshots::Fast).await?;
    hands.has_checkpoint(&job).await?;
    ensure!(world.has_high_availability_map(&job).await?, "no ConfigMap of the job");
    world.strike(Target::JobManager, When::Now).await?;
    let first = next_leader(hands).await?;
    runs_again(hands, &first, &job).await
}

/// The JobManager is killed while it writes below a directory: nothing whole comes of it, and the job runs again.
async fn killed_in_the_middle(world: &dyn World, job: &str, directory: &str) -> Result<()> {
    let hands = Hands(world);
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.strike(Target::JobManager, When::Now).await?;
    let first = next_leader(hands).await?;
    runs_again(hands, &first, job).await?;
    let files = world.files(directory).await?;
    ensure!(!files.iter().any(|file| file.ends_with("_metadata")), "whole: {files:?}");
    Ok(())
}

async fn killed_in_a_savepoint(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let job = hands.running_job(1, SLOW).await?;
    hands.has_checkpoint(&job).await?;
    let directory = world.directory("in-a-savepoint");
    hands.asks_savepoint(&job, TRIGGER, &directory).await?;
    killed_in_the_middle(world, &job, &directory).await
}

async fn killed_in_a_stop(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let job = hands.running_job(1, SLOW).await?;
    hands.has_checkpoint(&job).await?;
    let directory = world.directory("in-a-stop");
    hands.asks_stop(&job, TRIGGER, &directory, false).await?;
    killed_in_the_middle(world, &job, &directory).await
}

/// A whole savepoint does not prove that the job has stopped.
async fn killed_as_the_savepoint_of_a_stop_is_whole(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let job = hands.running_job(1, Snapshots::Fast).await?;
    hands.has_checkpoint(&job).await?;
    let directory = world.directory("whole");
    world.strike(Target::JobManager, When::AsMetadataAppears { below: directory.clone() }).await?;
    hands.asks_stop(&job, TRIGGER, &directory, false).await?;
    let first = next_leader(hands).await?;
    runs_again(hands, &first, &job).await?;
    let files = world.files(&directory).await?;
    ensure!(files.iter().any(|file| file.ends_with("/_metadata")), "not whole: {files:?}");
    Ok(())
}

async fn killed_as_a_stopped_job_has_finished(world: &dyn World) -> Result<()> {
    finished_and_killed(world, false).await
}

async fn killed_after_a_stopped_job_has_finished(world: &dyn World) -> Result<()> {
    finished_and_killed(world, true).await
}

async fn high_availability_forgets_jobs_that_ended(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    for stops in [true, false] {
        let job = hands.running_job(1, Snapshots::Fast).await?;
        hands.has_checkpoint(&job).await?;
        ensure!(world.has_high_availability_map(&job).await?, "no ConfigMap of the job");
        if stops {
            hands.asks_stop(&job, TRIGGER, &world.directory("ended"), false).await?;
            hands.outcome(&job, TRIGGER).await?.savepoint()?;
        } else {
            hands.cancel(&job).await?.of(202)?;
        }
        let forgotten = async || Ok((!world.has_high_availability_map(&job).await?).then_some(()));
        hands.until("its ConfigMap is gone", SOON, forgotten).await?;
        // The process that saw it end knows it on.
        let state = hands.state(&job).await;
        ensure!(state.as_deref() == Some(if stops { "FINISHED" } else { "CANCELED" }), "{state:?}");
    }
    Ok(())
}

/// That a job has finished is told before it is stored, and stored until it is cleaned up. So the next JobManager knows that
/// the job finished; or knows nothing of it, and its ConfigMap is gone; or, where the last one was killed in the moment
/// between, runs it again. That moment was more than half a second on a busy machine; once the ConfigMap is gone it is over.
/// Whatever becomes of the JobManager, the savepoint is whole.
async fn finished_and_killed(world: &dyn World, stored: bool) -> Result<()> {
    let hands = Hands(world);
    let job = hands.running_job(1, Snapshots::Fast).await?;
    hands.has_checkpoint(&job).await?;
    let directory = world.directory("finished");
    hands.asks_stop(&job, TRIGGER, &directory, false).await?;
    hands.comes_to(&job, "FINISHED", RECOVERS).await?;
    if stored {
        let gone = async || Ok((!world.has_high_availability_map(&job).await?).then_some(()));
        hands.until("its ConfigMap is gone", SOON, gone).await?;
    }
    world.strike(Target::JobManager, When::Now).await?;
    let first = next_leader_if_any(hands).await?;
    let files = world.files(&directory).await?;
    ensure!(files.iter().any(|file| file.ends_with("/_metadata")), "not whole: {files:?}");
    let Some(first) = first else { return Ok(()) };
    match first.iter().find(|(id, _)| *id == job).map(|(_, state)| state.as_str()) {
        Some("FINISHED") => {
            let overview = hands.overview(&job).await?.context("not in the overview")?;
            ensure!(overview.pointer("/tasks/total") == Some(&json!(0)), "{overview}");
        }
        None => {
            hands.get(&format!("/jobs/{job}/status")).await?.refuses(500, "FlinkJobNotFoundException")?;
            ensure!(!world.has_high_availability_map(&job).await?, "its ConfigMap is there");
        }
        Some(_) => {
            ensure!(!stored, "it runs the job again: {first:?}");
            runs_again(hands, &first, &job).await?;
        }
    }
    trigger_is_forgotten(hands, &job).await
}
