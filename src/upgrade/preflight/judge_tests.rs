//! What the operators of a job mean for a snapshot, held to Flink's own recordings.

use std::sync::Arc;

use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::snapshot::{OperatorFacts, SnapshotFacts, SnapshotKind};

const COUNTER: &str = "0da08f51eaa85fc298e176a139b3649a";
const TOTALS: &str = "8eeed16b661251f13cfc6a3c5e75c420";

fn operator(id: &str, uid: Option<&str>, has_state: bool) -> OperatorFacts {
    OperatorFacts {
        id: id.parse().unwrap(),
        uid: uid.map(str::to_owned),
        name: None,
        parallelism: 2,
        max_parallelism: 128,
        subtasks: 2,
        fully_finished: false,
        has_state,
        keyed_bytes: 0,
        operator_bytes: 0,
        channel_bytes: 0,
        coordinator_bytes: 0,
    }
}

/// A savepoint of Flink 1.20, which knows no uids, with state of two operators.
fn snapshot(kind: SnapshotKind) -> Newest {
    let facts = SnapshotFacts {
        version: 4,
        checkpoint_id: 7,
        kind: Some(kind),
        format_type: None,
        self_contained: true,
        total_bytes: 0,
        inline_bytes: 0,
        operators: vec![operator(COUNTER, None, true), operator(TOTALS, None, true)],
        files: Vec::new(),
        has_channel_state: kind == SnapshotKind::Checkpoint,
    };
    Newest::Read { location: "s3://state/sp".to_owned(), facts: Arc::new(facts) }
}

fn said(operators: &Value) -> Said {
    Said::read(&json!({"operators": operators}).to_string())
}

fn counter() -> Value {
    json!({"id": COUNTER, "uid": "counter", "name": "counter-name", "parallelism": 2, "generated": false})
}

fn totals() -> Value {
    json!({"id": TOTALS, "uid": "totals", "name": "totals-name", "parallelism": 2, "generated": false})
}

fn terms(allowed: &[String]) -> Terms<'_> {
    Terms { allowed, ..Terms::default() }
}

#[test]
fn a_job_with_all_operators_passes() {
    let result = judge(said(&json!([counter(), totals()])), &snapshot(SnapshotKind::Savepoint), &terms(&[]));
    assert_eq!(
        (result.state, result.kept.as_slice()),
        (PreflightState::Passed, ["counter".to_owned(), "totals".into()].as_slice())
    );
    assert_eq!((result.dropped.len(), result.new.len(), result.findings.len()), (0, 0, 0));
    assert_eq!(result.snapshot.as_deref(), Some("s3://state/sp"));
}

/// The names that a user has for an operator: its uid, though the snapshot has IDs only, or that ID.
#[rstest]
#[case::nothing(&[], PreflightState::Refused)]
#[case::its_uid(&["totals"], PreflightState::Passed)]
#[case::its_id(&[TOTALS], PreflightState::Passed)]
#[case::another(&["counter"], PreflightState::Refused)]
fn only_named_operators_may_be_dropped(#[case] allowed: &[&str], #[case] state: PreflightState) {
    let allowed: Vec<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
    let newest = snapshot(SnapshotKind::Savepoint);
    let result = judge(said(&json!([counter()])), &newest, &terms(&allowed));
    assert_eq!(result.state, state);
    let passed = state == PreflightState::Passed;
    // The real snapshot is held against the same operators once more.
    assert_eq!(result.operator_ids, if passed { vec![COUNTER.to_owned()] } else { Vec::new() });
    assert!(passed || result.findings[0].contains(TOTALS) && result.findings[0].contains("allowedDroppedOperators"));
    let Newest::Read { facts, .. } = newest else { unreachable!() };
    assert_eq!(dropped_unasked(&facts, &[COUNTER.to_owned()], &allowed).is_empty(), passed);
}

#[test]
fn with_the_flag_all_may_be_dropped_and_is_told() {
    let terms = Terms { allow_non_restored_state: true, ..Terms::default() };
    let result = judge(said(&json!([counter()])), &snapshot(SnapshotKind::Savepoint), &terms);
    assert_eq!(
        (result.state, result.dropped, result.operator_ids.len()),
        (PreflightState::Passed, vec![TOTALS.to_owned()], 0)
    );
}

#[rstest]
#[case::maximum(json!({"maxParallelism": 64}), "maxParallelism 64 is set, the snapshot has 128")]
#[case::parallelism(json!({"parallelism": 200}), "parallelism 200 is above the snapshot's maximum parallelism 128")]
fn a_conflict_of_parallelism_is_refused(#[case] change: Value, #[case] words: &str) {
    let mut changed = counter();
    for (key, value) in change.as_object().unwrap() {
        changed[key] = value.clone();
    }
    let terms = Terms { allow_non_restored_state: true, ..Terms::default() };
    let result = judge(said(&json!([changed, totals()])), &snapshot(SnapshotKind::Savepoint), &terms);
    assert_eq!(result.state, PreflightState::Refused);
    assert!(result.findings[0].contains(words), "{:?}", result.findings);
}

#[test]
fn generated_ids_are_told_and_refuse_nothing() {
    let mut generated = totals();
    (generated["generated"], generated["uid"]) = (json!(true), Value::Null);
    let result = judge(said(&json!([counter(), generated])), &snapshot(SnapshotKind::Savepoint), &terms(&[]));
    assert_eq!((result.state, result.generated), (PreflightState::Passed, vec!["totals-name".to_owned()]));
    assert!(result.findings[0].contains("setUidHash"), "{:?}", result.findings);
}

/// What a savepoint that is taken later allows, a checkpoint with records in flight does not.
#[rstest]
#[case::a_savepoint_follows(false, PreflightState::Passed)]
#[case::from_this_checkpoint(true, PreflightState::Refused)]
fn the_capability_table_is_asked_of_what_is_started_from(#[case] starts_from_it: bool, #[case] state: PreflightState) {
    let terms = Terms { starts_from_it, allow_non_restored_state: true, ..Terms::default() };
    let result = judge(said(&json!([counter()])), &snapshot(SnapshotKind::Checkpoint), &terms);
    assert_eq!(result.state, state);
    assert!(
        !starts_from_it || result.findings[0].contains("an unaligned checkpoint does not allow it"),
        "{:?}",
        result.findings
    );
}

#[test]
fn an_older_flink_is_refused_before_anything_stops() {
    let flink = Change::Flink { from: Some("2.3".parse().unwrap()), to: "1.20".parse().unwrap() };
    let terms = Terms { changes: vec![flink], ..Terms::default() };
    let result = judge(said(&json!([counter(), totals()])), &snapshot(SnapshotKind::Savepoint), &terms);
    assert_eq!(result.state, PreflightState::Refused);
    assert!(result.findings[0].contains("can't read it"), "{:?}", result.findings);
}

#[rstest]
#[case::no_graph("NoGraph", PreflightState::NotPossible)]
#[case::main_fails("MainFailed", PreflightState::Refused)]
#[case::main_hangs("TimedOut", PreflightState::Failed)]
fn a_program_that_tells_nothing(#[case] kind: &str, #[case] state: PreflightState) {
    let answer = json!({"failure": {"kind": kind, "message": "java.lang.IllegalStateException: no topic\n\tat a.B.main(B.java:1)"}});
    let result = judge(Said::read(&answer.to_string()), &snapshot(SnapshotKind::Savepoint), &terms(&[]));
    assert_eq!(result.state, state);
    assert!(result.findings[0].contains("no topic"), "{:?}", result.findings);
}

#[test]
fn another_plan_is_no_answer() {
    let result = judge(Said::read("orders"), &Newest::Nothing, &terms(&[]));
    assert_eq!(result.state, PreflightState::NotPossible);
    assert!(result.findings[0].contains("\"orders\""), "{:?}", result.findings);
}

#[test]
fn a_snapshot_that_nobody_can_read_is_told_with_what_it_costs() {
    let newest = Newest::Unreadable("no store".to_owned());
    let result = judge(said(&json!([counter()])), &newest, &terms(&["totals".to_owned()]));
    assert_eq!((result.state, result.findings.len()), (PreflightState::NotPossible, 2));
    assert!(result.findings[1].contains("FlinkSnapshotStore"), "{:?}", result.findings);
}

#[rstest]
#[case(PreflightState::Passed, [false, false])]
#[case(PreflightState::NotPossible, [false, false])]
#[case(PreflightState::Refused, [true, false])]
#[case(PreflightState::Failed, [true, true])]
fn what_an_outcome_does(#[case] state: PreflightState, #[case] expected: [bool; 2]) {
    assert_eq!([PreflightPolicy::Enforce, PreflightPolicy::Warn].map(|policy| blocks(state, policy)), expected);
}

#[test]
fn long_lists_are_cut() {
    let many: Vec<Value> = (0..150).map(|n| json!({"id": format!("{n:032x}"), "uid": format!("u{n}")})).collect();
    let result = judge(said(&json!(many)), &Newest::Nothing, &terms(&[]));
    assert_eq!((result.state, result.new.len()), (PreflightState::Passed, MOST_NAMED));
}
