//! What a pass reads of the simulated world; the counterpart of the controller's own reading.

use std::sync::Arc;

use super::world::{Job, NAME, Pods, Shelf, UID, World};
use crate::api::condition::Reason;
use crate::api::{FlinkJobUpgrade, FlinkSavepoint, labels};
use crate::flink::{CheckpointsConfig, ClaimMode, Externalization, JobId, JobState};
use crate::naming;
use crate::store::check::{Again, Failure};
use crate::upgrade::ended::Left;
use crate::upgrade::jar::Fetching;
use crate::upgrade::observed::{
    Cluster, Container, Existing, JobFacts, Newest, Observed, Pod, Record, Restore, Retained, Revision, Up,
};
use crate::upgrade::scope::{self, Scope};
use crate::upgrade::workload::{self, Fetch};
use crate::upgrade::{child, recoverable, snapshots};

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
        let pods = r.pods.map(|pods| pods_of(*n, r, pods, trouble, whole)).unwrap_or_default();
        let cluster = match asked.get(n) {
            Some(job) if r.objects > 0 => cluster(world, *n, job.as_ref(), scope::slots_matter(&upgrade)),
            _ => Cluster::NotAsked,
        };
        let used = |r: &Record| r.rendered.high_availability && !r.high_availability_storage_settled && whole;
        let record = r.record.clone().filter(|r| scope::record_matters(&upgrade, *n) || used(r)).map(Box::new);
        let recorded = record.is_some() || whole && r.record.is_some();
        let objects = if whole { r.objects } else { 0 };
        let high_availability = world.high_availability(*n);
        let compared = scope::drift_matters(&upgrade);
        let scaled =
            (r.objects == workload::OBJECTS && r.replicas == 0).then(|| "Deployment: spec.replicas".to_owned());
        let drift = if compared { r.drift.iter().cloned().chain(scaled).collect() } else { Vec::new() };
        let task_managers = (compared && r.objects == workload::OBJECTS).then_some(r.replicas);
        (
            *n,
            Revision {
                recorded,
                record,
                objects,
                drift,
                pods,
                cluster,
                task_managers,
                high_availability,
                ..Revision::default()
            },
        )
    });
    let spec = serde_json::to_value(&upgrade.spec).unwrap();
    let mut observed = Observed {
        now: world.now,
        unknown: crate::api::coverage::unknown("FlinkJobUpgrade", &spec),
        revisions: revisions.collect(),
        savepoint: savepoint(world).filter(|_| scope::savepoint_matters(&upgrade)),
        stable_service: world.stable_service.filter(|_| whole),
        unlisted: false,
        retained: scope::retained_matters(&upgrade)
            .map_or(Retained::NotAsked, |s| retained(world, &upgrade, &s.job_id)),
        existing: match &world.earlier {
            _ if !scope::existing_matters(&upgrade) => Existing::NotAsked,
            Some(path) => Existing::Found(path.clone()),
            None => Existing::Nothing,
        },
        restore: scope::restore_matters(&upgrade).map_or(Restore::NotAsked, |wish| match wish.latest {
            Some(_) => Restore::From(world.earlier.clone()),
            None => Restore::From(wish.path),
        }),
        newest: if scope::newest_matters(&upgrade) { Newest::Nothing } else { Newest::NotAsked },
        account_is_left: world.account && upgrade.metadata.deletion_timestamp.is_some(),
        jar: Fetching::By(Fetch::default()),
        checkpoints_config: checkpoints_config(world, &upgrade),
        session: None,
        children: world.savepoints.values().map(|s| Arc::new(s.object.clone())).collect(),
        ended: Left::NotAsked,
        namespace_terminating: world.namespace_terminating && upgrade.metadata.deletion_timestamp.is_some(),
        upgrade,
    };
    observed.unlisted = world.shelf == Shelf::Nobody && snapshots::unrecorded(&observed).is_some();
    Some(observed)
}

/// Asked of a JobManager that answers, about a job that runs.
fn checkpoints_config(world: &World, upgrade: &FlinkJobUpgrade) -> Option<CheckpointsConfig> {
    let (revision, id) = recoverable::matters(upgrade)?;
    let job = world.job(revision, id.as_str()).filter(|job| !job.forgotten && job.all_tasks_running(world.now))?;
    world.instance(job.revision)?;
    let externalization = Externalization { enabled: true, delete_on_cancellation: false };
    let checkpoint_storage = "FileSystemCheckpointStorage".to_owned();
    Some(CheckpointsConfig { interval: 10_000, externalization, checkpoint_storage })
}

pub fn task_manager_uid(n: i64, revision: &super::world::Revision) -> String {
    format!("tm-of-{n}/{}", revision.task_manager)
}

fn pods_of(n: i64, r: &super::world::Revision, pods: Pods, trouble: Option<String>, whole: bool) -> Vec<Pod> {
    let leaving = pods.deleted.is_some();
    let job_manager = Pod {
        name: naming::job_manager_pod_name(NAME, n),
        uid: format!("pod-of-{n}"),
        job_manager: true,
        restarts: i32::try_from(r.restarts).unwrap(),
        container: Container::Runs,
        image_digest: Some(if r.moved { "sha256:moved" } else { "sha256:first" }.to_owned()),
        leaving,
        trouble,
        ..Pod::default()
    };
    let task_manager = Pod {
        name: format!("{}-abc", naming::task_manager_name(NAME, n)),
        uid: task_manager_uid(n, r),
        leaving: leaving || r.task_manager_leaves.is_some(),
        ..Pod::default()
    };
    if whole && r.task_manager_since.is_some() { vec![job_manager, task_manager] } else { vec![job_manager] }
}

fn retained(world: &World, upgrade: &FlinkJobUpgrade, id: &str) -> Retained {
    let failure = |reason| Failure { reason, message: "told by the store".to_owned(), again: Again::WithHelp };
    let chosen = upgrade.status.as_ref().and_then(|s| s.upgrade.as_ref()?.snapshot.clone());
    match (world.shelf, world.retained(id)) {
        (Shelf::Nobody, _) => Retained::NoStore("no FlinkSnapshotStore serves it".to_owned()),
        (Shelf::Down, _) => Retained::Failed(failure(Reason::Unreachable)),
        (_, None) => Retained::Nothing,
        (Shelf::Broken, Some((_, location))) if chosen.as_ref() != Some(&location) => {
            Retained::Broken { location, failure: failure(Reason::FilesMissing) }
        }
        (_, Some((id, location))) => Retained::Whole { id, location },
    }
}

/// The FlinkSavepoint that the operation names, or the one that it is about to name.
fn savepoint(world: &World) -> Option<FlinkSavepoint> {
    let operation = world.status().operation?;
    let name = match &operation.savepoint {
        Some(named) => named.name.clone(),
        None => child::next_name(NAME, &operation.id, world.status().upgrade.as_ref()),
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
        free_slots: slots_matter.then_some(if world.has_slots(revision) { slots - held } else { 0 }),
        flink_version: None,
        jobs: known.iter().map(|j| (j.id.clone(), j.state)).collect(),
        job: known.iter().find(|j| Some(&j.id) == job).map(|j| facts(world, j, tag)),
    }))
}

fn facts(world: &World, job: &Job, tag: &str) -> JobFacts {
    let told = job.state == JobState::Running || job.state.is_terminal() && job.state != JobState::Finished;
    let path = || format!("s3://flink/ck/{}/chk-{}", job.id, job.checkpoints);
    JobFacts {
        id: job.id.clone(),
        state: job.state,
        all_tasks_running: job.all_tasks_running(world.now),
        end_time: job.ended,
        restored_path: job.restored_path(world.now, tag).filter(|_| told),
        restored_as_savepoint: job.request.claim_mode != Some(ClaimMode::Claim) && job.recovered.is_none(),
        completed_checkpoints: if told { job.checkpoints } else { 0 },
        checkpoints_in_progress: i64::from(told && job.checkpoint_began.is_some()),
        checkpoint_bytes: 0,
        tasks_running: i64::from(job.all_tasks_running(world.now)),
        last_checkpoint: (told && job.checkpoints > 0).then(|| (job.checkpoints, path())),
        failure: job.failure.clone(),
        failures: job.failures + usize::from(job.failure.is_some()),
        own_failures: job.failures + usize::from(job.failure.is_some()),
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
