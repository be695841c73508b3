//! How stories end in which the job is suspended, and started again from what it left.

use rstest::rstest;
use serde_json::json;

use super::crash_tests::sweep;
use super::election::with_high_availability;
use super::observe::observe;
use super::run::{Act, Story, When, tell};
use super::story_tests::{first_start, is, ready, ready_message, running, runs, story};
use super::world::{Shelf, Taking, World, spec};
use crate::api::condition::types;
use crate::api::{
    DeletionJob, DeletionSpec, JobPhase, JobState, StateSource, Suspension, UpgradeFrom, UpgradeResult, UpgradeStep,
};
use crate::upgrade::plan::plan;

fn suspend(world: &mut World) {
    world.change(|spec| spec.job.state = Some(JobState::Suspended));
}

fn resume(world: &mut World) {
    world.change(|spec| spec.job.state = Some(JobState::Running));
}

/// Flink was asked for the savepoint that ends the job.
fn stopping(world: &World) -> bool {
    world.savepoints.values().any(|s| s.holds_lock.is_some())
}

fn at_rest(world: &World) -> bool {
    world.status().upgrade.is_none() && world.status().phase == Some(JobPhase::Running)
}

fn results(world: &World) -> Vec<(i64, UpgradeResult)> {
    world.status().history.iter().map(|h| (h.to, h.result)).collect()
}

/// Nothing runs, and what the job left is recorded.
fn suspended(world: &World) -> Suspension {
    assert_eq!(ready(world), (true, "Suspended".to_owned()), "{}", ready_message(world));
    let status = world.status();
    assert_eq!((status.phase, status.job_state), (Some(JobPhase::Suspended), None));
    assert!(status.active.is_none() && status.upgrade.is_none() && status.operation.is_none());
    assert_eq!(status.failed_spec_hash, None);
    let suspension = status.suspension.unwrap();
    assert!(world.revisions[&suspension.revision].record.is_some(), "its record is gone");
    suspension
}

/// With a savepoint, which is its newest state.
fn saved(world: &World, revision: i64) {
    let suspension = suspended(world);
    assert_eq!((suspension.revision, suspension.source), (revision, StateSource::Savepoint));
    let savepoint = &world.savepoints[suspension.savepoint.as_ref().unwrap()];
    assert_eq!(savepoint.object.status.as_ref().unwrap().location, suspension.snapshot);
    let last = world.jobs.iter().rfind(|j| !j.warm_up).unwrap();
    assert_eq!((last.revision, last.state), (revision, crate::flink::JobState::Finished));
}

/// With its newest checkpoint.
fn from_a_checkpoint(world: &World) {
    let suspension = suspended(world);
    assert_eq!((suspension.source, suspension.savepoint), (StateSource::Checkpoint, None));
    let newest = world.retained(&suspension.job_id).map(|(_, path)| path);
    assert!(newest.is_some());
    assert_eq!(suspension.snapshot, newest);
}

/// The job goes on from the savepoint of the only suspension.
fn resumed(world: &World, revision: i64, tag: &str) {
    runs(world, revision, tag);
    assert_eq!(ready(world), (true, "Running".to_owned()), "{}", ready_message(world));
    assert_eq!(world.status().suspension, None);
    let path = world.alive()[0].request.savepoint_path.clone().unwrap();
    let savepoint = world.savepoints.iter().find(|(name, _)| name.contains("suspend")).unwrap().1;
    assert_eq!(savepoint.object.status.as_ref().unwrap().location, Some(path));
}

fn stops() -> Story {
    story(&[(When::Rest, suspend)], |w| {
        saved(w, 1);
        assert_eq!(results(w), [(1, UpgradeResult::Suspended), (1, UpgradeResult::Succeeded)]);
    })
}

fn goes_on() -> Story {
    story(&[(When::Rest, suspend), (When::Rest, resume)], |w| {
        resumed(w, 2, "v1");
        let expected = [(2, UpgradeResult::Succeeded), (1, UpgradeResult::Suspended), (1, UpgradeResult::Succeeded)];
        assert_eq!(results(w), expected);
    })
}

/// Nothing starts before it shall run.
fn goes_on_with_another_spec() -> Story {
    let acts: [Act; 3] = [(When::Rest, suspend), (When::Rest, |w| w.image("v2")), (When::Rest, resume)];
    story(&acts, |w| resumed(w, 2, "v2"))
}

fn changes_while_suspended() -> Story {
    story(&[(When::Rest, suspend), (When::Rest, |w| w.image("v2"))], |w| saved(w, 1))
}

/// One commit changes both.
fn changes_and_is_suspended() -> Story {
    let both: fn(&mut World) = |w| {
        w.image("v2");
        suspend(w);
    };
    story(&[(When::Rest, both)], |w| saved(w, 1))
}

/// Changed before anything was asked of Flink: the job was never touched.
fn flips_five_times() -> Story {
    let on = (When::Is(at_rest), suspend as fn(&mut World));
    let off = (When::Step(UpgradeStep::Savepoint), resume as fn(&mut World));
    story(&[on, off, on, off, on, off, on, off, on, off], |w| {
        runs(w, 1, "v1");
        assert_eq!(ready(w), (true, "Running".to_owned()));
        assert_eq!((w.savepoints.len(), w.status().history.len()), (0, 6));
    })
}

fn flips_five_times_and_ends_suspended() -> Story {
    let on = (When::Is(at_rest), suspend as fn(&mut World));
    let off = (When::Step(UpgradeStep::Savepoint), resume as fn(&mut World));
    story(&[on, off, on, off, on], |w| saved(w, 1))
}

/// What is stopped is stopped: it goes on from there.
fn flips_after_the_stop() -> Story {
    story(&[(When::Rest, suspend), (When::Is(stopping), resume)], |w| resumed(w, 2, "v1"))
}

fn in_an_upgrade_before_the_stop() -> Story {
    story(&[(When::Rest, |w| w.image("v2")), (When::Step(UpgradeStep::WarmingUp), suspend)], |w| {
        saved(w, 1);
        let expected = [(1, UpgradeResult::Suspended), (2, UpgradeResult::Superseded), (1, UpgradeResult::Succeeded)];
        assert_eq!(results(w), expected);
    })
}

fn in_the_way_back() -> Story {
    let step = When::Step(UpgradeStep::PuttingBack);
    story(&[(When::Rest, |w| w.image("refused")), (step, suspend)], |w| {
        saved(w, 1);
        assert_eq!(results(w)[..2], [(1, UpgradeResult::Suspended), (2, UpgradeResult::RolledBack)]);
    })
}

fn before_its_first_start() -> Story {
    let mut spec = spec("v1");
    spec["job"]["state"] = json!("suspended");
    Story {
        world: World::new(&spec),
        acts: vec![],
        end: |w| {
            assert_eq!(ready(w), (true, "Suspended".to_owned()));
            assert!(w.revisions.is_empty() && w.jobs.is_empty());
            assert_eq!((w.status().phase, w.status().suspension), (Some(JobPhase::Suspended), None));
        },
    }
}

fn before_its_first_start_and_goes_on() -> Story {
    let end: fn(&World) = |w| {
        runs(w, 1, "v1");
        assert_eq!(w.alive()[0].request.savepoint_path, None);
    };
    Story { acts: vec![(When::Rest, resume)], end, ..before_its_first_start() }
}

/// State of an earlier job of its name holds its first start up, and not its suspension.
fn before_its_first_start_with_state() -> Story {
    let end: fn(&World) = |w| assert_eq!(ready(w), (false, "StateExists".to_owned()));
    let mut story = Story { acts: vec![(When::Rest, resume)], end, ..before_its_first_start() };
    story.world.earlier = Some("s3://flink/ck/earlier/chk-9".to_owned());
    story
}

fn in_its_first_start() -> Story {
    let end: fn(&World) = |w| {
        assert_eq!(ready(w), (true, "Suspended".to_owned()));
        assert!(w.jobs.is_empty() && w.status().suspension.is_none());
    };
    Story { acts: vec![(When::Step(UpgradeStep::Starting), suspend)], end, ..first_start() }
}

/// Its job is there by then.
fn in_its_first_start_once_submitted() -> Story {
    Story { acts: vec![(When::Step(UpgradeStep::Restoring), suspend)], end: |w| saved(w, 1), ..first_start() }
}

/// It starts from what it was to start from, once it shall run.
fn in_its_resume() -> Story {
    let acts: [Act; 3] = [(When::Rest, suspend), (When::Rest, resume), (When::Step(UpgradeStep::Starting), suspend)];
    story(&acts, |w| saved(w, 1))
}

fn in_its_resume_once_submitted() -> Story {
    let acts: [Act; 3] = [(When::Rest, suspend), (When::Rest, resume), (When::Step(UpgradeStep::Restoring), suspend)];
    story(&acts, |w| saved(w, 2))
}

fn lost() -> Story {
    let change: fn(&mut World) = |w| {
        w.restart_job_manager(1);
        suspend(w);
    };
    story(&[(When::Rest, change)], from_a_checkpoint)
}

fn failed() -> Story {
    let change: fn(&mut World) = |w| {
        let job = w.jobs.iter_mut().find(|j| !j.warm_up).unwrap();
        (job.state, job.ended) = (crate::flink::JobState::Failed, Some(w.now));
    };
    story(&[(When::Rest, change), (When::Rest, suspend)], from_a_checkpoint)
}

/// It came to its end by itself: there is nothing to suspend, and nothing starts.
fn finished() -> Story {
    let change: fn(&mut World) = |w| {
        let job = w.jobs.iter_mut().find(|j| !j.warm_up).unwrap();
        (job.state, job.ended) = (crate::flink::JobState::Finished, Some(w.now));
    };
    let both: fn(&mut World) = |w| {
        suspend(w);
        w.image("v2");
    };
    story(&[(When::Rest, change), (When::Rest, both)], |w| {
        assert_eq!(ready(w), (false, "Finished".to_owned()));
        assert_eq!((w.status().suspension, w.jobs.iter().filter(|j| !j.warm_up).count()), (None, 1));
    })
}

/// What a checkpoint is can't be told: nothing is ended.
fn lost_and_the_store_is_down() -> Story {
    let change: fn(&mut World) = |w| {
        w.shelf = Shelf::Down;
        w.restart_job_manager(1);
        suspend(w);
    };
    story(&[(When::Rest, change), (When::Rest, |w| w.shelf = Shelf::Lists)], from_a_checkpoint)
}

fn by_a_checkpoint_as_asked() -> Story {
    let change: fn(&mut World) = |w| {
        w.change(|spec| spec.upgrade.as_mut().unwrap().from = Some(UpgradeFrom::Checkpoint));
        suspend(w);
    };
    story(&[(When::Rest, change)], from_a_checkpoint)
}

/// No savepoint can be taken: the job runs on, until it is asked for again.
fn no_savepoint() -> Story {
    let change: fn(&mut World) = |w| {
        w.taking = Taking::Fails;
        suspend(w);
    };
    story(&[(When::Rest, change)], |w| {
        runs(w, 1, "v1");
        assert_eq!(ready(w), (false, "SavepointFailed".to_owned()));
        assert!(is(w, types::STALLED) && ready_message(w).contains("can't be suspended"), "{}", ready_message(w));
    })
}

fn no_savepoint_and_then_one() -> Story {
    let mut story = no_savepoint();
    let works: fn(&mut World) = |w| {
        w.taking = Taking::Works;
        resume(w);
    };
    story.acts.extend([(When::Rest, works), (When::Rest, suspend)]);
    story.end = |w| saved(w, 1);
    story
}

/// Once it is lost it needs none.
fn no_savepoint_and_lost() -> Story {
    let mut story = no_savepoint();
    story.acts.push((When::Rest, |w| w.restart_job_manager(1)));
    story.end = from_a_checkpoint;
    story
}

/// Flink refuses the state: it stays what the job starts from.
fn refused() -> Story {
    let change: fn(&mut World) = |w| {
        w.image("refused");
        resume(w);
    };
    story(&[(When::Rest, suspend), (When::Rest, change)], |w| {
        assert_eq!(ready(w), (false, "SubmitFailed".to_owned()));
        let path = w.status().suspension.unwrap().snapshot.unwrap();
        assert!(is(w, types::STALLED) && ready_message(w).contains(&path), "{}", ready_message(w));
        assert!(w.alive().is_empty() && w.status().active.is_none());
    })
}

fn refused_and_fixed() -> Story {
    let mut story = refused();
    story.acts.push((When::Rest, |w| w.image("v3")));
    story.end = |w| resumed(w, 3, "v3");
    story
}

fn refused_and_suspended_again() -> Story {
    let mut story = refused();
    story.acts.push((When::Rest, suspend));
    story.end = |w| saved(w, 1);
    story
}

/// The job that goes on fails before it is stable, and has no checkpoint yet.
fn fails_as_it_goes_on() -> Story {
    let change: fn(&mut World) = |w| {
        w.image("fails");
        resume(w);
    };
    story(&[(When::Rest, suspend), (When::Rest, change), (When::Rest, |w| w.image("v3"))], |w| resumed(w, 3, "v3"))
}

fn lost_as_it_goes_on() -> Story {
    let restores = When::Step(UpgradeStep::Restoring);
    story(&[(When::Rest, suspend), (When::Rest, resume), (restores, |w| w.restart_job_manager(2))], |w| {
        runs(w, 2, "v1");
        assert_eq!(ready(w).1, "Running");
    })
}

/// It never becomes stable; suspended, it leaves what it has come to.
fn unstable_and_suspended_again() -> Story {
    let change: fn(&mut World) = |w| {
        w.image("no-checkpoint");
        resume(w);
    };
    let stalled: fn(&World) -> bool = |w| w.status().upgrade.is_some_and(|u| u.failure.is_some());
    story(&[(When::Rest, suspend), (When::Rest, change), (When::Is(stalled), suspend)], |w| saved(w, 2))
}

fn from_elsewhere() -> Story {
    let change: fn(&mut World) = |w| {
        w.change(|spec| {
            spec.job.restore_from =
                Some(serde_json::from_value(json!({"id": "back", "path": "s3://flink/sp/older"})).unwrap());
        });
        resume(w);
    };
    story(&[(When::Rest, suspend), (When::Rest, change)], |w| {
        runs(w, 2, "v1");
        assert_eq!(w.alive()[0].request.savepoint_path.as_deref(), Some("s3://flink/sp/older"));
        assert_eq!((w.status().restore_from_id.as_deref(), w.status().suspension), (Some("back"), None));
    })
}

fn on_a_silent_node() -> Story {
    let change: fn(&mut World) = |w| {
        w.revisions.get_mut(&1).unwrap().silent = true;
        suspend(w);
    };
    story(&[(When::Rest, change)], |w| {
        assert_eq!(ready(w), (false, "PreviousJobNotFenced".to_owned()));
        assert!(ready_message(w).contains("orders-1-jobmanager-0"), "{}", ready_message(w));
    })
}

/// Nothing starts beside pods that may be there.
fn on_a_silent_node_and_goes_on() -> Story {
    let mut story = on_a_silent_node();
    story.acts.extend([
        (When::Rest, resume as fn(&mut World)),
        (When::Rest, |w| w.revisions.get_mut(&1).unwrap().silent = false),
    ]);
    story.end = |w| resumed(w, 2, "v1");
    story
}

fn gone(world: &World) {
    assert!(world.upgrade.is_none() && world.revisions.is_empty() && world.alive().is_empty());
}

/// The savepoint of the suspension is the last.
fn deleted() -> Story {
    story(&[(When::Rest, suspend), (When::Rest, World::delete)], |w| {
        gone(w);
        assert_eq!(w.savepoints.len(), 1);
    })
}

/// The suspension under way is led to its end: no second savepoint is taken.
fn deleted_in_the_stop() -> Story {
    story(&[(When::Rest, suspend), (When::Is(stopping), World::delete)], |w| {
        gone(w);
        assert_eq!(w.savepoints.keys().filter(|name| name.contains("suspend")).count(), 1);
        assert_eq!(w.savepoints.len(), 1);
    })
}

/// The job that goes on from a suspended one's state is saved in turn.
fn deleted_as_it_goes_on() -> Story {
    let restores = When::Step(UpgradeStep::Restoring);
    story(&[(When::Rest, suspend), (When::Rest, resume), (restores, World::delete)], |w| {
        gone(w);
        assert_eq!(w.savepoints.len(), 2);
    })
}

fn deleted_before_it_goes_on() -> Story {
    let starts = When::Step(UpgradeStep::Starting);
    story(&[(When::Rest, suspend), (When::Rest, resume), (starts, World::delete)], |w| {
        gone(w);
        assert_eq!(w.savepoints.len(), 1);
    })
}

/// The savepoint of the suspension fails, and the deletion takes its own way.
fn deleted_as_no_savepoint_can_be_taken() -> Story {
    let change: fn(&mut World) = |w| {
        w.taking = Taking::Fails;
        suspend(w);
    };
    let delete: fn(&mut World) = |w| {
        let deletion = DeletionSpec { job: Some(DeletionJob::Cancel), timeout: None };
        w.change(|spec| spec.deletion = Some(deletion));
        w.delete();
    };
    story(&[(When::Rest, change), (When::Is(stopping), delete)], gone)
}

fn highly_available() -> Story {
    Story {
        world: World::new(&with_high_availability("v1")),
        acts: vec![(When::Rest, suspend)],
        end: |w| {
            saved(w, 1);
            assert!(w.revisions[&1].record.as_ref().unwrap().high_availability_storage_settled);
        },
    }
}

fn highly_available_and_goes_on() -> Story {
    let mut story = highly_available();
    story.acts.push((When::Rest, resume));
    story.end = |w| resumed(w, 2, "v1");
    story
}

#[rstest]
#[case::stops(stops)]
#[case::goes_on(goes_on)]
#[case::goes_on_with_another_spec(goes_on_with_another_spec)]
#[case::changes_while_suspended(changes_while_suspended)]
#[case::changes_and_is_suspended(changes_and_is_suspended)]
#[case::flips_five_times(flips_five_times)]
#[case::flips_five_times_and_ends_suspended(flips_five_times_and_ends_suspended)]
#[case::flips_after_the_stop(flips_after_the_stop)]
#[case::in_an_upgrade_before_the_stop(in_an_upgrade_before_the_stop)]
#[case::in_the_way_back(in_the_way_back)]
#[case::before_its_first_start(before_its_first_start)]
#[case::before_its_first_start_and_goes_on(before_its_first_start_and_goes_on)]
#[case::before_its_first_start_with_state(before_its_first_start_with_state)]
#[case::in_its_first_start(in_its_first_start)]
#[case::in_its_first_start_once_submitted(in_its_first_start_once_submitted)]
#[case::in_its_resume(in_its_resume)]
#[case::in_its_resume_once_submitted(in_its_resume_once_submitted)]
#[case::lost(lost)]
#[case::failed(failed)]
#[case::finished(finished)]
#[case::lost_and_the_store_is_down(lost_and_the_store_is_down)]
#[case::by_a_checkpoint_as_asked(by_a_checkpoint_as_asked)]
#[case::no_savepoint(no_savepoint)]
#[case::no_savepoint_and_then_one(no_savepoint_and_then_one)]
#[case::no_savepoint_and_lost(no_savepoint_and_lost)]
#[case::refused(refused)]
#[case::refused_and_fixed(refused_and_fixed)]
#[case::refused_and_suspended_again(refused_and_suspended_again)]
#[case::fails_as_it_goes_on(fails_as_it_goes_on)]
#[case::lost_as_it_goes_on(lost_as_it_goes_on)]
#[case::unstable_and_suspended_again(unstable_and_suspended_again)]
#[case::from_elsewhere(from_elsewhere)]
#[case::on_a_silent_node(on_a_silent_node)]
#[case::on_a_silent_node_and_goes_on(on_a_silent_node_and_goes_on)]
#[case::deleted(deleted)]
#[case::deleted_in_the_stop(deleted_in_the_stop)]
#[case::deleted_as_it_goes_on(deleted_as_it_goes_on)]
#[case::deleted_before_it_goes_on(deleted_before_it_goes_on)]
#[case::deleted_as_no_savepoint_can_be_taken(deleted_as_no_savepoint_can_be_taken)]
#[case::highly_available(highly_available)]
#[case::highly_available_and_goes_on(highly_available_and_goes_on)]
fn a_suspension_ends_as_it_should_whatever_crashes(#[case] of: fn() -> Story) {
    sweep(&of());
}

/// Past the stop the upgrade is carried through, and its revision suspended.
#[rstest]
fn in_an_upgrade_after_the_stop(
    #[values(UpgradeStep::Submitting, UpgradeStep::Restoring, UpgradeStep::Stabilizing)] step: UpgradeStep,
) {
    sweep(&story(&[(When::Rest, |w| w.image("v2")), (When::Step(step), suspend)], |w| {
        saved(w, 2);
        let expected = [(2, UpgradeResult::Suspended), (2, UpgradeResult::Succeeded), (1, UpgradeResult::Succeeded)];
        assert_eq!(results(w), expected);
    }));
}

/// A spec that is refused is refused while suspended, too; and nothing is begun of it.
#[test]
fn an_unknown_value_is_said_of_a_suspended_job() {
    let mut world = running();
    suspend(&mut world);
    let mut o = observe(&world).unwrap();
    o.unknown = vec!["spec.x".to_owned()];
    let planned = plan(&o);
    assert_eq!((planned.effect, planned.status.upgrade), (None, None));
}

/// The generation that asks names the operation: another one is another savepoint.
#[test]
fn each_suspension_has_a_savepoint_of_its_own() {
    let acts: [Act; 3] = [(When::Rest, suspend), (When::Rest, resume), (When::Rest, suspend)];
    let world = tell(&story(&acts, |_| {})).world;
    saved(&world, 2);
    assert_eq!(world.savepoints.len(), 2);
}
