//! The cluster, as tests have it in their hands.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use object_store::ObjectStoreExt as _;
use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::time::Instant;

use super::files::key;
use super::http_answer::Answer;
use super::job::Restored;
use super::process::Phase;
use super::requests::Call;
use super::settings::{JobScript, Settings};
use super::snapshots::{METADATA, checkpoint_id};
use super::state::{Due, State};

/// Why a request has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Down {
    /// Nobody listens: the JobManager's process is dead.
    #[error("connection refused: the JobManager's process is dead")]
    Dead,
    /// No way leads there: no connection is made.
    #[error("no route to host")]
    CutOff,
    /// It is received, by a process that is stopped: whatever it asks for is done once that goes on.
    #[error("no answer within the time: the JobManager's process is stopped")]
    Stopped,
}

/// What a test does as the `_metadata` of a savepoint has been written.
type OnMetadata = Arc<dyn Fn(&Cluster, &str) + Send + Sync>;

/// A Flink session cluster. Cheap to clone; all clones are one cluster.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    hooks: Mutex<Vec<OnMetadata>>,
    /// Held while files are written, so that they are in their order.
    files: AsyncMutex<()>,
    /// Something new may be due.
    changed: Notify,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cluster").field(&*self.state()).finish()
    }
}

impl Cluster {
    /// A cluster that has just become ready.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Inner {
            state: Mutex::new(State::new(settings)),
            hooks: Mutex::default(),
            files: AsyncMutex::default(),
            changed: Notify::new(),
        }))
    }

    /// A cluster none of whose processes was ever started.
    #[must_use]
    pub fn without_processes(settings: Settings) -> Self {
        let cluster = Self::new(Settings { task_managers: 0, ..settings });
        {
            let mut state = cluster.state();
            state.instance = 0;
            state.phase = Phase::Dead;
        }
        cluster
    }

    /// What a request to the JobManager is answered with.
    ///
    /// # Errors
    /// Nobody listens, or answers.
    pub async fn handle(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Down> {
        let failed = |error| Ok(Answer::server_error(&format!("java.io.IOException: {error}")).into());
        if let Err(error) = self.settle().await {
            return failed(error);
        }
        if let Some(stopped) = &mut self.state().stopped {
            stopped.requests.push(request);
            return Err(Down::Stopped);
        }
        let answer = self.answer(&request).await?;
        // What a request does to files is done with its answer.
        match self.settle().await {
            Ok(()) => Ok(answer.into()),
            Err(error) => failed(error),
        }
    }

    async fn answer(&self, request: &http::Request<Bytes>) -> Result<Answer, Down> {
        let call = Call::of(request);
        let snapshot = match call.as_ref().ok().and_then(Call::savepoint_path) {
            Some(path) => self.checkpoint_id(path).await,
            None => None,
        };
        self.changing().answer(call, snapshot).ok_or(Down::Dead)
    }

    /// Does what is due, files included.
    ///
    /// # Errors
    /// The store refuses a file.
    pub async fn settle(&self) -> object_store::Result<()> {
        drop(self.current());
        let late = std::mem::take(&mut self.state().late_requests);
        for request in late {
            // Nobody waits for the answer any more.
            let _ = self.answer(&request).await;
        }
        let _order = self.0.files.lock().await;
        let storage = self.state().settings.storage.clone();
        loop {
            let effect = self.state().outbox.pop_front();
            match effect {
                Some(effect) => effect.apply(&*storage).await?,
                None => return Ok(()),
            }
        }
    }

    /// Does all that becomes due, at its moment, for ever: for tests that look at files without asking the cluster.
    ///
    /// # Errors
    /// The store refuses a file.
    pub async fn run(&self) -> object_store::Result<()> {
        loop {
            self.settle().await?;
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

    /// Submits a job that starts with no state, as `/jars/:id/run` does.
    pub fn start_job(&self, id: &str, job: JobScript) {
        self.changing().submit(id, job, None);
    }

    /// Submits a job that starts from a snapshot; `is_savepoint` is false under the claim mode `CLAIM`.
    pub fn start_job_from(&self, id: &str, job: JobScript, location: &str, checkpoint: i64, is_savepoint: bool) {
        let mut state = self.changing();
        let at = state.timestamp();
        state.submit(id, job, Some(Restored { id: checkpoint, at, is_savepoint, location: location.to_owned() }));
    }

    /// Ends the backpressure of a job.
    pub fn release(&self, job: &str) {
        self.changing().release(job);
    }

    /// `kill -9` of the JobManager's process; another one leads after this time.
    pub fn kill_job_manager(&self, back_after: Duration) {
        let mut state = self.changing();
        state.kill_job_manager();
        state.start_job_manager(back_after);
    }

    /// The JobManager's process is started, and leads after this time.
    pub fn start_job_manager(&self, leads_after: Duration) {
        self.changing().start_job_manager(leads_after);
    }

    /// The JobManager's process ends. `at_once`: as by `kill -9`; else it is told to, and ends its tasks first.
    pub fn end_job_manager(&self, at_once: bool) {
        let mut state = self.changing();
        if at_once {
            state.kill_job_manager();
        } else {
            state.end_job_manager();
        }
    }

    /// The JobManager's process is stopped, as by SIGSTOP, and knows nothing of it: it says nothing, and what it does by
    /// itself comes later. Its tasks go on, until they miss it.
    pub fn stop_job_manager(&self) {
        self.changing().stop_job_manager();
    }

    /// It goes on, with what was asked of it meanwhile.
    pub fn continue_job_manager(&self) {
        self.changing().continue_job_manager();
    }

    /// The process of a TaskManager is stopped, for less than the heartbeat timeout: tasks that exchange records with its
    /// own stand still as well, and no barrier gets through.
    pub fn stop_task_manager(&self, name: &str) {
        self.changing().stop_task_manager(name);
    }

    /// It goes on.
    pub fn continue_task_manager(&self, name: &str) {
        self.changing().continue_task_manager(name);
    }

    /// A TaskManager's process is started, and has registered.
    pub fn start_task_manager(&self, name: &str) {
        self.changing().start_task_manager(name);
    }

    /// A TaskManager's process ends, and its tasks with it.
    pub fn end_task_manager(&self, name: &str) {
        self.changing().end_task_manager(name);
    }

    /// The ids of the jobs that the JobManager has and that have not ended, whether their tasks run or not.
    #[must_use]
    pub fn live_jobs(&self) -> Vec<String> {
        self.current().jobs.iter().filter(|job| !job.state.is_terminal()).map(|job| job.id.clone()).collect()
    }

    /// The ids of the jobs of which it says that all their tasks run.
    #[must_use]
    pub fn running_jobs(&self) -> Vec<String> {
        self.current().jobs.iter().filter(|job| job.runs()).map(|job| job.id.clone()).collect()
    }

    /// When something happens next.
    #[must_use]
    pub fn next_event(&self) -> Option<Instant> {
        self.state().next_event()
    }

    /// `kill -9` of the process of a TaskManager that runs a task of this job; it is back after this time. False: none
    /// does.
    #[must_use]
    pub fn kill_task_manager(&self, job: &str, back_after: Duration) -> bool {
        self.changing().kill_task_manager(job, back_after)
    }

    /// Calls `hook` with the location of each savepoint as its `_metadata` has been written, before anything else
    /// happens: the JobManager does not know it to be complete yet.
    pub fn on_metadata(&self, hook: impl Fn(&Self, &str) + Send + Sync + 'static) {
        self.0.hooks.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(hook));
    }

    /// The number of the JobManager's process, the last one while none runs: rises with each.
    #[must_use]
    pub fn instance(&self) -> u32 {
        self.current().instance
    }

    /// The moments are applied up to now, with what hooks do at them.
    pub(super) fn current(&self) -> MutexGuard<'_, State> {
        loop {
            let mut state = self.state();
            match state.next() {
                Due::Nothing => return state,
                Due::Done => {}
                Due::Written(location) => {
                    state.holds_still = true;
                    drop(state);
                    let hooks = self.0.hooks.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    for hook in hooks {
                        hook(self, &location);
                    }
                    self.state().holds_still = false;
                }
            }
        }
    }

    /// As [`Cluster::current`], to change something.
    pub(super) fn changing(&self) -> MutexGuard<'_, State> {
        let state = self.current();
        // Who waits for the next event looks again as soon as the guard is gone.
        self.0.changed.notify_one();
        state
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The checkpoint id of the snapshot at a location, if there is one.
    async fn checkpoint_id(&self, location: &str) -> Option<i64> {
        let (storage, root) = {
            let state = self.state();
            (state.settings.storage.clone(), state.settings.storage_root.clone())
        };
        let directory = key(&root, location.trim_end_matches('/').trim_end_matches(METADATA))?;
        let metadata = storage.get(&directory.join(METADATA)).await.ok()?.bytes().await.ok()?;
        checkpoint_id(&metadata)
    }
}
