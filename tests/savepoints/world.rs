//! The simulated world: Kubernetes, a Flink cluster behind a Service, an object store, and the operator's process.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::DateTime;
use fakes::clock::Clock;
use fakes::faults::Faults;
use fakes::flink::{Cluster, Settings, Version};
use fakes::kube::ApiServer;
use flink_savepoint_operator::api::annotations::FLINK_SERVICE;
use flink_savepoint_operator::api::{FlinkSavepoint, SavepointPhase};
use flink_savepoint_operator::context::{Context, Settings as OperatorSettings};
use flink_savepoint_operator::flink::transport::Undelivered;
use flink_savepoint_operator::flink::{Tls, Transport};
use flink_savepoint_operator::runtime::events::Events;
use flink_savepoint_operator::runtime::shutdown::Shutdown;
use k8s_openapi::ByteString;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::core::DynamicObject;
use kube::{Api, Client};
use object_store::ObjectStoreExt as _;
use object_store::memory::InMemory;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::common::invariants::Invariants;
use crate::common::{self, BUCKET, NAMESPACE, OPERATOR, create, delivered, kinds, merge, objects};
use crate::copies::Copier;
use crate::way;

pub const JOB: &str = "000000000000000000000000000000aa";
const SAVEPOINTS: &str = "flinksavepoints.savepoints.dev";
const POD: &str = "flink-jobmanager-0";
const MANAGED_POD: &str = "orders-1-jobmanager-0";
const ADDRESS: &str = "10.0.0.1:8081";

/// All that is outside of the operator's process.
#[derive(Clone)]
pub struct World {
    pub clock: Clock,
    pub kube: ApiServer,
    pub flink: Cluster,
    pub storage: Arc<InMemory>,
    pub invariants: Invariants,
    /// What the FlinkSavepoints were.
    versions: Arc<Mutex<Vec<Kept>>>,
    /// Whether what is copied is too large for the operator.
    large_copies: bool,
    /// The Jobs that copy.
    pub copier: Arc<Copier>,
    /// The process of the JobManager and the ConfigMaps that Kubernetes shows.
    shown: Arc<Mutex<(u32, Vec<String>)>>,
}

/// A FlinkSavepoint as it was written: since when, its name, and what it was; `None`: it was removed.
type Kept = (Instant, String, Option<Value>);

/// What is different in a scenario's world.
#[derive(Clone)]
pub struct Wish {
    pub version: Version,
    pub high_availability: bool,
    /// Whether a FlinkSnapshotStore serves the bucket.
    pub store: bool,
    /// Whether the operator may see which pod is behind a Service.
    pub pods_visible: bool,
    /// What is copied is too large for the operator: so many Jobs fail before one copies all.
    pub failing_jobs: Option<usize>,
}

impl Default for Wish {
    fn default() -> Self {
        Self { version: Version::V1_20, high_availability: false, store: true, pods_visible: true, failing_jobs: None }
    }
}

impl World {
    pub async fn new(wish: &Wish) -> Self {
        let clock = Clock::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let storage = Arc::new(InMemory::new());
        let mut settings = Settings::new(wish.version, storage.clone(), BUCKET, clock.clone());
        settings.high_availability = wish.high_availability;
        NAMESPACE.clone_into(&mut settings.namespace);
        "flink".clone_into(&mut settings.cluster_id);
        settings.task_managers = 2;
        settings.slots = 2;
        let world = Self {
            kube: ApiServer::new(clock.clone(), kinds()),
            flink: Cluster::new(settings),
            storage,
            invariants: Invariants::default(),
            versions: Arc::default(),
            shown: Arc::default(),
            large_copies: wish.failing_jobs.is_some(),
            copier: Arc::new(Copier::new(wish.failing_jobs.unwrap_or_default())),
            clock,
        };
        world.furnish(wish).await;
        let (invariants, versions) = (world.invariants.clone(), world.versions.clone());
        world.kube.on_change(Box::new(move |change| {
            invariants.after_write(change);
            if change.key.resource == SAVEPOINTS {
                let version = (Instant::now(), change.key.name.clone(), change.new.cloned());
                versions.lock().unwrap().push(version);
            }
        }));
        world
    }

    async fn furnish(&self, wish: &Wish) {
        common::create_namespace(&self.kube).await;
        way::create_way(&self.kube, "flink", POD, "10.0.0.1", wish.pods_visible).await;
        if wish.store {
            common::create_store(&self.kube).await;
        }
        self.show().await;
    }

    /// A user's savepoint of the job on the cluster.
    pub async fn savepoint(&self, name: &str, more: Value) {
        let mut spec = json!({"flinkCluster": {"service": "flink"}, "targetDirectory": format!("{BUCKET}/sp")});
        merge(&mut spec, more);
        let object = json!({"metadata": {"name": name}, "spec": spec});
        create(&self.kube, "savepoints.dev/v1alpha1", "FlinkSavepoint", Some(NAMESPACE), object).await;
    }

    /// A Secret with an authority's certificate.
    pub async fn secret(&self, name: &str) {
        let authority = rcgen::generate_simple_self_signed(["authority".to_owned()]).unwrap().cert.pem();
        let data = json!({"ca.crt": ByteString(authority.into_bytes())});
        let secret = json!({"metadata": {"name": name}, "data": data});
        create(&self.kube, "v1", "Secret", Some(NAMESPACE), secret).await;
    }

    /// Lets it be used for the cluster.
    pub async fn allow(&self, name: &str) {
        let secrets = objects(&self.kube, "v1", "Secret", Some(NAMESPACE));
        let labels = json!({"metadata": {"labels": {FLINK_SERVICE: "flink"}}});
        secrets.patch(name, &PatchParams::default(), &Patch::Merge(labels)).await.unwrap();
    }

    /// A FlinkJobUpgrade whose first revision runs the job on the same cluster, as its own controller would have it.
    pub async fn managed_job(&self) {
        let container = json!({"name": "flink-main-container", "image": "flink"});
        let pod = json!({"metadata": {"name": MANAGED_POD}, "spec": {"containers": [container]}});
        create(&self.kube, "v1", "Pod", Some(NAMESPACE), pod).await;
        let spec = json!({"image": "flink", "job": {"jarURI": "local:///job.jar", "parallelism": 1}});
        let job = json!({"metadata": {"name": "orders"}, "spec": spec});
        create(&self.kube, "savepoints.dev/v1alpha1", "FlinkJobUpgrade", Some(NAMESPACE), job).await;
        let active = json!({"revision": 1, "submission": {"jobId": JOB, "revision": 1}});
        let patch = json!({"status": {"phase": "Running", "active": active}});
        self.jobs().patch_status("orders", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
        *self.shown.lock().unwrap() = Default::default();
        self.show().await;
    }

    /// Another FlinkJobUpgrade says that its job was restored from a savepoint, in this mode, and has checkpoints since.
    pub async fn restored(&self, name: &str, mode: &str) {
        let from = self.savepoint_now(name).unwrap().status.unwrap().location;
        let spec = json!({"image": "flink", "job": {"jarURI": "local:///job.jar", "parallelism": 1}});
        let job = json!({"metadata": {"name": "others"}, "spec": spec});
        create(&self.kube, "savepoints.dev/v1alpha1", "FlinkJobUpgrade", Some(NAMESPACE), job).await;
        let submission = json!({
            "jobId": "b".repeat(32), "revision": 1, "restoredFrom": from, "restoreMode": mode, "restoreConfirmed": true,
            "checkpointed": true,
        });
        let patch = json!({"status": {"phase": "Running", "active": {"revision": 1, "submission": submission}}});
        self.jobs().patch_status("others", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// That FlinkJobUpgrade goes.
    pub async fn forget_restored(&self) {
        self.jobs().delete("others", &DeleteParams::default()).await.unwrap();
    }

    /// The job's own controller: a savepoint that is settled holds no lock.
    pub async fn release_lock(&self) {
        let Some(job) = self.kube.object("flinkjobupgrades.savepoints.dev", NAMESPACE, "orders") else { return };
        let Some(name) = job.pointer("/status/operation/savepoint/name").and_then(Value::as_str) else { return };
        let settled = self.savepoint_now(name).is_none_or(|s| {
            let status = s.status.unwrap_or_default();
            let over = status.phase.is_some_and(SavepointPhase::is_terminal);
            over || (status.location.is_some() && status.attempts.last().is_some_and(|a| a.result.is_some()))
        });
        if settled {
            let patch = Patch::Merge(json!({"status": {"operation": null}}));
            self.jobs().patch_status("orders", &PatchParams::default(), &patch).await.unwrap();
        }
    }

    fn jobs(&self) -> Api<DynamicObject> {
        objects(&self.kube, "savepoints.dev/v1alpha1", "FlinkJobUpgrade", Some(NAMESPACE))
    }

    pub async fn annotate(&self, name: &str, key: &str, value: &str) {
        let patch = json!({"metadata": {"annotations": {key: value}}});
        self.savepoints().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    pub async fn delete(&self, name: &str) {
        self.savepoints().delete(name, &DeleteParams::default()).await.unwrap();
    }

    pub fn savepoints(&self) -> Api<FlinkSavepoint> {
        Api::namespaced(common::hands(&self.kube), NAMESPACE)
    }

    pub fn savepoint_now(&self, name: &str) -> Option<FlinkSavepoint> {
        let object = self.kube.object(SAVEPOINTS, NAMESPACE, name)?;
        Some(serde_json::from_value(object).unwrap())
    }

    /// The versions of all else that a FlinkSavepoint's controller watches.
    pub fn versions_beside(&self, name: &str) -> Vec<String> {
        let all = self.kube.objects(SAVEPOINTS).into_iter().chain(self.kube.objects("flinkjobupgrades.savepoints.dev"));
        let text = |object: &Value, at: &str| object.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
        let others = all.filter(|object| text(object, "/metadata/name") != name);
        others.map(|object| text(&object, "/metadata/resourceVersion")).collect()
    }

    /// A FlinkSavepoint as a cache has it that is so late.
    pub fn cached(&self, name: &str, late: Duration) -> Option<FlinkSavepoint> {
        let seen = Instant::now().checked_sub(late)?;
        let versions = self.versions.lock().unwrap();
        let (_, _, version) = versions.iter().rfind(|(from, of, _)| of == name && *from <= seen)?;
        Some(serde_json::from_value(version.clone()?).unwrap())
    }

    pub fn all_savepoints(&self) -> Vec<FlinkSavepoint> {
        let all = self.kube.objects(SAVEPOINTS);
        all.into_iter().map(|object| serde_json::from_value(object).unwrap()).collect()
    }

    /// What the kubelet and Flink show in Kubernetes: the restarts of the JobManager's container, its ConfigMaps.
    pub async fn show(&self) {
        // Where nobody leads they stay as they are.
        let maps = self.flink.high_availability_maps().map(|maps| maps.into_keys().collect());
        let maps = maps.unwrap_or_else(|| self.shown.lock().unwrap().1.clone());
        let now = (self.flink.instance(), maps);
        let before = std::mem::replace(&mut *self.shown.lock().unwrap(), now.clone());
        if before == now {
            return;
        }
        if before.0 != now.0 {
            way::restarted(&self.kube, POD, now.0).await;
            if self.kube.object("pods", NAMESPACE, MANAGED_POD).is_some() {
                let container = json!({
                    "name": "flink-main-container", "image": "flink", "imageID": "", "ready": true,
                    "restartCount": now.0, "state": {"running": {}},
                });
                let patch = json!({"status": {"podIP": "10.0.0.1", "containerStatuses": [container]}});
                let pods = objects(&self.kube, "v1", "Pod", Some(NAMESPACE));
                pods.patch_status(MANAGED_POD, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
            }
        }
        let maps = objects(&self.kube, "v1", "ConfigMap", Some(NAMESPACE));
        for gone in before.1.iter().filter(|name| !now.1.contains(name)) {
            maps.delete(gone, &DeleteParams::default()).await.unwrap();
        }
        for new in now.1.iter().filter(|name| !before.1.contains(name)) {
            create(&self.kube, "v1", "ConfigMap", Some(NAMESPACE), json!({"metadata": {"name": new}})).await;
        }
    }

    /// Files below a place in the bucket.
    pub async fn files(&self, below: &str) -> Vec<String> {
        common::files(&self.storage, below).await
    }

    pub async fn exists(&self, file: &str) -> bool {
        self.storage.head(&file.into()).await.is_ok()
    }

    /// The state of a job by its JobManager's word: none if it is not known, or nobody listens.
    pub async fn job_state(&self, job: &str) -> Option<String> {
        let request = http::Request::get(format!("http://{ADDRESS}/jobs/overview")).body(bytes::Bytes::new()).unwrap();
        let answer = self.flink.handle(request).await.ok()?;
        let answer: Value = serde_json::from_slice(answer.body()).ok()?;
        let found = answer["jobs"].as_array()?.iter().find(|j| j["jid"] == job)?.clone();
        Some(found["state"].as_str()?.to_owned())
    }

    /// Starts the operator's process.
    pub fn operator(&self, faults: &Faults) -> Context {
        let client = Client::new(
            Shown { world: self.clone(), inner: self.kube.service(faults.clone()).named(OPERATOR) },
            NAMESPACE,
        );
        let network = Arc::new(Network { flink: self.flink.clone(), faults: faults.clone() });
        let context = common::context(client, network, &self.storage, faults, &self.clock);
        let small_copy_bytes = if self.large_copies { 0 } else { context.settings.small_copy_bytes };
        // Apart from the calls that faults strike: nothing depends on them.
        let recorder = Client::new(self.kube.service(Faults::none()).named("events"), NAMESPACE);
        let (events, publisher) = Events::new(recorder, None);
        tokio::spawn(publisher.run(Shutdown::new()));
        let settings = Arc::new(OperatorSettings { small_copy_bytes, ..(*context.settings).clone() });
        Context { settings, events, ..context }
    }

    /// The reasons of the Events that the operator has told, of the oldest first.
    pub fn events(&self) -> Vec<String> {
        let all = self.kube.objects("events.events.k8s.io");
        all.iter().map(|event| event["reason"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// Shows what Flink does before each request to Kubernetes.
#[derive(Clone)]
struct Shown {
    world: World,
    inner: fakes::kube::Service,
}

impl tower_service::Service<http::Request<kube::client::Body>> for Shown {
    type Response = <fakes::kube::Service as tower_service::Service<http::Request<kube::client::Body>>>::Response;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = futures::future::BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<kube::client::Body>) -> Self::Future {
        let Self { world, mut inner } = self.clone();
        Box::pin(async move {
            world.show().await;
            inner.call(request).await
        })
    }
}

/// The way to JobManagers.
#[derive(Debug)]
struct Network {
    flink: Cluster,
    faults: Faults,
}

#[async_trait::async_trait]
impl Transport for Network {
    async fn send(
        &self,
        request: http::Request<Vec<u8>>,
        _limit: Duration,
    ) -> Result<http::Response<Vec<u8>>, Undelivered> {
        let https = request.uri().scheme_str() == Some("https");
        assert_eq!(https, request.extensions().get::<Tls>().is_some(), "{}", request.uri());
        delivered(&self.faults, request, async |request| self.flink.handle(request).await).await
    }
}
