//! A tiny API server for tests: answers each request by a function, over HTTP, through the real client.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::to_bytes,
    extract::Request,
    http::{Method, StatusCode, header},
};
use kube::{Client, Config};
use serde_json::{Value, json};

use super::kube_client;

/// A request as the function gets it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Value,
}

/// A client of a server that answers with `answer`.
pub(crate) async fn serve(answer: impl FnMut(Asked) -> (StatusCode, Value) + Send + 'static) -> Client {
    let answer = Arc::new(Mutex::new(answer));
    let handle = move |request: Request| {
        let answer = answer.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = to_bytes(body, usize::MAX).await.unwrap();
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            let asked = Asked { method: parts.method, path: parts.uri.path().to_owned(), body };
            let (status, body) = (answer.lock().unwrap())(asked);
            (status, [(header::CONTENT_TYPE, "application/json")], body.to_string())
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handle)).await });
    kube_client::client(&Config::new(uri.parse().unwrap())).unwrap()
}

/// A refusal in the API server's words.
pub(crate) fn refused(code: StatusCode, reason: &str) -> (StatusCode, Value) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": reason, "code": code.as_u16()});
    (code, status)
}
