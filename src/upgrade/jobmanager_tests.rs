use k8s_openapi::api::core::v1::Pod;
use rstest::rstest;
use serde_json::{Value, json};

use super::{Process, image_digest, jar_sha256, process};

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
    let expected = Process { instance: "pod-uid/2".to_owned(), url: url.to_owned() };
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
