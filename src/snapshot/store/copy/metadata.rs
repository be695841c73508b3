//! The `_metadata` of a copy: the file that makes it a snapshot.

use std::io;
use std::thread;

use bytes::Bytes;
use futures::{Stream, TryStreamExt as _, pin_mut, stream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::super::attempts::METADATA;
use super::super::chunks::{Chunks, Outlet};
use super::super::error::StoreError;
use super::super::load::{STACK, Snapshot};
use super::super::open::{Store, Stores};
use super::upload::put;
use super::{CopyError, same_state};
use crate::snapshot::relocate::Relocation;
use crate::snapshot::{Collector, Event, FactsError, FileForm, Limits, RewriteError, SnapshotFacts, rewrite};

/// Writes the copy's `_metadata`, as the snapshot's arrives. There is none unless that was read to its end, and says what
/// it said when the files were looked for.
pub(super) async fn write(
    from: &Stores,
    snapshot: &Snapshot,
    relocation: &Relocation,
    to: &Store,
) -> Result<(), CopyError> {
    let location = || snapshot.directory.clone();
    let store = from.of(&snapshot.directory).ok_or_else(|| CopyError::NoStore { location: location() })?;
    let content = store.content_of(snapshot.metadata.clone(), None).await?;
    let (inlet, arriving) = mpsc::channel(1);
    let (outlet, rewritten) = mpsc::channel(1);
    let (tell, told) = oneshot::channel();
    let (length, paths) = (snapshot.metadata_bytes, relocation.clone());
    // On a thread of its own: see where it is read otherwise.
    thread::Builder::new()
        .name("metadata".to_owned())
        .stack_size(STACK)
        .spawn(move || tell.send(rewrite_with(Chunks::new(arriving), length, Outlet::new(outlet), &paths)))
        .map_err(|source| broken(snapshot, source))?;
    let arrived = tokio::spawn(feed(content, inlet));
    let content = stream::try_unfold((rewritten, arrived, told), |(mut rewritten, arrived, told)| async move {
        match rewritten.recv().await {
            Some(chunk) => Ok(Some((chunk, (rewritten, arrived, told)))),
            None => ended(snapshot, arrived, told).await.map(|()| None),
        }
    });
    let place = format!("{}/{METADATA}", relocation.directory());
    // Paths may become longer.
    put(to, &place, length.saturating_mul(2), content, |_| {}).await
}

fn rewrite_with(source: Chunks, length: u64, copy: Outlet, relocation: &Relocation) -> Result<SnapshotFacts, Unlike> {
    let mut facts = Collector::new(Limits::default());
    rewrite(source, Some(length), copy, |event| {
        facts.take(event)?;
        Ok::<_, Unlike>(match event {
            Event::File { path, form: FileForm::Absolute | FileForm::Segment { .. }, .. } => {
                Some(relocation.file(path))
            }
            Event::Directory { path, .. } => Some(relocation.folder(path)),
            _ => None,
        })
    })?;
    Ok(facts.finish()?)
}

/// Why a `_metadata` that was read before can't be rewritten.
#[derive(Debug)]
enum Unlike {
    /// It is another one.
    Facts,
    Rewrite(RewriteError),
}

impl From<FactsError> for Unlike {
    fn from(_: FactsError) -> Self {
        Self::Facts
    }
}

impl From<RewriteError> for Unlike {
    fn from(error: RewriteError) -> Self {
        Self::Rewrite(error)
    }
}

/// Sends on what arrives, until its end or until nobody wants more.
async fn feed(
    content: impl Stream<Item = Result<Bytes, StoreError>>,
    inlet: mpsc::Sender<Bytes>,
) -> Result<(), StoreError> {
    pin_mut!(content);
    loop {
        let next = tokio::select! {
            next = content.try_next() => next?,
            () = inlet.closed() => return Ok(()),
        };
        let Some(chunk) = next else { return Ok(()) };
        if inlet.send(chunk).await.is_err() {
            return Ok(());
        }
    }
}

/// Whether what came before is all of it. What did not arrive comes before what the reader says of its end.
async fn ended(
    snapshot: &Snapshot,
    arrived: JoinHandle<Result<(), StoreError>>,
    told: oneshot::Receiver<Result<SnapshotFacts, Unlike>>,
) -> Result<(), CopyError> {
    arrived.await.map_err(|error| broken(snapshot, io::Error::other(error.to_string())))??;
    let facts = told.await.map_err(|_| broken(snapshot, io::Error::other("the reader ended before its time")))?;
    let location = snapshot.metadata.clone();
    match facts {
        Ok(facts) if same_state(&facts, &snapshot.facts) && facts.files == snapshot.facts.files => Ok(()),
        Err(Unlike::Rewrite(source @ RewriteError::PathTooLong { .. })) => Err(CopyError::Rewrite { location, source }),
        // It could be read before.
        Ok(_) | Err(_) => Err(CopyError::SourceChanged { location }),
    }
}

fn broken(snapshot: &Snapshot, source: io::Error) -> StoreError {
    StoreError::Io { place: snapshot.metadata.clone(), source }
}
