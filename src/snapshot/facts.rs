//! What is in a snapshot: which operators with how much state, which files, and whether it can be moved.

use std::collections::HashMap;
use std::io::Read;

use serde::Serialize;

use super::error::{Counted, FactsError};
use super::event::{Event, FileForm, HandleKind, Part};
use super::layout::{self, Layout};
use super::operator_id::OperatorId;
use super::path::{self, Directory, Place};
use super::properties::SnapshotKind;
use super::reader::read;
use crate::flink::SavepointFormat;

/// Facts about a snapshot, from its `_metadata` alone. Its JSON form is stable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotFacts {
    /// The layout of its `_metadata`.
    pub version: u32,
    /// Flink's number of the snapshot, within its job.
    pub checkpoint_id: u64,
    /// Savepoint or checkpoint. `null` where that can't be known: layouts before 4 do not say it, and only a canonical
    /// savepoint's keyed state or an unaligned checkpoint's records in flight show it.
    pub kind: Option<SnapshotKind>,
    /// Of a savepoint, if known.
    pub format_type: Option<SavepointFormat>,
    /// Every file is named relative to the snapshot's directory, so the directory alone has all of the state.
    pub self_contained: bool,
    /// Bytes of `files`, each counted once, and of `inlineBytes`.
    pub total_bytes: u64,
    /// Bytes of state that stand in `_metadata` itself. Master state is not counted.
    pub inline_bytes: u64,
    /// In the order of the file.
    pub operators: Vec<OperatorFacts>,
    /// Every file once, in the order of their paths.
    pub files: Vec<FileFacts>,
    /// It holds records in flight, as only an unaligned checkpoint does.
    #[serde(skip)]
    pub has_channel_state: bool,
}

/// An operator in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperatorFacts {
    /// The id by which Flink finds its state.
    pub id: OperatorId,
    /// Its uid: from the snapshot (Flink 2.0 and later), or one of those that the caller knows.
    pub uid: Option<String>,
    /// Its name: from the snapshot (Flink 2.0 and later).
    pub name: Option<String>,
    /// Its parallelism when the snapshot was taken.
    pub parallelism: u32,
    /// Its number of key groups.
    pub max_parallelism: u32,
    /// Number of subtasks listed, finished ones included. 0 if it is fully finished.
    pub subtasks: u32,
    /// It had come to its end: it never has state.
    pub fully_finished: bool,
    /// It has coordinator state, or a subtask for which Flink's `OperatorSubtaskState.hasState()` is true. Flink does not
    /// drop it unasked.
    pub has_state: bool,
    /// Bytes of keyed state, managed and raw. This one and the next three are as Flink's `getStateSize()` counts: a
    /// file that two subtasks share counts twice.
    pub keyed_bytes: u64,
    /// Bytes of operator state, managed and raw.
    pub operator_bytes: u64,
    /// Bytes of records in flight.
    pub channel_bytes: u64,
    /// Bytes of the coordinator's state.
    pub coordinator_bytes: u64,
}

/// A file of a snapshot's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileFacts {
    /// As it stands in `_metadata`.
    pub path: String,
    /// Its length in bytes; of a merged file the end of the last part that the snapshot needs: it may be longer.
    pub size: u64,
    /// The path is relative to the snapshot's directory; it leads to a file below that.
    pub relative: bool,
    /// Flink has merged several files into this one.
    #[serde(skip)]
    pub merged: bool,
}

impl FileFacts {
    /// Where it lies, seen from the snapshot's directory.
    #[must_use]
    pub fn place(&self, directory: &Directory) -> Place {
        if self.relative { Place::Inside(Directory::below(&self.path)) } else { directory.place_of(&self.path) }
    }
}

/// How much is kept in memory of one snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Operators; each takes some 200 bytes, its uid and its name.
    pub operators: usize,
    /// Different files; each takes some 50 bytes and its path.
    pub files: usize,
}

impl Default for Limits {
    /// Ten times what the largest known jobs have.
    fn default() -> Self {
        Self { operators: 20_000, files: 1_000_000 }
    }
}

impl SnapshotFacts {
    /// Reads a `_metadata`; `length` in bytes, where it is known. See [`read`](super::read).
    ///
    /// # Errors
    /// [`FactsError`] if it can't be read, names a file by a path that must not be followed, or exceeds [`Limits`].
    pub fn read(source: impl Read, length: Option<u64>) -> Result<Self, FactsError> {
        let mut collector = Collector::new(Limits::default());
        read(source, length, |event| collector.take(event))?;
        collector.finish()
    }

    /// The Flink versions that can have written it.
    #[must_use]
    pub fn written_by(&self) -> Option<Layout> {
        layout::written_by(self.version)
    }

    /// Gives operators that have no uid the one of these that their id was made of.
    pub fn name_operators<'a>(&mut self, uids: impl IntoIterator<Item = &'a str>) {
        let known: HashMap<OperatorId, &str> = uids.into_iter().map(|uid| (OperatorId::of_uid(uid), uid)).collect();
        for operator in self.operators.iter_mut().filter(|operator| operator.uid.is_none()) {
            operator.uid = known.get(&operator.id).map(|uid| (*uid).to_owned());
        }
    }

    /// The files that lie in the snapshot's directory: each with its path below that, one `/` between its parts.
    pub fn files_inside<'a>(&'a self, directory: &'a Directory) -> impl Iterator<Item = (String, &'a FileFacts)> {
        self.files.iter().filter_map(|file| match file.place(directory) {
            Place::Inside(below) => Some((below, file)),
            Place::Outside(_) => None,
        })
    }

    /// The files that lie elsewhere: each with its location in its normal form.
    pub fn files_outside<'a>(&'a self, directory: &'a Directory) -> impl Iterator<Item = (String, &'a FileFacts)> {
        self.files.iter().filter_map(|file| match file.place(directory) {
            Place::Inside(_) => None,
            Place::Outside(location) => Some((location, file)),
        })
    }
}

/// Collects facts from what [`read`](super::read) tells.
#[derive(Debug)]
pub struct Collector {
    limits: Limits,
    facts: SnapshotFacts,
    /// Length of `files` at which those named more than once are merged.
    merge_at: usize,
    canonical: bool,
}

impl Collector {
    /// One that keeps at most so much.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let facts = SnapshotFacts {
            version: 0,
            checkpoint_id: 0,
            kind: None,
            format_type: None,
            self_contained: true,
            total_bytes: 0,
            inline_bytes: 0,
            operators: Vec::new(),
            files: Vec::new(),
            has_channel_state: false,
        };
        Self { limits, facts, merge_at: 16 * 1024, canonical: false }
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// [`FactsError`] if it names a file by a path that must not be followed, or is one too many.
    pub fn take(&mut self, event: Event<'_>) -> Result<(), FactsError> {
        let facts = &mut self.facts;
        match event {
            Event::Header { version, checkpoint_id } => {
                (facts.version, facts.checkpoint_id) = (version, checkpoint_id);
            }
            Event::Operator { id, uid, name, parallelism, max_parallelism } => {
                if facts.operators.len() >= self.limits.operators {
                    return Err(FactsError::TooMany { what: Counted::Operators, limit: self.limits.operators });
                }
                facts.operators.push(OperatorFacts {
                    id,
                    uid: uid.map(str::to_owned),
                    name: name.map(str::to_owned),
                    parallelism,
                    max_parallelism,
                    subtasks: 0,
                    fully_finished: false,
                    has_state: false,
                    keyed_bytes: 0,
                    operator_bytes: 0,
                    channel_bytes: 0,
                    coordinator_bytes: 0,
                });
            }
            Event::FullyFinished => {
                if let Some(operator) = facts.operators.last_mut() {
                    operator.fully_finished = true;
                }
            }
            Event::Subtask { .. } => {
                if let Some(operator) = facts.operators.last_mut() {
                    operator.subtasks = operator.subtasks.saturating_add(1);
                }
            }
            Event::File { path, form, size, .. } => return self.file(path, form, size),
            Event::Inline { bytes, .. } => facts.inline_bytes = facts.inline_bytes.saturating_add(bytes),
            Event::Handle { part, kind, bytes, nested } => self.handle(part, kind, bytes, nested),
            Event::Properties(properties) => {
                (facts.kind, facts.format_type) = (properties.kind, properties.format_type);
            }
            Event::MasterState { .. } | Event::Directory { .. } => {}
        }
        Ok(())
    }

    fn handle(&mut self, part: Part, kind: HandleKind, bytes: u64, nested: bool) {
        self.canonical |= kind == HandleKind::KeyGroupsSavepoint;
        if nested {
            return;
        }
        self.facts.has_channel_state |= matches!(part, Part::InputChannel | Part::OutputChannel);
        let Some(operator) = self.facts.operators.last_mut() else { return };
        operator.has_state = true;
        let sum = match part {
            Part::Coordinator => &mut operator.coordinator_bytes,
            Part::ManagedOperator | Part::RawOperator => &mut operator.operator_bytes,
            Part::ManagedKeyed | Part::RawKeyed => &mut operator.keyed_bytes,
            Part::InputChannel | Part::OutputChannel => &mut operator.channel_bytes,
        };
        *sum = sum.saturating_add(bytes);
    }

    fn file(&mut self, path: &str, form: FileForm, size: u64) -> Result<(), FactsError> {
        let relative = form == FileForm::Relative;
        if relative {
            path::check_relative(path)?;
        }
        self.facts.self_contained &= relative;
        let (size, merged) = match form {
            FileForm::Segment { start, .. } => (start.saturating_add(size), true),
            FileForm::Relative | FileForm::Absolute => (size, false),
        };
        let files = &mut self.facts.files;
        // Channels and segments name their file again and again.
        if let Some(last) = files.last_mut().filter(|last| last.path == path && last.relative == relative) {
            last.merge(size, merged);
            return Ok(());
        }
        files.push(FileFacts { path: path.to_owned(), size, relative, merged });
        if files.len() >= self.merge_at {
            self.merge()?;
        }
        Ok(())
    }

    /// Leaves each file once. The next time is when there are four times as many, so this costs little, and there are
    /// never more than twice as many as may be.
    fn merge(&mut self) -> Result<(), FactsError> {
        let files = &mut self.facts.files;
        files.sort_unstable_by(|a, b| (&a.path, a.relative).cmp(&(&b.path, b.relative)));
        files.dedup_by(|next, kept| {
            let same = next.path == kept.path && next.relative == kept.relative;
            if same {
                kept.merge(next.size, next.merged);
            }
            same
        });
        if files.len() > self.limits.files {
            return Err(FactsError::TooMany { what: Counted::Files, limit: self.limits.files });
        }
        let most = self.limits.files.saturating_mul(2);
        self.merge_at = self.merge_at.max(files.len().saturating_mul(4).min(most));
        Ok(())
    }

    /// The facts, once [`read`](super::read) has come to its end.
    ///
    /// # Errors
    /// [`FactsError::TooMany`] if there are too many files.
    pub fn finish(mut self) -> Result<SnapshotFacts, FactsError> {
        self.merge()?;
        let mut facts = self.facts;
        if facts.kind.is_none() {
            facts.kind = match (self.canonical, facts.has_channel_state) {
                (true, _) => Some(SnapshotKind::Savepoint),
                (false, true) => Some(SnapshotKind::Checkpoint),
                (false, false) => None,
            };
            facts.format_type = self.canonical.then_some(SavepointFormat::Canonical);
        }
        facts.total_bytes = facts.files.iter().fold(facts.inline_bytes, |sum, file| sum.saturating_add(file.size));
        Ok(facts)
    }
}

impl FileFacts {
    fn merge(&mut self, size: u64, merged: bool) {
        self.size = self.size.max(size);
        self.merged |= merged;
    }
}

#[cfg(test)]
#[path = "facts_tests.rs"]
mod tests;
