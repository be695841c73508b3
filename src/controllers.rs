//! The controllers and what each of them watches.

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Pod;
use kube::api::PartialObjectMeta;
use kube::runtime::controller::Controller;
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use kube::{Api, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use crate::api::{FlinkJobUpgrade, FlinkSavepoint, FlinkSavepointSchedule, FlinkSnapshotStore, labels};
use crate::context::Context;
use crate::reconcile;
use crate::runtime::shutdown::Shutdown;
use crate::runtime::tasks::Tasks;
use crate::savepoint::{self, Savepoints};
use crate::schedule::{self, Schedules};
use crate::store::{self, SnapshotStores};
use crate::upgrade::{self, Upgrades};

/// How many objects a list brings at once: the first list is the largest thing that the process ever holds.
const PAGE: u32 = 100;

/// Starts every controller as a task of its own.
pub fn spawn(tasks: &mut Tasks, ctx: &Context, stop: &Shutdown) {
    tasks.spawn(
        "the FlinkSavepointSchedule controller",
        reconcile::run::<Schedules>(ctx.clone(), schedules(ctx), stop.clone()),
    );
    tasks.spawn(
        "the FlinkSnapshotStore controller",
        reconcile::run::<SnapshotStores>(ctx.clone(), stores(ctx), stop.clone()),
    );
    tasks.spawn("the FlinkJobUpgrade controller", reconcile::run::<Upgrades>(ctx.clone(), upgrades(ctx), stop.clone()));
    tasks.spawn(
        "the FlinkSavepoint controller",
        reconcile::run::<Savepoints>(ctx.clone(), savepoints(ctx), stop.clone()),
    );
}

fn everything() -> watcher::Config {
    watcher::Config::default().page_size(PAGE)
}

/// As [`Controller::new`] makes it, but nothing is kept of who wrote which field: that is the larger part of an object, and
/// nobody asks the cache for it.
fn controller<K>(ctx: &Context) -> Controller<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    K: Clone + std::fmt::Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (reader, writer) = reflector::store();
    let events = watcher(ctx.watched(), everything()).modify(|object: &mut K| object.managed_fields_mut().clear());
    Controller::for_stream(reflector(writer, events).applied_objects(), reader)
}

fn stores(ctx: &Context) -> Controller<FlinkSnapshotStore> {
    let controller = controller::<FlinkSnapshotStore>(ctx);
    let known = controller.store();
    ctx.metrics.count_orphans_by(move || store::counted(&known.state()));
    controller
}

fn schedules(ctx: &Context) -> Controller<FlinkSavepointSchedule> {
    controller::<FlinkSavepointSchedule>(ctx).watches(
        ctx.watched::<FlinkSavepoint>(),
        everything(),
        |s: FlinkSavepoint| schedule::of_savepoint(&s),
    )
}

fn upgrades(ctx: &Context) -> Controller<FlinkJobUpgrade> {
    let pods: Api<PartialObjectMeta<Pod>> = ctx.watched();
    let ours = everything().labels(&format!("{}={}", labels::MANAGED_BY, labels::MANAGER));
    let controller = controller::<FlinkJobUpgrade>(ctx);
    ctx.known.keep_jobs(controller.store());
    controller
        .watches(ctx.watched::<FlinkSavepoint>(), everything(), |s: FlinkSavepoint| upgrade::job_of_savepoint(&s))
        .watches(pods, ours, |p: PartialObjectMeta<Pod>| upgrade::job_of_pod(&p))
}

fn savepoints(ctx: &Context) -> Controller<FlinkSavepoint> {
    let controller = controller::<FlinkSavepoint>(ctx);
    let known = controller.store();
    ctx.known.keep_savepoints(known.clone());
    let (of_job, of_sibling) = (known.clone(), known.clone());
    controller
        .watches(ctx.watched::<FlinkSavepoint>(), everything(), move |changed: FlinkSavepoint| {
            savepoint::siblings(&changed, of_sibling.state())
        })
        .watches(ctx.watched::<FlinkJobUpgrade>(), everything(), move |job: FlinkJobUpgrade| {
            savepoint::concerned_by(&job, of_job.state())
        })
        .watches(ctx.watched::<FlinkSnapshotStore>(), everything(), move |store: FlinkSnapshotStore| {
            savepoint::waiting_for(&store, known.state())
        })
}
