//! What may happen to a FlinkJobUpgrade.

use flink_savepoint_operator::api::UpgradeResult::{self, Failed, Recovered, RolledBack, Succeeded, Superseded};
use flink_savepoint_operator::api::UpgradeStep;
use flink_savepoint_operator::api::condition::{self, types};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::json;

use crate::sweep::{Act, End, Scenario, When};
use crate::world::World;

/// The job runs, and nothing is under way.
pub const RUNS: When = When::Is(|world| condition::is_true(&world.status().conditions, types::READY));

/// Somebody applies a first revision, and then does more; in the end a revision runs and is Ready.
pub fn job(acts: Vec<(When, Act)>, runs: &'static str, results: &[UpgradeResult]) -> Scenario {
    let numbers = (1..).zip(results).map(|(number, result)| (number, *result));
    let mut history: Vec<(i64, UpgradeResult)> = numbers.collect();
    history.reverse();
    // Each upgrade that stopped a job did so with a savepoint.
    let whole = results.iter().skip(1).filter(|result| matches!(result, Succeeded | RolledBack)).count();
    let end = End { runs: Some(runs), over: None, ready: Some((true, "Running")), history, whole, claimed: 0, maps: 0 };
    Scenario { begin: |w| async move { w.apply("v1", json!({})).await }.boxed(), acts, end, attempts: None }
}

/// An upgrade fails: the first revision runs on, or again.
pub fn fails(begin: Act, act: Act, result: UpgradeResult, reason: &'static str) -> Scenario {
    let mut it = job(vec![(RUNS, act)], "v1", &[Succeeded, result]);
    it.begin = begin;
    it.end.ready = Some((false, reason));
    it
}

pub fn to_v2(world: World) -> BoxFuture<'static, ()> {
    async move { world.image("v2").await }.boxed()
}

/// Nobody does anything: it is only waited for something.
pub fn nothing(_: World) -> BoxFuture<'static, ()> {
    async {}.boxed()
}

fn to_v3(world: World) -> BoxFuture<'static, ()> {
    async move { world.image("v3").await }.boxed()
}

pub fn delete(world: World) -> BoxFuture<'static, ()> {
    async move { world.delete().await }.boxed()
}

/// Longer than the operator is ever away: past it a job is cancelled without a savepoint.
pub const TIMEOUT: &str = "30m";

/// An upgrade that does not come on is given up soon.
fn impatient(world: World) -> BoxFuture<'static, ()> {
    async move { world.apply("v1", json!({"upgrade": {"progressDeadline": "2s"}})).await }.boxed()
}

pub fn a_first_start() -> Scenario {
    job(Vec::new(), "v1", &[Succeeded])
}

pub fn an_upgrade() -> Scenario {
    job(vec![(RUNS, to_v2)], "v2", &[Succeeded, Succeeded])
}

/// The new job restarts for ever.
pub fn crash_loop() -> Scenario {
    fails(impatient, |w| async move { w.image("crashes").await }.boxed(), RolledBack, "JobFailed")
}

/// The new job fails for good.
pub fn fails_for_good() -> Scenario {
    fails(impatient, |w| async move { w.image("fails").await }.boxed(), RolledBack, "JobFailed")
}

/// The new job runs, and no checkpoint of it is ever complete.
pub fn no_checkpoint() -> Scenario {
    fails(impatient, |w| async move { w.image("no-checkpoint").await }.boxed(), RolledBack, "ProgressDeadlineExceeded")
}

/// `kill -9` of the new revision's JobManager before it is stable: its tasks go on, so their pods go first, and the job
/// is submitted again.
pub fn job_manager_killed() -> Scenario {
    let kill: Act = |w| async move { w.workload.kill_container("orders-2-jobmanager-0") }.boxed();
    let mut it = fails(
        impatient,
        |w| async move { w.image("no-checkpoint").await }.boxed(),
        RolledBack,
        "ProgressDeadlineExceeded",
    );
    it.acts.push((When::Step(UpgradeStep::Stabilizing), kill));
    it
}

/// `kill -9` of the JobManager of a job at rest: it comes back from its newest checkpoint.
pub fn lost_and_recovered() -> Scenario {
    let kill: Act = |w| async move { w.workload.kill_container("orders-1-jobmanager-0") }.boxed();
    let mut it = job(vec![(RUNS, kill)], "v1", &[Succeeded]);
    it.end.history.insert(0, (1, Recovered));
    it
}

/// The JobManager's pod is deleted.
pub fn evicted_and_recovered() -> Scenario {
    let evict: Act = |w| async move { w.delete_pod("orders-1-jobmanager-0").await }.boxed();
    let mut it = job(vec![(RUNS, evict)], "v1", &[Succeeded]);
    it.end.history.insert(0, (1, Recovered));
    it
}

/// It is lost, and changed at once: the new revision takes its checkpoint.
pub fn lost_and_changed() -> Scenario {
    let both: Act = |w| {
        async move {
            w.workload.kill_container("orders-1-jobmanager-0");
            w.image("v2").await;
        }
        .boxed()
    };
    let mut it = job(vec![(RUNS, both)], "v2", &[Succeeded, Succeeded]);
    it.end.whole = 0;
    it
}

/// Only the last of five changes counts.
pub fn changed_five_times() -> Scenario {
    let five: Act = |w| {
        async move {
            for tag in ["throws", "fails", "crashes", "v2", "v3"] {
                w.image(tag).await;
            }
        }
        .boxed()
    };
    let acts = vec![(RUNS, to_v2 as Act), (When::Step(UpgradeStep::Restoring), five)];
    job(acts, "v3", &[Succeeded, Succeeded, Succeeded])
}

/// An image that can't be pulled; then one that can.
pub fn a_bad_image_and_a_fix() -> Scenario {
    let bad: Act = |w| async move { w.image("does-not-exist").await }.boxed();
    let mut it = job(vec![(RUNS, bad), (When::Rest, to_v3)], "v3", &[Succeeded, Failed, Succeeded]);
    it.begin = impatient;
    it
}

/// The old job runs on while the spec changes again.
pub fn changed_before_the_stop() -> Scenario {
    let acts = vec![(RUNS, to_v2 as Act), (When::Step(UpgradeStep::WarmingUp), to_v3)];
    job(acts, "v3", &[Succeeded, Superseded, Succeeded])
}

/// What was stopped for a revision becomes that revision first.
pub fn changed_after_the_stop() -> Scenario {
    let acts = vec![(RUNS, to_v2 as Act), (When::Step(UpgradeStep::Submitting), to_v3)];
    job(acts, "v3", &[Succeeded, Succeeded, Succeeded])
}

/// A change waits for a user's savepoint.
pub fn a_savepoint_first() -> Scenario {
    let act: Act = |w| {
        async move {
            w.savepoint("daily").await;
            w.image("v2").await;
        }
        .boxed()
    };
    let mut it = job(vec![(RUNS, act)], "v2", &[Succeeded, Succeeded]);
    it.end.whole = 2;
    it
}

/// A TaskManager is lost in the middle of a user's savepoint: the job restarts, and another attempt is made.
pub fn a_savepoint_of_two_attempts() -> Scenario {
    let act: Act = |w| async move { w.savepoint("daily").await }.boxed();
    // Its state is written, and its `_metadata` is not.
    let taken = When::Is(|w| !w.files("sp").is_empty());
    let lose: Act = |w| async move { w.delete_task_manager().await }.boxed();
    let mut it = job(vec![(RUNS, act), (taken, lose)], "slow", &[Succeeded]);
    it.begin = |w| async move { w.apply("slow", json!({})).await }.boxed();
    it.end.whole = 1;
    it.attempts = Some(("daily", 2));
    it
}

/// It is deleted, and nothing is left but its savepoints.
pub fn gone(acts: Vec<(When, Act)>, results: &[UpgradeResult], whole: usize) -> Scenario {
    let mut it = job(acts, "", results);
    it.begin = |w| async move { w.apply("v1", json!({"deletion": {"timeout": TIMEOUT}})).await }.boxed();
    it.end = End { runs: None, ready: None, whole, ..it.end };
    it
}

pub fn deleted_with_a_savepoint() -> Scenario {
    gone(vec![(RUNS, delete)], &[Succeeded], 1)
}

pub fn deleted_with_a_cancel() -> Scenario {
    let mut it = gone(vec![(RUNS, delete)], &[Succeeded], 0);
    it.begin = |w| async move { w.apply("v1", json!({"deletion": {"job": "Cancel"}})).await }.boxed();
    it
}

/// It is deleted as its upgrade begins: the old job is saved.
pub fn deleted_before_the_stop() -> Scenario {
    gone(vec![(RUNS, to_v2), (When::Step(UpgradeStep::WarmingUp), delete)], &[Succeeded], 1)
}

/// It is deleted once the old job is stopped: the upgrade is carried through, and the new job saved.
pub fn deleted_after_the_stop() -> Scenario {
    let acts = vec![(RUNS, to_v2 as Act), (When::Step(UpgradeStep::Submitting), delete)];
    gone(acts, &[Succeeded, Succeeded], 2)
}
