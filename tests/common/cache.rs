//! What a simulated process knows by its watches.

use flink_savepoint_operator::api::FlinkSavepoint;
use flink_savepoint_operator::context::Context;
use kube::runtime::reflector::{self, store::Writer};
use kube::runtime::watcher::Event;

/// The FlinkSavepoints as an operator's process knows them by its watch.
pub struct Cache(Writer<FlinkSavepoint>);

impl Cache {
    /// That of a process; nothing is in it yet.
    pub fn of(operator: &Context) -> Self {
        let (reader, writer) = reflector::store();
        operator.known.keep_savepoints(reader);
        Self(writer)
    }

    /// It has these now.
    pub fn set(&mut self, all: impl IntoIterator<Item = FlinkSavepoint>) {
        self.0.apply_watcher_event(&Event::Init);
        for savepoint in all {
            self.0.apply_watcher_event(&Event::InitApply(savepoint));
        }
        self.0.apply_watcher_event(&Event::InitDone);
    }
}
