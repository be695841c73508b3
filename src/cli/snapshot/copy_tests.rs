use super::super::output::Answer as _;
use super::super::places::Reach;
use super::*;
use crate::snapshot::store::stub_s3::Stub;
use crate::snapshot::store::{Credentials, LoadError, StoreError, load, quietly};
use crate::snapshot::{Collector, Limits};

fn snapshot() -> Snapshot {
    Snapshot {
        directory: "s3://bucket/savepoint-1".to_owned(),
        metadata: "s3://bucket/savepoint-1/_metadata".to_owned(),
        metadata_bytes: 100,
        facts: Collector::new(Limits::default()).finish().unwrap(),
    }
}

fn copied(files: u64, now: u64) -> Copied {
    let directory = "s3://dr/1".to_owned();
    Copied { directory, files, bytes: files * 1024, metadata_bytes: 100, copied_files: now, copied_bytes: now * 1024 }
}

#[test]
fn says_how_much_and_what_was_done_now() {
    let snapshot = snapshot();
    for (files, now, expected) in [
        (0, 0, "it has no files: all of its state is in the metadata, 100 B"),
        (1, 1, "1 file, 1.00 KiB, and 100 B of metadata: all copied now"),
        (2048, 0, "2,048 files, 2.00 MiB, and 100 B of metadata: all were there already"),
        (2048, 1024, "2,048 files, 2.00 MiB, and 100 B of metadata: 1,024 of them copied now, 1.00 MiB"),
    ] {
        let table = Outcome::new(&snapshot, copied(files, now)).table();
        assert_eq!(table, format!("COPIED: snapshot 0 of unknown kind to s3://dr/1\n{expected}\n"));
    }
}

#[test]
fn the_stable_form_is_where_it_is_and_how_much() {
    let snapshot = snapshot();
    let json = serde_json::to_value(Outcome::new(&snapshot, copied(3, 2))).unwrap();
    let expected = serde_json::json!({
        "source": "s3://bucket/savepoint-1", "location": "s3://dr/1", "files": 3, "bytes": 3072, "metadataBytes": 100,
        "copiedFiles": 2, "copiedBytes": 2048,
    });
    assert_eq!(json, expected);
}

#[test]
fn what_may_pass_says_that_it_can_go_on() {
    let place = || "s3://dr/1/a".to_owned();
    let passes = CopyError::Store(StoreError::ShortRead { place: place(), promised: 2, read: 1 });
    assert!(go_on(&passes).ends_with("may be whole; the same command goes on where this one ended"));
    let stays = CopyError::Load { location: place(), source: Box::new(LoadError::NotFound { location: place() }) };
    assert!(go_on(&stays).ends_with("nor anything below it"), "{}", go_on(&stays));
}

fn keys(id: &str) -> Keys {
    Keys::Whole(Credentials {
        access_key_id: id.to_owned(),
        secret_access_key: "secret".to_owned(),
        session_token: None,
    })
}

/// Each server takes its own key only.
#[tokio::test]
async fn the_target_may_be_another_server_with_other_keys() {
    let file = std::fs::read("tests/fixtures/flink/snapshots/2.3.0/inline-hashmap-savepoint/_metadata").unwrap();
    let source = Stub::start("flink", Some("here"), 10).await.unwrap();
    let target = Stub::start("flink", Some("there"), 10).await.unwrap();
    source.put("sp/1/_metadata", file.clone());
    let from = Reach::new(Some(source.endpoint.clone()), None, keys("here"));
    let to = from.other(Some(target.endpoint.clone()), None, keys("there"));
    let location = "s3://flink/sp/1";
    let stores = from.stores(location).unwrap();
    let snapshot = load(&stores, location, &quietly).await.unwrap();
    let store = to.writable(location).unwrap();
    store::copy(&stores, &snapshot, &store, location, &quietly).await.unwrap();
    assert_eq!(target.content("sp/1/_metadata"), Some(file));
    // With the keys of the source it is refused.
    let to = from.other(Some(target.endpoint.clone()), None, Keys::None);
    assert!(to.signs());
    let store = to.writable("s3://flink/sp/2").unwrap();
    let error = store::copy(&stores, &snapshot, &store, "s3://flink/sp/2", &quietly).await.unwrap_err();
    assert_eq!(error.reason(), "UnknownAccessKey");
}

/// What is left out is as at the source.
#[tokio::test]
async fn without_a_server_of_its_own_the_target_is_where_the_source_is() {
    let stub = Stub::start("flink", Some("here"), 10).await.unwrap();
    let from = Reach::new(Some(stub.endpoint.clone()), Some("eu".to_owned()), keys("here"));
    for (endpoint, region) in [(None, None), (Some(String::new()), Some(String::new()))] {
        let store = from.other(endpoint, region, Keys::None).writable("s3://flink/sp/1").unwrap();
        assert!(!store.exists_below("s3://flink/sp/1").await.unwrap());
    }
}

#[test]
fn half_of_the_target_s_keys_is_named() {
    let half = Keys::named(TO_KEYS, |name| (name == "TO_AWS_ACCESS_KEY_ID").then(|| "a".to_owned()));
    let reach = Reach::new(None, None, keys("here")).other(None, None, half);
    assert!(reach.writable("file:///a").is_ok());
    let error = reach.writable("s3://bucket/a").unwrap_err();
    assert!(
        error.to_string().starts_with("TO_AWS_SECRET_ACCESS_KEY is not set, but TO_AWS_ACCESS_KEY_ID is"),
        "{error}"
    );
}
