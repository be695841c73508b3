use chrono::TimeDelta;
use rstest::rstest;
use serde_json::{Value, json};

use super::observe::{source, two_stores};
use super::*;
use crate::api::condition::{self, types};
use crate::api::{Disposal, FlinkSavepoint, FlinkSnapshotStore, FlinkSnapshotStoreSpec, LocalRef, SnapshotRef};
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
    let message = plan.status.message.unwrap();
    let job = crate::naming::copy_job_name("daily", testing::UID);
    let says = [job.as_str(), FROM, TO, "AccessDenied", "mend"];
    assert!(says.iter().all(|part| message.contains(part)), "{message}");
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

/// Deleted, and for so long nothing could be done about what is left.
fn deleted(left: Copying, in_vain: i64) -> Observed {
    let mut o = then(&copying(found()), left);
    let ago = |seconds| time::to_k8s(now() - TimeDelta::seconds(seconds));
    o.savepoint.metadata.deletion_timestamp = Some(ago(3600));
    let disposal = Disposal { in_vain_since: Some(ago(in_vain)), ..Disposal::default() };
    o.savepoint.status.as_mut().unwrap().disposal = (in_vain > 0).then_some(disposal);
    o
}

fn left(job: JobLeft, files: FilesLeft) -> Copying {
    Copying::Left { job, files }
}

fn going(seconds: i64) -> JobLeft {
    JobLeft::Going(time::to_k8s(now() - TimeDelta::seconds(seconds)))
}

fn unknown() -> FilesLeft {
    FilesLeft::Unknown("the store gives no answer".to_owned())
}

/// However long the operator was away: what can be removed is.
#[rstest]
#[case::first_its_job(left(JobLeft::There, FilesLeft::There(3)), "delete-copy-job")]
#[case::then_its_pods(left(going(1), FilesLeft::There(3)), "-")]
#[case::which_may_never_end(left(going(60), FilesLeft::There(3)), "remove-copy")]
#[case::then_what_it_has_written(left(JobLeft::Nothing, FilesLeft::There(3)), "remove-copy")]
#[case::which_can_not_be_told(left(JobLeft::Nothing, unknown()), "-")]
#[case::then_the_resource(left(JobLeft::Nothing, FilesLeft::Nothing), "remove-finalizer")]
fn one_that_is_deleted_leaves_nothing(#[case] left: Copying, #[case] effect: &str) {
    let plan = plan(&deleted(left, 0));
    assert_eq!(plan.effect.as_ref().map_or("-", Effect::name), effect);
}

#[rstest]
#[case::its_job_can_not_be_deleted(left(JobLeft::There, FilesLeft::There(3)))]
#[case::nor_be_looked_at(left(JobLeft::Unknown("forbidden".to_owned()), FilesLeft::There(3)))]
#[case::files_can_not_be_removed(left(JobLeft::Nothing, FilesLeft::There(3)))]
#[case::nor_be_looked_at(left(JobLeft::Nothing, unknown()))]
fn nothing_holds_one_that_is_deleted_for_ever(#[case] left: Copying) {
    assert_ne!(plan(&deleted(left.clone(), 59)).effect, Some(Effect::RemoveFinalizer));
    let o = deleted(left, 60);
    assert_eq!(plan(&o).effect, Some(Effect::RemoveFinalizer));
    let said = left_behind(&o).unwrap();
    assert!(said.contains(TO) && said.contains("remove what is there"), "{said}");
}

#[test]
fn what_keeps_files_from_being_removed_is_said_and_since_when() {
    let (status, _) = in_vain(&deleted(left(JobLeft::Nothing, FilesLeft::There(3)), 0), "AccessDenied");
    assert_eq!(status.disposal.unwrap().in_vain_since, Some(time::to_k8s(now())));
    let message = status.message.unwrap();
    assert!([TO, "AccessDenied", "60 s"].iter().all(|part| message.contains(part)), "{message}");
    let plan = plan(&deleted(left(JobLeft::Nothing, unknown()), 0));
    assert_eq!(plan.status.disposal.unwrap().in_vain_since, Some(time::to_k8s(now())));
    assert!(plan.status.message.unwrap().contains("the store gives no answer"));
}

#[test]
fn what_is_left_behind_is_said() {
    let said = |left| left_behind(&deleted(left, 0));
    assert_eq!(said(left(JobLeft::Nothing, FilesLeft::Nothing)), None);
    assert!(said(left(going(60), FilesLeft::Nothing)).unwrap().contains("Job daily-copy-"));
    assert!(said(left(JobLeft::Nothing, FilesLeft::There(3))).unwrap().starts_with("3 files of a copy"));
    assert!(said(left(JobLeft::Nothing, unknown())).unwrap().contains("the store gives no answer"));
    let mut verifying = then(&deleted(Copying::Running { files: 1, bytes: 1 }, 0), Copying::NotAsked);
    let whole = verifying.savepoint.status.as_mut().unwrap();
    (whole.phase, whole.location) = (Some(SavepointPhase::Verifying), Some(TO.to_owned()));
    assert_eq!(plan(&verifying).effect, Some(Effect::RemoveFinalizer));
    assert!(left_behind(&verifying).unwrap().starts_with(&format!("{TO} is left behind: all was copied")));
    verifying.savepoint.status.as_mut().unwrap().phase = Some(SavepointPhase::Completed);
    assert_eq!(left_behind(&verifying), None, "of one that is complete deletionPolicy has been acted upon");
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

/// The field, the value, and what can be done although the spec can't be changed.
#[rstest]
#[case::there_is_none("weekly", json!({}), ["spec.copyOf.name", "weekly", "create it"])]
#[case::it_goes("daily", json!({"phase": "Disposing", "location": FROM}), ["spec.copyOf", "daily is being deleted", "create another"])]
#[case::it_has_failed("daily", json!({"phase": "Failed"}), ["spec.copyOf", "daily is Failed", "create another"])]
#[case::not_yet("daily", json!({"phase": "InProgress"}), ["spec.copyOf", "daily is not complete yet", "see its status"])]
fn what_can_not_be_copied_names_field_value_and_cure(
    #[case] name: &str,
    #[case] status: Value,
    #[case] says: [&str; 3],
) {
    let all = [record(&status)];
    let of = SnapshotRef { name: Some(name.to_owned()), path: None };
    let Err(Copying::Waits(_, message) | Copying::Never(_, message)) = source(&all, &of) else { panic!("found") };
    assert!(says.iter().all(|part| message.contains(part)), "{message}");
}

#[rstest]
#[case::of_the_namespace(None, Reason::NoStore, ["spec.targetDirectory", TO, "create one"])]
#[case::the_named_one(Some("archive"), Reason::WrongStore, ["spec.storeRef.name", "archive", "create another"])]
fn without_a_store_for_the_copy(#[case] named: Option<&str>, #[case] reason: Reason, #[case] says: [&str; 3]) {
    let mut savepoint = copying(found()).savepoint;
    savepoint.spec.store_ref = named.map(|name| LocalRef { name: name.to_owned() });
    let (found, message) = words::no_target(&savepoint, TO);
    assert_eq!(found, reason);
    assert!(says.iter().all(|part| message.contains(part)), "{message}");
}

#[rstest]
#[case::no_image("container copy: ImagePullBackOff: Back-off pulling image", "imagePullSecrets")]
#[case::no_secret("container copy: CreateContainerConfigError: secret \"keys\" not found", "credentialsSecretRef")]
#[case::no_room("Unschedulable: 0/3 nodes are available", "make room")]
#[case::no_pod("FailedCreate: pods are forbidden: exceeded quota: compute", "raise the quota")]
#[case::another("container copy: exit code 2: AccessDenied", "mend that")]
fn a_job_that_does_not_get_on_says_why(#[case] why: &str, #[case] cure: &str) {
    let o = then(&copying(found()), Copying::NotRunning(why.to_owned()));
    let not_running = plan(&o);
    assert_eq!(outcome(&not_running), ("-", "InProgress", "CopyFailed"));
    assert!(is(&not_running, types::STALLED));
    let message = not_running.status.message.unwrap();
    let job = crate::naming::copy_job_name("daily", testing::UID);
    assert!([job.as_str(), FROM, TO, why, cure].iter().all(|part| message.contains(part)), "{message}");

    let o = then(&o, Copying::Running { files: 1, bytes: 1 });
    let runs = plan(&o);
    assert_eq!(outcome(&runs), ("-", "InProgress", "InProgress"));
    assert!(!is(&runs, types::STALLED), "it is said no more once it runs");
}

#[test]
fn a_job_that_can_not_be_created_says_why() {
    let (status, _) = in_vain(&then(&copying(found()), Copying::NotAsked), "exceeded quota: count/jobs.batch=1");
    assert_eq!(condition::find(&status.conditions, types::STALLED).unwrap().reason, "CopyFailed");
    let message = status.message.unwrap();
    assert!(
        ["Job daily-copy-", FROM, "count/jobs.batch", "raise the quota"].iter().all(|part| message.contains(part)),
        "{message}"
    );
}

fn store(name: &str, secret: &str) -> FlinkSnapshotStore {
    let spec = FlinkSnapshotStoreSpec {
        url: format!("s3://{name}"),
        credentials_secret_ref: Some(LocalRef { name: secret.to_owned() }),
        ..FlinkSnapshotStoreSpec::default()
    };
    FlinkSnapshotStore::new(name, spec)
}

#[rstest]
#[case::all_in_one_place("keys", &[], false)]
#[case::with_the_same_keys("keys", &["s3://old/"], false)]
#[case::with_other_keys("old-keys", &["s3://old/"], true)]
#[case::in_its_own_store("old-keys", &["s3://flink/"], false)]
fn files_in_several_stores(#[case] secret: &str, #[case] outside: &[&str], #[case] refused: bool) {
    let outside = outside.iter().map(|url| (*url).to_owned()).collect();
    let why = two_stores(&[store("flink", "keys"), store("old", secret)], FROM, &outside);
    assert_eq!(why.is_some(), refused, "{why:?}");
    let says =
        ["spec.copyOf", FROM, "s3://old", "FlinkSnapshotStore old", "FlinkSnapshotStore flink", "give both the same"];
    assert!(why.is_none_or(|why| says.iter().all(|part| why.contains(part))));
}
