//! Directories with all that is in them.

use object_store::ObjectStoreExt as _;

use super::attempts::METADATA;
use super::error::StoreError;
use super::open::Store;
use crate::flink::location;

/// Files that are listed and removed at once.
const BATCH: usize = 1000;

impl Store {
    /// Names of the directories right below a directory; none if there is no such directory.
    ///
    /// # Errors
    /// [`StoreError`] if the store can't be asked.
    pub async fn directories(&self, directory: &str) -> Result<Vec<String>, StoreError> {
        let directory = location::normalise(directory);
        let key = Self::key(&directory)?;
        let listed = match self.within(&directory, self.objects().list_with_delimiter(Some(&key))).await {
            Err(StoreError::NotFound { .. }) => return Ok(Vec::new()),
            listed => listed?,
        };
        Ok(listed.common_prefixes.iter().filter_map(|made| made.filename().map(str::to_owned)).collect())
    }

    /// Whether there is a `_metadata` in a snapshot's directory.
    ///
    /// # Errors
    /// [`StoreError`] if the store can't be asked.
    pub async fn has_metadata(&self, directory: &str) -> Result<bool, StoreError> {
        let place = format!("{}/{METADATA}", location::normalise(directory));
        match self.within(&place, self.objects().head(&Self::key(&place)?)).await {
            Ok(_) => Ok(true),
            Err(StoreError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes up to a thousand files below a directory, those first without which others are no snapshot. Whether any was
    /// there.
    ///
    /// # Errors
    /// [`StoreError`], of the first that can't be removed; others may have been.
    pub async fn remove_tree(&self, directory: &str) -> Result<bool, StoreError> {
        let files = self.files_but(directory, None, BATCH).await?;
        self.remove(&files).await?;
        Ok(!files.is_empty())
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
