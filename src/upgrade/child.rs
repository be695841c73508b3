//! The FlinkSavepoints that the operator itself asks for.

use std::collections::BTreeMap;

use kube::ResourceExt;

use super::observed::Observed;
use super::status;
use crate::api::{
    DeletionPolicy, FINALIZER, FlinkJobUpgrade, FlinkJobUpgradeSpec, FlinkSavepoint, FlinkSavepointSpec, JobKind,
    JobRef, Then, UpgradeProgress,
};
use crate::naming;

/// The name of an operation's child.
#[must_use]
pub fn name(job: &str, operation: &str) -> String {
    naming::child_savepoint_name(job, operation)
}

/// How long the savepoint of an upgrade may take.
#[must_use]
pub fn upgrade_timeout(spec: &FlinkJobUpgradeSpec) -> std::time::Duration {
    let timeout = spec.upgrade.as_ref().and_then(|u| u.savepoint.as_ref()?.timeout.clone());
    FlinkSavepointSpec { timeout, ..FlinkSavepointSpec::default() }.timeout()
}

/// The name of the child that ends the old job of a blue-green upgrade.
#[must_use]
pub fn final_name(job: &str, operation: &str) -> String {
    format!("{}-final", naming::child_savepoint_name(job, operation))
}

/// The child that a job's operation is about to name.
#[must_use]
pub fn next_name(job: &str, operation: &str, upgrade: Option<&UpgradeProgress>) -> String {
    let last = upgrade.and_then(|upgrade| upgrade.final_savepoint.clone());
    last.unwrap_or_else(|| name(job, operation))
}

/// The savepoint of an upgrade. `forks`: the old job runs on; else it ends with it.
#[must_use]
pub fn upgrade_savepoint(o: &Observed, upgrade: &UpgradeProgress, forks: bool) -> FlinkSavepoint {
    savepoint(o, &upgrade.id, if forks { Then::Continue } else { Then::Stop })
}

/// The savepoint that ends the old job of a blue-green upgrade.
#[must_use]
pub fn final_savepoint(o: &Observed, upgrade: &UpgradeProgress) -> FlinkSavepoint {
    let mut child = savepoint(o, &upgrade.id, Then::Stop);
    child.metadata.name = Some(final_name(status::name(o), &upgrade.id));
    child
}

/// A savepoint of the job, as an operation's child. It has no owner reference: it outlives the job.
#[must_use]
pub fn savepoint(o: &Observed, operation: &str, then: Then) -> FlinkSavepoint {
    of_job(&o.upgrade, status::name(o), operation, then)
}

/// The same of any job of the namespace, with what the resource asks of its upgrades' savepoints.
#[must_use]
pub fn of_job(upgrade: &FlinkJobUpgrade, job: &str, operation: &str, then: Then) -> FlinkSavepoint {
    let (own, uid) = (upgrade.name_any(), upgrade.uid().unwrap_or_default());
    let wish = upgrade.spec.upgrade.as_ref().and_then(|u| u.savepoint.clone()).unwrap_or_default();
    let mut child = FlinkSavepoint::new(
        &name(&own, operation),
        FlinkSavepointSpec {
            job_ref: Some(JobRef { kind: JobKind::FlinkJobUpgrade, name: job.to_owned() }),
            then: Some(then),
            format_type: wish.format_type,
            target_directory: wish.target_directory,
            timeout: wish.timeout,
            backoff_limit: wish.backoff_limit,
            // It belongs to the history of the job, and goes with it.
            deletion_policy: Some(wish.deletion_policy.unwrap_or(DeletionPolicy::Delete)),
            ..FlinkSavepointSpec::default()
        },
    );
    child.metadata.namespace.clone_from(&upgrade.metadata.namespace);
    let mut labels: BTreeMap<String, String> = naming::job_labels(&own, &uid);
    labels.insert(naming::LABEL_OPERATION.to_owned(), operation.to_owned());
    child.metadata.labels = Some(labels);
    // From its birth: to put it on later would be a write while the job is still to be stopped.
    child.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    child
}
