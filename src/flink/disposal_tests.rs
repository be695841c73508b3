//! Disposal of savepoints by Flink, against what it answered.

use rstest::rstest;

use super::recorded::Exchange;
use super::{DisposalOperation, Error};

async fn status(e: &Exchange) -> Result<DisposalOperation, Error> {
    e.served().await.disposal_status(e.segment(1)).await
}

#[rstest]
#[tokio::test]
async fn disposes_of_savepoints(#[values("1.20.5", "2.3.0")] version: &str) {
    let e = Exchange::load(version, "disposal");
    let path = e.request.as_ref().unwrap()["savepoint-path"].as_str().unwrap().to_owned();
    let id = e.served().await.dispose_savepoint(&path).await.unwrap();
    let e = Exchange::load(version, "disposal-completed");
    assert_eq!(e.segment(1), id);
    assert_eq!(status(&e).await, Ok(DisposalOperation::Completed));

    let Ok(DisposalOperation::Failed(cause)) = status(&Exchange::load(version, "disposal-failed-gone")).await else {
        panic!("not failed")
    };
    assert!(cause.is_no_such_savepoint(), "{cause}");
    let text = format!("FileNotFoundException: Cannot find checkpoint or savepoint file/directory '{path}'");
    assert!(cause.to_string().starts_with(&text), "{cause}");

    let unknown = status(&Exchange::load(version, "disposal-unknown")).await.unwrap_err();
    assert!(matches!(unknown, Error::UnknownTrigger { .. }), "{unknown}");
}

#[tokio::test]
async fn a_disposal_takes_its_time() {
    let e = Exchange::load("1.20.5", "disposal-in-progress");
    assert_eq!(status(&e).await, Ok(DisposalOperation::InProgress));
}

/// What is no answer about a disposal is not taken for one.
#[rstest]
#[case::no_operation(200, r#"{"status":{"id":"COMPLETED"},"operation":null}"#, "UnexpectedAnswer")]
#[case::another_404(404, r#"{"errors":["org.apache.flink.runtime.rest.NotFoundException: Unable to load requested file /savepoint-disposal."]}"#, "Refused")]
#[case::a_proxys_404(404, "404 page not found", "Refused")]
#[tokio::test]
async fn what_says_nothing_of_a_disposal(#[case] http: u16, #[case] body: &str, #[case] reason: &str) {
    let e = Exchange { status: http, body: body.to_owned(), ..Exchange::load("2.3.0", "disposal-completed") };
    assert_eq!(status(&e).await.unwrap_err().reason(), reason);
}

/// A failure of another kind leaves the savepoint where it is.
#[tokio::test]
async fn another_failure_is_no_missing_savepoint() {
    let e = Exchange::load("2.3.0", "disposal-failed-gone");
    for (from, to) in [("java.io.FileNotFoundException", "java.io.IOException"), ("Cannot find checkpoint", "No")] {
        let e = Exchange { body: e.body.replace(from, to), ..e.clone() };
        let Ok(DisposalOperation::Failed(cause)) = status(&e).await else { panic!("not failed") };
        assert!(!cause.is_no_such_savepoint(), "{cause}");
    }
}
