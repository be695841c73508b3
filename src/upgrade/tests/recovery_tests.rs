//! How stories end in which a job can give no savepoint: lost with its JobManager, failed, crash-looping; and those in
//! which the spec says what a job starts from.

use rstest::rstest;
use serde_json::json;

use super::crash_tests::sweep;
use super::run::{Act, Story, When, tell};
use super::story_tests::{is, ready, ready_message, running, runs, story};
use super::world::{NAME, Shelf, World, spec};
use crate::api::annotations::{FENCED, ROLLBACK};
use crate::api::condition::types;
use crate::api::{UpgradeFrom, UpgradeResult, UpgradeStep};
use crate::flink::JobState;

fn lose(world: &mut World) {
    world.restart_job_manager(1);
}

fn v2(world: &mut World) {
    world.image("v2");
}

/// The first job fails for good.
pub fn fail(world: &mut World) {
    let job = world.jobs.iter_mut().find(|j| !j.warm_up).unwrap();
    (job.state, job.ended, job.failure) = (JobState::Failed, Some(world.now), Some("out of disk".to_owned()));
}

fn crash_loop(world: &mut World) {
    let job = world.jobs.iter_mut().find(|j| !j.warm_up).unwrap();
    (job.state, job.failures, job.failure) = (JobState::Restarting, 3, Some("a poisoned record".to_owned()));
}

fn finish(world: &mut World) {
    let job = world.jobs.iter_mut().find(|j| !j.warm_up).unwrap();
    (job.state, job.ended) = (JobState::Finished, Some(world.now));
}

fn annotate(world: &mut World, key: &str, value: String) {
    let metadata = &mut world.upgrade.as_mut().unwrap().metadata;
    metadata.annotations.get_or_insert_default().insert(key.to_owned(), value);
}

/// What the job that was first is known by.
fn first(world: &World) -> &super::world::Job {
    world.jobs.iter().find(|j| !j.warm_up).unwrap()
}

/// The job that runs started from the newest checkpoint of the first one.
fn from_its_checkpoint(world: &World) {
    let newest = world.retained(first(world).id.as_str()).map(|(_, path)| path);
    assert!(newest.is_some());
    assert_eq!(world.alive()[0].request.savepoint_path, newest);
}

fn from(world: &mut World, policy: UpgradeFrom) {
    world.change(|spec| spec.upgrade.as_mut().unwrap().from = Some(policy));
}

fn restore_from(world: &mut World, wish: serde_json::Value) {
    world.change(|spec| spec.job.restore_from = Some(serde_json::from_value(wish).unwrap()));
}

fn recovered(world: &World) {
    runs(world, 1, "v1");
    assert_eq!(ready(world), (true, "Running".to_owned()));
    assert_eq!(world.status().history[0].result, UpgradeResult::Recovered);
    from_its_checkpoint(world);
    assert_eq!(world.revisions[&1].task_manager, 1, "its TaskManagers were not replaced");
}

fn lost() -> Story {
    story(&[(When::Rest, lose)], recovered)
}

fn lost_while_it_recovers() -> Story {
    let submitted: fn(&World) -> bool = |w| {
        w.jobs.iter().filter(|j| !j.warm_up && !j.forgotten).count() == 1
            && w.status().upgrade.is_some_and(|u| u.step == UpgradeStep::Restoring)
    };
    story(&[(When::Rest, lose), (When::Is(submitted), lose)], |w| {
        runs(w, 1, "v1");
        assert_eq!(ready(w).1, "Running");
    })
}

fn lost_on_a_silent_node() -> Story {
    let silent: fn(&mut World) = |w| {
        lose(w);
        w.revisions.get_mut(&1).unwrap().silent = true;
    };
    story(&[(When::Rest, silent)], |w| {
        assert_eq!(ready(w), (false, "PreviousJobNotFenced".to_owned()));
        assert!(is(w, types::STALLED) && ready_message(w).contains(&format!("kubectl annotate fju {NAME} {FENCED}=")));
        assert_eq!(w.jobs.iter().filter(|j| !j.warm_up).count(), 1);
    })
}

fn lost_on_a_silent_node_that_comes_back() -> Story {
    let silent: fn(&mut World) = |w| {
        lose(w);
        w.revisions.get_mut(&1).unwrap().silent = true;
    };
    story(&[(When::Rest, silent), (When::Rest, |w| w.revisions.get_mut(&1).unwrap().silent = false)], recovered)
}

/// Nothing old is waited for: the job goes on with new objects.
fn fenced_by_hand() -> Story {
    let silent: fn(&mut World) = |w| {
        lose(w);
        w.revisions.get_mut(&1).unwrap().silent = true;
    };
    let sure: fn(&mut World) = |w| {
        let id = w.status().active.unwrap().submission.job_id;
        w.jobs.iter_mut().filter(|j| j.id.as_str() == id).for_each(|j| j.task_manager = 99);
        annotate(w, FENCED, id);
    };
    story(&[(When::Rest, silent), (When::Rest, sure)], |w| {
        assert_eq!(ready(w), (true, "Running".to_owned()), "{}", ready_message(w));
        assert_eq!(w.status().active.unwrap().revision, 2);
        from_its_checkpoint(w);
    })
}

fn lost_and_the_store_is_down() -> Story {
    let down: fn(&mut World) = |w| {
        lose(w);
        w.shelf = Shelf::Down;
    };
    story(&[(When::Rest, down)], |w| {
        assert_eq!(ready(w), (false, "Unreachable".to_owned()));
        assert!(w.alive().is_empty());
    })
}

fn lost_and_the_store_comes_back() -> Story {
    let down: fn(&mut World) = |w| {
        lose(w);
        w.shelf = Shelf::Down;
    };
    story(&[(When::Rest, down), (When::Rest, |w| w.shelf = Shelf::Lists)], recovered)
}

/// Without a store the checkpoint counts that Flink told of.
fn lost_without_a_store() -> Story {
    story(&[(When::Rest, |w| w.shelf = Shelf::Nobody), (When::Rest, lose)], |w| {
        runs(w, 1, "v1");
        assert_eq!(w.status().history[0].result, UpgradeResult::Recovered);
        assert!(w.alive()[0].request.savepoint_path.as_ref().unwrap().contains(first(w).id.as_str()));
    })
}

fn lost_with_a_broken_checkpoint() -> Story {
    let broken: fn(&mut World) = |w| {
        lose(w);
        w.shelf = Shelf::Broken;
    };
    story(&[(When::Rest, broken)], |w| {
        assert_eq!(ready(w), (false, "FilesMissing".to_owned()));
        assert!(ready_message(w).contains("job.restoreFrom"), "{}", ready_message(w));
    })
}

/// Somebody says what it starts from instead.
fn lost_with_a_broken_checkpoint_and_helped() -> Story {
    let broken: fn(&mut World) = |w| {
        lose(w);
        w.shelf = Shelf::Broken;
    };
    let help: fn(&mut World) = |w| restore_from(w, json!({"id": "1", "path": "s3://flink/backup/savepoint-1"}));
    story(&[(When::Rest, broken), (When::Rest, help)], |w| {
        runs(w, 2, "v1");
        assert_eq!(ready(w), (true, "Running".to_owned()));
        assert_eq!(w.alive()[0].request.savepoint_path.as_deref(), Some("s3://flink/backup/savepoint-1"));
        assert_eq!(w.status().restore_from_id.as_deref(), Some("1"));
    })
}

/// A job that failed for good stays so until somebody changes something.
fn failed() -> Story {
    story(&[(When::Rest, fail)], |w| {
        assert_eq!(ready(w), (false, "JobFailed".to_owned()));
        assert_eq!(w.jobs.iter().filter(|j| !j.warm_up).count(), 1);
    })
}

/// What had ended is not started again by a JobManager that forgets it.
fn failed_and_forgotten() -> Story {
    story(&[(When::Rest, fail), (When::Rest, lose)], |w| {
        assert_eq!(ready(w), (false, "JobFailed".to_owned()));
        assert_eq!(w.jobs.iter().filter(|j| !j.warm_up).count(), 1);
    })
}

fn finished_and_forgotten() -> Story {
    story(&[(When::Rest, finish), (When::Rest, lose), (When::Rest, v2)], |w| {
        assert_eq!(ready(w), (false, "StateUnknown".to_owned()));
        assert_eq!(w.jobs.iter().filter(|j| !j.warm_up).count(), 1);
    })
}

/// A recovery that Flink refuses is not tried for ever; a changed spec goes on from the same state.
fn recovery_is_refused() -> Story {
    let lost: fn(&mut World) = |w| {
        w.revisions.get_mut(&1).unwrap().image = "example.com/orders:refused".to_owned();
        lose(w);
    };
    story(&[(When::Rest, lost), (When::Rest, v2)], |w| {
        runs(w, 2, "v2");
        assert_eq!(w.status().history[1].result, UpgradeResult::Failed);
        from_its_checkpoint(w);
    })
}

fn replaced(world: &World) {
    runs(world, 2, "v2");
    assert_eq!(ready(world), (true, "Running".to_owned()));
    assert_eq!(world.savepoints.len(), 0);
    from_its_checkpoint(world);
}

fn failed_and_fixed() -> Story {
    story(&[(When::Rest, fail), (When::Rest, v2)], replaced)
}

fn crash_looping_and_fixed() -> Story {
    story(&[(When::Rest, crash_loop), (When::Rest, v2)], replaced)
}

fn lost_and_changed_at_once() -> Story {
    let both: fn(&mut World) = |w| {
        lose(w);
        v2(w);
    };
    story(&[(When::Rest, both)], replaced)
}

/// The new revision's pods never come up: the job is recovered as it was.
fn lost_while_a_bad_one_is_prepared() -> Story {
    let bad: fn(&mut World) = |w| w.image("bad");
    story(&[(When::Rest, bad), (When::Step(UpgradeStep::Starting), lose)], |w| {
        runs(w, 1, "v1");
        from_its_checkpoint(w);
        assert_eq!(ready(w), (false, "PodsNotReady".to_owned()));
    })
}

/// A job that reached its end has no state left: what its successor starts from has to be said.
fn finished_and_changed() -> Story {
    story(&[(When::Rest, finish), (When::Rest, v2)], |w| {
        assert_eq!(ready(w), (false, "StateUnknown".to_owned()));
        assert_eq!(w.revisions.len(), 1);
    })
}

fn finished_changed_and_told_to_start_empty() -> Story {
    let both: fn(&mut World) = |w| {
        v2(w);
        restore_from(w, json!({"id": "again", "empty": true}));
    };
    story(&[(When::Rest, finish), (When::Rest, both)], |w| {
        runs(w, 2, "v2");
        assert_eq!(w.alive()[0].request.savepoint_path, None);
    })
}

fn upgrade_from_a_checkpoint() -> Story {
    let change: fn(&mut World) = |w| {
        from(w, UpgradeFrom::Checkpoint);
        v2(w);
    };
    story(&[(When::Rest, change)], replaced)
}

fn upgrade_from_nothing() -> Story {
    let change: fn(&mut World) = |w| {
        from(w, UpgradeFrom::Empty);
        v2(w);
    };
    story(&[(When::Rest, change)], |w| {
        runs(w, 2, "v2");
        assert_eq!(w.alive()[0].request.savepoint_path, None);
    })
}

fn savepoint_fails_and_a_checkpoint_will_do() -> Story {
    let change: fn(&mut World) = |w| {
        w.taking = super::world::Taking::Fails;
        from(w, UpgradeFrom::SavepointOrCheckpoint);
        v2(w);
    };
    story(&[(When::Rest, change)], |w| {
        runs(w, 2, "v2");
        from_its_checkpoint(w);
    })
}

fn starts(acts: &[Act], end: fn(&World)) -> Story {
    let world = World { earlier: Some("s3://flink/ck/other/chk-9".to_owned()), ..World::new(&spec("v1")) };
    Story { world, acts: acts.to_vec(), end }
}

fn state_exists() -> Story {
    starts(&[], |w| {
        assert_eq!(ready(w), (false, "StateExists".to_owned()));
        assert!(ready_message(w).contains("s3://flink/ck/other/chk-9") && ready_message(w).contains("latest: true"));
        assert!(w.revisions.is_empty());
    })
}

fn state_exists_and_is_taken() -> Story {
    starts(&[(When::Rest, |w| restore_from(w, json!({"id": "1", "latest": true})))], |w| {
        runs(w, 1, "v1");
        assert_eq!(w.alive()[0].request.savepoint_path.as_deref(), Some("s3://flink/ck/other/chk-9"));
        assert_eq!(ready(w).1, "Running");
    })
}

fn state_exists_and_is_given_up() -> Story {
    starts(&[(When::Rest, |w| restore_from(w, json!({"id": "1", "empty": true})))], |w| {
        runs(w, 1, "v1");
        assert_eq!(w.alive()[0].request.savepoint_path, None);
    })
}

/// The job that ran is kept in a savepoint; its successor starts from what the spec names, once.
fn restored_on_purpose() -> Story {
    let wish: fn(&mut World) = |w| restore_from(w, json!({"id": "monday", "path": "s3://flink/backup/savepoint-1"}));
    story(&[(When::Rest, wish), (When::Rest, v2)], |w| {
        runs(w, 3, "v2");
        assert_eq!(w.savepoints.len(), 2);
        let second = w.jobs.iter().find(|j| !j.warm_up && j.revision == 2).unwrap();
        assert_eq!(second.request.savepoint_path.as_deref(), Some("s3://flink/backup/savepoint-1"));
        assert!(w.alive()[0].request.savepoint_path.as_ref().unwrap().starts_with("s3://flink/sp/"));
    })
}

/// Only the last of many changes counts.
fn changed_five_times_after_the_stop() -> Story {
    let many: fn(&mut World) = |w| ["v3", "v4", "v5", "v6", "v7"].iter().for_each(|tag| w.image(tag));
    story(&[(When::Rest, v2), (When::Step(UpgradeStep::Restoring), many)], |w| {
        runs(w, 3, "v7");
        assert_eq!((ready(w).1, w.status().next), ("Running".to_owned(), None));
    })
}

fn manual(world: &mut World, tag: &str) {
    world.change(|spec| {
        let policy = json!({"policy": "Manual"});
        spec.upgrade.as_mut().unwrap().rollback = Some(serde_json::from_value(policy).unwrap());
    });
    world.image(tag);
}

fn a_person_decides_to_go_back() -> Story {
    let stalled: fn(&World) -> bool = |w| is(w, types::STALLED) && w.status().upgrade.is_some();
    let back: fn(&mut World) = |w| {
        let id = w.status().upgrade.unwrap().id;
        annotate(w, ROLLBACK, id);
    };
    story(&[(When::Rest, |w| manual(w, "restarts")), (When::Is(stalled), back)], |w| {
        runs(w, 1, "v1");
        assert_eq!(w.status().history[0].result, UpgradeResult::RolledBack);
    })
}

fn a_fix_takes_the_place_of_what_nobody_put_back() -> Story {
    let stalled: fn(&World) -> bool = |w| is(w, types::STALLED) && w.status().upgrade.is_some();
    story(&[(When::Rest, |w| manual(w, "restarts")), (When::Is(stalled), |w| w.image("v3"))], |w| {
        runs(w, 3, "v3");
        assert_eq!(ready(w).1, "Running");
        // The savepoint that the broken one was started from: it had no checkpoint.
        assert!(w.alive()[0].request.savepoint_path.as_ref().unwrap().starts_with("s3://flink/sp/"));
    })
}

/// It had checkpoints: going back by itself would undo them.
fn no_rewind_without_leave() -> Story {
    let change: fn(&mut World) = |w| {
        w.change(|s| {
            s.upgrade.as_mut().unwrap().stability = Some(serde_json::from_value(json!({"minRunning": "5s"})).unwrap());
        });
        w.image("fails-late");
    };
    story(&[(When::Rest, change)], |w| {
        assert_eq!(ready(w), (false, "JobFailed".to_owned()));
        assert!(ready_message(w).contains("allowRewind"), "{}", ready_message(w));
        assert!(w.alive().is_empty());
    })
}

fn rewound() -> Story {
    let change: fn(&mut World) = |w| {
        w.change(|s| {
            let upgrade = s.upgrade.as_mut().unwrap();
            upgrade.stability = Some(serde_json::from_value(json!({"minRunning": "5s"})).unwrap());
            upgrade.rollback = Some(serde_json::from_value(json!({"allowRewind": true})).unwrap());
        });
        w.image("fails-late");
    };
    story(&[(When::Rest, change)], |w| {
        runs(w, 1, "v1");
        let entry = &w.status().history[0];
        assert_eq!(entry.result, UpgradeResult::RolledBack);
        assert!(entry.rewind.as_ref().is_some_and(|rewind| rewind.contains("checkpoints of job")), "{entry:?}");
    })
}

fn another_image() -> Story {
    let moved: fn(&mut World) = |w| {
        w.revisions.get_mut(&1).unwrap().moved = true;
        w.image("fails");
    };
    story(&[(When::Rest, moved)], |w| {
        assert_eq!(ready(w), (false, "RevisionChanged".to_owned()));
        let message = ready_message(w);
        assert!(message.contains("sha256:moved, it ran with sha256:first"), "{message}");
        assert!(w.alive().is_empty(), "{:?}", w.alive());
    })
}

/// What can't be gone back to is no reason to wait with what can be gone on with.
fn another_image_and_fixed() -> Story {
    let Story { world, mut acts, .. } = another_image();
    acts.push((When::Rest, |w| w.image("v3")));
    Story {
        world,
        acts,
        end: |w| {
            runs(w, 3, "v3");
            let savepoint = w.status().history.iter().find_map(|entry| entry.savepoint.clone()).unwrap();
            assert!(w.alive()[0].request.savepoint_path.as_ref().is_some_and(|path| path.contains(&savepoint)));
        },
    }
}

#[rstest]
#[case::another_image(another_image)]
#[case::another_image_and_fixed(another_image_and_fixed)]
#[case::lost(lost)]
#[case::lost_while_it_recovers(lost_while_it_recovers)]
#[case::lost_on_a_silent_node(lost_on_a_silent_node)]
#[case::lost_on_a_silent_node_that_comes_back(lost_on_a_silent_node_that_comes_back)]
#[case::fenced_by_hand(fenced_by_hand)]
#[case::lost_and_the_store_is_down(lost_and_the_store_is_down)]
#[case::lost_and_the_store_comes_back(lost_and_the_store_comes_back)]
#[case::lost_without_a_store(lost_without_a_store)]
#[case::lost_with_a_broken_checkpoint(lost_with_a_broken_checkpoint)]
#[case::lost_with_a_broken_checkpoint_and_helped(lost_with_a_broken_checkpoint_and_helped)]
#[case::failed(failed)]
#[case::failed_and_forgotten(failed_and_forgotten)]
#[case::finished_and_forgotten(finished_and_forgotten)]
#[case::recovery_is_refused(recovery_is_refused)]
#[case::failed_and_fixed(failed_and_fixed)]
#[case::crash_looping_and_fixed(crash_looping_and_fixed)]
#[case::lost_and_changed_at_once(lost_and_changed_at_once)]
#[case::lost_while_a_bad_one_is_prepared(lost_while_a_bad_one_is_prepared)]
#[case::finished_and_changed(finished_and_changed)]
#[case::finished_changed_and_told_to_start_empty(finished_changed_and_told_to_start_empty)]
#[case::upgrade_from_a_checkpoint(upgrade_from_a_checkpoint)]
#[case::upgrade_from_nothing(upgrade_from_nothing)]
#[case::savepoint_fails_and_a_checkpoint_will_do(savepoint_fails_and_a_checkpoint_will_do)]
#[case::state_exists(state_exists)]
#[case::state_exists_and_is_taken(state_exists_and_is_taken)]
#[case::state_exists_and_is_given_up(state_exists_and_is_given_up)]
#[case::restored_on_purpose(restored_on_purpose)]
#[case::changed_five_times_after_the_stop(changed_five_times_after_the_stop)]
#[case::a_person_decides_to_go_back(a_person_decides_to_go_back)]
#[case::a_fix_takes_the_place_of_what_nobody_put_back(a_fix_takes_the_place_of_what_nobody_put_back)]
#[case::rewound(rewound)]
fn a_job_without_a_savepoint_ends_as_it_should_whatever_crashes(#[case] of: fn() -> Story) {
    sweep(&of());
}

/// At which step it fails depends on whether somebody looked before that: it is told without deaths.
#[test]
fn checkpoints_are_not_undone_without_leave() {
    let story = no_rewind_without_leave();
    (story.end)(&tell(&story).world);
}

/// The world that these stories begin with can be told apart from one without a checkpoint.
#[test]
fn the_first_job_has_a_checkpoint() {
    let world = running();
    assert!(world.retained(first(&world).id.as_str()).is_some());
}
