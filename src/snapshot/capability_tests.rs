use rstest::rstest;

use super::super::bytes::{Subtask, channel, checkpoint, head, key_groups, one, relative, savepoint};
use super::super::golden_tests::{golden, recorded};
use super::super::layout::FlinkRelease;
use super::super::{SnapshotFacts, SnapshotKind};
use super::Answer::{No, Warn, Yes};
use super::{Answer, Change, Column, Row, check, check_all, choose_format};
use crate::flink::SavepointFormat;

/// A snapshot of this layout and column.
fn of(version: u32, column: Column) -> SnapshotFacts {
    let tail = match column {
        Column::CanonicalSavepoint => savepoint("CANONICAL"),
        Column::NativeSavepoint => savepoint("NATIVE"),
        Column::AlignedCheckpoint | Column::UnalignedCheckpoint => checkpoint(),
    };
    let file = head(6).i32(0).i32(0).raw(tail).0;
    let mut facts = SnapshotFacts::read(file.as_slice(), None).unwrap();
    facts.version = version;
    facts.has_channel_state = column == Column::UnalignedCheckpoint;
    facts
}

fn release(text: &str) -> FlinkRelease {
    text.parse().unwrap()
}

/// Flink's table, as it is published.
#[rstest]
#[case(Change::StateBackend, "state backend change", [Yes, No, No, No])]
#[case(Change::StateProcessorWriting, "State Processor API, writing", [Yes, No, No, No])]
#[case(Change::StateProcessorReading, "State Processor API, reading", [Yes, Warn, Warn, No])]
#[case(Change::Location, "self-contained and relocatable", [Yes, Yes, No, No])]
#[case(Change::Schema, "schema evolution", [Yes, Warn, Warn, Warn])]
#[case(Change::Graph, "job upgrade", [Yes, Yes, Yes, No])]
#[case(Change::Flink { from: Some(FlinkRelease::line(2, 1)), to: FlinkRelease::line(2, 3) }, "Flink minor version upgrade", [Yes, Yes, Yes, No])]
#[case(Change::Flink { from: Some(FlinkRelease::line(2, 3)), to: FlinkRelease::line(2, 3) }, "Flink patch version upgrade, rescaling", [Yes, Yes, Yes, Yes])]
#[case(Change::Parallelism, "Flink patch version upgrade, rescaling", [Yes, Yes, Yes, Yes])]
fn the_table_answers(#[case] change: Change, #[case] row: &str, #[case] answers: [Answer; 4]) {
    for (column, expected) in Column::ALL.into_iter().zip(answers) {
        let verdict = check(&of(6, column), change);
        assert_eq!(verdict.answer, expected, "{column}");
        assert_eq!(verdict.row.to_string(), row);
        assert!(verdict.message.starts_with(&format!("{row}: {column} ")), "{}", verdict.message);
        assert_eq!(verdict.cure.is_some(), expected != Yes);
    }
}

#[test]
fn a_verdict_names_row_kind_and_cure() {
    let verdict = check(&of(6, Column::NativeSavepoint), Change::StateBackend);
    assert_eq!(verdict.message, "state backend change: a NATIVE savepoint does not allow it");
    assert_eq!(verdict.cure.as_deref(), Some("take a CANONICAL savepoint: formatType: CANONICAL"));
    let json = serde_json::to_value(&verdict).unwrap();
    assert_eq!((&json["answer"], &json["row"]), (&"no".into(), &"stateBackendChange".into()));
    for row in Row::ALL {
        assert!(!row.to_string().is_empty() && !row.cure().is_empty());
    }
}

#[rstest]
#[case::other_column("1.20.5/hashmap-savepoint-canonical", Column::CanonicalSavepoint)]
#[case::native("2.3.0/rocksdb-savepoint-native", Column::NativeSavepoint)]
#[case::aligned("2.3.0/rocksdb-checkpoint", Column::AlignedCheckpoint)]
#[case::unaligned("1.20.5/unaligned-checkpoint", Column::UnalignedCheckpoint)]
fn a_recorded_snapshot_has_its_column(#[case] name: &str, #[case] column: Column) {
    let facts = SnapshotFacts::read(recorded(name).as_slice(), None).unwrap();
    assert_eq!(Column::of(&facts).collect::<Vec<_>>(), [column]);
}

#[test]
fn every_recorded_snapshot_of_layout_4_and_later_has_one_column() {
    for name in golden().keys() {
        let facts = SnapshotFacts::read(recorded(name).as_slice(), None).unwrap();
        assert_eq!(Column::of(&facts).count() == 1, facts.version >= 4, "{name}");
    }
}

#[test]
fn what_a_layout_does_not_say_is_certain_only_where_it_makes_no_difference() {
    let keyed = Subtask { managed_keyed: key_groups(3, &relative("f", 1)), ..Subtask::default() };
    let facts = SnapshotFacts::read(one(3, keyed).as_slice(), None).unwrap();
    assert_eq!(
        Column::of(&facts).collect::<Vec<_>>(),
        [Column::CanonicalSavepoint, Column::NativeSavepoint, Column::AlignedCheckpoint]
    );
    assert_eq!(check(&facts, Change::Graph).answer, Yes);
    assert_eq!(check(&facts, Change::Parallelism).answer, Yes);
    let verdict = check(&facts, Change::StateBackend);
    assert_eq!(verdict.answer, Warn);
    assert_eq!(
        verdict.message,
        "state backend change: layout 3 does not say which it is: a CANONICAL savepoint or a NATIVE savepoint or an \
         aligned checkpoint"
    );
    let in_flight = Subtask { inputs: vec![channel(None, 1, &[0])], ..Subtask::default() };
    let facts = SnapshotFacts::read(one(3, in_flight).as_slice(), None).unwrap();
    assert_eq!(check(&facts, Change::Graph).answer, No);
    let unknown = SnapshotFacts { kind: Some(SnapshotKind::Savepoint), format_type: None, ..facts };
    assert_eq!(check(&unknown, Change::StateBackend).answer, Warn);
}

#[test]
fn a_savepoint_with_files_elsewhere_is_not_relocatable() {
    let mut facts = SnapshotFacts::read(recorded("2.3.0/rocksdb-checkpoint").as_slice(), None).unwrap();
    facts.kind = Some(SnapshotKind::Savepoint);
    facts.format_type = Some(SavepointFormat::Native);
    let verdict = check(&facts, Change::Location);
    assert_eq!(verdict.answer, No);
    assert!(verdict.message.ends_with("28 of its files are named by their whole URI"), "{}", verdict.message);
}

#[rstest]
#[case::same(4, Some("1.20.0"), "1.20.5", Row::PatchUpgradeOrRescaling, Yes)]
#[case::patch_back(4, Some("1.20.5"), "1.20.0", Row::PatchUpgradeOrRescaling, Yes)]
#[case::minor(4, Some("1.19"), "1.20", Row::MinorUpgrade, Yes)]
#[case::major(4, Some("1.20.5"), "2.3.0", Row::MinorUpgrade, Warn)]
#[case::major_unknown(4, None, "2.3.0", Row::MinorUpgrade, Warn)]
#[case::minor_back(4, Some("1.20"), "1.19", Row::MinorUpgrade, Warn)]
#[case::minor_back_2(6, Some("2.3"), "2.1", Row::MinorUpgrade, Warn)]
#[case::layout_back(6, Some("2.3"), "2.0", Row::MetadataDowngrade, No)]
#[case::layout_back_major(6, Some("2.3.0"), "1.20.5", Row::MetadataDowngrade, No)]
#[case::layout_back_unknown(5, None, "1.20", Row::MetadataDowngrade, No)]
#[case::ancient(2, None, "1.2", Row::MetadataDowngrade, No)]
#[case::unknown_within_the_layout(6, None, "2.3", Row::MinorUpgrade, Yes)]
#[case::the_only_one(5, None, "2.0.1", Row::PatchUpgradeOrRescaling, Yes)]
fn another_flink_is_judged_by_versions_and_layout(
    #[case] layout: u32,
    #[case] from: Option<&str>,
    #[case] to: &str,
    #[case] row: Row,
    #[case] answer: Answer,
) {
    let change = Change::Flink { from: from.map(release), to: release(to) };
    let verdict = check(&of(layout, Column::CanonicalSavepoint), change);
    assert_eq!((verdict.row, verdict.answer), (row, answer), "{}", verdict.message);
}

#[test]
fn a_downgrade_says_why() {
    let change = Change::Flink { from: None, to: release("1.20") };
    let verdict = check(&of(6, Column::CanonicalSavepoint), change);
    assert_eq!(
        verdict.message,
        "downgrade across layouts of _metadata: layout 6 is written by Flink 2.1 to 2.3, and Flink 1.20 can't read it"
    );
    assert!(verdict.cure.unwrap().starts_with("stay on the newer Flink"));
}

#[test]
fn of_several_changes_the_worst_comes_first() {
    let changes = [Change::Parallelism, Change::Schema, Change::StateBackend, Change::Graph];
    let verdicts = check_all(&of(6, Column::NativeSavepoint), &changes);
    let rows: Vec<_> = verdicts.iter().map(|verdict| (verdict.row, verdict.answer)).collect();
    assert_eq!(rows, [(Row::StateBackendChange, No), (Row::SchemaEvolution, Warn)]);
    assert!(check_all(&of(6, Column::CanonicalSavepoint), &changes).is_empty());
}

#[rstest]
#[case::nothing(&[], None, SavepointFormat::Native, None)]
#[case::usual(&[Change::Graph, Change::Parallelism, Change::Location], Some("rocksdb"), SavepointFormat::Native, None)]
#[case::backend(&[Change::Graph, Change::StateBackend], Some("rocksdb"), SavepointFormat::Canonical, Some(Row::StateBackendChange))]
#[case::no_before_warn(&[Change::Schema, Change::StateProcessorWriting], None, SavepointFormat::Canonical, Some(Row::StateProcessorWriting))]
#[case::schema(&[Change::Schema], Some("hashmap"), SavepointFormat::Canonical, Some(Row::SchemaEvolution))]
#[case::reading(&[Change::StateProcessorReading], None, SavepointFormat::Canonical, Some(Row::StateProcessorReading))]
#[case::flink(&[Change::Flink { from: None, to: FlinkRelease::line(2, 3) }], None, SavepointFormat::Native, None)]
#[case::forst(&[Change::Graph], Some("forst"), SavepointFormat::Native, None)]
#[case::forst_schema(&[Change::Schema], Some("ForSt"), SavepointFormat::Native, None)]
fn the_format_left_out_is_chosen(
    #[case] changes: &[Change],
    #[case] backend: Option<&str>,
    #[case] format: SavepointFormat,
    #[case] row: Option<Row>,
) {
    let choice = choose_format(changes, backend).unwrap();
    assert_eq!((choice.format, choice.row), (format, row));
    assert!(!choice.because.is_empty());
}

#[test]
fn forst_can_not_be_left_by_a_savepoint() {
    for backend in ["forst", "org.apache.flink.state.forst.ForStStateBackendFactory"] {
        let error = choose_format(&[Change::StateBackend], Some(backend)).unwrap_err();
        assert_eq!(error.row, Row::StateBackendChange);
        assert!(error.to_string().contains("leave the state backend as it is"), "{error}");
    }
}
