//! How far something is.

/// How far something is; for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// `_metadata` is being read.
    Metadata {
        /// Bytes read.
        read: u64,
        /// Its length in bytes, where it is known.
        of: Option<u64>,
    },
    /// The snapshot's directory is being listed.
    Listed {
        /// Files of the snapshot seen so far.
        files: u64,
        /// Files that it should hold.
        of: u64,
    },
    /// Files outside of the directory are being asked for.
    Asked {
        /// Files asked for so far.
        files: u64,
        /// Files to ask for.
        of: u64,
    },
}

/// Who is told.
pub type OnProgress<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// Tells nobody.
pub fn quietly<P: Copy>(_: P) {}
