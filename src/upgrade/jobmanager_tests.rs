use k8s_openapi::api::core::v1::Pod;
use rstest::rstest;
use serde_json::{Value, json};

use super::{Process, process};

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
