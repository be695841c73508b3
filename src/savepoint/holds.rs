//! Why a snapshot may not be deleted yet, by what the other resources say. Pure.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use kube::{Resource as _, ResourceExt};

use crate::api::condition::{self, types};
use crate::api::{DeletionPolicy, FlinkJobUpgrade, FlinkSavepoint, Hold, Ownership, SavepointPhase, annotations};
use crate::flink::location;
use crate::time;
use crate::upgrade::references;

/// The newest of its job.
const NEWEST: &str = "it is the newest verified savepoint of its job";
/// A copy of it is not complete.
const COPIED: &str = "it is being copied";
/// Another resource stands for the same files.
const SAME_PLACE: &str = "it stands for the same files, which are to stay";

/// The kind that a person's own word counts as.
const PERSON: &str = "Annotation";

/// What a snapshot's holds are computed from.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// FlinkJobUpgrades.
    pub jobs: &'a [Arc<FlinkJobUpgrade>],
    /// FlinkSavepoints of the same namespace, itself among them.
    pub savepoints: &'a [Arc<FlinkSavepoint>],
    /// Of a savepoint of a foreign cluster's job: the cluster's Service is there.
    pub service_lives: bool,
}

impl World<'_> {
    /// What holds a snapshot. A hold that was there before keeps its time.
    #[must_use]
    pub fn holds(&self, savepoint: &FlinkSavepoint, now: DateTime<Utc>) -> Vec<Hold> {
        let mut found: Vec<(&str, String, String)> = Vec::new();
        let newest = self.is_newest(savepoint);
        for job in self.jobs {
            let reasons = of_job(job, savepoint, newest);
            found.extend(reasons.map(|reason| ("FlinkJobUpgrade", job.name_any(), reason.to_owned())));
        }
        if let Some(cluster) = savepoint.spec.flink_cluster.as_ref().filter(|_| newest && self.service_lives) {
            found.push(("Service", cluster.service.clone(), NEWEST.to_owned()));
        }
        for other in self.savepoints.iter().filter(|other| other.uid() != savepoint.uid()) {
            found.extend(of_other(other, savepoint).map(|why| ("FlinkSavepoint", other.name_any(), why.to_owned())));
        }
        if let Some(words) = savepoint.annotations().get(annotations::PIN) {
            found.push((PERSON, annotations::PIN.to_owned(), words.clone()));
        }
        found.into_iter().map(|found| hold(found, savepoint, now)).collect()
    }

    /// Whether no newer one of its job can be used in its place.
    fn is_newest(&self, savepoint: &FlinkSavepoint) -> bool {
        let Some(own) = usable(savepoint) else { return false };
        let of_the_job =
            |other: &&Arc<FlinkSavepoint>| other.namespace() == savepoint.namespace() && of_one_job(other, savepoint);
        // One that is being deleted is held itself as long as it is the newest.
        let counts =
            |other: &&Arc<FlinkSavepoint>| stays(other) || other.spec.deletion_policy() == DeletionPolicy::Delete;
        let others = self.savepoints.iter().filter(of_the_job).filter(counts);
        of_one_job(savepoint, savepoint) && others.filter_map(|other| usable(other)).all(|other| other <= own)
    }
}

/// The other savepoints of which the status does not say as it is whether this one holds them, or whether they are the newest
/// of its job.
pub fn outdated(savepoint: &FlinkSavepoint, known: Vec<Arc<FlinkSavepoint>>) -> Vec<Arc<FlinkSavepoint>> {
    let is_other = |other: &Arc<FlinkSavepoint>| {
        let there = other.status.as_ref().is_some_and(|s| s.location.is_some());
        there && other.namespace() == savepoint.namespace() && other.uid() != savepoint.uid()
    };
    let others: Vec<_> = known.into_iter().filter(is_other).collect();
    let own = Arc::new(savepoint.clone());
    let all: Vec<_> = others.iter().filter(|other| of_one_job(other, savepoint)).cloned().chain([own]).collect();
    let world = World { jobs: &[], savepoints: &all, service_lives: false };
    let newest = all.iter().find(|other| world.is_newest(other)).and_then(|newest| newest.uid());
    let wrong = |other: &Arc<FlinkSavepoint>| {
        let told = told(other).iter().any(|hold| hold.reason == NEWEST);
        let of_the_job = of_one_job(other, savepoint);
        (of_the_job && told != (other.uid() == newest)) || !agrees(savepoint, other)
    };
    others.into_iter().filter(wrong).collect()
}

/// Both were taken of one job.
fn of_one_job(a: &FlinkSavepoint, b: &FlinkSavepoint) -> bool {
    let (a, b) = (&a.spec, &b.spec);
    let taken = a.job_ref.is_some() || a.flink_cluster.is_some();
    taken && (&a.job_ref, &a.flink_cluster) == (&b.job_ref, &b.flink_cluster)
}

/// Whether a snapshot's status says of another resource what that one itself says.
fn agrees(other: &FlinkSavepoint, savepoint: &FlinkSavepoint) -> bool {
    let name = other.name_any();
    let told = told(savepoint).iter().find(|hold| hold.kind == "FlinkSavepoint" && hold.name == name);
    // Its last event does not show that it is the last.
    let may_be_gone = told.is_some() && !stays(other);
    !may_be_gone && told.map(|hold| hold.reason.as_str()) == of_other(other, savepoint)
}

/// What a snapshot's status says of its holds.
fn told(savepoint: &FlinkSavepoint) -> &[Hold] {
    savepoint.status.as_ref().map(|s| s.holds.as_slice()).unwrap_or_default()
}

/// Why a job holds a snapshot. `newest`: no newer one of its job can be used.
fn of_job(job: &FlinkJobUpgrade, savepoint: &FlinkSavepoint, newest: bool) -> impl Iterator<Item = &'static str> {
    let own = savepoint.spec.job_ref.as_ref().is_some_and(|named| *named.name == job.name_any())
        && job.namespace() == savepoint.namespace();
    let needs = references::to(job, savepoint).into_iter().map(references::Need::words);
    needs.chain((own && newest).then_some(NEWEST))
}

/// Whether a snapshot's status says of a job what the job itself says; of one that lives it is not looked at whether the
/// snapshot is its newest.
#[must_use]
pub fn agree(job: &FlinkJobUpgrade, savepoint: &FlinkSavepoint) -> bool {
    let name = job.name_any();
    let of_it = told(savepoint).iter().filter(|hold| hold.kind == "FlinkJobUpgrade" && hold.name == name);
    // Its last event does not show that it is the last.
    if job.meta().deletion_timestamp.is_some() && of_it.clone().next().is_some() {
        return false;
    }
    let told = of_it.map(|hold| hold.reason.as_str()).filter(|reason| *reason != NEWEST);
    told.eq(references::to(job, savepoint).into_iter().map(references::Need::words))
}

/// Why another FlinkSavepoint holds a snapshot.
fn of_other(other: &FlinkSavepoint, savepoint: &FlinkSavepoint) -> Option<&'static str> {
    let location = savepoint.status.as_ref()?.location.as_deref()?;
    let phase = other.status.as_ref().and_then(|s| s.phase);
    if let Some(source) = &other.spec.copy_of {
        let named = source.name.is_some() && source.name == savepoint.metadata.name;
        let there = source.path.as_ref().is_some_and(|path| location::same(path, location));
        return ((named || there) && !phase.is_some_and(SavepointPhase::is_terminal)).then_some(COPIED);
    }
    let place = other.status.as_ref().and_then(|s| s.location.as_ref()).or(other.spec.path.as_ref())?;
    (stays(other) && location::same(place, location)).then_some(SAME_PLACE)
}

/// When it was complete, and its name: of two of the same second the name decides. `None`: nobody should start from it.
fn usable(savepoint: &FlinkSavepoint) -> Option<(DateTime<Utc>, String)> {
    let status = savepoint.status.as_ref()?;
    let damaged = condition::find(&status.conditions, types::VERIFIED).is_some_and(|c| c.status == "False");
    let there = matches!(status.phase, Some(SavepointPhase::Completed | SavepointPhase::Superseded))
        && !damaged
        && status.ownership != Some(Ownership::Flink);
    there.then(|| (status.completion_time.as_ref().map(time::from_k8s).unwrap_or_default(), savepoint.name_any()))
}

/// Nobody has asked for its end.
fn stays(savepoint: &FlinkSavepoint) -> bool {
    savepoint.meta().deletion_timestamp.is_none()
}

/// One that was there before keeps its time.
pub(super) fn hold((kind, name, reason): (&str, String, String), of: &FlinkSavepoint, now: DateTime<Utc>) -> Hold {
    let same = |hold: &&Hold| hold.kind == kind && hold.name == name && hold.reason == reason;
    let since = told(of).iter().find(same).and_then(|hold| hold.since.clone());
    Hold { kind: kind.to_owned(), name, reason, since: since.or_else(|| Some(time::to_k8s(now))) }
}

/// For whom, in a line.
#[must_use]
pub fn listed(holds: &[Hold]) -> String {
    let one = |hold: &Hold| format!("{} {}: {}", hold.kind, hold.name, hold.reason);
    holds.iter().map(one).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
#[path = "holds_tests.rs"]
mod tests;
