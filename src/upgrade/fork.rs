//! `job.restoreFrom.fromJob`: a job that starts from a snapshot of another one, which runs on.

use kube::{Api, ResourceExt};

use super::child;
use super::observed::Restore;
use crate::api::condition::{self, Reason, types};
use crate::api::{FlinkJobUpgrade, FlinkSavepoint, ForkSnapshot, FromJob, RestoreFrom, SavepointPhase, Then};
use crate::context::Context;
use crate::holds::ownership;
use crate::naming;
use crate::reconcile::{Error, within};
use crate::time;

/// What a fork starts from: where a snapshot is, or what is to be done for one.
#[derive(Debug, Clone, PartialEq)]
pub enum Fork {
    /// It is there: the field that names it, and its place.
    At(&'static str, String),
    /// It is to be taken, or waited for; or there will be none.
    Not(Restore),
}

/// Looks for what the other job has.
///
/// # Errors
/// If Kubernetes can't be asked.
pub async fn find(ctx: &Context, upgrade: &FlinkJobUpgrade, wish: &RestoreFrom, from: &FromJob) -> Result<Fork, Error> {
    let namespace = upgrade.namespace().unwrap_or_default();
    let jobs: Api<FlinkJobUpgrade> = Api::namespaced(ctx.client.clone(), &namespace);
    let other = within("get FlinkJobUpgrade", jobs.get_opt(&from.name)).await?;
    let savepoints: Api<FlinkSavepoint> = Api::namespaced(ctx.client.clone(), &namespace);
    match from.snapshot.unwrap_or(ForkSnapshot::New) {
        ForkSnapshot::New => {
            let child = savepoint(upgrade, wish, from);
            let taken = within("get FlinkSavepoint", savepoints.get_opt(&child.name_any())).await?;
            let own = upgrade.uid().unwrap_or_default();
            let taken = taken.filter(|s| naming::is_child_of(&s.metadata, &own, &operation(upgrade, wish)));
            Ok(new(other.as_ref(), taken, child, from))
        }
        ForkSnapshot::Latest => {
            let all = within("list FlinkSavepoints", savepoints.list(&kube::api::ListParams::default())).await?.items;
            Ok(latest(other.as_ref(), &all, from))
        }
        ForkSnapshot::Unknown => Ok(Fork::Not(Restore::NotAsked)),
    }
}

/// A savepoint that is taken for this start. One that was taken is used, even if its job has gone since.
fn new(other: Option<&FlinkJobUpgrade>, taken: Option<FlinkSavepoint>, child: FlinkSavepoint, from: &FromJob) -> Fork {
    const FIELD: &str = "job.restoreFrom.fromJob";
    let Some(taken) = taken else {
        return Fork::Not(match other {
            Some(_) => Restore::Take(Box::new(child)),
            None => no_such_job(from),
        });
    };
    let name = taken.name_any();
    let status = taken.status.unwrap_or_default();
    let told = condition::find(&status.conditions, types::READY).map(|c| c.message.as_str()).unwrap_or_default();
    Fork::Not(match (status.phase, status.location) {
        (Some(SavepointPhase::Completed), Some(location)) => return Fork::At(FIELD, location),
        (Some(phase), _) if phase.is_terminal() => Restore::Refused(
            Reason::SavepointFailed,
            format!(
                "{FIELD}: FlinkSavepoint {name} of job {} is {phase}: {told}; to try again give another id",
                from.name
            ),
        ),
        _ => Restore::Wait(format!("{FIELD}: FlinkSavepoint {name} of job {} is being taken: {told}", from.name)),
    })
}

/// The newest savepoint that a record of the namespace tells of; of a suspended job what it has left.
fn latest(other: Option<&FlinkJobUpgrade>, all: &[FlinkSavepoint], from: &FromJob) -> Fork {
    let of_it = |s: &&FlinkSavepoint| {
        s.spec.job_ref.as_ref().is_some_and(|job| job.name == from.name) && !ownership::is_flinks(s)
    };
    let completed = |s: &FlinkSavepoint| {
        let status = s.status.as_ref().filter(|status| status.phase == Some(SavepointPhase::Completed))?;
        Some((status.completion_time.as_ref().map(time::from_k8s), status.location.clone()?))
    };
    let left = other
        .and_then(|job| job.status.as_ref()?.suspension.as_ref())
        .and_then(|suspension| Some((suspension.since.as_ref().map(time::from_k8s), suspension.snapshot.clone()?)));
    match all.iter().filter(of_it).filter_map(completed).chain(left).max() {
        Some((_, location)) => Fork::At("job.restoreFrom.fromJob.snapshot: Latest", location),
        None if other.is_none() => Fork::Not(no_such_job(from)),
        None => Fork::Not(Restore::Refused(
            Reason::SnapshotNotFound,
            format!(
                "job.restoreFrom.fromJob.snapshot: Latest: there is no completed FlinkSavepoint of job {}; take one, or set \
                 New under another id",
                from.name
            ),
        )),
    }
}

fn no_such_job(from: &FromJob) -> Restore {
    Restore::Refused(
        Reason::JobNotFound,
        format!(
            "job.restoreFrom.fromJob.name: there is no FlinkJobUpgrade {} in this namespace; create it, or correct the name \
             under another id",
            from.name
        ),
    )
}

/// Another one for each id, so that a start is never made from the savepoint of another.
#[must_use]
pub fn operation(upgrade: &FlinkJobUpgrade, wish: &RestoreFrom) -> String {
    naming::fork_id(&upgrade.uid().unwrap_or_default(), &wish.id)
}

/// The other job runs on. It has no owner reference: what a job was restored from outlives it.
fn savepoint(upgrade: &FlinkJobUpgrade, wish: &RestoreFrom, from: &FromJob) -> FlinkSavepoint {
    child::of_job(upgrade, &from.name, &operation(upgrade, wish), Then::Continue)
}

#[cfg(test)]
#[path = "fork_tests.rs"]
mod tests;
