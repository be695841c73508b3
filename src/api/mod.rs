//! The kinds of the API group `savepoints.dev`: types, admission rules, printer columns and conditions, nothing else.
//!
//! - [`FlinkSavepoint`] (`fsp`): one snapshot, taken, copied or registered.
//! - [`FlinkJobUpgrade`] (`fju`): a job, and how it moves from revision to revision.
//! - [`FlinkSavepointSchedule`] (`fss`): a CronJob for savepoints.
//! - [`FlinkSnapshotStore`] (`fst`): where snapshots live, and with whose credentials.
//!
//! Two rules hold for every type: an enum that meets a value it does not know becomes `Unknown` instead of failing
//! (one unreadable object must not blind a whole watch), and where the operator may choose, a field is an `Option`
//! and the schema has no default.

#![allow(clippy::duplicated_attributes, reason = "several printer columns are of the same type")]

mod common;
pub mod condition;
pub mod coverage;
mod crd;
mod disposal;
pub mod kstatus;
mod reason;
mod rules;
mod savepoint;
mod schedule;
mod store;
mod upgrade;

pub use common::*;
pub use crd::{crds, to_yaml};
pub use disposal::*;
pub use savepoint::*;
pub use schedule::*;
pub use store::*;
pub use upgrade::*;

/// The API group of all kinds. The derive macros need it as a literal; a test holds them to this constant.
pub const GROUP: &str = "savepoints.dev";

/// The one version of the API.
pub const VERSION: &str = "v1alpha1";

/// `apiVersion` of all kinds.
pub const API_VERSION: &str = "savepoints.dev/v1alpha1";

/// Finalizer on a resource that owes work outside of Kubernetes before it may go.
pub const FINALIZER: &str = "savepoints.dev/finalizer";

/// Keys of the labels on everything that the operator makes. Users depend on them: they never change.
pub mod labels {
    /// Kubernetes' own key for who manages an object; its value is [`MANAGER`].
    pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
    /// The value of [`MANAGED_BY`].
    pub const MANAGER: &str = "flink-savepoint-operator";
    /// Kubernetes' recommended key for what a pod runs; its value is [`FLINK`] unless the pod template says otherwise.
    pub const NAME: &str = "app.kubernetes.io/name";
    /// The value of [`NAME`].
    pub const FLINK: &str = "flink";
    /// Kubernetes' recommended key for which one it is: the job, unless the pod template says otherwise.
    pub const INSTANCE: &str = "app.kubernetes.io/instance";
    /// Kubernetes' recommended key for the part: as [`COMPONENT`], unless the pod template says otherwise.
    pub const PART: &str = "app.kubernetes.io/component";
    /// Name of the FlinkJobUpgrade that an object belongs to.
    pub const JOB: &str = "savepoints.dev/job";
    /// UID of the FlinkJobUpgrade that an object belongs to.
    pub const JOB_UID: &str = "savepoints.dev/job-uid";
    /// Name of the FlinkSavepointSchedule that a FlinkSavepoint was made by.
    pub const SCHEDULE: &str = "savepoints.dev/schedule";
    /// On the Job that copies a snapshot: UID of the FlinkSavepoint.
    pub const SAVEPOINT_UID: &str = "savepoints.dev/savepoint-uid";
    /// A snapshot, by a hash of its place.
    pub const SNAPSHOT: &str = "savepoints.dev/snapshot";
    /// Before such a hash: a snapshot that a job of the lineage was restored from. The value counts the restores.
    pub const ANCESTOR: &str = "ancestor.savepoints.dev/";
    /// Number of the revision that an object belongs to.
    pub const REVISION: &str = "savepoints.dev/revision";
    /// Which part of a Flink cluster a pod is: [`JOBMANAGER`] or [`TASKMANAGER`].
    pub const COMPONENT: &str = "savepoints.dev/component";
    /// Value of [`COMPONENT`] on the JobManager's objects.
    pub const JOBMANAGER: &str = "jobmanager";
    /// Value of [`COMPONENT`] on the objects of the TaskManager pods.
    pub const TASKMANAGER: &str = "taskmanager";
}

/// Keys of the annotations by which a person says what to do.
pub mod annotations {
    /// FlinkSavepoint: the number of the attempt whose answer is lost, and which another attempt shall follow.
    pub const RETRY: &str = "savepoints.dev/retry";
    /// FlinkSavepoint: the directory of the savepoint that the attempt whose answer is lost has made.
    pub const ADOPT: &str = "savepoints.dev/adopt";
    /// FlinkSavepoint: the slot of its schedule that takes its place, so that its result is not used.
    pub const SUPERSEDED_BY: &str = "savepoints.dev/superseded-by";
    /// FlinkSavepointSchedule: any text; each other one has a savepoint taken at once.
    pub const RUN_NOW: &str = "savepoints.dev/run-now";
    /// FlinkSavepoint: why its files are to stay, in a person's words, whatever the rules say.
    pub const PIN: &str = "savepoints.dev/pin";
    /// FlinkSavepoint: its own name: its files go with it though somebody needs them.
    pub const FORCE_DELETE: &str = "savepoints.dev/force-delete";
    /// FlinkJobUpgrade: the Flink job ID of a submission that can't be fenced, and which somebody has made sure of.
    pub const FENCED: &str = "savepoints.dev/fenced";
    /// FlinkJobUpgrade: the ID of the upgrade that shall go back.
    pub const ROLLBACK: &str = "savepoints.dev/rollback";
    /// FlinkJobUpgrade: the generation of the spec that may start outside of the windows, too.
    pub const OPEN_WINDOW: &str = "savepoints.dev/open-window";
    /// FlinkJobUpgrade: the ID of the `BlueGreen` upgrade whose new revision is promoted.
    pub const PROMOTE: &str = "savepoints.dev/promote";
    /// FlinkJobUpgrade: the ID of the `BlueGreen` upgrade that is given up before its promotion.
    pub const ABORT: &str = "savepoints.dev/abort";
    /// FlinkJobUpgrade: the Flink job IDs, with commas between them, of jobs on its cluster that are somebody else's and may
    /// end with it.
    pub const DISCARD: &str = "savepoints.dev/discard";
    /// ControllerRevision: how it stands with the revision's high availability storage, if it has any:
    /// [`STORAGE_USED`], `removed` or `left`.
    pub const HIGH_AVAILABILITY_STORAGE: &str = "savepoints.dev/high-availability-storage";
    /// From the birth of a revision until its storage was looked after.
    pub const STORAGE_USED: &str = "used";
    /// Label of a Secret: the Service of a foreign Flink cluster that its content may be sent to.
    pub const FLINK_SERVICE: &str = "savepoints.dev/flink-service";
}

#[cfg(test)]
mod cel_tests;
#[cfg(test)]
mod roundtrip_tests;
