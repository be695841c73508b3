//! Reads a `_metadata` from its first byte to its last, once, and tells what it says. See Flink's `MetadataV2Serializer`
//! to `MetadataV6Serializer` and `MetadataV2V3SerializerBase`.

use std::io::{Read, Write};

use super::error::Error;
use super::event::{Event, HandleKind, Part};
use super::handle;
use super::input::Input;
use super::operator_id::OperatorId;
use super::properties::{self, Properties};

/// The first four bytes: `Checkpoints.HEADER_MAGIC_NUMBER`.
const MAGIC: u32 = 0x4960_672d;
/// Before each master state: `MetadataV2V3SerializerBase.MASTER_STATE_MAGIC_NUMBER`.
const MASTER_MAGIC: u32 = 0xc96b_1696;
/// The layouts that Flink's own reader knows, and the next one.
const VERSIONS: std::ops::RangeInclusive<i32> = 2..=7;
/// The serialised properties take less than 1 KiB.
const MAX_PROPERTIES: usize = 64 * 1024;

/// Reads all of a `_metadata` and calls `on` for each thing that it says. `length` is the file's length in bytes, where
/// it is known: then a length in the file that goes beyond it is an error at once and not only at the end of the file.
///
/// Takes the same memory for every file, some 200 KiB: state that stands in the file is passed over, and texts are lent to
/// `on`. Reads `source` in pieces of 64 KiB, so it needs no buffer of its own. The time is linear in the file.
///
/// # Errors
/// What is wrong with the file, as [`Error`]; or what `on` returns, which ends the reading.
pub fn read<R, F, E>(source: R, length: Option<u64>, on: F) -> Result<(), E>
where
    R: Read,
    F: FnMut(Event<'_>) -> Result<(), E>,
    E: From<Error>,
{
    Reader::new(Input::new(source, length), on).file()
}

/// What is answered to an event.
pub(super) trait Answer {
    /// What the copy has in place of the absolute path that was told. `None`: the same.
    fn instead(self) -> Option<String>;
}

impl Answer for () {
    fn instead(self) -> Option<String> {
        None
    }
}

impl Answer for Option<String> {
    fn instead(self) -> Option<String> {
        self
    }
}

pub(super) struct Reader<R, W, F> {
    pub input: Input<R, W>,
    pub on: F,
    version: i32,
    /// What the last text was read into; kept, so that not every text is an allocation.
    pub text: String,
    other: String,
}

impl<R, W, F, A, E> Reader<R, W, F>
where
    R: Read,
    W: Write,
    F: FnMut(Event<'_>) -> Result<A, E>,
    A: Answer,
    E: From<Error>,
{
    pub(super) fn new(input: Input<R, W>, on: F) -> Self {
        Self { input, on, version: 0, text: String::new(), other: String::new() }
    }

    pub(super) fn file(mut self) -> Result<(), E> {
        if self.input.is_empty()? {
            return Err(Error::Empty.into());
        }
        let found = u32::from_be_bytes(self.input.array("Flink's magic number")?);
        if found != MAGIC {
            return Err(Error::Magic { found }.into());
        }
        let found = self.input.i32("the layout's version")?;
        if !VERSIONS.contains(&found) {
            return Err(Error::Version { found }.into());
        }
        self.version = found;
        let checkpoint_id = self.input.size("the checkpoint's id")?;
        (self.on)(Event::Header { version: found.unsigned_abs(), checkpoint_id })?;
        for _ in 0..self.input.count_of(18, "number of master states")? {
            self.master_state()?;
        }
        for _ in 0..self.input.count_of(28, "number of operators")? {
            self.operator()?;
        }
        if self.version < 4 {
            return Ok(self.input.end()?);
        }
        let offset = self.input.offset();
        let bytes = self.input.rest(MAX_PROPERTIES, "the checkpoint's properties")?;
        let properties: Properties = properties::parse(&bytes, offset)?;
        (self.on)(Event::Properties(properties)).map(drop)
    }

    fn master_state(&mut self) -> Result<(), E> {
        let offset = self.input.offset();
        let found = u32::from_be_bytes(self.input.array("the mark of a master state")?);
        if found != MASTER_MAGIC {
            return Err(Error::Value { offset, expected: "the mark of a master state", found: found.into() }.into());
        }
        let length = self.input.count_of(1, "length of a master state")?;
        let begin = self.input.offset();
        let version = self.input.i32("version of a master state")?;
        self.input.text(&mut self.text, "name of a master state")?;
        let bytes = u64::from(self.input.count("length of a master state's bytes")?);
        self.input.skip(bytes, "bytes of a master state")?;
        let found = self.input.offset() - begin;
        if found != u64::from(length) {
            let expected = "a master state of the length before it";
            return Err(Error::Value { offset: begin, expected, found: found.cast_signed() }.into());
        }
        (self.on)(Event::MasterState { name: &self.text, version, bytes }).map(drop)
    }

    fn operator(&mut self) -> Result<(), E> {
        self.text.clear();
        self.other.clear();
        if self.version >= 5 {
            self.input.text(&mut self.text, "name of an operator")?;
            self.input.text(&mut self.other, "uid of an operator")?;
        }
        let id = OperatorId::from_bytes(self.input.array("an operator's id")?);
        let parallelism = self.input.count("parallelism of an operator")?;
        let max_parallelism = self.input.count("maximum parallelism of an operator")?;
        let uid = Some(self.other.as_str()).filter(|uid| !uid.is_empty());
        let name = Some(self.text.as_str()).filter(|name| !name.is_empty());
        (self.on)(Event::Operator { id, uid, name, parallelism, max_parallelism })?;
        if self.version == 2 {
            self.input.i32("length of an operator's chain")?;
        } else {
            self.coordinator()?;
        }
        let Ok(subtasks) = u32::try_from(self.input.i32("number of subtasks")?) else {
            return (self.on)(Event::FullyFinished).map(drop);
        };
        for _ in 0..subtasks {
            let offset = self.input.offset();
            let found = i64::from(self.input.i32("index of a subtask")?);
            let finished = found < 0 && self.version >= 3;
            // Finished subtasks are written as -1 for the first one, -2 for the second, ...
            let index = u32::try_from(if finished { -(found + 1) } else { found }).map_err(|_| Error::Negative {
                offset,
                expected: "index of a subtask",
                found,
            })?;
            (self.on)(Event::Subtask { index, finished })?;
            if !finished {
                self.subtask()?;
            }
        }
        Ok(())
    }

    fn coordinator(&mut self) -> Result<(), E> {
        let part = Part::Coordinator;
        if let Some(bytes) = self.inline_stream(part)? {
            (self.on)(Event::Handle { part, kind: HandleKind::Coordinator, bytes, nested: false })?;
        }
        Ok(())
    }

    fn subtask(&mut self) -> Result<(), E> {
        if self.version == 2 {
            // Duration of the checkpoint and number of legacy states: always -1 and 0.
            self.input.skip(12, "two unused numbers")?;
        }
        self.operator_state(Part::ManagedOperator)?;
        self.operator_state(Part::RawOperator)?;
        self.keyed_state(Part::ManagedKeyed)?;
        self.keyed_state(Part::RawKeyed)?;
        if self.version >= 3 {
            for part in [Part::InputChannel, Part::OutputChannel] {
                for _ in 0..self.input.count_of(handle::MIN_CHANNEL, "number of channels")? {
                    self.channel(part)?;
                }
            }
        }
        if self.version >= 7 {
            let offset = self.input.offset();
            match self.input.u8("whether a checkpoint is referred to")? {
                0 => {}
                1 => self.input.skip(8, "the id of a checkpoint")?,
                found => {
                    let expected = "0 or 1 for whether a checkpoint is referred to";
                    return Err(Error::Value { offset, expected, found: found.into() }.into());
                }
            }
        }
        Ok(())
    }

    /// The layouts from 6 tell kinds of channel state apart by a tag of their own.
    pub(super) fn has_channel_tags(&self) -> bool {
        self.version >= 6
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
