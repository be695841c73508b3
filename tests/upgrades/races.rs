//! A job starts from the snapshot of a FlinkSavepoint that is deleted with its files: whoever comes first wins, and the other
//! one sees it. A job that has claimed the snapshot starts, and the files go once it has a checkpoint of its own; one that
//! comes too late is refused. Never is a job started from what is not there, and never does a deletion wait for ever.
//!
//! Or two jobs start from it, and one claims it: never do both.
//!
//! What is deleted is the last savepoint of a FlinkJobUpgrade that is gone, so that nobody else needs it; what starts is
//! another one, whose `job.restoreFrom` finds it in each way that there is.

use std::time::Duration;

use flink_savepoint_operator::api::UpgradeResult::{Failed, Succeeded};
use flink_savepoint_operator::api::condition::{self, types};
use flink_savepoint_operator::api::{
    API_VERSION, DeletionPolicy, FlinkJobUpgrade, FlinkSavepoint, JobPhase, UpgradeStep,
};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use kube::ResourceExt as _;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::common::faults::{faults_at, run};
use crate::scenarios::{TIMEOUT, job, nothing};
use crate::sweep::{self, Act, Disturbance, End, Scenario, Told, When, compare, tell};
use crate::world::{UPGRADES, World};

/// The job that the savepoint is of.
const FORMER: &str = "former";

/// Another one that starts from it.
const RIVAL: &str = "rival";

/// That job runs.
const RAN: When = When::Is(|w| {
    let former = w.object::<FlinkJobUpgrade>(UPGRADES, FORMER).and_then(|job| job.status);
    former.is_some_and(|status| condition::is_true(&status.conditions, types::READY))
});
/// It is gone, and its last savepoint is there.
const GONE: When = When::Is(|w| w.names(UPGRADES).is_empty() && !w.savepoints().is_empty());
/// Nobody needs the savepoint, and its files are to go with it.
const DELETABLE: When = When::Is(|w| {
    let goes = |s: &FlinkSavepoint| s.spec.deletion_policy() == DeletionPolicy::Delete && !s.finalizers().is_empty();
    let status = |s: FlinkSavepoint| s.status.unwrap_or_default();
    w.savepoints().into_iter().filter(goes).any(|s| condition::is_true(&status(s).conditions, types::DELETABLE))
});
/// The other one has said that it is about to start from the savepoint.
const CLAIMED: When = When::Is(is_claimed);
/// The other one is about to be submitted.
const SUBMITS: When = When::Step(UpgradeStep::Submitting);
/// Its tasks run.
const STABILIZES: When = When::Step(UpgradeStep::Stabilizing);
/// The deletion waits, and says for whom.
const WAITS: When = When::Is(|w| {
    let told = w.savepoints().into_iter().find_map(|s| s.status?.message).unwrap_or_default();
    told.starts_with("deletion waits for") && told.contains("FlinkJobUpgrade orders:")
});
/// Its files go.
const BEGUN: When = When::Is(begun);
/// It is gone.
const DELETED: When = When::Is(|w| w.savepoints().is_empty());

/// A call that somebody else keeps waiting waits for less than the operator's patience.
const LONGEST: Duration = Duration::from_secs(5);
/// Where not all faults strike, so many strike a scenario.
const SOME: usize = 8;
/// Where not all calls are struck, a call is that is made for so many times.
const OFTEN: usize = 2;

/// The files of the savepoint go.
fn begun(world: &World) -> bool {
    let mut all = world.savepoints().into_iter().filter_map(|s| s.status?.disposal);
    all.any(|disposal| disposal.begun)
}

/// The name and the place of the savepoint, which may be gone.
fn savepoint(world: &World) -> (String, String) {
    let all = world.truth.snapshots().recorded();
    let (place, name) = all.into_iter().next().unwrap();
    (name, place)
}

/// Somebody applies a job that starts from it.
fn fork(world: World, from: fn(&World) -> Value) -> BoxFuture<'static, ()> {
    let mut wish = from(&world);
    wish["id"] = "fork".into();
    async move { world.apply("v1", json!({"job": {"restoreFrom": wish}})).await }.boxed()
}

fn by_path(world: World) -> BoxFuture<'static, ()> {
    fork(world, |w| json!({"path": savepoint(w).1}))
}

fn by_name(world: World) -> BoxFuture<'static, ()> {
    fork(world, |w| json!({"savepointRef": {"name": savepoint(w).0}}))
}

fn by_job(world: World) -> BoxFuture<'static, ()> {
    fork(world, |_| json!({"fromJob": {"name": FORMER, "snapshot": "Latest"}}))
}

/// A way to name the snapshot.
#[derive(Clone, Copy)]
struct Way {
    /// What somebody applies.
    fork: Act,
    /// The same, and the start comes as far as its submit, if it may, while the caller waits.
    fork_and_wait: Act,
    /// The reason of the refusal where the snapshot is gone.
    refused: &'static str,
}

const BY_PATH: Way =
    Way { fork: by_path, fork_and_wait: |w| until(w, by_path, is_submitted), refused: "SnapshotNotFound" };
const BY_NAME: Way =
    Way { fork: by_name, fork_and_wait: |w| until(w, by_name, is_submitted), refused: "SnapshotNotFound" };
const BY_JOB: Way = Way { fork: by_job, fork_and_wait: |w| until(w, by_job, is_submitted), refused: "JobNotFound" };

fn is_claimed(world: &World) -> bool {
    world.status().upgrade.is_some_and(|upgrade| upgrade.snapshot.is_some())
}

fn is_submitted(world: &World) -> bool {
    !world.truth.submits().is_empty()
}

/// Somebody does something, and waits for what follows, but not for long.
fn until(world: World, act: Act, follows: fn(&World) -> bool) -> BoxFuture<'static, ()> {
    async move {
        act(world.clone()).await;
        let since = Instant::now();
        while !follows(&world) && since.elapsed() < LONGEST {
            sleep(Duration::from_millis(100)).await;
        }
    }
    .boxed()
}

fn delete_savepoint(world: World) -> BoxFuture<'static, ()> {
    async move { world.delete_savepoint(&savepoint(&world).0).await }.boxed()
}

/// The same, and the deletion comes as far as it can while the caller waits.
fn delete_savepoint_and_wait(world: World) -> BoxFuture<'static, ()> {
    until(world, delete_savepoint, |w| w.savepoints().is_empty())
}

/// The same, until nothing can keep the files any more.
fn delete_savepoint_and_begin(world: World) -> BoxFuture<'static, ()> {
    until(world, delete_savepoint, begun)
}

/// Somebody waits until the job is submitted, if it may be.
fn submitted(world: World) -> BoxFuture<'static, ()> {
    until(world, nothing, is_submitted)
}

/// The acts that go before a race.
const BEFORE: [(When, Act); 2] = [(RAN, end_former), (GONE, with_files)];

fn end_former(world: World) -> BoxFuture<'static, ()> {
    async move { world.remove(API_VERSION, "FlinkJobUpgrade", FORMER).await }.boxed()
}

fn with_files(world: World) -> BoxFuture<'static, ()> {
    let patch = json!({"spec": {"deletionPolicy": "Delete"}});
    async move { world.edit(API_VERSION, "FlinkSavepoint", &savepoint(&world).0, patch).await }.boxed()
}

/// A race that the job wins.
fn starts(acts: Vec<(When, Act)>) -> Scenario {
    let mut it = job([BEFORE.to_vec(), acts].concat(), "v1", &[Succeeded]);
    it.begin = |w| async move { w.apply_as(FORMER, "v1", json!({"deletion": {"timeout": TIMEOUT}})).await }.boxed();
    it
}

/// The job is not started at all.
fn refused(reason: &'static str) -> End {
    End { runs: None, ready: Some((false, reason)), history: Vec::new(), ..starts(Vec::new()).end }
}

/// The job has begun to start when the deletion comes.
fn claimed(way: Way, when: When) -> Scenario {
    starts(vec![(DELETABLE, way.fork), (when, delete_savepoint)])
}

/// The files have begun to go when the job comes.
fn too_late(way: Way) -> Scenario {
    let it = starts(vec![(DELETABLE, delete_savepoint), (BEGUN, way.fork)]);
    Scenario { end: refused(way.refused), ..it }
}

/// The job has started from the savepoint, or was refused: nothing is between these, and the savepoint is gone.
fn either(told: &Told) -> Result<(), String> {
    let world = &told.world;
    world.truth.broken().into_iter().next().map_or(Ok(()), Err)?;
    let (name, place) = savepoint(world);
    if !world.savepoints().is_empty() || !world.truth.snapshots().is_empty(&place) {
        return Err(format!("{name} is not gone: {:#?}, {:?}", world.savepoints(), world.files("sp")));
    }
    let status = world.status();
    let starts = starts(Vec::new()).end;
    if status.active.is_some() {
        return compare(&starts, world);
    }
    let ready = condition::find(&status.conditions, types::READY).cloned();
    let Some(ready) = ready else { return Err(format!("nothing is said: {status:#?}")) };
    let cures = ["name another", "correct the name"];
    if !cures.iter().any(|cure| ready.message.contains(cure)) {
        return Err(format!("{}: {:?} names no cure", ready.reason, ready.message));
    }
    let failed: Vec<_> = status.history.iter().map(|entry| (entry.to, Failed)).collect();
    let reasons = ["SnapshotNotFound", "JobNotFound", "SubmitFailed"];
    let Some(reason) = reasons.into_iter().find(|reason| *reason == ready.reason) else {
        return Err(format!("refused for another reason: {ready:?}"));
    };
    let over = (!failed.is_empty()).then_some(JobPhase::Failed);
    compare(&End { history: failed, over, ..refused(reason) }, world)
}

/// Another job starts from the savepoint, and leaves it to its owner.
fn rival(world: World) -> BoxFuture<'static, ()> {
    let wish = json!({"path": savepoint(&world).1, "id": "rival"});
    async move { world.apply_as(RIVAL, "v1", json!({"job": {"restoreFrom": wish}})).await }.boxed()
}

/// What one claims the other one does not start from, unless it needs it no more; and who has not started says why.
fn never_both(told: &Told) -> Result<(), String> {
    let world = &told.world;
    world.truth.snapshots().shared().into_iter().next().map_or(Ok(()), Err)?;
    let rival = world.object::<FlinkJobUpgrade>(UPGRADES, RIVAL).and_then(|job| job.status).unwrap_or_default();
    for status in [world.status(), rival].iter().filter(|status| status.active.is_none()) {
        let told = condition::find(&status.conditions, types::READY).map(|ready| ready.message.clone());
        let told = told.unwrap_or_default();
        if !told.contains("which a FlinkSavepoint with copyOf makes") {
            return Err(format!("it does not say what helps: {told}"));
        }
    }
    Ok(())
}

/// What is told again and again with something else in its way; all that is broken is told.
fn told<'a>(name: &str, all: impl Iterator<Item = (String, Result<(), String>)> + 'a) {
    let began = std::time::Instant::now();
    let (mut count, mut broken) = (0, Vec::new());
    for (what, outcome) in all {
        count += 1;
        broken.extend(outcome.err().map(|e| format!("{name}: {what}: {e}")));
    }
    println!("{name}: told {count} times in {:?}, {} broken", began.elapsed(), broken.len());
    assert!(broken.is_empty(), "{} broken, the first: {}", broken.len(), broken[0]);
    assert!(count >= SOME, "a race without calls: {count}");
}

/// Tells a race in which somebody does something right before each call from the race's beginning to its end, which is the
/// scenario's last act.
fn at_every_call(name: &str, scenario: &Scenario, act: Act) {
    before_every_call(name, scenario, act, None, either);
}

/// What must be true in the end.
type Judge = fn(&Told) -> Result<(), String>;

/// The same, and the first call of a name waits for something.
fn before_every_call(name: &str, scenario: &Scenario, act: Act, before: Option<(&'static str, Act)>, judge: Judge) {
    let undisturbed = run(tell(scenario, Disturbance::default())).unwrap_or_else(|e| panic!("{e}"));
    let [_, _, begin, end] = undisturbed.acts_at[..] else { panic!("{:?}", undisturbed.acts_at) };
    let mut disturbed = scenario.clone();
    disturbed.acts.pop();
    let race = &undisturbed.calls[begin..end];
    // What is asked again and again is the same pass again.
    let is_new = |at: &usize| race[..at - begin].iter().filter(|call| **call == undisturbed.calls[*at]).count() < OFTEN;
    told(
        name,
        (begin..end).filter(|at| sweep::all_strike() || is_new(at)).map(|at| {
            let outcome = run(async {
                let meanwhile = Some((at - begin, act));
                let from = Some(BEFORE.len());
                let told = tell(&disturbed, Disturbance { meanwhile, before, from, ..Disturbance::default() }).await?;
                // What is read on another thread may be there sooner, and the last calls are not made then.
                let made = told.calls.len() - told.acts_at[BEFORE.len()];
                if made > at - begin { judge(&told) } else { Ok(()) }
            });
            (format!("before call {at}, {}", undisturbed.calls[at]), outcome)
        }),
    );
}

/// Tells a race with every fault at every call from its beginning on, or at a spread of these.
fn with_faults(name: &str, scenario: &Scenario) {
    let undisturbed = run(tell(scenario, Disturbance::default())).unwrap_or_else(|e| panic!("{e}"));
    let calls = undisturbed.calls.iter().skip(undisturbed.acts_at[BEFORE.len()]).enumerate();
    let all: Vec<_> = calls
        .flat_map(|(at, call)| faults_at(at, call).into_iter().map(move |(f, down)| (at, call, f, down)))
        .collect();
    let step = if sweep::all_strike() { 1 } else { all.len().div_ceil(SOME) };
    println!("{name}: {} faults", all.len());
    told(
        name,
        all.into_iter().step_by(step).map(|(at, call, fault, down)| {
            let outcome = run(async {
                let from = Some(BEFORE.len());
                let told = tell(scenario, Disturbance { from, ..Disturbance::fault(at, fault, down) }).await?;
                compare(&scenario.end, &told.world)
            });
            (format!("{fault:?} at call {at}, {call}, down for {down} s"), outcome)
        }),
    );
}

/// A race for each way to name the snapshot.
macro_rules! each_way {
    ($($race:ident: $tell:expr;)+) => {
        $(mod $race {
            use super::*;

            #[test]
            fn by_path() {
                $tell(stringify!($race), super::BY_PATH);
            }

            #[test]
            fn by_name() {
                $tell(stringify!($race), super::BY_NAME);
            }

            #[test]
            fn by_job() {
                $tell(stringify!($race), super::BY_JOB);
            }
        })+
    };
}

/// A job claims the savepoint.
fn claim(world: World) -> BoxFuture<'static, ()> {
    let wish = json!({"path": savepoint(&world).1, "id": "fork"});
    let claims = json!({"job": {"restoreFrom": wish, "restoreMode": "CLAIM"}});
    async move { world.apply("v1", claims).await }.boxed()
}

mod two_of_which_one_claims {
    use super::*;

    #[test]
    fn the_second_at_every_call_of_the_first() {
        let scenario = starts(vec![(DELETABLE, claim), (STABILIZES, nothing)]);
        before_every_call("claimed, and started from", &scenario, rival, None, never_both);
    }
}

/// Undisturbed and with caches that are late.
fn undisturbed(scenario: &Scenario) {
    sweep::check(scenario);
    sweep::late(scenario);
}

each_way! {
    claimed_first: |_, way| {
        let mut it = claimed(way, CLAIMED);
        sweep::late(&it);
        it.acts.extend([(WAITS, nothing as Act), (DELETED, nothing)]);
        sweep::check(&it);
    };
    submitted_first: |_, way| undisturbed(&claimed(way, SUBMITS));
    deleted_first: |_, way| undisturbed(&too_late(way));
    claimed_first_with_faults: |name, way| with_faults(name, &claimed(way, CLAIMED));
    submitted_first_with_faults: |name, way| with_faults(name, &claimed(way, SUBMITS));
    deleted_first_with_faults: |name, way| with_faults(name, &too_late(way));
    deleted_at_every_call: |name, way: Way| {
        at_every_call(name, &starts(vec![(DELETABLE, way.fork), (STABILIZES, nothing)]), delete_savepoint);
    };
    deleted_while_a_call_waits: |name, way: Way| {
        at_every_call(name, &starts(vec![(DELETABLE, way.fork), (STABILIZES, nothing)]), delete_savepoint_and_wait);
    };
    deleted_slowly_while_a_call_waits: |name, way: Way| {
        let scenario = starts(vec![(DELETABLE, way.fork), (STABILIZES, nothing)]);
        let slow = Some(("store DELETE _metadata", submitted as Act));
        before_every_call(name, &scenario, delete_savepoint_and_begin, slow, either);
    };
    forked_at_every_call: |name, way: Way| {
        at_every_call(name, &starts(vec![(DELETABLE, delete_savepoint as Act), (DELETED, nothing)]), way.fork);
    };
    forked_while_a_call_waits: |name, way: Way| {
        at_every_call(name, &starts(vec![(DELETABLE, delete_savepoint as Act), (DELETED, nothing)]), way.fork_and_wait);
    };
}
