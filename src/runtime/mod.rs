//! What every controller runs on: the Lease, health, metrics, Events, logs and an orderly end.
//!
//! Nothing here knows Flink or the kinds of this project, but for the context, which holds what passes share.

pub mod admin;
pub mod background;
pub mod backoff;
pub mod context;
pub mod error;
pub mod events;
pub mod failpoint;
pub mod known;
pub mod kube_client;
pub mod lease;
pub mod metrics;
pub mod readiness;
pub mod room;
pub mod shutdown;
pub mod tasks;
pub mod telemetry;
pub mod turns;

pub use context::{Context, Settings};
pub use error::Error;

#[cfg(test)]
pub(crate) mod fake_api;
