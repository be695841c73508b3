//! The Kubernetes objects of a revision: a Flink session cluster for one job.
//!
//! Everything here is pure. A revision is rendered once, at its birth, and stored whole in a ControllerRevision: later
//! passes read that, so that a newer operator restarts no job.

mod account;
mod carrier;
mod config;
mod error;
mod hash;
mod jar;
mod keys;
mod memory;
mod metrics;
#[cfg(test)]
mod moving_over_tests;
mod objects;
mod record;
mod render;
mod template;

pub use account::Account;
pub use carrier::{Carrier, directories};
pub use config::{Configuration, flatten};
pub use error::SpecError;
pub use hash::{attempt_hash, revision_hash};
pub use jar::{Fetch, Jar};
pub use objects::{CONFIG_FILE, OBJECTS, stable_service};
pub use record::{RecordError, from_controller_revision, to_controller_revision};
pub use render::{RENDER_VERSION, Rendered, Revision, Submission, check, render, state_directories, tells_sides_apart};

/// The class of the helper jar that is the throw-away job: it warms a new cluster.
pub const WARM_UP_CLASS: &str = "dev.savepoints.helper.WarmUp";
/// Class of the helper jar that tells a job's operators.
pub const PREFLIGHT_CLASS: &str = "dev.savepoints.helper.Preflight";
/// Flink's own entry class of Python jobs.
pub const PYTHON_DRIVER: &str = "org.apache.flink.client.python.PythonDriver";
