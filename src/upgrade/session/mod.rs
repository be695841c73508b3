//! A job that runs on a session cluster, which is there already and stays: what differs from a cluster of its own. Pure.
//!
//! Its JobManager is not this resource's, and neither are its TaskManagers, its slots or its other jobs. A revision has a
//! pod of its own only for the time of an upgrade: that uploads the jar and calls `main()` for the preflight.

mod act;
mod observe;

pub use act::delete_jars;
pub use observe::{add, find, lay_over};

use std::time::Duration;

use super::fence::Fence;
use super::observed::{Cluster, Container, Observed, Pod, Session, SessionJar, SessionJobManager};
use super::plan::{AT_REST, Decision, Effect, LEAVING, SLOW};
use super::strategy::prewarm::{STARTING, set_message, step_since};
use super::{finish, preflight, progress, status};
use crate::api::annotations::FENCED;
use crate::api::condition::Reason;
use crate::api::{FlinkJobUpgradeStatus, Submission, UpgradeProgress};
use crate::flink::JobId;
use crate::flink::config::{CLUSTER_ID, HIGH_AVAILABILITY};
use crate::reconcile::Next;

/// A JobManager that is silent for longer is not waited for without a word.
const ANSWERS: Duration = Duration::from_secs(30);

/// The session cluster's Service.
fn service(o: &Observed) -> &str {
    o.upgrade.spec.flink_cluster.as_ref().map_or("", |cluster| cluster.service.as_str())
}

/// A revision's jar on the session cluster: where several came, that which ran, else the last one.
#[must_use]
pub fn jar(o: &Observed, revision: i64) -> Option<&SessionJar> {
    let jars = o.session.as_ref()?.jars.as_deref()?;
    let active = o.upgrade.status.as_ref().and_then(|s| s.active.as_ref()).filter(|a| a.revision == revision);
    let ran = active.and_then(|active| active.submission.jar_sha256.as_deref());
    let own = || jars.iter().filter(|jar| jar.revision == revision);
    own().find(|jar| ran == Some(jar.sha256.as_str())).or_else(|| own().next_back())
}

/// Keeps a revision from being made while its session cluster is not known, or is one that no job can be run on.
#[must_use]
pub fn before_it_is_made(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    upgrade: &UpgradeProgress,
) -> Option<Decision> {
    let session = o.session.as_ref()?;
    let why = match &session.job_manager {
        SessionJobManager::Blocked(reason, message) => return Some(stalled(o, draft, *reason, message)),
        SessionJobManager::NotNow(why) => Some(why.clone()),
        SessionJobManager::Here(_) => match &session.configuration {
            None => Some(format!("the session cluster's JobManager gives no answer: {}", o.why_down(upgrade.to))),
            Some(configuration) => {
                let kind = HIGH_AVAILABILITY.get(configuration).unwrap_or("NONE");
                if !kind.eq_ignore_ascii_case("NONE") {
                    let message = format!(
                        "spec.flinkCluster: the session cluster {} has high availability ({kind}), by which its JobManager starts \
                         jobs by itself: that is not implemented yet; use a session cluster without, or give spec.image and the \
                         job gets a Flink cluster of its own",
                        service(o)
                    );
                    return Some(stalled(o, draft, Reason::NotImplemented, &message));
                }
                session.carrier.is_none().then(|| "the pod of the session cluster's JobManager is not there".to_owned())
            }
        },
    };
    let message = why?;
    if progress::stuck_for(o, upgrade) > o.upgrade.spec.progress_deadline() {
        finish::failed_before_the_stop(o, draft, upgrade, Reason::JobManagerUnreachable, &message);
        return Some((None, Next::Again));
    }
    set_message(draft, &message);
    status::reconciling(o, draft, status::under_way(draft), &message);
    Some((None, Next::After(SLOW)))
}

fn stalled(o: &Observed, draft: &mut FlinkJobUpgradeStatus, reason: Reason, message: &str) -> Decision {
    set_message(draft, message);
    status::stalled(o, draft, reason, message);
    (None, Next::After(AT_REST))
}

/// What a new revision still lacks before the old job may be stopped, and what brings it.
#[must_use]
pub fn lacks(o: &Observed, upgrade: &UpgradeProgress) -> Option<(String, Option<Effect>)> {
    let silent = match o.revisions.get(&upgrade.to).map(|r| &r.cluster) {
        Some(Cluster::Up(_)) => o.session.as_ref()?.configuration.is_none().then_some("its configuration is not known"),
        Some(Cluster::Down(why)) => Some(why.as_str()),
        Some(Cluster::NotAsked) | None => Some("it was not asked yet"),
    };
    if let Some(why) = silent {
        return Some((format!("the session cluster's JobManager gives no answer: {why}"), None));
    }
    if let Some(missing) = missing_slots(o, upgrade) {
        return Some((missing, None));
    }
    if jar(o, upgrade.to).is_none() {
        return Some((UPLOADS.to_owned(), upload(o, upgrade.to)));
    }
    let asks = preflight::is_due(o, upgrade) && upgrade.preflight.is_none();
    if asks && o.preflight_at(upgrade.to).is_none() {
        let why = match o.revisions.get(&upgrade.to).map(|r| &r.carrier.cluster) {
            Some(Cluster::Down(why)) => why.clone(),
            _ => "it was not asked yet".to_owned(),
        };
        return Some((format!("the JobManager that calls main() for the preflight starts: {why}"), None));
    }
    None
}

const UPLOADS: &str = "the jar is being uploaded to the session cluster";

/// Slots that the new job needs beyond those that the old one gives back. A cluster of Flink's own Kubernetes integration
/// has none before they are needed.
fn missing_slots(o: &Observed, upgrade: &UpgradeProgress) -> Option<String> {
    let (up, session) = (o.up(upgrade.to)?, o.session.as_ref()?);
    let configuration = session.configuration.as_ref()?;
    if CLUSTER_ID.get(configuration).is_some() {
        return None;
    }
    let wanted = o.record(upgrade.to)?.rendered.submission.parallelism;
    let old = o.upgrade.status.as_ref().and_then(|s| s.active.as_ref()).filter(|a| upgrade.from == Some(a.revision));
    let given_back = old.filter(|active| {
        let alive = |(id, state): (&JobId, &crate::flink::JobState)| {
            id.as_str() == active.submission.job_id && !state.is_terminal()
        };
        up.jobs.iter().any(alive)
    });
    let given_back = given_back.and_then(|active| o.record(active.revision));
    let more = wanted.saturating_sub(given_back.map_or(0, |record| record.rendered.submission.parallelism));
    let free = up.free_slots.unwrap_or_default();
    (free < more).then(|| {
        format!(
            "{free} slots are free on the session cluster {}, and the job needs {more} more than it has: add TaskManagers, \
             or let other jobs end",
            service(o)
        )
    })
}

/// What brings a revision's jar to the session cluster: its pod. One that has uploaded a jar which is not there any more is
/// made anew.
fn upload(o: &Observed, revision: i64) -> Option<Effect> {
    let pods = o.revisions.get(&revision).map(|r| r.pods.as_slice()).unwrap_or_default();
    let Some(pod) = pods.iter().find(|pod| pod.job_manager) else { return Some(Effect::CreateObjects(revision)) };
    let lists = o.session.as_ref().is_some_and(|session| session.jars.is_some());
    // Both mean that the init container is over.
    let uploaded = |pod: &Pod| pod.jar_sha256.is_some() || pod.container != Container::Waits;
    (lists && uploaded(pod) && !pod.leaving)
        .then(|| Effect::DeletePods(revision, vec![(pod.name.clone(), pod.uid.clone())]))
}

/// Brings a revision's jar to the session cluster before its job is submitted, if it is not there: its JobManager was
/// started anew, or the jar was not kept.
#[must_use]
pub fn brings_the_jar(o: &Observed, draft: &mut FlinkJobUpgradeStatus, revision: i64) -> Option<Decision> {
    let session = o.session.as_ref()?;
    if jar(o, revision).is_some() {
        return None;
    }
    if let SessionJobManager::Blocked(reason, message) = &session.job_manager {
        return Some(stalled(o, draft, *reason, message));
    }
    let pods = o.revisions.get(&revision).map(|r| r.pods.as_slice()).unwrap_or_default();
    let trouble = pods.iter().find_map(|pod| Some(format!("pod {}: {}", pod.name, pod.trouble.as_deref()?)));
    let message = trouble.unwrap_or_else(|| {
        if o.up(revision).is_some() {
            UPLOADS.to_owned()
        } else {
            format!("the session cluster's JobManager gives no answer: {}", o.why_down(revision))
        }
    });
    set_message(draft, &message);
    status::reconciling(o, draft, status::under_way(draft), &message);
    let effect = if o.up(revision).is_some() { upload(o, revision) } else { None };
    Some((effect, Next::After(STARTING)))
}

/// The jars on the session cluster that no revision in use needs.
#[must_use]
pub fn surplus_jars(o: &Observed, in_use: impl Fn(i64) -> bool) -> Option<Effect> {
    let jars = o.session.as_ref()?.jars.as_deref()?;
    let surplus: Vec<String> = jars.iter().filter(|jar| !in_use(jar.revision)).map(|jar| jar.id.clone()).collect();
    (!surplus.is_empty()).then_some(Effect::DeleteJars(surplus))
}

/// Whether the process that a submission was sent to is not the session cluster's JobManager any more.
#[must_use]
pub fn process_is_gone(session: &Session, submission: &Submission) -> bool {
    match &session.job_manager {
        SessionJobManager::Here(process) => {
            submission.job_manager_instance.as_ref().is_some_and(|instance| *instance != process.instance)
        }
        // A Service that leads nowhere says nothing of who was behind it.
        SessionJobManager::NotNow(_) | SessionJobManager::Blocked(..) => false,
    }
}

/// A submission of which its JobManager's own process does not say that it has ended: its tasks are in pods of somebody
/// else, so nobody here can tell whether they process on.
#[must_use]
pub fn fence(o: &Observed, upgrade: &UpgradeProgress, submission: &Submission) -> Fence {
    let (id, name, service) = (&submission.job_id, status::name(o), service(o));
    let lost = o.session.as_ref().is_some_and(|session| process_is_gone(session, submission));
    let what = if lost {
        format!(
            "the JobManager of session cluster {service} was started anew, and the TaskManagers of the one before may process \
             job {id} on"
        )
    } else if o.up(submission.revision).is_some() {
        format!("the JobManager of session cluster {service} does not say that job {id} has ended")
    } else {
        let what = format!(
            "the JobManager of session cluster {service}, which alone knows whether job {id} has ended, gives no answer"
        );
        if o.since(step_since(o, upgrade)) <= ANSWERS {
            return Fence::Leaving(what);
        }
        what
    };
    Fence::Stuck(format!(
        "{what}; nothing is started beside it. Bring that JobManager back, or delete the cluster's TaskManager pods that it \
         had, and see that they are gone; then, sure that the job processes nothing any more: kubectl annotate fju {name} \
         {FENCED}={id}"
    ))
}

/// Whether a job may be ended by a cancel though its checkpoints are its successor's state: its code may have asked Flink
/// to delete them then. `effect`: the cancel.
#[must_use]
pub fn cancel_keeping_checkpoints(o: &Observed, submission: &Submission, cancel: Effect) -> Fence {
    match &o.checkpoints_config {
        Some(config) if config.are_kept() => Fence::Act(cancel, LEAVING),
        Some(_) => Fence::Stuck(format!(
            "job {id} would have Flink delete its checkpoints when it is cancelled, and they are its state; ask for \
             RETAIN_ON_CANCELLATION in its code, take a savepoint and name it in job.restoreFrom, or end the job by hand and \
             say so: kubectl annotate fju {name} {FENCED}={id}",
            id = submission.job_id,
            name = status::name(o),
        )),
        None => Fence::Leaving("it is asked whether the job's checkpoints outlive a cancel".to_owned()),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
