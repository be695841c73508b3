//! What a store is reached with.

use std::fmt;
use std::time::Duration;

/// Keys of an S3 account. Never printed: `Debug` shows none of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `accessKeyId`.
    pub access_key_id: String,
    /// `secretAccessKey`.
    pub secret_access_key: String,
    /// `sessionToken`, where the keys are temporary.
    pub session_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(not shown)")
    }
}

/// What may be done in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// Everything; the probe writes and deletes an object of its own.
    #[default]
    ReadWrite,
    /// Reading and listing.
    ReadOnly,
}

/// Where a store is and what it is reached with. What stands in an environment or in a machine's metadata service is
/// never used.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// `s3://bucket/prefix` or `file:///directory`. Flink's `s3a`, `s3p` and `s3n` are the same as `s3`.
    pub url: String,
    /// Address of an S3-compatible server, `http://host:port` or `https://host:port`. Left out: Amazon's of the region.
    pub endpoint: Option<String>,
    /// Region of the bucket. Left out: `us-east-1`.
    pub region: Option<String>,
    /// Left out: requests are not signed, so only public places can be read.
    pub credentials: Option<Credentials>,
    /// What may be done.
    pub access: Access,
    /// Time limits.
    pub patience: Patience,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("url", &without_user(&self.url))
            .field("endpoint", &self.endpoint.as_deref().map(without_user))
            .field("region", &self.region)
            .field("credentials", &self.credentials)
            .field("access", &self.access)
            .field("patience", &self.patience)
            .finish()
    }
}

/// A URL without the name and password that may stand before its host: old Hadoop kept keys there.
pub(super) fn without_user(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.split_once("//").map_or("", |(scheme, _)| scheme);
            format!("{scheme}//…@{host}")
        }
        None => url.to_owned(),
    }
}

/// How long a store is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Until a connection is made, its name resolved and its TLS agreed on.
    pub connect: Duration,
    /// Until an answer begins, and the longest silence within it. Nothing is repeated once this has passed since the
    /// request began.
    pub answer: Duration,
    /// For a whole call with its repeats; a page of a listing is a call. A file being read may take longer, as long as
    /// its bytes come.
    pub call: Duration,
    /// How often a request is repeated that met a server's error or a fault of the connection.
    pub retries: usize,
}

impl Patience {
    /// For requests about many files, each of which takes the server its time.
    pub(super) fn of_many(&self) -> Self {
        Self { answer: self.answer * 6, call: self.call * 6, ..*self }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            answer: Duration::from_secs(10),
            call: Duration::from_secs(20),
            retries: 2,
        }
    }
}
