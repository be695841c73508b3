//! The controllers and the one node of a Kubernetes cluster, and Flink's processes in its pods: what makes Flink
//! clusters of StatefulSets, Deployments and ConfigMaps.
//!
//! As in [`crate::flink`] nothing runs by itself: what is due happens, in the order of its time, when
//! [`Workload::settle`] is called, or at its very moment where somebody awaits [`Workload::run`].
//!
//! Simpler than in Kubernetes: a Deployment has its pods without a ReplicaSet between them and replaces all at once when
//! its template changes, a StatefulSet never does (`OnDelete`), and each pod has an address of its own for ever. Of a JobManager's container that is killed the second death would wait for
//! 10 s; here each waits for the same time.

mod controllers;
mod hands;
mod high_availability;
mod node;
mod settings;
mod state;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

pub use self::settings::{Ended, Jars, Settings};

use self::state::{Seen, State};
use crate::flink::{Cluster, Down};
use crate::kube::ApiServer;

/// What happens in a cluster by itself. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Workload(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    /// What was written since the controllers looked last.
    inbox: Arc<Mutex<Vec<Seen>>>,
    /// Something new may be due.
    changed: Arc<Notify>,
}

impl fmt::Debug for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workload").finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Workload {
    /// The controllers and the node of an API server that has no workload yet.
    #[must_use]
    pub fn new(server: &ApiServer, settings: Settings) -> Self {
        let inbox: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let changed = Arc::new(Notify::new());
        let (seen, wake) = (inbox.clone(), changed.clone());
        server.on_change(Box::new(move |change| {
            locked(&seen).extend(Seen::of(change));
            wake.notify_one();
        }));
        Self(Arc::new(Inner { state: Mutex::new(State::new(server.clone(), settings)), inbox, changed }))
    }

    /// Does what is due.
    ///
    /// # Errors
    /// The store refuses a file.
    pub async fn settle(&self) -> object_store::Result<()> {
        loop {
            // Jobs first: they may have ended before the process does that is due now.
            for cluster in self.clusters() {
                cluster.settle().await?;
            }
            let mut state = self.state();
            // What follows from it may be written at once, and is in the next.
            let seen = std::mem::take(&mut *locked(&self.0.inbox));
            state.take_in(seen);
            state.leaders_write();
            if !state.next() {
                return Ok(());
            }
        }
    }

    /// Does all that becomes due, at its moment, for ever; `after` is called when some of it was done, and when
    /// something was written or asked for.
    ///
    /// # Errors
    /// The store refuses a file.
    pub async fn run(&self, mut after: impl AsyncFnMut()) -> object_store::Result<()> {
        loop {
            self.settle().await?;
            after().await;
            let next = self.next_event();
            let due = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                () = self.0.changed.notified() => {}
            }
        }
    }

    /// What a request to a process in a pod is answered with: the host is the pod's address.
    ///
    /// # Errors
    /// Nobody listens there, or answers.
    pub async fn handle(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Down> {
        let cluster = self.state().listener(request.uri().host().unwrap_or_default())?;
        let answer = cluster.handle(request).await;
        self.0.changed.notify_one();
        answer
    }

    /// The Flink clusters so far, those without processes too.
    #[must_use]
    pub fn clusters(&self) -> Vec<Cluster> {
        self.state().clusters()
    }

    /// `kill -9` of the process in a pod's container. The node starts it again.
    pub fn kill_container(&self, pod: &str) {
        self.state().kill_container(pod);
        self.0.changed.notify_one();
    }

    fn next_event(&self) -> Option<Instant> {
        let own = self.state().next_event();
        self.clusters().iter().filter_map(Cluster::next_event).chain(own).min()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.0.state)
    }
}
