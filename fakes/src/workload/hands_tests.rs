use super::*;

fn deleted(test: &Test) -> usize {
    test.pods().iter().filter(|pod| pod["metadata"].get("deletionTimestamp").is_some()).count()
}

#[tokio::test(start_paused = true)]
async fn pods_of_a_silent_node_go_when_it_is_back() {
    let test = Test::new("good").await;
    test.starts_job().await;
    test.workload.silence_node();
    test.delete_pods("jm");
    test.delete_pods("tm");
    test.pass(Duration::from_secs(60)).await;
    assert_eq!((deleted(&test), test.processing()), (3, vec![JOB.to_owned()]), "all run on");
    // A Deployment has others meanwhile, on another node; a StatefulSet waits.
    assert_eq!(test.pods().len(), 5);
    assert_eq!(test.pods().iter().filter(|pod| pod["spec"]["nodeName"] == "node-2").count(), 2);
    assert_eq!(test.jobs().await.unwrap()["jobs"][0]["status"], "RUNNING");
    test.workload.node_is_back();
    test.pass(Duration::from_secs(2)).await;
    assert_eq!((deleted(&test), test.pods().len(), test.processing().len()), (0, 3, 0));
}

#[tokio::test(start_paused = true)]
async fn who_is_deleted_by_force_on_a_silent_node_runs_on() {
    let test = Test::new("good").await;
    test.starts_job().await;
    test.workload.silence_node();
    for pod in test.pods() {
        let path = format!("/api/v1/namespaces/shop/pods/{}", pod["metadata"]["name"].as_str().unwrap());
        test.ask("DELETE", &path, &json!({"gracePeriodSeconds": 0}));
    }
    test.pass(Duration::from_secs(2)).await;
    assert_eq!((deleted(&test), test.pods().len(), test.processing().len()), (0, 3, 1));
    test.workload.node_is_back();
    test.pass(Duration::from_secs(1)).await;
    assert!(test.processing().is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_is_cut_off_goes_on_unseen() {
    let test = Test::new("good").await;
    test.starts_job().await;
    test.workload.cut_off("jm-0", true);
    assert_eq!(test.jobs().await, None);
    test.pass(Duration::from_secs(60)).await;
    assert_eq!(test.processing(), [JOB]);
    test.workload.cut_off("jm-0", false);
    assert_eq!(test.jobs().await.unwrap()["jobs"][0]["status"], "RUNNING");
    assert_eq!(test.records.runs().len(), 1);
}

/// What is asked of a JobManager that is stopped it does later, and what it would have done comes later, too.
#[tokio::test(start_paused = true)]
async fn a_job_manager_that_was_stopped_goes_on() {
    for asked in [false, true] {
        let test = Test::new("good").await;
        test.starts_job().await;
        test.workload.stop_process("jm-0");
        let before = test.records.runs()[0].next;
        let cluster = test.workload.clusters().remove(0);
        if asked {
            let cancel = http::Request::patch(format!("http://any/jobs/{JOB}")).body(Bytes::new()).unwrap();
            assert_eq!(cluster.handle(cancel).await.unwrap_err(), flink::Down::Stopped);
        } else {
            assert_eq!(test.jobs().await, None);
        }
        test.pass(Duration::from_secs(45)).await;
        assert!(test.records.runs()[0].next > before + 44_000, "its tasks go on");
        test.workload.continue_process("jm-0");
        test.pass(Duration::from_secs(3)).await;
        let state = if asked { "CANCELED" } else { "RUNNING" };
        assert_eq!(test.jobs().await.unwrap()["jobs"][0]["status"], state);
        assert_eq!((test.processing().is_empty(), test.records.runs().len()), (asked, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_miss_a_job_manager_that_is_stopped_for_long() {
    let test = Test::new("good").await;
    test.starts_job().await;
    test.workload.stop_process("jm-0");
    test.pass(Duration::from_secs(51)).await;
    assert!(test.processing().is_empty());
    test.workload.continue_process("jm-0");
    test.pass(Duration::from_secs(5)).await;
    assert_eq!((test.processing().len(), test.records.runs().len()), (1, 2), "it starts them again");
}

#[tokio::test(start_paused = true)]
async fn a_task_manager_that_is_stopped_keeps_all_tasks_waiting() {
    let test = Test::new("good").await;
    test.starts_job().await;
    let name = test.pods().into_iter().find(|pod| pod["metadata"]["labels"]["of"] == "tm").unwrap();
    let name = name["metadata"]["name"].as_str().unwrap().to_owned();
    test.workload.stop_process(&name);
    let before = test.records.runs()[0].next;
    let cluster = test.workload.clusters().remove(0);
    let body = json!({"target-directory": "s3://flink/sp"}).to_string();
    let take = http::Request::post(format!("http://any/jobs/{JOB}/savepoints")).body(body.into()).unwrap();
    cluster.handle(take).await.unwrap();
    test.pass(Duration::from_secs(30)).await;
    assert_eq!((test.records.runs()[0].next, test.processing().len()), (before, 0));
    assert!(test.records.snapshots().keys().all(|at| !at.contains("/sp/")), "no barrier gets through");
    test.workload.continue_process(&name);
    test.pass(Duration::from_secs(2)).await;
    assert!(test.records.runs()[0].next > before + 1000, "{:?}", test.records.runs());
    assert!(test.records.snapshots().keys().any(|at| at.contains("/sp/")));
}
