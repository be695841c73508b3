//! How stories end in which something outside of the job breaks, is not known, or is busy.

use rstest::rstest;

use super::crash_tests::sweep;
use super::run::{Act, Story, When};
use super::story_tests::{is, ready, ready_message, runs, story};
use super::world::{World, spec};
use crate::api::condition::types;
use crate::api::{
    DeletionPolicy, FlinkJobUpgradeSpec, JobPhase, RestoreMode, UpgradeResult, UpgradeSavepoint, UpgradeStep,
};

/// As a spec is read that was written for a later version.
fn of_a_later_version(world: &mut World) {
    world.change(|spec| policy(spec).deletion_policy = Some(DeletionPolicy::Unknown));
}

fn taken_back(world: &mut World) {
    world.change(|spec| policy(spec).deletion_policy = None);
}

fn policy(spec: &mut FlinkJobUpgradeSpec) -> &mut UpgradeSavepoint {
    spec.upgrade.as_mut().unwrap().savepoint.get_or_insert_default()
}

fn unknown_value() -> Story {
    story(&[(When::Rest, of_a_later_version)], |w| {
        runs(w, 1, "v1");
        assert_eq!(ready(w), (false, "NotImplemented".to_owned()));
        assert!(is(w, types::STALLED) && ready_message(w).contains("spec.upgrade.savepoint.deletionPolicy"));
    })
}

fn unknown_value_and_taken_back() -> Story {
    story(&[(When::Rest, of_a_later_version), (When::Rest, taken_back)], |w| {
        runs(w, 1, "v1");
        assert_eq!(ready(w), (true, "Running".to_owned()));
    })
}

/// What does not make a revision does not end an upgrade.
fn unknown_value_in_the_middle() -> Story {
    story(&[(When::Rest, |w| w.image("v2")), (When::Step(UpgradeStep::Starting), of_a_later_version)], |w| {
        assert_eq!(ready(w), (false, "NotImplemented".to_owned()));
        assert_eq!(w.status().history[0].result, UpgradeResult::Succeeded);
        assert_eq!(w.alive().len(), 1);
    })
}

/// What failed is told again once nothing else is wrong.
fn failed_start_and_unknown_value_taken_back() -> Story {
    let acts: Vec<Act> = vec![(When::Rest, of_a_later_version), (When::Rest, taken_back)];
    Story {
        world: World::new(&spec("bad")),
        acts,
        end: |w| {
            assert_eq!(ready(w), (false, "PodsNotReady".to_owned()));
            assert_eq!(w.status().phase, Some(JobPhase::Failed));
        },
    }
}

fn spec_that_cannot_be_rendered() -> Story {
    story(&[(When::Rest, |w| w.change(|s| s.job.parallelism = 0))], |w| {
        runs(w, 1, "v1");
        assert_eq!(ready(w), (false, "InvalidSpec".to_owned()));
        assert!(ready_message(w).contains("spec.job.parallelism: '0'"));
    })
}

fn change_waits_for_a_savepoint() -> Story {
    let change: fn(&mut World) = |w| {
        w.take_savepoint("daily");
        w.image("v2");
    };
    story(&[(When::Rest, change)], |w| {
        runs(w, 2, "v2");
        assert_eq!(w.savepoints.len(), 2);
    })
}

/// A savepoint that was deleted in the middle leaves no lock behind.
fn savepoint_is_deleted() -> Story {
    let change: fn(&mut World) = |w| {
        w.take_savepoint("daily");
        w.savepoints.clear();
    };
    story(&[(When::Rest, change)], |w| runs(w, 1, "v1"))
}

/// Whatever the spec asks for meanwhile: the lock of a settled savepoint is released.
fn lock_is_released_while_the_spec_is_refused() -> Story {
    let change: fn(&mut World) = |w| {
        w.take_savepoint("daily");
        of_a_later_version(w);
    };
    story(&[(When::Rest, change)], |w| {
        assert_eq!(ready(w), (false, "NotImplemented".to_owned()));
        assert_eq!(w.status().operation, None);
    })
}

/// Its JobManager crashes before the new job is stable: its TaskManagers may go on, so their pods go first, and the job is
/// submitted again.
fn submitted_again(world: &World) {
    runs(world, 2, "v2");
    assert_eq!(ready(world), (true, "Running".to_owned()));
    assert_eq!(world.status().history[0].result, UpgradeResult::Succeeded);
    assert_eq!(world.revisions[&2].task_manager, 1);
}

fn job_manager_crashes_while_restoring() -> Story {
    let crash = (When::Step(UpgradeStep::Restoring), (|w| w.restart_job_manager(2)) as fn(&mut World));
    story(&[(When::Rest, |w| w.image("v2")), crash], submitted_again)
}

fn job_manager_crashes_while_stabilizing() -> Story {
    let crash = (When::Step(UpgradeStep::Stabilizing), (|w| w.restart_job_manager(2)) as fn(&mut World));
    story(&[(When::Rest, |w| w.image("v2")), crash], submitted_again)
}

/// The savepoint is Flink's, which may have deleted it: nothing is put back, and nothing is done in a hurry.
fn claimed_and_not_stable() -> Story {
    let change: fn(&mut World) = |w| {
        w.image("no-checkpoint");
        w.upgrade.as_mut().unwrap().spec.job.restore_mode = Some(RestoreMode::Claim);
    };
    story(&[(When::Rest, change)], |w| {
        assert!(is(w, types::STALLED) && ready_message(w).contains("claimed"));
        assert_eq!(w.alive().iter().map(|j| j.revision).collect::<Vec<_>>(), [2]);
    })
}

fn record_is_gone() -> Story {
    let change: fn(&mut World) = |w| w.revisions.get_mut(&1).unwrap().record = None;
    story(&[(When::Rest, change)], |w| assert_eq!(ready(w), (false, "RevisionRecordMissing".to_owned())))
}

fn stable_service_is_deleted() -> Story {
    story(&[(When::Rest, |w| w.stable_service = None)], |w| runs(w, 1, "v1"))
}

fn no_directory_for_savepoints() -> Story {
    let mut without = spec("v1");
    without["flinkConfiguration"].as_object_mut().unwrap().remove("state.savepoints.dir");
    Story {
        world: World::new(&without),
        acts: vec![(When::Rest, |w| w.image("v2"))],
        end: |w| {
            runs(w, 1, "v1");
            assert_eq!(ready(w), (false, "NoTargetDirectory".to_owned()));
        },
    }
}

#[rstest]
#[case::unknown_value(unknown_value)]
#[case::unknown_value_and_taken_back(unknown_value_and_taken_back)]
#[case::unknown_value_in_the_middle(unknown_value_in_the_middle)]
#[case::failed_start_and_unknown_value_taken_back(failed_start_and_unknown_value_taken_back)]
#[case::spec_that_cannot_be_rendered(spec_that_cannot_be_rendered)]
#[case::change_waits_for_a_savepoint(change_waits_for_a_savepoint)]
#[case::savepoint_is_deleted(savepoint_is_deleted)]
#[case::lock_is_released_while_the_spec_is_refused(lock_is_released_while_the_spec_is_refused)]
#[case::job_manager_crashes_while_restoring(job_manager_crashes_while_restoring)]
#[case::job_manager_crashes_while_stabilizing(job_manager_crashes_while_stabilizing)]
#[case::claimed_and_not_stable(claimed_and_not_stable)]
#[case::record_is_gone(record_is_gone)]
#[case::stable_service_is_deleted(stable_service_is_deleted)]
#[case::no_directory_for_savepoints(no_directory_for_savepoints)]
fn a_fault_ends_as_it_should_whatever_crashes(#[case] of: fn() -> Story) {
    sweep(&of());
}
