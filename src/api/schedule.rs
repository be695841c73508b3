//! FlinkSavepointSchedule: a CronJob for savepoints.

#![allow(clippy::struct_field_names, reason = "keepLast, keepDaily and so on are words that users know from restic")]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::common::{DeletionPolicy, Duration, FlinkClusterRef, FormatType, LocalRef, ObjectRef, string_enum};
use super::rules::{MAX_URL, cron, longer_than_zero, no_time_zone, url};
use super::savepoint::{FlinkSavepointSpec, JobRef, Verification};

string_enum! {
    /// What a due slot does while the savepoint of an earlier one is not settled.
    pub enum ConcurrencyPolicy {
        /// Both are wanted; the job still takes one after the other.
        Allow = "Allow",
        /// The newer slot is skipped.
        Forbid = "Forbid",
        /// The newer slot waits, and the older result is superseded when it ends: Flink cannot abort a savepoint.
        Replace = "Replace",
    }
}

/// Savepoints of a job, taken by the clock and kept by a rule.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "savepoints.dev",
    version = "v1alpha1",
    kind = "FlinkSavepointSchedule",
    plural = "flinksavepointschedules",
    shortname = "fss",
    category = "flink",
    namespaced,
    status = "FlinkSavepointScheduleStatus",
    derive = "PartialEq",
    doc = "Savepoints of a Flink job, taken by the clock and kept by a rule.",
    printcolumn(
        name = "Schedule",
        type_ = "string",
        json_path = ".spec.schedule",
        description = "When, in cron format"
    ),
    printcolumn(
        name = "Timezone",
        type_ = "string",
        json_path = ".spec.timeZone",
        description = "Time zone of the schedule"
    ),
    printcolumn(
        name = "Suspend",
        type_ = "boolean",
        json_path = ".spec.suspend",
        description = "Whether no new savepoint is started"
    ),
    printcolumn(
        name = "Job",
        type_ = "string",
        json_path = ".spec.savepointTemplate.spec.jobRef.name",
        description = "The FlinkJobUpgrade whose job it is of"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether its slots are acted upon"
    ),
    printcolumn(
        name = "Last Schedule",
        type_ = "date",
        json_path = ".status.lastScheduleTime",
        description = "How long ago a slot was last acted upon"
    ),
    printcolumn(
        name = "Last Success",
        type_ = "date",
        json_path = ".status.lastSuccessfulTime",
        description = "How long ago a savepoint was last complete"
    ),
    printcolumn(
        name = "Next",
        type_ = "string",
        json_path = ".status.nextScheduleTime",
        description = "When the next slot is due",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        description = "What it waits for, or what is to be corrected",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[kube(validation = Rule::new("self.metadata.name.size() <= 40")
    .message("metadata.name must be at most 40 characters long: the names of its savepoints are made of it"))]
#[serde(rename_all = "camelCase")]
pub struct FlinkSavepointScheduleSpec {
    /// When, in cron format: minute, hour, day of the month, month, day of the week; or a macro such as @daily.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = cron(), validation = no_time_zone())]
    pub schedule: String,
    /// Time zone of the schedule, such as Europe/Berlin. Left out: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
    /// How many seconds after its time a slot may still start. Left out: without limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub starting_deadline_seconds: Option<i64>,
    /// What a due slot does while the savepoint of an earlier one is not settled. Left out: Forbid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency_policy: Option<ConcurrencyPolicy>,
    /// Start no new savepoint; those under way are not touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// How many failed savepoints are kept. Left out: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub failed_history_limit: Option<i32>,
    /// Spread the start of a slot over so many seconds, always by the same amount for the same schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86_400))]
    pub jitter_seconds: Option<i32>,
    /// What is created for each slot.
    pub savepoint_template: SavepointTemplate,
    /// Which completed savepoints are kept. Left out: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
}

/// What is created for each slot of a schedule.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SavepointTemplate {
    /// Labels and annotations of each savepoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TemplateMetadata>,
    /// Spec of each savepoint.
    pub spec: SavepointTemplateSpec,
}

/// Labels and annotations of each savepoint of a schedule.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TemplateMetadata {
    /// Labels of each savepoint.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of each savepoint.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The part of a FlinkSavepoint's spec that a schedule may set. It may be changed, unlike a FlinkSavepoint's own.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.jobRef) != has(self.flinkCluster)")
        .message("give exactly one of jobRef and flinkCluster"),
    validation = Rule::new("!has(self.path)")
        .message("path has no meaning in a schedule, which takes savepoints: leave it out, and register that one snapshot by a \
            FlinkSavepoint with path"),
)]
pub struct SavepointTemplateSpec {
    /// Take savepoints of the job of this resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_ref: Option<JobRef>,
    /// Take savepoints of a job of any Flink cluster that can be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flink_cluster: Option<FlinkClusterRef>,
    /// Refused, so that one which is meant is not passed over in silence: a schedule takes savepoints, and registers none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_URL))]
    pub path: Option<String>,
    /// Format of the savepoints. Left out: chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format_type: Option<FormatType>,
    /// Directory below which each savepoint gets a directory of its own. Left out: the job's configured one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_URL))]
    #[x_kube(validation = url())]
    pub target_directory: Option<String>,
    /// How long a savepoint may take before it is Overdue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = longer_than_zero())]
    pub timeout: Option<Duration>,
    /// How many more attempts are made after a failed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub backoff_limit: Option<i32>,
    /// How far the savepoints are checked. Left out: as far as their store allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// What becomes of the files when a savepoint's resource is deleted, by retention or by hand. Left out: Delete with
    /// `retention`, else Retain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// The FlinkSnapshotStore to read the files with. Left out: the namespace's one with the longest matching url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_ref: Option<LocalRef>,
}

impl From<SavepointTemplateSpec> for FlinkSavepointSpec {
    fn from(template: SavepointTemplateSpec) -> Self {
        Self {
            job_ref: template.job_ref,
            flink_cluster: template.flink_cluster,
            path: None,
            copy_of: None,
            format_type: template.format_type,
            target_directory: template.target_directory,
            then: None,
            timeout: template.timeout,
            backoff_limit: template.backoff_limit,
            verification: template.verification,
            deletion_policy: template.deletion_policy,
            store_ref: template.store_ref,
        }
    }
}

/// Which completed savepoints of a schedule are kept: those that any of the rules wants.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.keepWithin) || [has(self.keepLast) && self.keepLast > 0, \
    has(self.keepHourly) && self.keepHourly > 0, has(self.keepDaily) && self.keepDaily > 0, has(self.keepWeekly) && \
    self.keepWeekly > 0, has(self.keepMonthly) && self.keepMonthly > 0].exists(x, x)")
    .message("retention keeps nothing: give keepWithin, or one of keepLast, keepHourly, keepDaily, keepWeekly and \
        keepMonthly above 0, or leave retention out to keep all"))]
pub struct Retention {
    /// The newest so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub keep_last: Option<i32>,
    /// All that are not older than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = longer_than_zero())]
    pub keep_within: Option<Duration>,
    /// The newest of each of the last so many hours that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub keep_hourly: Option<i32>,
    /// The newest of each of the last so many days that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub keep_daily: Option<i32>,
    /// The newest of each of the last so many weeks that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub keep_weekly: Option<i32>,
    /// The newest of each of the last so many months that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub keep_monthly: Option<i32>,
}

/// What was observed of a FlinkSavepointSchedule.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct FlinkSavepointScheduleStatus {
    /// Generation of the spec that this status answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The newest slot that was acted upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_schedule_time: Option<Time>,
    /// When a savepoint of this schedule was last complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful_time: Option<Time>,
    /// When the next slot is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_schedule_time: Option<Time>,
    /// The savepoints that are not settled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_string()]))]
    pub active: Vec<ObjectRef>,
    /// What the retention keeps, and by which of its rules; the newest 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_string()]))]
    pub kept: Vec<KeptSavepoint>,
    /// What it would keep no longer if another savepoint were complete at the next slot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expiring: Vec<String>,
    /// The value of the annotation `savepoints.dev/run-now` that was last acted upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_now_id: Option<String>,
    /// Number of slots that passed without a savepoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<i64>,
    /// Conditions: `Ready`, `Reconciling`, `Stalled`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_string()]))]
    pub conditions: Vec<Condition>,
}

/// A savepoint that a schedule's retention keeps.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct KeptSavepoint {
    /// Name of its FlinkSavepoint.
    pub name: String,
    /// The rules that keep it: names of the fields of `spec.retention`, or `held` if somebody needs it.
    pub rules: Vec<String>,
}
