//! The node: pods become containers, and containers Flink's processes.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::controllers::{owner_of, pods};
use super::high_availability::is_high_availability;
use super::settings::Ended;
use super::state::{Event, State, text};
use crate::flink::{self, Cluster, Down, JobScript};
use crate::kube::Key;

/// An init container that has failed is started again after this time.
const AGAIN: Duration = Duration::from_millis(500);

/// What a container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Process {
    JobManager,
    TaskManager,
}

/// What a pod's node hears of it from the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    /// All.
    Hears,
    /// It is silent.
    Silent,
    /// It has not heard that the pod is deleted,
    DeletedUnheard,
    /// or that it is not there any more.
    GoneUnheard,
}

/// A jar that an init container uploads to another cluster.
#[derive(Debug, Clone)]
struct Upload {
    /// The Service of that cluster's JobManager.
    service: String,
    /// What the file's name begins with.
    prefix: String,
    /// Where the jar comes from, which stands for its content.
    content: String,
}

impl Upload {
    fn of(init: &Value) -> Option<Self> {
        let args: Vec<&str> = init.get("args")?.as_array()?.iter().filter_map(Value::as_str).collect();
        let flag = |name: &str| args.iter().find_map(|arg| arg.strip_prefix(name)?.strip_prefix('='));
        let host = flag("--upload-to")?.strip_prefix("http://")?;
        Some(Self {
            service: host.split('.').next()?.to_owned(),
            prefix: flag("--upload-as")?.to_owned(),
            content: (*args.get(2)?).to_owned(),
        })
    }
}

/// A pod on the node.
#[derive(Debug, Clone)]
pub(super) struct Pod {
    namespace: String,
    pub name: String,
    /// What made it.
    owner: Option<Key>,
    /// Its first container's.
    container: String,
    image: String,
    /// Of the init containers, the first: its name, and how it ends.
    init: Option<(String, Ended)>,
    /// The jar that it uploads elsewhere, until it has.
    uploads: Option<Upload>,
    pub process: Option<Process>,
    /// The cluster that its process is of.
    pub cluster: Option<Cluster>,
    address: String,
    restarts: u32,
    /// Its container runs.
    pub runs: bool,
    /// It was told to end.
    ends: bool,
    pub node: Node,
    /// Nobody reaches it.
    pub cut_off: bool,
}

impl Pod {
    /// Its node is silent.
    pub fn is_silent(&self) -> bool {
        self.node != Node::Hears
    }

    /// What its first init container says that does not come to its end.
    fn init_fails(&self) -> Option<&str> {
        self.init.as_ref()?.1.as_ref().err().map(String::as_str)
    }
}

impl State {
    pub(super) fn pod_created(&mut self, pod: &Value) {
        let uid = text(pod, "/metadata/uid");
        let first = |pointer: &str| text(pod, &format!("/spec/containers/0{pointer}"));
        let namespace = text(pod, "/metadata/namespace");
        let init = pod.pointer("/spec/initContainers/0");
        let cluster = self.cluster_of(pod, &namespace, &first("/image"));
        let number = self.draw();
        let process = match first("/args/0").as_str() {
            "jobmanager" => Some(Process::JobManager),
            "taskmanager" => Some(Process::TaskManager),
            _ => None,
        };
        let pod = Pod {
            owner: owner_of(pod),
            name: text(pod, "/metadata/name"),
            container: first("/name"),
            image: first("/image"),
            init: init.map(|init| (text(init, "/name"), (self.settings.init)(init))),
            uploads: init.and_then(Upload::of),
            process,
            cluster,
            address: format!("10.0.{}.{}", number / 250, number % 250 + 1),
            restarts: 0,
            runs: false,
            ends: false,
            node: Node::Hears,
            cut_off: false,
            namespace,
        };
        self.pods.insert(uid.clone(), pod);
        self.after(self.settings.container, Event::Container(uid));
    }

    /// The cluster whose configuration the pod mounts from a ConfigMap; a new one, if the ConfigMap is.
    fn cluster_of(&mut self, pod: &Value, namespace: &str, image: &str) -> Option<Cluster> {
        let volumes = pod.pointer("/spec/volumes").and_then(Value::as_array);
        let maps = volumes.into_iter().flatten().map(|volume| text(volume, "/configMap/name"));
        let read = |map: String| {
            let map = self.server.object("configmaps", namespace, &map)?;
            let configuration = serde_yaml::from_str(map.get("data")?.get("config.yaml")?.as_str()?).ok()?;
            Some((text(&map, "/metadata/uid"), configuration))
        };
        let (uid, configuration) = maps.filter(|map| !map.is_empty()).find_map(read)?;
        let fetched = pod.pointer("/spec/initContainers/0").and_then(|init| (self.settings.fetched)(init));
        let jars = fetched.or_else(|| (self.settings.images)(image)).unwrap_or_default();
        let new = || self.new_cluster(namespace, jars, &configuration);
        let cluster = self.clusters.get(&uid).cloned().unwrap_or_else(new);
        self.clusters.insert(uid, cluster.clone());
        Some(cluster)
    }

    fn new_cluster(
        &self,
        namespace: &str,
        jars: Vec<(String, JobScript)>,
        configuration: &BTreeMap<String, String>,
    ) -> Cluster {
        let common = self.settings.flink.clone();
        let value = |key: &str| configuration.get(key).cloned();
        let address = value("jobmanager.rpc.address").unwrap_or_default();
        let high_availability = is_high_availability(configuration);
        let number = |key: &str| configuration.get(key).and_then(|value| value.parse().ok());
        let refresh = number("web.refresh-interval").map(Duration::from_millis);
        let cluster = Cluster::without_processes(flink::Settings {
            high_availability,
            // Without, the Service of its JobManager names it as well.
            cluster_id: value("kubernetes.cluster-id").filter(|_| high_availability).unwrap_or_else(|| address.clone()),
            address,
            namespace: namespace.to_owned(),
            savepoint_directory: value("execution.checkpointing.savepoint-dir"),
            checkpoint_directory: value("execution.checkpointing.dir"),
            refresh_interval: refresh.unwrap_or(common.refresh_interval),
            slots: number("taskmanager.numberOfTaskSlots").and_then(|n| n.try_into().ok()).unwrap_or(1),
            jars,
            ..common
        });
        // Who has the same id shares what is left.
        if let Some(earlier) = self.clusters.values().find(|other| other.id() == cluster.id()) {
            cluster.succeeds(earlier);
        }
        cluster
    }

    pub(super) fn container_starts(&mut self, uid: &str) {
        let pulled = |pod: &Pod| (self.settings.images)(&pod.image).is_some();
        let Some(pod) = self.pods.get(uid).filter(|pod| !pod.ends && !pod.is_silent()) else { return };
        if !pulled(pod) || pod.init_fails().is_some() {
            return self.show(uid);
        }
        let (process, cluster) = (pod.process, pod.cluster.clone());
        if !self.uploads(uid) {
            // The kubelet starts the init container again.
            return self.after(AGAIN, Event::Container(uid.to_owned()));
        }
        if let Some(pod) = self.pods.get_mut(uid) {
            pod.runs = true;
        }
        match (process, cluster) {
            (Some(Process::JobManager), Some(cluster)) => cluster.start_job_manager(self.settings.job_manager),
            (Some(Process::TaskManager), Some(_)) => {
                self.after(self.settings.task_manager, Event::Registers(uid.to_owned()));
            }
            _ => {}
        }
        self.show(uid);
    }

    /// Whether the pod has uploaded what it is to upload.
    fn uploads(&mut self, uid: &str) -> bool {
        let Some(pod) = self.pods.get(uid) else { return false };
        let (Some(upload), Some((_, Ok(sha256)))) = (&pod.uploads, &pod.init) else { return true };
        let begins = format!("{}-jobmanager", upload.service);
        let is_there = |pod: &&Pod| pod.name.starts_with(&begins) && pod.runs && !pod.cut_off;
        let target = self.pods.values().find(is_there).and_then(|pod| pod.cluster.clone());
        let name = format!("{}{sha256}.jar", upload.prefix);
        if target.is_none_or(|target| target.upload_jar(&name, &upload.content).is_err()) {
            return false;
        }
        if let Some(pod) = self.pods.get_mut(uid) {
            pod.uploads = None;
        }
        true
    }

    pub(super) fn registers(&mut self, uid: &str) {
        let Some(pod) = self.pods.get(uid).filter(|pod| pod.runs && !pod.ends) else { return };
        if let Some(cluster) = &pod.cluster {
            cluster.start_task_manager(&pod.name);
        }
    }

    /// The process of a pod ends. `at_once`: as by `kill -9`.
    pub(super) fn end_process(&mut self, uid: &str, at_once: bool) {
        let Some(pod) = self.pods.get_mut(uid).filter(|pod| pod.runs) else { return };
        pod.runs = false;
        let (Some(cluster), process, name) = (pod.cluster.clone(), pod.process, pod.name.clone()) else { return };
        match process {
            Some(Process::JobManager) => {
                cluster.end_job_manager(at_once);
                if !at_once {
                    let (namespace, id) = cluster.id();
                    self.leader_leaves(&namespace, &id);
                }
            }
            Some(Process::TaskManager) => cluster.end_task_manager(&name),
            None => {}
        }
    }

    pub(super) fn kill_container(&mut self, name: &str) {
        let Some(uid) = self.pods.iter().find(|(_, pod)| pod.name == name && pod.runs).map(|(uid, _)| uid.clone())
        else {
            return;
        };
        self.end_process(&uid, true);
        if let Some(pod) = self.pods.get_mut(&uid) {
            pod.restarts += 1;
        }
        self.show(&uid);
        self.after(self.settings.container, Event::Container(uid));
    }

    pub(super) fn pod_deleted(&mut self, uid: &str) {
        // A Deployment has another one at once.
        if let Some(owner) = self.pods.get(uid).and_then(|pod| pod.owner.clone()) {
            self.control_soon(owner);
        }
        if let Some(pod) = self.pods.get_mut(uid).filter(|pod| pod.is_silent()) {
            pod.node = Node::DeletedUnheard;
            return;
        }
        self.end_process(uid, false);
        if let Some(pod) = self.pods.get_mut(uid) {
            pod.ends = true;
        }
        self.after(self.settings.farewell, Event::Gone(uid.to_owned()));
    }

    pub(super) fn remove_pod(&mut self, uid: &str) {
        if let Some(pod) = self.pods.get_mut(uid).filter(|pod| pod.is_silent()) {
            pod.node = Node::DeletedUnheard;
            return;
        }
        let Some(pod) = self.pods.get(uid) else { return };
        let options = json!({"gracePeriodSeconds": 0, "preconditions": {"uid": uid}});
        self.ask("DELETE", &format!("{}/{}", pods(&pod.namespace), pod.name), &options);
    }

    /// It is not in the API server any more, for whatever reason.
    pub(super) fn pod_gone(&mut self, pod: &Value) {
        let uid = text(pod, "/metadata/uid");
        if let Some(pod) = self.pods.get_mut(&uid).filter(|pod| pod.is_silent()) {
            pod.node = Node::GoneUnheard;
        } else {
            self.end_process(&uid, true);
            self.pods.remove(&uid);
        }
        if let Some(owner) = owner_of(pod) {
            self.control_soon(owner);
        }
    }

    /// Who listens at an address.
    pub(super) fn listener(&self, address: &str) -> Result<Cluster, Down> {
        let pod = self.pods.values().find(|pod| pod.address == address && pod.runs).ok_or(Down::Dead)?;
        if pod.cut_off {
            return Err(Down::CutOff);
        }
        pod.cluster.clone().filter(|_| pod.process == Some(Process::JobManager)).ok_or(Down::Dead)
    }

    /// Writes down how a pod is.
    pub(super) fn show(&self, uid: &str) {
        let Some(pod) = self.pods.get(uid).filter(|pod| !pod.is_silent()) else { return };
        let pulled = (self.settings.images)(&pod.image).is_some();
        let waiting = |reason: &str| json!({"waiting": {"reason": reason}});
        let not_pulled = json!({"waiting": {"reason": "ImagePullBackOff",
            "message": format!("Back-off pulling image \"{}\"", pod.image)}});
        let state = match (pod.runs, pulled, &pod.init) {
            (true, ..) => json!({"running": {}}),
            // The init container comes first, and is of the same image.
            (false, true, Some((_, Err(_)))) | (false, false, Some(_)) => waiting("PodInitializing"),
            (false, true, _) => json!({"terminated": {"exitCode": 137, "reason": "Error"}}),
            (false, false, None) => not_pulled.clone(),
        };
        let container = |name: &str, state: Value| {
            json!({"name": name, "image": pod.image, "imageID": "", "ready": pod.runs,
                "restartCount": pod.restarts, "state": state})
        };
        let init: Vec<Value> = pod
            .init
            .iter()
            .map(|(name, ended)| {
                let done = |code: i32, reason: &str, message: &str| {
                    json!({"terminated": {"exitCode": code, "reason": reason, "message": message}})
                };
                let state = match ended {
                    _ if !pulled => not_pulled.clone(),
                    Ok(message) => done(0, "Completed", message),
                    Err(message) => done(1, "Error", message),
                };
                container(name, state)
            })
            .collect();
        let status = json!({"status": {
            "phase": if pod.runs { "Running" } else { "Pending" },
            "podIP": pod.address,
            "initContainerStatuses": init,
            "containerStatuses": [container(&pod.container, state)],
        }});
        self.ask("PATCH", &format!("{}/{}/status", pods(&pod.namespace), pod.name), &status);
    }
}
