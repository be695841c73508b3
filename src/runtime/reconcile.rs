//! What the passes of all controllers share: when to look again, and what may go wrong.

use std::future::Future;
use std::time::Duration;

use crate::flink;

/// When a resource is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// At once, in the same reconcile: something was written that the next pass builds on.
    Again,
    /// After this time, unless a watch reports something earlier.
    After(Duration),
}

impl Next {
    /// The earlier of the two.
    #[must_use]
    pub fn or_sooner(self, other: Self) -> Self {
        match (self, other) {
            (Self::After(a), Self::After(b)) => Self::After(a.min(b)),
            _ => Self::Again,
        }
    }
}

/// How long a call to the Kubernetes API may take.
pub const KUBE_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a pass ended early. Every variant is retried with backoff.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Kubernetes API refused or could not be reached.
    #[error("Kubernetes API, {call}: {source}")]
    Kube {
        /// What was asked of it.
        call: &'static str,
        /// What it answered.
        source: Box<kube::Error>,
    },
    /// The Kubernetes API did not answer in time.
    #[error("Kubernetes API, {call}: no answer within {} s", KUBE_TIMEOUT.as_secs())]
    Timeout {
        /// What was asked of it.
        call: &'static str,
    },
    /// Flink refused or could not be reached.
    #[error("Flink: {0}")]
    Flink(#[from] flink::Error),
    /// An object of the expected name belongs to somebody else.
    #[error("{kind} {name} exists and does not carry this resource's UID; delete or rename it")]
    Foreign {
        /// The object's kind.
        kind: &'static str,
        /// The object's name.
        name: String,
    },
    /// A stored record can't be read.
    #[error("ControllerRevision {name} can't be read: {message}")]
    Record {
        /// The object's name.
        name: String,
        /// What is wrong with it.
        message: String,
    },
    /// This process may not act now: the Lease is not held for as long as the call may take.
    #[error("not leading for long enough to act")]
    NotLeading,
}

impl Error {
    /// One stable word for metric labels and log fields.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Kube { source, .. } => match source.as_ref() {
                kube::Error::Api(s) if s.is_conflict() => "Conflict",
                kube::Error::Api(s) if s.is_forbidden() => "Forbidden",
                kube::Error::Api(_) => "KubernetesRefused",
                _ => "KubernetesUnreachable",
            },
            Self::Timeout { .. } => "KubernetesTimeout",
            Self::Flink(e) => e.reason(),
            Self::Foreign { .. } => "ForeignObject",
            Self::Record { .. } => "RecordUnreadable",
            Self::NotLeading => "NotLeading",
        }
    }

    /// Somebody else wrote first: no error, the next pass sees what they wrote.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.reason() == "Conflict"
    }
}

/// Bounds a call to the Kubernetes API in time and names it in the error.
///
/// # Errors
/// [`Error::Kube`] or [`Error::Timeout`].
pub async fn within<T>(call: &'static str, f: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
    match tokio::time::timeout(KUBE_TIMEOUT, f).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(e)) => Err(Error::Kube { call, source: Box::new(e) }),
        Err(_) => Err(Error::Timeout { call }),
    }
}
