//! The parts of the process, which live and die together: it never runs on with one dead controller.

use std::{collections::HashMap, time::Duration};

use tokio::task::{Id, JoinError, JoinSet};

use super::{Error, shutdown::Shutdown};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// A set of named tasks. Dropped, it aborts them.
#[derive(Debug, Default)]
pub struct Tasks {
    set: JoinSet<Outcome>,
    names: HashMap<Id, &'static str>,
}

impl Tasks {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task. It may end only once the shutdown is requested.
    pub fn spawn<E>(&mut self, name: &'static str, task: impl Future<Output = Result<(), E>> + Send + 'static)
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let handle = self.set.spawn(async move { task.await.map_err(Into::into) });
        self.names.insert(handle.id(), name);
    }

    /// Waits until the shutdown is requested, then until all tasks have ended, for at most `grace`. A task that ends before requests
    /// the shutdown itself.
    ///
    /// # Errors
    /// [`Error::TaskEnded`], [`Error::TaskFailed`], [`Error::TaskPanicked`]: the first task that did. [`Error::StillRunning`]: some did not
    /// end in time; they are aborted, but a call of theirs may still take effect.
    pub async fn run(mut self, stop: &Shutdown, grace: Duration) -> Result<(), Error> {
        let mut outcome = tokio::select! {
            biased;
            () = stop.requested() => Ok(()),
            Some((name, ended)) = self.next() => Err(failure(name, ended).unwrap_or(Error::TaskEnded { name })),
        };
        if let Err(error) = &outcome {
            tracing::error!(%error, "shutting down");
            stop.trigger();
        }
        let in_time = tokio::time::timeout(grace, async {
            while let Some((name, ended)) = self.next().await {
                if let Some(error) = failure(name, ended) {
                    tracing::error!(%error, "failed while shutting down");
                    if outcome.is_ok() {
                        outcome = Err(error);
                    }
                }
            }
        })
        .await;
        if in_time.is_err() {
            let mut names: Vec<_> = self.names.into_values().collect();
            names.sort_unstable();
            return Err(Error::StillRunning { names, grace });
        }
        outcome
    }

    /// The next task that ends. Loses nothing when it is dropped half-way.
    async fn next(&mut self) -> Option<(&'static str, Result<Outcome, JoinError>)> {
        let (id, ended) = match self.set.join_next_with_id().await? {
            Ok((id, outcome)) => (id, Ok(outcome)),
            Err(error) => (error.id(), Err(error)),
        };
        Some((self.names.remove(&id).unwrap_or("a task"), ended))
    }
}

fn failure(name: &'static str, ended: Result<Outcome, JoinError>) -> Option<Error> {
    match ended {
        Ok(Ok(())) => None,
        Ok(Err(source)) => Some(Error::TaskFailed { name, source }),
        Err(_) => Some(Error::TaskPanicked { name }),
    }
}

#[cfg(test)]
#[path = "tasks_tests.rs"]
mod tests;
