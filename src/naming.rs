//! The names that the operator gives: objects, labels, directories and Flink's ids.
//!
//! Everything here is a pure function of names, UIDs and numbers, so that a second pass finds what the first one made.
//! Users and later versions depend on the results: they are fixed for ever and held by golden tests.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use sha2::{Digest, Sha256};

use crate::api::labels;
use crate::flink::location;

/// Key of the label that names the operation which a child FlinkSavepoint belongs to.
pub const LABEL_OPERATION: &str = "savepoints.dev/operation";
/// Name of Flink's container in every pod, as in Apache's operator, so that pod templates move over unchanged.
pub const MAIN_CONTAINER: &str = "flink-main-container";
/// Name of the init container of a JobManager's pod that puts the job's jar in its place.
pub const JAR_CONTAINER: &str = "flink-job-jar";
/// File name of the job's jar below [`JAR_DIRECTORY`], which is its jar id in Flink's REST API.
pub const JOB_JAR: &str = "job.jar";
/// File name of the helper jar (preflight and warm-up) below [`JAR_DIRECTORY`].
pub const HELPER_JAR: &str = "helper.jar";
/// Flink's `web.upload.dir`.
pub const UPLOAD_DIRECTORY: &str = "/flink-jars";
/// Where Flink looks for uploaded jars: a fixed directory below `web.upload.dir`.
pub const JAR_DIRECTORY: &str = "/flink-jars/flink-web-upload";
/// Port of Flink's REST API.
pub const REST_PORT: u16 = 8081;
/// Port of the JobManager's RPC.
pub const RPC_PORT: u16 = 6123;
/// Port of the JobManager's blob server.
pub const BLOB_PORT: u16 = 6124;

/// What the id of an operation that suspends a job begins with.
const SUSPEND: &str = "suspend-";

/// A label value holds at most 63 characters, and a StatefulSet's pods carry its name, a dash and a hash of up to ten
/// characters in one (`controller-revision-hash`): with a longer name no pod can be created.
const MAX_STATEFUL_SET_NAME: usize = 52;

/// Name of a revision's ControllerRevision, ConfigMap and Service: `orders-3`.
#[must_use]
pub fn revision_name(job: &str, revision: i64) -> String {
    format!("{job}-{revision}")
}

/// Name of the ConfigMap that holds a revision's helper jar: `orders-3-helper`.
#[must_use]
pub fn helper_name(job: &str, revision: i64) -> String {
    format!("{job}-{revision}-helper")
}

/// Name of a revision's StatefulSet: `orders-3-jobmanager`.
///
/// Where that would be longer than 52 characters the job's name is cut and a hash of it added.
#[must_use]
pub fn job_manager_name(job: &str, revision: i64) -> String {
    let suffix = format!("-{revision}-jobmanager");
    if job.len() + suffix.len() <= MAX_STATEFUL_SET_NAME {
        return format!("{job}{suffix}");
    }
    let hash = short_hash(&["job name", job]);
    let keep = MAX_STATEFUL_SET_NAME.saturating_sub(suffix.len() + 1 + hash.len());
    let kept: String = job.chars().take(keep).collect();
    format!("{}-{hash}{suffix}", kept.trim_end_matches('-'))
}

/// Name of the one pod of a revision's StatefulSet: `orders-3-jobmanager-0`.
#[must_use]
pub fn job_manager_pod_name(job: &str, revision: i64) -> String {
    format!("{}-0", job_manager_name(job, revision))
}

/// Name of a revision's Deployment: `orders-3-taskmanager`.
#[must_use]
pub fn task_manager_name(job: &str, revision: i64) -> String {
    format!("{job}-{revision}-taskmanager")
}

/// Name of the ConfigMap in which Flink's high availability has the leaders of a cluster, and its jobs' graphs.
#[must_use]
pub fn leader_config_map(cluster_id: &str) -> String {
    format!("{cluster_id}-cluster-config-map")
}

/// Name of the ConfigMap in which Flink's high availability has the checkpoints of a job: as long as it is there, a
/// JobManager of the cluster recovers the job.
#[must_use]
pub fn job_config_map(cluster_id: &str, job_id: &str) -> String {
    format!("{cluster_id}-{job_id}-config-map")
}

/// Selector of all ConfigMaps of Flink's high availability of some clusters. Flink 2.3 sets no `configmap-type`.
#[must_use]
pub fn high_availability_selector(cluster_ids: &[String]) -> String {
    format!("type=flink-native-kubernetes,app in ({})", cluster_ids.join(","))
}

/// Name of the ServiceAccount, Role and RoleBinding that the operator makes for Flink's high availability:
/// `orders-flink`.
#[must_use]
pub fn account_name(job: &str) -> String {
    format!("{job}-flink")
}

/// Name of the Service that always points to the active revision: `orders-rest`.
#[must_use]
pub fn stable_service_name(job: &str) -> String {
    format!("{job}-rest")
}

/// Labels of everything that belongs to a job.
#[must_use]
pub fn job_labels(job: &str, uid: &str) -> BTreeMap<String, String> {
    [(labels::MANAGED_BY, labels::MANAGER), (labels::JOB, job), (labels::JOB_UID, uid)].map(owned).into()
}

/// Name of the FlinkSavepoint of a schedule's slot: `nightly-20261122-0300`, in UTC.
#[must_use]
pub fn slot_name(schedule: &str, slot: DateTime<Utc>) -> String {
    format!("{schedule}-{}", slot.format("%Y%m%d-%H%M"))
}

/// Name of the FlinkSavepoint that a schedule takes because a person has asked for it: `nightly-run-1a2b3c4d`, another one
/// for each text.
#[must_use]
pub fn run_now_name(schedule: &str, id: &str) -> String {
    format!("{schedule}-run-{}", short_hash(&["run-now", schedule, id]))
}

/// Whether a schedule's savepoint was asked for by a person.
#[must_use]
pub fn is_run_now(schedule: &str, savepoint: &str) -> bool {
    savepoint.strip_prefix(schedule).is_some_and(|rest| rest.starts_with("-run-"))
}

/// Name of the Job that copies a snapshot for a FlinkSavepoint. At most 63 characters, as it becomes a label of its pods.
#[must_use]
pub fn copy_job_name(savepoint: &str, uid: &str) -> String {
    let start: String = savepoint.chars().take(48).collect();
    format!("{}-copy-{}", start.trim_end_matches(['-', '.']), short_hash(&["copy", uid]))
}

/// Id of a snapshot by its place, however that is written.
#[must_use]
pub fn snapshot_id(location: &str) -> String {
    short_hash(&["snapshot", &location::normalise(location)])
}

/// Labels of the FlinkSavepoints of a schedule.
#[must_use]
pub fn schedule_labels(schedule: &str) -> BTreeMap<String, String> {
    [(labels::MANAGED_BY, labels::MANAGER), (labels::SCHEDULE, schedule)].map(owned).into()
}

/// A number below `end` (at least 1) that is always the same for the same parts, and spread evenly over others.
#[must_use]
pub fn spread(parts: &[&str], end: u64) -> u64 {
    let hash = short_hash(parts);
    u64::from_str_radix(&hash, 16).unwrap_or_default() % end.max(1)
}

/// Labels of everything that belongs to one revision of a job.
#[must_use]
pub fn revision_labels(job: &str, uid: &str, revision: i64) -> BTreeMap<String, String> {
    let mut all = job_labels(job, uid);
    all.insert(labels::REVISION.to_owned(), revision.to_string());
    all
}

/// Labels of the objects and pods of one component of a revision ([`labels::JOBMANAGER`], [`labels::TASKMANAGER`]).
#[must_use]
pub fn component_labels(job: &str, uid: &str, revision: i64, component: &str) -> BTreeMap<String, String> {
    let mut all = revision_labels(job, uid, revision);
    all.insert(labels::COMPONENT.to_owned(), component.to_owned());
    all
}

/// The labels by which a component's pods are selected: they never change in a revision's life.
#[must_use]
pub fn component_selector(uid: &str, revision: i64, component: &str) -> BTreeMap<String, String> {
    [(labels::JOB_UID, uid), (labels::REVISION, &revision.to_string()), (labels::COMPONENT, component)]
        .map(owned)
        .into()
}

/// Selector, as Kubernetes' list calls take it, of all objects of a job.
#[must_use]
pub fn job_selector(uid: &str) -> String {
    format!("{}={},{}={uid}", labels::MANAGED_BY, labels::MANAGER, labels::JOB_UID)
}

/// Selector, as Kubernetes' list calls take it, of all objects of one revision.
#[must_use]
pub fn revision_selector(uid: &str, revision: i64) -> String {
    format!("{},{}={revision}", job_selector(uid), labels::REVISION)
}

/// Selector, as the scale subresource gives it to an autoscaler, of a job's TaskManager pods, whatever their revision.
#[must_use]
pub fn task_manager_selector(uid: &str) -> String {
    format!("{}={uid},{}={}", labels::JOB_UID, labels::COMPONENT, labels::TASKMANAGER)
}

/// Id of the operation that brings a job to a revision: `3-1a2b3c4d`. Revision numbers are never used again, and so
/// neither are these.
#[must_use]
pub fn upgrade_id(owner_uid: &str, revision: i64) -> String {
    format!("{revision}-{}", short_hash(&["upgrade", owner_uid, &revision.to_string()]))
}

/// Id of the operation that starts a lost job again: `recovery-7-1a2b3c4d`, by the number of the submission that it makes.
#[must_use]
pub fn recovery_id(owner_uid: &str, submission: i64) -> String {
    format!("recovery-{submission}-{}", short_hash(&["recovery", owner_uid, &submission.to_string()]))
}

/// Id of the operation that suspends a job: `suspend-7-1a2b3c4d`, by the generation of the spec that asks for it. Each
/// asks once, so that what one has begun is never taken for another's.
#[must_use]
pub fn suspend_id(owner_uid: &str, generation: i64) -> String {
    format!("{SUSPEND}{generation}-{}", short_hash(&["suspend", owner_uid, &generation.to_string()]))
}

/// Whether an operation is one that suspends a job.
#[must_use]
pub fn is_suspend_id(operation: &str) -> bool {
    operation.starts_with(SUSPEND)
}

/// Id of the operation that forks another job: `fork-1a2b3c4d`, another one for each `job.restoreFrom.id`.
#[must_use]
pub fn fork_id(owner_uid: &str, request: &str) -> String {
    format!("fork-{}", short_hash(&["fork", owner_uid, request]))
}

/// Id of the operation that ends a job because its resource is deleted: `deletion-1a2b3c4d`, another for every
/// resource of the same name.
#[must_use]
pub fn deletion_id(owner_uid: &str) -> String {
    format!("deletion-{}", short_hash(&["deletion", owner_uid]))
}

/// Name of the FlinkSavepoint that an operation of a job takes: `orders-3-1a2b3c4d`.
#[must_use]
pub fn child_savepoint_name(job: &str, operation: &str) -> String {
    format!("{job}-{operation}")
}

/// Whether a FlinkSavepoint is the child of an operation of this job.
#[must_use]
pub fn is_child_of(savepoint: &ObjectMeta, owner_uid: &str, operation: &str) -> bool {
    let label = |key: &str| savepoint.labels.as_ref().and_then(|all| all.get(key)).map(String::as_str);
    label(LABEL_OPERATION) == Some(operation) && label(labels::JOB_UID) == Some(owner_uid)
}

/// Flink's job id of a submission of a revision: 32 hexadecimal digits. Flink must never see one again that it knew, so
/// `submission` is another for every submission of the resource.
#[must_use]
pub fn job_id(owner_uid: &str, revision: i64, submission: i64) -> String {
    id(&["job", owner_uid, &revision.to_string(), &submission.to_string()])
}

/// Flink's job id of the throw-away job that warms a revision's cluster.
#[must_use]
pub fn warm_up_job_id(owner_uid: &str, revision: i64) -> String {
    id(&["warm-up", owner_uid, &revision.to_string()])
}

/// Flink's trigger id of an attempt of a FlinkSavepoint: 32 hexadecimal digits. Flink answers a repeated one with the
/// operation that it already began.
#[must_use]
pub fn trigger_id(owner_uid: &str, attempt: impl Into<i64>) -> String {
    id(&["trigger", owner_uid, &attempt.into().to_string()])
}

/// What the file names of a job's jars on a session cluster begin with: `fju-<uid>-`.
#[must_use]
pub fn session_jars(owner_uid: &str) -> String {
    format!("fju-{owner_uid}-")
}

/// What the file name of a revision's jar on a session cluster begins with: `fju-<uid>-<revision>-`. The SHA-256 of the
/// jar and `.jar` follow.
#[must_use]
pub fn session_jar(owner_uid: &str, revision: i64) -> String {
    format!("{}{revision}-", session_jars(owner_uid))
}

/// The directory that one attempt of a FlinkSavepoint has for itself: `<target>/<namespace>/<name>-<uid8>/<attempt>`,
/// in which `uid8` is the first eight characters of its UID.
#[must_use]
pub fn savepoint_directory(target: &str, namespace: &str, name: &str, uid: &str, attempt: impl Into<i64>) -> String {
    let uid8: String = uid.chars().take(8).collect();
    join(target, &format!("{namespace}/{name}-{uid8}/{}", attempt.into()))
}

/// What a directory given by the user as a base becomes for one job: `<base>/<namespace>/<name>`.
#[must_use]
pub fn job_directory(base: &str, namespace: &str, job: &str) -> String {
    join(base, &format!("{namespace}/{job}"))
}

/// What a directory given by the user as a base becomes for one revision: `<base>/<namespace>/<name>/<revision>`.
#[must_use]
pub fn revision_directory(base: &str, namespace: &str, job: &str, revision: i64) -> String {
    join(base, &format!("{namespace}/{job}/{revision}"))
}

/// Where the throw-away job that warms a cluster writes its checkpoints: `<base>/.warm/<uid>`.
#[must_use]
pub fn warm_up_directory(base: &str, owner_uid: &str) -> String {
    join(base, &format!(".warm/{owner_uid}"))
}

/// Appends a path to a URI, or to a plain path, with one slash between them.
fn join(base: &str, path: &str) -> String {
    // The slashes of `file:///` belong to the scheme and the root, not to the end.
    let (scheme, rest) = base.split_once("://").map_or(("", base), |(scheme, rest)| (scheme, rest));
    let separator = if scheme.is_empty() { "" } else { "://" };
    format!("{scheme}{separator}{}/{path}", rest.trim_end_matches('/'))
}

/// The first 32 digits of the SHA-256 of a versioned text of the parts.
fn id(parts: &[&str]) -> String {
    sha256_hex(format!("savepoints.dev/v1\n{}", parts.join("\n")).as_bytes()).chars().take(32).collect()
}

/// The first 8 digits of the same, for names that people read.
fn short_hash(parts: &[&str]) -> String {
    id(parts).chars().take(8).collect()
}

/// SHA-256 as 64 hexadecimal digits.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes as hexadecimal digits, in lower case.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn owned((key, value): (&str, &str)) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[cfg(test)]
#[path = "naming_tests.rs"]
mod tests;
