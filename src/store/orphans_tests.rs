use object_store::ObjectStoreExt as _;
use object_store::memory::InMemory;
use serde_json::json;

use super::*;
use crate::runtime::metrics::Metrics;

async fn store(files: &[&str]) -> Store {
    let objects = Arc::new(InMemory::new());
    for file in files {
        objects.put(&object_store::path::Path::from(*file), "x".into()).await.unwrap();
    }
    Store::over("s3://flink", objects)
}

fn record(name: &str, uid: &str, location: &str) -> FlinkSavepoint {
    let directory = location.rsplit_once('/').unwrap().0;
    serde_json::from_value(json!({
        "apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkSavepoint",
        "metadata": {"name": name, "namespace": "shop", "uid": uid},
        "spec": {"flinkCluster": {"service": "clicks"}},
        "status": {
            "phase": "Completed", "location": location,
            "attempts": [{"number": 1, "jobId": "1", "triggerId": "1", "directory": directory, "result": "Completed"}],
        },
    }))
    .unwrap()
}

const OF_A_RECORD: &str = "sp/shop/orders/shop/daily-0a1b2c3d/1/savepoint-1-2";

#[tokio::test]
async fn directories_that_no_record_knows() {
    let store = store(&[
        "sp/shop/orders/shop/daily-0a1b2c3d/1/savepoint-1-2/_metadata",
        "sp/shop/orders/shop/weekly-11112222/1/savepoint-1-2/_metadata",
        "sp/shop/lost-33334444/2/savepoint-1-2/7-op",
        "sp/archive/other-55556666/1/savepoint-1-2/_metadata",
        "sp/shop/orders/readme-file",
        "ck/shop/orders/0123456789abcdef0123456789abcdef/chk-1/_metadata",
        "elsewhere/a/b/c",
    ])
    .await;
    let found = directories(&store, "shop", &HashSet::new()).await.unwrap();
    let records = [record("daily", "0a1b2c3d-0000", &format!("s3://flink/{OF_A_RECORD}"))];
    let told = orphans(&found, &records, &[], DateTime::UNIX_EPOCH);
    assert_eq!(
        told.directories,
        ["s3://flink/sp/shop/lost-33334444", "s3://flink/sp/shop/orders/shop/weekly-11112222"]
    );
    assert_eq!(told.directories_without_record, 2);
}

#[tokio::test]
async fn one_that_was_registered_again_is_known() {
    let store = store(&["sp/shop/weekly-11112222/1/savepoint-1-2/_metadata"]).await;
    let found = directories(&store, "shop", &HashSet::new()).await.unwrap();
    let mut registered = record("again", "99998888-0000", "s3://flink/sp/shop/weekly-11112222/1/savepoint-1-2");
    registered.status.as_mut().unwrap().attempts.clear();
    assert_eq!(orphans(&found, &[registered], &[], DateTime::UNIX_EPOCH).directories_without_record, 0);
}

#[tokio::test]
async fn records_whose_files_are_gone() {
    let store = store(&[&format!("{OF_A_RECORD}/_metadata")]).await;
    let there = record("daily", "0a1b2c3d-0000", &format!("s3a://flink/{OF_A_RECORD}"));
    let gone = record("gone", "22223333-0000", "s3://flink/sp/shop/gone-22223333/1/savepoint-1-2");
    let elsewhere = record("elsewhere", "44443333-0000", "s3://another/sp/shop/gone-22223333/1/savepoint-1-2");
    let missing = missing(&store, "s3://flink", &[there, gone, elsewhere]).await.unwrap();
    assert_eq!(missing, ["gone"]);
}

/// Its checkpoints lie below a directory of its name.
#[tokio::test]
async fn a_job_whose_name_ends_like_a_uid_is_none() {
    let store = store(&["ck/shop/orders-20260101/0123456789abcdef0123456789abcdef/chk-1/_metadata"]).await;
    let found = async |jobs: &[&str]| {
        let jobs = jobs.iter().map(|name| (*name).to_owned()).collect();
        directories(&store, "shop", &jobs).await.unwrap().directories.len()
    };
    assert_eq!((found(&[]).await, found(&["orders-20260101"]).await), (1, 0));
}

#[tokio::test]
async fn a_store_with_very_many_directories_says_so() {
    let many: Vec<String> = (0..=LISTED).map(|n| format!("d{n}/x/y")).collect();
    let all: Vec<&str> = many.iter().map(String::as_str).collect();
    let found = directories(&store(&all).await, "shop", &HashSet::new()).await.unwrap();
    assert!(orphans(&found, &[], &[], DateTime::UNIX_EPOCH).truncated);
    let found = directories(&store(&all[..9]).await, "shop", &HashSet::new()).await.unwrap();
    assert!(!orphans(&found, &[], &[], DateTime::UNIX_EPOCH).truncated);
}

/// A store that is gone counts no more.
#[test]
fn the_metric_counts_the_stores_that_there_are() {
    let store = |name: &str, directories: i32, records: i32| {
        let mut store = FlinkSnapshotStore::new(name, crate::api::FlinkSnapshotStoreSpec::default());
        let orphans =
            Orphans { directories_without_record: directories, records_without_files: records, ..Orphans::default() };
        store.status = Some(crate::api::FlinkSnapshotStoreStatus { orphans: Some(orphans), ..Default::default() });
        Arc::new(store)
    };
    let never_looked = Arc::new(FlinkSnapshotStore::new("new", crate::api::FlinkSnapshotStoreSpec::default()));
    let known = Arc::new(std::sync::Mutex::new(vec![store("a", 2, 1), store("b", 3, 0), never_looked]));
    let (metrics, seen) = (Metrics::new(), known.clone());
    metrics.count_orphans_by(move || counted(&seen.lock().unwrap()));
    let told = |directories: i64, records: i64| {
        let page = metrics.encode().unwrap();
        let line = |kind: &str, n: i64| format!("flink_savepoint_operator_orphans{{kind=\"{kind}\"}} {n}\n");
        assert!(page.contains(&line("directory", directories)) && page.contains(&line("record", records)), "{page}");
    };
    told(5, 1);
    known.lock().unwrap().remove(1);
    told(2, 1);
    known.lock().unwrap().clear();
    told(0, 0);
}
