//! Copies that come to no good end.

use std::sync::{Arc, Mutex};

use object_store::memory::InMemory;
use rstest::rstest;

use super::super::stub_s3::{Fault, Stub};
use super::super::testing::{impatient, metadata, s3_settings, s3_stores, stores};
use super::super::{CopyProgress, Patience, Settings, Snapshot, Store, Stores, load, quietly};
use super::copy;
use super::tests::{BYTES, SHARED, SOURCE, TARGET, checkpoint, copied, servers, store, written};
use crate::snapshot::bytes::relative;

#[tokio::test]
async fn without_all_of_it_there_is_no_metadata() {
    let (source, target, snapshot) = servers().await;
    copied(&source, &snapshot, &target).await.unwrap();
    let all = written(&target);
    // Whichever write fails.
    for failing in &all {
        let (source, target, snapshot) = servers().await;
        target.fail("PUT", failing, 1, Fault::Status(403, "AccessDenied"));
        let error = copied(&source, &snapshot, &target).await.unwrap_err();
        assert_eq!(error.reason(), "AccessDenied");
        assert!(!target.keys().iter().any(|key| key.ends_with("_metadata")), "{failing}: {:?}", target.keys());
        assert!(!target.keys().contains(failing));
        let copies = Stores::new(vec![store(&target, "s3://dr")]);
        assert!(load(&copies, TARGET, &quietly).await.is_err());
        // The next one goes on: what is there is not read again.
        let (there, before) = (target.keys(), source.requests().len());
        let made = copied(&source, &snapshot, &target).await.unwrap();
        assert_eq!(made.copied_files, 7 - there.len() as u64, "{failing}");
        assert_eq!((made.files, made.bytes), (7, BYTES));
        let read = source.requests().split_off(before);
        let read =
            read.iter().filter(|request| request.starts_with("GET /flink/ck/job/") && !request.contains("_metadata"));
        // The empty one is not read at all.
        let empty = usize::from(!there.contains(&"copies/7/empty".to_owned()));
        assert_eq!(read.count() + empty, 7 - there.len(), "{failing}");
        let mut twice = written(&target);
        twice.retain(|key| there.contains(key));
        assert_eq!(twice.len(), there.len(), "{failing}: written once");
    }
}

#[rstest]
#[case::cut(Fault::End(100), "ShortRead", true)]
#[case::gone(Fault::Status(404, "NoSuchKey"), "NotFound", false)]
#[case::silent(Fault::Stall(200), "TimedOut", true)]
#[case::something_else(Fault::Html, "SourceChanged", true)]
#[tokio::test]
async fn a_metadata_that_does_not_arrive_is_not_written(
    #[case] fault: Fault,
    #[case] reason: &str,
    #[case] transient: bool,
) {
    let (source, target, snapshot) = servers().await;
    source.fail("GET", "_metadata", 9, fault);
    let patience = if reason == "TimedOut" { impatient() } else { Patience::default() };
    let from = stores(&Settings { patience, ..s3_settings(&source, "s3://flink") });
    let error = copy(&from, &snapshot, &store(&target, "s3://dr"), TARGET, &quietly).await.unwrap_err();
    assert_eq!((error.reason(), error.is_transient()), (reason, transient), "{error}");
    assert_eq!(target.keys().len(), 7, "the files are there");
    assert_eq!(target.open_uploads(), 0);
}

#[tokio::test]
async fn a_metadata_that_has_changed_is_not_written() {
    for changed in [metadata(&[relative("own", 3)]), checkpoint()[..300].to_vec(), Vec::new()] {
        let (source, target, snapshot) = servers().await;
        source.put("ck/job/chk-7/_metadata", changed);
        let error = copied(&source, &snapshot, &target).await.unwrap_err();
        assert_eq!(error.reason(), "SourceChanged", "{error}");
        assert!(!target.keys().iter().any(|key| key.ends_with("_metadata")));
    }
    // Of the same length, with another state.
    let (source, target, snapshot) = servers().await;
    let mut changed = checkpoint();
    let at = changed.windows(8).position(|window| window == 41_i64.to_be_bytes()).unwrap();
    changed[at + 7] += 1;
    source.put("ck/job/chk-7/_metadata", changed);
    let error = copied(&source, &snapshot, &target).await.unwrap_err();
    assert_eq!((error.reason(), error.is_transient()), ("SourceChanged", true), "{error}");
    assert!(error.to_string().contains("chk-7/_metadata has changed"), "{error}");
    assert!(!target.keys().iter().any(|key| key.ends_with("_metadata")));
}

#[tokio::test]
async fn a_file_of_another_length_than_it_was_is_told() {
    let (source, target, snapshot) = servers().await;
    source.fail("GET", "shared/x", 9, Fault::Html);
    let error = copied(&source, &snapshot, &target).await.unwrap_err();
    assert_eq!((error.reason(), error.is_transient()), ("SourceChanged", true));
    assert!(error.to_string().contains("s3://flink/ck/job/shared/x has changed"), "{error}");
    assert!(!target.keys().iter().any(|key| key.contains(SHARED)));
}

#[tokio::test]
async fn paths_that_java_can_not_write_are_told() {
    let (source, _, snapshot) = servers().await;
    let to = Store::over("s3://dr", Arc::new(InMemory::new()));
    let target = format!("s3://dr/{}", "x".repeat(66_000));
    let error = copy(&s3_stores(&source), &snapshot, &to, &target, &quietly).await.unwrap_err();
    assert_eq!((error.reason(), error.is_transient()), ("PathTooLong", false));
    assert!(error.to_string().len() < 1000, "{error}");
    assert!(load(&Stores::new(vec![to]), &target, &quietly).await.is_err());
}

/// A file of more than one part.
async fn large() -> (Stub, Stub, Snapshot, Vec<u8>) {
    let (source, target, _) = servers().await;
    let content: Vec<u8> = (0..12_000_000_u32).map(|n| n.to_le_bytes()[usize::try_from(n % 3).unwrap()]).collect();
    source.put("ck/job/chk-7/_metadata", metadata(&[relative("large", 12_000_000), relative("own", 3)]));
    source.put("ck/job/chk-7/large", content.clone());
    let snapshot = load(&s3_stores(&source), SOURCE, &quietly).await.unwrap();
    (source, target, snapshot, content)
}

#[tokio::test]
async fn a_large_file_is_copied_in_parts() {
    let (source, target, snapshot, content) = large().await;
    let told = Mutex::new(Vec::new());
    let tell = |progress| told.lock().unwrap().push(progress);
    copy(&s3_stores(&source), &snapshot, &store(&target, "s3://dr"), TARGET, &tell).await.unwrap();
    assert!(target.content("copies/7/large").unwrap() == content);
    assert_eq!(target.open_uploads(), 0);
    let parts = written(&target).iter().filter(|key| key.ends_with("large")).count();
    assert_eq!(parts, 3);
    let told = told.into_inner().unwrap();
    let of = (2, 12_000_003);
    let copied: Vec<_> = told
        .iter()
        .filter_map(|progress| match *progress {
            CopyProgress::Copying { files, of_files, bytes, of_bytes } => {
                assert_eq!((of_files, of_bytes), of);
                Some((files, bytes))
            }
            CopyProgress::Looking(_) => None,
        })
        .collect();
    assert_eq!(copied.last(), Some(&of));
    assert!(copied.is_sorted() && copied.len() == 6, "{copied:?}");
}

#[rstest]
#[case::part("PUT", "\"partNumber\": \"2\"", false, Fault::Status(403, "AccessDenied"), "AccessDenied")]
#[case::part_cut("PUT", "\"partNumber\": \"2\"", false, Fault::Close, "ConnectionCut")]
#[case::complete("POST", "uploadId", false, Fault::Status(400, "InvalidPart"), "Refused")]
#[case::begin("POST", "uploads", false, Fault::Status(403, "AccessDenied"), "AccessDenied")]
#[case::source("GET", "large", true, Fault::End(3_000_000), "ShortRead")]
#[tokio::test]
async fn of_a_large_file_nothing_is_left(
    #[case] method: &'static str,
    #[case] part: &str,
    #[case] of_source: bool,
    #[case] fault: Fault,
    #[case] reason: &str,
) {
    let (source, target, snapshot, content) = large().await;
    if of_source {
        source.fail(method, part, 9, fault);
    } else {
        target.fail(method, part, 9, fault);
    }
    let error = copied(&source, &snapshot, &target).await.unwrap_err();
    assert_eq!(error.reason(), reason, "{error}");
    assert_eq!(target.open_uploads(), 0);
    assert!(!target.keys().iter().any(|key| key.ends_with("large") || key.ends_with("_metadata")));
    drop(content);
}

/// What one file's error ends is taken back, too.
#[tokio::test]
async fn the_files_under_way_are_ended_in_order() {
    let (source, target, snapshot, _) = large().await;
    source.fail("GET", "chk-7/own", 9, Fault::Status(403, "AccessDenied"));
    let error = copied(&source, &snapshot, &target).await.unwrap_err();
    assert_eq!(error.reason(), "AccessDenied");
    assert_eq!(target.open_uploads(), 0);
}
