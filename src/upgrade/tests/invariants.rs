//! What must hold in every step of every story.

use super::observe::{is_child_of, is_ours};
use super::world::{Job, NAME, Revision, Shelf, UID, World};
use crate::api::condition::{self, Reason, types};
use crate::api::kstatus::{self, Kstatus};
use crate::api::{
    DeletionJob, FlinkJobUpgradeStatus, FlinkSavepoint, JobState, OperationKind, PreflightState, SavepointPhase, Then,
    UpgradeFrom, UpgradeProgress, UpgradeResult, UpgradeStep, UpgradeStrategy,
};
use crate::flink::{ClaimMode, JobId, RunRequest};
use crate::naming;
use crate::time;
use crate::upgrade::observed::Observed;
use crate::upgrade::plan::{Effect, Plan, plan};
use crate::upgrade::{status, strategy};

/// Plans. `twice`: the same observation must give the same plan.
pub fn planned(world: &World, o: &Observed, twice: bool) -> Plan {
    let first = plan(o);
    if twice {
        let second = plan(&o.clone());
        assert_eq!(first.status, second.status);
        assert_eq!(first.effect, second.effect);
        assert_eq!(first.next, second.next);
    }
    if !status::has_unknown_values(&first.status) && first.effect != Some(Effect::AddFinalizer) {
        assert_eq!(first.status.observed_generation, world.upgrade.as_ref().unwrap().metadata.generation);
    }
    first
}

/// Whatever stands in the status is so in the world.
pub fn written(world: &World) {
    let status = world.status();
    conditions(world, &status);
    let resource = world.upgrade.as_ref().unwrap();
    if kstatus::of(resource) == Kstatus::Current {
        assert!(condition::is_true(&status.conditions, types::READY), "Current, and nobody has said so: {status:?}");
        assert!(status.upgrade.as_ref().is_none_or(waits), "Current, and an upgrade is under way");
    }
    if let Some(active) = &status.active {
        let job = world.job(active.revision, &active.submission.job_id);
        assert!(job.is_some_and(|j| !j.warm_up), "status.active names a job that never was: {active:?}");
        let asked = job.and_then(|j| j.request.savepoint_path.clone());
        assert_eq!(active.submission.restored_from, asked, "status.active names another savepoint");
    }
    for entry in &status.history {
        let of = |revision: i64| world.jobs.iter().any(|j| !j.warm_up && j.revision == revision && j.checkpoints > 0);
        match entry.result {
            UpgradeResult::Succeeded => assert!(of(entry.to), "no job of a revision that succeeded: {entry:?}"),
            UpgradeResult::RolledBack => {
                let from = entry.from.unwrap();
                let path = |j: &Job| j.request.savepoint_path.clone().unwrap_or_default();
                let back = |j: &&Job| j.revision == from && path(j).contains(entry.savepoint.as_ref().unwrap());
                assert!(world.jobs.iter().any(|j| back(&j)), "rolled back, and nothing was submitted: {entry:?}");
            }
            _ => {}
        }
    }
    if let Some(upgrade) = &status.upgrade {
        // Once the new job was stable beside the old one, until it is promoted.
        let shared = strategy::blue_green::applies(upgrade) && upgrade.submission.is_some();
        match status.operation.as_ref().filter(|operation| !shared || operation.kind != OperationKind::Savepoint) {
            Some(operation) => assert_eq!(operation.id, upgrade.id),
            None => assert!(shared && upgrade.step != UpgradeStep::Promoting, "an upgrade holds the lock"),
        }
        assert!(upgrade.to <= status.last_revision(), "a revision number is not recorded: {upgrade:?}");
        if let Some(location) = &upgrade.savepoint_location {
            assert!(is_completed(world, upgrade.savepoint.as_deref(), location), "no such savepoint: {location}");
            let active = status.active.as_ref().unwrap();
            let old = world.job(active.revision, &active.submission.job_id).unwrap();
            let forked = strategy::blue_green::applies(upgrade);
            assert!(forked || old.state.is_terminal(), "a savepoint is used of a job that runs on");
        }
    }
}

/// Two run side by side, and nothing is done before somebody promotes the new one.
fn waits(upgrade: &UpgradeProgress) -> bool {
    upgrade.step == UpgradeStep::Promotion
}

fn conditions(world: &World, status: &FlinkJobUpgradeStatus) {
    let is = |type_| condition::is_true(&status.conditions, type_);
    assert!(status.conditions.iter().all(|c| c.observed_generation.is_some()), "{:?}", status.conditions);
    assert!(!(is(types::RECONCILING) && is(types::STALLED)), "{:?}", status.conditions);
    if !is(types::READY) {
        return;
    }
    assert!(!is(types::RECONCILING) && !is(types::STALLED), "{:?}", status.conditions);
    assert!(status.upgrade.as_ref().is_none_or(waits), "Ready with an upgrade under way");
    let ready = condition::find(&status.conditions, types::READY).unwrap();
    let upgrade = world.upgrade.as_ref().unwrap();
    assert_eq!(ready.observed_generation, upgrade.metadata.generation, "Ready, but of an older spec");
    if ready.reason == Reason::Suspended.as_str() {
        assert_eq!(upgrade.spec.job.state(), JobState::Suspended);
        assert!(world.alive().is_empty() && status.active.is_none(), "suspended, and it runs: {:?}", world.alive());
        let left = world.revisions.values().any(|r| r.objects > 0 || r.pods.is_some() || !r.config_maps.is_empty());
        assert!(!left, "suspended, and more than records is left");
        return;
    }
    assert_eq!(upgrade.spec.job.state(), JobState::Running, "Ready, and it should not run");
    let active = status.active.as_ref().expect("Ready, and nothing is active");
    let job = world.job(active.revision, &active.submission.job_id).unwrap();
    assert!(job.all_tasks_running(world.now), "Ready, and the job does not run: {job:?}");
    let image = &world.revisions[&active.revision].image;
    let announced = status.next == upgrade.metadata.generation || status.upgrade.is_some();
    assert!(
        is(types::UPGRADE_PENDING) && announced || Some(image) == upgrade.spec.image.as_ref(),
        "Ready, and {image} runs, which the spec does not name"
    );
}

/// Whether the location is that of a completed savepoint of this name.
fn is_completed(world: &World, name: Option<&str>, location: &str) -> bool {
    let savepoint = name.and_then(|name| world.savepoints.get(name));
    let status = savepoint.and_then(|s| s.object.status.as_ref());
    status.is_some_and(|s| s.phase == Some(SavepointPhase::Completed) && s.location.as_deref() == Some(location))
}

/// `o` is what the pass has read: what allows the effect must have stood there. Only the intent of a submit may be of
/// this pass, as it stands in the resource by now.
pub fn before_effect(world: &World, o: &Observed, effect: &Effect) {
    let status = o.upgrade.status.clone().unwrap_or_default();
    let active = status.active.as_ref().map(|a| a.revision);
    let deleted = o.upgrade.metadata.deletion_timestamp.is_some();
    match effect {
        Effect::Submit(n, request) => submit(world, *n, request),
        Effect::Cancel(n, id) => cancel(o, *n, id),
        Effect::DeleteObjects(n) if active == Some(*n) => {
            let fenced = status.upgrade.as_ref().is_some_and(|u| u.step == UpgradeStep::Fencing && u.source.is_some());
            // Another one was promoted, and this one's state stays in its checkpoints.
            let retires = status.upgrade.as_ref().is_some_and(|u| u.step == UpgradeStep::Retiring);
            assert!(deleted || fenced || retires, "the active revision's objects are deleted");
            if fenced || retires {
                return;
            }
            let id = &status.active.as_ref().unwrap().submission.job_id;
            let job = world.job(*n, id).unwrap();
            let unreachable = job.forgotten || world.instance(*n).is_none();
            assert!(job.state.is_terminal() || unreachable || may_be_lost(o), "its job still runs: {job:?}");
        }
        Effect::DeleteObjects(n) => {
            let upgrade = status.upgrade.as_ref().filter(|u| u.to == *n && !deleted);
            let step = upgrade.map_or(UpgradeStep::PuttingBack, |u| u.step);
            let goes = matches!(step, UpgradeStep::PuttingBack | UpgradeStep::Discarding);
            assert!(goes, "the new revision's objects are deleted in the middle");
        }
        Effect::DeleteRecord(n) => assert!(deleted || active != Some(*n), "the active revision's record is deleted"),
        Effect::CreateSavepoint(child) => create_savepoint(o, &status, child),
        Effect::Preflight(n, _) => {
            // As it was written just now.
            let written = world.status().upgrade;
            let asked = written.as_ref().filter(|u| u.to == *n).and_then(|u| u.preflight.as_ref());
            let here = asked
                .is_some_and(|p| p.state == PreflightState::Running && p.job_manager_instance == world.instance(*n));
            assert!(here && active != Some(*n), "a question that is not recorded");
            // Flink keeps the context of a program in static fields.
            let alone = world.jobs.iter().all(|j| j.revision != *n || j.state.is_terminal());
            assert!(alone, "beside another program");
        }
        Effect::PointService(n) => {
            let promoted = status.upgrade.as_ref().filter(|u| u.step == UpgradeStep::Promoting).map(|u| u.to);
            let rests = status.suspension.as_ref().map(|s| s.revision);
            assert_eq!(promoted.or(active).or(rests), Some(*n), "the stable Service leads elsewhere");
        }
        Effect::DeleteService => assert!(deleted),
        Effect::DeleteAccount => assert!(deleted && world.revisions.is_empty(), "pods may still use it"),
        Effect::RemoveFinalizer => {
            let said = world.status().deletion.is_some_and(|d| d.left_behind.is_some());
            assert!(deleted && world.stable_service.is_none(), "something is left");
            assert!(said || world.revisions.is_empty() && !world.account, "something is left, and not said");
        }
        Effect::AddFinalizer => assert!(!deleted),
        Effect::DeleteJars(ids) => assert!(o.session.is_some(), "{ids:?}: there is no session cluster"),
        Effect::WarmUp(n, request) => {
            assert_eq!(request.job_id.as_str(), naming::warm_up_job_id(UID, *n));
            assert_eq!(request.savepoint_path, None);
        }
        Effect::Scale(n, replicas) => scale(world, o, *n, *replicas),
        Effect::StoreRevision(n) | Effect::CreateObjects(n) | Effect::CreateWithoutTaskManagers(n) => {
            let recreates = status.upgrade.as_ref().is_some_and(|u| u.strategy == Some(UpgradeStrategy::Recreate));
            let room = world.revisions.iter().filter(|(m, _)| *m != n).all(|(_, r)| r.task_manager_since.is_none());
            let takes = recreates && matches!(effect, Effect::CreateObjects(_));
            assert!(!takes || room, "TaskManagers of two revisions at once");
            let healed = active == Some(*n) && matches!(effect, Effect::CreateObjects(_));
            let asked = status.upgrade.as_ref().map(|u| u.to) == Some(*n);
            assert!(asked || healed, "a revision that nobody asks for");
            let born = matches!(effect, Effect::StoreRevision(_)) && o.upgrade.spec.job.state() == JobState::Suspended;
            assert!(!born, "a revision begins that should not run");
            let others = |(m, r): &(&i64, &Revision)| *m != n && Some(**m) != active && r.objects > 0;
            assert!(!world.revisions.iter().any(|r| others(&r)), "a revision that nobody needs takes room");
        }
        Effect::Heal(n) => {
            let concerned = active == Some(*n) || status.upgrade.as_ref().is_some_and(|u| u.to == *n);
            assert!(!deleted && concerned, "objects are healed that nobody needs");
            assert!(!world.revisions[n].drift.is_empty(), "nothing is to be healed");
        }
        Effect::DeletePods(n, _) => {
            let upgrade = status.upgrade.as_ref().expect("pods are deleted, and nothing is under way");
            assert!(upgrade.lost_instance.is_some(), "pods are deleted, and their JobManager was not lost");
            assert_ne!(upgrade.lost_instance, world.instance(*n), "pods are deleted whose JobManager lives");
        }
        Effect::DeleteSavepoint => {
            assert!(o.savepoint.as_ref().is_some_and(|s| s.status.as_ref().is_none_or(|s| s.attempts.is_empty())));
        }
        Effect::DeleteChild(name, _) => {
            let tells = serde_json::to_string(&status).unwrap();
            assert!(!tells.contains(&format!("\"{name}\"")), "{name} is deleted, and the status names it: {tells}");
        }
        Effect::DeleteHaConfigMaps(n) => {
            assert!(world.revisions[n].pods.is_none(), "a JobManager lives whose ConfigMaps are deleted");
        }
        Effect::RemoveHaStorage(n) => {
            let revision = &world.revisions[n];
            assert!(revision.pods.is_none() && revision.config_maps.is_empty(), "the storage is in use: {revision:?}");
        }
        Effect::RemoveCheckpoints(_) | Effect::TriggerCheckpoint(..) => {}
    }
}

/// A child savepoint is that of the operation, and ends the job where the operation says so.
fn create_savepoint(o: &Observed, status: &FlinkJobUpgradeStatus, child: &FlinkSavepoint) {
    let operation = status.operation.as_ref().expect("a savepoint without an operation in the status");
    let ends = [OperationKind::Upgrade, OperationKind::Suspend, OperationKind::Deletion];
    assert!(ends.contains(&operation.kind), "{operation:?}");
    assert!(is_ours(child) && is_child_of(child, &operation.id), "{:?}", child.metadata);
    let drains = operation.kind == OperationKind::Deletion && o.upgrade.spec.deletion_job() == DeletionJob::Drain;
    let upgrade = status.upgrade.as_ref().filter(|_| operation.kind != OperationKind::Deletion);
    let promotes = upgrade.is_some_and(|u| u.step == UpgradeStep::Promoting);
    let forks = upgrade.is_some_and(strategy::blue_green::applies) && !promotes;
    let then = match (drains, forks) {
        (true, _) => Then::Drain,
        (false, true) => Then::Continue,
        (false, false) => Then::Stop,
    };
    assert_eq!(child.spec.then(), then);
    let name = naming::child_savepoint_name(NAME, &operation.id);
    assert_eq!(child.metadata.name, Some(if promotes { format!("{name}-final") } else { name }));
    if let Some(u) = upgrade {
        let intent = if promotes { &u.final_savepoint } else { &u.savepoint };
        assert_eq!(*intent, child.metadata.name);
    }
}

fn scale(world: &World, o: &Observed, revision: i64, replicas: i32) {
    let upgrade = o.upgrade.status.as_ref().and_then(|s| s.upgrade.as_ref());
    assert!(upgrade.is_some_and(|u| u.strategy == Some(UpgradeStrategy::Recreate)), "scaled, and nobody asks for it");
    let mut others = world.revisions.iter().filter(|(m, _)| **m != revision);
    let room = others.all(|(_, r)| r.task_manager_since.is_none());
    assert!(replicas == 0 || room, "TaskManagers of two revisions at once");
    let works = world.jobs.iter().any(|j| j.revision == revision && !j.state.is_terminal() && !j.forgotten);
    assert!(replicas > 0 || !works, "the TaskManagers of a job that lives");
}

fn submit(world: &World, revision: i64, request: &RunRequest) {
    let status = world.status();
    let upgrade = status.upgrade.as_ref().expect("a submit without an upgrade in the status");
    let intent = upgrade.submission.as_ref().expect("a submit without an intent in the status");
    assert_eq!(intent.job_id, request.job_id.as_str(), "another job id than the intent's");
    assert_eq!(intent.revision, revision, "another revision than the intent's");
    assert_eq!(intent.job_manager_instance, world.instance(revision), "another process than the intent's");
    assert_eq!(intent.restored_from, request.savepoint_path);
    let beside = status.active.as_ref().filter(|_| strategy::blue_green::applies(upgrade));
    let old = beside.map(|active| active.submission.job_id.clone());
    for other in world.alive().into_iter().filter(|other| old.as_deref() != Some(other.id.as_str())) {
        assert_eq!(other.id, request.job_id, "two at once: {other:?} has not ended");
    }
    let given = upgrade.restore_from_id.is_some();
    // One that ran beside the job and was given up is none of its line.
    let in_line = |j: &Job| status.active.as_ref().is_none_or(|a| [a.revision, upgrade.to].contains(&j.revision));
    let before = world.jobs.iter().rfind(|j| !j.warm_up && j.id != request.job_id && in_line(j));
    let newest = before.and_then(|j| world.retained(j.id.as_str())).map(|(_, path)| path);
    let path = request.savepoint_path.as_deref();
    // The newest checkpoint of the submission before; what that began with, if it has none.
    let state = newest.or_else(|| before.and_then(|j| j.request.savepoint_path.clone()));
    let savepoint = path.is_some_and(|path| is_completed(world, upgrade.savepoint.as_deref(), path));
    let gives_up = path.is_none() && world.upgrade.as_ref().unwrap().spec.upgrade_from() == UpgradeFrom::Empty;
    // Without a store the newest that was recorded has to do.
    let recorded =
        world.shelf == Shelf::Nobody && before.zip(path).is_some_and(|(j, path)| path.contains(j.id.as_str()));
    // Of a suspended job: what is recorded, which is a verified savepoint or its state.
    let resumed = status.suspension.as_ref().filter(|_| upgrade.from.is_none()).is_some_and(|suspension| {
        let whole = path.is_some_and(|path| is_completed(world, suspension.savepoint.as_deref(), path));
        suspension.snapshot.as_deref() == path && (whole || state.as_deref() == path)
    });
    if let Some(suspension) = status.suspension.filter(|_| upgrade.from.is_none() && upgrade.attempt <= 1 && !given) {
        assert_eq!(suspension.snapshot.as_deref(), path, "it goes on from elsewhere than it was suspended with");
    }
    assert!(
        resumed || given || savepoint || gives_up || recorded || state.as_deref() == path,
        "it starts from {path:?}, and the job's state is {state:?}"
    );
    if upgrade.step == UpgradeStep::PuttingBack {
        assert_eq!(request.claim_mode, Some(ClaimMode::NoClaim), "the way back hands the savepoint over");
        assert_eq!(request.allow_non_restored_state, Some(false), "the way back drops state");
    }
}

/// Only what is being put back, or deleted with the user's leave, is cancelled.
fn cancel(o: &Observed, revision: i64, id: &JobId) {
    let status = o.upgrade.status.as_ref().unwrap();
    if id.as_str() == naming::warm_up_job_id(UID, revision) {
        return;
    }
    if status.active.as_ref().is_some_and(|a| a.submission.job_id == id.as_str()) {
        let chosen = status.upgrade.as_ref().is_some_and(|u| u.step == UpgradeStep::Fencing && u.source.is_some());
        assert!(chosen || may_be_lost(o), "the active job is cancelled without a savepoint");
        return;
    }
    let upgrade = status.upgrade.as_ref().expect("a cancel of a job that no upgrade submitted");
    assert!(matches!(upgrade.step, UpgradeStep::PuttingBack | UpgradeStep::Fencing | UpgradeStep::Discarding));
    assert_eq!(upgrade.submission.as_ref().unwrap().job_id, id.as_str());
}

/// The user said so, or no savepoint can be had any more.
fn may_be_lost(o: &Observed) -> bool {
    let Some(asked) = &o.upgrade.metadata.deletion_timestamp else { return false };
    let since = o.upgrade.status.as_ref().and_then(|s| s.operation.as_ref()).and_then(|op| op.since.as_ref());
    let late = o.since(time::from_k8s(since.unwrap_or(asked))) > o.upgrade.spec.deletion_timeout();
    o.upgrade.spec.deletion_job() == DeletionJob::Cancel || o.namespace_terminating || late
}
