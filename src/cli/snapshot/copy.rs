//! `snapshot copy`: a snapshot in another place, with all that it needs.

use clap::Args;
use serde::Serialize;

use super::output::{self, Answer};
use super::places::{self, Keys};
use super::progress::Reporter;
use super::{Error, Session, words};
use crate::runtime::error::chain;
use crate::snapshot::store::{self, Copied, CopyError, Snapshot};

/// The variables of the target's keys.
const TO_KEYS: [&str; 3] = ["TO_AWS_ACCESS_KEY_ID", "TO_AWS_SECRET_ACCESS_KEY", "TO_AWS_SESSION_TOKEN"];

/// How the target is reached, where that is not as the snapshot is.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Keys for S3 are taken from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; those \
                        for the copy, if they are others, from TO_AWS_ACCESS_KEY_ID, TO_AWS_SECRET_ACCESS_KEY and \
                        TO_AWS_SESSION_TOKEN. Without keys requests are not signed."
)]
pub struct Target {
    /// The S3 server of the copy; left out: that of the snapshot
    #[arg(long, env = "TO_AWS_ENDPOINT_URL", value_name = "URL")]
    to_endpoint: Option<String>,
    /// The region of the S3 server of the copy; left out: that of the snapshot
    #[arg(long, env = "TO_AWS_REGION", value_name = "REGION")]
    to_region: Option<String>,
}

/// Copies a snapshot, and says where it is.
///
/// # Errors
/// [`Error`] if there is no snapshot, or no whole copy of it.
pub async fn copy(session: &Session<'_>, from: &str, to: &str, target: &Target) -> Result<u8, Error> {
    let to = places::location(to)?;
    let keys = Keys::named(TO_KEYS, |name| std::env::var(name).ok());
    let reach = session.reach.other(target.to_endpoint.clone(), target.to_region.clone(), keys);
    // Before the snapshot is read, which may take a while.
    let store = reach.writable(&to)?;
    let snapshot = session.load(from).await?;
    let stores = session.reach.stores_of_files(&snapshot)?;
    let reporter = Reporter::new(session.options.no_progress);
    let copied = store::copy(&stores, &snapshot, &store, &to, &|progress| reporter.show_copy(progress)).await;
    drop(reporter);
    let copied = copied.map_err(|source| {
        let error = Error::Copy { source: Box::new(source) };
        // Keys of its own are not those that are missing.
        if reach.signs() { error } else { session.explained(error) }
    })?;
    Ok(output::print(&Outcome::new(&snapshot, copied), session.options.output))
}

/// A copy that was made, or was there. Serialised: where it is, and how much.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome<'a> {
    /// The directory of the snapshot that was copied.
    source: &'a str,
    /// The copy's directory.
    location: String,
    /// Files of the copy, without `_metadata`.
    files: u64,
    /// Their bytes.
    bytes: u64,
    /// The length of its `_metadata`, in bytes.
    metadata_bytes: u64,
    /// Files that were copied now.
    copied_files: u64,
    /// Their bytes.
    copied_bytes: u64,
    #[serde(skip)]
    snapshot: &'a Snapshot,
}

impl<'a> Outcome<'a> {
    /// Of this snapshot.
    pub fn new(snapshot: &'a Snapshot, copied: Copied) -> Self {
        Self {
            source: &snapshot.directory,
            location: copied.directory,
            files: copied.files,
            bytes: copied.bytes,
            metadata_bytes: copied.metadata_bytes,
            copied_files: copied.copied_files,
            copied_bytes: copied.copied_bytes,
            snapshot,
        }
    }
}

impl Answer for Outcome<'_> {
    fn table(&self) -> String {
        let (what, location) = (words::what(&self.snapshot.facts), words::plain(&self.location));
        let metadata = words::bytes(self.metadata_bytes);
        let details = if self.files == 0 {
            format!("it has no files: all of its state is in the metadata, {metadata}")
        } else {
            let (files, bytes) = (words::count(self.files, "file"), words::bytes(self.bytes));
            let now = match (self.copied_files, words::bytes(self.copied_bytes)) {
                (0, _) => "all were there already".to_owned(),
                (all, _) if all == self.files => "all copied now".to_owned(),
                (some, bytes) => format!("{} of them copied now, {bytes}", indicatif::HumanCount(some)),
            };
            format!("{files}, {bytes}, and {metadata} of metadata: {now}")
        };
        format!("COPIED: {what} to {location}\n{details}\n")
    }

    fn exit_code(&self) -> u8 {
        0
    }
}

/// What is wrong, and that nothing has to be copied twice.
pub(super) fn go_on(error: &CopyError) -> String {
    let hint = if error.is_transient() { "; the same command goes on where this one ended" } else { "" };
    chain(error) + hint
}

#[cfg(test)]
#[path = "copy_tests.rs"]
mod tests;
