//! What the benchmarks of the controllers have in common: an API server in the process, Flink clusters over HTTP, and the
//! operator's controllers over both.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use fakes::clock::Clock;
use fakes::faults::Faults;
use fakes::flink::{Cluster, JobScript, Served, Settings as FlinkSettings, Version};
use fakes::kube::{ApiServer, Kind, Trait};
use flink_savepoint_operator::context::{Context, Settings};
use flink_savepoint_operator::runtime::backoff::Backoff;
use flink_savepoint_operator::runtime::events::Events;
use flink_savepoint_operator::runtime::lease::Claim;
use flink_savepoint_operator::runtime::metrics::Metrics;
use flink_savepoint_operator::runtime::readiness::Readiness;
use flink_savepoint_operator::runtime::shutdown::Shutdown;
use flink_savepoint_operator::runtime::tasks::Tasks;
use flink_savepoint_operator::snapshot::store::Store;
use flink_savepoint_operator::store::copies::copies;
use flink_savepoint_operator::store::open::Open;
use flink_savepoint_operator::{api, controllers, flink, store, time};
use kube::Client;
use object_store::memory::InMemory;
use serde_json::{Value, json};
use tokio::sync::watch;

/// The namespace of all.
const NAMESPACE: &str = "bench";
/// The client whose writes are the operator's.
pub const OPERATOR: &str = "operator";
/// The FlinkSavepoints, as the API server names them to who looks on.
pub const SAVEPOINT: &str = "flinksavepoints.savepoints.dev";
/// All must be over by then.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// A world without an operator.
pub struct World {
    /// What time it is.
    pub clock: Clock,
    /// The API server.
    pub server: ApiServer,
    /// The calls that the operator has made.
    pub calls: Faults,
    storage: Arc<InMemory>,
    hands: Client,
    clusters: Vec<Served>,
}

/// The operator's controllers; they end when this is dropped.
pub struct Operator {
    stop: Shutdown,
    _claim: watch::Sender<Claim>,
    _tasks: Tasks,
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.stop.trigger();
    }
}

impl World {
    /// A namespace, a FlinkSnapshotStore that takes so many savepoints at once, and session clusters, each with so many
    /// jobs and behind a Service.
    pub async fn new(now: DateTime<Utc>, clusters: usize, jobs: usize, at_once: Option<usize>) -> Result<Self> {
        let clock = Clock::new(now);
        let server = ApiServer::new(clock.clone(), kinds());
        let hands = Client::new(server.service(Faults::none()).named("hands"), NAMESPACE);
        let (calls, storage) = (Faults::none(), Arc::new(InMemory::new()));
        let mut world = Self { clock, server, calls, storage, hands, clusters: Vec::new() };
        let namespace = json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": NAMESPACE}});
        world.put("/api/v1/namespaces", namespace).await?;
        for n in 0..clusters {
            let cluster = world.cluster(n, jobs).await?;
            world.clusters.push(cluster);
        }
        let mut spec = json!({"url": "s3://flink"});
        if let (Some(at_once), Some(spec)) = (at_once, spec.as_object_mut()) {
            spec.insert("maxConcurrentSavepoints".to_owned(), at_once.into());
        }
        world.apply("FlinkSnapshotStore", "flinksnapshotstores", "s3", spec).await?;
        Ok(world)
    }

    /// Starts the operator, and waits until its watches are up.
    pub async fn operator(&self) -> Result<Operator> {
        let stop = Shutdown::new();
        let (claim, held) = watch::channel(Claim::Held { until: tokio::time::Instant::now() + PATIENCE * 2 });
        let mut tasks = Tasks::new();
        controllers::spawn(&mut tasks, &self.context(held)?, &stop);
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(Operator { stop, _claim: claim, _tasks: tasks })
    }

    /// Somebody creates one of the operator's own resources.
    pub async fn apply(&self, kind: &str, plural: &str, name: &str, spec: Value) -> Result<()> {
        let object = json!({"kind": kind, "apiVersion": api::API_VERSION, "metadata": {"name": name}, "spec": spec});
        self.put(&format!("/apis/{}/namespaces/{NAMESPACE}/{plural}", api::API_VERSION), object).await
    }

    async fn put(&self, path: &str, object: Value) -> Result<()> {
        let request = http::Request::post(path).body(serde_json::to_vec(&object)?)?;
        self.hands.request::<Value>(request).await.with_context(|| format!("POST {path}"))?;
        Ok(())
    }

    /// A session cluster with jobs, served over HTTP, behind a Service.
    async fn cluster(&self, n: usize, jobs: usize) -> Result<Served> {
        let mut settings = FlinkSettings::new(Version::V1_20, self.storage.clone(), "s3://flink", self.clock.clone());
        settings.checkpoint_directory = Some(format!("s3://flink/ck/{n}"));
        settings.slots = settings.slots.max(jobs);
        let flink = Cluster::new(settings);
        for job in 0..jobs {
            flink.start_job(&job_id(n, job), JobScript { checkpoint_interval: None, ..JobScript::new("orders", 1) });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        let served = flink.serve().await?;
        let port: u16 = served.url.rsplit_once(':').context("no port")?.1.trim_end_matches('/').parse()?;
        let core = format!("/api/v1/namespaces/{NAMESPACE}");
        let (name, pod) = (service(n), format!("{}-0", service(n)));
        let ports = json!([{"name": "rest", "port": 8081}]);
        let object =
            json!({"kind": "Service", "apiVersion": "v1", "metadata": {"name": name}, "spec": {"ports": ports}});
        self.put(&format!("{core}/services"), object).await?;
        let container =
            json!({"name": "jobmanager", "image": "flink", "imageID": "", "ready": true, "restartCount": 0});
        let object = json!({
            "kind": "Pod", "apiVersion": "v1", "metadata": {"name": pod},
            "spec": {"containers": [{"name": "jobmanager", "image": "flink"}]},
        });
        self.put(&format!("{core}/pods"), object).await?;
        let status = json!({"metadata": {"name": pod}, "status": {"containerStatuses": [container]}});
        let patch = http::Request::patch(format!("{core}/pods/{pod}/status"))
            .header("content-type", "application/merge-patch+json")
            .body(serde_json::to_vec(&status)?)?;
        self.hands.request::<Value>(patch).await?;
        let slice = json!({
            "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4", "ports": [{"name": "rest", "port": port}],
            "endpoints": [{"addresses": ["127.0.0.1"], "targetRef": {"kind": "Pod", "name": pod}}],
        });
        self.put(&format!("/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"), slice).await?;
        Ok(served)
    }

    fn context(&self, claim: watch::Receiver<Claim>) -> Result<Context> {
        let client = Client::new(self.server.service(self.calls.clone()).named(OPERATOR), NAMESPACE);
        let (events, _publisher) = Events::new(client.clone(), None);
        let (objects, clock) = (Arc::clone(&self.storage), self.clock.clone());
        Ok(Context {
            client,
            metrics: Metrics::new(),
            events,
            claim,
            readiness: Readiness::new(),
            clock: time::Clock::from(move || -> DateTime<Utc> { clock.now() }),
            backoff: Arc::new(Backoff::new()),
            flink: flink::Connector::new()?,
            stores: Arc::new(Open::by(move |settings| Ok(Store::over(&settings.url, objects.clone())))),
            checks: Arc::new(store::check::checks()),
            copies: Arc::new(copies()),
            turns: Arc::default(),
            known: Arc::default(),
            room: Arc::default(),
            helper_jar: Arc::from([]),
            settings: Arc::new(Settings::default()),
        })
    }
}

/// The name of a cluster's Service.
pub fn service(cluster: usize) -> String {
    format!("flink-{cluster}")
}

/// The id of a job on a cluster.
pub fn job_id(cluster: usize, job: usize) -> String {
    format!("{cluster:016x}{job:016x}")
}

/// Waits until so many are finished.
pub async fn wait(all: usize, finished: impl Fn() -> usize) -> Result<()> {
    let began = Instant::now();
    while finished() < all {
        anyhow::ensure!(began.elapsed() < PATIENCE, "{} of {all} are Completed", finished());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// The least, the median, and the most.
pub fn spread(mut all: Vec<Duration>) -> (Duration, Duration, Duration) {
    all.sort();
    let at = |n: usize| all.get(n).copied().unwrap_or_default();
    (at(0), at(all.len() / 2), at(all.len().saturating_sub(1)))
}

fn kinds() -> Vec<Kind> {
    let traits = &[Trait::Custom, Trait::Status, Trait::Generation];
    let ours = api::crds()
        .into_iter()
        .map(|crd| Kind::built_in(api::GROUP, api::VERSION, &crd.spec.names.plural, &crd.spec.names.kind, traits));
    let slices = Kind::built_in("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", &[]);
    Kind::built_ins().into_iter().chain(ours).chain([slices]).collect()
}
