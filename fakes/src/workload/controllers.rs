//! The controllers of StatefulSets and Deployments, and the garbage collector of what they made.

use serde_json::{Value, json};

use super::state::{State, text};
use crate::kube::Key;

/// The path of a namespace's objects of a resource in `apps/v1`.
fn apps(namespace: &str, plural: &str) -> String {
    format!("/apis/apps/v1/namespaces/{namespace}/{plural}")
}

pub(super) fn pods(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/pods")
}

impl State {
    /// A controller looks at an object: as many pods as are wanted, and the status.
    pub(super) fn control(&mut self, key: &Key) {
        // One that was made again under its name is another owner.
        self.collect(&key.namespace);
        let Some(object) = self.server.object(&key.resource, &key.namespace, &key.name) else { return };
        let uid = text(&object, "/metadata/uid");
        let own: Vec<Value> = self.server.objects("pods").into_iter().filter(|pod| text(pod, OWNER) == uid).collect();
        let wanted = object.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
        let wanted = usize::try_from(wanted).unwrap_or_default();
        let ordinal = key.resource.starts_with("statefulsets");
        if ordinal {
            // A name is free only when its pod is gone, and then the pod is another.
            let name = |number: usize| format!("{}-{number}", key.name);
            self.keep_history(key, &object);
            for number in 0..wanted {
                self.create_pod(key, &object, &name(number));
            }
            let names: Vec<String> = (0..wanted).map(name).collect();
            own.iter().filter(|pod| !names.contains(&text(pod, NAME))).for_each(|pod| self.delete_pod(pod));
        } else {
            let stays = |pod: &&Value| pod.pointer("/metadata/deletionTimestamp").is_none();
            let outdated: Vec<&Value> = own.iter().filter(|pod| !is_of_template(pod, &object)).collect();
            // `Recreate`: new pods come when all of the old template are gone.
            outdated.iter().filter(|pod| stays(pod)).for_each(|pod| self.delete_pod(pod));
            if outdated.is_empty() {
                let staying: Vec<&Value> = own.iter().filter(stays).collect();
                for _ in staying.len()..wanted {
                    let name = format!("{}-{:05}", key.name, self.draw());
                    self.create_pod(key, &object, &name);
                }
                staying.iter().skip(wanted).for_each(|pod| self.delete_pod(pod));
            }
        }
        let count = self.server.objects("pods").iter().filter(|pod| text(pod, OWNER) == uid).count();
        let generation = object.pointer("/metadata/generation");
        let mut status = json!({"status": {"observedGeneration": generation, "replicas": count}});
        if let (false, Some(status)) = (ordinal, status.get_mut("status").and_then(Value::as_object_mut)) {
            let refused = count < wanted && self.refused.contains(&key.resource.as_str());
            let failure =
                json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": QUOTA});
            status.insert("conditions".to_owned(), if refused { json!([failure]) } else { Value::Null });
        }
        let plural = key.resource.split('.').next().unwrap_or_default();
        self.ask("PATCH", &format!("{}/{}/status", apps(&key.namespace, plural), key.name), &status);
    }

    /// A StatefulSet keeps ControllerRevisions of its own, with its pods' labels.
    fn keep_history(&self, key: &Key, set: &Value) {
        let name = format!("{}-5d8f7c9b6", key.name);
        if self.server.object("controllerrevisions.apps", &key.namespace, &name).is_none() {
            let labels = set.pointer("/spec/template/metadata/labels");
            let metadata = json!({"name": name, "labels": labels, "ownerReferences": [owner(set)]});
            let revision = json!({"metadata": metadata, "revision": 1, "data": {}});
            self.ask("POST", &apps(&key.namespace, "controllerrevisions"), &revision);
        }
    }

    fn create_pod(&self, key: &Key, set: &Value, name: &str) {
        if self.refused.contains(&key.resource.as_str()) {
            return self.tell_refusal(key, set, name);
        }
        let template = set.pointer("/spec/template").cloned().unwrap_or_default();
        let mut pod = json!({"metadata": template.get("metadata"), "spec": template.get("spec")});
        let owner = owner(set);
        for (field, value) in [("name", json!(name)), ("ownerReferences", json!([owner]))] {
            if let Some(metadata) = pod.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.insert(field.to_owned(), value);
            }
        }
        // There is one node that can be reached, and it has room.
        if let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) {
            spec.insert("nodeName".to_owned(), json!(self.node()));
        }
        self.ask("POST", &pods(&key.namespace), &pod);
    }

    /// Of a StatefulSet only Events say so.
    fn tell_refusal(&self, key: &Key, set: &Value, name: &str) {
        let regarding = json!({"kind": set.get("kind"), "namespace": key.namespace, "name": key.name,
            "uid": set.pointer("/metadata/uid")});
        let event = json!({"metadata": {"name": format!("{}.refused", key.name)}, "regarding": regarding,
            "type": "Warning", "reason": "FailedCreate", "note": format!("create Pod {name} failed error: {QUOTA}")});
        self.ask("POST", &format!("/apis/events.k8s.io/v1/namespaces/{}/events", key.namespace), &event);
    }

    fn delete_pod(&self, pod: &Value) {
        let options = json!({"preconditions": {"uid": text(pod, "/metadata/uid")}});
        self.ask("DELETE", &format!("{}/{}", pods(&text(pod, NAMESPACE)), text(pod, NAME)), &options);
    }

    /// What has an owner that is not there goes.
    fn collect(&self, namespace: &str) {
        let owners: Vec<String> = ["statefulsets.apps", "deployments.apps"]
            .iter()
            .flat_map(|resource| self.server.objects(resource))
            .map(|object| text(&object, "/metadata/uid"))
            .collect();
        let orphan = |object: &&Value| {
            let owner = text(object, OWNER);
            !owner.is_empty() && !owners.contains(&owner)
        };
        self.server.objects("pods").iter().filter(orphan).for_each(|pod| self.delete_pod(pod));
        for revision in self.server.objects("controllerrevisions.apps").iter().filter(orphan) {
            let path = format!("{}/{}", apps(namespace, "controllerrevisions"), text(revision, NAME));
            self.ask("DELETE", &path, &Value::Null);
        }
    }
}

/// Why no pods may be made.
const QUOTA: &str = "pods are forbidden: exceeded quota: compute";
const NAME: &str = "/metadata/name";
const NAMESPACE: &str = "/metadata/namespace";
/// The UID of what made it.
const OWNER: &str = "/metadata/ownerReferences/0/uid";

/// Whether a pod was made of the template that its Deployment has now.
fn is_of_template(pod: &Value, deployment: &Value) -> bool {
    let mut spec = pod.get("spec").cloned().unwrap_or_default();
    if let Some(spec) = spec.as_object_mut() {
        spec.remove("nodeName");
    }
    let template = |pointer: &str| deployment.pointer(&format!("/spec/template{pointer}"));
    let same = |pointer: &str| template(pointer) == pod.pointer(pointer);
    template("/spec") == Some(&spec) && same("/metadata/labels") && same("/metadata/annotations")
}

fn owner(set: &Value) -> Value {
    let field = |pointer: &str| set.pointer(pointer);
    json!({"apiVersion": field("/apiVersion"), "kind": field("/kind"), "name": field(NAME),
        "uid": field("/metadata/uid"), "controller": true, "blockOwnerDeletion": true})
}

/// The owner of a pod, as its controller knows it.
pub(super) fn owner_of(pod: &Value) -> Option<Key> {
    let owner = pod.pointer("/metadata/ownerReferences/0")?;
    let resource = match owner.get("kind")?.as_str()? {
        "StatefulSet" => "statefulsets.apps",
        "Deployment" => "deployments.apps",
        _ => return None,
    };
    let name = owner.get("name")?.as_str()?.to_owned();
    Some(Key { resource: resource.to_owned(), namespace: text(pod, NAMESPACE), name })
}
