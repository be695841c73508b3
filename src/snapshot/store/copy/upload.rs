//! A file written as it comes: it is there as a whole, or not at all.

use std::pin::Pin;

use bytes::Bytes;
use futures::future::try_join;
use futures::{Stream, TryStreamExt as _, pin_mut};
use object_store::{MultipartUpload, ObjectStoreExt as _, PutPayload};

use super::super::error::StoreError;
use super::super::open::Store;

/// How much is sent at a time, in bytes: the least that S3 takes.
pub(super) const PART: u64 = 5 * 1024 * 1024;
/// The most parts that S3 makes a file of.
const MOST_PARTS: u64 = 10_000;

/// Writes a file of some `length` bytes: in one request, or in parts if there are more. While a part is sent the next one
/// is read. `sent` is told of the bytes that have arrived.
///
/// # Errors
/// What `content` ends with, or [`StoreError`]. Then there is no such file, or the one that was there before.
pub(super) async fn put<E: From<StoreError>>(
    to: &Store,
    place: &str,
    length: u64,
    content: impl Stream<Item = Result<Bytes, E>>,
    sent: impl Fn(u64),
) -> Result<(), E> {
    pin_mut!(content);
    let key = Store::key(place)?;
    let mut parts = Parts { content, left: Bytes::new(), size: part_of(length), length };
    let first = parts.next().await?;
    if first.len() < parts.size {
        let bytes = first.len() as u64;
        to.within_sending(place, bytes, to.objects().put(&key, PutPayload::from(first))).await?;
        sent(bytes);
        return Ok(());
    }
    let mut upload = to.within(place, to.objects().put_multipart(&key)).await?;
    let written = match send(to, place, &mut *upload, first, &mut parts, sent).await {
        Ok(()) => to.within(place, upload.complete()).await.map(drop).map_err(E::from),
        Err(error) => Err(error),
    };
    if written.is_err() {
        // S3 keeps, and bills, what it got of a file until it is told.
        to.within(place, upload.abort()).await.ok();
    }
    written
}

async fn send<E: From<StoreError>, C: Stream<Item = Result<Bytes, E>>>(
    to: &Store,
    place: &str,
    upload: &mut dyn MultipartUpload,
    first: Vec<u8>,
    parts: &mut Parts<'_, C>,
    sent: impl Fn(u64),
) -> Result<(), E> {
    let mut part = first;
    while !part.is_empty() {
        let bytes = part.len() as u64;
        let sending = upload.put_part(PutPayload::from(part));
        let sending = async { to.within_sending(place, bytes, sending).await.map_err(E::from) };
        let ((), next) = try_join(sending, parts.next()).await?;
        sent(bytes);
        part = next;
    }
    Ok(())
}

/// The length of the parts of a file, in bytes.
fn part_of(length: u64) -> usize {
    usize::try_from(PART.max(length.div_ceil(MOST_PARTS))).unwrap_or(usize::MAX)
}

/// Content in pieces of one size; the last one is shorter, or empty.
struct Parts<'a, C> {
    content: Pin<&'a mut C>,
    left: Bytes,
    size: usize,
    /// Of all of it, about: so that a small file takes little.
    length: u64,
}

impl<E, C: Stream<Item = Result<Bytes, E>>> Parts<'_, C> {
    async fn next(&mut self) -> Result<Vec<u8>, E> {
        let room = usize::try_from(self.length).unwrap_or(self.size).min(self.size);
        let mut part = Vec::with_capacity(room);
        while part.len() < self.size {
            if self.left.is_empty() {
                match self.content.try_next().await? {
                    Some(chunk) => self.left = chunk,
                    None => break,
                }
            }
            let n = self.left.len().min(self.size - part.len());
            part.extend_from_slice(&self.left.split_to(n));
        }
        Ok(part)
    }
}
