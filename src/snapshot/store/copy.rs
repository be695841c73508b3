//! A snapshot copied to a directory of its own, for when the place where it lies is lost.
//!
//! The files go first and `_metadata` last, each as a whole or not at all: a copy that was interrupted has none, and the
//! next one goes on where it ended.

mod error;
mod files;
mod metadata;
mod transfer;
mod upload;

pub use error::CopyError;

use self::files::Files;
use super::error::LoadError;
use super::load::{Snapshot, load};
use super::open::{Store, Stores};
use super::progress::{Progress, quietly};
use super::settings::Access;
use super::verify::verify;
use crate::flink::location;
use crate::snapshot::relocate::Relocation;
use crate::snapshot::{OperatorFacts, SnapshotFacts};

/// A copy that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Its directory, in its normal form.
    pub directory: String,
    /// Its files, without `_metadata`.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The length of its `_metadata`, in bytes.
    pub metadata_bytes: u64,
    /// Of its files those that were copied now; the others were there.
    pub copied_files: u64,
    /// Their bytes.
    pub copied_bytes: u64,
}

/// How far a copy is; for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyProgress {
    /// The snapshot's files are looked for.
    Looking(Progress),
    /// Files are being copied.
    Copying {
        /// Files copied so far.
        files: u64,
        /// Files to copy.
        of_files: u64,
        /// Bytes copied so far, of files that are not complete, too.
        bytes: u64,
        /// Bytes to copy.
        of_bytes: u64,
    },
}

/// Who is told how far a copy is.
pub type OnCopyProgress<'a> = &'a (dyn Fn(CopyProgress) + Send + Sync);

/// Copies a snapshot, with all files that it needs, into the directory `target` of `to`: Flink can start from there when
/// nothing is left of the original. `from` has its files, also those that lie outside of its directory.
///
/// A file in the target that has the right size is not copied again, so what was interrupted goes on. If all is there
/// already, nothing is written. Of merged files the part up to the last byte that the snapshot needs is copied. Takes some
/// 40 MiB for what is on its way, and three times what the facts take.
///
/// `target` keeps its scheme in the paths of the copy: Flink has one of its file systems for each.
///
/// # Errors
/// [`CopyError`]. What was copied by then stays; without a `_metadata` nobody takes it for a snapshot.
pub async fn copy(
    from: &Stores,
    snapshot: &Snapshot,
    to: &Store,
    target: &str,
    progress: OnCopyProgress<'_>,
) -> Result<Copied, CopyError> {
    let relocation = Relocation::new(&snapshot.directory, target)?;
    let directory = relocation.directory();
    may_copy(from, snapshot, to, &directory)?;
    let mut files = Files::of(snapshot, &relocation)?;
    to.directory_exists().await?;
    let found = verify(from, snapshot, &|looked| progress(CopyProgress::Looking(looked))).await?;
    if !found.is_whole() {
        return Err(CopyError::SourceNotWhole { location: snapshot.directory.clone(), found: found.summary() });
    }
    let copies = Stores::new(vec![to.clone()]);
    let complete = has_metadata(&copies, &directory, snapshot, &files).await?;
    files.look(to, &directory).await?;
    let (copied_files, copied_bytes) = transfer::run(from, to, &directory, &files, progress).await?;
    // Asked again: that may have taken hours.
    if !complete && !has_metadata(&copies, &directory, snapshot, &files).await? {
        metadata::write(from, snapshot, &relocation, to).await?;
    }
    let copy = load(&copies, &directory, &quietly).await.map_err(|source| unreadable(&directory, source))?;
    let found = verify(&copies, &copy, &quietly).await?;
    if !is_copy(&copy, snapshot, &files) {
        return Err(CopyError::CopyNotWhole { target: directory, found: "its _metadata is another one".to_owned() });
    }
    if !found.is_whole() {
        return Err(CopyError::CopyNotWhole { target: directory, found: found.summary() });
    }
    Ok(Copied {
        directory,
        files: found.files,
        bytes: found.bytes,
        metadata_bytes: copy.metadata_bytes,
        copied_files,
        copied_bytes,
    })
}

fn unreadable(directory: &str, source: LoadError) -> CopyError {
    CopyError::Load { location: directory.to_owned(), source: Box::new(source) }
}

/// What can be said without asking a store.
fn may_copy(from: &Stores, snapshot: &Snapshot, to: &Store, directory: &str) -> Result<(), CopyError> {
    let source = &snapshot.directory;
    let no_store = |location: &str| CopyError::NoStore { location: location.to_owned() };
    let beside = from.of(source).ok_or_else(|| no_store(source))?.is_beside(to);
    if !to.serves(directory) {
        return Err(no_store(directory));
    }
    if to.access() == Access::ReadOnly {
        return Err(CopyError::ReadOnly { store: to.url().to_owned() });
    }
    let overlap = location::same(source, directory)
        || location::is_below(source, directory)
        || location::is_below(directory, source);
    if beside && overlap {
        return Err(CopyError::Overlap { location: source.clone(), target: directory.to_owned() });
    }
    Ok(())
}

/// The target has a `_metadata`, and it is that of this copy.
async fn has_metadata(copies: &Stores, directory: &str, snapshot: &Snapshot, files: &Files) -> Result<bool, CopyError> {
    let taken = |found: String| CopyError::TargetNotEmpty { target: directory.to_owned(), found };
    match load(copies, directory, &quietly).await {
        Ok(found) if found.directory != directory => Err(taken("a snapshot's _metadata, under this name,".to_owned())),
        Ok(found) if is_copy(&found, snapshot, files) => Ok(true),
        Ok(found) => Err(taken(format!("another snapshot, with checkpoint id {},", found.facts.checkpoint_id))),
        Err(LoadError::NotFound { .. } | LoadError::NoMetadata { .. }) => Ok(false),
        Err(LoadError::Store(error)) => Err(error.into()),
        Err(source) if source.is_transient() => Err(unreadable(directory, source)),
        Err(error) => Err(taken(format!("a _metadata that can't be read ({error})"))),
    }
}

/// A snapshot is the copy of another one, with these files.
fn is_copy(copy: &Snapshot, of: &Snapshot, files: &Files) -> bool {
    same_state(&copy.facts, &of.facts) && files.are_those_of(copy)
}

/// All but the files.
fn same_state(one: &SnapshotFacts, other: &SnapshotFacts) -> bool {
    let head = |facts: &SnapshotFacts| {
        (facts.version, facts.checkpoint_id, facts.kind, facts.format_type, facts.inline_bytes, facts.has_channel_state)
    };
    // Not by name and uid, which a caller may have given to some.
    let state = |operator: &OperatorFacts| {
        (
            (operator.id, operator.parallelism, operator.max_parallelism, operator.subtasks),
            (operator.fully_finished, operator.has_state, operator.keyed_bytes),
            (operator.operator_bytes, operator.channel_bytes, operator.coordinator_bytes),
        )
    };
    head(one) == head(other) && one.operators.iter().map(state).eq(other.operators.iter().map(state))
}

#[cfg(test)]
#[path = "copy_interrupted_tests.rs"]
mod interrupted_tests;
#[cfg(test)]
#[path = "copy_tests.rs"]
mod tests;
