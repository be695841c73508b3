//! The files of a copy, from one store to the other.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, TryStreamExt as _, pin_mut, stream};

use super::super::error::StoreError;
use super::super::open::{Store, Stores};
use super::super::progress::{OnProgress, Progress};
use super::CopyError;
use super::files::{Files, Wanted};
use super::upload::put;

/// Files that are copied at a time. Each takes up to two parts in memory.
const AT_A_TIME: usize = 4;

/// Copies what the target lacks; how many files and bytes that was. After the first error no other file is begun, and
/// what was written of those under way is taken back.
pub(super) async fn run(
    from: &Stores,
    to: &Store,
    directory: &str,
    files: &Files,
    progress: OnProgress<'_>,
) -> Result<(u64, u64), CopyError> {
    let tally = Tally::of(files, progress);
    let lacking = files.lacking().take_while(|_| !tally.stopped());
    let copying = lacking.map(|(below, file)| one(from, to, format!("{directory}/{below}"), file, &tally));
    let copying = stream::iter(copying).buffer_unordered(AT_A_TIME);
    pin_mut!(copying);
    let mut failed = None;
    while let Some(copied) = copying.next().await {
        if let Err(Failure::Error(error)) = copied {
            tally.stop();
            failed.get_or_insert(error);
        }
    }
    failed.map_or(Ok((tally.of_files, tally.of_bytes)), Err)
}

async fn one(
    from: &Stores,
    to: &Store,
    place: String,
    file: &Wanted,
    tally: &Tally<'_>,
) -> Result<(), Failure> {
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
    progress: OnProgress<'a>,
}

impl<'a> Tally<'a> {
    fn of(files: &Files, progress: OnProgress<'a>) -> Self {
        Self {
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            of_files: files.lacking().count() as u64,
            of_bytes: files.lacking().fold(0, |sum, (_, file)| sum.saturating_add(file.size)),
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
        (self.progress)(Progress::Copied {
            files: self.files.load(Ordering::Relaxed),
            of_files: self.of_files,
            bytes: self.bytes.load(Ordering::Relaxed),
            of_bytes: self.of_bytes,
        });
    }
}
