use rstest::rstest;
use serde_json::{Value, json};

use super::*;

const PLACE: &str = "s3://flink/sp/savepoint-1";

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn savepoint(name: &str, minute: u32, spec: &Value) -> FlinkSavepoint {
    serde_json::from_value(json!({
        "apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkSavepoint",
        "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-of-{name}")},
        "spec": spec,
        "status": {
            "phase": "Completed", "location": format!("s3://flink/sp/{name}"),
            "completionTime": format!("2026-01-01T00:{minute:02}:00Z"),
        },
    }))
    .unwrap()
}

fn of_orders() -> Value {
    json!({"jobRef": {"kind": "FlinkJobUpgrade", "name": "orders"}, "deletionPolicy": "Delete"})
}

fn of_clicks() -> Value {
    json!({"flinkCluster": {"service": "clicks", "jobName": "clicks"}})
}

fn orders(status: &Value) -> FlinkJobUpgrade {
    serde_json::from_value(json!({
        "apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkJobUpgrade",
        "metadata": {"name": "orders", "namespace": "shop", "uid": "uid-of-orders"},
        "spec": {"image": "job:1", "job": {"jarURI": "local:///a.jar", "parallelism": 1}},
        "status": status,
    }))
    .unwrap()
}

/// Who holds the first of these savepoints.
fn holders(jobs: &[FlinkJobUpgrade], savepoints: &[FlinkSavepoint], service_lives: bool) -> Vec<String> {
    let jobs: Vec<_> = jobs.iter().cloned().map(Arc::new).collect();
    let all: Vec<_> = savepoints.iter().cloned().map(Arc::new).collect();
    let holds = World { jobs: &jobs, savepoints: &all, service_lives }.holds(&savepoints[0], now());
    holds.into_iter().map(|hold| format!("{} {}", hold.kind, hold.name)).collect()
}

#[test]
fn the_newest_of_a_job_is_held_by_it() {
    let (older, newer) = (savepoint("older", 1, &of_orders()), savepoint("newer", 2, &of_orders()));
    let job = orders(&json!(null));
    assert!(holders(std::slice::from_ref(&job), &[older.clone(), newer.clone()], false).is_empty());
    assert_eq!(holders(&[job], &[newer.clone(), older], false), ["FlinkJobUpgrade orders"]);
    assert!(holders(&[], &[newer], false).is_empty(), "its job is gone");
}

#[rstest]
#[case::it_failed(json!({"phase": "Failed"}))]
#[case::its_files_go(json!({"phase": "Disposing", "location": PLACE}))]
#[case::files_are_missing(json!({
    "phase": "Completed", "location": PLACE, "completionTime": "2026-01-01T00:09:00Z",
    "conditions": [{"type": "Verified", "status": "False", "reason": "FilesMissing", "message": "", "lastTransitionTime": "2026-01-01T00:09:00Z"}],
}))]
#[case::flink_owns_it(json!({"phase": "Completed", "location": PLACE, "ownership": "Flink", "completionTime": "2026-01-01T00:09:00Z"}))]
fn a_newer_one_that_nobody_can_use_does_not_count(#[case] status: Value) {
    let older = savepoint("older", 1, &of_orders());
    let mut newer = savepoint("newer", 9, &of_orders());
    newer.status = serde_json::from_value(status).unwrap();
    assert_eq!(holders(&[orders(&json!(null))], &[older, newer], false), ["FlinkJobUpgrade orders"]);
}

#[rstest]
#[case::whose_record_only_goes(json!("Retain"), true)]
#[case::that_is_held_itself(json!("Delete"), false)]
fn a_newer_one_that_is_being_deleted(#[case] policy: Value, #[case] held: bool) {
    let older = savepoint("older", 1, &of_orders());
    let mut newer = savepoint("newer", 9, &of_orders());
    newer.spec.deletion_policy = serde_json::from_value(policy).unwrap();
    newer.metadata.deletion_timestamp = Some(time::to_k8s(now()));
    assert_eq!(!holders(&[orders(&json!(null))], &[older, newer], false).is_empty(), held);
}

#[test]
fn the_newest_of_a_foreign_cluster_is_held_as_long_as_its_service_is_there() {
    let (older, newer) = (savepoint("older", 1, &of_clicks()), savepoint("newer", 2, &of_clicks()));
    let other = savepoint("other", 3, &json!({"flinkCluster": {"service": "clicks", "jobName": "views"}}));
    assert_eq!(holders(&[], &[newer.clone(), older.clone(), other], true), ["Service clicks"]);
    assert!(holders(&[], &[older, newer.clone()], true).is_empty());
    assert!(holders(&[], &[newer], false).is_empty());
}

#[test]
fn one_that_was_registered_is_nobody_s_newest() {
    let registered = savepoint("registered", 1, &json!({"path": PLACE}));
    assert!(holders(&[orders(&json!(null))], &[registered], false).is_empty());
}

#[rstest]
#[case::registered(json!({"path": "s3://flink/sp/older"}), json!(null), true)]
#[case::elsewhere(json!({"path": "s3://flink/sp/older-2"}), json!(null), false)]
#[case::copied_by_name(json!({"copyOf": {"name": "older"}, "targetDirectory": "s3://b/c"}), json!({"phase": "InProgress"}), true)]
#[case::copied_by_place(json!({"copyOf": {"path": "s3a://flink/sp/older"}, "targetDirectory": "s3://b/c"}), json!(null), true)]
#[case::a_copy_elsewhere_of_its_name(json!({"copyOf": {"name": "older"}, "targetDirectory": "s3://b/c"}), json!({"phase": "Completed", "location": "s3://flink/sp/older"}), true)]
#[case::the_copy_is_there(json!({"copyOf": {"name": "older"}, "targetDirectory": "s3://b/c"}), json!({"phase": "Completed", "location": "s3://b/c/older"}), false)]
fn other_savepoints_hold_it(#[case] spec: Value, #[case] status: Value, #[case] held: bool) {
    let own = savepoint("older", 1, &of_orders());
    let newer = savepoint("newer", 9, &of_orders());
    let mut other = savepoint("other", 2, &spec);
    other.status = serde_json::from_value(status).unwrap();
    let expected: &[&str] = if held { &["FlinkSavepoint other"] } else { &[] };
    assert_eq!(holders(&[orders(&json!(null))], &[own, newer, other], false), expected);
}

#[test]
fn two_of_the_same_place_that_both_go_do_not_wait_for_each_other() {
    let own = savepoint("older", 1, &of_orders());
    let newer = savepoint("newer", 9, &of_orders());
    let mut twin = savepoint("twin", 1, &json!({"path": "s3://flink/sp/older"}));
    twin.metadata.deletion_timestamp = Some(time::to_k8s(now()));
    assert!(holders(&[], &[own, newer, twin], false).is_empty());
}

#[test]
fn a_person_holds_it_by_an_annotation() {
    let mut own = savepoint("older", 1, &json!({"path": PLACE}));
    own.annotations_mut().insert(annotations::PIN.to_owned(), "audit of 2026".to_owned());
    let jobs = [];
    let all = [Arc::new(own.clone())];
    let holds = World { jobs: &jobs, savepoints: &all, service_lives: false }.holds(&own, now());
    assert_eq!(listed(&holds), "Annotation savepoints.dev/pin: audit of 2026");
}

#[test]
fn a_hold_keeps_its_time_as_long_as_its_reason_stays() {
    let mut own = savepoint("older", 1, &of_orders());
    let jobs = [Arc::new(orders(&json!(null)))];
    let holds = |own: &FlinkSavepoint, seconds| {
        let all = [Arc::new(own.clone())];
        let world = World { jobs: &jobs, savepoints: &all, service_lives: false };
        world.holds(own, now() + chrono::TimeDelta::seconds(seconds))
    };
    let first = holds(&own, 0);
    own.status.as_mut().unwrap().holds.clone_from(&first);
    assert_eq!(holds(&own, 60), first);
    own.status.as_mut().unwrap().holds[0].reason = "another".to_owned();
    assert_ne!(holds(&own, 60), first);
}

#[test]
fn what_a_job_says_is_compared_with_what_is_told() {
    let mut own = savepoint("older", 1, &of_orders());
    let suspended = orders(&json!({
        "suspension": {"revision": 1, "jobId": "1", "source": "Savepoint", "snapshot": "s3://flink/sp/older"},
    }));
    assert!(!agree(&suspended, &own));
    let jobs = [Arc::new(suspended.clone())];
    let all = [Arc::new(own.clone())];
    let holds = World { jobs: &jobs, savepoints: &all, service_lives: false }.holds(&own, now());
    assert_eq!(holds.len(), 2, "the only state of a suspended job is its newest one, too: {holds:?}");
    own.status.as_mut().unwrap().holds = holds;
    assert!(agree(&suspended, &own));
    assert!(!agree(&orders(&json!(null)), &own), "it was resumed");
}

#[test]
fn who_is_not_the_newest_any_more_is_looked_at() {
    let (mut older, newer) = (savepoint("older", 1, &of_orders()), savepoint("newer", 2, &of_orders()));
    let names = |changed: &FlinkSavepoint, known: &[&FlinkSavepoint]| -> Vec<String> {
        let known = known.iter().map(|s| Arc::new(FlinkSavepoint::clone(s))).collect();
        outdated(changed, known).iter().map(|s| s.name_any()).collect()
    };
    assert!(names(&newer, &[&older, &newer]).is_empty(), "nobody has said that it is");
    let jobs = [Arc::new(orders(&json!(null)))];
    let alone = [Arc::new(older.clone())];
    let holds = World { jobs: &jobs, savepoints: &alone, service_lives: false }.holds(&older, now());
    older.status.as_mut().unwrap().holds = holds;
    assert_eq!(names(&newer, &[&older, &newer]), ["older"]);
    let mut gone = newer.clone();
    gone.status.as_mut().unwrap().phase = Some(SavepointPhase::Disposing);
    assert!(names(&gone, &[&older, &gone]).is_empty(), "it is the newest again, and says so");
}

#[test]
fn what_a_copy_or_another_record_has_held_is_told_when_that_changes() {
    let mut original = savepoint("original", 1, &of_orders());
    let copy_of = json!({"copyOf": {"name": "original"}, "targetDirectory": "s3://archive"});
    let mut copy = savepoint("copy", 2, &copy_of);
    copy.status = None;
    let names = |changed: &FlinkSavepoint, original: &FlinkSavepoint| -> Vec<String> {
        outdated(changed, vec![Arc::new(original.clone())]).iter().map(|s| s.name_any()).collect()
    };
    assert_eq!(names(&copy, &original), ["original"], "nobody has said that it is being copied");
    let known = [Arc::new(original.clone()), Arc::new(copy.clone())];
    original.status.as_mut().unwrap().holds =
        World { jobs: &[], savepoints: &known, service_lives: false }.holds(&original, now());
    assert!(names(&copy, &original).is_empty());
    let mut going = copy.clone();
    going.metadata.deletion_timestamp = Some(time::to_k8s(now()));
    assert_eq!(names(&going, &original), ["original"], "it may be its last event");
    let complete = savepoint("copy", 2, &copy_of);
    assert_eq!(names(&complete, &original), ["original"]);
    let mut elsewhere = copy;
    elsewhere.metadata.namespace = Some("other".to_owned());
    original.status.as_mut().unwrap().holds.clear();
    assert!(names(&elsewhere, &original).is_empty());
}

/// A place is the same whichever namespace names it; a name is not.
#[test]
fn other_namespaces_hold_it_by_its_place() {
    let own = savepoint("older", 1, &json!({"path": "s3://flink/sp/older"}));
    let in_archive = |name: &str, spec: &Value| {
        let mut other = savepoint(name, 2, spec);
        other.metadata.namespace = Some("archive".to_owned());
        other.status = None;
        other
    };
    let holds = |other: FlinkSavepoint| holders(&[], &[own.clone(), other], false);
    assert_eq!(holds(in_archive("x", &json!({"path": "s3://flink/sp/older"}))), ["FlinkSavepoint archive/x"]);
    let by_place = json!({"copyOf": {"path": "s3://flink/sp/older"}, "targetDirectory": "s3://b"});
    assert_eq!(holds(in_archive("x", &by_place)), ["FlinkSavepoint archive/x"]);
    assert!(holds(in_archive("x", &json!({"copyOf": {"name": "older"}, "targetDirectory": "s3://b"}))).is_empty());
    let restored = json!({"active": {"revision": 1, "submission": {
        "jobId": "1", "revision": 1, "restoredFrom": "s3://flink/sp/older", "restoreMode": "NO_CLAIM",
    }}});
    let mut job = orders(&restored);
    job.metadata.namespace = Some("archive".to_owned());
    assert_eq!(
        holders(std::slice::from_ref(&job), std::slice::from_ref(&own), false),
        ["FlinkJobUpgrade archive/orders"]
    );
    assert!(!agree(&job, &own));
    let mut told = own.clone();
    let (jobs, all) = ([Arc::new(job.clone())], [Arc::new(own)]);
    let world = World { jobs: &jobs, savepoints: &all, service_lives: false };
    told.status.as_mut().unwrap().holds = world.holds(&told, now());
    assert!(agree(&job, &told));
}

/// One of which nobody could tell whether it is whole does not stand in for one that is.
#[test]
fn the_newest_verified_one_is_held_beside_a_newer_one_that_was_not() {
    let verified = |mut it: FlinkSavepoint, status: &str| {
        let told = json!([{"type": "Verified", "status": status, "reason": "x", "message": "", "lastTransitionTime": "2026-01-01T00:09:00Z"}]);
        it.status.as_mut().unwrap().conditions = serde_json::from_value(told).unwrap();
        it
    };
    let whole = verified(savepoint("whole", 1, &of_orders()), "True");
    let unknown = verified(savepoint("unknown", 2, &of_orders()), "Unknown");
    let older = verified(savepoint("older", 0, &of_orders()), "Unknown");
    let job = [orders(&json!(null))];
    let held = |own: &FlinkSavepoint, others: [&FlinkSavepoint; 2]| {
        !holders(&job, &[own.clone(), others[0].clone(), others[1].clone()], false).is_empty()
    };
    assert!(held(&whole, [&unknown, &older]));
    assert!(held(&unknown, [&whole, &older]));
    assert!(!held(&older, [&whole, &unknown]));
}

#[test]
fn those_of_a_foreign_job_are_told_too() {
    let (older, newer) = (savepoint("older", 1, &of_clicks()), savepoint("newer", 2, &of_clicks()));
    let mut told = older.clone();
    let alone = [Arc::new(older)];
    told.status.as_mut().unwrap().holds =
        World { jobs: &[], savepoints: &alone, service_lives: true }.holds(&told, now());
    let outdated = outdated(&newer, vec![Arc::new(told)]);
    assert_eq!(outdated.iter().map(|s| s.name_any()).collect::<Vec<_>>(), ["older"]);
}
