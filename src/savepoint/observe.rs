//! Reads the world of a FlinkSavepoint: its job, and what the job's JobManager says.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt};

use super::plan::{Answer, Completed, Job, Observed, Submitted};
use crate::api::{FlinkJobUpgrade, FlinkSavepoint, SavepointAttempt, Then, coverage};
use crate::flink::{self, JobId, SavepointOperation, TriggerId, location};
use crate::reconcile::{Error, within};
use crate::runtime::Context;
use crate::upgrade::jobmanager::{self, Process};
use crate::upgrade::workload;
use crate::{api, naming, time};

/// For so long a savepoint is followed closely: most are complete by then, and those that are not take their time.
const YOUNG: TimeDelta = TimeDelta::seconds(2);
/// How long a pass may follow.
const MOMENT: Duration = Duration::from_millis(300);
/// How often Flink is asked meanwhile.
const POLL: Duration = Duration::from_millis(12);

/// Reads everything that the planner needs.
///
/// # Errors
/// When the Kubernetes API can't be read. A JobManager that gives no answer is an observation, not an error.
pub async fn observe(ctx: &Context, savepoint: FlinkSavepoint, now: DateTime<Utc>) -> Result<Observed, Error> {
    let not_yet =
        serde_json::to_value(&savepoint.spec).map(|s| coverage::not_yet("FlinkSavepoint", &s)).unwrap_or_default();
    let settled = savepoint.status.as_ref().and_then(|s| s.phase).is_some_and(api::SavepointPhase::is_terminal);
    let mut observed =
        Observed { now, savepoint, not_yet, job: Job::NotRead, job_manager: None, answer: Answer::NotAsked };
    if settled || !observed.not_yet.is_empty() {
        return Ok(observed);
    }
    let savepoint = &observed.savepoint;
    let status = savepoint.status.as_ref();
    if let Some(attempt) = status.and_then(|s| s.attempts.last()) {
        let revision = status.and_then(|s| s.source.as_ref()?.revision);
        observed.job_manager = match (&savepoint.spec.job_ref, revision) {
            (Some(job), Some(revision)) => job_manager(ctx, savepoint, &job.name, revision).await?,
            _ => None,
        };
        if let Some(found) = &observed.job_manager {
            observed.answer = follow(&ctx.flink.client(&found.url), attempt, savepoint.spec.then(), now).await;
            observed.now = Utc::now();
        }
    } else {
        (observed.job, observed.job_manager) = Box::pin(job(ctx, savepoint)).await?;
    }
    Ok(observed)
}

async fn job(ctx: &Context, savepoint: &FlinkSavepoint) -> Result<(Job, Option<Process>), Error> {
    let namespace = savepoint.namespace().unwrap_or_default();
    let Some(name) = savepoint.spec.job_ref.as_ref().map(|r| r.name.as_str()) else { return Ok((Job::Missing, None)) };
    let jobs: Api<FlinkJobUpgrade> = Api::namespaced(ctx.client.clone(), &namespace);
    let Some(upgrade) = within("get FlinkJobUpgrade", jobs.get_opt(name)).await? else {
        return Ok((Job::Missing, None));
    };
    let uid = upgrade.uid().unwrap_or_default();
    let status = upgrade.status.unwrap_or_default();
    let operation = status.operation;
    let Some(active) = status.active else {
        let phase = status.phase.map_or("new", api::JobPhase::as_str);
        let message = format!("FlinkJobUpgrade {name} runs no job yet: it is {phase}");
        return Ok((Job::NotRunning { message }, None));
    };
    let Ok(job_id) = JobId::new(&active.submission.job_id) else {
        return Ok((Job::NotRunning { message: "status.active has no job id".to_owned() }, None));
    };
    let revision = naming::revision_name(name, active.revision);
    let records: Api<ControllerRevision> = Api::namespaced(ctx.client.clone(), &namespace);
    let (job_manager, record) = tokio::try_join!(
        job_manager(ctx, savepoint, name, active.revision),
        within("get ControllerRevision", records.get_opt(&revision)),
    )?;
    let rendered = record.as_ref().and_then(|r| workload::from_controller_revision(r).ok());
    let (not_ready, flink_version) = match &job_manager {
        Some(found) => readiness(&ctx.flink.client(&found.url), &job_id).await,
        None => (Some("its JobManager's pod is not running".to_owned()), None),
    };
    let submitted = Submitted {
        uid,
        operation,
        revision: active.revision,
        job_id,
        savepoint_directory: rendered.and_then(|r| r.savepoint_directory),
        flink_version,
        not_ready,
    };
    Ok((Job::Submitted(Box::new(submitted)), job_manager))
}

/// A revision's JobManager, found by the name that its pod has for ever. By GET: a list would wait until the API
/// server's cache has caught up with the last write, while the job may be down.
async fn job_manager(
    ctx: &Context,
    savepoint: &FlinkSavepoint,
    job: &str,
    revision: i64,
) -> Result<Option<Process>, Error> {
    let pods: Api<Pod> = Api::namespaced(ctx.client.clone(), &savepoint.namespace().unwrap_or_default());
    let name = naming::job_manager_pod_name(job, revision);
    let pod = within("get Pod", pods.get_opt(&name)).await?;
    Ok(pod.as_ref().and_then(jobmanager::process))
}

/// Why Flink would refuse a savepoint now, and its version.
async fn readiness(flink: &flink::Client, job: &JobId) -> (Option<String>, Option<String>) {
    match tokio::try_join!(flink.jobs(), flink.overview()) {
        Ok((jobs, overview)) => {
            let why = match jobs.iter().find(|j| &j.id == job) {
                Some(j) if j.state == flink::JobState::Running && j.tasks.all_running() => None,
                Some(j) => Some(format!("the job is {}, and Flink needs all its tasks running", j.state)),
                None => Some("the JobManager does not know the job".to_owned()),
            };
            (why, overview.flink_version)
        }
        Err(e) => (Some(e.to_string()), None),
    }
}

/// Asks until there is an end to report, but only for a moment: a job that is being stopped is down, and nothing else
/// that a pass reads changes meanwhile.
async fn follow(flink: &flink::Client, attempt: &SavepointAttempt, then: Then, now: DateTime<Utc>) -> Answer {
    let age = attempt.start_time.as_ref().map_or(TimeDelta::MAX, |t| now - time::from_k8s(t));
    let moment = tokio::time::Instant::now() + if age < YOUNG { MOMENT } else { Duration::ZERO };
    loop {
        let answer = ask(flink, attempt, then).await;
        let ended = match &answer {
            Answer::InProgress => false,
            Answer::Completed(done) => done.job_ended || then == Then::Continue,
            _ => true,
        };
        if ended || tokio::time::Instant::now() >= moment {
            return answer;
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn ask(flink: &flink::Client, attempt: &SavepointAttempt, then: Then) -> Answer {
    let (Ok(job), Ok(trigger)) = (JobId::new(&attempt.job_id), TriggerId::new(&attempt.trigger_id)) else {
        return Answer::NotAsked;
    };
    match flink.savepoint_status(&job, &trigger).await {
        Ok(SavepointOperation::InProgress) => Answer::InProgress,
        Ok(SavepointOperation::Failed { cause }) => stopping_failed(flink, &job, cause).await,
        Ok(SavepointOperation::Completed { location }) => {
            let ended = async { then != Then::Continue && ended(flink, &job).await };
            let (job_ended, facts) = tokio::join!(ended, facts(flink, &job, location));
            Answer::Completed(Box::new(Completed { job_ended, ..facts }))
        }
        Err(flink::Error::UnknownTrigger { .. }) => forgotten(flink, &job, attempt, then).await,
        Err(e) => Answer::Unreachable(e.to_string()),
    }
}

/// A stop may fail with a savepoint that is whole and a job that has FAILED for good: that one is used.
async fn stopping_failed(flink: &flink::Client, job: &JobId, cause: flink::Cause) -> Answer {
    let Some(location) = cause.savepoint_location().map(str::to_owned) else { return Answer::Failed(cause) };
    match flink.job_status(job).await {
        Ok(flink::JobState::Failed) => {
            Answer::Completed(Box::new(Completed { job_ended: true, ..facts(flink, job, location).await }))
        }
        _ => Answer::Failed(cause),
    }
}

/// `/jobs` is current where `/jobs/:id` is cached; FINISHED or CANCELED of a job that was told to stop is its end.
async fn ended(flink: &flink::Client, job: &JobId) -> bool {
    let state = flink.jobs().await.ok().and_then(|jobs| jobs.into_iter().find(|j| &j.id == job)).map(|j| j.state);
    matches!(state, Some(flink::JobState::Finished | flink::JobState::Canceled))
}

/// The trigger is not known, but the history may still show what it made: each attempt has a directory of its own.
async fn forgotten(flink: &flink::Client, job: &JobId, attempt: &SavepointAttempt, then: Then) -> Answer {
    let checkpoints = match flink.checkpoints(job).await {
        Ok(checkpoints) => checkpoints,
        Err(flink::Error::JobNotFound { .. }) => return Answer::UnknownTrigger,
        Err(e) => return Answer::Unreachable(e.to_string()),
    };
    let made = checkpoints.history.iter().chain(&checkpoints.latest.savepoint).find_map(|c| {
        let path = c.external_path.as_ref()?;
        location::is_below(path, &attempt.directory).then(|| (c.id, c.state_size, path.clone()))
    });
    match made {
        Some((id, size, location)) => Answer::Completed(Box::new(Completed {
            location,
            job_ended: then != Then::Continue && ended(flink, job).await,
            checkpoint_id: Some(id),
            size_bytes: size,
        })),
        None => Answer::UnknownTrigger,
    }
}

/// What the history has of a savepoint.
async fn facts(flink: &flink::Client, job: &JobId, location: String) -> Completed {
    let newest = flink.checkpoints(job).await.ok().and_then(|c| c.latest.savepoint);
    let newest = newest.filter(|c| c.external_path.as_deref().is_some_and(|p| location::same(p, &location)));
    Completed {
        location,
        job_ended: false,
        checkpoint_id: newest.as_ref().map(|c| c.id),
        size_bytes: newest.and_then(|c| c.state_size),
    }
}
