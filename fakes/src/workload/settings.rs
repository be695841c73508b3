//! What the pods of a fake cluster are like.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::flink::{self, JobScript};

/// What is in an image: the jars by their names, and the jobs in them. `None`: it can't be pulled.
pub type Jars = Option<Vec<(String, JobScript)>>;

/// How an init container ends: with this message, or with an exit code of 1 and this one.
pub type Ended = Result<String, String>;

/// How long what takes, and what is in images.
#[derive(Clone)]
pub struct Settings {
    /// From a write until a controller acts on it.
    pub controller: Duration,
    /// From a pod's creation, or the death of its container, until its container runs.
    pub container: Duration,
    /// From the start of a JobManager's container until it leads.
    pub job_manager: Duration,
    /// From the start of a TaskManager's container until its slots are registered.
    pub task_manager: Duration,
    /// From the deletion of a pod until it is gone.
    pub farewell: Duration,
    /// What is in an image.
    pub images: Arc<dyn Fn(&str) -> Jars + Send + Sync>,
    /// The jars that an init container puts where Flink looks for them, where they are not the image's.
    pub fetched: Arc<dyn Fn(&Value) -> Jars + Send + Sync>,
    /// How an init container ends, as its pod has it.
    pub init: Arc<dyn Fn(&Value) -> Ended + Send + Sync>,
    /// What the Flink clusters have in common; their own configuration goes before.
    pub flink: flink::Settings,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("flink", &self.flink).finish_non_exhaustive()
    }
}

impl Settings {
    /// All is quick: nobody learns more from a cluster that takes longer to start, and everybody waits for it.
    #[must_use]
    pub fn new(flink: flink::Settings, images: impl Fn(&str) -> Jars + Send + Sync + 'static) -> Self {
        Self {
            controller: Duration::from_millis(30),
            container: Duration::from_millis(50),
            job_manager: Duration::from_millis(120),
            task_manager: Duration::from_millis(150),
            farewell: Duration::from_millis(250),
            images: Arc::new(images),
            fetched: Arc::new(|_| None),
            init: Arc::new(|_| Ok(String::new())),
            flink,
        }
    }
}
