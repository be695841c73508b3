use std::collections::BTreeSet;

use rstest::rstest;

use super::super::facts::FileFacts;
use super::super::golden_tests::{golden, recorded};
use super::super::path::{Directory, Place};
use super::super::{Event, FileForm, RewriteError, SnapshotFacts, rewrite};
use super::Relocation;

const FROM: &str = "s3://flink/ck/job/chk-7";

fn to(to: &str) -> Relocation {
    Relocation::new(FROM, to).unwrap()
}

fn file(path: &str, relative: bool) -> FileFacts {
    FileFacts { path: path.to_owned(), size: 1, relative, merged: false }
}

#[rstest]
#[case::own("s3://flink/ck/job/chk-7/a", "a")]
#[case::own_by_another_scheme("s3a://flink//ck/job/chk-7/./sub/a", "sub/a")]
#[case::shared("s3://flink/ck/job/shared/a", "shared-086d589aa80fcf3e/a")]
#[case::shared_by_another_scheme("s3p://flink/ck/job/shared/a", "shared-086d589aa80fcf3e/a")]
#[case::in_the_bucket("s3://flink/a", "flink-05d85ef7f088e602/a")]
#[case::in_the_root("file:/a", "files-430473329df5ca20/a")]
fn a_file_has_one_place(#[case] uri: &str, #[case] below: &str) {
    let copy = to("s3://dr/1");
    assert_eq!(copy.below(&file(uri, false)), below);
    assert_eq!(copy.file(uri), format!("s3://dr/1/{below}"));
}

#[test]
fn a_relative_file_keeps_its_path() {
    assert_eq!(to("s3://dr/1").below(&file("./sub//a", true)), "sub/a");
}

#[test]
fn two_files_never_become_one() {
    let uris = [
        "s3://flink/ck/job/shared/a",
        "s3://flink/ck/job/taskowned/a",
        "s3://flink/ck/other/shared/a",
        "s3://other/ck/job/shared/a",
        "s3://flink/ck/job/shared/b",
        "s3://flink/ck/job/shared/sub/a",
        "s3://flink/ck/job/shared/a b",
        "s3://flink/ck/job/shared/a\\b",
        "s3://flink/ck/job/shared/%2e%2e",
        "s3://flink/ck/job/shared/%2E%2e",
        "s3://flink/ck/job/shared/.a",
        "s3://flink/ck/job/sh ared/a",
        "s3://flink/ck/job/chk-7/a",
        "s3://flink/ck/job/chk-7/%2e%2e",
        "file:/shared/a",
        "file:/a",
    ];
    let copy = to("s3://dr/1");
    let places: BTreeSet<String> = uris.iter().map(|uri| copy.below(&file(uri, false))).collect();
    assert_eq!(places.len(), uris.len(), "{places:?}");
    let directory = Directory::new("s3://dr/1");
    for (uri, place) in uris.iter().map(|uri| (uri, copy.below(&file(uri, false)))) {
        assert_eq!(copy.file(uri), format!("s3://dr/1/{place}"));
        assert_eq!(directory.place_of(&copy.file(uri)), Place::Inside(place), "{uri}");
    }
}

/// Flink deletes directories of merged files, with all that is in them.
#[test]
fn a_directory_has_the_files_that_were_in_it() {
    let copy = to("s3a://dr/1");
    for folder in ["s3://flink/ck/job/taskowned/job_1_tm_2", "s3a://flink/ck/job/taskowned/job_1_tm_2/"] {
        let there = copy.folder(folder);
        assert!(there.starts_with("s3a://dr/1/job_1_tm_2-"), "{there}");
        assert_eq!(copy.file(&format!("{folder}/x")), format!("{there}/x"));
    }
    assert_eq!(copy.folder(&format!("{FROM}/merged")), "s3a://dr/1/merged");
    assert_eq!(copy.folder(FROM), "s3a://dr/1");
    assert!(copy.folder("s3://flink/ck/job").starts_with("s3a://dr/1/job-"));
}

#[rstest]
#[case("s3://dr/1", "s3://dr/1", "s3://dr/1")]
#[case("S3A://dr//x/../1/", "s3a://dr/1", "s3://dr/1")]
#[case("file:/srv/1/_metadata", "file:///srv/1", "file:///srv/1")]
#[case("/srv/1", "file:///srv/1", "file:///srv/1")]
fn the_scheme_is_kept(#[case] given: &str, #[case] written: &str, #[case] normal: &str) {
    let copy = to(given);
    assert_eq!(copy.file(&format!("{FROM}/a")), format!("{written}/a"));
    assert_eq!(copy.directory(), normal);
}

#[rstest]
#[case::bucket("s3://dr", "a directory of its own")]
#[case::bucket_with_slash("s3://dr/", "a directory of its own")]
#[case::root("file:///", "a directory of its own")]
#[case::encoded("s3://dr/%2e%2e/x", "percent-encoded")]
#[case::backslash("s3://dr/a\\b", "backslashes")]
#[case::control("s3://dr/a\u{7}b", "control characters")]
fn some_places_can_not_be_those_of_a_copy(#[case] target: &str, #[case] says: &str) {
    let error = Relocation::new(FROM, target).unwrap_err();
    assert!(error.to_string().contains(says), "{error}");
}

/// Of all the recorded ones: whatever was named by its location lies in the copy's directory afterwards.
#[test]
fn a_copy_names_nothing_outside_of_it() {
    let target = "s3://dr/copies/1";
    for name in golden().keys() {
        let source = recorded(name);
        let copy = Relocation::new("file:/srv/fk/somewhere/chk-1", target).unwrap();
        let mut bytes = Vec::new();
        rewrite(source.as_slice(), None, &mut bytes, |event| {
            Ok::<_, RewriteError>(match event {
                Event::File { path, form: FileForm::Absolute | FileForm::Segment { .. }, .. } => Some(copy.file(path)),
                Event::Directory { path, .. } => Some(copy.folder(path)),
                _ => None,
            })
        })
        .unwrap();
        let (before, after) = (facts(&source), facts(&bytes));
        let directory = Directory::new(target);
        assert_eq!(after.files_outside(&directory).count(), 0, "{name}");
        assert_eq!(after.files.len(), before.files.len(), "{name}");
        let mut expected: Vec<_> = before.files.iter().map(|file| (copy.below(file), file.size)).collect();
        let mut found: Vec<_> = after.files_inside(&directory).map(|(below, file)| (below, file.size)).collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{name}");
        assert_eq!(after.operators, before.operators, "{name}");
        assert!(!String::from_utf8_lossy(&bytes).contains("/shared/job_"), "{name}: a directory is left");
    }
}

fn facts(file: &[u8]) -> SnapshotFacts {
    SnapshotFacts::read(file, None).unwrap()
}
