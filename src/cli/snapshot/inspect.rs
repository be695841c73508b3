//! `snapshot inspect`: what a snapshot is, its operators, and what it can be used for.

use std::fmt::Write as _;

use serde::Serialize;

use super::output::Answer;
use super::words;
use crate::snapshot::capability::{Answer as May, Column, Row, check_row};
use crate::snapshot::store::Snapshot;
use crate::snapshot::{OperatorFacts, SnapshotFacts, SnapshotKind};

/// The rows of the capability table that can be answered without knowing the Flink that shall read the snapshot.
const ROWS: [Row; 8] = [
    Row::PatchUpgradeOrRescaling,
    Row::JobUpgrade,
    Row::MinorUpgrade,
    Row::SchemaEvolution,
    Row::StateBackendChange,
    Row::SelfContained,
    Row::StateProcessorReading,
    Row::StateProcessorWriting,
];

/// From this layout on Flink writes uids and names into `_metadata`.
const FIRST_WITH_UIDS: u32 = 5;

/// What is in a snapshot. Serialised: its facts.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Inspection<'a> {
    facts: &'a SnapshotFacts,
    #[serde(skip)]
    snapshot: &'a Snapshot,
}

impl<'a> Inspection<'a> {
    /// Of this snapshot.
    pub fn new(snapshot: &'a Snapshot) -> Self {
        Self { facts: &snapshot.facts, snapshot }
    }

    fn head(&self) -> String {
        let (facts, snapshot) = (self.facts, self.snapshot);
        let mut rows = Vec::new();
        let mut row = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
        row("location", snapshot.directory.clone());
        let file = snapshot.metadata.rsplit('/').next().unwrap_or_default();
        row("metadata", format!("{file}, {}", words::bytes(snapshot.metadata_bytes)));
        if facts.kind.is_none() {
            let maybe: Vec<String> = Column::of(facts).map(|column| column.to_string()).collect();
            row("kind", format!("unknown: layout {} does not say it. It may be {}", facts.version, maybe.join(" or ")));
        }
        if let Some(layout) = facts.written_by() {
            let (major, minor) = layout.first;
            row("readable by", format!("Flink {major}.{minor} and later"));
        }
        row("state", state(facts));
        row("self-contained", self_contained(facts));
        let with_state = facts.operators.iter().filter(|operator| operator.has_state).count();
        row("operators", format!("{}, {with_state} with state", facts.operators.len()));
        words::columns(None, &rows, &[])
    }

    fn operators(&self) -> String {
        let head = [
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
        let rows: Vec<Vec<String>> = self.facts.operators.iter().map(operator).collect();
        words::columns(Some(&head), &rows, &[1, 2, 4, 5, 6, 7])
    }

    /// What a person may do about operators without a uid.
    fn unnamed(&self) -> Option<String> {
        let unnamed = self.facts.operators.iter().filter(|operator| operator.uid.is_none()).count();
        if unnamed == 0 {
            return None;
        }
        Some(if self.facts.version < FIRST_WITH_UIDS {
            format!(
                "Layout {} holds no uids: give the job's by --uid or --uids to see which operator is which.\n",
                self.facts.version
            )
        } else {
            format!(
                "{} no uid (names are in quotes): the ids change with the job's graph, and then the state is not found.\
\nSet uid() on every operator, and setUidHash() with the id shown here, which keeps the state.\n",
                if unnamed == 1 { "1 operator has".to_owned() } else { format!("{unnamed} operators have") }
            )
        })
    }

    fn capabilities(&self) -> String {
        let rows: Vec<Vec<String>> = ROWS.into_iter().map(|row| capability(self.facts, row)).collect();
        words::columns(Some(&["CAN BE USED FOR", "", ""]), &rows, &[])
    }
}

impl Answer for Inspection<'_> {
    fn table(&self) -> String {
        let mut text = String::new();
        let (what, layout) = (words::what(self.facts), words::layout(self.facts));
        // Writing to a string never fails.
        let _ = writeln!(text, "{what}, {layout}\n{}", self.head());
        if !self.facts.operators.is_empty() {
            let _ = writeln!(text, "{}", self.operators());
        }
        if let Some(unnamed) = self.unnamed() {
            let _ = writeln!(text, "{unnamed}");
        }
        text.push_str(&self.capabilities());
        text
    }

    fn exit_code(&self) -> u8 {
        0
    }
}

fn state(facts: &SnapshotFacts) -> String {
    let total = words::bytes(facts.total_bytes);
    match (facts.files.len(), facts.inline_bytes) {
        (0, 0) => "none".to_owned(),
        (0, _) => format!("{total}, all of it in the metadata"),
        (files, 0) => format!("{total} in {}", words::count(files, "file")),
        (files, inline) => {
            let in_files = words::bytes(facts.total_bytes.saturating_sub(inline));
            format!("{total}: {in_files} in {}, {} in the metadata", words::count(files, "file"), words::bytes(inline))
        }
    }
}

fn self_contained(facts: &SnapshotFacts) -> String {
    let absolute = facts.files.iter().filter(|file| !file.relative).count();
    match facts.files.iter().find(|file| !file.relative) {
        None if facts.kind == Some(SnapshotKind::Checkpoint) => {
            "yes: all files are in its directory, which Flink promises of savepoints only".to_owned()
        }
        None => "yes: all files are in its directory, which may be copied or moved".to_owned(),
        Some(file) => format!(
            "no: {absolute} of {} are named by their whole location, as {}",
            words::count(facts.files.len(), "file"),
            file.path
        ),
    }
}

fn operator(operator: &OperatorFacts) -> Vec<String> {
    let OperatorFacts { uid, name, .. } = operator;
    vec![
        words::operator(uid.as_deref(), name.as_deref()),
        operator.parallelism.to_string(),
        operator.max_parallelism.to_string(),
        words::has_state(operator.fully_finished, operator.has_state).to_owned(),
        words::some_bytes(operator.keyed_bytes),
        words::some_bytes(operator.operator_bytes),
        words::some_bytes(operator.channel_bytes),
        words::some_bytes(operator.coordinator_bytes),
        operator.id.to_string(),
    ]
}

/// A row: what, the answer, and what to do if it is not yes.
fn capability(facts: &SnapshotFacts, row: Row) -> Vec<String> {
    let verdict = check_row(facts, row);
    let answer = match verdict.answer {
        May::Yes => "yes",
        May::Warn if Column::of(facts).count() > 1 => "depends",
        May::Warn => "not promised",
        May::No => "no",
    };
    vec![row.to_string(), answer.to_owned(), verdict.cure.unwrap_or_default()]
}
