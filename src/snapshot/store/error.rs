//! Why a store, or a snapshot in it, can't be used. Messages are made of S3's error codes and of words of this project,
//! never of a server's answer: that may repeat the access key and what was signed.

use std::io;
use std::time::Duration;

use super::super::Error as MetadataError;
use super::super::FactsError;

/// Why a store did not do what it was asked for. Each says what, where, and the cure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store's URL can't be understood.
    #[error("{url:?} is no place for snapshots: {problem}")]
    InvalidUrl {
        /// As it was given.
        url: String,
        /// What is wrong, and the cure.
        problem: &'static str,
    },
    /// A file system that is not supported.
    #[error("{url:?} is of scheme {scheme}, which is not supported: use s3:// or file://")]
    UnsupportedScheme {
        /// As it was given.
        url: String,
        /// Its scheme.
        scheme: String,
    },
    /// The address of the S3 server can't be understood.
    #[error("endpoint {endpoint:?} can't be used: {problem}")]
    InvalidEndpoint {
        /// As it was given, without user and password.
        endpoint: String,
        /// What is wrong, and the cure.
        problem: String,
    },
    /// There is no such bucket.
    #[error("there is no bucket {bucket} at {endpoint}: create it, or name another one in the store's url")]
    NoSuchBucket {
        /// The bucket.
        bucket: String,
        /// The server.
        endpoint: String,
    },
    /// S3 does not know the access key.
    #[error("{place}: the access key id is not known to {endpoint}: correct accessKeyId (S3: InvalidAccessKeyId)")]
    UnknownAccessKey {
        /// What was asked for.
        place: String,
        /// The server.
        endpoint: String,
    },
    /// The request was not signed with the secret that belongs to the access key.
    #[error(
        "{place}: the secret access key does not belong to the access key id at {endpoint}: correct secretAccessKey \
         (S3: SignatureDoesNotMatch)"
    )]
    WrongSecretKey {
        /// What was asked for.
        place: String,
        /// The server.
        endpoint: String,
    },
    /// The session token is no longer valid, or never was.
    #[error("{place}: the session token is expired or not valid at {endpoint}: give new temporary keys (S3: {code})")]
    ExpiredToken {
        /// What was asked for.
        place: String,
        /// The server.
        endpoint: String,
        /// S3's word.
        code: String,
    },
    /// The keys are good, and may not do this.
    #[error(
        "{place}: {endpoint} does not allow it: allow these credentials to read, list, write and delete there{hint}"
    )]
    AccessDenied {
        /// What was asked for.
        place: String,
        /// The server.
        endpoint: String,
        /// Where there are no credentials at all: says so.
        hint: &'static str,
    },
    /// There is no such file or object.
    #[error("{place} does not exist")]
    NotFound {
        /// What was asked for.
        place: String,
    },
    /// No connection.
    #[error("{endpoint} can't be reached: {cause}: correct the endpoint, or look at the server and the network")]
    Unreachable {
        /// The server.
        endpoint: String,
        /// Why not.
        cause: String,
    },
    /// Connected, and no answer or no more of it.
    #[error(
        "{place}: no answer within {}s: look at the server {server} and the network, or try again", limit.as_secs_f32()
    )]
    TimedOut {
        /// What was asked for.
        place: String,
        /// The server.
        server: String,
        /// Which limit.
        limit: Duration,
    },
    /// The connection broke off in the middle of an answer, or before it.
    #[error("{place}: {endpoint} closed the connection before its answer was complete: try again")]
    ConnectionCut {
        /// What was asked for.
        place: String,
        /// The server.
        endpoint: String,
    },
    /// The server failed, the repeats too.
    #[error(
        "{place}: {endpoint} failed with HTTP status {status}{}: look at the server, or try again",
        said(code.as_deref())
    )]
    ServerError {
        /// What was asked for.
        place: String,
        /// The server.
        endpoint: String,
        /// HTTP's status.
        status: u16,
        /// S3's word, if it said one.
        code: Option<String>,
    },
    /// Fewer bytes came than were promised.
    #[error("{place}: {promised} bytes were promised, and only {read} came: try again; the file itself may be whole")]
    ShortRead {
        /// The file.
        place: String,
        /// Its length in bytes.
        promised: u64,
        /// Bytes that came.
        read: u64,
    },
    /// The server refused, for another reason.
    #[error("{place}: {endpoint} refused{}: {cure}", of_status(*status, code.as_deref()))]
    Refused {
        /// What was asked for.
        place: String,
        /// The server.
        endpoint: String,
        /// HTTP's status; `None` where the answer could not be understood.
        status: Option<u16>,
        /// S3's word, if it said one.
        code: Option<String>,
        /// What to do.
        cure: String,
    },
    /// The file system refused.
    #[error("{place}: {source}: see that the volume is mounted and that the operator may read and write there")]
    Io {
        /// What was asked for.
        place: String,
        /// What the file system says.
        source: io::Error,
    },
}

fn said(code: Option<&str>) -> String {
    code.map(|code| format!(" ({code})")).unwrap_or_default()
}

fn of_status(status: Option<u16>, code: Option<&str>) -> String {
    status.map(|status| format!(" with HTTP status {status}{}", said(code))).unwrap_or_default()
}

impl StoreError {
    /// A stable word for conditions, Events and metric labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::InvalidUrl { .. } => "InvalidUrl",
            Self::UnsupportedScheme { .. } => "UnsupportedScheme",
            Self::InvalidEndpoint { .. } => "InvalidEndpoint",
            Self::NoSuchBucket { .. } => "NoSuchBucket",
            Self::UnknownAccessKey { .. } => "UnknownAccessKey",
            Self::WrongSecretKey { .. } => "WrongSecretKey",
            Self::ExpiredToken { .. } => "ExpiredToken",
            Self::AccessDenied { .. } => "AccessDenied",
            Self::NotFound { .. } => "NotFound",
            Self::Unreachable { .. } => "Unreachable",
            Self::TimedOut { .. } => "TimedOut",
            Self::ConnectionCut { .. } => "ConnectionCut",
            Self::ServerError { .. } => "ServerError",
            Self::ShortRead { .. } => "ShortRead",
            Self::Refused { .. } => "Refused",
            Self::Io { .. } => "Io",
        }
    }

    /// Another attempt may go well, with nothing corrected.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::ConnectionCut { .. }
            | Self::ServerError { .. }
            | Self::ShortRead { .. } => true,
            Self::Io { source, .. } => !matches!(
                source.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::IsADirectory
                    | io::ErrorKind::PermissionDenied
                    | io::ErrorKind::ReadOnlyFilesystem
                    | io::ErrorKind::InvalidFilename
                    | io::ErrorKind::InvalidInput
            ),
            _ => false,
        }
    }
}

/// Why there is no snapshot to be read at a location.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// No store's URL is at or above it.
    #[error("{location} lies in no known store: add one with a url that it begins with")]
    NoStore {
        /// The location, in its normal form.
        location: String,
    },
    /// Neither a file nor a directory with anything in it.
    #[error("{location} does not exist: there is neither a file of this name nor anything below it")]
    NotFound {
        /// The location, in its normal form.
        location: String,
    },
    /// A directory with files and without `_metadata`, such as a savepoint leaves that was never completed.
    #[error(
        "{directory} holds files and no _metadata: a savepoint there was never completed, or its directory is one below: \
         name that of a complete one"
    )]
    NoMetadata {
        /// The directory, in its normal form.
        directory: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The `_metadata` was read, and is wrong.
    #[error(transparent)]
    Facts(#[from] FactsError),
}

impl LoadError {
    /// A stable word for conditions, Events and metric labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoStore { .. } => "NoStoreForLocation",
            Self::NotFound { .. } => "SnapshotNotFound",
            Self::NoMetadata { .. } => "NoMetadata",
            Self::Store(error) => error.reason(),
            Self::Facts(error) => error.reason(),
        }
    }

    /// Another attempt may go well, with nothing corrected.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Facts(FactsError::Metadata(error)) => MetadataError::is_transient(error),
            _ => false,
        }
    }
}
