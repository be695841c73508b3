//! `snapshot diff`: what changed from one snapshot to another, for whoever decides about an upgrade.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::output::Answer;
use super::restore::Restore;
use super::words;
use crate::flink::SavepointFormat;
use crate::snapshot::store::Snapshot;
use crate::snapshot::{OperatorFacts, OperatorId, SnapshotFacts, SnapshotKind};

/// Two snapshots, and what changed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diff<'a> {
    before: Side<'a>,
    after: Side<'a>,
    /// The operators are the same, with the same parallelism and maximum parallelism.
    same_operators: bool,
    /// In the order of `before`; new ones at the end.
    operators: Vec<OperatorDiff<'a>>,
    /// Whether a job with the operators of `after` can start from `before`.
    restore: Restore,
    #[serde(skip)]
    facts: [&'a SnapshotFacts; 2],
}

/// One of the two.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Side<'a> {
    location: &'a str,
    version: u32,
    checkpoint_id: u64,
    kind: Option<SnapshotKind>,
    format_type: Option<SavepointFormat>,
    self_contained: bool,
    total_bytes: u64,
    inline_bytes: u64,
    /// Number of files.
    files: usize,
    #[serde(flatten)]
    parts: Parts,
}

/// Bytes by kind of state, as Flink's `getStateSize()` counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the facts' own names")]
struct Parts {
    keyed_bytes: u64,
    operator_bytes: u64,
    channel_bytes: u64,
    coordinator_bytes: u64,
}

/// An operator of one or both.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OperatorDiff<'a> {
    change: Fate,
    id: OperatorId,
    uid: Option<&'a str>,
    name: Option<&'a str>,
    before: Option<OperatorSide>,
    after: Option<OperatorSide>,
}

/// What became of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Fate {
    Kept,
    New,
    Gone,
}

/// An operator in one of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct OperatorSide {
    parallelism: u32,
    max_parallelism: u32,
    fully_finished: bool,
    has_state: bool,
    #[serde(flatten)]
    parts: Parts,
}

impl<'a> Diff<'a> {
    /// From one snapshot to another.
    pub fn new(before: &'a Snapshot, after: &'a Snapshot) -> Self {
        let facts = [&before.facts, &after.facts];
        let operators = operators(&before.facts, &after.facts);
        let same_operators = operators.iter().all(OperatorDiff::is_same);
        let restore = Restore::new(&before.facts, &after.facts);
        Self { before: Side::new(before), after: Side::new(after), same_operators, operators, restore, facts }
    }

    fn head(&self) -> String {
        let mut rows = Vec::new();
        for (name, side, facts) in
            [("before", &self.before, self.facts.first()), ("after", &self.after, self.facts.last())]
        {
            let Some(facts) = facts else { continue };
            rows.push(vec![name.to_owned(), format!("{}, {}", words::what(facts), words::layout(facts))]);
            rows.push(vec![String::new(), side.location.to_owned()]);
        }
        words::columns(None, &rows, &[])
    }

    fn sums(&self) -> String {
        let (before, after) = (&self.before, &self.after);
        let row = |name: &str, of: &dyn Fn(&Side<'_>) -> String| vec![name.to_owned(), of(before), of(after)];
        let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
        let rows = [
            row("all state", &|side| words::bytes(side.total_bytes)),
            row("in files", &|side| words::bytes(side.total_bytes.saturating_sub(side.inline_bytes))),
            row("in the metadata", &|side| words::some_bytes(side.inline_bytes)),
            row("files", &|side| indicatif::HumanCount(side.files as u64).to_string()),
            row("self-contained", &|side| yes(side.self_contained)),
            row("keyed state", &|side| words::some_bytes(side.parts.keyed_bytes)),
            row("operator state", &|side| words::some_bytes(side.parts.operator_bytes)),
            row("records in flight", &|side| words::some_bytes(side.parts.channel_bytes)),
            row("coordinators", &|side| words::some_bytes(side.parts.coordinator_bytes)),
        ];
        words::columns(Some(&["", "BEFORE", "AFTER"]), &rows, &[1, 2])
    }

    fn operators(&self) -> String {
        let head = [
            "CHANGE",
            "OPERATOR",
            "PARALLELISM",
            "MAX",
            "STATE",
            "KEYED STATE",
            "OPERATOR STATE",
            "IN FLIGHT",
            "COORDINATOR",
            "ID",
        ];
        let rows: Vec<Vec<String>> = self.operators.iter().map(OperatorDiff::row).collect();
        words::columns(Some(&head), &rows, &[])
    }

    fn counts(&self) -> String {
        let count = |change| self.operators.iter().filter(|operator| operator.change == change).count();
        let rescaled = self.operators.iter().filter(|o| o.change == Fate::Kept && !o.is_same()).count();
        let lost = self.restore.dropped_with_state.len();
        let of_them = |n: usize, what: &str| if n == 0 { String::new() } else { format!(" ({n} {what})") };
        format!(
            "Operators: {} kept{}, {} new, {} gone{}\n",
            count(Fate::Kept),
            of_them(rescaled, "with another parallelism or maximum"),
            count(Fate::New),
            count(Fate::Gone),
            of_them(lost, "with state")
        )
    }
}

impl Answer for Diff<'_> {
    fn table(&self) -> String {
        let parts = [self.head(), self.sums(), self.counts() + &self.operators(), self.restore.table()];
        parts.join("\n")
    }

    fn exit_code(&self) -> u8 {
        u8::from(!self.same_operators)
    }
}

impl<'a> Side<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let facts = &snapshot.facts;
        Self {
            location: &snapshot.directory,
            version: facts.version,
            checkpoint_id: facts.checkpoint_id,
            kind: facts.kind,
            format_type: facts.format_type,
            self_contained: facts.self_contained,
            total_bytes: facts.total_bytes,
            inline_bytes: facts.inline_bytes,
            files: facts.files.len(),
            parts: facts.operators.iter().map(Parts::of).fold(Parts::default(), Parts::plus),
        }
    }
}

impl Parts {
    fn of(operator: &OperatorFacts) -> Self {
        Self {
            keyed_bytes: operator.keyed_bytes,
            operator_bytes: operator.operator_bytes,
            channel_bytes: operator.channel_bytes,
            coordinator_bytes: operator.coordinator_bytes,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            keyed_bytes: self.keyed_bytes.saturating_add(other.keyed_bytes),
            operator_bytes: self.operator_bytes.saturating_add(other.operator_bytes),
            channel_bytes: self.channel_bytes.saturating_add(other.channel_bytes),
            coordinator_bytes: self.coordinator_bytes.saturating_add(other.coordinator_bytes),
        }
    }
}

impl OperatorSide {
    fn new(operator: &OperatorFacts) -> Self {
        Self {
            parallelism: operator.parallelism,
            max_parallelism: operator.max_parallelism,
            fully_finished: operator.fully_finished,
            has_state: operator.has_state,
            parts: Parts::of(operator),
        }
    }

    fn scale(&self) -> (u32, u32) {
        (self.parallelism, self.max_parallelism)
    }
}

impl OperatorDiff<'_> {
    fn is_same(&self) -> bool {
        self.change == Fate::Kept && self.before.map(|side| side.scale()) == self.after.map(|side| side.scale())
    }

    fn row(&self) -> Vec<String> {
        let change = match self.change {
            Fate::Kept if self.is_same() => "kept",
            Fate::Kept => "rescaled",
            Fate::New => "new",
            Fate::Gone => "gone",
        };
        let cell = |of: &dyn Fn(&OperatorSide) -> String| match (&self.before, &self.after) {
            (Some(before), Some(after)) if of(before) == of(after) => of(after),
            (Some(before), Some(after)) => format!("{} → {}", of(before), of(after)),
            (Some(only), None) | (None, Some(only)) => of(only),
            (None, None) => words::NOTHING.to_owned(),
        };
        vec![
            change.to_owned(),
            words::operator(self.uid, self.name),
            cell(&|side| side.parallelism.to_string()),
            cell(&|side| side.max_parallelism.to_string()),
            cell(&|side| words::has_state(side.fully_finished, side.has_state).to_owned()),
            cell(&|side| words::some_bytes(side.parts.keyed_bytes)),
            cell(&|side| words::some_bytes(side.parts.operator_bytes)),
            cell(&|side| words::some_bytes(side.parts.channel_bytes)),
            cell(&|side| words::some_bytes(side.parts.coordinator_bytes)),
            self.id.to_string(),
        ]
    }
}

fn operators<'a>(before: &'a SnapshotFacts, after: &'a SnapshotFacts) -> Vec<OperatorDiff<'a>> {
    let by_id: HashMap<OperatorId, &OperatorFacts> = after.operators.iter().map(|o| (o.id, o)).collect();
    let old: HashSet<OperatorId> = before.operators.iter().map(|o| o.id).collect();
    let diff = |change, before: Option<&'a OperatorFacts>, after: Option<&'a OperatorFacts>| {
        let (first, second) = (after.or(before)?, before.or(after)?);
        Some(OperatorDiff {
            change,
            id: first.id,
            uid: first.uid.as_deref().or(second.uid.as_deref()),
            name: first.name.as_deref().or(second.name.as_deref()),
            before: before.map(OperatorSide::new),
            after: after.map(OperatorSide::new),
        })
    };
    let in_before = before.operators.iter().map(|operator| match by_id.get(&operator.id) {
        Some(other) => diff(Fate::Kept, Some(operator), Some(*other)),
        None => diff(Fate::Gone, Some(operator), None),
    });
    let new = after.operators.iter().filter(|o| !old.contains(&o.id)).map(|o| diff(Fate::New, None, Some(o)));
    in_before.chain(new).flatten().collect()
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
