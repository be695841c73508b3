//! What a user asks of a FlinkJobUpgrade: the revision part of the spec.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::policy::{DeletionSpec, RestoreFrom, UpgradeSpec};
use super::status::FlinkJobUpgradeStatus;
use crate::api::common::{
    FlinkConfiguration, LocalRef, ResourceSpec, RestoreMode, SessionClusterRef, any_object, string_enum,
};
use crate::api::rules::{MAX_URL, text};

string_enum! {
    /// A minor version of Flink, in the spelling of Apache's operator.
    pub enum FlinkVersion {
        /// Flink 1.20.
        V1_20 = "v1_20",
        /// Flink 2.3.
        V2_3 = "v2_3",
    }
}

string_enum! {
    /// When an image is pulled, as on a container.
    pub enum ImagePullPolicy {
        /// At every start of a container.
        Always = "Always",
        /// Where the node does not have it.
        IfNotPresent = "IfNotPresent",
        /// Not at all: the node must have it.
        Never = "Never",
    }
}

string_enum! {
    /// Whether the job is meant to run.
    pub enum JobState {
        /// It runs.
        Running = "running",
        /// It is stopped with a savepoint from which it can be resumed.
        Suspended = "suspended",
    }
}

/// A Flink job, and how it moves from revision to revision: every change of the revision part is an upgrade through a
/// snapshot.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "savepoints.dev",
    version = "v1alpha1",
    kind = "FlinkJobUpgrade",
    plural = "flinkjobupgrades",
    shortname = "fju",
    category = "flink",
    namespaced,
    status = "FlinkJobUpgradeStatus",
    derive = "PartialEq",
    doc = "A Flink job, and how it moves from revision to revision through savepoints.",
    scale(
        spec_replicas_path = ".spec.job.parallelism",
        status_replicas_path = ".status.parallelism",
        label_selector_path = ".status.selector"
    ),
    printcolumn(
        name = "Revision",
        type_ = "integer",
        json_path = ".status.active.revision",
        description = "Number of the revision that runs"
    ),
    printcolumn(
        name = "Name",
        type_ = "string",
        json_path = ".status.active.revisionName",
        description = "Name of the revision that runs",
        priority = 1
    ),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "Where the job stands"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether the job runs as the spec asks, and is stable"
    ),
    printcolumn(
        name = "Job",
        type_ = "string",
        json_path = ".status.jobState",
        description = "State of the job in Flink's words"
    ),
    printcolumn(
        name = "Upgrade",
        type_ = "string",
        json_path = ".status.upgrade.step",
        description = "Step of the upgrade under way"
    ),
    printcolumn(
        name = "Since",
        type_ = "date",
        json_path = ".status.upgrade.stepSince",
        description = "For how long it is at that step"
    ),
    printcolumn(
        name = "Savepoint",
        type_ = "string",
        json_path = ".status.upgrade.savepoint",
        description = "The FlinkSavepoint of the upgrade under way",
        priority = 1
    ),
    printcolumn(
        name = "Parallelism",
        type_ = "integer",
        json_path = ".status.parallelism",
        description = "Parallelism of the job",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        description = "What it is doing, what it waits for, or why it cannot go on"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[kube(validation = Rule::new("self.metadata.name.size() <= 40")
    .message("metadata.name must be at most 40 characters long: the names of the job's objects are made of it"))]
#[kube(validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
    .message("metadata.name must begin with a letter and consist of lower case letters, digits and '-': Services are \
        named after it"))]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.image) != has(self.flinkCluster)")
        .message("give exactly one of image (a Flink cluster for this job alone) and flinkCluster (an existing \
            session cluster)"),
    validation = Rule::new("has(self.flinkCluster) == has(oldSelf.flinkCluster)")
        .message("a job cannot be moved between a cluster of its own (image) and flinkCluster: create another \
            FlinkJobUpgrade with job.restoreFrom.fromJob"),
    validation = Rule::new("!has(self.flinkCluster) || !has(oldSelf.flinkCluster) || \
        self.flinkCluster.service == oldSelf.flinkCluster.service")
        .message("flinkCluster.service cannot be changed: a job's state moves to another cluster by another \
            FlinkJobUpgrade with job.restoreFrom"),
    validation = Rule::new("!has(self.image) || has(self.flinkVersion)")
        .message("flinkVersion is needed with image: the version of Flink in that image, such as v1_20"),
    validation = Rule::new("!has(self.flinkCluster) || !(has(self.imagePullPolicy) || has(self.imagePullSecrets) || \
        has(self.serviceAccount) || has(self.logConfiguration) || has(self.podTemplate) || has(self.jobManager) || \
        has(self.taskManager))")
        .message("imagePullPolicy, imagePullSecrets, serviceAccount, logConfiguration, podTemplate, jobManager and \
            taskManager belong to image: an existing cluster (flinkCluster) brings its own pods"),
    validation = Rule::new("!has(self.flinkCluster) || !(has(self.upgrade) && has(self.upgrade.strategy) && \
        self.upgrade.strategy == 'Recreate')")
        .message("upgrade.strategy Recreate replaces TaskManagers, and those of an existing cluster (flinkCluster) stay: \
            leave it out"),
    validation = Rule::new("!has(self.flinkCluster) || !(has(self.upgrade) && has(self.upgrade.strategy) && \
        self.upgrade.strategy == 'BlueGreen')")
        .message("upgrade.strategy BlueGreen runs two clusters side by side, and flinkCluster is one that exists: leave it \
            out"),
    validation = Rule::new("!(has(self.upgrade) && has(self.upgrade.strategy) && self.upgrade.strategy == 'BlueGreen' \
        && has(self.upgrade.from) && self.upgrade.from in ['Checkpoint', 'Empty'])")
        .message("upgrade.strategy BlueGreen forks the running job by a savepoint: upgrade.from must be Savepoint or \
            SavepointOrCheckpoint (which counts for a job that does not run)"),
    validation = Rule::new("!(has(self.upgrade) && has(self.upgrade.rollback) && has(self.upgrade.rollback.policy) && \
        self.upgrade.rollback.policy == 'Automatic' && has(self.job.restoreMode) && self.job.restoreMode == 'CLAIM')")
        .message("job.restoreMode CLAIM lets Flink delete the savepoint that upgrade.rollback.policy Automatic would \
            go back to: use NO_CLAIM, or rollback.policy Manual"),
    validation = Rule::new("!(has(self.job.allowedDroppedOperators) && self.job.allowedDroppedOperators.size() > 0 && \
        has(self.upgrade) && has(self.upgrade.preflight) && self.upgrade.preflight == 'Skip')")
        .message("job.allowedDroppedOperators is held against the state by the preflight: set upgrade.preflight to \
            Enforce or Warn, or use job.allowNonRestoredState"),
    validation = Rule::new("!(has(self.upgrade) && has(self.upgrade.strategy) && self.upgrade.strategy == 'BlueGreen' \
        && has(self.job.restoreMode) && self.job.restoreMode != 'NO_CLAIM')")
        .message("upgrade.strategy BlueGreen runs two jobs from one savepoint: job.restoreMode must be NO_CLAIM"),
    validation = Rule::new("!(has(self.job.restoreFrom) && has(self.job.restoreFrom.fromJob) && \
        has(self.job.restoreMode) && self.job.restoreMode != 'NO_CLAIM')")
        .message("job.restoreFrom.fromJob starts from another job's state: job.restoreMode must be NO_CLAIM"),
    validation = Rule::new("!(has(self.upgrade) && has(self.upgrade.blueGreen) && \
        has(self.upgrade.blueGreen.promotion) && self.upgrade.blueGreen.promotion == 'Manual') || \
        has(self.revisionName)")
        .message("upgrade.blueGreen.promotion Manual needs revisionName: the name that \
            upgrade.blueGreen.promotedRevision will promote"),
)]
pub struct FlinkJobUpgradeSpec {
    /// A name of this revision, such as a version or a commit, unique within the job. A changed name alone is no
    /// upgrade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub revision_name: Option<String>,
    /// Version of Flink in the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flink_version: Option<FlinkVersion>,
    /// Image of the JobManager and TaskManager pods: Flink, and for a `local://` jar the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub image: Option<String>,
    /// When the image is pulled. Left out: as Kubernetes does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<ImagePullPolicy>,
    /// Secrets to pull the image with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub image_pull_secrets: Option<Vec<LocalRef>>,
    /// `ServiceAccount` of the pods. Left out: the namespace's default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub service_account: Option<String>,
    /// Flink's configuration: flat keys, nested maps, or both; numbers and booleans are allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub flink_configuration: Option<FlinkConfiguration>,
    /// Files of Flink's logging configuration by their names, such as log4j-console.properties.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_configuration: Option<BTreeMap<String, String>>,
    /// Pod template of all pods: a `PodTemplateSpec` of Kubernetes whose container `flink-main-container` is Flink's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub pod_template: Option<serde_json::Value>,
    /// A number; changing it is an upgrade of the job to a revision that is otherwise the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_nonce: Option<i64>,
    /// The JobManager: one pod. High availability means that it recovers after a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_manager: Option<JobManagerSpec>,
    /// The TaskManager pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_manager: Option<TaskManagerSpec>,
    /// An existing session cluster to run the job in, instead of a cluster of its own. Cannot be switched later. Without
    /// high availability, and exactly one JobManager behind its Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flink_cluster: Option<SessionClusterRef>,
    /// The job.
    pub job: JobSpec,
    /// How the job moves from revision to revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<UpgradeSpec>,
    /// What becomes of the job when this resource is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<DeletionSpec>,
    /// How many former revisions are kept as records, and how many entries of the history: so many upgrades, and so many of all
    /// else. Savepoints that no entry tells of go once nobody needs them. Left out: 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub revision_history_limit: Option<i32>,
}

/// The JobManager of a revision.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct JobManagerSpec {
    /// Processor and memory of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceSpec>,
    /// Pod template of the JobManager, merged over the common one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub pod_template: Option<serde_json::Value>,
}

/// The TaskManager pods of a revision.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TaskManagerSpec {
    /// Processor and memory of one pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceSpec>,
    /// Number of TaskManager pods. Left out: the job's parallelism over the slots of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 32_768))]
    pub replicas: Option<i32>,
    /// Pod template of the TaskManager pods, merged over the common one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub pod_template: Option<serde_json::Value>,
}

/// A Flink job.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!self.jarURI.startsWith('http://') || has(self.jarSHA256)")
        .message("jarURI with http:// needs jarSHA256, as nothing else says whose bytes come: give it, or use https://"),
)]
pub struct JobSpec {
    /// The job's jar: `local:///path` in the image, `s3://` or `https://`; `http://` with `jarSHA256` only. One in S3 is
    /// fetched with the credentials of the namespace's FlinkSnapshotStore that serves it.
    #[serde(rename = "jarURI")]
    #[schemars(length(max = MAX_URL))]
    #[x_kube(validation = text(
        "self.matches('^(local:///|s3://|https?://)[^ ]+$')",
        "must be the URI of a jar: local:///path in the image, s3://, https://, or http:// with jarSHA256"
    ))]
    pub jar_uri: String,
    /// SHA-256 of the jar (64 hexadecimal digits); a jar with another one is not run.
    #[serde(rename = "jarSHA256", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = text("self.matches('^[0-9a-fA-F]{64}$')", "must be a SHA-256: 64 hexadecimal digits"))]
    pub jar_sha256: Option<String>,
    /// The class whose `main()` builds the job. Left out: the one that the jar's manifest names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub entry_class: Option<String>,
    /// Arguments of `main()`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub args: Option<Vec<String>>,
    /// Parallelism of the job.
    #[schemars(range(min = 1, max = 32_768))]
    pub parallelism: i32,
    /// Whether the job is meant to run. Left out: running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<JobState>,
    /// Who owns the snapshot's files after a restore. Left out: `NO_CLAIM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_mode: Option<RestoreMode>,
    /// Start although the snapshot holds state of operators that the new job does not have. Left out: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_non_restored_state: Option<bool>,
    /// The only operators whose state may be dropped, each by its uid or its operator ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub allowed_dropped_operators: Option<Vec<String>>,
    /// What to start from; acted on once for each id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_from: Option<RestoreFrom>,
}

impl JobSpec {
    /// Who owns the snapshot's files after a restore; `NO_CLAIM` where it is left out.
    #[must_use]
    pub fn restore_mode(&self) -> RestoreMode {
        self.restore_mode.unwrap_or(RestoreMode::NoClaim)
    }

    /// Whether state without an operator in the new job may be dropped; false where it is left out.
    #[must_use]
    pub fn allow_non_restored_state(&self) -> bool {
        self.allow_non_restored_state.unwrap_or(false)
    }

    /// Whether the job is meant to run; running where it is left out.
    #[must_use]
    pub fn state(&self) -> JobState {
        self.state.unwrap_or(JobState::Running)
    }
}
