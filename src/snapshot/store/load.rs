//! A snapshot found, and its `_metadata` read.

use std::fs::File;
use std::io;
use std::thread;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::{GetOptions, GetResultPayload};
use tokio::sync::{mpsc, oneshot};

use super::chunks::{Chunks, Counted};
use super::error::{LoadError, StoreError};
use super::open::{Store, Stores};
use super::progress::{OnProgress, Progress};
use crate::flink::location;
use crate::snapshot::{Error as MetadataError, FactsError, SnapshotFacts};

const METADATA: &str = "_metadata";
/// Of the thread that reads a `_metadata`, in bytes. Its buffer is not on the stack, and handles nest only so deep.
pub(super) const STACK: usize = 512 * 1024;

/// A snapshot that was found, and what its `_metadata` says.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Its directory: the location's normal form, without a slash at its end.
    pub directory: String,
    /// The location of its `_metadata`, whatever name that has.
    pub metadata: String,
    /// The length of its `_metadata`, in bytes.
    pub metadata_bytes: u64,
    /// What its `_metadata` says.
    pub facts: SnapshotFacts,
}

/// Finds a snapshot and reads its `_metadata`. `location` is its directory, its `_metadata`, or a `_metadata` of another
/// name. However large the `_metadata` is, it takes no more memory than what is kept of it.
///
/// # Errors
/// [`LoadError`] if there is none, it can't be reached, or its `_metadata` is wrong.
pub async fn load(stores: &Stores, location: &str, progress: OnProgress<'_>) -> Result<Snapshot, LoadError> {
    let normal = location::normalise(location);
    let store = stores.of(&normal).ok_or_else(|| LoadError::NoStore { location: normal.clone() })?;
    let directory = normal.trim_end_matches('/').to_owned();
    let metadata = format!("{directory}/{METADATA}");
    if let Some((metadata_bytes, facts)) = read(store, &metadata, progress).await? {
        return Ok(Snapshot { directory, metadata, metadata_bytes, facts });
    }
    let named = location.trim().trim_end_matches('/').ends_with(&format!("/{METADATA}"));
    if !named
        && !Store::key(&directory)?.is_root()
        && let Some((metadata_bytes, facts)) = read(store, &directory, progress).await?
        && let Some((parent, _)) = directory.rsplit_once('/')
    {
        return Ok(Snapshot { directory: parent.to_owned(), metadata: directory, metadata_bytes, facts });
    }
    if store.exists_below(&directory).await? {
        return Err(LoadError::NoMetadata { directory });
    }
    Err(LoadError::NotFound { location: if named { metadata } else { directory } })
}

/// A `_metadata`: its length and its facts. `None`: there is no such file.
async fn read(store: &Store, file: &str, progress: OnProgress<'_>) -> Result<Option<(u64, SnapshotFacts)>, LoadError> {
    let key = Store::key(file)?;
    let answer = match store.within(file, store.objects().get_opts(&key, GetOptions::default())).await {
        Ok(answer) => answer,
        Err(StoreError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let length = answer.meta.size;
    let facts = match answer.payload {
        GetResultPayload::File(source, _) => {
            let facts = from_file(source, file, length).await?;
            progress(Progress::Metadata { read: length, of: Some(length) });
            facts
        }
        GetResultPayload::Stream(body) => from_body(store, body, file, length, progress).await?,
    };
    Ok(Some((length, facts)))
}

/// Reads and parses on one thread: two that wait for each other could be all that there are.
async fn from_file(source: File, file: &str, length: u64) -> Result<SnapshotFacts, LoadError> {
    let reading = tokio::task::spawn_blocking(move || {
        let mut source = Counted::new(source);
        let facts = SnapshotFacts::read(&mut source, Some(length));
        (facts, (source.ended && source.read < length).then_some(source.read))
    });
    let place = || file.to_owned();
    let (facts, short) = reading
        .await
        .map_err(|error| StoreError::Io { place: place(), source: io::Error::other(error.to_string()) })?;
    if let Some(read) = short {
        return Err(StoreError::ShortRead { place: place(), promised: length, read }.into());
    }
    facts.map_err(|error| match error {
        FactsError::Metadata(MetadataError::Io { source, .. }) => StoreError::Io { place: place(), source }.into(),
        other => other.into(),
    })
}

/// Parses on a thread of its own while the body arrives. Not on one of the runtime's, which are few and resolve names: a
/// slow server would keep them from everybody else.
async fn from_body(
    store: &Store,
    body: BoxStream<'static, object_store::Result<Bytes>>,
    file: &str,
    length: u64,
    progress: OnProgress<'_>,
) -> Result<SnapshotFacts, LoadError> {
    let broken = |source| StoreError::Io { place: file.to_owned(), source };
    let (sender, receiver) = mpsc::channel(1);
    let (tell, told) = oneshot::channel();
    thread::Builder::new()
        .name("metadata".to_owned())
        .stack_size(STACK)
        .spawn(move || tell.send(SnapshotFacts::read(Chunks::new(receiver), Some(length))))
        .map_err(broken)?;
    feed(store, body, file, length, sender, progress).await?;
    let facts = told.await.map_err(|_| broken(io::Error::other("the reader ended before its time")))?;
    Ok(facts?)
}

/// Sends on what arrives, until its end or until nobody wants more.
async fn feed(
    store: &Store,
    mut body: BoxStream<'static, object_store::Result<Bytes>>,
    file: &str,
    length: u64,
    sender: mpsc::Sender<Bytes>,
    progress: OnProgress<'_>,
) -> Result<(), StoreError> {
    let mut read = 0;
    loop {
        let next = tokio::select! {
            next = body.next() => next,
            () = sender.closed() => return Ok(()),
        };
        match next {
            Some(Ok(chunk)) => {
                read += chunk.len() as u64;
                progress(Progress::Metadata { read, of: Some(length) });
                if sender.send(chunk).await.is_err() {
                    return Ok(());
                }
            }
            Some(Err(error)) => return Err(store.error_within(file, &error, length, read)),
            None if read < length => {
                return Err(StoreError::ShortRead { place: file.to_owned(), promised: length, read });
            }
            None => return Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
