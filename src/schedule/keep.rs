//! Which savepoints of a schedule go, as its retention says. Pure.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use kube::ResourceExt;

use super::plan::{Effect, Observed};
use super::retention::{self, Rule, Snapshot};
use crate::api::condition::{self, types};
use crate::api::{
    FlinkClusterRef, FlinkSavepoint, FlinkSavepointScheduleStatus, JobRef, KeptSavepoint, Ownership, SavepointPhase,
};
use crate::time;

/// A status names at most so many.
const NAMED: usize = 100;

/// Why the retention can't be followed: nothing is deleted then.
#[must_use]
pub fn trouble(o: &Observed) -> Option<String> {
    let rules = o.schedule.spec.retention.as_ref()?;
    retention::keeps_nothing(rules).then(|| {
        "spec.retention keeps nothing: give one of its rules a number above 0, or leave it out to keep all; nothing is \
         deleted"
            .to_owned()
    })
}

/// The oldest savepoint that may go; and into the status what is kept, by which rules, and what would go next.
pub fn expired(o: &Observed, draft: &mut FlinkSavepointScheduleStatus) -> Option<Effect> {
    let Some(rules) = &o.schedule.spec.retention else {
        draft.kept.clear();
        draft.expiring.clear();
        return None;
    };
    let zone = o.schedule.spec.time_zone.as_deref().and_then(|zone| zone.parse().ok()).unwrap_or(Tz::UTC);
    let next = draft.next_schedule_time.as_ref().map(time::from_k8s);
    let spec = &o.schedule.spec.savepoint_template.spec;
    let (mut kept, mut later) = (BTreeMap::new(), next.map(|_| BTreeMap::new()));
    // The savepoints of another job do not stand in for those of this one.
    for ((job, cluster), mut all) in of_each_job(o) {
        kept.extend(retention::kept(rules, zone, &all));
        if let (Some(next), Some(later)) = (next, &mut later) {
            if (job, cluster) == (spec.job_ref.as_ref(), spec.flink_cluster.as_ref()) {
                all.push(Snapshot { name: String::new(), at: next, held: false });
            }
            later.extend(retention::kept(rules, zone, &all));
        }
    }
    let expiring = |name: &&String| later.as_ref().is_some_and(|later| !later.contains_key(*name));
    draft.expiring = kept.keys().filter(expiring).take(NAMED).cloned().collect();
    let words = |rules: &std::collections::BTreeSet<Rule>| rules.iter().map(|rule| rule.word().to_owned()).collect();
    let complete = |s: &FlinkSavepoint| s.status.as_ref().and_then(|s| s.completion_time.clone());
    let mut newest: Vec<_> = o.savepoints.iter().filter(|s| kept.contains_key(&s.name_any())).collect();
    newest.sort_by_key(|s| std::cmp::Reverse((complete(s), s.name_any())));
    let told = newest.iter().take(NAMED).filter_map(|s| kept.get_key_value(&s.name_any()));
    draft.kept = told.map(|(name, rules)| KeptSavepoint { name: name.clone(), rules: words(rules) }).collect();
    let goes = |s: &&FlinkSavepoint| {
        let there = matches!(phase(s), Some(SavepointPhase::Completed | SavepointPhase::Superseded));
        there && s.metadata.deletion_timestamp.is_none() && !is_held(s) && !kept.contains_key(&s.name_any())
    };
    let oldest = o.savepoints.iter().filter(goes).min_by_key(|s| (complete(s), s.name_any()))?;
    Some(Effect::Forget(oldest.name_any(), oldest.uid()))
}

/// What a savepoint is of.
type Of<'a> = (Option<&'a JobRef>, Option<&'a FlinkClusterRef>);

/// Those that count, by what they are of.
fn of_each_job(o: &Observed) -> Vec<(Of<'_>, Vec<Snapshot>)> {
    let mut all: Vec<(Of<'_>, Vec<Snapshot>)> = Vec::new();
    for (savepoint, found) in o.savepoints.iter().filter_map(|s| Some((s, snapshot(s)?))) {
        let of = (savepoint.spec.job_ref.as_ref(), savepoint.spec.flink_cluster.as_ref());
        match all.iter_mut().find(|(known, _)| *known == of) {
            Some((_, of_it)) => of_it.push(found),
            None => all.push((of, vec![found])),
        }
    }
    all
}

/// One that may be used. What is superseded is kept by no rule, and what is about to go by none, either.
fn snapshot(savepoint: &FlinkSavepoint) -> Option<Snapshot> {
    let status = savepoint.status.as_ref()?;
    // Nobody can start from what is Flink's.
    let stays = status.phase == Some(SavepointPhase::Completed)
        && savepoint.metadata.deletion_timestamp.is_none()
        && status.ownership != Some(Ownership::Flink);
    let at = status.completion_time.as_ref().map(time::from_k8s)?;
    stays.then(|| Snapshot { name: savepoint.name_any(), at, held: is_held(savepoint) })
}

/// As long as nobody has said that nothing needs it.
fn is_held(savepoint: &FlinkSavepoint) -> bool {
    let status = savepoint.status.as_ref();
    !status.is_some_and(|status| condition::is_true(&status.conditions, types::DELETABLE))
}

fn phase(savepoint: &FlinkSavepoint) -> Option<SavepointPhase> {
    savepoint.status.as_ref().and_then(|status| status.phase)
}

#[cfg(test)]
#[path = "keep_tests.rs"]
mod tests;
