//! From an HTTP answer to a value or a typed error: pure, so that every recorded answer can be read without a server.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::cause::Cause;
use super::error::Error;
use super::model::{CheckpointOperation, DisposalOperation, ExceptionEntry, SavepointOperation};

/// What a call is about, which decides what a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// The cluster.
    Cluster,
    /// A job that should exist.
    Job,
    /// The result of a trigger.
    Trigger,
    /// The result of a disposal.
    Disposal,
    /// The start of a job.
    Run,
}

/// Reads a body of JSON.
pub(super) fn read<T: DeserializeOwned>(call: &str, body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|e| {
        let start = String::from_utf8_lossy(body.get(..body.len().min(120)).unwrap_or_default()).into_owned();
        unexpected(call, format!("{e}; it begins with {start:?}"))
    })
}

/// An answer that can't be used.
pub(super) fn unexpected(call: &str, message: impl Into<String>) -> Error {
    Error::Unexpected { call: call.to_owned(), message: message.into() }
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<String>,
}

/// What an answer other than 2xx means.
pub(super) fn refusal(call: &str, about: About, status: u16, body: &[u8]) -> Error {
    let Ok(Errors { errors }) = serde_json::from_slice(body) else {
        return foreign(call, status, body);
    };
    let cause = Cause::of_errors(&errors);
    // 503: no leader yet. The others are seen as 500 while 2.3 recovers by HA, between two leaders.
    let no_leader = cause.has_class("EndpointNotStartedException") || cause.has_class("FencingTokenException");
    if status == 503 || (about != About::Run && no_leader) {
        return Error::Starting { cause };
    }
    // A call inside Flink that timed out may still be carried out.
    if status >= 500
        && (cause.has_class("AskTimeoutException")
            || cause
                .chain()
                .iter()
                .any(|t| t.simple_class() == "TimeoutException" && t.message.starts_with("Invocation of ")))
    {
        return Error::Unanswered { call: call.to_owned(), message: cause.to_string() };
    }
    match about {
        About::Run
            if cause.has_class("DuplicateJobSubmissionException")
                || cause.has_class("DuplicateApplicationSubmissionException") =>
        {
            Error::AlreadySubmitted { cause }
        }
        // Told apart from any other 404: who takes one of these for "unknown trigger" takes a second savepoint.
        About::Trigger if status == 404 && is_unknown_trigger(&cause) => Error::UnknownTrigger { cause },
        About::Disposal if status == 404 && cause.says("Operation not found under key") => {
            Error::UnknownTrigger { cause }
        }
        // 404, or 500 from `/jobs/:jobid/status`.
        About::Job | About::Trigger if cause.has_class("FlinkJobNotFoundException") => Error::JobNotFound { cause },
        _ => Error::Refused { call: call.to_owned(), status, cause },
    }
}

fn is_unknown_trigger(cause: &Cause) -> bool {
    cause.says("There is no savepoint operation with triggerId=")
        || cause.says("There is no checkpoint operation with triggerId=")
}

/// Not Flink's form of an error: somebody else answered, such as a proxy. With 5xx the request may have passed it.
fn foreign(call: &str, status: u16, body: &[u8]) -> Error {
    let text = String::from_utf8_lossy(body.get(..body.len().min(2000)).unwrap_or_default());
    let cause = Cause::parse(&text);
    if status >= 500 {
        Error::Unanswered { call: call.to_owned(), message: format!("HTTP {status}: {cause}") }
    } else if (400..500).contains(&status) {
        Error::Refused { call: call.to_owned(), status, cause }
    } else if (300..400).contains(&status) {
        // As Flink answers where it wants HTTPS.
        let cure =
            "if the endpoint speaks HTTPS, set flinkCluster.tls; else name Flink's own Service in flinkCluster.service";
        unexpected(call, format!("HTTP {status}, which leads elsewhere and is not followed: {cure}"))
    } else {
        unexpected(call, format!("HTTP {status}: {cause}"))
    }
}

#[derive(Deserialize)]
struct AsyncResult<T> {
    status: AsyncStatus,
    #[serde(default = "Option::default")]
    operation: Option<T>,
}

#[derive(Deserialize)]
struct AsyncStatus {
    id: AsyncState,
}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum AsyncState {
    InProgress,
    Completed,
}

#[derive(Deserialize)]
struct SerializedThrowable {
    #[serde(default)]
    class: String,
    #[serde(rename = "stack-trace", default)]
    stack_trace: String,
}

impl SerializedThrowable {
    fn cause(&self) -> Cause {
        Cause::parse(if self.stack_trace.is_empty() { &self.class } else { &self.stack_trace })
    }
}

#[derive(Deserialize)]
struct SavepointInfo {
    #[serde(default)]
    location: Option<String>,
    #[serde(rename = "failure-cause", default)]
    failure_cause: Option<SerializedThrowable>,
}

/// Reads the state of a savepoint or a stop. `COMPLETED` is not success: failures come the same way.
pub(super) fn savepoint(call: &str, body: &[u8]) -> Result<SavepointOperation, Error> {
    let AsyncResult { status, operation } = read::<AsyncResult<SavepointInfo>>(call, body)?;
    match (status.id, operation) {
        (AsyncState::InProgress, _) => Ok(SavepointOperation::InProgress),
        (AsyncState::Completed, Some(SavepointInfo { failure_cause: Some(failure), .. })) => {
            Ok(SavepointOperation::Failed { cause: failure.cause() })
        }
        (AsyncState::Completed, Some(SavepointInfo { location: Some(location), .. })) if !location.is_empty() => {
            Ok(SavepointOperation::Completed { location })
        }
        (AsyncState::Completed, _) => Err(unexpected(call, "COMPLETED with neither a location nor a failure-cause")),
    }
}

#[derive(Deserialize)]
struct CheckpointInfo {
    #[serde(rename = "checkpointId", default)]
    checkpoint_id: Option<i64>,
    // Not written as for savepoints.
    #[serde(rename = "failureCause", alias = "failure-cause", default)]
    failure_cause: Option<SerializedThrowable>,
}

/// Reads the state of a triggered checkpoint.
pub(super) fn checkpoint(call: &str, body: &[u8]) -> Result<CheckpointOperation, Error> {
    let AsyncResult { status, operation } = read::<AsyncResult<CheckpointInfo>>(call, body)?;
    match (status.id, operation) {
        (AsyncState::InProgress, _) => Ok(CheckpointOperation::InProgress),
        (AsyncState::Completed, Some(CheckpointInfo { failure_cause: Some(failure), .. })) => {
            Ok(CheckpointOperation::Failed { cause: failure.cause() })
        }
        (AsyncState::Completed, Some(CheckpointInfo { checkpoint_id: Some(checkpoint_id), .. })) => {
            Ok(CheckpointOperation::Completed { checkpoint_id })
        }
        (AsyncState::Completed, _) => {
            Err(unexpected(call, "COMPLETED with neither a checkpoint id nor a failureCause"))
        }
    }
}

#[derive(Deserialize)]
struct DisposalInfo {
    #[serde(rename = "failure-cause", default)]
    failure_cause: Option<SerializedThrowable>,
}

/// Reads the state of a disposal. An operation that says nothing is success.
pub(super) fn disposal(call: &str, body: &[u8]) -> Result<DisposalOperation, Error> {
    let AsyncResult { status, operation } = read::<AsyncResult<DisposalInfo>>(call, body)?;
    match (status.id, operation) {
        (AsyncState::InProgress, _) => Ok(DisposalOperation::InProgress),
        (AsyncState::Completed, Some(DisposalInfo { failure_cause: Some(failure) })) => {
            Ok(DisposalOperation::Failed(failure.cause()))
        }
        (AsyncState::Completed, Some(DisposalInfo { failure_cause: None })) => Ok(DisposalOperation::Completed),
        (AsyncState::Completed, None) => Err(unexpected(call, "COMPLETED without an operation")),
    }
}

#[derive(Deserialize)]
struct Exceptions {
    #[serde(rename = "exceptionHistory", default)]
    history: ExceptionHistory,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ExceptionHistory {
    entries: Vec<RawException>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RawException {
    exception_name: Option<String>,
    stacktrace: Option<String>,
    timestamp: i64,
    task_name: Option<String>,
}

/// Reads a job's exceptions, newest first. `exceptionHistory` is the one form that both 1.20 and 2.x have.
pub(super) fn exceptions(call: &str, body: &[u8]) -> Result<Vec<ExceptionEntry>, Error> {
    let read: Exceptions = read(call, body)?;
    let entry = |e: RawException| {
        let name = e.exception_name.unwrap_or_default();
        let cause = Cause::parse(e.stacktrace.as_deref().unwrap_or(&name));
        ExceptionEntry { name, cause, timestamp: e.timestamp, task: e.task_name }
    };
    let mut entries: Vec<_> = read.history.entries.into_iter().map(entry).collect();
    entries.sort_by_key(|e| std::cmp::Reverse(e.timestamp));
    Ok(entries)
}
