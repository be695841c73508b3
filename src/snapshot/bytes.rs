//! Writes `_metadata` for tests: every layout and every handle, also those that no recorded file has.

use super::operator_id::OperatorId;
use super::{Error, Event, read};

/// Bytes as Java's `DataOutputStream` writes them.
#[derive(Debug, Clone, Default)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    pub fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub fn i32(mut self, value: i32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub fn i64(mut self, value: i64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// A text that is the same in UTF-8 and in modified UTF-8.
    pub fn utf(mut self, text: &str) -> Self {
        self.0.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        self.raw(text.as_bytes())
    }

    pub fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend(bytes.as_ref());
        self
    }

    /// A count and that many things.
    pub fn list(self, things: &[Vec<u8>]) -> Self {
        self.i32(i32::try_from(things.len()).unwrap()).raw(things.concat())
    }

    pub fn zeros(mut self, n: usize) -> Self {
        self.0.resize(self.0.len() + n, 0);
        self
    }
}

pub fn bytes() -> Bytes {
    Bytes::default()
}

/// The state of a subtask; empty: none.
#[derive(Debug, Clone, Default)]
pub struct Subtask {
    pub managed_operator: Vec<u8>,
    pub raw_operator: Vec<u8>,
    pub managed_keyed: Vec<u8>,
    pub raw_keyed: Vec<u8>,
    pub inputs: Vec<Vec<u8>>,
    pub outputs: Vec<Vec<u8>>,
    /// Layout 7.
    pub reference: Option<i64>,
}

impl Subtask {
    pub fn write(&self, version: i32) -> Vec<u8> {
        let mut out = bytes();
        if version == 2 {
            out = out.i64(-1).i32(0);
        }
        for state in [&self.managed_operator, &self.raw_operator] {
            out = if state.is_empty() { out.i32(0) } else { out.i32(1).raw(state) };
        }
        for state in [&self.managed_keyed, &self.raw_keyed] {
            out = if state.is_empty() { out.u8(0) } else { out.raw(state) };
        }
        if version >= 3 {
            out = out.list(&self.inputs).list(&self.outputs);
        }
        if version >= 7 {
            out = match self.reference {
                None => out.u8(0),
                Some(id) => out.u8(1).i64(id),
            };
        }
        out.0
    }
}

/// An operator with the id that the uid gives.
#[derive(Debug, Clone)]
pub struct Operator {
    pub uid: &'static str,
    pub parallelism: i32,
    pub max_parallelism: i32,
    pub coordinator: Vec<u8>,
    /// By their indices; `None`: finished.
    pub subtasks: Vec<(i32, Option<Subtask>)>,
    pub fully_finished: bool,
}

impl Operator {
    pub fn new(uid: &'static str) -> Self {
        Self {
            uid,
            parallelism: 2,
            max_parallelism: 128,
            coordinator: vec![0],
            subtasks: Vec::new(),
            fully_finished: false,
        }
    }

    pub fn with(mut self, subtask: Subtask) -> Self {
        self.subtasks.push((i32::try_from(self.subtasks.len()).unwrap(), Some(subtask)));
        self
    }

    pub fn write(&self, version: i32) -> Vec<u8> {
        let mut out = bytes();
        if version >= 5 {
            out = out.utf(&format!("{}-name", self.uid)).utf(self.uid);
        }
        let id = OperatorId::of_uid(self.uid).to_string();
        out = out.raw(u128::from_str_radix(&id, 16).unwrap().to_be_bytes());
        out = out.i32(self.parallelism).i32(self.max_parallelism);
        out = if version == 2 { out.i32(1) } else { out.raw(&self.coordinator) };
        if self.fully_finished {
            return out.i32(-1).0;
        }
        out = out.i32(i32::try_from(self.subtasks.len()).unwrap());
        for (index, subtask) in &self.subtasks {
            out = match subtask {
                None => out.i32(-1 - index),
                Some(subtask) => out.i32(*index).raw(subtask.write(version)),
            };
        }
        out.0
    }
}

pub fn head(version: i32) -> Bytes {
    bytes().raw([0x49, 0x60, 0x67, 0x2d]).i32(version).i64(41)
}

/// A whole file.
pub fn file(version: i32, operators: &[Operator]) -> Vec<u8> {
    let operators: Vec<Vec<u8>> = operators.iter().map(|operator| operator.write(version)).collect();
    let tail = if version < 4 { Vec::new() } else { savepoint("NATIVE") };
    head(version).i32(0).list(&operators).raw(tail).0
}

/// A file of one operator with one subtask.
pub fn one(version: i32, subtask: Subtask) -> Vec<u8> {
    file(version, &[Operator::new("one").with(subtask)])
}

/// What a file says, as text.
pub fn events(file: &[u8]) -> Result<Vec<String>, Error> {
    let mut events = Vec::new();
    read(file, Some(file.len() as u64), |event: Event<'_>| {
        events.push(format!("{event:?}"));
        Ok::<_, Error>(())
    })?;
    Ok(events)
}

// Streams.

pub fn inline(n: usize) -> Vec<u8> {
    bytes().u8(1).utf("handle").i32(i32::try_from(n).unwrap()).zeros(n).0
}

pub fn absolute(path: &str, size: i64) -> Vec<u8> {
    bytes().u8(2).i64(size).utf(path).0
}

pub fn relative(path: &str, size: i64) -> Vec<u8> {
    bytes().u8(6).utf(path).i64(size).0
}

pub fn segment(path: &str, start: i64, size: i64, scope: i32) -> Vec<u8> {
    bytes().u8(15).i64(start).i64(size).i32(scope).utf(path).utf("logical").0
}

pub const EMPTY_SEGMENT: [u8; 1] = [16];

// Operator state.

/// Two states: three offsets, and none.
fn operator_state_map(tag: u8) -> Bytes {
    let list = bytes().utf("list").u8(0).i32(3).zeros(24).0;
    bytes().u8(tag).list(&[list, bytes().utf("union").u8(1).i32(0).0])
}

pub fn operator_state(stream: &[u8]) -> Vec<u8> {
    operator_state_map(4).raw(stream).0
}

pub fn merged_operator_state(stream: &[u8]) -> Vec<u8> {
    operator_state_map(17).utf("file:/t").utf("file:/s").u8(0).raw(stream).0
}

// Keyed state.

/// Tags 3, 7 and 12; as a stream 3 only.
pub fn key_groups(tag: u8, stream: &[u8]) -> Vec<u8> {
    let out = bytes().u8(tag).i32(0).i32(2).zeros(16).raw(stream);
    if tag == 12 { out.utf("id").0 } else { out.0 }
}

/// Tags 5 and 11.
pub fn incremental(tag: u8, meta: &[u8], shared: &[Vec<u8>], private: &[Vec<u8>]) -> Vec<u8> {
    let local = |streams: &[Vec<u8>]| -> Vec<Vec<u8>> {
        streams.iter().map(|stream| bytes().utf("000012.sst").raw(stream).0).collect()
    };
    let out = bytes().u8(tag).i64(7).utf("backend").i32(0).i32(64);
    let out = if tag == 11 { out.i64(1) } else { out };
    let out = out.raw(meta).list(&local(shared)).list(&local(private));
    if tag == 11 { out.utf("id").0 } else { out.0 }
}

/// Tags 8 and 14.
pub fn changelog(tag: u8, materialised: &[Vec<u8>], delta: &[Vec<u8>]) -> Vec<u8> {
    let out = bytes().u8(tag).i32(0).i32(64).i64(9).list(materialised).list(delta).i64(3);
    let out = if tag == 14 { out.i64(7) } else { out };
    out.utf("id").0
}

/// Tag 9: changes of so many bytes.
pub fn changelog_in_memory(changes: &[usize]) -> Vec<u8> {
    let change = |n: &usize| bytes().i32(-1).i32(i32::try_from(*n).unwrap()).zeros(*n).0;
    let changes: Vec<Vec<u8>> = changes.iter().map(change).collect();
    bytes().u8(9).i32(0).i32(64).i64(0).i64(9).list(&changes).utf("id").0
}

/// Tags 10 and 13.
pub fn changelog_files(tag: u8, streams: &[Vec<u8>], size: i64) -> Vec<u8> {
    let streams: Vec<Vec<u8>> = streams.iter().map(|stream| bytes().i64(5).raw(stream).0).collect();
    let out = bytes().u8(tag).i32(0).i32(64).list(&streams).i64(size).i64(-1).utf("id");
    if tag == 13 { out.utf("filesystem").0 } else { out.0 }
}

// Channels.

/// Layouts 3 to 5, and from 6 on with the tag 1 (input) or 2 (output) before it.
pub fn channel(tag: Option<u8>, size: i64, stream: &[u8]) -> Vec<u8> {
    let out = tag.map_or(bytes(), |tag| bytes().u8(tag));
    out.i32(0).i32(1).i32(2).i32(2).zeros(16).i64(size).raw(stream).0
}

/// Tags 3 (input) and 4 (output).
pub fn merged_channel(tag: u8, size: i64, stream: &[u8]) -> Vec<u8> {
    bytes().u8(tag).i32(0).i64(size).raw(stream).i32(12).zeros(12).0
}

// Properties.

const PACKAGE: &str = "org.apache.flink.runtime.checkpoint.";

/// The description of a Java class without a parent; `fields` as they are written.
pub fn class(name: &str, flags: u8, fields: &[Vec<u8>]) -> Bytes {
    let count = u8::try_from(fields.len()).unwrap();
    bytes().u8(0x72).utf(name).i64(2).u8(flags).u8(0).u8(count).raw(fields.concat()).u8(0x78).u8(0x70)
}

/// A field that holds an object.
pub fn object_field(name: &str) -> Vec<u8> {
    bytes().u8(b'L').utf(name).u8(0x74).utf("Lsome/Class;").0
}

/// `CheckpointProperties` with a flag and this type.
pub fn properties(of: &[u8]) -> Vec<u8> {
    let flag = bytes().u8(b'Z').utf("forced").0;
    let class = class(&format!("{PACKAGE}CheckpointProperties"), 2, &[flag, object_field("checkpointType")]);
    bytes().raw([0xac, 0xed, 0, 5]).u8(0x73).raw(class.0).u8(1).raw(of).0
}

/// Of a savepoint of this format.
pub fn savepoint(format: &str) -> Vec<u8> {
    let constants = class("org.apache.flink.core.execution.SavepointFormatType", 0x12, &[]);
    let format = bytes().u8(0x7e).raw(constants.0).u8(0x74).utf(format);
    let class = class(&format!("{PACKAGE}SavepointType"), 2, &[object_field("formatType")]);
    properties(&bytes().u8(0x73).raw(class.0).raw(format.0).0)
}

/// Of a checkpoint.
pub fn checkpoint() -> Vec<u8> {
    let class = class(&format!("{PACKAGE}CheckpointType"), 2, &[object_field("name")]);
    properties(&bytes().u8(0x73).raw(class.0).u8(0x74).utf("Checkpoint").0)
}
