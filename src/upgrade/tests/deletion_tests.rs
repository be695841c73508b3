//! How stories end in which the resource is deleted: nothing is left, and state is lost only where the user said so.

use rstest::rstest;

use super::crash_tests::sweep;
use super::run::{Act, Story, When, tell};
use super::story_tests::{running, story};
use super::world::{Taking, World, spec};
use crate::api::{DeletionJob, DeletionSpec, Duration, SavepointPhase, Then, UpgradeStep};
use crate::flink::JobState;

/// Nothing of the job is left but its savepoints.
fn gone(world: &World) {
    assert!(world.upgrade.is_none());
    assert!(world.revisions.is_empty(), "{:?}", world.revisions.keys());
    assert_eq!(world.stable_service, None);
    assert!(world.alive().is_empty());
}

/// Gone, and the job's last state is in a savepoint.
fn saved(world: &World) {
    gone(world);
    assert!(world.savepoints.values().all(|s| s.phase() == Some(SavepointPhase::Completed)));
    let last = world.jobs.iter().rfind(|j| !j.warm_up).unwrap();
    assert_eq!(last.state, JobState::Finished);
    let of_deletion = world.savepoints.keys().filter(|name| name.contains("deletion")).count();
    assert_eq!(of_deletion, 1, "{:?}", world.savepoints.keys());
}

/// Gone, and the job was cancelled.
fn cancelled(world: &World) {
    gone(world);
    let last = world.jobs.iter().rfind(|j| !j.warm_up).unwrap();
    assert_eq!(last.state, JobState::Canceled);
}

fn with(deletion: DeletionSpec, acts: &[Act], end: fn(&World)) -> Story {
    let mut story = story(acts, end);
    story.world.upgrade.as_mut().unwrap().spec.deletion = Some(deletion);
    story
}

fn within_a_minute() -> DeletionSpec {
    DeletionSpec { job: None, timeout: Some(Duration::from_secs(60)) }
}

fn saves() -> Story {
    story(&[(When::Rest, World::delete)], saved)
}

fn cancels() -> Story {
    let cancel = DeletionSpec { job: Some(DeletionJob::Cancel), timeout: None };
    with(cancel, &[(When::Rest, World::delete)], |w| {
        cancelled(w);
        assert!(w.savepoints.is_empty());
    })
}

fn namespace_terminates() -> Story {
    let change: fn(&mut World) = |w| {
        w.namespace_terminating = true;
        w.delete();
    };
    story(&[(When::Rest, change)], |w| {
        cancelled(w);
        assert!(w.savepoints.is_empty());
    })
}

fn drains() -> Story {
    let drain = DeletionSpec { job: Some(DeletionJob::Drain), timeout: None };
    with(drain, &[(When::Rest, World::delete)], |w| {
        saved(w);
        assert!(w.savepoints.values().all(|s| s.object.spec.then() == Then::Drain));
    })
}

/// In the middle of an upgrade the controller was away for longer than the timeout: its way is led to its end all the
/// same.
fn away_in_the_middle() -> Story {
    let change: fn(&mut World) = |w| {
        w.delete();
        w.pass(std::time::Duration::from_secs(3600));
    };
    with(within_a_minute(), &[(When::Rest, |w| w.image("v2")), (When::Step(UpgradeStep::Submitting), change)], |w| {
        saved(w);
        assert_eq!(w.savepoints.len(), 2);
    })
}

/// Its pods do not go: after its time the resource does, and says what it leaves.
fn on_a_silent_node() -> Story {
    let change: fn(&mut World) = |w| {
        w.revisions.get_mut(&1).unwrap().silent = true;
        w.delete();
    };
    with(within_a_minute(), &[(When::Rest, change)], |w| {
        assert!(w.upgrade.is_none() && w.stable_service.is_none());
        let left: Vec<_> = w.revisions.values().map(|r| (r.objects, r.record.is_some(), r.pods.is_some())).collect();
        assert_eq!(left, [(0, false, true)]);
    })
}

/// A job that does not come to its end by a cancel ends with its pods.
fn never_cancelled() -> Story {
    let cancel = DeletionSpec { job: Some(DeletionJob::Cancel), timeout: Some(Duration::from_secs(60)) };
    let change: fn(&mut World) = |w| {
        w.revisions.get_mut(&1).unwrap().image = "example.com/orders:undying".to_owned();
        w.delete();
    };
    with(cancel, &[(When::Rest, change)], gone)
}

/// Where nothing can be created pods die at once, and a store that is away, or a node, holds nothing up.
fn namespace_terminates_on_a_silent_node() -> Story {
    let change: fn(&mut World) = |w| {
        w.namespace_terminating = true;
        w.revisions.get_mut(&1).unwrap().silent = true;
        w.delete();
    };
    story(&[(When::Rest, change)], |w| {
        assert!(w.upgrade.is_none());
        // Some of it goes by until it is at rest.
        assert!((w.now - running().now).num_seconds() <= 60 + 50, "it took too long");
    })
}

/// No savepoint can be taken, and the user does not help.
fn deletion_lets_go_after_its_timeout() -> Story {
    let change: fn(&mut World) = |w| {
        w.taking = Taking::Fails;
        w.delete();
    };
    with(within_a_minute(), &[(When::Rest, change)], |w| {
        cancelled(w);
        let asked = running().now;
        assert!((w.now - asked).num_seconds() > 60, "the job was cancelled too early");
    })
}

/// The controller was away for longer than the timeout: the savepoint gets its time all the same.
fn nobody_was_there() -> Story {
    let change: fn(&mut World) = |w| {
        w.delete();
        w.pass(std::time::Duration::from_secs(3600));
    };
    with(within_a_minute(), &[(When::Rest, change)], saved)
}

/// The savepoint fails; the user lets the job go.
fn user_lets_go() -> Story {
    let change: fn(&mut World) = |w| {
        w.taking = Taking::Fails;
        w.delete();
    };
    let failed: fn(&World) -> bool = |w| w.savepoints.values().any(|s| s.phase() == Some(SavepointPhase::Failed));
    let cancel: fn(&mut World) =
        |w| w.change(|s| s.deletion = Some(DeletionSpec { job: Some(DeletionJob::Cancel), timeout: None }));
    story(&[(When::Rest, change), (When::Is(failed), cancel)], cancelled)
}

fn job_manager_forgot_the_job() -> Story {
    let change: fn(&mut World) = |w| {
        w.restart_job_manager(1);
        w.delete();
    };
    story(&[(When::Rest, change)], gone)
}

/// A user's savepoint holds the lock, and fails: the deletion's own is taken all the same.
fn savepoint_of_the_user_fails() -> Story {
    let change: fn(&mut World) = |w| {
        w.taking = Taking::Fails;
        w.take_savepoint("daily");
        w.delete();
    };
    let failed: fn(&World) -> bool = |w| w.savepoints["daily"].phase() == Some(SavepointPhase::Failed);
    story(&[(When::Rest, change), (When::Is(failed), |w| w.taking = Taking::Works)], |w| {
        gone(w);
        assert_eq!(w.jobs.iter().rfind(|j| !j.warm_up).unwrap().state, JobState::Finished);
    })
}

/// A user deletes the deletion's own savepoint: another is taken.
fn savepoint_is_deleted() -> Story {
    let taken: fn(&World) -> bool =
        |w| w.status().operation.is_some_and(|o| o.savepoint.is_some_and(|s| s.name.contains("deletion")));
    let hangs: fn(&mut World) = |w| {
        w.taking = Taking::Hangs;
        w.delete();
    };
    let deleted: fn(&mut World) = |w| {
        w.taking = Taking::Works;
        w.savepoints.clear();
    };
    story(&[(When::Rest, hangs), (When::Is(taken), deleted)], saved)
}

/// The old job's JobManager dies while the old job is put back: it can't be, and the resource goes all the same.
fn way_back_is_lost() -> Story {
    let putting_back: fn(&World) -> bool =
        |w| w.status().upgrade.and_then(|u| u.submission).is_some_and(|s| s.revision == 1);
    let change: fn(&mut World) = |w| {
        w.restart_job_manager(1);
        w.delete();
    };
    with(within_a_minute(), &[(When::Rest, |w| w.image("refused")), (When::Is(putting_back), change)], gone)
}

fn unstarted() -> Story {
    Story { world: World::new(&spec("v1")), acts: vec![(When::Is(|_| true), World::delete)], end: gone }
}

#[rstest]
#[case::saves(saves)]
#[case::cancels(cancels)]
#[case::namespace_terminates(namespace_terminates)]
#[case::deletion_lets_go_after_its_timeout(deletion_lets_go_after_its_timeout)]
#[case::nobody_was_there(nobody_was_there)]
#[case::drains(drains)]
#[case::away_in_the_middle(away_in_the_middle)]
#[case::on_a_silent_node(on_a_silent_node)]
#[case::never_cancelled(never_cancelled)]
#[case::namespace_terminates_on_a_silent_node(namespace_terminates_on_a_silent_node)]
#[case::user_lets_go(user_lets_go)]
#[case::job_manager_forgot_the_job(job_manager_forgot_the_job)]
#[case::savepoint_of_the_user_fails(savepoint_of_the_user_fails)]
#[case::savepoint_is_deleted(savepoint_is_deleted)]
#[case::way_back_is_lost(way_back_is_lost)]
#[case::unstarted(unstarted)]
fn a_deletion_ends_as_it_should_whatever_crashes(#[case] of: fn() -> Story) {
    sweep(&of());
}

/// In the middle of an upgrade: before the stop it is dropped, after it it is carried to its end; then state is saved.
#[rstest]
fn a_deletion_during_an_upgrade_loses_no_state(
    #[values(
        UpgradeStep::Preparing,
        UpgradeStep::Starting,
        UpgradeStep::WarmingUp,
        UpgradeStep::Savepoint,
        UpgradeStep::Submitting,
        UpgradeStep::Restoring,
        UpgradeStep::Stabilizing
    )]
    step: UpgradeStep,
) {
    sweep(&story(&[(When::Rest, |w| w.image("v2")), (When::Step(step), World::delete)], saved));
}

#[test]
fn a_deletion_during_the_way_back_loses_no_state() {
    let step = When::Step(UpgradeStep::PuttingBack);
    sweep(&story(&[(When::Rest, |w| w.image("refused")), (step, World::delete)], saved));
}

#[test]
fn a_deletion_while_the_namespace_terminates_ends_an_upgrade_at_once() {
    let change: fn(&mut World) = |w| {
        w.namespace_terminating = true;
        w.delete();
    };
    sweep(&story(&[(When::Rest, |w| w.image("v2")), (When::Step(UpgradeStep::Restoring), change)], gone));
}

/// There is nothing to save yet.
#[rstest]
fn a_deletion_during_a_first_start_leaves_nothing(
    #[values(
        UpgradeStep::Preparing,
        UpgradeStep::Starting,
        UpgradeStep::Submitting,
        UpgradeStep::Restoring,
        UpgradeStep::Stabilizing
    )]
    step: UpgradeStep,
) {
    let story = Story { world: World::new(&spec("v1")), acts: vec![(When::Step(step), World::delete)], end: gone };
    sweep(&story);
}

/// Without the finalizer nothing was begun, and there is nothing to do.
#[test]
fn a_resource_without_the_finalizer_is_left_alone() {
    let mut world = running();
    world.delete();
    world.upgrade.as_mut().unwrap().metadata.finalizers = None;
    let story = Story { world: world.clone(), acts: vec![], end: |_| {} };
    let told = tell(&story);
    assert!(told.steps.iter().all(|s| s.effect.is_none()));
}
