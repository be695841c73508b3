//! What the operators of a new revision's job mean for the state that it is to take. Pure.

use std::collections::HashSet;

use serde::Deserialize;

use crate::api::{PreflightPolicy, PreflightResult, PreflightState};
use crate::flink::Cause;
use crate::snapshot::capability::{self, Answer, Change};
use crate::snapshot::compare::{GraphOperator, OperatorRef, compare, listed};
use crate::snapshot::{OperatorId, SnapshotFacts};
use crate::upgrade::observed::Newest;

/// A status names at most so many operators of a kind.
const MOST_NAMED: usize = 100;
/// A condition names at most so many.
const MOST_TOLD: usize = 10;

/// What the helper program says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Said {
    /// The job's operators.
    Operators(Vec<GraphOperator>),
    /// It has none to tell.
    Failure {
        /// Why.
        kind: Kind,
        /// A stack trace.
        message: String,
    },
}

/// Why the helper program has no operators to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Kind {
    /// `main()` came to its end, or would not be interrupted at its `execute()`.
    NoGraph,
    /// `main()` failed.
    MainFailed,
    /// `main()` does not end.
    TimedOut,
}

impl Said {
    /// Reads the name of the plan.
    #[must_use]
    pub fn read(name: &str) -> Self {
        serde_json::from_str(name).unwrap_or_else(|_| {
            let message = format!("the plan that came back is not the helper's: it is named {name:.60?}");
            Self::Failure { kind: Kind::NoGraph, message }
        })
    }

    /// Flink refused to run the helper program at all.
    #[must_use]
    pub fn refused(cause: &Cause) -> Self {
        Self::Failure { kind: Kind::NoGraph, message: cause.to_string() }
    }
}

/// What the spec allows, and what else changes.
#[derive(Debug, Clone, Default)]
pub struct Terms<'a> {
    /// All state may be dropped.
    pub allow_non_restored_state: bool,
    /// The state of these operators may be dropped: uids or operator IDs.
    pub allowed: &'a [String],
    /// What changes between the two revisions, operators aside.
    pub changes: Vec<Change>,
    /// The new job starts from this very snapshot, and not from a savepoint that is taken later.
    pub starts_from_it: bool,
}

/// Judges what the helper program has said.
#[must_use]
pub fn judge(said: Said, newest: &Newest, terms: &Terms<'_>) -> PreflightResult {
    match said {
        Said::Failure { kind, message } => failed(kind, &message),
        Said::Operators(operators) => match newest {
            Newest::Read { location, facts } => {
                let held = held(&operators, facts, terms);
                PreflightResult { snapshot: Some(location.clone()), ..held }
            }
            Newest::Unreadable(why) => not_read(&operators, why, terms),
            _ => PreflightResult {
                state: PreflightState::Passed,
                new: named(&operators.iter().map(OperatorRef::from).collect::<Vec<_>>()),
                ..PreflightResult::default()
            },
        },
    }
}

fn failed(kind: Kind, message: &str) -> PreflightResult {
    let (state, finding) = match kind {
        Kind::NoGraph => {
            let why = Cause::parse(message);
            (PreflightState::NotPossible, format!("the job's main() does not tell its operators beforehand: {why}"))
        }
        Kind::MainFailed => (
            PreflightState::Refused,
            format!("the job's main() fails, so Flink would not start it: {}", Cause::parse(message)),
        ),
        Kind::TimedOut => (PreflightState::Failed, format!("the job's {message}")),
    };
    PreflightResult { state, findings: vec![finding], ..PreflightResult::default() }
}

fn not_read(operators: &[GraphOperator], why: &str, terms: &Terms<'_>) -> PreflightResult {
    let generated: Vec<OperatorRef> = operators.iter().filter(|o| o.generated).map(OperatorRef::from).collect();
    let mut findings = vec![format!("the newest snapshot of the job can't be read: {why}")];
    if !terms.allowed.is_empty() && !terms.allow_non_restored_state {
        findings.push(
            "job.allowedDroppedOperators can't be held against it, so Flink is told to drop nothing; create a \
             FlinkSnapshotStore that serves it, or set job.allowNonRestoredState: true"
                .to_owned(),
        );
    }
    PreflightResult {
        state: PreflightState::NotPossible,
        generated: named(&generated),
        findings,
        ..PreflightResult::default()
    }
}

fn held(operators: &[GraphOperator], facts: &SnapshotFacts, terms: &Terms<'_>) -> PreflightResult {
    let mut facts = facts.clone();
    facts.name_operators(
        operators.iter().filter_map(|o| o.uid.as_deref()).chain(terms.allowed.iter().map(String::as_str)),
    );
    let comparison = compare(&facts, operators);
    let unasked: Vec<OperatorRef> = if terms.allow_non_restored_state {
        Vec::new()
    } else {
        comparison.dropped_with_state.iter().filter(|dropped| !allows(terms.allowed, dropped)).cloned().collect()
    };
    let mut refusals = Vec::new();
    if !unasked.is_empty() {
        refusals.push(format!(
            "no operator takes the state of {}: give the operator back its uid (or setUidHash() with that ID), or name it in \
             job.allowedDroppedOperators to drop its state",
            listed(&unasked)
        ));
    }
    refusals.extend(comparison.conflicts.iter().take(MOST_TOLD).map(ToString::to_string));
    let same_graph = comparison.new.is_empty()
        && comparison.dropped_with_state.is_empty()
        && comparison.dropped_without_state.is_empty();
    let graph = (!same_graph).then_some(Change::Graph);
    let changes: Vec<Change> = terms.changes.iter().copied().chain(graph).collect();
    let verdicts = if terms.starts_from_it {
        capability::check_all(&facts, &changes)
    } else {
        // The savepoint that is to be taken comes in the format that the changes need, if there is one.
        capability::impossible(&changes).into_iter().collect()
    };
    let mut warnings = comparison.warnings();
    for verdict in verdicts {
        let cure = verdict.cure.map(|cure| format!(": {cure}")).unwrap_or_default();
        let list = if verdict.answer == Answer::No { &mut refusals } else { &mut warnings };
        list.push(format!("{}{cure}", verdict.message));
    }
    let state = if refusals.is_empty() { PreflightState::Passed } else { PreflightState::Refused };
    let by_name = !terms.allow_non_restored_state && !terms.allowed.is_empty() && state == PreflightState::Passed;
    let ids = |o: &GraphOperator| [Some(o.id), o.uid_hash];
    PreflightResult {
        state,
        kept: named(&comparison.kept),
        dropped: named(&comparison.dropped_with_state),
        new: named(&comparison.new),
        generated: named(&comparison.generated),
        findings: refusals.into_iter().chain(warnings).collect(),
        operator_ids: operators.iter().filter(|_| by_name).flat_map(ids).flatten().map(String::from).collect(),
        ..PreflightResult::default()
    }
}

/// The operators whose state nobody takes and nobody gave up, of the snapshot that a job is about to start from. `ids`:
/// all operators of that job.
#[must_use]
pub fn dropped_unasked(facts: &SnapshotFacts, ids: &[String], allowed: &[String]) -> Vec<OperatorRef> {
    let known: HashSet<OperatorId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
    let dropped = facts.operators.iter().filter(|o| o.has_state && !known.contains(&o.id)).map(OperatorRef::from);
    dropped.filter(|dropped| !allows(allowed, dropped)).collect()
}

/// A uid is enough, even where the snapshot knows IDs only: they are made from it.
fn allows(allowed: &[String], operator: &OperatorRef) -> bool {
    allowed.iter().any(|name| {
        operator.uid.as_ref() == Some(name)
            || name.parse().is_ok_and(|id: OperatorId| id == operator.id)
            || OperatorId::of_uid(name) == operator.id
    })
}

fn named(operators: &[OperatorRef]) -> Vec<String> {
    let name = |o: &OperatorRef| o.uid.clone().or_else(|| o.name.clone()).unwrap_or_else(|| o.id.to_string());
    operators.iter().take(MOST_NAMED).map(name).collect()
}

/// Whether an outcome keeps the old job running.
#[must_use]
pub fn blocks(state: PreflightState, policy: PreflightPolicy) -> bool {
    match state {
        // It would take the new JobManager with it after the stop just as well.
        PreflightState::Failed => true,
        PreflightState::Refused => policy != PreflightPolicy::Warn,
        _ => false,
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
