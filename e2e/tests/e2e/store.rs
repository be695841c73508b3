//! Snapshot stores: what a probe finds out, and what is done with what is read there.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    job::{Job, SAVEPOINTS, SOURCE_UID, Version},
    namespace::Sandbox,
    proxy::{Fault, Proxy},
    wait::{self, Seen},
};
use flink_savepoint_operator::api::{
    FlinkJobUpgrade, FlinkSavepoint, FlinkSnapshotStore, FormatType, SavepointPhase, SnapshotKind,
    condition::{self, types},
};
use k8s_openapi::api::{core::v1::Secret, events::v1::Event};
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};

use crate::story::{self, Upgraded};

/// The store that works, and the Secret with its keys.
pub const RIGHT: &str = "snapshots";
/// Key of a whole savepoint that these tests put into the bucket.
const UPLOADED: &str = "registered";
/// A store that works is probed each 5 minutes.
const PROBED_TWICE: Duration = Duration::from_secs(660);
/// Keys that no message may hold.
const WRONG: &str = "wrongwrongwrongwrong";

async fn keys(sandbox: &Sandbox, name: &str, access_key_id: &str, secret_access_key: &str) -> Result<()> {
    let data = json!({"accessKeyId": access_key_id, "secretAccessKey": secret_access_key});
    sandbox.put::<Secret>(name, json!({"apiVersion": "v1", "kind": "Secret", "stringData": data})).await.map(drop)
}

/// Each thing that can be wrong with a store is told apart, snapshots are registered from one that works, and no secret
/// is told.
pub async fn stores(sandbox: &Sandbox, _: Version) -> Result<()> {
    let s3 = sandbox.env.s3.clone();
    sandbox.create_store(RIGHT).await?;
    keys(sandbox, "wrong-id", WRONG, &s3.secret_key).await?;
    keys(sandbox, "wrong-secret", &s3.access_key, WRONG).await?;
    keys(sandbox, "line-break", &s3.access_key, &format!("{WRONG}\n")).await?;

    let silent = Proxy::start(&s3, Fault::Silent).await?;
    let cut = Proxy::start(&s3, Fault::Cut).await?;
    let forbids = Proxy::start(&s3, Fault::Refuse(403, "AccessDenied")).await?;
    let fails = Proxy::start(&s3, Fault::Refuse(500, "InternalError")).await?;
    let short = Proxy::start(&s3, Fault::Short).await?;
    let nothing = json!({});
    let nobody = s3.endpoint.rsplit_once(':').map_or("http://127.0.0.1", |(host, _)| host).to_owned() + ":9";
    let cases = [
        ("wrong-id", s3.endpoint.as_str(), "wrong-id", &nothing, "UnknownAccessKey"),
        ("wrong-secret", &s3.endpoint, "wrong-secret", &nothing, "WrongSecretKey"),
        ("no-secret", &s3.endpoint, "later", &nothing, "SecretMissing"),
        ("line-break", &s3.endpoint, "line-break", &nothing, "SecretMalformed"),
        ("no-bucket", &s3.endpoint, RIGHT, &json!({"url": "s3://no-such-bucket/x"}), "NoSuchBucket"),
        ("nobody", &nobody, RIGHT, &nothing, "Unreachable"),
        ("no-name", "http://nowhere.invalid:9000", RIGHT, &nothing, "Unreachable"),
        ("silent", &silent.endpoint, RIGHT, &nothing, "TimedOut"),
        ("cut", &cut.endpoint, RIGHT, &nothing, "ConnectionCut"),
        ("forbids", &forbids.endpoint, RIGHT, &nothing, "AccessDenied"),
        ("fails", &fails.endpoint, RIGHT, &nothing, "ServerError"),
        ("short", &short.endpoint, RIGHT, &nothing, "ConnectionCut"),
        ("archive", &s3.endpoint, RIGHT, &json!({"readOnly": true, "region": "us-east-1"}), "ProbeSucceeded"),
    ];
    for (name, endpoint, secret, more, _) in &cases {
        sandbox.put_store(name, endpoint, secret, (*more).clone()).await?;
    }
    for (name, .., expected) in &cases {
        is_available(sandbox, name, expected).await?;
    }
    let file =
        json!({"apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkSnapshotStore", "spec": {"url": "file:///etc"}});
    sandbox.put::<FlinkSnapshotStore>("operators-files", file).await?;
    is_available(sandbox, "operators-files", "LocalNotAllowed").await?;

    // Of a file it can be said how much of it came.
    let key = format!("{UPLOADED}/{}/short/_metadata", sandbox.namespace);
    s3.write(&key, fs::read(fixture().join("_metadata"))?).await?;
    let spec = json!({"path": s3.url(&key), "storeRef": {"name": "short"}});
    sandbox.put::<FlinkSavepoint>("short", savepoint(&spec)).await?;
    let short = |savepoint: &FlinkSavepoint| {
        let conditions = savepoint.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
        condition::find(conditions, types::RECONCILING).is_some_and(|c| c.reason == "ShortRead")
    };
    wait::on(&sandbox.savepoints(), "short", "ShortRead", story::SOON, short).await?;

    // A Secret is not watched: what is mended is found by the next probe.
    keys(sandbox, "later", &s3.access_key, &s3.secret_key).await?;
    registered(sandbox).await?;
    is_available(sandbox, "no-secret", "ProbeSucceeded").await?;
    // Another test's store may be probed right now, or its operator was killed in the middle of that: the next probe
    // but one finds what is left.
    wait::until("probes leave nothing", PROBED_TWICE, async || {
        let left = s3.list(".flink-savepoint-operator").await?;
        Ok(if left.is_empty() { Seen::Yes(()) } else { Seen::NotYet(format!("{left:?}")) })
    })
    .await?;
    no_secret_is_told(sandbox).await
}

async fn is_available(sandbox: &Sandbox, name: &str, reason: &str) -> Result<()> {
    let found = |store: &FlinkSnapshotStore| {
        let conditions = store.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
        condition::find(conditions, types::AVAILABLE).is_some_and(|c| c.reason == reason)
    };
    // A probe of a silent server takes 10 s, and begins anew when another test makes the operator die.
    let store = wait::on(&sandbox.stores(), name, reason, story::START, found).await?;
    let conditions = store.status.context("no status")?.conditions;
    let available = condition::is_true(&conditions, types::AVAILABLE);
    ensure!(available == (reason == "ProbeSucceeded"), "{name}: {conditions:?}");
    ensure!(available == condition::is_true(&conditions, types::READY), "{name}: {conditions:?}");
    Ok(())
}

async fn no_secret_is_told(sandbox: &Sandbox) -> Result<()> {
    let stores = sandbox.stores().list(&ListParams::default()).await?;
    let events = sandbox.api::<Event>().list(&ListParams::default()).await?;
    ensure!(!events.items.is_empty(), "no Event was told");
    let told = format!("{stores:?} {events:?} {}", sandbox.operator.log(5000, false).await?);
    for secret in [&sandbox.env.s3.secret_key, WRONG] {
        ensure!(!told.contains(secret), "{secret} is told: {told}");
    }
    Ok(())
}

/// A whole savepoint of Flink's, with files.
fn fixture() -> PathBuf {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    project.join("tests/fixtures/flink/snapshots/1.20.5/hashmap-savepoint-canonical")
}

/// A savepoint of Flink's, put into the bucket, is registered by its directory and by its `_metadata`; and what is
/// broken says how.
async fn registered(sandbox: &Sandbox) -> Result<()> {
    let s3 = &sandbox.env.s3;
    let directory = format!("{UPLOADED}/{}/whole", sandbox.namespace);
    let mut files = Vec::new();
    for entry in fs::read_dir(fixture()).with_context(|| fixture().display().to_string())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        s3.write(&format!("{directory}/{name}"), fs::read(entry.path())?).await?;
        files.push(name);
    }
    let sizes = s3.sizes(&format!("{directory}/")).await?;
    for (name, path) in [("directory", directory.clone()), ("metadata", format!("{directory}/_metadata"))] {
        path_of(sandbox, name, &s3.url(&path)).await?;
        let status = wait::ready(&sandbox.savepoints(), name, story::SOON).await?.status.context("no status")?;
        ensure!(status.location == Some(s3.url(&directory)), "{status:?}");
        ensure!(status.kind == Some(SnapshotKind::Savepoint), "{status:?}");
        ensure!(status.format_type == Some(FormatType::Canonical), "{status:?}");
        ensure!(status.size_bytes == Some(sizes.values().sum()), "{status:?}, {sizes:?}");
        ensure!(status.file_count == i64::try_from(files.len()).ok(), "{status:?}, {files:?}");
        ensure!(status.operator_count == i32::try_from(status.operators.len()).ok(), "{status:?}");
        ensure!(condition::is_true(&status.conditions, types::VERIFIED), "{status:?}");
    }

    copied_and_deleted(sandbox, &directory, &sizes).await?;

    // One of its files is away for a while.
    let away = files.iter().find(|name| *name != "_metadata").context("the fixture has no files")?;
    let (away, bytes) = (format!("{directory}/{away}"), s3.read(&format!("{directory}/{away}")).await?);
    s3.remove(&away).await?;
    path_of(sandbox, "misses-a-file", &s3.url(&directory)).await?;
    let stalled = wait::stalled(&sandbox.savepoints(), "misses-a-file", story::SOON).await?;
    ensure!(stalled.reason == "FilesMissing" && stalled.message.contains(&away), "{stalled:?}");
    s3.write(&away, bytes).await?;

    let broken = format!("{UPLOADED}/{}/broken", sandbox.namespace);
    let metadata = s3.read(&format!("{directory}/_metadata")).await?;
    let half = metadata.get(..metadata.len() / 2).unwrap_or_default().to_vec();
    s3.write(&format!("{broken}/truncated/_metadata"), half).await?;
    s3.write(&format!("{broken}/empty/_metadata"), Vec::new()).await?;
    s3.write(&format!("{broken}/other/_metadata"), b"no metadata of Flink's".to_vec()).await?;
    s3.write(&format!("{broken}/never-completed/5f3c"), b"state".to_vec()).await?;
    let cases = [
        ("truncated", "MetadataTruncated", SavepointPhase::Failed),
        ("empty", "MetadataEmpty", SavepointPhase::Failed),
        ("other", "NotMetadata", SavepointPhase::Failed),
        ("never-completed", "NoMetadata", SavepointPhase::Verifying),
        ("nothing", "SnapshotNotFound", SavepointPhase::Verifying),
    ];
    for (name, ..) in cases {
        path_of(sandbox, name, &s3.url(&format!("{broken}/{name}"))).await?;
    }
    for (name, reason, phase) in cases {
        let stalled = wait::stalled(&sandbox.savepoints(), name, story::SOON).await?;
        ensure!(stalled.reason == reason, "{name}: {stalled:?}");
        let found = sandbox.savepoints().get(name).await?.status.and_then(|s| s.phase);
        ensure!(found == Some(phase), "{name}: {found:?}");
    }
    // The file that was put back is found within the half minute that the message says.
    becomes_ready(sandbox, "misses-a-file").await.map(drop)
}

/// A small one is copied by the operator itself; then the copy goes with its files, and the original stays.
async fn copied_and_deleted(sandbox: &Sandbox, directory: &str, sizes: &BTreeMap<String, i64>) -> Result<()> {
    let s3 = &sandbox.env.s3;
    let target = s3.url(&format!("{UPLOADED}/{}/copies", sandbox.namespace));
    let (of, store) = (json!({"name": "directory"}), json!({"name": RIGHT}));
    let spec = json!({"copyOf": of, "targetDirectory": target, "storeRef": store, "deletionPolicy": "Delete"});
    sandbox.put::<FlinkSavepoint>("copy", savepoint(&spec)).await?;
    let status = wait::ready(&sandbox.savepoints(), "copy", story::SOON).await?.status.context("no status")?;
    let place = status.location.clone().context("a copy without a location")?;
    ensure!(status.copy.as_ref().is_some_and(|copy| !copy.by_job), "{status:?}");
    ensure!(status.file_count == i64::try_from(sizes.len()).ok(), "{status:?}, {sizes:?}");
    let below = format!("{}/", s3.key(&place)?);
    let lengths = |sizes: BTreeMap<String, i64>| {
        sizes.into_iter().map(|(key, size)| (key.rsplit('/').next().unwrap_or_default().to_owned(), size)).collect()
    };
    let (copies, originals): (BTreeMap<_, _>, BTreeMap<_, _>) =
        (lengths(s3.sizes(&below).await?), lengths(sizes.clone()));
    ensure!(copies == originals, "{copies:?} instead of {originals:?}");
    sandbox.savepoints().delete("copy", &DeleteParams::default()).await?;
    wait::gone::<FlinkSavepoint>(&sandbox.savepoints(), "copy", story::SOON).await?;
    let left = s3.list(&below).await?;
    ensure!(left.is_empty() && s3.sizes(&format!("{directory}/")).await? == *sizes, "{left:?}");
    Ok(())
}

/// A retained checkpoint, before there is a store and after.
pub async fn a_checkpoint_is_registered(sandbox: &Sandbox, version: Version, location: &str) -> Result<()> {
    path_of(sandbox, "retained", location).await?;
    let stalled = wait::stalled(&sandbox.savepoints(), "retained", story::SOON).await?;
    ensure!(stalled.reason == "NoStore" && stalled.message.contains("FlinkSnapshotStore"), "{stalled:?}");
    sandbox.create_store(RIGHT).await?;
    let status = becomes_ready(sandbox, "retained").await?.status.context("no status")?;
    ensure!(status.kind == Some(SnapshotKind::Checkpoint), "{status:?}");
    ensure!(condition::is_true(&status.conditions, types::VERIFIED), "{status:?}");
    // Flink 1.20 does not write it down.
    let uid = status.operators.iter().any(|o| o.uid.as_deref() == Some(SOURCE_UID));
    ensure!(uid == (version == Version::V2_3), "{status:?}");
    Ok(())
}

/// Waits until a savepoint that is Stalled, and may be mended, is Ready.
async fn becomes_ready(sandbox: &Sandbox, name: &str) -> Result<FlinkSavepoint> {
    wait::on(&sandbox.savepoints(), name, "Ready", story::SOON, |s| wait::holds(s, types::READY)).await
}

async fn path_of(sandbox: &Sandbox, name: &str, path: &str) -> Result<()> {
    sandbox.put::<FlinkSavepoint>(name, savepoint(&json!({"path": path}))).await.map(drop)
}

fn savepoint(spec: &Value) -> Value {
    json!({"apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkSavepoint", "spec": spec})
}

/// An upgrade whose savepoint loses a file before it was looked at: nothing is restored from it before it is whole.
/// The store stands behind a proxy, which holds the operator back meanwhile.
pub async fn a_missing_file_holds_an_upgrade(
    sandbox: &Sandbox,
    before: &FlinkJobUpgrade,
    changed: &Job,
) -> Result<Upgraded> {
    let s3 = &sandbox.env.s3;
    let proxy = Proxy::start(s3, Fault::Hold).await?;
    sandbox.put_store(RIGHT, &proxy.endpoint, RIGHT, json!({})).await?;
    // A preflight would read the `_metadata` of a checkpoint, and be held there.
    let changed = &changed.clone().set("/spec/upgrade/preflight", json!("Skip"));
    sandbox.apply(changed).await?;
    tokio::time::timeout(story::UPGRADE, proxy.holds()).await.context("no _metadata was asked for")??;

    let keys = s3.list(&format!("{SAVEPOINTS}/{}/", sandbox.namespace)).await?;
    let child = format!("/orders-{}-", story::revision(before)? + 1);
    let of_child = |key: &&String| key.contains(&child) && !key.ends_with("/_metadata");
    let away = keys.iter().find(of_child).with_context(|| format!("the savepoint has no files: {keys:#?}"))?;
    let bytes = s3.read(away).await?;
    s3.remove(away).await?;
    proxy.open();

    let stalled = wait::stalled(&sandbox.jobs(), "orders", story::SOON).await?;
    ensure!(stalled.reason == "SavepointBlocked" && stalled.message.contains(away), "{stalled:?}");
    let (writers, last) = (sandbox.records("orders")?.jobs(), story::submission(before)?.job_id);
    ensure!(writers.last() == Some(&last), "{writers:?} have written, the last should be {last}");
    s3.write(away, bytes).await?;
    // A change of the store is a reason to look again at once.
    sandbox.put_store(RIGHT, &s3.endpoint, RIGHT, json!({})).await?;
    wait::until("the upgrade goes on", story::SOON, async || {
        let job = sandbox.jobs().get("orders").await?;
        Ok(if wait::holds(&job, types::STALLED) { Seen::NotYet(wait::describe(&job)) } else { Seen::Yes(()) })
    })
    .await?;
    let after = story::upgraded(sandbox, before, changed).await?;
    story::handed_over(sandbox, before, &after).await?;
    Ok(after)
}
