//! What goes wrong around a job, or is done to it by hand: a node that is silent, a JobManager that nobody reaches or that
//! stands still, a job that ends in Flink, a resource that is deleted and made again.

use std::time::Duration;

use flink_savepoint_operator::api::JobPhase;
use flink_savepoint_operator::api::UpgradeResult::{Succeeded, Superseded};
use flink_savepoint_operator::api::UpgradeStep;
use flink_savepoint_operator::api::annotations::FENCED;
use flink_savepoint_operator::api::condition::{self, types};
use futures::FutureExt as _;
use serde_json::{Value, json};

use crate::scenarios::{RUNS, TIMEOUT, delete, job, nothing, to_v2};
use crate::sweep::{Act, Scenario, When};
use crate::world::World;

/// Where the job runs first.
const JOB_MANAGER: &str = "orders-1-jobmanager-0";

/// A silent JobManager is waited for, but not for ten minutes.
fn soon() -> Value {
    json!({"upgrade": {"savepoint": {"timeout": "1m"}}})
}

/// The first revision's JobManager and TaskManagers are on a node of which nothing is heard, and the spec changes.
fn silent_and_changed(then: Vec<(When, Act)>) -> Scenario {
    let silent: Act = |w| {
        async move {
            w.workload.silence_node();
            w.workload.cut_off(JOB_MANAGER, true);
            w.image("v2").await;
        }
        .boxed()
    };
    let mut it = job([vec![(RUNS, silent)], then].concat(), "v2", &[Succeeded, Succeeded]);
    it.begin = |w| async move { w.apply("v1", soon()).await }.boxed();
    it.end.whole = 0;
    it
}

/// What is said while there is no room for a new pod.
fn says_quota(w: &World, by: &str) -> bool {
    let status = w.status();
    let message = condition::find(&status.conditions, types::READY).map(|c| c.message.as_str());
    message.is_some_and(|message| message.contains(by) && message.contains("exceeded quota: compute"))
}

/// A quota has no room for the new revision's pods, at first not even for its JobManager: said, and it goes on by itself
/// once there is.
pub fn a_quota() -> Scenario {
    let change: Act = |w| {
        async move {
            w.workload.refuse_pods_of(&["statefulsets.apps", "deployments.apps"]);
            // Longer than the operator is ever away.
            w.change(json!({"upgrade": {"progressDeadline": TIMEOUT}})).await;
            w.image("v2").await;
        }
        .boxed()
    };
    let of_job_manager = When::Is(|w| says_quota(w, "StatefulSet orders-2-jobmanager: FailedCreate: "));
    let room_for_one: Act = |w| async move { w.workload.refuse_pods_of(&["deployments.apps"]) }.boxed();
    let of_task_managers = When::Is(|w| says_quota(w, "Deployment orders-2-taskmanager: FailedCreate: "));
    let room: Act = |w| async move { w.workload.refuse_pods_of(&[]) }.boxed();
    let acts = vec![(RUNS, change), (of_job_manager, room_for_one), (of_task_managers, room)];
    job(acts, "v2", &[Succeeded, Succeeded])
}

/// It can't be fenced.
const NOT_FENCED: When = When::Is(|world| world.is_not_ready("PreviousJobNotFenced"));

/// Its tasks run on, and nothing is started beside them; the node comes back, and it goes on.
pub fn a_silent_node() -> Scenario {
    let back: Act = |w| async move { w.workload.node_is_back() }.boxed();
    silent_and_changed(vec![(NOT_FENCED, back)])
}

/// Somebody cuts the power of the node that is silent, and says so.
fn cut_the_power(world: World) -> futures::future::BoxFuture<'static, ()> {
    async move {
        world.workload.silent_node_loses_power();
        world.annotate(FENCED, &world.active_job()).await;
    }
    .boxed()
}

/// The upgrade goes on at once, and the pods are cleared away when the node is there again.
pub fn a_silent_node_without_power() -> Scenario {
    let back: Act = |w| async move { w.workload.node_is_back() }.boxed();
    silent_and_changed(vec![(NOT_FENCED, cut_the_power), (When::Rest, back)])
}

/// The same of a job that was lost: it goes on with another set of objects.
pub fn a_silent_node_without_power_in_a_recovery() -> Scenario {
    let kill: Act = |w| async move { w.workload.kill_container(JOB_MANAGER) }.boxed();
    let silent: Act = |w| async move { w.workload.silence_node() }.boxed();
    let back: Act = |w| async move { w.workload.node_is_back() }.boxed();
    let acts = vec![
        (RUNS, kill),
        (When::Step(UpgradeStep::Fencing), silent),
        (NOT_FENCED, cut_the_power as Act),
        (When::Rest, back),
    ];
    let mut it = job(acts, "v1", &[Succeeded]);
    it.end.history = vec![(2, Succeeded), (1, Superseded), (1, Succeeded)];
    it
}

/// Nobody reaches the JobManager, which runs on with its TaskManagers until their pods are gone.
pub fn cut_off_and_changed() -> Scenario {
    let cut: Act = |w| {
        async move {
            w.workload.cut_off(JOB_MANAGER, true);
            w.image("v2").await;
        }
        .boxed()
    };
    let mut it = job(vec![(RUNS, cut)], "v2", &[Succeeded, Succeeded]);
    it.begin = |w| async move { w.apply("v1", soon()).await }.boxed();
    it.end.whole = 0;
    it
}

/// The JobManager stands still, and then answers as before: nothing is submitted again.
pub fn stopped_job_manager() -> Scenario {
    let stop: Act = |w| async move { w.workload.stop_process(JOB_MANAGER) }.boxed();
    let wake: Act = |w| async move { w.workload.continue_process(JOB_MANAGER) }.boxed();
    let acts = vec![(RUNS, stop), (When::Later(Duration::from_secs(40)), wake), (RUNS, nothing as Act)];
    job(acts, "v1", &[Succeeded])
}

/// It stands still as it is asked to stop the job, and does so when it wakes.
pub fn stopped_in_the_stop() -> Scenario {
    let stop: Act = |w| async move { w.workload.stop_process(JOB_MANAGER) }.boxed();
    let wake: Act = |w| async move { w.workload.continue_process(JOB_MANAGER) }.boxed();
    let asks = When::Is(|w| w.savepoints().iter().any(|s| s.status.as_ref().is_some_and(|s| !s.attempts.is_empty())));
    let acts = vec![(RUNS, to_v2 as Act), (asks, stop), (When::Later(Duration::from_secs(40)), wake)];
    job(acts, "v2", &[Succeeded, Succeeded])
}

/// A TaskManager stands still: the stop waits for it.
pub fn stopped_task_manager() -> Scenario {
    let stop: Act = |w| {
        async move {
            w.signal_task_manager(true);
            w.image("v2").await;
        }
        .boxed()
    };
    let wake: Act = |w| async move { w.signal_task_manager(false) }.boxed();
    job(vec![(RUNS, stop), (When::Later(Duration::from_secs(40)), wake)], "v2", &[Succeeded, Succeeded])
}

/// A job that has ended stays so.
pub fn ended(mut it: Scenario, phase: JobPhase, reason: &'static str) -> Scenario {
    it.end.over = Some(phase);
    it.end.ready = Some((false, reason));
    it
}

/// Somebody cancels the job in Flink.
pub fn cancelled_by_hand() -> Scenario {
    let cancel: Act = |w| async move { w.cancel_in_flink().await }.boxed();
    ended(job(vec![(RUNS, cancel)], "v1", &[Succeeded]), JobPhase::Failed, "JobFailed")
}

/// It comes to its end by itself.
pub fn finished() -> Scenario {
    let finished = When::Is(|w| w.status().phase == Some(JobPhase::Finished));
    let mut it = job(vec![(RUNS, nothing), (finished, nothing)], "finishes", &[Succeeded]);
    it.begin = |w| async move { w.apply("finishes", json!({})).await }.boxed();
    ended(it, JobPhase::Finished, "Finished")
}

/// It fails for good, and goes on from its checkpoint as soon as it is mended.
pub fn failed_and_fixed() -> Scenario {
    let failed = When::Is(|w| w.status().phase == Some(JobPhase::Failed));
    let mut it = job(vec![(RUNS, nothing), (failed, to_v2)], "v2", &[Succeeded, Succeeded]);
    it.begin = |w| async move { w.apply("fails-later", json!({})).await }.boxed();
    it.end.whole = 0;
    it
}

/// It is deleted with its job, which leaves a checkpoint; then it is made again.
fn made_again(then: Vec<(When, Act)>) -> Scenario {
    let again: Act = |w| async move { w.apply("v1", json!({"deletion": {"job": "Cancel"}})).await }.boxed();
    let gone = When::Is(|w| w.upgrade().is_none() && !w.files("ck").is_empty());
    let mut it = job([vec![(RUNS, delete as Act), (gone, again)], then].concat(), "v1", &[Succeeded]);
    it.begin = again;
    it
}

const STATE_EXISTS: When = When::Is(|world| world.is_not_ready("StateExists"));

/// It does not start, as an earlier one of its name has left state.
pub fn deleted_and_made_again() -> Scenario {
    let mut it = made_again(Vec::new());
    it.end.runs = None;
    it.end.ready = Some((false, "StateExists"));
    it.end.history.clear();
    it
}

fn restore_from(world: World, wish: Value) -> futures::future::BoxFuture<'static, ()> {
    async move { world.change(json!({"job": {"restoreFrom": wish}})).await }.boxed()
}

/// It starts from there once somebody says so.
pub fn deleted_and_made_again_from_the_latest() -> Scenario {
    made_again(vec![(STATE_EXISTS, |w| restore_from(w, json!({"id": "again", "latest": true})))])
}

/// It starts with nothing.
pub fn deleted_and_made_again_empty() -> Scenario {
    made_again(vec![(STATE_EXISTS, |w| restore_from(w, json!({"id": "again", "empty": true})))])
}

/// It starts from a checkpoint that somebody names.
pub fn deleted_and_made_again_from_a_path() -> Scenario {
    let named: Act = |w| {
        let checkpoints = w.files("ck");
        let one = checkpoints.iter().find_map(|file| file.strip_suffix("/_metadata")).unwrap();
        let path = format!("s3://flink/{one}");
        restore_from(w, json!({"id": "again", "path": path}))
    };
    made_again(vec![(STATE_EXISTS, named)])
}
