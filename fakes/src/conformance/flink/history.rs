//! `/jobs/:id/checkpoints`, and checkpoints that are asked for.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::hands::{Hands, SOON};
use super::run::case;
use super::savepoint::{SLOW, TRIGGER};
use super::{Case, Snapshots, World, shape};
use crate::flink::recorded;

pub(super) const CASES: &[Case] = &[
    case!(history_of_checkpoints),
    case!(how_checkpoints_are_taken),
    case!(history_of_a_savepoint),
    case!(history_of_a_savepoint_under_way),
    case!(history_of_a_failed_savepoint),
    case!(checkpoint_that_is_asked_for),
];

async fn history_of_checkpoints(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let job = hands.running_job(1, Snapshots::Fast).await?;
    let body = hands
        .checkpoints_show("a completed checkpoint", &job, |body| {
            body.pointer("/latest/completed/id").map(|_| body.clone())
        })
        .await?;
    let recorded = recorded::CHECKPOINTS.of(world.version(), &[]).body;
    for part in ["/counts", "/latest/completed"] {
        let of = |body: &Value| body.pointer(part).cloned().with_context(|| format!("no {part}"));
        shape::same(&of(&recorded)?, &of(&body)?)?;
    }
    let latest = body.pointer("/latest/completed").context("none")?;
    ensure!(latest.get("checkpoint_type") == Some(&json!("CHECKPOINT")), "{latest}");
    let path = latest.get("external_path").and_then(Value::as_str).context("no path")?;
    let name = format!("/{job}/chk-{}", latest.get("id").and_then(Value::as_i64).unwrap_or_default());
    ensure!(path.ends_with(&name), "{path}, not …{name}");
    ensure!(body.pointer("/latest/restored") == Some(&Value::Null), "{body}");
    Ok(())
}

/// What becomes of them as well, by the job's configuration and its code.
async fn how_checkpoints_are_taken(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let job = hands.running_job(1, Snapshots::Fast).await?;
    let body = hands.get(&format!("/jobs/{job}/checkpoints/config")).await?.of(200)?;
    shape::same(&recorded::CHECKPOINTS_CONFIG.of(world.version(), &[]).body, &body)?;
    let expected = json!({"externalization": {"enabled": true, "delete_on_cancellation": false},
        "checkpoint_storage": "FileSystemCheckpointStorage"});
    has(&body, &expected)?;
    let interval = body.get("interval").and_then(Value::as_i64).context("no interval")?;
    ensure!(interval > 0 && interval < i64::MAX, "{body}");
    Ok(())
}

async fn history_of_a_savepoint(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let job = hands.running_job(2, Snapshots::Fast).await?;
    hands.asks_savepoint(&job, TRIGGER, &world.directory("history")).await?;
    let location = hands.outcome(&job, TRIGGER).await?.savepoint()?;
    let entry = hands
        .checkpoints_show("the savepoint", &job, |body| {
            body.pointer("/latest/savepoint").filter(|one| one.is_object()).cloned()
        })
        .await?;
    let recorded = recorded::CHECKPOINTS.of(world.version(), &[]).body;
    shape::same(recorded.pointer("/latest/savepoint").context("not recorded")?, &entry)?;
    let expected = json!({"className": "completed", "status": "COMPLETED", "is_savepoint": true,
        "savepointFormat": "CANONICAL", "checkpoint_type": "SAVEPOINT", "external_path": location, "discarded": false});
    has(&entry, &expected)?;
    ensure!(entry.get("num_acknowledged_subtasks") == entry.get("num_subtasks"), "{entry}");
    Ok(())
}

async fn history_of_a_savepoint_under_way(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let job = hands.running_job(1, SLOW).await?;
    hands.asks_savepoint(&job, TRIGGER, &world.directory("under-way")).await?;
    let entry = hands
        .checkpoints_show("the savepoint under way", &job, |body| {
            let is_mine = |one: &&Value| one.get("is_savepoint") == Some(&json!(true));
            body.get("history")?.as_array()?.iter().find(is_mine).cloned()
        })
        .await?;
    let recorded = recorded::CHECKPOINTS_IN_PROGRESS.of(world.version(), &[]).body;
    shape::same(recorded.pointer("/history/0").context("not recorded")?, &entry)?;
    let expected = json!({"className": "in_progress", "status": "IN_PROGRESS", "checkpoint_type": "SAVEPOINT"});
    has(&entry, &expected)?;
    let number = |field: &str| entry.get(field).and_then(Value::as_u64).unwrap_or_default();
    ensure!(number("num_acknowledged_subtasks") < number("num_subtasks"), "{entry}");
    hands.outcome(&job, TRIGGER).await?.savepoint().map(drop)
}

async fn history_of_a_failed_savepoint(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let job = hands.running_job(1, Snapshots::Fast).await?;
    hands.asks_savepoint(&job, TRIGGER, &world.unwritable_directory()).await?;
    hands.outcome(&job, TRIGGER).await?.fails_with("IO-problem detected.")?;
    let entry = hands
        .checkpoints_show("the failure", &job, |body| {
            body.pointer("/latest/failed").filter(|one| one.get("is_savepoint") == Some(&json!(true))).cloned()
        })
        .await?;
    let recorded = recorded::CHECKPOINTS.of(world.version(), &[]).body;
    shape::same(recorded.pointer("/latest/failed").context("not recorded")?, &entry)?;
    has(&entry, &json!({"className": "failed", "status": "FAILED", "num_acknowledged_subtasks": 0}))
}

async fn checkpoint_that_is_asked_for(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let job = hands.running_job(1, Snapshots::Fast).await?;
    let path = format!("/jobs/{job}/checkpoints");
    let body = hands.post(&path, json!({"checkpointType": "CONFIGURED"})).await?.of(202)?;
    let request = body.get("request-id").and_then(Value::as_str).context("no request-id")?;
    let path = format!("{path}/{request}");
    let ended = async || {
        let body = hands.get(&path).await?.of(200)?;
        Ok((body.pointer("/status/id") == Some(&json!("COMPLETED"))).then_some(body))
    };
    let body = hands.until("the checkpoint's end", SOON, ended).await?;
    ensure!(body.pointer("/operation/checkpointId").is_some_and(Value::is_i64), "{body}");
    let unknown = hands.get(&format!("/jobs/{job}/checkpoints/{TRIGGER}")).await?;
    let text = format!("There is no checkpoint operation with triggerId={TRIGGER} for job {job}.");
    unknown.refuses(404, &text)
}

/// Some fields of an answer.
fn has(answered: &Value, expected: &Value) -> Result<()> {
    for (field, value) in expected.as_object().into_iter().flatten() {
        ensure!(answered.get(field) == Some(value), "{field} is not {value}: {answered}");
    }
    Ok(())
}
