//! FlinkJobUpgrade: from revision to revision through a snapshot.

pub mod workload;
