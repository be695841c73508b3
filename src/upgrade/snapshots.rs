//! What a job could start from: looks into the namespace's stores and records. Nothing here has an effect.

use std::time::Duration;

use chrono::{DateTime, Utc};
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::claims;
use super::fork::{self, Fork};
use super::observed::{Existing, Observed, Restore, Retained};
use super::{ended, preflight, scope};
use crate::api::condition::Reason;
use crate::api::{
    FlinkJobUpgrade, FlinkSavepoint, RestoreFrom, RestoreMode, SavepointPhase, StateSource, Submission, labels,
};
use crate::context::Context;
use crate::flink::config::CHECKPOINT_DIRECTORY;
use crate::flink::location;
use crate::holds::{Everybody, ownership};
use crate::naming;
use crate::reconcile::{Error, within};
use crate::store::check::{self, Again, By, Check, Failure, Serving};
use crate::time;

/// A newer checkpoint of a job at rest is recorded no more often than this, so that it causes few writes.
const RECORDED_EVERY: Duration = Duration::from_secs(60);

/// Adds to what was observed what the stores and the records say, where a decision depends on it.
///
/// # Errors
/// When the Kubernetes API can't be read. A store that can't be asked is an observation, not an error.
pub async fn add(ctx: &Context, o: &mut Observed) -> Result<(), Error> {
    let namespace = o.upgrade.namespace().unwrap_or_default();
    let by = By { namespace: &namespace, named: None };
    if let Some(submission) = scope::retained_matters(&o.upgrade) {
        o.retained = retained(ctx, by, o, &submission).await?;
    }
    if let Some(submission) = unrecorded(o) {
        let directory = directory(o, submission).unwrap_or_default();
        o.unlisted = matches!(check::store_of(ctx, by, &directory).await?, Serving::Nobody(_));
    }
    o.newest = preflight::newest::read(ctx, by, o).await?;
    if scope::existing_matters(&o.upgrade) {
        o.existing = existing(ctx, by, &o.upgrade).await?;
    }
    o.ended = ended::look(ctx, by, o).await?;
    if let Some(wish) = scope::restore_matters(&o.upgrade) {
        o.restore = restore(ctx, by, o, wish).await?;
    }
    Ok(())
}

/// The submission at rest, if it has a newer checkpoint than the one that was recorded a while ago.
#[must_use]
pub fn unrecorded(o: &Observed) -> Option<&Submission> {
    let status = o.upgrade.status.as_ref().filter(|s| s.upgrade.is_none())?;
    let active = status.active.as_ref()?;
    let (id, _) = o.job(active.revision, &active.submission.job_id)?.last_checkpoint.as_ref()?;
    let recorded = active.last_checkpoint.as_ref();
    let recent = recorded.and_then(|c| c.time.as_ref()).is_some_and(|t| o.since(time::from_k8s(t)) < RECORDED_EVERY);
    (!recent && recorded.is_none_or(|c| c.id != *id)).then_some(&active.submission)
}

/// Where a submission's checkpoints are: as Flink told, or where the configuration puts them.
#[must_use]
pub fn directory(o: &Observed, submission: &Submission) -> Option<String> {
    let told = submission.checkpoint_directory.clone();
    told.or_else(|| {
        let base = o.record(submission.revision)?.rendered.checkpoint_directory.as_deref()?.trim_end_matches('/');
        Some(format!("{base}/{}", submission.job_id))
    })
}

async fn retained(ctx: &Context, by: By<'_>, o: &Observed, submission: &Submission) -> Result<Retained, Error> {
    let Some(directory) = directory(o, submission) else {
        let why = "no checkpoint directory is configured, and the job has told of none; set execution.checkpointing.dir \
                   in flinkConfiguration";
        return Ok(Retained::NoStore(why.to_owned()));
    };
    let store = match check::store_of(ctx, by, &directory).await? {
        Serving::By(store) => store,
        Serving::Nobody(why) => {
            return Ok(Retained::NoStore(format!("{why}; create one whose url it is below")));
        }
        Serving::Refused(failure) => return Ok(Retained::Failed(failure)),
    };
    let (id, location) = match store.newest_checkpoint(&directory).await {
        Ok(Some(newest)) => newest,
        Ok(None) => return Ok(Retained::Nothing),
        Err(e) => return Ok(Retained::Failed(Failure::of(&e))),
    };
    let chosen = o.upgrade.status.as_ref().and_then(|s| s.upgrade.as_ref()).and_then(|u| u.snapshot.as_deref());
    if chosen.is_some_and(|chosen| location::same(chosen, &location)) {
        return Ok(Retained::Whole { id, location });
    }
    let key = format!("{}/{location}", o.upgrade.uid().unwrap_or_default());
    Ok(match check::check(ctx, by, &key, &location, true).await? {
        Check::NotAsked | Check::Running(_) => Retained::Reading(location),
        Check::NoStore { message, .. } => Retained::NoStore(message),
        Check::Failed(failure) if failure.again == Again::Soon => Retained::Failed(failure),
        Check::Failed(failure) => Retained::Broken { location, failure },
        Check::Done(checked) => match checked.files.filter(|files| !files.is_whole()) {
            None => Retained::Whole { id, location },
            Some(files) => {
                let failure =
                    Failure { reason: Reason::FilesMissing, message: files.summary(), again: Again::WithHelp };
                Retained::Broken { location, failure }
            }
        },
    })
}

/// The newest snapshot that an earlier job of this name has left: below the directories that the spec's configuration
/// gives it, or in a record.
async fn existing(ctx: &Context, by: By<'_>, upgrade: &FlinkJobUpgrade) -> Result<Existing, Error> {
    let (name, uid) = (upgrade.name_any(), upgrade.uid().unwrap_or_default());
    let mut recorded = recorded(ctx, by.namespace, &name, &uid).await?;
    let directories = super::workload::state_directories(upgrade).unwrap_or_default();
    if recorded.is_none() && shares_its_directory(upgrade) {
        let why = "the job's checkpoints would lie among those of the session cluster's other jobs; set \
                   execution.checkpointing.dir in flinkConfiguration, and it gets a directory of its own";
        return Ok(Existing::Unknown(why.to_owned()));
    }
    let last = upgrade.status.as_ref().and_then(|s| s.last_submission).unwrap_or_default();
    let revisions = upgrade.status.as_ref().map_or(0, crate::api::FlinkJobUpgradeStatus::last_revision);
    let own: Vec<String> = (1..=revisions)
        .flat_map(|revision| (1..=last).map(move |number| (revision, number)))
        .map(|(revision, number)| naming::job_id(&uid, revision, number))
        .collect();
    let mut newest: Option<(_, String)> = None;
    for directory in directories {
        let store = match check::store_of(ctx, by, &directory).await? {
            Serving::By(store) => store,
            // What is recorded is all that anybody knows.
            Serving::Nobody(_) if recorded.is_some() => continue,
            Serving::Nobody(why) => return Ok(Existing::Unknown(format!("{why}; create one whose url it is below"))),
            Serving::Refused(failure) => return Ok(Existing::Unknown(failure.message)),
        };
        match store.newest_snapshot(&directory, |part| own.iter().any(|id| id == part)).await {
            Ok(found) => {
                newest = newest.max(found);
                // One that lies there is judged by its files, as the others are: another clock would not do.
                recorded = recorded.filter(|(_, location)| !location::is_below(location, &directory));
            }
            Err(e) => return Ok(Existing::Unknown(e.to_string())),
        }
    }
    Ok(newest.max(recorded).map_or(Existing::Nothing, |(_, location)| Existing::Found(location)))
}

/// Whether a job on a session cluster has no directory for its checkpoints by which one of its name could be known.
fn shares_its_directory(upgrade: &FlinkJobUpgrade) -> bool {
    let nothing = crate::api::FlinkConfiguration::new();
    let given = upgrade.spec.flink_configuration.as_ref().unwrap_or(&nothing);
    let given = super::workload::flatten(given).unwrap_or_default();
    upgrade.spec.flink_cluster.is_some() && CHECKPOINT_DIRECTORY.get(&given).is_none()
}

/// The newest savepoint that a record tells of, of a job of this name with another UID, and when it was complete.
async fn recorded(
    ctx: &Context,
    namespace: &str,
    name: &str,
    uid: &str,
) -> Result<Option<(DateTime<Utc>, String)>, Error> {
    let api: Api<FlinkSavepoint> = Api::namespaced(ctx.client.clone(), namespace);
    let all = within("list FlinkSavepoints", api.list(&ListParams::default())).await?.items;
    // Asked before the first start only: one that is complete by then and not a child of this UID is of another.
    let of_another = |s: &&FlinkSavepoint| {
        s.spec.job_ref.as_ref().is_some_and(|job| job.name == name)
            && s.labels().get(labels::JOB_UID).is_none_or(|own| own != uid)
            && s.status.as_ref().and_then(|s| s.phase) == Some(SavepointPhase::Completed)
            // The job that claimed it went on from there: what it has left is newer.
            && !ownership::is_flinks(s)
    };
    let place = |s: FlinkSavepoint| {
        let status = s.status?;
        Some((status.completion_time.as_ref().map(time::from_k8s).unwrap_or_default(), status.location?))
    };
    Ok(all.into_iter().filter(|s| of_another(&s)).filter_map(place).max())
}

/// Why a job can't start from a snapshot any more: it was deleted before the status said that the job was about to. Who
/// deletes removes the `_metadata` first, and the FlinkSavepoint only when nothing is left. Where no store can tell, Flink
/// itself finds out.
///
/// # Errors
/// If Kubernetes can't be asked for the stores.
pub async fn gone(ctx: &Context, o: &Observed, path: &str) -> Result<Option<String>, Error> {
    let upgrade = o.upgrade.status.as_ref().and_then(|s| s.upgrade.as_ref());
    if upgrade.and_then(|u| u.source) == Some(StateSource::Savepoint) {
        return Ok(None);
    }
    let by = By { namespace: &o.upgrade.namespace().unwrap_or_default(), named: None };
    let Serving::By(store) = check::store_of(ctx, by, path).await? else { return Ok(None) };
    let there = store.has_metadata(path).await;
    Ok(matches!(there, Ok(false)).then(|| {
        format!(
            "{path}, which the job was to start from, was deleted meanwhile; name another snapshot under another id"
        )
    }))
}

async fn restore(ctx: &Context, by: By<'_>, o: &Observed, wish: RestoreFrom) -> Result<Restore, Error> {
    if wish.empty.is_some() {
        return Ok(Restore::From(None));
    }
    if wish.latest.is_some() {
        // A suspended job's own: nothing has run since.
        let own = o.upgrade.status.as_ref().and_then(|s| s.suspension.as_ref()?.snapshot.clone());
        let newest = match own {
            Some(location) => Existing::Found(location),
            None => existing(ctx, by, &o.upgrade).await?,
        };
        return Ok(match newest {
            Existing::Found(location) => look(ctx, by, o, "job.restoreFrom.latest", location).await?,
            Existing::Unknown(why) => Restore::Refused(
                Reason::StateUnknown,
                format!(
                    "job.restoreFrom.latest: which snapshot is the newest can't be found out: {why}; or name it in \
                         job.restoreFrom.path under another id"
                ),
            ),
            Existing::Nothing | Existing::NotAsked => Restore::Refused(
                Reason::SnapshotNotFound,
                "job.restoreFrom.latest: no snapshot of an earlier job of this name was found; name one in \
                 job.restoreFrom.path, or set job.restoreFrom.empty, under another id"
                    .to_owned(),
            ),
        });
    }
    if let Some(path) = wish.path {
        return look(ctx, by, o, "job.restoreFrom.path", path).await;
    }
    if let Some(from) = &wish.from_job {
        return match fork::find(ctx, &o.upgrade, &wish, from).await? {
            Fork::At(field, location) => look(ctx, by, o, field, location).await,
            Fork::Not(restore) => Ok(restore),
        };
    }
    let Some(named) = wish.savepoint_ref else { return Ok(Restore::NotAsked) };
    let field = "job.restoreFrom.savepointRef.name";
    let api: Api<FlinkSavepoint> = Api::namespaced(ctx.client.clone(), by.namespace);
    let Some(savepoint) = within("get FlinkSavepoint", api.get_opt(&named.name)).await? else {
        let message = format!("{field}: there is no FlinkSavepoint {} in this namespace; correct the name", named.name);
        return Ok(Restore::Refused(Reason::SnapshotNotFound, message));
    };
    let status = savepoint.status.unwrap_or_default();
    match (status.phase, status.location) {
        (Some(SavepointPhase::Completed), Some(location)) => look(ctx, by, o, field, location).await,
        (Some(phase), _) if phase.is_terminal() => {
            let message =
                format!("{field}: FlinkSavepoint {} is {phase}, there is no snapshot; name another", named.name);
            Ok(Restore::Refused(Reason::SnapshotNotFound, message))
        }
        _ => Ok(Restore::Wait(format!("{field}: FlinkSavepoint {} is not completed yet", named.name))),
    }
}

/// Whether a snapshot that somebody names can be started from. Where no store serves it, Flink itself will find out.
async fn look(ctx: &Context, by: By<'_>, o: &Observed, field: &str, location: String) -> Result<Restore, Error> {
    let everybody = Everybody::read(ctx).await?;
    if let Some(owner) = everybody.owner(&location) {
        let message = format!("{field}: {}", claims::owned(&location, &owner));
        return Ok(Restore::Refused(Reason::SnapshotOwnedByFlink, message));
    }
    if o.upgrade.spec.job.restore_mode() == RestoreMode::Claim {
        let holds = everybody.holds_of_others(ctx, &o.upgrade, &location).await?;
        if !holds.is_empty() {
            return Ok(Restore::Refused(Reason::Held, claims::needed(&location, &holds)));
        }
    }
    if let Some(record) = everybody.disposing(&location) {
        return Ok(Restore::Wait(format!("{field}: {location} is being deleted with FlinkSavepoint {record}")));
    }
    let key = format!("{}/{location}", o.upgrade.uid().unwrap_or_default());
    Ok(match check::check(ctx, by, &key, &location, true).await? {
        Check::NotAsked | Check::Running(_) => {
            Restore::Wait(format!("{field}: the files of {location} are being checked"))
        }
        Check::NoStore { .. } => Restore::From(Some(location)),
        Check::Failed(failure) if failure.reason == Reason::SnapshotNotFound => Restore::Refused(
            failure.reason,
            format!("{field}: {}; name another snapshot under another id", failure.message),
        ),
        Check::Failed(failure) => Restore::Refused(failure.reason, format!("{field}: {}", failure.message)),
        Check::Done(checked) => match checked.files.as_ref().filter(|files| !files.is_whole()) {
            None => Restore::From(Some(checked.directory)),
            Some(files) => Restore::Refused(Reason::FilesMissing, format!("{field}: {location}: {}", files.summary())),
        },
    })
}
