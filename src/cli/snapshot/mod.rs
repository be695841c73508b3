//! `flink-savepoint-operator snapshot …`: savepoints and checkpoints for people without a cluster. `docs/snapshot-cli.md`
//! describes the commands, their outputs and exit codes.

mod copy;
mod diff;
mod dispose;
mod inspect;
pub(super) mod output;
pub(super) mod places;
mod progress;
mod restore;
mod verify;
mod words;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use self::copy::Target;
use self::diff::Diff;
use self::dispose::Consent;
use self::inspect::Inspection;
use self::output::Format;
use self::places::{Keys, Reach};
use self::progress::Reporter;
use self::verify::Verified;
use crate::flink::location::normalise;
use crate::runtime::error::chain;
use crate::snapshot::store::{self, CopyError, DisposeError, LoadError, Snapshot, StoreError, Verification};

/// What can be asked about snapshots.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Say what a snapshot is: operators, bytes, and what it can be used for
    Inspect {
        /// The snapshot: s3://…, file://… or a path; its directory or its _metadata file of any name
        url: String,
        /// How to look.
        #[command(flatten)]
        options: Options,
    },
    /// Check that every file of a snapshot is there with its size; exits with 1 if not
    Verify {
        /// The snapshot: s3://…, file://… or a path; its directory or its _metadata file of any name
        url: String,
        /// How to look.
        #[command(flatten)]
        options: Options,
    },
    /// Copy a snapshot, with all files that it needs, to a directory of its own; one that was interrupted goes on
    Copy {
        /// The snapshot: s3://…, file://… or a path; its directory or its _metadata file of any name
        from: String,
        /// The directory of the copy: s3://…, file://… or a path
        to: String,
        /// How to look.
        #[command(flatten)]
        options: Options,
        /// Where the copy is.
        #[command(flatten)]
        target: Target,
    },
    /// Say what changed from one snapshot to another; exits with 1 if their operators differ
    Diff {
        /// The earlier snapshot: s3://…, file://… or a path; its directory or its _metadata file of any name
        before: String,
        /// The later snapshot
        after: String,
        /// How to look.
        #[command(flatten)]
        options: Options,
    },
    /// Delete a snapshot, or say what would be deleted
    Dispose {
        /// The snapshot: s3://…, file://… or a path; its directory or the _metadata in it
        url: String,
        /// Whether to.
        #[command(flatten)]
        consent: Consent,
        /// How to look.
        #[command(flatten)]
        options: Options,
    },
}

/// Flags of all the commands. Keys come from the environment only: flags can be read in the list of processes.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Keys for S3 are taken from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; \
                        without them requests are not signed.")]
pub struct Options {
    /// How the answer is written
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
    /// The S3 server, as http://minio:9000; left out: that of AWS
    #[arg(long, env = "AWS_ENDPOINT_URL", value_name = "URL")]
    pub endpoint: Option<String>,
    /// The region of the S3 server; left out: us-east-1
    #[arg(long, env = "AWS_REGION")]
    pub region: Option<String>,
    /// A uid of the job, to name its operator where the snapshot has only ids; may be repeated
    #[arg(long = "uid", value_name = "UID")]
    pub uids: Vec<String>,
    /// A file with uids of the job, one a line
    #[arg(long = "uids", value_name = "FILE")]
    pub uids_file: Option<PathBuf>,
    /// Do not show progress; it is shown only on a terminal anyway
    #[arg(long)]
    pub no_progress: bool,
}

/// Carries out a command; its answer goes to standard output, an error in one line to standard error. Exits with 0 or 1
/// by the answer, and with 2 if there is none.
#[must_use]
pub fn run(command: &Command) -> ExitCode {
    let outcome = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Runtime);
    let outcome = outcome.and_then(|runtime| {
        let outcome = runtime.block_on(answer(command));
        // A read that is still under way is of no use any more.
        runtime.shutdown_background();
        outcome
    });
    let code = outcome.unwrap_or_else(|error| {
        output::complain(&chain(&error));
        output::NO_ANSWER
    });
    code.into()
}

async fn answer(command: &Command) -> Result<u8, Error> {
    match command {
        Command::Inspect { url, options } => {
            let session = Session::new(options)?;
            let snapshot = session.load(url).await?;
            Ok(output::print(&Inspection::new(&snapshot), options.output))
        }
        Command::Verify { url, options } => {
            let session = Session::new(options)?;
            let snapshot = session.load(url).await?;
            let verification = session.verify(&snapshot).await?;
            Ok(output::print(&Verified::new(&snapshot, verification), options.output))
        }
        Command::Copy { from, to, options, target } => copy::copy(&Session::new(options)?, from, to, target).await,
        Command::Diff { before, after, options } => {
            let session = Session::new(options)?;
            let (before, after) = (session.load(before).await?, session.load(after).await?);
            Ok(output::print(&Diff::new(&before, &after), options.output))
        }
        Command::Dispose { url, consent, options } => dispose::dispose(&Session::new(options)?, url, *consent).await,
    }
}

/// What a command has at hand.
struct Session<'a> {
    options: &'a Options,
    reach: Reach,
    uids: Vec<String>,
}

impl<'a> Session<'a> {
    fn new(options: &'a Options) -> Result<Self, Error> {
        let mut uids = options.uids.clone();
        if let Some(file) = &options.uids_file {
            let text = fs::read_to_string(file).map_err(|source| Error::Uids { file: file.clone(), source })?;
            uids.extend(text.lines().map(str::trim).filter(|uid| !uid.is_empty()).map(str::to_owned));
        }
        let keys = Keys::of(|name| std::env::var(name).ok());
        Ok(Self { options, reach: Reach::new(options.endpoint.clone(), options.region.clone(), keys), uids })
    }

    async fn load(&self, url: &str) -> Result<Snapshot, Error> {
        let location = places::location(url)?;
        let stores = self.reach.stores(&location)?;
        let reporter = Reporter::new(self.options.no_progress);
        let loaded = store::load(&stores, &location, &|progress| reporter.show(progress)).await;
        let mut snapshot =
            loaded.map_err(|source| self.explained(Error::Load { location, source: Box::new(source) }))?;
        snapshot.facts.name_operators(self.uids.iter().map(String::as_str));
        Ok(snapshot)
    }

    async fn verify(&self, snapshot: &Snapshot) -> Result<Verification, Error> {
        let stores = self.reach.stores_of_files(snapshot)?;
        let reporter = Reporter::new(self.options.no_progress);
        let verified = store::verify(&stores, snapshot, &|progress| reporter.show(progress)).await;
        verified.map_err(|error| self.explained(error.into()))
    }

    /// The error, and whether it may come from keys that are not set.
    fn explained(&self, error: Error) -> Error {
        if error.is_denied() && !self.reach.signs() { Error::Unsigned(Box::new(error)) } else { error }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{}", at(location, source))]
    Load { location: String, source: Box<LoadError> },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{}", chain(source))]
    Dispose { source: Box<DisposeError> },
    #[error("{}", dispose::go_on(source))]
    Disposing { source: Box<DisposeError> },
    #[error(
        "{directory} holds files and no _metadata ({files} of them): a job may be writing a savepoint there, or it was half \
         deleted: add --unfinished to delete it all the same"
    )]
    Unfinished { directory: String, files: u64 },
    #[error("{metadata} is not named _metadata, so its directory may hold more than a snapshot: delete it yourself")]
    OtherMetadata { metadata: String },
    #[error("{directory}: its store says that it deletes files, and {files} are left as before: look at the store")]
    Stays { directory: String, files: u64 },
    #[error("{}", copy::go_on(source))]
    Copy { source: Box<CopyError> },
    #[error("{0} (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set)")]
    Unsigned(Box<Error>),
    #[error("{missing} is not set, but {present} is: set both, or neither to send requests without a signature")]
    HalfOfKeys { missing: &'static str, present: &'static str },
    #[error("--uids {file}: {source}: name a text file with one uid a line", file = file.display())]
    Uids { file: PathBuf, source: io::Error },
    #[error("the path {path:?} can't be made absolute: {source}")]
    Path { path: String, source: io::Error },
    #[error("the process can't start: {0}")]
    Runtime(io::Error),
}

impl Error {
    fn is_denied(&self) -> bool {
        let reason = match self {
            Self::Load { source, .. } => source.reason(),
            Self::Store(error) => error.reason(),
            Self::Dispose { source } | Self::Disposing { source } => source.reason(),
            Self::Copy { source } => source.reason(),
            _ => return false,
        };
        reason == "AccessDenied"
    }
}

/// What is wrong, and where: an error of the bytes alone does not say of which snapshot.
fn at(location: &str, error: &LoadError) -> String {
    // Above the snapshots there are files, too.
    let hint = if matches!(error, LoadError::NoMetadata { .. }) { "; of a folder of snapshots name one" } else { "" };
    let error = chain(error) + hint;
    if error.contains(&normalise(location)) || error.contains(location) {
        error
    } else {
        format!("{location}: {error}")
    }
}

#[cfg(test)]
mod testing;
