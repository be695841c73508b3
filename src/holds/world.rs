//! Why a snapshot may not be deleted yet, by what the other resources say. Pure.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use kube::{Resource as _, ResourceExt};

use super::references;
use crate::api::condition::{self, types};
use crate::api::{DeletionPolicy, FlinkJobUpgrade, FlinkSavepoint, Hold, Ownership, SavepointPhase, annotations};
use crate::flink::location;
use crate::time;

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
    /// FlinkSavepoints, itself among them.
    pub savepoints: &'a [Arc<FlinkSavepoint>],
    /// Of a savepoint of a foreign cluster's job: the cluster's Service is there.
    pub service_lives: bool,
}

impl World<'_> {
    /// What holds a snapshot. A hold that was there before keeps its time.
    #[must_use]
    pub fn holds(&self, savepoint: &FlinkSavepoint, now: DateTime<Utc>) -> Vec<Hold> {
        let mut found: Vec<(&str, String, String)> = Vec::new();
        let newest = is_newest(savepoint, self.savepoints);
        for job in self.jobs {
            let reasons = of_job(job, savepoint, newest);
            found.extend(reasons.map(|reason| ("FlinkJobUpgrade", seen_from(savepoint, &**job), reason.to_owned())));
        }
        if let Some(cluster) = savepoint.spec.flink_cluster.as_ref().filter(|_| newest && self.service_lives) {
            found.push(("Service", cluster.service.clone(), NEWEST.to_owned()));
        }
        for other in self.savepoints.iter().filter(|other| other.uid() != savepoint.uid()) {
            let reason = of_other(other, savepoint);
            found.extend(reason.map(|why| ("FlinkSavepoint", seen_from(savepoint, &**other), why.to_owned())));
        }
        if let Some(words) = savepoint.annotations().get(annotations::PIN) {
            found.push((PERSON, annotations::PIN.to_owned(), words.clone()));
        }
        found.into_iter().map(|found| hold(found, savepoint, now)).collect()
    }
}

/// The name of a resource, with its namespace where that is not the savepoint's.
pub fn seen_from(savepoint: &FlinkSavepoint, other: &impl ResourceExt) -> String {
    match other.namespace().filter(|theirs| Some(theirs) != savepoint.namespace().as_ref()) {
        Some(theirs) => format!("{theirs}/{}", other.name_any()),
        None => other.name_any(),
    }
}

/// Whether no newer one of its job can be used in its place. One that was not verified takes no verified one's place.
fn is_newest(savepoint: &FlinkSavepoint, all: &[Arc<FlinkSavepoint>]) -> bool {
    let Some(own) = usable(savepoint) else { return false };
    // One that is being deleted is held itself as long as it is the newest.
    let counts = |other: &&Arc<FlinkSavepoint>| {
        of_one_job(other, savepoint) && (stays(other) || other.spec.deletion_policy() == DeletionPolicy::Delete)
    };
    let others = all.iter().filter(counts).filter_map(|other| usable(other));
    of_one_job(savepoint, savepoint)
        && others.filter(|other| other.verified || !own.verified).all(|other| other.complete <= own.complete)
}

/// The other savepoints of which the status does not say as it is whether this one holds them, or whether they are the newest
/// of its job.
#[must_use]
pub fn outdated(savepoint: &FlinkSavepoint, known: Vec<Arc<FlinkSavepoint>>) -> Vec<Arc<FlinkSavepoint>> {
    let is_other = |other: &Arc<FlinkSavepoint>| {
        let there = other.status.as_ref().is_some_and(|s| s.location.is_some());
        there && other.uid() != savepoint.uid()
    };
    let others: Vec<_> = known.into_iter().filter(is_other).collect();
    let own = Arc::new(savepoint.clone());
    let of_the_job: Vec<_> = others.iter().filter(|other| of_one_job(other, savepoint)).cloned().chain([own]).collect();
    let wrong = |other: &Arc<FlinkSavepoint>| {
        let told = told(other).iter().any(|hold| hold.reason == NEWEST);
        (of_one_job(other, savepoint) && told != is_newest(other, &of_the_job)) || !agrees(savepoint, other)
    };
    others.into_iter().filter(wrong).collect()
}

/// Both were taken of one job.
fn of_one_job(a: &FlinkSavepoint, b: &FlinkSavepoint) -> bool {
    let (spec, other) = (&a.spec, &b.spec);
    let taken = spec.job_ref.is_some() || spec.flink_cluster.is_some();
    let same = (&spec.job_ref, &spec.flink_cluster) == (&other.job_ref, &other.flink_cluster);
    taken && same && a.metadata.namespace == b.metadata.namespace
}

/// Whether a snapshot's status says of another resource what that one itself says.
fn agrees(other: &FlinkSavepoint, savepoint: &FlinkSavepoint) -> bool {
    let name = seen_from(savepoint, other);
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
    let name = seen_from(savepoint, job);
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
    if let Some(source) = other.spec.copy_of.as_ref().filter(|_| !phase.is_some_and(SavepointPhase::is_terminal)) {
        let neighbours = other.metadata.namespace == savepoint.metadata.namespace;
        let named = neighbours && source.name.is_some() && source.name == savepoint.metadata.name;
        let there = source.path.as_ref().is_some_and(|path| location::same(path, location));
        if named || there {
            return Some(COPIED);
        }
    }
    let place = other.status.as_ref().and_then(|s| s.location.as_ref()).or(other.spec.path.as_ref())?;
    (stays(other) && location::same(place, location)).then_some(SAME_PLACE)
}

/// A snapshot that a job can be started from.
struct Usable {
    /// Its files were looked at, and are whole.
    verified: bool,
    /// When it was complete, and its name: of two of the same second the name decides.
    complete: (DateTime<Utc>, String),
}

/// `None`: nobody should start from it.
fn usable(savepoint: &FlinkSavepoint) -> Option<Usable> {
    let status = savepoint.status.as_ref()?;
    let verified = condition::find(&status.conditions, types::VERIFIED).map(|c| c.status.as_str());
    let there = matches!(status.phase, Some(SavepointPhase::Completed | SavepointPhase::Superseded))
        && verified != Some("False")
        && status.ownership != Some(Ownership::Flink);
    let complete = status.completion_time.as_ref().map(time::from_k8s).unwrap_or_default();
    there.then(|| Usable { verified: verified == Some("True"), complete: (complete, savepoint.name_any()) })
}

/// Nobody has asked for its end.
fn stays(savepoint: &FlinkSavepoint) -> bool {
    savepoint.meta().deletion_timestamp.is_none()
}

/// One that was there before keeps its time.
pub fn hold((kind, name, reason): (&str, String, String), of: &FlinkSavepoint, now: DateTime<Utc>) -> Hold {
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
#[path = "world_tests.rs"]
mod tests;
