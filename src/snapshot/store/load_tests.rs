use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rstest::rstest;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::super::stub_s3::{Fault, Stub};
use super::super::testing::{
    Folder, SECRETS, credentials, impatient, metadata, s3, s3_settings, s3_stores, settings, stores,
};
use super::super::{Credentials, LoadError, Patience, Settings, Store, Stores, quietly};
use super::load;
use crate::snapshot::bytes::relative;

const LOCATION: &str = "s3://flink/sp/1";

fn savepoint() -> Vec<u8> {
    metadata(&(0..200).map(|n| relative(&format!("file-{n:030}"), 1)).collect::<Vec<_>>())
}

async fn with_savepoint() -> Stub {
    let stub = s3().await;
    stub.put("sp/1/_metadata", savepoint());
    stub
}

async fn error_of(stores: &Stores, location: &str) -> LoadError {
    load(stores, location, &quietly).await.unwrap_err()
}

#[rstest]
#[case("sp/1/_metadata", "sp/1", "sp/1", "sp/1/_metadata")]
#[case("sp/1/_metadata", "sp/1/", "sp/1", "sp/1/_metadata")]
#[case("sp/1/_metadata", "sp/1/_metadata", "sp/1", "sp/1/_metadata")]
#[case("sp/1/old-name.bin", "sp/1/old-name.bin", "sp/1", "sp/1/old-name.bin")]
#[case("old-name.bin", "old-name.bin", "", "old-name.bin")]
#[case("_metadata", "", "", "_metadata")]
#[case(
    "a b/50%25 of+it/ü&=?#/_metadata",
    "a b/50%25 of+it/ü&=?#",
    "a b/50%25 of+it/ü&=?#",
    "a b/50%25 of+it/ü&=?#/_metadata"
)]
#[tokio::test]
async fn finds_it_by_every_name(
    #[case] key: &str,
    #[case] below: &str,
    #[case] directory: &str,
    #[case] metadata: &str,
) {
    let stub = s3().await;
    let folder = Folder::new();
    stub.put(key, savepoint());
    folder.put(key, savepoint());
    let on_disk = folder.path().display().to_string();
    let stores = Stores::new(vec![
        Store::open(&s3_settings(&stub, "s3://flink")).unwrap(),
        Store::open(&settings(&folder.url())).unwrap(),
    ]);
    for (root, normal) in [
        ("s3://flink".to_owned(), "s3://flink".to_owned()),
        ("s3a://flink".to_owned(), "s3://flink".to_owned()),
        (format!("file:{on_disk}"), folder.url()),
        (folder.url(), folder.url()),
    ] {
        let found = load(&stores, &format!("{root}/{below}"), &quietly).await.unwrap();
        let wanted = format!("{normal}/{directory}");
        assert_eq!(found.directory, wanted.trim_end_matches('/'));
        assert_eq!(found.metadata, format!("{normal}/{metadata}"));
        assert_eq!((found.metadata_bytes, found.facts.files.len()), (savepoint().len() as u64, 200));
    }
}

#[rstest]
#[case("s3://flink/sp/gone", "SnapshotNotFound", "s3://flink/sp/gone does not exist")]
#[case("s3://flink/sp/gone/_metadata", "SnapshotNotFound", "s3://flink/sp/gone/_metadata does not exist")]
#[case("s3://flink/sp/broken", "NoMetadata", "was never completed")]
#[case("s3://flink/sp/broken/_metadata", "NoMetadata", "s3://flink/sp/broken holds files")]
#[case("s3://flink/sp/broken/part", "NotMetadata", "expected Flink's magic number")]
#[case("s3://elsewhere/sp", "NoStoreForLocation", "s3://elsewhere/sp lies in no known store")]
#[case("hdfs://nn/sp", "NoStoreForLocation", "hdfs://nn/sp lies in no known store")]
#[tokio::test]
async fn says_what_is_not_there(#[case] location: &str, #[case] reason: &str, #[case] says: &str) {
    let stub = s3().await;
    let folder = Folder::new();
    stub.put("sp/broken/part", "some state");
    folder.put("sp/broken/part", "some state");
    let error = error_of(&s3_stores(&stub), location).await;
    assert_eq!((error.reason(), error.is_transient()), (reason, false));
    assert!(error.to_string().contains(says), "{error}");
    if let Some(below) = location.strip_prefix("s3://flink") {
        let error = error_of(&stores(&settings(&folder.url())), &format!("{}{below}", folder.url())).await;
        assert_eq!(error.reason(), reason, "on disk: {error}");
    }
}

#[rstest]
#[case(Fault::Hang, "TimedOut", true, "no answer within 0.2s")]
#[case(Fault::Stall(0), "TimedOut", true, "no answer within 0.2s")]
#[case(Fault::Stall(900), "TimedOut", true, "no answer within 0.2s")]
#[case(Fault::Close, "ConnectionCut", true, "closed the connection before its answer was complete")]
#[case(Fault::Reset(900), "ConnectionCut", true, "closed the connection before its answer was complete")]
#[case(Fault::End(900), "ShortRead", true, "bytes were promised, and only")]
#[case(Fault::Status(403, "InvalidAccessKeyId"), "UnknownAccessKey", false, "correct accessKeyId")]
#[case(Fault::Status(403, "SignatureDoesNotMatch"), "WrongSecretKey", false, "correct secretAccessKey")]
#[case(Fault::Status(403, "AccessDenied"), "AccessDenied", false, "does not allow it")]
#[case(Fault::Status(401, ""), "AccessDenied", false, "does not allow it")]
#[case(Fault::Status(403, "RequestTimeTooSkewed"), "Refused", false, "clock")]
#[case(Fault::Status(400, "ExpiredToken"), "ExpiredToken", false, "give new temporary keys (S3: ExpiredToken)")]
#[case(Fault::Status(400, "InvalidToken"), "ExpiredToken", false, "give new temporary keys (S3: InvalidToken)")]
#[case(Fault::Status(404, "NoSuchBucket"), "NoSuchBucket", false, "there is no bucket flink at http://127.0.0.1:")]
#[case(Fault::Status(404, "XAdminUserNotFound"), "UnknownAccessKey", false, "correct accessKeyId")]
#[case(Fault::Status(404, "NoSuchUpload"), "Refused", false, "HTTP status 404 (NoSuchUpload)")]
#[case(Fault::Status(500, "InternalError"), "ServerError", true, "HTTP status 500 (InternalError)")]
#[case(Fault::Status(503, "SlowDown"), "ServerError", true, "HTTP status 503 (SlowDown)")]
#[case(Fault::Status(429, "TooManyRequests"), "ServerError", true, "HTTP status 429 (TooManyRequests)")]
#[case(Fault::Status(301, "PermanentRedirect"), "Refused", false, "set region to that of the bucket")]
#[case(Fault::Status(418, "<script>"), "Refused", false, "refused with HTTP status 418: correct")]
#[tokio::test]
async fn each_fault_has_its_reason(
    #[case] fault: Fault,
    #[case] reason: &str,
    #[case] transient: bool,
    #[case] says: &str,
) {
    let stub = with_savepoint().await;
    stub.fail("GET", "sp/1", 9, fault);
    let patience = if reason == "TimedOut" { impatient() } else { Patience::default() };
    let settings = Settings { patience, ..s3_settings(&stub, "s3://flink") };
    let error = error_of(&stores(&settings), LOCATION).await;
    assert_eq!((error.reason(), error.is_transient()), (reason, transient), "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

#[rstest]
#[case(1, Fault::Status(500, "InternalError"))]
#[case(2, Fault::Status(503, "SlowDown"))]
#[case(2, Fault::Close)]
#[case(1, Fault::Reset(900))]
#[case(2, Fault::End(900))]
#[tokio::test]
async fn what_passes_is_repeated(#[case] times: usize, #[case] fault: Fault) {
    let stub = with_savepoint().await;
    stub.fail("GET", "sp/1", times, fault);
    let found = load(&s3_stores(&stub), LOCATION, &quietly).await.unwrap();
    assert_eq!(found.facts.files.len(), 200);
    assert_eq!(stub.requests().len(), times + 1);
}

#[rstest]
#[case(Fault::Hang, 1)]
#[case(Fault::Stall(900), 1)]
#[case(Fault::Status(403, "AccessDenied"), 1)]
#[case(Fault::Status(503, "SlowDown"), 3)]
#[tokio::test]
async fn what_stays_is_not_asked_for_again_and_again(#[case] fault: Fault, #[case] requests: usize) {
    let stub = with_savepoint().await;
    stub.fail("GET", "", 9, fault);
    let patience = if requests == 1 { impatient() } else { Patience::default() };
    error_of(&stores(&Settings { patience, ..s3_settings(&stub, "s3://flink") }), LOCATION).await;
    assert_eq!(stub.requests().len(), requests);
}

/// However long it takes: the limit of a call is not that of a file.
#[tokio::test]
async fn a_slow_body_may_take_its_time() {
    let stub = s3().await;
    stub.put("sp/1/_metadata", metadata(&[]));
    stub.fail("GET", "_metadata", 1, Fault::Drip(Duration::from_millis(5)));
    let patience = Patience { call: Duration::from_secs(2), ..Patience::default() };
    let settings = Settings { patience, ..s3_settings(&stub, "s3://flink") };
    let found = load(&stores(&settings), LOCATION, &quietly).await.unwrap();
    assert!(found.metadata_bytes > 2 * 200, "longer than the limit of a call: {}", found.metadata_bytes);
}

/// A page that drips is within the limit of silence, and beyond that of a call.
#[tokio::test]
async fn a_slow_listing_may_not() {
    let stub = s3().await;
    stub.put("sp/1/file", "x");
    stub.fail("GET", "list-type", 9, Fault::Drip(Duration::from_millis(20)));
    let patience = Patience { call: Duration::from_millis(500), ..Patience::default() };
    let settings = Settings { patience, ..s3_settings(&stub, "s3://flink") };
    let error = error_of(&stores(&settings), LOCATION).await;
    assert_eq!(error.reason(), "TimedOut");
    assert!(error.to_string().contains("no answer within 0.5s"), "{error}");
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    // Longer than a label of a name may be, so that no name server is asked.
    let no_name = format!("http://{}.invalid:9000", "x".repeat(64));
    for (endpoint, cause) in
        [("http://127.0.0.1:1", "refused"), ("https://127.0.0.1:1", "refused"), (no_name.as_str(), "dns error")]
    {
        let settings = Settings {
            endpoint: Some(endpoint.to_owned()),
            patience: Patience { retries: 0, ..Patience::default() },
            ..settings("s3://flink")
        };
        let error = error_of(&stores(&settings), LOCATION).await;
        assert_eq!((error.reason(), error.is_transient()), ("Unreachable", true), "{error}");
        let told = error.to_string();
        assert!(told.starts_with(&format!("{endpoint} can't be reached")) && told.contains(cause), "{told}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_unreachable() {
    let stub = with_savepoint().await;
    let endpoint = stub.endpoint.replace("http:", "https:");
    let patience = Patience { retries: 0, ..impatient() };
    let settings = Settings { endpoint: Some(endpoint), patience, ..settings("s3://flink") };
    assert_eq!(error_of(&stores(&settings), LOCATION).await.reason(), "Unreachable");
}

/// Whatever is wrong with it: here nobody has signed it.
#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_told_with_the_cure() {
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(server)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            // The client goes away.
            let _ = acceptor.accept(client).await;
        }
    });
    let patience = Patience { retries: 0, ..impatient() };
    let settings = Settings { endpoint: Some(endpoint), patience, ..settings("s3://flink") };
    let error = error_of(&stores(&settings), LOCATION).await;
    assert_eq!(error.reason(), "Unreachable");
    assert!(error.to_string().contains("SSL_CERT_FILE"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_no_s3_is_told() {
    let stub = s3().await;
    stub.fail("GET", "list-type", 9, Fault::Html);
    let error = error_of(&s3_stores(&stub), LOCATION).await;
    assert_eq!((error.reason(), error.is_transient()), ("Refused", false));
    assert!(error.to_string().contains("see that the endpoint is that of an S3 server"), "{error}");
}

/// What a file lacks is told apart from what did not arrive.
#[tokio::test]
async fn a_truncated_file_is_no_short_read() {
    let stub = s3().await;
    let folder = Folder::new();
    let half = &savepoint()[..900];
    stub.put("sp/1/_metadata", half);
    folder.put("sp/1/_metadata", half);
    for (stores, location) in
        [(s3_stores(&stub), LOCATION.to_owned()), (stores(&settings(&folder.url())), format!("{}/sp/1", folder.url()))]
    {
        let error = error_of(&stores, &location).await;
        assert_eq!((error.reason(), error.is_transient()), ("MetadataTruncated", false), "{error}");
    }
}

/// A wrong file is known by its first bytes; the rest is not waited for.
#[tokio::test]
async fn a_wrong_file_is_not_read_to_its_end() {
    let stub = s3().await;
    stub.put("sp/1/_metadata", vec![7; 100_000]);
    stub.fail("GET", "_metadata", 9, Fault::Stall(70_000));
    let error = error_of(&s3_stores(&stub), LOCATION).await;
    assert_eq!(error.reason(), "NotMetadata");
}

#[rstest]
#[case(None, "AccessDenied", "or give the store credentials: it has none")]
#[case(Some("another"), "UnknownAccessKey", "correct accessKeyId")]
#[tokio::test]
async fn requests_are_signed_with_what_is_given(#[case] key: Option<&str>, #[case] reason: &str, #[case] says: &str) {
    let stub = with_savepoint().await;
    let credentials = key.map(|key| Credentials { access_key_id: key.to_owned(), ..credentials() });
    let settings = Settings { credentials, ..s3_settings(&stub, "s3://flink") };
    let error = error_of(&stores(&settings), LOCATION).await;
    assert_eq!(error.reason(), reason);
    assert!(error.to_string().contains(says), "{error}");
}

#[tokio::test]
async fn a_public_place_is_read_unsigned() {
    let stub = Stub::start("flink", None, 2).await.unwrap();
    stub.put("sp/1/_metadata", savepoint());
    let settings = Settings { credentials: None, ..s3_settings(&stub, "s3://flink") };
    load(&stores(&settings), LOCATION, &quietly).await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_systems_refusals_are_told() {
    let folder = Folder::new();
    std::os::unix::fs::symlink("loop", folder.path().join("loop")).unwrap();
    let error = error_of(&stores(&settings(&folder.url())), &format!("{}/loop", folder.url())).await;
    assert_eq!(error.reason(), "Io");
    assert!(error.to_string().contains("symbolic links"), "{error}");
}

/// The operator has four threads for what waits. Loads that held one each and needed another would stop for ever.
#[test]
fn many_at_once_need_no_more_threads_than_there_are() {
    let folder = Folder::new();
    folder.put("sp/1/_metadata", savepoint());
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let stub = with_savepoint().await;
        let stores = Stores::new(vec![
            Store::open(&s3_settings(&stub, "s3://flink")).unwrap(),
            Store::open(&settings(&folder.url())).unwrap(),
        ]);
        let on_disk = format!("{}/sp/1", folder.url());
        let all = (0..16).map(|n| load(&stores, if n % 2 == 0 { LOCATION } else { &on_disk }, &quietly));
        for found in futures::future::join_all(all).await {
            assert_eq!(found.unwrap().facts.files.len(), 200);
        }
    });
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Neither in errors nor in what the libraries log, not even of answers that repeat all that was sent.
#[tokio::test]
async fn no_secret_is_ever_told() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut told = Vec::new();
    for fault in [
        Fault::Status(403, "InvalidAccessKeyId"),
        Fault::Status(403, "SignatureDoesNotMatch"),
        Fault::Status(400, "ExpiredToken"),
        Fault::Status(404, "NoSuchBucket"),
        Fault::Status(500, "InternalError"),
        Fault::Status(301, "PermanentRedirect"),
        Fault::Close,
        Fault::Reset(900),
        Fault::End(900),
        Fault::Html,
    ] {
        let stub = with_savepoint().await;
        for method in ["GET", "PUT", "HEAD", "DELETE"] {
            stub.fail(method, "", 99, fault);
        }
        let store = Store::open(&s3_settings(&stub, "s3://flink")).unwrap();
        let probe = store.probe().await;
        let listed = store.exists_below(LOCATION).await;
        let loaded = load(&Stores::new(vec![store]), LOCATION, &quietly).await.unwrap_err();
        told.push(format!("{probe:?} {listed:?} {loaded} {loaded:?} {loaded:#?}"));
    }
    let told = told.concat();
    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(log.contains("backing off"), "the libraries' log is seen: {log}");
    for secret in SECRETS {
        assert!(!told.contains(secret), "{secret} in {told}");
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}
