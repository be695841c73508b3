//! Whose a savepoint is after a restore from it.

use flink_savepoint_operator::api::Ownership;
use flink_savepoint_operator::api::UpgradeResult::Succeeded;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::json;

use crate::scenarios::{RUNS, job, nothing, to_v2};
use crate::sweep::{Act, Scenario, When};
use crate::world::World;

/// An upgrade with a restore mode, and the owner that its savepoint comes to.
fn upgraded(begin: Act, owned: When) -> Scenario {
    let mut it = job(vec![(RUNS, to_v2 as Act), (owned, nothing)], "v2", &[Succeeded, Succeeded]);
    it.begin = begin;
    it
}

fn with_mode(world: World, mode: &'static str) -> BoxFuture<'static, ()> {
    async move { world.apply("v1", json!({"job": {"restoreMode": mode}})).await }.boxed()
}

/// The owner of the upgrade's savepoint, once the new job is stable.
fn is_owned_by(world: &World, owner: Ownership) -> bool {
    let stable = world.status().history.len() == 2;
    stable && world.savepoints().iter().any(|s| s.status.as_ref().and_then(|s| s.ownership) == Some(owner))
}

/// It stays the user's.
pub fn not_claimed() -> Scenario {
    upgraded(|w| with_mode(w, "NO_CLAIM"), When::Is(|w| is_owned_by(w, Ownership::User)))
}

/// Checkpoints of the new job may refer into it.
pub fn legacy() -> Scenario {
    upgraded(|w| with_mode(w, "LEGACY"), When::Is(|w| is_owned_by(w, Ownership::Unclear)))
}

const CLAIMED: When = When::Is(|w| is_owned_by(w, Ownership::Flink));

/// Flink deletes it with a later checkpoint.
pub fn claimed() -> Scenario {
    let mut it = upgraded(|w| with_mode(w, "CLAIM"), CLAIMED);
    (it.end.whole, it.end.claimed) = (0, 1);
    it
}

/// Nobody starts from it any more.
pub fn claimed_and_named() -> Scenario {
    let mut it = claimed();
    let name: Act = |w| {
        async move {
            let location = w.savepoints().into_iter().find_map(|s| s.status?.location).unwrap();
            w.change(json!({"job": {"restoreFrom": {"id": "back", "path": location}}})).await;
        }
        .boxed()
    };
    it.acts.push((When::Rest, name));
    it.end.ready = Some((false, "SnapshotOwnedByFlink"));
    it
}
