use chrono::TimeDelta;
use rstest::rstest;
use serde_json::{Value, json};

use super::observe::source;
use super::*;
use crate::api::{FlinkSavepoint, SnapshotRef, condition::types};
use crate::savepoint::observed::{Answer, Job};
use crate::savepoint::plan::plan;
use crate::savepoint::testing::{self, is, now, outcome};

const FROM: &str = "s3://flink/sp/savepoint-1";
const TO: &str = "s3://archive/shop/copy-0f0e0d0c/1/savepoint-1";

fn copying(copying: Copying) -> Observed {
    let mut savepoint = testing::savepoint(None);
    savepoint.spec.job_ref = None;
    savepoint.spec.copy_of = Some(SnapshotRef { name: Some("daily".to_owned()), path: None });
    savepoint.spec.target_directory = Some("s3://archive".to_owned());
    let mut o = testing::observed(savepoint, testing::job(), Answer::NotAsked);
    (o.job, o.job_manager, o.copying) = (Job::NotRead, None, copying);
    o
}

fn found() -> Copying {
    let copy = CopyProgress { from: FROM.to_owned(), to: TO.to_owned(), ..CopyProgress::default() };
    Copying::Found(Box::new(Found { copy, flink_version: Some("2.3.0".to_owned()), ..Found::default() }))
}

/// The pass after: with the status that was written.
fn then(o: &Observed, copying: Copying) -> Observed {
    let status = Some(plan(o).status);
    Observed { savepoint: FlinkSavepoint { status, ..o.savepoint.clone() }, copying, ..o.clone() }
}

#[test]
fn what_is_copied_is_checked_and_then_complete() {
    let o = copying(found());
    assert_eq!(outcome(&plan(&o)), ("-", "InProgress", "InProgress"));
    let o = then(&o, Copying::Running { files: 3, bytes: 1000 });
    assert_eq!(outcome(&plan(&o)), ("-", "InProgress", "InProgress"));
    let o = then(&o, Copying::Done);
    let plan = plan(&o);
    assert_eq!(outcome(&plan), ("-", "Verifying", "InProgress"));
    assert_eq!(plan.status.location.as_deref(), Some(TO));
}

#[test]
fn it_has_the_finalizer_before_anything_is_written() {
    let mut o = copying(found());
    o.savepoint.metadata.finalizers = None;
    let plan = plan(&o);
    assert_eq!(plan.effect, Some(Effect::AddFinalizer));
    assert_eq!(plan.status.copy, None);
}

#[test]
fn how_far_it_is_is_told_now_and_then() {
    let o = then(&copying(found()), Copying::Running { files: 3, bytes: 1000 });
    assert_eq!(plan(&o).status.copy.unwrap().bytes, None, "it has just begun");
    let o = Observed { now: now() + TimeDelta::seconds(6), ..o };
    let copy = plan(&o).status.copy.unwrap();
    assert_eq!((copy.files, copy.bytes), (Some(3), Some(1000)));
}

#[test]
fn a_job_that_failed_is_followed_by_another() {
    let o = then(&copying(found()), Copying::JobFailed("AccessDenied".to_owned()));
    let plan = plan(&o);
    assert_eq!(outcome(&plan), ("delete-copy-job", "InProgress", "CopyFailed"));
    assert!(is(&plan, types::STALLED));
    assert!(plan.status.message.unwrap().contains("AccessDenied"));
}

#[rstest]
#[case::by_itself(Again::Soon, "InProgress", types::RECONCILING)]
#[case::with_help(Again::WithHelp, "InProgress", types::STALLED)]
#[case::never(Again::Never, "Failed", types::STALLED)]
fn what_comes_to_nothing(#[case] again: Again, #[case] phase: &str, #[case] told: &str) {
    let failure = Failure { reason: Reason::AccessDenied, message: "no".to_owned(), again };
    let plan = plan(&then(&copying(found()), Copying::Failed(failure)));
    assert_eq!(outcome(&plan), ("-", phase, "AccessDenied"));
    assert!(is(&plan, told));
}

fn ends(seconds: i64) -> Worker {
    Worker::Ends(time::to_k8s(now() - TimeDelta::seconds(seconds)))
}

#[rstest]
#[case::first_its_job(Worker::There, true, None, "delete-copy-job")]
#[case::whose_pods_end(ends(599), true, None, "delete-copy-job")]
#[case::but_not_for_ever(ends(600), true, None, "remove-finalizer")]
#[case::then_what_it_has_written(Worker::Gone, true, None, "remove-copy")]
#[case::that_is_tried_again(Worker::Gone, true, Some(599), "remove-copy")]
#[case::but_not_for_ever_either(Worker::Gone, true, Some(600), "remove-finalizer")]
#[case::then_the_resource(Worker::Gone, false, None, "remove-finalizer")]
fn one_that_is_deleted_leaves_nothing(
    #[case] job: Worker,
    #[case] files: bool,
    #[case] in_vain: Option<i64>,
    #[case] effect: &str,
) {
    let mut o = then(&copying(found()), Copying::Left { job, files });
    // The operator was away.
    o.savepoint.metadata.deletion_timestamp = Some(time::to_k8s(now() - TimeDelta::days(1)));
    if let Some(seconds) = in_vain {
        let then = Observed { now: now() - TimeDelta::seconds(seconds), ..o.clone() };
        o.savepoint.status = Some(super::in_vain(&then, "AccessDenied").0);
    }
    assert_eq!(plan(&o).effect.unwrap().name(), effect);
}

fn record(status: &Value) -> FlinkSavepoint {
    serde_json::from_value(json!({
        "apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkSavepoint",
        "metadata": {"name": "daily", "namespace": "shop"},
        "spec": {"path": FROM}, "status": status,
    }))
    .unwrap()
}

fn by_name() -> SnapshotRef {
    SnapshotRef { name: Some("daily".to_owned()), path: None }
}

#[rstest]
#[case::by_its_name(by_name(), json!({"phase": "Completed", "location": FROM}), Ok(FROM))]
#[case::by_its_place(SnapshotRef { name: None, path: Some(FROM.to_owned()) }, json!({"phase": "Completed", "location": FROM}), Ok(FROM))]
#[case::of_nobody(SnapshotRef { name: None, path: Some("s3://x/y".to_owned()) }, json!({"phase": "Completed", "location": FROM}), Ok("s3://x/y"))]
#[case::not_yet(by_name(), json!({"phase": "InProgress"}), Err("Waits"))]
#[case::never(by_name(), json!({"phase": "Failed"}), Err("Never"))]
#[case::it_goes(by_name(), json!({"phase": "Disposing", "location": FROM}), Err("Waits"))]
#[case::it_goes_by_its_place(SnapshotRef { name: None, path: Some(format!("{FROM}/_metadata")) }, json!({"phase": "Disposing", "location": FROM}), Err("Waits"))]
#[case::there_is_none(SnapshotRef { name: Some("weekly".to_owned()), path: None }, json!({"phase": "Completed", "location": FROM}), Err("Waits"))]
fn what_is_copied(#[case] of: SnapshotRef, #[case] status: Value, #[case] expected: Result<&str, &str>) {
    let all = [record(&status)];
    let found = source(&all, &of);
    let found = found.as_ref().map(|(from, _)| from.as_str()).map_err(|other| match other {
        Copying::Waits(..) => "Waits",
        Copying::Never(..) => "Never",
        _ => "-",
    });
    assert_eq!(found, expected);
}

#[test]
fn pods_that_can_not_start_are_told_with_what_kubernetes_says() {
    let why = "container copy: ImagePullBackOff: no such image";
    let o = then(&copying(found()), Copying::NoPod(why.to_owned()));
    let plan = plan(&o);
    assert_eq!(outcome(&plan), ("-", "InProgress", "PodsNotReady"));
    let message = plan.status.message.unwrap();
    assert!(message.contains(why) && message.contains("correct that"), "{message}");
}

#[rstest]
#[case::its_job(Copying::Left { job: Worker::There, files: false }, true)]
#[case::its_files(Copying::Left { job: Worker::Gone, files: true }, true)]
#[case::nothing(Copying::Left { job: Worker::Gone, files: false }, false)]
#[case::it_stays(Copying::NotAsked, false)]
fn what_is_left_of_a_copy_is_named(#[case] left: Copying, #[case] told: bool) {
    let o = then(&copying(found()), left);
    let note = left_behind(&o);
    assert_eq!(note.is_some(), told);
    assert!(note.is_none_or(|note| note.contains(TO)));
}

#[rstest]
#[case::there_is_none(json!([]), &["spec.copyOf.name", "daily", "create it"])]
#[case::it_failed(json!({"phase": "Failed"}), &["spec.copyOf", "daily", "Failed", "create another"])]
fn what_can_not_be_copied_is_told_with_the_cure(#[case] status: Value, #[case] words: &[&str]) {
    let object = json!({
        "apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkSavepoint",
        "metadata": {"name": "daily", "namespace": "shop"}, "spec": {}, "status": status,
    });
    let all: Vec<FlinkSavepoint> =
        if status.is_array() { Vec::new() } else { vec![serde_json::from_value(object).unwrap()] };
    let of = SnapshotRef { name: Some("daily".to_owned()), path: None };
    let told = source(&all, &of).unwrap_err();
    let (Copying::Waits(_, message) | Copying::Never(_, message)) = told else { panic!("{told:?}") };
    assert!(words.iter().all(|word| message.contains(word)), "{message}");
}
