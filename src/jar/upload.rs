//! To a session cluster's JobManager. The jar is read as it is sent, and never in memory as a whole.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::Frame;

use super::Retry;
use crate::flink;
use crate::runtime::error::chain;

/// How long a connection to the JobManager may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How much of the jar is in memory, in bytes.
const CHUNK: usize = 64 * 1024;
/// How much is read of what a JobManager says that refuses a jar, in bytes.
const WORDS: usize = 64 * 1024;
/// It separates nothing: there is one part. No jar has it, which begins with `PK`, on a line of its own.
const BOUNDARY: &str = "savepoints-dev-6f1d2c9e4b7a";

/// Where a jar goes.
#[derive(Debug, Clone)]
pub struct Target {
    /// Base URL of the JobManager's REST API.
    pub url: String,
    /// The file's name there: a jar of this name is the same jar.
    pub name: String,
    /// What is sent with every request.
    pub authorization: Option<HeaderValue>,
    /// How, where it speaks HTTPS.
    pub tls: Option<flink::Tls>,
}

/// Why a jar is not on the session cluster. Each says what, where, and the cure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its JobManager can't be asked.
    #[error("the session cluster's jars can't be listed: {0}; look at spec.flinkCluster and its JobManager")]
    List(#[from] flink::Error),
    /// The request came to nothing, or its answer was lost.
    #[error("{url}: the jar was not uploaded: {message}; look at the session cluster's JobManager and the network")]
    Unanswered {
        /// What was asked.
        url: String,
        /// What happened.
        message: String,
    },
    /// The JobManager refused it.
    #[error(
        "{url}: the JobManager refuses the jar with HTTP {status}: {message}; its web.submit.enable must not be false, and its \
         rest.server.max-content-length must allow it"
    )]
    Refused {
        /// What was asked.
        url: String,
        /// Its answer.
        status: StatusCode,
        /// Its words.
        message: String,
    },
    /// The pod's own file system refused.
    #[error("{path}: {source}: look at the pod's volumes", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
    /// It took too long, all attempts together.
    #[error("{url}: the jar was not uploaded within {}s: look at the session cluster's JobManager and the network", limit.as_secs())]
    TooLong {
        /// Where to.
        url: String,
        /// The limit.
        limit: Duration,
    },
}

impl Error {
    /// Another attempt may go well, with nothing corrected.
    fn is_transient(&self) -> bool {
        match self {
            Self::List(error) => !matches!(error, flink::Error::Refused { .. }),
            Self::Unanswered { .. } => true,
            Self::Refused { status, .. } => status.is_server_error(),
            Self::Io { .. } | Self::TooLong { .. } => false,
        }
    }
}

/// Uploads a jar, unless one of this name is there.
///
/// # Errors
/// [`Error`]; of several attempts the last one's.
pub async fn upload(jar: &Path, to: &Target, retry: Retry) -> Result<(), Error> {
    let attempts = async {
        let mut pause = retry.pause;
        for _ in 1..retry.attempts {
            match attempt(jar, to).await {
                Err(error) if error.is_transient() => {
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2);
                }
                outcome => return outcome,
            }
        }
        attempt(jar, to).await
    };
    let late = |_| Err(Error::TooLong { url: to.url.clone(), limit: retry.limit });
    tokio::time::timeout(retry.limit, attempts).await.unwrap_or_else(late)
}

async fn attempt(jar: &Path, to: &Target) -> Result<(), Error> {
    let client = flink::Client::new(&to.url)?.authorized(to.authorization.clone()).over_tls(to.tls.clone());
    // An answer may have been lost.
    if client.jars().await?.iter().any(|there| there.name == to.name) {
        return Ok(());
    }
    send(jar, to).await
}

/// The one part of the request: a file. Flink takes it under any name of the form's field.
fn around(name: &str) -> (Bytes, Bytes) {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"jarfile\"; filename=\"{name}\"\r\n\
         Content-Type: application/x-java-archive\r\n\r\n"
    );
    (head.into(), format!("\r\n--{BOUNDARY}--\r\n").into())
}

async fn send(jar: &Path, to: &Target) -> Result<(), Error> {
    let url = format!("{}/jars/upload", to.url.trim_end_matches('/'));
    let io = |source| Error::Io { path: jar.to_owned(), source };
    let mut file = File::open(jar).map_err(io)?;
    let (head, tail) = around(&to.name);
    let length = file.metadata().map_err(io)?.len() + (head.len() + tail.len()) as u64;
    let content = std::iter::from_fn(move || {
        let mut chunk = vec![0; CHUNK];
        match file.read(&mut chunk) {
            Ok(0) => None,
            Ok(read) => {
                chunk.truncate(read);
                Some(Ok(Bytes::from(chunk)))
            }
            Err(error) => Some(Err(error)),
        }
    });
    let parts = std::iter::once(Ok(head)).chain(content).chain(std::iter::once(Ok(tail)));
    let body = StreamBody::new(futures::stream::iter(parts.map(|part| part.map(Frame::data))));
    let unanswered = |message: String| Error::Unanswered { url: url.clone(), message };
    let mut request = http::Request::post(&url)
        .header(CONTENT_TYPE, format!("multipart/form-data; boundary={BOUNDARY}"))
        .header(CONTENT_LENGTH, length);
    if let Some(authorization) = &to.authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    let request = request.body(body).map_err(|error| unanswered(error.to_string()))?;
    let (status, words) = match &to.tls {
        None => in_the_clear(request).await.map_err(|error| unanswered(chain(&error.without_url())))?,
        Some(tls) => secured(tls, request).await.map_err(unanswered)?,
    };
    if status.is_success() {
        return Ok(());
    }
    Err(Error::Refused { url, status, message: words.chars().take(1000).collect() })
}

/// The answer's status, and its words unless all is well. The status is known then, so words that can't be read are no loss.
type Answer = (StatusCode, String);

async fn in_the_clear<B>(request: http::Request<B>) -> Result<Answer, reqwest::Error>
where
    B: hyper::body::Body<Data = Bytes, Error = io::Error> + Send + Sync + 'static,
{
    let http = reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .build()?;
    let answer = http.execute(request.map(reqwest::Body::wrap).try_into()?).await?;
    let status = answer.status();
    Ok((status, if status.is_success() { String::new() } else { answer.text().await.unwrap_or_default() }))
}

async fn secured<B>(tls: &flink::Tls, request: http::Request<B>) -> Result<Answer, String>
where
    B: hyper::body::Body<Data = Bytes, Error = io::Error> + Send + 'static,
{
    let answer = tls.request(request.map(BodyExt::boxed_unsync)).await.map_err(|error| error.to_string())?;
    let status = answer.status();
    if status.is_success() {
        return Ok((status, String::new()));
    }
    let words = Limited::new(answer.into_body(), WORDS).collect().await.map(http_body_util::Collected::to_bytes);
    Ok((status, String::from_utf8_lossy(&words.unwrap_or_default()).into_owned()))
}

#[cfg(test)]
#[path = "upload_tests.rs"]
mod tests;
