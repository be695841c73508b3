use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};

use super::*;
use crate::naming;
use crate::snapshot::store::testing::Folder;

const RETRY: Retry = Retry { attempts: 3, pause: Duration::ZERO, limit: Duration::from_secs(20) };

/// What a JobManager has seen, and how its next uploads end.
#[derive(Default)]
struct Seen {
    uploads: Vec<(HeaderMap, Bytes)>,
    names: Vec<String>,
    refusals: Vec<StatusCode>,
}

type Shared = Arc<Mutex<Seen>>;

/// A JobManager that answers as recorded ones did.
async fn job_manager(seen: &Shared) -> String {
    let list = async |State(seen): State<Shared>| {
        let file =
            |name: &String| serde_json::json!({"id": format!("45bc_{name}"), "name": name, "uploaded": 1, "entry": []});
        let files: Vec<_> = seen.lock().unwrap().names.iter().map(file).collect();
        serde_json::json!({"address": "http://127.0.0.1:8081", "files": files}).to_string()
    };
    let take = async |State(seen): State<Shared>, headers: HeaderMap, body: Bytes| {
        let mut seen = seen.lock().unwrap();
        let text = String::from_utf8_lossy(&body).into_owned();
        let name = text.split("filename=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
        seen.uploads.push((headers, body));
        // What was refused with 504 was done: only the answer is lost.
        match seen.refusals.pop() {
            Some(StatusCode::GATEWAY_TIMEOUT) => {
                seen.names.push(name);
                StatusCode::GATEWAY_TIMEOUT
            }
            Some(refusal) => refusal,
            None => {
                seen.names.push(name);
                StatusCode::OK
            }
        }
    };
    let app = Router::new().route("/jars", get(list)).route("/jars/upload", post(take)).with_state(seen.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

/// A jar of more than one chunk.
fn jar() -> (Folder, Vec<u8>) {
    let folder = Folder::new();
    let text = "PK many bytes of a jar\n".repeat(CHUNK / 10);
    folder.put("job.jar", &text);
    (folder, text.into_bytes())
}

fn target(url: String) -> Target {
    let authorization = Some(HeaderValue::from_static("Bearer secret"));
    Target { url, name: format!("{}0a.jar", naming::session_jar("uid", 3)), authorization, tls: None }
}

#[tokio::test]
async fn a_jar_is_sent_whole_and_once() {
    let (seen, (folder, bytes)) = (Shared::default(), jar());
    let to = target(job_manager(&seen).await);
    for _ in 0..2 {
        upload(&folder.path().join("job.jar"), &to, RETRY).await.unwrap();
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen.names, ["fju-uid-3-0a.jar"]);
    let [(headers, body)] = seen.uploads.as_slice() else { panic!("{}", seen.uploads.len()) };
    assert_eq!(headers["content-type"], format!("multipart/form-data; boundary={BOUNDARY}"));
    assert_eq!(headers["content-length"], body.len().to_string());
    assert_eq!(headers["authorization"], "Bearer secret");
    let (head, tail) = around(&to.name);
    assert!(body.starts_with(&head) && body.ends_with(&tail));
    assert_eq!(body[head.len()..body.len() - tail.len()], bytes);
}

/// The same JobManager by HTTPS: its URL, and the certificate that it is trusted by.
async fn behind_tls(url: &str) -> (String, String) {
    use tokio_rustls::rustls::ServerConfig;
    let certified = rcgen::generate_simple_self_signed(["flink.shop.svc".to_owned()]).unwrap();
    let key = certified.signing_key.serialize_der().try_into().unwrap();
    let server = ServerConfig::builder_with_provider(crate::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, upstream) = (listener.local_addr().unwrap(), url.trim_start_matches("http://").to_owned());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, upstream) = (acceptor.clone(), upstream.clone());
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let mut server = tokio::net::TcpStream::connect(upstream).await.unwrap();
                // Either side may go away.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (format!("https://{address}"), certified.cert.pem())
}

#[tokio::test]
async fn a_jar_is_sent_by_https() {
    let (seen, (folder, bytes)) = (Shared::default(), jar());
    let (url, authority) = behind_tls(&job_manager(&seen).await).await;
    let secret = [("ca.crt".to_owned(), authority.into_bytes())].into();
    let secured =
        |name: &str| Target { tls: Some(flink::Tls::new(Some(&secret), name).unwrap()), ..target(url.clone()) };
    let jar = folder.path().join("job.jar");
    upload(&jar, &secured("flink.shop.svc"), RETRY).await.unwrap();
    let error = upload(&jar, &secured("other.shop.svc"), RETRY).await.unwrap_err().to_string();
    assert!(error.contains("carries flink.shop.svc, and not other.shop.svc"), "{error}");
    seen.lock().unwrap().names.clear();
    seen.lock().unwrap().refusals = vec![StatusCode::NOT_FOUND];
    let error = upload(&jar, &secured("flink.shop.svc"), RETRY).await.unwrap_err();
    assert!(error.to_string().contains("HTTP 404"), "{error}");
    let seen = seen.lock().unwrap();
    let [(headers, body), _] = seen.uploads.as_slice() else { panic!("{}", seen.uploads.len()) };
    assert_eq!(headers["content-length"], body.len().to_string());
    assert_eq!(headers["authorization"], "Bearer secret");
    assert!(body.windows(bytes.len()).any(|part| part == bytes));
}

#[tokio::test]
async fn a_lost_answer_makes_no_second_jar() {
    let (seen, (folder, _)) = (Shared::default(), jar());
    seen.lock().unwrap().refusals = vec![StatusCode::GATEWAY_TIMEOUT];
    upload(&folder.path().join("job.jar"), &target(job_manager(&seen).await), RETRY).await.unwrap();
    assert_eq!(seen.lock().unwrap().uploads.len(), 1);
}

#[tokio::test]
async fn what_does_not_pass_is_said() {
    let (seen, (folder, _)) = (Shared::default(), jar());
    let url = job_manager(&seen).await;
    seen.lock().unwrap().refusals = vec![StatusCode::NOT_FOUND];
    let error = upload(&folder.path().join("job.jar"), &target(url.clone()), RETRY).await.unwrap_err();
    assert!(error.to_string().contains("HTTP 404") && error.to_string().contains("web.submit.enable"), "{error}");
    assert_eq!(seen.lock().unwrap().uploads.len(), 1, "it would be refused again");
    seen.lock().unwrap().refusals = vec![StatusCode::INTERNAL_SERVER_ERROR; 9];
    let error = upload(&folder.path().join("job.jar"), &target(url.clone()), RETRY).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert_eq!(seen.lock().unwrap().uploads.len(), 1 + 3, "so often, and no more");
    let error = upload(&folder.path().join("none.jar"), &target(url), RETRY).await.unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    let error = upload(&folder.path().join("job.jar"), &target("http://127.0.0.1:1".to_owned()), RETRY).await;
    assert!(matches!(error, Err(Error::List(_))), "{error:?}");
}
