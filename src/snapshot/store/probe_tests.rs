use std::time::Duration;

use rstest::rstest;

use super::super::stub_s3::Fault;
use super::super::testing::{Folder, impatient, s3, s3_settings, settings};
use super::super::{Access, Settings, Store};
use super::{ProbeError, ProbeStep};

#[rstest]
#[case("s3://flink/team/sp", "team/sp/.flink-savepoint-operator-probe-")]
#[case("s3://flink", ".flink-savepoint-operator-probe-")]
#[tokio::test]
async fn writes_reads_lists_and_deletes(#[case] url: &str, #[case] key: &str) {
    let stub = s3().await;
    let store = Store::open(&s3_settings(&stub, url)).unwrap();
    store.probe().await.unwrap();
    store.probe().await.unwrap();
    assert!(stub.keys().is_empty());
    let requests = stub.requests();
    let methods: Vec<_> = requests.iter().map(|request| request.split(' ').next().unwrap()).collect();
    assert_eq!(methods, ["PUT", "GET", "GET", "DELETE", "PUT", "GET", "GET", "DELETE"]);
    assert!(requests[0].starts_with(&format!("PUT /flink/{key}")), "{requests:?}");
    assert_ne!(requests[0], requests[4], "each probe has an object of its own");
}

/// A process may be killed in the middle of its probe.
#[tokio::test]
async fn what_a_killed_probe_has_left_goes() {
    let stub = s3().await;
    let left = "sp/.flink-savepoint-operator-probe-0000000000000000";
    stub.put(left, "x");
    stub.put("sp/savepoint-1/_metadata", "x");
    let store = Store::open(&s3_settings(&stub, "s3://flink/sp")).unwrap();
    store.probe().await.unwrap();
    assert_eq!(stub.keys().len(), 2, "it may be another's that is under way");
    stub.age(left);
    store.probe().await.unwrap();
    assert_eq!(stub.keys(), ["sp/savepoint-1/_metadata"]);
}

#[tokio::test]
async fn what_a_killed_probe_has_left_in_a_directory_goes() {
    let folder = Folder::new();
    let left = folder.path().join(".flink-savepoint-operator-probe-0000000000000000");
    std::fs::write(&left, "x").unwrap();
    let store = Store::open(&settings(&folder.url())).unwrap();
    store.probe().await.unwrap();
    assert!(left.exists());
    let old = std::time::SystemTime::now() - Duration::from_secs(121);
    std::fs::File::options().write(true).open(&left).unwrap().set_modified(old).unwrap();
    store.probe().await.unwrap();
    assert!(!left.exists());
}

#[tokio::test]
async fn only_lists_where_nothing_may_be_written() {
    let stub = s3().await;
    let settings = Settings { access: Access::ReadOnly, ..s3_settings(&stub, "s3://flink/sp") };
    Store::open(&settings).unwrap().probe().await.unwrap();
    let requests = stub.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert!(requests[0].starts_with("GET /flink {\"list-type\": \"2\", \"prefix\": \"sp/\"}"), "{requests:?}");
}

#[rstest]
#[case("PUT", "", ProbeStep::Write, "write")]
#[case("GET", "probe-", ProbeStep::Read, "read")]
#[case("GET", "list-type", ProbeStep::List, "list")]
#[case("DELETE", "", ProbeStep::Delete, "delete")]
#[tokio::test]
async fn names_the_step_that_is_not_allowed_and_cleans_up(
    #[case] method: &'static str,
    #[case] part: &str,
    #[case] step: ProbeStep,
    #[case] word: &str,
) {
    let stub = s3().await;
    stub.fail(method, part, 9, Fault::Status(403, "AccessDenied"));
    let error = Store::open(&s3_settings(&stub, "s3://flink")).unwrap().probe().await.unwrap_err();
    assert_eq!((error.step, error.reason(), error.is_transient()), (step, "AccessDenied", false));
    assert!(error.to_string().starts_with(&format!("the store can't {word}: s3://flink/")), "{error}");
    assert_eq!(stub.keys().len(), usize::from(step == ProbeStep::Delete), "what was written is deleted");
}

#[tokio::test]
async fn a_write_that_may_have_been_done_is_undone() {
    let stub = s3().await;
    stub.fail("PUT", "", 9, Fault::Hang);
    let settings = Settings { patience: impatient(), ..s3_settings(&stub, "s3://flink") };
    let error = Store::open(&settings).unwrap().probe().await.unwrap_err();
    assert_eq!((error.step, error.reason(), error.is_transient()), (ProbeStep::Write, "TimedOut", true));
    let undone = async {
        while !stub.requests().iter().any(|request| request.starts_with("DELETE ")) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), undone).await.unwrap();
}

#[tokio::test]
async fn a_directory_is_used_and_left_as_it_was() {
    let folder = Folder::new();
    for access in [Access::ReadWrite, Access::ReadOnly] {
        let store = Store::open(&Settings { access, ..settings(&folder.url()) }).unwrap();
        store.probe().await.unwrap();
        assert!(!store.exists_below(&folder.url()).await.unwrap());
    }
}

/// As it is while a volume is not mounted.
#[rstest]
#[case(Access::ReadWrite, ProbeStep::Write)]
#[case(Access::ReadOnly, ProbeStep::List)]
#[tokio::test]
async fn a_directory_that_is_not_there_is_not_made(#[case] access: Access, #[case] step: ProbeStep) {
    let folder = Folder::new();
    let store = Store::open(&Settings { access, ..settings(&format!("{}/volume", folder.url())) }).unwrap();
    let error = store.probe().await.unwrap_err();
    assert_eq!((error.step, error.reason(), error.is_transient()), (step, "Io", false));
    assert!(error.to_string().contains("No such file or directory"), "{error}");
    assert!(!folder.path().join("volume").exists());
}

#[tokio::test]
async fn knows_whether_anything_lies_below() {
    let stub = s3().await;
    stub.put("sp/a/file", "x");
    stub.put("empty/", "");
    let store = Store::open(&s3_settings(&stub, "s3://flink")).unwrap();
    for (directory, expected) in [("s3a://flink/sp", true), ("s3://flink/sp/a", true), ("s3://flink/s", false)] {
        assert_eq!(store.exists_below(directory).await.unwrap(), expected, "{directory}");
    }
    assert!(!store.exists_below("s3://flink/empty").await.unwrap(), "an object that stands for a directory");
    assert!(store.exists_below("s3://flink").await.unwrap());
}

#[test]
fn an_error_can_be_sent_on() {
    fn check<T: std::error::Error + Send + Sync + 'static>() {}
    check::<ProbeError>();
}
