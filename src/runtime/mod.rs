//! What every controller runs on: the Lease, health, metrics, Events, logs and an orderly end.
//!
//! Nothing here knows Flink or the kinds of this project.

pub mod admin;
pub mod background;
pub mod backoff;
pub mod error;
pub mod events;
pub mod failpoint;
pub mod kube_client;
pub mod lease;
pub mod metrics;
pub mod readiness;
pub mod room;
pub mod shutdown;
pub mod tasks;
pub mod telemetry;
pub mod turns;

pub use error::Error;

#[cfg(test)]
pub(crate) mod fake_api;
