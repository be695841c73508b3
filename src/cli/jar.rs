//! `flink-savepoint-operator jar fetch …`: what the init container of a JobManager runs whose job's jar is not in its
//! image.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use http::HeaderValue;

use super::snapshot;
use super::snapshot::output::complain;
use super::snapshot::places::{Keys, Reach};
use crate::flink::{Tls, credentials, tls};
use crate::jar::{self, Retry, Source, Target};
use crate::naming;
use crate::runtime::error::chain;

/// What can be done with jars.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Fetch a job's jar into Flink's upload directory
    Fetch(Fetch),
}

/// The flags of `jar fetch`. Keys come from the environment only: flags can be read in the list of processes.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Keys for S3 are taken from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; \
                        without them requests are not signed. Credentials for the JobManager are \
                        taken from FLINK_REST_TOKEN, or FLINK_REST_USERNAME and FLINK_REST_PASSWORD; \
                        PEM for HTTPS to it from FLINK_REST_CA (left out: the system's authorities), \
                        FLINK_REST_CERTIFICATE and FLINK_REST_KEY.")]
pub struct Fetch {
    /// The jar: s3://…, https://… or http://…
    pub uri: String,
    /// The directory that it comes into, as job.jar
    #[arg(long, value_name = "DIRECTORY")]
    pub into: PathBuf,
    /// The SHA-256 that it must have; left out: any
    #[arg(long, value_name = "HEX")]
    pub sha256: Option<String>,
    /// The S3 server, as http://minio:9000; left out: that of AWS
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
    /// The region of the S3 server; left out: us-east-1
    #[arg(long)]
    pub region: Option<String>,
    /// A further jar of this machine that is copied there as helper.jar
    #[arg(long, value_name = "FILE")]
    pub helper: Option<PathBuf>,
    /// The REST API of a session cluster's JobManager that the jar is uploaded to, as well
    #[arg(long, value_name = "URL", requires = "upload_as")]
    pub upload_to: Option<String>,
    /// What the name of the uploaded file begins with; its SHA-256 and .jar follow
    #[arg(long, value_name = "PREFIX", requires = "upload_to")]
    pub upload_as: Option<String>,
    /// The name that the certificate of the JobManager must carry, where it speaks HTTPS; left out: the URL's host
    #[arg(long, value_name = "NAME", requires = "upload_to")]
    pub upload_server_name: Option<String>,
    /// The file that the jar's SHA-256 is written to
    #[arg(long, value_name = "FILE", default_value = "/dev/termination-log")]
    pub result: PathBuf,
}

/// Why the jar is not there.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Jar(#[from] jar::Error),
    #[error(transparent)]
    Upload(#[from] jar::UploadError),
    #[error(transparent)]
    Reach(#[from] snapshot::Error),
    #[error("{uri}: is of a scheme that jars are not fetched by: use s3://, https:// or http://")]
    Scheme { uri: String },
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("the variables FLINK_REST_*, or --upload-server-name, can't be used: what they give {0}")]
    Tls(#[from] tls::Invalid),
    #[error("the process can't start: {0}")]
    Runtime(io::Error),
}

/// Carries out a command. What went wrong goes to standard error in one line, from where Kubernetes takes it.
#[must_use]
pub fn run(command: &Command) -> ExitCode {
    let Command::Fetch(options) = command;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Runtime);
    match runtime.and_then(|runtime| runtime.block_on(fetch(options, Retry::default()))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&chain(&error));
            ExitCode::FAILURE
        }
    }
}

async fn fetch(options: &Fetch, retry: Retry) -> Result<(), Error> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { path, source }
    };
    fs::create_dir_all(&options.into).map_err(io(&options.into))?;
    if let Some(helper) = &options.helper {
        fs::copy(helper, options.into.join(naming::HELPER_JAR)).map_err(io(helper))?;
    }
    let jar = options.into.join(naming::JOB_JAR);
    let hash = jar::fetch(&source(options)?, &jar, options.sha256.as_deref(), retry).await?;
    if let (Some(to), Some(prefix)) = (&options.upload_to, &options.upload_as) {
        // Who sees the hash in the pod's status knows that it is there.
        let name = format!("{prefix}{hash}.jar");
        let target = Target { url: to.clone(), name, authorization: authorization(), tls: secured(options, to)? };
        jar::upload(&jar, &target, retry).await?;
    }
    fs::write(&options.result, hash).map_err(io(&options.result))
}

/// What the environment has of these, by key.
fn given(variables: [(&str, &str); 3]) -> BTreeMap<String, Vec<u8>> {
    let given = |(name, key): (&str, &str)| Some((key.to_owned(), std::env::var(name).ok()?.into_bytes()));
    variables.into_iter().filter_map(given).collect()
}

/// The header with the credentials of the environment, if there are any.
fn authorization() -> Option<HeaderValue> {
    credentials::header(&given(credentials::VARIABLES))
}

/// How the JobManager is spoken to, if its URL says HTTPS.
fn secured(options: &Fetch, url: &str) -> Result<Option<Tls>, tls::Invalid> {
    let url: http::Uri = match url.parse() {
        Ok(url) => url,
        // That it is no URL is told once it is asked.
        Err(_) => return Ok(None),
    };
    if url.scheme_str() != Some("https") {
        return Ok(None);
    }
    let pem = given(tls::VARIABLES);
    let name = options.upload_server_name.as_deref().or(url.host()).unwrap_or_default();
    Tls::new((!pem.is_empty()).then_some(&pem), name).map(Some)
}

fn source(options: &Fetch) -> Result<Source, Error> {
    let uri = &options.uri;
    match uri.split_once("://").map(|(scheme, _)| scheme) {
        Some("s3") => {
            let keys = Keys::of(|name| std::env::var(name).ok());
            let reach = Reach::new(options.endpoint.clone(), options.region.clone(), keys);
            Ok(Source::Store(reach.store(uri)?, uri.clone()))
        }
        Some("https" | "http") => Ok(Source::Web(uri.clone())),
        _ => Err(Error::Scheme { uri: uri.clone() }),
    }
}

#[cfg(test)]
#[path = "jar_tests.rs"]
mod tests;
