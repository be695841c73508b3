//! The JobManager: its REST client, what it answers, and how it writes errors and locations.
//!
//! Nothing here knows of Kubernetes. No call is repeated: only the caller knows whether a repeat is safe, and
//! [`Error::effect_possible`] tells it what an error means for that question.

mod answer;
mod ask;
pub mod cause;
pub mod client;
pub mod config;
pub mod credentials;
pub mod error;
pub mod id;
pub mod location;
pub mod model;
pub mod request;
pub mod tls;
mod tls_fault;
pub mod transport;

pub use ask::ask_until;
pub use cause::{Cause, SavepointFailure, Throwable};
pub use client::{Client, Connector};
pub use error::Error;
pub use id::{InvalidId, JobId, TriggerId};
pub use model::{
    Checkpoint, CheckpointCounts, CheckpointOperation, CheckpointStatus, Checkpoints, CheckpointsConfig,
    DisposalOperation, ExceptionEntry, Externalization, Job, JobOverview, JobState, LatestCheckpoints, Overview,
    RestoredCheckpoint, SavepointOperation, TaskCounts, TaskState, UploadedJar, Vertex,
};
pub use request::{ClaimMode, PlanRequest, RunRequest, SavepointFormat, SavepointRequest, StopRequest};
pub use tls::Tls;
pub use transport::Transport;

#[cfg(test)]
mod cause_tests;
#[cfg(test)]
mod client_tests;
#[cfg(test)]
mod disposal_tests;
#[cfg(test)]
mod location_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod recorded;
