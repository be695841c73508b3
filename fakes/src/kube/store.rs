//! The objects, each write to them, and what the world looked like before it: what etcd is to an API server.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::kind::Kind;
use super::meta;
use super::status::Failure;

/// The first write's version is above this: a client that confuses it with a generation is found out.
const FIRST_VERSION: u64 = 1000;

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Plural and group: `configmaps`, `leases.coordination.k8s.io`.
    pub resource: String,
    /// Its namespace; empty if it has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Key {
    pub(super) fn new(kind: &Kind, namespace: &str, name: &str) -> Self {
        Self { resource: kind.resource(), namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// All objects at one moment.
pub(super) type Objects = BTreeMap<Key, Arc<Value>>;

/// One write.
#[derive(Debug, Clone)]
pub(super) struct Write {
    pub(super) version: u64,
    pub(super) key: Key,
    pub(super) old: Option<Arc<Value>>,
    pub(super) new: Option<Arc<Value>>,
}

/// One write, as those see it who look on.
pub struct Change<'a> {
    /// The client that asked for it.
    pub client: &'a str,
    /// What was written.
    pub key: &'a Key,
    /// How it was before; `None` if it is created.
    pub old: Option<&'a Value>,
    /// How it is now; `None` if it is gone.
    pub new: Option<&'a Value>,
    objects: &'a Objects,
}

impl Change<'_> {
    /// All objects of a resource after the write, by plural and group.
    pub fn objects(&self, resource: &str) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |(key, _)| key.resource == resource).map(|(_, object)| &**object)
    }
}

/// Who looks on at every write.
pub type Observer = Box<dyn Fn(&Change<'_>) + Send + Sync>;

/// The objects and their history.
pub(super) struct Store {
    version: u64,
    objects: Objects,
    history: Vec<Write>,
    /// The history up to this version is forgotten.
    compacted: u64,
    identities: u64,
    observers: Vec<Observer>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("version", &self.version).finish_non_exhaustive()
    }
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            version: FIRST_VERSION,
            objects: Objects::new(),
            history: Vec::new(),
            compacted: FIRST_VERSION,
            identities: 0,
            observers: Vec::new(),
        }
    }

    pub(super) fn observe(&mut self, observer: Observer) {
        self.observers.push(observer);
    }

    /// The version of the last write.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// The version that was the last one so many writes ago.
    pub(super) fn version_before(&self, writes: usize) -> u64 {
        let left = self.history.len().saturating_sub(writes);
        left.checked_sub(1).and_then(|last| self.history.get(last)).map_or(self.compacted, |write| write.version)
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(key)
    }

    pub(super) fn objects(&self) -> &Objects {
        &self.objects
    }

    /// The world as it was after the write of that version.
    pub(super) fn at(&self, version: u64) -> Result<Objects, Failure> {
        if version < self.compacted {
            return Err(Failure::expired("The resourceVersion for the provided list is too old."));
        }
        let mut objects = self.objects.clone();
        for write in self.history.iter().rev().take_while(|write| write.version > version) {
            match &write.old {
                Some(old) => objects.insert(write.key.clone(), Arc::clone(old)),
                None => objects.remove(&write.key),
            };
        }
        Ok(objects)
    }

    /// All writes after that version.
    pub(super) fn since(&self, version: u64) -> Result<impl Iterator<Item = &Write>, Failure> {
        if version < self.compacted {
            return Err(Failure::expired(format!("too old resource version: {version} ({})", self.compacted)));
        }
        let first = self.history.partition_point(|write| write.version <= version);
        Ok(self.history.iter().skip(first))
    }

    /// Forgets all history.
    pub(super) fn compact(&mut self) {
        self.history.clear();
        self.compacted = self.version;
    }

    /// A number that no other object gets, for its UID or a generated name.
    pub(super) fn identity(&mut self) -> u64 {
        self.identities += 1;
        self.identities
    }

    /// Writes an object, with its new resourceVersion.
    pub(super) fn put(&mut self, client: &str, key: Key, mut object: Value) -> Arc<Value> {
        self.version += 1;
        meta::set(&mut object, "resourceVersion", Some(self.version.to_string().into()));
        let new = Arc::new(object);
        let old = self.objects.insert(key.clone(), Arc::clone(&new));
        self.written(client, Write { version: self.version, key, old, new: Some(Arc::clone(&new)) });
        new
    }

    /// Takes an object away, which is a write as well.
    pub(super) fn remove(&mut self, client: &str, key: Key) {
        if let Some(old) = self.objects.remove(&key) {
            self.version += 1;
            self.written(client, Write { version: self.version, key, old: Some(old), new: None });
        }
    }

    fn written(&mut self, client: &str, write: Write) {
        let (old, new) = (write.old.as_deref(), write.new.as_deref());
        let change = Change { client, key: &write.key, old, new, objects: &self.objects };
        for observer in &self.observers {
            observer(&change);
        }
        self.history.push(write);
    }
}

impl Write {
    /// Of a deletion: the object as it was, at the version of its end.
    pub(super) fn last(&self) -> Option<Value> {
        let mut last = self.old.as_deref().cloned()?;
        meta::set(&mut last, "resourceVersion", Some(self.version.to_string().into()));
        Some(last)
    }
}
