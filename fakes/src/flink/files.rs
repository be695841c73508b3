//! Where a cluster's files lie.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

/// What is still to be done to the store, in its order.
pub(super) type Outbox = VecDeque<FileEffect>;

/// An effect on the store.
#[derive(Debug, Clone)]
pub(super) enum FileEffect {
    /// A file is written.
    Write(Path, Bytes),
    /// A directory goes with all in it.
    Delete(Path),
}

impl FileEffect {
    pub async fn apply(self, store: &dyn ObjectStore) -> object_store::Result<()> {
        match self {
            Self::Write(path, bytes) => store.put(&path, bytes.into()).await.map(drop),
            Self::Delete(directory) => {
                let files: Vec<Path> = store
                    .list(Some(&directory))
                    .map(|file| Ok::<_, object_store::Error>(file?.location))
                    .try_collect()
                    .await?;
                for file in files {
                    store.delete(&file).await?;
                }
                Ok(())
            }
        }
    }
}

/// A location as Flink writes it: `file:/path` with one slash, no slash at the end.
pub(super) fn normal(location: &str) -> String {
    let location = location.trim_end_matches('/');
    match location.split_once(':') {
        Some(("file", path)) => format!("file:/{}", path.trim_start_matches('/')),
        Some((scheme, _)) if scheme.chars().all(char::is_alphanumeric) => location.to_owned(),
        _ => format!("file:/{}", location.trim_start_matches('/')),
    }
}

/// The scheme of a location in the normal form.
pub(super) fn scheme(location: &str) -> &str {
    location.split_once(':').map_or("file", |(scheme, _)| scheme)
}

/// The key of a location below the root; `None`: it lies elsewhere.
pub(super) fn key(root: &str, location: &str) -> Option<Path> {
    let rest = normal(location).strip_prefix(&normal(root))?.to_owned();
    (rest.is_empty() || rest.starts_with('/')).then(|| Path::from(rest))
}
