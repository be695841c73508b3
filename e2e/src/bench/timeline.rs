//! What happens to the resources of a namespace, with the moment at which it was seen. A status keeps whole seconds
//! only; the watch brings each change within a millisecond or two.

use anyhow::{Context as _, Result, bail};
use flink_savepoint_operator::api::{FlinkJobUpgrade, FlinkSavepoint};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::runtime::watcher::{self, Event};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use super::clock::now_ms;
use crate::namespace::Sandbox;

/// A resource as it was at a moment.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// A job.
    Job(Box<FlinkJobUpgrade>),
    /// A savepoint.
    Savepoint(Box<FlinkSavepoint>),
}

/// All changes of a namespace since it was opened.
pub(super) struct Timeline {
    changes: UnboundedReceiver<Result<(i64, Change)>>,
    task: JoinHandle<()>,
}

impl Timeline {
    /// Watches from now on: what is there already is not told.
    ///
    /// # Errors
    /// The API server gives no watch.
    pub async fn open(sandbox: &Sandbox) -> Result<Self> {
        let (sender, changes) = unbounded_channel();
        let jobs = watcher::watcher(sandbox.jobs(), watcher::Config::default());
        let savepoints = watcher::watcher(sandbox.savepoints(), watcher::Config::default());
        let jobs = jobs.map_ok(|event| told(event, |job| Change::Job(Box::new(job))));
        let savepoints = savepoints.map_ok(|event| told(event, |it| Change::Savepoint(Box::new(it))));
        let mut all = Box::pin(stream::select(jobs, savepoints));
        let mut listed = 0;
        while listed < 2 {
            let next = all.next().await.context("the watch ended")??;
            listed += usize::from(matches!(next, Told::Listed));
        }
        let task = tokio::spawn(async move {
            while let Some(next) = all.next().await {
                let seen = match next {
                    Ok(Told::Change(change)) => Ok((now_ms(), change)),
                    Ok(_) => continue,
                    Err(error) => Err(error.into()),
                };
                if sender.send(seen).is_err() {
                    break;
                }
            }
        });
        Ok(Self { changes, task })
    }

    /// The next change, and when it was seen, milliseconds since 1970.
    pub async fn next(&mut self, deadline: Instant) -> Result<(i64, Change)> {
        match timeout_at(deadline, self.changes.recv()).await {
            Ok(next) => next.context("the watch ended")?,
            Err(_) => bail!("nothing more happened within the deadline"),
        }
    }
}

impl Drop for Timeline {
    fn drop(&mut self) {
        self.task.abort();
    }
}

enum Told {
    Change(Change),
    Listed,
    Nothing,
}

fn told<K>(event: Event<K>, change: impl Fn(K) -> Change) -> Told {
    match event {
        Event::Apply(object) | Event::InitApply(object) => Told::Change(change(object)),
        Event::InitDone => Told::Listed,
        Event::Delete(_) | Event::Init => Told::Nothing,
    }
}
