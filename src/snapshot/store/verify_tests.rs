use rstest::rstest;

use super::super::stub_s3::{Fault, Stub};
use super::super::testing::{Folder, metadata, s3, s3_settings, s3_stores, settings, stores};
use super::super::{Progress, Settings, Store, Stores, load, quietly};
use super::{FileFault, Verification, verify};
use crate::snapshot::bytes::{absolute, relative, segment};

async fn verified(stores: &Stores, location: &str) -> Verification {
    let snapshot = load(stores, location, &quietly).await.unwrap();
    verify(stores, &snapshot, &quietly).await.unwrap()
}

fn fault(location: &str, expected: u64, found: Option<u64>) -> FileFault {
    FileFault { location: location.to_owned(), expected, found }
}

/// A savepoint of five files, one of them in a directory, one named by its whole path.
fn savepoint(stub: &Stub) {
    let named = absolute("s3a://flink/sp/1/e", 5);
    let files = [relative("a", 1), relative("b", 2), relative("c", 3), relative("sub/d", 4), named];
    stub.put("sp/1/_metadata", metadata(&files));
    for (name, size) in [("a", 1), ("b", 2), ("c", 3), ("sub/d", 4), ("e", 5)] {
        stub.put(&format!("sp/1/{name}"), vec![0; size]);
    }
    stub.put("sp/10/a", "another's");
}

#[tokio::test]
async fn a_whole_savepoint_is_whole() {
    let stub = s3().await;
    savepoint(&stub);
    let found = verified(&s3_stores(&stub), "s3://flink/sp/1").await;
    assert!(found.is_whole());
    assert_eq!((found.files, found.bytes), (5, 15));
    assert_eq!(found.summary(), "all 5 files are there, 15 bytes");
    let requests = stub.requests();
    assert!(!requests.iter().any(|request| request.starts_with("HEAD")), "{requests:?}");
}

#[tokio::test]
async fn a_savepoint_without_files_is_whole() {
    let stub = s3().await;
    stub.put("sp/1/_metadata", metadata(&[]));
    let found = verified(&s3_stores(&stub), "s3://flink/sp/1").await;
    assert_eq!(found.summary(), "it names no files: all of its state is in _metadata");
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let stub = s3().await;
    savepoint(&stub);
    stub.remove("sp/1/b");
    stub.put("sp/1/c", "12");
    stub.put("sp/1/sub/d", "12345");
    let found = verified(&s3_stores(&stub), "s3://flink/sp/1").await;
    assert!(!found.is_whole());
    assert_eq!((found.files, found.bytes), (2, 6));
    assert_eq!(found.missing, [fault("s3://flink/sp/1/b", 2, None)]);
    let wrong = [fault("s3://flink/sp/1/c", 3, Some(2)), fault("s3://flink/sp/1/sub/d", 4, Some(5))];
    assert_eq!(found.wrong_size, wrong);
    assert_eq!(
        found.summary(),
        "of 5 files 1 missing (first s3://flink/sp/1/b, 2 bytes), \
         2 of the wrong size (first s3://flink/sp/1/c, 2 bytes instead of 3)"
    );
}

#[tokio::test]
async fn a_merged_file_may_be_longer_and_not_shorter() {
    let stub = s3().await;
    let files = [segment("s3://flink/ck/merged", 100, 20, 1), segment("s3://flink/ck/other", 5, 5, 1)];
    stub.put("sp/1/_metadata", metadata(&files));
    stub.put("ck/merged", vec![0; 4096]);
    stub.put("ck/other", vec![0; 9]);
    let found = verified(&s3_stores(&stub), "s3://flink/sp/1").await;
    assert_eq!((found.files, found.bytes), (1, 120));
    assert_eq!(found.wrong_size, [fault("s3://flink/ck/other", 10, Some(9))]);
}

#[tokio::test]
async fn files_outside_are_asked_for_where_they_lie() {
    let stub = s3().await;
    let folder = Folder::new();
    let shared = |name: &str, size| absolute(&format!("{}/{name}", folder.url().replace("file://", "file:")), size);
    let files = [
        absolute("s3://flink/shared/a b%20c", 3),
        absolute("s3a://flink/shared//a b%20c", 3),
        absolute("s3://flink/shared/gone", 7),
        absolute("gs://elsewhere/x", 9),
        absolute("s3://elsewhere/y", 9),
        shared("here", 2),
        shared("gone", 2),
    ];
    stub.put("ck/1/_metadata", metadata(&files));
    stub.put("shared/a b%20c", "123");
    folder.put("here", "12");
    let stores = Stores::new(vec![
        Store::open(&s3_settings(&stub, "s3://flink")).unwrap(),
        Store::open(&settings(&folder.url())).unwrap(),
    ]);
    let found = verified(&stores, "s3://flink/ck/1").await;
    assert_eq!((found.files, found.bytes), (2, 5));
    let gone = format!("{}/gone", folder.url());
    assert_eq!(found.missing, [fault(&gone, 2, None), fault("s3://flink/shared/gone", 7, None)]);
    assert_eq!(found.unreachable, [fault("gs://elsewhere/x", 9, None), fault("s3://elsewhere/y", 9, None)]);
    assert!(found.summary().ends_with("2 in no known store (first gs://elsewhere/x, 9 bytes)"), "{}", found.summary());
    let heads = stub.requests().into_iter().filter(|request| request.starts_with("HEAD")).count();
    assert_eq!(heads, 2, "one file is asked for once, however it is written");
}

#[tokio::test]
async fn of_many_the_first_are_named() {
    let stub = s3().await;
    let files: Vec<_> = (0..50).rev().map(|n| relative(&format!("{n:02}"), 1)).collect();
    stub.put("sp/1/_metadata", metadata(&files));
    let found = verified(&s3_stores(&stub), "s3://flink/sp/1").await;
    assert_eq!((found.missing_count, found.missing.len()), (50, 20));
    assert_eq!(found.missing[0].location, "s3://flink/sp/1/00");
    assert_eq!(found.missing[19].location, "s3://flink/sp/1/19");
}

/// The answer to HEAD says only 404.
#[tokio::test]
async fn a_bucket_that_is_not_there_is_no_missing_file() {
    let stub = s3().await;
    stub.put("ck/1/_metadata", metadata(&[absolute("s3://gone/shared/a", 3)]));
    let open = |url: &str| Store::open(&s3_settings(&stub, url)).unwrap();
    let stores = Stores::new(vec![open("s3://flink"), open("s3://gone")]);
    let snapshot = load(&stores, "s3://flink/ck/1", &quietly).await.unwrap();
    let error = verify(&stores, &snapshot, &quietly).await.unwrap_err();
    assert_eq!(error.reason(), "NoSuchBucket");
}

#[rstest]
#[case("GET", "list-type", Fault::Status(403, "AccessDenied"), "AccessDenied")]
#[case("GET", "continuation-token", Fault::Status(500, "InternalError"), "ServerError")]
#[case("GET", "continuation-token", Fault::Reset(100), "ConnectionCut")]
#[case("GET", "list-type", Fault::End(100), "ConnectionCut")]
#[case("GET", "list-type", Fault::Html, "Refused")]
#[case("HEAD", "", Fault::Status(403, ""), "AccessDenied")]
#[case("HEAD", "", Fault::Close, "ConnectionCut")]
#[tokio::test]
async fn a_store_that_fails_is_an_error(
    #[case] method: &'static str,
    #[case] part: &str,
    #[case] fault: Fault,
    #[case] reason: &str,
) {
    let stub = s3().await;
    savepoint(&stub);
    let files = [relative("a", 1), relative("zz", 1), absolute("s3://flink/shared/x", 1)];
    stub.put("sp/1/_metadata", metadata(&files));
    let stores = s3_stores(&stub);
    let snapshot = load(&stores, "s3://flink/sp/1", &quietly).await.unwrap();
    stub.fail(method, part, 9, fault);
    let error = verify(&stores, &snapshot, &quietly).await.unwrap_err();
    assert_eq!(error.reason(), reason, "{error}");
}

#[tokio::test]
async fn a_directory_is_listed_with_whatever_is_in_it() {
    let folder = Folder::new();
    let files = [relative("a b%20c", 1), relative("sub/ü", 2), relative("gone", 3)];
    folder.put("50% of it/1/_metadata", metadata(&files));
    folder.put("50% of it/1/a b%20c", "1");
    folder.put("50% of it/1/sub/ü", "12");
    let stores = stores(&settings(&folder.url()));
    let location = format!("{}/50% of it/1", folder.url());
    let found = verified(&stores, &location).await;
    assert_eq!((found.files, found.bytes), (2, 3));
    assert_eq!(found.missing, [fault(&format!("{location}/gone"), 3, None)]);
}

#[tokio::test]
async fn progress_is_told() {
    let stub = s3().await;
    stub.put("sp/1/_metadata", metadata(&[relative("a", 1), relative("b", 1), absolute("s3://flink/x", 1)]));
    stub.put("sp/1/a", "1");
    let told = std::sync::Mutex::new(Vec::new());
    let stores = s3_stores(&stub);
    let tell = |progress| told.lock().unwrap().push(progress);
    let snapshot = load(&stores, "s3://flink/sp/1", &tell).await.unwrap();
    verify(&stores, &snapshot, &tell).await.unwrap();
    let all = snapshot.metadata_bytes;
    let told = told.into_inner().unwrap();
    assert!(told.contains(&Progress::Metadata { read: all, of: Some(all) }), "{told:?}");
    assert!(told.ends_with(&[Progress::Listed { files: 1, of: 2 }, Progress::Asked { files: 1, of: 1 }]), "{told:?}");
}

#[tokio::test]
async fn json_has_this_form() {
    let stub = s3().await;
    stub.put("sp/1/_metadata", metadata(&[relative("a", 1)]));
    let found = verified(&s3_stores(&stub), "s3://flink/sp/1").await;
    assert_eq!(
        serde_json::to_string(&found).unwrap(),
        r#"{"files":0,"bytes":0,"missing":[{"location":"s3://flink/sp/1/a","expected":1,"found":null}],"wrongSize":[],"unreachable":[],"missingCount":1,"wrongSizeCount":0,"unreachableCount":0}"#
    );
}

#[test]
fn can_be_spawned() {
    fn check(_: impl Send) {}
    let settings: Settings = settings("file:///srv");
    let stores = stores(&settings);
    check(async move {
        let snapshot = load(&stores, "file:///srv/x", &quietly).await.unwrap();
        verify(&stores, &snapshot, &quietly).await.unwrap();
    });
}
