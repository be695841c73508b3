use super::super::output::Answer as _;
use super::*;
use crate::snapshot::{Collector, Limits};

const AMOUNT: Amount = Amount { files: 1234, bytes: 2048 };
const PLACE: &str = "s3://bucket/savepoint-1";

fn snapshot() -> Snapshot {
    Snapshot {
        directory: PLACE.to_owned(),
        metadata: format!("{PLACE}/_metadata"),
        metadata_bytes: 100,
        facts: Collector::new(Limits::default()).finish().unwrap(),
    }
}

#[test]
fn says_what_is_and_what_would_be() {
    let snapshot = snapshot();
    let table = |whole: bool, deleted| Disposal::new(PLACE, whole.then_some(&snapshot), AMOUNT, deleted).table();
    let ends = [
        (table(true, true), "1,234 files, 2.00 KiB freed\n", "DELETED: snapshot "),
        (table(true, false), "1,234 files, 2.00 KiB would be deleted: add --yes to delete\n", "NOT DELETED: snapshot "),
        (table(false, true), "1,234 files, 2.00 KiB freed\n", "DELETED: files without _metadata"),
        (table(false, false), "would be deleted: add --yes --unfinished to delete\n", "NOT DELETED: files without _"),
    ];
    for (table, end, begin) in ends {
        assert!(table.starts_with(begin) && table.ends_with(end), "{table}");
    }
}

#[test]
fn the_stable_form_is_the_location_and_what_it_held() {
    let json = serde_json::to_value(Disposal::new(PLACE, None, AMOUNT, true)).unwrap();
    let expected = serde_json::json!({
        "location": PLACE, "deleted": true, "unfinished": true, "files": 1234, "bytes": 2048, "filesElsewhere": 0,
        "bytesElsewhere": 0,
    });
    assert_eq!(json, expected);
}
