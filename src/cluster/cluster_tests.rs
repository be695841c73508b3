use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn slices(endpoints: &Value) -> Vec<EndpointSlice> {
    let slice = json!({
        "metadata": {"name": "flink-x"}, "addressType": "IPv4", "endpoints": endpoints,
        "ports": [{"name": "rpc", "port": 6123}, {"name": "rest", "port": 18081}],
    });
    vec![serde_json::from_value(slice).unwrap()]
}

#[rstest]
#[case::one(json!([{"addresses": ["10.0.0.1"], "conditions": {"ready": true}}]), Some("10.0.0.1"))]
#[case::the_ready_one(json!([{"addresses": ["10.0.0.1"], "conditions": {"ready": false}}, {"addresses": ["10.0.0.2"]}]), Some("10.0.0.2"))]
#[case::the_only_one_though_not_ready(json!([{"addresses": ["10.0.0.1"], "conditions": {"ready": false}}]), Some("10.0.0.1"))]
#[case::two(json!([{"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2"]}]), None)]
#[case::none(json!([]), None)]
fn the_pod_is_known_only_if_there_is_one(#[case] endpoints: Value, #[case] expected: Option<&str>) {
    let slices = slices(&endpoints);
    let found = the_one(&slices, Some("rest"));
    assert_eq!(found.map(|(e, port)| (e.addresses[0].as_str(), port)), expected.map(|a| (a, 18081)));
    assert!(the_one(&slices, Some("no-such-port")).is_none());
}

#[rstest]
#[case::the_only_container(json!([{"name": "x", "restartCount": 2}]), Some("pod-uid/2"))]
#[case::by_its_name(json!([{"name": "proxy", "restartCount": 7}, {"name": "jobmanager", "restartCount": 1}]), Some("pod-uid/1"))]
#[case::as_the_operators_name_it(json!([{"name": "flink-main-container", "restartCount": 0}, {"name": "proxy", "restartCount": 7}]), Some("pod-uid/0"))]
#[case::one_of_two_strangers(json!([{"name": "a", "restartCount": 0}, {"name": "b", "restartCount": 0}]), None)]
fn the_process_is_its_pod_and_restarts(#[case] containers: Value, #[case] expected: Option<&str>) {
    let mut containers = containers;
    for c in containers.as_array_mut().unwrap() {
        for (key, value) in [("ready", json!(true)), ("image", json!("flink")), ("imageID", json!(""))] {
            c[key] = value;
        }
    }
    let pod = json!({"metadata": {"name": "p", "uid": "pod-uid"}, "status": {"containerStatuses": containers}});
    assert_eq!(instance(&serde_json::from_value(pod).unwrap()).as_deref(), expected);
}
