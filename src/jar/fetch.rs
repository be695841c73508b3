//! From a source into a file.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use sha2::{Digest as _, Sha256};

use super::{Error, web};
use crate::naming;
use crate::snapshot::store::{Patience, Store};

/// Where a jar lies.
#[derive(Debug, Clone)]
pub enum Source {
    /// In a store, at this location.
    Store(Store, String),
    /// On a web server, at this address.
    Web(String),
}

impl Source {
    /// Its name in messages.
    fn place(&self) -> String {
        match self {
            Self::Store(_, location) => location.clone(),
            Self::Web(address) => web::shown(address),
        }
    }

    async fn open(&self) -> Result<BoxStream<'static, Result<Bytes, Error>>, Error> {
        Ok(match self {
            Self::Store(store, location) => store.content(location).await?.map_err(Error::from).boxed(),
            Self::Web(address) => web::open(address, &Patience::default()).await?,
        })
    }
}

/// How long is tried.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// How often, if errors pass.
    pub attempts: u32,
    /// Pause before the second attempt; each further one is twice as long.
    pub pause: Duration,
    /// For all attempts together.
    pub limit: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 5, pause: Duration::from_secs(1), limit: Duration::from_secs(600) }
    }
}

/// Fetches a jar into a file, which is there only once it is whole and has the right bytes, and returns its SHA-256 in
/// lower case. `expected`: any other is refused; its case does not count.
///
/// # Errors
/// [`Error`]; of several attempts the last one's.
pub async fn fetch(source: &Source, to: &Path, expected: Option<&str>, retry: Retry) -> Result<String, Error> {
    let attempts = async {
        let mut pause = retry.pause;
        for _ in 1..retry.attempts {
            match attempt(source, to, expected).await {
                Err(error) if error.is_transient() => {
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2);
                }
                outcome => return outcome,
            }
        }
        attempt(source, to, expected).await
    };
    let late = |_| Err(Error::TooLong { place: source.place(), limit: retry.limit });
    tokio::time::timeout(retry.limit, attempts).await.unwrap_or_else(late)
}

/// Flink sees the file under its name only: until then it is written aside.
async fn attempt(source: &Source, to: &Path, expected: Option<&str>) -> Result<String, Error> {
    let mut body = source.open().await?;
    let aside = to.with_extension("part");
    let io = |source| Error::Io { path: aside.clone(), source };
    let mut file = File::create(&aside).map_err(io)?;
    let mut hash = Sha256::new();
    while let Some(chunk) = body.try_next().await? {
        hash.update(&chunk);
        file.write_all(&chunk).map_err(io)?;
    }
    let found = naming::hex(&hash.finalize());
    if let Some(expected) = expected.filter(|expected| !found.eq_ignore_ascii_case(expected)) {
        fs::remove_file(&aside).map_err(io)?;
        let expected = expected.to_ascii_lowercase();
        return Err(Error::OtherBytes { place: source.place(), found, expected });
    }
    fs::rename(&aside, to).map_err(io)?;
    Ok(found)
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
