//! The client of the Kubernetes API.

use std::time::Duration;

use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::Client as Http;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::{Body, ConfigExt as _};
use kube::{Client, Config};
use tower::{BoxError, ServiceBuilder};

use super::Error;

/// Within this time a call that is no watch has an answer or has failed. An effect that can't be undone asks the Lease for more than this.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The last defence against a connection that is silently dead: longer than a watch is open (kube's watcher asks for 290 s).
const SILENCE: Duration = Duration::from_secs(360);
/// How long an idle connection is kept: enough for a job's passes. Between them there are few, as each has its buffers.
const IDLE: Duration = Duration::from_secs(10);
/// The most that a connection reads at once, in bytes: what TLS brings at once. Without it a connection that has once brought a
/// long list keeps a buffer as large as that.
const READ: usize = 16 * 1024;

/// Why a call to the API server has no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No answer in time. The call may have taken effect.
    #[error("no answer of the Kubernetes API within {}s", .0.as_secs_f32())]
    Timeout(Duration),
    /// The API server refused, or could not be reached.
    #[error(transparent)]
    Kube(#[from] kube::Error),
}

impl CallError {
    /// The HTTP status of a refusal.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Kube(kube::Error::Api(status)) => Some(status.code),
            _ => None,
        }
    }

    /// The object has changed since it was read, or exists already.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.code() == Some(409)
    }

    /// The object is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }
}

/// Makes a call, but waits for no longer than `limit`.
///
/// # Errors
/// [`CallError::Timeout`] after `limit`; else what the call itself says.
pub async fn within<T>(limit: Duration, call: impl Future<Output = kube::Result<T>>) -> Result<T, CallError> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(CallError::Timeout(limit)),
    }
}

/// A client from the pod's `ServiceAccount`, or outside a cluster from the kubeconfig.
///
/// # Errors
/// [`Error::KubeConfig`] if neither is there, [`Error::KubeClient`] if no client can be built from it.
pub async fn connect() -> Result<Client, Error> {
    let config = if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        // In a pod never anything else: a stray kubeconfig must not lead to another cluster.
        Config::incluster().map_err(|error| Error::KubeConfig(error.to_string()))?
    } else {
        Config::infer().await.map_err(|error| Error::KubeConfig(error.to_string()))?
    };
    client(&config).map_err(Error::KubeClient)
}

/// As kube builds it, but for what an idle connection costs, and that nothing is sent again: kube would do so, POSTs included,
/// and hide for minutes that it does. Retries are the controllers' work.
pub(super) fn client(config: &Config) -> kube::Result<Client> {
    let mut timed = TimeoutConnector::new(config.rustls_https_connector()?);
    timed.set_connect_timeout(Some(CONNECT_TIMEOUT));
    timed.set_read_timeout(Some(SILENCE));
    timed.set_write_timeout(Some(CALL_TIMEOUT));
    // Without this the time a pooled connection was idle counts as silence of the next answer.
    timed.set_reset_reader_on_write(true);
    let http: Http<_, Body> = Http::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .pool_timer(TokioTimer::new())
        .http1_max_buf_size(READ)
        .build(timed);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(Client::new(service, config.default_namespace.clone()))
}
