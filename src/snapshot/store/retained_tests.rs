use std::sync::Arc;

use object_store::memory::InMemory;
use rstest::rstest;

use super::*;

const JOB: &str = "ck/ns/orders/0123456789abcdef";

async fn memory(files: &[&str]) -> Store {
    let objects = Arc::new(InMemory::new());
    for file in files {
        objects.put(&object_store::path::Path::from(*file), "x".into()).await.unwrap();
    }
    Store::over("s3://flink", objects)
}

/// The highest number counts, as a number, and only of those that were completed; another job's never.
#[rstest]
#[case::none(&[], None)]
#[case::one(&["chk-7/_metadata"], Some(7))]
#[case::by_number_not_by_name(&["chk-9/_metadata", "chk-10/_metadata"], Some(10))]
#[case::the_newest_was_never_completed(&["chk-9/_metadata", "chk-10/state"], Some(9))]
#[case::others_beside_it(&["shared/a", "taskowned/b", "chk-x/_metadata", "savepoint-1/_metadata", "chk-3/_metadata"], Some(3))]
#[tokio::test]
async fn the_newest_checkpoint(#[case] files: &[&str], #[case] expected: Option<i64>) {
    let mut all: Vec<String> = files.iter().map(|file| format!("{JOB}/{file}")).collect();
    all.push("ck/ns/orders/fedcba9876543210/chk-99/_metadata".to_owned());
    all.push(format!("{JOB}0/chk-98/_metadata"));
    let store = memory(&all.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let found = store.newest_checkpoint(&format!("s3a://flink/{JOB}/")).await.unwrap();
    assert_eq!(found, expected.map(|number| (number, format!("s3://flink/{JOB}/chk-{number}"))));
}

/// Of all snapshots below, however deep, the one that was written last, without those that are left out.
#[tokio::test]
async fn the_newest_snapshot() {
    let files =
        ["ck/ns/orders/j1/chk-7/_metadata", "ck/ns/orders/j2/chk-3/state", "ck/ns/orders/j3/sub/chk-1/_metadata"];
    let store = memory(&files).await;
    let newest = async |left_out: &'static [&'static str]| {
        let found = store.newest_snapshot("s3://flink/ck/ns/orders", |part| left_out.contains(&part)).await.unwrap();
        found.map(|(_, location)| location)
    };
    assert_eq!(newest(&[]).await.as_deref(), Some("s3://flink/ck/ns/orders/j3/sub/chk-1"));
    assert_eq!(newest(&["j3"]).await.as_deref(), Some("s3://flink/ck/ns/orders/j1/chk-7"));
    assert_eq!(newest(&["j1", "j3"]).await, None);
    assert_eq!(store.newest_snapshot("s3://flink/ck/ns/order", |_| false).await.unwrap(), None);
}
