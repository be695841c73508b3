#[path = "hands_tests.rs"]
mod hands;
#[path = "high_availability_tests.rs"]
mod high_availability;

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use object_store::memory::InMemory;
use serde_json::{Value, json};
use tokio::time::advance;

use super::*;
use crate::clock::Clock;
use crate::flink::{self, JobScript, Records, Version};
use crate::kube::Kind;

const JOB: &str = "c9ba3086bfafd789a2acce100f985451";

/// A JobManager and two TaskManagers of one slot each.
struct Test {
    server: ApiServer,
    workload: Workload,
    records: Records,
}

impl Test {
    async fn new(image: &str) -> Self {
        Self::of(image, "", |_| {}).await
    }

    /// With more in the configuration.
    async fn of(image: &str, more: &str, change: impl FnOnce(&mut flink::Settings)) -> Self {
        let clock = Clock::new(DateTime::UNIX_EPOCH);
        let server = ApiServer::new(clock.clone(), Kind::built_ins());
        let mut flink = flink::Settings::new(Version::V1_20, Arc::new(InMemory::new()), "s3://flink", clock);
        change(&mut flink);
        let records = flink.records.clone();
        let jars = |image: &str| (image == "good").then(|| vec![("job.jar".to_owned(), JobScript::new("orders", 2))]);
        let test = Self { workload: Workload::new(&server, Settings::new(flink, jars)), server, records };
        test.ask("POST", "/api/v1/namespaces", &json!({"metadata": {"name": "shop"}}));
        let config = format!("jobmanager.rpc.address: orders-1\nweb.refresh-interval: '100'\n{more}");
        let map = json!({"metadata": {"name": "orders-1"}, "data": {"config.yaml": config}});
        test.ask("POST", "/api/v1/namespaces/shop/configmaps", &map);
        test.starts(image).await;
        test
    }

    /// Somebody creates what runs it.
    async fn starts(&self, image: &str) {
        let set = |name: &str, process: &str, replicas: u32| {
            let container = json!({"name": "flink", "image": image, "args": [process]});
            let volumes = json!([{"name": "config", "configMap": {"name": "orders-1"}}]);
            let template = json!({"metadata": {"labels": {"of": name}},
                "spec": {"containers": [container], "volumes": volumes}});
            json!({"metadata": {"name": name}, "spec": {"replicas": replicas, "template": template}})
        };
        self.ask("POST", &apps("statefulsets"), &set("jm", "jobmanager", 1));
        self.ask("POST", &apps("deployments"), &set("tm", "taskmanager", 2));
        self.pass(Duration::from_secs(2)).await;
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        self.server.request("user", method, path, body).unwrap()
    }

    /// Time passes, and what is due happens at its moment.
    async fn pass(&self, time: Duration) {
        for _ in 0..time.as_millis().div_ceil(10) {
            self.workload.settle().await.unwrap();
            advance(Duration::from_millis(10)).await;
        }
        self.workload.settle().await.unwrap();
    }

    fn pods(&self) -> Vec<Value> {
        self.server.objects("pods")
    }

    fn job_manager(&self) -> Option<Value> {
        self.server.object("pods", "shop", "jm-0")
    }

    fn delete_pods(&self, of: &str) {
        for pod in self.pods().iter().filter(|pod| pod["metadata"]["labels"]["of"] == of) {
            let name = pod["metadata"]["name"].as_str().unwrap();
            self.ask("DELETE", &format!("/api/v1/namespaces/shop/pods/{name}"), &Value::Null);
        }
    }

    async fn starts_job(&self) {
        self.workload.clusters()[0].start_job(JOB, JobScript::new("orders", 2));
        self.pass(Duration::from_secs(3)).await;
        assert_eq!(self.processing(), [JOB]);
    }

    fn processing(&self) -> Vec<String> {
        self.records.runs().into_iter().filter(flink::Run::processes).map(|run| run.job).collect()
    }

    async fn jobs(&self) -> Option<Value> {
        self.get("/jobs").await
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let address = self.job_manager()?["status"]["podIP"].as_str()?.to_owned();
        let request = http::Request::get(format!("http://{address}:8081{path}")).body(Bytes::new()).unwrap();
        let answer = self.workload.handle(request).await.ok()?;
        serde_json::from_slice(answer.body()).ok()
    }
}

fn apps(plural: &str) -> String {
    format!("/apis/apps/v1/namespaces/shop/{plural}")
}

#[tokio::test(start_paused = true)]
async fn sets_become_pods_and_pods_a_cluster() {
    let test = Test::new("good").await;
    assert_eq!(test.pods().len(), 3);
    let set = test.server.object("statefulsets.apps", "shop", "jm").unwrap();
    assert_eq!(set["status"], json!({"observedGeneration": 1, "replicas": 1}));
    assert_eq!(test.jobs().await, Some(json!({"jobs": []})));
    test.starts_job().await;
    test.ask("PATCH", &format!("{}/tm", apps("deployments")), &json!({"spec": {"replicas": 0}}));
    test.pass(Duration::from_secs(2)).await;
    assert_eq!((test.pods().len(), test.processing().len()), (1, 0));
    let set = test.server.object("deployments.apps", "shop", "tm").unwrap();
    assert_eq!(set["status"], json!({"observedGeneration": 2, "replicas": 0}));
}

#[tokio::test(start_paused = true)]
async fn a_job_managers_pod_is_another_and_never_before_the_old_one_is_gone() {
    let test = Test::new("good").await;
    let old = test.job_manager().unwrap();
    test.delete_pods("jm");
    test.workload.settle().await.unwrap();
    let leaving = test.job_manager().unwrap();
    assert_eq!(leaving["metadata"]["uid"], old["metadata"]["uid"]);
    assert!(leaving["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(test.jobs().await, None);
    test.pass(Duration::from_secs(2)).await;
    let new = test.job_manager().unwrap();
    assert_ne!(new["metadata"]["uid"], old["metadata"]["uid"]);
    assert_eq!(test.jobs().await, Some(json!({"jobs": []})));
}

#[tokio::test(start_paused = true)]
async fn tasks_outlive_a_job_manager_that_was_killed() {
    let test = Test::new("good").await;
    test.starts_job().await;
    test.workload.kill_container("jm-0");
    test.pass(Duration::from_secs(10)).await;
    let status = &test.job_manager().unwrap()["status"]["containerStatuses"][0];
    assert_eq!((status["restartCount"].as_u64(), status["state"]["running"].is_object()), (Some(1), true));
    assert_eq!(test.jobs().await, Some(json!({"jobs": []})), "it has forgotten the job");
    assert_eq!(test.processing(), [JOB], "whose tasks go on");
    test.pass(Duration::from_secs(45)).await;
    assert!(test.processing().is_empty(), "until they miss it");
}

#[tokio::test(start_paused = true)]
async fn tasks_end_with_their_pods() {
    let test = Test::new("good").await;
    test.starts_job().await;
    test.workload.kill_container("jm-0");
    test.delete_pods("tm");
    test.pass(Duration::from_secs(2)).await;
    assert!(test.processing().is_empty());
    assert_eq!(test.pods().len(), 3, "others have come");
}

#[tokio::test(start_paused = true)]
async fn tasks_end_with_a_job_manager_that_is_told_to() {
    let test = Test::new("good").await;
    test.starts_job().await;
    test.delete_pods("jm");
    test.workload.settle().await.unwrap();
    assert!(test.processing().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_made_goes_with_its_maker() {
    let test = Test::new("good").await;
    for set in ["statefulsets/jm", "deployments/tm"] {
        test.ask("DELETE", &apps(set), &Value::Null);
    }
    test.pass(Duration::from_millis(100)).await;
    assert_eq!(test.pods().len(), 3, "they take their time");
    test.pass(Duration::from_secs(1)).await;
    assert_eq!((test.pods().len(), test.server.objects("controllerrevisions.apps").len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_not_there_is_waited_for() {
    let test = Test::new("bad").await;
    let status = &test.job_manager().unwrap()["status"]["containerStatuses"][0];
    assert_eq!(status["state"]["waiting"]["reason"], "ImagePullBackOff");
    assert_eq!(test.jobs().await, None);
}

/// A job goes on where its snapshot was; a stop loses nothing, and a checkpoint what came after it.
#[tokio::test(start_paused = true)]
async fn records_go_on_from_a_snapshot() {
    let test = Test::new("good").await;
    test.starts_job().await;
    let cluster = test.workload.clusters().remove(0);
    let body = json!({"targetDirectory": "s3://flink/sp"}).to_string();
    let stop = http::Request::post(format!("http://any/jobs/{JOB}/stop")).body(body.into()).unwrap();
    cluster.handle(stop).await.unwrap();
    test.pass(Duration::from_secs(1)).await;
    let stopped = test.records.runs().remove(0);
    assert!(stopped.ended.is_some() && stopped.next > 1000, "{stopped:?}");
    let (location, next) = test.records.snapshots().into_iter().find(|(at, _)| at.contains("/sp/")).unwrap();
    assert_eq!(next, stopped.next);
    let successor = "00000000000000000000000000000002";
    cluster.start_job_from(successor, JobScript::new("orders", 2), &location, 1, true);
    test.pass(Duration::from_secs(2)).await;
    assert_eq!(test.records.runs()[1].first, stopped.next);
}
