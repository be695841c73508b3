use rstest::rstest;

use super::*;

const UID: &str = "0d9b2a52-1c6f-4f0e-9f5e-3a1b7c2d4e5f";

/// The longest name that a FlinkJobUpgrade may have.
const LONGEST: &str = "abcdefghijklmnopqrstuvwxyz-0123456789-ab";

fn is_dns_1035(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.chars().all(allowed)
}

/// Changing one of these expectations breaks every installation: they are fixed for ever.
#[test]
fn names_are_fixed() {
    assert_eq!(revision_name("orders", 3), "orders-3");
    assert_eq!(helper_name("orders", 3), "orders-3-helper");
    assert_eq!(job_manager_name("orders", 3), "orders-3-jobmanager");
    assert_eq!(job_manager_name(LONGEST, 12), "abcdefghijklmnopqrstuvwxyz-01-ed72905d-12-jobmanager");
    assert_eq!(task_manager_name("orders", 3), "orders-3-taskmanager");
    assert_eq!(stable_service_name("orders"), "orders-rest");
    assert_eq!(account_name("orders"), "orders-flink");
    assert_eq!(upgrade_id(UID, 3), "3-ac117b65");
    assert_eq!(suspend_id(UID, 7), "suspend-7-47ab7991");
    assert_eq!(child_savepoint_name("orders", &upgrade_id(UID, 3)), "orders-3-ac117b65");
    assert_eq!(slot_name("nightly", "2026-11-22T03:00:00Z".parse().unwrap()), "nightly-20261122-0300");
}

#[test]
fn ids_are_fixed() {
    assert_eq!(job_id(UID, 3, 1), "0535e7bb8c985e51380c44c562682471");
    assert_eq!(job_id(UID, 3, 2), "ba0d85f5999c761baa2a2aa7b27c09bc");
    assert_eq!(warm_up_job_id(UID, 3), "675362e34dd8086844f4c52f2e357f07");
    assert_eq!(trigger_id(UID, 1), "30db9eafefeebbbe7b194ad5c0e6ef6d");
}

#[test]
fn directories_are_fixed() {
    assert_eq!(
        savepoint_directory("s3://bucket/sp/", "prod", "before-friday", UID, 2),
        "s3://bucket/sp/prod/before-friday-0d9b2a52/2"
    );
    assert_eq!(job_directory("s3://bucket/ck", "prod", "orders"), "s3://bucket/ck/prod/orders");
    assert_eq!(revision_directory("s3://bucket/ha", "prod", "orders", 3), "s3://bucket/ha/prod/orders/3");
    assert_eq!(warm_up_directory("s3://bucket/ck", UID), format!("s3://bucket/ck/.warm/{UID}"));
}

#[test]
fn labels_are_fixed() {
    let expected = [
        ("app.kubernetes.io/managed-by", "flink-savepoint-operator"),
        ("savepoints.dev/component", "jobmanager"),
        ("savepoints.dev/job", "orders"),
        ("savepoints.dev/job-uid", UID),
        ("savepoints.dev/revision", "3"),
    ];
    assert_eq!(component_labels("orders", UID, 3, labels::JOBMANAGER), expected.map(owned).into());
    assert_eq!(
        revision_selector(UID, 3),
        format!(
            "app.kubernetes.io/managed-by=flink-savepoint-operator,savepoints.dev/job-uid={UID},savepoints.dev/revision=3"
        )
    );
    let all = component_labels("orders", UID, 3, labels::TASKMANAGER);
    let selector = component_selector(UID, 3, labels::TASKMANAGER);
    assert_eq!(selector.len(), 3);
    assert!(selector.iter().all(|(key, value)| all.get(key) == Some(value)), "a selector must select its own pods");
    assert_eq!(LABEL_OPERATION, "savepoints.dev/operation");
}

#[rstest]
#[case("a", 1)]
#[case("orders", 3)]
#[case(LONGEST, 1)]
#[case(LONGEST, 12_345)]
#[case(LONGEST, 999_999_999)]
fn every_name_is_valid(#[case] job: &str, #[case] revision: i64) {
    assert!(job.len() <= 40);
    for name in [
        revision_name(job, revision),
        helper_name(job, revision),
        job_manager_name(job, revision),
        task_manager_name(job, revision),
        stable_service_name(job),
        child_savepoint_name(job, &upgrade_id(UID, revision)),
    ] {
        assert!(is_dns_1035(&name), "{name} has {} characters", name.len());
    }
    // Its pods' label controller-revision-hash is this name, a dash and a hash of up to ten characters.
    let stateful_set = job_manager_name(job, revision);
    assert!(stateful_set.len() + 11 <= 63, "{stateful_set} has {} characters", stateful_set.len());
}

#[test]
fn names_that_are_cut_stay_apart() {
    let other = format!("{}c", &LONGEST[..LONGEST.len() - 1]);
    assert_ne!(job_manager_name(LONGEST, 1), job_manager_name(&other, 1));
    assert_ne!(job_manager_name(LONGEST, 1), job_manager_name(LONGEST, 2));
    // A cut just behind a dash would leave two in a row.
    let dashed = format!("{}-{}", "a".repeat(29), "b".repeat(10));
    assert!(!job_manager_name(&dashed, 1).contains("--"));
}

#[test]
fn ids_differ_by_every_part() {
    let other = "1d9b2a52-1c6f-4f0e-9f5e-3a1b7c2d4e5f";
    let all = [
        job_id(UID, 1, 1),
        job_id(UID, 1, 2),
        job_id(UID, 2, 1),
        job_id(UID, 11, 1),
        job_id(UID, 1, 11),
        job_id(other, 1, 1),
        warm_up_job_id(UID, 1),
        trigger_id(UID, 1),
        trigger_id(other, 1),
    ];
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
    for id in &all {
        assert_eq!(id.len(), 32);
        assert!(id.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c)), "{id}");
    }
}

#[rstest]
#[case("s3://bucket", "s3://bucket/x")]
#[case("s3://bucket/", "s3://bucket/x")]
#[case("s3://bucket/a//", "s3://bucket/a/x")]
#[case("file:///", "file:///x")]
#[case("file:///data", "file:///data/x")]
#[case("/data/", "/data/x")]
#[case("/", "/x")]
fn a_path_is_appended_with_one_slash(#[case] base: &str, #[case] joined: &str) {
    assert_eq!(join(base, "x"), joined);
}

#[test]
fn a_child_is_known_by_its_labels() {
    let mut meta = ObjectMeta::default();
    assert!(!is_child_of(&meta, UID, "3-1a2b3c4d"));
    meta.labels = Some([(LABEL_OPERATION, "3-1a2b3c4d"), (labels::JOB_UID, UID)].map(owned).into());
    assert!(is_child_of(&meta, UID, "3-1a2b3c4d"));
    assert!(!is_child_of(&meta, UID, "4-1a2b3c4d"));
    // An earlier job of the same name had the same operation.
    assert!(!is_child_of(&meta, "another", "3-1a2b3c4d"));
}
