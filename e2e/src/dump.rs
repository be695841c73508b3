//! What is kept of a test that failed.

use std::{fmt::Write as _, fs, path::Path};

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, LogParams},
};
use serde_json::Value;

use crate::operator::Operator;

/// Kinds whose objects are written, each to a file of its own.
const KINDS: &[(&str, &str, &str)] = &[
    ("savepoints.dev", "v1alpha1", "FlinkJobUpgrade"),
    ("savepoints.dev", "v1alpha1", "FlinkSavepoint"),
    ("apps", "v1", "StatefulSet"),
    ("apps", "v1", "Deployment"),
    ("apps", "v1", "ControllerRevision"),
    ("", "v1", "Pod"),
    ("", "v1", "Service"),
    ("", "v1", "ConfigMap"),
    ("", "v1", "PersistentVolumeClaim"),
];
const LOG_LINES: i64 = 400;

/// Writes everything that explains a failure to a folder, and the part that matters to standard error.
///
/// A part that cannot be had is left out, with the reason in its place: the failure itself is what counts.
pub(crate) async fn write(client: &Client, operator: &Operator, namespace: &str, folder: &Path) {
    let _ = fs::remove_dir_all(folder);
    if let Err(error) = fs::create_dir_all(folder) {
        eprintln!("{}: {error}", folder.display());
        return;
    }
    let mut story = String::new();
    for (group, version, kind) in KINDS {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        let objects = match api.list(&ListParams::default()).await {
            Ok(list) => list.items,
            Err(error) => {
                save(&folder.join(format!("{kind}.yaml")), &error.to_string());
                continue;
            }
        };
        let mut text = String::new();
        for mut object in objects {
            object.metadata.managed_fields = None;
            if *group == "savepoints.dev" {
                conditions(&mut story, kind, &object);
            }
            let yaml = serde_yaml::to_string(&object).unwrap_or_else(|error| error.to_string());
            let _ = writeln!(text, "---\n{yaml}");
        }
        save(&folder.join(format!("{kind}.yaml")), &text);
    }
    events(client, namespace, folder, &mut story).await;
    pods(client, namespace, folder).await;
    for (name, previous) in [("operator.log", false), ("operator-previous.log", true)] {
        let text = operator.log(LOG_LINES * 5, previous).await.unwrap_or_else(|error| format!("{error:#}"));
        save(&folder.join(name), &text);
    }
    save(&folder.join("story.txt"), &story);
    eprintln!("namespace {namespace} is kept; everything about it is in {}\n{story}", folder.display());
}

fn conditions(story: &mut String, kind: &str, object: &DynamicObject) {
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("-").to_owned();
    let _ = writeln!(story, "{kind} {name}: {}", text(object.data.pointer("/status/phase")));
    let all = object.data.pointer("/status/conditions").and_then(Value::as_array);
    for condition in all.into_iter().flatten() {
        let field = |name: &str| text(condition.get(name));
        let _ = writeln!(story, "  {}={} {}: {}", field("type"), field("status"), field("reason"), field("message"));
    }
}

async fn events(client: &Client, namespace: &str, folder: &Path, story: &mut String) {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Event"));
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let mut events = match api.list(&ListParams::default()).await {
        Ok(list) => list.items,
        Err(error) => {
            save(&folder.join("events.txt"), &error.to_string());
            return;
        }
    };
    let field = |event: &DynamicObject, pointer: &str| {
        event.data.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned()
    };
    events.sort_by_key(|event| event.metadata.creation_timestamp.clone());
    let mut text = String::new();
    let mut warnings = Vec::new();
    for event in &events {
        let time = event.metadata.creation_timestamp.as_ref().map(|time| time.0.to_string()).unwrap_or_default();
        let line = format!(
            "{time} {} {}/{} {}: {}",
            field(event, "/type"),
            field(event, "/involvedObject/kind"),
            field(event, "/involvedObject/name"),
            field(event, "/reason"),
            field(event, "/message")
        );
        let _ = writeln!(text, "{line}");
        if field(event, "/type") == "Warning" {
            warnings.push(line);
        }
    }
    for line in warnings.iter().rev().take(10).rev() {
        let _ = writeln!(story, "  {line}");
    }
    save(&folder.join("events.txt"), &text);
}

async fn pods(client: &Client, namespace: &str, folder: &Path) {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let Ok(pods) = api.list(&ListParams::default()).await else { return };
    for pod in pods {
        let Some(name) = pod.metadata.name.as_deref() else { continue };
        let spec = pod.spec.as_ref();
        let init = spec.and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
        let main = spec.map(|spec| spec.containers.as_slice()).unwrap_or_default();
        for container in init.iter().chain(main).map(|container| container.name.clone()) {
            for (suffix, previous) in [("", false), ("-previous", true)] {
                let parameters = LogParams {
                    container: Some(container.clone()),
                    tail_lines: Some(LOG_LINES),
                    previous,
                    ..LogParams::default()
                };
                if let Ok(log) = api.logs(name, &parameters).await {
                    save(&folder.join(format!("{name}-{container}{suffix}.log")), &log);
                }
            }
        }
    }
}

fn save(file: &Path, text: &str) {
    if let Err(error) = fs::write(file, text) {
        eprintln!("{}: {error}", file.display());
    }
}
