//! The status subresource, generations, and the rules of a CustomResourceDefinition.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::world::World;

/// Sets what is at each pointer's last field.
fn with(mut object: Value, changes: Value) -> Value {
    merge(&mut object, changes);
    object
}

fn merge(object: &mut Value, changes: Value) {
    match (object, changes) {
        (Value::Object(fields), Value::Object(changes)) => {
            for (field, change) in changes {
                merge(fields.entry(field).or_insert(Value::Null), change);
            }
        }
        (object, change) => *object = change,
    }
}

async fn made(w: &mut World) -> Result<Value> {
    let savepoint = w.savepoint("a");
    Ok(w.post("flinksavepoints", savepoint).await?.is(201, "")?.body)
}

/// The schema's default of a status: what was just created answers no generation yet.
fn first() -> Value {
    json!({"observedGeneration": -1})
}

pub(super) async fn written_apart(w: &mut World) -> Result<()> {
    let wish = with(w.savepoint("a"), json!({"status": {"phase": "Pending"}}));
    let made = w.post("flinksavepoints", wish).await?.is(201, "")?;
    ensure!(made.at("/status") == first(), "{made:?}");
    let both = with(made.body, json!({"spec": {"deletionPolicy": "Delete"}, "status": {"phase": "Pending"}}));
    let status = w.put("flinksavepoints/a/status", both.clone()).await?.is(200, "")?;
    ensure!(status.at("/status/phase") == "Pending" && status.at("/spec/deletionPolicy").is_null(), "{status:?}");
    let other = with(status.body, json!({"spec": {"deletionPolicy": "Delete"}, "status": {"phase": "Failed"}}));
    let spec = w.put("flinksavepoints/a", other).await?.is(200, "")?;
    ensure!(spec.at("/status/phase") == "Pending" && spec.at("/spec/deletionPolicy") == "Delete", "{spec:?}");
    let read = w.get("flinksavepoints/a/status").await?.is(200, "")?;
    ensure!(read.body == spec.body);
    Ok(())
}

pub(super) async fn keeps_metadata(w: &mut World) -> Result<()> {
    let made = made(w).await?;
    let metadata = json!({"labels": {"x": "y"}, "annotations": {"x": "y"}, "finalizers": ["savepoints.dev/held"]});
    let wish = with(made, json!({"metadata": metadata, "status": {"phase": "Pending", "message": null}}));
    let written = w.put("flinksavepoints/a/status", wish).await?.is(200, "")?;
    ensure!(written.at("/metadata/labels").is_null() && written.at("/metadata/finalizers").is_null(), "{written:?}");
    let again = with(written.body.clone(), json!({"status": {"phase": "Pending"}}));
    let again = w.put("flinksavepoints/a/status", again).await?.is(200, "")?;
    ensure!(again.version() == written.version(), "a write that changes nothing is none");
    Ok(())
}

pub(super) async fn conflicts(w: &mut World) -> Result<()> {
    let made = made(w).await?;
    let pending = with(made.clone(), json!({"status": {"phase": "Pending"}}));
    w.put("flinksavepoints/a/status", pending.clone()).await?.is(200, "")?;
    w.put("flinksavepoints/a/status", pending).await?.is(409, "Conflict")?;
    w.put("flinksavepoints/a", made.clone()).await?.is(409, "Conflict")?;
    let unversioned = with(made, json!({"metadata": {"resourceVersion": null}}));
    w.put("flinksavepoints/a/status", unversioned.clone()).await?.is(422, "Invalid")?;
    w.put("flinksavepoints/a", unversioned).await?.is(422, "Invalid").map(drop)
}

pub(super) async fn not_there(w: &mut World) -> Result<()> {
    w.post("configmaps", json!({"metadata": {"name": "a"}})).await?.is(201, "")?;
    w.get("configmaps/a/status").await?.is(404, "NotFound")?;
    w.put("configmaps/a/status", json!({"metadata": {"name": "a"}})).await?.is(404, "NotFound")?;
    let savepoint = w.savepoint("a");
    w.put("flinksavepoints/a/status", savepoint).await?.is(404, "NotFound")?;
    w.merge("flinksavepoints/a/status", json!({"status": {"phase": "Pending"}})).await?.is(404, "NotFound").map(drop)
}

pub(super) async fn patched(w: &mut World) -> Result<()> {
    made(w).await?;
    let patch = json!({
        "metadata": {"labels": {"x": "y"}}, "spec": {"deletionPolicy": "Delete"}, "status": {"phase": "Pending"},
    });
    let status = w.merge("flinksavepoints/a/status", patch).await?.is(200, "")?;
    ensure!(status.at("/metadata/labels").is_null() && status.at("/spec/deletionPolicy").is_null(), "{status:?}");
    let main = w.merge("flinksavepoints/a", json!({"status": {"phase": "Failed"}})).await?.is(200, "")?;
    ensure!(main.version() == status.version() && main.at("/status/phase") == "Pending", "{main:?}");
    let gone = w.merge("flinksavepoints/a/status", json!({"status": null})).await?.is(200, "")?;
    ensure!(gone.at("/status") == first(), "{gone:?}");
    Ok(())
}

pub(super) async fn generation(w: &mut World) -> Result<()> {
    let made = made(w).await?;
    let labelled = w.put("flinksavepoints/a", with(made, json!({"metadata": {"generation": 9, "labels": {"x": "y"}}})));
    let labelled = labelled.await?.is(200, "")?;
    ensure!(labelled.at("/metadata/generation") == 1, "{labelled:?}");
    let status = with(labelled.body, json!({"status": {"phase": "Pending"}}));
    let status = w.put("flinksavepoints/a/status", status).await?.is(200, "")?;
    ensure!(status.at("/metadata/generation") == 1, "{status:?}");
    let spec = w.merge("flinksavepoints/a", json!({"spec": {"deletionPolicy": "Delete"}})).await?.is(200, "")?;
    ensure!(spec.at("/metadata/generation") == 2, "{spec:?}");
    let null = w.merge("flinksavepoints/a", json!({"spec": {"timeout": null}})).await?.is(200, "")?;
    ensure!(null.version() == spec.version(), "{null:?}");
    Ok(())
}

pub(super) async fn rules(w: &mut World) -> Result<()> {
    let wish = with(w.savepoint("a"), json!({"spec": {"path": "s3://bucket/savepoint"}}));
    w.post("flinksavepoints", wish).await?.is(422, "Invalid")?;
    let wish = with(w.savepoint("a"), json!({"spec": {"timeout": "soon"}}));
    w.post("flinksavepoints", wish).await?.is(422, "Invalid").map(drop)
}

pub(super) async fn immutable(w: &mut World) -> Result<()> {
    let made = made(w).await?;
    let wish = with(made, json!({"spec": {"jobRef": {"name": "payments"}}}));
    w.put("flinksavepoints/a", wish).await?.is(422, "Invalid")?;
    let patch = json!({"spec": {"jobRef": {"name": "payments"}}});
    w.merge("flinksavepoints/a", patch).await?.is(422, "Invalid")?;
    let patch = json!({"metadata": {"deletionTimestamp": "2020-01-01T00:00:00Z"}});
    w.merge("flinksavepoints/a", patch).await?.is(422, "Invalid").map(drop)
}
