use std::io::{self, Cursor, Read};

use rstest::rstest;

use super::super::bytes::{Operator, Subtask, bytes, events, file, head, inline, one, operator_state, savepoint};
use super::super::golden_tests::{golden, recorded};
use super::super::{Error, Event};
use super::read;

fn failure(file: impl Read, length: Option<u64>) -> Error {
    read(file, length, |_| Ok::<_, Error>(())).expect_err("an error")
}

/// Gives one byte at a time, and is interrupted before each.
struct Slow<R>(R, bool);

impl<R: Read> Read for Slow<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let n = into.len().min(1);
        self.0.read(&mut into[..n])
    }
}

#[test]
fn how_the_source_gives_its_bytes_makes_no_difference() {
    for name in golden().keys() {
        let file = recorded(name);
        let known = events(&file).unwrap();
        let mut unknown = Vec::new();
        read(Slow(file.as_slice(), false), None, |event: Event<'_>| {
            unknown.push(format!("{event:?}"));
            Ok::<_, Error>(())
        })
        .unwrap();
        assert_eq!(known, unknown, "{name}");
    }
}

#[test]
fn a_file_cut_anywhere_is_truncated() {
    for name in golden().keys() {
        let file = recorded(name);
        // Not at every byte of the largest ones, which are more of the same.
        for end in (0..file.len()).step_by(1 + file.len() / 4096) {
            for length in [None, Some(end as u64)] {
                let error = failure(&file[..end], length);
                let reason = if end == 0 { "MetadataEmpty" } else { "MetadataTruncated" };
                assert_eq!(error.reason(), reason, "{name} cut at {end} of {}: {error}", file.len());
            }
        }
    }
}

#[rstest]
#[case::layout_3(3)]
#[case::layout_6(6)]
fn more_than_the_end_is_refused(#[case] version: i32) {
    let mut file = file(version, &[]);
    let end = file.len() as u64;
    file.push(0);
    for length in [None, Some(file.len() as u64)] {
        let error = failure(file.as_slice(), length);
        assert!(matches!(error, Error::Trailing { offset } if offset == end), "{error}");
    }
}

#[rstest]
#[case::not_metadata(bytes().raw("PK\x03\x04 and so on").0, "NotMetadata", "byte 0: expected Flink's magic number 0x4960672d, found 0x504b0304")]
#[case::too_old(head(1).0, "UnknownMetadataVersion", "byte 4: expected a layout from 2 to 7, found 1")]
#[case::too_new(head(8).0, "UnknownMetadataVersion", "found 8")]
#[case::no_version(head(-1).0, "UnknownMetadataVersion", "found -1")]
#[case::id(bytes().raw([0x49, 0x60, 0x67, 0x2d]).i32(3).i64(-2).0, "NegativeNumber", "byte 8: expected the checkpoint's id, found -2")]
#[case::masters(head(3).i32(-1).0, "NegativeNumber", "byte 16: expected number of master states, found -1")]
#[case::operators(head(3).i32(0).i32(-5).0, "NegativeNumber", "byte 20: expected number of operators, found -5")]
#[case::master_mark(head(3).i32(1).i32(7).zeros(20).0, "UnknownValue", "byte 20: expected the mark of a master state, found 7")]
#[case::master_length(head(3).i32(1).raw([0xc9, 0x6b, 0x16, 0x96]).i32(11).i32(0).utf("h").i32(1).u8(9).0, "UnknownValue", "byte 28: expected a master state of the length before it, found 12")]
#[case::cut_short(head(3).i32(0).i32(i32::MAX).0, "MetadataTruncated", "byte 24: expected 60129542116 bytes of number of operators, found the end of the file after 0")]
fn a_bad_head_says_where_and_what(#[case] file: Vec<u8>, #[case] reason: &str, #[case] message: &str) {
    let error = failure(file.as_slice(), Some(file.len() as u64));
    assert_eq!(error.reason(), reason, "{error}");
    assert!(error.to_string().contains(message), "{error}");
    assert!(!error.is_transient());
}

#[rstest]
#[case::parallelism(Operator { parallelism: -1, ..Operator::new("a") }, "NegativeNumber", "parallelism of an operator, found -1")]
#[case::max_parallelism(Operator { max_parallelism: -1, ..Operator::new("a") }, "NegativeNumber", "maximum parallelism of an operator, found -1")]
#[case::coordinator_elsewhere(Operator { coordinator: bytes().u8(6).utf("f").i64(1).0, ..Operator::new("a") }, "UnknownStateHandle", "the state of a coordinator, found 6")]
#[case::coordinator_below_zero(Operator { coordinator: bytes().u8(1).utf("f").i32(-1).0, ..Operator::new("a") }, "NegativeNumber", "length of inline state, found -1")]
fn a_bad_operator_says_what(#[case] operator: Operator, #[case] reason: &str, #[case] message: &str) {
    let file = file(6, &[operator]);
    let error = failure(file.as_slice(), Some(file.len() as u64));
    assert_eq!(error.reason(), reason, "{error}");
    assert!(error.to_string().contains(message), "{error}");
}

#[test]
fn a_subtask_below_zero_is_an_error_where_none_can_be_finished() {
    let operator =
        |index| file(2, &[Operator { subtasks: vec![(index, Some(Subtask::default()))], ..Operator::new("a") }]);
    assert!(events(&operator(0)).is_ok());
    let error = failure(operator(-3).as_slice(), None);
    assert!(matches!(error, Error::Negative { found: -3, .. }), "{error}");
}

#[test]
fn a_flag_that_is_none_is_an_error() {
    for version in 2..=7 {
        let good = one(version, Subtask { managed_operator: operator_state(&inline(3)), ..Subtask::default() });
        let flag = bytes().i32(1).u8(4).0;
        let at = good.windows(5).position(|window| window == flag).unwrap();
        let mut file = good.clone();
        file[at + 3] = 2;
        let error = failure(file.as_slice(), None);
        assert!(matches!(error, Error::Value { found: 2, .. }), "{error}");
    }
}

#[test]
fn layout_7_may_refer_to_a_checkpoint() {
    let with = |reference| one(7, Subtask { reference, ..Subtask::default() });
    let (without, with) = (with(None), with(Some(12)));
    assert_eq!(events(&without).unwrap(), events(&with).unwrap());
    let mut file = without.clone();
    let at = file.len() - savepoint("NATIVE").len() - 1;
    file[at] = 2;
    let error = failure(file.as_slice(), None);
    assert!(matches!(error, Error::Value { found: 2, .. }), "{error}");
}

#[test]
fn finished_operators_and_subtasks_are_told() {
    for version in 3..=7 {
        let finished = Operator { fully_finished: true, ..Operator::new("a") };
        let subtasks = vec![(1, None), (0, Some(Subtask::default())), (i32::MAX, None)];
        let partly = Operator { subtasks, ..Operator::new("b") };
        let events = events(&file(version, &[finished, partly])).unwrap();
        let told: Vec<&str> = events.iter().map(String::as_str).filter(|event| !event.contains("id: ")).collect();
        let mut expected = vec![
            "FullyFinished",
            "Subtask { index: 1, finished: true }",
            "Subtask { index: 0, finished: false }",
            "Subtask { index: 2147483647, finished: true }",
        ];
        if version >= 4 {
            expected.push("Properties(Properties { kind: Some(Savepoint), format_type: Some(Native) })");
        }
        assert_eq!(told, expected, "{version}");
    }
}

#[test]
fn names_and_uids_are_there_from_layout_5() {
    for version in 2..=7 {
        let events = events(&file(version, &[Operator::new("counter")])).unwrap();
        let known =
            if version >= 5 { r#"uid: Some("counter"), name: Some("counter-name")"# } else { "uid: None, name: None" };
        let expected = format!(
            "Operator {{ id: OperatorId([13, 160, 143, 81, 234, 168, 95, 194, 152, 225, 118, 161, 57, 179, 100, 154]), \
             {known}, parallelism: 2, max_parallelism: 128 }}"
        );
        assert_eq!(events[1], expected);
    }
    let unnamed = events(&file(6, &[Operator::new("")])).unwrap();
    assert!(unnamed[1].contains("uid: None"), "{}", unnamed[1]);
}

#[test]
fn master_states_are_told() {
    let state = bytes().i32(7).utf("my-hook").i32(3).raw("abc");
    let length = i32::try_from(state.0.len()).unwrap();
    let file = head(3).i32(1).raw([0xc9, 0x6b, 0x16, 0x96]).i32(length).raw(state.0).i32(0).0;
    assert_eq!(events(&file).unwrap()[1], r#"MasterState { name: "my-hook", version: 7, bytes: 3 }"#);
}

#[test]
fn the_caller_can_end_the_reading() {
    #[derive(Debug)]
    enum Mine {
        Enough,
        Metadata(Error),
    }
    impl From<Error> for Mine {
        fn from(error: Error) -> Self {
            Self::Metadata(error)
        }
    }
    let mut told = 0;
    let result = read(one(6, Subtask::default()).as_slice(), None, |_| {
        told += 1;
        if told == 2 { Err(Mine::Enough) } else { Ok(()) }
    });
    assert!(matches!(result, Err(Mine::Enough)));
    assert_eq!(told, 2);
    assert!(matches!(read(&[][..], None, |_| Err(Mine::Enough)), Err(Mine::Metadata(Error::Empty))));
}

#[test]
fn a_source_that_fails_is_not_the_files_fault() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::new(io::ErrorKind::TimedOut, "the store is away"))
        }
    }
    let error = failure(Cursor::new(one(6, Subtask::default())).take(30).chain(Broken), None);
    assert_eq!(error.reason(), "MetadataUnreadable");
    assert!(error.is_transient());
    assert!(error.to_string().contains("the store is away"), "{error}");
}

#[test]
fn a_file_shorter_than_its_length_is_truncated() {
    let file = file(3, &[]);
    let length = file.len() as u64;
    let error = failure(file.as_slice(), Some(length + 5));
    assert!(matches!(error, Error::Truncated { offset, needed: 5, left: 0, .. } if offset == length), "{error}");
}
