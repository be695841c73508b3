//! A job's jar, fetched from where it lies into Flink's upload directory: what the init container of a JobManager does
//! that runs the operator's own image; for a job on a session cluster it is uploaded there, as well.

mod fetch;
mod upload;
mod web;

pub use fetch::{Retry, Source, fetch};
pub use upload::{Error as UploadError, Target, upload};

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::snapshot::store::StoreError;
use crate::snapshot::store::http::Fault;

/// Why a jar is not there. Each says what, where, and the cure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The web server failed.
    #[error("{place}: {fault}: correct job.jarURI, or look at the server and the network")]
    Web {
        /// What was asked for, without its query.
        place: String,
        /// What happened.
        fault: Fault,
    },
    /// The web server sends elsewhere, and that is not followed.
    #[error("{place}: the server's redirect is not followed: {problem}; name the jar's own address in job.jarURI")]
    Redirect {
        /// Who sends, without its query.
        place: String,
        /// Why not.
        problem: &'static str,
    },
    /// Nobody is there who could vouch for a server.
    #[error(
        "the certificates to trust can't be read: {source}; correct SSL_CERT_FILE and SSL_CERT_DIR, or leave them out"
    )]
    Authorities {
        /// What is wrong with them.
        source: io::Error,
    },
    /// The address can't be understood.
    #[error("{place}: is not the address of a jar: {problem}; correct job.jarURI")]
    Address {
        /// As it was given, without its query.
        place: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The jar has other bytes.
    #[error("job.jarSHA256: {place} has SHA-256 {found} and not {expected}: correct it, or bring the right jar back")]
    OtherBytes {
        /// The jar.
        place: String,
        /// Its SHA-256.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// It took too long, all attempts together.
    #[error("{place}: was not fetched within {}s: look at the server and the network", limit.as_secs())]
    TooLong {
        /// The jar.
        place: String,
        /// The limit.
        limit: Duration,
    },
    /// The pod's own file system refused.
    #[error("{path}: {source}: look at the pod's volumes", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
}

impl Error {
    /// Another attempt may go well, with nothing corrected.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Web { fault, .. } => match fault {
                Fault::NoConnection(_) | Fault::Silent | Fault::Cut | Fault::Short => true,
                Fault::Refused { status, .. } => matches!(status, 408 | 429 | 500..),
                Fault::Garbled | Fault::Untrusted(_) | Fault::Kept { .. } => false,
            },
            _ => false,
        }
    }
}
