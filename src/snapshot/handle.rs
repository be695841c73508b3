//! The state handles within an operator: part of [`reader`](super::reader), which says where they come.

use std::io::{Read, Write};

use super::error::Error;
use super::event::{Event, FileForm, HandleKind, Part};
use super::reader::{Answer, Reader};

/// State handles within each other. Flink writes two at most: a changelog's materialised state.
const MAX_DEPTH: u32 = 8;
/// The least that the state of a channel takes: a merged one.
pub(super) const MIN_CHANNEL: u64 = 18;
/// The least that a file of an incremental handle takes: an empty local name and no handle.
const MIN_LOCAL: u64 = 3;

impl<R, W, F, A, E> Reader<R, W, F>
where
    R: Read,
    W: Write,
    F: FnMut(Event<'_>) -> Result<A, E>,
    A: Answer,
    E: From<Error>,
{
    fn handle(&mut self, part: Part, kind: HandleKind, bytes: u64, depth: u32) -> Result<(), E> {
        (self.on)(Event::Handle { part, kind, bytes, nested: depth > 0 }).map(drop)
    }

    /// A tag, and where it stands.
    fn tag(&mut self, expected: &'static str) -> Result<(u8, u64), Error> {
        let offset = self.input.offset();
        Ok((self.input.u8(expected)?, offset))
    }

    fn deeper(&self, depth: u32) -> Result<u32, Error> {
        let offset = self.input.offset();
        if depth < MAX_DEPTH { Ok(depth + 1) } else { Err(Error::TooDeep { offset, limit: MAX_DEPTH }) }
    }

    /// A `StreamStateHandle`: bytes of state somewhere. `None`: there is none; else their number.
    fn stream(&mut self, part: Part, depth: u32) -> Result<Option<u64>, E> {
        let (tag, offset) = self.tag("a stream state handle")?;
        match tag {
            0 => Ok(None),
            1 => self.inline(part).map(Some),
            2 => {
                let size = self.input.size("size of a file")?;
                self.file_by_uri(part, FileForm::Absolute, size)?;
                Ok(Some(size))
            }
            3 => {
                let depth = self.deeper(depth)?;
                self.key_groups(part, depth).map(Some)
            }
            6 => {
                self.input.text(&mut self.text, "path of a file")?;
                let size = self.input.size("size of a file")?;
                (self.on)(Event::File { part, path: &self.text, form: FileForm::Relative, size })?;
                Ok(Some(size))
            }
            15 => {
                let start = self.input.size("start of a file's segment")?;
                let size = self.input.size("size of a file's segment")?;
                let offset = self.input.offset();
                let shared = match self.input.i32("scope of a file's segment")? {
                    0 => false,
                    1 => true,
                    found => {
                        let expected = "scope 0 (EXCLUSIVE) or 1 (SHARED) of a file's segment";
                        return Err(Error::Value { offset, expected, found: found.into() }.into());
                    }
                };
                self.file_by_uri(part, FileForm::Segment { start, shared }, size)?;
                self.input.skip_text("logical id of a file's segment")?;
                Ok(Some(size))
            }
            // EmptySegmentFileStateHandle
            16 => Ok(Some(0)),
            found => Err(Error::Tag { offset, expected: "a stream state handle", found }.into()),
        }
    }

    fn file_by_uri(&mut self, part: Part, form: FileForm, size: u64) -> Result<(), E> {
        self.input.path(&mut self.text, "path of a file")?;
        let instead = (self.on)(Event::File { part, path: &self.text, form, size })?.instead();
        Ok(self.input.put(instead.as_deref())?)
    }

    fn directory(&mut self, part: Part, expected: &'static str) -> Result<(), E> {
        self.input.path(&mut self.text, expected)?;
        let instead = (self.on)(Event::Directory { part, path: &self.text })?.instead();
        Ok(self.input.put(instead.as_deref())?)
    }

    /// A `ByteStreamStateHandle`, after its tag.
    fn inline(&mut self, part: Part) -> Result<u64, E> {
        self.input.skip_text("name of inline state")?;
        let bytes = u64::from(self.input.count("length of inline state")?);
        self.input.skip(bytes, "inline state")?;
        (self.on)(Event::Inline { part, bytes })?;
        Ok(bytes)
    }

    /// The state of a coordinator: none, or inline (`MetadataV3Serializer.deserializeAndCheckByteStreamStateHandle`).
    pub(super) fn inline_stream(&mut self, part: Part) -> Result<Option<u64>, E> {
        match self.tag("the state of a coordinator")? {
            (0, _) => Ok(None),
            (1, _) => self.inline(part).map(Some),
            (found, offset) => Err(Error::Tag { offset, expected: "the state of a coordinator", found }.into()),
        }
    }

    pub(super) fn operator_state(&mut self, part: Part) -> Result<(), E> {
        if !self.input.flag("0 or 1 for whether there is operator state")? {
            return Ok(());
        }
        let kind = match self.tag("operator state")? {
            (0, _) => return Ok(()),
            (4, _) => HandleKind::Operator,
            (17, _) => HandleKind::MergedOperator,
            (found, offset) => return Err(Error::Tag { offset, expected: "operator state", found }.into()),
        };
        for _ in 0..self.input.count_of(7, "number of operator states")? {
            self.input.skip_text("name of an operator state")?;
            let (mode, offset) = self.tag("distribution mode of an operator state")?;
            if mode > 2 {
                let expected = "distribution mode 0 (SPLIT_DISTRIBUTE), 1 (UNION) or 2 (BROADCAST)";
                return Err(Error::Value { offset, expected, found: mode.into() }.into());
            }
            self.offsets()?;
        }
        if kind == HandleKind::MergedOperator {
            self.directory(part, "directory of a task's own files")?;
            self.directory(part, "directory of shared files")?;
            self.input.skip(1, "whether operator state is empty")?;
        }
        let bytes = self.stream(part, 0)?.unwrap_or_default();
        self.handle(part, kind, bytes, 0)
    }

    /// Where single states begin in a stream; nobody needs it.
    fn offsets(&mut self) -> Result<(), Error> {
        let count = self.input.count_of(8, "number of offsets")?;
        self.input.skip(u64::from(count) * 8, "offsets of states")
    }

    pub(super) fn keyed_state(&mut self, part: Part) -> Result<(), E> {
        self.keyed(part, 0).map(drop)
    }

    /// A `KeyedStateHandle`; how many bytes of state it has.
    fn keyed(&mut self, part: Part, depth: u32) -> Result<u64, E> {
        let (tag, offset) = self.tag("a keyed state handle")?;
        let (kind, bytes) = match tag {
            0 => return Ok(0),
            3 | 7 | 12 => {
                let bytes = self.key_groups(part, depth)?;
                if tag == 12 {
                    self.input.skip_text("id of a state handle")?;
                }
                (if tag == 7 { HandleKind::KeyGroupsSavepoint } else { HandleKind::KeyGroups }, bytes)
            }
            5 | 11 => (HandleKind::Incremental, self.incremental(part, depth, tag == 11)?),
            8 | 14 => (HandleKind::Changelog, self.changelog(part, depth, tag == 14)?),
            9 => (HandleKind::ChangelogInMemory, self.changelog_in_memory(part)?),
            10 | 13 => (HandleKind::ChangelogFiles, self.changelog_files(part, depth, tag == 13)?),
            found => return Err(Error::Tag { offset, expected: "a keyed state handle", found }.into()),
        };
        self.handle(part, kind, bytes, depth)?;
        Ok(bytes)
    }

    fn key_groups(&mut self, part: Part, depth: u32) -> Result<u64, E> {
        self.input.count("first key group")?;
        self.offsets()?;
        Ok(self.stream(part, depth)?.unwrap_or_default())
    }

    fn key_group_range(&mut self) -> Result<(), Error> {
        self.input.count("first key group")?;
        self.input.count("number of key groups").map(drop)
    }

    fn incremental(&mut self, part: Part, depth: u32, v2: bool) -> Result<u64, E> {
        self.input.skip(8, "id of a checkpoint")?;
        self.input.skip_text("id of a state backend")?;
        self.key_group_range()?;
        if v2 {
            self.input.skip(8, "checkpointed size")?;
        }
        let mut bytes = self.stream(part, depth)?.unwrap_or_default();
        for expected in ["number of shared files", "number of private files"] {
            for _ in 0..self.input.count_of(MIN_LOCAL, expected)? {
                self.input.skip_text("local name of a file")?;
                bytes = bytes.saturating_add(self.stream(part, depth)?.unwrap_or_default());
            }
        }
        if v2 {
            self.input.skip_text("id of a state handle")?;
        }
        Ok(bytes)
    }

    fn changelog(&mut self, part: Part, depth: u32, v2: bool) -> Result<u64, E> {
        self.key_group_range()?;
        self.input.skip(8, "checkpointed size")?;
        let depth = self.deeper(depth)?;
        let mut bytes = 0_u64;
        for expected in ["number of materialised handles", "number of changelog handles"] {
            for _ in 0..self.input.count_of(1, expected)? {
                bytes = bytes.saturating_add(self.keyed(part, depth)?);
            }
        }
        self.input.skip(8, "id of a materialisation")?;
        if v2 {
            self.input.skip(8, "id of a checkpoint")?;
        }
        self.input.skip_text("id of a state handle")?;
        Ok(bytes)
    }

    fn changelog_in_memory(&mut self, part: Part) -> Result<u64, E> {
        self.key_group_range()?;
        self.input.skip(16, "range of a changelog")?;
        let mut bytes = 0_u64;
        for _ in 0..self.input.count_of(8, "number of changes")? {
            // The key group; -1 stands for what belongs to none.
            self.input.skip(4, "key group of a change")?;
            let change = u64::from(self.input.count("length of a change")?);
            self.input.skip(change, "a change")?;
            bytes = bytes.saturating_add(change);
        }
        self.input.skip_text("id of a state handle")?;
        (self.on)(Event::Inline { part, bytes })?;
        Ok(bytes)
    }

    fn changelog_files(&mut self, part: Part, depth: u32, v2: bool) -> Result<u64, E> {
        self.key_group_range()?;
        for _ in 0..self.input.count_of(9, "number of changelog files")? {
            self.input.skip(8, "offset in a changelog file")?;
            self.stream(part, depth)?;
        }
        let bytes = self.input.size("size of a changelog")?;
        self.input.skip(8, "checkpointed size")?;
        self.input.skip_text("id of a state handle")?;
        if v2 {
            self.input.skip_text("id of a changelog storage")?;
        }
        Ok(bytes)
    }

    pub(super) fn channel(&mut self, part: Part) -> Result<(), E> {
        let merged = self.has_channel_tags() && {
            let (plain, merged, expected) = if part == Part::InputChannel {
                (1, 3, "the state of an input channel")
            } else {
                (2, 4, "the state of an output channel")
            };
            match self.tag(expected)? {
                (tag, _) if tag == plain => false,
                (tag, _) if tag == merged => true,
                (found, offset) => return Err(Error::Tag { offset, expected, found }.into()),
            }
        };
        self.input.count("subtask of a channel")?;
        if !merged {
            self.input.skip(8, "gate and number of a channel")?;
            self.offsets()?;
        }
        // Many channels share a file, so the handle has the size of its own part.
        let bytes = self.input.size("size of a channel's state")?;
        self.stream(part, 0)?;
        if merged {
            let offsets = u64::from(self.input.count("length of a channel's offsets")?);
            self.input.skip(offsets, "offsets of a channel's state")?;
        }
        self.handle(part, if merged { HandleKind::MergedChannel } else { HandleKind::Channel }, bytes, 0)
    }
}

#[cfg(test)]
#[path = "handle_tests.rs"]
mod tests;
