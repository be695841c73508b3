use serde_json::{Value, json};

use super::*;

fn job(status: &Value) -> FlinkJobUpgrade {
    serde_json::from_value(json!({
        "apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkJobUpgrade",
        "metadata": {"name": "orders", "namespace": "shop", "uid": "u"},
        "spec": {"image": "orders:3", "job": {"jarURI": "local:///a.jar", "parallelism": 1}},
        "status": status,
    }))
    .unwrap()
}

fn record(location: &str, ancestors: &[&str]) -> Arc<FlinkSavepoint> {
    let savepoint = serde_json::from_value(json!({
        "apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkSavepoint",
        "metadata": {"name": "x", "namespace": "shop", "labels": {"savepoints.dev/operation": "3-a"}},
        "spec": {"jobRef": {"kind": "FlinkJobUpgrade", "name": "orders"}},
        "status": {"phase": "Completed", "location": location, "source": {"revision": 2, "ancestors": ancestors}},
    }));
    Arc::new(savepoint.unwrap())
}

fn id() -> JobId {
    JobId::new("1".repeat(32)).unwrap()
}

fn runs_from(place: Option<&str>, history: &[&str]) -> FlinkJobUpgrade {
    let entry = |place: &&str| {
        let from = Some(*place).filter(|place| !place.is_empty());
        json!({"id": "1", "to": 1, "result": "Succeeded", "restoredFrom": from})
    };
    let past: Vec<Value> = history.iter().map(entry).collect();
    let submission = json!({"jobId": "1", "revision": 3, "restoredFrom": place, "imageDigest": "sha256:1"});
    job(&json!({"active": {"revision": 3, "submission": submission}, "history": past}))
}

#[test]
fn a_savepoint_tells_of_its_job() {
    let source = of_job(&runs_from(Some("s3://sp/2"), &[]), &record("s3://sp/3", &[]), &[]);
    assert_eq!((source.revision, source.upgrade.as_deref()), (Some(3), Some("3-a")));
    assert_eq!((source.image.as_deref(), source.parent.as_deref()), (Some("sha256:1"), Some("s3://sp/2")));
    assert_eq!(source.job_id.as_deref(), Some("1"));
}

#[test]
fn ancestors_are_those_of_the_history_and_of_the_records() {
    let known = [record("s3://sp/2", &["s3://sp/1", "s3://of-another/9"])];
    let source =
        of_job(&runs_from(Some("s3://ck/7"), &["s3://ck/7", "s3a://sp/2/"]), &record("s3://sp/3", &[]), &known);
    assert_eq!(source.ancestors, ["s3://ck/7", "s3a://sp/2/", "s3://sp/1", "s3://of-another/9"]);
}

/// What was there before a start with nothing, or before what a restore has undone, is no ancestor.
#[test]
fn what_was_given_up_is_no_ancestor() {
    let ancestors = |history: &[&str], known: &[Arc<FlinkSavepoint>]| {
        of_job(&runs_from(Some("s3://sp/6"), history), &record("s3://sp/7", &[]), known).ancestors
    };
    assert_eq!(ancestors(&["s3://sp/6", "", "s3://sp/4"], &[]), ["s3://sp/6"]);
    // It went back to one that is older than the last three.
    let known = [record("s3://sp/6", &["s3://sp/1"])];
    assert_eq!(ancestors(&["s3://sp/6", "s3://sp/5", "s3://sp/4"], &known), ["s3://sp/6", "s3://sp/1"]);
    assert_eq!(ancestors(&["s3://sp/6", "s3://sp/5", "s3://sp/4"], &[]), ["s3://sp/6", "s3://sp/5", "s3://sp/4"]);
}

#[test]
fn the_record_in_the_middle_is_not_needed() {
    let middle = record("s3://sp/2", &["s3://sp/1"]);
    let child = of_foreign(&id(), Some("s3://sp/2".to_owned()), &[middle]);
    assert_eq!(child.ancestors, ["s3://sp/2", "s3://sp/1"]);
    let of_child = of_foreign(&id(), Some("s3://sp/3".to_owned()), &[record("s3://sp/3", &["s3://sp/2", "s3://sp/1"])]);
    assert_eq!(of_child.ancestors, ["s3://sp/3", "s3://sp/2", "s3://sp/1"]);
}

#[test]
fn one_that_began_with_nothing_has_none() {
    let source = of_job(&runs_from(None, &["s3://sp/2"]), &record("s3://sp/3", &[]), &[]);
    assert_eq!((source.parent, source.ancestors), (None, Vec::new()));
}

#[test]
fn no_more_than_some_are_named() {
    let many: Vec<String> = (0..40).map(|n| format!("s3://sp/{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(
        of_foreign(&id(), Some("s3://sp/x".to_owned()), &[record("s3://sp/x", &many)]).ancestors.len(),
        ANCESTORS
    );
}

#[test]
fn a_copy_comes_from_where_its_original_comes_from() {
    let original = record("s3://sp/2", &["s3://sp/1"]);
    let copy = of_copy("s3://sp/2", Some(&original));
    assert_eq!((copy.revision, copy.parent.as_deref()), (Some(2), Some("s3://sp/2")));
    assert_eq!(copy.ancestors, ["s3://sp/2", "s3://sp/1"]);
    assert_eq!(of_copy("s3://sp/9", None).ancestors, ["s3://sp/9"]);
}

#[test]
fn labels_are_put_on_once() {
    let mut savepoint = FlinkSavepoint::clone(&record("s3://sp/3", &["s3://sp/2", "s3://sp/1"]));
    let wanted = missing_labels(&savepoint).unwrap();
    assert_eq!(wanted["savepoints.dev/snapshot"], naming::snapshot_id("s3://sp/3"));
    assert_eq!(wanted["savepoints.dev/revision"], "2");
    let ancestor = format!("ancestor.savepoints.dev/{}", naming::snapshot_id("s3a://sp/1/"));
    assert_eq!(wanted[&ancestor], "2");
    savepoint.labels_mut().extend(wanted);
    assert_eq!(missing_labels(&savepoint), None);
    savepoint.status.as_mut().unwrap().phase = Some(SavepointPhase::InProgress);
    savepoint.labels_mut().clear();
    assert_eq!(missing_labels(&savepoint), None);
}
