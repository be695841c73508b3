//! The Jobs that copy snapshots, as Kubernetes and their pods would run them: all files first, and a moment later
//! `_metadata`.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use flink_savepoint_operator::snapshot::store::{self, Store, Stores};
use k8s_openapi::api::batch::v1::Job;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use serde_json::json;
use tokio::time::Instant;

use crate::common::{self, BUCKET, NAMESPACE};
use crate::world::World;

/// From a Job's first file to its last.
const TAKES: Duration = Duration::from_secs(5);

/// The Jobs that are under way.
pub struct Copier {
    /// By their UID: when all but `_metadata` was there, its place and its bytes.
    under_way: Mutex<BTreeMap<String, (Instant, Path, Bytes)>>,
    failing: AtomicUsize,
}

impl Copier {
    /// So many Jobs fail first.
    pub fn new(failing: usize) -> Self {
        Self { under_way: Mutex::default(), failing: AtomicUsize::new(failing) }
    }

    /// All Jobs that are there go on.
    pub async fn go_on(&self, world: &World) {
        for object in world.kube.objects("jobs.batch") {
            let job: Job = serde_json::from_value(object).unwrap();
            let (name, uid) = (job.name_any(), job.uid().unwrap());
            if job.metadata.deletion_timestamp.is_some() {
                // Its pods are gone.
                let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
                jobs(world).patch(&name, &PatchParams::default(), &patch).await.unwrap();
                continue;
            }
            if job.status.is_some_and(|status| status.conditions.is_some_and(|all| !all.is_empty())) {
                continue;
            }
            let begun = self.under_way.lock().unwrap().get(&uid).cloned();
            match begun {
                None => {
                    let args = job.spec.unwrap().template.spec.unwrap().containers.remove(0).args.unwrap();
                    let [_, _, _, from, to, ..] = args.as_slice() else { panic!("{args:?}") };
                    let (place, metadata) = all_but_metadata(world, from, to).await;
                    self.under_way.lock().unwrap().insert(uid, (Instant::now(), place, metadata));
                }
                Some((since, ..)) if since.elapsed() < TAKES => {}
                Some(_) if self.failing.load(Relaxed) > 0 => {
                    self.failing.fetch_sub(1, Relaxed);
                    ends(world, &name, "Failed").await;
                }
                Some((_, place, metadata)) => {
                    world.storage.put(&place, metadata.into()).await.unwrap();
                    ends(world, &name, "Complete").await;
                }
            }
        }
    }
}

async fn all_but_metadata(world: &World, from: &str, to: &str) -> (Path, Bytes) {
    let store = Store::over(BUCKET, world.storage.clone());
    let stores = Stores::new(vec![store.clone()]);
    let snapshot = store::load(&stores, from, &store::quietly).await.unwrap();
    store::copy(&stores, &snapshot, &store, to, &|_| {}).await.unwrap();
    let place = Path::from(to.strip_prefix(BUCKET).unwrap()).join("_metadata");
    let metadata = world.storage.get(&place).await.unwrap().bytes().await.unwrap();
    world.storage.delete(&place).await.unwrap();
    (place, metadata)
}

fn jobs(world: &World) -> Api<Job> {
    Api::namespaced(common::hands(&world.kube), NAMESPACE)
}

async fn ends(world: &World, name: &str, how: &str) {
    let status = json!({"status": {"conditions": [{"type": how, "status": "True"}]}});
    jobs(world).patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
}
