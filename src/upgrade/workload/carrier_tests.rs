use rstest::rstest;
use serde_json::json;

use super::super::render::{self, ANY_FETCH, Rendered, Revision};
use super::*;
use crate::naming;

const UID: &str = "6a1f0c2e-1111-4222-8333-444455556666";

fn spec(more: &serde_json::Value) -> FlinkJobUpgradeSpec {
    let mut spec = json!({
        "flinkCluster": {"service": "flink"},
        "job": {"jarURI": "https://repo/orders.jar", "parallelism": 3, "args": ["--rev", "$(FLINK_REVISION)"]},
    });
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    serde_json::from_value(spec).unwrap()
}

fn rendered(spec: &FlinkJobUpgradeSpec, carrier: &Carrier) -> Result<Rendered, SpecError> {
    let revision = Revision {
        namespace: "shop",
        name: "orders",
        owner_uid: UID,
        number: 3,
        upgrade_id: "3-00000000",
        color: "blue",
        helper_jar: &[],
        fetch: &ANY_FETCH,
        carrier: Some(carrier),
    };
    render::render(&revision, spec)
}

fn of_session() -> Carrier {
    Carrier {
        image: "flink:1.20.5".to_owned(),
        pull_secrets: vec!["registry".to_owned()],
        url: "http://flink.shop.svc:8081".to_owned(),
        auth_secret: Some("rest".to_owned()),
        server_name: None,
        tls_secret: None,
        checkpoint_directory: Some("s3://flink/ck".to_owned()),
        savepoint_directory: Some("s3://flink/sp".to_owned()),
    }
}

#[test]
fn a_carrier_fetches_and_uploads() {
    let spec = spec(&json!({}));
    let rendered = rendered(&spec, &of_session()).unwrap();
    let pod = serde_json::to_value(rendered.stateful_set.spec.unwrap().template.spec.unwrap()).unwrap();
    let init = &pod["initContainers"][0];
    let args: Vec<&str> = init["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    assert_eq!(args[..3], ["jar", "fetch", "https://repo/orders.jar"]);
    assert!(args.contains(&"--upload-to=http://flink.shop.svc:8081"), "{args:?}");
    let prefix = format!("--upload-as={}", naming::session_jar(UID, 3));
    assert!(args.contains(&prefix.as_str()), "{args:?}");
    let variables: Vec<_> = init["env"].as_array().unwrap().iter().map(|v| (&v["name"], &v["valueFrom"])).collect();
    let key = |key: &str| json!({"secretKeyRef": {"name": "rest", "key": key, "optional": true}});
    let expected =
        [("FLINK_REST_TOKEN", "token"), ("FLINK_REST_USERNAME", "username"), ("FLINK_REST_PASSWORD", "password")];
    let expected = expected.map(|(name, of)| (json!(name), key(of)));
    assert!(variables.iter().map(|(n, v)| ((*n).clone(), (*v).clone())).eq(expected), "{variables:?}");
    assert_eq!(pod["containers"][0]["image"], "flink:1.20.5");
    assert_eq!(pod["imagePullSecrets"], json!([{"name": "registry"}]));
    // It has no TaskManagers, and its job starts on the session cluster.
    assert_eq!((rendered.deployment.spec.unwrap().replicas, rendered.slots), (Some(0), 0));
    assert_eq!((rendered.submission.parallelism, rendered.submission.args[1].as_str()), (3, "3"));
    assert_eq!(rendered.checkpoint_directory.as_deref(), Some("s3://flink/ck"));
    assert_eq!(rendered.savepoint_directory.as_deref(), Some("s3://flink/sp"));
    let kept = "execution.checkpointing.externalized-checkpoint-retention";
    let sent = [(kept.to_owned(), "RETAIN_ON_CANCELLATION".to_owned())];
    assert_eq!(rendered.submission.flink_configuration, sent.into());
}

#[test]
fn a_carrier_uploads_by_https() {
    let carrier = Carrier {
        url: "https://flink.shop.svc:8081".to_owned(),
        auth_secret: None,
        server_name: Some("flink.example".to_owned()),
        tls_secret: Some("flink-tls".to_owned()),
        ..of_session()
    };
    let rendered = rendered(&spec(&json!({})), &carrier).unwrap();
    let pod = serde_json::to_value(rendered.stateful_set.spec.unwrap().template.spec.unwrap()).unwrap();
    let init = &pod["initContainers"][0];
    let args: Vec<&str> = init["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    let flags = ["--upload-to=https://flink.shop.svc:8081", "--upload-server-name=flink.example"];
    assert!(flags.iter().all(|flag| args.contains(flag)), "{args:?}");
    let key = |name: &str, key: &str| json!({"name": name, "valueFrom": {"secretKeyRef": {"name": "flink-tls", "key": key, "optional": true}}});
    let expected =
        [key("FLINK_REST_CA", "ca.crt"), key("FLINK_REST_CERTIFICATE", "tls.crt"), key("FLINK_REST_KEY", "tls.key")];
    assert_eq!(init["env"], json!(expected));
}

#[test]
fn what_a_session_cluster_is_like_makes_no_revision() {
    let spec = spec(&json!({}));
    let other = Carrier { image: "flink:2.3.0".to_owned(), ..Carrier::default() };
    let (one, other) = (rendered(&spec, &of_session()).unwrap(), rendered(&spec, &other).unwrap());
    assert_eq!(one.revision_hash, other.revision_hash);
    assert_eq!(one.revision_hash, super::super::revision_hash(&spec));
}

#[test]
fn the_jobs_own_configuration_goes_with_it() {
    let given = json!({"flinkConfiguration": {
        "execution.checkpointing": {"interval": "5s", "dir": "s3://mine/ck"}, "state.backend": "rocksdb",
    }});
    let rendered = rendered(&spec(&given), &of_session()).unwrap();
    let sent = rendered.submission.flink_configuration;
    assert_eq!(sent["execution.checkpointing.interval"], "5s");
    assert_eq!(sent["execution.checkpointing.dir"], "s3://mine/ck/shop/orders");
    assert_eq!(sent["state.backend.type"], "rocksdb");
    assert_eq!(rendered.checkpoint_directory.as_deref(), Some("s3://mine/ck/shop/orders"));
    assert!(sent.keys().all(|key| is_of_a_job(key)), "{sent:?}");
}

#[rstest]
#[case::jar(json!({"job": {"jarURI": "local:///a.jar", "parallelism": 1}}), "spec.job.jarURI: 'local:///a.jar'")]
#[case::slots(
    json!({"flinkConfiguration": {"taskmanager.numberOfTaskSlots": 2}}),
    "spec.flinkConfiguration.taskmanager.numberOfTaskSlots: '2' is not of a job"
)]
#[case::high_availability(
    json!({"flinkConfiguration": {"high-availability.type": "kubernetes"}}),
    "spec.flinkConfiguration.high-availability.type: 'kubernetes' is not of a job"
)]
fn what_is_not_the_jobs_is_refused(#[case] given: serde_json::Value, #[case] message: &str) {
    let error = rendered(&spec(&given), &of_session()).unwrap_err().to_string();
    assert!(error.starts_with(message), "{error}");
}
