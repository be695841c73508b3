use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::*;
use crate::api::FlinkSavepointSchedule;
use crate::schedule::plan::plan;

const NOW: &str = "2026-11-22T12:30:00Z";

/// Savepoints of each hour from 08:00 to 12:00, each of which could go.
fn observed(retention: &Value) -> Observed {
    let schedule: FlinkSavepointSchedule = serde_json::from_value(json!({
        "apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkSavepointSchedule",
        "metadata": {"name": "hourly", "namespace": "shop", "uid": "u", "creationTimestamp": "2026-11-22T07:30:00Z"},
        "spec": {
            "schedule": "0 * * * *", "retention": retention,
            "savepointTemplate": {"spec": {"flinkCluster": {"service": "clicks"}}},
        },
        "status": {"lastScheduleTime": "2026-11-22T12:00:00Z", "nextScheduleTime": "2026-11-22T13:00:00Z"},
    }))
    .unwrap();
    let now: DateTime<Utc> = NOW.parse().unwrap();
    Observed { now, schedule, unknown: Vec::new(), savepoints: (8..=12).map(savepoint).collect(), job: None }
}

fn savepoint(hour: u32) -> FlinkSavepoint {
    serde_json::from_value(json!({
        "apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkSavepoint",
        "metadata": {"name": format!("hourly-20261122-{hour:02}00"), "namespace": "shop", "uid": format!("uid-{hour}")},
        "spec": {"flinkCluster": {"service": "clicks"}},
        "status": {
            "phase": "Completed", "completionTime": format!("2026-11-22T{hour:02}:00:05Z"),
            "conditions": [{
                "type": "Deletable", "status": "True", "reason": "NotHeld", "message": "", "lastTransitionTime": NOW,
            }],
        },
    }))
    .unwrap()
}

fn undeletable(o: &mut Observed, hour: usize) {
    o.savepoints[hour - 8].status.as_mut().unwrap().conditions[0].status = "False".to_owned();
}

/// Passes until nothing is forgotten any more: what was, in that order.
fn forgotten(o: &mut Observed) -> Vec<String> {
    let mut gone = Vec::new();
    loop {
        let plan = plan(o);
        o.schedule.status = Some(plan.status);
        let Some(Effect::Forget(name, uid)) = plan.effect else { return gone };
        assert_eq!(o.savepoints.iter().find(|s| s.name_any() == name).unwrap().uid(), uid);
        o.savepoints.retain(|s| s.name_any() != name);
        gone.push(name);
    }
}

#[test]
fn what_no_rule_keeps_goes_the_oldest_first() {
    let mut o = observed(&json!({"keepLast": 2}));
    assert_eq!(forgotten(&mut o), ["hourly-20261122-0800", "hourly-20261122-0900", "hourly-20261122-1000"]);
}

#[test]
fn what_somebody_needs_stays() {
    let mut o = observed(&json!({"keepLast": 1}));
    undeletable(&mut o, 9);
    assert_eq!(forgotten(&mut o), ["hourly-20261122-0800", "hourly-20261122-1000", "hourly-20261122-1100"]);
    let kept = o.schedule.status.unwrap().kept;
    let rules: Vec<_> = kept.iter().map(|kept| (kept.name.as_str(), kept.rules.join(" "))).collect();
    assert_eq!(rules, [("hourly-20261122-1200", "keepLast".to_owned()), ("hourly-20261122-0900", "held".to_owned())]);
}

#[test]
fn as_long_as_nobody_has_said_that_it_could_go_it_stays() {
    let mut o = observed(&json!({"keepLast": 1}));
    o.savepoints[0].status.as_mut().unwrap().conditions.clear();
    assert_eq!(forgotten(&mut o).len(), 3);
}

#[test]
fn what_would_go_next_is_told() {
    let mut o = observed(&json!({"keepLast": 1, "keepWithin": "90m"}));
    forgotten(&mut o);
    let status = o.schedule.status.clone().unwrap();
    assert_eq!(status.expiring, ["hourly-20261122-1100"], "{status:?}");
}

#[test]
fn what_is_superseded_is_kept_by_no_rule() {
    let mut o = observed(&json!({"keepLast": 5}));
    o.savepoints[4].status.as_mut().unwrap().phase = Some(SavepointPhase::Superseded);
    assert_eq!(forgotten(&mut o), ["hourly-20261122-1200"]);
}

#[test]
fn rules_that_keep_nothing_delete_nothing() {
    let mut o = observed(&json!({"keepLast": 0, "keepDaily": 0}));
    assert!(forgotten(&mut o).is_empty());
    let status = o.schedule.status.unwrap();
    let stalled = condition::find(&status.conditions, types::STALLED).unwrap();
    assert!(stalled.message.contains("spec.retention keeps nothing"), "{}", stalled.message);
}

#[test]
fn without_rules_all_stay() {
    let mut o = observed(&json!({"keepLast": 1}));
    forgotten(&mut o);
    o.schedule.spec.retention = None;
    assert!(forgotten(&mut o).is_empty());
    let status = o.schedule.status.unwrap();
    assert!(status.kept.is_empty() && status.expiring.is_empty());
}

#[test]
fn the_files_go_with_what_the_retention_drops_unless_the_template_says_otherwise() {
    let mut o = observed(&json!({"keepLast": 9}));
    o.now = "2026-11-22T13:00:05Z".parse().unwrap();
    o.schedule.status = Some(plan(&o).status);
    let Some(Effect::Create(made)) = plan(&o).effect else { panic!("the slot is due") };
    assert_eq!(made.spec.deletion_policy, Some(crate::api::DeletionPolicy::Delete));
    o.schedule.spec.savepoint_template.spec.deletion_policy = Some(crate::api::DeletionPolicy::Retain);
    let Some(Effect::Create(made)) = plan(&o).effect else { panic!("the slot is due") };
    assert_eq!(made.spec.deletion_policy, Some(crate::api::DeletionPolicy::Retain));
}

/// Each job has its own: the new one's do not push out the last of the old one.
#[test]
fn of_each_job_as_many_are_kept() {
    let mut o = observed(&json!({"keepLast": 2}));
    for savepoint in &mut o.savepoints[..3] {
        savepoint.spec.flink_cluster.as_mut().unwrap().service = "views".to_owned();
    }
    assert_eq!(forgotten(&mut o), ["hourly-20261122-0800"]);
    assert_eq!(o.schedule.status.unwrap().expiring, ["hourly-20261122-1100"]);
}

#[test]
fn what_is_flink_s_is_no_backup() {
    let mut o = observed(&json!({"keepLast": 2}));
    o.savepoints[4].status.as_mut().unwrap().ownership = Some(Ownership::Flink);
    undeletable(&mut o, 12);
    assert_eq!(forgotten(&mut o), ["hourly-20261122-0800", "hourly-20261122-0900"]);
}
