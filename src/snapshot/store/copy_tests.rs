use std::collections::BTreeMap;
use std::sync::Arc;

use futures::TryStreamExt as _;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload};
use rstest::rstest;

use super::super::stub_s3::Stub;
use super::super::testing::{Folder, SECRETS, metadata, s3, s3_settings, s3_stores, settings, stores};
use super::super::{Access, Settings, Snapshot, Store, Stores, load, quietly, verify};
use super::{Copied, CopyError, copy};
use crate::snapshot::bytes::{absolute, events, relative, segment};
use crate::snapshot::golden_tests::{golden, recorded};
use crate::snapshot::path::Directory;
use crate::snapshot::{Error, Event, FileForm, read};

pub const SOURCE: &str = "s3://flink/ck/job/chk-7";
pub const TARGET: &str = "s3a://dr/copies/7";

/// What stands for the directories of files elsewhere.
pub const SHARED: &str = "shared-086d589aa80fcf3e";
const OWNED: &str = "taskowned-";
const MERGED: &str = "tm-";

/// A checkpoint with its own files, shared ones, two of one name, and a file that others are merged into.
pub fn checkpoint() -> Vec<u8> {
    metadata(&[
        relative("own", 3),
        relative("sub/own", 4),
        relative("empty", 0),
        absolute(&format!("{SOURCE}/named"), 5),
        absolute("s3://flink/ck/job/shared/x", 6),
        absolute("s3a://flink/ck/job//shared/x", 6),
        absolute("s3://flink/ck/job/taskowned/x", 7),
        segment("s3://flink/ck/job/taskowned/tm/m", 100, 20, 0),
        segment("s3://flink/ck/job/taskowned/tm/m", 0, 10, 1),
    ])
}

/// Its files: name, size.
const FILES: [(&str, usize); 7] = [
    ("chk-7/own", 3),
    ("chk-7/sub/own", 4),
    ("chk-7/empty", 0),
    ("chk-7/named", 5),
    ("shared/x", 6),
    ("taskowned/x", 7),
    ("taskowned/tm/m", 4096),
];
pub const BYTES: u64 = 3 + 4 + 5 + 6 + 7 + 120;

fn content(name: &str, size: usize) -> Vec<u8> {
    name.bytes().cycle().take(size).collect()
}

pub fn put_checkpoint(stub: &Stub) {
    stub.put("ck/job/chk-7/_metadata", checkpoint());
    for (name, size) in FILES {
        stub.put(&format!("ck/job/{name}"), content(name, size));
    }
}

/// A server with the checkpoint, another one, and the snapshot.
pub async fn servers() -> (Stub, Stub, Snapshot) {
    let source = s3().await;
    put_checkpoint(&source);
    let target = Stub::start("dr", Some(SECRETS[0]), 2).await.unwrap();
    let snapshot = load(&s3_stores(&source), SOURCE, &quietly).await.unwrap();
    (source, target, snapshot)
}

pub fn store(stub: &Stub, url: &str) -> Store {
    Store::open(&s3_settings(stub, url)).unwrap()
}

pub async fn copied(source: &Stub, snapshot: &Snapshot, target: &Stub) -> Result<Copied, CopyError> {
    copy(&s3_stores(source), snapshot, &store(target, "s3://dr"), TARGET, &quietly).await
}

/// Keys of objects that were written, in their order.
pub fn written(stub: &Stub) -> Vec<String> {
    stub.requests().iter().filter_map(|request| request.strip_prefix("PUT ")).map(key_of).collect()
}

fn key_of(target: &str) -> String {
    target.split(" {").next().unwrap_or_default().trim_start_matches("/dr/").to_owned()
}

#[tokio::test]
async fn a_copy_needs_nothing_of_the_original() {
    let (source, target, snapshot) = servers().await;
    let made = copied(&source, &snapshot, &target).await.unwrap();
    let Copied { directory, files, bytes, copied_files, copied_bytes, .. } = made;
    assert_eq!(directory, "s3://dr/copies/7");
    assert_eq!((files, bytes, copied_files, copied_bytes), (7, BYTES, 7, BYTES));
    for key in source.keys() {
        source.remove(&key);
    }
    let copies = Stores::new(vec![store(&target, "s3://dr")]);
    let copy = load(&copies, TARGET, &quietly).await.unwrap();
    let found = verify(&copies, &copy, &quietly).await.unwrap();
    assert!(found.is_whole() && found.files == 7, "{found:?}");
    assert_eq!(copy.facts.files_outside(&Directory::new(TARGET)).count(), 0);
    assert_eq!(copy.metadata_bytes, made.metadata_bytes);
    assert_eq!(copy.facts.operators, snapshot.facts.operators);
}

#[tokio::test]
async fn every_file_has_its_bytes_and_the_metadata_comes_last() {
    let (source, target, snapshot) = servers().await;
    copied(&source, &snapshot, &target).await.unwrap();
    let keys: Vec<String> = target.keys().iter().map(|key| key.replace("copies/7/", "")).collect();
    let place = |begin: &str| keys.iter().find(|key| key.starts_with(begin)).unwrap().clone();
    let places = [
        "own".to_owned(),
        "sub/own".to_owned(),
        "empty".to_owned(),
        "named".to_owned(),
        format!("{SHARED}/x"),
        place(OWNED),
        place(MERGED),
    ];
    for ((name, size), place) in FILES.into_iter().zip(&places) {
        let found = target.content(&format!("copies/7/{place}")).unwrap();
        // Of the merged file as much as is needed.
        assert_eq!(found, content(name, size.min(120)), "{name} at {place}");
    }
    assert_eq!(keys.len(), 8, "{keys:?}");
    let written = written(&target);
    assert_eq!(written.len(), 8, "each once: {written:?}");
    assert_eq!(written.last().unwrap(), "copies/7/_metadata");
    let reads =
        source.requests().iter().filter(|request| request.starts_with("GET ") && request.contains("/m ")).count();
    assert_eq!(reads, 1);
}

#[tokio::test]
async fn paths_are_those_of_the_target_and_all_else_is_the_same() {
    let (source, target, snapshot) = servers().await;
    copied(&source, &snapshot, &target).await.unwrap();
    let before = events(&checkpoint()).unwrap();
    let after = events(&target.content("copies/7/_metadata").unwrap()).unwrap();
    let begin = |text: &str| text.split("path: \"").next().unwrap().to_owned();
    let end = |text: &str| text.split("\", form: ").nth(1).map(str::to_owned);
    assert_eq!(before.len(), after.len());
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((begin(before), end(before)), (begin(after), end(after)));
        if before.contains("form: Absolute") || before.contains("form: Segment") {
            assert!(after.contains(&format!("path: \"{TARGET}/")), "{after}");
        } else {
            assert_eq!(before, after);
        }
    }
}

/// Real ones, of all kinds and layouts: files on this machine, in memory here.
#[tokio::test]
async fn every_recorded_snapshot_can_be_copied() {
    let mut elsewhere = 0;
    for name in golden().keys() {
        let here: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let from = Stores::new(vec![Store::over("file:///", Arc::clone(&here))]);
        let location = "file:///srv/fk/art/ck/chk-3";
        let put = async |place: &str, bytes: Vec<u8>| {
            here.put(&Store::key(place).unwrap(), PutPayload::from(bytes)).await.unwrap();
        };
        put(&format!("{location}/_metadata"), recorded(name)).await;
        let snapshot = load(&from, location, &quietly).await.unwrap();
        let directory = Directory::new(location);
        for (below, file) in snapshot.facts.files_inside(&directory) {
            put(&format!("{location}/{below}"), content(&below, usize::try_from(file.size).unwrap())).await;
        }
        for (place, file) in snapshot.facts.files_outside(&directory) {
            elsewhere += 1;
            put(&place, content(&place, usize::try_from(file.size).unwrap() + usize::from(file.merged))).await;
        }
        let there: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let to = Store::over("s3://dr/", Arc::clone(&there));
        let made = copy(&from, &snapshot, &to, "s3://dr/1", &quietly).await.unwrap();
        assert_eq!(made.files, snapshot.facts.files.len() as u64, "{name}");
        let copies = Stores::new(vec![to]);
        let copy = load(&copies, "s3://dr/1", &quietly).await.unwrap();
        assert!(verify(&copies, &copy, &quietly).await.unwrap().is_whole(), "{name}");
        let bytes = there.get(&"1/_metadata".into()).await.unwrap().bytes().await.unwrap();
        read(&*bytes, None, |event| {
            if let Event::File { path, form: FileForm::Absolute | FileForm::Segment { .. }, .. }
            | Event::Directory { path, .. } = event
            {
                assert!(path.starts_with("s3://dr/1/"), "{name}: {path}");
            }
            Ok::<_, Error>(())
        })
        .unwrap();
        // As many files as before, with the same contents.
        let contents = async |objects: &Arc<dyn ObjectStore>| {
            let mut contents = BTreeMap::<Vec<u8>, usize>::new();
            for file in objects.list(None).try_collect::<Vec<_>>().await.unwrap() {
                if file.location.filename() != Some("_metadata") {
                    let bytes = objects.get(&file.location).await.unwrap().bytes().await.unwrap();
                    *contents.entry(bytes.to_vec()).or_default() += 1;
                }
            }
            contents
        };
        if !snapshot.facts.files.iter().any(|file| file.merged) {
            assert_eq!(contents(&here).await, contents(&there).await, "{name}");
        }
    }
    assert!(elsewhere > 90, "{elsewhere} files lie outside of their directories");
}

#[rstest]
#[case::own("chk-7/own")]
#[case::shared("shared/x")]
#[case::merged("taskowned/tm/m")]
#[tokio::test]
async fn a_snapshot_that_is_not_whole_is_not_copied(#[case] name: &str) {
    let (source, target, snapshot) = servers().await;
    let key = format!("ck/job/{name}");
    source.remove(&key);
    let error = copied(&source, &snapshot, &target).await.unwrap_err();
    assert_eq!((error.reason(), error.is_transient()), ("SourceNotWhole", false));
    assert!(error.to_string().contains("chk-7 is not whole") && error.to_string().contains(name), "{error}");
    source.put(&key, "1");
    assert_eq!(copied(&source, &snapshot, &target).await.unwrap_err().reason(), "SourceNotWhole");
    assert!(target.requests().is_empty(), "{:?}", target.requests());
}

#[tokio::test]
async fn files_that_no_store_serves_are_told() {
    let (source, target, mut snapshot) = servers().await;
    source.put("ck/job/chk-7/_metadata", metadata(&[absolute("s3://elsewhere/shared/x", 1)]));
    snapshot = load(&s3_stores(&source), &snapshot.directory, &quietly).await.unwrap();
    let error = copied(&source, &snapshot, &target).await.unwrap_err();
    assert_eq!(error.reason(), "SourceNotWhole");
    assert!(error.to_string().contains("in no known store (first s3://elsewhere/shared/x"), "{error}");
}

#[tokio::test]
async fn a_copy_that_is_there_is_left_alone() {
    let (source, target, snapshot) = servers().await;
    let first = copied(&source, &snapshot, &target).await.unwrap();
    let writes = written(&target).len();
    let again = copied(&source, &snapshot, &target).await.unwrap();
    assert_eq!(again, Copied { copied_files: 0, copied_bytes: 0, ..first.clone() });
    assert_eq!(written(&target).len(), writes);
    // What somebody has deleted comes back.
    target.remove(&format!("copies/7/{SHARED}/x"));
    let repaired = copied(&source, &snapshot, &target).await.unwrap();
    assert_eq!(repaired, Copied { copied_files: 1, copied_bytes: 6, ..first });
    assert_eq!(written(&target).split_off(writes), [format!("copies/7/{SHARED}/x")]);
}

/// Names that the caller knows are in the facts, and not in the copy's.
#[tokio::test]
async fn names_that_the_caller_has_given_make_no_difference() {
    let (source, target, mut snapshot) = servers().await;
    for operator in &mut snapshot.facts.operators {
        operator.uid = Some("given".to_owned());
        operator.name = Some("given".to_owned());
    }
    for _ in 0..2 {
        copied(&source, &snapshot, &target).await.unwrap();
    }
}

#[rstest]
#[case::another("_metadata", metadata(&[relative("own", 3)]), "another snapshot, with checkpoint id 41")]
#[case::fewer_files("_metadata", metadata(&[]), "another snapshot")]
#[case::broken("_metadata", b"PK and so on".to_vec(), "a _metadata that can't be read")]
#[case::empty("_metadata", Vec::new(), "a _metadata that can't be read")]
#[case::folder("savepoint-1/_metadata", metadata(&[]), "another snapshot below it, savepoint-1/_metadata,")]
#[tokio::test]
async fn what_is_there_is_never_overwritten(#[case] name: &str, #[case] there: Vec<u8>, #[case] says: &str) {
    let (source, target, snapshot) = servers().await;
    target.put(&format!("copies/7/{name}"), there.clone());
    let error = copied(&source, &snapshot, &target).await.unwrap_err();
    assert_eq!((error.reason(), error.is_transient()), ("TargetNotEmpty", false));
    assert!(error.to_string().contains(says), "{error}");
    assert_eq!(target.content(&format!("copies/7/{name}")), Some(there));
    assert!(written(&target).is_empty());
}

#[tokio::test]
async fn a_file_is_no_directory() {
    let (source, target, snapshot) = servers().await;
    target.put("copies/7", checkpoint());
    let error = copied(&source, &snapshot, &target).await.unwrap_err();
    assert_eq!(error.reason(), "TargetNotEmpty");
    target.put("copies/7", "anything");
    assert_eq!(copied(&source, &snapshot, &target).await.unwrap_err().reason(), "TargetNotEmpty");
    assert!(written(&target).is_empty());
}

#[tokio::test]
async fn files_without_a_metadata_are_what_an_earlier_copy_left() {
    let (source, target, snapshot) = servers().await;
    target.put("copies/7/own", content("chk-7/own", 3));
    target.put("copies/7/sub/own", "too long");
    target.put("copies/7/stranger", "stays");
    target.put("copies/70/_metadata", "a neighbour");
    let made = copied(&source, &snapshot, &target).await.unwrap();
    assert_eq!((made.files, made.copied_files), (7, 6));
    assert_eq!(target.content("copies/7/stranger").unwrap(), b"stays");
    assert_eq!(target.content("copies/7/sub/own").unwrap(), content("chk-7/sub/own", 4));
}

#[rstest]
#[case::same(SOURCE)]
#[case::same_by_another_scheme("s3a://flink/ck/job//chk-7/")]
#[case::within("s3://flink/ck/job/chk-7/copy")]
#[case::around("s3://flink/ck")]
#[tokio::test]
async fn source_and_target_do_not_overlap(#[case] target: &str) {
    let (source, _, snapshot) = servers().await;
    let before = source.keys();
    let error =
        copy(&s3_stores(&source), &snapshot, &store(&source, "s3://flink"), target, &quietly).await.unwrap_err();
    assert_eq!((error.reason(), error.is_transient()), ("TargetOverlapsSource", false));
    assert_eq!(source.keys(), before);
}

#[tokio::test]
async fn one_location_on_two_servers_is_two_places() {
    let (source, _, snapshot) = servers().await;
    let target = s3().await;
    let made = copy(&s3_stores(&source), &snapshot, &store(&target, "s3://flink"), SOURCE, &quietly).await.unwrap();
    assert_eq!((made.directory.as_str(), made.files), (SOURCE, 7));
    assert!(target.keys().contains(&"ck/job/chk-7/_metadata".to_owned()));
}

#[tokio::test]
async fn what_can_not_be_written_to_is_told_at_once() {
    let (source, target, snapshot) = servers().await;
    let from = s3_stores(&source);
    let read_only = Settings { access: Access::ReadOnly, ..s3_settings(&target, "s3://dr") };
    let read_only = Store::open(&read_only).unwrap();
    let open = store(&target, "s3://dr/copies");
    for (to, place, reason) in [
        (&read_only, TARGET, "ReadOnlyStore"),
        (&open, "s3://dr/other/7", "NoStoreForLocation"),
        (&open, "s3://dr", "InvalidTarget"),
        (&open, "s3://dr/copies/%2e%2e/x", "InvalidTarget"),
    ] {
        let error = copy(&from, &snapshot, to, place, &quietly).await.unwrap_err();
        assert_eq!((error.reason(), error.is_transient()), (reason, false), "{error}");
    }
    assert!(target.requests().is_empty());
}

#[tokio::test]
async fn a_state_file_never_stands_for_a_metadata() {
    let (source, target, _) = servers().await;
    source.put("ck/job/chk-7/_metadata", metadata(&[relative("sub/_metadata", 3)]));
    source.put("ck/job/chk-7/sub/_metadata", "abc");
    let snapshot = load(&s3_stores(&source), SOURCE, &quietly).await.unwrap();
    let error = copied(&source, &snapshot, &target).await.unwrap_err();
    assert_eq!(error.reason(), "StateFileNamedMetadata");
    assert!(target.requests().is_empty());
}

#[tokio::test]
async fn two_files_that_would_be_one_are_told() {
    let (source, target, _) = servers().await;
    let own = format!("{SHARED}/x");
    source.put("ck/job/chk-7/_metadata", metadata(&[relative(&own, 3), absolute("s3://flink/ck/job/shared/x", 6)]));
    let snapshot = load(&s3_stores(&source), SOURCE, &quietly).await.unwrap();
    let error = copied(&source, &snapshot, &target).await.unwrap_err();
    assert_eq!(error.reason(), "StateFilesOfOneName");
}

/// A copy of a copy has the same files, under the same names.
#[tokio::test]
async fn a_copy_can_be_copied() {
    let (source, target, snapshot) = servers().await;
    copied(&source, &snapshot, &target).await.unwrap();
    let copies = Stores::new(vec![store(&target, "s3://dr")]);
    let first = load(&copies, TARGET, &quietly).await.unwrap();
    let made = copy(&copies, &first, &store(&target, "s3://dr"), "s3://dr/copies/8", &quietly).await.unwrap();
    assert_eq!((made.files, made.bytes), (7, BYTES));
    let below = |directory: &str| -> Vec<String> {
        target.keys().iter().filter_map(|key| key.strip_prefix(directory)).map(str::to_owned).collect()
    };
    assert_eq!(below("copies/7/"), below("copies/8/"));
}

#[tokio::test]
async fn from_a_directory_to_another() {
    let folder = Folder::new();
    let files =
        [relative("a b%20c", 1), relative("sub/ü", 2), absolute(&format!("{}/shared/x", folder.url()), 7_000_000)];
    folder.put("ck/1/_metadata", metadata(&files));
    folder.put("ck/1/a b%20c", "1");
    folder.put("ck/1/sub/ü", "12");
    folder.put("shared/x", vec![7; 7_000_000]);
    let from = stores(&settings(&folder.url()));
    let snapshot = load(&from, &format!("{}/ck/1", folder.url()), &quietly).await.unwrap();
    let to = Store::open(&settings(&folder.url())).unwrap();
    let target = format!("{}/50% of it/new/1", folder.url());
    let made = copy(&from, &snapshot, &to, &target, &quietly).await.unwrap();
    assert_eq!((made.files, made.bytes), (3, 7_000_003));
    std::fs::remove_dir_all(folder.path().join("ck")).unwrap();
    std::fs::remove_dir_all(folder.path().join("shared")).unwrap();
    let copy = load(&from, &target, &quietly).await.unwrap();
    assert!(verify(&from, &copy, &quietly).await.unwrap().is_whole());
    let copied = folder.path().join("50% of it/new/1");
    let mut names: Vec<_> =
        std::fs::read_dir(&copied).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names.len(), 4, "nothing is left over: {names:?}");
    assert_eq!(std::fs::read(copied.join("sub/ü")).unwrap(), b"12");
}

/// As it is while a volume is not mounted.
#[tokio::test]
async fn a_store_that_is_not_there_is_not_made() {
    let (source, _, snapshot) = servers().await;
    let folder = Folder::new();
    let to = Store::open(&settings(&format!("{}/volume", folder.url()))).unwrap();
    let target = format!("{}/volume/copy", folder.url());
    let error = copy(&s3_stores(&source), &snapshot, &to, &target, &quietly).await.unwrap_err();
    assert_eq!(error.reason(), "Io");
    assert!(!folder.path().join("volume").exists());
}

/// The target's directory can't be made.
#[tokio::test]
async fn the_file_systems_refusals_are_told() {
    let (source, _, snapshot) = servers().await;
    let folder = Folder::new();
    folder.put("file", "no directory");
    let to = Store::open(&settings(&folder.url())).unwrap();
    let target = format!("{}/file/copy", folder.url());
    let error = copy(&s3_stores(&source), &snapshot, &to, &target, &quietly).await.unwrap_err();
    assert!(["Io", "NotFound"].contains(&error.reason()), "{error}");
}

#[test]
fn can_be_spawned() {
    fn check(_: impl Send) {}
    fn check_error<T: std::error::Error + Send + Sync + 'static>() {}
    let settings: Settings = settings("file:///srv");
    let (from, to) = (stores(&settings), Store::open(&settings).unwrap());
    check(async move {
        let snapshot = load(&from, "file:///srv/x", &quietly).await.unwrap();
        copy(&from, &snapshot, &to, "file:///srv/y", &quietly).await.unwrap();
    });
    check_error::<CopyError>();
}
