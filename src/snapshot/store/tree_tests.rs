use std::sync::Arc;

use object_store::ObjectStoreExt as _;
use object_store::memory::InMemory;
use object_store::path::Path;

use super::*;

async fn store(files: &[&str]) -> Store {
    let objects = Arc::new(InMemory::new());
    for file in files {
        objects.put(&Path::from(*file), "x".into()).await.unwrap();
    }
    Store::over("s3://flink", objects)
}

#[tokio::test]
async fn a_directory_goes_with_all_that_is_in_it_and_its_neighbour_stays() {
    let store = store(&["ck/a/chk-1/_metadata", "ck/a/chk-1/1-op", "ck/a/shared/2-op", "ck/ab/chk-1/_metadata"]).await;
    assert_eq!(store.directories("s3://flink/ck").await.unwrap(), ["a", "ab"]);
    assert!(store.remove_tree("s3://flink/ck/a").await.unwrap());
    assert_eq!(store.directories("s3a://flink/ck/").await.unwrap(), ["ab"]);
    assert!(!store.remove_tree("s3://flink/ck/a").await.unwrap(), "nothing was there");
    assert!(store.directories("s3://flink/none").await.unwrap().is_empty());
}

/// A whole snapshot must never be seen of which files are gone, however many others come first in the list.
#[tokio::test]
async fn what_makes_a_snapshot_goes_before_all_else() {
    let many: Vec<String> = (0..BATCH).map(|n| format!("ck/a/chk-1/0-{n}")).collect();
    let mut files: Vec<&str> = many.iter().map(String::as_str).collect();
    files.extend(["ck/a/chk-1/_metadata", "ck/a/chk-2/_metadata"]);
    let store = store(&files).await;
    assert!(store.remove_tree("s3://flink/ck/a").await.unwrap());
    let left = store.files_but("s3://flink/ck/a", None, 2 * BATCH).await.unwrap();
    assert_eq!(left.len(), 2, "no more than a thousand at once");
    assert!(!left.iter().any(|file| file.ends_with("_metadata")), "{left:?}");
}
