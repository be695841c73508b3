//! How stories end: first starts and upgrades, good and bad.

use std::sync::OnceLock;

use rstest::rstest;

use super::run::{Act, Story, When, tell};
use super::world::{Taking, World, spec};
use crate::api::condition::{self, types};
use crate::api::{HistoryEntry, JobPhase, UpgradeResult, UpgradeStep};
use crate::flink::{ClaimMode, JobState};

/// A job whose first revision runs and rests.
pub fn running() -> World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| tell(&first_start()).world).clone()
}

pub fn story(acts: &[Act], end: fn(&World)) -> Story {
    Story { world: running(), acts: acts.to_vec(), end }
}

pub fn ready(world: &World) -> (bool, String) {
    let conditions = world.status().conditions;
    let ready = condition::find(&conditions, types::READY).unwrap();
    (ready.status == "True", ready.reason.clone())
}

pub fn ready_message(world: &World) -> String {
    condition::find(&world.status().conditions, types::READY).unwrap().message.clone()
}

pub fn is(world: &World, type_: &str) -> bool {
    condition::is_true(&world.status().conditions, type_)
}

/// The one job that runs, and nothing else of the job in the world.
pub fn runs(world: &World, revision: i64, tag: &str) {
    let status = world.status();
    let alive = world.alive();
    assert_eq!(alive.len(), 1, "{alive:?}");
    assert_eq!((alive[0].revision, alive[0].state), (revision, JobState::Running));
    assert!(world.revisions[&revision].image.ends_with(&format!(":{tag}")));
    let active = status.active.as_ref().unwrap();
    assert_eq!((active.revision, active.submission.job_id.as_str()), (revision, alive[0].id.as_str()));
    assert_eq!(active.submission.job_manager_instance, world.instance(revision));
    assert_eq!(status.phase, Some(JobPhase::Running));
    assert_eq!(status.job_state.as_deref(), Some("RUNNING"));
    assert_eq!((status.operation, status.upgrade), (None, None));
    assert_eq!(world.stable_service, Some(revision));
    let with_objects: Vec<i64> =
        world.revisions.iter().filter(|(_, r)| r.objects > 0 || r.pods.is_some()).map(|(n, _)| *n).collect();
    assert_eq!(with_objects, [revision]);
}

fn last(world: &World) -> HistoryEntry {
    world.status().history.first().unwrap().clone()
}

fn results(world: &World) -> Vec<(i64, UpgradeResult)> {
    world.status().history.iter().map(|h| (h.to, h.result)).collect()
}

/// The old job is put back: Stalled with the cause, on the old revision, under a new id, from the upgrade's savepoint.
pub fn put_back(world: &World, reason: &str, cause: &str) {
    runs(world, 1, "v1");
    assert_eq!(ready(world), (false, reason.to_owned()));
    assert!(ready_message(world).contains(cause), "{}", ready_message(world));
    assert!(is(world, types::STALLED) && is(world, types::ROLLED_BACK));
    let entry = last(world);
    assert_eq!((entry.from, entry.to, entry.result), (Some(1), 2, UpgradeResult::RolledBack));
    let job = world.alive()[0];
    assert_ne!(job.id, world.jobs.iter().find(|j| !j.warm_up).unwrap().id);
    assert!(job.request.savepoint_path.as_ref().unwrap().contains(entry.savepoint.as_ref().unwrap()));
    assert_eq!(job.request.claim_mode, Some(ClaimMode::NoClaim));
    assert_eq!(job.request.allow_non_restored_state, Some(false));
    assert!(world.status().failed_spec_hash.is_some());
}

/// The old job was never touched.
pub fn untouched(world: &World, reason: &str, cause: &str) {
    runs(world, 1, "v1");
    assert_eq!(ready(world), (false, reason.to_owned()));
    assert!(ready_message(world).contains(cause), "{}", ready_message(world));
    assert!(is(world, types::STALLED) && !is(world, types::ROLLED_BACK));
    assert_eq!(results(world), [(2, UpgradeResult::Failed), (1, UpgradeResult::Succeeded)]);
    assert_eq!(world.jobs.iter().filter(|j| !j.warm_up).count(), 1);
}

pub fn first_start() -> Story {
    Story {
        world: World::new(&spec("v1")),
        acts: vec![],
        end: |w| {
            runs(w, 1, "v1");
            assert_eq!(ready(w), (true, "Running".to_owned()));
            assert_eq!(results(w), [(1, UpgradeResult::Succeeded)]);
            assert_eq!(w.alive()[0].request.savepoint_path, None);
            assert_eq!((w.status().parallelism, w.savepoints.len()), (Some(2), 0));
        },
    }
}

pub fn upgrade() -> Story {
    story(&[(When::Rest, |w| w.image("v2"))], |w| {
        runs(w, 2, "v2");
        assert_eq!(ready(w), (true, "Running".to_owned()));
        let entry = last(w);
        assert_eq!((entry.from, entry.to, entry.result), (Some(1), 2, UpgradeResult::Succeeded));
        let downtime = entry.downtime_seconds.unwrap();
        assert!((0.2..60.0).contains(&downtime), "{downtime}");
        assert!(is(w, types::SAVEPOINT_TAKEN) && is(w, types::RESTORED));
        assert_eq!((w.revisions[&1].objects, w.revisions[&1].record.is_some()), (0, true));
        assert_eq!(w.savepoints.len(), 1);
    })
}

pub fn upgrade_with_claim() -> Story {
    let change: fn(&mut World) = |w| {
        w.image("v2");
        w.upgrade.as_mut().unwrap().spec.job.restore_mode = Some(crate::api::RestoreMode::Claim);
    };
    story(&[(When::Rest, change)], |w| {
        runs(w, 2, "v2");
        assert_eq!(w.alive()[0].request.claim_mode, Some(ClaimMode::Claim));
    })
}

pub fn revisions_beyond_the_limit_are_removed() -> Story {
    let mut story = story(
        &[(When::Rest, |w| w.image("v2")), (When::Rest, |w| w.image("v3")), (When::Rest, |w| w.image("v4"))],
        |w| {
            runs(w, 4, "v4");
            assert_eq!(w.revisions.keys().copied().collect::<Vec<_>>(), [3, 4]);
            assert_eq!(results(w), [(4, UpgradeResult::Succeeded)]);
        },
    );
    story.world.upgrade.as_mut().unwrap().spec.revision_history_limit = Some(1);
    story
}

pub fn changed_before_the_stop() -> Story {
    story(&[(When::Rest, |w| w.image("v2")), (When::Step(UpgradeStep::WarmingUp), |w| w.image("v3"))], |w| {
        runs(w, 3, "v3");
        assert_eq!(ready(w), (true, "Running".to_owned()));
        assert_eq!(
            results(w),
            [(3, UpgradeResult::Succeeded), (2, UpgradeResult::Superseded), (1, UpgradeResult::Succeeded)]
        );
        assert_eq!(w.savepoints.len(), 1);
    })
}

pub fn changed_after_the_stop() -> Story {
    story(&[(When::Rest, |w| w.image("v2")), (When::Step(UpgradeStep::Submitting), |w| w.image("v3"))], |w| {
        runs(w, 3, "v3");
        assert_eq!(results(w).iter().map(|(n, _)| *n).collect::<Vec<_>>(), [3, 2, 1]);
        assert_eq!(w.savepoints.len(), 2);
    })
}

pub fn fix_arrives_while_the_broken_one_starts() -> Story {
    story(&[(When::Rest, |w| w.image("fails")), (When::Step(UpgradeStep::Restoring), |w| w.image("v3"))], |w| {
        runs(w, 3, "v3");
        assert_eq!(ready(w), (true, "Running".to_owned()));
        assert_eq!(results(w)[..2], [(3, UpgradeResult::Succeeded), (2, UpgradeResult::RolledBack)]);
    })
}

pub fn bad_image() -> Story {
    story(&[(When::Rest, |w| w.image("bad"))], |w| untouched(w, "PodsNotReady", "ImagePullBackOff"))
}

pub fn savepoint_fails() -> Story {
    let change: fn(&mut World) = |w| {
        w.taking = Taking::Fails;
        w.image("v2");
    };
    story(&[(When::Rest, change)], |w| untouched(w, "SavepointFailed", "disk full"))
}

pub fn endless_warm_up() -> Story {
    story(&[(When::Rest, |w| w.image("endless-warm-up"))], |w| runs(w, 2, "endless-warm-up"))
}

pub fn refused() -> Story {
    story(&[(When::Rest, |w| w.image("refused"))], |w| put_back(w, "SubmitFailed", "cannot map savepoint state"))
}

pub fn refused_with_claim_and_flag() -> Story {
    let change: fn(&mut World) = |w| {
        w.image("refused");
        let job = &mut w.upgrade.as_mut().unwrap().spec.job;
        job.restore_mode = Some(crate::api::RestoreMode::Claim);
        job.allow_non_restored_state = Some(true);
    };
    story(&[(When::Rest, change)], |w| put_back(w, "SubmitFailed", "cannot map savepoint state"))
}

pub fn fails_while_restoring() -> Story {
    story(&[(When::Rest, |w| w.image("fails"))], |w| put_back(w, "JobFailed", "no such operator"))
}

pub fn restored_from_elsewhere() -> Story {
    story(&[(When::Rest, |w| w.image("elsewhere"))], |w| put_back(w, "RestoreMismatch", "s3://flink/other"))
}

pub fn restarts_for_ever() -> Story {
    story(&[(When::Rest, |w| w.image("restarts"))], |w| put_back(w, "ProgressDeadlineExceeded", "tasks"))
}

pub fn no_checkpoint() -> Story {
    story(&[(When::Rest, |w| w.image("no-checkpoint"))], |w| put_back(w, "ProgressDeadlineExceeded", "checkpoint"))
}

pub fn reverted_after_failure() -> Story {
    story(&[(When::Rest, |w| w.image("refused")), (When::Rest, |w| w.image("v1"))], |w| {
        runs(w, 1, "v1");
        assert_eq!(ready(w), (true, "Running".to_owned()));
        assert!(!is(w, types::ROLLED_BACK));
        assert_eq!((w.status().failed_spec_hash, w.status().last_revision), (None, Some(2)));
    })
}

pub fn flag_after_failure() -> Story {
    let allow: fn(&mut World) = |w| w.change(|spec| spec.job.allow_non_restored_state = Some(true));
    story(&[(When::Rest, |w| w.image("drops-operator")), (When::Rest, allow)], |w| {
        runs(w, 3, "drops-operator");
        assert_eq!(ready(w), (true, "Running".to_owned()));
        assert_eq!(w.alive()[0].request.allow_non_restored_state, Some(true));
        assert_eq!(results(w)[..2], [(3, UpgradeResult::Succeeded), (2, UpgradeResult::RolledBack)]);
    })
}

pub fn fixed_after_failure() -> Story {
    story(&[(When::Rest, |w| w.image("bad")), (When::Rest, |w| w.image("v3"))], |w| {
        runs(w, 3, "v3");
        assert_eq!(ready(w), (true, "Running".to_owned()));
    })
}

pub fn no_upgrade_for_how_a_job_moves() -> Story {
    let change: fn(&mut World) = |w| {
        w.change(|spec| {
            spec.job.allow_non_restored_state = Some(true);
            spec.revision_history_limit = Some(3);
        });
    };
    story(&[(When::Rest, change)], |w| {
        runs(w, 1, "v1");
        assert_eq!((ready(w).0, w.status().observed_generation, w.status().last_revision), (true, Some(2), Some(1)));
    })
}

fn starts(tag: &str, acts: &[Act], end: fn(&World)) -> Story {
    Story { world: World::new(&spec(tag)), acts: acts.to_vec(), end }
}

/// A first start failed: its objects are gone, and it says why.
fn nothing_runs(world: &World, reason: &str, cause: &str) {
    assert_eq!(ready(world), (false, reason.to_owned()));
    assert!(is(world, types::STALLED));
    assert!(ready_message(world).contains(cause), "{}", ready_message(world));
    assert_eq!((world.status().phase, world.status().active), (Some(JobPhase::Failed), None));
    assert!(world.revisions.values().all(|r| r.objects == 0 && r.pods.is_none()));
    assert!(world.alive().is_empty());
}

pub fn first_start_of_a_bad_image() -> Story {
    starts("bad", &[], |w| nothing_runs(w, "PodsNotReady", "ImagePullBackOff"))
}

pub fn first_start_is_refused() -> Story {
    starts("refused", &[], |w| nothing_runs(w, "SubmitFailed", "cannot map"))
}

/// What it was to start from is not tried again by itself.
pub fn first_start_from_a_snapshot_is_refused() -> Story {
    let mut story = starts("refused", &[], |w| {
        nothing_runs(w, "SubmitFailed", "cannot map");
        assert_eq!(results(w), [(1, UpgradeResult::Failed)]);
    });
    let wish = serde_json::json!({"id": "1", "path": "s3://flink/sp/older"});
    story.world.upgrade.as_mut().unwrap().spec.job.restore_from = Some(serde_json::from_value(wish).unwrap());
    story
}

/// Its job is the state that a fix starts from, though it has none yet.
pub fn first_start_fails() -> Story {
    starts("fails", &[], |w| {
        assert_eq!(ready(w), (false, "JobFailed".to_owned()));
        assert!(is(w, types::STALLED) && ready_message(w).contains("no such operator"), "{}", ready_message(w));
        assert_eq!((w.status().phase, w.status().active.unwrap().revision), (Some(JobPhase::Failed), 1));
        assert!(w.alive().is_empty());
    })
}

pub fn first_start_fails_and_is_fixed() -> Story {
    starts("fails", &[(When::Rest, |w| w.image("v2"))], |w| runs(w, 2, "v2"))
}

pub fn first_start_is_fixed_while_its_job_still_runs() -> Story {
    let failed: fn(&World) -> bool = |w| is(w, types::STALLED);
    starts("no-checkpoint", &[(When::Is(failed), |w| w.image("v2"))], |w| runs(w, 2, "v2"))
}

pub fn first_start_is_changed_in_the_middle() -> Story {
    starts("v1", &[(When::Step(UpgradeStep::Starting), |w| w.image("v2"))], |w| runs(w, 2, "v2"))
}

#[rstest]
#[case::first_start(first_start)]
#[case::upgrade(upgrade)]
#[case::upgrade_with_claim(upgrade_with_claim)]
#[case::revisions_beyond_the_limit_are_removed(revisions_beyond_the_limit_are_removed)]
#[case::changed_before_the_stop(changed_before_the_stop)]
#[case::changed_after_the_stop(changed_after_the_stop)]
#[case::fix_arrives_while_the_broken_one_starts(fix_arrives_while_the_broken_one_starts)]
#[case::bad_image(bad_image)]
#[case::savepoint_fails(savepoint_fails)]
#[case::endless_warm_up(endless_warm_up)]
#[case::refused(refused)]
#[case::refused_with_claim_and_flag(refused_with_claim_and_flag)]
#[case::fails_while_restoring(fails_while_restoring)]
#[case::restored_from_elsewhere(restored_from_elsewhere)]
#[case::restarts_for_ever(restarts_for_ever)]
#[case::no_checkpoint(no_checkpoint)]
#[case::reverted_after_failure(reverted_after_failure)]
#[case::flag_after_failure(flag_after_failure)]
#[case::fixed_after_failure(fixed_after_failure)]
#[case::no_upgrade_for_how_a_job_moves(no_upgrade_for_how_a_job_moves)]
#[case::first_start_of_a_bad_image(first_start_of_a_bad_image)]
#[case::first_start_is_refused(first_start_is_refused)]
#[case::first_start_from_a_snapshot_is_refused(first_start_from_a_snapshot_is_refused)]
#[case::first_start_fails(first_start_fails)]
#[case::first_start_fails_and_is_fixed(first_start_fails_and_is_fixed)]
#[case::first_start_is_fixed_while_its_job_still_runs(first_start_is_fixed_while_its_job_still_runs)]
#[case::first_start_is_changed_in_the_middle(first_start_is_changed_in_the_middle)]
fn a_story_ends_as_it_should_whatever_crashes(#[case] of: fn() -> Story) {
    super::crash_tests::sweep(&of());
}
