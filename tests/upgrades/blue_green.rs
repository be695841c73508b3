//! Upgrades in which two run side by side until the new one is promoted.

use flink_savepoint_operator::api::UpgradeResult::{self, Failed, Recovered, Succeeded, Superseded};
use flink_savepoint_operator::api::UpgradeStep;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::json;

use crate::scenarios::{RUNS, TIMEOUT, delete, fails, gone, job, to_v2};
use crate::sweep::{Act, Scenario, When};
use crate::world::World;

/// The new job is stable beside the old one, and nobody has promoted it.
const WAITS: When = When::Step(UpgradeStep::Promotion);
/// The one after it.
const WAITS_AGAIN: When = When::Is(|world| {
    world.status().upgrade.is_some_and(|upgrade| upgrade.step == UpgradeStep::Promotion && upgrade.to > 2)
});

fn automatic(world: World) -> BoxFuture<'static, ()> {
    async move {
        let upgrade = json!({"strategy": "BlueGreen", "progressDeadline": "60s"});
        world.apply("v1", json!({"upgrade": upgrade, "deletion": {"timeout": TIMEOUT}})).await;
    }
    .boxed()
}

fn by_hand(world: World) -> BoxFuture<'static, ()> {
    async move {
        let upgrade = json!({"strategy": "BlueGreen", "blueGreen": {"promotion": "Manual", "promotedRevision": "1"}});
        world.apply("v1", json!({"revisionName": "1", "upgrade": upgrade, "deletion": {"timeout": TIMEOUT}})).await;
    }
    .boxed()
}

fn second(world: World) -> BoxFuture<'static, ()> {
    async move {
        world.change(json!({"revisionName": "2"})).await;
        world.image("v2").await;
    }
    .boxed()
}

fn third(world: World) -> BoxFuture<'static, ()> {
    async move { world.image("v3").await }.boxed()
}

fn promote(world: World) -> BoxFuture<'static, ()> {
    async move { world.change(json!({"upgrade": {"blueGreen": {"promotedRevision": "2"}}})).await }.boxed()
}

/// What is announced and then promoted; `whole`: the savepoints that are there in the end.
fn promoted(acts: Vec<(When, Act)>, runs: &'static str, results: &[UpgradeResult], whole: usize) -> Scenario {
    let mut it = job([vec![(RUNS, second as Act)], acts].concat(), runs, results);
    it.begin = by_hand;
    it.end.whole = whole;
    it
}

pub fn promoted_by_itself() -> Scenario {
    let mut it = job(vec![(RUNS, to_v2)], "v2", &[Succeeded, Succeeded]);
    it.begin = automatic;
    it.end.whole = 2;
    it
}

pub fn promoted_by_a_commit() -> Scenario {
    promoted(vec![(WAITS, promote)], "v2", &[Succeeded, Succeeded], 2)
}

pub fn green_fails() -> Scenario {
    let mut it = fails(automatic, |w| async move { w.image("fails").await }.boxed(), Failed, "JobFailed");
    it.end.whole = 1;
    it
}

/// A newer spec takes the place of what waits.
pub fn green_is_replaced() -> Scenario {
    promoted(vec![(WAITS, third), (WAITS_AGAIN, promote)], "v3", &[Succeeded, Superseded, Succeeded], 3)
}

/// `kill -9` of the new revision's JobManager while it waits: it goes on from its own state.
pub fn green_is_lost() -> Scenario {
    let kill: Act = |w| async move { w.workload.kill_container("orders-2-jobmanager-0") }.boxed();
    promoted(vec![(WAITS, kill), (When::Later(std::time::Duration::from_secs(300)), promote)], "v2", &[Succeeded; 2], 2)
}

/// The same with the old one's: it is recovered, and forked anew.
pub fn blue_is_lost() -> Scenario {
    let kill: Act = |w| async move { w.workload.kill_container("orders-1-jobmanager-0") }.boxed();
    let mut it = promoted(vec![(WAITS, kill), (WAITS_AGAIN, promote)], "v2", &[], 3);
    it.end.history = vec![(3, Succeeded), (1, Recovered), (2, Superseded), (1, Succeeded)];
    it
}

/// The old job's state is saved, and the new one is not needed.
pub fn deleted_while_it_waits() -> Scenario {
    let mut it = gone(vec![(RUNS, second), (WAITS, delete)], &[Succeeded, Superseded], 2);
    it.begin = by_hand;
    it
}
