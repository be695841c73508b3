//! Manifests of jobs, as a user would write them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{env::Env, namespace::RECORDS};

/// The container of a `podTemplate` that Flink runs in: the name that Apache's `FlinkDeployment` uses.
pub const MAIN_CONTAINER: &str = "flink-main-container";
/// Where the record volume is mounted.
pub const RECORDS_MOUNT: &str = "/records";
/// `uid` of the counting job's source.
pub const SOURCE_UID: &str = "numbers";

/// A Flink version that there is an image of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    /// Flink 1.20.
    #[serde(rename = "1.20")]
    V1_20,
    /// Flink 2.3.
    #[serde(rename = "2.3")]
    V2_3,
}

impl Version {
    /// The value of `spec.flinkVersion`.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::V1_20 => "v1_20",
            Self::V2_3 => "v2_3",
        }
    }

    /// The tag of the image.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::V1_20 => "1.20",
            Self::V2_3 => "2.3",
        }
    }

    /// The version in a form that a namespace's name can hold.
    #[must_use]
    pub fn short(self) -> &'static str {
        match self {
            Self::V1_20 => "v120",
            Self::V2_3 => "v23",
        }
    }
}

/// A `FlinkJobUpgrade` that is being written.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// `metadata.name`.
    pub name: String,
    /// The whole manifest.
    pub manifest: Value,
}

impl Job {
    /// The counting job, 200 records a second into `<name>.log`.
    #[must_use]
    pub fn counting(env: &Env, name: &str, version: Version) -> Self {
        let job = Self::new(env, name, version, "counting.jar", "dev.savepoints.jobs.CountingJob");
        let rate = 200;
        job.rate(rate)
    }

    /// Flink's published example of a state machine over generated events.
    #[must_use]
    pub fn state_machine(env: &Env, name: &str, version: Version) -> Self {
        let class = "org.apache.flink.streaming.examples.statemachine.StateMachineExample";
        let job = Self::new(env, name, version, "state-machine.jar", class);
        job.args(&["--error-rate", "0.01", "--sleep", "10"])
    }

    fn new(env: &Env, name: &str, version: Version, jar: &str, class: &str) -> Self {
        let manifest = json!({
            "apiVersion": "savepoints.dev/v1alpha1",
            "kind": "FlinkJobUpgrade",
            "metadata": {"name": name},
            "spec": {
                "flinkVersion": version.field(),
                "image": format!("{}/flink-jobs:{}", env.registry, version.tag()),
                "flinkConfiguration": configuration(env),
                "podTemplate": {"spec": {
                    "terminationGracePeriodSeconds": 5,
                    "containers": [{
                        "name": MAIN_CONTAINER,
                        "envFrom": [{"secretRef": {"name": "s3"}}],
                        "volumeMounts": [{"name": RECORDS, "mountPath": RECORDS_MOUNT}],
                    }],
                    "volumes": [{"name": RECORDS, "persistentVolumeClaim": {"claimName": RECORDS}}],
                }},
                "jobManager": {"resource": {"memory": "384Mi"}},
                "taskManager": {"resource": {"memory": "320Mi"}},
                "job": {
                    "jarURI": format!("local:///opt/flink/usrlib/{jar}"),
                    "entryClass": class,
                    "parallelism": 1,
                    // Without a store nobody can tell that no earlier job of this name has left state.
                    "restoreFrom": {"id": "first", "empty": true},
                },
            },
        });
        Self { name: name.to_owned(), manifest }
    }

    /// Sets one field, `pointer` a JSON pointer (`/spec/job/args`); a key with a `/` in it has `~1` there.
    #[must_use]
    pub fn set(mut self, pointer: &str, value: Value) -> Self {
        let mut at = &mut self.manifest;
        for key in pointer.split('/').skip(1) {
            let key = key.replace("~1", "/");
            if !at.is_object() {
                *at = Value::Object(Map::new());
            }
            at = match at {
                Value::Object(fields) => fields.entry(key).or_insert(Value::Null),
                other => other,
            };
        }
        *at = value;
        self
    }

    /// Adds an item to a list, `pointer` a JSON pointer; what it leads through must be there, the list need not.
    #[must_use]
    pub fn push(mut self, pointer: &str, item: Value) -> Self {
        if let Some((parent, key)) = pointer.rsplit_once('/')
            && let Some(fields) = self.manifest.pointer_mut(parent).and_then(Value::as_object_mut)
            && let Value::Array(items) = fields.entry(key).or_insert_with(|| json!([]))
        {
            items.push(item);
        }
        self
    }

    /// Leaves one field out.
    #[must_use]
    pub fn unset(mut self, pointer: &str) -> Self {
        if let Some((parent, key)) = pointer.rsplit_once('/')
            && let Some(fields) = self.manifest.pointer_mut(parent).and_then(Value::as_object_mut)
        {
            fields.remove(key);
        }
        self
    }

    /// Starts without state only if there is none: the namespace's store says so.
    #[must_use]
    pub fn never_empty(self) -> Self {
        self.unset("/spec/job/restoreFrom")
    }

    /// Replaces the arguments.
    #[must_use]
    pub fn args(self, args: &[&str]) -> Self {
        self.set("/spec/job/args", json!(args))
    }

    /// The counting job with `--out`, this rate and nothing else.
    #[must_use]
    pub fn rate(self, per_second: u32) -> Self {
        self.counting_with(per_second, &[])
    }

    /// The counting job with `--out`, this rate and more arguments.
    #[must_use]
    pub fn counting_with(self, per_second: u32, more: &[&str]) -> Self {
        let out = format!("{RECORDS_MOUNT}/{}.log", self.name);
        let rate = per_second.to_string();
        let args: Vec<&str> = ["--out", &out, "--rate", &rate].into_iter().chain(more.iter().copied()).collect();
        self.args(&args)
    }
}

/// Base directories: the operator puts `<namespace>/<name>` below them.
fn configuration(env: &Env) -> Value {
    json!({
        "execution.checkpointing.interval": "2s",
        "execution.checkpointing.dir": env.s3.url(CHECKPOINTS),
        "execution.checkpointing.savepoint-dir": env.s3.url(SAVEPOINTS),
        "execution.checkpointing.num-retained": 2,
        "state.backend.type": "hashmap",
        "s3.endpoint": env.s3.endpoint,
        "s3.path.style.access": true,
        // A server that keeps objects as files has no directory markers to take away.
        "s3.directory.marker.retention": "keep",
        // The classes that each loads, as the image has them recorded: a third less work at its start.
        "env.java.opts.jobmanager": "-XX:SharedArchiveFile=/opt/flink/cds/jobmanager.jsa",
        "env.java.opts.taskmanager": "-XX:SharedArchiveFile=/opt/flink/cds/taskmanager.jsa",
        // As little memory as holds, so that two tests fit on a small machine.
        "jobmanager.memory.heap.size": "96m",
        "jobmanager.memory.off-heap.size": "32m",
        "jobmanager.memory.jvm-metaspace.size": "96m",
        "jobmanager.memory.jvm-overhead.min": "32m",
        "jobmanager.memory.jvm-overhead.max": "32m",
        "taskmanager.memory.framework.heap.size": "32m",
        "taskmanager.memory.task.heap.size": "32m",
        "taskmanager.memory.framework.off-heap.size": "32m",
        "taskmanager.memory.managed.size": "16m",
        "taskmanager.memory.network.min": "4m",
        "taskmanager.memory.network.max": "4m",
        "taskmanager.memory.jvm-metaspace.size": "96m",
        "taskmanager.memory.jvm-overhead.min": "32m",
        "taskmanager.memory.jvm-overhead.max": "32m",
        "taskmanager.numberOfTaskSlots": 1,
    })
}

/// Key prefix of all checkpoints in the bucket.
pub const CHECKPOINTS: &str = "checkpoints";
/// Key prefix of all savepoints in the bucket.
pub const SAVEPOINTS: &str = "savepoints";

#[cfg(test)]
#[path = "job_tests.rs"]
mod job_tests;
