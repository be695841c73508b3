//! What Flink itself thinks a snapshot is: the `CheckpointProperties` at the end of `_metadata`, one object of a
//! `java.io.ObjectOutputStream`. It is read by Java's own grammar (Object Serialization Specification, chapter 6), which
//! describes itself, so fields that a later Flink adds do no harm.

use std::rc::Rc;

use super::error::Error;
use super::input::decode;
use crate::flink::SavepointFormat;

/// Objects within objects. Flink writes three.
const MAX_DEPTH: u32 = 16;

const STREAM_MAGIC: u32 = 0xaced_0005;
const NULL: u8 = 0x70;
const REFERENCE: u8 = 0x71;
const CLASS_DESC: u8 = 0x72;
const OBJECT: u8 = 0x73;
const STRING: u8 = 0x74;
const ARRAY: u8 = 0x75;
const BLOCK: u8 = 0x77;
const END_BLOCK: u8 = 0x78;
const LONG_BLOCK: u8 = 0x7a;
const ENUM: u8 = 0x7e;
const BASE_HANDLE: u32 = 0x7e_0000;
const SC_WRITE_METHOD: u8 = 1;
const SC_EXTERNALIZABLE: u8 = 4;

/// Savepoint or checkpoint, and how it is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Properties {
    /// What it is: `CheckpointProperties.checkpointType`. `None`: neither of the two.
    pub kind: Option<SnapshotKind>,
    /// Of a savepoint: `SavepointType.formatType`.
    pub format_type: Option<SavepointFormat>,
}

/// What a snapshot is to Flink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum SnapshotKind {
    /// The user's, and whole in itself.
    Savepoint,
    /// Flink's own.
    Checkpoint,
}

/// `offset`: where in the file `data` begins.
pub(super) fn parse(data: &[u8], offset: u64) -> Result<Properties, Error> {
    let mut java = Java { rest: data, length: data.len(), offset, handles: Vec::new(), found: Properties::default() };
    let magic = u32::from_be_bytes(java.array("the magic number of a Java object")?);
    if magic != STREAM_MAGIC {
        return Err(Error::Properties { offset, expected: "a Java object", found: format!("{magic:#010x}") });
    }
    java.content(0)?;
    if !java.rest.is_empty() {
        return Err(Error::Trailing { offset: java.at() });
    }
    Ok(java.found)
}

/// A class as the stream describes it.
struct Class<'a> {
    name: &'a [u8],
    flags: u8,
    /// The types of its fields, as the first character of Java's descriptors.
    fields: Vec<u8>,
    parent: Option<Rc<Class<'a>>>,
    /// Number of its ancestors.
    depth: u32,
}

impl Class<'_> {
    fn is_called(&self, name: &[u8]) -> bool {
        self.name.rsplit(|b| *b == b'.').next() == Some(name)
    }
}

#[derive(Clone)]
enum Value<'a> {
    Class(Rc<Class<'a>>),
    Text(&'a [u8]),
    Other,
}

struct Java<'a> {
    rest: &'a [u8],
    length: usize,
    offset: u64,
    /// What later parts may refer to by its number.
    handles: Vec<Value<'a>>,
    found: Properties,
}

impl<'a> Java<'a> {
    fn at(&self) -> u64 {
        self.offset + (self.length - self.rest.len()) as u64
    }

    fn take(&mut self, needed: usize, expected: &'static str) -> Result<&'a [u8], Error> {
        let Some((now, later)) = self.rest.split_at_checked(needed) else {
            let left = self.rest.len() as u64;
            return Err(Error::Truncated { offset: self.at(), expected, needed: needed as u64, left });
        };
        self.rest = later;
        Ok(now)
    }

    fn array<const N: usize>(&mut self, expected: &'static str) -> Result<[u8; N], Error> {
        let bytes = self.take(N, expected)?;
        Ok(bytes.first_chunk().copied().unwrap_or([0; N]))
    }

    fn u8(&mut self, expected: &'static str) -> Result<u8, Error> {
        self.array(expected).map(u8::from_be_bytes)
    }

    fn text(&mut self, expected: &'static str) -> Result<&'a [u8], Error> {
        let length = u16::from_be_bytes(self.array(expected)?);
        self.take(length.into(), expected)
    }

    fn tag(&mut self) -> Result<u8, Error> {
        self.u8("the tag of a Java object")
    }

    fn unknown<T>(&self, expected: &'static str, tag: u8) -> Result<T, Error> {
        Err(Error::Properties { offset: self.at() - 1, expected, found: format!("tag {tag:#04x}") })
    }

    fn deeper(&self, depth: u32) -> Result<u32, Error> {
        let offset = self.at();
        if depth < MAX_DEPTH { Ok(depth + 1) } else { Err(Error::TooDeep { offset, limit: MAX_DEPTH }) }
    }

    fn remember(&mut self, value: Value<'a>) -> usize {
        self.handles.push(value);
        self.handles.len() - 1
    }

    fn reference(&mut self) -> Result<Value<'a>, Error> {
        let offset = self.at();
        let number = u32::from_be_bytes(self.array("a reference within a Java object")?);
        let known = number.checked_sub(BASE_HANDLE).and_then(|n| self.handles.get(usize::try_from(n).ok()?));
        let found = format!("{number:#010x}");
        known.cloned().ok_or(Error::Properties { offset, expected: "a reference to what came before", found })
    }

    fn class(&mut self, depth: u32) -> Result<Option<Rc<Class<'a>>>, Error> {
        let expected = "the description of a Java class";
        match self.tag()? {
            NULL => Ok(None),
            REFERENCE => match self.reference()? {
                Value::Class(class) => Ok(Some(class)),
                _ => self.unknown(expected, REFERENCE),
            },
            CLASS_DESC => {
                let name = self.text("the name of a Java class")?;
                self.take(8, "the version of a Java class")?;
                let slot = self.remember(Value::Other);
                let flags = self.u8("the flags of a Java class")?;
                let count = u16::from_be_bytes(self.array("the number of fields of a Java class")?);
                let mut fields = Vec::new();
                for _ in 0..count {
                    let kind = self.u8("the type of a Java field")?;
                    self.text("the name of a Java field")?;
                    if matches!(kind, b'L' | b'[') {
                        let depth = self.deeper(depth)?;
                        self.content(depth)?;
                    }
                    fields.push(kind);
                }
                self.annotations(depth)?;
                let below = self.deeper(depth)?;
                let parent = self.class(below)?;
                // Ancestors may also be referred to, which nests nothing.
                let depth = self.deeper(parent.as_ref().map_or(0, |parent| parent.depth))?;
                let class = Rc::new(Class { name, flags, fields, parent, depth });
                if let Some(slot) = self.handles.get_mut(slot) {
                    *slot = Value::Class(Rc::clone(&class));
                }
                Ok(Some(class))
            }
            tag => self.unknown(expected, tag),
        }
    }

    /// What a class or its `writeObject` adds, up to the mark of its end.
    fn annotations(&mut self, depth: u32) -> Result<(), Error> {
        let depth = self.deeper(depth)?;
        loop {
            match self.rest.first() {
                Some(&END_BLOCK) => return self.tag().map(drop),
                Some(&BLOCK) => {
                    self.tag()?;
                    let length = self.u8("the length of a block")?;
                    self.take(length.into(), "a block")?;
                }
                Some(&LONG_BLOCK) => {
                    self.tag()?;
                    let length = u32::from_be_bytes(self.array("the length of a block")?);
                    self.take(usize::try_from(length).unwrap_or(usize::MAX), "a block")?;
                }
                _ => drop(self.content(depth)?),
            }
        }
    }

    fn content(&mut self, depth: u32) -> Result<Value<'a>, Error> {
        match self.tag()? {
            NULL => Ok(Value::Other),
            REFERENCE => self.reference(),
            STRING => {
                let text = Value::Text(self.text("a Java string")?);
                self.remember(text.clone());
                Ok(text)
            }
            ENUM => self.enumeration(depth),
            OBJECT => self.object(depth),
            ARRAY => self.elements(depth),
            tag => self.unknown("an object, a string, an enum, an array or null", tag),
        }
    }

    fn enumeration(&mut self, depth: u32) -> Result<Value<'a>, Error> {
        let below = self.deeper(depth)?;
        let class = self.class(below)?;
        self.remember(Value::Other);
        let offset = self.at();
        let constant = self.content(below)?;
        if class.is_some_and(|class| class.is_called(b"SavepointFormatType")) {
            self.found.format_type = match constant {
                Value::Text(b"CANONICAL") => Some(SavepointFormat::Canonical),
                Value::Text(b"NATIVE") => Some(SavepointFormat::Native),
                other => {
                    let mut found = String::new();
                    if let Value::Text(text) = other {
                        decode(text.get(..text.len().min(64)).unwrap_or_default(), &mut found);
                    }
                    return Err(Error::Properties { offset, expected: "CANONICAL or NATIVE", found });
                }
            };
        }
        Ok(Value::Other)
    }

    fn object(&mut self, depth: u32) -> Result<Value<'a>, Error> {
        let below = self.deeper(depth)?;
        let offset = self.at();
        let Some(class) = self.class(below)? else {
            return Err(Error::Properties { offset, expected: "the class of an object", found: "null".to_owned() });
        };
        self.remember(Value::Other);
        if class.is_called(b"SavepointType") {
            self.found.kind = Some(SnapshotKind::Savepoint);
        } else if class.is_called(b"CheckpointType") {
            self.found.kind = Some(SnapshotKind::Checkpoint);
        }
        let mut line = Vec::new();
        let mut next = Some(class);
        while let Some(class) = next.take() {
            next.clone_from(&class.parent);
            line.push(class);
        }
        for class in line.iter().rev() {
            if class.flags & SC_EXTERNALIZABLE != 0 {
                self.annotations(below)?;
                continue;
            }
            for kind in &class.fields {
                self.field(*kind, below)?;
            }
            if class.flags & SC_WRITE_METHOD != 0 {
                self.annotations(below)?;
            }
        }
        Ok(Value::Other)
    }

    fn field(&mut self, kind: u8, depth: u32) -> Result<(), Error> {
        let width = match kind {
            b'B' | b'Z' => 1,
            b'C' | b'S' => 2,
            b'F' | b'I' => 4,
            b'D' | b'J' => 8,
            b'L' | b'[' => return self.content(depth).map(drop),
            other => return self.unknown("the type of a Java field", other),
        };
        self.take(width, "a field of a Java object").map(drop)
    }

    fn elements(&mut self, depth: u32) -> Result<Value<'a>, Error> {
        let below = self.deeper(depth)?;
        let offset = self.at();
        let class = self.class(below)?;
        self.remember(Value::Other);
        let Some([b'[', kind, ..]) = class.as_ref().map(|class| class.name) else {
            return Err(Error::Properties { offset, expected: "the class of an array", found: "another".to_owned() });
        };
        for _ in 0..u32::from_be_bytes(self.array("the length of a Java array")?) {
            self.field(*kind, below)?;
        }
        Ok(Value::Other)
    }
}

#[cfg(test)]
#[path = "properties_tests.rs"]
mod tests;
