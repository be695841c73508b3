//! A server before the cluster's S3 server, which does wrong, or can be stopped.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

use crate::s3::S3;

/// What it does instead of passing on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It never answers.
    Silent,
    /// It closes the connection without an answer.
    Cut,
    /// It answers with this HTTP status and code of S3.
    Refuse(u16, &'static str),
    /// It closes the connection in the middle of an object.
    Short,
    /// It keeps requests for a `_metadata` until [`Proxy::open`].
    Hold,
}

/// A proxy that runs until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    /// `http://host:port`, as pods reach it.
    pub endpoint: String,
    gate: watch::Sender<bool>,
    held: watch::Receiver<usize>,
    _server: JoinSet<()>,
}

impl Proxy {
    /// Starts one, at the address at which pods reach the S3 server: that is this machine.
    ///
    /// # Errors
    /// It is another machine, whose addresses this process can't listen at.
    pub async fn start(s3: &S3, fault: Fault) -> Result<Self> {
        let (listener, host) = before(s3).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let (gate, opened) = watch::channel(false);
        let (holds, held) = watch::channel(0);
        let way = Arc::new(Way { upstream: host, fault, opened, holds });
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut clients = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let way = Arc::clone(&way);
                // A client that goes away, and a fault that is done, end a connection.
                clients.spawn(async move { way.serve(client).await.unwrap_or_default() });
            }
        });
        Ok(Self { endpoint, gate, held, _server: server })
    }

    /// Waits until a request is held.
    ///
    /// # Errors
    /// The proxy ended.
    pub async fn holds(&self) -> Result<()> {
        self.held.clone().wait_for(|held| *held > 0).await.map(drop).context("the proxy ended")
    }

    /// Lets everything pass from now on.
    pub fn open(&self) {
        self.gate.send_replace(true);
    }
}

/// Listens where pods reach the S3 server; and that server's host and port.
async fn before(s3: &S3) -> Result<(TcpListener, String)> {
    let host = s3.host();
    let address = host.rsplit_once(':').map_or(host, |(address, _)| address);
    let listener = TcpListener::bind((address, 0)).await.with_context(|| {
        format!("{address}: the S3 server must be on the machine of the tests, where they can stand before it")
    })?;
    Ok((listener, host.to_owned()))
}

/// The S3 server under another address, where it can be stopped: connections are cut then, and new ones refused. It ends
/// when it is dropped.
#[derive(Debug)]
pub struct Stoppable {
    /// The server, as it is reached through this.
    pub s3: S3,
    upstream: String,
    address: SocketAddr,
    server: JoinSet<()>,
}

impl Stoppable {
    /// Starts one, as [`Proxy::start`] does.
    ///
    /// # Errors
    /// See there.
    pub async fn start(s3: &S3) -> Result<Self> {
        let (listener, upstream) = before(s3).await?;
        let address = listener.local_addr()?;
        let s3 = S3 { endpoint: format!("http://{address}"), ..s3.clone() };
        let mut stoppable = Self { s3, upstream, address, server: JoinSet::new() };
        stoppable.serve(listener);
        Ok(stoppable)
    }

    /// Stops it.
    pub async fn stop(&mut self) {
        self.server.shutdown().await;
    }

    /// Starts it again, at the same address.
    ///
    /// # Errors
    /// Somebody else has taken its address.
    pub async fn restart(&mut self) -> Result<()> {
        let listener = TcpListener::bind(self.address).await.with_context(|| self.address.to_string())?;
        self.serve(listener);
        Ok(())
    }

    /// Bytes go through as they are: a signature holds for the address that the client was given.
    fn serve(&mut self, listener: TcpListener) {
        let upstream = self.upstream.clone();
        self.server.spawn(async move {
            let mut clients = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let upstream = upstream.clone();
                clients.spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(upstream).await {
                        // Either side may go away.
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
    }
}

/// The S3 server behind TLS, with a certificate of an authority that nobody knows. It ends when it is dropped.
#[derive(Debug)]
pub struct BehindTls {
    /// The server, as it is reached through this.
    pub s3: S3,
    /// The authority's certificate, as PEM.
    pub authority: String,
    _server: JoinSet<()>,
}

impl BehindTls {
    /// Starts one, as [`Proxy::start`] does.
    ///
    /// # Errors
    /// See there.
    pub async fn start(s3: &S3) -> Result<Self> {
        let (listener, upstream) = before(s3).await?;
        let address = listener.local_addr()?;
        let (authority, acceptor) = certified(address)?;
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut clients = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, upstream) = (acceptor.clone(), upstream.clone());
                clients.spawn(async move {
                    // A client that does not trust it goes away.
                    let Ok(mut client) = acceptor.accept(client).await else { return };
                    if let Ok(mut server) = TcpStream::connect(upstream).await {
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        let s3 = S3 { endpoint: format!("https://{address}"), ..s3.clone() };
        Ok(Self { s3, authority, _server: server })
    }
}

/// A new authority's certificate, and the server's side of TLS for an address, certified by it.
fn certified(address: SocketAddr) -> Result<(String, TlsAcceptor)> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new([address.ip().to_string()])?.signed_by(&key, &authority)?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    Ok((authority.pem(), Arc::new(server).into()))
}

struct Way {
    upstream: String,
    fault: Fault,
    opened: watch::Receiver<bool>,
    holds: watch::Sender<usize>,
}

impl Way {
    async fn serve(&self, mut client: TcpStream) -> Result<()> {
        loop {
            let request = Message::read(&mut client).await?;
            let open = *self.opened.borrow();
            match self.fault {
                Fault::Silent => std::future::pending().await,
                Fault::Cut => return Ok(()),
                Fault::Refuse(status, code) => {
                    let body = format!("<Error><Code>{code}</Code><Message>for the test</Message></Error>");
                    let head = format!("HTTP/1.1 {status} Refused\r\ncontent-length: {}\r\n\r\n", body.len());
                    client.write_all(head.as_bytes()).await?;
                    // Of a HEAD there is no body.
                    if !request.head.starts_with("HEAD ") {
                        client.write_all(body.as_bytes()).await?;
                    }
                    continue;
                }
                Fault::Hold if !open && request.target().ends_with("/_metadata") => {
                    self.holds.send_modify(|held| *held += 1);
                    self.opened.clone().wait_for(|open| *open).await?;
                }
                Fault::Hold | Fault::Short => {}
            }
            let mut upstream = TcpStream::connect(&self.upstream).await?;
            upstream.write_all(&request.bytes()).await?;
            let answer = if request.head.starts_with("HEAD ") {
                Message::read_head(&mut upstream).await?
            } else {
                Message::read(&mut upstream).await?
            };
            let mut bytes = answer.bytes();
            let of_an_object = request.head.starts_with("GET ") && !request.target().contains('?');
            if self.fault == Fault::Short && of_an_object && !answer.body.is_empty() {
                bytes.truncate(bytes.len() - answer.body.len().div_ceil(2));
                client.write_all(&bytes).await?;
                return Ok(());
            }
            client.write_all(&bytes).await?;
        }
    }
}

/// A request or an answer of HTTP/1.1.
struct Message {
    head: String,
    body: Vec<u8>,
}

impl Message {
    async fn read(from: &mut (impl AsyncRead + Unpin)) -> Result<Self> {
        let mut message = Self::read_head(from).await?;
        let headers: HashMap<String, &str> = message
            .head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
            .collect();
        ensure!(!headers.contains_key("transfer-encoding"), "chunks are not known here: {}", message.head);
        let length = headers.get("content-length").map_or(Ok(0), |length| length.parse())?;
        let mut body = vec![0; length];
        from.read_exact(&mut body).await?;
        message.body = body;
        Ok(message)
    }

    async fn read_head(from: &mut (impl AsyncRead + Unpin)) -> Result<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            ensure!(head.len() < 64 * 1024, "no end of the head");
            head.push(from.read_u8().await?);
        }
        Ok(Self { head: String::from_utf8(head)?, body: Vec::new() })
    }

    fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    fn bytes(&self) -> Vec<u8> {
        [self.head.as_bytes(), &self.body].concat()
    }
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod proxy_tests;
