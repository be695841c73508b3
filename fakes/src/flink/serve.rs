//! The cluster's REST interface over TCP, on loopback.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::cluster::Cluster;

/// A server; it stops when this is dropped.
#[derive(Debug)]
pub struct Served {
    /// Its URL, without a slash at the end.
    pub url: String,
    accepting: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Cluster {
    /// Answers over TCP, at a free port. While the JobManager is dead connections are cut.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn serve(&self) -> io::Result<Served> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let cluster = self.clone();
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let cluster = cluster.clone();
                let service = service_fn(move |request| answer(cluster.clone(), request));
                // A connection that ends with an error is one that the client or a dead JobManager has cut.
                connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Served { url, accepting })
    }
}

async fn answer(cluster: Cluster, request: http::Request<Incoming>) -> anyhow::Result<http::Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(cluster.handle(http::Request::from_parts(parts, body)).await?.map(Full::new))
}
