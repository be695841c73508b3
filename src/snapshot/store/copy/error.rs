//! Why there is no copy.

use super::super::error::{LoadError, StoreError};
use crate::snapshot::RewriteError;
use crate::snapshot::relocate::InvalidTarget;

/// Why a snapshot could not be copied. Each says what, where, and the cure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The `_metadata` can't be written with the paths of the copy.
    #[error("{location}: {source}")]
    Rewrite {
        /// The snapshot's.
        location: String,
        /// Why.
        source: RewriteError,
    },
    /// A `_metadata` can't be read.
    #[error("{location}: {source}")]
    Load {
        /// Which.
        location: String,
        /// Why.
        source: Box<LoadError>,
    },
    /// No store's URL is at or above it.
    #[error("{location} lies in no known store: add one with a url that it begins with")]
    NoStore {
        /// The location, in its normal form.
        location: String,
    },
    /// Nothing may be written in the target's store.
    #[error(
        "the store {store} is ReadOnly, so nothing can be copied to it: name a target in a store that may be written"
    )]
    ReadOnly {
        /// Its URL.
        store: String,
    },
    /// The target can't be the directory of a copy.
    #[error(transparent)]
    InvalidTarget(#[from] InvalidTarget),
    /// One lies in the other.
    #[error(
        "{location} can't be copied to {target}, which is the same directory, within it or around it: name a target \
         beside it"
    )]
    Overlap {
        /// The snapshot's directory.
        location: String,
        /// The target.
        target: String,
    },
    /// Files of the snapshot are not as they should be, or lie where no store serves them.
    #[error("{location} is not whole, so it is not copied: {found}")]
    SourceNotWhole {
        /// The snapshot's directory.
        location: String,
        /// What is wrong with its files.
        found: String,
    },
    /// A file has become another one.
    #[error("{location} has changed while it was copied: look who writes there, and copy again")]
    SourceChanged {
        /// The file.
        location: String,
    },
    /// A state file that would stand where the copy's own `_metadata`, or another's, would.
    #[error("the state file {location} is named as the file that makes a snapshot whole: Flink writes no such name")]
    NamedMetadata {
        /// The file.
        location: String,
    },
    /// Two files would be one in the copy.
    #[error("{first} and {second} would both be {below} in the copy: copy the snapshot that this one was copied from")]
    OneName {
        /// A file.
        first: String,
        /// Another.
        second: String,
        /// Below the copy's directory.
        below: String,
    },
    /// The target has something that is no copy of this snapshot.
    #[error("{target} holds {found} already: name another directory, or delete what is there")]
    TargetNotEmpty {
        /// The target.
        target: String,
        /// What is there.
        found: String,
    },
    /// All was written, and what is there is not all of it.
    #[error("{target} is not whole after all was copied: {found}: look who deletes or writes there, and copy again")]
    CopyNotWhole {
        /// The target.
        target: String,
        /// What was found of its files.
        found: String,
    },
}

impl CopyError {
    /// A stable word for conditions, Events and metric labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Store(error) => error.reason(),
            Self::Rewrite { source, .. } => source.reason(),
            Self::Load { source, .. } => source.reason(),
            Self::NoStore { .. } => "NoStoreForLocation",
            Self::ReadOnly { .. } => "ReadOnlyStore",
            Self::InvalidTarget(_) => "InvalidTarget",
            Self::Overlap { .. } => "TargetOverlapsSource",
            Self::SourceNotWhole { .. } => "SourceNotWhole",
            Self::SourceChanged { .. } => "SourceChanged",
            Self::NamedMetadata { .. } => "StateFileNamedMetadata",
            Self::OneName { .. } => "StateFilesOfOneName",
            Self::TargetNotEmpty { .. } => "TargetNotEmpty",
            Self::CopyNotWhole { .. } => "CopyNotWhole",
        }
    }

    /// Another attempt may go well, with nothing corrected.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Rewrite { source, .. } => source.is_transient(),
            Self::Load { source, .. } => source.is_transient(),
            Self::SourceChanged { .. } | Self::CopyNotWhole { .. } => true,
            _ => false,
        }
    }
}
