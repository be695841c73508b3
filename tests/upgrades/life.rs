//! A job that is suspended and started again, and the end of its resource in each way that there is.

use std::time::Duration;

use flink_savepoint_operator::api::UpgradeResult::{self, Failed, Succeeded, Superseded, Suspended};
use flink_savepoint_operator::api::{JobPhase, UpgradeStep};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use kube::api::DeleteParams;
use serde_json::json;

use crate::scenarios::{RUNS, TIMEOUT, delete, gone, job, to_v2};
use crate::sweep::{Act, Scenario, When};
use crate::world::World;

/// It is suspended, and nothing of it is left but its record and its state.
const RESTS: When = When::Is(|world| world.status().phase == Some(JobPhase::Suspended));
/// Its savepoint is asked for.
const STOPS: When =
    When::Is(|w| w.savepoints().iter().any(|s| s.status.as_ref().is_some_and(|s| !s.attempts.is_empty())));

fn suspend(world: World) -> BoxFuture<'static, ()> {
    async move { world.change(json!({"job": {"state": "suspended"}})).await }.boxed()
}

fn resume(world: World) -> BoxFuture<'static, ()> {
    async move { world.change(json!({"job": {"state": "running"}})).await }.boxed()
}

/// It runs in the end; `history` is told from its beginning.
fn told(acts: Vec<(When, Act)>, runs: &'static str, history: &[(i64, UpgradeResult)], whole: usize) -> Scenario {
    let mut it = job(acts, runs, &[]);
    it.end.history = history.iter().rev().copied().collect();
    it.end.whole = whole;
    it
}

/// It rests in the end.
fn rests(acts: Vec<(When, Act)>, history: &[(i64, UpgradeResult)], whole: usize) -> Scenario {
    let mut it = told(acts, "", history, whole);
    it.end.runs = None;
    it.end.ready = Some((true, "Suspended"));
    it
}

/// It is gone in the end.
fn ends(acts: Vec<(When, Act)>, history: &[(i64, UpgradeResult)], whole: usize) -> Scenario {
    let mut it = gone(acts, &[], whole);
    it.end.history = history.iter().rev().copied().collect();
    it
}

const BEFORE: [(i64, UpgradeResult); 2] = [(1, Succeeded), (1, Suspended)];
const AFTER: [(i64, UpgradeResult); 3] = [(1, Succeeded), (1, Suspended), (2, Succeeded)];

pub fn resumed() -> Scenario {
    told(vec![(RUNS, suspend as Act), (RESTS, resume)], "v1", &AFTER, 1)
}

/// It is changed while nothing runs.
pub fn resumed_with_another_spec() -> Scenario {
    told(vec![(RUNS, suspend as Act), (RESTS, to_v2), (When::Rest, resume)], "v2", &AFTER, 1)
}

/// The newest that there is is its own.
pub fn resumed_from_the_latest() -> Scenario {
    let latest: Act = |w| {
        let wish = json!({"id": "again", "latest": true});
        async move { w.change(json!({"job": {"state": "running", "restoreFrom": wish}})).await }.boxed()
    };
    told(vec![(RUNS, suspend as Act), (RESTS, latest)], "v1", &AFTER, 1)
}

/// Somebody names what it goes on from, which here is what it left.
pub fn resumed_from_a_path() -> Scenario {
    let named: Act = |w| {
        let wish = json!({"id": "again", "path": w.status().suspension.unwrap().snapshot});
        async move { w.change(json!({"job": {"state": "running", "restoreFrom": wish}})).await }.boxed()
    };
    told(vec![(RUNS, suspend as Act), (RESTS, named)], "v1", &AFTER, 1)
}

/// It can't take the state; corrected, the job goes on from there.
pub fn refused_and_fixed() -> Scenario {
    let drops: Act = |w| {
        async move {
            w.image("drops-operator").await;
            resume(w).await;
        }
        .boxed()
    };
    let refused = When::Is(|world| world.is_not_ready("PreflightFailed"));
    let history = [(1, Succeeded), (1, Suspended), (2, Failed), (3, Succeeded)];
    told(vec![(RUNS, suspend as Act), (RESTS, drops), (refused, to_v2)], "v2", &history, 1)
}

/// The old job runs on while the upgrade is given up, and is suspended then.
pub fn suspended_before_the_stop() -> Scenario {
    let history = [(1, Succeeded), (2, Superseded), (1, Suspended)];
    rests(vec![(RUNS, to_v2 as Act), (When::Step(UpgradeStep::WarmingUp), suspend)], &history, 1)
}

/// What was stopped for a revision becomes that revision first.
pub fn suspended_after_the_stop() -> Scenario {
    let history = [(1, Succeeded), (2, Succeeded), (2, Suspended)];
    rests(vec![(RUNS, to_v2 as Act), (When::Step(UpgradeStep::Submitting), suspend)], &history, 2)
}

/// Only the last of many wishes counts.
pub fn suspended_five_times() -> Scenario {
    let flips: Act = |w| {
        async move {
            for _ in 0..5 {
                suspend(w.clone()).await;
                resume(w.clone()).await;
            }
            suspend(w).await;
        }
        .boxed()
    };
    let history = [(1, Succeeded), (2, Succeeded), (2, Suspended)];
    rests(vec![(RUNS, to_v2 as Act), (When::Step(UpgradeStep::Restoring), flips)], &history, 2)
}

/// Its JobManager is killed as it is suspended: what it left is its newest checkpoint.
pub fn suspended_as_it_is_lost() -> Scenario {
    let both: Act = |w| {
        async move {
            w.workload.kill_container("orders-1-jobmanager-0");
            suspend(w).await;
        }
        .boxed()
    };
    told(vec![(RUNS, both as Act), (RESTS, resume)], "v1", &AFTER, 0)
}

/// Of a job that is suspended no savepoint is taken: it says so.
pub fn suspended_and_saved() -> Scenario {
    let save: Act = |w| async move { w.savepoint("daily").await }.boxed();
    rests(vec![(RUNS, suspend as Act), (RESTS, save)], &BEFORE, 1)
}

pub fn suspended_and_highly_available() -> Scenario {
    let mut it = told(vec![(RUNS, suspend as Act), (RESTS, resume)], "v1", &AFTER, 1);
    it.begin = crate::high_availability::apply;
    it.end.maps = 2;
    it
}

/// It is applied as one that shall not run.
pub fn never_started() -> Scenario {
    let mut it = rests(Vec::new(), &[], 0);
    it.begin = |w| async move { w.apply("v1", json!({"job": {"state": "suspended"}})).await }.boxed();
    it
}

/// There is nothing to stop; its savepoint stays.
pub fn deleted_while_suspended() -> Scenario {
    ends(vec![(RUNS, suspend as Act), (RESTS, delete)], &BEFORE, 1)
}

/// The suspension's savepoint is the last one.
pub fn deleted_in_the_suspension() -> Scenario {
    ends(vec![(RUNS, suspend as Act), (STOPS, delete)], &BEFORE, 1)
}

/// The job that goes on from there is saved in turn.
pub fn deleted_in_the_resume() -> Scenario {
    let submits = When::Step(UpgradeStep::Submitting);
    ends(vec![(RUNS, suspend as Act), (RESTS, resume), (submits, delete)], &AFTER, 2)
}

pub fn deleted_with_a_drain() -> Scenario {
    let drain: Act = |w| {
        async move {
            w.change(json!({"deletion": {"job": "Drain"}})).await;
            w.delete().await;
        }
        .boxed()
    };
    ends(vec![(RUNS, drain)], &[(1, Succeeded)], 1)
}

/// Nothing depends on owner references: pods go when the finalizer says so.
fn deleted_by(act: Act) -> Scenario {
    ends(vec![(RUNS, act)], &[(1, Succeeded)], 1)
}

pub fn deleted_in_the_foreground() -> Scenario {
    deleted_by(|w| async move { w.delete_by(DeleteParams::foreground()).await }.boxed())
}

pub fn deleted_orphaning() -> Scenario {
    deleted_by(|w| async move { w.delete_by(DeleteParams::orphan()).await }.boxed())
}

/// The operator hears of the deletion when `deletion.timeout` is over: its time begins then.
pub fn away_for_longer_than_the_timeout() -> Scenario {
    let later: Act = |w| {
        async move {
            w.delete().await;
            tokio::time::advance(Duration::from_secs(3600)).await;
        }
        .boxed()
    };
    ends(vec![(RUNS, to_v2 as Act), (When::Step(UpgradeStep::Submitting), later)], &[(1, Succeeded), (2, Succeeded)], 2)
}

const GONE: When = When::Is(|w| w.upgrade().is_none());
const STATE_EXISTS: When = When::Is(|world| world.is_not_ready("StateExists"));

fn apply(world: World) -> BoxFuture<'static, ()> {
    async move { world.apply("v1", json!({"deletion": {"timeout": TIMEOUT}})).await }.boxed()
}

fn from_the_latest(world: World) -> BoxFuture<'static, ()> {
    async move { world.change(json!({"job": {"restoreFrom": {"id": "again", "latest": true}}})).await }.boxed()
}

/// It goes on from the savepoint of its suspension, once somebody says so.
pub fn deleted_while_suspended_and_made_again() -> Scenario {
    let acts = vec![(RUNS, suspend as Act), (RESTS, delete), (GONE, apply), (STATE_EXISTS, from_the_latest)];
    told(acts, "v1", &[(1, Succeeded)], 1)
}

/// Its last checkpoint is newer than the savepoint of its upgrade.
pub fn upgraded_and_cancelled_and_made_again() -> Scenario {
    let cancel: Act = |w| {
        async move {
            w.change(json!({"deletion": {"job": "Cancel"}})).await;
            w.delete().await;
        }
        .boxed()
    };
    let acts = vec![(RUNS, to_v2 as Act), (When::Rest, cancel), (GONE, apply), (STATE_EXISTS, from_the_latest)];
    told(acts, "v1", &[(1, Succeeded)], 1)
}
