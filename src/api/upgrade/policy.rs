//! What a user asks of a FlinkJobUpgrade: how the job starts, moves and ends.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::spec::FlinkJobUpgradeSpec;
use crate::api::common::{DeletionPolicy, Duration, FormatType, LocalRef, string_enum};
use crate::api::rules::{MAX_URL, cron, longer_than_zero, no_time_zone, url};

string_enum! {
    /// How the new revision takes the old one's place.
    pub enum UpgradeStrategy {
        /// The new revision's cluster is up and warm before the old job stops.
        Prewarm = "Prewarm",
        /// Only its JobManager is; TaskManager pods are swapped after the savepoint.
        Recreate = "Recreate",
        /// Both run, each on its own state, until promotion.
        BlueGreen = "BlueGreen",
    }
}

string_enum! {
    /// What a running job's successor starts from.
    pub enum UpgradeFrom {
        /// A new savepoint.
        Savepoint = "Savepoint",
        /// A new savepoint, or the newest retained checkpoint if none can be had.
        SavepointOrCheckpoint = "SavepointOrCheckpoint",
        /// The newest retained checkpoint.
        Checkpoint = "Checkpoint",
        /// Nothing: the state is given up.
        Empty = "Empty",
    }
}

string_enum! {
    /// What the outcome of the preflight does.
    pub enum PreflightPolicy {
        /// A refusal keeps the old job running.
        Enforce = "Enforce",
        /// A refusal is reported only.
        Warn = "Warn",
        /// No preflight. (Not `Off`: YAML 1.1, which kubectl reads, takes that for `false`.)
        Skip = "Skip",
    }
}

string_enum! {
    /// Who decides to go back, or to promote.
    pub enum Automation {
        /// The operator.
        Automatic = "Automatic",
        /// A person.
        Manual = "Manual",
    }
}

string_enum! {
    /// What becomes of the job when its resource is deleted.
    pub enum DeletionJob {
        /// It is stopped with a savepoint.
        Savepoint = "Savepoint",
        /// It is cancelled.
        Cancel = "Cancel",
        /// It is stopped with a savepoint after the sources have sent the end of their input.
        Drain = "Drain",
    }
}

string_enum! {
    /// Which snapshot of another job.
    pub enum ForkSnapshot {
        /// A savepoint taken for this start.
        New = "New",
        /// The newest verified one that exists.
        Latest = "Latest",
    }
}

/// What a job starts from, once for each id.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.path), has(self.savepointRef), has(self.fromJob), has(self.latest), \
        has(self.empty)].filter(x, x).size() == 1")
        .message("give exactly one of path, savepointRef, fromJob, latest and empty"),
    validation = Rule::new("self == oldSelf || self.id != oldSelf.id")
        .message("restoreFrom is acted on once for each id: give another id along with the change"),
)]
pub struct RestoreFrom {
    /// Names this request: it is acted on once, and again only under another id.
    #[schemars(length(min = 1, max = 63))]
    pub id: String,
    /// Directory of a snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_URL))]
    #[x_kube(validation = url())]
    pub path: Option<String>,
    /// A completed FlinkSavepoint of the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub savepoint_ref: Option<LocalRef>,
    /// A snapshot of another job, which runs on: a fork.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_job: Option<FromJob>,
    /// `true`: the newest snapshot that exists of an earlier job of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self").message("can only be true: leave it out instead of false"))]
    pub latest: Option<bool>,
    /// `true`: no state, although some may exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self").message("can only be true: leave it out instead of false"))]
    pub empty: Option<bool>,
}

/// A snapshot of another job.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct FromJob {
    /// Name of the other FlinkJobUpgrade, in the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Which snapshot of it. Left out: New.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<ForkSnapshot>,
}

/// How a job moves from revision to revision.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.blueGreen) || (has(self.strategy) && self.strategy == 'BlueGreen')")
        .message("blueGreen belongs to strategy BlueGreen: set strategy, or leave blueGreen out"),
)]
pub struct UpgradeSpec {
    /// How the new revision takes the old one's place. Left out: Prewarm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<UpgradeStrategy>,
    /// What a running job's successor starts from. Left out: Savepoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<UpgradeFrom>,
    /// The savepoint of an upgrade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub savepoint: Option<UpgradeSavepoint>,
    /// What the outcome of the preflight does. Left out: Enforce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preflight: Option<PreflightPolicy>,
    /// When the new revision counts as stable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stability: Option<Stability>,
    /// Whether and how an upgrade that fails goes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// Time without progress after which an upgrade has failed. Left out: 15m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = longer_than_zero())]
    pub progress_deadline: Option<Duration>,
    /// Promotion of a blue-green upgrade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blue_green: Option<BlueGreen>,
    /// When upgrades may start. They do not bind rollback, recovery and suspension. Left out: at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub windows: Option<Vec<Window>>,
}

/// The savepoint of an upgrade.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct UpgradeSavepoint {
    /// Format of the savepoint. Left out: chosen, `CANONICAL` where the change needs it, else `NATIVE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format_type: Option<FormatType>,
    /// Directory below which the savepoint gets a directory of its own. Left out: the job's configured one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_URL))]
    #[x_kube(validation = url())]
    pub target_directory: Option<String>,
    /// How long the savepoint may take before it is Overdue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = longer_than_zero())]
    pub timeout: Option<Duration>,
    /// How many more attempts are made after a failed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub backoff_limit: Option<i32>,
    /// What becomes of the files when the savepoint's resource is deleted, as it is once `revisionHistoryLimit` is
    /// passed and nobody needs it. Left out: Delete. With Retain neither resource nor files are deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}

/// When a new revision counts as stable.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Stability {
    /// Number of checkpoints that must complete. Left out: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub completed_checkpoints: Option<i32>,
    /// How long the job must run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_running: Option<Duration>,
    /// How often the job may restart meanwhile. Restarts caused by lost pods do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub max_restarts: Option<i32>,
}

/// Whether and how an upgrade that fails goes back.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Rollback {
    /// Who decides to go back. Left out: Automatic where the savepoint stays the user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Automation>,
    /// Go back also after the new job's first completed checkpoint, which undoes what it did since. Left out: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_rewind: Option<bool>,
}

/// Promotion of a blue-green upgrade.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct BlueGreen {
    /// Who promotes. Left out: Automatic. Manual needs `revisionName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion: Option<Automation>,
    /// `revisionName` of the revision that is promoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub promoted_revision: Option<String>,
    /// How long an unpromoted revision may run before it is given up, from when all its tasks run. Left out: without limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = longer_than_zero())]
    pub abort_after: Option<Duration>,
}

/// A span of time in which upgrades may start.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// When it opens, in cron format.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = cron(), validation = no_time_zone())]
    pub schedule: String,
    /// Time zone of the schedule, such as Europe/Berlin. Left out: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
    /// How long it stays open.
    #[x_kube(validation = longer_than_zero())]
    pub duration: Duration,
}

/// What becomes of the job when its resource is deleted.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DeletionSpec {
    /// How the job ends. Left out: Savepoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<DeletionJob>,
    /// After this the resource goes, and what is left behind is said in an Event. Left out: 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = longer_than_zero())]
    pub timeout: Option<Duration>,
}

impl FlinkJobUpgradeSpec {
    /// How the new revision takes the old one's place; Prewarm where it is left out.
    #[must_use]
    pub fn strategy(&self) -> UpgradeStrategy {
        self.upgrade.as_ref().and_then(|upgrade| upgrade.strategy).unwrap_or(UpgradeStrategy::Prewarm)
    }

    /// What a running job's successor starts from; Savepoint where it is left out.
    #[must_use]
    pub fn upgrade_from(&self) -> UpgradeFrom {
        self.upgrade.as_ref().and_then(|upgrade| upgrade.from).unwrap_or(UpgradeFrom::Savepoint)
    }

    /// What the outcome of the preflight does; Enforce where it is left out.
    #[must_use]
    pub fn preflight_policy(&self) -> PreflightPolicy {
        self.upgrade.as_ref().and_then(|upgrade| upgrade.preflight).unwrap_or(PreflightPolicy::Enforce)
    }

    /// Time without progress after which an upgrade has failed; 15 minutes where it is left out or cannot be read.
    #[must_use]
    pub fn progress_deadline(&self) -> std::time::Duration {
        let given = self.upgrade.as_ref().and_then(|upgrade| upgrade.progress_deadline.as_ref());
        given.and_then(|given| given.parse().ok()).unwrap_or(std::time::Duration::from_secs(15 * 60))
    }

    /// Number of checkpoints after which a new revision is stable; 1 where it is left out.
    #[must_use]
    pub fn completed_checkpoints(&self) -> i32 {
        let stability = self.upgrade.as_ref().and_then(|upgrade| upgrade.stability.as_ref());
        stability.and_then(|stability| stability.completed_checkpoints).unwrap_or(1)
    }

    /// How long a new revision must run before it is stable; not at all where it is left out or cannot be read.
    #[must_use]
    pub fn min_running(&self) -> std::time::Duration {
        let given = self.upgrade.as_ref().and_then(|upgrade| upgrade.stability.as_ref()?.min_running.as_ref());
        given.and_then(|given| given.parse().ok()).unwrap_or_default()
    }

    /// How often a new revision may restart before it is stable; 0 where it is left out.
    #[must_use]
    pub fn max_restarts(&self) -> usize {
        let given = self.upgrade.as_ref().and_then(|upgrade| upgrade.stability.as_ref()?.max_restarts);
        given.and_then(|given| given.try_into().ok()).unwrap_or(0)
    }

    /// Who decides to go back; Automatic where it is left out.
    #[must_use]
    pub fn rollback_policy(&self) -> Automation {
        let given = self.upgrade.as_ref().and_then(|upgrade| upgrade.rollback.as_ref()?.policy);
        given.unwrap_or(Automation::Automatic)
    }

    /// Whether going back may undo completed checkpoints; false where it is left out.
    #[must_use]
    pub fn allow_rewind(&self) -> bool {
        self.upgrade.as_ref().and_then(|upgrade| upgrade.rollback.as_ref()?.allow_rewind).unwrap_or(false)
    }

    /// Who promotes; Automatic where it is left out.
    #[must_use]
    pub fn promotion(&self) -> Automation {
        let given = self.upgrade.as_ref().and_then(|upgrade| upgrade.blue_green.as_ref()?.promotion);
        given.unwrap_or(Automation::Automatic)
    }

    /// Whether the spec itself promotes the revision that it names.
    #[must_use]
    pub fn promotes(&self) -> bool {
        let named = self.upgrade.as_ref().and_then(|upgrade| upgrade.blue_green.as_ref()?.promoted_revision.as_ref());
        self.promotion() == Automation::Automatic || named.is_some() && named == self.revision_name.as_ref()
    }

    /// How long an unpromoted revision may run; without limit where it is left out or cannot be read.
    #[must_use]
    pub fn abort_after(&self) -> Option<std::time::Duration> {
        self.upgrade.as_ref()?.blue_green.as_ref()?.abort_after.as_ref()?.parse().ok()
    }

    /// How the job ends with its resource; Savepoint where it is left out.
    #[must_use]
    pub fn deletion_job(&self) -> DeletionJob {
        self.deletion.as_ref().and_then(|deletion| deletion.job).unwrap_or(DeletionJob::Savepoint)
    }

    /// How long the end of the job may hold up the end of its resource; 10 minutes where it is left out or cannot be
    /// read.
    #[must_use]
    pub fn deletion_timeout(&self) -> std::time::Duration {
        let given = self.deletion.as_ref().and_then(|deletion| deletion.timeout.as_ref());
        given.and_then(|given| given.parse().ok()).unwrap_or(std::time::Duration::from_secs(10 * 60))
    }

    /// How many former revisions are kept; 10 where it is left out.
    #[must_use]
    pub fn revision_history_limit(&self) -> usize {
        usize::try_from(self.revision_history_limit.unwrap_or(10)).unwrap_or(0)
    }
}
