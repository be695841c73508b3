//! What an effect does to the simulated world.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Service};

use super::election::job_map;
use super::observe::{is_ours, task_manager_uid};
use super::world::{Job, NAME, Pods, Savepoint, UID, World};
use crate::api::{FINALIZER, FlinkSavepoint};
use crate::flink::{JobId, JobState, RunRequest};
use crate::naming;
use crate::upgrade::observed::{Observed, Record};
use crate::upgrade::plan::Effect;
use crate::upgrade::preflight::judge::{Kind, Said};
use crate::upgrade::workload::{self, Rendered};

/// What came of an effect.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Done,
    /// Flink refused the submit.
    Refused(String),
    /// What the helper program has said.
    Said(Said),
    /// No answer: the pass ends, the next one looks again.
    Error,
}

/// Carries out an effect. `half`: of several objects only the first ones, then the process dies.
pub fn act(world: &mut World, o: &Observed, effect: &Effect, half: bool) -> Outcome {
    let pods = Pods { created: world.now, deleted: None };
    match effect {
        Effect::AddFinalizer => world.upgrade.as_mut().unwrap().metadata.finalizers = Some(vec![FINALIZER.to_owned()]),
        Effect::RemoveFinalizer => world.upgrade = None,
        Effect::StoreRevision(n) => store(world, o, *n),
        Effect::CreateObjects(n) | Effect::CreateWithoutTaskManagers(n) => {
            let revision = world.revisions.entry(*n).or_default();
            world.account |= revision.record.as_ref().unwrap().rendered.account.is_some();
            revision.objects = if half { 2 } else { workload::OBJECTS };
            revision.record.as_mut().unwrap().high_availability_storage_settled = false;
            if !half {
                revision.pods.get_or_insert(pods);
                if !matches!(effect, Effect::CreateWithoutTaskManagers(_)) {
                    revision.replicas = 1;
                    revision.task_manager_since.get_or_insert(pods.created);
                }
            }
        }
        Effect::Scale(n, replicas) => {
            let now = world.now;
            let revision = world.revisions.entry(*n).or_default();
            revision.replicas = *replicas;
            if *replicas == 0 && revision.task_manager_since.is_some() {
                revision.task_manager_leaves.get_or_insert(now);
            }
        }
        Effect::Heal(n) => world.revisions.entry(*n).or_default().drift.clear(),
        Effect::DeleteObjects(n) => {
            // The StatefulSet and the Deployment go first.
            let revision = world.revisions.entry(*n).or_default();
            revision.objects = if half { revision.objects.saturating_sub(2) } else { 0 };
            let now = world.now;
            if let Some(pods) = &mut revision.pods {
                pods.deleted.get_or_insert(now);
            }
        }
        Effect::DeletePods(n, pods) => {
            let now = world.now;
            let revision = world.revisions.entry(*n).or_default();
            assert!(pods.iter().all(|(_, uid)| *uid == task_manager_uid(*n, revision)), "{pods:?}");
            revision.task_manager_leaves.get_or_insert(now);
        }
        Effect::DeleteSavepoint => {
            let name = o.savepoint.as_ref().and_then(|s| s.metadata.name.clone()).unwrap();
            world.savepoints.remove(&name);
        }
        Effect::DeleteChild(name, uid) => {
            let child = world.savepoints.remove(name).unwrap();
            assert_eq!(child.object.metadata.uid, *uid);
        }
        // Nothing was listed.
        Effect::RemoveCheckpoints(directories) => assert!(directories.is_empty(), "{directories:?}"),
        Effect::DeleteRecord(n) => world.revisions.entry(*n).or_default().record = None,
        Effect::PointService(n) => world.stable_service = Some(*n),
        Effect::DeleteService => world.stable_service = None,
        Effect::Preflight(n, _) => {
            if world.revisions[n].image.ends_with(":exits") {
                world.restart_job_manager(*n);
                return Outcome::Error;
            }
            return if world.instance(*n).is_none() {
                Outcome::Error
            } else {
                Outcome::Said(said(&world.revisions[n].image))
            };
        }
        Effect::DeleteAccount => world.account = half,
        Effect::WarmUp(n, request) => return run(world, *n, request, true),
        Effect::CreateSavepoint(child) => return create_savepoint(world, child),
        Effect::Submit(n, request) => return run(world, *n, request, false),
        Effect::Cancel(n, id) => {
            if world.instance(*n).is_none() {
                return Outcome::Error;
            }
            let now = world.now;
            let job = world.jobs.iter_mut().find(|j| j.id == *id && !j.forgotten);
            if let Some(job) = job.filter(|j| !j.state.is_terminal()) {
                job.state = JobState::Cancelling;
                job.cancelled.get_or_insert(now);
            }
        }
        // Here each job has a cluster of its own.
        Effect::DeleteJars(ids) => assert!(ids.is_empty(), "{ids:?}"),
        Effect::DeleteHaConfigMaps(n) => world.revisions.entry(*n).or_default().config_maps.clear(),
        Effect::RemoveHaStorage(n) => {
            let record = world.revisions.entry(*n).or_default().record.as_mut().unwrap();
            record.high_availability_storage_settled = true;
        }
        Effect::TriggerCheckpoint(_, id) => {
            let now = world.now;
            if let Some(job) = world.jobs.iter_mut().find(|j| j.id == *id) {
                job.checkpoint_began.get_or_insert(now);
            }
        }
    }
    world.forget_revisions();
    Outcome::Done
}

fn create_savepoint(world: &mut World, child: &FlinkSavepoint) -> Outcome {
    let name = child.metadata.name.clone().unwrap();
    if let Some(found) = world.savepoints.get(&name) {
        return if is_ours(&found.object) { Outcome::Done } else { Outcome::Error };
    }
    world.created += 1;
    let mut object = child.clone();
    object.metadata.uid = Some(format!("{name}-{}", world.created));
    world.savepoints.insert(name, Savepoint { object, holds_lock: None });
    Outcome::Done
}

/// What the program in an image says of its operators. No snapshot is read here: all pass that say any.
fn said(image: &str) -> Said {
    let failure = |kind| Said::Failure { kind, message: "java.lang.IllegalStateException: no topic".to_owned() };
    match image.rsplit(':').next() {
        Some("throws") => failure(Kind::MainFailed),
        Some("hangs") => failure(Kind::TimedOut),
        Some("python") => failure(Kind::NoGraph),
        _ => Said::Operators(Vec::new()),
    }
}

fn store(world: &mut World, o: &Observed, number: i64) {
    if world.revisions.get(&number).is_some_and(|r| r.record.is_some()) {
        return;
    }
    let revision = workload::Revision {
        namespace: "shop",
        name: NAME,
        owner_uid: UID,
        number,
        upgrade_id: &naming::upgrade_id(UID, number),
        color: &world.status().upgrade.and_then(|u| u.color).unwrap(),
        helper_jar: &[],
        fetch: &workload::Fetch::default(),
        carrier: None,
    };
    let rendered = workload::render(&revision, &o.upgrade.spec).unwrap();
    let record = workload::to_controller_revision(&rendered).unwrap();
    let rendered = workload::from_controller_revision(&record).unwrap();
    // The planner looks at no more of the objects.
    let rendered = Rendered {
        config_map: ConfigMap::default(),
        service: Service::default(),
        stateful_set: StatefulSet::default(),
        deployment: Deployment {
            spec: Some(DeploymentSpec { replicas: Some(1), ..DeploymentSpec::default() }),
            ..Deployment::default()
        },
        ..rendered
    };
    let revision_hash = rendered.revision_hash.clone();
    let record = Record { revision_hash, rendered, high_availability_storage_settled: false };
    let revision = world.revisions.entry(number).or_default();
    (revision.record, revision.image) = (Some(record), o.upgrade.spec.image.clone().unwrap());
}

/// `POST /jars/:id/run`.
fn run(world: &mut World, revision: i64, request: &RunRequest, warm_up: bool) -> Outcome {
    if world.instance(revision).is_none() {
        return Outcome::Error;
    }
    if world.jobs.iter().any(|j| j.id == request.job_id && !j.forgotten) {
        return Outcome::Done;
    }
    let image = &world.revisions[&revision].image;
    let drops = image.ends_with(":drops-operator") && request.allow_non_restored_state != Some(true);
    if !warm_up && (drops || image.ends_with(":refused")) {
        return Outcome::Refused("IllegalStateException: cannot map savepoint state".to_owned());
    }
    let id: JobId = request.job_id.clone();
    assert!(world.jobs.iter().all(|j| j.id != id), "job id {id} is used again");
    let job = Job {
        id,
        revision,
        warm_up,
        request: request.clone(),
        submitted: world.now,
        state: JobState::Initializing,
        cancelled: None,
        ended: None,
        failure: None,
        failures: 0,
        checkpoint_began: None,
        checkpoints: 0,
        forgotten: false,
        task_manager: world.revisions[&revision].task_manager,
        recovered: None,
    };
    world.note_submit(revision, job_map(&job));
    world.jobs.push(job);
    Outcome::Done
}
