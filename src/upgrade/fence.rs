//! Whether a submission certainly processes nothing any more. Nothing is submitted after it before that.
//!
//! A JobManager that is back with an empty list of jobs proves nothing: its TaskManagers were seen to process on for 46 s
//! after a kill. Either the JobManager's own process says that the job has ended, or every pod that may still process is
//! gone from a live list; Terminating on a silent node is not gone.

use std::time::Duration;

use super::high_availability;
use super::jobmanager;
use super::observed::{Container, Observed, Pod};
use super::plan::{Effect, FAST, LEAVING};
use super::scope::{self, Scope};
use super::session;
use super::status;
use crate::api::annotations::FENCED;
use crate::api::condition::Reason;
use crate::api::{Submission, UpgradeProgress};
use crate::flink::{JobId, JobState};
use crate::time;

/// A cancel that takes longer is not waited for: the pods go instead. Flink itself gives a task 180 s.
const CANCEL_LIMIT: Duration = Duration::from_secs(30);
/// Pods that take longer to go are told: 5 s of grace, and what a kubelet needs.
const GONE_LIMIT: Duration = Duration::from_secs(30);

/// A pass that reads a JobManager's pod only can't tell whether others are gone.
const NOT_ALL_SEEN: &str = "its pods are being looked for";

/// How it stands with a submission.
#[derive(Debug, Clone, PartialEq)]
pub enum Fence {
    /// It processes nothing any more.
    Closed,
    /// This ends it; then it is looked again, after so long.
    Act(Effect, Duration),
    /// Pods are on their way out; what is waited for.
    Leaving(String),
    /// They do not go: who, and what helps.
    Stuck(String),
}

/// Whether a submission has lost its JobManager for good. Without high availability the process that it was sent to has
/// ended. With it the next one recovers every job that has a ConfigMap, and knows all of them with its first answer: the
/// job is lost if that one does not know it, and has nothing left to recover it from.
#[must_use]
pub fn is_lost(o: &Observed, submission: &Submission) -> bool {
    if !submission.high_availability {
        return process_is_gone(o, submission);
    }
    let Some(up) = o.up(submission.revision) else { return false };
    submission.job_manager_instance.as_deref() != Some(up.instance.as_str())
        && up.jobs.keys().all(|id| id.as_str() != submission.job_id)
        && high_availability::returns_from(o, submission).is_none()
}

/// Whether the JobManager's process that a submission was sent to has certainly ended.
fn process_is_gone(o: &Observed, submission: &Submission) -> bool {
    if let Some(session) = &o.session {
        return session::process_is_gone(session, submission);
    }
    let Some((uid, restarts)) = submission.job_manager_instance.as_deref().and_then(jobmanager::parts) else {
        return false;
    };
    let Some(revision) = o.revisions.get(&submission.revision) else {
        // Some passes read other revisions only.
        return scope::of(&o.upgrade) == Scope::Whole;
    };
    match revision.pods.iter().find(|pod| pod.uid == uid) {
        // Its place was taken, or nothing is there: a StatefulSet's pod is not replaced before it is gone.
        None => true,
        Some(pod) => pod.restarts > restarts || pod.container == Container::Ended,
    }
}

/// The UIDs of the TaskManager pods that a revision has now.
#[must_use]
pub fn task_managers(o: &Observed, revision: i64) -> Vec<String> {
    o.task_managers(revision).map(|pod| pod.uid.clone()).collect()
}

/// Fences a submission whose revision's objects stay: its JobManager's process is gone, and the TaskManager pods that
/// knew that process go.
#[must_use]
pub fn in_place(o: &Observed, upgrade: &UpgradeProgress, submission: &Submission) -> Fence {
    if overridden(o, submission) {
        return Fence::Closed;
    }
    if let Some(decided) = by_its_own_word(o, upgrade, submission) {
        return decided;
    }
    if o.session.is_some() {
        return session::fence(o, upgrade, submission);
    }
    if scope::of(&o.upgrade) != Scope::Whole {
        return Fence::Leaving(NOT_ALL_SEEN.to_owned());
    }
    let pods = o.revisions.get(&submission.revision).map(|r| r.pods.as_slice()).unwrap_or_default();
    let knew: Vec<&Pod> = pods.iter().filter(|pod| upgrade.fenced_pods.contains(&pod.uid)).collect();
    let told: Vec<(String, String)> =
        knew.iter().filter(|pod| !pod.leaving).map(|pod| (pod.name.clone(), pod.uid.clone())).collect();
    if !told.is_empty() {
        return Fence::Act(Effect::DeletePods(submission.revision, told), LEAVING);
    }
    let process = pods.iter().filter(|pod| pod.job_manager && !is_lost(o, submission));
    wait_for(o, upgrade, submission, &knew.into_iter().chain(process).collect::<Vec<_>>())
}

/// Fences a submission whose revision is not needed any more: the job is ended, or all of its pods go.
#[must_use]
pub fn for_good(o: &Observed, upgrade: &UpgradeProgress, submission: &Submission) -> Fence {
    if overridden(o, submission) {
        return Fence::Closed;
    }
    if let Some(decided) = by_its_own_word(o, upgrade, submission) {
        return decided;
    }
    by_pods(o, upgrade, submission)
}

/// The same for one whose checkpoints are its successor's state: it is never cancelled. A job's own code may have asked
/// Flink to delete its checkpoints with a cancel; with pods that go they stay.
#[must_use]
pub fn keeping_checkpoints(o: &Observed, upgrade: &UpgradeProgress, submission: &Submission) -> Fence {
    if overridden(o, submission) {
        return Fence::Closed;
    }
    match by_its_own_word(o, upgrade, submission) {
        Some(Fence::Closed) => Fence::Closed,
        // There are no pods that could go instead.
        Some(Fence::Act(cancel, _)) if o.session.is_some() => {
            session::cancel_keeping_checkpoints(o, submission, cancel)
        }
        Some(leaving) if o.session.is_some() => leaving,
        _ => by_pods(o, upgrade, submission),
    }
}

fn by_pods(o: &Observed, upgrade: &UpgradeProgress, submission: &Submission) -> Fence {
    if o.session.is_some() {
        return session::fence(o, upgrade, submission);
    }
    if scope::of(&o.upgrade) != Scope::Whole {
        return Fence::Leaving(NOT_ALL_SEEN.to_owned());
    }
    let Some(revision) = o.revisions.get(&submission.revision) else { return Fence::Closed };
    if revision.objects > 0 {
        return Fence::Act(Effect::DeleteObjects(submission.revision), LEAVING);
    }
    let waits = wait_for(o, upgrade, submission, &revision.pods.iter().collect::<Vec<_>>());
    if waits == Fence::Closed && !high_availability::config_maps(o, submission.revision).is_empty() {
        // Whatever is made again under this id would start the job by itself.
        return Fence::Act(Effect::DeleteHaConfigMaps(submission.revision), LEAVING);
    }
    waits
}

/// What the JobManager's process that the submission was sent to says of it; with high availability any that leads, as
/// it knows all that its predecessor has left. `None`: it can't say, or its word takes too long to come true.
fn by_its_own_word(o: &Observed, upgrade: &UpgradeProgress, submission: &Submission) -> Option<Fence> {
    let up = o.up(submission.revision)?;
    let own = submission.job_manager_instance.as_deref() == Some(up.instance.as_str());
    if !own && !submission.high_availability {
        return None;
    }
    let id = JobId::new(&submission.job_id).ok()?;
    let returns = high_availability::returns_from(o, submission);
    match up.jobs.get(&id) {
        Some(state) if state.is_terminal() && returns.is_none() => Some(Fence::Closed),
        Some(_) if since(o, upgrade) > CANCEL_LIMIT => None,
        // A job that was answered as FINISHED was seen to run again, after its JobManager was killed before it had
        // stored the result.
        Some(state) if state.is_terminal() => Some(Fence::Leaving(format!(
            "the job has ended; ConfigMap {}, which would start it again, is being removed",
            returns.unwrap_or_default()
        ))),
        // Asked once: a cancel that is repeated helps nothing.
        Some(JobState::Cancelling) => Some(Fence::Leaving("the job is being cancelled".to_owned())),
        Some(_) => Some(Fence::Act(Effect::Cancel(submission.revision, id), FAST)),
        // It was known to run there: the process has forgotten its end. Of one that was never seen a request may be
        // under way.
        None => {
            (own && returns.is_none() && (was_seen(o, submission) || was_refused(upgrade))).then_some(Fence::Closed)
        }
    }
}

/// Flink answered the submit, and refused it.
fn was_refused(upgrade: &UpgradeProgress) -> bool {
    upgrade.failure_reason == Some(Reason::SubmitFailed)
}

/// The submission was seen on its cluster: it became the active one.
fn was_seen(o: &Observed, submission: &Submission) -> bool {
    let active = o.upgrade.status.as_ref().and_then(|s| s.active.as_ref());
    active.is_some_and(|active| active.submission.job_id == submission.job_id)
}

fn wait_for(o: &Observed, upgrade: &UpgradeProgress, submission: &Submission, pods: &[&Pod]) -> Fence {
    if pods.is_empty() {
        return Fence::Closed;
    }
    let names = pods.iter().map(|pod| match &pod.node {
        Some(node) => format!("{} on node {node}", pod.name),
        None => pod.name.clone(),
    });
    let names = names.collect::<Vec<_>>().join(", ");
    if since(o, upgrade) <= GONE_LIMIT {
        return Fence::Leaving(format!("waiting until these pods are gone: {names}"));
    }
    Fence::Stuck(format!(
        "job {id} may still process in pods that do not go: {names}; nothing is started beside it. Bring the node back, or \
         take it out of service for good (kubectl taint nodes NODE node.kubernetes.io/out-of-service=nodeshutdown:NoExecute). \
         If you are sure that it processes nothing any more: kubectl annotate fju {name} {FENCED}={id}",
        id = submission.job_id,
        name = status::name(o),
    ))
}

/// Somebody has made sure of it, and says so by the job's id.
#[must_use]
pub fn overridden(o: &Observed, submission: &Submission) -> bool {
    status::is_annotated(o, FENCED, &submission.job_id)
}

fn since(o: &Observed, upgrade: &UpgradeProgress) -> Duration {
    upgrade.step_since.as_ref().map_or(Duration::ZERO, |t| o.since(time::from_k8s(t)))
}

#[cfg(test)]
#[path = "fence_tests.rs"]
mod tests;
