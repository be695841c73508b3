use k8s_openapi::api::core::v1::Pod;
use rstest::rstest;
use serde_json::{Value, json};

use super::{Process, image_digest, jar_sha256, process, trouble};

fn pod(ip: &Value, state: &Value) -> Pod {
    let container = json!({"name": "flink-main-container", "image": "", "imageID": "", "ready": false,
        "restartCount": 2, "state": state});
    serde_json::from_value(json!({
        "metadata": {"name": "orders-3-jobmanager-0", "uid": "pod-uid"},
        "status": {"podIP": ip, "containerStatuses": [container]},
    }))
    .unwrap()
}

#[rstest]
#[case("10.1.2.3", "http://10.1.2.3:8081")]
#[case("fd00::1", "http://[fd00::1]:8081")]
fn a_running_container_is_a_process(#[case] ip: &str, #[case] url: &str) {
    let expected = Process { instance: "pod-uid/2".to_owned(), url: url.to_owned(), authorization: None, tls: None };
    assert_eq!(process(&pod(&json!(ip), &json!({"running": {}}))), Some(expected));
}

#[rstest]
#[case::waiting(json!("10.1.2.3"), json!({"waiting": {"reason": "CrashLoopBackOff"}}))]
#[case::ended(json!("10.1.2.3"), json!({"terminated": {"exitCode": 1}}))]
#[case::without_an_address(Value::Null, json!({"running": {}}))]
fn nothing_else_is(#[case] ip: Value, #[case] state: Value) {
    assert_eq!(process(&pod(&ip, &state)), None);
}

#[rstest]
#[case::by_a_registry("registry.example.com/orders@sha256:0a1b", Some("sha256:0a1b"))]
#[case::without_one("sha256:0a1b", Some("sha256:0a1b"))]
#[case::not_pulled("", None)]
fn an_image_is_known_by_its_digest(#[case] id: &str, #[case] expected: Option<&str>) {
    let mut pod = pod(&Value::Null, &json!({}));
    pod.status.as_mut().unwrap().container_statuses.as_mut().unwrap()[0].image_id = id.to_owned();
    assert_eq!(image_digest(&pod).as_deref(), expected);
}

#[rstest]
#[case::as_sha256sum_writes_it(
    Some("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08  /flink-jars/flink-web-upload/job.jar\n"),
    true
)]
#[case::the_end_of_a_log(Some("cp: cannot stat 'orders.jar'"), false)]
#[case::nothing(None, false)]
fn a_jar_is_known_by_what_its_container_has_left(#[case] message: Option<&str>, #[case] known: bool) {
    let mut pod = pod(&Value::Null, &json!({}));
    let copied = json!([{"name": "flink-job-jar", "image": "", "imageID": "", "ready": true, "restartCount": 0,
        "state": {"terminated": {"exitCode": 0, "message": message}}}]);
    pod.status.as_mut().unwrap().init_container_statuses = serde_json::from_value(copied).unwrap();
    assert_eq!(jar_sha256(&pod).is_some(), known);
}

/// A pod with an init container and Flink's, and a condition.
fn starting(init: &Value, main: &Value, scheduled: &Value) -> Pod {
    let container = |name: &str, state: &Value| {
        let mut status = json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 1});
        status.as_object_mut().unwrap().extend(state.as_object().unwrap().clone());
        status
    };
    serde_json::from_value(json!({"metadata": {"name": "orders-3-jobmanager-0"}, "status": {
        "initContainerStatuses": [container("flink-job-jar", init)],
        "containerStatuses": [container("flink-main-container", main)],
        "conditions": [scheduled],
    }}))
    .unwrap()
}

fn waits(reason: &str, message: &str) -> Value {
    json!({"state": {"waiting": {"reason": reason, "message": message}}})
}

#[rstest]
#[case::nothing(json!({"state": {"running": {}}}), waits("PodInitializing", ""), None)]
#[case::no_image(
    waits("ImagePullBackOff", "Back-off pulling image \"job:9\""),
    waits("PodInitializing", ""),
    Some("container flink-job-jar: ImagePullBackOff: Back-off pulling image \"job:9\"")
)]
#[case::no_secret(
    waits("CreateContainerConfigError", "secret \"s3\" not found"),
    waits("PodInitializing", ""),
    Some("container flink-job-jar: CreateContainerConfigError: secret \"s3\" not found")
)]
#[case::no_name_of_an_image(
    json!({"state": {"terminated": {"exitCode": 0}}}), waits("InvalidImageName", "couldn't parse image name"),
    Some("container flink-main-container: InvalidImageName: couldn't parse image name")
)]
#[case::fails(
    json!({"state": {"terminated": {"exitCode": 1, "message": "job.jarSHA256: other bytes\n"}}}),
    waits("PodInitializing", ""),
    Some("container flink-job-jar: exit code 1: job.jarSHA256: other bytes")
)]
#[case::fails_without_a_word(
    json!({"state": {"terminated": {"exitCode": 137}}}), waits("PodInitializing", ""),
    Some("container flink-job-jar: exit code 137")
)]
#[case::fails_again_and_again(
    json!({"state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}},
        "lastState": {"terminated": {"exitCode": 1, "message": "job.jarSHA256: other bytes"}}}),
    waits("PodInitializing", ""),
    Some("container flink-job-jar: CrashLoopBackOff: exit code 1: job.jarSHA256: other bytes")
)]
#[case::and_says_nothing(
    json!({"state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
        "lastState": {"terminated": {"exitCode": 1}}}),
    waits("PodInitializing", ""),
    Some("container flink-job-jar: CrashLoopBackOff: back-off 10s")
)]
fn what_keeps_a_pod_from_starting_is_quoted(#[case] init: Value, #[case] main: Value, #[case] expected: Option<&str>) {
    let fine = json!({"type": "PodScheduled", "status": "True"});
    assert_eq!(trouble(&starting(&init, &main, &fine)).as_deref(), expected);
}

#[test]
fn a_pod_without_a_node_says_why() {
    let unschedulable = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/3 nodes are available: 3 Insufficient cpu."});
    let pod = starting(&json!({"state": {}}), &json!({"state": {}}), &unschedulable);
    assert_eq!(trouble(&pod).as_deref(), Some("Unschedulable: 0/3 nodes are available: 3 Insufficient cpu."));
}
