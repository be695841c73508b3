//! The bytes of a `_metadata`, one after the other. Nothing is kept but one buffer; a length that the file claims is
//! first held against what is left of it, and then only skipped or read into a text of at most 64 KiB.
//!
//! All that is read can be copied on the way, with other texts in place of some.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Read, Sink, Write};

use super::error::Error;

/// One read of the source. Large, because a source may be a request to an object store.
const BUFFER: usize = 64 * 1024;

/// A reader that knows where it is.
pub(super) struct Input<R, W> {
    source: BufReader<R>,
    /// Gets all that is read; see [`Input::path`] for the exception.
    copy: W,
    offset: u64,
    /// Length of the file in bytes, where it is known.
    length: Option<u64>,
    /// The text that was read last, as it stands in the file.
    bytes: Vec<u8>,
}

impl<R: Read> Input<R, Sink> {
    pub fn new(source: R, length: Option<u64>) -> Self {
        Self::copying(source, length, io::sink())
    }
}

impl<R: Read, W: Write> Input<R, W> {
    /// One that copies what it reads. What it has copied when it fails is of no use.
    pub fn copying(source: R, length: Option<u64>, copy: W) -> Self {
        Self { source: BufReader::with_capacity(BUFFER, source), copy, offset: 0, length, bytes: Vec::new() }
    }

    /// Bytes read so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Fails if the file can't hold that many more bytes. What this lets pass may still prove too long, by reading.
    fn must_hold(&self, needed: u64, expected: &'static str) -> Result<(), Error> {
        match self.length.map(|length| length.saturating_sub(self.offset)) {
            Some(left) if needed > left => Err(Error::Truncated { offset: self.offset, expected, needed, left }),
            _ => Ok(()),
        }
    }

    /// What the source has ready; empty at its end.
    fn ready(&mut self, expected: &'static str) -> Result<&[u8], Error> {
        let offset = self.offset;
        loop {
            match self.source.fill_buf() {
                Ok(_) => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::Io { offset, expected, source }),
            }
        }
        Ok(self.source.buffer())
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self, expected: &'static str) -> Result<[u8; N], Error> {
        let array = self.take(expected)?;
        self.write(&array)?;
        Ok(array)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.copy.write_all(bytes).map_err(not_copied(self.offset))
    }

    /// The next `N` bytes, which are not copied.
    fn take<const N: usize>(&mut self, expected: &'static str) -> Result<[u8; N], Error> {
        self.must_hold(N as u64, expected)?;
        if let Some(array) = self.source.buffer().first_chunk::<N>().copied() {
            self.source.consume(N);
            self.offset += N as u64;
            return Ok(array);
        }
        let mut array = [0; N];
        self.fill(&mut array, expected)?;
        Ok(array)
    }

    fn fill(&mut self, into: &mut [u8], expected: &'static str) -> Result<(), Error> {
        let needed = into.len();
        let mut rest = into;
        while !rest.is_empty() {
            let ready = self.ready(expected)?;
            let n = ready.len().min(rest.len());
            if n == 0 {
                let left = (needed - rest.len()) as u64;
                return Err(Error::Truncated { offset: self.offset, expected, needed: needed as u64, left });
            }
            let (now, later) = rest.split_at_mut(n);
            now.copy_from_slice(ready.get(..n).unwrap_or_default());
            self.source.consume(n);
            rest = later;
        }
        self.offset += needed as u64;
        Ok(())
    }

    /// Passes over bytes that nobody needs, unless they are copied.
    pub fn skip(&mut self, needed: u64, expected: &'static str) -> Result<(), Error> {
        self.must_hold(needed, expected)?;
        let mut left = needed;
        while left > 0 {
            let ready = self.ready(expected)?.len();
            if ready == 0 {
                return Err(Error::Truncated { offset: self.offset, expected, needed, left: needed - left });
            }
            let n = usize::try_from(left).map_or(ready, |left| left.min(ready));
            let skipped = self.source.buffer().get(..n).unwrap_or_default();
            self.copy.write_all(skipped).map_err(not_copied(self.offset))?;
            self.source.consume(n);
            left -= n as u64;
        }
        self.offset += needed;
        Ok(())
    }

    pub fn u8(&mut self, expected: &'static str) -> Result<u8, Error> {
        self.array(expected).map(u8::from_be_bytes)
    }

    pub fn i32(&mut self, expected: &'static str) -> Result<i32, Error> {
        self.array(expected).map(i32::from_be_bytes)
    }

    pub fn i64(&mut self, expected: &'static str) -> Result<i64, Error> {
        self.array(expected).map(i64::from_be_bytes)
    }

    /// A size in bytes, or another number that is never below zero.
    pub fn size(&mut self, expected: &'static str) -> Result<u64, Error> {
        let offset = self.offset;
        let found = self.i64(expected)?;
        u64::try_from(found).map_err(|_| Error::Negative { offset, expected, found })
    }

    /// A count or length that is never below zero.
    pub fn count(&mut self, expected: &'static str) -> Result<u32, Error> {
        let offset = self.offset;
        let found = self.i32(expected)?;
        u32::try_from(found).map_err(|_| Error::Negative { offset, expected, found: found.into() })
    }

    /// A count of things of which each takes at least `each` bytes: no more than the file has room for.
    pub fn count_of(&mut self, each: u64, expected: &'static str) -> Result<u32, Error> {
        let count = self.count(expected)?;
        self.must_hold(u64::from(count) * each, expected)?;
        Ok(count)
    }

    /// A flag that Flink writes as a whole number.
    pub fn flag(&mut self, expected: &'static str) -> Result<bool, Error> {
        let offset = self.offset;
        match self.i32(expected)? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(Error::Value { offset, expected, found: found.into() }),
        }
    }

    /// A text, as `DataOutput.writeUTF` of Java writes it, in place of what `into` held.
    pub fn text(&mut self, into: &mut String, expected: &'static str) -> Result<(), Error> {
        self.path(into, expected)?;
        self.put(None)
    }

    /// As [`Input::text`]. [`Input::put`] follows, which says what is copied in its place.
    pub fn path(&mut self, into: &mut String, expected: &'static str) -> Result<(), Error> {
        let length = u16::from_be_bytes(self.take(expected)?);
        let offset = self.offset;
        self.must_hold(length.into(), expected)?;
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.resize(length.into(), 0);
        let read = self.fill(&mut bytes, expected);
        into.clear();
        let decoded = read.and_then(|()| decode(&bytes, into).ok_or(Error::Text { offset, expected }));
        self.bytes = bytes;
        decoded
    }

    /// Copies the text that was read last: another one in its place, or `None`: its own bytes.
    pub fn put(&mut self, instead: Option<&str>) -> Result<(), Error> {
        let mut bytes = std::mem::take(&mut self.bytes);
        if let Some(text) = instead {
            bytes.clear();
            encode(text, &mut bytes);
        }
        let too_long = |_| io::Error::new(ErrorKind::InvalidInput, "the text is too long");
        let length = u16::try_from(bytes.len()).map_err(too_long).map_err(not_copied(self.offset))?;
        self.write(&length.to_be_bytes())?;
        self.write(&bytes)?;
        self.bytes = bytes;
        Ok(())
    }

    /// Passes over a text.
    pub fn skip_text(&mut self, expected: &'static str) -> Result<(), Error> {
        let length = u16::from_be_bytes(self.array(expected)?);
        self.skip(length.into(), expected)
    }

    /// All that is left, of which there may be `limit` bytes at most.
    pub fn rest(&mut self, limit: usize, expected: &'static str) -> Result<Vec<u8>, Error> {
        let mut rest = Vec::new();
        loop {
            let ready = self.ready(expected)?;
            let n = ready.len();
            if n == 0 {
                break;
            }
            if rest.len() + n > limit {
                return Err(Error::Trailing { offset: self.offset + (limit - rest.len()) as u64 });
            }
            rest.extend_from_slice(ready);
            let read = self.source.buffer();
            self.copy.write_all(read).map_err(not_copied(self.offset))?;
            self.source.consume(n);
            self.offset += n as u64;
        }
        self.end()?;
        Ok(rest)
    }

    /// There are no bytes at all.
    pub fn is_empty(&mut self) -> Result<bool, Error> {
        Ok(self.offset == 0 && self.ready("Flink's magic number")?.is_empty())
    }

    /// Fails if there is more, or if there should be; the copy is complete.
    pub fn end(&mut self) -> Result<(), Error> {
        let offset = self.offset;
        if !self.ready("the end of the file")?.is_empty() {
            return Err(Error::Trailing { offset });
        }
        match self.length {
            Some(length) if length > offset => {
                Err(Error::Truncated { offset, expected: "the file's known length", needed: length - offset, left: 0 })
            }
            _ => self.copy.flush().map_err(not_copied(offset)),
        }
    }
}

/// Ends the reading. Whoever gave the place for the copy knows better what is wrong with it.
fn not_copied(offset: u64) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { offset, expected: "a place for its copy", source }
}

/// Appends text from Java's modified UTF-8: NUL is two bytes, a character beyond the first 65,536 is a pair of
/// surrogates of three bytes each. Half of such a pair, which Java allows, becomes U+FFFD. `None`: malformed.
pub(super) fn decode(bytes: &[u8], into: &mut String) -> Option<()> {
    // Without NUL and surrogates it is UTF-8, which is nearly always so.
    if let Ok(text) = std::str::from_utf8(bytes) {
        into.push_str(text);
        return Some(());
    }
    let mut units = Vec::new();
    let mut rest = bytes.iter().map(|byte| u16::from(*byte));
    while let Some(first) = rest.next() {
        let mut more = || rest.next().filter(|next| next & 0xc0 == 0x80).map(|next| next & 0x3f);
        units.push(match first {
            0..0x80 => first,
            0xc0..0xe0 => (first & 0x1f) << 6 | more()?,
            0xe0..0xf0 => (first & 0x0f) << 12 | more()? << 6 | more()?,
            _ => return None,
        });
    }
    into.extend(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
    Some(())
}

/// Appends text as Java's modified UTF-8.
pub(super) fn encode(text: &str, into: &mut Vec<u8>) {
    for c in text.chars() {
        match c {
            '\0' => into.extend([0xc0, 0x80]),
            '\u{1}'..='\u{ffff}' => into.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let [high, low] = unit.to_be_bytes();
                    into.extend([0xe0 | high >> 4, 0x80 | (high & 0x0f) << 2 | low >> 6, 0x80 | low & 0x3f]);
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
