//! `snapshot dispose`: a snapshot deleted, or what would be.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;

use super::output::{self, Answer};
use super::progress::Reporter;
use super::{Error, Session, words};
use crate::snapshot::path::Directory;
use crate::snapshot::store::{Amount, Contents, DisposeError, LoadError, Snapshot, Store};

/// Files between two listings.
const AT_A_TIME: usize = 5000;

/// What a person agrees to.
#[derive(Debug, Clone, Copy, Args)]
pub struct Consent {
    /// Delete it; left out: only say what would be deleted
    #[arg(long)]
    yes: bool,
    /// Also if it has no _metadata: half deleted, never completed, or being written by a job
    #[arg(long)]
    unfinished: bool,
}

/// Says what there is to delete, or deletes it.
///
/// # Errors
/// [`Error`] if there is no snapshot, if files without `_metadata` were not agreed to, and if the store fails.
pub async fn dispose(session: &Session<'_>, url: &str, consent: Consent) -> Result<u8, Error> {
    let (directory, snapshot) = match session.load(url).await {
        Ok(snapshot) if snapshot.metadata != format!("{}/_metadata", snapshot.directory) => {
            return Err(Error::OtherMetadata { metadata: snapshot.metadata });
        }
        Ok(snapshot) => (snapshot.directory.clone(), Some(snapshot)),
        Err(error) => match error.unfinished() {
            Some(directory) => (directory.to_owned(), None),
            None => return Err(error),
        },
    };
    let store = session.reach.writable(&directory)?;
    let contents = store.contents(&directory).await;
    let contents = contents.map_err(|source| session.explained(Error::Dispose { source: Box::new(source) }))?;
    // Since it was read it may have been deleted in part, or completed.
    let whole = snapshot.filter(|_| matches!(contents, Contents::Snapshot(_)));
    let amount = contents.amount();
    if consent.yes {
        if whole.is_none() && !consent.unfinished {
            return Err(Error::Unfinished { directory, files: amount.files });
        }
        delete(session, &store, &directory, amount).await?;
    }
    Ok(output::print(&Disposal::new(&directory, whole.as_ref(), amount, consent.yes), session.options.output))
}

/// Deletes until nothing is left.
async fn delete(session: &Session<'_>, store: &Store, directory: &str, of: Amount) -> Result<(), Error> {
    let reporter = Reporter::new(session.options.no_progress);
    let mut left = of.files;
    while left > 0 {
        reporter.deleted(of.files.saturating_sub(left), of.files);
        let disposed = store.dispose(directory, AT_A_TIME).await;
        let now = disposed.map_err(|source| session.explained(Error::Disposing { source: Box::new(source) }))?;
        let now = now.amount().files;
        if now >= left {
            return Err(Error::Stays { directory: directory.to_owned(), files: now });
        }
        left = now;
    }
    Ok(())
}

/// A snapshot that was deleted, or would be. Serialised: its location and what it held.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Disposal<'a> {
    /// The snapshot's directory.
    location: &'a str,
    /// It is deleted; else it would be.
    deleted: bool,
    /// It had no `_metadata`.
    unfinished: bool,
    /// Files in the directory, `_metadata` included.
    files: u64,
    /// Their lengths, in bytes.
    bytes: u64,
    /// Files elsewhere that it names, which stay.
    files_elsewhere: u64,
    /// Their lengths, in bytes.
    bytes_elsewhere: u64,
    #[serde(skip)]
    elsewhere: Option<String>,
    #[serde(skip)]
    snapshot: Option<&'a Snapshot>,
}

impl<'a> Disposal<'a> {
    /// Of what was found at a place. `snapshot`: `None` where there was no `_metadata`.
    pub fn new(location: &'a str, snapshot: Option<&'a Snapshot>, amount: Amount, deleted: bool) -> Self {
        let directory = Directory::new(location);
        // A file that is named in two ways is one.
        let elsewhere: BTreeMap<String, u64> = snapshot
            .iter()
            .flat_map(|snapshot| snapshot.facts.files_outside(&directory))
            .map(|(location, file)| (location, file.size))
            .collect();
        Self {
            location,
            deleted,
            unfinished: snapshot.is_none(),
            files: amount.files,
            bytes: amount.bytes,
            files_elsewhere: elsewhere.len() as u64,
            bytes_elsewhere: elsewhere.values().fold(0, |sum, size| sum.saturating_add(*size)),
            elsewhere: elsewhere.into_keys().next(),
            snapshot,
        }
    }
}

impl Answer for Disposal<'_> {
    fn table(&self) -> String {
        let verdict = if self.deleted { "DELETED" } else { "NOT DELETED" };
        let what =
            self.snapshot.map_or_else(|| "files without _metadata".to_owned(), |snapshot| words::what(&snapshot.facts));
        let (files, bytes) = (words::count(self.files, "file"), words::bytes(self.bytes));
        let details = match (self.deleted, self.unfinished) {
            (true, _) => "freed",
            (false, false) => "would be deleted: add --yes to delete",
            (false, true) => "would be deleted: add --yes --unfinished to delete",
        };
        let mut text = format!("{verdict}: {what} at {}\n{files}, {bytes} {details}\n", words::plain(self.location));
        if let Some(first) = &self.elsewhere {
            let (files, bytes) = (words::count(self.files_elsewhere, "file"), words::bytes(self.bytes_elsewhere));
            let stay = if self.files_elsewhere == 1 { "stays" } else { "stay" };
            // Writing to a string never fails.
            let _ = writeln!(text, "{files} elsewhere {stay}, {bytes}, such as {}", words::plain(first));
        }
        text
    }

    fn exit_code(&self) -> u8 {
        0
    }
}

impl Error {
    /// The directory, if what is wrong is that there are files in it and no `_metadata`.
    fn unfinished(&self) -> Option<&str> {
        match self {
            Self::Load { source, .. } => match &**source {
                LoadError::NoMetadata { directory } => Some(directory),
                _ => None,
            },
            _ => None,
        }
    }
}

/// What is wrong, and how to go on.
pub(super) fn go_on(error: &DisposeError) -> String {
    let hint = match error {
        DisposeError::Store(_) => "; then run it again, with --unfinished if the _metadata is gone by now",
        _ => "",
    };
    crate::runtime::error::chain(error) + hint
}

#[cfg(test)]
#[path = "dispose_tests.rs"]
mod tests;
