use rstest::rstest;

use super::super::bytes::{bytes, checkpoint, class, object_field, properties, savepoint};
use super::{Properties, SnapshotKind, parse};
use crate::flink::SavepointFormat;

#[rstest]
#[case::canonical(savepoint("CANONICAL"), Some(SnapshotKind::Savepoint), Some(SavepointFormat::Canonical))]
#[case::native(savepoint("NATIVE"), Some(SnapshotKind::Savepoint), Some(SavepointFormat::Native))]
#[case::checkpoint(checkpoint(), Some(SnapshotKind::Checkpoint), None)]
#[case::another_type(properties(&bytes().u8(0x73).raw(class("a.NewType", 2, &[]).0).0), None, None)]
#[case::no_type(properties(&[0x70]), None, None)]
fn says_what_the_snapshot_is(
    #[case] data: Vec<u8>,
    #[case] kind: Option<SnapshotKind>,
    #[case] format_type: Option<SavepointFormat>,
) {
    assert_eq!(parse(&data, 0).unwrap(), Properties { kind, format_type });
}

#[test]
fn a_cut_anywhere_is_found() {
    let data = savepoint("CANONICAL");
    for end in 0..data.len() {
        let error = parse(&data[..end], 100).unwrap_err();
        assert_eq!(error.reason(), "MetadataTruncated", "{end}: {error}");
    }
    let error = parse(&[data.as_slice(), &[0]].concat(), 100).unwrap_err();
    assert_eq!(error.reason(), "TrailingBytes");
}

#[test]
fn what_a_later_flink_may_add_does_no_harm() {
    // A class with fields of every type, written by its own method with blocks; arrays; a parent; references.
    let fields: Vec<Vec<u8>> = b"BCDFIJSZ".iter().map(|kind| bytes().u8(*kind).utf("f").0).collect();
    let array = bytes().u8(b'[').utf("a").u8(0x74).utf("[I").0;
    let fields = [fields, vec![array, object_field("o")]].concat();
    let parent = class("a.Parent", 2, &[bytes().u8(b'I').utf("n").0]);
    let count = u8::try_from(fields.len()).unwrap();
    let new = bytes().u8(0x72).utf("a.New").i64(1).u8(3).u8(0).u8(count).raw(fields.concat()).u8(0x78).raw(parent.0);
    let ints = class("[I", 2, &[]);
    let object = bytes()
        .u8(0x73)
        .raw(new.0)
        .i32(5)
        .zeros(1 + 2 + 8 + 4 + 4 + 8 + 2 + 1)
        .u8(0x75)
        .raw(ints.0)
        .i32(2)
        .zeros(8)
        .raw([0x71, 0, 0x7e, 0, 0])
        .raw([0x77, 2, 9, 9])
        .raw([0x7a, 0, 0, 0, 1, 9])
        .raw([0x70, 0x78]);
    let data = properties(&object.0);
    assert_eq!(parse(&data, 0).unwrap(), Properties::default());
}

#[rstest]
#[case::no_java(bytes().raw([1, 2, 3, 4]).0, "a Java object in the checkpoint's properties, found 0x01020304")]
#[case::format(savepoint("SUPER"), "expected CANONICAL or NATIVE in the checkpoint's properties, found SUPER")]
#[case::tag(properties(&[0x01]), "found tag 0x01")]
#[case::reference(properties(&[0x71, 0, 0x7e, 1, 0]), "a reference to what came before in the checkpoint's properties, found 0x007e0100")]
#[case::low_reference(properties(&[0x71, 0, 0, 0, 0]), "found 0x00000000")]
#[case::no_class(properties(&[0x73, 0x70]), "the class of an object in the checkpoint's properties, found null")]
#[case::no_array(properties(&bytes().u8(0x75).raw(class("a.B", 2, &[]).0).0), "the class of an array")]
#[case::field(properties(&bytes().u8(0x73).raw(class("a.B", 2, &[bytes().u8(b'Q').utf("f").0]).0).0), "the type of a Java field")]
fn says_what_is_wrong(#[case] data: Vec<u8>, #[case] message: &str) {
    let error = parse(&data, 500).unwrap_err();
    assert_eq!(error.reason(), "MalformedProperties");
    assert!(error.to_string().contains(message), "{error}");
}

#[test]
fn a_reference_to_the_class_that_is_being_described_is_refused() {
    let own = bytes().u8(0x72).utf("a.Loop").i64(1).u8(2).u8(0).u8(0).u8(0x78).raw([0x71, 0, 0x7e, 0, 0]);
    let error = parse(&bytes().raw([0xac, 0xed, 0, 5]).u8(0x73).raw(own.0).0, 0).unwrap_err();
    assert_eq!(error.reason(), "MalformedProperties", "{error}");
}

#[test]
fn nesting_comes_to_an_end() {
    let object = bytes().u8(0x73).raw(class("a.B", 2, &[object_field("o")]).0).0;
    for depth in [20, 500] {
        let error = parse(&bytes().raw([0xac, 0xed, 0, 5]).raw(object.repeat(depth)).0, 0).unwrap_err();
        assert_eq!(error.reason(), "NestedTooDeep", "{error}");
        // Classes that are each other's parents.
        let head = bytes().u8(0x72).utf("a.B").i64(1).u8(2).u8(0).u8(0).u8(0x78).0;
        let line = bytes().raw([0xac, 0xed, 0, 5]).u8(0x73).raw(head.repeat(depth)).u8(0x70).0;
        assert_eq!(parse(&line, 0).unwrap_err().reason(), "NestedTooDeep");
    }
}

#[test]
fn a_line_of_parents_that_are_referred_to_comes_to_an_end() {
    let line = |length: u8| {
        let root = bytes().raw([0xac, 0xed, 0, 5]).u8(0x73).raw(class("a.Root", 3, &[]).0);
        let objects = (1..=length).fold(root, |out, n| {
            let out = out.u8(0x73).u8(0x72).utf("a.B").i64(1).u8(2).u8(0).u8(0).u8(0x78);
            // Of the class before: each class and each object has a number.
            if n == 1 { out.u8(0x70) } else { out.raw([0x71, 0, 0x7e, 0, 2 * n - 2]) }
        });
        objects.u8(0x78).0
    };
    assert_eq!(parse(&line(16), 0).unwrap(), Properties::default());
    assert_eq!(parse(&line(17), 0).unwrap_err().reason(), "NestedTooDeep");
}
