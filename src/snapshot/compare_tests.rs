use rstest::rstest;

use super::super::bytes::{Operator, Subtask, file, inline, key_groups};
use super::super::golden_tests::recorded;
use super::super::{OperatorId, SnapshotFacts};
use super::{Comparison, ConflictKind, GraphOperator, OperatorRef, compare};

fn job(uid: &str) -> GraphOperator {
    GraphOperator {
        id: OperatorId::of_uid(uid),
        uid_hash: None,
        uid: Some(uid.to_owned()),
        name: Some(format!("{uid}-new-name")),
        parallelism: Some(2),
        max_parallelism: None,
        generated: false,
    }
}

/// `counter` has keyed state, `source` a coordinator's, `sink` none, `done` is finished.
fn snapshot() -> SnapshotFacts {
    let keyed = Subtask { managed_keyed: key_groups(12, &inline(1)), ..Subtask::default() };
    let operators = [
        Operator::new("counter").with(keyed),
        Operator { coordinator: inline(1), ..Operator::new("source") },
        Operator::new("sink").with(Subtask::default()),
        Operator { fully_finished: true, ..Operator::new("done") },
    ];
    SnapshotFacts::read(file(6, &operators).as_slice(), None).unwrap()
}

fn uids(operators: &[OperatorRef]) -> Vec<&str> {
    operators.iter().map(|operator| operator.uid.as_deref().unwrap_or("?")).collect()
}

#[test]
fn operators_are_told_apart() {
    let found = compare(&snapshot(), &[job("new"), job("counter")]);
    assert_eq!(uids(&found.kept), ["counter"]);
    assert_eq!(uids(&found.new), ["new"]);
    assert_eq!(uids(&found.dropped_with_state), ["source"], "coordinator state counts");
    assert_eq!(uids(&found.dropped_without_state), ["sink", "done"]);
    assert!(!found.is_restorable(false));
    assert!(found.is_restorable(true));
    assert!(found.warnings().is_empty());
}

#[test]
fn what_has_no_state_never_blocks() {
    let found = compare(&snapshot(), &[job("source"), job("counter")]);
    assert!(found.is_restorable(false));
    assert_eq!(uids(&found.kept), ["counter", "source"], "in the order of the snapshot");
}

#[test]
fn operators_are_named() {
    let found = compare(&snapshot(), &[GraphOperator { uid: None, name: None, ..job("counter") }]);
    assert_eq!(found.kept[0].to_string(), "counter (0da08f51eaa85fc298e176a139b3649a)");
    assert_eq!(found.kept[0].name.as_deref(), Some("counter-name"), "the snapshot's, where the job has none");
    let unnamed = OperatorRef { uid: None, ..found.kept[0].clone() };
    assert_eq!(unnamed.to_string(), "\"counter-name\" (0da08f51eaa85fc298e176a139b3649a)");
    assert_eq!(OperatorRef { name: None, ..unnamed }.to_string(), "0da08f51eaa85fc298e176a139b3649a");
}

#[test]
fn a_uid_hash_finds_state_too() {
    let renamed = GraphOperator { uid_hash: Some(OperatorId::of_uid("counter")), ..job("counter-2") };
    let found = compare(&snapshot(), &[renamed, job("source")]);
    assert_eq!(found.kept[0].id, OperatorId::of_uid("counter"));
    assert_eq!(uids(&found.kept), ["counter-2", "source"]);
    assert!(found.new.is_empty());
    assert!(found.is_restorable(false));
}

#[rstest]
#[case::left_out(Some(2), None, None)]
#[case::same(Some(2), Some(128), None)]
#[case::other(Some(2), Some(64), Some(ConflictKind::MaxParallelism(64)))]
#[case::larger(Some(2), Some(256), Some(ConflictKind::MaxParallelism(256)))]
#[case::at_the_limit(Some(128), None, None)]
#[case::above(Some(129), None, Some(ConflictKind::Parallelism(129)))]
#[case::not_known(None, None, None)]
fn key_groups_must_agree(
    #[case] parallelism: Option<u32>,
    #[case] max_parallelism: Option<u32>,
    #[case] kind: Option<ConflictKind>,
) {
    // Also for an operator without state.
    for uid in ["counter", "sink"] {
        let operator = GraphOperator { parallelism, max_parallelism, ..job(uid) };
        let found = compare(&snapshot(), &[operator]);
        assert_eq!(found.conflicts.first().map(|conflict| conflict.kind), kind);
        assert_eq!(found.is_restorable(true), kind.is_none());
    }
    // No conflict with an operator that is new.
    assert!(compare(&snapshot(), &[GraphOperator { parallelism, max_parallelism, ..job("x") }]).conflicts.is_empty());
}

#[test]
fn a_conflict_names_operator_values_and_cure() {
    let found = compare(&snapshot(), &[GraphOperator { max_parallelism: Some(64), ..job("counter") }]);
    assert_eq!(
        found.conflicts[0].to_string(),
        "operator counter (0da08f51eaa85fc298e176a139b3649a): maxParallelism 64 is set, the snapshot has 128: set 128, or \
         leave it out"
    );
    let found = compare(&snapshot(), &[GraphOperator { parallelism: Some(200), ..job("counter") }]);
    assert!(found.conflicts[0].to_string().ends_with("set at most 128"), "{}", found.conflicts[0]);
}

#[test]
fn generated_ids_are_warned_of() {
    let generated = GraphOperator { uid: None, generated: true, ..job("shape-1") };
    let found = compare(&snapshot(), &[generated.clone(), job("source")]);
    let warnings = found.warnings();
    assert!(warnings[0].contains("no uid is set for \"shape-1-new-name\""), "{warnings:?}");
    assert!(warnings[1].contains("may be what counter (0da08f51eaa85fc298e176a139b3649a) was"), "{warnings:?}");
    let many = compare(&snapshot(), &vec![generated; 12]);
    assert!(many.warnings()[0].contains(" and 2 more: "), "{:?}", many.warnings());
}

#[test]
fn nothing_against_nothing() {
    let empty = SnapshotFacts { operators: Vec::new(), ..snapshot() };
    let found = compare(&empty, &[]);
    assert_eq!(found, Comparison::default());
    assert!(found.is_restorable(false));
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["droppedWithState"], serde_json::json!([]));
}

/// The graphs of the recorded job, as Flink computes them from its jar, against its real savepoints.
#[rstest]
#[case::uids("1.20.5/hashmap-savepoint-canonical", true)]
#[case::uids_2("2.3.0/hashmap-savepoint-canonical", true)]
#[case::no_uids("1.20.5/nouid-savepoint-canonical", false)]
#[case::no_uids_2("2.3.0/nouid-savepoint-canonical", false)]
fn recorded_savepoints_fit_their_job_and_not_the_other(#[case] name: &str, #[case] with_uids: bool) {
    let with: Vec<GraphOperator> = ["numbers-source", "counter", "buffer", "totals", "sink"].map(job).into();
    let ids = [
        "bc764cd8ddf7a0cff126f51c16239658",
        "c09dc291fad93d575e015871097bfc60",
        "20ba6b65f97481d5570070de90e4e791",
        "055b3b62c7d63b163dab953aac270a3c",
        "b5c8d46f3e7b141acf271f12622e752b",
    ];
    let without = ids.map(|id| GraphOperator { id: id.parse().unwrap(), uid: None, generated: true, ..job("x") });
    let facts = SnapshotFacts::read(recorded(name).as_slice(), None).unwrap();
    let (own, other) = if with_uids { (with, without.to_vec()) } else { (without.to_vec(), with) };
    let found = compare(&facts, &own);
    assert_eq!((found.kept.len(), found.new.len()), (5, 0));
    assert!(found.is_restorable(false));
    let found = compare(&facts, &other);
    assert_eq!((found.kept.len(), found.new.len(), found.dropped_with_state.len()), (0, 5, 4));
    assert_eq!(found.dropped_without_state.len(), 1, "the sink has no state");
    assert!(!found.is_restorable(false));
}
