use rstest::rstest;
use serde_json::{Value, json};

use super::*;

const PLACE: &str = "s3://flink/sp/savepoint-1";

fn job(spec: &Value, status: &Value) -> FlinkJobUpgrade {
    let mut job = json!({"jarURI": "local:///a.jar", "parallelism": 1});
    if let (Some(job), Some(more)) = (job.as_object_mut(), spec.as_object()) {
        job.extend(more.clone());
    }
    serde_json::from_value(json!({
        "apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkJobUpgrade",
        "metadata": {"name": "orders", "namespace": "shop", "uid": "uid-of-orders"},
        "spec": {"image": "job:1", "job": job},
        "status": status,
    }))
    .unwrap()
}

fn savepoint() -> FlinkSavepoint {
    serde_json::from_value(json!({
        "apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkSavepoint",
        "metadata": {"name": "daily", "namespace": "shop", "uid": "uid-of-daily"},
        "spec": {"jobRef": {"kind": "FlinkJobUpgrade", "name": "orders"}},
        "status": {"phase": "Completed", "location": PLACE},
    }))
    .unwrap()
}

fn active(submission: &Value) -> Value {
    let mut whole = json!({"jobId": "1", "revision": 1});
    if let (Some(whole), Some(more)) = (whole.as_object_mut(), submission.as_object()) {
        whole.extend(more.clone());
    }
    json!({"active": {"revision": 1, "submission": whole}})
}

fn upgrade(more: &Value) -> Value {
    let mut whole = json!({"id": "2-a", "from": 1, "to": 2, "generation": 2, "step": "Submitting"});
    if let (Some(whole), Some(more)) = (whole.as_object_mut(), more.as_object()) {
        whole.extend(more.clone());
    }
    json!({"upgrade": whole})
}

#[rstest]
#[case::nothing_is_known(json!(null), &[])]
#[case::just_restored(active(&json!({"restoredFrom": PLACE, "restoreMode": "NO_CLAIM"})), &[Need::Restored])]
#[case::written_otherwise(active(&json!({"restoredFrom": "s3a://flink/sp/savepoint-1/", "restoreMode": "NO_CLAIM"})), &[Need::Restored])]
#[case::it_has_a_checkpoint_of_its_own(active(&json!({"restoredFrom": PLACE, "restoreMode": "NO_CLAIM", "checkpointed": true})), &[])]
#[case::of_another_place(active(&json!({"restoredFrom": "s3://flink/sp/savepoint-12", "restoreMode": "NO_CLAIM"})), &[])]
#[case::nobody_s(active(&json!({"restoredFrom": PLACE, "restoreMode": "LEGACY", "checkpointed": true})), &[Need::Legacy])]
#[case::it_is_chosen(upgrade(&json!({"snapshot": PLACE})), &[Need::Upgrade])]
#[case::the_way_back(upgrade(&json!({"savepointLocation": PLACE})), &[Need::Upgrade])]
#[case::it_is_submitted(upgrade(&json!({"submission": {"jobId": "2", "revision": 2, "restoredFrom": PLACE}})), &[Need::Upgrade])]
#[case::by_its_name(upgrade(&json!({"savepoint": "daily"})), &[Need::Upgrade])]
#[case::the_last_of_blue(upgrade(&json!({"finalSavepoint": "daily"})), &[Need::Upgrade])]
#[case::it_is_waited_for(json!({"operation": {"id": "x", "kind": "Suspend", "savepoint": {"name": "daily"}}}), &[Need::Operation])]
#[case::it_is_taken_for_its_own_sake(json!({"operation": {"id": "x", "kind": "Savepoint", "savepoint": {"name": "daily"}}}), &[])]
#[case::another_is_waited_for(json!({"operation": {"id": "x", "kind": "Suspend", "savepoint": {"name": "weekly"}}}), &[])]
#[case::suspended(json!({"suspension": {"revision": 1, "jobId": "1", "source": "Savepoint", "snapshot": PLACE}}), &[Need::Suspended])]
#[case::failed(
    json!({"phase": "Failed", "active": {"revision": 1, "submission": {"jobId": "1", "revision": 1}, "lastCheckpoint": {"id": 7, "path": PLACE}}}),
    &[Need::Failed]
)]
#[case::the_same_of_one_that_runs(
    json!({"phase": "Running", "active": {"revision": 1, "submission": {"jobId": "1", "revision": 1}, "lastCheckpoint": {"id": 7, "path": PLACE}}}),
    &[]
)]
#[case::a_checkpoint_of_one_that_runs(
    json!({"phase": "Running", "active": {"revision": 1, "submission": {"jobId": "1", "revision": 1, "checkpointDirectory": "s3a://flink/sp/"}}}),
    &[Need::Checkpoint]
)]
#[case::a_checkpoint_of_the_next_one(
    upgrade(&json!({"submission": {"jobId": "2", "revision": 2, "checkpointDirectory": "s3://flink/sp"}})), &[Need::Checkpoint]
)]
#[case::it_is_being_claimed(
    upgrade(&json!({"submission": {"jobId": "2", "revision": 2, "restoredFrom": PLACE, "restoreMode": "CLAIM"}})),
    &[Need::Claimed, Need::Upgrade]
)]
#[case::it_was_claimed(
    active(&json!({"restoredFrom": PLACE, "restoreMode": "CLAIM", "restoreConfirmed": true, "checkpointed": true})), &[]
)]
fn what_a_status_needs(#[case] status: Value, #[case] expected: &[Need]) {
    assert_eq!(to(&job(&json!({}), &status), &savepoint()), expected);
}

#[rstest]
#[case::by_its_name(json!({"id": "a", "savepointRef": {"name": "daily"}}), true)]
#[case::another(json!({"id": "a", "savepointRef": {"name": "weekly"}}), false)]
#[case::by_its_place(json!({"id": "a", "path": PLACE}), true)]
#[case::by_its_metadata(json!({"id": "a", "path": "s3://flink/sp/savepoint-1/_metadata"}), true)]
#[case::acted_upon(json!({"id": "done", "path": PLACE}), false)]
#[case::of_another_s_own(json!({"id": "a", "fromJob": {"name": "clicks"}}), false)]
fn what_a_spec_needs(#[case] wish: Value, #[case] expected: bool) {
    let job = job(&json!({"restoreFrom": wish}), &json!({"restoreFromId": "done"}));
    assert_eq!(to(&job, &savepoint()) == [Need::RestoreFrom], expected);
}

#[test]
fn what_a_fork_has_taken_is_needed_until_it_runs() {
    let job = job(&json!({"restoreFrom": {"id": "a", "fromJob": {"name": "clicks"}}}), &json!(null));
    let mut taken = savepoint();
    taken.metadata.labels = Some(naming::job_labels("orders", "uid-of-orders").into_iter().collect());
    let id = naming::fork_id("uid-of-orders", "a");
    taken.labels_mut().insert(naming::LABEL_OPERATION.to_owned(), id);
    assert_eq!(to(&job, &taken), [Need::RestoreFrom]);
}

#[test]
fn of_another_namespace_only_the_place_counts() {
    let mut there = savepoint();
    there.metadata.namespace = Some("archive".to_owned());
    let by_name = job(&json!({"restoreFrom": {"id": "a", "savepointRef": {"name": "daily"}}}), &json!(null));
    assert!(to(&by_name, &there).is_empty());
    let by_place = job(&json!({"restoreFrom": {"id": "a", "path": PLACE}}), &json!(null));
    assert_eq!(to(&by_place, &there), [Need::RestoreFrom]);
}
