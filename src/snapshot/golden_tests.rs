//! Real snapshots, and what another reader found in them: `tests/fixtures/flink/snapshots`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::{Error, Event, HandleKind, Part, SnapshotFacts, read};

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/flink/snapshots")
}

/// The `_metadata` of a recorded snapshot.
pub fn recorded(name: &str) -> Vec<u8> {
    let file = folder().join(name).join("_metadata");
    std::fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// What the other reader found, by the snapshots' names.
pub fn golden() -> Map<String, Value> {
    let text = std::fs::read_to_string(folder().join("golden.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn every_recorded_snapshot_is_read_as_the_other_reader_does() {
    let golden = golden();
    assert_eq!(golden.len(), 22);
    for (name, expected) in golden {
        let file = recorded(&name);
        let facts = SnapshotFacts::read(file.as_slice(), Some(file.len() as u64)).unwrap();
        let found = serde_json::to_value(&facts).unwrap();
        pretty_assert(&name, &found, &expected["facts"]);
        // The order and the names of the fields are part of the form.
        let (text, wanted) = (serde_json::to_string(&facts).unwrap(), expected["facts"].to_string());
        assert_eq!(text.len(), wanted.len(), "{name}");
    }
}

fn pretty_assert(name: &str, found: &Value, expected: &Value) {
    for (key, expected) in expected.as_object().unwrap() {
        assert_eq!(&found[key], expected, "{name}: {key}");
    }
    assert_eq!(found, expected, "{name}");
}

#[test]
fn every_handle_of_the_recorded_snapshots_is_told() {
    for (name, expected) in golden() {
        let (mut handles, mut files, mut masters) = (BTreeMap::<&str, u64>::new(), 0_u64, Vec::new());
        let file = recorded(&name);
        read(file.as_slice(), None, |event| {
            match event {
                Event::Handle { part, kind, .. } => {
                    if let Some(kind) = kind_name(part, kind) {
                        *handles.entry(kind).or_default() += 1;
                    }
                }
                Event::File { .. } => files += 1,
                Event::MasterState { name, .. } => masters.push(name.to_owned()),
                _ => {}
            }
            Ok::<_, Error>(())
        })
        .unwrap();
        let mut wanted: BTreeMap<&str, u64> = BTreeMap::new();
        for (kind, count) in expected["handles"].as_object().unwrap() {
            let kind = kind.trim_end_matches("V2");
            // Streams are told by their files and bytes.
            if !["bytes", "file", "relative", "segment", "empty-segment"].contains(&kind) {
                *wanted.entry(kind).or_default() += count.as_u64().unwrap();
            }
        }
        assert_eq!(handles, wanted, "{name}");
        assert_eq!(files, expected["mentions"].as_u64().unwrap(), "{name}");
        assert_eq!(Value::from(masters), expected["masterStates"], "{name}");
    }
}

fn kind_name(part: Part, kind: HandleKind) -> Option<&'static str> {
    Some(match kind {
        HandleKind::Coordinator => return None,
        HandleKind::Operator => "partitionable",
        HandleKind::MergedOperator => "filemerging-partitionable",
        HandleKind::KeyGroups => "keygroups",
        HandleKind::KeyGroupsSavepoint => "keygroupsSavepoint",
        HandleKind::Incremental => "incremental",
        HandleKind::Changelog => "changelog",
        HandleKind::ChangelogInMemory => "changelog-bytes",
        HandleKind::ChangelogFiles => "changelog-file",
        HandleKind::Channel if part == Part::InputChannel => "input",
        HandleKind::Channel => "output",
        HandleKind::MergedChannel => "merged",
    })
}
