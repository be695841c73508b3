//! The admin server: `/livez`, `/readyz`, `/metrics`.

use std::net::SocketAddr;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;

use super::{Error, metrics::CONTENT_TYPE, metrics::Metrics, readiness::Readiness, shutdown::Shutdown};

#[derive(Clone)]
struct Admin {
    metrics: Metrics,
    readiness: Readiness,
}

/// Listens on the address.
///
/// # Errors
/// [`Error::AdminAddress`] if that is not possible.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::AdminAddress { address, source })
}

/// Serves until `stop`, then answers what was asked before.
///
/// # Errors
/// [`Error::Admin`] if the server can't go on.
pub async fn serve(listener: TcpListener, metrics: Metrics, readiness: Readiness, stop: Shutdown) -> Result<(), Error> {
    let router = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_page));
    #[cfg(feature = "failpoints")]
    let router = failpoints::routes(router);
    let server = axum::serve(listener, router.with_state(Admin { metrics, readiness }));
    server.with_graceful_shutdown(stop.requested()).await.map_err(Error::Admin)
}

async fn readyz(State(admin): State<Admin>) -> (StatusCode, String) {
    let waiting = admin.readiness.waiting_for();
    if waiting.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for:\n{}\n", waiting.join("\n")))
    }
}

async fn metrics_page(State(admin): State<Admin>) -> Response {
    match admin.metrics.encode() {
        Ok(page) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], page).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// `PUT /failpoints/<name>?key=<namespace>[/<name>]` arms one, `DELETE /failpoints` disarms all.
#[cfg(feature = "failpoints")]
mod failpoints {
    use axum::{
        Router,
        extract::{Path, RawQuery},
        http::StatusCode,
        routing::{delete, put},
    };

    use super::super::failpoint::ARMED;

    pub(super) fn routes<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
        router.route("/failpoints/{name}", put(arm)).route("/failpoints", delete(clear))
    }

    async fn arm(Path(name): Path<String>, RawQuery(query): RawQuery) -> (StatusCode, String) {
        // Names of objects need no escapes; a client may still escape the slash.
        let query = query.unwrap_or_default().replace("%2F", "/").replace("%2f", "/");
        let key = query.split('&').find_map(|pair| pair.strip_prefix("key=")).unwrap_or_default();
        if key.is_empty() {
            return (
                StatusCode::BAD_REQUEST,
                "key is missing; give ?key=<namespace> or ?key=<namespace>/<name>\n".to_owned(),
            );
        }
        match ARMED.arm(&name, key) {
            Ok(()) => (StatusCode::OK, format!("{name} is armed for {key}\n")),
            Err(unknown) => (StatusCode::NOT_FOUND, format!("{unknown}\n")),
        }
    }

    async fn clear() -> &'static str {
        ARMED.clear();
        "none is armed\n"
    }
}

#[cfg(test)]
#[path = "admin_tests.rs"]
mod tests;
