//! Creating, reading, replacing and patching.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::world::{JSON, METADATA, World};

fn config_map(name: &str, value: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"key": value}})
}

pub(super) async fn created(w: &mut World) -> Result<()> {
    let body = json!({"metadata": {
        "name": "a", "labels": {}, "finalizers": [], "uid": "mine", "creationTimestamp": "2020-01-01T00:00:00Z",
        "deletionTimestamp": "2020-01-01T00:00:00Z",
    }, "data": {"key": "value"}});
    let made = w.post("configmaps", body).await?.is(201, "")?;
    ensure!(made.at("/metadata/uid") != "mine" && made.at("/metadata/deletionTimestamp").is_null(), "{made:?}");
    ensure!(w.get("configmaps/a").await?.is(200, "")?.body == made.body);
    Ok(())
}

pub(super) async fn created_twice(w: &mut World) -> Result<()> {
    let made = w.post("configmaps", config_map("a", "1")).await?.is(201, "")?;
    w.post("configmaps", config_map("a", "2")).await?.is(409, "AlreadyExists")?;
    ensure!(w.get("configmaps/a").await?.body == made.body);
    let savepoint = w.savepoint("a");
    w.post("flinksavepoints", savepoint.clone()).await?.is(201, "")?;
    w.post("flinksavepoints", savepoint).await?.is(409, "AlreadyExists").map(drop)
}

pub(super) async fn no_name(w: &mut World) -> Result<()> {
    w.post("configmaps", json!({"metadata": {}})).await?.is(422, "Invalid").map(drop)
}

pub(super) async fn generated_name(w: &mut World) -> Result<()> {
    let body = json!({"metadata": {"generateName": "a-"}});
    let one = w.post("configmaps", body.clone()).await?.is(201, "")?.at("/metadata/name");
    let two = w.post("configmaps", body).await?.is(201, "")?.at("/metadata/name");
    let fits = |name: &Value| name.as_str().is_some_and(|name| name.starts_with("a-") && name.len() == 7);
    ensure!(one != two && fits(&one) && fits(&two), "{one} {two}");
    Ok(())
}

pub(super) async fn bad_name(w: &mut World) -> Result<()> {
    w.post("configmaps", config_map("Upper_Case", "1")).await?.is(422, "Invalid")?;
    let savepoint = w.savepoint("Upper_Case");
    w.post("flinksavepoints", savepoint).await?.is(422, "Invalid").map(drop)
}

pub(super) async fn version_on_create(w: &mut World) -> Result<()> {
    let body = json!({"metadata": {"name": "a", "resourceVersion": "7"}});
    w.post("configmaps", body).await?.is(500, "").map(drop)
}

pub(super) async fn other_namespace(w: &mut World) -> Result<()> {
    let body = json!({"metadata": {"name": "a", "namespace": "another"}});
    w.post("configmaps", body).await?.is(400, "BadRequest").map(drop)
}

pub(super) async fn no_such_namespace(w: &mut World) -> Result<()> {
    w.get("namespaces/no-such-namespace").await?.is(404, "NotFound")?;
    let list = w.get("namespaces/no-such-namespace/configmaps").await?.is(200, "")?;
    ensure!(list.names().is_empty());
    w.post("namespaces/no-such-namespace/configmaps", config_map("a", "1")).await?.is(404, "NotFound").map(drop)
}

pub(super) async fn no_such_resource(w: &mut World) -> Result<()> {
    w.get("no-such-kinds").await?.is(404, "NotFound")?;
    w.post("configmaps/a", config_map("a", "1")).await?.is(405, "MethodNotAllowed").map(drop)
}

pub(super) async fn missing(w: &mut World) -> Result<()> {
    w.get("configmaps/a").await?.is(404, "NotFound")?;
    w.get("flinksavepoints/a").await?.is(404, "NotFound")?;
    w.put("configmaps/a", config_map("a", "1")).await?.is(404, "NotFound")?;
    w.merge("configmaps/a", json!({"data": {}})).await?.is(404, "NotFound")?;
    let savepoint = w.savepoint("a");
    w.put("flinksavepoints/a", savepoint).await?.is(404, "NotFound").map(drop)
}

pub(super) async fn metadata_only(w: &mut World) -> Result<()> {
    let savepoint = w.savepoint("a");
    w.post("flinksavepoints", savepoint).await?.is(201, "")?;
    let got = w.send("GET", "flinksavepoints/a", JSON, METADATA, None).await?.is(200, "")?;
    ensure!(got.at("/kind") == "PartialObjectMetadata" && got.at("/spec").is_null(), "{got:?}");
    let patch = json!({"metadata": {"finalizers": ["savepoints.dev/held"]}});
    let patched =
        w.send("PATCH", "flinksavepoints/a", super::world::MERGE, METADATA, Some(patch)).await?.is(200, "")?;
    ensure!(patched.at("/kind") == "PartialObjectMetadata" && patched.version() != got.version(), "{patched:?}");
    w.merge("flinksavepoints/a", json!({"metadata": {"finalizers": []}})).await?.is(200, "").map(drop)
}

pub(super) async fn replaced(w: &mut World) -> Result<()> {
    let first = w.post("configmaps", config_map("a", "1")).await?.is(201, "")?;
    // Of a kind that allows it: whatever there is.
    let second = w.put("configmaps/a", config_map("a", "2")).await?.is(200, "")?;
    ensure!(second.version() != first.version() && second.at("/metadata/uid") == first.at("/metadata/uid"));
    w.put("configmaps/a", first.body).await?.is(409, "Conflict")?;
    w.put("configmaps/a", second.body).await?.is(200, "").map(drop)
}

pub(super) async fn replaced_by_nothing_new(w: &mut World) -> Result<()> {
    let first = w.post("configmaps", config_map("a", "1")).await?.is(201, "")?;
    let mut same = config_map("a", "1");
    if let Some(metadata) = same.get_mut("metadata") {
        *metadata = json!({"name": "a", "creationTimestamp": "2020-01-01T00:00:00Z", "finalizers": [], "labels": null});
    }
    let second = w.put("configmaps/a", same).await?.is(200, "")?;
    ensure!(second.version() == first.version(), "a write that changes nothing is none");
    Ok(())
}

pub(super) async fn replaced_what_is_not_there(w: &mut World) -> Result<()> {
    let mut savepoint = w.savepoint("a");
    w.put("flinksavepoints/a", savepoint.clone()).await?.is(404, "NotFound")?;
    if let Some(metadata) = savepoint.get_mut("metadata") {
        *metadata = json!({"name": "a", "resourceVersion": "7", "uid": "8"});
    }
    w.put("flinksavepoints/a", savepoint).await?.is(404, "NotFound").map(drop)
}

/// A Lease is created by replacing it; but not one that was read before it went.
pub(super) async fn lease_replaced(w: &mut World) -> Result<()> {
    let lease = json!({"metadata": {"name": "a"}, "spec": {"holderIdentity": "one"}});
    let made = w.put("leases/a", lease.clone()).await?.is(201, "")?;
    w.put("leases/a", lease).await?.is(422, "Invalid")?;
    w.delete("leases/a", json!({})).await?.is(200, "")?;
    w.put("leases/a", made.body).await?.is(409, "Conflict")?;
    let versioned = json!({"metadata": {"name": "a", "resourceVersion": "7"}, "spec": {"holderIdentity": "two"}});
    w.put("leases/a", versioned).await?.is(201, "").map(drop)
}

pub(super) async fn renamed(w: &mut World) -> Result<()> {
    w.post("configmaps", config_map("a", "1")).await?.is(201, "")?;
    w.put("configmaps/a", config_map("b", "1")).await?.is(400, "BadRequest")?;
    w.merge("configmaps/a", json!({"metadata": {"name": "b"}})).await?.is(400, "BadRequest").map(drop)
}

pub(super) async fn other_uid(w: &mut World) -> Result<()> {
    let savepoint = w.savepoint("a");
    let mut made = w.post("flinksavepoints", savepoint).await?.is(201, "")?.body;
    if let Some(uid) = made.pointer_mut("/metadata/uid") {
        *uid = "another".into();
    }
    w.put("flinksavepoints/a", made.clone()).await?.is(409, "Conflict")?;
    w.put("flinksavepoints/a/status", made).await?.is(409, "Conflict")?;
    w.merge("flinksavepoints/a", json!({"metadata": {"uid": "another"}})).await?.is(422, "Invalid").map(drop)
}

pub(super) async fn merged(w: &mut World) -> Result<()> {
    w.post("configmaps", config_map("a", "1")).await?.is(201, "")?;
    let patch = json!({"data": {"key": null, "other": "2"}, "metadata": {"labels": {"x": "y"}}});
    let first = w.merge("configmaps/a", patch.clone()).await?.is(200, "")?;
    ensure!(first.at("/data") == json!({"other": "2"}), "{first:?}");
    let second = w.merge("configmaps/a", patch).await?.is(200, "")?;
    ensure!(second.version() == first.version(), "a write that changes nothing is none");
    Ok(())
}

pub(super) async fn merged_conditionally(w: &mut World) -> Result<()> {
    let savepoint = w.savepoint("a");
    let made = w.post("flinksavepoints", savepoint).await?.is(201, "")?;
    let patch = |version: Value| json!({"metadata": {"resourceVersion": version, "labels": {"x": version}}});
    w.merge("flinksavepoints/a", patch("1".into())).await?.is(409, "Conflict")?;
    w.merge("flinksavepoints/a", patch(Value::Null)).await?.is(422, "Invalid")?;
    let patch =
        json!({"metadata": {"resourceVersion": made.version(), "uid": made.at("/metadata/uid"), "labels": {"x": "y"}}});
    w.merge("flinksavepoints/a", patch.clone()).await?.is(200, "")?;
    w.merge("flinksavepoints/a", patch).await?.is(409, "Conflict").map(drop)
}

pub(super) async fn not_a_patch(w: &mut World) -> Result<()> {
    w.post("configmaps", config_map("a", "1")).await?.is(201, "")?;
    let sent = w.send("PATCH", "configmaps/a", JSON, JSON, Some(json!({}))).await?;
    sent.is(415, "UnsupportedMediaType").map(drop)
}

pub(super) async fn json_patched(w: &mut World) -> Result<()> {
    const PATCH: &str = "application/json-patch+json";
    w.post("configmaps", config_map("a", "1")).await?.is(201, "")?;
    let patch = |seen: &str| {
        Some(json!([
            {"op": "test", "path": "/data/key", "value": seen}, {"op": "replace", "path": "/data/key", "value": "2"},
        ]))
    };
    w.send("PATCH", "configmaps/a", PATCH, JSON, patch("3")).await?.is(422, "Invalid")?;
    let patched = w.send("PATCH", "configmaps/a", PATCH, JSON, patch("1")).await?.is(200, "")?;
    ensure!(patched.at("/data/key") == "2", "{patched:?}");
    // As kube's helper adds a first finalizer: what is not there is null.
    let first = json!([
        {"op": "test", "path": "/metadata/finalizers", "value": null},
        {"op": "add", "path": "/metadata/finalizers", "value": ["savepoints.dev/held"]},
    ]);
    w.send("PATCH", "configmaps/a", PATCH, JSON, Some(first.clone())).await?.is(200, "")?;
    w.send("PATCH", "configmaps/a", PATCH, JSON, Some(first)).await?.is(422, "Invalid")?;
    let remove = json!([{"op": "remove", "path": "/metadata/finalizers/0"}]);
    w.send("PATCH", "configmaps/a", PATCH, JSON, Some(remove)).await?.is(200, "").map(drop)
}
