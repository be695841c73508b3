use std::sync::Arc;

use object_store::memory::InMemory;
use rstest::rstest;

use super::super::stub_s3::{Fault, Stub};
use super::super::testing::{Folder, SECRETS, impatient, s3, s3_settings, settings};
use super::super::{Access, Patience, Settings};
use super::*;

/// Beside the snapshot: one whose name begins as its own does, files of its parent, and what all checkpoints share.
const OTHERS: [&str; 4] = ["sp/savepoint-12/_metadata", "sp/savepoint-12/0a", "sp/savepoint-1.txt", "shared/0s"];
const OWN: [&str; 5] = ["0a", "0b", "0c", "0d", "_metadata"];

/// A store of each kind.
enum World {
    Memory(Arc<InMemory>),
    S3(Stub),
    Files(Folder),
}

impl World {
    async fn new(kind: &str) -> Self {
        match kind {
            "memory" => Self::Memory(Arc::default()),
            "s3" => Self::S3(s3().await),
            _ => Self::Files(Folder::new()),
        }
    }

    /// With a snapshot at `sp/savepoint-1` of these files, two bytes each, and the others.
    async fn with(kind: &str, own: &[&str]) -> Self {
        let world = Self::new(kind).await;
        for file in own {
            world.put(&format!("sp/savepoint-1/{file}")).await;
        }
        for file in OTHERS {
            world.put(file).await;
        }
        world
    }

    fn url(&self) -> String {
        if let Self::Files(folder) = self { folder.url() } else { "s3://flink".to_owned() }
    }

    fn place(&self) -> String {
        format!("{}/sp/savepoint-1", self.url())
    }

    fn store(&self) -> Store {
        match self {
            Self::Memory(objects) => Store::over("s3://flink", objects.clone()),
            Self::S3(stub) => Store::open(&s3_settings(stub, "s3://flink")).unwrap(),
            Self::Files(folder) => Store::open(&settings(&folder.url())).unwrap(),
        }
    }

    async fn put(&self, key: &str) {
        match self {
            Self::Memory(objects) => drop(objects.put(&key.into(), "xy".into()).await.unwrap()),
            Self::S3(stub) => stub.put(key, "xy"),
            Self::Files(folder) => folder.put(key, "xy"),
        }
    }

    /// All files, those of the snapshot by their paths below it.
    async fn files(&self) -> (Vec<String>, Vec<String>) {
        let keys: Vec<String> = match self {
            Self::S3(stub) => stub.keys(),
            Self::Memory(objects) => {
                objects.list(None).map_ok(|file| file.location.to_string()).try_collect().await.unwrap()
            }
            Self::Files(folder) => {
                let root = Store::key(&folder.url()).unwrap().to_string() + "/";
                let listed = object_store::local::LocalFileSystem::new();
                let keys = listed.list(Some(&Store::key(&folder.url()).unwrap()));
                let keys = keys.map_ok(|file| file.location.as_ref().replace(&root, ""));
                keys.try_collect().await.unwrap()
            }
        };
        let below = |key: &String| key.strip_prefix("sp/savepoint-1/").map(str::to_owned);
        let mut own: Vec<_> = keys.iter().filter_map(below).collect();
        let mut others: Vec<_> = keys.iter().filter(|key| below(key).is_none()).cloned().collect();
        own.sort();
        others.sort();
        (own, others)
    }

    /// Nothing but the snapshot was touched.
    async fn own(&self) -> Vec<String> {
        let (own, others) = self.files().await;
        let mut expected = OTHERS;
        expected.sort_unstable();
        assert_eq!(others, expected);
        own
    }
}

fn unfinished(files: u64) -> Contents {
    Contents::Unfinished(Amount { files, bytes: 2 * files })
}

#[rstest]
#[tokio::test]
async fn what_lies_in_a_directory(#[values("memory", "s3", "files")] kind: &str) {
    let contents = async |own: &[&str]| {
        let world = World::with(kind, own).await;
        world.store().contents(&world.place()).await.unwrap()
    };
    assert_eq!(contents(&[]).await, Contents::Nothing);
    assert_eq!(contents(&OWN).await, Contents::Snapshot(Amount { files: 5, bytes: 10 }));
    assert_eq!(contents(&["0a", "_metadata.inprogress.1"]).await, unfinished(2));
    assert_eq!(contents(&["deep/0a", "0b"]).await, unfinished(2));
}

#[rstest]
#[tokio::test]
async fn all_of_it_goes_and_nothing_else(#[values("memory", "s3", "files")] kind: &str) {
    let world = World::with(kind, &[&OWN[..], &["deep/down/0e"]].concat()).await;
    let place = match kind {
        "files" => format!("{}/", world.place().replace("file://", "file:")),
        _ => world.place().replace("s3:", "s3a:") + "/_metadata",
    };
    assert_eq!(world.store().dispose(&place, 100).await.unwrap(), Contents::Nothing);
    assert_eq!(world.own().await, Vec::<String>::new());
    assert_eq!(world.store().dispose(&place, 100).await.unwrap(), Contents::Nothing, "it is gone already");
    world.own().await;
    if let World::Files(folder) = &world {
        assert!(!folder.path().join("sp/savepoint-1").exists());
        assert!(folder.path().join("sp").exists());
    }
}

#[rstest]
#[tokio::test]
async fn no_more_at_a_time_than_asked_for(#[values("memory", "s3", "files")] kind: &str) {
    let world = World::with(kind, &OWN).await;
    let (store, place) = (world.store(), world.place());
    assert_eq!(store.dispose(&place, 0).await.unwrap(), unfinished(4), "the _metadata goes first, and alone");
    assert_eq!(world.own().await, OWN[..4]);
    assert_eq!(store.dispose(&place, 3).await.unwrap(), unfinished(1));
    assert_eq!(store.dispose(&place, 1).await.unwrap(), Contents::Nothing);
    assert_eq!(world.own().await, Vec::<String>::new());
}

/// Of a checkpoint only its own files go, whoever shares others with it.
#[tokio::test]
async fn a_checkpoint_leaves_what_is_shared() {
    let world = World::new("s3").await;
    for file in ["chk-7/_metadata", "chk-7/0a", "chk-70/_metadata", "shared/0b", "taskowned/0c"] {
        world.put(&format!("ck/job/{file}")).await;
    }
    assert_eq!(world.store().dispose("s3://flink/ck/job/chk-7", 9).await.unwrap(), Contents::Nothing);
    assert_eq!(world.files().await.1, ["ck/job/chk-70/_metadata", "ck/job/shared/0b", "ck/job/taskowned/0c"]);
}

#[rstest]
#[case::the_store_itself("", "does not lie below its store's url")]
#[case::above_it("/..", "does not lie below its store's url")]
#[case::beside_it("-2/savepoint-1", "does not lie below its store's url")]
#[case::a_folder_of_savepoints("/sp", " lies in it")]
#[case::a_folder_of_jobs("/ck", " lies in it")]
#[case::a_folder_of_unfinished_ones("/new", "a directory savepoint-3 lies in it")]
#[case::a_job("/ck/job", "a directory chk-8 lies in it")]
#[case::a_job_whose_checkpoints_are_anothers("/ck/old", "a directory shared lies in it")]
#[tokio::test]
async fn what_is_no_snapshot_stays(
    #[values("memory", "s3", "files")] kind: &str,
    #[case] place: &str,
    #[case] why: &str,
) {
    let world = World::with(kind, &OWN).await;
    for file in ["new/1/savepoint-3/0a", "ck/job/chk-8/0a", "ck/old/shared/0a", "ck/a/_metadata"] {
        world.put(file).await;
    }
    let before = world.files().await;
    let place = format!("{}{place}", world.url());
    for error in
        [world.store().contents(&place).await.unwrap_err(), world.store().dispose(&place, 9).await.unwrap_err()]
    {
        assert_eq!((error.reason(), error.is_transient()), ("NotASnapshot", false));
        assert!(error.to_string().contains(why), "{error}");
    }
    assert_eq!(world.files().await, before);
}

#[tokio::test]
async fn nothing_goes_where_nothing_may() {
    let stub = s3().await;
    stub.put("sp/savepoint-1/_metadata", "x");
    let store = Store::open(&Settings { access: Access::ReadOnly, ..s3_settings(&stub, "s3://flink/sp") }).unwrap();
    let error = store.dispose("s3://flink/sp/savepoint-1", 9).await.unwrap_err();
    assert_eq!((error.reason(), error.is_transient()), ("StoreReadOnly", false));
    assert!(error.to_string().contains("s3://flink/sp/savepoint-1") && error.to_string().contains("readOnly"));
    assert!(stub.requests().is_empty());
    let amount = Amount { files: 1, bytes: 1 };
    assert_eq!(store.contents("s3://flink/sp/savepoint-1").await.unwrap(), Contents::Snapshot(amount));
}

/// The method of each request, and whether it is about the `_metadata`.
fn told(stub: &Stub, from: usize) -> Vec<String> {
    let requests = stub.requests();
    let short = |request: &String| {
        let method = request.split(' ').next().unwrap_or_default();
        if request.contains("_metadata") { format!("{method} _metadata") } else { method.to_owned() }
    };
    requests.iter().skip(from).map(short).collect()
}

#[rstest]
#[case::whole(true)]
#[case::being_written(false)]
#[tokio::test]
async fn many_go_by_few_requests(#[case] whole: bool) {
    let stub = Stub::start("flink", Some(SECRETS[0]), 1000).await.unwrap();
    for n in 0..2100 {
        stub.put(&format!("sp/savepoint-1/{n:04}"), "x");
    }
    if whole {
        stub.put("sp/savepoint-1/_metadata", "x");
    }
    let store = Store::open(&s3_settings(&stub, "s3://flink/sp")).unwrap();
    assert_eq!(store.dispose("s3://flink/sp/savepoint-1", 3000).await.unwrap(), Contents::Nothing);
    assert!(stub.keys().is_empty());
    let expected =
        ["GET", "GET", "GET", "DELETE _metadata", "HEAD _metadata", "POST", "POST", "POST", "GET"].map(str::to_owned);
    assert_eq!(told(&stub, 0), expected, "it may have become whole since it was listed");
}

/// Whatever request fails or is lost: the snapshot is whole or has no `_metadata`, and the next call goes on.
#[rstest]
#[case::refused(Fault::Status(403, "AccessDenied"))]
#[case::carried_out_and_not_answered(Fault::Close)]
#[tokio::test]
async fn a_fault_at_every_request(#[case] fault: Fault) {
    let mut whole = 0;
    for n in 0.. {
        let world = World::with("s3", &OWN).await;
        let World::S3(stub) = &world else { panic!("it is S3") };
        let patience = Patience { retries: 0, ..Patience::default() };
        let store = Store::open(&Settings { patience, ..s3_settings(stub, "s3://flink") }).unwrap();
        stub.fail_nth(n, fault);
        let disposed = store.dispose(&world.place(), 2).await;
        let own = world.own().await;
        if n >= stub.requests().len() {
            assert_eq!((disposed.unwrap(), own.len()), (unfinished(2), 2));
            assert!(n > 6, "{:?}", stub.requests());
            break;
        }
        let error = disposed.unwrap_err();
        assert!(["AccessDenied", "ConnectionCut"].contains(&error.reason()), "{error}");
        assert!(!own.contains(&"_metadata".to_owned()) || own == OWN, "{own:?} are left after {error}");
        whole += usize::from(own == OWN);
        stub.recover();
        while store.dispose(&world.place(), 2).await.unwrap() != Contents::Nothing {}
        assert_eq!(world.own().await, Vec::<String>::new());
    }
    assert!(whole > 2, "the listing and the _metadata come first");
}

/// Many files take a server longer than one; and not for ever.
#[tokio::test]
async fn a_server_that_is_silent() {
    let world = World::with("s3", &OWN).await;
    let World::S3(stub) = &world else { panic!("it is S3") };
    let store = Store::open(&Settings { patience: impatient(), ..s3_settings(stub, "s3://flink") }).unwrap();
    stub.fail("POST", "delete", 1, Fault::Stall(0));
    let error = store.dispose(&world.place(), 9).await.unwrap_err();
    assert_eq!((error.reason(), error.is_transient()), ("TimedOut", true));
    assert!(error.to_string().starts_with("s3://flink/sp/savepoint-1: no answer within 1.2s"), "{error}");
}

#[tokio::test]
async fn without_the_metadata_nothing_else_goes() {
    let world = World::with("s3", &OWN).await;
    let World::S3(stub) = &world else { panic!("it is S3") };
    stub.keep("sp/savepoint-1/_metadata");
    let error = world.store().dispose(&world.place(), 9).await.unwrap_err();
    assert_eq!(error.reason(), "AccessDenied");
    assert!(error.to_string().contains("s3://flink/sp/savepoint-1/_metadata"), "{error}");
    assert_eq!(world.own().await, OWN);
    stub.release();
    // It says so, and does nothing.
    stub.fail("DELETE", "_metadata", 1, Fault::Says(""));
    let error = world.store().dispose(&world.place(), 9).await.unwrap_err();
    assert!(error.to_string().contains("has it still"), "{error}");
    assert_eq!(world.own().await, OWN);
}

#[tokio::test]
async fn one_that_stays_is_named_and_keeps_no_other() {
    let world = World::with("s3", &["_metadata", "0a", "0b <&>", "0c"]).await;
    let World::S3(stub) = &world else { panic!("it is S3") };
    stub.keep("sp/savepoint-1/0b <&>");
    let error = world.store().dispose(&world.place(), 9).await.unwrap_err();
    assert_eq!((error.reason(), error.is_transient()), ("AccessDenied", false), "{error}");
    let told = format!("{error} {error:?}");
    assert!(told.contains("s3://flink/sp/savepoint-1/0b <&>"), "{told}");
    assert!(!SECRETS.iter().any(|secret| told.contains(secret)), "{told}");
    assert_eq!(world.own().await, ["0b <&>"]);
    assert_eq!(world.store().dispose(&world.place(), 9).await.unwrap_err().reason(), "AccessDenied");
    stub.release();
    assert_eq!(world.store().dispose(&world.place(), 9).await.unwrap(), Contents::Nothing);
}

#[tokio::test]
async fn one_that_stays_keeps_none_of_the_next_request() {
    let stub = Stub::start("flink", Some(SECRETS[0]), 1000).await.unwrap();
    for n in 0..1500 {
        stub.put(&format!("sp/savepoint-1/{n:04}"), "x");
    }
    stub.keep("sp/savepoint-1/0003");
    stub.keep("sp/savepoint-1/1003");
    let store = Store::open(&s3_settings(&stub, "s3://flink/sp")).unwrap();
    let error = store.dispose("s3://flink/sp/savepoint-1", 3000).await.unwrap_err();
    assert!(error.to_string().starts_with("s3://flink/sp/savepoint-1/0003: "), "{error}");
    assert_eq!(stub.keys(), ["sp/savepoint-1/0003", "sp/savepoint-1/1003"]);
}

/// Nothing of what a server says is believed without a listing, or shown.
#[rstest]
#[case::a_file_that_was_not_asked_for(
    "<DeleteResult><Error><Key>AKIAIDOFTHEKEY</Key><Code>AccessDenied</Code></Error></DeleteResult>",
    Some("AccessDenied")
)]
#[case::no_file(
    "<DeleteResult><Error xmlns=\"x\"><Code>AccessDenied</Code></Error></DeleteResult>",
    Some("AccessDenied")
)]
#[case::in_its_own_words(
    "<DeleteResult><Error><Key>sp/savepoint-1/0a</Key><Code>Secret Of The Key</Code></Error></DeleteResult>",
    Some("Refused")
)]
#[case::failed_after_its_head("<?xml version=\"1.0\"?><Error><Code>InternalError</Code></Error>", None)]
#[case::busy_with_one(
    "<DeleteResult><Error><Key>sp/savepoint-1/0a</Key><Code>SlowDown</Code></Error></DeleteResult>",
    None
)]
#[case::denied_after_its_head("<Error><Code>AccessDenied</Code></Error>", Some("AccessDenied"))]
#[case::a_portal("<html><body>Welcome</body></html>", Some("Refused"))]
#[case::not_there(
    "<DeleteResult><Error><Key>sp/savepoint-1/0a</Key><Code>NoSuchKey</Code></Error></DeleteResult>",
    None
)]
#[case::nothing("<DeleteResult/>", None)]
#[tokio::test]
async fn an_answer_of_any_kind(#[case] says: &'static str, #[case] reason: Option<&str>) {
    let world = World::with("s3", &OWN).await;
    let World::S3(stub) = &world else { panic!("it is S3") };
    stub.fail("POST", "delete", 1, Fault::Says(says));
    let disposed = world.store().dispose(&world.place(), 9).await;
    match (disposed, reason) {
        (Err(error), Some(reason)) => {
            assert_eq!(error.reason(), reason, "{error}");
            assert!(error.to_string().starts_with("s3://flink/sp/savepoint-1"), "{error}");
            let told = format!("{error} {error:?}");
            assert!(!SECRETS.iter().any(|secret| told.contains(secret)) && !told.contains("Secret Of"), "{told}");
        }
        // It was asked again, or the listing shows what is left.
        (Ok(left), None) => assert_eq!(left.amount().files, world.own().await.len() as u64),
        (disposed, reason) => panic!("{disposed:?} in place of {reason:?}"),
    }
    let own = world.own().await;
    assert!(!own.contains(&"_metadata".to_owned()), "{own:?}");
    assert_eq!(world.store().dispose(&world.place(), 9).await.unwrap(), Contents::Nothing);
}

/// Some servers delete one file at a time only.
#[rstest]
#[case(501, "NotImplemented")]
#[case(405, "MethodNotAllowed")]
#[tokio::test]
async fn a_server_that_deletes_one_by_one(#[case] status: u16, #[case] code: &'static str) {
    let world = World::with("s3", &OWN).await;
    let World::S3(stub) = &world else { panic!("it is S3") };
    stub.fail("POST", "delete", 9, Fault::Status(status, code));
    assert_eq!(world.store().dispose(&world.place(), 9).await.unwrap(), Contents::Nothing);
    assert_eq!(world.own().await, Vec::<String>::new());
    assert_eq!(told(stub, 0).iter().filter(|request| *request == "DELETE").count(), 4);
}

/// Some tools write an empty object in place of a directory. By its key without the slash, a file beside it goes.
#[tokio::test]
async fn an_object_in_place_of_a_directory_is_no_file() {
    let world = World::with("s3", &OWN).await;
    world.put("sp/savepoint-1/").await;
    world.put("sp/savepoint-1").await;
    let store = world.store();
    assert_eq!(store.contents(&world.place()).await.unwrap().amount().files, 5);
    assert_eq!(store.dispose(&world.place(), 9).await.unwrap(), Contents::Nothing);
    let World::S3(stub) = &world else { panic!("it is S3") };
    assert!(stub.keys().contains(&"sp/savepoint-1".to_owned()), "{:?}", stub.keys());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_no_empty_directory() {
    let stub = s3().await;
    let nobody = Settings { endpoint: Some("http://127.0.0.1:1".to_owned()), ..s3_settings(&stub, "s3://flink") };
    let error = Store::open(&nobody).unwrap().contents("s3://flink/sp/savepoint-1").await.unwrap_err();
    assert_eq!((error.reason(), error.is_transient()), ("Unreachable", true));
}

#[tokio::test]
async fn a_volume_that_is_not_mounted_is_no_empty_directory() {
    let folder = Folder::new();
    let url = format!("{}/volume", folder.url());
    let store = Store::open(&settings(&url)).unwrap();
    for error in [
        store.contents(&format!("{url}/savepoint-1")).await.unwrap_err(),
        store.dispose(&format!("{url}/savepoint-1"), 9).await.unwrap_err(),
    ] {
        assert_eq!(error.reason(), "Io", "{error}");
    }
}

#[tokio::test]
async fn empty_directories_go_too() {
    let world = World::with("files", &[]).await;
    let World::Files(folder) = &world else { panic!("it is a folder") };
    std::fs::create_dir_all(folder.path().join("sp/savepoint-1/a/b")).unwrap();
    assert_eq!(world.store().contents(&world.place()).await.unwrap(), Contents::Nothing);
    assert_eq!(world.store().dispose(&world.place(), 0).await.unwrap(), Contents::Nothing);
    assert!(!folder.path().join("sp/savepoint-1").exists());
    world.own().await;
}

/// Names that a store of objects would not take are files all the same.
#[tokio::test]
async fn files_of_any_name_go() {
    let world = World::with("files", &["_metadata", "0a#1", "50%25 of it"]).await;
    assert_eq!(world.store().contents(&world.place()).await.unwrap().amount().files, 3);
    assert_eq!(world.store().dispose(&world.place(), 9).await.unwrap(), Contents::Nothing);
    world.own().await;
}

/// More than are handed on at a time.
#[tokio::test]
async fn a_directory_of_many_files() {
    let world = World::with("files", &["_metadata"]).await;
    let World::Files(folder) = &world else { panic!("it is a folder") };
    for n in 0..2500 {
        folder.put(&format!("sp/savepoint-1/{n}"), "xy");
    }
    let store = world.store();
    let amount = Amount { files: 2501, bytes: 5002 };
    assert_eq!(store.contents(&world.place()).await.unwrap(), Contents::Snapshot(amount));
    assert_eq!(store.dispose(&world.place(), 2000).await.unwrap(), unfinished(500));
    assert_eq!(store.dispose(&world.place(), 2000).await.unwrap(), Contents::Nothing);
    world.own().await;
}

#[cfg(unix)]
#[rstest]
#[case::itself("sp/savepoint-1", "")]
#[case::in_it("sp/savepoint-2/there", "sp/savepoint-2")]
#[tokio::test]
async fn a_link_is_not_followed(#[case] link: &str, #[case] place: &str) {
    let world = World::with("files", &[]).await;
    let World::Files(folder) = &world else { panic!("it is a folder") };
    let place = folder.path().join(if place.is_empty() { link } else { place });
    std::fs::create_dir_all(folder.path().join("sp/savepoint-2")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("sp/savepoint-12"), folder.path().join(link)).unwrap();
    let error = world.store().dispose(&place.to_string_lossy(), 9).await.unwrap_err();
    assert_eq!(error.reason(), "NotASnapshot");
    assert!(error.to_string().contains("symbolic link"), "{error}");
    assert!(folder.path().join("sp/savepoint-12/_metadata").exists());
}
