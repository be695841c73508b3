//! From a body that arrives to a reader that waits, and back.

use std::io::{self, Read, Write};

use bytes::Bytes;
use tokio::sync::mpsc::{Receiver, Sender};

/// Reads what is sent, to its end. Waits, so it belongs on a thread that may.
pub(super) struct Chunks {
    source: Receiver<Bytes>,
    now: Bytes,
}

impl Chunks {
    pub fn new(source: Receiver<Bytes>) -> Self {
        Self { source, now: Bytes::new() }
    }
}

impl Read for Chunks {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.now.is_empty() {
            match self.source.blocking_recv() {
                Some(next) => self.now = next,
                None => return Ok(0),
            }
        }
        let n = self.now.len().min(into.len());
        let now = self.now.split_to(n);
        into.get_mut(..n).unwrap_or_default().copy_from_slice(&now);
        Ok(n)
    }
}

/// Sends what is written. Waits, so it belongs on a thread that may.
pub(super) struct Outlet(Sender<Bytes>);

impl Outlet {
    pub fn new(target: Sender<Bytes>) -> Self {
        Self(target)
    }
}

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.blocking_send(Bytes::copy_from_slice(bytes)).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Knows how much was read.
pub(super) struct Counted<R> {
    source: R,
    pub read: u64,
    /// The source came to its end.
    pub ended: bool,
}

impl<R> Counted<R> {
    pub fn new(source: R) -> Self {
        Self { source, read: 0, ended: false }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(into)?;
        self.read += n as u64;
        self.ended |= n == 0 && !into.is_empty();
        Ok(n)
    }
}
