//! JobManagers that speak HTTPS: the HTTP stack that S3 is spoken to by, with whom to trust and whom to be. No message has
//! anything of a Secret but its keys' names, and of a certificate its names and times.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderValue, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector as Tcp;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use sha2::{Digest as _, Sha256};

use super::tls_fault::{is_of_client_certificate, told};
use super::transport::{CONNECT_TIMEOUT, IDLE, LIMIT, Undelivered};
use crate::tls;

/// Key of the authorities' certificates in a Secret.
pub const CA: &str = "ca.crt";
/// Key of the client certificate in a Secret, with the certificates between it and its authority.
pub const CERTIFICATE: &str = "tls.crt";
/// Key of the client certificate's private key in a Secret.
pub const KEY: &str = "tls.key";
/// The variables by which `jar fetch` is told what the keys have.
pub const VARIABLES: [(&str, &str); 3] =
    [("FLINK_REST_CA", CA), ("FLINK_REST_CERTIFICATE", CERTIFICATE), ("FLINK_REST_KEY", KEY)];

/// How many clients are kept: of so many endpoints connections can be used again.
const KEPT: usize = 64;

/// The body of a request, which may come in parts.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Why no client can be made of what a Secret has, or of a name. The caller puts field and Secret before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// None of the keys.
    #[error("must hold {CA}, or {CERTIFICATE} and {KEY}, or all three")]
    Empty,
    /// Half of a client certificate.
    #[error("has {has} and no {lacks}, and a client certificate needs both: add {lacks}, or remove {has}")]
    Half {
        /// The key that is there.
        has: &'static str,
        /// The key that is not.
        lacks: &'static str,
    },
    /// No certificate, or one that can't be read.
    #[error("has no certificate in {0} that can be read: it must be PEM, from BEGIN CERTIFICATE to END CERTIFICATE")]
    Certificate(&'static str),
    /// No private key, or one that can't be used.
    #[error("has no private key in {KEY} that can be used: it must be PEM, ECDSA, Ed25519 or RSA, without a password")]
    Key,
    /// A private key that is another certificate's.
    #[error("has in {KEY} another key than that of the certificate in {CERTIFICATE}: put both of one pair there")]
    NotAPair,
    /// A name that no certificate can carry.
    #[error("'{0}' is neither a DNS name nor an IP address: give the name that the endpoint's certificate carries")]
    ServerName(String),
    /// The authorities of the machine.
    #[error("the system's certificate authorities can't be read ({0}): name a Secret with {CA} in tls.secretRef")]
    System(String),
}

impl Invalid {
    /// Whether it is the Secret that must be mended.
    #[must_use]
    pub fn is_of_secret(&self) -> bool {
        !matches!(self, Self::ServerName(_) | Self::System(_))
    }
}

/// A client for endpoints that present a certificate of one name. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    /// Of all that it was made of.
    digest: [u8; 32],
    server_name: String,
    shows_certificate: bool,
    client: legacy::Client<TimeoutConnector<HttpsConnector<Tcp>>, Body>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("server_name", &self.0.server_name).finish_non_exhaustive()
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        self.0.digest == other.0.digest
    }
}

impl Eq for Tls {}

impl Tls {
    /// A client for a name, with what a Secret has; `None`: by the authorities of the system, and without a certificate.
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn new(secret: Option<&BTreeMap<String, Vec<u8>>>, server_name: &str) -> Result<Self, Invalid> {
        let name = ServerName::try_from(server_name.to_owned())
            .map_err(|_| Invalid::ServerName(server_name.chars().take(253).collect()))?;
        let of = |key: &str| secret.and_then(|secret| secret.get(key)).map(Vec::as_slice);
        let own = match (of(CERTIFICATE), of(KEY)) {
            (Some(certificate), Some(key)) => Some(certified(certificate, key)?),
            (Some(_), None) => return Err(Invalid::Half { has: CERTIFICATE, lacks: KEY }),
            (None, Some(_)) => return Err(Invalid::Half { has: KEY, lacks: CERTIFICATE }),
            (None, None) if secret.is_some() && of(CA).is_none() => return Err(Invalid::Empty),
            (None, None) => None,
        };
        let mut config = match of(CA) {
            Some(pem) => tls::trusting(authorities(pem)?),
            None => tls::of_the_system(),
        }
        .map_err(|error| Invalid::System(error.to_string()))?;
        let shows_certificate = own.is_some();
        if let Some(own) = own {
            config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(own));
        }
        let mut tcp = Tcp::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            // Credentials never go out in the clear.
            .https_only()
            .with_server_name_resolver(FixedServerNameResolver::new(name))
            .enable_http1()
            .wrap_connector(tcp);
        let mut timed = TimeoutConnector::new(https);
        timed.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let mut client = legacy::Client::builder(TokioExecutor::new());
        client.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
        Ok(Self(Arc::new(Inner {
            digest: digest(secret, server_name),
            server_name: server_name.to_owned(),
            shows_certificate,
            client: client.build(timed),
        })))
    }

    /// Sends a request once, and reads the whole answer, within a time limit.
    pub(super) async fn send(
        &self,
        request: Request<Vec<u8>>,
        limit: Duration,
    ) -> Result<Response<Vec<u8>>, Undelivered> {
        let request = request.map(|body| Full::from(body).map_err(|never| match never {}).boxed_unsync());
        let answer = async {
            let (parts, body) = self.request(request).await?.into_parts();
            let status = parts.status;
            let body = Limited::new(body, LIMIT).collect().await.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    Undelivered::TooLong(format!("HTTP {status} with more than {LIMIT} bytes"))
                } else {
                    Undelivered::Unanswered(self.told(&*error))
                }
            })?;
            Ok(Response::from_parts(parts, body.to_bytes().into()))
        };
        let late = |_| Err(Undelivered::Unanswered(format!("none within {} s", limit.as_secs())));
        tokio::time::timeout(limit, answer).await.unwrap_or_else(late)
    }

    /// Sends a request once; the answer's body comes as it is read.
    pub(crate) async fn request(&self, mut request: Request<Body>) -> Result<Response<Incoming>, Undelivered> {
        let agent = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(agent));
        self.0.client.request(request).await.map_err(|error| {
            // A server that refuses a certificate, or wants one, has read nothing of the request; by TLS 1.3 it says so only
            // after that was sent.
            let refused = tls::said(&error).is_some_and(is_of_client_certificate);
            let message = self.told(&error);
            if error.is_connect() || refused {
                Undelivered::NotConnected(message)
            } else {
                Undelivered::Unanswered(message)
            }
        })
    }

    fn told(&self, error: &(dyn Error + 'static)) -> String {
        told(error, &self.0.server_name, self.0.shows_certificate)
    }
}

/// What makes two clients the same.
fn digest(secret: Option<&BTreeMap<String, Vec<u8>>>, server_name: &str) -> [u8; 32] {
    let of = |key: &str| secret.and_then(|secret| secret.get(key)).map(Vec::as_slice);
    let mut digest = Sha256::new();
    for part in [Some(server_name.as_bytes()), of(CA), of(CERTIFICATE), of(KEY)] {
        // With its length, so that no two sets of parts are the same bytes.
        digest.update(part.map_or(u64::MAX, |part| part.len() as u64).to_le_bytes());
        digest.update(part.unwrap_or_default());
    }
    digest.finalize().into()
}

fn certificates(pem: &[u8], key: &'static str) -> Result<Vec<CertificateDer<'static>>, Invalid> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    all.ok().filter(|all| !all.is_empty()).ok_or(Invalid::Certificate(key))
}

fn authorities(pem: &[u8]) -> Result<RootCertStore, Invalid> {
    let mut authorities = RootCertStore::empty();
    for certificate in certificates(pem, CA)? {
        authorities.add(certificate).map_err(|_| Invalid::Certificate(CA))?;
    }
    Ok(authorities)
}

fn certified(certificate: &[u8], key: &[u8]) -> Result<CertifiedKey, Invalid> {
    let chain = certificates(certificate, CERTIFICATE)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| Invalid::Key)?;
    CertifiedKey::from_der(chain, key, &tls::provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => Invalid::NotAPair,
        rustls::Error::InvalidCertificate(_) => Invalid::Certificate(CERTIFICATE),
        _ => Invalid::Key,
    })
}

/// The clients that were used last, so that a pass makes no connection anew. Another content is another client: a Secret
/// that was rotated is used from the next pass on.
#[derive(Debug, Default)]
pub struct Clients(Mutex<VecDeque<Tls>>);

impl Clients {
    /// The client for a name, with what a Secret has: [`Tls::new`].
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn get(&self, secret: Option<&BTreeMap<String, Vec<u8>>>, server_name: &str) -> Result<Tls, Invalid> {
        let digest = digest(secret, server_name);
        if let Some(known) = self.used(|known| known.0.digest == digest) {
            return Ok(known);
        }
        let new = Tls::new(secret, server_name)?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(new.clone());
        Ok(new)
    }

    /// The one that is kept, which is the last to go now.
    fn used(&self, is: impl Fn(&Tls) -> bool) -> Option<Tls> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(is)?;
        let found = kept.remove(at)?;
        kept.push_back(found.clone());
        Some(found)
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
