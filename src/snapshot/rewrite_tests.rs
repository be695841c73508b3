//! A copy is byte by byte the same but for the paths, whatever the file; what is no file has no copy.

use std::io::{self, Read, Write};

use rstest::rstest;

use super::super::bytes::{Subtask, absolute, events, key_groups, one};
use super::super::golden_tests::{golden, recorded};
use super::super::mutation_tests::dense;
use super::super::{Error, Event, FileForm, read};
use super::{RewriteError, rewrite};

/// The recorded ones, and each layout with each handle.
fn samples() -> Vec<(String, Vec<u8>)> {
    let mut samples: Vec<_> = golden().keys().map(|name| (name.clone(), recorded(name))).collect();
    samples.extend((2..=7).map(|version| (format!("every handle, layout {version}"), dense(version))));
    samples
}

/// A copy in which absolute paths are what `path` makes of them.
fn copy_of(file: &[u8], path: impl Fn(&str) -> Option<String>) -> Result<Vec<u8>, RewriteError> {
    let mut copy = Vec::new();
    rewrite(file, Some(file.len() as u64), &mut copy, |event| {
        Ok::<_, RewriteError>(absolute_path(event).and_then(&path))
    })?;
    Ok(copy)
}

fn absolute_path(event: Event<'_>) -> Option<&str> {
    match event {
        Event::File { form: FileForm::Absolute | FileForm::Segment { .. }, path, .. }
        | Event::Directory { path, .. } => Some(path),
        _ => None,
    }
}

/// All that a file says, with other paths.
fn events_with(file: &[u8], path: impl Fn(&str) -> String) -> Vec<String> {
    let mut events = Vec::new();
    read(file, None, |event| {
        let renamed = absolute_path(event).map(&path);
        let event = match (event, &renamed) {
            (Event::File { part, form, size, .. }, Some(path)) => Event::File { part, path, form, size },
            (Event::Directory { part, .. }, Some(path)) => Event::Directory { part, path },
            (other, _) => other,
        };
        events.push(format!("{event:?}"));
        Ok::<_, Error>(())
    })
    .unwrap();
    events
}

#[test]
fn a_copy_without_changes_is_the_same() {
    for (name, file) in samples() {
        assert!(copy_of(&file, |_| None).unwrap() == file, "{name}");
        assert!(copy_of(&file, |path| Some(path.to_owned())).unwrap() == file, "{name}: each path by itself");
    }
}

#[test]
fn only_the_paths_are_others() {
    // Longer, shorter, beyond ASCII and beyond the first 65,536 characters.
    for begin in ["s3a://a-much-longer-bucket/below/many/directories/", "x:", "file:/ünïcødé/\u{1f600}/"] {
        let there = |path: &str| format!("{begin}{path}");
        for (name, file) in samples() {
            let copy = copy_of(&file, |path| Some(there(path))).unwrap();
            assert_eq!(events(&copy).unwrap(), events_with(&file, there), "{name}");
            // What no event tells is the same, too.
            let back = copy_of(&copy, |path| Some(path.strip_prefix(begin).unwrap().to_owned())).unwrap();
            assert!(back == file, "{name}");
        }
    }
}

#[test]
fn every_kind_of_absolute_path_can_be_replaced() {
    for version in 2..=7 {
        let mut told = Vec::new();
        read(dense(version).as_slice(), None, |event| {
            told.extend(absolute_path(event).map(str::to_owned));
            Ok::<_, Error>(())
        })
        .unwrap();
        let expected = ["file:/t", "file:/s", "s3://b/m", "s3://b/shared/1", "s3://b/m"];
        assert_eq!(told, expected, "{version}: directories, a segment, a file, a segment");
        let copy = copy_of(&dense(version), |_| Some("gone".to_owned())).unwrap();
        let text = String::from_utf8_lossy(&copy).into_owned();
        for path in expected {
            assert!(!text.contains(path), "{version}: {path} is left");
        }
    }
}

#[test]
fn relative_paths_stay() {
    let file = dense(6);
    let mut copy = Vec::new();
    let answer = |_: Event<'_>| Ok::<_, RewriteError>(Some("elsewhere".to_owned()));
    rewrite(file.as_slice(), None, &mut copy, answer).unwrap();
    let text = events(&copy).unwrap().concat();
    for path in ["o1", "p1", "c1"] {
        assert!(text.contains(&format!("path: {path:?}, form: Relative")), "{path}: {text}");
    }
}

#[test]
fn what_is_no_metadata_has_no_copy() {
    for (name, file) in samples() {
        for end in (0..file.len()).step_by(1 + file.len() / 2048) {
            let part = &file[..end];
            assert!(copy_of(part, |_| None).is_err(), "{name} cut at {end}");
            let unknown = rewrite(part, None, io::sink(), |_| Ok::<_, RewriteError>(None));
            assert!(unknown.is_err(), "{name} cut at {end}");
        }
        let longer = [&file[..], &[0]].concat();
        assert!(copy_of(&longer, |_| None).is_err(), "{name}");
    }
}

/// A changed byte is refused as it is by reading, or copied as it stands.
#[test]
fn nothing_is_repaired() {
    for version in 2..=7 {
        let whole = dense(version);
        for at in 0..whole.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut file = whole.clone();
                file[at] ^= change;
                match (copy_of(&file, |_| None), events(&file)) {
                    (Ok(copy), Ok(_)) => assert!(copy == file, "layout {version}, byte {at} ^ {change}"),
                    (Err(copying), Err(reading)) => assert_eq!(copying.reason(), reading.reason()),
                    (copied, _) => panic!("layout {version}, byte {at} ^ {change}: copied: {}", copied.is_ok()),
                }
            }
        }
    }
}

/// Takes so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[rstest]
#[case::at_once(0)]
#[case::at_the_end(3000)]
fn a_copy_that_can_not_be_written_is_an_error(#[case] room: usize) {
    let file = recorded("1.20.5/rocksdb-checkpoint");
    let error = rewrite(file.as_slice(), None, Full(room), |_| Ok::<_, RewriteError>(None)).unwrap_err();
    assert_eq!((error.reason(), error.is_transient()), ("MetadataUnwritable", true));
    assert!(error.to_string().contains("copy of `_metadata` can't be written: "), "{error}");
}

#[test]
fn the_end_of_a_long_file_is_written_before_it_is_good() {
    // More than the buffer, so that the copy is written in the middle as well.
    let many: Vec<_> = (0..3000).map(|n| key_groups(3, &absolute(&format!("s3://b/{n:040}"), 1))).collect();
    let files = super::super::bytes::incremental(11, &[0], &many, &[]);
    let file = one(6, Subtask { managed_keyed: files, ..Subtask::default() });
    assert!(copy_of(&file, |_| None).unwrap() == file);
    for room in [0, 70_000, file.len() - 1] {
        let error = rewrite(file.as_slice(), None, Full(room), |_| Ok::<_, RewriteError>(None)).unwrap_err();
        assert_eq!(error.reason(), "MetadataUnwritable");
    }
    rewrite(file.as_slice(), None, Full(file.len()), |_| Ok::<_, RewriteError>(None)).unwrap();
}

#[test]
fn the_caller_can_end_it() {
    let file = dense(6);
    let mut told = 0;
    let result = rewrite(file.as_slice().take(u64::MAX), None, io::sink(), |_| {
        told += 1;
        if told == 3 { Err(RewriteError::Metadata(Error::Empty)) } else { Ok(None) }
    });
    assert!(matches!(result, Err(RewriteError::Metadata(Error::Empty))));
    assert_eq!(told, 3);
}

#[test]
fn a_path_that_is_too_long_is_an_error() {
    let file = dense(6);
    let error = copy_of(&file, |_| Some("x".repeat(70_000))).unwrap_err();
    assert_eq!((error.reason(), error.is_transient()), ("PathTooLong", false));
    assert!(error.to_string().contains("takes 70000 bytes"), "{error}");
}

/// What counts is the length as it is written.
#[test]
fn a_path_may_be_as_long_as_java_allows() {
    let file = dense(6);
    for (longest, c) in [(65_535, "x"), (32_767, "ü"), (32_767, "\0"), (10_922, "\u{1f600}")] {
        copy_of(&file, |_| Some(c.repeat(longest))).unwrap();
        let error = copy_of(&file, |_| Some(c.repeat(longest + 1))).unwrap_err();
        assert_eq!(error.reason(), "PathTooLong", "{c:?}");
    }
}
