//! What a copy says of itself: which field, which value, and the cure. Its spec can't be changed, so what is wrong in
//! there is mended by another resource. Pure.

use kube::ResourceExt;

use crate::api::condition::Reason;
use crate::api::{FlinkSavepoint, SavepointPhase};
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
    match &savepoint.spec.store_ref {
        Some(named) => {
            let message = format!(
                "spec.storeRef.name: there is no FlinkSnapshotStore {} in this namespace whose url {to} is below; create \
                 it, or delete this resource and create another with another storeRef, or without",
                named.name
            );
            (Reason::WrongStore, message)
        }
        None => {
            let message = format!(
                "spec.targetDirectory: no FlinkSnapshotStore of this namespace serves {to}; create one whose url it is \
                 below, and it is copied to there"
            );
            (Reason::NoStore, message)
        }
    }
}

/// Nobody may write the copy.
pub fn read_only(target: &str, url: &str) -> String {
    format!(
        "spec.targetDirectory: {target} is served by the FlinkSnapshotStore of {url}, which is readOnly; set its \
         spec.readOnly to false, or delete this resource and create another with another targetDirectory"
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

/// The Job, and what it copies.
fn job(savepoint: &FlinkSavepoint) -> String {
    let name = naming::copy_job_name(&savepoint.name_any(), &savepoint.uid().unwrap_or_default());
    let copy = savepoint.status.as_ref().and_then(|s| s.copy.as_ref());
    let what = copy.map(|copy| format!(", which copies {} to {},", copy.from, copy.to)).unwrap_or_default();
    format!("Job {name}{what}")
}
