//! Every handle in every layout that has it: what is told of it, and what is wrong with a broken one.

use rstest::rstest;

use super::super::bytes::{
    EMPTY_SEGMENT, Subtask, absolute, bytes, changelog, changelog_files, changelog_in_memory, channel, events,
    incremental, inline, key_groups, merged_channel, merged_operator_state, one, operator_state, relative, segment,
};
use super::super::{Error, read};

/// What is told of the subtask's state, shortened.
fn told(version: i32, subtask: Subtask) -> Vec<String> {
    let events = events(&one(version, subtask)).unwrap();
    let of_state = events.into_iter().skip(3).filter(|event| !event.starts_with("Properties"));
    of_state.map(|event| event.replace(" { part: ", " ").replace(", nested: false", "").replace(" }", "")).collect()
}

fn keyed(state: Vec<u8>) -> Subtask {
    Subtask { managed_keyed: state, ..Subtask::default() }
}

#[rstest]
#[case::none(vec![0], &[], 0)]
#[case::inline(inline(5), &["Inline ManagedKeyed, bytes: 5"], 5)]
#[case::inline_empty(inline(0), &["Inline ManagedKeyed, bytes: 0"], 0)]
#[case::absolute(absolute("s3://b/f", 9), &[r#"File ManagedKeyed, path: "s3://b/f", form: Absolute, size: 9"#], 9)]
#[case::relative(relative("f", 9), &[r#"File ManagedKeyed, path: "f", form: Relative, size: 9"#], 9)]
#[case::exclusive(segment("s3://b/f", 3, 9, 0), &[r#"File ManagedKeyed, path: "s3://b/f", form: Segment { start: 3, shared: false, size: 9"#], 9)]
#[case::shared(segment("s3://b/f", 3, 9, 1), &[r#"File ManagedKeyed, path: "s3://b/f", form: Segment { start: 3, shared: true, size: 9"#], 9)]
#[case::empty_segment(EMPTY_SEGMENT.to_vec(), &[], 0)]
#[case::key_groups(key_groups(3, &relative("f", 9)), &[r#"File ManagedKeyed, path: "f", form: Relative, size: 9"#], 9)]
fn a_stream_is_told(#[case] stream: Vec<u8>, #[case] of_stream: &[&str], #[case] size: u64) {
    for version in 2..=7 {
        for (tag, kind) in [(3, "KeyGroups"), (7, "KeyGroupsSavepoint"), (12, "KeyGroups")] {
            let mut expected: Vec<String> = of_stream.iter().map(ToString::to_string).collect();
            expected.push(format!("Handle ManagedKeyed, kind: {kind}, bytes: {size}"));
            assert_eq!(told(version, keyed(key_groups(tag, &stream))), expected, "{version} {tag}");
        }
    }
}

#[test]
fn operator_state_is_told() {
    for version in 2..=7 {
        let subtask = Subtask {
            managed_operator: operator_state(&inline(4)),
            raw_operator: merged_operator_state(&segment("file:/m", 8, 6, 1)),
            ..Subtask::default()
        };
        assert_eq!(
            told(version, subtask),
            [
                "Inline ManagedOperator, bytes: 4",
                "Handle ManagedOperator, kind: Operator, bytes: 4",
                r#"Directory RawOperator, path: "file:/t""#,
                r#"Directory RawOperator, path: "file:/s""#,
                r#"File RawOperator, path: "file:/m", form: Segment { start: 8, shared: true, size: 6"#,
                "Handle RawOperator, kind: MergedOperator, bytes: 6",
            ]
        );
        let nothing = Subtask { managed_operator: vec![0], raw_keyed: vec![0], ..Subtask::default() };
        assert!(told(version, nothing).is_empty());
    }
}

#[test]
fn incremental_state_is_told() {
    for (version, tag) in [(2, 5), (3, 5), (4, 11), (6, 11), (7, 11)] {
        let state = incremental(tag, &inline(2), &[absolute("s3://b/s1", 3), relative("s2", 4)], &[inline(5)]);
        assert_eq!(
            told(version, keyed(state)),
            [
                "Inline ManagedKeyed, bytes: 2",
                r#"File ManagedKeyed, path: "s3://b/s1", form: Absolute, size: 3"#,
                r#"File ManagedKeyed, path: "s2", form: Relative, size: 4"#,
                "Inline ManagedKeyed, bytes: 5",
                "Handle ManagedKeyed, kind: Incremental, bytes: 14",
            ]
        );
    }
}

#[test]
fn a_changelog_counts_what_is_within_it_once() {
    for (version, tag, files) in [(3, 8, 10), (6, 14, 13)] {
        let materialised = [key_groups(12, &relative("base", 10)), vec![0]];
        let delta = [changelog_in_memory(&[3, 0, 4]), changelog_files(files, &[absolute("s3://b/d", 99)], 20)];
        let state = Subtask { raw_keyed: changelog(tag, &materialised, &delta), ..Subtask::default() };
        let events = told(version, state);
        assert_eq!(
            events,
            [
                r#"File RawKeyed, path: "base", form: Relative, size: 10"#,
                "Handle RawKeyed, kind: KeyGroups, bytes: 10, nested: true",
                "Inline RawKeyed, bytes: 7",
                "Handle RawKeyed, kind: ChangelogInMemory, bytes: 7, nested: true",
                r#"File RawKeyed, path: "s3://b/d", form: Absolute, size: 99"#,
                "Handle RawKeyed, kind: ChangelogFiles, bytes: 20, nested: true",
                "Handle RawKeyed, kind: Changelog, bytes: 37",
            ]
        );
    }
}

#[test]
fn channels_are_told() {
    for version in 3..=7 {
        let [input, output] = if version >= 6 { [Some(1), Some(2)] } else { [None, None] };
        let mut subtask = Subtask {
            inputs: vec![channel(input, 7, &relative("c", 50)), channel(input, 8, &inline(8))],
            outputs: vec![channel(output, 9, &relative("c", 50))],
            ..Subtask::default()
        };
        let mut expected = vec![
            r#"File InputChannel, path: "c", form: Relative, size: 50"#,
            "Handle InputChannel, kind: Channel, bytes: 7",
            "Inline InputChannel, bytes: 8",
            "Handle InputChannel, kind: Channel, bytes: 8",
        ];
        if version >= 6 {
            subtask.inputs.push(merged_channel(3, 11, &inline(1)));
            subtask.outputs.push(merged_channel(4, 12, &relative("c", 50)));
            expected.extend(["Inline InputChannel, bytes: 1", "Handle InputChannel, kind: MergedChannel, bytes: 11"]);
        }
        expected.extend([
            r#"File OutputChannel, path: "c", form: Relative, size: 50"#,
            "Handle OutputChannel, kind: Channel, bytes: 9",
        ]);
        if version >= 6 {
            expected.extend([
                r#"File OutputChannel, path: "c", form: Relative, size: 50"#,
                "Handle OutputChannel, kind: MergedChannel, bytes: 12",
            ]);
        }
        assert_eq!(told(version, subtask), expected, "{version}");
    }
}

#[test]
fn sums_do_not_overflow() {
    let state = incremental(11, &absolute("a", i64::MAX), &[absolute("b", i64::MAX), absolute("c", i64::MAX)], &[]);
    let events = told(6, keyed(changelog(14, &[state.clone(), state], &[])));
    assert_eq!(events.last().unwrap(), &format!("Handle ManagedKeyed, kind: Changelog, bytes: {}", u64::MAX));
}

#[rstest]
#[case::stream(keyed(key_groups(3, &[99])), "the tag of a stream state handle, found 99")]
#[case::keyed(keyed(vec![77]), "the tag of a keyed state handle, found 77")]
#[case::operator(Subtask { raw_operator: vec![5], ..Subtask::default() }, "the tag of operator state, found 5")]
#[case::input(Subtask { inputs: vec![channel(Some(2), 0, &[0])], ..Subtask::default() }, "the tag of the state of an input channel, found 2")]
#[case::output(Subtask { outputs: vec![merged_channel(9, 0, &[0])], ..Subtask::default() }, "the tag of the state of an output channel, found 9")]
fn a_tag_never_seen_is_an_error(#[case] subtask: Subtask, #[case] message: &str) {
    let error = events(&one(6, subtask)).unwrap_err();
    assert_eq!(error.reason(), "UnknownStateHandle");
    assert!(error.to_string().contains(message), "{error}");
}

#[rstest]
#[case::scope(keyed(key_groups(3, &segment("f", 0, 1, 2))), "UnknownValue", "scope 0 (EXCLUSIVE) or 1 (SHARED) of a file's segment, found 2")]
#[case::mode(Subtask { managed_operator: bytes().u8(4).i32(1).utf("s").u8(3).i32(0).zeros(9).0, ..Subtask::default() }, "UnknownValue", "2 (BROADCAST), found 3")]
#[case::size(keyed(key_groups(3, &absolute("f", -1))), "NegativeNumber", "size of a file, found -1")]
#[case::relative_size(keyed(key_groups(3, &relative("f", i64::MIN))), "NegativeNumber", "size of a file, found -9223372036854775808")]
#[case::start(keyed(key_groups(3, &segment("f", -1, 1, 0))), "NegativeNumber", "start of a file's segment, found -1")]
#[case::segment(keyed(key_groups(3, &segment("f", 1, -1, 0))), "NegativeNumber", "size of a file's segment, found -1")]
#[case::offsets(keyed(bytes().u8(3).i32(0).i32(-1).0), "NegativeNumber", "number of offsets, found -1")]
#[case::first(keyed(bytes().u8(3).i32(-1).i32(0).0), "NegativeNumber", "first key group, found -1")]
#[case::inline(keyed(key_groups(3, &bytes().u8(1).utf("h").i32(-1).0)), "NegativeNumber", "length of inline state, found -1")]
#[case::shared(keyed(bytes().u8(5).i64(7).utf("b").i32(0).i32(1).u8(0).i32(-1).0), "NegativeNumber", "number of shared files, found -1")]
#[case::private(keyed(bytes().u8(5).i64(7).utf("b").i32(0).i32(1).u8(0).i32(0).i32(-1).0), "NegativeNumber", "number of private files, found -1")]
#[case::materialised(keyed(bytes().u8(8).i32(0).i32(1).i64(0).i32(-1).0), "NegativeNumber", "number of materialised handles, found -1")]
#[case::delta(keyed(bytes().u8(8).i32(0).i32(1).i64(0).i32(0).i32(-1).0), "NegativeNumber", "number of changelog handles, found -1")]
#[case::changes(keyed(bytes().u8(9).i32(0).i32(1).i64(0).i64(0).i32(-1).0), "NegativeNumber", "number of changes, found -1")]
#[case::change(keyed(bytes().u8(9).i32(0).i32(1).i64(0).i64(0).i32(1).i32(0).i32(-1).zeros(9).0), "NegativeNumber", "length of a change, found -1")]
#[case::files(keyed(bytes().u8(10).i32(0).i32(1).i32(-1).0), "NegativeNumber", "number of changelog files, found -1")]
#[case::changelog(keyed(changelog_files(10, &[], -1)), "NegativeNumber", "size of a changelog, found -1")]
#[case::states(Subtask { managed_operator: bytes().u8(4).i32(-1).0, ..Subtask::default() }, "NegativeNumber", "number of operator states, found -1")]
#[case::channel(Subtask { inputs: vec![channel(Some(1), -1, &[0])], ..Subtask::default() }, "NegativeNumber", "size of a channel's state, found -1")]
#[case::merged(Subtask { inputs: vec![bytes().u8(3).i32(0).i64(0).u8(0).i32(-1).0], ..Subtask::default() }, "NegativeNumber", "length of a channel's offsets, found -1")]
#[case::path(keyed(key_groups(3, &bytes().u8(6).raw([0, 1, 0xff]).i64(1).0)), "MalformedText", "expected path of a file")]
fn a_broken_handle_says_what(#[case] subtask: Subtask, #[case] reason: &str, #[case] message: &str) {
    let error = events(&one(6, subtask)).unwrap_err();
    assert_eq!(error.reason(), reason, "{error}");
    assert!(error.to_string().contains(message), "{error}");
}

#[rstest]
#[case::streams(|inner: Vec<u8>| key_groups(3, &inner), vec![0])]
#[case::changelogs(|inner: Vec<u8>| changelog(14, &[inner], &[]), vec![0])]
fn handles_within_each_other_come_to_an_end(#[case] wrap: fn(Vec<u8>) -> Vec<u8>, #[case] innermost: Vec<u8>) {
    let nested = |depth| (0..depth).fold(innermost.clone(), |inner, _| wrap(inner));
    assert!(events(&one(6, keyed(nested(8)))).is_ok());
    for depth in [10, 1000] {
        let error = events(&one(6, keyed(nested(depth)))).unwrap_err();
        assert!(matches!(error, Error::TooDeep { limit: 8, .. }), "{error}");
    }
}

/// Each count and length that a file can claim, as the largest there is: an error at once if the file's length is
/// known, and at its end if not.
#[rstest]
#[case::inline(key_groups(3, &bytes().u8(1).utf("h").i32(i32::MAX).0), "inline state")]
#[case::offsets(bytes().u8(3).i32(0).i32(i32::MAX).0, "number of offsets")]
#[case::path(key_groups(3, &bytes().u8(6).raw([0xff, 0xff]).0), "path of a file")]
#[case::shared(bytes().u8(5).i64(7).utf("b").i32(0).i32(1).u8(0).i32(i32::MAX).0, "number of shared files")]
#[case::materialised(bytes().u8(8).i32(0).i32(1).i64(0).i32(i32::MAX).0, "number of materialised handles")]
#[case::changes(bytes().u8(9).i32(0).i32(1).i64(0).i64(0).i32(i32::MAX).0, "number of changes")]
#[case::change(bytes().u8(9).i32(0).i32(1).i64(0).i64(0).i32(1).i32(0).i32(i32::MAX).0, "a change")]
#[case::files(bytes().u8(10).i32(0).i32(1).i32(i32::MAX).0, "number of changelog files")]
fn no_claim_goes_beyond_the_file(#[case] state: Vec<u8>, #[case] what: &str) {
    let file = one(6, keyed(state));
    let error = events(&file).unwrap_err();
    assert!(matches!(error, Error::Truncated { expected, .. } if expected == what), "{error}");
    assert!(read(file.as_slice(), None, |_| Ok::<_, Error>(())).is_err());
}
