use k8s_openapi::api::core::v1::ConfigMap;
use rstest::rstest;

use super::*;
use crate::upgrade::workload::{CONFIG_FILE, Submission};

fn revision(configuration: &str, parallelism: i32) -> Rendered {
    let data = Some([(CONFIG_FILE.to_owned(), configuration.to_owned())].into());
    Rendered {
        config_map: ConfigMap { data, ..ConfigMap::default() },
        submission: Submission { parallelism, ..Submission::default() },
        ..Rendered::default()
    }
}

const ROCKSDB: &str = "state.backend.type: rocksdb\n";
const HASHMAP: &str = "state.backend.type: hashmap\n";
const FORST: &str = "state.backend.type: forst\n";

fn release(text: &str) -> FlinkRelease {
    text.parse().unwrap()
}

#[rstest]
#[case(ROCKSDB, ROCKSDB, FormatType::Native, "nothing that changes needs CANONICAL, and NATIVE is faster")]
#[case("a: b\n", HASHMAP, FormatType::Native, "nothing that changes needs CANONICAL, and NATIVE is faster")]
#[case(HASHMAP, ROCKSDB, FormatType::Canonical, "state backend change: a NATIVE savepoint does not allow it")]
#[case("a: b\n", ROCKSDB, FormatType::Canonical, "state backend change: a NATIVE savepoint does not allow it")]
#[case(FORST, FORST, FormatType::Native, "the state backend ForSt writes NATIVE savepoints only")]
fn the_format_follows_what_changes(
    #[case] old: &str,
    #[case] new: &str,
    #[case] format: FormatType,
    #[case] because: &str,
) {
    let setting = upgraded(&revision(old, 1), &revision(new, 2), Some(release("1.20.5")), Some(release("v2_3")));
    assert_eq!(choose(None, &setting), Ok(Chosen { format, because: Some(because.to_owned()) }));
}

#[test]
fn what_was_asked_for_is_taken() {
    let setting = upgraded(&revision(HASHMAP, 1), &revision(ROCKSDB, 1), None, None);
    let chosen = choose(Some(FormatType::Native), &setting);
    assert_eq!(chosen, Ok(Chosen { format: FormatType::Native, because: None }));
}

#[test]
fn changes_are_those_that_two_revisions_show() {
    let (one, other) = (revision(HASHMAP, 1), revision(ROCKSDB, 2));
    let flink = Change::Flink { from: Some(release("1.20.5")), to: release("2.3") };
    let setting = upgraded(&one, &other, Some(release("1.20.5")), Some(release("2.3")));
    assert_eq!(setting.changes, [Change::Graph, Change::StateBackend, Change::Parallelism, flink]);
    assert_eq!(upgraded(&one, &one, None, None).changes, [Change::Graph]);
    assert_eq!(as_it_is(&other), Setting { state_backend: Some("rocksdb".to_owned()), changes: Vec::new() });
}

#[rstest]
#[case(Some(FormatType::Canonical), FORST, FORST, "2.3.0", "2.3", "formatType: the state backend ForSt")]
#[case(None, FORST, ROCKSDB, "2.3.0", "2.3", "formatType: state backend change needs a CANONICAL savepoint")]
#[case(None, ROCKSDB, ROCKSDB, "2.3.0", "v1_20", "downgrade across layouts of _metadata: Flink 2.3.0 writes layout 6")]
#[case(Some(FormatType::Native), ROCKSDB, ROCKSDB, "2.3.0", "v1_20", "stay on the newer Flink")]
fn what_no_savepoint_allows_is_refused_before_one_is_taken(
    #[case] asked: Option<FormatType>,
    #[case] old: &str,
    #[case] new: &str,
    #[case] from: &str,
    #[case] to: &str,
    #[case] expected: &str,
) {
    let setting = upgraded(&revision(old, 1), &revision(new, 1), Some(release(from)), Some(release(to)));
    let refusal = choose(asked, &setting).unwrap_err();
    assert!(refusal.contains(expected), "{refusal}");
}
