//! What every controller is given: all that its passes share.

mod known;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use tokio::sync::watch;

pub use self::known::Known;
use crate::flink;
use crate::runtime::Error;
use crate::runtime::backoff::Backoff;
use crate::runtime::events::Events;
use crate::runtime::lease::Claim;
use crate::runtime::metrics::Metrics;
use crate::runtime::readiness::{Pending, Readiness};
use crate::runtime::room::Room;
use crate::runtime::turns::Turns;
use crate::store::check::Checks;
use crate::store::copies::Copies;
use crate::store::open::Open;
use crate::time::Clock;

/// The largest helper jar, in bytes: a `ConfigMap` takes 1 MiB, in base64.
const HELPER_JAR_LIMIT: usize = 512 * 1024;

/// What the user has set for all controllers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The one namespace that is watched; `None`: all.
    pub namespace: Option<String>,
    /// Directories of the operator's own file system that `file://` stores may be in.
    pub local_stores: Vec<PathBuf>,
    /// The operator's own image, by which pods fetch their job's jar; `None`: that of its own pod.
    pub image: Option<String>,
    /// Snapshots of at most so many bytes are copied by the operator itself, so that its memory stays what it is.
    pub small_copy_bytes: u64,
    /// The operator's own pod, namespace and name; `None`: it runs in none.
    pub pod: Option<(String, String)>,
}

/// What every controller is given. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The client of the Kubernetes API; it retries nothing by itself.
    pub client: Client,
    /// The process' metrics.
    pub metrics: Metrics,
    /// Tells Events.
    pub events: Events,
    /// Whether, and for how long, this process leads.
    pub claim: watch::Receiver<Claim>,
    /// What `/readyz` waits for: each controller adds its watches.
    pub readiness: Readiness,
    /// The time of day.
    pub clock: Clock,
    /// How long to wait after errors, by object.
    pub backoff: Arc<Backoff>,
    /// Connections to JobManagers.
    pub flink: flink::Connector,
    /// Snapshot stores that are open.
    pub stores: Arc<Open>,
    /// Snapshots that are being read.
    pub checks: Arc<Checks>,
    /// Snapshots that are being copied.
    pub copies: Arc<Copies>,
    /// The jar with the warm-up job.
    pub helper_jar: Arc<[u8]>,
    /// Who may begin something at a foreign Flink cluster now.
    pub turns: Arc<Turns>,
    /// How many savepoints are written to each store.
    pub room: Arc<Room>,
    /// What the controllers' watches have brought.
    pub known: Arc<Known>,
    /// What the user has set.
    pub settings: Arc<Settings>,
}

impl Context {
    /// The objects of a kind that this process watches: of one namespace, or of all.
    #[must_use]
    pub fn watched<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        match &self.settings.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    /// Waits until this process leads. Standing by is being ready: `lease_seen` is done as soon as the Lease was seen in another's
    /// hands. What is returned is done once the controllers have put their watches on [`Context::readiness`].
    ///
    /// # Errors
    /// If nobody keeps the claim up to date any more.
    pub async fn until_leading(&self, lease_seen: Pending) -> Result<Pending, watch::error::RecvError> {
        let mut claim = self.claim.clone();
        if claim.wait_for(Claim::is_known).await?.is_held() {
            return Ok(lease_seen);
        }
        lease_seen.done();
        claim.wait_for(Claim::is_held).await?;
        Ok(self.readiness.wait_for("the watches of the controllers"))
    }

    /// Whether no other process can lead before a call of this duration has ended. To be asked before every irreversible effect.
    #[must_use]
    pub fn leads_for(&self, call: Duration) -> bool {
        self.claim.borrow().held_for() > call
    }
}

/// Reads the helper jar.
///
/// # Errors
/// [`Error::HelperJar`] if it can't be read, [`Error::HelperJarTooLarge`] if it can't go into a `ConfigMap`.
pub fn read_helper_jar(path: &Path) -> Result<Arc<[u8]>, Error> {
    let jar = std::fs::read(path).map_err(|source| Error::HelperJar { path: path.to_owned(), source })?;
    if jar.len() > HELPER_JAR_LIMIT {
        return Err(Error::HelperJarTooLarge { path: path.to_owned(), size: jar.len(), limit: HELPER_JAR_LIMIT });
    }
    Ok(jar.into())
}
