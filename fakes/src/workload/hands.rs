//! What tests do to the node, to the network and to processes.

use super::Workload;
use super::node::{Node, Process};
use super::state::{Event, State, text};
use crate::flink;
use crate::kube::Key;

impl Workload {
    /// The node's kubelet says nothing to the API server any more, and hears nothing. What runs there runs on: pods that
    /// are deleted are Terminating, and one that is deleted by force is not there and runs. Pods that come later are on
    /// another node. (Kubernetes' own eviction, after five minutes, is not made.)
    pub fn silence_node(&self) {
        let mut state = self.state();
        state.silences += 1;
        state.pods.values_mut().filter(|pod| !pod.is_silent()).for_each(|pod| pod.node = Node::Silent);
    }

    /// What runs on the silent node ends, and nobody hears of it.
    pub fn silent_node_loses_power(&self) {
        let mut state = self.state();
        for uid in state.silent_pods() {
            state.end_process(&uid, true);
        }
        self.0.changed.notify_one();
    }

    /// The silent node is back, and does what it has not heard.
    pub fn node_is_back(&self) {
        self.state().node_is_back();
        self.0.changed.notify_one();
    }

    /// A quota is used up: no pods of these resources (`statefulsets.apps`, `deployments.apps`) may be made, until it is
    /// said anew.
    pub fn refuse_pods_of(&self, resources: &[&'static str]) {
        let mut state = self.state();
        state.refused = resources.to_vec();
        for resource in ["statefulsets.apps", "deployments.apps"] {
            for object in state.server.objects(resource) {
                let [namespace, name] = ["/metadata/namespace", "/metadata/name"].map(|at| text(&object, at));
                state.control_soon(Key { resource: resource.to_owned(), namespace, name });
            }
        }
        self.0.changed.notify_one();
    }

    /// Clusters that come later are different in this.
    pub fn for_later_clusters(&self, change: impl FnOnce(&mut flink::Settings)) {
        change(&mut self.state().settings.flink);
    }

    /// Nobody outside of a pod's Flink cluster reaches it any more; or again.
    pub fn cut_off(&self, pod: &str, cut_off: bool) {
        self.state().pods.values_mut().filter(|one| one.name == pod).for_each(|one| one.cut_off = cut_off);
    }

    /// The process in a pod is stopped, as by SIGSTOP.
    pub fn stop_process(&self, pod: &str) {
        self.state().signal(pod, true);
        self.0.changed.notify_one();
    }

    /// It goes on, as by SIGCONT.
    pub fn continue_process(&self, pod: &str) {
        self.state().signal(pod, false);
        self.0.changed.notify_one();
    }
}

impl State {
    /// The name of the node that pods come to.
    pub(super) fn node(&self) -> String {
        if self.silences == 0 { "node".to_owned() } else { format!("node-{}", self.silences + 1) }
    }

    /// The UIDs of the pods on nodes that are silent.
    fn silent_pods(&self) -> Vec<String> {
        self.pods.iter().filter(|(_, pod)| pod.is_silent()).map(|(uid, _)| uid.clone()).collect()
    }

    fn node_is_back(&mut self) {
        for uid in self.silent_pods() {
            let Some(pod) = self.pods.get_mut(&uid) else { continue };
            let runs = pod.runs;
            match std::mem::replace(&mut pod.node, Node::Hears) {
                Node::GoneUnheard => {
                    self.end_process(&uid, true);
                    self.pods.remove(&uid);
                }
                Node::DeletedUnheard => self.pod_deleted(&uid),
                Node::Silent if runs => self.show(&uid),
                Node::Silent | Node::Hears => self.after(self.settings.container, Event::Container(uid)),
            }
        }
    }

    fn signal(&self, name: &str, stops: bool) {
        let Some(pod) = self.pods.values().find(|pod| pod.name == name && pod.runs) else { return };
        let Some(cluster) = &pod.cluster else { return };
        match (pod.process, stops) {
            (Some(Process::JobManager), true) => cluster.stop_job_manager(),
            (Some(Process::JobManager), false) => cluster.continue_job_manager(),
            (Some(Process::TaskManager), true) => cluster.stop_task_manager(name),
            (Some(Process::TaskManager), false) => cluster.continue_task_manager(name),
            (None, _) => {}
        }
    }
}
