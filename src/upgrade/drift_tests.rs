use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use rstest::rstest;
use serde::de::DeserializeOwned;

use super::*;
use crate::api::FlinkJobUpgradeSpec;
use crate::upgrade::workload::{self, Fetch, Rendered};

const UID: &str = "6a1f0c2e-1111-2222-3333-444455556666";

fn rendered() -> Rendered {
    let spec: FlinkJobUpgradeSpec = serde_yaml::from_str(include_str!("workload/testdata/sample.yaml")).unwrap();
    let revision = workload::Revision {
        namespace: "shop",
        name: "orders",
        owner_uid: UID,
        number: 1,
        upgrade_id: "1-6a1f0c2e",
        color: "blue",
        helper_jar: &[],
        fetch: &Fetch { image: String::new(), endpoint: None, region: None, secret: None },
        carrier: None,
    };
    workload::render(&revision, &spec).unwrap()
}

fn changed<K: Serialize + DeserializeOwned>(object: &K, change: impl FnOnce(&mut Value)) -> K {
    let mut value = serde_json::to_value(object).unwrap();
    value["metadata"]["resourceVersion"] = json!("7");
    change(&mut value);
    serde_json::from_value(value).unwrap()
}

/// As the API server merges a patch: what is null in it goes.
fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        into.clone_from(patch);
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            into.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut into[key.as_str()], value);
        }
    }
}

fn patched<K: Serialize + DeserializeOwned>(object: &K, drift: &Drift) -> K {
    changed(object, |value| merge(value, &drift.patch))
}

fn message<K: Resource<DynamicType = ()> + Serialize>(stored: &K, found: &K) -> Option<String> {
    of(stored, found).map(|drift| drift.message)
}

const MAIN: &str = "/spec/template/spec/containers/0";

#[rstest]
#[case::replicas("/spec/replicas", json!(0), "spec.replicas is 0 instead of 2")]
#[case::image(&format!("{MAIN}/image"), json!("other"), "spec.template.spec.containers[flink-main-container].image")]
#[case::label("/metadata/labels", json!({"savepoints.dev/job": "orders"}), "metadata.labels.")]
#[case::strategy("/spec/strategy/type", json!("RollingUpdate"), "spec.strategy.type")]
#[case::no_variables(&format!("{MAIN}/volumeMounts"), json!([]), "spec.template.spec.containers[flink-main-container].volumeMounts[")]
#[case::args(&format!("{MAIN}/args"), json!(["jobmanager"]), "spec.template.spec.containers[flink-main-container].args")]
fn what_was_changed_is_named_and_put_back(#[case] pointer: &str, #[case] value: Value, #[case] field: &str) {
    let stored = changed(&rendered().deployment, |d| d["spec"]["replicas"] = json!(2));
    let found: Deployment = changed(&stored, |d| *d.pointer_mut(pointer).unwrap() = value);
    let drift = of(&stored, &found).unwrap();
    assert!(drift.message.starts_with(&format!("Deployment orders-1-taskmanager: {field}")), "{}", drift.message);
    assert_eq!(drift.patch["metadata"]["resourceVersion"], "7");
    assert_eq!(message(&stored, &patched(&found, &drift)), None);
}

/// What the API server fills in, and what others add.
#[test]
fn what_is_added_is_no_difference() {
    let stored = rendered().deployment;
    let found: Deployment = changed(&stored, |d| {
        d["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!("1");
        d["metadata"]["labels"]["argocd.argoproj.io/instance"] = json!("shop");
        d["spec"]["progressDeadlineSeconds"] = json!(600);
        d["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] = json!("now");
        let spec = &mut d["spec"]["template"]["spec"];
        spec["dnsPolicy"] = json!("ClusterFirst");
        let main = &mut spec["containers"][0];
        main["terminationMessagePath"] = json!("/dev/termination-log");
        let more = json!({"name": "ADDED", "value": "by a webhook"});
        match main["env"].as_array_mut() {
            Some(env) => env.push(more),
            None => main["env"] = json!([more]),
        }
        d["status"] = json!({"replicas": 2});
    });
    assert_eq!(message(&stored, &found), None);
}

#[rstest]
#[case("0.5", "500m", true)]
#[case("2048Mi", "2Gi", true)]
#[case("1e3", "1k", true)]
#[case("0.1", "100m", true)]
#[case("2000m", "2", true)]
#[case("512Mi", "512M", false)]
#[case("1", "one", false)]
fn amounts_are_compared_by_what_they_come_to(#[case] stored: &str, #[case] found: &str, #[case] same: bool) {
    let with = |amount: &str| json!({"limits": {"memory": amount}});
    assert_eq!(contained(&with(stored), Some(&with(found)), "resources").is_none(), same);
    // Elsewhere a text is a text.
    let value = |text: &str| json!({"value": text});
    assert!(contained(&value(stored), Some(&value(found)), "env").is_some());
}

/// A file that is added to the configuration is read by Flink.
#[test]
fn a_config_map_is_exactly_what_was_stored() {
    let stored = rendered().config_map;
    let found: ConfigMap = changed(&stored, |map| map["data"]["flink-conf.yaml"] = json!("parallelism.default: 7"));
    let drift = of(&stored, &found).unwrap();
    assert_eq!(drift.message, "ConfigMap orders-1: data.flink-conf.yaml");
    assert_eq!(message(&stored, &patched(&found, &drift)), None);
    let found: ConfigMap = changed(&stored, |map| map["data"]["config.yaml"] = json!("{}"));
    assert_eq!(message(&stored, &found).unwrap(), "ConfigMap orders-1: data.config.yaml");
}

/// A newer operator has another helper jar: that of the revision stays.
#[test]
fn the_helper_jar_is_put_back_only_if_it_is_gone() {
    let stored = rendered().helper_config_map;
    let found: ConfigMap = changed(&stored, |map| map["binaryData"]["helper.jar"] = json!("UEsDBA=="));
    assert_eq!(message(&stored, &found), None);
    let found: ConfigMap = changed(&stored, |map| map["binaryData"] = json!(null));
    assert_eq!(message(&stored, &found).unwrap(), "ConfigMap orders-1-helper: binaryData.helper.jar");
}

#[test]
fn a_service_selects_what_it_was_made_to_select() {
    let stored = rendered().service;
    let found: Service = changed(&stored, |s| {
        s["spec"]["clusterIP"] = json!("10.0.0.1");
        s["spec"]["ports"][0]["protocol"] = json!("TCP");
    });
    assert_eq!(message(&stored, &found), None);
    let found: Service = changed(&stored, |s| s["spec"]["selector"]["app"] = json!("other"));
    let drift = of(&stored, &found).unwrap();
    assert_eq!(drift.message, "Service orders-1: spec.selector.app");
    assert_eq!(drift.patch["spec"]["selector"]["app"], Value::Null);
    let found: Service = changed(&stored, |s| s["spec"]["ports"][0]["port"] = json!(9999));
    assert_eq!(message(&stored, &found).unwrap(), "Service orders-1: spec.ports[rest].port is 9999 instead of 8081");
}

/// Of what has lost its labels the selector, which nobody can change, says whose it is.
#[test]
fn what_has_lost_its_labels_is_known_again() {
    let rendered = rendered();
    let bare: StatefulSet = changed(&rendered.stateful_set, |set| set["metadata"]["labels"] = json!(null));
    assert!(is_ours(&rendered.stateful_set, &bare, UID));
    assert!(!is_ours(&rendered.stateful_set, &bare, "another"));
    let bare: ConfigMap = changed(&rendered.config_map, |map| map["metadata"]["labels"] = json!(null));
    assert!(is_ours(&rendered.config_map, &bare, UID));
    let bare_helper: ConfigMap = changed(&rendered.helper_config_map, |map| map["metadata"]["labels"] = json!(null));
    assert!(is_ours(&rendered.helper_config_map, &bare_helper, UID));
    assert!(!is_ours(&rendered.config_map, &bare_helper, UID));
    // A user's savepoint of the name of a child.
    let savepoint = crate::api::FlinkSavepoint::new("orders-2-a", crate::api::FlinkSavepointSpec::default());
    assert!(!is_ours(&savepoint, &savepoint.clone(), UID));
    let other: ConfigMap = changed(&bare, |map| map["data"] = json!({"a": "b"}));
    assert!(!is_ours(&rendered.config_map, &other, UID));
}
