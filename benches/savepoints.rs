//! A hundred FlinkSavepoints of twenty jobs, created at once: the operator's controllers over an API server in this process
//! and twenty session clusters over HTTP. `cargo bench --bench savepoints`.
//!
//! Measured is what the operator adds: the fake Flink takes 80 ms for a savepoint, and the fake API server next to nothing
//! for a write.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use fakes::clock::Clock;
use fakes::faults::Faults;
use fakes::flink::{Cluster, JobScript, Served, Settings as FlinkSettings, Version};
use fakes::kube::{ApiServer, Kind, Trait};
use flink_savepoint_operator::runtime::backoff::Backoff;
use flink_savepoint_operator::runtime::events::Events;
use flink_savepoint_operator::runtime::lease::Claim;
use flink_savepoint_operator::runtime::metrics::Metrics;
use flink_savepoint_operator::runtime::readiness::Readiness;
use flink_savepoint_operator::runtime::shutdown::Shutdown;
use flink_savepoint_operator::runtime::tasks::Tasks;
use flink_savepoint_operator::runtime::{Context, Settings};
use flink_savepoint_operator::savepoint::copy::observe::copies;
use flink_savepoint_operator::snapshot::store::Store;
use flink_savepoint_operator::store::open::Open;
use flink_savepoint_operator::{api, controllers, flink, store, time};
use kube::Client;
use object_store::memory::InMemory;
use serde_json::{Value, json};
use tokio::sync::watch;

const JOBS: usize = 20;
const SAVEPOINTS: usize = 100;
const NAMESPACE: &str = "bench";
const PATIENCE: Duration = Duration::from_secs(120);
const SAVEPOINT: &str = "flinksavepoints.savepoints.dev";

/// When each FlinkSavepoint was created and Completed, and how often it was written.
type Seen = Arc<Mutex<BTreeMap<String, (Instant, Option<Instant>, usize)>>>;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (mut alone, mut together) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        alone.extend(runtime.block_on(round(1, 1))?.0);
        together.push(runtime.block_on(round(JOBS, SAVEPOINTS))?);
    }
    let (least, median, most) = spread(alone);
    let mut told = format!("one savepoint, apply to Completed: {median:.0?} ({least:.0?} to {most:.0?})\n");
    for (each, writes, all) in together {
        let (least, median, most) = spread(each);
        let writes = writes.div_ceil(SAVEPOINTS);
        writeln!(
            told,
            "{SAVEPOINTS} savepoints of {JOBS} jobs: all Completed after {all:.2?}; each after {median:.0?} ({least:.0?} to \
             {most:.0?}), with at most {writes} writes on average"
        )?;
    }
    std::io::stdout().write_all(told.as_bytes())?;
    Ok(())
}

/// The least, the median, and the most.
fn spread(mut all: Vec<Duration>) -> (Duration, Duration, Duration) {
    all.sort();
    let at = |n: usize| all.get(n).copied().unwrap_or_default();
    (at(0), at(all.len() / 2), at(all.len().saturating_sub(1)))
}

/// How long each took, all writes to them, and how long all took.
async fn round(jobs: usize, savepoints: usize) -> Result<(Vec<Duration>, usize, Duration)> {
    let clock = Clock::new(Utc::now());
    let storage = Arc::new(InMemory::new());
    let server = ApiServer::new(clock.clone(), kinds());
    let hands = Client::new(server.service(Faults::none()).named("hands"), NAMESPACE);
    put(
        &hands,
        "/api/v1/namespaces",
        json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": NAMESPACE}}),
    )
    .await?;
    let mut clusters = Vec::new();
    for n in 0..jobs {
        clusters.push(cluster(&hands, n, &storage, &clock).await?);
    }
    let store = json!({"kind": "FlinkSnapshotStore", "apiVersion": api::API_VERSION, "metadata": {"name": "s3"}, "spec": {"url": "s3://flink"}});
    put(&hands, &custom("flinksnapshotstores"), store).await?;

    let seen = Seen::default();
    let observer = Arc::clone(&seen);
    server.on_change(Box::new(move |change| {
        if change.key.resource != SAVEPOINT {
            return;
        }
        let Ok(mut seen) = observer.lock() else { return };
        let entry = seen.entry(change.key.name.clone()).or_insert_with(|| (Instant::now(), None, 0));
        entry.2 += usize::from(change.client == "operator");
        let phase = change.new.and_then(|new| new.pointer("/status/phase")).and_then(Value::as_str);
        if phase == Some("Completed") && entry.1.is_none() {
            entry.1 = Some(Instant::now());
        }
    }));

    let stop = Shutdown::new();
    let (claim, held) = watch::channel(Claim::Held { until: tokio::time::Instant::now() + PATIENCE * 2 });
    let mut tasks = Tasks::new();
    controllers::spawn(&mut tasks, &context(&server, &storage, held)?, &stop);
    // The watches are up.
    tokio::time::sleep(Duration::from_millis(500)).await;

    let began = Instant::now();
    for n in 0..savepoints {
        let spec =
            json!({"flinkCluster": {"service": format!("flink-{}", n % jobs)}, "targetDirectory": "s3://flink/sp"});
        let object = json!({"kind": "FlinkSavepoint", "apiVersion": api::API_VERSION, "metadata": {"name": format!("s-{n}")}, "spec": spec});
        put(&hands, &custom("flinksavepoints"), object).await?;
    }
    let finished =
        || seen.lock().map(|seen| seen.values().filter(|(_, end, _)| end.is_some()).count()).unwrap_or_default();
    while finished() < savepoints {
        anyhow::ensure!(began.elapsed() < PATIENCE, "{} of {savepoints} are Completed", finished());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let all = began.elapsed();
    stop.trigger();
    drop(claim);
    let seen = seen.lock().map_err(|_| anyhow::anyhow!("an observer failed"))?;
    let each = seen.values().filter_map(|(begin, end, _)| Some(end.as_ref()?.duration_since(*begin))).collect();
    let writes = seen.values().map(|(_, _, writes)| writes).sum();
    drop(clusters);
    Ok((each, writes, all))
}

fn kinds() -> Vec<Kind> {
    let traits = &[Trait::Custom, Trait::Status, Trait::Generation];
    let ours = api::crds()
        .into_iter()
        .map(|crd| Kind::built_in(api::GROUP, api::VERSION, &crd.spec.names.plural, &crd.spec.names.kind, traits));
    let slices = Kind::built_in("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", &[]);
    Kind::built_ins().into_iter().chain(ours).chain([slices]).collect()
}

fn custom(plural: &str) -> String {
    format!("/apis/{}/namespaces/{NAMESPACE}/{plural}", api::API_VERSION)
}

async fn put(client: &Client, path: &str, object: Value) -> Result<()> {
    let request = http::Request::post(path).body(serde_json::to_vec(&object)?)?;
    client.request::<Value>(request).await.with_context(|| format!("POST {path}"))?;
    Ok(())
}

/// A session cluster with one job, served over HTTP, behind a Service.
async fn cluster(hands: &Client, n: usize, storage: &Arc<InMemory>, clock: &Clock) -> Result<Served> {
    let mut settings = FlinkSettings::new(Version::V1_20, storage.clone(), "s3://flink", clock.clone());
    settings.checkpoint_directory = Some(format!("s3://flink/ck/{n}"));
    let flink = Cluster::new(settings);
    flink.start_job(&format!("{n:032x}"), JobScript { checkpoint_interval: None, ..JobScript::new("orders", 1) });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let served = flink.serve().await?;
    let port: u16 = served.url.rsplit_once(':').context("no port")?.1.trim_end_matches('/').parse()?;
    let core = format!("/api/v1/namespaces/{NAMESPACE}");
    let (name, pod) = (format!("flink-{n}"), format!("flink-{n}-0"));
    let ports = json!([{"name": "rest", "port": 8081}]);
    put(
        hands,
        &format!("{core}/services"),
        json!({"kind": "Service", "apiVersion": "v1", "metadata": {"name": name}, "spec": {"ports": ports}}),
    )
    .await?;
    let container = json!({"name": "jobmanager", "image": "flink", "imageID": "", "ready": true, "restartCount": 0});
    let object = json!({
        "kind": "Pod", "apiVersion": "v1", "metadata": {"name": pod},
        "spec": {"containers": [{"name": "jobmanager", "image": "flink"}]},
    });
    put(hands, &format!("{core}/pods"), object.clone()).await?;
    let status = json!({"metadata": {"name": pod}, "status": {"containerStatuses": [container]}});
    let patch = http::Request::patch(format!("{core}/pods/{pod}/status"))
        .header("content-type", "application/merge-patch+json")
        .body(serde_json::to_vec(&status)?)?;
    hands.request::<Value>(patch).await?;
    let slice = json!({
        "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4", "ports": [{"name": "rest", "port": port}],
        "endpoints": [{"addresses": ["127.0.0.1"], "targetRef": {"kind": "Pod", "name": pod}}],
    });
    put(hands, &format!("/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"), slice).await?;
    Ok(served)
}

fn context(server: &ApiServer, storage: &Arc<InMemory>, claim: watch::Receiver<Claim>) -> Result<Context> {
    let client = Client::new(server.service(Faults::none()).named("operator"), NAMESPACE);
    let (events, _publisher) = Events::new(client.clone(), None);
    let objects = Arc::clone(storage);
    Ok(Context {
        client,
        metrics: Metrics::new(),
        events,
        claim,
        readiness: Readiness::new(),
        clock: time::Clock::from(|| -> DateTime<Utc> { Utc::now() }),
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
