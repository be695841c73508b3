//! The job that a savepoint is taken of, and its JobManager: of a FlinkJobUpgrade, or of any Flink cluster.

pub mod foreign;
pub mod upgrade;

use super::observed::JobNow;
use crate::api::{FlinkSavepoint, Then};
use crate::context::Context;
use crate::flink::{self, JobId, JobOverview, JobState};
use crate::reconcile::Error;
use crate::store::check::{self, Failure};
use crate::time;

/// Why Flink would refuse a savepoint of a job now.
fn not_ready(job: Option<&JobOverview>) -> Option<String> {
    match job {
        Some(j) if j.state == JobState::Running && j.tasks.all_running() => None,
        Some(j) => Some(format!("the job is {}, and Flink needs all its tasks running", j.state)),
        None => Some("the JobManager does not know the job".to_owned()),
    }
}

/// What became of a job, by its JobManager's word and, where that does not know it, by what a JobManager would recover
/// it from. `/jobs/overview` is current where `/jobs/:id` is cached.
pub async fn now(ctx: &Context, namespace: &str, flink: &flink::Client, job: &JobId) -> JobNow {
    let jobs = match flink.jobs().await {
        Ok(jobs) => jobs,
        Err(e) => return JobNow::CantTell(e.to_string()),
    };
    match jobs.into_iter().find(|j| &j.id == job) {
        // With high availability a job that was seen FINISHED has been seen to run again: its JobManager was killed before
        // it had stored the result. What it would be recovered from goes only after that.
        Some(j) if j.state.is_terminal() => match foreign::may_return(ctx, namespace, flink, job).await {
            JobNow::Gone => JobNow::Ended(j.state),
            other => other,
        },
        Some(j) => JobNow::Lives { all_tasks_running: j.tasks.all_running(), state: j.state },
        None => foreign::may_return(ctx, namespace, flink, job).await,
    }
}

/// What speaks against asking for a savepoint that could be had: the store of its place, before its job is stopped; and
/// the words of a task that failed in the snapshot of the last attempt.
async fn reasons_against(
    ctx: &Context,
    savepoint: &FlinkSavepoint,
    flink: &flink::Client,
    job: &JobId,
    configured: Option<&str>,
    ready: bool,
) -> Result<(Option<Failure>, Option<String>), Error> {
    let target = savepoint.spec.target_directory.as_deref().or(configured);
    let trouble = match target {
        // Of a job that runs on nothing is lost; and one that is not ready is asked for again.
        Some(target) if savepoint.spec.then() != Then::Continue && ready => {
            check::trouble(ctx, super::by(savepoint), target).await?
        }
        _ => None,
    };
    let last = savepoint.status.as_ref().and_then(|s| s.attempts.last()).filter(|a| a.job_id == job.as_str());
    let harmed = match last.and_then(|a| a.start_time.as_ref()) {
        Some(since) => harmed(flink, job, time::from_k8s(since)).await,
        None => None,
    };
    Ok((trouble, harmed))
}

/// The words of the task that failed in its snapshot since a moment, which made the job restart: Flink hides them behind
/// "is suspending" or "is restarting" in its answer to the request.
pub async fn harmed(flink: &flink::Client, job: &JobId, since: chrono::DateTime<chrono::Utc>) -> Option<String> {
    let entries = flink.exceptions(job).await.ok()?;
    let in_snapshot =
        |cause: &flink::Cause| cause.has_class("CheckpointException") || cause.says("Could not perform checkpoint");
    let found = entries.into_iter().find(|e| e.timestamp >= since.timestamp_millis() && in_snapshot(&e.cause))?;
    Some(match found.task {
        Some(task) => format!("{task}: {}", found.cause),
        None => found.cause.to_string(),
    })
}
