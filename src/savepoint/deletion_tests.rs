use chrono::TimeDelta;
use rstest::rstest;

use super::super::observed::{Answer, Found, JobNow};
use super::super::plan::plan;
use super::super::testing::{forgotten, job, lives, now, observed, savepoint, triggered, whole};
use super::*;
use crate::api::{DeletionPolicy, Hold};
use crate::store::check::Check;
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

/// Taken, and only its files are still to be looked at.
#[rstest]
#[case::they_stay(None, false, 1, "remove-finalizer")]
#[case::they_go(Some(DeletionPolicy::Delete), false, 59, "-")]
#[case::they_can_t_be_looked_at(Some(DeletionPolicy::Delete), false, 60, "remove-finalizer")]
#[case::it_is_needed(None, true, 599, "-")]
#[case::it_is_needed_for_long(None, true, 600, "remove-finalizer")]
fn one_whose_files_are_to_be_looked_at(
    #[case] policy: Option<DeletionPolicy>,
    #[case] needed: bool,
    #[case] deleted: i64,
    #[case] effect: &str,
) {
    let mut it = triggered(savepoint(None), 300);
    it.spec.deletion_policy = policy;
    it.metadata.deletion_timestamp = Some(time::to_k8s(now() - TimeDelta::seconds(deleted)));
    let status = it.status.as_mut().unwrap();
    status.phase = Some(SavepointPhase::Verifying);
    status.location = Some("s3://bucket/savepoints/savepoint-1".to_owned());
    status.attempts.last_mut().unwrap().result = Some("Completed".to_owned());
    let mut o = observed(it, job(), Answer::NotAsked);
    o.check = Check::Running(None);
    let hold = Hold { kind: "FlinkJobUpgrade".to_owned(), name: "orders".to_owned(), ..Hold::default() };
    o.holds = Some(if needed { vec![hold] } else { Vec::new() });
    let plan = plan(&o);
    assert_eq!(plan.effect.as_ref().map_or("-", Effect::name), effect);
    let waits = plan.status.message.unwrap_or_default().contains("FlinkJobUpgrade orders");
    assert_eq!(waits, needed && effect == "-");
    let left = left_behind(&o.savepoint);
    assert_eq!(left.is_some(), policy.is_some());
    assert!(left.is_none_or(|left| left.contains("savepoints/savepoint-1")));
}

/// Its store's Secret is gone, too: nothing is verified any more.
#[rstest]
#[case(9, "-")]
#[case(10, "remove-finalizer")]
fn in_a_namespace_that_goes_nobody_is_waited_for_long(#[case] deleted: i64, #[case] effect: &str) {
    let mut it = triggered(savepoint(None), 300);
    it.metadata.deletion_timestamp = Some(time::to_k8s(now() - TimeDelta::seconds(deleted)));
    let status = it.status.as_mut().unwrap();
    (status.phase, status.location) = (Some(SavepointPhase::Verifying), Some("s3://bucket/savepoint-1".to_owned()));
    status.attempts.last_mut().unwrap().result = Some("Completed".to_owned());
    let mut o = observed(it, job(), Answer::NotAsked);
    (o.check, o.namespace_terminating) = (Check::Running(None), true);
    o.holds = Some(vec![Hold { kind: "FlinkJobUpgrade".to_owned(), name: "orders".to_owned(), ..Hold::default() }]);
    assert_eq!(plan(&o).effect.as_ref().map_or("-", Effect::name), effect);
}

#[test]
fn what_is_left_behind_is_named() {
    let mut it = triggered(savepoint(None), 1);
    let left = left_behind(&it).unwrap();
    assert!(left.contains(super::super::testing::DIRECTORY), "{left}");
    it.status = None;
    assert_eq!(left_behind(&it), None);
}
