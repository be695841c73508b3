//! All that the controllers and the node know, and what is due.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::node::Pod;
use super::settings::Settings;
use crate::flink::Cluster;
use crate::kube::{ApiServer, Change, Key};

/// Something that will happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// A controller looks at an object.
    Control(Key),
    /// The container of the pod with this UID is started.
    Container(String),
    /// The process of a TaskManager's container has registered.
    Registers(String),
    /// The pod is gone.
    Gone(String),
}

/// A write that matters here.
#[derive(Debug, Clone)]
pub(super) enum Seen {
    /// An object that a controller looks after.
    Object(Key),
    /// A pod was created.
    Created(Value),
    /// A pod was deleted, and may still take its time.
    Deleted(String),
    /// A pod is not there any more.
    Gone(Value),
    /// Somebody, not Flink, has deleted a ConfigMap.
    MapGone(Key),
}

impl Seen {
    pub fn of(change: &Change<'_>) -> Option<Self> {
        let deleted = |object: &Value| object.pointer("/metadata/deletionTimestamp").is_some();
        match (change.key.resource.as_str(), change.old, change.new) {
            ("statefulsets.apps" | "deployments.apps", ..) => Some(Self::Object(change.key.clone())),
            ("configmaps", _, None) if change.client != FLINK => Some(Self::MapGone(change.key.clone())),
            ("pods", None, Some(new)) => Some(Self::Created(new.clone())),
            ("pods", Some(old), None) => Some(Self::Gone(old.clone())),
            ("pods", Some(old), Some(new)) if deleted(new) && !deleted(old) => {
                Some(Self::Deleted(text(new, "/metadata/uid")))
            }
            _ => None,
        }
    }
}

/// A text in an object; empty if it has none.
pub(super) fn text(object: &Value, pointer: &str) -> String {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The client whose writes are those of Flink's processes.
pub(super) const FLINK: &str = "flink";

/// Everything.
pub(super) struct State {
    pub server: ApiServer,
    pub settings: Settings,
    /// The moment at which something happens.
    now: Instant,
    agenda: BTreeMap<(Instant, u64), Event>,
    count: u64,
    /// The pods on the node, by UID.
    pub pods: BTreeMap<String, Pod>,
    /// Flink's clusters, by the UID of the ConfigMap that their pods mount.
    pub clusters: BTreeMap<String, Cluster>,
    /// The ConfigMaps of high availability as leaders have written them, by namespace and name.
    pub maps: BTreeMap<(String, String), BTreeMap<String, String>>,
    /// How often a node became silent.
    pub silences: u32,
    /// Of which resources no pods may be made.
    pub refused: Vec<&'static str>,
}

impl State {
    pub fn new(server: ApiServer, settings: Settings) -> Self {
        Self {
            server,
            settings,
            now: Instant::now(),
            agenda: BTreeMap::new(),
            count: 0,
            pods: BTreeMap::new(),
            clusters: BTreeMap::new(),
            maps: BTreeMap::new(),
            silences: 0,
            refused: Vec::new(),
        }
    }

    /// What was written is known, and something will follow from it.
    pub fn take_in(&mut self, seen: Vec<Seen>) {
        for write in seen {
            match write {
                Seen::Object(key) => self.control_soon(key),
                Seen::Created(pod) => self.pod_created(&pod),
                Seen::Deleted(uid) => self.pod_deleted(&uid),
                Seen::Gone(pod) => self.pod_gone(&pod),
                Seen::MapGone(map) => self.map_gone(&map),
            }
        }
    }

    /// Does the first thing that is due. False: nothing is.
    pub fn next(&mut self) -> bool {
        let real = Instant::now();
        let Some(due) = self.agenda.first_entry().filter(|entry| entry.key().0 <= real) else {
            self.now = real;
            return false;
        };
        self.now = due.key().0;
        match due.remove() {
            Event::Control(key) => self.control(&key),
            Event::Container(uid) => self.container_starts(&uid),
            Event::Registers(uid) => self.registers(&uid),
            Event::Gone(uid) => self.remove_pod(&uid),
        }
        true
    }

    pub fn next_event(&self) -> Option<Instant> {
        self.agenda.first_key_value().map(|((at, _), _)| *at)
    }

    pub fn after(&mut self, delay: Duration, event: Event) {
        self.count += 1;
        self.agenda.insert((self.now + delay, self.count), event);
    }

    /// A controller looks at an object soon, if it will not anyway.
    pub fn control_soon(&mut self, key: Key) {
        let event = Event::Control(key);
        if !self.agenda.values().any(|other| *other == event) {
            self.after(self.settings.controller, event);
        }
    }

    pub fn draw(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    pub fn clusters(&self) -> Vec<Cluster> {
        self.clusters.values().cloned().collect()
    }

    /// Makes a request as one of Kubernetes' own. What it refuses is looked at again when something changes.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> Option<Value> {
        self.server.request("kubernetes", method, path, body).ok()
    }
}
