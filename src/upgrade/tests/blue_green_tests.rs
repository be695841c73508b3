//! How stories end in which two run side by side until one of them is promoted.

use chrono::TimeDelta;
use rstest::rstest;

use super::crash_tests::sweep;
use super::recovery_tests::fail;
use super::run::{Story, When};
use super::story_tests::{is, ready, ready_message, runs, story};
use super::world::{Job, Taking, World};
use crate::api::annotations::{ABORT, PROMOTE};
use crate::api::condition::types;
use crate::api::{
    Automation, BlueGreen, Duration, HistoryEntry, JobState as Wanted, RestoreFrom, SavepointPhase, Then,
    UpgradeResult, UpgradeStep, UpgradeStrategy,
};
use crate::flink::JobState;

fn change(world: &mut World, tag: &str, blue_green: Option<BlueGreen>) {
    world.change(|spec| {
        spec.image = Some(format!("example.com/orders:{tag}"));
        spec.revision_name = Some(tag.to_owned());
        let upgrade = spec.upgrade.get_or_insert_default();
        upgrade.strategy = Some(UpgradeStrategy::BlueGreen);
        upgrade.blue_green = blue_green;
    });
}

fn automatic(world: &mut World) {
    change(world, "v2", None);
}

fn by_hand() -> BlueGreen {
    BlueGreen { promotion: Some(Automation::Manual), promoted_revision: Some("v1".to_owned()), abort_after: None }
}

fn manual(world: &mut World) {
    change(world, "v2", Some(by_hand()));
}

/// A commit that does nothing but promote.
fn commit(world: &mut World) {
    world.change(|spec| {
        let promoted = spec.revision_name.clone();
        let upgrade = spec.upgrade.get_or_insert_default();
        upgrade.blue_green.get_or_insert_default().promoted_revision = promoted;
    });
}

fn annotate(world: &mut World, annotation: &str) {
    let id = world.status().upgrade.unwrap().id;
    let annotations = world.upgrade.as_mut().unwrap().metadata.annotations.get_or_insert_default();
    annotations.insert(annotation.to_owned(), id);
}

fn waiting(world: &World) -> bool {
    world.status().upgrade.is_some_and(|u| u.step == UpgradeStep::Promotion)
}

fn entries(world: &World) -> Vec<HistoryEntry> {
    world.status().history
}

fn last_job(world: &World, revision: i64) -> &Job {
    world.jobs.iter().rfind(|j| !j.warm_up && j.revision == revision).unwrap()
}

/// Both run, the old one is the job, and the new one is announced.
fn side_by_side(world: &World, green: i64) {
    let alive: Vec<(i64, JobState)> = world.alive().iter().map(|j| (j.revision, j.state)).collect();
    assert_eq!(alive, [(1, JobState::Running), (green, JobState::Running)]);
    let status = world.status();
    assert_eq!((status.active.unwrap().revision, world.stable_service), (1, Some(1)));
    assert_eq!(ready(world), (true, "Running".to_owned()), "{}", ready_message(world));
    assert!(is(world, types::UPGRADE_PENDING) && !is(world, types::PROMOTED));
    assert_eq!(status.operation, None, "the lock of the old job is free");
    let told =
        format!("revision {green} runs beside it, from the same savepoint; to promote it set upgrade.blueGreen.");
    assert!(ready_message(world).contains(&told), "{}", ready_message(world));
    assert!(ready_message(world).contains("use $(FLINK_COLOR)"));
}

/// The new one is the job, from the fork's savepoint; the old one has left a final one.
fn promoted(world: &World, from: i64, to: i64, tag: &str, color: &str) {
    runs(world, to, tag);
    assert_eq!(ready(world), (true, "Running".to_owned()), "{}", ready_message(world));
    assert!(is(world, types::PROMOTED) && !is(world, types::UPGRADE_PENDING));
    let entry = &entries(world)[0];
    assert_eq!((entry.from, entry.to, entry.result), (Some(from), to, UpgradeResult::Succeeded));
    assert_eq!((entry.downtime_seconds, entry.message.as_deref()), (Some(0.0), None));
    let (fork, last) = (entry.savepoint.clone().unwrap(), entry.final_savepoint.clone().unwrap());
    for (name, then) in [(&fork, Then::Continue), (&last, Then::Stop)] {
        assert_eq!(world.savepoints[name].phase(), Some(SavepointPhase::Completed));
        assert_eq!(world.savepoints[name].object.spec.then(), then);
    }
    assert_eq!(last_job(world, from).state, JobState::Finished);
    assert_eq!(world.status().active.unwrap().color.as_deref(), Some(color));
}

/// The old one was never touched, and nothing is left of the new one.
fn given_up(world: &World, reason: &str, cause: &str) {
    runs(world, 1, "v1");
    assert_eq!(ready(world), (false, reason.to_owned()));
    assert!(ready_message(world).contains(cause), "{}", ready_message(world));
    assert!(is(world, types::STALLED) && !is(world, types::ROLLED_BACK) && !is(world, types::UPGRADE_PENDING));
    assert_eq!((entries(world)[0].to, entries(world)[0].result), (2, UpgradeResult::Failed));
    assert_eq!(world.jobs.iter().filter(|j| !j.warm_up && j.revision == 1).count(), 1);
}

fn promoted_by_itself() -> Story {
    story(&[(When::Rest, automatic)], |w| promoted(w, 1, 2, "v2", "green"))
}

/// Each promotion takes the other color; what only takes the place keeps it.
fn colors_alternate() -> Story {
    let third = |w: &mut World| change(w, "v3", None);
    let prewarmed = |w: &mut World| {
        change(w, "v4", None);
        w.upgrade.as_mut().unwrap().spec.upgrade.as_mut().unwrap().strategy = None;
    };
    story(&[(When::Rest, automatic), (When::Rest, third), (When::Rest, prewarmed)], |w| {
        runs(w, 4, "v4");
        let of = |n: i64| w.revisions[&n].record.as_ref().unwrap().rendered.color.clone();
        assert_eq!([of(1), of(2), of(3), of(4)], ["blue", "green", "blue", "blue"]);
    })
}

fn announced() -> Story {
    story(&[(When::Rest, manual)], |w| side_by_side(w, 2))
}

fn promoted_by_a_commit() -> Story {
    story(&[(When::Rest, manual), (When::Rest, commit)], |w| promoted(w, 1, 2, "v2", "green"))
}

fn promoted_by_an_annotation() -> Story {
    let promote = |w: &mut World| annotate(w, PROMOTE);
    story(&[(When::Rest, manual), (When::Rest, promote)], |w| promoted(w, 1, 2, "v2", "green"))
}

/// A newer spec replaces the green one, and blue stays.
fn replaced() -> Story {
    let third = |w: &mut World| change(w, "v3", Some(by_hand()));
    story(&[(When::Rest, manual), (When::Rest, third)], |w| {
        side_by_side(w, 3);
        assert_eq!(last_job(w, 2).state, JobState::Canceled);
        assert_eq!((entries(w)[0].to, entries(w)[0].result), (2, UpgradeResult::Superseded));
    })
}

fn replaced_while_it_is_forked() -> Story {
    let third = |w: &mut World| change(w, "v3", None);
    let forking = |w: &World| w.savepoints.values().any(|s| s.holds_lock.is_some());
    story(&[(When::Rest, automatic), (When::Is(forking), third)], |w| promoted(w, 1, 3, "v3", "green"))
}

fn reverted() -> Story {
    let back = |w: &mut World| w.image("v1");
    story(&[(When::Rest, manual), (When::Rest, back)], |w| {
        runs(w, 1, "v1");
        assert_eq!(ready(w), (true, "Running".to_owned()));
        assert!(!is(w, types::UPGRADE_PENDING));
        assert_eq!(entries(w)[0].result, UpgradeResult::Superseded);
    })
}

fn aborted() -> Story {
    let abort = |w: &mut World| annotate(w, ABORT);
    story(&[(When::Rest, manual), (When::Rest, abort)], |w| given_up(w, "Aborted", "given up by annotation"))
}

fn aborted_early() -> Story {
    let abort = |w: &mut World| annotate(w, ABORT);
    story(&[(When::Rest, automatic), (When::Step(UpgradeStep::Starting), abort)], |w| {
        given_up(w, "Aborted", "given up by annotation");
        assert!(w.savepoints.is_empty());
    })
}

fn nobody_promotes() -> Story {
    let limited = |w: &mut World| {
        change(w, "v2", Some(BlueGreen { abort_after: Some(Duration::from_secs(3600)), ..by_hand() }));
    };
    let later = |w: &mut World| w.now += TimeDelta::hours(1);
    story(&[(When::Rest, limited), (When::Is(waiting), later)], |w| {
        given_up(w, "PromotionOverdue", "not promoted within 3600 s (upgrade.blueGreen.abortAfter)");
    })
}

fn green_fails() -> Story {
    story(&[(When::Rest, |w| change(w, "fails", None))], |w| given_up(w, "JobFailed", "no such operator"))
}

fn green_is_refused() -> Story {
    story(&[(When::Rest, |w| change(w, "refused", None))], |w| {
        given_up(w, "SubmitFailed", "cannot map savepoint state");
    })
}

fn green_is_never_stable() -> Story {
    story(&[(When::Rest, |w| change(w, "no-checkpoint", None))], |w| {
        given_up(w, "ProgressDeadlineExceeded", "checkpoint");
    })
}

fn green_never_starts() -> Story {
    story(&[(When::Rest, |w| change(w, "bad", None))], |w| given_up(w, "PodsNotReady", "ImagePullBackOff"))
}

fn green_ends_while_it_waits() -> Story {
    let fail = |w: &mut World| {
        let now = w.now;
        let job = w.jobs.iter_mut().rfind(|j| !j.warm_up).unwrap();
        (job.state, job.ended, job.failure) = (JobState::Failed, Some(now), Some("out of disk".to_owned()));
    };
    story(&[(When::Rest, manual), (When::Rest, fail)], |w| given_up(w, "JobFailed", "out of disk"))
}

/// It goes on from its own state, and waits again.
fn green_is_lost_while_it_waits() -> Story {
    let lose = |w: &mut World| w.restart_job_manager(2);
    story(&[(When::Rest, manual), (When::Rest, lose), (When::Rest, commit)], |w| {
        promoted(w, 1, 2, "v2", "green");
        assert_eq!(w.jobs.iter().filter(|j| !j.warm_up && j.revision == 2).count(), 2);
    })
}

/// Blue comes first: it is recovered, and then forked anew.
fn blue_is_lost_while_green_waits() -> Story {
    let lose = |w: &mut World| w.restart_job_manager(1);
    story(&[(When::Rest, manual), (When::Rest, lose)], |w| {
        side_by_side(w, 3);
        let results: Vec<UpgradeResult> = entries(w).iter().map(|entry| entry.result).collect();
        assert_eq!(results, [UpgradeResult::Recovered, UpgradeResult::Superseded, UpgradeResult::Succeeded]);
    })
}

/// There is nothing to run beside: the fix takes its place at once.
fn blue_fails_while_green_waits() -> Story {
    story(&[(When::Rest, manual), (When::Rest, fail)], |w| {
        runs(w, 3, "v2");
        assert_eq!(ready(w), (true, "Running".to_owned()));
    })
}

fn blue_is_lost_while_green_is_promoted() -> Story {
    let lose = |w: &mut World| w.restart_job_manager(1);
    story(&[(When::Rest, automatic), (When::Step(UpgradeStep::Promoting), lose)], ended_without)
}

fn no_final_savepoint() -> Story {
    let fail = |w: &mut World| w.taking = Taking::Fails;
    story(&[(When::Rest, automatic), (When::Step(UpgradeStep::Promoting), fail)], ended_without)
}

/// To promote it would be to promote what runs.
fn under_the_name_of_what_runs() -> Story {
    let third = |w: &mut World| {
        change(w, "v3", Some(by_hand()));
        w.upgrade.as_mut().unwrap().spec.revision_name = Some("v2".to_owned());
    };
    story(&[(When::Rest, automatic), (When::Rest, third)], |w| {
        runs(w, 2, "v2");
        assert_eq!(ready(w), (false, "RevisionNameReused".to_owned()));
        assert!(ready_message(w).contains("revisionName v2 is that of revision 2, which runs"), "{}", ready_message(w));
    })
}

/// What is promoted is the job: the old one ends, and leaves its checkpoints.
fn ended_without(world: &World) {
    runs(world, 2, "v2");
    assert_eq!(ready(world), (true, "Running".to_owned()));
    assert!(is(world, types::PROMOTED));
    let entry = &entries(world)[0];
    assert_eq!((entry.result, entry.final_savepoint.as_deref()), (UpgradeResult::Succeeded, None));
    let message = entry.message.as_deref().unwrap();
    assert!(message.contains("revision 1 ends without a final savepoint, and its checkpoints stay"), "{message}");
    assert_ne!(last_job(world, 1).state, JobState::Canceled);
}

fn no_savepoint_to_fork() -> Story {
    let fail = |w: &mut World| {
        w.taking = Taking::Fails;
        automatic(w);
    };
    story(&[(When::Rest, fail)], |w| given_up(w, "SavepointFailed", "disk full"))
}

/// A job that does not run can't be forked.
fn fix_of_a_failed_job() -> Story {
    story(&[(When::Rest, fail), (When::Rest, manual)], |w| {
        runs(w, 2, "v2");
        assert_eq!(ready(w), (true, "Running".to_owned()));
        assert!(w.savepoints.is_empty() && !is(w, types::PROMOTED));
    })
}

/// It runs on while another one starts from what the spec names, and is stopped once that one is promoted.
fn from_elsewhere() -> Story {
    let given = |w: &mut World| {
        automatic(w);
        let path = Some("s3://flink/sp/older".to_owned());
        let wish = RestoreFrom { id: "1".to_owned(), path, ..RestoreFrom::default() };
        w.upgrade.as_mut().unwrap().spec.job.restore_from = Some(wish);
    };
    story(&[(When::Rest, given)], |w| {
        runs(w, 2, "v2");
        assert_eq!(last_job(w, 2).request.savepoint_path.as_deref(), Some("s3://flink/sp/older"));
        let entry = &entries(w)[0];
        assert_eq!((entry.savepoint.as_ref(), entry.final_savepoint.is_some()), (None, true));
    })
}

fn suspended_while_it_waits() -> Story {
    let suspend = |w: &mut World| w.change(|spec| spec.job.state = Some(Wanted::Suspended));
    story(&[(When::Rest, manual), (When::Rest, suspend)], |w| {
        assert_eq!(ready(w), (true, "Suspended".to_owned()));
        assert!(w.alive().is_empty());
        let suspension = w.status().suspension.unwrap();
        assert_eq!((suspension.revision, last_job(w, 1).state), (1, JobState::Finished));
    })
}

/// Nothing is left of either, and blue's state is saved.
fn deleted_while_it_waits() -> Story {
    story(&[(When::Rest, manual), (When::Rest, World::delete)], |w| {
        assert!(w.upgrade.is_none() && w.revisions.is_empty() && w.alive().is_empty());
        assert_eq!((last_job(w, 1).state, last_job(w, 2).state), (JobState::Finished, JobState::Canceled));
        assert_eq!(w.savepoints.keys().filter(|name| name.contains("deletion")).count(), 1);
    })
}

fn deleted_while_it_is_promoted() -> Story {
    story(&[(When::Rest, automatic), (When::Step(UpgradeStep::Promoting), World::delete)], |w| {
        assert!(w.upgrade.is_none() && w.revisions.is_empty() && w.alive().is_empty());
        assert_eq!((last_job(w, 1).state, last_job(w, 2).state), (JobState::Finished, JobState::Finished));
    })
}

/// A newer spec waits until the promotion is over.
fn changed_while_it_is_promoted() -> Story {
    let third = |w: &mut World| change(w, "v3", None);
    story(&[(When::Rest, automatic), (When::Step(UpgradeStep::Promoting), third)], |w| {
        promoted(w, 2, 3, "v3", "blue");
    })
}

/// Savepoints of the old job may be taken while the new one waits; a promotion waits for one.
fn savepoint_while_it_waits() -> Story {
    let take = |w: &mut World| {
        w.take_savepoint("mine");
        commit(w);
    };
    story(&[(When::Rest, manual), (When::Rest, take)], |w| {
        promoted(w, 1, 2, "v2", "green");
        assert_eq!(w.savepoints["mine"].phase(), Some(SavepointPhase::Completed));
    })
}

#[rstest]
#[case::promoted_by_itself(promoted_by_itself)]
#[case::colors_alternate(colors_alternate)]
#[case::announced(announced)]
#[case::promoted_by_a_commit(promoted_by_a_commit)]
#[case::promoted_by_an_annotation(promoted_by_an_annotation)]
#[case::replaced(replaced)]
#[case::replaced_while_it_is_forked(replaced_while_it_is_forked)]
#[case::reverted(reverted)]
#[case::aborted(aborted)]
#[case::aborted_early(aborted_early)]
#[case::nobody_promotes(nobody_promotes)]
#[case::green_fails(green_fails)]
#[case::green_is_refused(green_is_refused)]
#[case::green_is_never_stable(green_is_never_stable)]
#[case::green_never_starts(green_never_starts)]
#[case::green_ends_while_it_waits(green_ends_while_it_waits)]
#[case::green_is_lost_while_it_waits(green_is_lost_while_it_waits)]
#[case::blue_is_lost_while_green_waits(blue_is_lost_while_green_waits)]
#[case::blue_fails_while_green_waits(blue_fails_while_green_waits)]
#[case::blue_is_lost_while_green_is_promoted(blue_is_lost_while_green_is_promoted)]
#[case::no_final_savepoint(no_final_savepoint)]
#[case::no_savepoint_to_fork(no_savepoint_to_fork)]
#[case::fix_of_a_failed_job(fix_of_a_failed_job)]
#[case::from_elsewhere(from_elsewhere)]
#[case::suspended_while_it_waits(suspended_while_it_waits)]
#[case::deleted_while_it_waits(deleted_while_it_waits)]
#[case::deleted_while_it_is_promoted(deleted_while_it_is_promoted)]
#[case::changed_while_it_is_promoted(changed_while_it_is_promoted)]
#[case::savepoint_while_it_waits(savepoint_while_it_waits)]
#[case::under_the_name_of_what_runs(under_the_name_of_what_runs)]
fn two_run_side_by_side(#[case] of: fn() -> Story) {
    sweep(&of());
}
