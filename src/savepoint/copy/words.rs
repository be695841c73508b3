//! What a copy says of itself: which field, which value, and the cure. Its spec can't be changed, so what is wrong in
//! there is mended by another resource. Pure.

use std::time::Duration;

use kube::ResourceExt;

use super::super::observed::Observed;
use super::{Copying, FilesLeft, JobLeft};
use crate::api::condition::Reason;
use crate::api::{CopyProgress, FlinkSavepoint, FlinkSnapshotStore, SavepointPhase};
use crate::naming;

/// `copyOf.name` names nothing.
pub fn no_record(name: &str) -> String {
    format!(
        "spec.copyOf.name: there is no FlinkSavepoint {name} in this namespace, it is waited for; create it, or delete \
         this resource and create another with the name, or by copyOf.path with the place, of a snapshot that is there"
    )
}

/// What it names goes, and may come back if somebody needs it.
pub fn goes(name: &str) -> String {
    format!(
        "spec.copyOf: FlinkSavepoint {name} is being deleted with its files, what comes of that is waited for; if they \
         go, delete this resource and create another with the name or place of another snapshot"
    )
}

/// What it names has come to nothing.
pub fn no_snapshot(name: &str, phase: SavepointPhase) -> String {
    format!(
        "spec.copyOf: FlinkSavepoint {name} is {phase}, there is no snapshot; delete this resource and create another \
         with the name or place of another snapshot"
    )
}

/// What it names is on its way.
pub fn not_yet(name: &str) -> String {
    format!("spec.copyOf: FlinkSavepoint {name} is not complete yet, it is waited for; see its status")
}

/// Nobody can read the snapshot.
pub fn no_source(from: &str) -> String {
    format!(
        "spec.copyOf: no FlinkSnapshotStore of this namespace serves {from}; create one whose url it is below, and it \
         is copied"
    )
}

/// Nobody can write the copy: the reason, and in words.
pub fn no_target(savepoint: &FlinkSavepoint, to: &str) -> (Reason, String) {
    if let Some(named) = &savepoint.spec.store_ref {
        let message = format!(
            "spec.storeRef.name: there is no FlinkSnapshotStore {} in this namespace whose url {to} is below; create it, or \
             delete this resource and create another with another storeRef, or without",
            named.name
        );
        return (Reason::WrongStore, message);
    }
    let message = format!(
        "spec.targetDirectory: no FlinkSnapshotStore of this namespace serves {to}; create one whose url it is below, and \
         it is copied to there"
    );
    (Reason::NoStore, message)
}

/// Nobody may write the copy.
pub fn read_only(target: &str, url: &str) -> String {
    format!(
        "spec.targetDirectory: {target} is served by the FlinkSnapshotStore of {url}, which is readOnly; set its \
         spec.readOnly to false, or delete this resource and create another with another targetDirectory"
    )
}

/// A Job would need more keys than it is given.
pub fn two_stores(from: &str, own: &FlinkSnapshotStore, other: &FlinkSnapshotStore) -> String {
    format!(
        "spec.copyOf: {from} has files below {}, too, where FlinkSnapshotStore {} serves them; the Job that makes a large \
         copy reads all with endpoint, region and credentials of FlinkSnapshotStore {}: give both the same, with keys \
         that may read both places",
        other.spec.url,
        other.name_any(),
        own.name_any()
    )
}

/// The Job's image has no name.
pub fn no_image() -> String {
    "a large copy is made by a Job of the operator's own image, whose name is not known; give it to the operator by \
     --image (OPERATOR_IMAGE)"
        .to_owned()
}

/// A Job has come to nothing.
pub fn job_failed(savepoint: &FlinkSavepoint, why: &str) -> String {
    format!("{} has failed: {why}; mend that, another Job follows and goes on where this one ended", job(savepoint))
}

/// It goes on.
pub fn under_way(copy: &CopyProgress) -> String {
    format!("{} is copied to {}", copy.from, copy.to)
}

/// Kubernetes takes no Job, or keeps one that has failed.
pub fn no_job(savepoint: &FlinkSavepoint, why: &str) -> String {
    format!(
        "{} can't be created or deleted: {why}; raise the quota, or let admission and the operator's rights allow it",
        job(savepoint)
    )
}

/// A Job has no pod that runs: why, as Kubernetes says it.
pub fn job_not_running(savepoint: &FlinkSavepoint, why: &str) -> String {
    let has = |words: &[&str]| words.iter().any(|word| why.contains(word));
    let cure = if has(&["ImagePull", "ErrImage", "InvalidImageName"]) {
        "let this namespace pull the operator's image: put the Secrets that the operator's own pod names in \
         imagePullSecrets into it, or give the operator an image that all may pull by --image (OPERATOR_IMAGE)"
    } else if has(&["CreateContainerConfigError"]) {
        "put the Secrets that the FlinkSnapshotStores of both places name in credentialsSecretRef into this namespace, \
         with all their keys"
    } else if has(&["Unschedulable"]) {
        "make room on a node for a pod with the memory that the Job asks for"
    } else if has(&["FailedCreate"]) {
        "raise the quota, or let admission allow its pod"
    } else {
        "mend that; Kubernetes tries again, and another Job follows where it gives up"
    };
    format!("{} does not get on: {why}; {cure}", job(savepoint))
}

/// What was copied is to go, and does not.
pub fn not_removed(copy: Option<&CopyProgress>, why: &str, limit: Duration) -> String {
    let to = copy.map(|copy| copy.to.as_str()).unwrap_or_default();
    let limit = limit.as_secs();
    format!("what was copied to {to} can't be removed: {why}; it is tried for {limit} s, then it stays")
}

/// What a resource that goes leaves behind; `None`: nothing.
pub fn left_behind(o: &Observed, copy: &CopyProgress) -> Option<String> {
    let to = &copy.to;
    let Copying::Left { job, files } = &o.copying else {
        return Some(format!("{to} is left behind: all was copied to there, and its files had still to be looked at"));
    };
    let why = o.savepoint.status.as_ref().and_then(|s| s.message.as_deref()).unwrap_or_default();
    let files = match files {
        FilesLeft::Nothing => None,
        FilesLeft::There(files) => {
            Some(format!("{files} files of a copy that is not whole are left behind below {to}: {why}"))
        }
        FilesLeft::Unknown(why) => {
            Some(format!("files of a copy that is not whole may be left behind below {to}: {why}"))
        }
    };
    let still = || format!("{} was not gone: its pod may still write below {to}", self::job(&o.savepoint));
    let job = (*job != JobLeft::Nothing).then(still);
    let left: Vec<String> = job.into_iter().chain(files).collect();
    (!left.is_empty()).then(|| format!("{}; remove what is there", left.join("; ")))
}

/// The Job, and what it copies.
fn job(savepoint: &FlinkSavepoint) -> String {
    let name = naming::copy_job_name(&savepoint.name_any(), &savepoint.uid().unwrap_or_default());
    let copy = savepoint.status.as_ref().and_then(|s| s.copy.as_ref());
    let what = copy.map(|copy| format!(", which copies {} to {},", copy.from, copy.to)).unwrap_or_default();
    format!("Job {name}{what}")
}
