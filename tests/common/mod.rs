//! What the simulated worlds of the controllers have in common: a Kubernetes API server, an object store, and how the
//! operator's process reaches them.

pub mod faults;
pub mod invariants;
mod storage;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use fakes::clock::Clock;
use fakes::faults::{Faults, Lost};
use fakes::flink::Down;
use fakes::kube::{ApiServer, Kind, Trait};
use flink_savepoint_operator::context::{Context, Settings};
use flink_savepoint_operator::flink::transport::Undelivered;
use flink_savepoint_operator::flink::{Connector, Transport};
use flink_savepoint_operator::runtime::backoff::Backoff;
use flink_savepoint_operator::runtime::events::Events;
use flink_savepoint_operator::runtime::lease::Claim;
use flink_savepoint_operator::runtime::metrics::Metrics;
use flink_savepoint_operator::runtime::readiness::Readiness;
use flink_savepoint_operator::snapshot::store::{self, Store};
use flink_savepoint_operator::store::check::checks;
use flink_savepoint_operator::store::copies::copies;
use flink_savepoint_operator::store::open::Open;
use flink_savepoint_operator::{api, time};
use kube::api::PostParams;
use kube::core::DynamicObject;
use kube::discovery::ApiResource;
use kube::{Api, Client};
use object_store::memory::InMemory;
use serde_json::{Value, json};
use tokio::sync::watch;

use self::storage::Reached;

pub const NAMESPACE: &str = "shop";
pub const BUCKET: &str = "s3://flink";
/// The client whose writes are the operator's begins with this.
pub const OPERATOR: &str = "operator";

/// The kinds that the operator meets.
pub fn kinds() -> Vec<Kind> {
    static KINDS: OnceLock<Vec<Kind>> = OnceLock::new();
    let all = || {
        // Without their rules, which would be evaluated at every write: what users may write is another suite's.
        let custom = &[Trait::Custom, Trait::Status, Trait::Generation];
        let ours = api::crds().into_iter().map(|crd| {
            let names = &crd.spec.names;
            let schema =
                crd.spec.versions.first().and_then(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref());
            let first = schema.and_then(|schema| schema.properties.as_ref()?.get("status")?.default.clone());
            let kind = Kind::built_in(api::GROUP, api::VERSION, &names.plural, &names.kind, custom);
            kind.with_first_status(first.map(|default| default.0))
        });
        let slices = Kind::built_in("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", &[]);
        Kind::built_ins().into_iter().chain(ours).chain([slices]).collect()
    };
    KINDS.get_or_init(all).clone()
}

/// A client of nobody's.
pub fn hands(server: &ApiServer) -> Client {
    Client::new(server.service(Faults::none()).named("hands"), NAMESPACE)
}

/// The objects of a kind, in nobody's hands.
pub fn objects(server: &ApiServer, api_version: &str, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let plural = kinds().into_iter().find(|k| k.kind == kind && k.group == group).unwrap().plural;
    let resource = ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        plural,
    };
    match namespace {
        Some(namespace) => Api::namespaced_with(hands(server), namespace, &resource),
        None => Api::all_with(hands(server), &resource),
    }
}

/// Somebody creates an object.
pub async fn create(server: &ApiServer, api_version: &str, kind: &str, namespace: Option<&str>, object: Value) {
    let mut object = object;
    object["apiVersion"] = api_version.into();
    object["kind"] = kind.into();
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    objects(server, api_version, kind, namespace).create(&PostParams::default(), &object).await.unwrap();
}

/// The namespace.
pub async fn create_namespace(server: &ApiServer) {
    create(server, "v1", "Namespace", None, json!({"metadata": {"name": NAMESPACE}})).await;
}

/// A FlinkSnapshotStore that serves the bucket.
pub async fn create_store(server: &ApiServer) {
    let store = json!({"metadata": {"name": "s3"}, "spec": {"url": BUCKET}});
    create(server, api::API_VERSION, "FlinkSnapshotStore", Some(NAMESPACE), store).await;
}

/// Fields of `more` are put into `into`, or with `null` taken out of it.
pub fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                if value.is_null() {
                    into.remove(&key);
                } else {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (into, more) => *into = more,
    }
}

/// Files below a place in the bucket.
pub async fn files(storage: &InMemory, below: &str) -> Vec<String> {
    use futures::TryStreamExt as _;
    use object_store::ObjectStore as _;
    let listed = storage.list(Some(&below.into())).map_ok(|file| file.location.to_string());
    let mut files: Vec<String> = listed.try_collect().await.unwrap();
    files.sort();
    files
}

/// What the operator's process is given.
pub fn context(
    client: Client,
    network: Arc<dyn Transport>,
    storage: &Arc<InMemory>,
    faults: &Faults,
    clock: &Clock,
) -> Context {
    let (claim, held) = watch::channel(Claim::Held { until: far() });
    // The Lease is another suite's.
    std::mem::forget(claim);
    let (events, _publisher) = Events::new(client.clone(), None);
    let (objects, struck) = (storage.clone(), faults.clone());
    let opener = move |settings: &store::Settings| {
        Ok(Store::over(&settings.url, Arc::new(Reached { objects: objects.clone(), faults: struck.clone() })))
    };
    let clock = clock.clone();
    Context {
        client,
        metrics: Metrics::new(),
        events,
        claim: held,
        readiness: Readiness::new(),
        clock: time::Clock::from(move || clock.now()),
        backoff: Arc::new(Backoff::new()),
        flink: Connector::over(network),
        stores: Arc::new(Open::by(opener)),
        checks: Arc::new(checks()),
        copies: Arc::new(copies()),
        turns: Arc::default(),
        known: Arc::default(),
        room: Arc::default(),
        helper_jar: Arc::from([]),
        settings: Arc::new(Settings {
            image: Some("example.com/operator:1".to_owned()),
            small_copy_bytes: 1 << 20,
            ..Settings::default()
        }),
    }
}

fn far() -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_secs(1_000_000)
}

/// A request to a JobManager, as a call that a fault may strike.
pub async fn delivered(
    faults: &Faults,
    request: http::Request<Vec<u8>>,
    answer: impl AsyncFnOnce(http::Request<Bytes>) -> Result<http::Response<Bytes>, Down>,
) -> Result<http::Response<Vec<u8>>, Undelivered> {
    let name = format!("flink {} {}", request.method(), request.uri().path());
    match faults.around(&name, answer(request.map(Bytes::from))).await {
        Ok(Ok(answer)) => Ok(answer.map(|body| body.to_vec())),
        Ok(Err(down @ Down::Stopped)) => Err(Undelivered::Unanswered(down.to_string())),
        Ok(Err(down)) => Err(Undelivered::NotConnected(down.to_string())),
        Err(lost @ Lost::Refused) => Err(Undelivered::NotConnected(lost.to_string())),
        Err(lost @ Lost::Answer) => Err(Undelivered::Unanswered(lost.to_string())),
    }
}
