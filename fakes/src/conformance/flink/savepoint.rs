//! Savepoints, made and refused.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::hands::{Hands, NO_JOB, Outcome, SOON};
use super::run::case;
use super::{Case, JobWish, Snapshots, Version, World};

pub(super) const CASES: &[Case] = &[
    case!(savepoint),
    case!(savepoint_without_directory),
    case!(malformed_bodies),
    case!(unknown_trigger),
    case!(same_trigger_again),
    case!(two_savepoints_at_once),
    case!(savepoint_to_unwritable_directory),
    case!(savepoint_to_unknown_scheme),
    case!(savepoint_of_unknown_job),
    case!(savepoint_of_finished_job),
    case!(savepoint_while_tasks_wait_for_slots),
    case!(savepoint_whose_snapshot_throws),
    case!(savepoint_of_job_that_is_cancelled),
    case!(savepoint_that_cancels),
    case!(savepoint_that_is_disposed_of),
];

pub(super) const TRIGGER: &str = "00000000000000000000000000000abc";
pub(super) const OTHER: &str = "00000000000000000000000000000def";
pub(super) const THIRD: &str = "00000000000000000000000000000123";
/// Longer than a few requests take.
pub(super) const SLOW: Snapshots = Snapshots::Take(SLOW_FOR);
/// For so long after it was asked for a snapshot is certainly under way.
const SLOW_FOR: Duration = Duration::from_secs(5);
/// How long savepoints take that something else is to find under way: `/checkpoints` says so up to 3 s later.
pub(super) const UNDER_WAY: Duration = Duration::from_secs(8);

/// A location is `<directory>/savepoint-<6 hex of the job's id>-<12 hex>`.
pub(super) fn is_named_after(location: &str, directory: &str, job: &str) -> Result<()> {
    let name = location.strip_prefix(directory).and_then(|rest| rest.strip_prefix("/savepoint-"));
    let (of, number) = name.and_then(|name| name.split_once('-')).with_context(|| location.to_owned())?;
    let hex = number.len() == 12 && number.bytes().all(|byte| byte.is_ascii_hexdigit());
    ensure!(job.get(..6) == Some(of) && hex, "{location} for job {job}");
    Ok(())
}

async fn savepoint(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let job = hands.running_job(2, Snapshots::Fast).await?;
    let formats = [(TRIGGER, Some("CANONICAL")), (OTHER, Some("NATIVE")), (THIRD, None)];
    for (trigger, format) in formats {
        let directory = world.directory("savepoint");
        let mut body = json!({"target-directory": directory, "triggerId": trigger, "unheardOf": 1});
        if let (Some(format), Some(fields)) = (format, body.as_object_mut()) {
            fields.insert("formatType".to_owned(), json!(format));
        }
        hands.asks(&format!("/jobs/{job}/savepoints"), trigger, body).await?;
        let location = hands.outcome(&job, trigger).await?.savepoint()?;
        is_named_after(&location, &directory, &job)?;
        hands.is_whole(&location).await?;
        let said = hands
            .checkpoints_show("the savepoint in the history", &job, |body| {
                let history = body.get("history")?.as_array()?;
                let at = |one: &&Value| one.get("external_path").and_then(Value::as_str) == Some(location.as_str());
                Some(history.iter().find(at)?.get("savepointFormat")?.as_str()?.to_owned())
            })
            .await?;
        ensure!(said == format.unwrap_or("CANONICAL"), "{said}, not {format:?}");
    }
    ensure!(hands.state(&job).await.as_deref() == Some("RUNNING"), "the job does not run on");
    Ok(())
}

async fn savepoint_without_directory(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let missing = "Config key [execution.checkpointing.savepoint-dir] is not set. Property";
    // Each of the two has its own name for it, and the other's is a field that nobody knows. The job does not matter.
    let (savepoints, stop) = (format!("/jobs/{NO_JOB}/savepoints"), format!("/jobs/{NO_JOB}/stop"));
    let refusal = format!("{missing} [target-directory] must be provided.");
    hands.post(&savepoints, json!({})).await?.refuses(400, &refusal)?;
    hands.post(&savepoints, json!({"targetDirectory": world.directory("none")})).await?.refuses(400, &refusal)?;
    let refusal = format!("{missing} [targetDirectory] must be provided.");
    hands.post(&stop, json!({"drain": false})).await?.refuses(400, &refusal)?;
    hands.post(&stop, json!({"target-directory": world.directory("none")})).await?.refuses(400, &refusal)
}

async fn malformed_bodies(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let directory = world.directory("malformed");
    let refusal = "Request did not match expected format SavepointTriggerRequestBody.";
    for (field, value) in [("formatType", "native"), ("formatType", "FOO"), ("triggerId", "my-trigger")] {
        let body = json!({"target-directory": directory, field: value});
        hands.post(&format!("/jobs/{NO_JOB}/savepoints"), body).await?.refuses(400, refusal)?;
    }
    let body = json!({"targetDirectory": directory, "triggerId": "my-trigger"});
    let refusal = "Request did not match expected format StopWithSavepointRequestBody.";
    hands.post(&format!("/jobs/{NO_JOB}/stop"), body).await?.refuses(400, refusal)
}

async fn unknown_trigger(world: &dyn World) -> Result<()> {
    let answer = Hands(world).get(&format!("/jobs/{NO_JOB}/savepoints/{TRIGGER}")).await?;
    let text = format!("There is no savepoint operation with triggerId={TRIGGER} for job {NO_JOB}.");
    answer.refuses(404, &text)
}

async fn same_trigger_again(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let job = hands.running_job(1, Snapshots::Fast).await?;
    let (first, second) = (world.directory("first"), world.directory("second"));
    hands.asks_savepoint(&job, TRIGGER, &first).await?;
    hands.asks_savepoint(&job, TRIGGER, &second).await?;
    let location = hands.outcome(&job, TRIGGER).await?.savepoint()?;
    is_named_after(&location, &first, &job)?;
    // Nor does one begin once the first is done; a stop with this id is the same operation.
    hands.asks_savepoint(&job, TRIGGER, &second).await?;
    hands.asks_stop(&job, TRIGGER, &second, false).await?;
    let again = hands.outcome(&job, TRIGGER).await?.savepoint()?;
    ensure!(again == location, "{again}, not {location}");
    hands.let_caches_go().await;
    ensure!(hands.state(&job).await.as_deref() == Some("RUNNING"), "the stop was not taken for the savepoint");
    ensure!(world.files(&second).await?.is_empty(), "a second savepoint was made");
    Ok(())
}

async fn two_savepoints_at_once(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let job = hands.running_job(1, SLOW).await?;
    let directory = world.directory("two");
    hands.asks_savepoint(&job, TRIGGER, &directory).await?;
    hands.asks_savepoint(&job, OTHER, &directory).await?;
    are_under_way(hands, &job, 2).await?;
    let first = hands.outcome(&job, TRIGGER).await?.savepoint()?;
    let second = hands.outcome(&job, OTHER).await?.savepoint()?;
    ensure!(first != second, "one savepoint for two");
    hands.is_whole(&first).await?;
    hands.is_whole(&second).await
}

/// So many savepoints of a job have begun. What has not begun when a stop or a cancel comes ends in other ways: seen where both
/// were asked for within 7 ms.
pub(super) async fn are_under_way(hands: Hands<'_>, job: &str, number: usize) -> Result<()> {
    let shows = |body: &Value| {
        let history = body.get("history")?.as_array()?;
        let runs = |one: &&Value| {
            one.get("status") == Some(&json!("IN_PROGRESS")) && one.get("is_savepoint") == Some(&json!(true))
        };
        (history.iter().filter(runs).count() == number).then_some(())
    };
    hands.checkpoints_show("savepoints in progress", job, shows).await
}

async fn savepoint_to_unwritable_directory(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let job = hands.running_job(1, Snapshots::Fast).await?;
    hands.asks_savepoint(&job, TRIGGER, &world.unwritable_directory()).await?;
    let outcome = hands.outcome(&job, TRIGGER).await?;
    outcome.clone().fails_with("An Exception occurred while triggering the checkpoint. IO-problem detected.")?;
    outcome.fails_with("java.io.IOException: Failed to create savepoint directory at ")?;
    let message = hands
        .checkpoints_show("the failure in the history", &job, |body| {
            Some(body.pointer("/latest/failed/failure_message")?.as_str()?.to_owned())
        })
        .await?;
    ensure!(message.contains("IO-problem detected."), "{message}");
    ensure!(hands.state(&job).await.as_deref() == Some("RUNNING"), "the job does not run on");
    Ok(())
}

async fn savepoint_to_unknown_scheme(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let job = hands.running_job(1, Snapshots::Fast).await?;
    hands.asks_savepoint(&job, TRIGGER, "nosuchscheme://somewhere/savepoints").await?;
    let outcome = hands.outcome(&job, TRIGGER).await?;
    outcome.clone().fails_with("An Exception occurred while triggering the checkpoint. IO-problem detected.")?;
    let cause = "UnsupportedFileSystemSchemeException: Could not find a file system implementation for scheme \
                 'nosuchscheme'.";
    outcome.fails_with(cause)
}

async fn savepoint_of_unknown_job(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let not_found = format!("FlinkJobNotFoundException: Could not find Flink job ({NO_JOB})");
    // Of this process: the ids of a case that ran before may be known.
    let (savepoint, stop) = ("0000000000000000000000000000aaa1", "0000000000000000000000000000aaa2");
    hands.asks_savepoint(NO_JOB, savepoint, &world.directory("unknown")).await?;
    hands.outcome(NO_JOB, savepoint).await?.fails_with(&not_found)?;
    hands.asks_stop(NO_JOB, stop, &world.directory("unknown"), false).await?;
    hands.outcome(NO_JOB, stop).await?.fails_with(&not_found)
}

async fn savepoint_of_finished_job(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let job = hands.running_job(1, Snapshots::Fast).await?;
    hands.asks_stop(&job, TRIGGER, &world.directory("finish"), false).await?;
    hands.outcome(&job, TRIGGER).await?.savepoint()?;
    hands.comes_to(&job, "FINISHED", SOON).await?;
    let not_found = format!("FlinkJobNotFoundException: Could not find Flink job ({job})");
    hands.asks_savepoint(&job, OTHER, &world.directory("late")).await?;
    hands.outcome(&job, OTHER).await?.fails_with(&not_found)?;
    hands.asks_stop(&job, THIRD, &world.directory("late"), false).await?;
    hands.outcome(&job, THIRD).await?.fails_with(&not_found)?;
    hands.cancel(&job).await?.refuses(409, "already reached another terminal state (FINISHED)")
}

async fn savepoint_while_tasks_wait_for_slots(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    // One slot more than there are.
    let job = world.start_job(&JobWish { parallelism: 3, snapshots: Snapshots::Fast }).await?;
    // A JobManager that is older than five minutes restarts such a job again and again, a younger one waits.
    let scheduled = async || {
        let state = hands.state(&job).await;
        Ok(matches!(state.as_deref(), Some("RUNNING" | "RESTARTING")).then_some(()))
    };
    hands.until("the job is scheduled", SOON, scheduled).await?;
    let not_running = "Not all required tasks are currently running.";
    hands.asks_savepoint(&job, TRIGGER, &world.directory("waiting")).await?;
    hands.outcome(&job, TRIGGER).await?.fails_with(not_running)?;
    hands.asks_stop(&job, OTHER, &world.directory("waiting"), false).await?;
    hands.outcome(&job, OTHER).await?.fails_with(not_running)?;
    let state = hands.state(&job).await;
    ensure!(matches!(state.as_deref(), Some("RUNNING" | "RESTARTING")), "{state:?}");
    Ok(())
}

async fn savepoint_whose_snapshot_throws(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let job = world.start_job(&JobWish { parallelism: 1, snapshots: Snapshots::Fail }).await?;
    let directory = world.directory("throws");
    // Its checkpoints throw, too, so it may be restarting as the savepoint is asked for.
    let mut attempt = 0;
    let asked = async || {
        attempt += 1;
        let trigger = format!("{attempt:032x}");
        hands.runs(&job, SOON).await?;
        hands.asks_savepoint(&job, &trigger, &directory).await?;
        match hands.outcome(&job, &trigger).await? {
            Outcome::Failure(trace) if trace.contains("Not all required tasks are currently running.") => Ok(None),
            other => Ok(Some(other)),
        }
    };
    let outcome = hands.until("a savepoint that began", SOON, asked).await?;
    let suspending = outcome.clone().fails_with("CheckpointException: Checkpoint Coordinator is suspending.");
    match world.version() {
        Version::V1_20 => suspending?,
        // The one or the other, as the restart comes.
        Version::V2_3 => suspending.or(outcome.fails_with("CheckpointException: FailoverRegion is restarting."))?,
    }
    let path = format!("/jobs/{job}/exceptions");
    let told = async || {
        let body = hands.get(&path).await?.of(200)?;
        let newest = body.pointer("/exceptionHistory/entries/0/stacktrace").and_then(Value::as_str);
        Ok(newest.filter(|trace| trace.contains("Could not complete snapshot")).map(drop))
    };
    hands.until("the cause in the exceptions", SOON, told).await?;
    hands.runs(&job, SOON).await
}

async fn savepoint_of_job_that_is_cancelled(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let job = hands.running_job(1, Snapshots::Take(UNDER_WAY)).await?;
    hands.asks_savepoint(&job, TRIGGER, &world.directory("cancelled")).await?;
    are_under_way(hands, &job, 1).await?;
    hands.cancel(&job).await?.of(202)?;
    hands.outcome(&job, TRIGGER).await?.fails_with("Checkpoint Coordinator is suspending.")?;
    hands.comes_to(&job, "CANCELED", SOON).await
}

async fn savepoint_that_cancels(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let job = hands.running_job(1, Snapshots::Fast).await?;
    let directory = world.directory("cancels");
    let body = json!({"target-directory": directory, "cancel-job": true, "triggerId": TRIGGER});
    hands.asks(&format!("/jobs/{job}/savepoints"), TRIGGER, body).await?;
    let location = hands.outcome(&job, TRIGGER).await?.savepoint()?;
    hands.is_whole(&location).await?;
    hands.comes_to(&job, "CANCELED", SOON).await
}

/// The stack trace of a disposal that failed.
async fn disposal(hands: Hands<'_>, path: &str) -> Result<Option<String>> {
    let answer = hands.post("/savepoint-disposal", json!({"savepoint-path": path})).await?.of(200)?;
    let id = answer.get("request-id").and_then(Value::as_str).with_context(|| answer.to_string())?;
    let path = format!("/savepoint-disposal/{id}");
    let ended = async || {
        let body = hands.get(&path).await?.of(200)?;
        match body.pointer("/status/id").and_then(Value::as_str) {
            Some("IN_PROGRESS") => Ok(None),
            Some("COMPLETED") => {
                let trace = body.pointer("/operation/failure-cause/stack-trace").and_then(Value::as_str);
                ensure!(trace.is_some() || body.get("operation") == Some(&json!({})), "{body}");
                Ok(Some(trace.map(str::to_owned)))
            }
            _ => bail!("{body}"),
        }
    };
    hands.until("the disposal's end", SOON, ended).await
}

async fn savepoint_that_is_disposed_of(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let job = hands.running_job(1, Snapshots::Fast).await?;
    let directory = world.directory("disposed");
    hands.asks_savepoint(&job, TRIGGER, &directory).await?;
    hands.asks_savepoint(&job, OTHER, &directory).await?;
    let location = hands.outcome(&job, TRIGGER).await?.savepoint()?;
    let other = hands.outcome(&job, OTHER).await?.savepoint()?;
    ensure!(disposal(hands, &location).await?.is_none(), "the disposal failed");
    let left = world.files(&location).await?;
    ensure!(left.is_empty(), "left: {left:?}");
    hands.is_whole(&other).await?;
    let again = disposal(hands, &location).await?.context("what is gone was disposed of again")?;
    let gone = "java.io.FileNotFoundException: Cannot find checkpoint or savepoint file/directory";
    ensure!(again.contains(gone), "{again}");
    hands.get(&format!("/savepoint-disposal/{NO_JOB}")).await?.refuses(404, "Operation not found under key")
}
