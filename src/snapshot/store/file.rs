//! A whole file of a store, or its beginning.

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use object_store::GetOptions;

use super::error::StoreError;
use super::open::Store;
use crate::flink::location;

impl Store {
    /// The content of a file, as it arrives.
    ///
    /// # Errors
    /// [`StoreError`], in the middle of it, too: [`StoreError::ShortRead`] if fewer bytes come than were promised.
    pub async fn content(
        &self,
        file: &str,
    ) -> Result<impl Stream<Item = Result<Bytes, StoreError>> + Send + use<>, StoreError> {
        self.content_of(location::normalise(file), None).await
    }

    /// As [`Store::content`], of a location in its normal form; or only the `first` bytes, if it has so many.
    pub(super) async fn content_of(
        &self,
        file: String,
        first: Option<u64>,
    ) -> Result<impl Stream<Item = Result<Bytes, StoreError>> + Send + use<>, StoreError> {
        let key = Self::key(&file)?;
        let options = GetOptions { range: first.map(|first| (0..first).into()), ..GetOptions::default() };
        let answer = self.within(&file, self.objects().get_opts(&key, options)).await?;
        let (store, promised) = (self.clone(), answer.range.end.saturating_sub(answer.range.start));
        Ok(futures::stream::try_unfold((answer.into_stream(), 0), move |(mut body, read)| {
            let (store, file) = (store.clone(), file.clone());
            async move {
                match body.next().await {
                    // A file on this machine that was cut short gives no bytes for ever.
                    Some(Ok(chunk)) if chunk.is_empty() && read < promised => {
                        Err(StoreError::ShortRead { place: file, promised, read })
                    }
                    Some(Ok(chunk)) => {
                        let read = read + chunk.len() as u64;
                        Ok(Some((chunk, (body, read))))
                    }
                    Some(Err(error)) => Err(store.error_within(&file, &error, promised, read)),
                    None if read < promised => Err(StoreError::ShortRead { place: file, promised, read }),
                    None => Ok(None),
                }
            }
        }))
    }
}
