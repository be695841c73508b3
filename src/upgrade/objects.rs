//! What Kubernetes has of a job's revisions, read live.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use kube::api::{ListParams, PartialObjectMeta};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use super::heal::Live;
use super::observed::{self, HighAvailability, Record, Revision};
use super::scope::{self, Scope};
use super::{jobmanager, workload};
use crate::api::{FlinkJobUpgrade, annotations, labels};
use crate::context::Context;
use crate::naming;
use crate::reconcile::{Error, within};

/// What Kubernetes has of a job.
#[derive(Default)]
pub struct Objects {
    /// The revisions, by number.
    pub revisions: BTreeMap<i64, Revision>,
    /// The revision that the stable Service points to.
    pub stable_service: Option<i64>,
}

/// Reads as much as the job needs in its present state.
///
/// # Errors
/// When the Kubernetes API can't be read, or a record that matters can't be understood.
pub async fn read(ctx: &Context, namespace: &str, upgrade: &FlinkJobUpgrade) -> Result<Objects, Error> {
    match scope::of(upgrade) {
        Scope::Whole => Box::pin(all(&Lists::new(ctx, namespace, upgrade), upgrade)).await,
        Scope::Revisions => Box::pin(by_name(ctx, namespace, upgrade)).await,
    }
}

/// Lists what carries a job's labels.
pub struct Lists<'a> {
    client: &'a Client,
    namespace: &'a str,
    of_job: ListParams,
    turn: Semaphore,
}

impl<'a> Lists<'a> {
    /// All of a pass at once, as each takes a while; at rest, where nothing waits, one after the other: each has a
    /// connection and buffers of its own.
    fn new(ctx: &'a Context, namespace: &'a str, upgrade: &FlinkJobUpgrade) -> Self {
        let of_job = ListParams::default().labels(&naming::job_selector(&upgrade.uid().unwrap_or_default()));
        let turn = Semaphore::new(if scope::at_rest(upgrade) { 1 } else { Semaphore::MAX_PERMITS });
        Self { client: &ctx.client, namespace, of_job, turn }
    }

    /// The objects of a kind.
    ///
    /// # Errors
    /// When the Kubernetes API can't be read.
    pub async fn whole<K: Kind>(&self) -> Result<Vec<K>, Error> {
        let _turn = self.turn.acquire().await;
        let mut items = within("list", self.api::<K>().list(&self.of_job)).await?.items;
        // Nobody asks who set what, and it is most of an object.
        for item in &mut items {
            item.managed_fields_mut().clear();
        }
        Ok(items)
    }

    /// Where no more of them matters than their names, labels and annotations.
    async fn metadata<K: Kind>(&self) -> Result<Vec<PartialObjectMeta<K>>, Error> {
        let _turn = self.turn.acquire().await;
        Ok(within("list", self.api::<K>().list_metadata(&self.of_job)).await?.items)
    }

    /// The revisions of the objects of a kind, one for each.
    async fn numbers<K: Kind>(&self) -> Result<Vec<i64>, Error> {
        Ok(self.metadata::<K>().await?.iter().filter_map(revision_of).collect())
    }

    fn api<K: Kind>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), self.namespace)
    }
}

/// A kind of objects that revisions have.
pub trait Kind:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug
{
}

impl<K> Kind for K where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug
{
}

impl Objects {
    fn pod(&mut self, number: i64, pod: &Pod) {
        let revision = self.revisions.entry(number).or_default();
        let job_manager = pod.labels().get(labels::COMPONENT).is_some_and(|c| c == labels::JOBMANAGER);
        if job_manager {
            revision.job_manager = jobmanager::process(pod).or(revision.job_manager.take());
        }
        let (restarts, container) = jobmanager::container(pod);
        revision.pods.push(observed::Pod {
            name: pod.name_any(),
            uid: pod.uid().unwrap_or_default(),
            job_manager,
            restarts,
            container,
            image_digest: jobmanager::image_digest(pod),
            jar_sha256: jobmanager::jar_sha256(pod),
            leaving: pod.metadata.deletion_timestamp.is_some(),
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            trouble: jobmanager::trouble(pod),
        });
    }

    fn record(&mut self, record: &ControllerRevision) -> Result<(), Error> {
        let (number, record) = read_record(record)?;
        let revision = self.revisions.entry(number).or_default();
        (revision.recorded, revision.record) = (true, Some(Box::new(record)));
        Ok(())
    }
}

/// All of them.
async fn all(lists: &Lists<'_>, upgrade: &FlinkJobUpgrade) -> Result<Objects, Error> {
    let others = async {
        if scope::drift_matters(upgrade) {
            Live::list(lists).await.map(|live| (numbers(&live), Some(live)))
        } else {
            count_objects(lists).await.map(|counts| (counts, None))
        }
    };
    let mut objects = Objects::default();
    let (records, services, pods, (counts, live)) =
        tokio::try_join!(records(lists, upgrade), lists.whole::<Service>(), lists.whole::<Pod>(), others)?;
    for (number, high_availability) in records.numbers {
        let revision = objects.revisions.entry(number).or_default();
        revision.recorded = true;
        revision.high_availability = high_availability.then(HighAvailability::default);
    }
    for record in &records.whole {
        objects.record(record)?;
    }
    for number in counts {
        objects.revisions.entry(number).or_default().objects += 1;
    }
    for service in &services {
        if service.name_any() == naming::stable_service_name(&upgrade.name_any()) {
            objects.stable_service = Some(selected_revision(service).unwrap_or_default());
        } else if let Some(number) = revision_of(service) {
            objects.revisions.entry(number).or_default().objects += 1;
        }
    }
    for pod in &pods {
        if let Some(number) = revision_of(pod) {
            objects.pod(number, pod);
        }
    }
    if let Some(live) = live {
        let live = Live { services, ..live };
        objects.revisions.values_mut().for_each(|revision| live.compare(revision, lists.namespace));
    }
    Ok(objects)
}

/// The ControllerRevisions of a job.
struct Records {
    /// The revisions that have one, and whether with high availability.
    numbers: Vec<(i64, bool)>,
    /// Those that matter.
    whole: Vec<ControllerRevision>,
}

/// Each holds all objects of its revision, and there are many: only those that matter are read whole.
async fn records(lists: &Lists<'_>, upgrade: &FlinkJobUpgrade) -> Result<Records, Error> {
    let api = lists.api::<ControllerRevision>();
    let listed = lists.metadata::<ControllerRevision>().await?;
    let (mut numbers, mut names) = (Vec::new(), Vec::new());
    // A StatefulSet keeps ControllerRevisions of its own, with its pods' labels.
    for record in listed.iter().filter(|r| r.owner_references().is_empty()) {
        let Some(number) = revision_of(record) else { continue };
        let storage = record.annotations().get(annotations::HIGH_AVAILABILITY_STORAGE);
        if scope::record_matters(upgrade, number) || storage.is_some_and(|s| s == annotations::STORAGE_USED) {
            names.push(record.name_any());
        }
        numbers.push((number, storage.is_some()));
    }
    let whole = names.iter().map(|name| within("get", api.get_opt(name)));
    let whole = try_join_all(whole).await?;
    Ok(Records { numbers, whole: whole.into_iter().flatten().collect() })
}

/// The revisions of what was listed, Services and pods aside: one for each object.
fn numbers(live: &Live) -> Vec<i64> {
    let config_maps = live.config_maps.iter().filter_map(revision_of);
    let stateful_sets = live.stateful_sets.iter().filter_map(revision_of);
    config_maps.chain(stateful_sets).chain(live.deployments.iter().filter_map(revision_of)).collect()
}

/// Those that lead to the JobManagers that are asked.
async fn by_name(ctx: &Context, namespace: &str, upgrade: &FlinkJobUpgrade) -> Result<Objects, Error> {
    let (name, uid) = (upgrade.name_any(), upgrade.uid().unwrap_or_default());
    let each = scope::jobs_of_interest(upgrade).into_keys().map(async |number| {
        let revision = naming::revision_name(&name, number);
        let pod = naming::job_manager_pod_name(&name, number);
        let record = async {
            if scope::record_matters(upgrade, number) {
                named::<ControllerRevision>(ctx, namespace, &revision, &uid).await
            } else {
                Ok(None)
            }
        };
        let found = tokio::try_join!(record, named::<Pod>(ctx, namespace, &pod, &uid))?;
        Ok::<_, Error>((number, found))
    });
    let mut objects = Objects::default();
    for (number, (record, pod)) in try_join_all(each).await? {
        if let Some(record) = record {
            objects.record(&record)?;
        }
        if let Some(pod) = pod {
            objects.pod(number, &pod);
        }
    }
    Ok(objects)
}

/// An object of this job by its name; somebody else's of that name is none.
async fn named<K: Kind>(ctx: &Context, namespace: &str, name: &str, uid: &str) -> Result<Option<K>, Error> {
    let api: Api<K> = Api::namespaced(ctx.client.clone(), namespace);
    let found = within("get", api.get_opt(name)).await?;
    Ok(found.filter(|k| k.labels().get(labels::JOB_UID).is_some_and(|owner| owner == uid)))
}

/// Where no more of the others matters than how many there are.
async fn count_objects(lists: &Lists<'_>) -> Result<Vec<i64>, Error> {
    let (config_maps, stateful_sets, deployments) =
        tokio::try_join!(lists.numbers::<ConfigMap>(), lists.numbers::<StatefulSet>(), lists.numbers::<Deployment>(),)?;
    Ok([config_maps, stateful_sets, deployments].concat())
}

fn revision_of<K: ResourceExt>(object: &K) -> Option<i64> {
    object.labels().get(labels::REVISION)?.parse().ok()
}

fn selected_revision(service: &Service) -> Option<i64> {
    service.spec.as_ref()?.selector.as_ref()?.get(labels::REVISION)?.parse().ok()
}

fn read_record(record: &ControllerRevision) -> Result<(i64, Record), Error> {
    let unreadable = |message: String| Error::Record { name: record.name_any(), message };
    let rendered = workload::from_controller_revision(record).map_err(|e| unreadable(e.to_string()))?;
    let revision_hash = rendered.revision_hash.clone();
    let storage = record.annotations().get(annotations::HIGH_AVAILABILITY_STORAGE);
    let high_availability_storage_settled = storage.is_some_and(|storage| storage != annotations::STORAGE_USED);
    Ok((record.revision, Record { rendered, revision_hash, high_availability_storage_settled }))
}
