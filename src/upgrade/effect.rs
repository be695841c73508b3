//! What the planner can ask for.

use crate::api::FlinkSavepoint;
use crate::flink::{JobId, PlanRequest, RunRequest};

/// What is to be done: one thing at most.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Put the finalizer on the resource.
    AddFinalizer,
    /// Take the finalizer off: the resource goes.
    RemoveFinalizer,
    /// Render the spec and store it as this revision.
    StoreRevision(i64),
    /// Create what is missing of a revision's objects.
    CreateObjects(i64),
    /// The same, but for its TaskManagers, which wait until there is room.
    CreateWithoutTaskManagers(i64),
    /// So many TaskManagers of a revision are to run.
    Scale(i64, i32),
    /// Put back what somebody has changed of a revision's objects.
    Heal(i64),
    /// Delete what is there of a revision's objects.
    DeleteObjects(i64),
    /// Delete pods of a revision, by name and UID: its controllers make new ones.
    DeletePods(i64, Vec<(String, String)>),
    /// Delete a revision's stored rendering.
    DeleteRecord(i64),
    /// Point the stable Service to this revision.
    PointService(i64),
    /// Delete the stable Service.
    DeleteService,
    /// Ask this revision's JobManager for the operators of its job.
    Preflight(i64, PlanRequest),
    /// Delete the ServiceAccount, Role and RoleBinding that were made for the job.
    DeleteAccount,
    /// Run the throw-away job on this revision's cluster.
    WarmUp(i64, RunRequest),
    /// Create the child FlinkSavepoint.
    CreateSavepoint(Box<FlinkSavepoint>),
    /// Delete the child FlinkSavepoint, as it was observed: nothing was asked of Flink for it yet.
    DeleteSavepoint,
    /// Delete a FlinkSavepoint that an earlier operation has left, by name and UID.
    DeleteChild(String, Option<String>),
    /// Remove these directories of checkpoints of submissions that have ended.
    RemoveCheckpoints(Vec<String>),
    /// Submit the job to this revision's cluster.
    Submit(i64, RunRequest),
    /// Cancel a job on this revision's cluster.
    Cancel(i64, JobId),
    /// Ask this revision's JobManager for a checkpoint.
    TriggerCheckpoint(i64, JobId),
    /// Delete these jars, by their ids, from the session cluster.
    DeleteJars(Vec<String>),
    /// Delete the ConfigMaps of this revision's high availability, which has no process any more.
    DeleteHaConfigMaps(i64),
    /// Remove what this revision's high availability has in its storage.
    RemoveHaStorage(i64),
}

impl Effect {
    /// Its name in logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::AddFinalizer => "add-finalizer",
            Self::RemoveFinalizer => "remove-finalizer",
            Self::StoreRevision(_) => "store-revision",
            Self::CreateObjects(_) => "create-objects",
            Self::CreateWithoutTaskManagers(_) => "create-without-task-managers",
            Self::Scale(..) => "scale",
            Self::Heal(_) => "heal",
            Self::DeleteObjects(_) => "delete-objects",
            Self::DeletePods(..) => "delete-pods",
            Self::DeleteRecord(_) => "delete-record",
            Self::PointService(_) => "point-service",
            Self::DeleteService => "delete-service",
            Self::Preflight(..) => "preflight",
            Self::DeleteAccount => "delete-account",
            Self::WarmUp(..) => "warm-up",
            Self::CreateSavepoint(_) => "create-savepoint",
            Self::DeleteSavepoint => "delete-savepoint",
            Self::DeleteChild(..) => "delete-child",
            Self::RemoveCheckpoints(_) => "remove-checkpoints",
            Self::Submit(..) => "submit",
            Self::Cancel(..) => "cancel",
            Self::TriggerCheckpoint(..) => "trigger-checkpoint",
            Self::DeleteJars(_) => "delete-jars",
            Self::DeleteHaConfigMaps(_) => "delete-ha-config-maps",
            Self::RemoveHaStorage(_) => "remove-ha-storage",
        }
    }

    /// The failpoints before and after it.
    #[must_use]
    pub fn failpoints(&self) -> (&'static str, &'static str) {
        match self {
            Self::AddFinalizer => ("upgrade.add-finalizer.before", "upgrade.add-finalizer.after"),
            Self::RemoveFinalizer => ("upgrade.remove-finalizer.before", "upgrade.remove-finalizer.after"),
            Self::StoreRevision(_) => ("upgrade.store-revision.before", "upgrade.store-revision.after"),
            Self::CreateObjects(_) => ("upgrade.create-objects.before", "upgrade.create-objects.after"),
            Self::CreateWithoutTaskManagers(_) => {
                ("upgrade.create-without-task-managers.before", "upgrade.create-without-task-managers.after")
            }
            Self::Scale(..) => ("upgrade.scale.before", "upgrade.scale.after"),
            Self::Heal(_) => ("upgrade.heal.before", "upgrade.heal.after"),
            Self::DeleteObjects(_) => ("upgrade.delete-objects.before", "upgrade.delete-objects.after"),
            Self::DeletePods(..) => ("upgrade.delete-pods.before", "upgrade.delete-pods.after"),
            Self::DeleteRecord(_) => ("upgrade.delete-record.before", "upgrade.delete-record.after"),
            Self::PointService(_) => ("upgrade.point-service.before", "upgrade.point-service.after"),
            Self::DeleteService => ("upgrade.delete-service.before", "upgrade.delete-service.after"),
            Self::Preflight(..) => ("upgrade.preflight.before", "upgrade.preflight.after"),
            Self::DeleteAccount => ("upgrade.delete-account.before", "upgrade.delete-account.after"),
            Self::WarmUp(..) => ("upgrade.warm-up.before", "upgrade.warm-up.after"),
            Self::CreateSavepoint(_) => ("upgrade.create-savepoint.before", "upgrade.create-savepoint.after"),
            Self::DeleteSavepoint => ("upgrade.delete-savepoint.before", "upgrade.delete-savepoint.after"),
            Self::DeleteChild(..) => ("upgrade.delete-child.before", "upgrade.delete-child.after"),
            Self::RemoveCheckpoints(_) => ("upgrade.remove-checkpoints.before", "upgrade.remove-checkpoints.after"),
            Self::Submit(..) => ("upgrade.submit.before", "upgrade.submit.after"),
            Self::Cancel(..) => ("upgrade.cancel.before", "upgrade.cancel.after"),
            Self::TriggerCheckpoint(..) => ("upgrade.trigger-checkpoint.before", "upgrade.trigger-checkpoint.after"),
            Self::DeleteJars(_) => ("upgrade.delete-jars.before", "upgrade.delete-jars.after"),
            Self::DeleteHaConfigMaps(_) => {
                ("upgrade.delete-ha-config-maps.before", "upgrade.delete-ha-config-maps.after")
            }
            Self::RemoveHaStorage(_) => ("upgrade.remove-ha-storage.before", "upgrade.remove-ha-storage.after"),
        }
    }
}
