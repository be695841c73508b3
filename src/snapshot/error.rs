//! What can be wrong with a `_metadata`, and with the facts in it.

use std::fmt;
use std::io;

use super::path::PathError;

/// A `_metadata` that can't be read. Each says where (bytes from the start of the file), what should have stood there,
/// and what does.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be read any further.
    #[error("`_metadata`, byte {offset}: expected {expected}, but the file can't be read: {source}")]
    Io {
        /// Where.
        offset: u64,
        /// What should have come.
        expected: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The file has no bytes at all.
    #[error("`_metadata`, byte 0: expected Flink's magic number, found an empty file")]
    Empty,
    /// The file ends too early, or something in it claims to be longer than what is left of the file.
    #[error(
        "`_metadata`, byte {offset}: expected {needed} bytes of {expected}, found the end of the file after {left}"
    )]
    Truncated {
        /// Where it begins.
        offset: u64,
        /// What it is.
        expected: &'static str,
        /// Its length, in bytes.
        needed: u64,
        /// What is left of the file there, in bytes.
        left: u64,
    },
    /// Not a `_metadata`.
    #[error("`_metadata`, byte 0: expected Flink's magic number 0x4960672d, found {found:#010x}")]
    Magic {
        /// The first four bytes.
        found: u32,
    },
    /// A layout that is not known: of a later Flink, or of Flink 1.2 and earlier, which no supported Flink reads.
    #[error("`_metadata`, byte 4: expected a layout from 2 to 7, found {found}")]
    Version {
        /// The version that the file claims.
        found: i32,
    },
    /// A kind of state handle that is not known here.
    #[error("`_metadata`, byte {offset}: expected the tag of {expected}, found {found}")]
    Tag {
        /// Where.
        offset: u64,
        /// Of what.
        expected: &'static str,
        /// The tag.
        found: u8,
    },
    /// A count, length or size below zero.
    #[error("`_metadata`, byte {offset}: expected {expected}, found {found}, which is below zero")]
    Negative {
        /// Where.
        offset: u64,
        /// Of what.
        expected: &'static str,
        /// The number.
        found: i64,
    },
    /// A number that stands for something, and is none of those that do.
    #[error("`_metadata`, byte {offset}: expected {expected}, found {found}")]
    Value {
        /// Where.
        offset: u64,
        /// What.
        expected: &'static str,
        /// The number.
        found: i64,
    },
    /// Text that is not Java's modified UTF-8.
    #[error("`_metadata`, byte {offset}: expected {expected}, found bytes that are not modified UTF-8")]
    Text {
        /// Where its bytes begin.
        offset: u64,
        /// What it is.
        expected: &'static str,
    },
    /// State handles within state handles, deeper than Flink writes them.
    #[error("`_metadata`, byte {offset}: expected at most {limit} state handles within each other, found more")]
    TooDeep {
        /// Where the first one too many is.
        offset: u64,
        /// How many there may be.
        limit: u32,
    },
    /// More bytes after what should be the end.
    #[error("`_metadata`, byte {offset}: expected the end of the file, found more")]
    Trailing {
        /// Where the end should be.
        offset: u64,
    },
    /// The serialised `CheckpointProperties` at the end can't be understood.
    #[error("`_metadata`, byte {offset}: expected {expected} in the checkpoint's properties, found {found}")]
    Properties {
        /// Where.
        offset: u64,
        /// What.
        expected: &'static str,
        /// What is there.
        found: String,
    },
}

impl Error {
    /// A stable word for conditions, Events and metric labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Io { .. } => "MetadataUnreadable",
            Self::Empty => "MetadataEmpty",
            Self::Truncated { .. } => "MetadataTruncated",
            Self::Magic { .. } => "NotMetadata",
            Self::Version { .. } => "UnknownMetadataVersion",
            Self::Tag { .. } => "UnknownStateHandle",
            Self::Negative { .. } => "NegativeNumber",
            Self::Value { .. } => "UnknownValue",
            Self::Text { .. } => "MalformedText",
            Self::TooDeep { .. } => "NestedTooDeep",
            Self::Trailing { .. } => "TrailingBytes",
            Self::Properties { .. } => "MalformedProperties",
        }
    }

    /// Another attempt may give another answer: reading failed, the bytes were not at fault.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Io { .. })
    }
}

/// Why there are no facts about a snapshot.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FactsError {
    /// Its `_metadata` can't be read.
    #[error(transparent)]
    Metadata(#[from] Error),
    /// It names a file by a path that must not be followed.
    #[error(transparent)]
    Path(#[from] PathError),
    /// It has more of something than is kept in memory.
    #[error("the snapshot has more than {limit} {what}: raise the limit or refuse the snapshot")]
    TooMany {
        /// Of what.
        what: Counted,
        /// How many may be kept.
        limit: usize,
    },
}

impl FactsError {
    /// A stable word for conditions, Events and metric labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Metadata(error) => error.reason(),
            Self::Path(error) => error.reason(),
            Self::TooMany { .. } => "SnapshotTooLarge",
        }
    }
}

/// What there may be too many of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Operators.
    Operators,
    /// Different files.
    Files,
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Operators => "operators",
            Self::Files => "files",
        })
    }
}
