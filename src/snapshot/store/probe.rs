//! Whether a store can be used.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::time::SystemTime;

use chrono::TimeDelta;
use futures::{StreamExt as _, TryStreamExt as _, pin_mut};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt as _, PutPayload};

use super::error::StoreError;
use super::open::{Server, Store};
use super::settings::Access;

/// What the probe writes.
const CONTENT: &[u8] = b"Written by flink-savepoint-operator to see whether it can write here. It may be deleted.\n";

/// No probe takes longer: four calls, each with a limit of its own.
const LONGEST: TimeDelta = TimeDelta::seconds(120);
/// Objects of probes that are looked at in one.
const AT_ONCE: usize = 100;

/// A step of the probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeStep {
    /// An object of its own is written.
    Write,
    /// And read back.
    Read,
    /// The store is listed.
    List,
    /// The object is deleted.
    Delete,
}

impl fmt::Display for ProbeStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Write => "write",
            Self::Read => "read",
            Self::List => "list",
            Self::Delete => "delete",
        })
    }
}

/// What a store can't be used for.
#[derive(Debug, thiserror::Error)]
#[error("the store can't {step}: {source}")]
pub struct ProbeError {
    /// The first step that failed.
    pub step: ProbeStep,
    /// Why.
    pub source: StoreError,
}

impl ProbeError {
    /// A stable word for conditions, Events and metric labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.source.reason()
    }

    /// Another attempt may go well, with nothing corrected.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.source.is_transient()
    }
}

fn at(step: ProbeStep) -> impl FnOnce(StoreError) -> ProbeError {
    move |source| ProbeError { step, source }
}

impl Store {
    /// Uses the store once. With [`Access::ReadWrite`]: writes an object `.flink-savepoint-operator-probe-…` of its own, reads it, lists the store, and deletes the object, whatever became of the two steps before; and those that probes before it have left, whose process was killed. With
    /// [`Access::ReadOnly`]: lists.
    ///
    /// # Errors
    /// [`ProbeError`], of the first step that failed.
    pub async fn probe(&self) -> Result<(), ProbeError> {
        if self.access() == Access::ReadOnly {
            self.directory_exists().await.map_err(at(ProbeStep::List))?;
            return self.first_page().await.map_err(at(ProbeStep::List));
        }
        self.directory_exists().await.map_err(at(ProbeStep::Write))?;
        // Not in a directory of its own: servers that keep objects as files remove an empty one, and with it what another
        // probe is about to write.
        let place = format!("{}/.flink-savepoint-operator-probe", self.url().trim_end_matches('/'));
        // Messages name it without the number, so that the same failure always has the same one.
        let (own, mark) = (Self::key(self.url()), Self::key(&place));
        let (own, mark) = own.and_then(|own| Ok((own, mark?))).map_err(at(ProbeStep::Write))?;
        let key = Self::key(&format!("{place}-{:016x}", random())).map_err(at(ProbeStep::Write))?;
        let content = PutPayload::from_static(CONTENT);
        if let Err(error) = self.within(&place, self.objects().put(&key, content)).await {
            // It may have been written all the same. Nobody waits for that: a server that is silent is so for this, too.
            if matches!(error, StoreError::TimedOut { .. } | StoreError::ConnectionCut { .. }) {
                let store = self.clone();
                tokio::spawn(async move { store.delete(&place, &key).await.ok() });
            }
            return Err(at(ProbeStep::Write)(error));
        }
        let read = self.read_back(&place, &key).await.map_err(at(ProbeStep::Read));
        let used = match read {
            Ok(()) => self.probes(&own, &mark).await.map_err(at(ProbeStep::List)),
            failed => failed.map(|()| Vec::new()),
        };
        if let Ok(probes) = &used {
            for left in left_behind(probes, &key) {
                self.delete(&place, left).await.ok();
            }
        }
        let deleted = self.delete(&place, &key).await.map_err(at(ProbeStep::Delete));
        used.and(deleted)
    }

    /// The objects of probes, by listing the store from where they are.
    async fn probes(&self, directory: &Path, mark: &Path) -> Result<Vec<ObjectMeta>, StoreError> {
        let is_probe = |file: &ObjectMeta| file.location.as_ref().starts_with(mark.as_ref());
        if matches!(self.server(), Server::Files(_)) {
            let listed = self.within(self.url(), self.objects().list_with_delimiter(Some(directory))).await?;
            return Ok(listed.objects.into_iter().filter(is_probe).collect());
        }
        let mut pages = self.objects().list_with_offset(Some(directory), mark);
        let mut probes = Vec::new();
        while let Some(file) = self.within(self.url(), async { pages.next().await.transpose() }).await? {
            if !is_probe(&file) || probes.len() >= AT_ONCE {
                break;
            }
            probes.push(file);
        }
        Ok(probes)
    }

    async fn read_back(&self, place: &str, key: &Path) -> Result<(), StoreError> {
        let read = self.within(place, async { self.objects().get(key).await?.bytes().await }).await?;
        if read == CONTENT {
            return Ok(());
        }
        Err(StoreError::ShortRead { place: place.to_owned(), promised: CONTENT.len() as u64, read: read.len() as u64 })
    }

    async fn delete(&self, place: &str, key: &Path) -> Result<(), StoreError> {
        self.within(place, self.objects().delete(key)).await
    }

    async fn first_page(&self) -> Result<(), StoreError> {
        self.exists_below(self.url()).await.map(|_| ())
    }

    /// A volume that is not mounted would look like an empty store, and a write would make the directory.
    pub(super) async fn directory_exists(&self) -> Result<(), StoreError> {
        let Server::Files(directory) = self.server() else { return Ok(()) };
        let directory: PathBuf = directory.clone();
        let looking = async {
            let looked = tokio::task::spawn_blocking(move || std::fs::read_dir(directory).map(|_| ())).await;
            Ok(looked.map_err(std::io::Error::other).flatten())
        };
        let looked = self.within(self.url(), looking).await?;
        looked.map_err(|source| StoreError::Io { place: self.url().to_owned(), source })
    }

    /// There is a file at a location below this one. Its own existence does not count.
    ///
    /// # Errors
    /// [`StoreError`] if the store can't be asked.
    pub async fn exists_below(&self, directory: &str) -> Result<bool, StoreError> {
        let directory = crate::flink::location::normalise(directory);
        let own = Self::key(&directory)?;
        let listed = self.list(&directory)?;
        pin_mut!(listed);
        while let Some(file) = listed.try_next().await? {
            // Some tools write an empty object in place of a directory.
            if file.location != own {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Those of processes that died in the middle: far older than this one, by the store's own clock.
fn left_behind<'a>(probes: &'a [ObjectMeta], own: &Path) -> impl Iterator<Item = &'a Path> {
    let now = probes.iter().find(|probe| probe.location == *own).map(|probe| probe.last_modified);
    let old = move |probe: &&ObjectMeta| now.is_some_and(|now| now - probe.last_modified > LONGEST);
    probes.iter().filter(old).map(|probe| &probe.location)
}

/// Another number each time, and in each process.
fn random() -> u64 {
    RandomState::new().hash_one(SystemTime::now())
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
