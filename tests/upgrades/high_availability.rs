//! Jobs with Flink's high availability by Kubernetes: Flink recovers them by itself, and the operator follows.

use std::time::Duration;

use flink_savepoint_operator::api::UpgradeResult::{self, Recovered, Succeeded};
use flink_savepoint_operator::api::UpgradeStep;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::json;

use crate::common::{self, NAMESPACE};
use crate::scenarios::{RUNS, TIMEOUT, delete, gone, job, to_v2};
use crate::sweep::{Act, Scenario, When};
use crate::world::World;

const JOB_MANAGER: &str = "orders-1-jobmanager-0";
const CLUSTER_MAP: &str = "orders-1-cluster-config-map";

pub fn apply(world: World) -> BoxFuture<'static, ()> {
    async move {
        let configuration =
            json!({"high-availability.type": "kubernetes", "high-availability.storageDir": "s3://flink/ha"});
        let more = json!({"flinkConfiguration": configuration, "deletion": {"timeout": TIMEOUT}});
        world.apply("v1", more).await;
    }
    .boxed()
}

/// A job that has a ConfigMap, as its cluster has.
fn available(acts: Vec<(When, Act)>, runs: &'static str, results: &[UpgradeResult]) -> Scenario {
    let mut it = job(acts, runs, results);
    it.begin = apply;
    it.end.maps = 2;
    it
}

fn kill(world: World) -> BoxFuture<'static, ()> {
    async move { world.workload.kill_container(JOB_MANAGER) }.boxed()
}

fn nothing(_: World) -> BoxFuture<'static, ()> {
    async {}.boxed()
}

/// The lease of the old leader is over by then, and the job runs again.
const RECOVERED: When = When::Later(Duration::from_secs(60));

pub fn highly_available() -> Scenario {
    available(Vec::new(), "v1", &[Succeeded])
}

/// `kill -9` of the JobManager: nothing is submitted.
pub fn its_job_manager_killed() -> Scenario {
    available(vec![(RUNS, kill as Act), (RECOVERED, nothing)], "v1", &[Succeeded])
}

/// Its pod is deleted.
pub fn its_job_manager_evicted() -> Scenario {
    let evict: Act = |w| async move { w.delete_pod(JOB_MANAGER).await }.boxed();
    available(vec![(RUNS, evict), (RECOVERED, nothing)], "v1", &[Succeeded])
}

/// The old job stops, and is forgotten by its cluster before its successor starts.
pub fn highly_available_and_changed() -> Scenario {
    available(vec![(RUNS, to_v2)], "v2", &[Succeeded, Succeeded])
}

/// The job comes back, and gives its savepoint.
pub fn its_job_manager_killed_and_changed() -> Scenario {
    let both: Act = |w| {
        async move {
            w.workload.kill_container(JOB_MANAGER);
            w.image("v2").await;
        }
        .boxed()
    };
    available(vec![(RUNS, both)], "v2", &[Succeeded, Succeeded])
}

/// The new revision's JobManager dies before the job is stable.
pub fn its_job_manager_killed_before_it_is_stable() -> Scenario {
    let kill: Act = |w| async move { w.workload.kill_container("orders-2-jobmanager-0") }.boxed();
    available(vec![(RUNS, to_v2 as Act), (When::Step(UpgradeStep::Stabilizing), kill)], "v2", &[Succeeded, Succeeded])
}

/// The stop's savepoint is whole.
const SAVED: When = When::Is(|w| w.files("sp").iter().any(|file| file.ends_with("/_metadata")));

/// The JobManager dies as the savepoint is whole: the job runs again, from the checkpoint before. Another savepoint is
/// taken, and the first is not kept.
pub fn its_job_manager_killed_in_the_stop() -> Scenario {
    available(vec![(RUNS, to_v2 as Act), (SAVED, kill)], "v2", &[Succeeded, Succeeded])
}

/// The job has finished, and its ConfigMap is there.
const FINISHED: When = When::Is(|w| {
    let saved = w.files("sp").iter().any(|file| file.ends_with("/_metadata"));
    let first = w.workload.clusters().into_iter().find(|cluster| cluster.is_cluster_map(CLUSTER_MAP));
    saved && first.is_some_and(|cluster| cluster.instance() == 1 && cluster.live_jobs().is_empty())
});

/// Its end is told; the moment after, its result is stored or not.
fn killed_after_the_stop(begin: Act) -> Scenario {
    let acts = vec![(RUNS, to_v2 as Act), (FINISHED, nothing as Act), (When::Later(Duration::from_millis(15)), kill)];
    let mut it = available(acts, "v2", &[Succeeded, Succeeded]);
    it.begin = begin;
    it
}

/// The next JobManager knows that it has finished.
pub fn its_job_manager_killed_after_the_stop() -> Scenario {
    killed_after_the_stop(apply)
}

/// The next one runs the job again, whose end was told.
pub fn it_runs_again_after_the_stop() -> Scenario {
    killed_after_the_stop(|w| {
        w.workload.for_later_clusters(|settings| settings.finished_runs_again = true);
        apply(w)
    })
}

/// Nothing is left that could start the job again.
pub fn highly_available_and_deleted() -> Scenario {
    let mut it = gone(vec![(RUNS, delete)], &[Succeeded], 1);
    it.begin = apply;
    it
}

pub fn highly_available_and_deleted_with_a_cancel() -> Scenario {
    let act: Act = |w| {
        async move {
            w.change(json!({"deletion": {"job": "Cancel"}})).await;
            w.delete().await;
        }
        .boxed()
    };
    let mut it = gone(vec![(RUNS, act)], &[Succeeded], 0);
    it.begin = apply;
    it
}

/// An earlier cluster's ConfigMap would start that one's job: somebody removes it first.
pub fn a_first_start_with_what_an_earlier_one_has_left() -> Scenario {
    let begin: Act = |w| {
        async move {
            let labels = json!({"app": "orders-1", "type": "flink-native-kubernetes"});
            let map = json!({"metadata": {"name": CLUSTER_MAP, "labels": labels}});
            common::create(&w.kube, "v1", "ConfigMap", Some(NAMESPACE), map).await;
            apply(w).await;
        }
        .boxed()
    };
    let remove: Act = |w| async move { w.delete_config_map(CLUSTER_MAP).await }.boxed();
    let refused = When::Is(|w| w.is_not_ready("HighAvailabilityDataExists"));
    let mut it = available(vec![(refused, remove)], "v1", &[Succeeded]);
    it.begin = begin;
    it
}

/// Somebody deletes its ConfigMaps: the JobManager exits and forgets the job, which is recovered from its checkpoint.
pub fn its_data_deleted() -> Scenario {
    let act: Act = |w| {
        async move {
            w.delete_config_map(&format!("orders-1-{}-config-map", w.active_job())).await;
            w.delete_config_map(CLUSTER_MAP).await;
        }
        .boxed()
    };
    let mut it = available(vec![(RUNS, act)], "v1", &[Succeeded]);
    it.end.history.insert(0, (1, Recovered));
    it
}
