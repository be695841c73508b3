//! What somebody does by hand to the objects of a job and to its Flink cluster.

use std::time::Duration;

use flink_savepoint_operator::api::JobPhase;
use flink_savepoint_operator::api::UpgradeResult::{Recovered, Succeeded};
use flink_savepoint_operator::api::UpgradeStep;
use flink_savepoint_operator::api::annotations::DISCARD;
use flink_savepoint_operator::api::condition::{self, types};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::common::NAMESPACE;
use crate::mishaps::ended;
use crate::scenarios::{RUNS, job, nothing, to_v2};
use crate::sweep::{Act, Scenario, When};
use crate::world::World;

const APPS: &str = "apps/v1";
const TASK_MANAGERS: &str = "orders-1-taskmanager";
const JOB_MANAGER: &str = "orders-1-jobmanager";

/// The job at rest; somebody does something; in the end it runs as it was made.
fn put_back(act: Act) -> Scenario {
    job(vec![(When::Rest, act)], "v1", &[Succeeded])
}

/// The same of a job that is lost by it.
fn put_back_and_recovered(act: Act) -> Scenario {
    let mut it = put_back(act);
    it.end.history.insert(0, (1, Recovered));
    it
}

fn scale(world: World, kind: &'static str, name: &'static str) -> BoxFuture<'static, ()> {
    async move { world.edit(APPS, kind, name, json!({"spec": {"replicas": 0}})).await }.boxed()
}

fn no_task_managers(world: World) -> BoxFuture<'static, ()> {
    scale(world, "Deployment", TASK_MANAGERS)
}

pub fn task_managers_scaled_to_zero() -> Scenario {
    put_back(no_task_managers)
}

pub fn job_manager_scaled_to_zero() -> Scenario {
    put_back_and_recovered(|w| scale(w, "StatefulSet", JOB_MANAGER))
}

/// Its Deployment has made new pods by then, and makes them once more.
pub fn template_edited() -> Scenario {
    put_back(|w| {
        async move {
            let containers = json!([{"name": "flink-main-container", "image": crate::images::image("v2")}]);
            let template = json!({"spec": {"containers": containers}});
            w.edit(APPS, "Deployment", TASK_MANAGERS, json!({"spec": {"template": template}})).await;
        }
        .boxed()
    })
}

/// What restarts nothing.
pub fn objects_edited() -> Scenario {
    put_back(|w| {
        async move {
            let template = json!({"spec": {"terminationGracePeriodSeconds": 300}});
            w.edit(APPS, "StatefulSet", JOB_MANAGER, json!({"spec": {"template": template}})).await;
            let labels = json!({"savepoints.dev/job": "other", "savepoints.dev/revision": null});
            w.edit(APPS, "Deployment", TASK_MANAGERS, json!({"metadata": {"labels": labels}})).await;
            let data = json!({"config.yaml": "{}", "flink-conf.yaml": "parallelism.default: 7"});
            w.edit("v1", "ConfigMap", "orders-1", json!({"data": data})).await;
            let selector = json!({"app": "other"});
            w.edit("v1", "Service", "orders-1", json!({"spec": {"selector": selector, "ports": []}})).await;
            let ports = json!([{"name": "rest", "port": 80}]);
            w.edit("v1", "Service", "orders-rest", json!({"spec": {"ports": ports}})).await;
        }
        .boxed()
    })
}

/// By them they are found.
pub fn labels_taken() -> Scenario {
    put_back(|w| {
        async move {
            let none = || json!({"metadata": {"labels": null}});
            w.edit(APPS, "StatefulSet", JOB_MANAGER, none()).await;
            w.edit(APPS, "Deployment", TASK_MANAGERS, none()).await;
            for name in ["orders-1", "orders-rest"] {
                w.edit("v1", "Service", name, none()).await;
            }
            for name in ["orders-1", "orders-1-helper"] {
                w.edit("v1", "ConfigMap", name, none()).await;
            }
        }
        .boxed()
    })
}

pub fn objects_deleted() -> Scenario {
    put_back(|w| {
        async move {
            w.remove(APPS, "Deployment", TASK_MANAGERS).await;
            w.remove("v1", "Service", "orders-1").await;
            w.remove("v1", "Service", "orders-rest").await;
            w.remove("v1", "ConfigMap", "orders-1-helper").await;
        }
        .boxed()
    })
}

/// By itself, as the fake's Flink cluster is that of the ConfigMap which its pods have found.
pub fn configuration_deleted() -> Scenario {
    put_back(|w| async move { w.remove("v1", "ConfigMap", "orders-1").await }.boxed())
}

pub fn job_manager_deleted() -> Scenario {
    put_back_and_recovered(|w| async move { w.remove(APPS, "StatefulSet", JOB_MANAGER).await }.boxed())
}

/// Another one comes, and Flink restarts the job.
pub fn task_manager_evicted() -> Scenario {
    put_back(|w| async move { w.delete_task_manager().await }.boxed())
}

fn task_managers(world: &World) -> Option<i64> {
    world.kube.object("deployments.apps", NAMESPACE, TASK_MANAGERS)?.pointer("/spec/replicas")?.as_i64()
}

fn healed(world: &World, times: i64) -> bool {
    world.status().healed.is_some_and(|healed| healed.count >= times) && task_managers(world) == Some(2)
}

/// It is put back at longer and longer intervals, and told.
pub fn rewritten_again_and_again() -> Scenario {
    let told = When::Is(|w| condition::is_true(&w.status().conditions, types::DRIFTED));
    let over = When::Is(|w| healed(w, 4) && condition::find(&w.status().conditions, types::DRIFTED).is_none());
    let acts: Vec<(When, Act)> = vec![
        (When::Rest, no_task_managers),
        (When::Is(|w| healed(w, 1)), no_task_managers),
        (When::Is(|w| healed(w, 2)), no_task_managers),
        (When::Is(|w| healed(w, 3)), no_task_managers),
        (told, nothing),
        (over, nothing),
    ];
    job(acts, "v1", &[Succeeded])
}

/// Somebody asks for a savepoint of the active job, or stops it with one.
async fn by_hand(world: World, what: &str, body: Value) {
    let job = world.active_job();
    world.ask_flink(&job, "POST", &format!("/jobs/{job}/{what}"), body).await;
}

/// It is nobody's business, and the next upgrade takes its own.
pub fn a_savepoint_by_hand() -> Scenario {
    let take: Act = |w| by_hand(w, "savepoints", json!({"target-directory": "s3://flink/by-hand"})).boxed();
    let acts = vec![(RUNS, take), (When::Is(|w| w.files("by-hand").iter().any(|f| f.ends_with("/_metadata"))), to_v2)];
    job(acts, "v2", &[Succeeded, Succeeded])
}

/// The job has come to its end, and is not started again.
pub fn stopped_by_hand() -> Scenario {
    let stop: Act = |w| by_hand(w, "stop", json!({"targetDirectory": "s3://flink/by-hand"})).boxed();
    ended(put_back(stop), JobPhase::Finished, "Finished")
}

/// The id of a job that somebody else submits.
const FOREIGN: &str = "00000000000000000000000000000bad";

/// Somebody submits another job to the active job's cluster.
fn submit(world: World) -> BoxFuture<'static, ()> {
    async move {
        world.truth.know_foreign(FOREIGN);
        let body = json!({"jobId": FOREIGN, "parallelism": 1});
        world.ask_flink(&world.active_job(), "POST", "/jars/job.jar/run", body).await;
    }
    .boxed()
}

/// And ends it.
fn end(world: World) -> BoxFuture<'static, ()> {
    async move { world.ask_flink(FOREIGN, "PATCH", &format!("/jobs/{FOREIGN}?mode=cancel"), Value::Null).await }.boxed()
}

const TOLD: When = When::Is(|w| condition::is_true(&w.status().conditions, types::FOREIGN_JOBS));
const WAITS: When = When::Is(|w| w.is_not_ready("ForeignJob"));

/// An upgrade would end it, and waits until somebody has.
pub fn a_foreign_job_is_waited_for() -> Scenario {
    let acts: Vec<(When, Act)> = vec![(RUNS, submit), (TOLD, to_v2), (WAITS, end)];
    job(acts, "v2", &[Succeeded, Succeeded])
}

/// Or until somebody has said that it may end.
pub fn a_foreign_job_is_given_up() -> Scenario {
    let give_up: Act = |w| async move { w.annotate(DISCARD, FOREIGN).await }.boxed();
    let acts: Vec<(When, Act)> = vec![(RUNS, submit), (TOLD, to_v2), (WAITS, give_up)];
    job(acts, "v2", &[Succeeded, Succeeded])
}

/// It comes while the new revision starts: the old job is not stopped before it has ended.
pub fn a_foreign_job_in_the_middle() -> Scenario {
    let acts: Vec<(When, Act)> = vec![(RUNS, to_v2), (When::Step(UpgradeStep::WarmingUp), submit), (WAITS, end)];
    job(acts, "v2", &[Succeeded, Succeeded])
}

const RECORD: &str = "orders-1";

/// The revision is rendered by an operator that does so otherwise; what it made stays so.
pub fn rendered_by_another_version() -> Scenario {
    let rendered = When::Is(|w| w.names("controllerrevisions.apps").iter().any(|name| name == RECORD));
    let otherwise: Act = |w| {
        async move {
            assert!(w.names("deployments.apps").is_empty());
            let template = || json!({"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 7}}}});
            let data = json!({
                "statefulSet": template(),
                "deployment": template(),
                "configMap": {"data": {"log4j-console.properties": "rootLogger.level = WARN"}},
                "service": {"metadata": {"labels": {"older": "yes"}}},
                "invented": {"by": "another version"},
            });
            w.edit(APPS, "ControllerRevision", RECORD, json!({"data": data})).await;
        }
        .boxed()
    };
    let check: Act = |w| {
        async move {
            let set = w.kube.object("statefulsets.apps", NAMESPACE, JOB_MANAGER).unwrap();
            assert_eq!(set["spec"]["template"]["spec"]["terminationGracePeriodSeconds"], 7);
            as_noted(&w);
        }
        .boxed()
    };
    let acts = vec![(rendered, otherwise), (When::Rest, note as Act), (When::Later(Duration::from_secs(60)), check)];
    job([acts, vec![(RUNS, to_v2)]].concat(), "v2", &[Succeeded, Succeeded])
}

/// The record can't be read: nothing is done before the operator that can is back.
pub fn a_record_of_a_newer_version() -> Scenario {
    let newer: Act = |w| {
        async move {
            note(w.clone()).await;
            w.edit(APPS, "ControllerRevision", RECORD, json!({"data": {"renderVersion": 99}})).await;
            w.image("v2").await;
        }
        .boxed()
    };
    let back: Act = |w| {
        async move {
            as_noted(&w);
            w.edit(APPS, "ControllerRevision", RECORD, json!({"data": {"renderVersion": 1}})).await;
        }
        .boxed()
    };
    let acts = vec![(When::Rest, newer), (When::Later(Duration::from_secs(60)), back)];
    job(acts, "v2", &[Succeeded, Succeeded])
}

fn seen(world: &World) -> (Vec<String>, usize) {
    let pods = world.kube.objects("pods").iter().map(|pod| pod["metadata"]["uid"].to_string()).collect();
    (pods, world.invariants.writes().len())
}

fn note(world: World) -> BoxFuture<'static, ()> {
    async move { *world.noted.lock().unwrap() = seen(&world) }.boxed()
}

/// No pod is another, and the operator has written nothing.
fn as_noted(world: &World) {
    assert_eq!(seen(world), *world.noted.lock().unwrap());
}
