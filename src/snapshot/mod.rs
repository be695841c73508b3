//! Snapshots, savepoints and checkpoints alike, as their `_metadata` describes them.
//!
//! All of it but [`store`] is pure: the reader takes any [`std::io::Read`], never seeks, and keeps nothing but what it is
//! asked for.
//!
//! - [`read`] reads a `_metadata` of layout 2 to 7 (Flink 1.3 to 2.3 and the next) and tells [`Event`]s;
//! - [`rewrite()`] copies one, with other paths in it, and [`relocate`] says which;
//! - [`SnapshotFacts`] collects them: operators, bytes, files, savepoint or checkpoint;
//! - [`capability`] says what may be done with which kind of snapshot;
//! - [`compare`] holds its operators against those of a job, by Flink's rule.
//! - [`store`] finds snapshots where they lie, reads them, looks whether their files are there, and copies them.

pub mod capability;
pub mod compare;
mod error;
mod event;
mod facts;
mod handle;
mod input;
pub mod layout;
mod operator_id;
pub mod path;
mod properties;
mod reader;
pub mod relocate;
mod rewrite;
pub mod store;

pub use error::{Counted, Error, FactsError};
pub use event::{Event, FileForm, HandleKind, Part};
pub use facts::{Collector, FileFacts, Limits, OperatorFacts, SnapshotFacts};
pub use operator_id::{InvalidOperatorId, OperatorId};
pub use properties::{Properties, SnapshotKind};
pub use reader::read;
pub use rewrite::{RewriteError, rewrite};

#[cfg(test)]
mod bytes;
#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod mutation_tests;
