//! The operator's world in one process: a Kubernetes API server and a Flink JobManager that answer as the real ones do,
//! the controllers and the node that make Flink clusters of Kubernetes' objects, and faults that strike between any two
//! calls.
//!
//! Each fake is held to the real thing by a suite of cases (`conformance`) that runs on both. All times are
//! `tokio::time`'s, so a test with a paused clock sees ten minutes pass at once.

pub mod clock;
pub mod conformance;
pub mod faults;
pub mod flink;
pub mod kube;
pub mod workload;
