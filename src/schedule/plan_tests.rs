use chrono::TimeDelta;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Every hour, created at half past nine.
fn observed(spec: &Value, now: &str) -> Observed {
    let mut schedule: FlinkSavepointSchedule = serde_json::from_value(json!({
        "apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkSavepointSchedule",
        "metadata": {
            "name": "nightly", "namespace": "shop", "uid": "u", "generation": 1,
            "creationTimestamp": "2026-11-22T09:30:00Z",
        },
        "spec": {
            "schedule": "0 * * * *",
            "savepointTemplate": {
                "metadata": {"labels": {"team": "shop"}, "annotations": {"note": "a"}},
                "spec": {"jobRef": {"kind": "FlinkJobUpgrade", "name": "orders"}, "formatType": "NATIVE", "backoffLimit": 2},
            },
        },
    }))
    .unwrap();
    let mut given = serde_json::to_value(&schedule.spec).unwrap();
    given.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    schedule.spec = serde_json::from_value(given).unwrap();
    let job = job(&json!({"phase": "Running", "active": active()}));
    Observed { now: at(now), schedule, unknown: Vec::new(), savepoints: Vec::new(), job: Some(job) }
}

fn active() -> Value {
    json!({"revision": 1, "submission": {"jobId": "0".repeat(32), "revision": 1, "attempt": 1}})
}

fn job(status: &Value) -> FlinkJobUpgrade {
    serde_json::from_value(json!({
        "apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkJobUpgrade", "metadata": {"name": "orders"},
        "spec": {"flinkVersion": "v1_20", "job": {"jarURI": "local:///a.jar", "parallelism": 1}},
        "status": status,
    }))
    .unwrap()
}

/// What exists after a pass, and some time later.
fn after(mut o: Observed, plan: Plan, now: &str) -> Observed {
    o.schedule.status = Some(plan.status);
    match plan.effect {
        Some(Effect::Create(mut savepoint)) => {
            savepoint.metadata.uid = Some(format!("uid of {}", savepoint.name_any()));
            o.savepoints.push(*savepoint);
        }
        Some(Effect::Forget(name, _)) => o.savepoints.retain(|savepoint| savepoint.name_any() != name),
        Some(Effect::Supersede(name, slot)) => {
            let told = o.savepoints.iter_mut().find(|savepoint| savepoint.name_any() == name).unwrap();
            told.annotations_mut().insert(annotations::SUPERSEDED_BY.to_owned(), slot);
        }
        None => {}
    }
    o.now = at(now);
    o
}

/// Passes until it waits.
fn settled(mut o: Observed) -> (Observed, Vec<String>) {
    let mut told = Vec::new();
    for _ in 0..20 {
        let plan = plan(&o);
        told.extend(plan.told.iter().map(|(reason, _)| reason.as_str().to_owned()));
        let waits = plan.effect.is_none() && plan.next != Next::Again;
        let now = o.now.to_rfc3339();
        o = after(o, plan, &now);
        if waits {
            return (o, told);
        }
    }
    panic!("it does not come to rest");
}

fn names(o: &Observed) -> Vec<String> {
    o.savepoints.iter().map(ResourceExt::name_any).collect()
}

fn ends(o: &mut Observed, name: &str, phase: &str) {
    let savepoint = o.savepoints.iter_mut().find(|savepoint| savepoint.name_any() == name).unwrap();
    let status = json!({"phase": phase, "completionTime": o.now});
    savepoint.status = Some(serde_json::from_value(status).unwrap());
}

fn status(o: &Observed) -> FlinkSavepointScheduleStatus {
    o.schedule.status.clone().unwrap()
}

fn ready(o: &Observed) -> (String, String) {
    let status = status(o);
    let ready = condition::find(&status.conditions, types::READY).unwrap();
    (ready.reason.clone(), ready.message.clone())
}

#[test]
fn a_slot_s_savepoint_is_made_of_the_template() {
    let (o, _) = settled(observed(&json!({}), "2026-11-22T10:00:05Z"));
    let made = &o.savepoints[0];
    assert_eq!(names(&o), ["nightly-20261122-1000"]);
    assert_eq!(made.namespace().as_deref(), Some("shop"));
    assert_eq!(made.labels()["team"], "shop");
    assert_eq!(made.labels()["savepoints.dev/schedule"], "nightly");
    assert_eq!(made.annotations()["note"], "a");
    assert_eq!(made.spec.format_type, Some(crate::api::FormatType::Native));
    assert_eq!((made.spec.backoff_limit, made.spec.then), (Some(2), None));
    assert!(made.metadata.owner_references.is_none(), "it outlives its schedule");
    assert_eq!(status(&o).active[0].uid.as_deref(), Some("uid of nightly-20261122-1000"));
    assert_eq!(status(&o).last_schedule_time, Some(time::to_k8s(at("2026-11-22T10:00:00Z"))));
    assert_eq!(status(&o).next_schedule_time, Some(time::to_k8s(at("2026-11-22T11:00:00Z"))));
}

/// Before its object is made it stands in the status: whoever comes next makes that one, and no other.
#[test]
fn the_intent_comes_first() {
    let o = observed(&json!({}), "2026-11-22T10:00:05Z");
    let first = plan(&o);
    assert_eq!(first.effect, None);
    assert_eq!(first.status.active, [ObjectRef { name: "nightly-20261122-1000".to_owned(), uid: None }]);
    // The operator is away for an hour.
    let later = after(o, first, "2026-11-22T11:00:05Z");
    let Some(Effect::Create(savepoint)) = plan(&later).effect else { panic!("nothing is made") };
    assert_eq!(savepoint.name_any(), "nightly-20261122-1000");
}

#[test]
fn a_deleted_savepoint_is_not_made_again() {
    let (mut o, _) = settled(observed(&json!({}), "2026-11-22T10:00:05Z"));
    o.savepoints.clear();
    let (o, _) = settled(o);
    assert_eq!((names(&o), status(&o).active), (Vec::<String>::new(), Vec::new()));
    let (o, _) = settled(Observed { now: at("2026-11-22T09:59:00Z"), ..o });
    let (o, _) = settled(Observed { now: at("2026-11-22T10:00:30Z"), ..o });
    assert_eq!(names(&o), Vec::<String>::new(), "the clock went back");
}

#[test]
fn slots_that_nobody_saw_are_counted_and_the_newest_starts() {
    let (o, _) = settled(observed(&json!({}), "2026-11-22T13:30:00Z"));
    assert_eq!((names(&o), status(&o).missed), (vec!["nightly-20261122-1300".to_owned()], Some(3)));
}

#[test]
fn past_its_deadline_a_slot_is_missed() {
    let (o, told) = settled(observed(&json!({"startingDeadlineSeconds": 60}), "2026-11-22T10:05:00Z"));
    assert_eq!((names(&o), status(&o).missed), (Vec::new(), Some(1)));
    assert_eq!(told, ["SlotMissed"]);
}

#[test]
fn a_suspended_schedule_starts_nothing_and_then_the_newest() {
    let (mut o, _) = settled(observed(&json!({"suspend": true}), "2026-11-22T12:05:00Z"));
    assert_eq!((names(&o), status(&o).missed, ready(&o).0), (Vec::new(), None, "Suspended".to_owned()));
    o.schedule.spec.suspend = None;
    let (o, _) = settled(o);
    assert_eq!(names(&o), ["nightly-20261122-1200"]);
}

#[rstest]
#[case::left_out(json!({}), 1)]
#[case::forbid(json!({"concurrencyPolicy": "Forbid"}), 1)]
#[case::allow(json!({"concurrencyPolicy": "Allow"}), 2)]
fn while_one_is_under_way(#[case] spec: Value, #[case] made: usize) {
    let (o, _) = settled(observed(&spec, "2026-11-22T10:00:05Z"));
    let (o, _) = settled(Observed { now: at("2026-11-22T11:00:05Z"), ..o });
    assert_eq!(names(&o).len(), made);
}

/// As with a CronJob: what waited starts late, unless its deadline has passed.
#[rstest]
#[case::no_deadline(json!({}), Some("nightly-20261122-1100"), None)]
#[case::in_time(json!({"startingDeadlineSeconds": 600}), Some("nightly-20261122-1100"), None)]
#[case::too_late(json!({"startingDeadlineSeconds": 60}), None, Some(1))]
fn what_had_to_wait(#[case] spec: Value, #[case] starts: Option<&str>, #[case] missed: Option<i64>) {
    let (o, _) = settled(observed(&spec, "2026-11-22T10:00:05Z"));
    let (mut o, _) = settled(Observed { now: at("2026-11-22T11:00:05Z"), ..o });
    assert!(
        ready(&o).1.contains("slot 2026-11-22T11:00Z waits until nightly-20261122-1000 is settled"),
        "{:?}",
        ready(&o)
    );
    o.now = at("2026-11-22T11:05:00Z");
    ends(&mut o, "nightly-20261122-1000", "Completed");
    let (o, _) = settled(o);
    assert_eq!((names(&o).get(1).map(String::as_str), status(&o).missed), (starts, missed));
    assert_eq!(status(&o).last_successful_time, Some(time::to_k8s(at("2026-11-22T11:05:00Z"))));
}

#[rstest]
#[case::upgrading(json!({"phase": "Upgrading", "active": active(), "upgrade": {"id": "2-a", "generation": 2, "to": 2, "step": "Savepoint"}}), "Upgrading")]
#[case::suspended(json!({"phase": "Suspended"}), "Suspended")]
#[case::failed(json!({"phase": "Failed", "active": active()}), "JobFailed")]
#[case::recovering(json!({"phase": "Recovering", "active": active()}), "Recovering")]
#[case::finished(json!({"phase": "Finished", "active": active()}), "Finished")]
#[case::starting(json!({"phase": "Starting"}), "Starting")]
fn a_job_that_can_give_none_skips_the_slot(#[case] job_status: Value, #[case] reason: &str) {
    let mut o = observed(&json!({}), "2026-11-22T10:00:05Z");
    o.job = Some(job(&job_status));
    let (mut o, told) = settled(o);
    assert_eq!((names(&o), status(&o).missed, told), (Vec::new(), Some(1), vec![reason.to_owned()]));
    // It is not made up for.
    o.job = Some(job(&json!({"phase": "Running", "active": active()})));
    let (o, _) = settled(Observed { now: at("2026-11-22T10:10:00Z"), ..o });
    assert_eq!(names(&o), Vec::<String>::new());
}

/// While a fork runs beside it, the job does as before.
#[test]
fn a_job_with_a_fork_gives_savepoints() {
    let mut o = observed(&json!({}), "2026-11-22T10:00:05Z");
    let forks = json!({"phase": "Upgrading", "active": active(), "upgrade": {"id": "2-a", "generation": 2, "to": 2, "step": "Promotion"}});
    o.job = Some(job(&forks));
    assert_eq!(names(&settled(o).0), ["nightly-20261122-1000"]);
}

#[test]
fn without_a_job_of_that_name_the_slot_is_skipped() {
    let (o, told) = settled(Observed { job: None, ..observed(&json!({}), "2026-11-22T10:00:05Z") });
    assert_eq!((names(&o), told), (Vec::new(), vec!["JobNotFound".to_owned()]));
}

/// Whether a job of a foreign cluster can be asked is found out by its savepoint.
#[test]
fn of_a_foreign_cluster_nothing_is_known_before() {
    let mut o = Observed { job: None, ..observed(&json!({}), "2026-11-22T10:00:05Z") };
    let cluster =
        crate::api::FlinkClusterRef { service: "clicks".to_owned(), ..crate::api::FlinkClusterRef::default() };
    let spec = &mut o.schedule.spec.savepoint_template.spec;
    (spec.job_ref, spec.flink_cluster) = (None, Some(cluster));
    let (o, _) = settled(o);
    assert_eq!(names(&o), ["nightly-20261122-1000"]);
}

#[rstest]
#[case::left_out(json!({}), &["nightly-20261122-1200"])]
#[case::two(json!({"failedHistoryLimit": 2}), &["nightly-20261122-1100", "nightly-20261122-1200"])]
#[case::none(json!({"failedHistoryLimit": 0}), &[])]
fn failed_ones_are_kept_for_a_while(#[case] spec: Value, #[case] kept: &[&str]) {
    let mut o = observed(&spec, "2026-11-22T10:00:05Z");
    for hour in 0..3 {
        o.now = at("2026-11-22T10:00:05Z") + TimeDelta::hours(hour);
        o = settled(o).0;
        let name = naming::slot_name("nightly", at("2026-11-22T10:00:00Z") + TimeDelta::hours(hour));
        ends(&mut o, &name, "Failed");
    }
    assert_eq!(names(&settled(o).0), kept);
}

#[rstest]
#[case::never(json!({"schedule": "0 0 31 2 *"}), "spec.schedule: \"0 0 31 2 *\" never comes true")]
#[case::field(json!({"schedule": "0 24 * * *"}), "spec.schedule: \"0 24 * * *\" is no cron expression: hour: \"24\" is not within 0 and 23")]
#[case::zone(json!({"timeZone": "Europe/Nowhere"}), "spec.timeZone: \"Europe/Nowhere\" is no time zone")]
fn what_can_t_be_read_is_told(#[case] spec: Value, #[case] message: &str) {
    let (o, _) = settled(observed(&spec, "2026-11-22T10:00:05Z"));
    let (reason, told) = ready(&o);
    assert!(reason == "InvalidSpec" && told.starts_with(message) && told.contains("; give "), "{told}");
    assert!(condition::is_true(&status(&o).conditions, types::STALLED));
}

/// Whatever made the job restart would do so again.
#[test]
fn a_savepoint_that_does_harm_ends_the_slots_until_it_is_deleted() {
    let (mut o, _) = settled(observed(&json!({"failedHistoryLimit": 0}), "2026-11-22T10:00:05Z"));
    ends(&mut o, "nightly-20261122-1000", "Failed");
    let ready = json!([{
        "type": "Ready", "status": "False", "reason": "SnapshotHarmsJob", "message": "",
        "lastTransitionTime": "2026-11-22T10:00:05Z",
    }]);
    o.savepoints[0].status.as_mut().unwrap().conditions = serde_json::from_value(ready).unwrap();
    let (mut o, _) = settled(Observed { now: at("2026-11-22T12:30:00Z"), ..o });
    assert_eq!((names(&o).len(), status(&o).next_schedule_time.clone()), (1, None));
    assert!(condition::is_true(&status(&o).conditions, types::STALLED), "{:?}", status(&o));
    o.savepoints.clear();
    assert_eq!(names(&settled(o).0), ["nightly-20261122-1200"]);
}

/// Schedules of the same minute do not start together; each always by the same time later.
#[test]
fn jitter_spreads() {
    let offset = |name: &str| {
        let mut o = observed(&json!({"jitterSeconds": 599}), "2026-11-22T10:00:00Z");
        o.schedule.metadata.name = Some(name.to_owned());
        let next = time::from_k8s(&status(&settled(o).0).next_schedule_time.unwrap());
        (next - at("2026-11-22T10:00:00Z")).num_seconds()
    };
    let offsets: std::collections::BTreeSet<i64> = (0..100).map(|n| offset(&format!("s{n}"))).collect();
    assert!(offsets.len() > 80 && offsets.iter().all(|offset| (0..600).contains(offset)), "{offsets:?}");
    assert_eq!(offset("s1"), 76, "whoever looks, and with whichever version");
}

/// A second look changes nothing.
#[test]
fn at_rest_nothing_is_written() {
    let (mut o, _) = settled(observed(&json!({}), "2026-11-22T10:00:05Z"));
    for (now, phase) in [("2026-11-22T10:00:06Z", "InProgress"), ("2026-11-22T10:00:09Z", "Completed")] {
        o.now = at(now);
        ends(&mut o, "nightly-20261122-1000", phase);
        o = settled(o).0;
        let before = status(&o);
        o.now += TimeDelta::minutes(30);
        let plan = plan(&o);
        assert_eq!((plan.status, plan.effect), (before, None));
    }
}

/// Flink can't abort a savepoint: the newer slot waits, and the older result is not used.
#[test]
fn the_newer_one_takes_the_place() {
    let (mut o, _) = settled(observed(&json!({"concurrencyPolicy": "Replace"}), "2026-11-22T10:00:05Z"));
    o.now = at("2026-11-22T11:00:05Z");
    let (mut o, _) = settled(o);
    assert_eq!(names(&o), ["nightly-20261122-1000"]);
    assert_eq!(o.savepoints[0].annotations()[annotations::SUPERSEDED_BY], "nightly-20261122-1100");
    ends(&mut o, "nightly-20261122-1000", "Superseded");
    let (o, _) = settled(o);
    assert_eq!(names(&o), ["nightly-20261122-1000", "nightly-20261122-1100"]);
}

#[test]
fn a_person_has_one_taken_at_once_and_once() {
    let mut o = observed(&json!({"suspend": true}), "2026-11-22T09:40:00Z");
    let (quiet, _) = settled(o.clone());
    assert!(names(&quiet).is_empty());
    o.schedule.annotations_mut().insert(annotations::RUN_NOW.to_owned(), "before the release".to_owned());
    let (mut o, _) = settled(o);
    let name = naming::run_now_name("nightly", "before the release");
    assert_eq!(names(&o), std::slice::from_ref(&name));
    ends(&mut o, &name, "Completed");
    let (mut o, _) = settled(o);
    o.savepoints.clear();
    let (mut o, _) = settled(o);
    assert!(names(&o).is_empty(), "the same word does nothing again");
    o.schedule.annotations_mut().insert(annotations::RUN_NOW.to_owned(), "again".to_owned());
    let (o, _) = settled(o);
    assert_eq!(names(&o), [naming::run_now_name("nightly", "again")]);
}

/// What a person has asked for is not given up for a slot.
#[test]
fn a_slot_takes_no_place_of_what_was_asked_for() {
    let mut o = observed(&json!({"concurrencyPolicy": "Replace"}), "2026-11-22T09:58:00Z");
    o.schedule.annotations_mut().insert(annotations::RUN_NOW.to_owned(), "a".to_owned());
    let (mut o, _) = settled(o);
    o.now = at("2026-11-22T10:00:05Z");
    let (o, _) = settled(o);
    assert_eq!(names(&o), [naming::run_now_name("nightly", "a")]);
    assert!(!o.savepoints[0].annotations().contains_key(annotations::SUPERSEDED_BY));
}

/// However much is to go, a slot starts at its time.
#[test]
fn a_slot_does_not_wait_for_what_goes() {
    let mut o = observed(&json!({"failedHistoryLimit": 0}), "2026-11-22T09:40:00Z");
    let failed = |n: usize| {
        let mut savepoint = FlinkSavepoint::new(&format!("nightly-{n}"), FlinkSavepointSpec::default());
        savepoint.status = serde_json::from_value(json!({"phase": "Failed"})).unwrap();
        savepoint
    };
    o.savepoints = (0..5).map(failed).collect();
    assert!(matches!(plan(&o).effect, Some(Effect::Forget(..))));
    o.now = at("2026-11-22T10:00:00Z");
    let slot = plan(&o);
    assert_eq!((slot.effect.clone(), slot.status.active.len(), slot.next), (None, 1, Next::Again));
    let o = after(o, slot, "2026-11-22T10:00:00Z");
    assert!(matches!(plan(&o).effect, Some(Effect::Create(_))));
}

/// A slot that waits for ever waits for a person: what for is said here, too.
#[test]
fn a_savepoint_that_does_not_go_on_is_told() {
    let (mut o, _) = settled(observed(&json!({}), "2026-11-22T10:00:05Z"));
    let stalled = json!([{
        "type": "Stalled", "status": "True", "reason": "FilesMissing", "message": "put them back",
        "lastTransitionTime": "2026-11-22T10:00:05Z",
    }]);
    o.savepoints[0].status = serde_json::from_value(json!({"phase": "Verifying", "conditions": stalled})).unwrap();
    let (o, _) = settled(o);
    let (reason, message) = ready(&o);
    assert_eq!(reason, "SavepointBlocked");
    assert!(message.contains("nightly-20261122-1000") && message.contains("put them back"), "{message}");
}

#[test]
fn a_clock_that_was_ahead_is_told() {
    let mut o = observed(&json!({}), "2026-11-22T10:00:05Z");
    let status = json!({"lastScheduleTime": "2027-11-22T10:00:00Z"});
    o.schedule.status = Some(serde_json::from_value(status).unwrap());
    let (o, _) = settled(o);
    let (reason, message) = ready(&o);
    assert_eq!((names(&o).len(), reason.as_str()), (0, "ClockWentBack"));
    assert!(message.contains("2027-11-22T10:00Z") && message.contains("create the schedule anew"), "{message}");
}
