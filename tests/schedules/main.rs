//! A FlinkSavepointSchedule in a simulated world: the real reconciler over the fake API server, in virtual time, with a
//! crash, a lost answer or a refused connection at every single call.

#![allow(
    clippy::indexing_slicing,
    clippy::large_futures,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails says where"
)]

#[path = "../common/cache.rs"]
mod cache;
#[allow(dead_code, reason = "a savepoint's own course is another suite's")]
#[path = "../common/mod.rs"]
mod common;
mod many;
#[path = "../common/way.rs"]
mod way;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::DateTime;
use fakes::clock::Clock;
use fakes::faults::Faults;
use fakes::kube::ApiServer;
use flink_savepoint_operator::api::annotations::RUN_NOW;
use flink_savepoint_operator::api::{FlinkSavepoint, FlinkSavepointSchedule, FlinkSavepointScheduleStatus};
use flink_savepoint_operator::context::Context;
use flink_savepoint_operator::flink::Transport;
use flink_savepoint_operator::flink::transport::Undelivered;
use flink_savepoint_operator::naming;
use flink_savepoint_operator::reconcile::passes;
use flink_savepoint_operator::schedule::Schedules;
use kube::api::{Patch, PatchParams};
use kube::{Client, ResourceExt as _};
use object_store::memory::InMemory;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use cache::Cache;
use common::faults::{faults_at, run};
use common::{NAMESPACE, OPERATOR, create, kinds, objects};

const SCHEDULES: &str = "flinksavepointschedules.savepoints.dev";
const SAVEPOINTS: &str = "flinksavepoints.savepoints.dev";
/// The world lasts so long: slots at ten, eleven, twelve and one.
const LASTS: Duration = Duration::from_secs(4 * 3600);
/// A savepoint takes so long.
const TAKES: Duration = Duration::from_secs(600);
/// Somebody else looks at savepoints so often.
const OFTEN: Duration = Duration::from_secs(600);
/// What follows an error.
const AFTER_ERROR: Duration = Duration::from_secs(1);
/// The slots that start, whatever happens.
const SLOTS: [&str; 4] =
    ["nightly-20261122-1000", "nightly-20261122-1100", "nightly-20261122-1200", "nightly-20261122-1300"];

/// What is asked for, and what of it is left in the end.
struct Story {
    spec: fn() -> Value,
    /// At half past ten somebody asks for one at once.
    run_now: bool,
    left: &'static [&'static str],
}

const PLAIN: Story = Story { spec: || json!({}), run_now: false, left: &SLOTS };
/// Only the newest two stay, and somebody has one taken before a release.
const KEPT: Story = Story {
    spec: || json!({"retention": {"keepLast": 2}}),
    run_now: true,
    left: &["nightly-20261122-1200", "nightly-20261122-1300"],
};

struct World {
    clock: Clock,
    kube: ApiServer,
    /// How often a savepoint of a name was created.
    created: Arc<Mutex<BTreeMap<String, usize>>>,
}

/// Nobody asks Flink.
#[derive(Debug)]
struct Nobody;

#[async_trait::async_trait]
impl Transport for Nobody {
    async fn send(
        &self,
        _request: http::Request<Vec<u8>>,
        _limit: Duration,
    ) -> Result<http::Response<Vec<u8>>, Undelivered> {
        Err(Undelivered::NotConnected("nobody is there".to_owned()))
    }
}

impl World {
    /// At half past nine somebody schedules hourly savepoints of a running job.
    async fn new(story: &Story) -> Self {
        let clock = Clock::new(DateTime::parse_from_rfc3339("2026-11-22T09:30:00Z").unwrap().to_utc());
        let world = Self { kube: ApiServer::new(clock.clone(), kinds()), clock, created: Arc::default() };
        let created = world.created.clone();
        world.kube.on_change(Box::new(move |change| {
            if change.key.resource == SAVEPOINTS && change.old.is_none() {
                *created.lock().unwrap().entry(change.key.name.clone()).or_default() += 1;
            }
        }));
        common::create_namespace(&world.kube).await;
        let job = json!({
            "metadata": {"name": "orders"},
            "spec": {"image": "flink", "flinkVersion": "v1_20", "job": {"jarURI": "local:///job.jar", "parallelism": 1}},
        });
        create(&world.kube, "savepoints.dev/v1alpha1", "FlinkJobUpgrade", Some(NAMESPACE), job).await;
        let active = json!({"revision": 1, "submission": {"jobId": "0".repeat(32), "revision": 1}});
        let status = json!({"status": {"phase": "Running", "active": active}});
        world.status("FlinkJobUpgrade", "orders", status).await;
        let template = json!({"spec": {"jobRef": {"kind": "FlinkJobUpgrade", "name": "orders"}}});
        let mut spec = json!({"schedule": "0 * * * *", "savepointTemplate": template});
        common::merge(&mut spec, (story.spec)());
        let schedule = json!({"metadata": {"name": "nightly"}, "spec": spec});
        create(&world.kube, "savepoints.dev/v1alpha1", "FlinkSavepointSchedule", Some(NAMESPACE), schedule).await;
        world
    }

    async fn status(&self, kind: &str, name: &str, status: Value) {
        let all = objects(&self.kube, "savepoints.dev/v1alpha1", kind, Some(NAMESPACE));
        all.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    }

    fn schedule(&self) -> FlinkSavepointSchedule {
        serde_json::from_value(self.kube.object(SCHEDULES, NAMESPACE, "nightly").unwrap()).unwrap()
    }

    async fn run_now(&self) {
        let annotations = json!({"metadata": {"annotations": {RUN_NOW: "before the release"}}});
        let all = objects(&self.kube, "savepoints.dev/v1alpha1", "FlinkSavepointSchedule", Some(NAMESPACE));
        all.patch("nightly", &PatchParams::default(), &Patch::Merge(annotations)).await.unwrap();
    }

    fn savepoints(&self) -> Vec<FlinkSavepoint> {
        self.kube.objects(SAVEPOINTS).into_iter().map(|object| serde_json::from_value(object).unwrap()).collect()
    }

    fn operator(&self, faults: &Faults) -> Context {
        let client = Client::new(self.kube.service(faults.clone()).named(OPERATOR), NAMESPACE);
        common::context(client, Arc::new(Nobody), &Arc::new(InMemory::new()), faults, &self.clock)
    }

    /// Savepoints come to their end.
    async fn savepoints_go_on(&self) {
        for savepoint in self.kube.objects(SAVEPOINTS) {
            let at = |pointer: &str| savepoint.pointer(pointer).and_then(Value::as_str).map(ToOwned::to_owned);
            let made: DateTime<chrono::Utc> = at("/metadata/creationTimestamp").unwrap().parse().unwrap();
            let over = (self.clock.now() - made).to_std().unwrap_or_default() >= TAKES;
            let name = at("/metadata/name").unwrap();
            if over && at("/status/phase").is_none() {
                let nobody = json!({
                    "type": "Deletable", "status": "True", "reason": "NotHeld", "message": "", "lastTransitionTime": self.clock.now(),
                });
                let status = json!({"phase": "Completed", "completionTime": self.clock.now(), "conditions": [nobody]});
                self.status("FlinkSavepoint", &name, json!({"status": status})).await;
            }
            if at("/metadata/deletionTimestamp").is_some() {
                let all = objects(&self.kube, "savepoints.dev/v1alpha1", "FlinkSavepoint", Some(NAMESPACE));
                let gone = Patch::Merge(json!({"metadata": {"finalizers": null}}));
                all.patch(&name, &PatchParams::default(), &gone).await.unwrap();
            }
        }
    }
}

/// Tells the four hours. `down`: so long the operator is away after a crash. `late`: its cache has what was there when it
/// looked the time before.
async fn tell(story: &Story, faults: Faults, down: Duration, late: bool) -> (World, Vec<String>) {
    let world = World::new(story).await;
    let mut before = Vec::new();
    let end = Instant::now() + LASTS;
    let mut asked = Some(Instant::now() + LASTS / 4).filter(|_| story.run_now);
    let (mut operator, mut mortal) = (world.operator(&faults), faults.clone());
    let mut cache = Cache::of(&operator);
    let mut due = Instant::now();
    while Instant::now() < end {
        world.savepoints_go_on().await;
        if asked.take_if(|at| *at <= Instant::now()).is_some() {
            world.run_now().await;
            due = due.min(Instant::now());
        }
        if Instant::now() < due {
            sleep_until(due.min(Instant::now() + OFTEN)).await;
            continue;
        }
        let live = world.schedule();
        let now = world.savepoints();
        cache.set(if late { std::mem::replace(&mut before, now) } else { now });
        let wait = tokio::select! {
            biased;
            wait = passes::<Schedules>(&live, &operator) => wait.unwrap_or(AFTER_ERROR),
            () = mortal.crash() => {
                mortal = Faults::none();
                operator = world.operator(&mortal);
                cache = Cache::of(&operator);
                down
            }
        };
        // Changes of its savepoints would be seen as by a watch.
        due = Instant::now() + wait.min(if down > OFTEN && wait == down { down } else { OFTEN });
    }
    let calls = faults.calls();
    (world, calls)
}

/// Each slot has one savepoint, which was made once; and at rest nothing is written.
async fn compare(story: &Story, world: &World) {
    let created = world.created.lock().unwrap().clone();
    let mut expected: BTreeMap<String, usize> = SLOTS.iter().map(|slot| ((*slot).to_owned(), 1)).collect();
    if story.run_now {
        expected.insert(naming::run_now_name("nightly", "before the release"), 1);
    }
    assert_eq!(created, expected);
    let left: Vec<String> = world.savepoints().iter().map(kube::ResourceExt::name_any).collect();
    assert_eq!(left, story.left);
    let status: FlinkSavepointScheduleStatus = world.schedule().status.unwrap();
    assert_eq!((status.missed, status.active), (None, Vec::new()), "at half past one all are over");
    let before = world.schedule().metadata.resource_version;
    sleep(Duration::from_secs(600)).await;
    passes::<Schedules>(&world.schedule(), &world.operator(&Faults::none())).await.unwrap();
    assert_eq!(world.schedule().metadata.resource_version, before, "written at rest");
}

const STORIES: [Story; 2] = [PLAIN, KEPT];

#[test]
fn undisturbed() {
    for story in STORIES {
        run(async {
            let (world, _) = tell(&story, Faults::none(), Duration::ZERO, false).await;
            compare(&story, &world).await;
        });
    }
}

#[test]
fn with_stale_reads() {
    for story in STORIES {
        run(async {
            let (world, calls) = tell(&story, Faults::none(), Duration::ZERO, true).await;
            compare(&story, &world).await;
            let asked = calls.iter().filter(|call| call.starts_with("POST flinksavepoints")).count();
            assert_eq!(
                asked,
                SLOTS.len() + usize::from(story.run_now),
                "of what it has just created it knows: {calls:#?}"
            );
        });
    }
}

mod with_every_fault {
    use super::*;

    fn sweep(story: &Story) {
        let (_, calls) = run(tell(story, Faults::none(), Duration::ZERO, false));
        let mut told = 0;
        for (at, call) in calls.iter().enumerate() {
            for (fault, down) in faults_at(at, call) {
                eprintln!("{fault:?} at call {at}, {call}, down for {down} s");
                run(async {
                    let (world, _) = tell(story, Faults::at(at, fault), Duration::from_secs(down), false).await;
                    compare(story, &world).await;
                });
                told += 1;
            }
        }
        assert!(told > 40, "a scenario without calls");
    }

    #[test]
    fn four_hours() {
        sweep(&PLAIN);
    }

    #[test]
    fn of_which_two_are_kept() {
        sweep(&KEPT);
    }
}

/// Somebody else's FlinkSavepoint has the name of a slot: that is said, and once it is gone the slot starts.
#[test]
fn what_can_not_be_created_is_told_until_it_can() {
    run(async {
        let world = World::new(&PLAIN).await;
        let spec = json!({"path": "s3://flink/sp/savepoint-1"});
        let foreign = json!({"metadata": {"name": SLOTS[0]}, "spec": spec});
        create(&world.kube, "savepoints.dev/v1alpha1", "FlinkSavepoint", Some(NAMESPACE), foreign).await;
        let operator = world.operator(&Faults::none());
        sleep(Duration::from_secs(31 * 60)).await;
        let ready = |world: &World| {
            let conditions = world.schedule().status.unwrap().conditions;
            let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready").unwrap();
            (ready.reason, ready.message)
        };
        let mut seen = Vec::new();
        for _ in 0..3 {
            let wait = passes::<Schedules>(&world.schedule(), &operator).await.unwrap();
            assert!(wait <= Duration::from_secs(30), "{wait:?}");
            seen.push(world.schedule().metadata.resource_version);
        }
        assert_eq!(seen[1], seen[2], "said once");
        let (reason, message) = ready(&world);
        assert_eq!(reason, "SavepointBlocked");
        assert!(message.contains(SLOTS[0]) && message.contains("delete or rename it"), "{message}");
        let all = objects(&world.kube, "savepoints.dev/v1alpha1", "FlinkSavepoint", Some(NAMESPACE));
        all.delete(SLOTS[0], &kube::api::DeleteParams::default()).await.unwrap();
        passes::<Schedules>(&world.schedule(), &operator).await.unwrap();
        assert_eq!(world.schedule().status.unwrap().active[0].name, SLOTS[0]);
        assert!(world.savepoints()[0].labels().contains_key("savepoints.dev/schedule"));
        passes::<Schedules>(&world.schedule(), &operator).await.unwrap();
        assert_eq!(ready(&world).0, "Scheduled");
    });
}
