use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn job(status: &Value) -> FlinkJobUpgrade {
    serde_json::from_value(json!({
        "apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkJobUpgrade",
        "metadata": {"name": "orders", "namespace": "shop", "uid": "uid-of-orders"},
        "spec": {"image": "job:1", "job": {"jarURI": "local:///a.jar", "parallelism": 1}},
        "status": status,
    }))
    .unwrap()
}

/// The child of an operation, complete and needed by nobody.
fn child(operation: &str) -> FlinkSavepoint {
    let mut labels: std::collections::BTreeMap<_, _> = naming::job_labels("orders", "uid-of-orders");
    labels.insert(naming::LABEL_OPERATION.to_owned(), operation.to_owned());
    serde_json::from_value(json!({
        "apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkSavepoint",
        "metadata": {"name": format!("orders-{operation}"), "namespace": "shop", "labels": labels},
        "spec": {"jobRef": {"kind": "FlinkJobUpgrade", "name": "orders"}, "deletionPolicy": "Delete"},
        "status": {
            "phase": "Completed", "location": format!("s3://flink/sp/{operation}"),
            "conditions": [{
                "type": "Deletable", "status": "True", "reason": "NotHeld", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
        },
    }))
    .unwrap()
}

fn surplus_of(status: &Value, children: Vec<FlinkSavepoint>) -> Option<String> {
    let children: Vec<_> = children.into_iter().map(Arc::new).collect();
    surplus(&job(status), &children).map(ResourceExt::name_any)
}

fn entry(more: &Value) -> Value {
    let mut entry = json!({"id": "9-x", "to": 9, "result": "Succeeded"});
    if let (Some(entry), Some(more)) = (entry.as_object_mut(), more.as_object()) {
        entry.extend(more.clone());
    }
    json!({"history": [entry]})
}

#[rstest]
#[case::nothing_tells_of_it(json!({}), true)]
#[case::its_upgrade_is_in_the_history(entry(&json!({"id": "2-a"})), false)]
#[case::by_name(entry(&json!({"savepoint": "orders-2-a"})), false)]
#[case::the_last_of_blue(entry(&json!({"finalSavepoint": "orders-2-a"})), false)]
#[case::restored_from(entry(&json!({"restoredFrom": "s3://flink/sp/2-a"})), false)]
#[case::under_way(json!({"upgrade": {"id": "2-a", "to": 2, "generation": 2, "step": "Savepoint"}}), false)]
#[case::waited_for(json!({"operation": {"id": "2-a", "kind": "Upgrade"}}), false)]
#[case::the_job_runs_from_it(
    json!({"active": {"revision": 2, "submission": {"jobId": "1", "revision": 2, "restoredFrom": "s3://flink/sp/2-a", "checkpointed": true}}}),
    false
)]
#[case::suspended(json!({"suspension": {"revision": 2, "jobId": "1", "source": "Savepoint", "savepoint": "orders-2-a"}}), false)]
fn what_the_status_tells_of_stays(#[case] status: Value, #[case] goes: bool) {
    assert_eq!(surplus_of(&status, vec![child("2-a")]).is_some(), goes);
}

#[rstest]
#[case::somebody_needs_it(|s: &mut FlinkSavepoint| s.status.as_mut().unwrap().conditions[0].status = "False".to_owned())]
#[case::nobody_knows_yet(|s: &mut FlinkSavepoint| s.status.as_mut().unwrap().conditions.clear())]
#[case::it_goes_already(|s: &mut FlinkSavepoint| s.metadata.deletion_timestamp = s.metadata.creation_timestamp.clone().or_else(|| Some(crate::time::to_k8s(chrono::DateTime::UNIX_EPOCH))))]
#[case::its_files_shall_stay(|s: &mut FlinkSavepoint| s.spec.deletion_policy = Some(DeletionPolicy::Retain))]
#[case::it_is_under_way(|s: &mut FlinkSavepoint| s.status.as_mut().unwrap().phase = Some(SavepointPhase::InProgress))]
fn what_may_not_go_stays(#[case] change: fn(&mut FlinkSavepoint)) {
    let mut child = child("2-a");
    change(&mut child);
    assert_eq!(surplus_of(&json!({}), vec![child]), None);
}

#[test]
fn one_that_failed_goes_with_its_upgrade() {
    let mut failed = child("2-a");
    failed.status.as_mut().unwrap().phase = Some(SavepointPhase::Failed);
    failed.status.as_mut().unwrap().conditions.clear();
    assert!(surplus_of(&json!({}), vec![failed.clone()]).is_some());
    assert_eq!(surplus_of(&entry(&json!({"id": "2-a"})), vec![failed]), None);
}

#[test]
fn the_oldest_goes_first() {
    let (mut old, mut new) = (child("3-b"), child("2-a"));
    old.metadata.creation_timestamp = Some(crate::time::to_k8s(chrono::DateTime::UNIX_EPOCH));
    new.metadata.creation_timestamp =
        Some(crate::time::to_k8s(chrono::DateTime::UNIX_EPOCH + chrono::TimeDelta::days(1)));
    assert_eq!(surplus_of(&json!({}), vec![new, old]).as_deref(), Some("orders-3-b"));
}

#[test]
fn only_its_own() {
    let mut of_a_user = child("2-a");
    of_a_user.labels_mut().remove(naming::LABEL_OPERATION);
    let mut of_an_earlier = child("3-b");
    of_an_earlier.labels_mut().insert(labels::JOB_UID.to_owned(), "another".to_owned());
    let mut elsewhere = child("4-c");
    elsewhere.metadata.namespace = Some("archive".to_owned());
    let known = [of_a_user, of_an_earlier, elsewhere, child("5-d")].into_iter().map(Arc::new).collect();
    let names: Vec<_> = of(&job(&json!({})), known).iter().map(|s| s.name_any()).collect();
    assert_eq!(names, ["orders-5-d"]);
}
