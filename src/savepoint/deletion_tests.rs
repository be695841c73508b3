use chrono::TimeDelta;
use rstest::rstest;

use super::super::observed::{Answer, Found, JobNow};
use super::super::plan::plan;
use super::super::testing::{forgotten, job, lives, now, observed, savepoint, triggered, whole};
use super::*;
use crate::time;

/// Deleted so many seconds ago, while its request is under way or after it: what the pass does, and the phase.
#[rstest]
#[case::is_waited_for(Answer::InProgress(None), 100, "-", "InProgress")]
#[case::not_longer_than_its_timeout(Answer::InProgress(None), 601, "remove-finalizer", "InProgress")]
#[case::silent(Answer::Unreachable("refused".to_owned()), 59, "-", "Triggering")]
#[case::silent_for_long(Answer::Unreachable("refused".to_owned()), 60, "remove-finalizer", "Triggering")]
#[case::answer_lost(forgotten(Found::NoStore("none".to_owned()), JobNow::Gone), 61, "remove-finalizer", "InProgress")]
#[case::never_arrived(forgotten(Found::Nothing, lives()), 1, "-", "Failed")]
#[case::whole(forgotten(whole(), lives()), 1, "-", "Completed")]
fn deletion_waits_for_the_end_but_not_for_ever(
    #[case] answer: Answer,
    #[case] deleted: i64,
    #[case] effect: &str,
    #[case] phase: &str,
) {
    let mut it = triggered(savepoint(None), 300);
    it.metadata.deletion_timestamp = Some(time::to_k8s(now() - TimeDelta::seconds(deleted)));
    let plan = plan(&observed(it, job(), answer));
    assert_eq!(plan.effect.as_ref().map_or("-", Effect::name), effect);
    assert_eq!(plan.status.phase.unwrap().as_str(), phase);
}

#[test]
fn nothing_is_begun_any_more() {
    let mut it = savepoint(None);
    it.metadata.deletion_timestamp = Some(time::to_k8s(now()));
    let plan = plan(&observed(it, job(), Answer::NotAsked));
    assert_eq!((plan.effect, plan.status.attempts.len()), (Some(Effect::RemoveFinalizer), 0));
}

#[test]
fn what_is_left_behind_is_named() {
    let it = triggered(savepoint(None), 1);
    let left = left_behind(it.status.as_ref().unwrap()).unwrap();
    assert!(left.contains(super::super::testing::DIRECTORY), "{left}");
    assert_eq!(left_behind(&FlinkSavepointStatus::default()), None);
}
