//! The files of a copy, from one store to the other.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use futures::stream::{BoxStream, FuturesUnordered};
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};

use super::super::error::StoreError;
use super::super::open::{Store, Stores};
use super::files::{Files, Wanted};
use super::upload::put;
use super::{CopyError, CopyProgress, OnCopyProgress};

/// Files that are copied at a time. Each takes up to two parts in memory.
const AT_A_TIME: usize = 4;

/// Copies what the target lacks; how many files and bytes that was. After the first error no other file is begun, and
/// what was written of those under way is taken back.
pub(super) async fn run(
    from: &Stores,
    to: &Store,
    directory: &str,
    files: &Files,
    progress: OnCopyProgress<'_>,
) -> Result<(u64, u64), CopyError> {
    let lacking = files.lacking();
    let tally = Tally::of(&lacking, progress);
    let mut lacking = lacking.into_iter();
    let mut under_way = FuturesUnordered::new();
    let mut failed = None;
    loop {
        while under_way.len() < AT_A_TIME
            && !tally.stopped()
            && let Some((below, file)) = lacking.next()
        {
            under_way.push(one(from, to, format!("{directory}/{below}"), file, &tally));
        }
        match under_way.next().await {
            None => return failed.map_or(Ok((tally.of_files, tally.of_bytes)), Err),
            Some(Err(Failure::Error(error))) => {
                tally.stop();
                failed.get_or_insert(error);
            }
            Some(Ok(()) | Err(Failure::Stopped)) => {}
        }
    }
}

async fn one(from: &Stores, to: &Store, place: String, file: &Wanted, tally: &Tally<'_>) -> Result<(), Failure> {
    let location = &file.location;
    let store = from.of(location).ok_or_else(|| CopyError::NoStore { location: location.clone() })?;
    // An empty part of a file can't be asked for.
    let content: BoxStream<'_, _> = match file.size {
        0 => stream::empty().boxed(),
        size => store.content_of(location.clone(), file.merged.then_some(size)).await?.boxed(),
    };
    put(to, &place, file.size, checked(content, file, tally), |bytes| tally.sent(bytes)).await?;
    tally.done();
    Ok(())
}

/// Ends with an error where there are more bytes or fewer than there should be, and where the others have ended.
fn checked<'a>(
    content: BoxStream<'a, Result<Bytes, StoreError>>,
    file: &'a Wanted,
    tally: &'a Tally<'_>,
) -> impl Stream<Item = Result<Bytes, Failure>> {
    stream::try_unfold((content, 0), move |(mut content, read)| async move {
        if tally.stopped() {
            return Err(Failure::Stopped);
        }
        match content.try_next().await? {
            Some(chunk) if chunk.len() as u64 > file.size - read => Err(changed(file)),
            Some(chunk) => {
                let read = read + chunk.len() as u64;
                Ok(Some((chunk, (content, read))))
            }
            None if read < file.size => Err(changed(file)),
            None => Ok(None),
        }
    })
}

fn changed(file: &Wanted) -> Failure {
    Failure::Error(CopyError::SourceChanged { location: file.location.clone() })
}

/// Why a file was not copied.
enum Failure {
    /// Another one was not.
    Stopped,
    Error(CopyError),
}

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Self {
        Self::Error(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Error(error.into())
    }
}

/// How far all the files are.
struct Tally<'a> {
    files: AtomicU64,
    bytes: AtomicU64,
    of_files: u64,
    of_bytes: u64,
    stopped: AtomicBool,
    progress: OnCopyProgress<'a>,
}

impl<'a> Tally<'a> {
    fn of(lacking: &[(&str, &Wanted)], progress: OnCopyProgress<'a>) -> Self {
        Self {
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            of_files: lacking.len() as u64,
            of_bytes: lacking.iter().fold(0, |sum, (_, file)| sum.saturating_add(file.size)),
            stopped: AtomicBool::new(false),
            progress,
        }
    }

    fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn sent(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.tell();
    }

    fn done(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.tell();
    }

    fn tell(&self) {
        (self.progress)(CopyProgress::Copying {
            files: self.files.load(Ordering::Relaxed),
            of_files: self.of_files,
            bytes: self.bytes.load(Ordering::Relaxed),
            of_bytes: self.of_bytes,
        });
    }
}
