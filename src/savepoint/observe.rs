//! Reads the world of a FlinkSavepoint: its job, what the job's JobManager says, and what lies in its directories.

use kube::ResourceExt;

use super::attempt::Asked;
use super::copy::{self, Copying};
use super::dispose;
use super::job::{self, foreign, upgrade};
use super::observed::{Answer, Job, JobNow, Leftovers, Observed};
use super::room;
use super::world::{self, End};
use crate::api::condition::Reason;
use crate::api::{FlinkSavepoint, Hold, SavepointAttempt, SavepointPhase, Then, Verification, coverage};
use crate::cluster::{self, Found, JobManager};
use crate::context::Context;
use crate::flink::JobId;
use crate::holds::Everybody;
use crate::reconcile::Error;
use crate::store::check::{self, Again, Check, Failure, Serving};

/// Files of failed attempts that one pass removes.
const SWEPT_AT_ONCE: usize = 1000;

/// Reads everything that the planner needs.
///
/// # Errors
/// When the Kubernetes API can't be read. A JobManager that gives no answer is an observation, not an error.
pub async fn observe(ctx: &Context, savepoint: FlinkSavepoint) -> Result<Observed, Error> {
    let unknown =
        serde_json::to_value(&savepoint.spec).map(|s| coverage::unknown("FlinkSavepoint", &s)).unwrap_or_default();
    let phase = savepoint.status.as_ref().and_then(|s| s.phase);
    let mut seen = Seen::default();
    let mut end = End::of(&savepoint);
    if super::status::has_unknown_values(&savepoint) {
        // Nothing is done with it.
    } else if phase.is_some_and(SavepointPhase::is_terminal) {
        seen.leftovers = leftovers(ctx, &savepoint).await?;
        end = Box::pin(world::end(ctx, &savepoint)).await?;
    } else if unknown.is_empty() || begun(&savepoint) {
        seen = Box::pin(see(ctx, &savepoint)).await?;
    }
    let Seen { job, job_manager, answer, job_now, check, leftovers, holds, copying } = seen;
    let End { ownership, holds: held, place, job_manager: disposer, namespace_terminating } = end;
    let (job_manager, holds) = (job_manager.or(disposer), holds.or(held));
    // Only now: what was waited for has just happened.
    let now = ctx.clock.now();
    Ok(Observed {
        now,
        savepoint,
        unknown,
        job,
        job_manager,
        answer,
        job_now,
        check,
        leftovers,
        ownership,
        holds,
        copying,
        place,
        namespace_terminating,
    })
}

/// A request may be under way, whatever the spec asks for by now.
fn begun(savepoint: &FlinkSavepoint) -> bool {
    savepoint.status.as_ref().is_some_and(|s| !s.attempts.is_empty())
}

/// What a pass sees beside the resource itself.
struct Seen {
    job: Job,
    job_manager: Option<JobManager>,
    answer: Answer,
    job_now: JobNow,
    check: Check,
    leftovers: Leftovers,
    holds: Option<Vec<Hold>>,
    copying: Copying,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            job: Job::NotRead,
            job_manager: None,
            answer: Answer::NotAsked,
            job_now: JobNow::NotAsked,
            check: Check::NotAsked,
            leftovers: Leftovers::default(),
            holds: None,
            copying: Copying::NotAsked,
        }
    }
}

async fn see(ctx: &Context, savepoint: &FlinkSavepoint) -> Result<Seen, Error> {
    let mut seen = Seen::default();
    let spec = &savepoint.spec;
    let status = savepoint.status.as_ref();
    let location = status.and_then(|s| s.location.clone());
    let place = match (&spec.path, status.and_then(|s| s.attempts.last())) {
        (Some(path), _) => Some(path.clone()),
        (None, None) if spec.copy_of.is_some() => {
            // Of one that was only to be looked at the files go, if they go with the resource.
            let goes = savepoint.metadata.deletion_timestamp.is_some() && dispose::goes_with_files(savepoint);
            if let Some(of) = spec.copy_of.as_ref().filter(|_| location.is_none() || goes) {
                seen.copying = Box::pin(copy::observe::observe(ctx, savepoint, of)).await?;
            }
            location
        }
        (None, Some(attempt)) if attempt.result.is_none() => {
            Box::pin(follow(ctx, savepoint, attempt, &mut seen)).await?;
            match &seen.answer {
                Answer::Completed(done) if super::follow::is_over(spec.then(), &done.job) => {
                    Some(done.location.clone())
                }
                _ => None,
            }
        }
        (None, Some(attempt)) if location.is_some() => {
            if spec.then() == Then::Cancel {
                (seen.job_manager, seen.job_now) = Box::pin(after_savepoint(ctx, savepoint, attempt)).await?;
            }
            location
        }
        // None yet, or the last one came to nothing.
        (None, _) => {
            if let Some(full) = ctx.room.still_full(&savepoint.uid().unwrap_or_default()) {
                // Not worth asking its JobManager.
                seen.job = Job::NoRoom(full);
            } else if savepoint.metadata.deletion_timestamp.is_none() {
                (seen.job, seen.job_manager) = match (&spec.job_ref, &spec.flink_cluster) {
                    (Some(job), _) => Box::pin(upgrade::job(ctx, savepoint, &job.name)).await?,
                    (None, Some(cluster)) => Box::pin(foreign::job(ctx, savepoint, cluster)).await?,
                    (None, None) => (Job::NotRead, None),
                };
                if let Job::Submitted(job) = &seen.job
                    && let Some(full) = room::enter(ctx, savepoint, job).await?
                {
                    seen.job = Job::NoRoom(full);
                }
            }
            None
        }
    };
    if let Some(place) = place {
        let files = savepoint.spec.verification != Some(Verification::Metadata);
        let key = savepoint.uid().unwrap_or_default();
        seen.check = check::check(ctx, super::by(savepoint), &key, &place, files).await?;
        let read = !matches!(seen.check, Check::NotAsked | Check::Running(_));
        if read
            && spec.path.is_some()
            && let Some(record) = Everybody::read(ctx).await?.disposing(&place)
        {
            let message = format!("spec.path: {place} is being deleted with FlinkSavepoint {record}");
            seen.check = Check::Failed(Failure { reason: Reason::Disposing, message, again: Again::Soon });
        } else if read || savepoint.metadata.deletion_timestamp.is_some() {
            seen.holds = Some(world::holds_once_complete(ctx, savepoint, place).await?);
        }
    }
    Ok(seen)
}

/// What became of the open attempt.
async fn follow(
    ctx: &Context,
    savepoint: &FlinkSavepoint,
    attempt: &SavepointAttempt,
    seen: &mut Seen,
) -> Result<(), Error> {
    let asked = Asked { ctx, savepoint, attempt };
    match job_manager(ctx, savepoint).await? {
        Located::Here(found) => {
            seen.answer = asked.follow(&found).await?;
            seen.job_manager = Some(found);
        }
        Located::NotNow(why) => seen.answer = Answer::Unreachable(why),
        Located::Removed => {
            if let Ok(job) = JobId::new(&attempt.job_id) {
                seen.answer = asked.forgotten(None, &job).await?;
            }
        }
    }
    Ok(())
}

/// Where the JobManager of an attempt is.
#[derive(Debug)]
pub enum Located {
    /// Here.
    Here(JobManager),
    /// It can't be asked now: why.
    NotNow(String),
    /// It is gone for ever.
    Removed,
}

/// Looks for it.
///
/// # Errors
/// If Kubernetes can't be asked.
pub async fn job_manager(ctx: &Context, savepoint: &FlinkSavepoint) -> Result<Located, Error> {
    let namespace = savepoint.namespace().unwrap_or_default();
    let revision = savepoint.status.as_ref().and_then(|s| s.source.as_ref()?.revision);
    Ok(match (&savepoint.spec.job_ref, &savepoint.spec.flink_cluster, revision) {
        (Some(job), _, Some(revision)) => {
            let session = savepoint.status.as_ref().and_then(|s| s.source.as_ref()?.flink_cluster.clone());
            match upgrade::of_job(ctx, &namespace, &job.name, session.as_ref(), revision).await? {
                upgrade::Found::Here(found) => Located::Here(found),
                upgrade::Found::NotRunning(why) => Located::NotNow(why),
                upgrade::Found::Removed => Located::Removed,
            }
        }
        (None, Some(cluster), _) => match cluster::job_manager(ctx, &namespace, &cluster.cluster()).await? {
            Found::Here(found) => Located::Here(found),
            Found::NotNow(why) | Found::Blocked(_, why) => Located::NotNow(why),
        },
        _ => Located::NotNow("which JobManager it was asked of is not recorded".to_owned()),
    })
}

/// What became of a job that is to be cancelled once its savepoint is whole.
async fn after_savepoint(
    ctx: &Context,
    savepoint: &FlinkSavepoint,
    attempt: &SavepointAttempt,
) -> Result<(Option<JobManager>, JobNow), Error> {
    let namespace = savepoint.namespace().unwrap_or_default();
    let Ok(job) = JobId::new(&attempt.job_id) else { return Ok((None, JobNow::Gone)) };
    Ok(match job_manager(ctx, savepoint).await? {
        Located::Here(found) => {
            let now = job::now(ctx, &namespace, &found.client(ctx), &job).await;
            (Some(found), now)
        }
        Located::NotNow(why) => (None, JobNow::CantTell(why)),
        Located::Removed => (None, JobNow::Gone),
    })
}

/// What attempts that came to nothing have left in their directories. The one that did not, too, if there were others:
/// a request that was repeated may have made a twin there.
async fn leftovers(ctx: &Context, savepoint: &FlinkSavepoint) -> Result<Leftovers, Error> {
    let mut left = Leftovers::default();
    let Some(status) = &savepoint.status else { return Ok(left) };
    let completed = |a: &SavepointAttempt| a.result.as_deref() == Some(super::settle::COMPLETED);
    if status.phase == Some(SavepointPhase::Disposing) || status.attempts.iter().all(completed) {
        return Ok(left);
    }
    for attempt in &status.attempts {
        let kept = status.location.as_deref();
        let store = match check::store_of(ctx, super::by(savepoint), &attempt.directory).await? {
            Serving::By(store) if store.may_remove() => store,
            Serving::By(_) => {
                left.trouble = Some(format!("the store of {} is readOnly", attempt.directory));
                continue;
            }
            Serving::Nobody(why) => {
                left.trouble = Some(why);
                continue;
            }
            Serving::Refused(failure) => {
                left.trouble = Some(failure.message);
                continue;
            }
        };
        match store.files_but(&attempt.directory, kept, SWEPT_AT_ONCE).await {
            Ok(files) if files.is_empty() => {}
            Ok(files) => left.files.push((attempt.directory.clone(), files)),
            Err(e) => left.trouble = Some(e.to_string()),
        }
    }
    Ok(left)
}
