use rstest::rstest;

use super::super::Error;
use super::{Input, decode, encode};

#[rstest]
#[case::plain(b"counter", Some("counter"))]
#[case::empty(b"", Some(""))]
#[case::latin("ünïcødé".as_bytes(), Some("ünïcødé"))]
#[case::nul(b"a\xc0\x80b", Some("a\0b"))]
#[case::pair(b"\xed\xa0\xbd\xed\xb8\x80", Some("\u{1f600}"))]
#[case::half_a_pair(b"x\xed\xa0\xbdy", Some("x\u{fffd}y"))]
#[case::cut_2(b"\xc0\x80\xc3", None)]
#[case::cut_3(b"\xc0\x80\xe2\x82", None)]
#[case::no_continuation(b"\xc3A", None)]
#[case::no_begin(b"\x80", None)]
#[case::no_such_byte(b"\xff", None)]
fn reads_modified_utf_8(#[case] bytes: &[u8], #[case] expected: Option<&str>) {
    let mut text = String::new();
    assert_eq!(decode(bytes, &mut text).map(|()| text.as_str()), expected);
}

#[rstest]
#[case::plain("counter", b"counter")]
#[case::latin("\u{fc}\u{20ac}", "\u{fc}\u{20ac}".as_bytes())]
#[case::nul("a\0b", b"a\xc0\x80b")]
#[case::pair("\u{1f600}", b"\xed\xa0\xbd\xed\xb8\x80")]
#[case::last("\u{10ffff}", b"\xed\xaf\xbf\xed\xbf\xbf")]
fn writes_modified_utf_8(#[case] text: &str, #[case] expected: &[u8]) {
    let mut bytes = Vec::new();
    encode(text, &mut bytes);
    assert_eq!(bytes, expected);
    let mut back = String::new();
    decode(&bytes, &mut back).unwrap();
    assert_eq!(back, text);
}

#[test]
fn what_is_read_is_copied_with_other_texts() {
    let file = [&[1, 2, 3, 0, 1, b'a', 0, 2, b'b', b'b', 0, 1, b'c'][..], &vec![9; 70_000]].concat();
    let mut copy = Vec::new();
    let mut input = Input::copying(file.as_slice(), None, &mut copy);
    let mut text = String::new();
    input.skip(2, "two").unwrap();
    input.u8("one").unwrap();
    input.text(&mut text, "a").unwrap();
    input.path(&mut text, "b").unwrap();
    assert_eq!(text, "bb");
    input.put(Some("other")).unwrap();
    input.path(&mut text, "c").unwrap();
    input.put(None).unwrap();
    input.skip(69_000, "nines").unwrap();
    input.rest(1000, "the rest").unwrap();
    let expected = [&[1, 2, 3, 0, 1, b'a', 0, 5][..], b"other", &[0, 1, b'c'], &vec![9; 70_000]].concat();
    assert!(copy == expected);
}

#[test]
fn a_text_that_java_can_not_write_is_an_error() {
    let mut input = Input::copying(&[0, 1, b'a'][..], None, Vec::new());
    input.path(&mut String::new(), "a").unwrap();
    // Each takes two bytes.
    let error = input.put(Some(&"\u{fc}".repeat(32_768))).unwrap_err();
    assert!(matches!(error, Error::Io { offset: 3, .. }), "{error}");
}

#[test]
fn texts_may_be_as_long_as_java_allows() {
    let mut file = vec![0xff, 0xff];
    file.resize(65_537, b'x');
    file.extend([0, 1, b'y']);
    let mut input = Input::new(file.as_slice(), None);
    let mut text = String::new();
    input.text(&mut text, "a text").unwrap();
    assert_eq!(text, "x".repeat(65_535));
    input.text(&mut text, "a text").unwrap();
    assert_eq!((text.as_str(), input.offset()), ("y", 65_540));
    input.end().unwrap();
}

#[test]
fn a_text_that_is_none_says_where() {
    let mut input = Input::new(&[0, 2, 0xff, 0xff][..], Some(4));
    let error = input.text(&mut String::new(), "path of a file").unwrap_err();
    assert_eq!(error.reason(), "MalformedText");
    assert_eq!(
        error.to_string(),
        "`_metadata`, byte 2: expected path of a file, found bytes that are not modified UTF-8"
    );
}

#[test]
fn what_is_passed_over_may_be_longer_than_the_buffer() {
    let file = vec![7; 200_000];
    let mut input = Input::new(file.as_slice(), Some(200_000));
    input.skip(199_996, "state").unwrap();
    assert_eq!(input.i32("a number").unwrap(), 0x0707_0707);
    assert!(input.skip(1, "state").is_err());
    let mut input = Input::new(file.as_slice(), None);
    let error = input.skip(u64::MAX, "state").unwrap_err();
    assert!(error.to_string().ends_with("found the end of the file after 200000"), "{error}");
}
