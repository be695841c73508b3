//! How many savepoints a store takes at once: `maxConcurrentSavepoints` of its FlinkSnapshotStore.

use std::collections::HashSet;
use std::time::Duration;

use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::observed::{Submitted, Turn};
use super::plan::WAITING;
use crate::api::condition::{self, types};
use crate::api::{FlinkSavepoint, FlinkSnapshotStore, SavepointAttempt, Then};
use crate::context::Context;
use crate::flink::location;
use crate::naming;
use crate::reconcile::{Error, within};
use crate::runtime::room::Full;
use crate::store::open::serves;

/// However many wait, each looks again after so long.
const LONGEST: Duration = Duration::from_secs(30);

/// Goes in where the savepoint would be written, or says that this is full. An upgrade waits for nobody.
///
/// # Errors
/// If Kubernetes can't be asked.
pub async fn enter(ctx: &Context, savepoint: &FlinkSavepoint, job: &Submitted) -> Result<Option<Full>, Error> {
    let target = savepoint.spec.target_directory.as_ref().or(job.savepoint_directory.as_ref());
    let of_an_operation = savepoint.labels().contains_key(naming::LABEL_OPERATION);
    let Some(target) = target.filter(|_| !of_an_operation && savepoint.spec.then() == Then::Continue) else {
        return Ok(None);
    };
    if !could_begin(savepoint, job) {
        return Ok(None);
    }
    let namespace = savepoint.namespace().unwrap_or_default();
    let Some((url, limit)) = limit(ctx, savepoint, &namespace, target).await? else { return Ok(None) };
    let known = ctx.known.savepoints();
    let all = || known.iter().flatten();
    let there = |a: &SavepointAttempt| a.result.is_none() && serves(&url, &a.directory);
    // One that is overdue may never end: its JobManager may be gone for good.
    let overdue = |s: &FlinkSavepoint| {
        s.status.as_ref().is_some_and(|status| condition::is_true(&status.conditions, types::OVERDUE))
    };
    let writes = |s: &&std::sync::Arc<FlinkSavepoint>| {
        !overdue(s)
            && s.namespace().as_deref() == Some(namespace.as_str())
            && s.status.as_ref().and_then(|s| s.attempts.last()).is_some_and(there)
    };
    let seen: HashSet<String> = all().filter(writes).filter_map(|s| s.uid()).collect();
    let alive: HashSet<String> = all().filter_map(|s| s.uid()).collect();
    let uid = savepoint.uid().unwrap_or_default();
    let exists = |who: &str| known.is_none() || who == uid || alive.contains(who);
    Ok(ctx.room.enter(&format!("{namespace}/{url}"), &uid, limit, &seen, exists).err())
}

/// Nothing else keeps it from being asked for.
fn could_begin(savepoint: &FlinkSavepoint, job: &Submitted) -> bool {
    let turn = match &job.turn {
        Turn::Lock { operation: None, .. } | Turn::Queue { busy: None, .. } => true,
        Turn::Lock { operation: Some(operation), .. } => {
            operation.savepoint.as_ref().is_some_and(|named| named.uid.is_some() && named.uid == savepoint.uid())
        }
        Turn::Queue { busy: Some(_), .. } => false,
    };
    turn && job.not_ready.is_none() && job.harmed.is_none() && job.store_trouble.is_none()
}

/// The url of the store that a savepoint would be written to, and how many it takes at once, if that is limited.
async fn limit(
    ctx: &Context,
    savepoint: &FlinkSavepoint,
    namespace: &str,
    target: &str,
) -> Result<Option<(String, usize)>, Error> {
    let api: Api<FlinkSnapshotStore> = Api::namespaced(ctx.client.clone(), namespace);
    let stores = within("list FlinkSnapshotStores", api.list(&ListParams::default().match_any())).await?.items;
    let named = savepoint.spec.store_ref.as_ref().map(|named| named.name.clone());
    let serves = |s: &&FlinkSnapshotStore| {
        serves(&s.spec.url, target) && named.as_ref().is_none_or(|named| *named == s.name_any())
    };
    let store = stores.iter().filter(serves).max_by_key(|s| location::normalise(&s.spec.url).len());
    Ok(store.and_then(|s| {
        let limit = usize::try_from(s.spec.max_concurrent_savepoints?).ok()?;
        Some((location::normalise(&s.spec.url), limit))
    }))
}

/// What is waited for.
#[must_use]
pub fn words(full: Full) -> String {
    format!(
        "the store takes {} savepoints at once, as its maxConcurrentSavepoints says: it waits for one to end",
        full.limit
    )
}

/// When who waits looks again: the more wait, the later, so that together they look no more often than savepoints end.
#[must_use]
pub fn wait(full: Full) -> Duration {
    let rounds = full.waiting.div_ceil(full.limit.max(1));
    WAITING.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX)).min(LONGEST)
}

#[cfg(test)]
#[path = "room_tests.rs"]
mod tests;
