//! What high availability has in ConfigMaps, and what becomes of it if somebody else changes them.

use std::collections::BTreeMap;

use super::cluster::Cluster;
use super::process::Phase;
use super::settings::Version;
use super::state::State;

/// What a leader writes of itself, and takes back when it is told to end.
pub const LEADERS: [&str; 3] = [
    "org.apache.flink.k8s.leader.dispatcher",
    "org.apache.flink.k8s.leader.resourcemanager",
    "org.apache.flink.k8s.leader.restserver",
];

/// Stands for a serialized pointer into the storage directory.
const POINTER: &str = "rO0ABXNyADtvcmcuYXBhY2hlLmZsaW5r";

impl Cluster {
    /// The ConfigMaps that the leader keeps now: their data by their names. `None`: nobody leads, and they stay as they
    /// are; or there is no high availability.
    #[must_use]
    pub fn high_availability_maps(&self) -> Option<BTreeMap<String, BTreeMap<String, String>>> {
        let state = self.current();
        (state.settings.high_availability && state.phase == Phase::Leads).then(|| state.maps())
    }

    /// Its namespace and its `kubernetes.cluster-id`.
    #[must_use]
    pub fn id(&self) -> (String, String) {
        let state = self.state();
        (state.settings.namespace.clone(), state.settings.cluster_id.clone())
    }

    /// Whether this is the ConfigMap of its leaders.
    #[must_use]
    pub fn is_cluster_map(&self, name: &str) -> bool {
        let state = self.state();
        state.settings.high_availability && name == state.cluster_map()
    }

    /// Somebody has deleted a ConfigMap. Without that of a job no other JobManager will know of the job; without that
    /// of the cluster, which names the graphs, of no job. (The JobManager's process exits then: that is its node's.)
    pub fn map_is_gone(&self, name: &str) {
        let state = self.changing();
        if state.settings.high_availability {
            let all = name == state.cluster_map();
            state.durable().retain(|job, _| !all && state.job_map(job) != name);
        }
    }

    /// Its JobManager finds what one of a cluster with the same id has left.
    pub fn succeeds(&self, other: &Self) {
        let left = other.state().durable.clone();
        self.state().durable = left;
    }
}

impl State {
    fn cluster_map(&self) -> String {
        format!("{}-cluster-config-map", self.settings.cluster_id)
    }

    fn job_map(&self, job: &str) -> String {
        format!("{}-{job}-config-map", self.settings.cluster_id)
    }

    fn maps(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let address = &self.settings.address;
        // Another one for each leader.
        let session = format!("00000000-0000-4000-8000-{:012x}", self.instance);
        let akka = |endpoint: &str| format!("{session},pekko.tcp://flink@{address}:6123/user/rpc/{endpoint}");
        let [dispatcher, resource_manager, rest] = LEADERS.map(str::to_owned);
        let mut cluster = BTreeMap::from([
            (dispatcher, akka("dispatcher_0")),
            (resource_manager, akka("resourcemanager_0")),
            (rest, format!("{session},http://{address}:8081")),
        ]);
        let graph = match self.settings.version {
            Version::V1_20 => "jobGraph",
            Version::V2_3 => "executionPlan",
        };
        let mut maps = BTreeMap::new();
        for (job, (durable, _)) in &*self.durable() {
            cluster.insert(format!("org.apache.flink.k8s.leader.job-{job}"), akka("jobmanager_1"));
            cluster.insert(format!("{graph}-{job}"), POINTER.to_owned());
            let retained =
                durable.retained.iter().map(|(id, _)| (format!("checkpointID-{id:019}"), POINTER.to_owned()));
            let counter = ("counter".to_owned(), durable.next.to_string());
            maps.insert(self.job_map(job), retained.chain([counter]).collect());
        }
        maps.insert(self.cluster_map(), cluster);
        maps
    }
}
