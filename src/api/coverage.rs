//! That nothing of a spec is ever silently ignored: every field is in [`USED`], with the test that shows what it does, and
//! [`unknown`] finds what this version can't act upon, such as a value of a later version's schema.
//!
//! A path names the kind by its short name and then the field: `fju.spec.job.args`; `[]` stands for the items of a
//! list.

use serde_json::Value;

/// The values of a used field that are acted upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// All that the schema admits.
    Any,
    /// These: those of the schema's enum.
    Only(&'static [&'static str]),
}

/// A field that this version acts upon.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// The field.
    pub path: &'static str,
    /// The values that are acted upon.
    pub values: Values,
    /// The test that shows it.
    pub shown_by: &'static str,
}

const fn used(path: &'static str, shown_by: &'static str) -> Used {
    Used { path, values: Values::Any, shown_by }
}

const fn only(path: &'static str, values: &'static [&'static str], shown_by: &'static str) -> Used {
    Used { path, values: Values::Only(values), shown_by }
}

/// The tests that show what [`USED`] says, each by the name of its function or of its row in the table of scenarios.
mod shown_by {
    /// The rendering of a revision's objects, whole.
    pub(super) const RENDER: &str = "the_sample_is_rendered_as_before";
    /// The pods' memory and what Flink makes of it.
    pub(super) const MEMORY: &str = "the_process_size_follows_the_pod";
    /// Flat and nested configuration.
    pub(super) const CONFIGURATION: &str = "nested_maps_and_plain_values_become_flat_text";
    /// The number of TaskManager pods.
    pub(super) const REPLICAS: &str = "task_managers_follow_the_parallelism";
    /// What makes a revision.
    pub(super) const REVISION: &str = "what_runs_makes_a_revision";
    /// How many former revisions are kept.
    pub(super) const HISTORY: &str = "revisions_beyond_the_limit_are_removed";
    /// The first start of a job.
    pub(super) const START: &str = "first_start";
    /// Where a job's jar comes from.
    pub(super) const JAR: &str = "a_jar_comes_from_its_place";
    /// A jar with other bytes.
    pub(super) const JAR_HASH: &str = "a_jar_with_other_bytes_is_none";
    /// When a change of a running job may start.
    pub(super) const WINDOWS: &str = "a_change_waits_for_the_next_window";
    /// Savepoints of a job, into a given directory and into the configured one.
    pub(super) const SAVEPOINT: &str = "canonical_and_native";
    /// An upgrade into a given directory, by a named revision.
    pub(super) const DIRECTORY: &str = "without_a_directory";
    /// Upgrades where there is room for two of a job, and where there is none (`task_managers_change_places`).
    pub(super) const BLUE_GREEN: &str = "two_run_side_by_side";
    /// Upgrades with each restore mode.
    pub(super) const MODES: &str = "claimed_and_named";
    /// An upgrade that drops state on purpose.
    pub(super) const DROP: &str = "source_uid_changed_is_seen";
    /// An upgrade that drops the state of named operators, and of no other.
    pub(super) const NAMED: &str = "drops_only_what_is_named";
    /// What a preflight's outcome does.
    pub(super) const PREFLIGHT: &str = "what_an_outcome_does";
    /// A revision whose pods never start.
    pub(super) const DEADLINE: &str = "bad_image_leaves_the_old_job_running";
    /// What a job's successor starts from.
    pub(super) const SOURCE: &str = "what_a_successor_starts_from";
    /// When a new revision is stable.
    pub(super) const GATE: &str = "when_a_revision_is_stable";
    /// A revision that fails while a person decides.
    pub(super) const BY_HAND: &str = "a_person_decides_to_go_back";
    /// Going back past completed checkpoints.
    pub(super) const REWIND: &str = "rewound";
    /// A job that is started from what the spec names.
    pub(super) const RESTORE: &str = "restored_on_purpose";
    /// A job that starts from another one's snapshot.
    pub(super) const FORK: &str = "a_fork_starts_from_what_the_other_job_has";
    /// A resource that is made again.
    pub(super) const NEVER_EMPTY: &str = "state_exists_and_is_taken";
    /// A job that is suspended, and started again.
    pub(super) const SUSPEND: &str = "suspended";
    /// The end of a resource, in each way.
    pub(super) const DELETE_DRAINS: &str = "deleted_with_a_drain";
    /// A job on a session cluster.
    pub(super) const SESSION: &str = "upgraded_on_a_session_cluster";
    /// What its pod is made of.
    pub(super) const CARRIER: &str = "a_carrier_fetches_and_uploads";
    /// How it uploads by HTTPS.
    pub(super) const CARRIER_TLS: &str = "a_carrier_uploads_by_https";
    /// A store that is probed, with the right key and all wrong ones.
    pub(super) const STORE: &str = "stores";
    /// A snapshot that exists, by its directory or its `_metadata`.
    pub(super) const REGISTERED: &str = "registered";
    /// How far a snapshot is checked.
    pub(super) const VERIFICATION: &str = "the_wish_decides_what_must_be_checked";
    /// By which store.
    pub(super) const STORE_REF: &str = "a_named_store_must_serve_the_place";
    /// Savepoints of jobs that nobody manages.
    pub(super) const FOREIGN: &str = "foreign_clusters";
    /// The one job of a foreign cluster that is meant.
    pub(super) const ONE_JOB: &str = "the_one_job_that_is_meant";
    /// What is sent with every request to a foreign cluster.
    pub(super) const CREDENTIALS: &str = "credentials_become_a_header";
    /// Requests by HTTPS, and what can be wrong with it.
    pub(super) const TLS: &str = "who_is_spoken_to_by_tls";
    /// A savepoint that takes too long.
    pub(super) const TIMEOUT: &str = "one_that_waits_too_long";
    /// How many attempts are made.
    pub(super) const ATTEMPTS: &str = "attempts_are_limited_and_wait_longer_each";
    /// The savepoint of an upgrade.
    pub(super) const CHILD: &str = "the_child_is_as_the_upgrade_asks";
    /// The end of a resource that cannot be had within its time.
    pub(super) const DELETE_LATE: &str = "deletion_lets_go_after_its_timeout";
    /// When slots of a schedule start.
    pub(super) const SLOTS: &str = "what_is_due";
    /// The same in a zone of its own.
    pub(super) const ZONE: &str = "in_a_zone_with_summer_time";
    /// A schedule that starts nothing for a while.
    pub(super) const PAUSE: &str = "a_suspended_schedule_starts_nothing_and_then_the_newest";
    /// A slot that comes while an earlier one's savepoint is under way.
    pub(super) const CONCURRENCY: &str = "while_one_is_under_way";
    /// How many failed savepoints are kept.
    pub(super) const FAILURES: &str = "failed_ones_are_kept_for_a_while";
    /// Schedules that do not start together.
    pub(super) const JITTER: &str = "jitter_spreads";
    /// What admission refuses, each with its message.
    pub(super) const REFUSED: &str = "every_rule_accepts_and_refuses_with_its_message";
    /// What a slot's savepoint is made of.
    pub(super) const TEMPLATE: &str = "a_slot_s_savepoint_is_made_of_the_template";
    /// A snapshot that is copied.
    pub(super) const COPY: &str = "what_is_copied";
    /// A savepoint whose files go with it.
    pub(super) const DISPOSED: &str = "nobody_needs_it_so_its_files_go_and_then_the_resource";
    /// The savepoints of past upgrades.
    pub(super) const CHILDREN: &str = "what_may_not_go_stays";
    /// Which savepoints of a schedule are kept.
    pub(super) const RETENTION: &str = "what_is_kept";
    /// What becomes of the others.
    pub(super) const EXPIRED: &str = "the_files_go_with_what_the_retention_drops_unless_the_template_says_otherwise";
    /// Savepoints that wait for others at their store.
    pub(super) const ROOM: &str = "no_more_than_the_limit_are_in_at_once";
    /// A slot of a foreign cluster's job.
    pub(super) const FOREIGN_SLOT: &str = "of_a_foreign_cluster_nothing_is_known_before";
}

use shown_by::{
    ATTEMPTS, BLUE_GREEN, BY_HAND, CARRIER, CARRIER_TLS, CHILD, CHILDREN, CONCURRENCY, CONFIGURATION, COPY,
    CREDENTIALS, DEADLINE, DELETE_DRAINS, DELETE_LATE, DIRECTORY, DISPOSED, DROP, EXPIRED, FAILURES, FOREIGN,
    FOREIGN_SLOT, FORK, GATE, HISTORY, JAR, JAR_HASH, JITTER, MEMORY, MODES, NAMED, NEVER_EMPTY, ONE_JOB, PAUSE,
    PREFLIGHT, REFUSED, REGISTERED, RENDER, REPLICAS, RESTORE, RETENTION, REVISION, REWIND, ROOM, SAVEPOINT, SESSION,
    SLOTS, SOURCE, START, STORE, STORE_REF, SUSPEND, TEMPLATE, TIMEOUT, TLS, VERIFICATION, WINDOWS, ZONE,
};

/// The fields that this version acts upon.
pub const USED: &[Used] = &[
    used("fju.spec.revisionName", DIRECTORY),
    only("fju.spec.flinkVersion", &["v1_20", "v2_3"], START),
    used("fju.spec.image", START),
    only("fju.spec.imagePullPolicy", &["Always", "IfNotPresent", "Never"], RENDER),
    used("fju.spec.imagePullSecrets[].name", RENDER),
    used("fju.spec.serviceAccount", RENDER),
    used("fju.spec.flinkCluster.service", SESSION),
    used("fju.spec.flinkCluster.port", CARRIER),
    used("fju.spec.flinkCluster.tls.secretRef.name", CARRIER_TLS),
    used("fju.spec.flinkCluster.tls.serverName", CARRIER_TLS),
    used("fju.spec.flinkCluster.authSecretRef.name", CARRIER),
    used("fju.spec.flinkConfiguration", CONFIGURATION),
    used("fju.spec.logConfiguration", RENDER),
    used("fju.spec.podTemplate", RENDER),
    used("fju.spec.restartNonce", REVISION),
    used("fju.spec.jobManager.resource.cpu", RENDER),
    used("fju.spec.jobManager.resource.memory", MEMORY),
    used("fju.spec.jobManager.podTemplate", RENDER),
    used("fju.spec.taskManager.resource.cpu", RENDER),
    used("fju.spec.taskManager.resource.memory", MEMORY),
    used("fju.spec.taskManager.replicas", REPLICAS),
    used("fju.spec.taskManager.podTemplate", RENDER),
    used("fju.spec.job.jarURI", JAR),
    used("fju.spec.job.jarSHA256", JAR_HASH),
    used("fju.spec.job.entryClass", START),
    used("fju.spec.job.args", START),
    used("fju.spec.job.parallelism", START),
    only("fju.spec.job.state", &["running", "suspended"], SUSPEND),
    only("fju.spec.job.restoreMode", &["NO_CLAIM", "CLAIM", "LEGACY"], MODES),
    used("fju.spec.job.allowNonRestoredState", DROP),
    used("fju.spec.job.allowedDroppedOperators", NAMED),
    used("fju.spec.job.restoreFrom.id", RESTORE),
    used("fju.spec.job.restoreFrom.path", RESTORE),
    used("fju.spec.job.restoreFrom.savepointRef.name", RESTORE),
    used("fju.spec.job.restoreFrom.fromJob.name", FORK),
    only("fju.spec.job.restoreFrom.fromJob.snapshot", &["New", "Latest"], FORK),
    used("fju.spec.job.restoreFrom.latest", NEVER_EMPTY),
    used("fju.spec.job.restoreFrom.empty", NEVER_EMPTY),
    only("fju.spec.upgrade.strategy", &["Prewarm", "Recreate", "BlueGreen"], BLUE_GREEN),
    only("fju.spec.upgrade.from", &["Savepoint", "SavepointOrCheckpoint", "Checkpoint", "Empty"], SOURCE),
    only("fju.spec.upgrade.savepoint.formatType", &["CANONICAL", "NATIVE"], DIRECTORY),
    used("fju.spec.upgrade.savepoint.targetDirectory", DIRECTORY),
    used("fju.spec.upgrade.savepoint.timeout", CHILD),
    used("fju.spec.upgrade.savepoint.backoffLimit", CHILD),
    only("fju.spec.upgrade.savepoint.deletionPolicy", &["Retain", "Delete"], CHILDREN),
    only("fju.spec.upgrade.preflight", &["Enforce", "Warn", "Skip"], PREFLIGHT),
    used("fju.spec.upgrade.stability.completedCheckpoints", GATE),
    used("fju.spec.upgrade.stability.minRunning", GATE),
    used("fju.spec.upgrade.stability.maxRestarts", GATE),
    only("fju.spec.upgrade.rollback.policy", &["Automatic", "Manual"], BY_HAND),
    used("fju.spec.upgrade.rollback.allowRewind", REWIND),
    used("fju.spec.upgrade.progressDeadline", DEADLINE),
    only("fju.spec.upgrade.blueGreen.promotion", &["Automatic", "Manual"], BLUE_GREEN),
    used("fju.spec.upgrade.blueGreen.promotedRevision", BLUE_GREEN),
    used("fju.spec.upgrade.blueGreen.abortAfter", BLUE_GREEN),
    used("fju.spec.upgrade.windows[].schedule", WINDOWS),
    used("fju.spec.upgrade.windows[].timeZone", WINDOWS),
    used("fju.spec.upgrade.windows[].duration", WINDOWS),
    only("fju.spec.deletion.job", &["Savepoint", "Cancel", "Drain"], DELETE_DRAINS),
    used("fju.spec.deletion.timeout", DELETE_LATE),
    used("fju.spec.revisionHistoryLimit", HISTORY),
    only("fsp.spec.jobRef.kind", &["FlinkJobUpgrade"], SAVEPOINT),
    used("fsp.spec.jobRef.name", SAVEPOINT),
    only("fsp.spec.formatType", &["CANONICAL", "NATIVE"], SAVEPOINT),
    used("fsp.spec.targetDirectory", SAVEPOINT),
    used("fsp.spec.flinkCluster.service", FOREIGN),
    used("fsp.spec.flinkCluster.port", FOREIGN),
    used("fsp.spec.flinkCluster.tls.secretRef.name", TLS),
    used("fsp.spec.flinkCluster.tls.serverName", TLS),
    used("fsp.spec.flinkCluster.authSecretRef.name", CREDENTIALS),
    used("fsp.spec.flinkCluster.jobId", ONE_JOB),
    used("fsp.spec.flinkCluster.jobName", ONE_JOB),
    only("fsp.spec.then", &["Continue", "Stop", "Drain", "Cancel"], FOREIGN),
    used("fsp.spec.timeout", TIMEOUT),
    used("fsp.spec.backoffLimit", ATTEMPTS),
    only("fsp.spec.deletionPolicy", &["Retain", "Delete"], DISPOSED),
    used("fsp.spec.path", REGISTERED),
    used("fsp.spec.copyOf.name", COPY),
    used("fsp.spec.copyOf.path", COPY),
    only("fsp.spec.verification", &["Full", "Metadata"], VERIFICATION),
    used("fsp.spec.storeRef.name", STORE_REF),
    used("fss.spec.schedule", SLOTS),
    used("fss.spec.timeZone", ZONE),
    used("fss.spec.startingDeadlineSeconds", SLOTS),
    only("fss.spec.concurrencyPolicy", &["Allow", "Forbid", "Replace"], CONCURRENCY),
    used("fss.spec.suspend", PAUSE),
    used("fss.spec.failedHistoryLimit", FAILURES),
    used("fss.spec.jitterSeconds", JITTER),
    used("fss.spec.savepointTemplate.metadata.labels", TEMPLATE),
    used("fss.spec.savepointTemplate.metadata.annotations", TEMPLATE),
    only("fss.spec.savepointTemplate.spec.jobRef.kind", &["FlinkJobUpgrade"], TEMPLATE),
    used("fss.spec.savepointTemplate.spec.jobRef.name", TEMPLATE),
    used("fss.spec.savepointTemplate.spec.path", REFUSED),
    used("fss.spec.savepointTemplate.spec.flinkCluster.service", FOREIGN_SLOT),
    used("fss.spec.savepointTemplate.spec.flinkCluster.port", FOREIGN_SLOT),
    used("fss.spec.savepointTemplate.spec.flinkCluster.tls.secretRef.name", FOREIGN_SLOT),
    used("fss.spec.savepointTemplate.spec.flinkCluster.tls.serverName", FOREIGN_SLOT),
    used("fss.spec.savepointTemplate.spec.flinkCluster.authSecretRef.name", FOREIGN_SLOT),
    used("fss.spec.savepointTemplate.spec.flinkCluster.jobId", FOREIGN_SLOT),
    used("fss.spec.savepointTemplate.spec.flinkCluster.jobName", FOREIGN_SLOT),
    only("fss.spec.savepointTemplate.spec.formatType", &["CANONICAL", "NATIVE"], TEMPLATE),
    used("fss.spec.savepointTemplate.spec.targetDirectory", TEMPLATE),
    used("fss.spec.savepointTemplate.spec.timeout", TEMPLATE),
    used("fss.spec.savepointTemplate.spec.backoffLimit", TEMPLATE),
    only("fss.spec.savepointTemplate.spec.verification", &["Full", "Metadata"], TEMPLATE),
    only("fss.spec.savepointTemplate.spec.deletionPolicy", &["Retain", "Delete"], EXPIRED),
    used("fss.spec.savepointTemplate.spec.storeRef.name", TEMPLATE),
    used("fss.spec.retention.keepLast", RETENTION),
    used("fss.spec.retention.keepWithin", RETENTION),
    used("fss.spec.retention.keepHourly", RETENTION),
    used("fss.spec.retention.keepDaily", RETENTION),
    used("fss.spec.retention.keepWeekly", RETENTION),
    used("fss.spec.retention.keepMonthly", RETENTION),
    used("fst.spec.url", STORE),
    used("fst.spec.endpoint", STORE),
    used("fst.spec.region", STORE),
    used("fst.spec.credentialsSecretRef.name", STORE),
    used("fst.spec.readOnly", STORE),
    used("fst.spec.maxConcurrentSavepoints", ROOM),
];

/// The kind's short name, by which the tables name it. A kind that is not one of ours stands for itself.
fn short(kind: &str) -> &str {
    match kind {
        "FlinkJobUpgrade" => "fju",
        "FlinkSavepoint" => "fsp",
        "FlinkSavepointSchedule" => "fss",
        "FlinkSnapshotStore" => "fst",
        other => other,
    }
}

/// The fields of `spec` of a resource of `kind` that this version can't act upon, as `spec.upgrade.windows[0].schedule`, in
/// the order of their names: with a value that it does not know, or not known at all.
#[must_use]
pub fn unknown(kind: &str, spec: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let path = format!("{}.spec", short(kind));
    collect(&path, "spec", spec, &mut found);
    found
}

/// Adds what can't be acted upon of `value`, which stands at `path` in the table and at `shown` in the resource.
fn collect(path: &str, shown: &str, value: &Value, found: &mut Vec<String>) {
    let used = USED.iter().find(|used| used.path == path).map(|used| used.values);
    match (used, value) {
        (_, Value::Null) | (Some(Values::Any), _) => {}
        (Some(Values::Only(values)), value) => {
            if !value.as_str().is_some_and(|value| values.contains(&value)) {
                found.push(shown.to_owned());
            }
        }
        (None, Value::Object(fields)) => {
            for (name, field) in fields {
                collect(&format!("{path}.{name}"), &format!("{shown}.{name}"), field, found);
            }
        }
        (None, Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                collect(&format!("{path}[]"), &format!("{shown}[{index}]"), item, found);
            }
        }
        (None, _) => found.push(shown.to_owned()),
    }
}

#[cfg(test)]
#[path = "coverage_tests.rs"]
mod tests;
