//! What may happen to a FlinkSavepoint of a foreign cluster's job.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use fakes::flink::{JobScript, Snapshots, Version};
use flink_savepoint_operator::api::SavepointPhase::{self, Completed, Failed, InProgress};
use flink_savepoint_operator::api::annotations::{ADOPT, FORCE_DELETE, RETRY};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::json;

use crate::common::merge;
use crate::sweep::{Act, COPIES, End, Scenario, When};
use crate::world::{JOB, Wish, World};

/// A job without checkpoints, which nothing here depends on unless a JobManager recovers it.
fn script() -> JobScript {
    JobScript { checkpoint_interval: None, ..JobScript::new("orders", 1) }
}

/// A job that a JobManager can recover.
fn recoverable() -> JobScript {
    JobScript { checkpoint_interval: Some(Duration::from_secs(20)), ..script() }
}

async fn running(world: &World, job: JobScript) {
    world.flink.start_job(JOB, job);
    tokio::time::advance(Duration::from_secs(30)).await;
}

fn end(status: (SavepointPhase, &'static str), attempts: Option<usize>) -> Vec<End> {
    vec![End { name: "daily", status: Some(status), attempts }]
}

fn scenario(begin: Act, status: (SavepointPhase, &'static str)) -> Scenario {
    Scenario {
        wish: Wish::default(),
        begin,
        acts: Vec::new(),
        ends: end(status, Some(1)),
        job: Some("RUNNING"),
        may_be_unknown: false,
        whole: Some(usize::from(status.0 == Completed)),
        optional: false,
        settles: Duration::ZERO,
        writes: None,
        events: &[],
    }
}

/// A user takes a savepoint of a running job.
fn taken(world: World, job: JobScript, more: serde_json::Value) -> BoxFuture<'static, ()> {
    async move {
        running(&world, job).await;
        world.savepoint("daily", more).await;
    }
    .boxed()
}

fn slow() -> JobScript {
    JobScript { snapshot: Duration::from_secs(3), ..script() }
}

fn on(version: Version) -> Wish {
    Wish { version, ..Wish::default() }
}

fn with_ha(version: Version) -> Wish {
    Wish { high_availability: true, ..on(version) }
}

const BACK: Duration = Duration::from_secs(8);

/// Finalizer, intent, end, labels, finalizer.
pub fn a_savepoint() -> Scenario {
    Scenario { writes: Some(5), ..scenario(|w| taken(w, script(), json!({})), (Completed, "Completed")) }
}

/// The Secret with whom to trust comes late, and then without its label.
pub fn by_https() -> Scenario {
    let begin: Act = |w| {
        let tls = json!({"flinkCluster": {"tls": {"secretRef": {"name": "flink-tls"}}}});
        taken(w, script(), tls)
    };
    let made: Act = |w| async move { w.secret("flink-tls").await }.boxed();
    let labelled: Act = |w| async move { w.allow("flink-tls").await }.boxed();
    let refused = || When::Reason("daily", "SecretMalformed");
    Scenario { acts: vec![(refused(), made), (refused(), labelled)], ..scenario(begin, (Completed, "Completed")) }
}

/// Lock, intent, end, labels; the job's own controller takes the lock away.
pub fn of_a_managed_job() -> Scenario {
    let begin: Act = |w| {
        async move {
            running(&w, script()).await;
            w.managed_job().await;
            let job = json!({"kind": "FlinkJobUpgrade", "name": "orders"});
            w.savepoint("daily", json!({"flinkCluster": null, "jobRef": job})).await;
        }
        .boxed()
    };
    Scenario { writes: Some(4), ..scenario(begin, (Completed, "Completed")) }
}

/// No store serves the place: all depends on Flink's word.
pub fn without_a_store() -> Scenario {
    let mut it = scenario(|w| taken(w, script(), json!({})), (Completed, "Completed"));
    it.wish.store = false;
    asks_a_person(it)
}

/// Who was away for longer than Flink keeps its results, and has no store to look into, asks a person.
fn asks_a_person(mut it: Scenario) -> Scenario {
    it.acts = vec![(When::Reason("daily", "AnswerLost"), |w| async move { adopt(&w, "daily").await }.boxed())];
    it.optional = true;
    it.ends[0].attempts = None;
    it
}

/// As a person does who looks into the directory.
async fn adopt(world: &World, name: &str) {
    let attempts = world.savepoint_now(name).and_then(|s| s.status).map_or(0, |s| s.attempts.len());
    let below = format!("/{name}-");
    let is_its = |file: &&String| file.contains(&below) && file.ends_with("/_metadata");
    if let Some(file) = world.files("sp").await.iter().find(is_its) {
        world.annotate(name, ADOPT, &format!("s3://flink/{file}")).await;
    } else {
        world.annotate(name, RETRY, &attempts.to_string()).await;
    }
}

/// Which process answers can't be seen: nothing is repeated.
pub fn without_sight_of_pods() -> Scenario {
    let mut it = without_a_store();
    it.wish = Wish { pods_visible: false, ..Wish::default() };
    it
}

fn ending(then: &'static str, begin: Act) -> Scenario {
    let job = if then == "Cancel" { "CANCELED" } else { "FINISHED" };
    Scenario { job: Some(job), ..scenario(begin, (Completed, "Completed")) }
}

pub fn a_stop() -> Scenario {
    ending("Stop", |w| taken(w, script(), json!({"then": "Stop"})))
}

pub fn a_drain() -> Scenario {
    Scenario { wish: on(Version::V2_3), ..ending("Drain", |w| taken(w, script(), json!({"then": "Drain"}))) }
}

pub fn a_cancel() -> Scenario {
    ending("Cancel", |w| taken(w, script(), json!({"then": "Cancel"})))
}

/// The JobManager is killed as the `_metadata` of a first savepoint appears.
fn killed_at_metadata(world: &World) {
    let first = AtomicBool::new(true);
    world.flink.on_metadata(move |flink, _| {
        if first.swap(false, Relaxed) {
            flink.kill_job_manager(BACK);
        }
    });
}

fn kill(world: World) -> BoxFuture<'static, ()> {
    async move { world.flink.kill_job_manager(BACK) }.boxed()
}

/// ha-facts C: a savepoint, in the middle.
pub fn ha_savepoint_killed_in_the_middle() -> Scenario {
    let mut it = scenario(
        |w| taken(w, JobScript { checkpoint_interval: Some(Duration::from_secs(20)), ..slow() }, json!({})),
        (Completed, "Completed"),
    );
    it.wish = with_ha(Version::V1_20);
    it.acts = vec![(When::Phase("daily", InProgress), kill)];
    it.optional = true;
    it.ends[0].attempts = None;
    it
}

/// ha-facts C: a stop, in the middle; the JobManager that comes back has forgotten it.
pub fn ha_stop_killed_in_the_middle() -> Scenario {
    let mut it = ending("Stop", |w| {
        taken(w, JobScript { checkpoint_interval: Some(Duration::from_secs(20)), ..slow() }, json!({"then": "Stop"}))
    });
    it.wish = with_ha(Version::V1_20);
    it.acts = vec![(When::Phase("daily", InProgress), kill)];
    it.optional = true;
    it.ends[0].attempts = None;
    it
}

/// ha-facts C: a stop, as its savepoint becomes whole: the job runs on from the checkpoint before, and the savepoint is
/// superseded by that of another stop.
pub fn ha_stop_killed_as_its_savepoint_is_whole() -> Scenario {
    let begin: Act = |w| {
        killed_at_metadata(&w);
        taken(w, recoverable(), json!({"then": "Stop"}))
    };
    let mut it = ending("Stop", begin);
    it.wish = with_ha(Version::V1_20);
    it.ends[0].attempts = Some(2);
    it
}

pub fn ha_stop_killed_as_its_savepoint_is_whole_on_2_3() -> Scenario {
    Scenario { wish: with_ha(Version::V2_3), ..ha_stop_killed_as_its_savepoint_is_whole() }
}

/// ha-facts C: a stop, right after the job has FINISHED, which another JobManager may remember or not.
pub fn ha_stop_killed_after_it_finished() -> Scenario {
    let mut it = ending("Stop", |w| taken(w, recoverable(), json!({"then": "Stop"})));
    it.wish = with_ha(Version::V1_20);
    it.acts = vec![(When::Job("FINISHED"), |w| {
        async move {
            tokio::time::sleep(Duration::from_millis(70)).await;
            kill(w).await;
        }
        .boxed()
    })];
    it.settles = Duration::from_secs(60);
    it.may_be_unknown = true;
    it
}

pub fn ha_stop_killed_after_it_finished_on_2_3() -> Scenario {
    Scenario { wish: with_ha(Version::V2_3), ..ha_stop_killed_after_it_finished() }
}

/// A job that was seen FINISHED runs again, as its JobManager was killed before it had stored that.
pub fn ha_stop_killed_before_its_end_is_stored() -> Scenario {
    let mut it = ha_stop_killed_after_it_finished();
    it.acts = vec![(When::Job("FINISHED"), kill)];
    it.ends[0].attempts = None;
    it
}

/// ha-facts F: a task fails as the savepoint of a stop is whole: the job fails for good, and the savepoint is its state.
pub fn stop_fails_after_its_savepoint() -> Scenario {
    let begin: Act = |w| taken(w, JobScript { fails_while_stopping: true, ..script() }, json!({"then": "Stop"}));
    Scenario { job: Some("FAILED"), ..scenario(begin, (Completed, "Completed")) }
}

/// Without high availability the job is gone with its JobManager, and the savepoint with it.
pub fn killed_in_the_middle_without_ha() -> Scenario {
    let begin: Act = |w| taken(w, slow(), json!({"timeout": "5m"}));
    let mut it = scenario(begin, (Failed, "TimeoutExceeded or JobManagerLost"));
    it.acts = vec![(When::At(Duration::from_millis(1500)), kill)];
    it.job = None;
    // None if it is killed before the request.
    it.ends[0].attempts = None;
    it
}

/// A task fails in its snapshot, and the job restarts: no second attempt.
pub fn snapshot_harms_the_job() -> Scenario {
    let begin: Act = |w| {
        let snapshots = Snapshots::Throw("boom in snapshotState".to_owned());
        taken(w, JobScript { snapshots, ..script() }, json!({}))
    };
    scenario(begin, (Failed, "SnapshotHarmsJob"))
}

/// The place can't be written to.
pub fn no_such_bucket() -> Scenario {
    let begin: Act = |w| taken(w, script(), json!({"targetDirectory": "s3://nowhere/sp", "backoffLimit": 1}));
    let mut it = scenario(begin, (Failed, "StorageFailed"));
    it.ends[0].attempts = Some(2);
    asks_a_person(it)
}

pub fn unknown_scheme() -> Scenario {
    let begin: Act = |w| taken(w, script(), json!({"targetDirectory": "hdfs://nn/sp"}));
    asks_a_person(scenario(begin, (Failed, "UnknownFileSystem")))
}

pub fn no_directory() -> Scenario {
    let begin: Act = |w| taken(w, script(), json!({"targetDirectory": null, "timeout": "1m"}));
    let mut it = scenario(begin, (Failed, "TimeoutExceeded"));
    it.ends[0].attempts = Some(0);
    it
}

/// Taken as soon as all tasks run.
pub fn of_a_job_that_is_starting() -> Scenario {
    let begin: Act = |w| {
        async move {
            w.flink.start_job(JOB, JobScript { deployment: Duration::from_secs(3), ..script() });
            w.savepoint("daily", json!({"then": "Stop"})).await;
        }
        .boxed()
    };
    ending("Stop", begin)
}

/// A stop hangs behind full buffers for minutes; nothing second is sent.
pub fn backpressure() -> Scenario {
    let begin: Act = |w| taken(w, JobScript { backpressure: true, ..script() }, json!({"then": "Stop"}));
    let mut it = ending("Stop", begin);
    it.acts = vec![(When::At(Duration::from_secs(12)), |w| {
        w.flink.release(JOB);
        async {}.boxed()
    })];
    it
}

/// Deleted while Flink writes it: it goes when that is over.
pub fn deleted_in_the_middle() -> Scenario {
    let mut it = scenario(|w| taken(w, slow(), json!({})), (Completed, "Completed"));
    it.acts = vec![(When::At(Duration::from_secs(2)), |w| async move { w.delete("daily").await }.boxed())];
    it.ends = vec![End { name: "daily", status: None, attempts: None }];
    // None if it is deleted before the request.
    it.whole = None;
    it
}

/// Two of one job: one after the other.
pub fn two_at_once() -> Scenario {
    let begin: Act = |w| {
        async move {
            running(&w, script()).await;
            w.savepoint("daily", json!({})).await;
            w.savepoint("hourly", json!({})).await;
        }
        .boxed()
    };
    let mut it = scenario(begin, (Completed, "Completed"));
    it.ends.push(End { name: "hourly", ..it.ends[0].clone() });
    it.whole = Some(2);
    it
}

/// One that is not the newest any more goes with its files, and the newest stays.
pub fn deleted_with_its_files() -> Scenario {
    let mut it = scenario(|w| taken(w, script(), json!({"deletionPolicy": "Delete"})), (Completed, "Completed"));
    it.acts = vec![
        (When::Phase("daily", Completed), |w| async move { w.savepoint("hourly", json!({})).await }.boxed()),
        (When::Phase("hourly", Completed), |w| async move { w.delete("daily").await }.boxed()),
    ];
    it.ends = vec![
        End { name: "daily", status: None, attempts: None },
        End { name: "hourly", status: Some((Completed, "Completed")), attempts: None },
    ];
    it.whole = Some(1);
    it.events = &["Completed", "Disposed"];
    it
}

/// Where no store serves the place its JobManager deletes them.
pub fn deleted_with_its_files_by_flink() -> Scenario {
    let mut it = asks_a_person(deleted_with_its_files());
    it.wish.store = false;
    it.acts.push((When::Reason("hourly", "AnswerLost"), |w| async move { adopt(&w, "hourly").await }.boxed()));
    it.acts.extend(deleted_with_its_files().acts);
    it.whole = None;
    it
}

/// The only savepoint of its job goes when a person says so.
pub fn deleted_by_force() -> Scenario {
    let mut it = scenario(|w| taken(w, script(), json!({"deletionPolicy": "Delete"})), (Completed, "Completed"));
    it.acts = vec![
        (When::Phase("daily", Completed), |w| async move { w.delete("daily").await }.boxed()),
        (When::At(Duration::from_secs(1800)), |w| {
            async move { w.annotate("daily", FORCE_DELETE, "daily").await }.boxed()
        }),
    ];
    it.ends = vec![End { name: "daily", status: None, attempts: None }];
    it.events = &["ForcedDeletion", "Disposed"];
    it.whole = Some(0);
    it
}

/// A savepoint that is not the newest of its job, of which somebody else says that it was restored in this mode.
fn restored_with(mode: fn(World) -> BoxFuture<'static, ()>) -> Scenario {
    let mut it = deleted_with_its_files();
    it.acts.insert(1, (When::Phase("daily", Completed), mode));
    it
}

/// What a job has claimed stays where it is when its record goes.
pub fn deleted_after_a_claim() -> Scenario {
    let mut it = restored_with(|w| async move { w.restored("daily", "CLAIM").await }.boxed());
    it.whole = Some(2);
    it.events = &["LeftBehind"];
    it
}

/// With LEGACY it is needed as long as that job is there; then nobody's `_metadata` names its files, and they go.
pub fn deleted_after_legacy() -> Scenario {
    let mut it = restored_with(|w| async move { w.restored("daily", "LEGACY").await }.boxed());
    let goes: Act = |w| {
        async move {
            assert!(w.savepoint_now("daily").is_some(), "a job that was restored with LEGACY may use its files");
            w.forget_restored().await;
        }
        .boxed()
    };
    it.acts.push((When::At(Duration::from_secs(1800)), goes));
    it.events = &["Disposed"];
    it
}

/// A user copies a savepoint, once it is there.
fn copied(world: World, more: serde_json::Value) -> BoxFuture<'static, ()> {
    let mut spec = json!({
        "flinkCluster": null, "copyOf": {"name": "daily"}, "targetDirectory": format!("s3://flink/{COPIES}"),
    });
    merge(&mut spec, more);
    async move { world.savepoint("copy", spec).await }.boxed()
}

/// The operator copies it.
pub fn copied_by_the_operator() -> Scenario {
    let mut it = scenario(|w| taken(w, script(), json!({})), (Completed, "Completed"));
    it.acts = vec![(When::Phase("daily", Completed), |w| copied(w, json!({})))];
    it.ends.push(End { name: "copy", status: Some((Completed, "Completed")), attempts: None });
    it
}

/// A Job does, and the first one fails.
pub fn copied_by_a_job() -> Scenario {
    let wish = Wish { failing_jobs: Some(1), ..Wish::default() };
    Scenario { wish, ..copied_by_the_operator() }
}

/// The copy is deleted while its Job is at work: neither the Job nor what it has copied is left.
pub fn deleted_while_a_job_copies() -> Scenario {
    let wish = Wish { failing_jobs: Some(0), ..Wish::default() };
    let mut it = Scenario { wish, ..copied_by_the_operator() };
    it.acts = vec![
        (When::Phase("daily", Completed), |w| copied(w, json!({"deletionPolicy": "Delete"}))),
        (When::Phase("copy", InProgress), |w| {
            async move {
                w.copier.go_on(&w).await;
                w.delete("copy").await;
            }
            .boxed()
        }),
    ];
    it.ends[1].status = None;
    it
}
