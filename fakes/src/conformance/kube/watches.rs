//! Watches: what comes, and in what words.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::world::{JSON, METADATA, World};

/// What happened, to objects of which names.
fn told(events: &[(String, Value)]) -> Vec<(&str, &str)> {
    let names = events.iter().map(|(_, object)| object.pointer("/metadata/name").and_then(Value::as_str));
    events.iter().map(|(what, _)| what.as_str()).zip(names.map(Option::unwrap_or_default)).collect()
}

async fn version(w: &mut World) -> Result<String> {
    Ok(w.get("flinksavepoints").await?.is(200, "")?.version())
}

fn labelled(mut savepoint: Value, label: &str) -> Value {
    if let Some(Value::Object(metadata)) = savepoint.get_mut("metadata") {
        metadata.insert("labels".to_owned(), json!({"x": label}));
    }
    savepoint
}

pub(super) async fn from_a_version(w: &mut World) -> Result<()> {
    let (a, b) = (w.savepoint("a"), w.savepoint("b"));
    w.post("flinksavepoints", a).await?.is(201, "")?;
    let version = version(w).await?;
    w.post("flinksavepoints", b).await?.is(201, "")?;
    w.merge("flinksavepoints/a/status", json!({"status": {"phase": "Pending"}})).await?.is(200, "")?;
    w.merge("flinksavepoints/a", json!({"metadata": {"labels": {"x": "y"}}})).await?.is(200, "")?;
    w.merge("flinksavepoints/a", json!({"metadata": {"labels": {"x": "y"}}})).await?.is(200, "")?;
    w.delete("flinksavepoints/b", json!({})).await?.is(200, "")?;
    let events = w.watch(&format!("flinksavepoints?allowWatchBookmarks=true&resourceVersion={version}"), JSON).await?;
    ensure!(told(&events) == [("ADDED", "b"), ("MODIFIED", "a"), ("MODIFIED", "a"), ("DELETED", "b")], "{events:?}");
    Ok(())
}

/// The end of an object that finalizers held is one event: DELETED, with the object as it was before.
pub(super) async fn finalizers(w: &mut World) -> Result<()> {
    let mut savepoint = w.savepoint("a");
    if let Some(metadata) = savepoint.get_mut("metadata") {
        *metadata = json!({"name": "a", "finalizers": ["savepoints.dev/held"]});
    }
    w.post("flinksavepoints", savepoint).await?.is(201, "")?;
    let version = version(w).await?;
    w.delete("flinksavepoints/a", json!({})).await?.is(200, "")?;
    w.merge("flinksavepoints/a", json!({"metadata": {"finalizers": []}})).await?.is(200, "")?;
    let events = w.watch(&format!("flinksavepoints?allowWatchBookmarks=true&resourceVersion={version}"), JSON).await?;
    ensure!(told(&events) == [("MODIFIED", "a"), ("DELETED", "a")], "{events:?}");
    Ok(())
}

pub(super) async fn in_and_out(w: &mut World) -> Result<()> {
    let version = version(w).await?;
    let (a, b) = (labelled(w.savepoint("a"), "in"), labelled(w.savepoint("b"), "out"));
    w.post("flinksavepoints", a).await?.is(201, "")?;
    w.post("flinksavepoints", b).await?.is(201, "")?;
    for (path, label) in [("flinksavepoints/a", "out"), ("flinksavepoints/b", "in"), ("flinksavepoints/a", "away")] {
        w.merge(path, json!({"metadata": {"labels": {"x": label}}})).await?.is(200, "")?;
    }
    w.delete("flinksavepoints/a", json!({})).await?.is(200, "")?;
    let events = w.watch(&format!("flinksavepoints?labelSelector=x%3Din&resourceVersion={version}"), JSON).await?;
    ensure!(told(&events) == [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "b")], "{events:?}");
    Ok(())
}

pub(super) async fn metadata_of(w: &mut World) -> Result<()> {
    let version = version(w).await?;
    let savepoint = w.savepoint("a");
    w.post("flinksavepoints", savepoint).await?.is(201, "")?;
    w.delete("flinksavepoints/a", json!({})).await?.is(200, "")?;
    let path = format!("flinksavepoints?allowWatchBookmarks=true&resourceVersion={version}");
    let events = w.watch(&path, METADATA).await?;
    ensure!(told(&events) == [("ADDED", "a"), ("DELETED", "a")], "{events:?}");
    ensure!(events.iter().all(|(_, object)| object.get("spec").is_none()), "{events:?}");
    Ok(())
}

async fn two(w: &mut World) -> Result<()> {
    let (a, b) = (labelled(w.savepoint("a"), "in"), w.savepoint("b"));
    w.post("flinksavepoints", a).await?.is(201, "")?;
    w.post("flinksavepoints", b).await?.is(201, "").map(drop)
}

/// A watch from no version begins with all there is.
pub(super) async fn initial_events(w: &mut World) -> Result<()> {
    two(w).await?;
    let events = w.watch("flinksavepoints?labelSelector=x", JSON).await?;
    ensure!(told(&events) == [("ADDED", "a")], "{events:?}");
    let events = w.watch("flinksavepoints?allowWatchBookmarks=true", JSON).await?;
    ensure!(told(&events) == [("ADDED", "a"), ("ADDED", "b"), ("BOOKMARK", "")], "{events:?}");
    Ok(())
}

pub(super) async fn streamed_list(w: &mut World) -> Result<()> {
    two(w).await?;
    let options = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let events = w.watch(&format!("flinksavepoints?{options}"), JSON).await?;
    ensure!(told(&events) == [("ADDED", "a"), ("ADDED", "b"), ("BOOKMARK", "")], "{events:?}");
    let events = w.watch(&format!("flinksavepoints?{options}&labelSelector=x"), METADATA).await?;
    ensure!(told(&events) == [("ADDED", "a"), ("BOOKMARK", "")], "{events:?}");
    let refused = w.get("flinksavepoints?watch=true&sendInitialEvents=true&allowWatchBookmarks=true").await?;
    refused.is(422, "Invalid").map(drop)
}

pub(super) async fn too_old(w: &mut World) -> Result<()> {
    let events = w.watch("flinksavepoints?resourceVersion=1", JSON).await?;
    ensure!(told(&events) == [("ERROR", "")], "{events:?}");
    ensure!(events.iter().all(|(_, status)| status.get("code") == Some(&410.into())), "{events:?}");
    Ok(())
}

/// What is written while a watch is open comes at once.
pub(super) async fn live(w: &mut World) -> Result<()> {
    let version = version(w).await?;
    let watch = w.open(&format!("flinksavepoints?resourceVersion={version}"), JSON).await?;
    let savepoint = w.savepoint("a");
    w.post("flinksavepoints", savepoint).await?.is(201, "")?;
    w.delete("flinksavepoints/a", json!({})).await?.is(200, "")?;
    let events = w.events(watch).await?;
    ensure!(told(&events) == [("ADDED", "a"), ("DELETED", "a")], "{events:?}");
    Ok(())
}
