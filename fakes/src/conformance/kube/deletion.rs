//! Deletion: preconditions, finalizers, grace periods, namespaces.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::world::{Answer, World};

async fn held_savepoint(w: &mut World) -> Result<Answer> {
    let mut savepoint = w.savepoint("a");
    if let Some(metadata) = savepoint.get_mut("metadata") {
        *metadata = json!({"name": "a", "finalizers": ["savepoints.dev/held", "savepoints.dev/other"]});
    }
    w.post("flinksavepoints", savepoint).await?.is(201, "")
}

async fn let_go_of(w: &mut World, path: &str) -> Result<Answer> {
    w.merge(path, json!({"metadata": {"finalizers": null}})).await?.is(200, "")
}

pub(super) async fn deleted(w: &mut World) -> Result<()> {
    w.post("configmaps", json!({"metadata": {"name": "a"}})).await?.is(201, "")?;
    let gone = w.delete("configmaps/a", json!({})).await?.is(200, "")?;
    ensure!(gone.at("/status") == "Success", "{gone:?}");
    w.get("configmaps/a").await?.is(404, "NotFound")?;
    w.delete("configmaps/a", json!({})).await?.is(404, "NotFound")?;
    let savepoint = w.savepoint("a");
    w.post("flinksavepoints", savepoint.clone()).await?.is(201, "")?;
    w.delete("flinksavepoints/a", json!({"propagationPolicy": "Background"})).await?.is(200, "")?;
    w.post("flinksavepoints", savepoint).await?.is(201, "").map(drop)
}

pub(super) async fn preconditions(w: &mut World) -> Result<()> {
    for (path, body) in [("configmaps", json!({"metadata": {"name": "a"}})), ("flinksavepoints", w.savepoint("a"))] {
        let made = w.post(path, body).await?.is(201, "")?;
        let (object, uid) = (format!("{path}/a"), made.at("/metadata/uid"));
        let only = |preconditions: Value| json!({"preconditions": preconditions, "propagationPolicy": "Background"});
        w.delete(&object, only(json!({"uid": "another"}))).await?.is(409, "Conflict")?;
        w.delete(&object, only(json!({"resourceVersion": "1"}))).await?.is(409, "Conflict")?;
        w.delete(&object, only(json!({"uid": uid, "resourceVersion": "1"}))).await?.is(409, "Conflict")?;
        w.delete(&object, only(json!({"uid": uid, "resourceVersion": made.version()}))).await?.is(200, "")?;
    }
    Ok(())
}

pub(super) async fn held(w: &mut World) -> Result<()> {
    let made = held_savepoint(w).await?;
    let first = w.delete("flinksavepoints/a", json!({})).await?.is(200, "")?;
    ensure!(first.at("/metadata/deletionTimestamp").is_string() && first.version() != made.version(), "{first:?}");
    ensure!(first.at("/metadata/generation") == 2, "{first:?}");
    let second = w.delete("flinksavepoints/a", json!({})).await?.is(200, "")?;
    ensure!(second.version() == first.version(), "a second deletion is none");
    let savepoint = w.savepoint("a");
    w.post("flinksavepoints", savepoint).await?.is(409, "AlreadyExists")?;
    let_go_of(w, "flinksavepoints/a").await.map(drop)
}

pub(super) async fn while_held(w: &mut World) -> Result<()> {
    held_savepoint(w).await?;
    let mut dying = w.delete("flinksavepoints/a", json!({})).await?.is(200, "")?.body;
    let more = json!({"metadata": {"finalizers": ["savepoints.dev/held", "savepoints.dev/new"]}});
    w.merge("flinksavepoints/a", more).await?.is(422, "Invalid")?;
    let fewer = json!({"metadata": {"finalizers": ["savepoints.dev/held"], "labels": {"x": "y"}}});
    w.merge("flinksavepoints/a", fewer).await?.is(200, "")?;
    let alive = w.merge("flinksavepoints/a", json!({"metadata": {"deletionTimestamp": null}})).await?.is(200, "")?;
    ensure!(alive.at("/metadata/deletionTimestamp").is_string(), "{alive:?}");
    w.merge("flinksavepoints/a", json!({"spec": {"deletionPolicy": "Delete"}})).await?.is(200, "")?;
    let status = w.merge("flinksavepoints/a/status", json!({"status": {"phase": "Failed"}})).await?.is(200, "")?;
    // With the version that it has now: finalizers that are gone do not come back.
    if let Some(version) = dying.pointer_mut("/metadata/resourceVersion") {
        *version = status.version().into();
    }
    w.put("flinksavepoints/a", dying).await?.is(422, "Invalid")?;
    let_go_of(w, "flinksavepoints/a").await.map(drop)
}

pub(super) async fn let_go(w: &mut World) -> Result<()> {
    held_savepoint(w).await?;
    let dying = w.delete("flinksavepoints/a", json!({})).await?.is(200, "")?;
    let last = let_go_of(w, "flinksavepoints/a").await?;
    ensure!(last.version() == dying.version() && last.at("/metadata/finalizers").is_null(), "{last:?}");
    w.get("flinksavepoints/a").await?.is(404, "NotFound")?;
    w.merge("flinksavepoints/a", json!({"metadata": {}})).await?.is(404, "NotFound").map(drop)
}

/// What comes after this the garbage collector does.
pub(super) async fn foreground(w: &mut World) -> Result<()> {
    let savepoint = w.savepoint("a");
    w.post("flinksavepoints", savepoint).await?.is(201, "")?;
    let dying = w.delete("flinksavepoints/a", json!({"propagationPolicy": "Foreground"})).await?.is(200, "")?;
    ensure!(dying.at("/metadata/finalizers") == json!(["foregroundDeletion"]), "{dying:?}");
    Ok(())
}

pub(super) async fn policy(w: &mut World) -> Result<()> {
    w.post("configmaps", json!({"metadata": {"name": "a"}})).await?.is(201, "")?;
    w.delete("configmaps/a", json!({"propagationPolicy": "Sometime"})).await?.is(422, "Invalid").map(drop)
}

/// On a node a Pod has its grace period; on none it goes at once.
pub(super) async fn pod(w: &mut World) -> Result<()> {
    let pod = |name: &str, node: Option<&str>| {
        json!({"metadata": {"name": name}, "spec": {
            "nodeName": node, "schedulerName": "nobody", "automountServiceAccountToken": false,
            "containers": [{"name": "c", "image": "no-such-image"}],
        }})
    };
    w.post("pods", pod("placed", Some("no-such-node"))).await?.is(201, "")?;
    let dying = w.delete("pods/placed", json!({})).await?.is(200, "")?;
    ensure!(dying.at("/metadata/deletionGracePeriodSeconds") == 30, "{dying:?}");
    w.delete("pods/placed", json!({"gracePeriodSeconds": 5})).await?.is(200, "")?;
    w.get("pods/placed").await?.is(200, "")?;
    w.delete("pods/placed", json!({"gracePeriodSeconds": 0})).await?.is(200, "")?;
    w.get("pods/placed").await?.is(404, "NotFound")?;
    w.post("pods", pod("waiting", None)).await?.is(201, "")?;
    w.delete("pods/waiting", json!({})).await?.is(200, "")?;
    w.get("pods/waiting").await?.is(404, "NotFound").map(drop)
}

/// A namespace that ends takes nothing new; what is in it can still be changed.
pub(super) async fn namespace(w: &mut World) -> Result<()> {
    let held = json!({"metadata": {"name": "a", "finalizers": ["savepoints.dev/held"]}});
    w.post("configmaps", held).await?.is(201, "")?;
    let path = format!("namespaces/{}", w.namespace());
    let dying = w.delete(&path, json!({})).await?.is(200, "")?;
    ensure!(dying.at("/status/phase") == "Terminating", "{dying:?}");
    w.post("configmaps", json!({"metadata": {"name": "b"}})).await?.is(403, "Forbidden")?;
    w.post("configmaps", json!({"metadata": {"name": "a"}})).await?.is(403, "Forbidden")?;
    let savepoint = w.savepoint("a");
    w.post("flinksavepoints", savepoint).await?.is(403, "Forbidden")?;
    w.put("leases/a", json!({"metadata": {"name": "a"}})).await?.is(403, "Forbidden")?;
    // So that the namespace can go; its controller may or may not have deleted the object by now.
    w.merge_unrecorded("configmaps/a", json!({"metadata": {"finalizers": null}})).await
}
