use std::sync::Arc;

use rstest::rstest;
use serde_json::{Value, json};

use super::*;

const UID: &str = "uid-of-orders";

fn job(spec: &Value, status: &Value) -> FlinkJobUpgrade {
    let mut job = json!({"jarURI": "local:///a.jar", "parallelism": 1});
    if let (Some(job), Some(more)) = (job.as_object_mut(), spec.as_object()) {
        job.extend(more.clone());
    }
    serde_json::from_value(json!({
        "apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkJobUpgrade",
        "metadata": {"name": "orders", "namespace": "shop", "uid": UID},
        "spec": {"image": "job:1", "job": job},
        "status": status,
    }))
    .unwrap()
}

/// After two upgrades; the third submission runs.
fn status(submission: &Value) -> Value {
    let mut whole = json!({"jobId": naming::job_id(UID, 3, 3), "revision": 3, "checkpointed": true});
    if let (Some(whole), Some(more)) = (whole.as_object_mut(), submission.as_object()) {
        whole.extend(more.clone());
    }
    json!({"lastRevision": 3, "lastSubmission": 3, "active": {"revision": 3, "submission": whole}})
}

#[rstest]
#[case::it_has_checkpoints_of_its_own(json!({"restoredFrom": "s3://a", "restoreMode": "NO_CLAIM"}), true)]
#[case::it_began_with_nothing(json!({"checkpointed": false}), true)]
#[case::it_still_needs_what_it_began_with(json!({"restoredFrom": "s3://a", "restoreMode": "NO_CLAIM", "checkpointed": false}), false)]
#[case::it_may_refer_to_what_it_claimed(json!({"restoredFrom": "s3://a", "restoreMode": "CLAIM"}), false)]
#[case::nobody_knows_what_it_uses(json!({"restoredFrom": "s3://a", "restoreMode": "LEGACY"}), false)]
fn when_what_has_ended_is_looked_for(#[case] submission: Value, #[case] expected: bool) {
    assert_eq!(matters(&job(&json!({}), &status(&submission))), expected);
}

#[test]
fn it_is_looked_for_once_after_each_submission() {
    let mut swept = status(&json!({}));
    swept["sweptSubmission"] = json!(3);
    assert!(!matters(&job(&json!({}), &swept)));
    swept["lastSubmission"] = json!(4);
    assert!(matters(&job(&json!({}), &swept)));
    swept["upgrade"] = json!({"id": "4-a", "to": 4, "generation": 4, "step": "Starting"});
    assert!(!matters(&job(&json!({}), &swept)), "an upgrade is under way");
}

#[test]
fn only_directories_of_its_own_submissions_that_have_ended() {
    let other = naming::job_id("another", 1, 1);
    let names =
        vec![naming::job_id(UID, 1, 1), naming::job_id(UID, 2, 2), naming::job_id(UID, 3, 3), other, "x".to_owned()];
    let found: Vec<_> = ended(&job(&json!({}), &status(&json!({}))), names.clone()).collect();
    assert_eq!(found, names[..2]);
}

#[rstest]
#[case::nobody(json!({}), json!({}), false)]
#[case::suspended(json!({}), json!({"suspension": {"revision": 1, "jobId": "1", "source": "Checkpoint", "snapshot": "s3://c/a/chk-7"}}), true)]
#[case::an_upgrade_starts_from_it(json!({}), json!({"upgrade": {"id": "1", "to": 1, "generation": 1, "step": "Submitting", "snapshot": "s3://c/a/chk-7"}}), true)]
#[case::its_spec_names_it(json!({"restoreFrom": {"id": "x", "path": "s3a://c/a/chk-7/_metadata"}}), json!({}), true)]
#[case::that_was_acted_upon(json!({"restoreFrom": {"id": "x", "path": "s3://c/a/chk-7"}}), json!({"restoreFromId": "x"}), false)]
#[case::it_was_restored_from_it(json!({}), status(&json!({"restoredFrom": "s3://c/a/chk-7", "checkpointed": false})), true)]
#[case::and_has_checkpoints_of_its_own(json!({}), status(&json!({"restoredFrom": "s3://c/a/chk-7"})), false)]
#[case::it_has_claimed_it(json!({}), status(&json!({"restoredFrom": "s3://c/a/chk-7", "restoreMode": "CLAIM"})), true)]
#[case::it_had_claimed_it(json!({}), json!({"takenOver": ["s3://c/a/chk-7"]}), true)]
#[case::a_neighbour(json!({}), json!({"suspension": {"revision": 1, "jobId": "1", "source": "Checkpoint", "snapshot": "s3://c/ab/chk-7"}}), false)]
fn what_a_job_needs_stays(#[case] spec: Value, #[case] status: Value, #[case] needed: bool) {
    assert_eq!(
        is_needed("s3://c/a", &Everybody { jobs: vec![Arc::new(job(&spec, &status))], savepoints: Vec::new() }),
        needed
    );
}

#[rstest]
#[case::registered(json!({"path": "s3://c/a/chk-7"}), true)]
#[case::about_to_be_copied(json!({"copyOf": {"path": "s3://c/a/chk-7"}, "targetDirectory": "s3://b"}), true)]
#[case::elsewhere(json!({"path": "s3://c/b/chk-7"}), false)]
fn what_a_record_names_stays(#[case] spec: Value, #[case] needed: bool) {
    let savepoint = serde_json::from_value(json!({
        "apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkSavepoint", "metadata": {"name": "x"}, "spec": spec,
    }));
    assert_eq!(
        is_needed("s3://c/a", &Everybody { jobs: Vec::new(), savepoints: vec![Arc::new(savepoint.unwrap())] }),
        needed
    );
}

#[test]
fn who_starts_sees_what_is_about_to_go() {
    let sweeps = job(&json!({}), &json!({"sweep": {"directories": ["s3://c/a"]}}));
    assert_eq!(sweeper("s3://c/a/chk-7", [&sweeps]).as_deref(), Some("orders"));
    assert_eq!(sweeper("s3://c/ab/chk-7", [&sweeps]), None);
}
