//! Places that snapshots are read from, opened.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use http::Uri;
use object_store::aws::{AmazonS3Builder, AwsCredential};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ObjectMeta, ObjectStore, RetryConfig, StaticCredentialProvider};
use tokio::time::timeout;

use super::error::StoreError;
use super::http::Http;
use super::settings::{Access, Patience, Settings, without_user};
use crate::flink::location;

/// Bytes a second that a store takes at least.
const SLOWEST: u64 = 128 * 1024;

/// A place that snapshots are read from. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    /// In its normal form.
    url: String,
    objects: Arc<dyn ObjectStore>,
    /// The same, with requests that delete many files; where there are such.
    bulk: Option<Arc<dyn ObjectStore>>,
    server: Server,
    access: Access,
    patience: Patience,
}

/// Who serves a store; for messages.
#[derive(Debug, Clone)]
pub(super) enum Server {
    S3 {
        bucket: String,
        endpoint: String,
        signed: bool,
    },
    /// The file system, and the store's directory.
    Files(PathBuf),
    /// Whatever the caller gave.
    Given,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { endpoint, .. } => f.write_str(endpoint),
            Self::Files(_) => f.write_str("the file system"),
            Self::Given => f.write_str("the object store"),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("url", &self.0.url).field("server", &self.0.server).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens a store. Nothing is asked yet: see [`Store::probe`].
    ///
    /// # Errors
    /// [`StoreError::InvalidUrl`], [`StoreError::UnsupportedScheme`] and [`StoreError::InvalidEndpoint`].
    pub fn open(settings: &Settings) -> Result<Self, StoreError> {
        let url = location::normalise(&settings.url);
        let invalid = |problem| StoreError::InvalidUrl { url: without_user(&settings.url), problem };
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(invalid("write s3://bucket/prefix or file:///directory"));
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        Path::parse(path).map_err(|_| invalid("take the control characters out of it"))?;
        let (objects, bulk, server): (Arc<dyn ObjectStore>, _, _) = match scheme {
            "s3" => {
                let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
                if authority.is_empty() || !authority.chars().all(named) {
                    return Err(invalid(
                        "it must name a bucket and no more before its path, such as s3://bucket/prefix",
                    ));
                }
                s3(settings, authority)?
            }
            "file" => {
                let given = settings.url.trim();
                let scheme = given.split_at_checked("file:".len()).filter(|(it, _)| it.eq_ignore_ascii_case("file:"));
                let absolute = scheme.map_or(given, |(_, path)| path).starts_with('/');
                if !authority.is_empty() || !absolute {
                    return Err(invalid(
                        "it must name an absolute directory of this machine, such as file:///savepoints",
                    ));
                }
                if let Some(endpoint) = &settings.endpoint {
                    let problem = "it belongs to s3://: leave it out with file://".to_owned();
                    return Err(StoreError::InvalidEndpoint { endpoint: without_user(endpoint), problem });
                }
                // Flushed, so that a power failure leaves no `_metadata` without the files that were written before it.
                (
                    Arc::new(LocalFileSystem::new().with_fsync(true)),
                    None,
                    Server::Files(PathBuf::from(format!("/{path}"))),
                )
            }
            other => {
                let scheme = other.to_owned();
                return Err(StoreError::UnsupportedScheme { url: without_user(&settings.url), scheme });
            }
        };
        Ok(Self(Arc::new(Inner { url, objects, bulk, server, access: settings.access, patience: settings.patience })))
    }

    /// A store over objects that the caller holds: what lies at `url` or below is named by its path.
    #[must_use]
    pub fn over(url: &str, objects: Arc<dyn ObjectStore>) -> Self {
        let (url, access, patience) = (location::normalise(url), Access::ReadWrite, Patience::default());
        Self(Arc::new(Inner { url, objects, bulk: None, server: Server::Given, access, patience }))
    }

    /// The URL in its normal form ([`location::normalise`]).
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// The location is this store's URL, or lies below it.
    #[must_use]
    pub fn serves(&self, location: &str) -> bool {
        location::same(location, &self.0.url) || location::is_below(location, &self.0.url)
    }

    /// Both are of one server, of this machine's files or of the same objects, so a location is one place in both.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        match (&self.0.server, &other.0.server) {
            (Server::S3 { endpoint, .. }, Server::S3 { endpoint: other, .. }) => endpoint == other,
            (Server::Files(_), Server::Files(_)) => true,
            _ => Arc::ptr_eq(&self.0.objects, &other.0.objects),
        }
    }

    pub(super) fn objects(&self) -> &dyn ObjectStore {
        &*self.0.objects
    }

    /// For `delete_stream` only: by it even one file is deleted by the request for many, which not every server knows.
    pub(super) fn bulk(&self) -> Option<&dyn ObjectStore> {
        self.0.bulk.as_deref()
    }

    pub(super) fn server(&self) -> &Server {
        &self.0.server
    }

    pub(super) fn access(&self) -> Access {
        self.0.access
    }

    pub(super) fn patience(&self) -> &Patience {
        &self.0.patience
    }

    /// The key of a location in its normal form, in the store that serves it. Nothing in it is decoded or encoded.
    ///
    /// # Errors
    /// [`StoreError::InvalidUrl`] if the location has control characters.
    pub(super) fn key(location: &str) -> Result<Path, StoreError> {
        let path = location.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
        Self::parsed(location, path)
    }

    /// A key as it is. `location`: where it comes from.
    ///
    /// # Errors
    /// [`StoreError::InvalidUrl`] if it has control characters.
    pub(super) fn parsed(location: &str, key: &str) -> Result<Path, StoreError> {
        Path::parse(key).map_err(|_| StoreError::InvalidUrl {
            url: location.to_owned(),
            problem: "take the control characters out of it",
        })
    }

    /// Makes a call; within its time.
    pub(super) async fn within<T>(
        &self,
        place: &str,
        call: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, StoreError> {
        self.within_time(place, self.0.patience.call, call).await
    }

    /// Makes a call that sends so many bytes; the more they are, the longer it may take.
    pub(super) async fn within_sending<T>(
        &self,
        place: &str,
        bytes: u64,
        call: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, StoreError> {
        let limit = self.0.patience.call.saturating_add(Duration::from_secs(bytes / SLOWEST));
        self.within_time(place, limit, call).await
    }

    async fn within_time<T>(
        &self,
        place: &str,
        limit: Duration,
        call: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, StoreError> {
        match timeout(limit, call).await {
            Ok(answer) => answer.map_err(|error| self.error(place, &error)),
            Err(_) => Err(self.timed_out(place, limit)),
        }
    }

    pub(super) fn timed_out(&self, place: &str, limit: Duration) -> StoreError {
        StoreError::TimedOut { place: place.to_owned(), server: self.0.server.to_string(), limit }
    }

    /// All files below a directory, a location in its normal form; page by page.
    pub(super) fn list<'a>(
        &'a self,
        directory: &'a str,
    ) -> Result<impl Stream<Item = Result<ObjectMeta, StoreError>> + Send + 'a, StoreError> {
        let pages: BoxStream<'static, _> = self.objects().list(Some(&Self::key(directory)?));
        Ok(futures::stream::try_unfold(pages, move |mut pages| async move {
            let next = self.within(directory, async { pages.next().await.transpose() }).await?;
            Ok(next.map(|file| (file, pages)))
        }))
    }
}

type Objects = Arc<dyn ObjectStore>;

fn s3(settings: &Settings, bucket: &str) -> Result<(Objects, Option<Objects>, Server), StoreError> {
    let region = settings.region.as_deref().unwrap_or("us-east-1");
    let amazon = || format!("https://s3.{region}.amazonaws.com");
    let endpoint =
        settings.endpoint.as_deref().map_or_else(amazon, |endpoint| endpoint.trim().trim_end_matches('/').to_owned());
    let invalid = |problem| StoreError::InvalidEndpoint { endpoint: without_user(&endpoint), problem };
    let uri = address(&endpoint).ok_or_else(|| {
        invalid("write an address without user and path, such as http://minio.storage:9000".to_owned())
    })?;
    let signed = settings.credentials.is_some();
    // Also where nothing is signed there is a provider: without one the metadata service of the machine would be it.
    let credential = match settings.credentials.clone() {
        Some(keys) => {
            AwsCredential { key_id: keys.access_key_id, secret_key: keys.secret_access_key, token: keys.session_token }
        }
        None => AwsCredential { key_id: String::new(), secret_key: String::new(), token: None },
    };
    let credential = Arc::new(StaticCredentialProvider::new(credential));
    let build = |patience: &Patience, bulk: bool| {
        let http = Http::new(&uri, patience).map_err(|error| {
            invalid(format!(
                "there are no root certificates to check it by ({error}): name a file of them in SSL_CERT_FILE"
            ))
        })?;
        // Repeats begin only as long as no answer is overdue, so one that never comes is waited for once, not thrice.
        let retry = RetryConfig {
            backoff: BackoffConfig { max_backoff: Duration::from_secs(2), ..BackoffConfig::default() },
            max_retries: patience.retries,
            retry_timeout: patience.answer,
        };
        let built = AmazonS3Builder::new()
            .with_http_connector(http)
            .with_endpoint(&endpoint)
            .with_region(region)
            .with_bucket_name(bucket)
            .with_virtual_hosted_style_request(false)
            .with_credentials(Arc::clone(&credential) as _)
            .with_skip_signature(!signed)
            .with_disable_bulk_delete(!bulk)
            .with_retry(retry)
            .build();
        built
            .map(|built| Arc::new(built) as Objects)
            .map_err(|_| invalid("correct endpoint, region and bucket".to_owned()))
    };
    let objects = build(&settings.patience, false)?;
    let writes = settings.access == Access::ReadWrite;
    let bulk = writes.then(|| build(&settings.patience.of_many(), true)).transpose()?;
    Ok((objects, bulk, Server::S3 { bucket: bucket.to_owned(), endpoint, signed }))
}

/// An address of scheme, host and port, and nothing else.
fn address(endpoint: &str) -> Option<Uri> {
    let uri: Uri = endpoint.parse().ok()?;
    let plain = matches!(uri.scheme_str(), Some("http" | "https"))
        && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
        && uri.path_and_query().is_none_or(|path| path.as_str() == "/");
    plain.then_some(uri)
}

/// Several stores.
#[derive(Clone, Debug, Default)]
pub struct Stores(Vec<Store>);

impl Stores {
    /// These.
    #[must_use]
    pub fn new(mut stores: Vec<Store>) -> Self {
        stores.sort_by_key(|store| std::cmp::Reverse(store.url().len()));
        Self(stores)
    }

    /// The store that serves a location: of several the one with the longest URL.
    #[must_use]
    pub fn of(&self, location: &str) -> Option<&Store> {
        self.0.iter().find(|store| store.serves(location))
    }
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
