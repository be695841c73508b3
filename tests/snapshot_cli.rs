//! `flink-savepoint-operator snapshot`, as a user runs it: outputs, exit codes, and that it never panics.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result};
use rstest::rstest;
use serde_json::Value;

const WHOLE: &str = "1.20.5/hashmap-savepoint-canonical";

fn fixtures() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/flink/snapshots");
    // As the process sees its working directory.
    folder.canonicalize().unwrap_or(folder)
}

/// The command, in the folder of the recorded snapshots, without anything of the environment that it would read.
fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flink-savepoint-operator"));
    command.arg("snapshot").args(args).current_dir(fixtures()).stdin(Stdio::null());
    for name in ["AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        command.env_remove(name).env_remove(format!("TO_{name}"));
    }
    command
}

fn run(args: &[&str]) -> Result<Output> {
    Ok(command(args).output()?)
}

/// Standard output, where nothing was written to standard error. Folders of this machine are left out.
fn answer(args: &[&str], code: i32) -> Result<String> {
    let output = run(args)?;
    let (out, err) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    assert_eq!((output.status.code(), err.as_str()), (Some(code), ""), "{args:?}: {out}");
    let folder = fixtures().to_string_lossy().into_owned();
    Ok(out.replace(&folder, "/snapshots").replace(env!("CARGO_TARGET_TMPDIR"), "/tmp"))
}

/// The one line on standard error, where there is no answer.
fn complaint(args: &[&str]) -> Result<String> {
    let output = run(args)?;
    let (out, err) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    assert_eq!((output.status.code(), out.as_str()), (Some(2), ""), "{args:?}: {err}");
    assert_eq!(err.lines().count(), 1, "{err}");
    Ok(err.trim_end().strip_prefix("error: ").context("not an error")?.to_owned())
}

/// A new folder with the files of a recorded snapshot.
fn copy(snapshot: &str, name: &str) -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    for file in fs::read_dir(fixtures().join(snapshot))? {
        let file = file?;
        fs::copy(file.path(), folder.join(file.file_name()))?;
    }
    Ok(folder)
}

/// A place where nothing is yet.
fn nothing(name: &str) -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    Ok(folder)
}

/// Without its largest file and the end of another.
fn damaged(name: &str) -> Result<PathBuf> {
    let folder = copy(WHOLE, name)?;
    fs::remove_file(folder.join("4f169539-6ff1-4591-8dc5-9de029e58755"))?;
    fs::write(folder.join("966e7e37-f80c-476a-bd44-7048ca6ad59a"), "too short")?;
    Ok(folder)
}

#[rstest]
#[case::canonical_savepoint("canonical_savepoint", &[WHOLE, "--uid", "counter", "--uid", "buffer"])]
#[case::finished_operators("finished_operators", &["2.3.0/mixed-checkpoint"])]
#[case::no_uids("no_uids", &["2.3.0/nouid-savepoint-canonical"])]
#[case::unknown_kind("unknown_kind", &["handwritten/layout-3"])]
#[case::in_flight("in_flight", &["1.20.5/unaligned-checkpoint/_metadata"])]
#[case::inline("inline", &["2.3.0/inline-hashmap-savepoint"])]
#[case::shared_files("shared_files", &["2.3.0/rocksdb-checkpoint"])]
#[case::json("json", &["2.3.0/mixed-checkpoint", "-o", "json"])]
#[case::yaml("yaml", &["handwritten/layout-2", "--output=yaml"])]
fn inspect_says_what_a_snapshot_is(#[case] name: &str, #[case] args: &[&str]) -> Result<()> {
    let args = [&["inspect"], args].concat();
    insta::assert_snapshot!(format!("inspect_{name}"), answer(&args, 0)?);
    Ok(())
}

#[test]
fn inspect_as_json_is_what_another_reader_found() -> Result<()> {
    let golden: Value = serde_json::from_str(&fs::read_to_string(fixtures().join("golden.json"))?)?;
    for (name, expected) in golden.as_object().context("not an object")? {
        let json: Value = serde_json::from_str(&answer(&["inspect", name, "-o", "json"], 0)?)?;
        assert_eq!(Some(&json), expected.get("facts"), "{name}");
        let yaml: Value = serde_yaml::from_str(&answer(&["inspect", name, "-o", "yaml"], 0)?)?;
        assert_eq!(json, yaml, "{name}");
    }
    Ok(())
}

#[test]
fn a_location_can_be_written_in_many_ways() -> Result<()> {
    let folder = fixtures().join(WHOLE).to_string_lossy().into_owned();
    let expected = answer(&["inspect", WHOLE], 0)?;
    let metadata = format!("{WHOLE}/_metadata");
    let file = format!("file://{folder}");
    let as_flink_writes_it = format!("file:{folder}");
    let around = format!("../snapshots/./{WHOLE}/");
    for url in [&folder, &metadata, &file, &as_flink_writes_it, &around] {
        assert_eq!(answer(&["inspect", url], 0)?, expected, "{url}");
    }
    Ok(())
}

#[test]
fn an_environment_set_for_s3_does_no_harm_to_files() -> Result<()> {
    let mut command = command(&["verify", WHOLE]);
    command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:1").env("AWS_REGION", "eu").env("AWS_ACCESS_KEY_ID", "half");
    let output = command.output()?;
    assert_eq!((output.status.code(), String::from_utf8(output.stderr)?.as_str()), (Some(0), ""));
    Ok(())
}

#[test]
fn metadata_may_have_another_name() -> Result<()> {
    let folder = copy(WHOLE, "other-name")?;
    let file = folder.join("rescued metadata.bin");
    fs::rename(folder.join("_metadata"), &file)?;
    let table = answer(&["inspect", &file.to_string_lossy()], 0)?;
    assert!(table.contains("metadata        rescued metadata.bin, 3.68 KiB\n"), "{table}");
    Ok(())
}

#[test]
fn uids_can_come_from_a_file() -> Result<()> {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("uids.txt");
    fs::write(&file, "counter\r\n\n totals \nnobody\n")?;
    let file = file.to_string_lossy();
    let json: Value = serde_json::from_str(&answer(&["inspect", WHOLE, "--uids", &file, "--uid=sink", "-ojson"], 0)?)?;
    let operators = json.get("operators").and_then(Value::as_array).context("no operators")?;
    let uids: Vec<Option<&str>> = operators.iter().map(|o| o.get("uid").and_then(Value::as_str)).collect();
    assert_eq!(uids, [Some("counter"), Some("totals"), None, Some("sink"), None]);
    let error = complaint(&["inspect", WHOLE, "--uids", "no/such/file"])?;
    assert!(error.starts_with("--uids no/such/file: ") && error.ends_with("one uid a line"), "{error}");
    Ok(())
}

#[test]
fn verify_finds_what_is_whole() -> Result<()> {
    insta::assert_snapshot!("verify_whole", answer(&["verify", WHOLE], 0)?);
    insta::assert_snapshot!("verify_whole_json", answer(&["verify", WHOLE, "-o", "json"], 0)?);
    insta::assert_snapshot!("verify_inline", answer(&["verify", "2.3.0/inline-hashmap-savepoint"], 0)?);
    answer(&["verify", "2.3.0/mixed-checkpoint"], 0)?;
    Ok(())
}

#[test]
fn verify_finds_what_is_not() -> Result<()> {
    let folder = damaged("damaged")?;
    let folder = folder.to_string_lossy();
    insta::assert_snapshot!("verify_damaged", answer(&["verify", &folder], 1)?);
    insta::assert_snapshot!("verify_damaged_json", answer(&["verify", &folder, "-o", "json"], 1)?);
    insta::assert_snapshot!("verify_damaged_yaml", answer(&["verify", &folder, "-o", "yaml"], 1)?);
    // Its files lay on another machine.
    let table = answer(&["verify", "1.20.5/rocksdb-checkpoint"], 1)?;
    assert!(table.contains("and 17 more"), "{table}");
    Ok(())
}

#[rstest]
#[case::upgrade("upgrade", &[WHOLE, "2.3.0/mixed-checkpoint"])]
#[case::downgrade("downgrade", &["2.3.0/mixed-checkpoint", "1.20.5/nouid-savepoint-canonical"])]
#[case::from_in_flight("from_in_flight", &["1.20.5/unaligned-checkpoint", "1.20.5/mixed-savepoint-canonical"])]
#[case::json("json", &[WHOLE, "2.3.0/mixed-checkpoint", "-o", "json"])]
#[case::yaml("yaml", &["2.3.0/mixed-checkpoint", "1.20.5/nouid-savepoint-canonical", "-o", "yaml"])]
fn diff_says_what_changed(#[case] name: &str, #[case] args: &[&str]) -> Result<()> {
    let args = [&["diff"], args].concat();
    insta::assert_snapshot!(format!("diff_{name}"), answer(&args, 1)?);
    Ok(())
}

#[test]
fn diff_finds_the_same_operators() -> Result<()> {
    insta::assert_snapshot!("diff_same", answer(&["diff", WHOLE, "1.20.5/rocksdb-savepoint-native"], 0)?);
    Ok(())
}

#[test]
fn copy_makes_a_snapshot_that_needs_no_other() -> Result<()> {
    let (original, target) = (copy(WHOLE, "copied-original")?, nothing("copied")?);
    let (from, to) = (original.to_string_lossy(), target.to_string_lossy());
    insta::assert_snapshot!("copy_new", answer(&["copy", &from, &to], 0)?);
    insta::assert_snapshot!("copy_again_json", answer(&["copy", &from, &to, "-o", "json"], 0)?);
    fs::remove_file(target.join("4f169539-6ff1-4591-8dc5-9de029e58755"))?;
    insta::assert_snapshot!("copy_repaired", answer(&["copy", &from, &to, "--no-progress"], 0)?);
    fs::remove_dir_all(&original)?;
    let table = answer(&["verify", &to], 0)?;
    assert!(table.starts_with("WHOLE: CANONICAL savepoint 12 at file:///tmp/copied\n"), "{table}");
    let before: Value = serde_json::from_str(&answer(&["inspect", WHOLE, "-o", "json"], 0)?)?;
    let after: Value = serde_json::from_str(&answer(&["inspect", &to, "-o", "json"], 0)?)?;
    assert_eq!(before, after);
    Ok(())
}

#[test]
fn copy_takes_any_kind() -> Result<()> {
    let target = nothing("copied-inline")?;
    let to = target.to_string_lossy();
    insta::assert_snapshot!("copy_inline", answer(&["copy", "2.3.0/inline-hashmap-savepoint", &to], 0)?);
    let target = nothing("copied-mixed/some where/else")?;
    let to = format!("file://{}/", target.display());
    insta::assert_snapshot!("copy_yaml", answer(&["copy", "2.3.0/mixed-checkpoint/_metadata", &to, "-o", "yaml"], 0)?);
    answer(&["verify", &to], 0)?;
    Ok(())
}

#[test]
fn what_can_not_be_copied_has_no_answer() -> Result<()> {
    let target = nothing("not-copied")?;
    let to = target.to_string_lossy();
    let damaged = damaged("not-copied-damaged")?;
    let damaged = damaged.to_string_lossy();
    let within = format!("{damaged}/copy");
    for (from, to, says) in [
        (&*damaged, &*to, "is not whole, so it is not copied: of 8 files 1 missing (first file:///"),
        // Its files lay on another machine.
        ("2.3.0/rocksdb-checkpoint", &*to, "is not whole"),
        ("1.20.5", &*to, "; of a folder of snapshots name one"),
        (&*damaged, &*within, "name a target beside it"),
        (WHOLE, "2.3.0/mixed-checkpoint", "holds another snapshot, with checkpoint id "),
        (WHOLE, "2.3.0", "another snapshot below it, "),
        (WHOLE, "/", "a directory of its own"),
        (WHOLE, "hdfs://name/a", "s3://"),
    ] {
        let error = complaint(&["copy", from, to])?;
        assert!(error.contains(says), "{error}");
        assert!(!target.exists(), "{error}");
    }
    Ok(())
}

#[test]
fn the_target_may_have_keys_of_its_own() -> Result<()> {
    let run = |name: &str| -> Result<String> {
        let mut command = command(&["copy", WHOLE, "s3://bucket/a", "--to-endpoint", "http://127.0.0.1:1"]);
        let output = command.env(name, "not-to-be-shown").output()?;
        assert_eq!(output.status.code(), Some(2));
        Ok(String::from_utf8(output.stderr)?)
    };
    let error = run("TO_AWS_ACCESS_KEY_ID")?;
    assert!(error.starts_with("error: TO_AWS_SECRET_ACCESS_KEY is not set, but TO_AWS_ACCESS_KEY_ID is"), "{error}");
    let error = run("AWS_ACCESS_KEY_ID")?;
    assert!(error.starts_with("error: AWS_SECRET_ACCESS_KEY is not set, but AWS_ACCESS_KEY_ID is"), "{error}");
    assert!(!error.contains("not-to-be-shown"), "{error}");
    let error = run("UNUSED")?;
    assert!(error.starts_with("error: http://127.0.0.1:1 can't be reached: "), "{error}");
    assert!(error.ends_with("; the same command goes on where this one ended\n"), "{error}");
    Ok(())
}

/// A folder of snapshots of which one may be deleted.
fn to_delete(snapshot: &str, name: &str) -> Result<(PathBuf, String)> {
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if parent.exists() {
        fs::remove_dir_all(&parent)?;
    }
    let beside = copy(WHOLE, &format!("{name}/savepoint-12"))?;
    let folder = copy(snapshot, &format!("{name}/savepoint-1"))?;
    anyhow::ensure!(beside.join("_metadata").exists() && folder.join("_metadata").exists());
    let place = folder.to_string_lossy().into_owned();
    Ok((folder, place))
}

/// How many files a folder and those in it have.
fn count(folder: &Path) -> Result<usize> {
    fs::read_dir(folder)?.try_fold(0, |sum, entry| {
        let path = entry?.path();
        Ok(sum + if path.is_dir() { count(&path)? } else { 1 })
    })
}

#[test]
fn dispose_deletes_what_it_is_told_to() -> Result<()> {
    let (folder, place) = to_delete(WHOLE, "dispose-whole")?;
    let (parent, files) = (folder.parent().context("no parent")?, count(&folder)?);
    insta::assert_snapshot!("dispose_asked", answer(&["dispose", &place], 0)?);
    insta::assert_snapshot!("dispose_asked_json", answer(&["dispose", &place, "--unfinished", "-o", "json"], 0)?);
    assert_eq!(count(parent)?, 2 * files, "nothing is deleted without --yes");
    insta::assert_snapshot!("dispose_done", answer(&["dispose", &place, "--yes"], 0)?);
    assert!(!folder.exists());
    assert_eq!(count(parent)?, files, "the one beside it stays");
    assert!(complaint(&["dispose", &place, "--yes"])?.contains("does not exist"));
    Ok(())
}

#[test]
fn dispose_says_what_stays_elsewhere() -> Result<()> {
    let (folder, place) = to_delete("2.3.0/rocksdb-checkpoint", "dispose-shared")?;
    insta::assert_snapshot!("dispose_shared", answer(&["dispose", &format!("{place}/_metadata"), "--yes"], 0)?);
    assert!(!folder.exists());
    Ok(())
}

#[test]
fn dispose_asks_twice_about_files_without_metadata() -> Result<()> {
    let (folder, place) = to_delete(WHOLE, "dispose-half")?;
    fs::remove_file(folder.join("_metadata"))?;
    let files = count(&folder)?;
    insta::assert_snapshot!("dispose_half_asked", answer(&["dispose", &place], 0)?);
    let error = complaint(&["dispose", &place, "--yes"])?;
    assert!(
        error.contains(&format!("holds files and no _metadata ({files} of them)")) && error.contains("--unfinished"),
        "{error}"
    );
    assert_eq!(count(&folder)?, files);
    insta::assert_snapshot!(
        "dispose_half_done_yaml",
        answer(&["dispose", &place, "--yes", "--unfinished", "-oyaml"], 0)?
    );
    assert!(!folder.exists());
    Ok(())
}

#[test]
fn dispose_leaves_what_is_no_snapshot() -> Result<()> {
    let (folder, place) = to_delete(WHOLE, "dispose-folder")?;
    let parent = folder.parent().context("no parent")?;
    let files = count(parent)?;
    let renamed = parent.join("rescued metadata.bin");
    fs::copy(folder.join("_metadata"), &renamed)?;
    for (url, says) in [(parent, " lies in it"), (renamed.as_path(), "is not named _metadata")] {
        let error = complaint(&["dispose", &url.to_string_lossy()])?;
        assert!(error.contains(says), "{error}");
        let error = complaint(&["dispose", &url.to_string_lossy(), "--yes", "--unfinished"])?;
        assert!(error.contains(says), "{error}");
    }
    // One with another in it, as a job's directory is that was named for a checkpoint.
    fs::rename(parent.join("savepoint-12"), folder.join("deeper"))?;
    let error = complaint(&["dispose", &place, "--yes"])?;
    assert!(error.contains("another one lies in it, "), "{error}");
    assert_eq!(count(parent)?, files + 1);
    Ok(())
}

#[rstest]
#[case::empty(b"", "expected Flink's magic number, found an empty file")]
#[case::something_else(b"PK\x03\x04 and so on", "found 0x504b0304")]
#[case::too_new(b"\x49\x60\x67\x2d\x00\x00\x00\x63", "expected a layout from 2 to 7, found 99")]
#[case::cut_short(b"\x49\x60\x67\x2d\x00\x00\x00\x04", "found the end of the file")]
fn what_is_no_metadata_has_no_answer(#[case] bytes: &[u8], #[case] expected: &str) -> Result<()> {
    let name = format!("broken-{}", expected.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&file, bytes)?;
    let file = file.to_string_lossy();
    for args in [&["inspect", &*file][..], &["verify", &*file], &["diff", WHOLE, &*file], &["diff", &*file, WHOLE]] {
        let error = complaint(args)?;
        assert!(error.contains(expected) && error.contains(&*file), "{error}");
    }
    Ok(())
}

#[test]
fn what_is_not_there_has_no_answer() -> Result<()> {
    // A directory without `_metadata`, nothing at all, and no store.
    for (url, word) in [
        ("1.20.5", "; of a folder of snapshots name one"),
        ("no/such/place", "no/such/place"),
        ("hdfs://name/a", "s3://"),
    ] {
        for args in [&["inspect", url][..], &["verify", url], &["diff", url, WHOLE], &["diff", WHOLE, url]] {
            let error = complaint(args)?;
            assert!(error.contains(word), "{error}");
        }
    }
    Ok(())
}

#[test]
fn half_of_the_keys_is_named() -> Result<()> {
    let output = command(&["inspect", "s3://bucket/a"]).env("AWS_ACCESS_KEY_ID", "not-to-be-shown").output()?;
    let error = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(2));
    assert!(error.starts_with("error: AWS_SECRET_ACCESS_KEY is not set, but AWS_ACCESS_KEY_ID is"), "{error}");
    assert!(!error.contains("not-to-be-shown"), "{error}");
    Ok(())
}

#[test]
fn bad_usage_is_told() -> Result<()> {
    for args in [
        &[][..],
        &["inspect"],
        &["diff", WHOLE],
        &["copy", WHOLE],
        &["inspect", WHOLE, "-o", "xml"],
        &["inspect", WHOLE, "--key=a"],
    ] {
        let output = run(args)?;
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{args:?}");
    }
    Ok(())
}

/// A pipe that nobody reads from any more.
fn closed() -> io::Result<Stdio> {
    let (reader, writer) = io::pipe()?;
    drop(reader);
    Ok(writer.into())
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() -> Result<()> {
    for format in ["table", "json", "yaml"] {
        let output = command(&["inspect", "2.3.0/changelog-checkpoint", "-o", format])
            .stdout(closed()?)
            .stderr(Stdio::piped())
            .spawn()?
            .wait_with_output()?;
        assert_eq!((output.status.code(), String::from_utf8(output.stderr)?.as_str()), (Some(0), ""), "{format}");
    }
    let code = |args: &[&str]| -> Result<Option<i32>> {
        Ok(command(args).stdout(closed()?).stderr(closed()?).spawn()?.wait()?.code())
    };
    assert_eq!(code(&["diff", WHOLE, "2.3.0/mixed-checkpoint"])?, Some(1), "the code is that of the answer");
    assert_eq!(code(&["inspect", "no/such/place"])?, Some(2), "the complaint can't be written either");
    Ok(())
}
