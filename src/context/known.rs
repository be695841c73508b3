//! What the process knows by its watches, for what may be a moment old.

use std::sync::{Arc, OnceLock};

use futures::FutureExt as _;
use kube::runtime::reflector::Store;

use crate::api::{FlinkJobUpgrade, FlinkSavepoint};

/// The resources of the controllers' own watches. Nothing that can't be undone is decided by them.
#[derive(Debug, Default)]
pub struct Known {
    jobs: OnceLock<Store<FlinkJobUpgrade>>,
    savepoints: OnceLock<Store<FlinkSavepoint>>,
}

impl Known {
    /// These are the FlinkJobUpgrades. Only the first call counts.
    pub fn keep_jobs(&self, store: Store<FlinkJobUpgrade>) {
        drop(self.jobs.set(store));
    }

    /// These are the FlinkSavepoints. Only the first call counts.
    pub fn keep_savepoints(&self, store: Store<FlinkSavepoint>) {
        drop(self.savepoints.set(store));
    }

    /// All FlinkJobUpgrades; `None` before their first list is complete.
    #[must_use]
    pub fn jobs(&self) -> Option<Vec<Arc<FlinkJobUpgrade>>> {
        all(&self.jobs)
    }

    /// All FlinkSavepoints; `None` before their first list is complete.
    #[must_use]
    pub fn savepoints(&self) -> Option<Vec<Arc<FlinkSavepoint>>> {
        all(&self.savepoints)
    }
}

fn all<K>(kept: &OnceLock<Store<K>>) -> Option<Vec<Arc<K>>>
where
    K: kube::runtime::reflector::Lookup<DynamicType: Eq + std::hash::Hash + Clone> + Clone + 'static,
{
    let store = kept.get()?;
    store.wait_until_ready().now_or_never()?.ok()?;
    Some(store.state())
}
