//! What real Flink answered, from `tests/fixtures/flink/rest`, and a server that plays it back.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde_json::Value;

use super::client::Client;
use super::id::JobId;

/// The Flink versions that there are recordings of.
pub const VERSIONS: [&str; 2] = ["1.20.5", "2.3.0"];

/// A recorded exchange.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub method: String,
    pub path: String,
    pub request: Option<Value>,
    pub status: u16,
    pub body: String,
}

impl Exchange {
    pub fn load(version: &str, name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/flink/rest");
        let file = folder.join(version).join(format!("{name}.txt"));
        let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let (request, answer) = text.split_once("--- ").expect("an answer");
        let (line, body) = request.split_once('\n').expect("a request line");
        let (method, path) = line.split_once(' ').expect("method and path");
        let (status, answer) = answer.split_once('\n').expect("a status line");
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            request: (!body.trim().is_empty()).then(|| serde_json::from_str(body).expect("a body of JSON")),
            status: status[..3].parse().expect("a status"),
            body: answer.trim_end().to_owned(),
        }
    }

    /// The job that the path names.
    pub fn job(&self) -> JobId {
        JobId::new(self.segment(1)).expect("a job id in the path")
    }

    /// A part of the path, from 0.
    pub fn segment(&self, n: usize) -> &str {
        self.path.trim_start_matches('/').split(['/', '?']).nth(n).expect("a longer path")
    }

    /// A server that gives the recorded answer to the recorded request and 418 with the difference to any other.
    pub async fn served(&self) -> Client {
        let app = Router::new().fallback(play).with_state(Arc::new(self.clone()));
        serve(app).await
    }
}

/// A client of a server of ours.
pub async fn serve(app: Router) -> Client {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    Client::new(&url).unwrap()
}

async fn play(State(recorded): State<Arc<Exchange>>, request: Request) -> (StatusCode, String) {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    match difference(&recorded, parts.method.as_str(), &parts.uri.to_string(), &body) {
        None => (StatusCode::from_u16(recorded.status).unwrap(), recorded.body.clone()),
        Some(text) => (StatusCode::IM_A_TEAPOT, text),
    }
}

/// What is asked for by default need not be said, and the operator always gives the id where a recording left it out.
fn difference(recorded: &Exchange, method: &str, path: &str, body: &Bytes) -> Option<String> {
    let path = path.trim_end_matches("?maxExceptions=5");
    if (method, path) != (recorded.method.as_str(), recorded.path.as_str()) {
        return Some(format!("{method} {path}, recorded {} {}", recorded.method, recorded.path));
    }
    let mut wanted = recorded.request.clone();
    let mut sent: Option<Value> = (!body.is_empty()).then(|| serde_json::from_slice(body).expect("a body of JSON"));
    if let (Some(Value::Object(wanted)), Some(Value::Object(sent))) = (&mut wanted, &mut sent) {
        if wanted.get("cancel-job") == Some(&Value::Bool(false)) {
            wanted.remove("cancel-job");
        }
        let id = if path.ends_with("/run") { "jobId" } else { "triggerId" };
        if !wanted.contains_key(id) {
            sent.remove(id);
        }
        if path.ends_with("/savepoints") || path.ends_with("/stop") {
            if path.ends_with("/stop") {
                wanted.entry("drain").or_insert(false.into());
            }
            wanted.entry("formatType").or_insert_with(|| "CANONICAL".into());
        }
    }
    (wanted != sent).then(|| format!("{sent:?}, recorded {wanted:?}"))
}
