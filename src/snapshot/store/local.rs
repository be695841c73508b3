//! A directory of this machine as it is: empty directories in it, too, and links, which are not followed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use futures::{Stream, StreamExt as _, TryStreamExt as _};
use tokio::sync::mpsc;

use super::error::StoreError;
use super::open::{Server, Store};

/// Entries that are handed on at a time.
const PAGE: usize = 1000;

/// What lies in a directory, however deep.
#[derive(Debug)]
pub(super) enum Entry {
    /// A file, by its path below the directory, and its length.
    File { below: String, bytes: u64 },
    /// A directory, told before what lies in it.
    Directory(String),
    /// A symbolic link, by its whole path.
    Link(String),
}

/// What a walk tells: entries, and at its end that it is complete.
type Page = io::Result<Option<Vec<Entry>>>;

impl Store {
    /// It is a directory of this machine.
    pub(super) fn is_local(&self) -> bool {
        matches!(self.server(), Server::Files(_))
    }

    /// What lies below a directory of this machine, a location in its normal form; within the time of a call a page. One
    /// that does not exist is empty, as long as the store's own directory is there.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the store's own directory is not there; and in the stream, if one can't be read.
    pub(super) async fn walk(
        &self,
        directory: &str,
    ) -> Result<impl Stream<Item = Result<Entry, StoreError>>, StoreError> {
        self.directory_exists().await?;
        let (root, place) = (path(directory)?, directory.to_owned());
        let (sender, pages) = mpsc::channel::<Page>(1);
        tokio::task::spawn_blocking(move || {
            let walked = walk(&root, |page| sender.blocking_send(Ok(Some(page))).is_ok());
            // Nobody listens any more where it fails.
            sender.blocking_send(walked.map(|()| None)).ok();
        });
        let pages = futures::stream::try_unfold((pages, place), move |(mut pages, place)| async move {
            match self.within(&place, async { Ok(pages.recv().await) }).await? {
                Some(Ok(Some(page))) => {
                    Ok(Some((futures::stream::iter(page).map(Ok::<_, StoreError>), (pages, place))))
                }
                Some(Ok(None)) => Ok(None),
                Some(Err(source)) => Err(StoreError::Io { place, source }),
                None => {
                    let source = io::Error::other("the reader ended before its time");
                    Err(StoreError::Io { place, source })
                }
            }
        });
        Ok(pages.try_flatten())
    }

    /// Removes a file of this machine, whatever its name. One that is gone is no error.
    ///
    /// # Errors
    /// [`StoreError::Io`] if it can't be removed.
    pub(super) async fn remove_file(&self, place: &str) -> Result<(), StoreError> {
        let file = path(place)?;
        let removing = tokio::task::spawn_blocking(move || there(fs::remove_file(file)));
        let removed = self.within(place, async { Ok(removing.await) }).await?;
        let removed = removed.map_err(io::Error::other).flatten();
        removed.map(drop).map_err(|source| StoreError::Io { place: place.to_owned(), source })
    }

    /// Removes directories that are empty: those below a directory, as [`Store::walk`] tells them, and itself. One that
    /// is gone, or that somebody has written into meanwhile, is no error.
    ///
    /// # Errors
    /// [`StoreError::Io`] of the first that can't be removed.
    pub(super) async fn remove_directories(&self, directory: &str, below: Vec<String>) -> Result<(), StoreError> {
        if !self.is_local() {
            return Ok(());
        }
        let root = path(directory)?;
        let removing = tokio::task::spawn_blocking(move || {
            below.iter().rev().map(|below| root.join(below)).try_for_each(|it| remove(&it))?;
            remove(&root)
        });
        let removed = self.within(directory, async { Ok(removing.await) }).await?;
        removed
            .map_err(io::Error::other)
            .flatten()
            .map_err(|source| StoreError::Io { place: directory.to_owned(), source })
    }
}

/// The path of a location in its normal form.
fn path(location: &str) -> Result<PathBuf, StoreError> {
    Ok(Path::new("/").join(Store::key(location)?.to_string()))
}

fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir(directory) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => Ok(()),
        removed => removed,
    }
}

/// Tells what lies below a directory, until nobody wants more. What goes meanwhile is left out.
fn walk(root: &Path, mut tell: impl FnMut(Vec<Entry>) -> bool) -> io::Result<()> {
    match there(fs::symlink_metadata(root))? {
        Some(itself) if itself.is_symlink() => {
            tell(vec![Entry::Link(root.display().to_string())]);
            return Ok(());
        }
        Some(_) => {}
        None => return Ok(()),
    }
    let mut page = Vec::new();
    let mut open = vec![String::new()];
    while let Some(directory) = open.pop() {
        let Some(entries) = there(fs::read_dir(root.join(&directory)))? else { continue };
        for entry in entries {
            let entry = entry?;
            // A name that is no text is none of Flink's, and none that a message or a request could hold.
            let name = entry.file_name().into_string().map_err(|_| io::ErrorKind::InvalidFilename)?;
            let below = if directory.is_empty() { name } else { format!("{directory}/{name}") };
            // Of the entry itself, also where it is a link.
            let Some(metadata) = there(entry.metadata())? else { continue };
            page.push(if metadata.is_symlink() {
                Entry::Link(entry.path().display().to_string())
            } else if metadata.is_dir() {
                open.push(below.clone());
                Entry::Directory(below)
            } else {
                Entry::File { below, bytes: metadata.len() }
            });
            if page.len() == PAGE && !tell(std::mem::take(&mut page)) {
                return Ok(());
            }
        }
    }
    tell(page);
    Ok(())
}

/// `None`: it is not there.
fn there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(it) => Ok(Some(it)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
