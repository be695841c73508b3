use bytes::Bytes;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, PutPayload};
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::api::FlinkSavepoint;
use crate::snapshot::store::Store;

/// Of a job whose files are shared: they lie in `file:/srv/fk/art-2.3.0/rocksdb/ck/<job>/shared`.
const METADATA: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/flink/snapshots/2.3.0/rocksdb-checkpoint/_metadata"
));

async fn stores(files: &[(&str, &'static [u8])]) -> Stores {
    let objects = InMemory::new();
    for (key, bytes) in files {
        objects.put(&Path::from(*key), PutPayload::from_bytes(Bytes::from_static(bytes))).await.unwrap();
    }
    Stores::new(vec![Store::over("s3://flink", Arc::new(objects))])
}

/// The directory of the first file that the checkpoint does not have in its own.
async fn elsewhere(stores: &Stores) -> String {
    let snapshot = store::load(stores, "s3://flink/chk-7", &store::quietly).await.unwrap();
    let shared = snapshot.facts.files.iter().find(|file| !file.relative).unwrap();
    shared.path.rsplit_once('/').unwrap().0.to_owned()
}

#[tokio::test]
async fn whose_metadata_names_its_files_needs_it() {
    let stores = stores(&[("chk-7/_metadata", METADATA)]).await;
    let directory = elsewhere(&stores).await;
    assert_eq!(uses(&stores, "s3://flink/chk-7", &directory, false).await, Ok(true));
    assert_eq!(uses(&stores, "s3://flink/chk-7", "s3://flink/savepoint-1", false).await, Ok(false));
}

#[rstest]
#[case::it_is_gone("s3://flink/chk-8", false, Some(false))]
#[case::it_is_broken("s3://flink/broken", false, None)]
#[case::nobody_can_look("s3://other/chk-7", false, None)]
#[case::nobody_can_look_at_a_job_s("s3://other/chk-7", true, None)]
#[tokio::test]
async fn what_can_not_be_told_is_said(#[case] place: &str, #[case] goes_on: bool, #[case] expected: Option<bool>) {
    let stores = stores(&[("broken/_metadata", b"no metadata")]).await;
    let found = uses(&stores, place, "s3://flink/savepoint-1", goes_on).await;
    assert_eq!(found.clone().ok(), expected);
    let why = found.err().unwrap_or_default();
    assert!(
        expected.is_some() || why.starts_with(&format!("whether {place} names files of it can't be told: ")),
        "{why}"
    );
}

/// Of a running job's checkpoints the one that was recorded is gone within moments.
#[tokio::test]
async fn of_a_job_that_goes_on_its_newest_checkpoint_is_read() {
    let stores = stores(&[("ck/a/chk-9/_metadata", METADATA), ("chk-7/_metadata", METADATA)]).await;
    let directory = elsewhere(&stores).await;
    assert_eq!(uses(&stores, "s3://flink/ck/a/chk-8", &directory, true).await, Ok(true));
    assert_eq!(uses(&stores, "s3://flink/ck/a/chk-8", "s3://flink/savepoint-1", true).await, Ok(false));
    assert_eq!(uses(&stores, "s3://flink/ck/finished/chk-8", &directory, true).await, Ok(false));
}

#[test]
fn all_other_places_of_the_namespace_are_known() {
    let savepoint = |name: &str, place: &str| -> Arc<FlinkSavepoint> {
        let object = json!({
            "apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkSavepoint",
            "metadata": {"name": name, "namespace": "shop", "uid": name},
            "spec": {}, "status": {"phase": "Completed", "location": place},
        });
        Arc::new(serde_json::from_value(object).unwrap())
    };
    let own = savepoint("own", "s3://flink/a");
    let job = |namespace: &str| -> Arc<FlinkJobUpgrade> {
        let object = json!({
            "apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkJobUpgrade",
            "metadata": {"name": "orders", "namespace": namespace, "uid": namespace},
            "spec": {"flinkVersion": "v2_3", "image": "i", "job": {"jarURI": "local:///j.jar", "parallelism": 1}},
            "status": {"active": {
                "revision": 1, "submission": {"jobId": "1", "revision": 1, "restoredFrom": "s3://flink/c", "restoreMode": "CLAIM"},
                "lastCheckpoint": {"id": 7, "path": format!("s3://flink/{namespace}/chk-7")},
            }},
        });
        Arc::new(serde_json::from_value(object).unwrap())
    };
    let all = [own.clone(), savepoint("other", "s3://flink/b/"), savepoint("again", "s3://flink/a/")];
    let found = known(&own, &[job("shop"), job("elsewhere")], &all);
    let found: Vec<_> = found.iter().map(|(place, who)| (place.as_str(), who.name.as_str(), who.goes_on)).collect();
    let expected = [
        ("s3://flink/b", "other", false),
        ("s3://flink/c", "orders", false),
        ("s3://flink/shop/chk-7", "orders", true),
    ];
    assert_eq!(found, expected);
}
