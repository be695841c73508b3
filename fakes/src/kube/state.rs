//! All that an API server knows, behind one lock.

use std::sync::Arc;

use serde_json::Value;

use crate::clock::Clock;

use super::kind::Kind;
use super::log::LogEntry;
use super::store::{Key, Store};

/// All that an API server knows.
#[derive(Debug)]
pub(super) struct State {
    pub(super) store: Store,
    pub(super) kinds: Vec<Arc<Kind>>,
    pub(super) clock: Clock,
    pub(super) log: Vec<LogEntry>,
    /// Who makes the request that is being answered.
    pub(super) client: String,
    /// By how many writes the watch cache lags behind.
    pub(super) lag: usize,
    /// How often all watches were cut.
    pub(super) cuts: u64,
}

impl State {
    pub(super) fn put(&mut self, key: Key, object: Value) -> Value {
        Value::clone(&self.store.put(&self.client, key, object))
    }

    pub(super) fn remove(&mut self, key: Key) {
        self.store.remove(&self.client, key);
    }

    /// The version that the watch cache has.
    pub(super) fn cached_version(&self) -> u64 {
        self.store.version_before(self.lag)
    }
}
