use super::super::Options;
use super::super::output::{Answer as _, Format};
use super::super::places::{Keys, Reach};
use super::*;
use crate::snapshot::store::stub_s3::{Fault, Stub};
use crate::snapshot::store::testing::{SECRETS, credentials, metadata, s3};
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

/// With a snapshot of three files, and one beside it.
async fn bucket() -> Stub {
    let stub = s3().await;
    for place in ["sp/savepoint-1", "sp/savepoint-12"] {
        stub.put(&format!("{place}/_metadata"), metadata(&[]));
        stub.put(&format!("{place}/0a"), "x");
        stub.put(&format!("{place}/0b"), "y");
    }
    stub
}

async fn disposed(stub: &Stub, unfinished: bool) -> Result<u8, String> {
    let (output, no_progress) = (Format::Json, true);
    let options = Options { output, endpoint: None, region: None, uids: Vec::new(), uids_file: None, no_progress };
    let reach = Reach::new(Some(stub.endpoint.clone()), None, Keys::Whole(credentials()));
    let session = Session { options: &options, reach, uids: Vec::new() };
    let consent = Consent { yes: true, unfinished };
    let disposed = dispose(&session, "s3://flink/sp/savepoint-1", consent).await;
    disposed.map_err(|error| crate::runtime::error::chain(&error))
}

const BESIDE: [&str; 3] = ["sp/savepoint-12/0a", "sp/savepoint-12/0b", "sp/savepoint-12/_metadata"];

#[tokio::test]
async fn deletes_in_a_bucket() {
    let stub = bucket().await;
    assert_eq!(disposed(&stub, false).await, Ok(0));
    assert_eq!(stub.keys(), BESIDE);
}

#[tokio::test]
async fn what_is_in_the_way_is_told_and_how_to_go_on() {
    let stub = bucket().await;
    stub.keep("sp/savepoint-1/0b");
    let error = disposed(&stub, false).await.unwrap_err();
    assert!(error.starts_with("s3://flink/sp/savepoint-1/0b: "), "{error}");
    assert!(error.ends_with("; then run it again, with --unfinished if the _metadata is gone by now"), "{error}");
    assert!(!SECRETS.iter().any(|secret| error.contains(secret)), "{error}");
    stub.release();
    let error = disposed(&stub, false).await.unwrap_err();
    assert!(error.contains("holds files and no _metadata (1 of them)"), "{error}");
    assert_eq!(disposed(&stub, true).await, Ok(0));
    assert_eq!(stub.keys(), BESIDE);
}

/// Not asked for ever.
#[tokio::test]
async fn a_server_that_only_says_that_it_deletes() {
    let stub = bucket().await;
    stub.fail("POST", "delete", 9, Fault::Says("<DeleteResult></DeleteResult>"));
    let error = disposed(&stub, false).await.unwrap_err();
    assert!(error.contains("2 are left as before"), "{error}");
    assert_eq!(stub.requests().iter().filter(|request| request.starts_with("POST")).count(), 2);
}
