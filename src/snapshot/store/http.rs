//! How S3, and a web server with a jar, is spoken to: the HTTP stack that the client of Kubernetes has, too. Only what S3's code says leaves an answer
//! that is no success; its body, which may repeat the access key and what was signed, is dropped here, before anything
//! can log it. No proxy is used, and no redirect followed.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderValue, USER_AGENT};
use http::{Method, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as Tcp;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpResponseBody,
    HttpService,
};
use rustls::RootCertStore;

use super::settings::Patience;
use crate::runtime::error::chain;
use crate::tls;

/// How long an idle connection is kept: enough for one file after the other, too short to meet many dead ones.
const IDLE: Duration = Duration::from_secs(10);
/// How much is read of an answer that is no success, in bytes. S3's have some 500.
const LIMIT: usize = 64 * 1024;
/// How much is read of a page of a listing, or of the answer about as many files that were to be deleted, in bytes: of
/// 1000 keys of 1 KiB, in which every character is escaped.
const PAGE: usize = 16 * 1024 * 1024;
/// What `object_store` is told where all was deleted: an answer without any file it would not understand.
const ALL_DELETED: &[u8] = b"<DeleteResult><Deleted><Key>all</Key></Deleted></DeleteResult>";
/// Within so many bytes a page says that it is one.
const PROLOGUE: usize = 1024;

/// Why a request has no answer that is a success. Found in the sources of `object_store`'s errors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("no connection: {0}")]
    NoConnection(String),
    #[error("no connection: {0}; an authority of your own is named by SSL_CERT_FILE")]
    Untrusted(String),
    #[error("no answer in time")]
    Silent,
    #[error("the connection was closed")]
    Cut,
    #[error("the answer has fewer bytes than it promised")]
    Short,
    #[error("the answer is not understood")]
    Garbled,
    #[error("HTTP status {status}")]
    Refused {
        status: u16,
        /// S3's `<Code>`.
        code: Option<String>,
        /// Where the bucket is, if S3 says so.
        region: Option<String>,
    },
    #[error("of the files that were to be deleted one was not")]
    Kept {
        /// Its key, as the answer has it.
        key: String,
        /// The HTTP status that such a code comes with where it is about one file.
        status: u16,
        /// S3's `<Code>`.
        code: Option<String>,
    },
}

impl Fault {
    /// The one that an error comes from.
    pub fn of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        sources(error).find_map(|error| error.downcast_ref())
    }

    /// As `object_store` wants it, which decides by the kind whether to repeat: all that is asked for here may be.
    fn into_error(self) -> HttpError {
        let kind = match &self {
            Self::NoConnection(_) | Self::Untrusted(_) => HttpErrorKind::Connect,
            Self::Cut | Self::Short | Self::Refused { status: 429 | 500.., .. } | Self::Kept { status: 500.., .. } => {
                HttpErrorKind::Request
            }
            _ => HttpErrorKind::Unknown,
        };
        HttpError::new(kind, self)
    }

    /// `length`: the answer said how many bytes it would have.
    fn within_answer(error: &(dyn Error + 'static), length: bool) -> Self {
        for error in sources(error) {
            if let Some(error) = error.downcast_ref::<io::Error>() {
                match error.kind() {
                    io::ErrorKind::TimedOut => return Self::Silent,
                    io::ErrorKind::UnexpectedEof if length => return Self::Short,
                    io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::UnexpectedEof => return Self::Cut,
                    _ => {}
                }
            }
            if let Some(error) = error.downcast_ref::<hyper::Error>() {
                if error.is_timeout() {
                    return Self::Silent;
                }
                if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
                    return Self::Cut;
                }
            }
        }
        Self::Garbled
    }
}

/// An error and what it comes from.
pub(super) fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| -> Option<&'a (dyn Error + 'static)> { (*error).source() })
}

/// The HTTP client of one store. Clones share their connections.
#[derive(Clone)]
pub(crate) struct Http {
    client: Client<TimeoutConnector<HttpsConnector<Tcp>>, HttpRequestBody>,
    connect: Duration,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

impl Http {
    /// # Errors
    /// If there are no root certificates, which only `https` needs.
    pub fn new(endpoint: &Uri, patience: &Patience) -> io::Result<Self> {
        let tls = if endpoint.scheme_str() == Some("https") {
            tls::of_the_system()?
        } else {
            tls::trusting(RootCertStore::empty())?
        };
        let mut tcp = Tcp::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let https =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
        let mut timed = TimeoutConnector::new(https);
        timed.set_connect_timeout(Some(patience.connect));
        timed.set_read_timeout(Some(patience.answer));
        timed.set_write_timeout(Some(patience.answer));
        // Without this the time that a pooled connection was idle counts as silence of the next answer.
        timed.set_reset_reader_on_write(true);
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
        Ok(Self { client: client.build(timed), connect: patience.connect })
    }
}

impl HttpConnector for Http {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Http {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let query = request.uri().query().unwrap_or_default();
        let (listing, deleting) =
            (query.contains("list-type=2"), request.method() == Method::POST && query == "delete");
        let (parts, body) = self.answer(request).await.map_err(Fault::into_error)?.into_parts();
        if parts.status.is_success() {
            let length = parts.headers.contains_key(CONTENT_LENGTH);
            let body = body.map_err(move |error| Fault::within_answer(&error, length).into_error());
            let body = match (listing, deleting) {
                (true, _) => page(body).await?.into(),
                (_, true) => deleted(body).await?.into(),
                _ => HttpResponseBody::new(body),
            };
            return Ok(HttpResponse::from_parts(parts, body));
        }
        let region = parts.headers.get("x-amz-bucket-region").and_then(|region| region.to_str().ok()).and_then(word);
        // The status is known, so a body that can't be read is no loss.
        let body =
            Limited::new(body, LIMIT).collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Err(refused(parts.status, &body, region).into_error())
    }
}

impl Http {
    /// What a server has at an address: its answer, whatever the status, and its body as it arrives.
    pub async fn get(&self, address: Uri) -> Result<Response<impl Body<Data = Bytes, Error = Fault> + use<>>, Fault> {
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() = address;
        let (parts, body) = self.answer(request).await?.into_parts();
        let length = parts.headers.contains_key(CONTENT_LENGTH);
        Ok(Response::from_parts(parts, body.map_err(move |error| Fault::within_answer(&error, length))))
    }

    async fn answer(&self, mut request: HttpRequest) -> Result<Response<Incoming>, Fault> {
        let agent = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(agent));
        let answer = self.client.request(request).await;
        answer.map_err(|error| {
            if error.is_connect() { self.no_connection(&error) } else { Fault::within_answer(&error, false) }
        })
    }

    fn no_connection(&self, error: &hyper_util::client::legacy::Error) -> Fault {
        let timed_out = |error: &(dyn Error + 'static)| {
            error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
        };
        if sources(error).any(timed_out) {
            return Fault::NoConnection(format!("no connection within {}s", self.connect.as_secs_f32()));
        }
        let told = error.source().map_or_else(String::new, chain);
        if is_of_certificate(error) { Fault::Untrusted(told) } else { Fault::NoConnection(told) }
    }
}

/// Whether this says what is wrong with the server's certificate.
fn is_of_certificate(error: &(dyn Error + 'static)) -> bool {
    matches!(tls::said(error), Some(rustls::Error::InvalidCertificate(_)))
}

/// A page of a listing. `object_store` would take any other page for one without files, a portal's HTML too, and a whole
/// snapshot for one of which all is missing.
async fn page(body: impl Body<Data = Bytes, Error = HttpError>) -> Result<Bytes, HttpError> {
    let page = whole(body).await?;
    if begins(&page, "<ListBucketResult") { Ok(page) } else { Err(Fault::Garbled.into_error()) }
}

/// The answer about files that were to be deleted. `object_store` would panic at a key that was not asked for, and keep
/// what the server says in its own words. So it never sees any of it: it is told that all went well, or the first fault.
async fn deleted(body: impl Body<Data = Bytes, Error = HttpError>) -> Result<Bytes, HttpError> {
    let answer = whole(body).await?;
    let text = String::from_utf8_lossy(&answer);
    if !begins(&answer, "<DeleteResult") {
        // S3 may fail after it has answered with status 200.
        let fault = match between(&text, "<Code>", "</Code>") {
            Some(code) if begins(&answer, "<Error") => {
                Fault::Refused { status: status_of(code), code: word(code), region: None }
            }
            _ => Fault::Garbled,
        };
        return Err(fault.into_error());
    }
    let kept = text.split("<Error").skip(1).find_map(|error| {
        let error = error.split("</Error>").next().unwrap_or_default();
        let code = between(error, "<Code>", "</Code>").unwrap_or_default();
        let key = unescaped(between(error, "<Key>", "</Key>").unwrap_or_default());
        (code != "NoSuchKey").then(|| Fault::Kept { key, status: status_of(code), code: word(code) })
    });
    kept.map_or(Ok(Bytes::from_static(ALL_DELETED)), |fault| Err(fault.into_error()))
}

/// An answer of which all is needed before any of it is used.
async fn whole(body: impl Body<Data = Bytes, Error = HttpError>) -> Result<Bytes, HttpError> {
    let whole = Limited::new(body, PAGE).collect().await.map_err(|error| match error.downcast::<HttpError>() {
        // A kind of its own, so that an answer of which the connection broke off is asked for again.
        Ok(error) => Fault::of(&*error).cloned().unwrap_or(Fault::Garbled).into_error(),
        Err(_) => Fault::Garbled.into_error(),
    })?;
    Ok(whole.to_bytes())
}

/// An answer is what it should be: its first element is this.
fn begins(answer: &Bytes, element: &str) -> bool {
    String::from_utf8_lossy(answer.get(..PROLOGUE).unwrap_or(answer)).contains(element)
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    Some(text.split_once(begin)?.1.split_once(end)?.0)
}

/// A text of XML as it was before.
fn unescaped(text: &str) -> String {
    let codes = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#34;", "\""), ("&apos;", "'"), ("&#39;", "'")];
    let text = codes.iter().fold(text.to_owned(), |text, (code, character)| text.replace(code, character));
    text.replace("&amp;", "&")
}

/// The HTTP status of a code of S3 that came without one.
fn status_of(code: &str) -> u16 {
    match code {
        "AccessDenied" => 403,
        "InternalError" => 500,
        "SlowDown" | "ServiceUnavailable" => 503,
        _ => 400,
    }
}

fn refused(status: StatusCode, body: &[u8], region: Option<String>) -> Fault {
    let body = String::from_utf8_lossy(body);
    let code = between(&body, "<Code>", "</Code>").and_then(word);
    Fault::Refused { status: status.as_u16(), code, region }
}

/// A text if it is a short plain word, as S3's codes and regions are; nothing else of an answer is ever shown.
fn word(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    (text.len() <= 64 && !text.is_empty() && text.chars().all(plain)).then(|| text.to_owned())
}
