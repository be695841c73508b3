//! FlinkSavepoint: one snapshot, taken, copied or registered.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::common::{
    DeletionPolicy, Duration, FlinkClusterRef, FormatType, LocalRef, SessionClusterRef, SnapshotRef, string_enum,
};
use super::disposal::{CopyProgress, Disposal, Hold};
use super::rules::{MAX_URL, immutable, longer_than_zero, url};

string_enum! {
    /// Kinds whose job a savepoint can be taken of.
    pub enum JobKind {
        /// A job of this operator.
        FlinkJobUpgrade = "FlinkJobUpgrade",
    }
}

string_enum! {
    /// What becomes of the job once its savepoint is complete.
    pub enum Then {
        /// It runs on.
        Continue = "Continue",
        /// It ends by stop-with-savepoint.
        Stop = "Stop",
        /// It ends by stop-with-savepoint after the sources have sent the end of their input. It cannot be resumed.
        Drain = "Drain",
        /// It is cancelled after the savepoint; what it processed in between is processed again by its successor.
        Cancel = "Cancel",
    }
}

string_enum! {
    /// How far a snapshot is checked.
    pub enum Verification {
        /// Its metadata is read, and every file that it names must be there with the recorded size.
        Full = "Full",
        /// Its metadata is read.
        Metadata = "Metadata",
    }
}

string_enum! {
    /// Where a FlinkSavepoint stands.
    pub enum SavepointPhase {
        /// Nothing was sent yet.
        Pending = "Pending",
        /// The intent is recorded, the request is on its way or its answer is not known.
        Triggering = "Triggering",
        /// Flink has accepted the request.
        InProgress = "InProgress",
        /// Flink has reported the location; the files are being checked.
        Verifying = "Verifying",
        /// The snapshot is there.
        Completed = "Completed",
        /// Complete, but a newer slot of its schedule takes its place.
        Superseded = "Superseded",
        /// No snapshot came of it, and none will.
        Failed = "Failed",
        /// Its files are being deleted.
        Disposing = "Disposing",
    }
}

impl Then {
    /// Whether Flink ends the job itself, with the savepoint.
    #[must_use]
    pub const fn stops(self) -> bool {
        matches!(self, Self::Stop | Self::Drain)
    }
}

impl SavepointPhase {
    /// Whether no further attempt will be made.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Superseded | Self::Failed | Self::Disposing)
    }
}

string_enum! {
    /// What a snapshot is to Flink.
    pub enum SnapshotKind {
        /// The user's, and whole in itself.
        Savepoint = "Savepoint",
        /// Flink's own; a retained (externalized) one outlives its job.
        Checkpoint = "Checkpoint",
    }
}

string_enum! {
    /// Who owns a snapshot's files.
    pub enum Ownership {
        /// The user: the operator deletes them only by `deletionPolicy`.
        User = "User",
        /// Flink, since a restore with CLAIM: the operator never deletes them.
        Flink = "Flink",
        /// Nobody clearly, since a restore with LEGACY.
        Unclear = "Unclear",
    }
}

/// The job that a savepoint is taken of.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct JobRef {
    /// Kind of the resource that runs the job.
    pub kind: JobKind,
    /// Name of that resource, in the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// One snapshot: taken of a job, copied from another, or registered where it lies. Immutable but for `deletionPolicy`.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "savepoints.dev",
    version = "v1alpha1",
    kind = "FlinkSavepoint",
    plural = "flinksavepoints",
    shortname = "fsp",
    category = "flink",
    namespaced,
    status = "FlinkSavepointStatus",
    derive = "PartialEq",
    doc = "One snapshot of a Flink job: taken, copied, or registered where it lies.",
    printcolumn(
        name = "Phase",
        type_ = "string",
        json_path = ".status.phase",
        description = "Where the savepoint stands"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether the snapshot is there and may be used"
    ),
    printcolumn(
        name = "Job",
        type_ = "string",
        json_path = ".spec.jobRef.name",
        description = "The FlinkJobUpgrade whose job it is of"
    ),
    printcolumn(
        name = "Cluster",
        type_ = "string",
        json_path = ".spec.flinkCluster.service",
        description = "The Service of the Flink cluster whose job it is of",
        priority = 1
    ),
    printcolumn(
        name = "Format",
        type_ = "string",
        json_path = ".status.formatType",
        description = "Format that was written",
        priority = 1
    ),
    printcolumn(
        name = "Location",
        type_ = "string",
        json_path = ".status.location",
        description = "Directory of the snapshot"
    ),
    printcolumn(
        name = "Size",
        type_ = "integer",
        json_path = ".status.sizeBytes",
        description = "Bytes of all its files"
    ),
    printcolumn(
        name = "Written",
        type_ = "integer",
        json_path = ".status.progress.bytes",
        description = "Bytes that Flink has written so far",
        priority = 1
    ),
    printcolumn(
        name = "Started",
        type_ = "date",
        json_path = ".status.startTime",
        description = "How long ago the first attempt was made"
    ),
    printcolumn(
        name = "Completed",
        type_ = "date",
        json_path = ".status.completionTime",
        description = "How long ago it was complete"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.message",
        description = "What it is doing or why it cannot go on",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.jobRef), has(self.flinkCluster), has(self.path), has(self.copyOf)].filter(x, \
        x).size() == 1")
        .message("give exactly one of jobRef, flinkCluster, path and copyOf"),
    validation = Rule::new("!has(self.copyOf) || has(self.targetDirectory)")
        .message("copyOf needs targetDirectory: the directory to copy into"),
    validation = Rule::new("!has(self.path) || !has(self.targetDirectory)")
        .message("targetDirectory has no meaning with path, which registers a snapshot where it lies: use copyOf to \
            copy it"),
    validation = Rule::new("(has(self.jobRef) || has(self.flinkCluster)) || !(has(self.formatType) || has(self.then) \
        || has(self.timeout) || has(self.backoffLimit))")
        .message("formatType, then, timeout and backoffLimit belong to a savepoint that is taken: leave them out with \
            path and copyOf"),
    validation = immutable("jobRef"),
    validation = immutable("flinkCluster"),
    validation = immutable("path"),
    validation = immutable("copyOf"),
    validation = immutable("formatType"),
    validation = immutable("targetDirectory"),
    validation = immutable("then"),
    validation = immutable("timeout"),
    validation = immutable("backoffLimit"),
    validation = immutable("verification"),
    validation = immutable("storeRef"),
)]
pub struct FlinkSavepointSpec {
    /// Take a savepoint of the job of this resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_ref: Option<JobRef>,
    /// Take a savepoint of a job of any Flink cluster that can be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flink_cluster: Option<FlinkClusterRef>,
    /// Register a savepoint or retained checkpoint that exists, by its directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_URL))]
    #[x_kube(validation = url())]
    pub path: Option<String>,
    /// Copy a snapshot into targetDirectory; absolute paths inside of it are rewritten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<SnapshotRef>,
    /// Format of the savepoint. Left out: chosen, `CANONICAL` where a planned change needs it, else `NATIVE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format_type: Option<FormatType>,
    /// Directory below which the savepoint gets a directory of its own. Left out: the job's configured savepoint
    /// directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_URL))]
    #[x_kube(validation = url())]
    pub target_directory: Option<String>,
    /// What becomes of the job. Left out: Continue. Of a FlinkJobUpgrade's job, only the savepoint that its own upgrade
    /// created may stop it; to stop such a job set its `job.state` to suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<Then>,
    /// How long the savepoint may take. When exceeded it is Overdue: Flink cannot abort a savepoint. If the
    /// timeout is given, nothing new is sent then, and one of which nothing is under way fails. Left out: 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = longer_than_zero())]
    pub timeout: Option<Duration>,
    /// How many more attempts are made after a failed one. Left out: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub backoff_limit: Option<i32>,
    /// How far the snapshot is checked. Left out: as far as its store allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// What becomes of the files when this resource is deleted. Left out: Retain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// The FlinkSnapshotStore to read the files with; of a copy the one to write it with. Left out: the namespace's one
    /// with the longest matching url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_ref: Option<LocalRef>,
}

impl FlinkSavepointSpec {
    /// What becomes of the job; Continue where it is left out.
    #[must_use]
    pub fn then(&self) -> Then {
        self.then.unwrap_or(Then::Continue)
    }

    /// How long it may take; 10 minutes where it is left out.
    #[must_use]
    pub fn timeout(&self) -> std::time::Duration {
        let given = self.timeout.as_ref().and_then(|given| given.parse().ok());
        given.unwrap_or(std::time::Duration::from_secs(10 * 60))
    }

    /// How many more attempts are made after a failed one; 3 where it is left out.
    #[must_use]
    pub fn backoff_limit(&self) -> u32 {
        self.backoff_limit.map_or(3, |given| u32::try_from(given).unwrap_or_default())
    }

    /// What becomes of the files; Retain where it is left out.
    #[must_use]
    pub fn deletion_policy(&self) -> DeletionPolicy {
        self.deletion_policy.unwrap_or(DeletionPolicy::Retain)
    }
}

/// What was observed of a FlinkSavepoint.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct FlinkSavepointStatus {
    /// Generation of the spec that this status answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where the savepoint stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<SavepointPhase>,
    /// Directory of the snapshot, as Flink reported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// What its metadata says that it is. Left out: not read, or older than Flink 1.16, whose metadata does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<SnapshotKind>,
    /// Format that was asked of Flink, or read from the metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format_type: Option<FormatType>,
    /// Why the operator chose this format, where `spec.formatType` was left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format_reason: Option<String>,
    /// Flink's checkpoint ID of the snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_id: Option<i64>,
    /// Version of the `_metadata` file's layout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata_version: Option<i32>,
    /// Version of the Flink that wrote it, such as 1.20.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flink_version: Option<String>,
    /// When the first attempt was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When the snapshot was complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// Bytes of all files of the snapshot, `_metadata` included; of one whose files were not read, Flink's size of the
    /// state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<i64>,
    /// How far the savepoint is, while Flink writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<SavepointProgress>,
    /// The job failed after its stop's savepoint was whole and before it had ended: what its sinks had not committed
    /// yet is committed when a job is started from this savepoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncommitted: Option<bool>,
    /// Number of files of the snapshot, `_metadata` included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_count: Option<i64>,
    /// Every attempt, recorded before its request is sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["number".to_string()]))]
    pub attempts: Vec<SavepointAttempt>,
    /// The operators whose state it holds; the first ones if there are very many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operators: Vec<SavepointOperator>,
    /// Number of operators whose state it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator_count: Option<i32>,
    /// Where the snapshot comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SavepointSource>,
    /// Who owns the files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ownership: Option<Ownership>,
    /// Why the snapshot may not be deleted yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
    /// How far the copy is, with `copyOf`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<CopyProgress>,
    /// How far the deletion of its files is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disposal: Option<Disposal>,
    /// What it is doing, or why it cannot go on, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Conditions: `Ready`, `Reconciling`, `Stalled`, `Verified`, `Deletable`, `Overdue`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_string()]))]
    pub conditions: Vec<Condition>,
}

/// One attempt at a savepoint.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SavepointAttempt {
    /// Number of the attempt, from 1.
    pub number: i32,
    /// Flink job ID that it was asked of.
    pub job_id: String,
    /// The JobManager that it was asked of: pod UID and number of container restarts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_manager_instance: Option<String>,
    /// Trigger ID that was sent with the request.
    pub trigger_id: String,
    /// Directory that this attempt has for itself.
    pub directory: String,
    /// Directory of its savepoint, where Flink has named it and the attempt is not over: the job has still to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// How it ended, cut to the cause; left out while it has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// When it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<MicroTime>,
    /// When its end was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<MicroTime>,
}

/// How far a savepoint is.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SavepointProgress {
    /// Bytes of state that subtasks have reported.
    pub bytes: i64,
    /// Subtasks that have written their part.
    pub acknowledged_subtasks: i32,
    /// All subtasks.
    pub subtasks: i32,
    /// When that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
}

/// The state of one operator in a snapshot.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SavepointOperator {
    /// Operator ID (32 hexadecimal digits): a hash of its uid, or of the graph.
    pub id: String,
    /// Its `uid()`, where the metadata holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Its name, where the metadata holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its parallelism when the snapshot was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<i32>,
    /// Its maximum parallelism, which a successor may not change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallelism: Option<i32>,
    /// Bytes of its state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_bytes: Option<i64>,
}

/// Where a snapshot comes from.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SavepointSource {
    /// Revision of the job that it was taken of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// The session cluster that the job of a FlinkJobUpgrade runs on, if it has none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flink_cluster: Option<SessionClusterRef>,
    /// ID of the upgrade that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<String>,
    /// Image of the job: its digest, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// ID of the Flink job that it was taken of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// Snapshot that the job itself had been restored from; of a copy, what was copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// That snapshot, what the job of that one had been restored from, and so on; at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ancestors: Vec<String>,
}
