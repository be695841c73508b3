//! What a new job's own program says before the old one is stopped.

use flink_savepoint_operator::api::UpgradeResult::{Failed, RolledBack, Succeeded};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::json;

use crate::scenarios::{RUNS, fails, job};
use crate::sweep::Scenario;
use crate::world::World;

fn at_first(world: World) -> BoxFuture<'static, ()> {
    async move { world.apply("v1", json!({"upgrade": {"progressDeadline": "2m"}})).await }.boxed()
}

/// Nobody asks beforehand: Flink itself refuses it.
fn unasked(world: World) -> BoxFuture<'static, ()> {
    async move { world.apply("v1", json!({"upgrade": {"progressDeadline": "2s", "preflight": "Skip"}})).await }.boxed()
}

fn drops_an_operator(world: World) -> BoxFuture<'static, ()> {
    async move { world.image("drops-operator").await }.boxed()
}

/// The old job is not touched.
pub fn lacks_an_operator() -> Scenario {
    fails(at_first, drops_an_operator, Failed, "PreflightFailed")
}

/// Flink refuses it, and the old one is put back.
pub fn lacks_an_operator_unasked() -> Scenario {
    fails(unasked, drops_an_operator, RolledBack, "SubmitFailed")
}

/// It may lack this one: named by its uid, though the snapshots of Flink 1.20 know IDs only.
pub fn lacks_what_it_may() -> Scenario {
    let act = |world: World| {
        async move {
            world
                .change(json!({
                    "image": crate::images::image("drops-operator"),
                    "job": {"allowedDroppedOperators": ["totals"]},
                }))
                .await;
        }
        .boxed()
    };
    job(vec![(RUNS, act)], "drops-operator", &[Succeeded, Succeeded])
}

pub fn main_throws() -> Scenario {
    fails(at_first, |w| async move { w.image("throws").await }.boxed(), Failed, "PreflightFailed")
}

pub fn main_throws_unasked() -> Scenario {
    fails(unasked, |w| async move { w.image("throws").await }.boxed(), RolledBack, "SubmitFailed")
}

pub fn main_hangs() -> Scenario {
    fails(at_first, |w| async move { w.image("hangs").await }.boxed(), Failed, "PreflightFailed")
}
