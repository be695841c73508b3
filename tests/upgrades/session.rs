//! A job on a session cluster that somebody else looks after, with another job beside it.

use std::time::Duration;

use fakes::flink::{JobScript, Run};
use flink_savepoint_operator::api::UpgradeResult::{self, Failed, RolledBack, Succeeded, Superseded, Suspended};
use flink_savepoint_operator::api::annotations::FENCED;
use flink_savepoint_operator::api::condition::{self, types};
use flink_savepoint_operator::api::{FlinkSavepoint, JobPhase, UpgradeStep};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::common::{self, BUCKET, NAMESPACE};
use crate::images;
use crate::scenarios::{RUNS, TIMEOUT, job};
use crate::sweep::{Act, End, Scenario, When};
use crate::world::{SAVEPOINTS, World};

/// The session cluster's Service.
pub const SERVICE: &str = "flink";
/// Its JobManager's pod.
pub const POD: &str = "flink-jobmanager-0";
/// The job beside.
const OTHER: &str = "000000000000000000000000000000f1";

/// The jar of a tag.
fn jar(tag: &str) -> String {
    format!("{BUCKET}/jars/{tag}.jar")
}

/// Somebody brings up a session cluster of two TaskManagers with two slots each; a job of somebody else runs there.
async fn bring_up(world: &World) {
    let create = async |api: &str, kind: &str, object: Value| {
        common::create(&world.kube, api, kind, Some(NAMESPACE), object).await;
    };
    let configuration = format!(
        "jobmanager.rpc.address: {SERVICE}\ntaskmanager.numberOfTaskSlots: '2'\nweb.refresh-interval: '100'\n\
         execution.checkpointing.dir: {BUCKET}/ck\nexecution.checkpointing.savepoint-dir: {BUCKET}/sp\n"
    );
    let map = json!({"metadata": {"name": "flink-config"}, "data": {"config.yaml": configuration}});
    create("v1", "ConfigMap", map).await;
    let service = json!({"metadata": {"name": SERVICE}, "spec": {"ports": [{"name": "rest", "port": 8081}]}});
    create("v1", "Service", service).await;
    for (kind, role, replicas) in [("StatefulSet", "jobmanager", 1), ("Deployment", "taskmanager", 2)] {
        let container = json!({"name": role, "image": images::SESSION, "args": [role]});
        let volume = json!({"name": "config", "configMap": {"name": "flink-config"}});
        let template = json!({
            "metadata": {"labels": {"app": "flink", "role": role}},
            "spec": {"containers": [container], "volumes": [volume]},
        });
        let object = json!({
            "metadata": {"name": format!("{SERVICE}-{role}")},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"role": role}}, "template": template},
        });
        create("apps/v1", kind, object).await;
    }
    let address = || {
        let pod = world.kube.object("pods", NAMESPACE, POD)?;
        pod.pointer("/status/podIP")?.as_str().map(str::to_owned)
    };
    while address().is_none() || world.session_cluster().is_none_or(|cluster| cluster.instance() == 0) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        world.workload.settle().await.unwrap();
    }
    let slice = json!({
        "metadata": {"name": "flink-1", "labels": {"kubernetes.io/service-name": SERVICE}},
        "addressType": "IPv4", "ports": [{"name": "rest", "port": 8081}],
        "endpoints": [{"addresses": [address()], "targetRef": {"kind": "Pod", "name": POD}}],
    });
    create("discovery.k8s.io/v1", "EndpointSlice", slice).await;
    world.truth.know_foreign(OTHER);
    world.session_cluster().unwrap().start_job(OTHER, JobScript::new("clicks", 1));
}

/// Fields of `more` are put over those of a spec.
fn put_over(spec: &mut Value, more: Value) {
    let (Value::Object(spec), Value::Object(more)) = (spec, more) else { panic!("no spec") };
    spec.extend(more);
}

fn apply_with(world: World, more: Value) -> BoxFuture<'static, ()> {
    async move {
        bring_up(&world).await;
        let mut spec = json!({
            "image": null, "flinkVersion": null, "flinkCluster": {"service": SERVICE},
            "flinkConfiguration": {"state.savepoints.dir": null},
            "job": {"jarURI": jar("v1")},
        });
        put_over(&mut spec, more);
        world.apply("v1", spec).await;
    }
    .boxed()
}

fn apply(world: World) -> BoxFuture<'static, ()> {
    apply_with(world, json!({}))
}

async fn to(world: &World, tag: &str) {
    world.change(json!({"job": {"jarURI": jar(tag)}})).await;
}

fn to_v2(world: World) -> BoxFuture<'static, ()> {
    async move { to(&world, "v2").await }.boxed()
}

fn to_one_that_throws(world: World) -> BoxFuture<'static, ()> {
    async move { to(&world, "throws").await }.boxed()
}

fn to_one_that_drops_an_operator(world: World) -> BoxFuture<'static, ()> {
    async move { to(&world, "drops-operator").await }.boxed()
}

/// Whether the other job runs as if nobody were beside it.
pub fn other_is_untouched(world: &World) -> Result<(), String> {
    let runs: Vec<Run> = world.truth.all_runs().into_iter().filter(|run| run.job == OTHER).collect();
    match runs.as_slice() {
        [run] if run.processes() => Ok(()),
        _ if world.truth.may_be_lost(OTHER) => Ok(()),
        other => Err(format!("the job beside was touched: {other:?}")),
    }
}

fn told(acts: Vec<(When, Act)>, history: &[(i64, UpgradeResult)], whole: usize) -> Scenario {
    let mut it = job(acts, "v1", &[]);
    it.begin = apply;
    it.end.history = history.iter().rev().copied().collect();
    it.end.whole = whole;
    it
}

/// It has no cluster of its own, and the jar of the revision that runs is on the session cluster.
pub fn on_a_session_cluster() -> Scenario {
    told(Vec::new(), &[(1, Succeeded)], 0)
}

pub fn upgraded_on_a_session_cluster() -> Scenario {
    told(vec![(RUNS, to_v2)], &[(1, Succeeded), (2, Succeeded)], 1)
}

/// Its own main() says so beforehand, in a pod of its own.
pub fn refused_beforehand_on_a_session_cluster() -> Scenario {
    let mut it = told(vec![(RUNS, to_one_that_drops_an_operator)], &[(1, Succeeded), (2, Failed)], 0);
    it.end.ready = Some((false, "PreflightFailed"));
    it
}

/// Flink refuses it, and the old one is put back.
pub fn put_back_on_a_session_cluster() -> Scenario {
    let unasked: Act = |w| apply_with(w, json!({"upgrade": {"preflight": "Skip"}}));
    let mut it = told(vec![(RUNS, to_one_that_throws)], &[(1, Succeeded), (2, RolledBack)], 1);
    it.begin = unasked;
    it.end.ready = Some((false, "SubmitFailed"));
    it
}

/// Its JobManager is killed: nothing is started beside tasks that may process on, until somebody has ended them and says
/// so. The job beside is lost as well, as the cluster has no high availability.
pub fn its_session_cluster_killed() -> Scenario {
    let kill: Act = |w| {
        async move {
            w.truth.forget_foreign(OTHER);
            w.workload.kill_container(POD);
        }
        .boxed()
    };
    let not_fenced = When::Is(|w| w.is_not_ready("PreviousJobNotFenced"));
    let make_sure: Act = |w| {
        async move {
            let pods = w.names("pods");
            pods.iter()
                .filter(|pod| pod.starts_with("flink-taskmanager"))
                .for_each(|pod| w.workload.kill_container(pod));
            let job = w.active_job();
            w.annotate(FENCED, &job).await;
        }
        .boxed()
    };
    told(vec![(RUNS, kill), (not_fenced, make_sure)], &[(1, Succeeded), (1, Superseded), (2, Succeeded)], 0)
}

/// While it is suspended it has nothing there.
pub fn suspended_and_resumed_on_a_session_cluster() -> Scenario {
    let suspend: Act = |w| async move { w.change(json!({"job": {"state": "suspended"}})).await }.boxed();
    let resume: Act = |w| {
        async move {
            assert_eq!(w.session_cluster().unwrap().uploaded_jars(), Vec::<String>::new());
            w.change(json!({"job": {"state": "running"}})).await;
        }
        .boxed()
    };
    let rests = When::Is(|w| w.status().phase == Some(JobPhase::Suspended));
    told(vec![(RUNS, suspend), (rests, resume)], &[(1, Succeeded), (1, Suspended), (2, Succeeded)], 1)
}

/// All slots are taken: the old job runs until there is room for the new one.
pub fn a_full_session_cluster() -> Scenario {
    let more: Act = |w| async move { w.change(json!({"job": {"jarURI": jar("v2"), "parallelism": 4}})).await }.boxed();
    let waits = When::Is(|w| {
        let ready = condition::find(&w.status().conditions, types::READY).map(|c| c.message.clone());
        w.is_at(UpgradeStep::Starting) && ready.is_some_and(|m| m.contains("add TaskManagers"))
    });
    let grow: Act = |w| {
        async move {
            let active = w.status().active.unwrap();
            assert_eq!(w.truth.processing().into_iter().collect::<Vec<_>>(), [active.submission.job_id]);
            w.edit("apps/v1", "Deployment", "flink-taskmanager", json!({"spec": {"replicas": 3}})).await;
        }
        .boxed()
    };
    told(vec![(RUNS, more), (waits, grow)], &[(1, Succeeded), (2, Succeeded)], 1)
}

/// The jar is on the session cluster once more before the job is put back: its JobManager lost it.
pub fn a_jar_that_is_lost() -> Scenario {
    let unasked: Act = |w| apply_with(w, json!({"upgrade": {"preflight": "Skip"}}));
    let lose: Act = |w| {
        async move {
            let cluster = w.session_cluster().unwrap();
            cluster.lose_jars();
            to(&w, "throws").await;
        }
        .boxed()
    };
    let mut it = told(vec![(RUNS, lose)], &[(1, Succeeded), (2, RolledBack)], 1);
    it.begin = unasked;
    it.end.ready = Some((false, "SubmitFailed"));
    it
}

/// Whoever names its job by the session cluster would pass its lock by.
pub fn a_savepoint_past_its_lock() -> Scenario {
    let take: Act = |w| {
        async move {
            let spec = json!({"flinkCluster": {"service": SERVICE, "jobId": w.active_job()}, "then": "Stop"});
            let object = json!({"metadata": {"name": "past"}, "spec": spec});
            common::create(&w.kube, "savepoints.dev/v1alpha1", "FlinkSavepoint", Some(NAMESPACE), object).await;
        }
        .boxed()
    };
    let refused = When::Is(|w| {
        let past = w.object::<FlinkSavepoint>(SAVEPOINTS, "past").and_then(|past| past.status).unwrap_or_default();
        condition::find(&past.conditions, types::STALLED).is_some_and(|c| c.message.contains("spec.jobRef"))
    });
    let give_up: Act = |w| async move { w.remove("savepoints.dev/v1alpha1", "FlinkSavepoint", "past").await }.boxed();
    told(vec![(RUNS, take), (refused, give_up)], &[(1, Succeeded)], 0)
}

fn gone(delete: Act, whole: usize) -> Scenario {
    let end = End { runs: None, over: None, ready: None, history: vec![(1, Succeeded)], whole, claimed: 0, maps: 0 };
    let begin: Act = |w| apply_with(w, json!({"deletion": {"timeout": TIMEOUT}}));
    Scenario { begin, acts: vec![(RUNS, delete)], end, attempts: None }
}

pub fn deleted_on_a_session_cluster() -> Scenario {
    gone(|w| async move { w.delete().await }.boxed(), 1)
}

pub fn cancelled_on_a_session_cluster() -> Scenario {
    let cancel: Act = |w| {
        async move {
            w.change(json!({"deletion": {"job": "Cancel", "timeout": "1s"}})).await;
            w.delete().await;
        }
        .boxed()
    };
    gone(cancel, 0)
}
