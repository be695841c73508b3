//! Reads the world of a FlinkSavepoint: its job, and what the job's JobManager says.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt};

use super::check::{self, Check};
use super::format::{self, Setting};
use super::plan::{Answer, Completed, Job, Observed, Submitted};
use crate::api::{FlinkJobUpgrade, FlinkSavepoint, SavepointAttempt, Then, coverage};
use crate::flink::{self, JobId, SavepointOperation, TriggerId, location};
use crate::reconcile::{Error, within};
use crate::runtime::Context;
use crate::upgrade::jobmanager::{self, Process};
use crate::upgrade::workload::{self, Rendered};
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
pub async fn observe(ctx: &Context, savepoint: FlinkSavepoint) -> Result<Observed, Error> {
    let not_yet =
        serde_json::to_value(&savepoint.spec).map(|s| coverage::not_yet("FlinkSavepoint", &s)).unwrap_or_default();
    let settled = savepoint.status.as_ref().and_then(|s| s.phase).is_some_and(api::SavepointPhase::is_terminal);
    let mut seen = Seen::default();
    if !settled && not_yet.is_empty() {
        seen = Box::pin(see(ctx, &savepoint)).await?;
    }
    let Seen { job, job_manager, answer, check } = seen;
    // Only now: what was waited for has just happened.
    Ok(Observed { now: Utc::now(), savepoint, not_yet, job, job_manager, answer, check })
}

/// What a pass sees beside the resource itself.
struct Seen {
    job: Job,
    job_manager: Option<Process>,
    answer: Answer,
    check: Check,
}

impl Default for Seen {
    fn default() -> Self {
        Self { job: Job::NotRead, job_manager: None, answer: Answer::NotAsked, check: Check::NotAsked }
    }
}

async fn see(ctx: &Context, savepoint: &FlinkSavepoint) -> Result<Seen, Error> {
    let mut seen = Seen::default();
    let status = savepoint.status.as_ref();
    let (attempt, then) = (status.and_then(|s| s.attempts.last()), savepoint.spec.then());
    let place = match (&savepoint.spec.path, attempt) {
        (Some(path), _) => Some(path.clone()),
        (None, Some(attempt)) if attempt.result.is_some() => status.and_then(|s| s.location.clone()),
        (None, Some(attempt)) => {
            let revision = status.and_then(|s| s.source.as_ref()?.revision);
            if let (Some(job), Some(revision)) = (&savepoint.spec.job_ref, revision) {
                seen.job_manager = job_manager(ctx, savepoint, &job.name, revision).await?;
            }
            if let Some(found) = &seen.job_manager {
                seen.answer = follow(&ctx.flink.client(&found.url), attempt, then).await;
            }
            match &seen.answer {
                Answer::Completed(done) if done.job_ended || then == Then::Continue => Some(done.location.clone()),
                _ => None,
            }
        }
        (None, None) => {
            (seen.job, seen.job_manager) = Box::pin(job(ctx, savepoint)).await?;
            None
        }
    };
    if let Some(place) = place {
        seen.check = check::check(ctx, savepoint, &place).await?;
    }
    Ok(seen)
}

async fn job(ctx: &Context, savepoint: &FlinkSavepoint) -> Result<(Job, Option<Process>), Error> {
    let namespace = savepoint.namespace().unwrap_or_default();
    let Some(name) = savepoint.spec.job_ref.as_ref().map(|r| r.name.as_str()) else { return Ok((Job::Missing, None)) };
    let jobs: Api<FlinkJobUpgrade> = Api::namespaced(ctx.client.clone(), &namespace);
    let Some(upgrade) = within("get FlinkJobUpgrade", jobs.get_opt(name)).await? else {
        return Ok((Job::Missing, None));
    };
    let not_running = |message: String| Ok((Job::NotRunning { message }, None));
    let uid = upgrade.uid().unwrap_or_default();
    let status = upgrade.status.unwrap_or_default();
    let Some(active) = status.active else {
        let phase = status.phase.map_or("new", api::JobPhase::as_str);
        return not_running(format!("FlinkJobUpgrade {name} runs no job yet: it is {phase}"));
    };
    let Ok(job_id) = JobId::new(&active.submission.job_id) else {
        return not_running("status.active has no job id".to_owned());
    };
    // The revision that this savepoint is taken for, if it is one of an upgrade.
    let next = status.upgrade.filter(|u| naming::is_child_of(&savepoint.metadata, &uid, &u.id)).map(|u| u.to);
    let next = async {
        match next {
            Some(number) => record(ctx, &namespace, name, number).await,
            None => Ok(None),
        }
    };
    let (job_manager, running, next) = tokio::try_join!(
        job_manager(ctx, savepoint, name, active.revision),
        record(ctx, &namespace, name, active.revision),
        next,
    )?;
    let (not_ready, flink_version) = match &job_manager {
        Some(found) => readiness(&ctx.flink.client(&found.url), &job_id).await,
        None => (Some("its JobManager's pod is not running".to_owned()), None),
    };
    let release = |text: &str| text.parse().ok();
    let from = flink_version.as_deref().and_then(release);
    let to = upgrade.spec.flink_version.and_then(|v| release(v.as_str()));
    let setting = match (&running, &next) {
        (Some(running), Some(next)) => format::upgraded(running, next, from, to),
        (Some(running), None) => format::as_it_is(running),
        (None, _) => Setting::default(),
    };
    let savepoint_directory = running.and_then(|r| r.savepoint_directory);
    let target = savepoint.spec.target_directory.as_ref().or(savepoint_directory.as_ref());
    let store_trouble = match target {
        // Of a job that runs on nothing is lost; and one that is not ready is asked for again.
        Some(target) if savepoint.spec.then() != Then::Continue && not_ready.is_none() => {
            check::trouble(ctx, savepoint, target).await?
        }
        _ => None,
    };
    let submitted = Submitted {
        uid,
        operation: status.operation,
        revision: active.revision,
        job_id,
        savepoint_directory,
        flink_version,
        not_ready,
        setting,
        store_trouble,
    };
    Ok((Job::Submitted(Box::new(submitted)), job_manager))
}

/// A revision as it was rendered, if its record can be read.
async fn record(ctx: &Context, namespace: &str, job: &str, number: i64) -> Result<Option<Rendered>, Error> {
    let records: Api<ControllerRevision> = Api::namespaced(ctx.client.clone(), namespace);
    let name = naming::revision_name(job, number);
    let found = within("get ControllerRevision", records.get_opt(&name)).await?;
    Ok(found.and_then(|r| workload::from_controller_revision(&r).ok()))
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
async fn follow(flink: &flink::Client, attempt: &SavepointAttempt, then: Then) -> Answer {
    let age = attempt.start_time.as_ref().map_or(TimeDelta::MAX, |t| Utc::now() - time::from_k8s(t));
    let moment = if age < YOUNG { MOMENT } else { Duration::ZERO };
    flink::ask_until(
        moment,
        POLL,
        || ask(flink, attempt, then),
        |answer| match answer {
            Answer::InProgress => false,
            Answer::Completed(done) => done.job_ended || then == Then::Continue,
            _ => true,
        },
    )
    .await
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
