//! Lists: pages, selectors, versions.

use anyhow::{Result, ensure};
use serde_json::json;

use super::world::{Answer, JSON, METADATA_LIST, World};

/// `a` to `e`, with a label `n` that is 0, 1, 0, 1, 0.
async fn five(w: &mut World) -> Result<()> {
    for (number, name) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        let mut savepoint = w.savepoint(name);
        if let Some(metadata) = savepoint.get_mut("metadata") {
            *metadata = json!({"name": name, "labels": {"n": (number % 2).to_string()}});
        }
        w.post("flinksavepoints", savepoint).await?.is(201, "")?;
    }
    Ok(())
}

async fn list(w: &mut World, query: &str) -> Result<Answer> {
    w.get(&format!("flinksavepoints?{query}")).await
}

fn token(page: &Answer) -> String {
    page.at("/metadata/continue").as_str().unwrap_or_default().to_owned()
}

pub(super) async fn pages(w: &mut World) -> Result<()> {
    five(w).await?;
    let first = list(w, "limit=2").await?.is(200, "")?;
    ensure!(first.names() == ["a", "b"] && first.at("/metadata/remainingItemCount") == 3, "{first:?}");
    w.delete("flinksavepoints/d", json!({})).await?.is(200, "")?;
    let savepoint = w.savepoint("bb");
    w.post("flinksavepoints", savepoint).await?.is(201, "")?;
    // All pages show the world as it was at the first one.
    let second = list(w, &format!("limit=2&continue={}", token(&first))).await?.is(200, "")?;
    ensure!(second.names() == ["c", "d"] && second.version() == first.version(), "{second:?}");
    let third = list(w, &format!("limit=2&continue={}", token(&second))).await?.is(200, "")?;
    ensure!(third.names() == ["e"] && token(&third).is_empty(), "{third:?}");
    let some = list(w, "limit=2&labelSelector=n%3D0").await?.is(200, "")?;
    ensure!(some.names() == ["a", "c"] && some.at("/metadata/remainingItemCount").is_null(), "{some:?}");
    let exact = list(w, "limit=3&labelSelector=n%3D0").await?.is(200, "")?;
    ensure!(token(&exact).is_empty(), "{exact:?}");
    Ok(())
}

pub(super) async fn labels(w: &mut World) -> Result<()> {
    five(w).await?;
    let cases: &[(&str, &[&str])] = &[
        ("n%3D1", &["b", "d"]),
        ("n%3D%3D1", &["b", "d"]),
        ("n!%3D1", &["a", "c", "e"]),
        ("n", &["a", "b", "c", "d", "e"]),
        ("!n", &[]),
        ("x!%3D1,n%3D1", &["b", "d"]),
        ("n+in+(0,2),!x", &["a", "c", "e"]),
        ("n+notin+(0,2)", &["b", "d"]),
        ("x+notin+(0)", &["a", "b", "c", "d", "e"]),
        ("n%3D", &[]),
        ("n%3D1,n%3D0", &[]),
    ];
    for (selector, names) in cases {
        let found = list(w, &format!("labelSelector={selector}")).await?.is(200, "")?;
        ensure!(found.names() == *names, "{selector}: {:?}", found.names());
    }
    Ok(())
}

pub(super) async fn fields(w: &mut World) -> Result<()> {
    five(w).await?;
    let one = list(w, "fieldSelector=metadata.name%3Db").await?.is(200, "")?;
    ensure!(one.names() == ["b"]);
    let namespace = w.namespace().to_owned();
    let others = list(w, &format!("fieldSelector=metadata.name!%3Db,metadata.namespace%3D{namespace}")).await?;
    ensure!(others.is(200, "")?.names() == ["a", "c", "d", "e"]);
    list(w, "fieldSelector=spec.path%3Db").await?.is(400, "BadRequest")?;
    w.get("configmaps?fieldSelector=data.key%3Db").await?.is(400, "BadRequest").map(drop)
}

/// Codes and reasons only: a parser's words are its own.
pub(super) async fn unreadable(w: &mut World) -> Result<()> {
    for query in ["labelSelector=n%3D%3D%3D1", "labelSelector=n+in+1", "continue=garbage", "resourceVersion=garbage"] {
        let refused = w.get_unrecorded(&format!("flinksavepoints?{query}")).await?;
        refused.is(400, "BadRequest")?;
    }
    list(w, "resourceVersionMatch=Exact").await?.is(422, "Invalid").map(drop)
}

pub(super) async fn metadata(w: &mut World) -> Result<()> {
    five(w).await?;
    let path = "flinksavepoints?labelSelector=n%3D1&limit=1";
    let found = w.send("GET", path, JSON, METADATA_LIST, None).await?.is(200, "")?;
    ensure!(found.at("/kind") == "PartialObjectMetadataList" && found.at("/items/0/spec").is_null(), "{found:?}");
    Ok(())
}

/// The items of a list of a built-in kind do not say what they are.
pub(super) async fn built_in(w: &mut World) -> Result<()> {
    w.post("configmaps", json!({"metadata": {"name": "a", "labels": {"x": "y"}}})).await?.is(201, "")?;
    let found = w.get("configmaps?labelSelector=x%3Dy").await?.is(200, "")?;
    ensure!(found.names() == ["a"] && found.at("/items/0/kind").is_null(), "{found:?}");
    Ok(())
}

/// A list of any version comes from the watch cache, as a whole.
pub(super) async fn cached(w: &mut World) -> Result<()> {
    five(w).await?;
    // Waits until the cache has caught up.
    list(w, "").await?.is(200, "")?;
    let found = list(w, "limit=2&resourceVersion=0").await?.is(200, "")?;
    ensure!(found.names().len() == 5 && token(&found).is_empty(), "{found:?}");
    Ok(())
}

pub(super) async fn at_a_version(w: &mut World) -> Result<()> {
    five(w).await?;
    let before = list(w, "").await?.is(200, "")?.version();
    w.delete("flinksavepoints/d", json!({})).await?.is(200, "")?;
    let exact = format!("flinksavepoints?resourceVersion={before}&resourceVersionMatch=Exact");
    let then = w.get_unrecorded(&exact).await?.is(200, "")?;
    ensure!(then.names().len() == 5 && then.version() == before, "{then:?}");
    let since = format!("flinksavepoints?resourceVersion={before}&resourceVersionMatch=NotOlderThan");
    w.get_unrecorded(&since).await?.is(200, "")?;
    let now = list(w, "").await?.is(200, "")?;
    ensure!(now.version() != before && now.names().len() == 4, "{now:?}");
    // One that is long gone is not asked for: a server forgets it only minutes later.
    Ok(())
}
