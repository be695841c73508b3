use super::*;

const ON: &str = "high-availability.type: kubernetes\nkubernetes.cluster-id: orders-1\n\
                  execution.checkpointing.dir: s3://flink/ck\n";
const CLUSTER_MAP: &str = "orders-1-cluster-config-map";

fn job_map() -> String {
    format!("orders-1-{JOB}-config-map")
}

impl Test {
    /// With high availability, and a job that has a checkpoint.
    async fn highly_available(change: impl FnOnce(&mut flink::Settings)) -> Self {
        let test = Self::of("good", ON, change).await;
        test.starts_job().await;
        assert_eq!(test.maps(), [job_map(), CLUSTER_MAP.to_owned()]);
        test
    }

    fn maps(&self) -> Vec<String> {
        let maps = self.server.objects("configmaps").into_iter();
        let names = maps.map(|map| map["metadata"]["name"].as_str().unwrap().to_owned());
        names.filter(|name| name.ends_with("-config-map")).collect()
    }

    fn delete_map(&self, name: &str) {
        self.ask("DELETE", &format!("/api/v1/namespaces/shop/configmaps/{name}"), &Value::Null);
    }

    async fn stop(&self) {
        let body = json!({"targetDirectory": "s3://flink/sp"}).to_string();
        let stop = http::Request::post(format!("http://any/jobs/{JOB}/stop")).body(body.into()).unwrap();
        self.workload.clusters()[0].handle(stop).await.unwrap();
    }

    /// No two runs of the job at a time.
    fn overlap(&self) -> bool {
        let runs = self.records.runs();
        runs.windows(2).any(|two| two[0].ended.is_none_or(|ended| ended > two[1].began))
    }
}

/// A list of one job.
fn one(state: &str) -> Value {
    json!({"jobs": [{"id": JOB, "status": state}]})
}

#[tokio::test(start_paused = true)]
async fn the_leader_keeps_config_maps() {
    let test = Test::highly_available(|_| {}).await;
    let map = test.server.object("configmaps", "shop", CLUSTER_MAP).unwrap();
    let labels = json!({"app": "orders-1", "type": "flink-native-kubernetes", "configmap-type": "high-availability"});
    assert_eq!(map["metadata"]["labels"], labels);
    assert_eq!(map["metadata"].get("ownerReferences"), None);
    let leader = map["data"]["org.apache.flink.k8s.leader.dispatcher"].as_str().unwrap();
    assert!(leader.ends_with(",pekko.tcp://flink@orders-1:6123/user/rpc/dispatcher_0"), "{leader}");
    let rest = map["data"]["org.apache.flink.k8s.leader.restserver"].as_str().unwrap();
    assert!(rest.ends_with(",http://orders-1:8081"), "{rest}");
    assert!(map["data"][format!("jobGraph-{JOB}")].is_string());
    let map = test.server.object("configmaps", "shop", &job_map()).unwrap();
    assert!(map["data"]["checkpointID-0000000000000000001"].is_string(), "{map}");
    // What it does not know it does not touch.
    let other = json!({"metadata": {"name": format!("orders-1-{}-config-map", "0".repeat(32))}});
    test.ask("POST", "/api/v1/namespaces/shop/configmaps", &other);
    test.stop().await;
    test.pass(Duration::from_millis(300)).await;
    assert_eq!((test.jobs().await, test.maps().len()), (Some(one("FINISHED")), 3));
    test.pass(Duration::from_millis(1500)).await;
    let left: Vec<String> = test.maps();
    assert!(left.len() == 2 && !left.contains(&job_map()), "{left:?}");
    let map = test.server.object("configmaps", "shop", CLUSTER_MAP).unwrap();
    assert_eq!(map["data"].as_object().unwrap().len(), 3, "{map}");
}

#[tokio::test(start_paused = true)]
async fn other_versions_have_other_labels() {
    let test = Test::of("good", ON, |settings| settings.version = Version::V2_3).await;
    let map = test.server.object("configmaps", "shop", CLUSTER_MAP).unwrap();
    assert_eq!(map["metadata"]["labels"], json!({"app": "orders-1", "type": "flink-native-kubernetes"}));
}

#[tokio::test(start_paused = true)]
async fn without_high_availability_there_are_none() {
    let test = Test::of("good", "high-availability.type: NONE\nkubernetes.cluster-id: orders-1\n", |_| {}).await;
    test.starts_job().await;
    assert!(test.maps().is_empty());
}

/// The old tasks go on until there is a leader, which starts them anew from the newest checkpoint.
#[tokio::test(start_paused = true)]
async fn a_job_comes_back_after_a_kill() {
    let test = Test::highly_available(|settings| settings.lease = Duration::from_secs(15)).await;
    let entry = || test.server.object("configmaps", "shop", CLUSTER_MAP).unwrap()["data"].clone();
    let before = entry();
    test.workload.kill_container("jm-0");
    test.pass(Duration::from_secs(14)).await;
    let answer = test.get("/jobs").await.unwrap().to_string();
    assert!(answer.contains("ongoing leader election"), "{answer}");
    assert_eq!((test.processing().len(), entry()), (1, before.clone()));
    test.pass(Duration::from_millis(1100)).await;
    assert_eq!((test.jobs().await, test.processing().len()), (Some(one("INITIALIZING")), 0));
    assert_ne!(entry(), before, "another leads");
    test.pass(Duration::from_secs(3)).await;
    assert_eq!((test.jobs().await, test.processing()), (Some(one("RUNNING")), vec![JOB.to_owned()]));
    let checkpoints = test.get(&format!("/jobs/{JOB}/checkpoints")).await.unwrap();
    let restored = checkpoints["latest"]["restored"]["external_path"].as_str().unwrap();
    let runs = test.records.runs();
    assert_eq!((runs.len(), runs[1].first), (2, test.records.snapshots()[restored]));
    assert!(runs[1].first > 0 && !test.overlap(), "{runs:?}");
}

#[tokio::test(start_paused = true)]
async fn a_job_comes_back_after_its_job_managers_pod_is_deleted() {
    let test = Test::highly_available(|settings| settings.lease = Duration::from_secs(15)).await;
    test.delete_pods("jm");
    test.workload.settle().await.unwrap();
    let map = test.server.object("configmaps", "shop", CLUSTER_MAP).unwrap();
    let keys: Vec<&String> = map["data"].as_object().unwrap().keys().collect();
    assert!(keys.len() == 2 && keys.iter().all(|key| key.ends_with(JOB)), "no leader: {keys:?}");
    test.pass(Duration::from_secs(5)).await;
    assert_eq!((test.jobs().await, test.processing().len()), (Some(one("RUNNING")), 1));
    assert!(!test.overlap());
}

#[tokio::test(start_paused = true)]
async fn a_job_that_finished_may_run_again() {
    for again in [false, true] {
        let test = Test::highly_available(|settings| settings.finished_runs_again = again).await;
        test.stop().await;
        test.pass(Duration::from_millis(300)).await;
        assert_eq!(test.jobs().await, Some(one("FINISHED")));
        assert_eq!(test.maps().len(), 2, "it is not forgotten");
        test.workload.kill_container("jm-0");
        test.pass(Duration::from_millis(800)).await;
        assert_eq!(test.jobs().await, Some(one(if again { "RUNNING" } else { "FINISHED" })));
        test.pass(Duration::from_secs(3)).await;
        assert_eq!(test.processing().len(), usize::from(again));
        assert_eq!(test.maps().len(), if again { 2 } else { 1 });
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_config_map_is_gone_is_lost_with_its_job_manager() {
    let test = Test::highly_available(|_| {}).await;
    test.delete_map(&job_map());
    test.pass(Duration::from_secs(3)).await;
    assert_eq!((test.jobs().await, test.maps().len()), (Some(one("RUNNING")), 1));
    test.workload.kill_container("jm-0");
    test.pass(Duration::from_secs(3)).await;
    assert_eq!((test.jobs().await, test.processing().len()), (Some(json!({"jobs": []})), 0));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_loses_its_config_map_exits_and_knows_no_job() {
    let test = Test::highly_available(|_| {}).await;
    test.delete_map(CLUSTER_MAP);
    test.workload.settle().await.unwrap();
    assert_eq!((test.jobs().await, test.processing().len()), (None, 1));
    test.pass(Duration::from_secs(3)).await;
    let restarts = &test.job_manager().unwrap()["status"]["containerStatuses"][0]["restartCount"];
    assert_eq!((restarts.as_u64(), test.processing().len()), (Some(1), 0));
    assert_eq!(test.jobs().await, Some(json!({"jobs": []})));
    assert_eq!(test.maps(), [job_map(), CLUSTER_MAP.to_owned()], "what nobody knows of stays");
}

/// Whoever creates a cluster of this id again has the old job.
#[tokio::test(start_paused = true)]
async fn what_is_left_starts_the_old_job() {
    for forgotten in [false, true] {
        let test = Test::highly_available(|_| {}).await;
        for set in ["statefulsets/jm", "deployments/tm"] {
            test.ask("DELETE", &apps(set), &Value::Null);
        }
        test.pass(Duration::from_secs(2)).await;
        let map = test.server.object("configmaps", "shop", "orders-1").unwrap();
        test.delete_map("orders-1");
        assert_eq!((test.pods().len(), test.maps().len()), (0, 2));
        if forgotten {
            test.delete_map(&job_map());
            test.delete_map(CLUSTER_MAP);
        }
        let again = json!({"metadata": {"name": "orders-1"}, "data": map["data"]});
        test.ask("POST", "/api/v1/namespaces/shop/configmaps", &again);
        test.starts("good").await;
        test.pass(Duration::from_secs(2)).await;
        let expected = if forgotten { Some(json!({"jobs": []})) } else { Some(one("RUNNING")) };
        assert_eq!(test.jobs().await, expected);
        assert_eq!(test.processing().len(), usize::from(!forgotten));
    }
}
