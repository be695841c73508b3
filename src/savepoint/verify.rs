//! The last part of a FlinkSavepoint: what its files say. Pure.

use std::time::Duration;

use kube::ResourceExt;

use super::observed::{JobNow, Observed};
use super::plan::{Decision, Effect, WAITING};
use super::{dispose, status};
use crate::api::condition::Reason;
use crate::api::{FlinkSavepointStatus, SavepointPhase, Then, Verification, annotations};
use crate::flink::{JobId, JobState};
use crate::holds::ownership;
use crate::reconcile::{Next, SETTLED};
use crate::snapshot::store::Progress;
use crate::store::check::{Again, Check, Checked, Failure};
use crate::time;

/// While files are being looked at.
const RUNNING: Duration = Duration::from_secs(1);
/// After a store gave no answer.
const SOON: Duration = Duration::from_secs(2);
/// While a job is being cancelled.
const CANCELLING: Duration = Duration::from_millis(100);
/// Until somebody has helped.
const HELP: Duration = Duration::from_secs(30);

/// A snapshot that exists is registered.
pub fn registered(o: &Observed, draft: &mut FlinkSavepointStatus) -> (Option<Effect>, Next) {
    draft.start_time.get_or_insert_with(|| time::to_k8s(o.now));
    draft.location = draft.location.take().or_else(|| o.savepoint.spec.path.clone());
    decide(o, draft)
}

/// The place is known; only the files are still to be looked at.
pub fn decide(o: &Observed, draft: &mut FlinkSavepointStatus) -> (Option<Effect>, Next) {
    let wish = o.savepoint.spec.verification;
    draft.phase = Some(SavepointPhase::Verifying);
    let next = match &o.check {
        Check::NotAsked => {
            status::under_way(o, draft, Reason::InProgress, "its files are about to be looked at");
            return (None, Next::Again);
        }
        // Flink has said that it is whole, and nobody has asked for more.
        Check::NoStore { reason: Reason::NoStore, message } if taken(o) && wish.is_none() => {
            status::verified(o, draft, None, Reason::NoStore, message);
            return completed(o, draft);
        }
        Check::NoStore { reason, message } => {
            status::verified(o, draft, None, *reason, message);
            status::stalled(o, draft, *reason, message);
            HELP
        }
        Check::Running(progress) => {
            status::under_way(o, draft, Reason::InProgress, &so_far(*progress));
            RUNNING
        }
        // Flink wrote it, and only this reader can't follow: no reason to keep a job from its state.
        Check::Failed(Failure {
            reason: reason @ (Reason::UnknownMetadataVersion | Reason::SnapshotTooLarge),
            message,
            ..
        }) if taken(o) && wish.is_none() => {
            status::verified(o, draft, None, *reason, message);
            return completed(o, draft);
        }
        Check::Failed(failure) => {
            status::verified(o, draft, None, failure.reason, &failure.message);
            match failure.again {
                Again::Soon => {
                    status::under_way(o, draft, failure.reason, &failure.message);
                    SOON
                }
                Again::Never if !taken(o) => {
                    draft.phase = Some(SavepointPhase::Failed);
                    status::stalled(o, draft, failure.reason, &failure.message);
                    SETTLED
                }
                Again::WithHelp | Again::Never => {
                    status::stalled(o, draft, failure.reason, &failure.message);
                    HELP
                }
            }
        }
        Check::Done(checked) => return done(o, draft, checked),
    };
    (None, Next::After(next))
}

fn done(o: &Observed, draft: &mut FlinkSavepointStatus, checked: &Checked) -> (Option<Effect>, Next) {
    if !taken(o) {
        draft.location = Some(checked.directory.clone());
        draft.format_type = checked.format_type;
    }
    draft.kind = checked.kind;
    draft.checkpoint_id = Some(checked.checkpoint_id);
    draft.metadata_version = Some(checked.metadata_version);
    draft.size_bytes = Some(checked.size_bytes);
    draft.file_count = Some(checked.file_count);
    draft.operators.clone_from(&checked.operators);
    draft.operator_count = Some(checked.operator_count);
    let Some(files) = &checked.files else {
        let message = "its metadata was read; its files were not looked for, as spec.verification asks";
        status::verified(o, draft, Some(true), Reason::MetadataRead, message);
        return completed(o, draft);
    };
    let message = files.summary();
    if files.is_whole() {
        status::verified(o, draft, Some(true), Reason::FilesChecked, &message);
        return completed(o, draft);
    }
    if files.missing_count + files.wrong_size_count > 0 {
        let message = format!("{message}; put them back, and they are looked for again every {} s", HELP.as_secs());
        status::verified(o, draft, Some(false), Reason::FilesMissing, &message);
        status::stalled(o, draft, Reason::FilesMissing, &message);
        return (None, Next::After(HELP));
    }
    status::verified(o, draft, None, Reason::FilesNotServed, &message);
    if o.savepoint.spec.verification == Some(Verification::Full) {
        status::stalled(o, draft, Reason::FilesNotServed, &message);
        return (None, Next::After(HELP));
    }
    completed(o, draft)
}

fn completed(o: &Observed, draft: &mut FlinkSavepointStatus) -> (Option<Effect>, Next) {
    if o.savepoint.spec.then() == Then::Cancel
        && taken(o)
        && let Some(decision) = cancel(o, draft)
    {
        return decision;
    }
    draft.completion_time = Some(time::to_k8s(o.now));
    // A copy is nobody's but the user's.
    let own = taken(o) || o.savepoint.spec.copy_of.is_some();
    draft.ownership = ownership::at_first(own, draft.kind);
    if let Some(slot) = o.savepoint.annotations().get(annotations::SUPERSEDED_BY).filter(|_| taken(o)) {
        draft.phase = Some(SavepointPhase::Superseded);
        let message = format!("it is whole, but {slot} takes its place, as concurrencyPolicy is Replace");
        status::stalled(o, draft, Reason::Superseded, &message);
        return (None, Next::Again);
    }
    draft.phase = Some(SavepointPhase::Completed);
    status::completed(o, draft);
    dispose::tell_holds(o, draft);
    // Of one that was there before somebody may have been restored.
    // Its labels, its finalizer, and what attempts have left.
    (None, Next::Again)
}

/// The savepoint is whole and was checked: now the job ends. `None`: it has.
fn cancel(o: &Observed, draft: &mut FlinkSavepointStatus) -> Option<Decision> {
    let job = || JobId::new(&draft.attempts.last()?.job_id).ok();
    let (effect, next, message) = match &o.job_now {
        JobNow::Ended(_) | JobNow::Gone => return None,
        JobNow::NotAsked => (None, Next::Again, "the savepoint is whole; the job is about to be cancelled".to_owned()),
        JobNow::Lives { state: JobState::Cancelling, .. } => {
            (None, Next::After(CANCELLING), "the savepoint is whole; the job is being cancelled".to_owned())
        }
        JobNow::Lives { .. } if o.savepoint.metadata.deletion_timestamp.is_some() => return None,
        JobNow::Lives { .. } => {
            let message = "the savepoint is whole; the job is about to be cancelled".to_owned();
            (job().map(Effect::Cancel), Next::After(CANCELLING), message)
        }
        JobNow::MayReturn(why) | JobNow::CantTell(why) => {
            let message = format!("the savepoint is whole; whether the job has ended can't be told: {why}");
            (None, Next::After(WAITING), message)
        }
    };
    status::under_way(o, draft, Reason::InProgress, &message);
    Some((effect, next))
}

/// Flink wrote it for this resource.
fn taken(o: &Observed) -> bool {
    o.savepoint.spec.path.is_none() && o.savepoint.spec.copy_of.is_none()
}

fn so_far(progress: Option<Progress>) -> String {
    match progress {
        None => "its metadata is about to be read".to_owned(),
        Some(Progress::Metadata { read, of: Some(of) }) => format!("its metadata is read: {read} of {of} bytes"),
        Some(Progress::Metadata { read, of: None }) => format!("its metadata is read: {read} bytes"),
        Some(Progress::Listed { files, of } | Progress::Asked { files, of }) => {
            format!("its files are looked for: {files} of {of} found")
        }
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
