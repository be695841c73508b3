use super::*;
use crate::snapshot::store::testing::{s3, s3_stores};

const DIRECTORY: &str = "s3://flink/ha/ns/orders/1";

#[tokio::test]
async fn directories_are_no_files_that_keep_coming() {
    let stub = s3().await;
    for marker in ["ha/ns/orders/1/", "ha/ns/orders/1/blob/", "ha/ns/orders/1/job-result-store/orders-1/"] {
        stub.put(marker, "");
    }
    for file in ["ha/ns/orders/1/submittedJobGraph1", "ha/ns/orders/1/blob/job_1/blob_p-1", "ha/ns/orders/11/blob"] {
        stub.put(file, "x");
    }
    let store = s3_stores(&stub).of(DIRECTORY).unwrap().clone();
    assert_eq!(remove_all(&store, DIRECTORY).await.unwrap(), Storage::Empty);
    let files: Vec<String> = stub.keys().into_iter().filter(|key| !key.ends_with('/')).collect();
    assert_eq!(files, ["ha/ns/orders/11/blob"]);
}

#[tokio::test]
async fn a_snapshot_is_somebodys_state() {
    let stub = s3().await;
    stub.put("ha/ns/orders/1/chk-7/_metadata", "x");
    let store = s3_stores(&stub).of(DIRECTORY).unwrap().clone();
    assert!(matches!(remove_all(&store, DIRECTORY).await.unwrap(), Storage::Left(why) if why.contains("chk-7")));
    assert_eq!(stub.keys(), ["ha/ns/orders/1/chk-7/_metadata"]);
}
