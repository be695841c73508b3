//! A `_metadata` copied, with other paths in it.

use std::io::{self, BufWriter, Read, Write};

use super::error::Error;
use super::event::Event;
use super::input::{Input, encode};
use super::reader::Reader;

/// One write of the copy, in bytes.
const BUFFER: usize = 64 * 1024;

/// Why there is no copy of a `_metadata`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RewriteError {
    /// It can't be read.
    #[error(transparent)]
    Metadata(#[from] Error),
    /// The copy could not be written.
    #[error("the copy of `_metadata` can't be written: {source}")]
    Write {
        /// Why not.
        source: io::Error,
    },
    /// A path takes more bytes than Java can write.
    #[error("{begin:?}… takes {length} bytes, and a path in `_metadata` has at most 65535: choose a shorter one")]
    PathTooLong {
        /// Its first 100 characters.
        begin: String,
        /// Its length, in bytes of Java's modified UTF-8.
        length: usize,
    },
}

impl RewriteError {
    /// A stable word for conditions, Events and metric labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Metadata(error) => error.reason(),
            Self::Write { .. } => "MetadataUnwritable",
            Self::PathTooLong { .. } => "PathTooLong",
        }
    }

    /// Another attempt may go well, with nothing corrected.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Metadata(error) => error.is_transient(),
            Self::Write { .. } => true,
            Self::PathTooLong { .. } => false,
        }
    }
}

/// Copies a `_metadata` as it is read, byte by byte the same but for the paths that `on` replaces. `length` is that of
/// `source` in bytes, where it is known.
///
/// `on` is called as by [`read`](super::read). What it answers to an [`Event::Directory`], or to an [`Event::File`] that
/// is not [`Relative`](super::FileForm::Relative), is written in place of the path; `None` leaves the path as it is, and
/// the answer to any other event is not looked at. A relative path stays: the file keeps its place in the directory.
///
/// The names that Flink gives to state within `_metadata` stay, too. Some look like paths, but no file is read by them.
///
/// Takes as much memory as [`read`](super::read) does, and 64 KiB for what is written.
///
/// # Errors
/// [`RewriteError`], or what `on` returns. What `copy` got by then is no `_metadata`, and must be thrown away.
pub fn rewrite<R, W, F, E>(source: R, length: Option<u64>, copy: W, mut on: F) -> Result<(), E>
where
    R: Read,
    W: Write,
    F: FnMut(Event<'_>) -> Result<Option<String>, E>,
    E: From<RewriteError>,
{
    let mut copy = BufWriter::with_capacity(BUFFER, Copying { to: copy, failed: None });
    let copied = Reader::new(Input::copying(source, length, &mut copy), |event: Event<'_>| {
        let path = on(event).map_err(End::Caller)?;
        if let Some(path) = &path {
            may_stand(path).map_err(|error| End::Caller(error.into()))?;
        }
        Ok(path)
    })
    .file();
    copied.map_err(|end| match (end, copy.get_mut().failed.take()) {
        (End::Caller(error), _) => error,
        (End::Metadata(_), Some(source)) => RewriteError::Write { source }.into(),
        (End::Metadata(error), None) => RewriteError::from(error).into(),
    })
}

/// What ends the copying.
enum End<E> {
    Metadata(Error),
    Caller(E),
}

impl<E> From<Error> for End<E> {
    fn from(error: Error) -> Self {
        Self::Metadata(error)
    }
}

/// Remembers why it could not be written to.
struct Copying<W> {
    to: W,
    failed: Option<io::Error>,
}

impl<W> Copying<W> {
    fn remember<T>(&mut self, done: io::Result<T>) -> io::Result<T> {
        done.map_err(|error| {
            let kind = error.kind();
            if kind != io::ErrorKind::Interrupted {
                self.failed.get_or_insert(error);
            }
            kind.into()
        })
    }
}

impl<W: Write> Write for Copying<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let done = self.to.write(bytes);
        self.remember(done)
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = self.to.flush();
        self.remember(done)
    }
}

fn may_stand(path: &str) -> Result<(), RewriteError> {
    // No character takes more than twice its bytes in UTF-8.
    if path.len() <= usize::from(u16::MAX) / 2 {
        return Ok(());
    }
    let mut bytes = Vec::new();
    encode(path, &mut bytes);
    if u16::try_from(bytes.len()).is_ok() {
        return Ok(());
    }
    Err(RewriteError::PathTooLong { begin: path.chars().take(100).collect(), length: bytes.len() })
}

#[cfg(test)]
#[path = "rewrite_tests.rs"]
mod tests;
