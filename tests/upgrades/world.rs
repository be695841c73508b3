//! The simulated world: Kubernetes with its controllers and a node, Flink's processes in pods, and an object store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use chrono::DateTime;
use fakes::clock::Clock;
use fakes::faults::Faults;
use fakes::flink::{Cluster, Down, Settings, Version};
use fakes::kube::{ApiServer, Change};
use fakes::workload::{self, Workload};
use flink_savepoint_operator::api::condition::{self, types};
use flink_savepoint_operator::api::{FINALIZER, FlinkJobUpgrade, FlinkJobUpgradeStatus, FlinkSavepoint, UpgradeStep};
use flink_savepoint_operator::context::Context;
use flink_savepoint_operator::flink::Transport;
use flink_savepoint_operator::flink::transport::Undelivered;
use flink_savepoint_operator::{naming, savepoint, upgrade};
use futures::FutureExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Client, api::PartialObjectMeta};
use object_store::memory::InMemory;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::common::invariants::Invariants;
use crate::common::{self, BUCKET, NAMESPACE, OPERATOR, delivered, kinds, merge, objects};
use crate::images;
use crate::session;
use crate::truth::Truth;

pub const NAME: &str = "orders";
pub const UPGRADES: &str = "flinkjobupgrades.savepoints.dev";
pub const SAVEPOINTS: &str = "flinksavepoints.savepoints.dev";

/// All that is outside of the operator's process.
#[derive(Clone)]
pub struct World {
    pub clock: Clock,
    pub kube: ApiServer,
    pub workload: Workload,
    pub storage: Arc<InMemory>,
    pub invariants: Invariants,
    pub truth: Truth,
    pub watches: Arc<Watches>,
    /// The pods, and the number of the operator's writes, as somebody has noted them.
    pub noted: Arc<Mutex<(Vec<String>, usize)>>,
    /// By how much what the operator's controllers know of their objects is late.
    pub stale: Arc<Mutex<Duration>>,
}

/// An object as it was, and from when on; `None`: it was not there.
type Versions = Vec<(Instant, Option<Value>)>;

/// What the watches of each controller report: the objects that it is to look at.
#[derive(Default)]
pub struct Watches {
    reported: Mutex<BTreeMap<&'static str, BTreeSet<String>>>,
    /// Each object of the controllers, by resource and name.
    versions: Mutex<BTreeMap<(String, String), Versions>>,
    changed: Notify,
}

impl Watches {
    /// As `controllers.rs` sets them up, but for what a controller has written itself.
    fn report(&self, change: &Change<'_>) {
        let object = change.new.or(change.old).unwrap();
        if [UPGRADES, SAVEPOINTS].contains(&change.key.resource.as_str()) {
            let key = (change.key.resource.clone(), change.key.name.clone());
            self.versions.lock().unwrap().entry(key).or_default().push((Instant::now(), change.new.cloned()));
        }
        let mut who: Vec<(&'static str, String)> = Vec::new();
        // Of others a controller hears whoever has written.
        let mut siblings: Vec<String> = Vec::new();
        match change.key.resource.as_str() {
            UPGRADES => {
                who.push((UPGRADES, change.key.name.clone()));
                let known: Vec<Arc<FlinkSavepoint>> = change.objects(SAVEPOINTS).map(|s| Arc::new(read(s))).collect();
                let concerned = savepoint::concerned_by(&read::<FlinkJobUpgrade>(object), known);
                who.extend(concerned.into_iter().map(|one| (SAVEPOINTS, one.name)));
            }
            SAVEPOINTS => {
                who.push((SAVEPOINTS, change.key.name.clone()));
                let savepoint = read::<FlinkSavepoint>(object);
                let job = upgrade::job_of_savepoint(&savepoint);
                who.extend(job.map(|one| (UPGRADES, one.name)));
                let known: Vec<Arc<FlinkSavepoint>> = change.objects(SAVEPOINTS).map(|s| Arc::new(read(s))).collect();
                siblings = savepoint::siblings(&savepoint, known).into_iter().map(|one| one.name).collect();
            }
            "pods" => {
                let job = upgrade::job_of_pod(&read::<PartialObjectMeta<Pod>>(object));
                who.extend(job.map(|one| (UPGRADES, one.name)));
            }
            _ => {}
        }
        let mut reported = self.reported.lock().unwrap();
        for (controller, name) in who.into_iter().filter(|(controller, _)| change.client != client(controller)) {
            reported.entry(controller).or_default().insert(name);
        }
        if !siblings.is_empty() {
            reported.entry(SAVEPOINTS).or_default().extend(siblings);
        }
        self.changed.notify_waiters();
    }

    /// What was reported to a controller since it asked last.
    pub fn take(&self, controller: &'static str) -> BTreeSet<String> {
        self.reported.lock().unwrap().remove(controller).unwrap_or_default()
    }

    /// Waits until something is reported to a controller.
    pub async fn reported(&self, controller: &'static str) {
        loop {
            let changed = self.changed.notified();
            if self.reported.lock().unwrap().contains_key(controller) {
                return;
            }
            changed.await;
        }
    }
}

fn read<T: DeserializeOwned>(object: &Value) -> T {
    serde_json::from_value(object.clone()).unwrap()
}

/// The client of a controller.
fn client(controller: &str) -> String {
    format!("{OPERATOR} {controller}")
}

/// A job as most users write it.
fn spec(tag: &str) -> Value {
    json!({
        "flinkVersion": "v1_20",
        "image": images::image(tag),
        "flinkConfiguration": {
            "state.savepoints.dir": format!("{BUCKET}/sp"),
            "state.checkpoints.dir": format!("{BUCKET}/ck"),
        },
        "job": {"jarURI": "local:///opt/flink/usrlib/orders.jar", "parallelism": 2},
        "upgrade": {"progressDeadline": "2m"},
    })
}

impl World {
    pub async fn new() -> Self {
        let clock = Clock::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let storage = Arc::new(InMemory::new());
        let kube = ApiServer::new(clock.clone(), kinds());
        let flink = Settings {
            lease: Duration::from_secs(15),
            uploaded: images::uploaded,
            ..Settings::new(Version::V1_20, storage.clone(), BUCKET, clock.clone())
        };
        let records = flink.records.clone();
        let settings = workload::Settings {
            init: Arc::new(images::init),
            fetched: Arc::new(images::fetched),
            ..workload::Settings::new(flink, images::jars)
        };
        let workload = Workload::new(&kube, settings);
        let truth = Truth::new(kube.clone(), workload.clone(), records, storage.clone());
        let world = Self {
            clock,
            kube,
            workload,
            storage,
            truth,
            invariants: Invariants::default(),
            watches: Arc::default(),
            noted: Arc::default(),
            stale: Arc::default(),
        };
        common::create_namespace(&world.kube).await;
        common::create_store(&world.kube).await;
        let (invariants, watches, truth) = (world.invariants.clone(), world.watches.clone(), world.truth.clone());
        world.kube.on_change(Box::new(move |change| {
            invariants.after_write(change);
            watches.report(change);
            if change.client.starts_with(OPERATOR) && change.key.resource == UPGRADES {
                truth.status_written(change);
            }
            if change.client.starts_with(OPERATOR) && change.key.resource == SAVEPOINTS {
                truth.savepoint_written(change);
            }
            if change.key.resource == "pods" {
                truth.pod_made(change);
            }
        }));
        world
    }

    /// A user applies the FlinkJobUpgrade.
    pub async fn apply(&self, tag: &str, more: Value) {
        self.apply_as(NAME, tag, more).await;
        self.truth.know_uid(self.upgrade().unwrap().metadata.uid.unwrap());
    }

    /// A user applies a FlinkJobUpgrade of this name.
    pub async fn apply_as(&self, name: &str, tag: &str, more: Value) {
        let mut spec = spec(tag);
        merge(&mut spec, more);
        let object = json!({"metadata": {"name": name}, "spec": spec});
        common::create(&self.kube, "savepoints.dev/v1alpha1", "FlinkJobUpgrade", Some(NAMESPACE), object).await;
    }

    /// A user changes its spec.
    pub async fn change(&self, spec: Value) {
        let jobs = objects(&self.kube, "savepoints.dev/v1alpha1", "FlinkJobUpgrade", Some(NAMESPACE));
        let patch = Patch::Merge(json!({"spec": spec}));
        jobs.patch(NAME, &PatchParams::default(), &patch).await.unwrap();
    }

    /// A user changes its image.
    pub async fn image(&self, tag: &str) {
        self.change(json!({"image": images::image(tag)})).await;
    }

    /// A user deletes a FlinkSavepoint, if it is there.
    pub async fn delete_savepoint(&self, name: &str) {
        let savepoints = objects(&self.kube, "savepoints.dev/v1alpha1", "FlinkSavepoint", Some(NAMESPACE));
        if self.names(SAVEPOINTS).iter().any(|one| one == name) {
            savepoints.delete(name, &DeleteParams::default()).await.unwrap();
        }
    }

    /// A user deletes it.
    pub async fn delete(&self) {
        self.delete_by(DeleteParams::default()).await;
    }

    /// The same, with what kubectl's `--cascade` says.
    pub async fn delete_by(&self, params: DeleteParams) {
        let jobs = objects(&self.kube, "savepoints.dev/v1alpha1", "FlinkJobUpgrade", Some(NAMESPACE));
        jobs.delete(NAME, &params).await.unwrap();
        // The garbage collector finds nothing that belongs to it, and takes its own finalizers off.
        let left: Vec<String> = self.upgrade().and_then(|u| u.metadata.finalizers).unwrap_or_default();
        if params.propagation_policy.is_some() && left.iter().any(|f| f == FINALIZER) {
            let patch = Patch::Merge(json!({"metadata": {"finalizers": [FINALIZER]}}));
            jobs.patch(NAME, &PatchParams::default(), &patch).await.unwrap();
        }
    }

    /// A user annotates it.
    pub async fn annotate(&self, key: &str, value: &str) {
        let jobs = objects(&self.kube, "savepoints.dev/v1alpha1", "FlinkJobUpgrade", Some(NAMESPACE));
        let patch = Patch::Merge(json!({"metadata": {"annotations": {key: value}}}));
        jobs.patch(NAME, &PatchParams::default(), &patch).await.unwrap();
    }

    /// The id of the active job.
    pub fn active_job(&self) -> String {
        self.status().active.unwrap().submission.job_id
    }

    /// Somebody asks the JobManager that has a job for something, past the operator.
    pub async fn ask_flink(&self, job: &str, method: &str, path: &str, body: Value) {
        let cluster = self.workload.clusters().into_iter().find(|one| one.live_jobs().iter().any(|id| id == job));
        let request = http::Request::builder().method(method).uri(format!("http://any{path}"));
        let request = request.body(Bytes::from(body.to_string())).unwrap();
        let answer = cluster.unwrap().handle(request).await.unwrap();
        assert!(answer.status().is_success(), "{method} {path}: {answer:?}");
    }

    /// A user cancels the active job in Flink.
    pub async fn cancel_in_flink(&self) {
        let job = self.active_job();
        self.ask_flink(&job, "PATCH", &format!("/jobs/{job}?mode=cancel"), Value::Null).await;
    }

    /// Somebody changes an object.
    pub async fn edit(&self, api_version: &str, kind: &str, name: &str, patch: Value) {
        let objects = objects(&self.kube, api_version, kind, Some(NAMESPACE));
        objects.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// Somebody deletes an object.
    pub async fn remove(&self, api_version: &str, kind: &str, name: &str) {
        objects(&self.kube, api_version, kind, Some(NAMESPACE)).delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Why it is not Ready.
    pub fn is_not_ready(&self, reason: &str) -> bool {
        let status = self.status();
        let ready = condition::find(&status.conditions, types::READY);
        ready.is_some_and(|ready| ready.status == "False" && ready.reason == reason)
    }

    /// The session cluster, if somebody has brought one up.
    pub fn session_cluster(&self) -> Option<Cluster> {
        self.workload.clusters().into_iter().find(|cluster| cluster.id().1 == session::SERVICE)
    }

    /// The process of the JobManager that has a revision's job.
    pub fn job_manager_instance(&self, revision: i64) -> Option<String> {
        let own = naming::job_manager_pod_name(NAME, revision);
        let name = if self.session_cluster().is_some() { session::POD } else { own.as_str() };
        let pod = self.kube.object("pods", NAMESPACE, name)?;
        let restarts = &pod["status"]["containerStatuses"][0]["restartCount"];
        Some(format!("{}/{restarts}", pod["metadata"]["uid"].as_str()?))
    }

    /// Somebody deletes a ConfigMap.
    pub async fn delete_config_map(&self, name: &str) {
        objects(&self.kube, "v1", "ConfigMap", Some(NAMESPACE)).delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// A user takes a savepoint of the job.
    pub async fn savepoint(&self, name: &str) {
        let spec = json!({"jobRef": {"kind": "FlinkJobUpgrade", "name": NAME}});
        let object = json!({"metadata": {"name": name}, "spec": spec});
        common::create(&self.kube, "savepoints.dev/v1alpha1", "FlinkSavepoint", Some(NAMESPACE), object).await;
    }

    pub fn upgrade(&self) -> Option<FlinkJobUpgrade> {
        Some(read(&self.kube.object(UPGRADES, NAMESPACE, NAME)?))
    }

    pub fn status(&self) -> FlinkJobUpgradeStatus {
        self.upgrade().and_then(|upgrade| upgrade.status).unwrap_or_default()
    }

    pub fn is_at(&self, step: UpgradeStep) -> bool {
        let upgrade = self.kube.object(UPGRADES, NAMESPACE, NAME);
        upgrade.is_some_and(|upgrade| upgrade["status"]["upgrade"]["step"] == step.as_str())
    }

    /// The process of the first revision's first TaskManager is stopped, or goes on.
    pub fn signal_task_manager(&self, stops: bool) {
        let names = self.names("pods");
        let Some(name) = names.iter().find(|name| name.starts_with("orders-1-taskmanager-")) else { return };
        if stops {
            self.workload.stop_process(name);
        } else {
            self.workload.continue_process(name);
        }
    }

    /// Somebody deletes the pod of a TaskManager.
    pub async fn delete_task_manager(&self) {
        let names = self.names("pods");
        let name = names.iter().find(|name| name.contains("-taskmanager-")).unwrap();
        self.delete_pod(name).await;
    }

    /// Somebody deletes a pod.
    pub async fn delete_pod(&self, name: &str) {
        objects(&self.kube, "v1", "Pod", Some(NAMESPACE)).delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Files below a place in the bucket, which is in memory.
    pub fn files(&self, below: &str) -> Vec<String> {
        common::files(&self.storage, below).now_or_never().unwrap()
    }

    pub fn savepoints(&self) -> Vec<FlinkSavepoint> {
        self.kube.objects(SAVEPOINTS).iter().map(read).collect()
    }

    /// How many attempts of a FlinkSavepoint there were.
    pub fn attempts(&self, name: &str) -> usize {
        let savepoint = self.object::<FlinkSavepoint>(SAVEPOINTS, name).unwrap();
        savepoint.status.unwrap_or_default().attempts.len()
    }

    /// The names of a controller's objects.
    pub fn names(&self, resource: &str) -> Vec<String> {
        let name = |object: &Value| object.pointer("/metadata/name")?.as_str().map(str::to_owned);
        self.kube.objects(resource).iter().filter_map(name).collect()
    }

    /// A controller's object as its cache has it.
    pub fn cached<T: DeserializeOwned>(&self, resource: &str, name: &str) -> Option<T> {
        let seen = Instant::now().checked_sub(*self.stale.lock().unwrap())?;
        let versions = self.watches.versions.lock().unwrap();
        let versions = versions.get(&(resource.to_owned(), name.to_owned()))?;
        let (_, version) = versions.iter().rfind(|(from, _)| *from <= seen)?;
        version.as_ref().map(read)
    }

    pub fn object<T: DeserializeOwned>(&self, resource: &str, name: &str) -> Option<T> {
        Some(read(&self.kube.object(resource, NAMESPACE, name)?))
    }

    /// What a controller of the operator's process is given.
    pub fn operator(&self, controller: &'static str, faults: &Faults) -> Context {
        let inner = self.kube.service(faults.clone()).named(&client(controller));
        let client = Client::new(Watched { world: self.clone(), inner }, NAMESPACE);
        let network = Arc::new(Network { world: self.clone(), faults: faults.clone() });
        common::context(client, network, &self.storage, faults, &self.clock)
    }
}

/// Before a request to Kubernetes what is due has happened, and after it the world is looked at.
#[derive(Clone)]
struct Watched {
    world: World,
    inner: fakes::kube::Service,
}

impl tower_service::Service<http::Request<kube::client::Body>> for Watched {
    type Response = <fakes::kube::Service as tower_service::Service<http::Request<kube::client::Body>>>::Response;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = futures::future::BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<kube::client::Body>) -> Self::Future {
        let Self { world, mut inner } = self.clone();
        Box::pin(async move {
            world.workload.settle().await.unwrap();
            if request.method() == http::Method::DELETE {
                world.truth.before_delete(request.uri().path());
            }
            let answer = inner.call(request).await;
            world.truth.look_at_files();
            // Others have their turn, as in a process of many.
            tokio::task::yield_now().await;
            answer
        })
    }
}

/// The way to JobManagers.
struct Network {
    world: World,
    faults: Faults,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the way to JobManagers")
    }
}

#[async_trait::async_trait]
impl Transport for Network {
    async fn send(
        &self,
        request: http::Request<Vec<u8>>,
        limit: Duration,
    ) -> Result<http::Response<Vec<u8>>, Undelivered> {
        let world = &self.world;
        world.workload.settle().await.unwrap();
        let answer = delivered(&self.faults, request, async |request| {
            world.truth.before_request(&request);
            let answer = world.workload.handle(request).await;
            if matches!(answer, Err(Down::CutOff | Down::Stopped)) {
                tokio::time::sleep(limit).await;
            }
            world.truth.look();
            answer
        });
        let answer = answer.await;
        tokio::task::yield_now().await;
        answer
    }
}
