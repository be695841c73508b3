//! What can go wrong between the operator and a JobManager, told apart by what it means for the request's effect.

use super::cause::Cause;

/// A call to a JobManager that gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No connection was made, so the request has no effect.
    #[error("the JobManager at {address} can't be reached: {message}")]
    Unreachable {
        /// Its base URL.
        address: String,
        /// Why.
        message: String,
    },
    /// The request may have been received: no answer in time, a connection that broke, a proxy that speaks for the
    /// JobManager, or a timeout inside it.
    #[error("no answer to {call}, which may have been received: {message}")]
    Unanswered {
        /// Method and path.
        call: String,
        /// Why.
        message: String,
    },
    /// The JobManager is starting or electing its leader, and did not take the request.
    #[error("the JobManager is starting: {cause}")]
    Starting {
        /// In its own words.
        cause: Cause,
    },
    /// The JobManager does not know the job. After a change of the JobManager's process this does not prove that the
    /// job's tasks have ended.
    #[error("the JobManager does not know the job: {cause}")]
    JobNotFound {
        /// In its own words.
        cause: Cause,
    },
    /// The JobManager does not know the trigger id: it never arrived, or arrived at another process, or ended longer than
    /// `rest.async.store-duration` (5 minutes by default) ago.
    #[error("the JobManager does not know the trigger: {cause}")]
    UnknownTrigger {
        /// In its own words.
        cause: Cause,
    },
    /// The job id was submitted before: an earlier request arrived.
    #[error("the job id was submitted before: {cause}")]
    AlreadySubmitted {
        /// In its own words.
        cause: Cause,
    },
    /// Flink says no.
    #[error("Flink refused {call} ({status}): {cause}")]
    Refused {
        /// Method and path.
        call: String,
        /// The HTTP status.
        status: u16,
        /// In its own words.
        cause: Cause,
    },
    /// An answer that this client can't read, or that does not belong to the request.
    #[error("unexpected answer to {call}: {message}")]
    Unexpected {
        /// Method and path.
        call: String,
        /// What is wrong with it.
        message: String,
    },
}

impl Error {
    /// A stable word for conditions, Events and metric labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "JobManagerUnreachable",
            Self::Unanswered { .. } => "JobManagerUnanswered",
            Self::Starting { .. } => "JobManagerStarting",
            Self::JobNotFound { .. } => "JobNotFound",
            Self::UnknownTrigger { .. } => "UnknownTrigger",
            Self::AlreadySubmitted { .. } => "AlreadySubmitted",
            Self::Refused { .. } => "Refused",
            Self::Unexpected { .. } => "UnexpectedAnswer",
        }
    }

    /// The request may have done what it asked for, or may yet do it: look before repeating it.
    #[must_use]
    pub fn effect_possible(&self) -> bool {
        match self {
            Self::Unanswered { .. } | Self::Unexpected { .. } | Self::AlreadySubmitted { .. } => true,
            Self::Refused { status, .. } => *status >= 500,
            Self::Unreachable { .. }
            | Self::Starting { .. }
            | Self::JobNotFound { .. }
            | Self::UnknownTrigger { .. } => false,
        }
    }

    /// The JobManager gave no answer of its own: it is down, starting, or out of reach.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Unanswered { .. } | Self::Starting { .. })
    }

    /// Flink's own words, if it said anything.
    #[must_use]
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Starting { cause }
            | Self::JobNotFound { cause }
            | Self::UnknownTrigger { cause }
            | Self::AlreadySubmitted { cause }
            | Self::Refused { cause, .. } => Some(cause),
            Self::Unreachable { .. } | Self::Unanswered { .. } | Self::Unexpected { .. } => None,
        }
    }
}
