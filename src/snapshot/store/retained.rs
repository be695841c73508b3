//! Checkpoints that a job has left behind.

use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use futures::pin_mut;
use object_store::ObjectStoreExt as _;

use super::attempts::METADATA;
use super::error::StoreError;
use super::open::Store;
use crate::flink::location;

/// What Flink puts before a checkpoint's number.
const CHECKPOINT: &str = "chk-";

impl Store {
    /// The completed checkpoint with the highest number below a job's own directory (`<dir>/<job id>`), and its place.
    /// Its time is not looked at: clocks differ, and numbers only rise.
    ///
    /// # Errors
    /// [`StoreError`] if the store can't be asked.
    pub async fn newest_checkpoint(&self, directory: &str) -> Result<Option<(i64, String)>, StoreError> {
        let directory = location::normalise(directory);
        let key = Self::key(&directory)?;
        let listed = match self.within(&directory, self.objects().list_with_delimiter(Some(&key))).await {
            Err(StoreError::NotFound { .. }) => return Ok(None),
            listed => listed?,
        };
        let number = |path: &object_store::path::Path| path.filename()?.strip_prefix(CHECKPOINT)?.parse::<i64>().ok();
        let mut made: Vec<_> =
            listed.common_prefixes.into_iter().filter_map(|path| Some((number(&path)?, path))).collect();
        made.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        for (number, path) in made {
            let place = format!("{directory}/{CHECKPOINT}{number}");
            match self.within(&place, self.objects().head(&path.join(METADATA))).await {
                Ok(_) => return Ok(Some((number, place))),
                // It was never completed, as the one that a JobManager was killed in.
                Err(StoreError::NotFound { .. }) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(None)
    }

    /// The snapshot below a directory, however deep, whose `_metadata` was written last, without those in a directory
    /// that is `left_out` by its name; and when that was.
    ///
    /// # Errors
    /// [`StoreError`] if the store can't be asked.
    pub async fn newest_snapshot(
        &self,
        directory: &str,
        left_out: impl Fn(&str) -> bool,
    ) -> Result<Option<(DateTime<Utc>, String)>, StoreError> {
        let directory = location::normalise(directory);
        let own = Self::key(&directory)?;
        let listed = self.list(&directory)?;
        pin_mut!(listed);
        let mut newest: Option<(DateTime<Utc>, String)> = None;
        while let Some(file) = listed.try_next().await? {
            if file.location.filename() != Some(METADATA) || file.size == 0 {
                continue;
            }
            let Some(below) = file.location.prefix_match(&own) else { continue };
            let parts: Vec<_> = below.map(|part| part.as_ref().to_owned()).collect();
            let Some((_, parents)) = parts.split_last() else { continue };
            if parents.iter().any(|part| left_out(part))
                || newest.as_ref().is_some_and(|(t, _)| *t >= file.last_modified)
            {
                continue;
            }
            newest = Some((file.last_modified, format!("{directory}/{}", parents.join("/"))));
        }
        Ok(newest)
    }
}

#[cfg(test)]
#[path = "retained_tests.rs"]
mod tests;
