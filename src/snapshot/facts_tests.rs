use rstest::rstest;

use super::super::bytes::{
    Operator, Subtask, absolute, changelog_in_memory, channel, checkpoint, file, head, incremental, inline, key_groups,
    one, operator_state, relative, savepoint, segment,
};
use super::super::golden_tests::recorded;
use super::super::path::PathProblem;
use super::super::{Event, FileForm, OperatorId, Part, SnapshotKind, read};
use super::{Collector, Counted, Directory, FactsError, Limits, SnapshotFacts};
use crate::flink::SavepointFormat;

fn facts(file: &[u8]) -> SnapshotFacts {
    SnapshotFacts::read(file, Some(file.len() as u64)).unwrap()
}

fn keyed(state: Vec<u8>) -> Subtask {
    Subtask { managed_keyed: state, ..Subtask::default() }
}

#[test]
fn json_has_this_form() {
    let operator = Operator { coordinator: inline(3), ..Operator::new("counter") }
        .with(keyed(key_groups(12, &relative("f1", 10))))
        .with(Subtask { managed_operator: operator_state(&inline(4)), ..Subtask::default() });
    let found = facts(&file(6, &[operator]));
    assert_eq!(
        serde_json::to_string_pretty(&found).unwrap(),
        r#"{
  "version": 6,
  "checkpointId": 41,
  "kind": "Savepoint",
  "formatType": "NATIVE",
  "selfContained": true,
  "totalBytes": 17,
  "inlineBytes": 7,
  "operators": [
    {
      "id": "0da08f51eaa85fc298e176a139b3649a",
      "uid": "counter",
      "name": "counter-name",
      "parallelism": 2,
      "maxParallelism": 128,
      "subtasks": 2,
      "fullyFinished": false,
      "hasState": true,
      "keyedBytes": 10,
      "operatorBytes": 4,
      "channelBytes": 0,
      "coordinatorBytes": 3
    }
  ],
  "files": [
    {
      "path": "f1",
      "size": 10,
      "relative": true
    }
  ]
}"#
    );
}

#[test]
fn a_file_that_is_named_often_counts_once() {
    let meta = segment("file:/s/merged", 100, 20, 1);
    let shared = [absolute("file:/s/a", 7), segment("file:/s/merged", 0, 50, 1), absolute("file:/s/a", 7)];
    let found = facts(&one(6, keyed(incremental(11, &meta, &shared, &[]))));
    let files: Vec<_> = found.files.iter().map(|file| (file.path.as_str(), file.size, file.merged)).collect();
    assert_eq!(files, [("file:/s/a", 7, false), ("file:/s/merged", 120, true)]);
    assert_eq!((found.total_bytes, found.operators[0].keyed_bytes), (127, 84));
    assert!(!found.self_contained);
}

#[test]
fn an_operator_has_state_as_flink_sees_it() {
    let states = [
        (Operator::new("none").with(Subtask::default()), false),
        (Operator { fully_finished: true, ..Operator::new("finished") }, false),
        (Operator { subtasks: vec![(0, None)], ..Operator::new("finished-subtask") }, false),
        (Operator { coordinator: inline(0), ..Operator::new("coordinator") }, true),
        // A handle of no bytes is one to Flink, too.
        (Operator::new("empty").with(keyed(key_groups(7, &inline(0)))), true),
        (Operator::new("changes").with(keyed(changelog_in_memory(&[]))), true),
        (Operator::new("channel").with(Subtask { inputs: vec![channel(None, 1, &[0])], ..Subtask::default() }), true),
    ];
    let operators: Vec<Operator> = states.iter().map(|(operator, _)| operator.clone()).collect();
    let found = facts(&file(4, &operators));
    for (operator, (expected, has_state)) in found.operators.iter().zip(&states) {
        assert_eq!(operator.has_state, *has_state, "{}", expected.uid);
        assert_eq!(operator.fully_finished, expected.fully_finished);
    }
    assert!(found.has_channel_state);
}

#[rstest]
#[case::canonical_keyed(keyed(key_groups(7, &[0])), Some(SnapshotKind::Savepoint), Some(SavepointFormat::Canonical))]
#[case::in_flight(Subtask { inputs: vec![channel(None, 1, &[0])], ..Subtask::default() }, Some(SnapshotKind::Checkpoint), None)]
#[case::either(keyed(key_groups(3, &[0])), None, None)]
fn older_layouts_show_what_they_are_by_their_state(
    #[case] subtask: Subtask,
    #[case] kind: Option<SnapshotKind>,
    #[case] format: Option<SavepointFormat>,
) {
    let found = facts(&one(3, subtask));
    assert_eq!((found.kind, found.format_type), (kind, format));
}

#[test]
fn properties_say_what_it_is() {
    for (tail, kind, format) in [
        (savepoint("CANONICAL"), SnapshotKind::Savepoint, Some(SavepointFormat::Canonical)),
        (checkpoint(), SnapshotKind::Checkpoint, None),
    ] {
        let found = facts(&head(4).i32(0).i32(0).raw(tail).0);
        assert_eq!((found.kind, found.format_type), (Some(kind), format));
    }
}

#[test]
fn known_uids_name_operators_of_older_layouts() {
    let mut found = facts(&recorded("1.20.5/hashmap-savepoint-canonical"));
    assert!(found.operators.iter().all(|operator| operator.uid.is_none()));
    found.name_operators(["counter", "totals", "unknown"]);
    let named: Vec<&str> = found.operators.iter().filter_map(|operator| operator.uid.as_deref()).collect();
    assert_eq!(named, ["counter", "totals"]);
    // A uid that the snapshot itself names is kept.
    let mut found = facts(&one(6, Subtask::default()));
    found.operators[0].id = OperatorId::of_uid("counter");
    found.name_operators(["counter"]);
    assert_eq!(found.operators[0].uid.as_deref(), Some("one"));
}

#[test]
fn files_inside_and_outside_of_the_directory() {
    let found = facts(&recorded("1.20.5/rocksdb-checkpoint"));
    let shared = &found.files.iter().find(|file| !file.relative).unwrap().path;
    let job = shared.split("/shared/").next().unwrap();
    let chk = Directory::new(&format!("{job}/chk-15/_metadata"));
    assert_eq!((found.files_inside(&chk).count(), found.files_outside(&chk).count()), (8, 29));
    let whole = Directory::new(job);
    assert_eq!(found.files_outside(&whole).count(), 0);
    assert!(found.files_inside(&whole).any(|(below, _)| below.starts_with("shared/")));
    assert!(!found.self_contained);
}

#[test]
fn a_path_that_climbs_gives_no_facts() {
    for (path, problem) in [
        ("../other", PathProblem::Climbs),
        ("/etc/passwd", PathProblem::Absolute),
        ("%2e%2e/other", PathProblem::Encoded),
        ("", PathProblem::NoFile),
    ] {
        let file = one(6, keyed(key_groups(12, &relative(path, 10))));
        // The bytes are well-formed.
        read(file.as_slice(), None, |_| Ok::<_, FactsError>(())).unwrap();
        let error = SnapshotFacts::read(file.as_slice(), None).unwrap_err();
        assert!(matches!(&error, FactsError::Path(error) if error.problem == problem), "{path}: {error}");
    }
    assert!(SnapshotFacts::read(one(6, keyed(key_groups(12, &absolute("file:/x/../y", 1)))).as_slice(), None).is_ok());
}

#[test]
fn errors_of_the_bytes_keep_their_words() {
    let error = SnapshotFacts::read(&[][..], Some(0)).unwrap_err();
    assert_eq!(error.reason(), "MetadataEmpty");
    assert_eq!(error.to_string(), "`_metadata`, byte 0: expected Flink's magic number, found an empty file");
}

#[test]
fn there_may_be_so_many_and_no_more() {
    let limits = Limits { operators: 2, files: 3 };
    let collect = |operators: u32, files: u32| {
        let mut collector = Collector::new(limits);
        for n in 0..operators {
            let id = OperatorId::from_bytes(u128::from(n).to_be_bytes());
            collector.take(Event::Operator { id, uid: None, name: None, parallelism: 1, max_parallelism: 1 })?;
        }
        // Named over and over, in turn.
        for n in (0..files).cycle().take(50_000) {
            let path = n.to_string();
            let (form, part) = (FileForm::Relative, Part::ManagedKeyed);
            collector.take(Event::File { part, path: &path, form, size: 1 })?;
        }
        collector.finish()
    };
    let found = collect(2, 3).unwrap();
    assert_eq!((found.operators.len(), found.files.len(), found.total_bytes), (2, 3, 3));
    let error = collect(3, 3).unwrap_err();
    assert!(matches!(error, FactsError::TooMany { what: Counted::Operators, limit: 2 }), "{error}");
    let error = collect(2, 4).unwrap_err();
    assert!(matches!(error, FactsError::TooMany { what: Counted::Files, limit: 3 }), "{error}");
    assert_eq!(error.reason(), "SnapshotTooLarge");
    assert_eq!(error.to_string(), "the snapshot has more than 3 files: raise the limit or refuse the snapshot");
}

#[test]
fn fifty_thousand_files_can_be_collected() {
    let shared: Vec<Vec<u8>> = (0..60_000).map(|n| absolute(&format!("s3://b/shared/{n:08}"), 3)).collect();
    let found = facts(&one(6, keyed(incremental(11, &inline(1), &shared, &[]))));
    assert_eq!((found.files.len(), found.total_bytes), (60_000, 180_001));
}
