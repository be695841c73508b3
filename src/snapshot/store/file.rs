//! A whole file of a store.

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
        let file = location::normalise(file);
        let key = Self::key(&file)?;
        let answer = self.within(&file, self.objects().get_opts(&key, GetOptions::default())).await?;
        let (store, promised) = (self.clone(), answer.meta.size);
        Ok(futures::stream::try_unfold((answer.into_stream(), 0), move |(mut body, read)| {
            let (store, file) = (store.clone(), file.clone());
            async move {
                match body.next().await {
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
