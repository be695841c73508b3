//! Facts for tests, without a file.

use crate::snapshot::{
    Collector, Event, HandleKind, Limits, OperatorId, Part, Properties, SnapshotFacts, SnapshotKind,
};

/// Of operators: uid, parallelism, maximum parallelism, bytes of keyed state.
pub fn savepoint(version: u32, operators: &[(&str, u32, u32, u64)]) -> SnapshotFacts {
    let mut facts = Collector::new(Limits::default());
    facts.take(Event::Header { version, checkpoint_id: 1 }).unwrap();
    for (uid, parallelism, max_parallelism, bytes) in operators.iter().copied() {
        let id = OperatorId::of_uid(uid);
        facts.take(Event::Operator { id, uid: Some(uid), name: None, parallelism, max_parallelism }).unwrap();
        if bytes > 0 {
            let (part, kind) = (Part::ManagedKeyed, HandleKind::KeyGroupsSavepoint);
            facts.take(Event::Handle { part, kind, bytes, nested: false }).unwrap();
        }
    }
    let properties = Properties { kind: Some(SnapshotKind::Savepoint), format_type: None };
    facts.take(Event::Properties(properties)).unwrap();
    facts.finish().unwrap()
}
