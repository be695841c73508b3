use crate::snapshot::store::testing;

#[tokio::test]
async fn a_directory_goes_with_all_that_is_in_it_and_its_neighbour_stays() {
    let (store, _) = testing::memory(&[
        "checkpoints/a/chk-1/_metadata",
        "checkpoints/a/chk-1/1-op",
        "checkpoints/a/shared/2-op",
        "checkpoints/ab/chk-1/_metadata",
    ]);
    let base = format!("{}/checkpoints", store.url());
    assert_eq!(store.directories(&base).await.unwrap(), ["a", "ab"]);
    assert!(store.remove_tree(&format!("{base}/a")).await.unwrap());
    assert_eq!(store.directories(&base).await.unwrap(), ["ab"]);
    assert!(!store.remove_tree(&format!("{base}/a")).await.unwrap(), "nothing was there");
    assert!(store.directories(&format!("{base}/none")).await.unwrap().is_empty());
}
