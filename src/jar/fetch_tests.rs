use std::time::Instant;

use rstest::rstest;

use super::*;
use crate::snapshot::store::stub_s3::{Fault, Stub};
use crate::snapshot::store::testing::{Folder, s3, s3_settings};
use crate::snapshot::store::{Settings, StoreError};

const JAR: &[u8] = b"PK a jar of many bytes";
const LOCATION: &str = "s3://flink/jars/orders.jar";
/// SHA-256 of [`JAR`], by `sha256sum`.
const HASH: &str = "277c130057bb71f63630b8beab5f36ce5082146c6fc729ec2f130e0b8e3a64e9";
const RETRY: Retry = Retry { attempts: 3, pause: Duration::ZERO, limit: Duration::from_secs(20) };

/// In a store that repeats nothing by itself.
fn in_store(stub: &Stub) -> Source {
    let settings = s3_settings(stub, "s3://flink");
    let patience = Patience { retries: 0, ..settings.patience };
    Source::Store(Store::open(&Settings { patience, ..settings }).unwrap(), LOCATION.to_owned())
}

async fn with_jar() -> Stub {
    let stub = s3().await;
    stub.put("jars/orders.jar", JAR);
    stub
}

#[rstest]
#[case::any(None)]
#[case::as_given(Some(HASH.to_owned()))]
#[case::in_upper_case(Some(HASH.to_ascii_uppercase()))]
#[tokio::test]
async fn a_jar_becomes_a_file(#[case] expected: Option<String>) {
    let (stub, folder) = (with_jar().await, Folder::new());
    folder.put("job.jar", "an older one, and longer than the one that comes now");
    folder.put("job.part", "what an attempt has left");
    let to = folder.path().join("job.jar");
    assert_eq!(fetch(&in_store(&stub), &to, expected.as_deref(), RETRY).await.unwrap(), HASH);
    assert_eq!(std::fs::read(&to).unwrap(), JAR);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
}

#[tokio::test]
async fn a_jar_with_other_bytes_is_none() {
    let (stub, folder) = (with_jar().await, Folder::new());
    let other = "0A".repeat(32);
    let error = fetch(&in_store(&stub), &folder.path().join("job.jar"), Some(&other), RETRY).await.unwrap_err();
    let expected = format!(
        "job.jarSHA256: {LOCATION} has SHA-256 {HASH} and not {}: correct it, or bring the right jar back",
        other.to_ascii_lowercase()
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
    assert_eq!(stub.requests().len(), 1, "the same bytes would come again");
}

#[rstest]
#[case::fails(Fault::Status(503, "SlowDown"))]
#[case::closed(Fault::Close)]
#[case::reset(Fault::Reset(5))]
#[case::short(Fault::End(5))]
#[tokio::test]
async fn what_passes_is_tried_again(#[case] fault: Fault) {
    let (stub, folder) = (with_jar().await, Folder::new());
    let to = folder.path().join("job.jar");
    stub.fail("GET", "orders.jar", 2, fault);
    assert_eq!(fetch(&in_store(&stub), &to, Some(HASH), RETRY).await.unwrap(), HASH);
    assert_eq!(std::fs::read(&to).unwrap(), JAR);
}

#[tokio::test]
async fn what_does_not_pass_is_said() {
    let (stub, folder) = (s3().await, Folder::new());
    let to = folder.path().join("job.jar");
    let error = fetch(&in_store(&stub), &to, None, RETRY).await.unwrap_err();
    assert!(matches!(&error, Error::Store(StoreError::NotFound { place }) if place == LOCATION), "{error}");
    assert_eq!(stub.requests().len(), 1);
    stub.fail("GET", "orders.jar", 9, Fault::Status(503, "SlowDown"));
    let error = fetch(&in_store(&stub), &to, None, RETRY).await.unwrap_err();
    assert!(matches!(error, Error::Store(StoreError::ServerError { .. })), "{error}");
    assert_eq!(stub.requests().len(), 1 + 3, "so often, and no more");
}

#[tokio::test]
async fn it_ends_in_time() {
    let (stub, folder) = (with_jar().await, Folder::new());
    stub.fail("GET", "orders.jar", 9, Fault::Hang);
    let retry = Retry { limit: Duration::from_millis(200), ..RETRY };
    let before = Instant::now();
    let error = fetch(&in_store(&stub), &folder.path().join("job.jar"), None, retry).await.unwrap_err();
    assert!(matches!(error, Error::TooLong { .. }), "{error}");
    assert!(before.elapsed() < Duration::from_secs(5));
}

/// A server that answers each connection with the next of these.
async fn server(answers: Vec<String>) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    address
}

fn redirect(to: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

#[tokio::test]
async fn a_jar_comes_from_the_web() {
    let folder = Folder::new();
    let to = folder.path().join("job.jar");
    let stub = Stub::start("flink", None, 2).await.unwrap();
    stub.put("jars/orders.jar", JAR);
    let direct = format!("{}/flink/jars/orders.jar", stub.endpoint);
    let by_path = server(vec![redirect("/elsewhere"), redirect(&direct)]).await;
    for address in [direct.clone(), server(vec![redirect(&direct)]).await, by_path] {
        std::fs::remove_file(&to).ok();
        assert_eq!(fetch(&Source::Web(address), &to, Some(HASH), RETRY).await.unwrap(), HASH);
        assert_eq!(std::fs::read(&to).unwrap(), JAR);
    }
    stub.fail("GET", "orders.jar", 1, Fault::Reset(5));
    stub.fail("GET", "orders.jar", 1, Fault::Status(503, "SlowDown"));
    assert_eq!(fetch(&Source::Web(direct), &to, Some(HASH), RETRY).await.unwrap(), HASH);
}

#[tokio::test]
async fn what_a_web_server_refuses_is_said_without_the_query() {
    let folder = Folder::new();
    let to = folder.path().join("job.jar");
    let stub = Stub::start("flink", None, 2).await.unwrap();
    let of = |path: &str| format!("{}{path}", stub.endpoint);
    let many = server(vec![redirect("/a"); 9]).await;
    let nowhere = server(vec![redirect("ftp://a/b")]).await;
    let cases = [
        (of("/flink/none.jar?signature=secret"), "HTTP status 404: correct job.jarURI"),
        (format!("{many}/?signature=secret"), "the server's redirect is not followed: there are too many"),
        (nowhere, "the server's redirect is not followed: it names no address"),
        ("http://me:secret@127.0.0.1/a.jar".to_owned(), "it must name a host, and no user"),
        ("http://127.0.0.1:1/a.jar".to_owned(), "no connection: "),
    ];
    for (address, message) in cases {
        let error = fetch(&Source::Web(address.clone()), &to, None, RETRY).await.unwrap_err().to_string();
        assert!(error.contains(message), "{address}: {error}");
        assert!(!error.contains("signature"), "{error}");
    }
    assert!(!to.exists());
}
