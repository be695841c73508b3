//! Answers that real JobManagers gave, with other ids in them: what the fake says is what Flink said.

use serde_json::Value;

use super::settings::Version;

/// One recorded exchange of each version.
#[derive(Debug, Clone, Copy)]
pub struct Recording {
    v1_20: &'static str,
    v2_3: &'static str,
}

/// A recorded exchange.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// The path that was asked for.
    pub path: String,
    /// The status code of the answer.
    pub status: u16,
    /// Its body.
    pub body: Value,
}

impl Recording {
    /// The exchange with a version, `replace`d in the answer, each pair from left to right.
    ///
    /// A file that can't be read gives an empty answer, which every test of it shows.
    #[must_use]
    pub fn of(self, version: Version, replace: &[(&str, &str)]) -> Exchange {
        let text = match version {
            Version::V1_20 => self.v1_20,
            Version::V2_3 => self.v2_3,
        };
        let (asked, answered) = text.split_once("\n--- ").unwrap_or_default();
        let path = asked.split_whitespace().nth(1).unwrap_or_default().to_owned();
        let (status, body) = answered.split_once('\n').unwrap_or_default();
        let status = status.split_whitespace().next().and_then(|code| code.parse().ok()).unwrap_or_default();
        // The job's and the trigger's id: the request's line has those of the recording.
        let body = replace.iter().fold(body.to_owned(), |body, (from, to)| match from.strip_prefix("path:") {
            Some(part) => {
                let from = part.parse().ok().and_then(|part| path.split(['/', '?']).nth(part)).unwrap_or(from);
                body.replace(from, to)
            }
            None => body.replace(from, to),
        });
        Exchange { status, body: serde_json::from_str(&body).unwrap_or_default(), path }
    }
}

/// In a replacement: the job's id, as the recorded request has it.
pub const JOB: &str = "path:2";
/// In a replacement: the trigger's id, as the recorded request has it.
pub const TRIGGER: &str = "path:4";

macro_rules! recordings {
    ($($name:ident = $file:literal;)*) => {$(
        #[doc = concat!("`", $file, "`.")]
        pub const $name: Recording = Recording {
            v1_20: include_str!(concat!("../../../tests/fixtures/flink/rest/1.20.5/", $file, ".txt")),
            v2_3: include_str!(concat!("../../../tests/fixtures/flink/rest/2.3.0/", $file, ".txt")),
        };
    )*};
}

recordings! {
    CANCEL_FINISHED = "cancel-finished";
    CANCEL_UNKNOWN = "cancel-unknown";
    CHECKPOINTS = "checkpoints";
    CHECKPOINTS_CONFIG = "checkpoints-config";
    CHECKPOINTS_IN_PROGRESS = "checkpoints-in-progress";
    CHECKPOINTS_NONE = "checkpoints-none";
    CHECKPOINTS_RESTORED = "checkpoints-restored-no-claim";
    DISPOSAL_FAILED_GONE = "disposal-failed-gone";
    DISPOSAL_UNKNOWN = "disposal-unknown";
    EXCEPTIONS_FAILING = "exceptions-failing";
    EXCEPTIONS_NONE = "exceptions-none";
    JARS_UPLOAD = "jars-upload";
    JOB_RUNNING = "job-running";
    JOB_UNKNOWN = "job-unknown";
    JOBS_OVERVIEW = "jobs-overview";
    OVERVIEW = "overview";
    RUN_DUPLICATE = "run-duplicate";
    RUN_MAIN_THROWS = "run-main-throws";
    RUN_MISSING_OPERATOR = "run-missing-operator";
    RUN_NO_SUCH_SAVEPOINT = "run-no-such-savepoint";
    RUN_UNKNOWN_JAR = "run-unknown-jar";
    SAVEPOINT_COMPLETED = "savepoint-completed";
    SAVEPOINT_FAILED_IO = "savepoint-failed-io";
    SAVEPOINT_FAILED_NOT_RUNNING = "savepoint-failed-no-slots";
    SAVEPOINT_FAILED_SCHEME = "savepoint-failed-scheme";
    SAVEPOINT_FAILED_SNAPSHOT = "savepoint-failed-snapshot";
    SAVEPOINT_FAILED_SUSPENDED = "savepoint-failed-cancelled";
    SAVEPOINT_FAILED_UNKNOWN_JOB = "savepoint-failed-unknown-job";
    SAVEPOINT_IN_PROGRESS = "savepoint-in-progress";
    SAVEPOINT_NO_DIRECTORY = "savepoint-no-directory";
    SAVEPOINT_UNKNOWN_TRIGGER = "savepoint-unknown-trigger";
    STOP_NO_DIRECTORY = "stop-no-directory";
}
