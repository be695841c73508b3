use rstest::rstest;

use super::super::output::Answer as _;
use super::{FileFault, Snapshot, Verification, Verified};
use crate::snapshot::{Collector, Limits};

fn snapshot() -> Snapshot {
    Snapshot {
        directory: "s3://bucket/savepoint-1".to_owned(),
        metadata: "s3://bucket/savepoint-1/_metadata".to_owned(),
        metadata_bytes: 100,
        facts: Collector::new(Limits::default()).finish().unwrap(),
    }
}

fn faults(count: u64) -> Vec<FileFault> {
    let fault = |n| FileFault { location: format!("s3://bucket/{n:02}"), expected: 1234, found: None };
    (0..count.min(20)).map(fault).collect()
}

fn found(missing: u64, wrong_size: u64, unreachable: u64) -> Verification {
    Verification {
        files: 3,
        bytes: 3000,
        missing: faults(missing),
        wrong_size: faults(wrong_size),
        unreachable: faults(unreachable),
        missing_count: missing,
        wrong_size_count: wrong_size,
        unreachable_count: unreachable,
    }
}

#[rstest]
#[case::whole(found(0, 0, 0), 0, "WHOLE: ")]
#[case::missing(found(1, 0, 0), 1, "NOT WHOLE: ")]
#[case::wrong_size(found(0, 1, 0), 1, "NOT WHOLE: ")]
#[case::missing_and_out_of_reach(found(1, 0, 1), 1, "NOT WHOLE: ")]
#[case::out_of_reach_only(found(0, 0, 1), 2, "UNKNOWN: ")]
fn the_exit_code_and_the_first_word_agree(#[case] found: Verification, #[case] code: u8, #[case] word: &str) {
    let snapshot = snapshot();
    let verified = Verified::new(&snapshot, found);
    assert_eq!(verified.exit_code(), code);
    assert!(verified.table().starts_with(word), "{}", verified.table());
}

#[test]
fn faults_that_are_not_listed_are_counted() {
    let snapshot = snapshot();
    let table = Verified::new(&snapshot, found(1234, 2, 0)).table();
    let rows: Vec<&str> = table.lines().skip_while(|line| !line.starts_with("FAULT")).collect();
    assert!(table.contains("\nof 1,239 files: 1,234 missing, 2 wrong size\n"), "{table}");
    assert_eq!(rows.len(), 1 + 20 + 1 + 2, "{table}");
    assert_eq!(rows[0], "FAULT       EXPECTED  FOUND  FILE");
    assert_eq!(rows[1], "missing      1,234 B      -  s3://bucket/00");
    assert_eq!(rows[21], "missing                      and 1,214 more");
    assert_eq!(rows[22], "wrong size   1,234 B      -  s3://bucket/00");
}

#[test]
fn the_stable_form_is_the_location_and_the_verification() {
    let snapshot = snapshot();
    let json = serde_json::to_value(Verified::new(&snapshot, found(0, 1, 0))).unwrap();
    let fault = serde_json::json!({ "location": "s3://bucket/00", "expected": 1234, "found": null });
    let expected = serde_json::json!({
        "location": "s3://bucket/savepoint-1", "files": 3, "bytes": 3000, "missing": [], "wrongSize": [fault],
        "unreachable": [], "missingCount": 0, "wrongSizeCount": 1, "unreachableCount": 0,
    });
    assert_eq!(json, expected);
}
