//! What can be done with which kind of snapshot: Flink's own table (announcement of 1.15, "Checkpoints vs. Savepoints" in
//! its documentation) as data, and the format that a savepoint needs for what is to change.

use std::fmt;

use serde::Serialize;

use super::facts::SnapshotFacts;
use super::layout::FlinkRelease;
use super::properties::SnapshotKind;
use crate::flink::SavepointFormat;

/// May it be done?
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// Flink promises it.
    Yes,
    /// It works as far as is known, without a promise.
    Warn,
    /// It does not work.
    No,
}

/// A column of the table: a kind of snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Column {
    /// A savepoint in the format of all state backends.
    CanonicalSavepoint,
    /// A savepoint in the state backend's own format.
    NativeSavepoint,
    /// A checkpoint without records in flight.
    AlignedCheckpoint,
    /// A checkpoint with records in flight.
    UnalignedCheckpoint,
}

impl Column {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::CanonicalSavepoint, Self::NativeSavepoint, Self::AlignedCheckpoint, Self::UnalignedCheckpoint];

    /// The columns that a snapshot may be in: one, unless its `_metadata` (layouts before 4) does not say what it is.
    pub fn of(facts: &SnapshotFacts) -> impl Iterator<Item = Self> {
        let (kind, format, unaligned) = (facts.kind, facts.format_type, facts.has_channel_state);
        Self::ALL.into_iter().filter(move |column| {
            let (of_kind, of_format, of_channels) = match column {
                Self::CanonicalSavepoint => (SnapshotKind::Savepoint, Some(SavepointFormat::Canonical), false),
                Self::NativeSavepoint => (SnapshotKind::Savepoint, Some(SavepointFormat::Native), false),
                Self::AlignedCheckpoint => (SnapshotKind::Checkpoint, None, false),
                Self::UnalignedCheckpoint => (SnapshotKind::Checkpoint, None, true),
            };
            kind.is_none_or(|kind| kind == of_kind)
                && (format.is_none() || format == of_format)
                && (of_kind == SnapshotKind::Savepoint || unaligned == of_channels)
        })
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CanonicalSavepoint => "a CANONICAL savepoint",
            Self::NativeSavepoint => "a NATIVE savepoint",
            Self::AlignedCheckpoint => "an aligned checkpoint",
            Self::UnalignedCheckpoint => "an unaligned checkpoint",
        })
    }
}

/// A row of the table: an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Row {
    /// Another state backend.
    StateBackendChange,
    /// Changed by Flink's State Processor API.
    StateProcessorWriting,
    /// Read by Flink's State Processor API.
    StateProcessorReading,
    /// Moved or copied elsewhere.
    SelfContained,
    /// Another type of state, for the same state.
    SchemaEvolution,
    /// Another graph of operators.
    JobUpgrade,
    /// Another minor version of Flink.
    MinorUpgrade,
    /// Another patch version of Flink, or another parallelism.
    PatchUpgradeOrRescaling,
    /// A Flink that is older than the layout of `_metadata`. Not in Flink's table: its reader knows no later layouts.
    MetadataDowngrade,
}

impl Row {
    /// The rows.
    pub const ALL: [Self; 9] = [
        Self::StateBackendChange,
        Self::StateProcessorWriting,
        Self::StateProcessorReading,
        Self::SelfContained,
        Self::SchemaEvolution,
        Self::JobUpgrade,
        Self::MinorUpgrade,
        Self::PatchUpgradeOrRescaling,
        Self::MetadataDowngrade,
    ];

    /// The row's answers, in the order of [`Column::ALL`].
    #[must_use]
    pub const fn answers(self) -> [Answer; 4] {
        use Answer::{No, Warn, Yes};
        match self {
            Self::StateBackendChange | Self::StateProcessorWriting => [Yes, No, No, No],
            Self::StateProcessorReading => [Yes, Warn, Warn, No],
            Self::SelfContained => [Yes, Yes, No, No],
            Self::SchemaEvolution => [Yes, Warn, Warn, Warn],
            Self::JobUpgrade | Self::MinorUpgrade => [Yes, Yes, Yes, No],
            Self::PatchUpgradeOrRescaling => [Yes, Yes, Yes, Yes],
            Self::MetadataDowngrade => [No, No, No, No],
        }
    }

    /// The answer for one kind of snapshot.
    #[must_use]
    pub const fn answer(self, column: Column) -> Answer {
        let [canonical, native, aligned, unaligned] = self.answers();
        match column {
            Column::CanonicalSavepoint => canonical,
            Column::NativeSavepoint => native,
            Column::AlignedCheckpoint => aligned,
            Column::UnalignedCheckpoint => unaligned,
        }
    }

    /// What else to start from.
    const fn cure(self) -> &'static str {
        match self {
            Self::StateBackendChange | Self::StateProcessorWriting | Self::StateProcessorReading => {
                "take a CANONICAL savepoint: formatType: CANONICAL"
            }
            Self::SchemaEvolution => "take a CANONICAL savepoint (formatType: CANONICAL), or try it on a fork first",
            Self::SelfContained => "take a savepoint, of either formatType, and move that",
            Self::JobUpgrade | Self::MinorUpgrade => {
                "take a savepoint, of either formatType, or wait for an aligned checkpoint \
                 (execution.checkpointing.unaligned.enabled: false)"
            }
            Self::PatchUpgradeOrRescaling => "take a savepoint, of either formatType",
            Self::MetadataDowngrade => {
                "stay on the newer Flink, or start from a snapshot that the older one has written"
            }
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StateBackendChange => "state backend change",
            Self::StateProcessorWriting => "State Processor API, writing",
            Self::StateProcessorReading => "State Processor API, reading",
            Self::SelfContained => "self-contained and relocatable",
            Self::SchemaEvolution => "schema evolution",
            Self::JobUpgrade => "job upgrade",
            Self::MinorUpgrade => "Flink minor version upgrade",
            Self::PatchUpgradeOrRescaling => "Flink patch version upgrade, rescaling",
            Self::MetadataDowngrade => "downgrade across layouts of _metadata",
        })
    }
}

/// What is to change between the job that a snapshot was taken of and the one that starts from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Change {
    /// Another state backend (`state.backend.type`).
    StateBackend,
    /// Another Flink.
    Flink {
        /// The one that wrote the snapshot. `None`: judged by the layout of `_metadata`.
        from: Option<FlinkRelease>,
        /// The one that reads it.
        to: FlinkRelease,
    },
    /// Another parallelism.
    Parallelism,
    /// Other operators, or others chained.
    Graph,
    /// Other types of state.
    Schema,
    /// Another directory: the snapshot is to be moved or copied.
    Location,
    /// It is to be read by the State Processor API.
    StateProcessorReading,
    /// It is to be changed by the State Processor API.
    StateProcessorWriting,
}

/// An answer, with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The answer.
    pub answer: Answer,
    /// By which row of the table.
    pub row: Row,
    /// Row, kind of snapshot and what that means; for people.
    pub message: String,
    /// What to do instead. `None` with [`Answer::Yes`].
    pub cure: Option<String>,
}

/// May this change be made with this snapshot?
#[must_use]
pub fn check(facts: &SnapshotFacts, change: Change) -> Verdict {
    match change {
        Change::StateBackend => by_table(facts, Row::StateBackendChange),
        Change::Parallelism => by_table(facts, Row::PatchUpgradeOrRescaling),
        Change::Graph => by_table(facts, Row::JobUpgrade),
        Change::Schema => by_table(facts, Row::SchemaEvolution),
        Change::StateProcessorReading => by_table(facts, Row::StateProcessorReading),
        Change::StateProcessorWriting => by_table(facts, Row::StateProcessorWriting),
        Change::Location if facts.self_contained => by_table(facts, Row::SelfContained),
        Change::Location => {
            let named = facts.files.iter().filter(|file| !file.relative).count();
            verdict(Answer::No, Row::SelfContained, &format!("{named} of its files are named by their whole URI"))
        }
        Change::Flink { from, to } => flink(facts, from, to),
    }
}

/// The answer to several changes at once: all that is not [`Answer::Yes`], the worst first.
#[must_use]
pub fn check_all(facts: &SnapshotFacts, changes: &[Change]) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = changes.iter().map(|change| check(facts, *change)).collect();
    verdicts.retain(|verdict| verdict.answer != Answer::Yes);
    verdicts.sort_by_key(|verdict| std::cmp::Reverse(verdict.answer));
    verdicts
}

/// What no snapshot of the job would allow, whatever is in it: to be asked before one is taken.
#[must_use]
pub fn impossible(changes: &[Change]) -> Option<Verdict> {
    changes.iter().find_map(|change| match change {
        Change::Flink { from: Some(from), to } if to.newest_layout() < from.newest_layout() => {
            let layout = from.newest_layout().unwrap_or_default();
            let message = format!("Flink {from} writes layout {layout}, and Flink {to} can't read it");
            Some(verdict(Answer::No, Row::MetadataDowngrade, &message))
        }
        _ => None,
    })
}

/// Whether this state backend (`state.backend.type`) writes NATIVE savepoints only, as ForSt does.
#[must_use]
pub fn writes_native_only(backend: Option<&str>) -> bool {
    backend.is_some_and(|backend| {
        let class = backend.rsplit('.').next().unwrap_or_default();
        backend.eq_ignore_ascii_case("forst") || class.eq_ignore_ascii_case("ForStStateBackendFactory")
    })
}

/// What a row of the table says of this snapshot, without asking from where to where.
#[must_use]
pub fn check_row(facts: &SnapshotFacts, row: Row) -> Verdict {
    // A savepoint's files are looked at, too.
    if row == Row::SelfContained { check(facts, Change::Location) } else { by_table(facts, row) }
}

fn by_table(facts: &SnapshotFacts, row: Row) -> Verdict {
    let columns: Vec<Column> = Column::of(facts).collect();
    match columns.as_slice() {
        [column] => {
            let answer = row.answer(*column);
            let means = match answer {
                Answer::Yes => "allows it",
                Answer::Warn => "allows it without a promise by Flink",
                Answer::No => "does not allow it",
            };
            verdict(answer, row, &format!("{column} {means}"))
        }
        columns => {
            let answers: Vec<Answer> = columns.iter().map(|column| row.answer(*column)).collect();
            // Not known which it is: certain only where that makes no difference.
            let answer = match (answers.iter().min(), answers.iter().max()) {
                (Some(best), Some(worst)) if best == worst => *best,
                _ => Answer::Warn,
            };
            let layout = facts.version;
            let names: Vec<String> = columns.iter().map(ToString::to_string).collect();
            verdict(answer, row, &format!("layout {layout} does not say which it is: {}", names.join(" or ")))
        }
    }
}

fn verdict(answer: Answer, row: Row, message: &str) -> Verdict {
    let cure = (answer != Answer::Yes).then(|| row.cure().to_owned());
    Verdict { answer, row, message: format!("{row}: {message}"), cure }
}

fn flink(facts: &SnapshotFacts, from: Option<FlinkRelease>, to: FlinkRelease) -> Verdict {
    let layout = facts.written_by();
    if to.newest_layout().is_none_or(|newest| newest < facts.version) {
        let by = layout.map_or_else(|| "a later Flink".to_owned(), |layout| layout.to_string());
        let message = format!("layout {} is written by {by}, and Flink {to} can't read it", facts.version);
        return verdict(Answer::No, Row::MetadataDowngrade, &message);
    }
    let (first, last) = match (from, layout) {
        (Some(from), _) => (from.minor_line(), from.minor_line()),
        (None, Some(layout)) => (layout.first, layout.last.unwrap_or(layout.first)),
        (None, None) => (to.minor_line(), to.minor_line()),
    };
    let line = to.minor_line();
    if first == line && last == line {
        return by_table(facts, Row::PatchUpgradeOrRescaling);
    }
    let upgrade = by_table(facts, Row::MinorUpgrade);
    if upgrade.answer != Answer::Yes {
        return upgrade;
    }
    // The layout can be read; what the serialisers wrote may not be. No other kind of snapshot changes that.
    let message = if line < first {
        format!("back to Flink {to}: Flink promises only the way forward")
    } else if last.0 < to.major {
        format!("from Flink {} to {to}: Flink promises no compatible state between them", last.0)
    } else {
        return upgrade;
    };
    let cure = Some("try it on a fork first".to_owned());
    Verdict { cure, ..verdict(Answer::Warn, Row::MinorUpgrade, &message) }
}

/// The format of a savepoint that is to be taken, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatChoice {
    /// The format.
    pub format: SavepointFormat,
    /// The row that needs it. `None`: no row does, so the faster one is taken.
    pub row: Option<Row>,
    /// Both in words.
    pub because: String,
}

/// Why no format does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "formatType: {row} needs a CANONICAL savepoint, and the state backend ForSt (state.backend.type: forst) writes NATIVE \
     ones only: leave the state backend as it is"
)]
pub struct NoFormat {
    /// The row that needs CANONICAL.
    pub row: Row,
}

/// The format of a savepoint whose `formatType` was left out: CANONICAL where a row of the table needs it, else NATIVE.
/// `backend` is the job's `state.backend.type`, as far as it is known: ForSt writes NATIVE savepoints only.
///
/// # Errors
/// [`NoFormat`] if a row needs CANONICAL and the state backend does not write it.
pub fn choose_format(changes: &[Change], backend: Option<&str>) -> Result<FormatChoice, NoFormat> {
    let needs = |worst: Answer| {
        let rows = changes.iter().filter_map(|change| row_of(*change));
        rows.into_iter().find(|row| {
            row.answer(Column::NativeSavepoint) >= worst && row.answer(Column::CanonicalSavepoint) == Answer::Yes
        })
    };
    if writes_native_only(backend) {
        return match needs(Answer::No) {
            Some(row) => Err(NoFormat { row }),
            None => Ok(FormatChoice {
                format: SavepointFormat::Native,
                row: None,
                because: "the state backend ForSt writes NATIVE savepoints only".to_owned(),
            }),
        };
    }
    Ok(match needs(Answer::No).or_else(|| needs(Answer::Warn)) {
        Some(row) => {
            let means = match row.answer(Column::NativeSavepoint) {
                Answer::No => "does not allow it",
                Answer::Yes | Answer::Warn => "allows it without a promise by Flink",
            };
            let because = format!("{row}: a NATIVE savepoint {means}");
            FormatChoice { format: SavepointFormat::Canonical, row: Some(row), because }
        }
        None => FormatChoice {
            format: SavepointFormat::Native,
            row: None,
            because: "nothing that changes needs CANONICAL, and NATIVE is faster".to_owned(),
        },
    })
}

/// `None`: it depends on the Flink versions, and no savepoint's format makes a difference.
const fn row_of(change: Change) -> Option<Row> {
    match change {
        Change::StateBackend => Some(Row::StateBackendChange),
        Change::Parallelism => Some(Row::PatchUpgradeOrRescaling),
        Change::Graph => Some(Row::JobUpgrade),
        Change::Schema => Some(Row::SchemaEvolution),
        Change::Location => Some(Row::SelfContained),
        Change::StateProcessorReading => Some(Row::StateProcessorReading),
        Change::StateProcessorWriting => Some(Row::StateProcessorWriting),
        Change::Flink { .. } => None,
    }
}

#[cfg(test)]
#[path = "capability_tests.rs"]
mod tests;
