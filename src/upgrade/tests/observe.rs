//! What a pass reads of the simulated world; the counterpart of the controller's own reading.

use super::world::{Job, NAME, UID, World};
use crate::api::{FlinkSavepoint, labels};
use crate::flink::{JobId, JobState};
use crate::naming;
use crate::upgrade::child;
use crate::upgrade::observed::{Cluster, JobFacts, Observed, Pod, Revision, Up};
use crate::upgrade::scope::{self, Scope};

/// What a pass reads. `None`: the resource is gone.
pub fn observe(world: &World) -> Option<Observed> {
    let upgrade = world.upgrade.clone()?;
    let asked = scope::jobs_of_interest(&upgrade);
    let whole = scope::of(&upgrade) == Scope::Whole;
    let revisions = world.revisions.iter().filter(|(n, _)| whole || asked.contains_key(n)).map(|(n, r)| {
        let trouble = r
            .image
            .ends_with(":bad")
            .then(|| "container flink-main-container: ImagePullBackOff: Back-off pulling image".to_owned());
        let pods = r.pods.map(|_| Pod { name: naming::job_manager_pod_name(NAME, *n), trouble });
        let cluster = match asked.get(n) {
            Some(job) if r.objects > 0 => cluster(world, *n, job.as_ref(), scope::slots_matter(&upgrade)),
            _ => Cluster::NotAsked,
        };
        let record = r.record.clone().filter(|_| scope::record_matters(&upgrade, *n)).map(Box::new);
        let objects = if whole { r.objects } else { 0 };
        (*n, Revision { record, objects, pods: pods.into_iter().collect(), job_manager: None, cluster })
    });
    let spec = serde_json::to_value(&upgrade.spec).unwrap();
    Some(Observed {
        now: world.now,
        not_yet: crate::api::coverage::not_yet("FlinkJobUpgrade", &spec),
        revisions: revisions.collect(),
        savepoint: savepoint(world).filter(|_| scope::savepoint_matters(&upgrade)),
        stable_service: world.stable_service.filter(|_| whole),
        namespace_terminating: world.namespace_terminating && upgrade.metadata.deletion_timestamp.is_some(),
        upgrade,
    })
}

/// The FlinkSavepoint that the operation names, or the one that it is about to name.
fn savepoint(world: &World) -> Option<FlinkSavepoint> {
    let operation = world.status().operation?;
    let name = match &operation.savepoint {
        Some(named) => named.name.clone(),
        None => child::name(NAME, &operation.id),
    };
    let found = world.savepoints.get(&name)?.object.clone();
    let mine = match operation.savepoint.and_then(|s| s.uid) {
        Some(uid) => found.metadata.uid == Some(uid),
        None => is_ours(&found) && is_child_of(&found, &operation.id),
    };
    mine.then_some(found)
}

fn cluster(world: &World, revision: i64, job: Option<&JobId>, slots_matter: bool) -> Cluster {
    let Some(instance) = world.instance(revision) else {
        return Cluster::Down("connection refused".to_owned());
    };
    let known: Vec<&Job> = world.jobs.iter().filter(|j| j.revision == revision && !j.forgotten).collect();
    let slots = world.revisions[&revision].record.as_ref().map_or(0, |r| r.rendered.slots);
    let held: i32 =
        known.iter().filter(|j| !j.state.is_terminal()).map(|j| j.request.parallelism.unwrap_or(slots)).sum();
    let tag = &world.revisions[&revision].image;
    Cluster::Up(Box::new(Up {
        instance,
        free_slots: slots_matter.then_some(slots - held),
        jobs: known.iter().map(|j| (j.id.clone(), j.state)).collect(),
        job: known.iter().find(|j| Some(&j.id) == job).map(|j| facts(world, j, tag)),
    }))
}

fn facts(world: &World, job: &Job, tag: &str) -> JobFacts {
    let running = job.state == JobState::Running;
    let path = || format!("s3://flink/ck/{}/chk-{}", job.id, job.checkpoints);
    JobFacts {
        id: job.id.clone(),
        state: job.state,
        all_tasks_running: job.all_tasks_running(world.now),
        end_time: job.ended,
        restored_path: job.restored_path(world.now, tag).filter(|_| running),
        completed_checkpoints: if running { job.checkpoints } else { 0 },
        checkpoints_in_progress: i64::from(running && job.checkpoint_began.is_some()),
        last_checkpoint: (running && job.checkpoints > 0).then(|| (job.checkpoints, path())),
        failure: job.failure.clone(),
    }
}

/// Whether it carries the UID that every object of the job carries.
pub fn is_ours(savepoint: &FlinkSavepoint) -> bool {
    label(savepoint, labels::JOB_UID) == Some(UID)
}

/// Whether it was made for this operation.
pub fn is_child_of(savepoint: &FlinkSavepoint, operation: &str) -> bool {
    label(savepoint, naming::LABEL_OPERATION) == Some(operation)
}

fn label<'a>(savepoint: &'a FlinkSavepoint, key: &str) -> Option<&'a str> {
    savepoint.metadata.labels.as_ref()?.get(key).map(String::as_str)
}
