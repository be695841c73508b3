//! Whether all that a snapshot names is there.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures::{StreamExt as _, TryStreamExt as _, pin_mut};
use object_store::{GetOptions, ObjectMeta};
use serde::Serialize;

use super::error::StoreError;
use super::load::Snapshot;
use super::open::{Store, Stores};
use super::progress::{OnProgress, Progress};
use crate::snapshot::FileFacts;
use crate::snapshot::path::Directory;

/// How many faults of a kind are named.
const NAMED: usize = 20;
/// How many files outside of the directory are asked for at a time.
const AT_A_TIME: usize = 32;
/// Files between two words of progress about a listing: a page of S3's.
const PAGE: u64 = 1000;

/// What became of a snapshot's files. Its JSON form is stable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// Files that were checked and are as they should be. `_metadata` is not counted.
    pub files: u64,
    /// Their bytes, as `_metadata` counts them.
    pub bytes: u64,
    /// Files that are not there.
    pub missing: Vec<FileFault>,
    /// Files that are there and shorter than `_metadata` says; or longer, unless Flink merged files into them.
    pub wrong_size: Vec<FileFault>,
    /// Files that lie where no store serves them, so that they could not be checked.
    pub unreachable: Vec<FileFault>,
    /// How many are missing; the lists hold the first 20, in the order of their locations.
    pub missing_count: u64,
    /// How many have a wrong size.
    pub wrong_size_count: u64,
    /// How many could not be checked.
    pub unreachable_count: u64,
}

/// A file that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileFault {
    /// Its location, in its normal form.
    pub location: String,
    /// Its length in bytes, as `_metadata` says.
    pub expected: u64,
    /// Its length in bytes, as it is; `null` where it is not there or was not seen.
    pub found: Option<u64>,
}

impl Verification {
    /// Every file is there and as long as it should be.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.missing_count == 0 && self.wrong_size_count == 0 && self.unreachable_count == 0
    }

    /// One line for a condition: how many are wrong, and the first of them.
    #[must_use]
    pub fn summary(&self) -> String {
        if self.is_whole() && self.files == 0 {
            return "it names no files: all of its state is in _metadata".to_owned();
        }
        if self.is_whole() {
            return format!("all {} files are there, {} bytes", self.files, self.bytes);
        }
        let all = self.files + self.missing_count + self.wrong_size_count + self.unreachable_count;
        let kinds = [
            (self.missing_count, &self.missing, "missing"),
            (self.wrong_size_count, &self.wrong_size, "of the wrong size"),
            (self.unreachable_count, &self.unreachable, "in no known store"),
        ];
        let faults = kinds.iter().filter(|(count, ..)| *count > 0);
        let faults: Vec<_> = faults
            .map(|(count, named, what)| {
                let first = named.first().map(FileFault::to_text).unwrap_or_default();
                format!("{count} {what} (first {first})")
            })
            .collect();
        format!("of {all} files {}", faults.join(", "))
    }
}

impl FileFault {
    fn to_text(&self) -> String {
        match self.found {
            Some(found) => format!("{}, {found} bytes instead of {}", self.location, self.expected),
            None => format!("{}, {} bytes", self.location, self.expected),
        }
    }
}

/// Faults of a kind: all are counted, the first are named.
#[derive(Debug, Default)]
struct Faults {
    count: u64,
    first: Vec<FileFault>,
}

impl Faults {
    fn push(&mut self, fault: FileFault) {
        self.count += 1;
        let at = self.first.partition_point(|known| known < &fault);
        if at < NAMED {
            self.first.insert(at, fault);
            self.first.truncate(NAMED);
        }
    }
}

/// How long a file should be.
#[derive(Debug, Clone, Copy)]
struct Expected {
    size: u64,
    /// It may be longer.
    merged: bool,
}

impl Expected {
    fn of(file: &FileFacts) -> Self {
        Self { size: file.size, merged: file.merged }
    }

    /// Two paths may be of one file.
    fn or(self, other: Self) -> Self {
        Self { size: self.size.max(other.size), merged: self.merged || other.merged }
    }
}

/// What was found so far.
#[derive(Debug, Default)]
struct Found {
    files: u64,
    bytes: u64,
    missing: Faults,
    wrong_size: Faults,
    unreachable: Faults,
}

impl Found {
    fn file(&mut self, location: impl FnOnce() -> String, expected: Expected, size: u64) {
        if size == expected.size || (size > expected.size && expected.merged) {
            self.files += 1;
            self.bytes = self.bytes.saturating_add(expected.size);
        } else {
            let fault = FileFault { location: location(), expected: expected.size, found: Some(size) };
            self.wrong_size.push(fault);
        }
    }

    fn missing(&mut self, location: String, expected: Expected) {
        self.missing.push(FileFault { location, expected: expected.size, found: None });
    }

    fn unreachable(&mut self, location: String, expected: Expected) {
        self.unreachable.push(FileFault { location, expected: expected.size, found: None });
    }
}

/// Looks whether every file that the snapshot names is there and as long as it should be. Files in its directory are
/// looked for by listing it, those outside one by one, at most 32 at a time.
///
/// # Errors
/// [`StoreError`] if a store can't be asked. That a file is not there is no error.
pub async fn verify(
    stores: &Stores,
    snapshot: &Snapshot,
    progress: OnProgress<'_>,
) -> Result<Verification, StoreError> {
    let directory = Directory::new(&snapshot.directory);
    let mut found = Found::default();
    inside(stores, snapshot, &directory, &mut found, progress).await?;
    outside(stores, snapshot, &directory, &mut found, progress).await?;
    Ok(Verification {
        files: found.files,
        bytes: found.bytes,
        missing: found.missing.first,
        wrong_size: found.wrong_size.first,
        unreachable: found.unreachable.first,
        missing_count: found.missing.count,
        wrong_size_count: found.wrong_size.count,
        unreachable_count: found.unreachable.count,
    })
}

async fn inside(
    stores: &Stores,
    snapshot: &Snapshot,
    directory: &Directory,
    found: &mut Found,
    progress: OnProgress<'_>,
) -> Result<(), StoreError> {
    let mut left: HashMap<String, Expected> = HashMap::new();
    for (below, file) in snapshot.facts.files_inside(directory) {
        let file = Expected::of(file);
        left.entry(below).and_modify(|known| *known = known.or(file)).or_insert(file);
    }
    let location = |below: &str| format!("{}/{below}", snapshot.directory);
    let Some(store) = stores.of(&snapshot.directory) else {
        for (below, file) in left {
            found.unreachable(location(&below), file);
        }
        return Ok(());
    };
    let of = left.len() as u64;
    let prefix = Store::key(&snapshot.directory)?;
    let listed = store.list(&snapshot.directory)?;
    pin_mut!(listed);
    // What else lies in the directory is nobody's business: once all is found, the listing ends.
    while !left.is_empty()
        && let Some(ObjectMeta { location: key, size, .. }) = listed.try_next().await?
    {
        let below = key.as_ref().strip_prefix(prefix.as_ref()).unwrap_or_default().trim_start_matches('/');
        if let Some(expected) = left.remove(below) {
            found.file(|| location(below), expected, size);
            let files = of - left.len() as u64;
            if files.is_multiple_of(PAGE) {
                progress(Progress::Listed { files, of });
            }
        }
    }
    if of > 0 {
        progress(Progress::Listed { files: of - left.len() as u64, of });
    }
    for (below, file) in left {
        found.missing(location(&below), file);
    }
    Ok(())
}

async fn outside(
    stores: &Stores,
    snapshot: &Snapshot,
    directory: &Directory,
    found: &mut Found,
    progress: OnProgress<'_>,
) -> Result<(), StoreError> {
    let mut wanted: BTreeMap<String, Expected> = BTreeMap::new();
    for (location, file) in snapshot.facts.files_outside(directory) {
        let file = Expected::of(file);
        wanted.entry(location).and_modify(|known| *known = known.or(file)).or_insert(file);
    }
    let of = wanted.len() as u64;
    let answers = futures::stream::iter(wanted)
        .map(|(location, expected)| async move {
            let store = stores.of(&location);
            let size = match store {
                Some(store) => size_of(store, &location).await?,
                None => None,
            };
            Ok::<_, StoreError>((location, expected, store, size))
        })
        .buffer_unordered(AT_A_TIME);
    pin_mut!(answers);
    let mut files = 0_u64;
    // Stores of which a file is missing, and whose bucket was looked for: an answer to HEAD does not say what is missing.
    let mut asked = HashSet::new();
    while let Some((location, expected, store, size)) = answers.try_next().await? {
        files += 1;
        match (store, size) {
            (None, _) => found.unreachable(location, expected),
            (Some(_), Some(size)) => found.file(|| location, expected, size),
            (Some(store), None) => {
                if asked.insert(store.url()) {
                    store.exists_below(store.url()).await?;
                }
                found.missing(location, expected);
            }
        }
        if files.is_multiple_of(AT_A_TIME as u64) || files == of {
            progress(Progress::Asked { files, of });
        }
    }
    Ok(())
}

/// `None`: there is no such file.
async fn size_of(store: &Store, location: &str) -> Result<Option<u64>, StoreError> {
    let key = Store::key(location)?;
    let head = GetOptions { head: true, ..GetOptions::default() };
    match store.within(location, store.objects().get_opts(&key, head)).await {
        Ok(answer) => Ok(Some(answer.meta.size)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
