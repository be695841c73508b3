//! How upgrades end where there is no room for two of a job. That TaskManagers of two revisions are never there at once is
//! an invariant of all stories.

use rstest::rstest;

use super::crash_tests::sweep;
use super::run::{Story, When};
use super::story_tests::{
    bad_image, changed_after_the_stop, fails_while_restoring, fix_arrives_while_the_broken_one_starts,
    flag_after_failure, no_checkpoint, put_back, ready, refused, restarts_for_ever, reverted_after_failure, runs,
    savepoint_fails, story, upgrade, upgrade_with_claim,
};
use super::world::World;
use crate::api::{UpgradeStep, UpgradeStrategy};

fn recreates(mut story: Story) -> Story {
    let spec = &mut story.world.upgrade.as_mut().unwrap().spec;
    spec.upgrade.get_or_insert_default().strategy = Some(UpgradeStrategy::Recreate);
    story
}

fn two_upgrades() -> Story {
    story(&[(When::Rest, |w| w.image("v2")), (When::Rest, |w| w.image("v3"))], |w| {
        runs(w, 3, "v3");
        assert!(w.jobs.iter().all(|job| !job.warm_up), "there was nothing to warm");
    })
}

fn deleted_while_they_change_places() -> Story {
    let deleted: fn(&mut World) = World::delete;
    story(&[(When::Rest, |w| w.image("v2")), (When::Step(UpgradeStep::Swapping), deleted)], |w| {
        assert!(w.upgrade.is_none() && w.revisions.is_empty(), "{:?}", w.revisions);
    })
}

fn changed_while_they_change_places() -> Story {
    story(&[(When::Rest, |w| w.image("v2")), (When::Step(UpgradeStep::Swapping), |w| w.image("v3"))], |w| {
        runs(w, 3, "v3");
        assert_eq!(ready(w), (true, "Running".to_owned()));
    })
}

/// The new TaskManagers find no room: the old ones come back.
fn no_room_for_the_new_ones() -> Story {
    story(&[(When::Rest, |w| w.image("no-room"))], |w| put_back(w, "PodsNotReady", "0 of 2 slots are free"))
}

/// The old JobManager dies while the TaskManagers change places: its job has ended, and nothing is lost with it.
fn old_job_manager_dies_meanwhile() -> Story {
    let dies: fn(&mut World) = |w| w.restart_job_manager(1);
    story(&[(When::Rest, |w| w.image("v2")), (When::Step(UpgradeStep::Swapping), dies)], |w| runs(w, 2, "v2"))
}

fn new_job_manager_dies_meanwhile() -> Story {
    let dies: fn(&mut World) = |w| w.restart_job_manager(2);
    story(&[(When::Rest, |w| w.image("v2")), (When::Step(UpgradeStep::Swapping), dies)], |w| runs(w, 2, "v2"))
}

fn new_job_manager_dies_with_its_job() -> Story {
    let dies: fn(&mut World) = |w| w.restart_job_manager(2);
    story(&[(When::Rest, |w| w.image("v2")), (When::Step(UpgradeStep::Restoring), dies)], |w| runs(w, 2, "v2"))
}

/// The old job can't be stopped with a savepoint any more: its newest checkpoint is taken.
fn old_job_is_lost_before_the_stop() -> Story {
    let dies: fn(&mut World) = |w| w.restart_job_manager(1);
    story(&[(When::Rest, |w| w.image("v2")), (When::Step(UpgradeStep::Savepoint), dies)], |w| runs(w, 2, "v2"))
}

#[rstest]
#[case::two_upgrades(two_upgrades)]
#[case::upgrade(upgrade)]
#[case::upgrade_with_claim(upgrade_with_claim)]
#[case::changed_after_the_stop(changed_after_the_stop)]
#[case::fix_arrives_while_the_broken_one_starts(fix_arrives_while_the_broken_one_starts)]
#[case::bad_image(bad_image)]
#[case::savepoint_fails(savepoint_fails)]
#[case::refused(refused)]
#[case::fails_while_restoring(fails_while_restoring)]
#[case::restarts_for_ever(restarts_for_ever)]
#[case::no_checkpoint(no_checkpoint)]
#[case::reverted_after_failure(reverted_after_failure)]
#[case::flag_after_failure(flag_after_failure)]
#[case::deleted_while_they_change_places(deleted_while_they_change_places)]
#[case::changed_while_they_change_places(changed_while_they_change_places)]
#[case::no_room_for_the_new_ones(no_room_for_the_new_ones)]
#[case::old_job_manager_dies_meanwhile(old_job_manager_dies_meanwhile)]
#[case::new_job_manager_dies_meanwhile(new_job_manager_dies_meanwhile)]
#[case::new_job_manager_dies_with_its_job(new_job_manager_dies_with_its_job)]
#[case::old_job_is_lost_before_the_stop(old_job_is_lost_before_the_stop)]
fn task_managers_change_places(#[case] of: fn() -> Story) {
    sweep(&recreates(of()));
}
