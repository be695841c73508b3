use chrono::DateTime;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::holds::listed;

const PLACE: &str = "s3://flink/sp/savepoint-1";

fn job(namespace: &str, name: &str, wish: &Value, status: &Value) -> Arc<FlinkJobUpgrade> {
    let object = json!({
        "apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkJobUpgrade",
        "metadata": {"name": name, "namespace": namespace, "uid": format!("{namespace}-{name}")},
        "spec": {"image": "job:1", "job": {"jarURI": "local:///a.jar", "parallelism": 1, "restoreFrom": wish}},
        "status": status,
    });
    Arc::new(serde_json::from_value(object).unwrap())
}

fn record(name: &str, more: &Value) -> Arc<FlinkSavepoint> {
    let mut status = json!({"phase": "Completed", "location": PLACE, "completionTime": "2026-01-01T00:00:00Z"});
    status.as_object_mut().unwrap().extend(more["status"].as_object().cloned().unwrap_or_default());
    let spec = if more["spec"].is_null() { json!({"path": PLACE}) } else { more["spec"].clone() };
    let object = json!({
        "apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkSavepoint",
        "metadata": {"name": name, "namespace": "shop", "uid": name, "annotations": more["annotations"]},
        "spec": spec, "status": status,
    });
    Arc::new(serde_json::from_value(object).unwrap())
}

fn own() -> Arc<FlinkJobUpgrade> {
    job("shop", "orders", &json!(null), &json!(null))
}

fn submission(mode: &str, confirmed: bool) -> Value {
    json!({"jobId": "1", "revision": 1, "restoredFrom": PLACE, "restoreMode": mode, "restoreConfirmed": confirmed})
}

fn active(mode: &str, confirmed: bool) -> Value {
    json!({"active": {"revision": 1, "submission": submission(mode, confirmed)}})
}

fn upgrade(more: &Value) -> Value {
    let mut upgrade = json!({"id": "2-a", "to": 2, "generation": 2, "step": "Savepoint"});
    upgrade.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    json!({"upgrade": upgrade})
}

#[rstest]
#[case::it_runs(active("CLAIM", true), true)]
#[case::flink_has_not_said_so(active("CLAIM", false), true)]
#[case::it_is_being_submitted(upgrade(&json!({"submission": submission("CLAIM", false)})), true)]
#[case::it_is_chosen(upgrade(&json!({"restoreMode": "CLAIM", "snapshot": PLACE})), true)]
#[case::its_own_that_was_taken(upgrade(&json!({"restoreMode": "CLAIM", "savepoint": "daily"})), true)]
#[case::its_own_is_another(upgrade(&json!({"restoreMode": "CLAIM", "savepoint": "weekly"})), false)]
#[case::without_a_claim(upgrade(&json!({"restoreMode": "NO_CLAIM", "snapshot": PLACE})), false)]
#[case::it_runs_without(active("NO_CLAIM", true), false)]
#[case::legacy_claims_nothing(active("LEGACY", true), false)]
fn who_has_claimed_it_or_is_about_to(#[case] status: Value, #[case] expected: bool) {
    let everybody = |namespace| Everybody {
        jobs: vec![own(), job(namespace, "clicks", &json!(null), &status)],
        savepoints: vec![record("daily", &json!({}))],
    };
    let claimant = everybody("shop").claimant(&own(), PLACE);
    assert_eq!(claimant, expected.then(|| "FlinkJobUpgrade shop/clicks claims it".to_owned()));
    let by_name = status["upgrade"]["savepoint"].is_string();
    assert_eq!(everybody("archive").claimant(&own(), PLACE).is_some(), expected && !by_name, "of another namespace");
    let itself = Everybody { jobs: vec![job("shop", "orders", &json!(null), &status)], savepoints: Vec::new() };
    assert_eq!(itself.claimant(&own(), PLACE), None);
}

#[test]
fn what_is_flinks_has_an_owner() {
    let none = Everybody { jobs: vec![own()], savepoints: vec![record("daily", &json!({}))] };
    assert_eq!(none.owner(PLACE), None);
    let by_record = record("daily", &json!({"status": {"ownership": "Flink"}}));
    let by_record = Everybody { jobs: vec![own()], savepoints: vec![by_record] };
    assert_eq!(by_record.owner(PLACE).as_deref(), Some("FlinkSavepoint shop/daily says that a job claimed it"));
    let elsewhere = job("archive", "clicks", &json!(null), &active("CLAIM", false));
    let by_job = Everybody { jobs: vec![own(), elsewhere], savepoints: Vec::new() };
    assert_eq!(
        by_job.owner("s3a://flink/sp/savepoint-1/").as_deref(),
        Some("FlinkJobUpgrade archive/clicks claimed it")
    );
}

#[rstest]
#[case::nobody(json!(null), json!(null), json!({}), None)]
#[case::a_job_was_restored(json!(null), active("NO_CLAIM", true), json!({}), Some("clicks"))]
#[case::an_upgrade_starts_there(json!(null), upgrade(&json!({"snapshot": PLACE})), json!({}), Some("clicks"))]
#[case::a_spec_names_it(json!({"id": "a", "path": PLACE}), json!(null), json!({}), Some("clicks"))]
#[case::its_own_checkpoint(
    json!(null),
    json!({"active": {"revision": 1, "submission": {"jobId": "1", "revision": 1, "checkpointDirectory": "s3://flink/sp"}}}),
    json!({}),
    Some("clicks")
)]
#[case::a_person(json!(null), json!(null), json!({"annotations": {"savepoints.dev/pin": "audit"}}), Some("savepoints.dev/pin"))]
#[case::the_newest_of_a_job(
    json!(null),
    json!(null),
    json!({"spec": {"jobRef": {"kind": "FlinkJobUpgrade", "name": "clicks"}}}),
    Some("clicks")
)]
#[case::the_newest_of_its_own(json!(null), json!(null), json!({"spec": {"jobRef": {"kind": "FlinkJobUpgrade", "name": "orders"}}}), None)]
fn who_else_needs_it(#[case] wish: Value, #[case] status: Value, #[case] more: Value, #[case] expected: Option<&str>) {
    let jobs = || vec![own(), job("shop", "clicks", &wish, &status)];
    let names = |savepoints| -> Vec<String> {
        let holds = Everybody { jobs: jobs(), savepoints }.holds(&own(), PLACE, false, DateTime::UNIX_EPOCH);
        holds.into_iter().map(|hold| hold.name).collect()
    };
    assert_eq!(names(vec![record("daily", &more)]).first().map(String::as_str), expected);
    let by_its_place = expected == Some("clicks") && more["spec"].is_null();
    assert_eq!(names(Vec::new()), if by_its_place { vec!["clicks"] } else { Vec::new() }, "without a record");
}

#[test]
fn a_copy_of_a_place_without_a_record_needs_it() {
    let mut copy = FlinkSavepoint::clone(&record(
        "copy",
        &json!({
            "spec": {"copyOf": {"path": PLACE}, "targetDirectory": "s3://archive"},
        }),
    ));
    copy.status = None;
    let everybody = Everybody { jobs: vec![own()], savepoints: vec![Arc::new(copy)] };
    let holds = everybody.holds(&own(), PLACE, false, DateTime::UNIX_EPOCH);
    assert_eq!(listed(&holds), "FlinkSavepoint copy: it is being copied");
}
