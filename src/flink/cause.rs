//! Java stack traces, cut to what a person needs: the innermost cause, in a line.

use std::fmt;

/// How long a cause may be when it is shown, in bytes.
const SHOWN: usize = 500;

/// One exception of a chain of causes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Throwable {
    /// Its class with the package; empty where Flink answered with mere text.
    pub class: String,
    /// Its message, whole; empty where it has none.
    pub message: String,
}

impl Throwable {
    fn parse(text: &str) -> Self {
        let (class, message) = text.split_once(": ").unwrap_or((text.trim_end_matches(':'), ""));
        if is_class(class) {
            Self { class: class.to_owned(), message: message.trim().to_owned() }
        } else {
            Self { class: String::new(), message: text.trim().to_owned() }
        }
    }

    /// The class without its package.
    #[must_use]
    pub fn simple_class(&self) -> &str {
        self.class.rsplit(['.', '$']).next().unwrap_or_default()
    }

    /// A TaskManager was lost: nothing that the job did.
    #[must_use]
    pub fn is_lost_task_manager(&self) -> bool {
        // Each was seen after a kill -9 of a TaskManager, on 1.20 and 2.3.
        self.simple_class() == "RemoteTransportException"
            || self.message.contains("is no longer reachable")
            || self.message.contains("Heartbeat of TaskManager")
    }

    /// The message names what went wrong by itself, which `ClassNotFoundException: no.Such` or a bare
    /// `NullPointerException` do not.
    fn speaks(&self) -> bool {
        self.message.contains(' ')
    }
}

impl fmt::Display for Throwable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.simple_class(), self.message.as_str()) {
            ("", message) => f.write_str(message),
            (class, "") => f.write_str(class),
            (class, message) => write!(f, "{class}: {message}"),
        }
    }
}

/// Why Flink did not do what it was asked: the causes of a stack trace, outermost first. Shown, it is the innermost one,
/// with the one around it where the innermost has no message of its own, cut to about 500 bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cause {
    chain: Vec<Throwable>,
}

/// Why a savepoint or a stop failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SavepointFailure {
    /// A task was not running. Nothing was disturbed; try again once all tasks run.
    TasksNotRunning,
    /// The job was being restarted, stopped or cancelled meanwhile. Where nobody asked for that, a task failed in its
    /// snapshot; the true reason is in the job's exceptions only, and the job has restarted.
    CoordinatorSuspending,
    /// It took longer than `execution.checkpointing.timeout`.
    Expired,
    /// No file system of this scheme: its plugin is not installed.
    UnknownScheme,
    /// Files could not be written.
    Io,
    /// The job is unknown to the JobManager or has ended: Flink says the same of both.
    JobNotFound,
    /// No directory was given and none is configured.
    DirectoryMissing,
    /// A stop whose savepoint is whole, but the job failed before it had ended: [`Cause::savepoint_location`].
    StoppingFailed,
    /// Anything else.
    Other,
}

impl SavepointFailure {
    /// A stable word for conditions and metric labels.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::TasksNotRunning => "TasksNotRunning",
            Self::CoordinatorSuspending => "CoordinatorSuspending",
            Self::Expired => "CheckpointExpired",
            Self::UnknownScheme => "UnknownFileSystem",
            Self::Io => "StorageFailed",
            Self::JobNotFound => "JobNotFound",
            Self::DirectoryMissing => "NoTargetDirectory",
            Self::StoppingFailed => "StoppingFailed",
            Self::Other => "SavepointFailed",
        }
    }
}

impl Cause {
    /// A TaskManager was lost: nothing that the job did.
    #[must_use]
    pub fn is_lost_task_manager(&self) -> bool {
        self.chain.iter().any(Throwable::is_lost_task_manager)
    }

    /// Reads a stack trace as Java prints it, or any other text.
    #[must_use]
    pub fn parse(trace: &str) -> Self {
        let mut chain: Vec<String> = Vec::new();
        // Messages may have several lines; they end where the frames begin.
        let mut in_message = false;
        for line in trace.lines() {
            if line.starts_with("<Exception on server side") || line.starts_with("End of exception on server side") {
                in_message = false;
            } else if let Some(cause) = line.strip_prefix("Caused by: ") {
                chain.push(cause.to_owned());
                in_message = true;
            } else if is_frame(line) {
                in_message = false;
            } else if let Some(last) = chain.last_mut().filter(|_| in_message) {
                last.push('\n');
                last.push_str(line);
            } else if chain.is_empty() && !line.trim().is_empty() {
                chain.push(line.to_owned());
                in_message = true;
            }
        }
        Self { chain: chain.iter().map(|text| Throwable::parse(text)).collect() }
    }

    /// Reads the `errors` of an answer. A 500 has a first entry that only says that it is one.
    #[must_use]
    pub fn of_errors(errors: &[String]) -> Self {
        let telling = |e: &&String| !e.trim().is_empty() && e.trim() != "Internal server error.";
        errors.iter().find(telling).or(errors.first()).map(|e| Self::parse(e)).unwrap_or_default()
    }

    /// The causes, outermost first, with their messages whole: what a program says in an exception, such as the answer
    /// of the preflight, is found here.
    #[must_use]
    pub fn chain(&self) -> &[Throwable] {
        &self.chain
    }

    /// The innermost cause.
    #[must_use]
    pub fn innermost(&self) -> Option<&Throwable> {
        self.chain.last()
    }

    /// One of the causes is of this class, given without its package.
    #[must_use]
    pub fn has_class(&self, simple: &str) -> bool {
        self.chain.iter().any(|t| t.simple_class() == simple)
    }

    /// One of the causes says this.
    #[must_use]
    pub fn says(&self, text: &str) -> bool {
        self.chain.iter().any(|t| t.message.contains(text))
    }

    /// Flink found no savepoint or checkpoint where it was told to look: neither a `_metadata` nor a directory.
    #[must_use]
    pub fn is_no_such_savepoint(&self) -> bool {
        let says = |t: &Throwable| t.message.contains("Cannot find checkpoint or savepoint file/directory");
        self.chain.iter().any(|t| t.simple_class() == "FileNotFoundException" && says(t))
    }

    /// What a message, the innermost first, says behind a marker: how a program hands out a value by throwing it.
    #[must_use]
    pub fn after(&self, marker: &str) -> Option<&str> {
        self.chain.iter().rev().find_map(|t| t.message.split_once(marker)).map(|(_, rest)| rest.trim())
    }

    /// Which failure of a savepoint or a stop this is, by Flink's own words (the same in 1.20 and 2.3 unless said).
    #[must_use]
    pub fn savepoint_failure(&self) -> SavepointFailure {
        if self.has_class("StopWithSavepointStoppingException") {
            SavepointFailure::StoppingFailed
        } else if self.has_class("FlinkJobNotFoundException") {
            SavepointFailure::JobNotFound
        } else if self.says("Property [target-directory] must be provided")
            || self.says("Property [targetDirectory] must be provided")
        {
            SavepointFailure::DirectoryMissing
        } else if self.says("Not all required tasks are currently running") {
            SavepointFailure::TasksNotRunning
        } else if self.says("Checkpoint Coordinator is suspending") || self.says("FailoverRegion is restarting") {
            // The second is what 2.x says of a failing snapshot.
            SavepointFailure::CoordinatorSuspending
        } else if self.says("Checkpoint expired before completing") {
            SavepointFailure::Expired
        } else if self.has_class("UnsupportedFileSystemSchemeException") {
            SavepointFailure::UnknownScheme
        } else if self.says("IO-problem detected") || self.chain.iter().any(is_io) {
            SavepointFailure::Io
        } else {
            SavepointFailure::Other
        }
    }

    /// The savepoint of a stop whose job failed after the savepoint was whole (a TaskManager died in that moment): Flink
    /// reports a failure, names the savepoint in it, and calls it consistent. The job has then failed for good.
    #[must_use]
    pub fn savepoint_location(&self) -> Option<&str> {
        let of = |t: &'_ Throwable| t.simple_class() == "StopWithSavepointStoppingException";
        let message = &self.chain.iter().find(|t| of(t))?.message;
        let (_, rest) = message.split_once("A savepoint has been created at: ")?;
        rest.split_once(", but").map(|(location, _)| location.trim()).filter(|l| !l.is_empty())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.chain.as_slice() {
            [] => "no reason given".to_owned(),
            [.., outer, inner] if !inner.speaks() && outer.speaks() && !repeats(outer, inner) => {
                format!("{outer} ({inner})")
            }
            [.., inner] => inner.unwrapped().to_string(),
        };
        f.write_str(&cut(&text))
    }
}

impl Throwable {
    /// Java gives an exception that only wraps another one the other's text as its message.
    fn unwrapped(&self) -> Throwable {
        let inner = Throwable::parse(&self.message);
        if inner.class.is_empty() { self.clone() } else { inner.unwrapped() }
    }
}

/// The outer message is nothing but the inner exception's text.
fn repeats(outer: &Throwable, inner: &Throwable) -> bool {
    outer.message.starts_with(&inner.class) && !inner.class.is_empty()
}

/// A file system's exception. Beneath it there may be others, such as the ConnectException of a server that is away.
fn is_io(t: &Throwable) -> bool {
    let class = t.simple_class();
    class.ends_with("IOException")
        || matches!(class, "FileNotFoundException" | "AccessDeniedException")
        || t.class.starts_with("org.apache.hadoop.fs.")
}

/// A stack frame, a note on omitted ones, or a suppressed exception: all that Java indents by a tab.
fn is_frame(line: &str) -> bool {
    let text = line.trim_start();
    text.len() < line.len()
        && (text.starts_with("at ")
            || text.starts_with("... ")
            || text.starts_with("Suppressed: ")
            || text.starts_with("Caused by: "))
}

/// `org.apache.flink.util.FlinkException`, also in a shaded or nested form; at least one package.
fn is_class(text: &str) -> bool {
    text.contains('.')
        && text.split('.').all(|part| {
            part.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '$')
                && part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$')
        })
        && text.rsplit('.').next().is_some_and(|name| name.starts_with(char::is_uppercase))
}

/// One line of at most about 500 bytes, cut between characters.
fn cut(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(SHOWN));
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > SHOWN {
            let mut end = SHOWN;
            while !line.is_char_boundary(end) {
                end -= 1;
            }
            line.truncate(end);
            line.push('…');
            break;
        }
    }
    line
}
