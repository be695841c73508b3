use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::upgrade::plan::{Effect, plan};

fn job(name: &str, status: &Value) -> FlinkJobUpgrade {
    serde_json::from_value(json!({
        "apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkJobUpgrade",
        "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-of-{name}")},
        "spec": {"image": "job:1", "job": {"jarURI": "local:///a.jar", "parallelism": 1}},
        "status": status,
    }))
    .unwrap()
}

/// A savepoint of a job, complete at that minute, or as it stands.
fn savepoint_of(job: &str, name: &str, status: &Value) -> FlinkSavepoint {
    serde_json::from_value(json!({
        "apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkSavepoint",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"jobRef": {"kind": "FlinkJobUpgrade", "name": job}},
        "status": status,
    }))
    .unwrap()
}

fn complete(minute: u32) -> Value {
    json!({
        "phase": "Completed", "location": format!("s3://flink/sp/{minute}"),
        "completionTime": format!("2026-01-01T00:{minute:02}:00Z"),
    })
}

fn from() -> FromJob {
    FromJob { name: "orders".to_owned(), snapshot: None }
}

fn wish(id: &str) -> RestoreFrom {
    RestoreFrom { id: id.to_owned(), from_job: Some(from()), ..RestoreFrom::default() }
}

/// What comes of it, in one line.
fn told(fork: Fork) -> String {
    match fork {
        Fork::At(_, location) => location,
        Fork::Not(Restore::Take(savepoint)) => format!("takes {}", savepoint.name_any()),
        Fork::Not(Restore::Wait(message)) => message,
        Fork::Not(Restore::Refused(reason, message)) => format!("{reason}: {message}"),
        Fork::Not(other) => format!("{other:?}"),
    }
}

fn in_progress() -> Value {
    json!({"phase": "InProgress", "conditions": [{
        "type": "Ready", "status": "False", "reason": "InProgress", "message": "4 MiB", "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]})
}

#[rstest]
#[case::none_yet(true, None, "takes canary-fork-")]
#[case::under_way(true, Some(in_progress()), "FlinkSavepoint canary-1 of job orders is being taken: 4 MiB")]
#[case::complete(true, Some(complete(7)), "s3://flink/sp/7")]
#[case::its_job_is_gone(false, Some(complete(7)), "s3://flink/sp/7")]
#[case::failed(true, Some(json!({"phase": "Failed"})), "to try again give another id")]
#[case::no_such_job(false, None, "JobNotFound: job.restoreFrom.fromJob.name: there is no FlinkJobUpgrade orders")]
fn a_fork_starts_from_what_the_other_job_has(
    #[case] there: bool,
    #[case] taken: Option<Value>,
    #[case] expected: &str,
) {
    let other = there.then(|| job("orders", &json!(null)));
    let taken = taken.map(|status| savepoint_of("orders", "canary-1", &status));
    let child = savepoint(&job("canary", &json!(null)), &wish("1"), &from());
    let told = told(new(other.as_ref(), taken, child, &from()));
    assert!(told.contains(expected), "{told}");
}

#[rstest]
#[case::the_newest(&[complete(3), complete(8), complete(5)], json!(null), "s3://flink/sp/8")]
#[case::of_flink(&[complete(3), json!({
    "phase": "Completed", "location": "s3://flink/sp/9", "completionTime": "2026-01-01T00:09:00Z", "ownership": "Flink",
})], json!(null), "s3://flink/sp/3")]
#[case::not_complete(&[json!({"phase": "Failed", "location": "s3://flink/sp/9"})], json!(null), "SnapshotNotFound")]
#[case::suspended(&[complete(3)], json!({"suspension": {
    "revision": 1, "jobId": "a", "source": "Checkpoint", "snapshot": "s3://flink/ck/a/chk-4", "since": "2026-01-01T00:04:00Z",
}}), "s3://flink/ck/a/chk-4")]
#[case::nothing(&[], json!(null), "take one, or set New under another id")]
fn the_latest_is_what_a_record_tells_of(#[case] records: &[Value], #[case] status: Value, #[case] expected: &str) {
    let mut all: Vec<FlinkSavepoint> = records.iter().map(|status| savepoint_of("orders", "a", status)).collect();
    all.push(savepoint_of("another", "b", &complete(59)));
    let told = told(latest(Some(&job("orders", &status)), &all, &from()));
    assert!(told.contains(expected), "{told}");
}

/// It is of the other job, which runs on; and another one for each id and each resource.
#[test]
fn its_savepoint_is_its_own() {
    let canary = job("canary", &json!(null));
    let child = savepoint(&canary, &wish("1"), &from());
    assert_eq!(child.spec.job_ref.as_ref().unwrap().name, "orders");
    assert_eq!(child.spec.then(), Then::Continue);
    assert!(naming::is_child_of(&child.metadata, "uid-of-canary", &operation(&canary, &wish("1"))));
    let names = [(&canary, "1"), (&canary, "2"), (&job("other", &json!(null)), "1")]
        .map(|(job, id)| savepoint(job, &wish(id), &from()).name_any());
    assert!(names[0] != names[1] && names[0] != names[2], "{names:?}");
}

/// It is asked for before anything begins, and then waited for.
#[test]
fn a_start_waits_for_its_savepoint() {
    let mut o = crate::upgrade::tests::about_to_start(wish("1"));
    let child = savepoint(&o.upgrade, &wish("1"), &from());
    o.restore = Restore::Take(Box::new(child.clone()));
    let asked = plan(&o);
    assert_eq!(asked.effect, Some(Effect::CreateSavepoint(Box::new(child))));
    assert_eq!(asked.status.upgrade, None);
    o.restore = Restore::From(Some("s3://flink/sp/7".to_owned()));
    let begun = plan(&o).status.upgrade.unwrap();
    assert_eq!((begun.snapshot.as_deref(), begun.restore_from_id.as_deref()), (Some("s3://flink/sp/7"), Some("1")));
}
