//! Which savepoints of a schedule go, as its retention says. Pure.

use chrono_tz::Tz;
use kube::ResourceExt;

use super::plan::{Effect, Observed};
use super::retention::{self, Rule, Snapshot};
use crate::api::condition::{self, types};
use crate::api::{FlinkSavepoint, FlinkSavepointScheduleStatus, KeptSavepoint, SavepointPhase};
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
    let mut all: Vec<Snapshot> = o.savepoints.iter().filter_map(snapshot).collect();
    let kept = retention::kept(rules, zone, o.now, &all);
    let next = draft.next_schedule_time.as_ref().map(time::from_k8s);
    let later = next.map(|next| {
        all.push(Snapshot { name: String::new(), at: next, held: false });
        retention::kept(rules, zone, next, &all)
    });
    let expiring = |name: &&String| later.as_ref().is_some_and(|later| !later.contains_key(*name));
    draft.expiring = kept.keys().filter(expiring).take(NAMED).cloned().collect();
    let words = |rules: &std::collections::BTreeSet<Rule>| rules.iter().map(|rule| rule.word().to_owned()).collect();
    // Their names hold their slots: the newest are the last.
    let newest = kept.iter().rev().take(NAMED);
    draft.kept = newest.map(|(name, rules)| KeptSavepoint { name: name.clone(), rules: words(rules) }).collect();
    let goes = |s: &&FlinkSavepoint| {
        let complete = matches!(phase(s), Some(SavepointPhase::Completed | SavepointPhase::Superseded));
        complete && s.metadata.deletion_timestamp.is_none() && !is_held(s) && !kept.contains_key(&s.name_any())
    };
    let oldest = o.savepoints.iter().filter(goes).min_by_key(|s| s.name_any())?;
    Some(Effect::Forget(oldest.name_any(), oldest.uid()))
}

/// One that may be used. What is superseded is kept by no rule, and what is about to go by none, either.
fn snapshot(savepoint: &FlinkSavepoint) -> Option<Snapshot> {
    let status = savepoint.status.as_ref()?;
    let stays = status.phase == Some(SavepointPhase::Completed) && savepoint.metadata.deletion_timestamp.is_none();
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
