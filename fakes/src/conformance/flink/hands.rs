//! What cases do with a world.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Answer, JobWish, NoAnswer, Snapshots, World};

/// A job that nobody has started.
pub(super) const NO_JOB: &str = "00000000000000000000000000000001";
/// What takes a moment.
pub(super) const SOON: Duration = Duration::from_secs(45);
/// A killed process is back, and those that knew it have noticed.
pub(super) const RECOVERS: Duration = Duration::from_secs(150);
/// Longer than what is cached, which is 3 s.
const STALE: Duration = Duration::from_millis(3200);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// A world, and what can be done with it.
#[derive(Clone, Copy)]
pub(super) struct Hands<'a>(pub &'a dyn World);

/// What a savepoint or a stop has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A savepoint is at this location.
    Savepoint(String),
    /// The stack trace of the failure.
    Failure(String),
}

impl Outcome {
    pub fn savepoint(self) -> Result<String> {
        match self {
            Self::Savepoint(location) => Ok(location),
            Self::Failure(trace) => bail!("failed: {trace}"),
        }
    }

    /// It failed, and the stack trace has this text.
    pub fn fails_with(self, text: &str) -> Result<()> {
        match self {
            Self::Savepoint(location) => bail!("made {location}, should have failed with {text:?}"),
            Self::Failure(trace) => {
                ensure!(trace.contains(text), "failed, but not with {text:?}: {trace}");
                Ok(())
            }
        }
    }
}

impl Answer {
    /// An error of this status code that has this text.
    pub(super) fn refuses(&self, status: u16, text: &str) -> Result<()> {
        let errors = self.body.get("errors").and_then(Value::as_array).context("no errors in the body")?;
        let says = errors.iter().filter_map(Value::as_str).any(|error| error.contains(text));
        ensure!(self.status == status && says, "not {status} with {text:?}: {} {}", self.status, self.body);
        Ok(())
    }

    /// The body of an answer of this status code.
    pub(super) fn of(self, status: u16) -> Result<Value> {
        ensure!(self.status == status, "not {status}: {} {}", self.status, self.body);
        Ok(self.body)
    }
}

impl Hands<'_> {
    pub async fn get(self, path: &str) -> Result<Answer, NoAnswer> {
        self.0.request("GET", path, None).await
    }

    pub async fn post(self, path: &str, body: Value) -> Result<Answer, NoAnswer> {
        self.0.request("POST", path, Some(body)).await
    }

    pub async fn cancel(self, job: &str) -> Result<Answer, NoAnswer> {
        self.0.request("PATCH", &format!("/jobs/{job}?mode=cancel"), None).await
    }

    /// Looks until there is something to see.
    pub async fn until<T>(
        self,
        what: &str,
        patience: Duration,
        mut look: impl AsyncFnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let started = Instant::now();
        loop {
            if let Some(seen) = look().await? {
                return Ok(seen);
            }
            ensure!(started.elapsed() < patience, "waited {} s in vain: {what}", patience.as_secs());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until cached answers are those of this moment or a later one.
    pub async fn let_caches_go(self) {
        tokio::time::sleep(STALE).await;
    }

    /// All jobs with their states; `None`: no answer of use.
    pub async fn jobs(self) -> Result<Option<Vec<(String, String)>>> {
        let Ok(answer) = self.get("/jobs").await else { return Ok(None) };
        if answer.status != 200 {
            return Ok(None);
        }
        let jobs = answer.body.get("jobs").and_then(Value::as_array).context("no jobs")?;
        let text = |job: &Value, field: &str| job.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Some(jobs.iter().map(|job| (text(job, "id"), text(job, "status"))).collect()))
    }

    /// A job's state by `/jobs/:id/status`; `None`: no answer of use.
    pub async fn state(self, job: &str) -> Option<String> {
        let answer = self.get(&format!("/jobs/{job}/status")).await.ok()?;
        Some(answer.body.get("status")?.as_str()?.to_owned())
    }

    /// Waits for a state.
    pub async fn comes_to(self, job: &str, state: &str, patience: Duration) -> Result<()> {
        let comes = async || Ok(self.state(job).await.filter(|now| now == state).map(drop));
        self.until(&format!("job {job} is {state}"), patience, comes).await
    }

    /// The job's entry of `/jobs/overview`.
    pub async fn overview(self, job: &str) -> Result<Option<Value>> {
        let Ok(answer) = self.get("/jobs/overview").await else { return Ok(None) };
        let jobs = answer.body.get("jobs").and_then(Value::as_array);
        let is = |one: &&Value| one.get("jid").and_then(Value::as_str) == Some(job);
        Ok(jobs.and_then(|jobs| jobs.iter().find(is)).cloned())
    }

    /// Waits until all tasks of a job run.
    pub async fn runs(self, job: &str, patience: Duration) -> Result<()> {
        let all_run = async || {
            let overview = self.overview(job).await?.unwrap_or_default();
            let tasks = |state: &str| overview.pointer(&format!("/tasks/{state}")).and_then(Value::as_u64);
            let running = overview.get("state").and_then(Value::as_str) == Some("RUNNING");
            Ok((running && tasks("running") > Some(0) && tasks("running") == tasks("total")).then_some(()))
        };
        self.until(&format!("all tasks of job {job} run"), patience, all_run).await
    }

    /// Starts a job whose tasks then all run.
    pub async fn running_job(self, parallelism: u32, snapshots: Snapshots) -> Result<String> {
        let job = self.0.start_job(&JobWish { parallelism, snapshots }).await?;
        self.runs(&job, SOON).await?;
        Ok(job)
    }

    /// Waits until a job has a retained checkpoint, and the JobManager knows it: files alone can be those of one that no
    /// other JobManager would find.
    pub async fn has_checkpoint(self, job: &str) -> Result<()> {
        let known = |body: &Value| body.pointer("/latest/completed").filter(|one| one.is_object()).map(drop);
        self.checkpoints_show("a checkpoint", job, known).await?;
        ensure!(!self.0.retained_checkpoints(job).await?.is_empty(), "a checkpoint without files");
        Ok(())
    }

    /// Asks for a savepoint, which is taken as asked for.
    pub async fn asks_savepoint(self, job: &str, trigger: &str, directory: &str) -> Result<()> {
        let body = json!({"target-directory": directory, "formatType": "CANONICAL", "triggerId": trigger});
        self.asks(&format!("/jobs/{job}/savepoints"), trigger, body).await
    }

    /// Asks for a stop, which is taken as asked for.
    pub async fn asks_stop(self, job: &str, trigger: &str, directory: &str, drain: bool) -> Result<()> {
        let body = json!({"targetDirectory": directory, "drain": drain, "formatType": "NATIVE", "triggerId": trigger});
        self.asks(&format!("/jobs/{job}/stop"), trigger, body).await
    }

    pub async fn asks(self, path: &str, trigger: &str, body: Value) -> Result<()> {
        let answer = self.post(path, body).await?.of(202)?;
        ensure!(answer == json!({"request-id": trigger}), "{answer}");
        Ok(())
    }

    /// Waits for the outcome of a savepoint or a stop.
    pub async fn outcome(self, job: &str, trigger: &str) -> Result<Outcome> {
        let path = format!("/jobs/{job}/savepoints/{trigger}");
        let ended = async || {
            let body = self.get(&path).await?.of(200)?;
            match body.pointer("/status/id").and_then(Value::as_str) {
                Some("IN_PROGRESS") => {
                    ensure!(body.get("operation") == Some(&Value::Null), "{body}");
                    Ok(None)
                }
                Some("COMPLETED") => {
                    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
                    let location = text("/operation/location").map(Outcome::Savepoint);
                    let failure = || text("/operation/failure-cause/stack-trace").map(Outcome::Failure);
                    Ok(Some(location.or_else(failure).with_context(|| format!("neither: {body}"))?))
                }
                _ => bail!("{body}"),
            }
        };
        self.until("the savepoint's end", SOON, ended).await
    }

    /// Waits for something in `/jobs/:id/checkpoints`.
    pub async fn checkpoints_show<T>(self, what: &str, job: &str, shows: impl Fn(&Value) -> Option<T>) -> Result<T> {
        let path = format!("/jobs/{job}/checkpoints");
        let look = async || {
            Ok(self.get(&path).await.ok().filter(|answer| answer.status == 200).and_then(|one| shows(&one.body)))
        };
        self.until(what, SOON, look).await
    }

    /// The directory at a location holds a snapshot.
    pub async fn is_whole(self, location: &str) -> Result<()> {
        let files = self.0.files(location).await?;
        ensure!(files.iter().any(|file| file == "_metadata"), "no _metadata in {location}: {files:?}");
        Ok(())
    }
}
