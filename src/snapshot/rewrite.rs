//! A `_metadata` copied, with other paths in it.

use std::io::{BufWriter, Read, Write};

use super::error::Error;
use super::event::Event;
use super::input::Input;
use super::reader::Reader;

/// One write of the copy, in bytes.
const BUFFER: usize = 64 * 1024;

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
/// What is wrong with the file, as [`Error`], [`Error::Write`] if the copy can't be written, or what `on` returns. What
/// `copy` got by then is no `_metadata`, and must be thrown away.
pub fn rewrite<R, W, F, E>(source: R, length: Option<u64>, copy: W, on: F) -> Result<(), E>
where
    R: Read,
    W: Write,
    F: FnMut(Event<'_>) -> Result<Option<String>, E>,
    E: From<Error>,
{
    let copy = BufWriter::with_capacity(BUFFER, copy);
    Reader::new(Input::copying(source, length, copy), on).file()
}

#[cfg(test)]
#[path = "rewrite_tests.rs"]
mod tests;
