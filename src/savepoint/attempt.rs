//! What became of an attempt: asked of its JobManager, and where that does not know it any more, of its directory and
//! of the job's history.

use std::time::Duration;

use chrono::TimeDelta;

use super::job;
use super::observed::{Answer, Completed, Forgotten, Found, JobNow, Written};
use crate::api::{FlinkSavepoint, SavepointAttempt};
use crate::cluster::JobManager;
use crate::context::Context;
use crate::flink::{self, Checkpoint, CheckpointStatus, JobId, SavepointOperation, TriggerId, config, location};
use crate::reconcile::Error;
use crate::snapshot::store::Left;
use crate::store::check::{self, Failure};
use crate::time;

/// For so long a savepoint is followed closely: most are complete by then, and those that are not take their time.
const YOUNG: TimeDelta = TimeDelta::seconds(2);
/// How long a pass may follow.
const MOMENT: Duration = Duration::from_millis(300);
/// Flink keeps the result of a trigger for 5 minutes, if nothing else is configured.
const REMEMBERED: Duration = Duration::from_secs(240);
/// How often Flink is asked meanwhile.
const POLL: Duration = Duration::from_millis(12);

/// An attempt, and who asks.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub ctx: &'a Context,
    pub savepoint: &'a FlinkSavepoint,
    pub attempt: &'a SavepointAttempt,
}

impl Asked<'_> {
    fn namespace(&self) -> &str {
        self.savepoint.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// A cancel follows only when the files were checked.
    fn stops(&self) -> bool {
        self.savepoint.spec.then().stops()
    }

    fn age(&self) -> TimeDelta {
        let since = self.attempt.start_time.as_ref();
        since.map_or(TimeDelta::MAX, |t| self.ctx.clock.now() - time::from_k8s(t))
    }

    fn ids(&self) -> Option<(JobId, TriggerId)> {
        Some((JobId::new(&self.attempt.job_id).ok()?, TriggerId::new(&self.attempt.trigger_id).ok()?))
    }

    /// Asks until there is an end to report, but only for a moment: a job that is being stopped is down, and nothing
    /// else that a pass reads changes meanwhile.
    ///
    /// # Errors
    /// If Kubernetes can't be asked.
    pub async fn follow(self, job_manager: &JobManager) -> Result<Answer, Error> {
        let flink = job_manager.client(self.ctx);
        let moment = if self.age() < YOUNG { MOMENT } else { Duration::ZERO };
        let enough = |answer: &Result<Answer, Error>| match answer {
            Ok(Answer::InProgress(_)) => false,
            Ok(Answer::Completed(done)) => !self.stops() || !matches!(done.job, JobNow::Lives { .. }),
            _ => true,
        };
        flink::ask_until(moment, POLL, || self.ask(&flink), enough).await
    }

    async fn ask(self, flink: &flink::Client) -> Result<Answer, Error> {
        let Some((job, trigger)) = self.ids() else { return Ok(Answer::NotAsked) };
        Ok(match flink.savepoint_status(&job, &trigger).await {
            Ok(SavepointOperation::InProgress) => Answer::InProgress(self.written(flink, &job).await),
            Ok(SavepointOperation::Completed { location }) => self.completed(flink, &job, location, false).await,
            Ok(SavepointOperation::Failed { cause }) => {
                if let Some(location) = cause.savepoint_location() {
                    self.completed(flink, &job, location.to_owned(), true).await
                } else {
                    let since = self.attempt.start_time.as_ref().map(time::from_k8s).unwrap_or_default();
                    Answer::Failed { cause, harmed: job::harmed(flink, &job, since).await }
                }
            }
            Err(flink::Error::UnknownTrigger { .. } | flink::Error::JobNotFound { .. }) => {
                return self.forgotten(Some(flink), &job).await;
            }
            Err(e) => Answer::Unreachable(e.to_string()),
        })
    }

    /// How far one is that takes its time.
    async fn written(self, flink: &flink::Client, job: &JobId) -> Option<Written> {
        if self.age() < YOUNG {
            return None;
        }
        let history = flink.checkpoints(job).await.ok()?.history;
        let mine = history.into_iter().filter(under_way).max_by_key(|c| c.id)?;
        Some(Written {
            bytes: mine.checkpointed_size.or(mine.state_size).unwrap_or_default(),
            acknowledged: mine.num_acknowledged_subtasks.unwrap_or_default(),
            subtasks: mine.num_subtasks.unwrap_or_default(),
        })
    }

    async fn completed(self, flink: &flink::Client, job: &JobId, location: String, uncommitted: bool) -> Answer {
        let now = async {
            if self.stops() { job::now(self.ctx, self.namespace(), flink, job).await } else { JobNow::NotAsked }
        };
        let (job, history) = tokio::join!(now, flink.checkpoints(job));
        let newest = history.ok().and_then(|c| c.latest.savepoint);
        let newest = newest.filter(|c| c.external_path.as_deref().is_some_and(|p| location::same(p, &location)));
        Answer::Completed(Box::new(Completed {
            location,
            job,
            uncommitted,
            checkpoint_id: newest.as_ref().map(|c| c.id),
            size_bytes: newest.and_then(|c| c.state_size),
        }))
    }

    /// Nobody knows the trigger; `flink` is `None` where no JobManager is left that could.
    ///
    /// # Errors
    /// If Kubernetes can't be asked.
    pub async fn forgotten(self, flink: Option<&flink::Client>, job: &JobId) -> Result<Answer, Error> {
        let Some(flink) = flink else {
            let found = self.found(None).await?;
            let (job, remembered) = (JobNow::Gone, Duration::ZERO);
            let forgotten = Forgotten { found, in_progress: false, job, gone: true, remembered };
            return Ok(Answer::Forgotten(Box::new(forgotten)));
        };
        // The job first: one that ends meanwhile has written its savepoint before.
        let now = job::now(self.ctx, self.namespace(), flink, job).await;
        let history = match flink.checkpoints(job).await {
            Ok(checkpoints) => Some(checkpoints),
            // It is not known, or is being recovered and has no history yet.
            Err(flink::Error::JobNotFound { .. } | flink::Error::Refused { .. }) => None,
            Err(e) => return Ok(Answer::Unreachable(e.to_string())),
        };
        let history = history.map(|c| c.history.into_iter().chain(c.latest.savepoint).collect::<Vec<_>>());
        let history = history.unwrap_or_default();
        let in_progress = history.iter().any(under_way);
        let made = history.iter().find_map(|c| {
            let path = c.external_path.clone().filter(|path| location::is_below(path, &self.attempt.directory))?;
            (c.status == CheckpointStatus::Completed).then_some((path, c.id))
        });
        let found = self.found(made).await?;
        let remembered = remembered(flink).await;
        Ok(Answer::Forgotten(Box::new(Forgotten { found, in_progress, job: now, gone: false, remembered })))
    }

    /// What lies in the attempt's directory; or what the history says of it, where it says so.
    async fn found(self, made: Option<(String, i64)>) -> Result<Found, Error> {
        if let Some((location, id)) = made {
            return Ok(Found::Whole { location, checkpoint_id: Some(id) });
        }
        if let Some(location) = self.attempt.location.clone() {
            return Ok(Found::Whole { location, checkpoint_id: None });
        }
        let store = match check::store_of(self.ctx, super::by(self.savepoint), &self.attempt.directory).await? {
            check::Serving::By(store) => store,
            check::Serving::Nobody(why) => return Ok(Found::NoStore(why)),
            check::Serving::Refused(failure) => return Ok(Found::Trouble(failure)),
        };
        Ok(match store.left(&self.attempt.directory).await {
            Ok(Left::Nothing) => Found::Nothing,
            Ok(Left::Unfinished) => Found::Unfinished,
            Ok(Left::Whole(location)) => Found::Whole { location, checkpoint_id: None },
            Err(e) => Found::Trouble(Failure::of(&e)),
        })
    }
}

/// For so long after a request its JobManager certainly knows it: the result is kept from the savepoint's end on.
async fn remembered(flink: &flink::Client) -> Duration {
    let Ok(configuration) = flink.configuration().await else { return Duration::ZERO };
    match config::TRIGGER_RESULTS_KEPT.get(&configuration) {
        None => REMEMBERED,
        // A part of it for clocks and answers that take their time.
        Some(text) => config::duration(text).map_or(Duration::ZERO, |kept| kept * 4 / 5),
    }
}

/// A savepoint that is being written.
fn under_way(c: &Checkpoint) -> bool {
    c.is_savepoint && c.status == CheckpointStatus::InProgress
}
