//! Places that snapshots lie in: S3 and the file system.
//!
//! - [`Store`] is opened from [`Settings`], and [`Store::probe`] says whether it can be used;
//! - [`load`] finds a snapshot and reads its `_metadata`, as it arrives;
//! - [`verify`] looks whether every file that a snapshot names is there;
//! - [`copy`](copy()) copies one to a directory of its own;
//! - [`Store::dispose`] deletes a snapshot.
//!
//! No rights are used but those given, nothing waits without a limit, and no message holds a secret.

mod attempts;
mod chunks;
mod classify;
mod copy;
mod dispose;
mod error;
mod file;
pub(crate) mod http;
mod load;
mod local;
mod open;
mod probe;
mod progress;
mod retained;
mod settings;
mod tree;
mod verify;

pub use attempts::Left;
pub use copy::{Copied, CopyError, CopyProgress, OnCopyProgress, copy};
pub use dispose::{Amount, Contents, DisposeError};
pub use error::{LoadError, StoreError};
pub use load::{Snapshot, load};
pub use open::{Store, Stores};
pub use probe::{ProbeError, ProbeStep};
pub use progress::{OnProgress, Progress, quietly};
pub use settings::{Access, Credentials, Patience, Settings};
pub use verify::{FileFault, Verification, verify};

#[cfg(test)]
pub(crate) mod stub_s3;
#[cfg(test)]
pub(crate) mod testing;
