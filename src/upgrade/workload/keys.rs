//! What is known of Flink's configuration keys: other names of the same option, and who owns which.
//!
//! The names are those of Flink 1.20 and 2.3 (`CheckpointingOptions`, `StateBackendOptions`,
//! `HighAvailabilityOptions`, `CoreOptions`, `WebOptions`, `RestOptions`).

/// Directory below which the job's checkpoints lie.
pub const CHECKPOINT_DIRECTORY: &str = "execution.checkpointing.dir";
/// Directory below which savepoints go that name no other.
pub const SAVEPOINT_DIRECTORY: &str = "execution.checkpointing.savepoint-dir";
/// Whether a JobManager recovers its jobs, and by what.
pub const HA_TYPE: &str = "high-availability.type";
/// Names the cluster within the high availability storage.
pub const HA_CLUSTER_ID: &str = "high-availability.cluster-id";
/// Where high availability keeps job graphs, blobs and checkpoint pointers.
pub const HA_STORAGE: &str = "high-availability.storageDir";
/// The JobManager's RPC port where high availability is on; a random one by default.
pub const HA_PORT: &str = "high-availability.jobmanager.port";
/// Names the cluster within its namespace.
pub const KUBERNETES_CLUSTER_ID: &str = "kubernetes.cluster-id";
/// Namespace of the `ConfigMaps` of high availability.
pub const KUBERNETES_NAMESPACE: &str = "kubernetes.namespace";
/// Options of every JVM.
pub const JAVA_OPTS: &str = "env.java.opts.all";
/// Slots of one TaskManager.
pub const TASK_SLOTS: &str = "taskmanager.numberOfTaskSlots";

/// Directories that belong to one revision.
pub const PER_REVISION: [&str; 3] =
    [HA_STORAGE, "job-result-store.storage-path", "application-result-store.storage-path"];

/// Options with several names: the one that both versions of Flink know, then the older ones.
const ALIASES: &[(&str, &[&str])] = &[
    ("env.java.opts.all", &["env.java.opts"]),
    ("execution.checkpointing.aligned-checkpoint-timeout", &["execution.checkpointing.alignment-timeout"]),
    (
        "execution.checkpointing.checkpoints-after-tasks-finish",
        &["execution.checkpointing.checkpoints-after-tasks-finish.enabled"],
    ),
    ("execution.checkpointing.cleaner.parallel-mode", &["state.checkpoint.cleaner.parallel-mode"]),
    ("execution.checkpointing.create-subdir", &["state.checkpoints.create-subdir"]),
    (
        "execution.checkpointing.data-inline-threshold",
        &["state.storage.fs.memory-threshold", "state.backend.fs.memory-threshold"],
    ),
    (CHECKPOINT_DIRECTORY, &["state.checkpoints.dir", "state.backend.fs.checkpointdir"]),
    ("execution.checkpointing.incremental", &["state.backend.incremental"]),
    ("execution.checkpointing.local-backup.dirs", &["taskmanager.state.local.root-dirs"]),
    ("execution.checkpointing.num-retained", &["state.checkpoints.num-retained"]),
    (SAVEPOINT_DIRECTORY, &["state.savepoints.dir", "savepoints.state.backend.fs.dir"]),
    ("execution.checkpointing.storage", &["state.checkpoint-storage"]),
    ("execution.checkpointing.unaligned.enabled", &["execution.checkpointing.unaligned"]),
    (
        "execution.checkpointing.write-buffer-size",
        &["state.storage.fs.write-buffer-size", "state.backend.fs.write-buffer-size"],
    ),
    (HA_CLUSTER_ID, &["high-availability.zookeeper.path.namespace", "recovery.zookeeper.path.namespace"]),
    (HA_PORT, &["recovery.jobmanager.port"]),
    (HA_STORAGE, &["high-availability.zookeeper.storageDir", "recovery.zookeeper.storageDir"]),
    (HA_TYPE, &["high-availability", "recovery.mode"]),
    ("rest.address", &["web.address", "jobmanager.web.address"]),
    ("rest.port", &["web.port", "jobmanager.web.port"]),
    ("state.backend.type", &["state.backend"]),
    ("taskmanager.memory.managed.size", &["taskmanager.memory.size"]),
    ("web.refresh-interval", &["jobmanager.web.refresh-interval"]),
    ("web.submit.enable", &["jobmanager.web.submit.enable"]),
    ("web.upload.dir", &["jobmanager.web.upload.dir"]),
];

const ONE_A_REVISION: &str = "remove it: the operator gives every revision one of its own";
const FIXED: &str = "remove it: the operator sets it to match the pods and Services that it makes";

/// Keys that the operator owns, each with the cure.
const OWNED: &[(&str, &str)] = &[
    ("blob.server.port", FIXED),
    ("execution.checkpointing.create-subdir", "remove it: checkpoints are found by the job's own subdirectory"),
    ("execution.savepoint-restore-mode", "use spec.job.restoreMode"),
    ("execution.savepoint.ignore-unclaimed-state", "use spec.job.allowNonRestoredState"),
    ("execution.savepoint.path", "use spec.job.restoreFrom"),
    ("execution.state-recovery.claim-mode", "use spec.job.restoreMode"),
    ("execution.state-recovery.ignore-unclaimed-state", "use spec.job.allowNonRestoredState"),
    ("execution.state-recovery.path", "use spec.job.restoreFrom"),
    ("execution.target", "remove it: the job is submitted over the JobManager's REST API"),
    (HA_CLUSTER_ID, ONE_A_REVISION),
    (HA_PORT, FIXED),
    ("jobmanager.bind-host", FIXED),
    ("jobmanager.rpc.address", FIXED),
    ("jobmanager.rpc.bind-port", FIXED),
    ("jobmanager.rpc.port", FIXED),
    (KUBERNETES_CLUSTER_ID, ONE_A_REVISION),
    ("rest.address", FIXED),
    ("rest.bind-address", FIXED),
    ("rest.bind-port", FIXED),
    ("rest.port", FIXED),
    ("taskmanager.bind-host", FIXED),
    ("web.submit.enable", "remove it: the operator submits the job by it"),
    ("web.upload.dir", FIXED),
];

/// The name by which both versions of Flink know an option.
#[must_use]
pub fn canonical(key: &str) -> &str {
    ALIASES.iter().find(|(_, old)| old.contains(&key)).map_or(key, |(name, _)| name)
}

/// What to do instead of setting a key, if the operator owns it. Takes the canonical name.
#[must_use]
pub fn owned(key: &str) -> Option<&'static str> {
    if key.starts_with("$internal.") {
        return Some("remove it: Flink sets such keys by itself");
    }
    OWNED.iter().find(|(owned, _)| *owned == key).map(|(_, cure)| *cure)
}
