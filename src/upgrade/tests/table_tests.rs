//! Single decisions as tables: what was observed, what follows.

use rstest::rstest;
use serde_json::{Value, json};

use super::observe::observe;
use super::run::tell;
use super::story_tests::{fails_while_restoring, running, upgrade};
use super::world::World;
use crate::api::condition::{self, types};
use crate::api::{
    FlinkJobUpgradeStatus, FlinkSavepoint, FlinkSavepointSpec, FlinkSavepointStatus, OperationKind, SavepointAttempt,
    SavepointPhase, Then, UpgradeStep,
};
use crate::flink::JobId;
use crate::upgrade::observed::{Cluster, Observed};
use crate::upgrade::plan::{Effect, Plan, plan, refused};

/// The world at the first pass of a step.
fn world_at(told: &super::run::Told, step: UpgradeStep) -> World {
    let found = told.steps.iter().find(|s| s.world.status().upgrade.is_some_and(|u| u.step == step));
    found.unwrap().world.clone()
}

pub fn upgrading_at(step: UpgradeStep) -> Observed {
    observe(&world_at(&tell(&upgrade()), step)).unwrap()
}

fn with_status(mut o: Observed, change: impl FnOnce(&mut Value)) -> Observed {
    let mut status = serde_json::to_value(o.upgrade.status.clone().unwrap()).unwrap();
    change(&mut status);
    o.upgrade.status = Some(serde_json::from_value(status).unwrap());
    o
}

fn nothing_follows(o: &Observed) -> Plan {
    let plan = plan(o);
    assert_eq!(Some(&plan.status), o.upgrade.status.as_ref());
    assert_eq!(plan.effect, None);
    plan
}

/// Written by a newer version: hold still, write nothing, not even that it was seen.
#[rstest]
fn a_value_that_is_not_known_stops_everything(
    #[values(
        "/phase",
        "/operation/kind",
        "/upgrade/step",
        "/upgrade/restoreMode",
        "/upgrade/source",
        "/upgrade/failureReason",
        "/upgrade/submission/restoreMode",
        "/active/submission/restoreMode",
        "/history/0/result",
        "/history/0/reason",
        "/history/0/restoreMode"
    )]
    pointer: &str,
    #[values(false, true)] deleted: bool,
) {
    let mut o = with_status(upgrading_at(UpgradeStep::Submitting), |s| {
        s["upgrade"]["restoreMode"] = json!("NO_CLAIM");
        s["upgrade"]["failureReason"] = json!("JobFailed");
        s["active"]["submission"]["restoreMode"] = json!("NO_CLAIM");
        s["history"][0]["reason"] = json!("JobFailed");
        s["history"][0]["restoreMode"] = json!("NO_CLAIM");
        *s.pointer_mut(pointer).unwrap() = json!("Teleporting");
    });
    o.upgrade.metadata.generation = Some(99);
    if deleted {
        o.upgrade.metadata.deletion_timestamp = Some(crate::time::to_k8s(o.now));
    }
    nothing_follows(&o);
}

#[test]
fn the_child_is_as_the_upgrade_asks() {
    let mut o = upgrading_at(UpgradeStep::Savepoint);
    let wish = json!({"timeout": "90s", "backoffLimit": 1, "formatType": "CANONICAL", "targetDirectory": "s3://b/x"});
    o.upgrade.spec.upgrade = serde_json::from_value(json!({"savepoint": wish})).unwrap();
    let child = serde_json::to_value(crate::upgrade::child::savepoint(&o, "4-1a2b3c4d", Then::Stop).spec).unwrap();
    for (field, value) in wish.as_object().unwrap() {
        assert_eq!(child.get(field), Some(value), "{field}");
    }
}

/// A user's savepoint that takes longer than its timeout keeps no change waiting.
#[rstest]
#[case::in_time(false)]
#[case::overdue(true)]
fn a_change_waits_for_a_savepoint_only_up_to_its_timeout(#[case] overdue: bool) {
    let mut world = running();
    world.image("v2");
    let mut o = with_status(observe(&world).unwrap(), |s| {
        let named = json!({"name": "daily", "uid": "u1"});
        s["operation"] = json!({"id": "savepoint-u1", "kind": "Savepoint", "savepoint": named});
    });
    let status = if overdue { "True" } else { "False" };
    let mut savepoint = FlinkSavepoint::new("daily", FlinkSavepointSpec::default());
    savepoint.status = serde_json::from_value(json!({"phase": "InProgress", "conditions": [{
        "type": "Overdue", "status": status, "reason": "TimeoutExceeded", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]}))
    .unwrap();
    o.savepoint = Some(savepoint);
    let plan = plan(&o);
    let kind = plan.status.operation.map(|op| op.kind);
    assert_eq!(kind, Some(if overdue { OperationKind::Upgrade } else { OperationKind::Savepoint }));
}

/// A user's savepoint whose files can't be looked at keeps no job from its upgrades.
#[rstest]
#[case::flink_writes(None, SavepointPhase::InProgress, true)]
#[case::another_attempt_follows(Some("StorageFailed: disk full"), SavepointPhase::Pending, true)]
#[case::flink_is_done(Some("Completed"), SavepointPhase::Verifying, false)]
#[case::none_follows(Some("StorageFailed: disk full"), SavepointPhase::Failed, false)]
fn the_lock_is_held_while_flink_is_at_it(
    #[case] result: Option<&str>,
    #[case] phase: SavepointPhase,
    #[case] held: bool,
) {
    let mut world = running();
    world.take_savepoint("daily");
    let mut o = observe(&world).unwrap();
    let attempt = SavepointAttempt { number: 1, result: result.map(str::to_owned), ..SavepointAttempt::default() };
    o.savepoint.as_mut().unwrap().status = Some(FlinkSavepointStatus {
        phase: Some(phase),
        location: (result == Some("Completed")).then(|| "s3://bucket/savepoint-1".to_owned()),
        attempts: vec![attempt],
        ..FlinkSavepointStatus::default()
    });
    assert_eq!(plan(&o).status.operation.is_some(), held);
}

/// The process died between the record of the submit and its request.
fn submitting() -> Observed {
    let told = tell(&upgrade());
    let intends = told.steps.iter().find(|s| matches!(s.effect, Some(Effect::Submit(2, _)))).unwrap();
    let mut world = intends.world.clone();
    world.write_status(&plan(&observe(&world).unwrap()).status);
    let o = observe(&world).unwrap();
    assert!(matches!(plan(&o).effect, Some(Effect::Submit(2, _))));
    o
}

/// Within 3 s no answer can have been lost; after that the answer may still come, until 30 s have passed.
#[rstest]
#[case(0, true)]
#[case(2, true)]
#[case(4, false)]
#[case(29, false)]
#[case(31, true)]
fn a_submit_is_repeated_only_after_its_deadline(#[case] seconds: i64, #[case] submits: bool) {
    let mut o = submitting();
    let since = o.upgrade.status.as_ref().unwrap().upgrade.as_ref().unwrap().submission.clone().unwrap().since;
    o.now = crate::time::from_k8s(&since.unwrap()) + chrono::TimeDelta::seconds(seconds);
    assert_eq!(matches!(plan(&o).effect, Some(Effect::Submit(..))), submits);
}

#[test]
fn a_job_that_is_there_is_not_submitted_again() {
    let mut o = submitting();
    let Some(Effect::Submit(_, request)) = plan(&o).effect else { panic!() };
    let Cluster::Up(up) = &mut o.revisions.get_mut(&2).unwrap().cluster else { panic!() };
    up.jobs.insert(request.job_id, crate::flink::JobState::Initializing);
    let plan = plan(&o);
    assert_eq!((plan.effect, plan.status.upgrade.unwrap().step), (None, UpgradeStep::Restoring));
}

#[test]
fn nothing_is_submitted_to_another_process_than_the_intent_names() {
    let mut o = submitting();
    let Cluster::Up(up) = &mut o.revisions.get_mut(&2).unwrap().cluster else { panic!() };
    up.instance = "pod-of-2/1".to_owned();
    let plan = plan(&o);
    assert!(!matches!(plan.effect, Some(Effect::Submit(..))), "{:?}", plan.effect);
}

/// The new JobManager gave no answer when the old job's end was confirmed: which process the submit is for is recorded
/// with the first one that goes out.
#[test]
fn a_submit_waits_for_its_job_manager_and_names_it() {
    let mut o = with_status(submitting(), |s| {
        s["upgrade"]["submission"].as_object_mut().unwrap().remove("jobManagerInstance");
    });
    let sent = plan(&o);
    assert!(matches!(sent.effect, Some(Effect::Submit(2, _))));
    let instance = sent.status.upgrade.unwrap().submission.unwrap().job_manager_instance;
    assert_eq!(instance.as_ref(), o.up(2).map(|up| &up.instance));

    o.revisions.get_mut(&2).unwrap().cluster = Cluster::Down("refused".to_owned());
    let waits = plan(&o);
    assert_eq!(waits.effect, None);
    let upgrade = waits.status.upgrade.unwrap();
    assert_eq!((upgrade.step, upgrade.submission.unwrap().job_manager_instance), (UpgradeStep::Submitting, None));
}

/// A savepoint that is whole does not prove that its job ended.
#[test]
fn no_submit_is_intended_before_the_old_job_manager_confirms_the_end() {
    let told = tell(&upgrade());
    let before = told.steps.iter().find(|s| {
        let next = plan(&observe(&s.world).unwrap()).status.upgrade;
        next.is_some_and(|u| u.step == UpgradeStep::Submitting)
    });
    let mut o = observe(&before.unwrap().world).unwrap();
    let Cluster::Up(up) = &mut o.revisions.get_mut(&1).unwrap().cluster else { panic!() };
    up.job.as_mut().unwrap().state = crate::flink::JobState::Running;
    up.jobs.values_mut().for_each(|state| *state = crate::flink::JobState::Running);
    assert_eq!(plan(&o).status.upgrade.unwrap().submission, None);
    o.revisions.get_mut(&1).unwrap().cluster = Cluster::Down("gone".to_owned());
    assert_eq!(plan(&o).status.upgrade.unwrap().submission, None);
}

/// The way back begins only when the new submission certainly processes nothing any more.
#[test]
fn a_silent_new_revision_is_fenced_by_the_absence_of_its_pods() {
    let o = observe(&world_at(&tell(&fails_while_restoring()), UpgradeStep::PuttingBack)).unwrap();
    let intended = |o: &Observed| plan(o).status.upgrade.unwrap().submission.unwrap().revision;
    assert_eq!(intended(&o), 1);

    let mut silent = o;
    silent.revisions.get_mut(&2).unwrap().cluster = Cluster::Down("connection refused".to_owned());
    assert_eq!(plan(&silent).effect, Some(Effect::DeleteObjects(2)));
    let target = silent.revisions.get_mut(&2).unwrap();
    target.objects = 0;
    assert!(!target.pods.is_empty());
    assert_eq!((plan(&silent).effect, intended(&silent)), (None, 2));
    silent.revisions.get_mut(&2).unwrap().pods.clear();
    assert_eq!(intended(&silent), 1);
}

#[test]
fn the_way_back_that_is_refused_stalls() {
    let told = tell(&fails_while_restoring());
    let submits = |s: &&super::run::Step| matches!(s.effect, Some(Effect::Submit(1, _)));
    let o = observe(&told.steps.iter().find(submits).unwrap().world).unwrap();
    let mut status: FlinkJobUpgradeStatus = o.upgrade.status.clone().unwrap();
    refused(&o, &mut status, "the savepoint is gone");
    let stalled = condition::find(&status.conditions, types::STALLED).unwrap();
    assert_eq!(stalled.reason, "RollbackFailed");
    assert!(stalled.message.contains("revision 1") && stalled.message.contains("the savepoint is gone"));
    assert_eq!(status.upgrade.unwrap().step, UpgradeStep::PuttingBack);
}

/// Checkpoints, time and restarts, as `upgrade.stability` asks; left out: one checkpoint, no time, no restart.
#[rstest]
#[case::as_it_is_left_out(json!({}), 1, 0, 0, "stable")]
#[case::no_checkpoint_yet(json!({}), 0, 0, 0, "waits")]
#[case::more_checkpoints(json!({"completedCheckpoints": 3}), 2, 0, 0, "waits")]
#[case::enough_of_them(json!({"completedCheckpoints": 3}), 3, 0, 0, "stable")]
#[case::none_is_asked_for(json!({"completedCheckpoints": 0}), 0, 0, 0, "stable")]
#[case::not_long_enough(json!({"minRunning": "5s"}), 1, 4, 0, "waits")]
#[case::long_enough(json!({"minRunning": "5s"}), 1, 5, 0, "stable")]
#[case::one_restart(json!({}), 1, 0, 1, "goes back")]
#[case::one_is_allowed(json!({"maxRestarts": 1}), 1, 0, 1, "stable")]
#[case::two_are_not(json!({"maxRestarts": 1}), 0, 0, 2, "goes back")]
fn when_a_revision_is_stable(
    #[case] stability: Value,
    #[case] checkpoints: i64,
    #[case] seconds: i64,
    #[case] restarts: usize,
    #[case] expected: &str,
) {
    let mut o = with_status(upgrading_at(UpgradeStep::Stabilizing), |_| {});
    let wish = json!({"stability": stability, "rollback": {"allowRewind": true}});
    o.upgrade.spec.upgrade = serde_json::from_value(wish).unwrap();
    let running_at = o.upgrade.status.as_ref().unwrap().upgrade.as_ref().unwrap().running_at.clone().unwrap();
    o.now = crate::time::from_k8s(&running_at) + chrono::TimeDelta::seconds(seconds);
    let Cluster::Up(up) = &mut o.revisions.get_mut(&2).unwrap().cluster else { panic!() };
    let job = up.job.as_mut().unwrap();
    (job.completed_checkpoints, job.own_failures) = (checkpoints, restarts);
    let status = plan(&o).status;
    let is = match status.upgrade.map(|u| u.step) {
        None => "stable",
        Some(UpgradeStep::Stabilizing) => "waits",
        Some(UpgradeStep::PuttingBack) => "goes back",
        Some(other) => panic!("{other}"),
    };
    assert_eq!(is, expected);
}

/// Nobody waits for the job's own interval.
#[test]
fn the_first_checkpoint_is_asked_for() {
    let o = upgrading_at(UpgradeStep::Stabilizing);
    assert!(matches!(plan(&o).effect, Some(Effect::TriggerCheckpoint(2, _))));
}

/// No savepoint is asked for while the old job could not give one; it is waited for, as the job may get better.
#[test]
fn a_savepoint_waits_until_the_job_runs() {
    let told = tell(&upgrade());
    let before = told
        .steps
        .iter()
        .find(|s| s.world.status().upgrade.is_some_and(|u| u.step == UpgradeStep::Savepoint && u.savepoint.is_none()));
    let mut o = observe(&before.unwrap().world).unwrap();
    let Cluster::Up(up) = &mut o.revisions.get_mut(&1).unwrap().cluster else { panic!() };
    up.job.as_mut().unwrap().all_tasks_running = false;
    let plan = plan(&o);
    assert_eq!((plan.effect, plan.status.upgrade.unwrap().savepoint), (None, None));
    assert_eq!(condition::find(&plan.status.conditions, types::READY).unwrap().reason, "JobNotRunning");
}

/// Every id that is ever given to Flink for a job is another one.
#[test]
fn job_ids_differ_over_failures_and_upgrades() {
    let story = super::story_tests::story(
        &[
            (super::run::When::Rest, |w| w.image("refused")),
            (super::run::When::Rest, |w| w.image("fails")),
            (super::run::When::Rest, |w| w.image("v2")),
            (super::run::When::Rest, |w| w.image("fails")),
        ],
        |_| {},
    );
    let world = tell(&story).world;
    let ids: std::collections::BTreeSet<&JobId> = world.jobs.iter().map(|j| &j.id).collect();
    assert_eq!(ids.len(), world.jobs.len());
    // The first and its two ways back, 4 and its way back, 3 and 5, which failed; 2 was refused.
    assert_eq!(world.jobs.iter().filter(|j| !j.warm_up).count(), 7);
}
