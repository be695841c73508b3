//! What requests to Flink have left in directories that are nobody else's.

use futures::{StreamExt as _, TryStreamExt as _, pin_mut};
use object_store::ObjectStoreExt as _;
use object_store::path::Path;

use super::error::StoreError;
use super::open::Store;
use super::settings::Access;
use crate::flink::location;

/// The file that Flink writes last.
pub(super) const METADATA: &str = "_metadata";
/// Files that are removed at once.
const AT_ONCE: usize = 16;

/// What lies below a directory that one request to Flink had for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// Nothing.
    Nothing,
    /// Files without a `_metadata`: a snapshot that is being written, or whose JobManager was lost meanwhile.
    Unfinished,
    /// A snapshot with a `_metadata`, by its directory.
    Whole(String),
}

impl Store {
    /// Looks what lies below a directory. Of several snapshots, which only a repeated request makes, the one whose
    /// directory's name comes first.
    ///
    /// # Errors
    /// [`StoreError`] if the store can't be asked.
    pub async fn left(&self, directory: &str) -> Result<Left, StoreError> {
        let directory = location::normalise(directory);
        let key = Self::key(&directory)?;
        let listed = match self.within(&directory, self.objects().list_with_delimiter(Some(&key))).await {
            Err(StoreError::NotFound { .. }) => return Ok(Left::Nothing),
            listed => listed?,
        };
        for made in &listed.common_prefixes {
            let metadata = made.clone().join(METADATA);
            let place = format!("{directory}/{}", made.filename().unwrap_or_default());
            match self.within(&place, self.objects().head(&metadata)).await {
                Ok(_) => return Ok(Left::Whole(place)),
                Err(StoreError::NotFound { .. }) => {}
                Err(e) => return Err(e),
            }
        }
        let own = listed.objects.iter().all(|file| file.location == key);
        Ok(if listed.common_prefixes.is_empty() && own { Left::Nothing } else { Left::Unfinished })
    }

    /// The files below a directory, without those of one snapshot in it that is kept; at most `limit`, and every
    /// `_metadata` before any other file: what is removed in this order leaves no snapshot that looks whole.
    ///
    /// # Errors
    /// [`StoreError`] if the store can't be asked.
    pub async fn files_but(
        &self,
        directory: &str,
        kept: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let directory = location::normalise(directory);
        let (own, kept) = (Self::key(&directory)?, kept.map(location::normalise));
        let kept = kept.as_deref().map(Self::key).transpose()?;
        let listed = self.list(&directory)?;
        pin_mut!(listed);
        let (mut files, mut others) = (Vec::new(), Vec::new());
        while let Some(file) = listed.try_next().await? {
            let keep = file.location == own || kept.as_ref().is_some_and(|kept| file.location.prefix_matches(kept));
            let first = file.location.filename() == Some(METADATA);
            if keep || !first && others.len() >= limit {
                continue;
            }
            if first { &mut files } else { &mut others }.push(file.location.to_string());
            if files.len() >= limit {
                break;
            }
        }
        files.extend(others);
        files.truncate(limit);
        Ok(files)
    }

    /// Whether files may be removed here.
    #[must_use]
    pub fn may_remove(&self) -> bool {
        self.access() == Access::ReadWrite
    }

    /// Removes files, as [`Store::files_but`] names them, and every `_metadata` before any other. One that is gone already
    /// is no error.
    ///
    /// # Errors
    /// [`StoreError`], of the first that can't be removed; others may have been.
    pub async fn remove(&self, files: &[String]) -> Result<(), StoreError> {
        let is_metadata = |file: &Path| file.filename() == Some(METADATA);
        // Not encoded once more: a name may have a percent sign.
        let keys: Result<Vec<_>, StoreError> = files.iter().map(|file| Self::parsed(file, file)).collect();
        let (metadata, others): (Vec<_>, Vec<_>) = keys?.into_iter().partition(is_metadata);
        for files in [metadata, others] {
            let each = futures::stream::iter(files).map(|file| async move {
                match self.within(file.as_ref(), self.objects().delete(&file)).await {
                    Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
                    Err(e) => Err(e),
                }
            });
            each.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "attempts_tests.rs"]
mod tests;
