//! Many schedules of the same minute, whose savepoints go to a store that takes only so many at once: the controllers of
//! schedules and of savepoints over fake Flink clusters, in virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::DateTime;
use fakes::clock::Clock;
use fakes::faults::Faults;
use fakes::flink::{Cluster, JobScript, Settings, Version};
use fakes::kube::{ApiServer, Change};
use flink_savepoint_operator::api::{FlinkSavepoint, FlinkSavepointSchedule, SavepointPhase};
use flink_savepoint_operator::context::Context;
use flink_savepoint_operator::flink::Transport;
use flink_savepoint_operator::flink::transport::Undelivered;
use flink_savepoint_operator::reconcile::{Reconciler, passes};
use flink_savepoint_operator::savepoint::Savepoints;
use flink_savepoint_operator::schedule::{self, Schedules};
use futures::future::join_all;
use kube::Client;
use object_store::memory::InMemory;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use crate::cache::Cache;
use crate::common::faults::run;
use crate::common::{self, BUCKET, NAMESPACE, OPERATOR, create, delivered, kinds};
use crate::way;
use crate::{AFTER_ERROR, SAVEPOINTS, SCHEDULES};

/// Schedules, each of a job of its own.
const MANY: usize = 200;
/// Flink clusters, on which these jobs run.
const CLUSTERS: usize = 20;
/// `maxConcurrentSavepoints` of the store.
const AT_ONCE: usize = 20;
/// A controller looks at so many objects at once.
const CONCURRENCY: usize = 32;
/// It must be over by then.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Looks on at the savepoints.
#[derive(Default)]
struct Seen {
    /// How often each was created.
    created: BTreeMap<String, usize>,
    /// Which of them are complete.
    completed: BTreeSet<String>,
    /// Which of them Flink may be writing.
    under_way: BTreeSet<String>,
    /// The most that it wrote at once.
    most: usize,
    /// What a controller is to look at.
    changed: BTreeSet<(&'static str, String)>,
}

impl Seen {
    fn look(&mut self, change: &Change<'_>) {
        let name = change.key.name.clone();
        if change.key.resource == SCHEDULES {
            self.changed.insert((SCHEDULES, name));
            return;
        }
        let Some(object) = change.new.filter(|_| change.key.resource == SAVEPOINTS) else { return };
        *self.created.entry(name.clone()).or_default() += usize::from(change.old.is_none());
        let savepoint: FlinkSavepoint = serde_json::from_value(object.clone()).unwrap();
        self.changed.insert((SAVEPOINTS, name.clone()));
        self.changed.extend(schedule::of_savepoint(&savepoint).map(|one| (SCHEDULES, one.name)));
        let status = savepoint.status.unwrap_or_default();
        if status.phase == Some(SavepointPhase::Completed) {
            self.completed.insert(name.clone());
        }
        if status.attempts.last().is_some_and(|attempt| attempt.result.is_none()) {
            self.under_way.insert(name);
        } else {
            self.under_way.remove(&name);
        }
        self.most = self.most.max(self.under_way.len());
    }
}

/// The clusters, each at an address of its own.
#[derive(Debug)]
struct Network(BTreeMap<String, Cluster>);

#[async_trait::async_trait]
impl Transport for Network {
    async fn send(
        &self,
        request: http::Request<Vec<u8>>,
        _limit: Duration,
    ) -> Result<http::Response<Vec<u8>>, Undelivered> {
        let cluster = &self.0[request.uri().host().unwrap_or_default()];
        delivered(&Faults::none(), request, async |request| cluster.handle(request).await).await
    }
}

struct World {
    kube: ApiServer,
    operator: Context,
    storage: Arc<InMemory>,
    seen: Arc<Mutex<Seen>>,
}

impl World {
    /// Half a minute before the slot somebody schedules a savepoint of each job.
    async fn new() -> Self {
        let clock = Clock::new(DateTime::parse_from_rfc3339("2026-11-22T09:59:30Z").unwrap().to_utc());
        let (kube, storage) = (ApiServer::new(clock.clone(), kinds()), Arc::new(InMemory::new()));
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let looks = seen.clone();
        kube.on_change(Box::new(move |change| looks.lock().unwrap().look(change)));
        common::create_namespace(&kube).await;
        let store = json!({
            "metadata": {"name": "s3"}, "spec": {"url": BUCKET, "maxConcurrentSavepoints": AT_ONCE},
        });
        create(&kube, "savepoints.dev/v1alpha1", "FlinkSnapshotStore", Some(NAMESPACE), store).await;
        let mut clusters = BTreeMap::new();
        for n in 0..CLUSTERS {
            let settings = Settings {
                slots: MANY / CLUSTERS,
                ..Settings::new(Version::V1_20, storage.clone(), BUCKET, clock.clone())
            };
            let (service, pod, address) = (format!("flink-{n}"), format!("flink-{n}-0"), format!("10.0.0.{n}"));
            way::create_way(&kube, &service, &pod, &address, true).await;
            way::restarted(&kube, &pod, 0).await;
            clusters.insert(address, Cluster::new(settings));
        }
        let jobs = clusters.values().cycle().take(MANY).enumerate();
        for (n, cluster) in jobs {
            let script = JobScript { checkpoint_interval: None, ..JobScript::new("orders", 1) };
            cluster.start_job(&job(n), script);
        }
        let services = clusters.keys().map(|address| address.replace("10.0.0.", "flink-")).cycle();
        for (n, service) in services.take(MANY).enumerate() {
            let spec = json!({
                "flinkCluster": {"service": service, "jobId": job(n)}, "targetDirectory": format!("{BUCKET}/sp"),
            });
            let spec = json!({"schedule": "0 10 * * *", "savepointTemplate": {"spec": spec}});
            let schedule = json!({"metadata": {"name": format!("nightly-{n}")}, "spec": spec});
            create(&kube, "savepoints.dev/v1alpha1", "FlinkSavepointSchedule", Some(NAMESPACE), schedule).await;
        }
        let client = Client::new(kube.service(Faults::none()).named(OPERATOR), NAMESPACE);
        let operator = common::context(client, Arc::new(Network(clusters)), &storage, &Faults::none(), &clock);
        Self { kube, operator, storage, seen }
    }

    fn all<K: DeserializeOwned>(&self, resource: &str) -> Vec<K> {
        self.kube.objects(resource).into_iter().map(|object| serde_json::from_value(object).unwrap()).collect()
    }

    /// Looks at objects, and says when each is due again.
    async fn passes<R: Reconciler>(&self, resource: &'static str, names: &[String], due: &mut Due) {
        for names in names.chunks(CONCURRENCY) {
            let now = names.iter().filter_map(|name| self.kube.object(resource, NAMESPACE, name));
            let now: Vec<R::Object> = now.map(|object| serde_json::from_value(object).unwrap()).collect();
            let waits = join_all(now.iter().map(|object| passes::<R>(object, &self.operator))).await;
            for (name, wait) in names.iter().zip(waits) {
                due.insert((resource, name.clone()), Instant::now() + wait.unwrap_or(AFTER_ERROR));
            }
        }
    }

    /// All savepoints are complete, and all that follows from that was looked at.
    fn is_over(&self) -> bool {
        let seen = self.seen.lock().unwrap();
        seen.completed.len() == MANY && seen.changed.is_empty()
    }
}

/// When an object is looked at again.
type Due = BTreeMap<(&'static str, String), Instant>;

fn job(n: usize) -> String {
    format!("{n:032x}")
}

/// Both controllers, until all savepoints are complete.
async fn tell(world: &World) {
    let (began, mut due) = (Instant::now(), Due::new());
    let mut cache = Cache::of(&world.operator);
    while !world.is_over() {
        assert!(began.elapsed() < PATIENCE, "{} are complete", world.seen.lock().unwrap().completed.len());
        let changed = std::mem::take(&mut world.seen.lock().unwrap().changed);
        due.extend(changed.into_iter().map(|one| (one, Instant::now())));
        sleep_until(due.values().min().copied().unwrap()).await;
        let (now, later): (Due, Due) = std::mem::take(&mut due).into_iter().partition(|(_, at)| *at <= Instant::now());
        due = later;
        let of =
            |resource| now.keys().filter(|(of, _)| *of == resource).map(|(_, name)| name.clone()).collect::<Vec<_>>();
        cache.set(world.all(SAVEPOINTS));
        world.passes::<Schedules>(SCHEDULES, &of(SCHEDULES), &mut due).await;
        world.passes::<Savepoints>(SAVEPOINTS, &of(SAVEPOINTS), &mut due).await;
    }
}

#[test]
fn each_slot_has_one_savepoint_and_the_store_no_more_than_it_takes() {
    run(async {
        let world = World::new().await;
        tell(&world).await;
        let slots: BTreeMap<String, usize> = (0..MANY).map(|n| (format!("nightly-{n}-20261122-1000"), 1)).collect();
        {
            let seen = world.seen.lock().unwrap();
            assert_eq!(seen.most, AT_ONCE, "the most at once");
            assert_eq!(seen.created, slots);
        }
        let mut whole = common::files(&world.storage, "sp").await;
        whole.retain(|file| file.ends_with("/_metadata"));
        assert_eq!(whole.len(), MANY, "savepoints that are there");
        for schedule in world.all::<FlinkSavepointSchedule>(SCHEDULES) {
            let status = schedule.status.unwrap();
            let told = (status.active.is_empty(), status.missed, status.last_successful_time.is_some());
            assert_eq!(told, (true, None, true), "{:?}", schedule.metadata.name);
        }
    });
}
