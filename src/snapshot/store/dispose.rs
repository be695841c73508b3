//! A snapshot's own directory, deleted: its `_metadata` first, so that what is there is whole or no snapshot any more.

use futures::{StreamExt as _, TryStreamExt as _, pin_mut};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use tokio::time::timeout;

use super::attempts::METADATA;
use super::error::StoreError;
use super::http::Fault;
use super::local::Entry;
use super::open::Store;
use crate::flink::location;

/// Files in one request: as many as S3 takes.
const AT_ONCE: usize = 1000;
/// Requests at a time, where each is about one file.
const AT_A_TIME: usize = 16;

/// What lies in the directory of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// Nothing.
    Nothing,
    /// A snapshot with its `_metadata`, which is counted as well.
    Snapshot(Amount),
    /// Files without a `_metadata`: one that is being written, or one half deleted.
    Unfinished(Amount),
}

impl Contents {
    /// How much it is.
    #[must_use]
    pub fn amount(self) -> Amount {
        match self {
            Self::Nothing => Amount::default(),
            Self::Snapshot(amount) | Self::Unfinished(amount) => amount,
        }
    }
}

/// Files and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// How many files.
    pub files: u64,
    /// The sum of their lengths, in bytes.
    pub bytes: u64,
}

/// Why a directory was not deleted, or only a part of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DisposeError {
    /// The store failed. What is deleted by then stays so, and another call goes on.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The place can't be a snapshot's own directory. Nothing was deleted.
    #[error("{place} is not the directory of one snapshot: {why}")]
    NotASnapshot {
        /// What was asked for, in its normal form.
        place: String,
        /// What speaks against it, and the cure.
        why: String,
    },
    /// Nothing may be deleted in this store.
    #[error("{place} can't be deleted: its store is readOnly: allow the store to write, or delete it by other means")]
    ReadOnly {
        /// What was asked for, in its normal form.
        place: String,
    },
}

impl DisposeError {
    /// A stable word for conditions, Events and metric labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Store(error) => error.reason(),
            Self::NotASnapshot { .. } => "NotASnapshot",
            Self::ReadOnly { .. } => "StoreReadOnly",
        }
    }

    /// Another attempt may go well, with nothing corrected.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::NotASnapshot { .. } | Self::ReadOnly { .. } => false,
        }
    }
}

/// What a listing found in a directory.
#[derive(Debug, Default)]
struct Found {
    amount: Amount,
    /// Its `_metadata` is there.
    whole: bool,
    /// Its other files, by their paths below it; no more than asked for.
    others: Vec<String>,
    /// Directories below it, each before those in it. A store of objects has none.
    directories: Vec<String>,
}

impl Found {
    fn contents(&self) -> Contents {
        match (self.amount.files, self.whole) {
            (0, _) => Contents::Nothing,
            (_, true) => Contents::Snapshot(self.amount),
            (_, false) => Contents::Unfinished(self.amount),
        }
    }

    /// Counts a file; keeps its name, of at most `limit`.
    fn file(&mut self, directory: &str, below: &str, bytes: u64, limit: usize) -> Result<(), DisposeError> {
        if let Some(why) = stranger(directory, below) {
            return Err(DisposeError::NotASnapshot { place: directory.to_owned(), why });
        }
        self.amount.files += 1;
        self.amount.bytes = self.amount.bytes.saturating_add(bytes);
        if below == METADATA {
            self.whole = true;
        } else if self.others.len() < limit {
            self.others.push(below.to_owned());
        }
        Ok(())
    }
}

/// What a file tells against its directory being that of one snapshot. Whether `_metadata` is there makes no
/// difference, so that a half deleted one is judged as it was when it was whole.
fn stranger(directory: &str, below: &str) -> Option<String> {
    let (parents, name) = below.rsplit_once('/')?;
    if name == METADATA {
        return Some(format!("another one lies in it, {directory}/{parents}: name the one that is to be deleted"));
    }
    let flinks = |part: &&str| {
        let checkpoint = part.strip_prefix("chk-").is_some_and(|number| number.parse::<u64>().is_ok());
        checkpoint || matches!(*part, "shared" | "taskowned") || part.starts_with("savepoint-")
    };
    // A job's directory holds what its other checkpoints share, and that of a job which was restored by CLAIM.
    parents.split('/').find(flinks).map(|part| {
        format!("a directory {part} lies in it, as in one of a job or a folder of savepoints: name one snapshot in it")
    })
}

impl Store {
    /// Lists the whole directory of a snapshot. An empty object that some tools write in place of a directory is no
    /// file. Where a volume is not mounted, that is an error, not [`Contents::Nothing`].
    ///
    /// # Errors
    /// [`DisposeError::NotASnapshot`] for a place that can't be a snapshot's own directory: it does not lie below the
    /// store's url, there is another `_metadata` deeper down, or what else lies in a job's or a user's directory of
    /// snapshots, or a symbolic link. [`DisposeError::Store`] if the store can't be asked.
    pub async fn contents(&self, directory: &str) -> Result<Contents, DisposeError> {
        Ok(self.look(&location::normalise(directory), 0).await?.contents())
    }

    /// Deletes the directory of a snapshot: its `_metadata`, alone; once that is gone, at most `limit` other files; once
    /// these are gone, the empty directories. Answers with what is left by a new listing. To be called again until that
    /// is nothing: what is gone already is no error, and a call that ended in the middle leaves a snapshot that is whole
    /// or has no `_metadata`.
    ///
    /// # Errors
    /// As [`Store::contents`]; [`DisposeError::ReadOnly`]. If `_metadata` can't be deleted, nothing else is. If others
    /// can't be, the error names the first, and as many as possible were.
    pub async fn dispose(&self, directory: &str, limit: usize) -> Result<Contents, DisposeError> {
        let directory = location::normalise(directory);
        if !self.may_remove() {
            return Err(DisposeError::ReadOnly { place: directory });
        }
        let mut found = self.look(&directory, limit).await?;
        if found.amount.files > 0 {
            // Also where it was not listed: what was being written may have become whole since.
            self.delete_metadata(&directory).await?;
            self.delete_files(&directory, &found.others).await?;
            found = self.look(&directory, 0).await?;
        }
        if found.amount.files == 0 {
            self.remove_directories(&directory, std::mem::take(&mut found.directories)).await?;
        }
        Ok(found.contents())
    }

    async fn look(&self, directory: &str, limit: usize) -> Result<Found, DisposeError> {
        let not_one = |why| DisposeError::NotASnapshot { place: directory.to_owned(), why };
        if !location::is_below(directory, self.url()) {
            return Err(not_one(format!("it does not lie below its store's url, {}: name one that does", self.url())));
        }
        let mut found = Found::default();
        if self.is_local() {
            let pages = self.walk(directory).await?;
            pin_mut!(pages);
            while let Some(entry) = pages.try_next().await? {
                match entry {
                    Entry::File { below, bytes } => found.file(directory, &below, bytes, limit)?,
                    Entry::Directory(below) => found.directories.push(below),
                    // What it leads to lies elsewhere, and would be deleted in place of what lies here.
                    Entry::Link(place) => {
                        return Err(not_one(format!("{place} is a symbolic link, which Flink never makes: remove it")));
                    }
                }
            }
            return Ok(found);
        }
        let own = Self::key(directory)?;
        let listed = self.list(directory)?;
        pin_mut!(listed);
        while let Some(file) = listed.try_next().await? {
            let rest = file.location.as_ref().strip_prefix(own.as_ref());
            if let Some(below) = rest.and_then(|rest| rest.strip_prefix('/')) {
                found.file(directory, below, file.size, limit)?;
            }
        }
        Ok(found)
    }

    /// Deletes the `_metadata`, and sees that it is gone.
    async fn delete_metadata(&self, directory: &str) -> Result<(), StoreError> {
        let place = format!("{directory}/{METADATA}");
        let key = Self::key(&place)?;
        self.delete_file(&place, &key).await?;
        match self.within(&place, self.objects().head(&key)).await {
            Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(StoreError::Refused {
                place,
                endpoint: self.server().to_string(),
                status: None,
                code: None,
                cure: "it says that it has deleted this file, and has it still: look at the server".to_owned(),
            }),
        }
    }

    async fn delete_file(&self, place: &str, key: &Path) -> Result<(), StoreError> {
        if self.is_local() {
            return self.remove_file(place).await;
        }
        match self.within(place, self.objects().delete(key)).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Deletes files, by their paths below a directory.
    async fn delete_files(&self, directory: &str, files: &[String]) -> Result<(), StoreError> {
        let mut keys = Vec::with_capacity(files.len());
        for file in files {
            keys.push(Self::key(&format!("{directory}/{file}"))?);
        }
        let Some(bulk) = self.bulk() else { return self.delete_each(directory, &keys).await };
        let mut kept = None;
        for (n, some) in keys.chunks(AT_ONCE).enumerate() {
            match self.delete_at_once(bulk, directory, some).await {
                // One that can't be deleted must not keep the others.
                Ok(of_one) => kept = kept.or(of_one),
                Err(error) if n == 0 && is_not_implemented(&error) => return self.delete_each(directory, &keys).await,
                Err(error) => return Err(error),
            }
        }
        kept.map_or(Ok(()), Err)
    }

    /// Deletes files by one request. `Some`: it was carried out, but not for this file.
    async fn delete_at_once(
        &self,
        bulk: &dyn ObjectStore,
        directory: &str,
        keys: &[Path],
    ) -> Result<Option<StoreError>, StoreError> {
        let patience = self.patience().of_many();
        let keys = keys.to_vec();
        let deleting = bulk.delete_stream(futures::stream::iter(keys.clone()).map(Ok).boxed());
        let Ok(deleted) = timeout(patience.call, deleting.try_for_each(|_| std::future::ready(Ok(())))).await else {
            return Err(self.timed_out(directory, patience.call));
        };
        let Err(error) = deleted else { return Ok(None) };
        let Some(Fault::Kept { key, .. }) = Fault::of(&error) else {
            return Err(match self.error(directory, &error) {
                StoreError::TimedOut { place, server, .. } => {
                    StoreError::TimedOut { place, server, limit: patience.answer }
                }
                other => other,
            });
        };
        // Nothing of an answer is shown: only a name that was asked for.
        let own = Self::key(directory)?;
        let asked = keys.iter().find(|asked| asked.as_ref() == key);
        let below = asked.and_then(|asked| asked.as_ref().strip_prefix(own.as_ref())).unwrap_or_default();
        Ok(Some(self.error(&format!("{directory}{below}"), &error)))
    }

    /// Deletes files by a request each.
    async fn delete_each(&self, directory: &str, keys: &[Path]) -> Result<(), StoreError> {
        let own = Self::key(directory)?;
        let each = futures::stream::iter(keys.to_vec()).map(|key| {
            let place = format!("{directory}{}", key.as_ref().strip_prefix(own.as_ref()).unwrap_or_default());
            async move { self.delete_file(&place, &key).await }
        });
        each.buffer_unordered(AT_A_TIME).try_collect().await
    }
}

/// A server that can't delete several files by one request.
fn is_not_implemented(error: &StoreError) -> bool {
    matches!(error, StoreError::ServerError { status: 501, .. } | StoreError::Refused { status: Some(405), .. })
}

#[cfg(test)]
#[path = "dispose_tests.rs"]
mod tests;
