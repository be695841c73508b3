//! Whether a new revision's job can take the state of the old one: asked of the job's own program on the new revision's
//! JobManager, before the old job is stopped.

pub mod judge;
pub mod newest;

use std::time::Duration;

use self::judge::{Said, Terms};
use super::changes;
use super::observed::{Newest, Observed};
use super::plan::{Decision, Effect, SLOW};
use super::strategy::prewarm::{self, STARTING, set_message, step};
use super::strategy::recovery;
use super::{finish, progress, status, workload};
use crate::api::condition::Reason;
use crate::api::{
    FlinkJobUpgradeStatus, PreflightPolicy, PreflightResult, PreflightState, StateSource, UpgradeFrom, UpgradeProgress,
    UpgradeStep,
};
use crate::flink::PlanRequest;
use crate::naming;
use crate::reconcile::Next;
use crate::snapshot::compare::listed;
use crate::time;

/// How long the job's `main()` may take; [`SUBMIT_TIMEOUT`](crate::flink::SUBMIT_TIMEOUT) leaves time for the answer.
const MAIN_LIMIT: Duration = Duration::from_secs(45);
/// A question whose answer was lost is asked again only after this long: never two at once on a JobManager.
const ASKED: Duration = Duration::from_secs(60);
/// A JobManager may end for other reasons than the job's `main()`.
const ATTEMPTS: i32 = 3;

/// Carries the preflight one step on.
pub fn decide(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) -> Decision {
    match &upgrade.preflight {
        None => ask(o, draft, upgrade, 1),
        Some(asked) if asked.state == PreflightState::Running => asked_before(o, draft, upgrade, asked),
        Some(result) => {
            if judge::blocks(result.state, o.upgrade.spec.preflight_policy()) {
                let message = format!("preflight: {}", result.findings.join("; "));
                finish::failed_before_the_stop(o, draft, upgrade, Reason::PreflightFailed, &message);
            } else {
                go_on(o, draft, upgrade);
            }
            (None, Next::Again)
        }
    }
}

/// Whether an upgrade has a preflight: somebody wants one, and there is state to take. A job that was lost starts again as
/// it was.
#[must_use]
pub fn is_due(o: &Observed, upgrade: &UpgradeProgress) -> bool {
    let state = if from_the_snapshot(upgrade) {
        upgrade.snapshot.is_some()
    } else {
        o.upgrade.spec.upgrade_from() != UpgradeFrom::Empty
    };
    let recovers = o.upgrade.status.as_ref().is_some_and(recovery::is_recovery);
    state && !recovers && o.upgrade.spec.preflight_policy() != PreflightPolicy::Skip
}

/// Whether it is known already what the new job starts from: no job is stopped for it, or the spec names it.
#[must_use]
pub fn from_the_snapshot(upgrade: &UpgradeProgress) -> bool {
    upgrade.from.is_none() || upgrade.source == Some(StateSource::RestoreFrom)
}

fn go_on(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress) {
    if upgrade.from.is_some() {
        prewarm::step_to_the_stop(o, draft, upgrade);
    } else {
        // Nothing is down meanwhile: it is submitted from there.
        step(o, draft, UpgradeStep::Starting, "the new job can be submitted");
    }
}

/// Writes down that the question is asked, and of which JobManager; then it is asked.
fn ask(o: &Observed, draft: &mut FlinkJobUpgradeStatus, upgrade: &UpgradeProgress, attempt: i32) -> Decision {
    let (Some(up), Some(record)) = (o.preflight_at(upgrade.to), o.record(upgrade.to)) else {
        if progress::stuck_for(o, upgrade) > o.upgrade.spec.progress_deadline() {
            finish::failed_before_the_stop(o, draft, upgrade, Reason::PodsNotReady, "its JobManager gives no answer");
        }
        return (None, Next::After(STARTING));
    };
    match &o.newest {
        Newest::NotAsked => return (None, Next::Again),
        Newest::Reading(place) => {
            set_message(draft, &format!("{place} is being read"));
            return (None, Next::After(STARTING));
        }
        Newest::Nothing | Newest::Unreadable(_) | Newest::Read { .. } => {}
    }
    let submission = &record.rendered.submission;
    if submission.entry_class.as_deref() == Some(workload::PYTHON_DRIVER) {
        let message =
            "a PyFlink job does not tell its operators beforehand; Flink says when it is submitted whether they fit";
        let result = PreflightResult {
            state: PreflightState::NotPossible,
            findings: vec![message.to_owned()],
            ..PreflightResult::default()
        };
        note(o, draft, result);
        return (None, Next::Again);
    }
    if let Some(u) = &mut draft.upgrade {
        u.preflight = Some(PreflightResult {
            state: PreflightState::Running,
            job_manager_instance: Some(up.instance.clone()),
            since: Some(time::to_k8s_precise(o.now)),
            attempts: attempt,
            ..PreflightResult::default()
        });
    }
    let own = [
        format!("{}/{}", naming::JAR_DIRECTORY, naming::JOB_JAR),
        submission.entry_class.clone().unwrap_or_else(|| "-".to_owned()),
        submission.parallelism.to_string(),
        MAIN_LIMIT.as_millis().to_string(),
    ];
    let request = PlanRequest {
        entry_class: Some(workload::PREFLIGHT_CLASS.to_owned()),
        args: own.into_iter().chain(submission.args.iter().cloned()).collect(),
    };
    (Some(Effect::Preflight(upgrade.to, request)), Next::Again)
}

/// It was asked, and the answer is not known: it was lost, or the operator was.
fn asked_before(
    o: &Observed,
    draft: &mut FlinkJobUpgradeStatus,
    upgrade: &UpgradeProgress,
    asked: &PreflightResult,
) -> Decision {
    let since = asked.since.as_ref().map_or(Duration::MAX, |t| o.since(time::from_k8s(t)));
    let died = o
        .preflight_at(upgrade.to)
        .is_some_and(|up| asked.job_manager_instance.as_deref() != Some(up.instance.as_str()));
    if !died && since < ASKED {
        set_message(draft, "the job's main() is being called on the new JobManager");
        return (None, Next::After(SLOW));
    }
    if asked.attempts < ATTEMPTS {
        return ask(o, draft, upgrade, asked.attempts + 1);
    }
    let finding = format!(
        "the job's main() was called {} times, and no JobManager answered: it ends their process; see the log of pod {}",
        asked.attempts,
        naming::job_manager_pod_name(status::name(o), upgrade.to)
    );
    note(
        o,
        draft,
        PreflightResult { state: PreflightState::Failed, findings: vec![finding], ..PreflightResult::default() },
    );
    (None, Next::Again)
}

/// Judges what the helper program has said, and records it.
pub fn answered(o: &Observed, draft: &mut FlinkJobUpgradeStatus, said: Said) {
    let Some(upgrade) = draft.upgrade.clone() else { return };
    let spec = &o.upgrade.spec;
    // Of a suspended job that which ran last.
    let before = upgrade.from.or(draft.suspension.as_ref().map(|suspension| suspension.revision));
    let running = before.and_then(|revision| o.record(revision));
    let changes = match (running, o.record(upgrade.to)) {
        (Some(running), Some(next)) => {
            let release = |revision| o.up(revision).and_then(|up| up.flink_version.as_ref()?.parse().ok());
            changes::between(&running.rendered, &next.rendered, upgrade.from.and_then(release), release(upgrade.to))
        }
        _ => Vec::new(),
    };
    let terms = Terms {
        allow_non_restored_state: upgrade.allow_non_restored_state.unwrap_or(false),
        allowed: spec.job.allowed_dropped_operators.as_deref().unwrap_or_default(),
        changes,
        starts_from_it: from_the_snapshot(&upgrade) || spec.upgrade_from() == UpgradeFrom::Checkpoint,
    };
    let result = judge::judge(said, &o.newest, &terms);
    note(o, draft, result);
}

fn note(o: &Observed, draft: &mut FlinkJobUpgradeStatus, result: PreflightResult) {
    status::preflight(o, draft, &result);
    if let Some(u) = &mut draft.upgrade {
        let asked = u.preflight.take().unwrap_or_default();
        if !result.operator_ids.is_empty() && !result.dropped.is_empty() {
            // By name: what they are is held against the real snapshot once more.
            u.allow_non_restored_state = Some(true);
        }
        u.preflight = Some(PreflightResult {
            job_manager_instance: asked.job_manager_instance,
            since: asked.since,
            attempts: asked.attempts,
            ..result
        });
    }
}

/// What keeps a job from being submitted from the snapshot that it is to start from, where only some operators may be
/// dropped: the newest one before the stop may have lacked what this one has.
#[must_use]
pub fn before_the_submit(o: &Observed, draft: &mut FlinkJobUpgradeStatus) -> Option<Decision> {
    let upgrade = draft.upgrade.clone()?;
    let ids = upgrade.preflight.as_ref().map(|p| p.operator_ids.as_slice()).filter(|ids| !ids.is_empty())?;
    let allowed = o.upgrade.spec.job.allowed_dropped_operators.as_deref().unwrap_or_default();
    match &o.newest {
        Newest::Read { facts, .. } => {
            let dropped = judge::dropped_unasked(facts, ids, allowed);
            if dropped.is_empty() {
                return None;
            }
            let message = format!(
                "the snapshot has state that no operator takes, and that job.allowedDroppedOperators does not name: {}",
                listed(&dropped)
            );
            finish::failed_after_the_stop(o, draft, &upgrade, Reason::PreflightFailed, &message);
            Some((None, Next::Again))
        }
        Newest::Unreadable(why) => {
            set_message(draft, &format!("the snapshot is to be held against job.allowedDroppedOperators: {why}"));
            Some((None, Next::After(SLOW)))
        }
        _ => Some((None, Next::After(STARTING))),
    }
}
