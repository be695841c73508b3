//! What carries requests to JobManagers.

use std::fmt::Debug;
use std::time::Duration;

use http::{Request, Response};

use super::error::Error;
use super::tls::Tls;

/// How long a connection may take to be made. Below every other limit, so that a timeout before the request went out is
/// always seen as that.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an idle connection is kept: enough for polling, too short to meet many dead ones.
pub(super) const IDLE: Duration = Duration::from_secs(10);
/// How much of an answer is read, in bytes. The largest seen is a failed savepoint's, with 53 kB.
pub(super) const LIMIT: usize = 16 * 1024 * 1024;

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// No connection was made: it has no effect.
    #[error("{0}")]
    NotConnected(String),
    /// It may have been received.
    #[error("{0}")]
    Unanswered(String),
    /// The answer is too long to be one of a JobManager.
    #[error("{0}")]
    TooLong(String),
}

/// Carries one request, once: only the caller knows whether a repeat is safe.
#[async_trait::async_trait]
pub trait Transport: Debug + Send + Sync {
    /// Sends a request with an absolute URL and reads the whole answer, within a time limit. By TLS if the request has a
    /// [`Tls`] among its extensions.
    ///
    /// # Errors
    /// [`Undelivered`].
    async fn send(&self, request: Request<Vec<u8>>, limit: Duration) -> Result<Response<Vec<u8>>, Undelivered>;
}

/// HTTP, with one pool of connections, and HTTPS with those of each [`Tls`].
#[derive(Debug)]
pub struct Http(reqwest::Client);

impl Http {
    /// Sets up the pool.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if the HTTP client can't be set up on this machine.
    pub fn new() -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // A JobManager is in the cluster, never behind the proxy that leads out of it.
            .no_proxy()
            .build()
            .map_err(|e| Error::Unreachable { address: String::new(), message: chain(&e) })?;
        Ok(Self(http))
    }
}

#[async_trait::async_trait]
impl Transport for Http {
    async fn send(&self, mut request: Request<Vec<u8>>, limit: Duration) -> Result<Response<Vec<u8>>, Undelivered> {
        if let Some(tls) = request.extensions_mut().remove::<Tls>() {
            return tls.send(request, limit).await;
        }
        let mut request = reqwest::Request::try_from(request).map_err(|e| Undelivered::NotConnected(chain(&e)))?;
        *request.timeout_mut() = Some(limit);
        let mut response = self.0.execute(request).await.map_err(|e| {
            if e.is_connect() || e.is_builder() { Undelivered::NotConnected(chain(&e)) } else { unanswered(&e, limit) }
        })?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| unanswered(&e, limit))? {
            if body.len() + chunk.len() > LIMIT {
                return Err(Undelivered::TooLong(format!("HTTP {} with more than {LIMIT} bytes", response.status())));
            }
            body.extend_from_slice(&chunk);
        }
        let status = response.status();
        let mut answer = Response::new(body);
        *answer.status_mut() = status;
        Ok(answer)
    }
}

fn unanswered(e: &reqwest::Error, limit: Duration) -> Undelivered {
    Undelivered::Unanswered(if e.is_timeout() { format!("none within {} s", limit.as_secs()) } else { chain(e) })
}

/// The innermost source says what happened; the outer ones only repeat the URL.
fn chain(e: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = e;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
