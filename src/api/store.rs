//! FlinkSnapshotStore: where snapshots live, and with whose credentials.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::common::LocalRef;
use super::rules::{MAX_URL, text};

/// A place where snapshots live, and the credentials to look into it.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "savepoints.dev",
    version = "v1alpha1",
    kind = "FlinkSnapshotStore",
    plural = "flinksnapshotstores",
    shortname = "fst",
    category = "flink",
    namespaced,
    status = "FlinkSnapshotStoreStatus",
    derive = "PartialEq",
    doc = "A place where snapshots of Flink jobs live, and the credentials to look into it.",
    printcolumn(name = "URL", type_ = "string", json_path = ".spec.url", description = "Where the snapshots live"),
    printcolumn(
        name = "Available",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Available\")].status",
        description = "Whether the last probe could write, list, read and delete"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Available\")].message",
        description = "What the last probe found",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!self.url.startsWith('file:') || !(has(self.endpoint) || has(self.region) || \
        has(self.credentialsSecretRef))")
        .message("endpoint, region and credentialsSecretRef belong to s3://: leave them out with file://"),
)]
pub struct FlinkSnapshotStoreSpec {
    /// Prefix of the snapshots that this store serves: `s3://bucket/prefix`, or `file:///directory` on a volume.
    #[schemars(length(max = MAX_URL))]
    #[x_kube(validation = text(
        "self.matches('^(s3|s3[anp]|file|gs|abfss?|hdfs)://')",
        "must be a URL such as s3://bucket/prefix or file:///savepoints"
    ))]
    #[x_kube(validation = text(
        "!self.matches('^(gs|abfss?|hdfs)://')",
        "is of a scheme that is not supported yet: use s3:// or file://"
    ))]
    #[x_kube(validation = text(
        "!self.matches('^s3[anp]://')",
        "names a file system of Flink: write the same place as s3://"
    ))]
    #[x_kube(validation = text(
        "!self.startsWith('s3:') || self.matches('^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^ ?#]*)?$')",
        "must name a bucket, such as s3://bucket or s3://bucket/prefix"
    ))]
    #[x_kube(validation = text(
        "!self.startsWith('file:') || self.matches('^file:///[^ ?#]+$')",
        "must name an absolute directory, such as file:///savepoints"
    ))]
    pub url: String,
    /// Address of an S3-compatible server. Left out: Amazon's of the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_URL))]
    #[x_kube(validation = text(
        "self.matches('^https?://[^ /?#@]+/?$')",
        "must be an http:// or https:// address without a path, such as http://minio.storage:9000"
    ))]
    pub endpoint: Option<String>,
    /// Region of the bucket. Left out: us-east-1, which most S3-compatible servers expect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub region: Option<String>,
    /// Secret of the same namespace with `accessKeyId` and `secretAccessKey`, and with `sessionToken` where one is
    /// needed. Without it nothing but public places can be read: the operator's own rights are never used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<LocalRef>,
    /// How many savepoints may be written there at once; those of upgrades do not wait. Left out: without limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub max_concurrent_savepoints: Option<i32>,
    /// The operator only lists and reads there, as in an archive that others write. Left out: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
}

impl FlinkSnapshotStoreSpec {
    /// Whether nothing may be written there; false where it is left out.
    #[must_use]
    pub fn read_only(&self) -> bool {
        self.read_only.unwrap_or(false)
    }
}

/// What was observed of a FlinkSnapshotStore.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct FlinkSnapshotStoreStatus {
    /// Generation of the spec that this status answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When the store was last probed with another outcome than before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_probe_time: Option<Time>,
    /// What nobody keeps in order there; looked for each hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orphans: Option<Orphans>,
    /// Conditions: `Ready`, `Reconciling`, `Stalled`, `Available`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_string()]))]
    pub conditions: Vec<Condition>,
}

/// Directories that have lost their FlinkSavepoint, and FlinkSavepoints that have lost their files.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Orphans {
    /// When that was looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
    /// There are more directories than were looked into.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// Number of directories, named as the operator names those of FlinkSavepoints of this namespace, that no
    /// FlinkSavepoint knows.
    pub directories_without_record: i32,
    /// The first ten of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub directories: Vec<String>,
    /// Number of completed FlinkSavepoints whose `_metadata` is not there.
    pub records_without_files: i32,
    /// The names of the first ten of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<String>,
}
