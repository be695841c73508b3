use rstest::rstest;
use serde_json::json;

use super::*;

const UID: &str = "0d9b2a52-1c6f-4f0e-9f5e-3a1b7c2d4e5f";

fn revision() -> Revision<'static> {
    Revision {
        namespace: "prod",
        name: "orders",
        owner_uid: UID,
        number: 3,
        upgrade_id: "3-1a2b3c4d",
        color: "blue",
        helper_jar: b"jar",
        fetch: &super::super::render::ANY_FETCH,
        carrier: None,
    }
}

fn given(value: Value) -> FlinkConfiguration {
    serde_json::from_value(value).unwrap()
}

fn built(value: Value) -> Result<Configuration, SpecError> {
    build(&revision(), Some(FlinkVersion::V1_20), &given(value))
}

#[test]
fn nested_maps_and_plain_values_become_flat_text() {
    let flat = flatten(&given(json!({
        "execution": {"checkpointing": {"interval": "2s", "unaligned": {"enabled": true}}},
        "taskmanager.numberOfTaskSlots": 2,
        "taskmanager": {"memory.managed": {"fraction": 0.25}},
        "a.list": ["x", "y: z"],
        "empty": {},
        "text": "",
    })))
    .unwrap();
    let expected = [
        ("a.list", r#"["x","y: z"]"#),
        ("execution.checkpointing.interval", "2s"),
        ("execution.checkpointing.unaligned.enabled", "true"),
        ("taskmanager.memory.managed.fraction", "0.25"),
        ("taskmanager.numberOfTaskSlots", "2"),
        ("text", ""),
    ];
    assert_eq!(flat, expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
}

#[rstest]
#[case("state.checkpoints.dir", "execution.checkpointing.dir")]
#[case("state.savepoints.dir", "execution.checkpointing.savepoint-dir")]
#[case("state.checkpoints.num-retained", "execution.checkpointing.num-retained")]
#[case("state.backend", "state.backend.type")]
#[case("high-availability", "high-availability.type")]
#[case("env.java.opts", "env.java.opts.all")]
fn old_names_become_new_ones_and_never_stand_beside_them(#[case] old: &str, #[case] new: &str) {
    assert_eq!(flatten(&given(json!({old: "x"}))).unwrap().into_keys().collect::<Vec<_>>(), [new]);
    let error = flatten(&given(json!({old: "x", new: "x"}))).unwrap_err().to_string();
    assert!(error.starts_with(FIELD) && error.contains("under its old name and its new one"), "{error}");
    assert!(error.contains(old) && error.ends_with(&format!("keep {new} only")), "{error}");
}

#[rstest]
#[case(json!({"kubernetes.cluster-id": "x"}), "kubernetes.cluster-id")]
#[case(json!({"high-availability.cluster-id": "x"}), "high-availability.cluster-id")]
#[case(json!({"high-availability.zookeeper.path.namespace": "x"}), "high-availability.zookeeper.path.namespace")]
#[case(json!({"jobmanager": {"rpc": {"address": "x"}}}), "jobmanager.rpc.address")]
#[case(json!({"jobmanager.rpc.port": 1}), "jobmanager.rpc.port")]
#[case(json!({"rest.port": 1}), "rest.port")]
#[case(json!({"rest.bind-port": "1-2"}), "rest.bind-port")]
#[case(json!({"jobmanager.web.port": 1}), "jobmanager.web.port")]
#[case(json!({"blob.server.port": 1}), "blob.server.port")]
#[case(json!({"web.upload.dir": "x"}), "web.upload.dir")]
#[case(json!({"web.submit.enable": false}), "web.submit.enable")]
#[case(json!({"execution.target": "local"}), "execution.target")]
#[case(json!({"execution.checkpointing.create-subdir": false}), "execution.checkpointing.create-subdir")]
#[case(json!({"state.checkpoints.create-subdir": false}), "state.checkpoints.create-subdir")]
#[case(json!({"execution.savepoint.path": "s3://x"}), "execution.savepoint.path")]
#[case(json!({"$internal.pipeline.job-id": "x"}), "$internal.pipeline.job-id")]
fn keys_of_the_operator_are_refused(#[case] configuration: Value, #[case] key: &str) {
    let error = built(configuration).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{FIELD}.{key}: '")), "{error}");
    assert!(error.contains("the operator owns this key; "), "{error}");
}

#[rstest]
#[case(json!({"a.b": 1, "a": {"b": 2}}), "spec.flinkConfiguration.a.b: '1' is given twice, flat and nested; give it once")]
#[case(json!({"a": null}), "spec.flinkConfiguration.a: 'null' is no value; give one, or remove the key")]
#[case(json!({"a b": 1}), "spec.flinkConfiguration: 'a b' is not a key; use keys of Flink's configuration such as execution.checkpointing.interval")]
#[case(json!({"a": {"": 1}}), "spec.flinkConfiguration: '' is not a key; use keys of Flink's configuration such as execution.checkpointing.interval")]
#[case(json!({"taskmanager.numberOfTaskSlots": 0}), "spec.flinkConfiguration.taskmanager.numberOfTaskSlots: '0' is not a number of slots; give a whole number from 1 to 32768")]
#[case(json!({"state.checkpoints.dir": " "}), "spec.flinkConfiguration.execution.checkpointing.dir: '' is not a directory; give a directory such as s3://bucket/path, or remove the key")]
#[case(json!({"high-availability.type": "zookeeper"}), "spec.flinkConfiguration.high-availability.type: 'zookeeper' is not supported: the operator cleans up after Kubernetes' high availability only; use kubernetes or NONE")]
#[case(json!({"high-availability.type": "kubernetes"}), "spec.flinkConfiguration.high-availability.type: 'kubernetes' needs high-availability.storageDir; set high-availability.storageDir to a directory such as s3://bucket/ha")]
#[case(json!({"kubernetes.namespace": "dev"}), "spec.flinkConfiguration.kubernetes.namespace: 'dev' is not the job's namespace prod; remove it")]
fn bad_values_are_refused(#[case] configuration: Value, #[case] message: &str) {
    assert_eq!(built(configuration).unwrap_err().to_string(), message);
}

#[test]
fn bases_get_a_directory_for_the_job() {
    let built = built(json!({
        "state.checkpoints.dir": "s3://flink/ck/",
        "execution.checkpointing.savepoint-dir": "s3://flink/sp",
    }))
    .unwrap();
    assert_eq!(built.checkpoint_directory.as_deref(), Some("s3://flink/ck/prod/orders"));
    assert_eq!(built.savepoint_directory.as_deref(), Some("s3://flink/sp/prod/orders"));
    assert_eq!(built.warm_up_directory.unwrap(), format!("s3://flink/ck/.warm/{UID}"));
    assert_eq!(built.entries["execution.checkpointing.dir"], "s3://flink/ck/prod/orders");
    assert_eq!(built.entries["execution.checkpointing.savepoint-dir"], "s3://flink/sp/prod/orders");
    assert!(!built.high_availability);
    assert!(!built.entries.contains_key("kubernetes.cluster-id"));
}

#[rstest]
#[case("kubernetes")]
#[case("KUBERNETES")]
#[case(KUBERNETES_HA_FACTORY)]
fn high_availability_is_one_clusters_own(#[case] kind: &str) {
    let built = built(json!({
        "high-availability": kind,
        "high-availability.storageDir": "s3://flink/ha",
        "job-result-store.storage-path": "s3://flink/jrs",
    }))
    .unwrap();
    assert!(built.high_availability);
    for (key, value) in [
        ("high-availability.cluster-id", "orders-3"),
        ("high-availability.jobmanager.port", "6123"),
        ("high-availability.storageDir", "s3://flink/ha/prod/orders/3"),
        ("job-result-store.storage-path", "s3://flink/jrs/prod/orders/3"),
        ("kubernetes.cluster-id", "orders-3"),
        ("kubernetes.namespace", "prod"),
    ] {
        assert_eq!(built.entries[key], value, "{key}");
    }
}

#[test]
fn defaults_give_way_and_owned_values_do_not() {
    let plain = built(json!({})).unwrap();
    for (key, value) in DEFAULTS {
        assert_eq!(plain.entries[key], value);
    }
    assert_eq!(plain.slots, 1);
    let own: FlinkConfiguration = DEFAULTS.iter().map(|(key, _)| ((*key).to_owned(), json!("7"))).collect();
    let own = build(&revision(), None, &own).unwrap();
    assert_eq!(own.slots, 7);
    for (key, _) in DEFAULTS {
        assert_eq!(own.entries[key], "7");
    }
}

#[test]
fn java_options_are_the_shipped_ones_and_the_users() {
    let own = built(json!({"env.java.opts": " -Dx=1 "})).unwrap();
    let opts = &own.entries["env.java.opts.all"];
    assert!(opts.starts_with("--add-exports=java.base/sun.net.util=ALL-UNNAMED --add-exports=java.rmi/"), "{opts}");
    assert!(opts.ends_with("java.util.concurrent.locks=ALL-UNNAMED -Dx=1"), "{opts}");
    assert!(!opts.contains("  "), "{opts}");
    let newer = build(&revision(), Some(FlinkVersion::V2_3), &FlinkConfiguration::new()).unwrap();
    assert!(!newer.entries["env.java.opts.all"].contains("sun.net.util"));
}

#[test]
fn variables_are_substituted() {
    let own = built(json!({"a": "x-$(FLINK_REVISION)-$(FLINK_COLOR)-$(FLINK_UPGRADE_ID)-$(OTHER)"})).unwrap();
    assert_eq!(own.entries["a"], "x-3-blue-3-1a2b3c4d-$(OTHER)");
}

#[test]
fn any_value_survives_as_yaml() {
    let values = ["yes", "1e3", "a: b", "# no comment", "'", "\"", "a\nb: c", "*x", "null", "", "0x10", "- a", "{a}"];
    let entries: BTreeMap<_, _> = values.iter().enumerate().map(|(n, v)| (format!("k.{n}"), (*v).to_owned())).collect();
    let text = to_yaml(&entries).unwrap();
    assert_eq!(serde_yaml::from_str::<BTreeMap<String, String>>(&text).unwrap(), entries);
    assert_eq!(text.lines().filter(|line| line.starts_with("k.")).count(), entries.len(), "flat keys only: {text}");
}
