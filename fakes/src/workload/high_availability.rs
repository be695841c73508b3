//! The ConfigMaps of Flink's high availability: what leaders write, and what follows if somebody else deletes them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::node::{Pod, Process};
use super::state::{FLINK, State};
use crate::flink::{Cluster, LEADERS, Version};
use crate::kube::Key;

/// Whether a configuration asks for it.
pub(super) fn is_high_availability(configuration: &BTreeMap<String, String>) -> bool {
    let factory = "org.apache.flink.kubernetes.highavailability.KubernetesHaServicesFactory";
    let value = configuration.get("high-availability.type").or_else(|| configuration.get("high-availability"));
    value.is_some_and(|value| value.eq_ignore_ascii_case("kubernetes") || value == factory)
}

fn path(namespace: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/configmaps/{name}")
}

impl State {
    /// Leaders write what has changed, and delete what they need no more. What they never had is not touched.
    pub(super) fn leaders_write(&mut self) {
        for cluster in self.clusters() {
            let Some(maps) = cluster.high_availability_maps() else { continue };
            let (namespace, id) = cluster.id();
            let old: Vec<String> =
                self.maps.keys().filter(|(of, _)| *of == namespace).map(|(_, n)| n.clone()).collect();
            for name in old.iter().filter(|name| is_of(&id, name)).filter(|name| !maps.contains_key(*name)) {
                self.maps.remove(&(namespace.clone(), name.clone()));
                self.write("DELETE", &path(&namespace, name), &Value::Null);
            }
            for (name, data) in maps {
                self.leader_writes(&namespace, &id, &name, data);
            }
        }
    }

    fn leader_writes(&mut self, namespace: &str, id: &str, name: &str, data: BTreeMap<String, String>) {
        let at = (namespace.to_owned(), name.to_owned());
        if self.maps.get(&at) == Some(&data) {
            return;
        }
        match self.server.object("configmaps", namespace, name) {
            None => {
                let mut labels = json!({"app": id, "type": "flink-native-kubernetes"});
                if let (Version::V1_20, Some(labels)) = (self.settings.flink.version, labels.as_object_mut()) {
                    labels.insert("configmap-type".to_owned(), json!("high-availability"));
                }
                let map = json!({"metadata": {"name": name, "labels": labels}, "data": data});
                self.write("POST", &format!("/api/v1/namespaces/{namespace}/configmaps"), &map);
            }
            Some(found) => {
                let had = found.get("data").and_then(Value::as_object).into_iter().flat_map(Map::keys);
                let mut changes: Map<String, Value> = had.map(|key| (key.clone(), Value::Null)).collect();
                changes.extend(data.iter().map(|(key, value)| (key.clone(), json!(value))));
                self.write("PATCH", &path(namespace, name), &json!({"data": changes}));
            }
        }
        self.maps.insert(at, data);
    }

    /// A JobManager that is told to end takes back that it leads, and nothing else.
    pub(super) fn leader_leaves(&mut self, namespace: &str, id: &str) {
        let name = format!("{id}-cluster-config-map");
        let Some(data) = self.maps.get_mut(&(namespace.to_owned(), name.clone())) else { return };
        data.retain(|key, _| !LEADERS.contains(&key.as_str()));
        let gone: Map<String, Value> = LEADERS.iter().map(|key| ((*key).to_owned(), Value::Null)).collect();
        self.write("PATCH", &path(namespace, &name), &json!({"data": gone}));
    }

    /// Somebody has deleted a ConfigMap. A leader that loses that of its cluster exits.
    pub(super) fn map_gone(&mut self, map: &Key) {
        self.maps.remove(&(map.namespace.clone(), map.name.clone()));
        let of = |cluster: &Cluster| cluster.id().0 == map.namespace;
        for cluster in self.clusters().iter().filter(|cluster| of(cluster)) {
            cluster.map_is_gone(&map.name);
            if cluster.is_cluster_map(&map.name) {
                // Nobody knows of those of its jobs any more, and so they stay.
                let (namespace, id) = cluster.id();
                self.maps.retain(|(of, name), _| *of != namespace || !is_of(&id, name));
            }
        }
        let loses = |pod: &&Pod| {
            let cluster = pod.cluster.as_ref().filter(|cluster| of(cluster));
            pod.runs && pod.process == Some(Process::JobManager) && cluster.is_some_and(|c| c.is_cluster_map(&map.name))
        };
        let exit: Vec<String> = self.pods.values().filter(loses).map(|pod| pod.name.clone()).collect();
        for pod in exit {
            self.kill_container(&pod);
        }
    }

    fn write(&self, method: &str, path: &str, body: &Value) {
        // What is refused, in a namespace that ends, is refused for good.
        let _ = self.server.request(FLINK, method, path, body);
    }
}

/// Whether a ConfigMap's name is that of a job of the cluster with this id.
fn is_of(id: &str, name: &str) -> bool {
    let job = name.strip_prefix(id).and_then(|rest| rest.strip_prefix('-')?.strip_suffix("-config-map"));
    job.is_some_and(|job| job.len() == 32 && job.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
