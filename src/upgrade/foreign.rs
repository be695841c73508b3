//! Jobs of somebody else on a revision's cluster: they are told of, never ended, and a cluster is not given up while one
//! lives there, as its state is state, too.

use super::observed::Observed;
use super::status;
use crate::api::FlinkJobUpgradeStatus;
use crate::api::annotations::DISCARD;
use crate::api::condition::{Conditions, Reason, types};
use crate::flink::JobId;
use crate::naming;

/// The jobs that live on a revision's cluster and are none of the resource's. `None`: its JobManager gives no answer.
fn jobs(o: &Observed, revision: i64) -> Option<Vec<&JobId>> {
    // A session cluster is everybody's.
    if o.session.is_some() {
        return None;
    }
    let uid = status::uid(o);
    let submissions = o.upgrade.status.as_ref().and_then(|s| s.last_submission).unwrap_or_default();
    let warm_up = naming::warm_up_job_id(uid, revision);
    let is_known =
        |id: &str| id == warm_up || (1..=submissions).rev().any(|number| naming::job_id(uid, revision, number) == id);
    let up = o.up(revision)?;
    Some(
        up.jobs.iter().filter(|(id, state)| !state.is_terminal() && !is_known(id.as_str())).map(|(id, _)| id).collect(),
    )
}

fn names(jobs: &[&JobId]) -> String {
    jobs.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(",")
}

/// Says which there are.
pub fn tell(o: &Observed, draft: &mut FlinkJobUpgradeStatus, revision: i64) {
    let Some(jobs) = jobs(o, revision) else { return };
    let mut conditions = Conditions::new(&mut draft.conditions, o.upgrade.metadata.generation, o.now);
    if jobs.is_empty() {
        conditions.remove(types::FOREIGN_JOBS);
        return;
    }
    let message = format!(
        "on the cluster of revision {revision} live jobs that are not this resource's, and take its slots: {}; give them a \
         cluster of their own",
        names(&jobs)
    );
    conditions.set(types::FOREIGN_JOBS, true, Reason::ForeignJob, message);
}

/// Why a revision's cluster can't be given up: what lives there, but for jobs that somebody has given up by their ids.
#[must_use]
pub fn would_end(o: &Observed, revision: i64) -> Option<String> {
    let given_up = o.upgrade.metadata.annotations.as_ref().and_then(|all| all.get(DISCARD)).map_or("", String::as_str);
    let is_given_up = |id: &str| given_up.split(',').any(|one| one.trim() == id);
    let mut jobs = jobs(o, revision)?;
    jobs.retain(|id| !is_given_up(id.as_str()));
    (!jobs.is_empty()).then(|| {
        let ids = names(&jobs);
        format!(
            "the change waits: jobs that are not this resource's live on the cluster of revision {revision}, and would end \
             with it: {ids}; stop them with a savepoint, or let them end: kubectl annotate fju {} {DISCARD}={ids}",
            status::name(o)
        )
    })
}

#[cfg(test)]
#[path = "foreign_tests.rs"]
mod tests;
