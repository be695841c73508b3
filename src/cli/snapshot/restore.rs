//! Can a job with the operators of one snapshot start from another? What Flink says to that, ahead of the start.

use std::collections::HashMap;

use serde::Serialize;

use super::words;
use crate::snapshot::capability::{Answer, Change, Verdict, check_all};
use crate::snapshot::compare::{Conflict, GraphOperator, OperatorRef, compare};
use crate::snapshot::layout::FlinkRelease;
use crate::snapshot::{OperatorFacts, OperatorId, SnapshotFacts};

/// Operators that one line names.
const MOST_LISTED: usize = 10;

/// What stands in the way of a start from the earlier snapshot with the operators of the later one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Restore {
    /// Nothing does.
    possible: bool,
    /// Nothing does if `allowNonRestoredState` is set; state is dropped then.
    possible_with_allow_non_restored_state: bool,
    /// Operators whose state no operator takes.
    pub dropped_with_state: Vec<OperatorRef>,
    /// Operators whose parallelism does not agree with the earlier snapshot.
    conflicts: Vec<Conflict>,
    /// What the capability table does not allow, or not promise.
    verdicts: Vec<Verdict>,
    /// Operators in both whose maximum parallelism is not the same: name, before, after.
    #[serde(skip)]
    maxima: Vec<(OperatorRef, u32, u32)>,
}

impl Restore {
    /// From one snapshot with the operators of another.
    pub fn new(before: &SnapshotFacts, after: &SnapshotFacts) -> Self {
        let job: Vec<GraphOperator> = after.operators.iter().map(graph_operator).collect();
        let comparison = compare(before, &job);
        let gone = comparison.dropped_with_state.len() + comparison.dropped_without_state.len();
        let mut changes = Vec::new();
        if gone + comparison.new.len() > 0 {
            changes.push(Change::Graph);
        }
        if let Some(layout) = after.written_by().filter(|layout| layout.version != before.version) {
            let (major, minor) = layout.last.unwrap_or(layout.first);
            changes.push(Change::Flink { from: None, to: FlinkRelease::line(major, minor) });
        }
        let verdicts = check_all(before, &changes);
        let allowed = verdicts.iter().all(|verdict| verdict.answer != Answer::No);
        Self {
            possible: allowed && comparison.is_restorable(false),
            possible_with_allow_non_restored_state: allowed && comparison.is_restorable(true),
            maxima: maxima(before, after, &comparison.kept),
            dropped_with_state: comparison.dropped_with_state,
            conflicts: comparison.conflicts,
            verdicts,
        }
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut rows: Vec<[String; 2]> = Vec::new();
        let mut row = |answer: &str, text: String| rows.push([answer.to_owned(), text]);
        if self.possible {
            row("yes", "every operator with state in BEFORE is in AFTER".to_owned());
        }
        if !self.dropped_with_state.is_empty() {
            let gone = listed(self.dropped_with_state.iter().map(short));
            row(
                "no",
                format!(
                    "AFTER has no operator for the state of {gone}: Flink refuses to start unless allowNonRestoredState is \
                     set, and then that state is lost"
                ),
            );
        }
        for conflict in self.conflicts.iter().take(MOST_LISTED) {
            row("no", conflict.to_string());
        }
        if let Some(more) = self.conflicts.len().checked_sub(MOST_LISTED).filter(|more| *more > 0) {
            row("no", format!("and {more} more operators"));
        }
        for verdict in &self.verdicts {
            let answer = if verdict.answer == Answer::No { "no" } else { "not promised" };
            let cure = verdict.cure.as_deref().map(|cure| format!(": {cure}")).unwrap_or_default();
            row(answer, format!("{}{cure}", verdict.message));
        }
        if !self.maxima.is_empty() {
            let changed = self.maxima.iter().map(|(operator, old, new)| format!("{} {old} → {new}", short(operator)));
            row(
                "note",
                format!(
                    "another maximum parallelism ({}): Flink refuses to start if the job sets the new one itself",
                    listed(changed)
                ),
            );
        }
        let rows: Vec<Vec<String>> = rows.into_iter().map(Vec::from).collect();
        let question = "Can a job with the operators of AFTER start from BEFORE?\n";
        question.to_owned() + &words::columns(None, &rows, &[])
    }
}

/// An operator by one of its names.
fn short(operator: &OperatorRef) -> String {
    if operator.uid.is_none() && operator.name.is_none() {
        return operator.id.to_string();
    }
    words::operator(operator.uid.as_deref(), operator.name.as_deref())
}

/// The first of them, and how many more there are.
fn listed(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(MOST_LISTED);
    let shown: Vec<String> = items.take(MOST_LISTED).collect();
    let shown = shown.join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// Whether the job sets the maximum parallelism, or Flink has chosen it, the later snapshot does not say.
fn graph_operator(operator: &OperatorFacts) -> GraphOperator {
    GraphOperator {
        id: operator.id,
        uid_hash: None,
        uid: operator.uid.clone(),
        name: operator.name.clone(),
        parallelism: Some(operator.parallelism),
        max_parallelism: None,
        generated: false,
    }
}

fn maxima(before: &SnapshotFacts, after: &SnapshotFacts, kept: &[OperatorRef]) -> Vec<(OperatorRef, u32, u32)> {
    let maximum = |facts: &SnapshotFacts| -> HashMap<OperatorId, u32> {
        facts.operators.iter().map(|operator| (operator.id, operator.max_parallelism)).collect()
    };
    let (before, after) = (maximum(before), maximum(after));
    let both = kept.iter().filter_map(|operator| {
        let (before, after) = (*before.get(&operator.id)?, *after.get(&operator.id)?);
        (before != after).then(|| (operator.clone(), before, after))
    });
    both.collect()
}

#[cfg(test)]
#[path = "restore_tests.rs"]
mod tests;
