//! The way from a `kube::Client` to the API server: the only place that knows kube's types of requests.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use kube::client::Body;

use crate::faults::Faults;

use super::request::Path;
use super::{Answer, ApiServer};

/// A connection of one client, for `kube::Client::new(service, "default")`.
#[derive(Debug, Clone)]
pub struct Service {
    server: ApiServer,
    faults: Faults,
    client: Arc<str>,
}

/// Why a request has no answer.
type Error = Box<dyn std::error::Error + Send + Sync>;

impl Service {
    pub(super) fn new(server: ApiServer, faults: Faults) -> Self {
        Self { server, faults, client: Arc::from("") }
    }

    /// The same, with a name for the client, which the log and the observers of changes are told.
    #[must_use]
    pub fn named(mut self, client: &str) -> Self {
        self.client = Arc::from(client);
        self
    }
}

/// What a failing test shows of a call: `GET flinksavepoints/x`.
fn name(request: &http::Request<Body>) -> String {
    let (method, uri) = (request.method().as_str(), request.uri());
    let Some(path) = Path::parse(uri.path()) else { return format!("{method} {}", uri.path()) };
    let watch = uri.query().is_some_and(|query| query.split('&').any(|option| option == "watch=true"));
    let mut name = format!("{} {}", if watch { "WATCH" } else { method }, path.plural);
    for part in [path.name, path.subresource].into_iter().filter(|part| !part.is_empty()) {
        name.push('/');
        name.push_str(&part);
    }
    name
}

impl tower_service::Service<http::Request<Body>> for Service {
    type Response = http::Response<UnsyncBoxBody<Bytes, Infallible>>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Self::Response, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let Self { server, faults, client } = self.clone();
        let name = name(&request);
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let request = http::Request::from_parts(parts, body.collect().await?.to_bytes());
            let (code, answer) = faults.around(&name, async { server.answer(&client, &request) }).await?;
            let body = match answer {
                Answer::Whole(value) => Full::from(serde_json::to_vec(&value)?).boxed_unsync(),
                Answer::Watch(watch) => {
                    let frames = futures::StreamExt::map(watch.lines(), |line| Ok(http_body::Frame::data(line)));
                    StreamBody::new(frames).boxed_unsync()
                }
            };
            let answer = http::Response::builder().status(code).header(http::header::CONTENT_TYPE, "application/json");
            Ok(answer.body(body)?)
        })
    }
}
