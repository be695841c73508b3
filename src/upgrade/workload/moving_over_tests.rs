//! Manifests for Apache's operator, with the fields of its samples, moved over as `docs/flinkdeployment.md` says: each is
//! admitted and rendered.

use kube::core::cel::Validator;
use rstest::rstest;
use serde_json::{Map, Value, json};

use super::render::ANY_FETCH;
use super::{Rendered, Revision, render};
use crate::api::{FlinkJobUpgradeSpec, crds};

/// A manifest moved over, each change a row of the page's table of deviations.
fn moved_over(mut deployment: Value) -> Value {
    deployment["apiVersion"] = json!(crate::api::API_VERSION);
    deployment["kind"] = json!("FlinkJobUpgrade");
    let spec = deployment["spec"].as_object_mut().unwrap();
    if spec["flinkVersion"] == "v2_2" {
        spec.insert("flinkVersion".to_owned(), json!("v2_3"));
    }
    for gone in ["ingress", "mode"] {
        spec.remove(gone);
    }
    for part in ["jobManager", "taskManager"] {
        let part = spec[part].as_object_mut().unwrap();
        if let Some(resources) = part.remove("resources") {
            let requests = &resources["requests"];
            let cpu = requests["cpu"].as_str().unwrap();
            let cpu = cpu.strip_suffix('m').map_or_else(|| cpu.parse(), |milli| milli.parse().map(|m: f64| m / 1000.0));
            part.insert("resource".to_owned(), json!({"memory": requests["memory"], "cpu": cpu.unwrap()}));
        }
    }
    spec["jobManager"].as_object_mut().unwrap().remove("replicas");
    if let Some(configuration) = spec.get_mut("flinkConfiguration").and_then(Value::as_object_mut) {
        configuration.retain(|key, _| !key.starts_with("kubernetes.operator."));
    }
    let Some(job) = spec.get_mut("job").and_then(Value::as_object_mut) else { return deployment };
    job.remove("savepointTriggerNonce");
    if let Some(path) = job.remove("initialSavepointPath") {
        job.insert("restoreFrom".to_owned(), json!({"id": "moved-over", "path": path}));
    }
    let from = match job.remove("upgradeMode").as_ref().and_then(Value::as_str) {
        Some("stateless") => Some("Empty"),
        Some("last-state") => Some("Checkpoint"),
        _ => None,
    };
    if let Some(from) = from {
        spec.insert("upgrade".to_owned(), json!({"from": from}));
    }
    deployment
}

/// The failures of admission: the schema's rules, and fields that it does not have.
fn refused(object: &Value) -> Vec<String> {
    let crd = crds().into_iter().find(|crd| crd.spec.names.kind == "FlinkJobUpgrade").unwrap();
    let schema = crd.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
    let failures = Validator::new().validate(&serde_json::to_value(schema).unwrap(), object, None).err();
    let mut failures: Vec<String> = failures.into_iter().flatten().map(|failure| failure.message).collect();
    match serde_json::from_value::<FlinkJobUpgradeSpec>(object["spec"].clone()) {
        Ok(spec) => {
            let kept = serde_json::to_value(spec).unwrap();
            failures.extend(super::template::unknown_field(&object["spec"], &kept, "spec"));
        }
        Err(error) => failures.push(error.to_string()),
    }
    failures
}

fn rendered(object: &Value) -> Rendered {
    let spec = serde_json::from_value(object["spec"].clone()).unwrap();
    let revision = Revision {
        namespace: "default",
        name: object["metadata"]["name"].as_str().unwrap(),
        owner_uid: "0d9b2a52-1c6f-4f0e-9f5e-3a1b7c2d4e5f",
        number: 1,
        upgrade_id: "1-1a2b3c4d",
        color: "blue",
        helper_jar: &[],
        fetch: &ANY_FETCH,
        carrier: None,
    };
    render(&revision, &spec).unwrap()
}

#[rstest]
#[case::basic(include_str!("../../../tests/fixtures/flinkdeployment/basic.yaml"))]
#[case::basic_older(include_str!("../../../tests/fixtures/flinkdeployment/basic-older.yaml"))]
#[case::checkpoint_ha(include_str!("../../../tests/fixtures/flinkdeployment/checkpoint-ha.yaml"))]
#[case::pod_template(include_str!("../../../tests/fixtures/flinkdeployment/pod-template.yaml"))]
#[case::logging_and_ingress(include_str!("../../../tests/fixtures/flinkdeployment/logging-and-ingress.yaml"))]
fn apaches_samples_move_over(#[case] manifest: &str) {
    let given: Value = serde_yaml::from_str(manifest).unwrap();
    assert!(!refused(&given).is_empty(), "nothing has to change");
    let moved = moved_over(given.clone());
    assert_eq!(refused(&moved), Vec::<String>::new());
    assert_eq!(crate::api::coverage::unknown("FlinkJobUpgrade", &moved["spec"]), Vec::<String>::new());

    let rendered = rendered(&moved);
    assert_eq!(rendered.submission.parallelism, 2);
    let templates = [rendered.stateful_set.spec.unwrap().template, rendered.deployment.spec.unwrap().template];
    for template in templates {
        let pod = template.spec.unwrap();
        assert_eq!(pod.service_account_name.as_deref(), Some("flink"));
        let main = &pod.containers[0];
        assert_eq!(main.image.as_deref(), given["spec"]["image"].as_str());
        let limits = main.resources.as_ref().unwrap().limits.as_ref().unwrap();
        assert_eq!(limits["memory"].0, "2Gi");
        // Whatever else the user has in his pods is there.
        let nothing = Map::new();
        let own = given.pointer("/spec/podTemplate/spec").and_then(Value::as_object).unwrap_or(&nothing);
        let names = |list: Option<&Value>| -> Vec<String> {
            let items = list.and_then(Value::as_array).into_iter().flatten();
            items.map(|item| item["name"].as_str().unwrap().to_owned()).collect()
        };
        assert!(names(own.get("containers")).iter().all(|name| pod.containers.iter().any(|c| c.name == *name)));
        let volumes = pod.volumes.unwrap_or_default();
        assert!(names(own.get("volumes")).iter().all(|name| volumes.iter().any(|volume| volume.name == *name)));
    }
}

#[test]
fn a_jar_that_an_init_container_fetches_is_found() {
    let manifest = include_str!("../../../tests/fixtures/flinkdeployment/pod-template.yaml");
    let rendered = rendered(&moved_over(serde_yaml::from_str(manifest).unwrap()));
    let inits = rendered.stateful_set.spec.unwrap().template.spec.unwrap().init_containers.unwrap();
    let names: Vec<&str> = inits.iter().map(|init| init.name.as_str()).collect();
    assert_eq!(names, ["busybox", "flink-job-jar"]);
    assert!(inits[1].volume_mounts.as_ref().unwrap().iter().any(|mount| mount.name == "downloads"));
}

/// What the page says can't be had is refused, and not half done.
#[test]
fn a_session_cluster_without_a_job_does_not_move_over() {
    let manifest = include_str!("../../../tests/fixtures/flinkdeployment/session.yaml");
    let moved = moved_over(serde_yaml::from_str(manifest).unwrap());
    assert!(refused(&moved).iter().any(|message| message.contains("missing field `job`")), "{:?}", refused(&moved));
}
