//! Carries out one effect of a FlinkJobUpgrade's plan.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use k8s_openapi::{ByteString, NamespaceResourceScope};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::claims::{self, Contest};
use super::jar::Fetching;
use super::observed::Observed;
use super::plan::{Effect, FAST};
use super::preflight::judge::Said;
use super::strategy::blue_green;
use super::{account, drift, ended, heal, high_availability, session, snapshots, status, workload};
use crate::api::{FlinkSavepoint, annotations, labels};
use crate::context::Context;
use crate::flink::{self, CheckpointOperation, JobId, RunRequest};
use crate::naming;
use crate::reconcile::{Error, must_lead, set_finalizer, within};

/// For so long a pass waits for a checkpoint; one that takes longer is seen in the job's history.
const CHECKPOINT_MOMENT: Duration = Duration::from_secs(2);

/// What an effect came to.
#[derive(Debug)]
pub enum Outcome {
    /// It is done, or under way.
    Done,
    /// The submit was refused: in Flink's own words, or why it was not sent.
    Refused(String),
    /// What the new revision's job says of its operators.
    Said(Said),
    /// The snapshot that the job is to start from is being deleted: whose that is.
    Disposing(String),
}

/// Carries out an effect.
///
/// # Errors
/// Whatever the Kubernetes API or Flink answered; the next pass looks again before anything is repeated.
pub async fn act(ctx: &Context, o: &Observed, effect: Effect) -> Result<Outcome, Error> {
    match effect {
        Effect::AddFinalizer => finalizer(ctx, o, true).await,
        Effect::RemoveFinalizer => finalizer(ctx, o, false).await,
        Effect::StoreRevision(number) => store(ctx, o, number).await,
        Effect::CreateObjects(number) => create_objects(ctx, o, number, None).await,
        Effect::CreateWithoutTaskManagers(number) => create_objects(ctx, o, number, Some(0)).await,
        Effect::Scale(number, replicas) => scale(ctx, o, number, replicas).await,
        Effect::DeleteObjects(number) => delete_objects(ctx, o, number).await,
        Effect::DeletePods(_, pods) => {
            let api = api::<Pod>(ctx, o);
            // Not forced: one that is gone from the list has certainly ended.
            for (name, uid) in pods {
                let preconditions = Some(Preconditions { uid: Some(uid), resource_version: None });
                let params = DeleteParams { grace_period_seconds: Some(1), preconditions, ..DeleteParams::default() };
                gone(within("delete Pod", api.delete(&name, &params)).await)?;
            }
            Ok(Outcome::Done)
        }
        Effect::DeleteSavepoint => {
            let Some(child) = &o.savepoint else { return Ok(Outcome::Done) };
            let api = api::<FlinkSavepoint>(ctx, o);
            delete_one(&api, &child.name_any(), child.uid(), child.resource_version()).await?;
            Ok(Outcome::Done)
        }
        Effect::DeleteChild(name, uid) => {
            delete_one(&api::<FlinkSavepoint>(ctx, o), &name, uid, None).await?;
            Ok(Outcome::Done)
        }
        Effect::RemoveCheckpoints(directories) => {
            must_lead(ctx)?;
            ended::remove(ctx, o, &directories).await?;
            Ok(Outcome::Done)
        }
        Effect::DeleteRecord(number) => {
            let name = naming::revision_name(status::name(o), number);
            delete(&api::<ControllerRevision>(ctx, o), &name, status::uid(o)).await
        }
        Effect::PointService(number) => point_service(ctx, o, number).await,
        Effect::DeleteService => {
            delete(&api::<Service>(ctx, o), &naming::stable_service_name(status::name(o)), status::uid(o)).await
        }
        Effect::DeleteAccount => {
            account::remove(ctx, &o.upgrade).await?;
            Ok(Outcome::Done)
        }
        Effect::CreateSavepoint(child) => {
            create(&api::<FlinkSavepoint>(ctx, o), &child, status::uid(o)).await?;
            Ok(Outcome::Done)
        }
        Effect::Preflight(number, request) => {
            match caller_of_main(ctx, o, number).plan_name(naming::HELPER_JAR, &request).await {
                Ok(name) => Ok(Outcome::Said(Said::read(&name))),
                Err(flink::Error::Refused { cause, .. }) => Ok(Outcome::Said(Said::refused(&cause))),
                Err(e) => Err(e.into()),
            }
        }
        Effect::WarmUp(number, request) => {
            let jar = naming::HELPER_JAR;
            match jobmanager(ctx, o, number).run_jar(jar, &request).await {
                Ok(_) | Err(flink::Error::AlreadySubmitted { .. }) => {}
                // A warm-up is never a reason to fail: without it the upgrade takes longer.
                Err(e) => tracing::warn!(revision = number, error = %e, "the warm-up job was not taken"),
            }
            Ok(Outcome::Done)
        }
        Effect::Submit(number, request) => submit(ctx, o, number, &request).await,
        Effect::Cancel(number, job) => {
            must_lead(ctx)?;
            jobmanager(ctx, o, number).cancel(&job).await?;
            Ok(Outcome::Done)
        }
        Effect::TriggerCheckpoint(number, job) => {
            if let Err(e) = checkpoint(&jobmanager(ctx, o, number), &job).await {
                tracing::debug!(revision = number, error = %e, "no checkpoint was triggered; the job's own will do");
            }
            Ok(Outcome::Done)
        }
        Effect::Heal(number) => {
            heal::put_back(ctx, o, number).await?;
            Ok(Outcome::Done)
        }
        Effect::DeleteJars(ids) => {
            session::delete_jars(ctx, o, &ids).await?;
            Ok(Outcome::Done)
        }
        Effect::DeleteHaConfigMaps(number) => {
            let id = naming::revision_name(status::name(o), number);
            let params = ListParams::default().labels(&naming::high_availability_selector(&[id]));
            delete_all(&api::<ConfigMap>(ctx, o), &params).await?;
            Ok(Outcome::Done)
        }
        Effect::RemoveHaStorage(number) => {
            high_availability::remove_storage(ctx, o, number).await?;
            Ok(Outcome::Done)
        }
    }
}

async fn submit(ctx: &Context, o: &Observed, number: i64, request: &RunRequest) -> Result<Outcome, Error> {
    if let Some(path) = &request.savepoint_path {
        match claims::contested(ctx, o, path).await? {
            Some(Contest::Disposing(name)) => return Ok(Outcome::Disposing(name)),
            Some(Contest::Lost(why)) => return Ok(Outcome::Refused(why)),
            None => {}
        }
        if let Some(why) = snapshots::gone(ctx, o, path).await? {
            return Ok(Outcome::Refused(why));
        }
    }
    must_lead(ctx)?;
    let jar = if o.session.is_some() {
        let Some(jar) = session::jar(o, number) else { return Ok(Outcome::Done) };
        jar.id.as_str()
    } else {
        naming::JOB_JAR
    };
    match jobmanager(ctx, o, number).run_jar(jar, request).await {
        Ok(_) | Err(flink::Error::AlreadySubmitted { .. }) => Ok(Outcome::Done),
        Err(flink::Error::Refused { cause, .. }) => Ok(Outcome::Refused(cause.to_string())),
        Err(e) => Err(e.into()),
    }
}

/// Asks for a checkpoint, and for a moment for what became of it: a JobManager that has an answer which nobody has
/// fetched waits for that when it is told to end, until Flink's safeguard kills it after 5 s (FLINK-10309).
async fn checkpoint(flink: &flink::Client, job: &JobId) -> Result<(), flink::Error> {
    let id = flink.trigger_checkpoint(job).await?;
    let ended = |answer: &Result<_, _>| !matches!(answer, Ok(CheckpointOperation::InProgress));
    flink::ask_until(CHECKPOINT_MOMENT, FAST, || flink.checkpoint_status(job, &id), ended).await.map(|_| ())
}

/// The objects of a kind in the job's namespace.
pub fn api<K>(ctx: &Context, o: &Observed) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    Api::namespaced(ctx.client.clone(), &o.upgrade.namespace().unwrap_or_default())
}

/// The JobManager that this pass has asked. A plan has an effect on no other.
fn jobmanager(ctx: &Context, o: &Observed, number: i64) -> flink::Client {
    let process = o.revisions.get(&number).and_then(|r| r.job_manager.as_ref());
    process.map_or_else(|| ctx.flink.client(""), |process| process.client(ctx))
}

/// The JobManager that calls `main()` for the preflight: never a session cluster's, whose other jobs would go with it.
fn caller_of_main(ctx: &Context, o: &Observed, number: i64) -> flink::Client {
    if o.session.is_none() {
        return jobmanager(ctx, o, number);
    }
    let process = o.revisions.get(&number).and_then(|r| r.carrier.process.as_ref());
    process.map_or_else(|| ctx.flink.client(""), |process| process.client(ctx))
}

async fn finalizer(ctx: &Context, o: &Observed, wanted: bool) -> Result<Outcome, Error> {
    set_finalizer(&api(ctx, o), &o.upgrade, wanted).await?;
    Ok(Outcome::Done)
}

async fn store(ctx: &Context, o: &Observed, number: i64) -> Result<Outcome, Error> {
    let Fetching::By(fetch) = &o.jar else { return Ok(Outcome::Done) };
    let unwritable = |e: workload::SpecError| Error::Record {
        name: naming::revision_name(status::name(o), number),
        message: e.to_string(),
    };
    let under_way = o.upgrade.status.as_ref().and_then(|s| s.upgrade.as_ref());
    let revision = workload::Revision {
        namespace: &o.upgrade.namespace().unwrap_or_default(),
        name: status::name(o),
        owner_uid: status::uid(o),
        number,
        upgrade_id: &naming::upgrade_id(status::uid(o), number),
        color: under_way.and_then(|u| u.color.as_deref()).unwrap_or(blue_green::BLUE),
        // It is the operator's, not the revision's: put in when the object is created.
        helper_jar: &[],
        fetch,
        carrier: o.session.as_ref().and_then(|session| session.carrier.as_ref()),
    };
    let rendered = workload::render(&revision, &o.upgrade.spec).map_err(unwritable)?;
    let record = workload::to_controller_revision(&rendered).map_err(unwritable)?;
    create(&api::<ControllerRevision>(ctx, o), &record, status::uid(o)).await?;
    Ok(Outcome::Done)
}

/// The objects of a revision; with so many TaskManagers, if that is given.
async fn create_objects(
    ctx: &Context,
    o: &Observed,
    number: i64,
    task_managers: Option<i32>,
) -> Result<Outcome, Error> {
    let Some(record) = o.record(number) else { return Ok(Outcome::Done) };
    let rendered = &record.rendered;
    let uid = status::uid(o);
    if record.high_availability_storage_settled {
        high_availability::mark(ctx, o, number, annotations::STORAGE_USED).await?;
    }
    if let Some(account) = &rendered.account {
        account::make(ctx, &o.upgrade, account).await?;
    }
    let config_maps = api::<ConfigMap>(ctx, o);
    // What pods mount comes before the pods; the Service before those who look it up.
    create(&config_maps, &rendered.config_map, uid).await?;
    create(&config_maps, &helper_config_map(ctx, rendered), uid).await?;
    create(&api::<Service>(ctx, o), &rendered.service, uid).await?;
    create(&api::<StatefulSet>(ctx, o), &rendered.stateful_set, uid).await?;
    let mut deployment = rendered.deployment.clone();
    if let Some(spec) = &mut deployment.spec {
        spec.replicas = task_managers.or(spec.replicas);
    }
    create(&api::<Deployment>(ctx, o), &deployment, uid).await?;
    Ok(Outcome::Done)
}

async fn scale(ctx: &Context, o: &Observed, number: i64, replicas: i32) -> Result<Outcome, Error> {
    let api = api::<Deployment>(ctx, o);
    let Some(record) = o.record(number) else { return Ok(Outcome::Done) };
    let wanted = &record.rendered.deployment;
    let name = wanted.name_any();
    let Some(found) = within("get", api.get_opt(&name)).await? else { return Ok(Outcome::Done) };
    adopt(wanted, &found, status::uid(o))?;
    let patch = serde_json::json!({"metadata": {"uid": found.uid()}, "spec": {"replicas": replicas}});
    within("patch", api.patch(&name, &PatchParams::default(), &Patch::Merge(patch))).await?;
    Ok(Outcome::Done)
}

/// The ConfigMap with this operator's helper jar.
pub fn helper_config_map(ctx: &Context, rendered: &workload::Rendered) -> ConfigMap {
    let jar = ByteString(ctx.helper_jar.to_vec());
    let binary_data = Some([(naming::HELPER_JAR.to_owned(), jar)].into());
    ConfigMap { binary_data, ..rendered.helper_config_map.clone() }
}

/// Pods first; what they mount after them, so that none restarts into a missing volume.
async fn delete_objects(ctx: &Context, o: &Observed, number: i64) -> Result<Outcome, Error> {
    let of_revision = ListParams::default().labels(&naming::revision_selector(status::uid(o), number));
    delete_all(&api::<StatefulSet>(ctx, o), &of_revision).await?;
    delete_all(&api::<Deployment>(ctx, o), &of_revision).await?;
    delete_all(&api::<Service>(ctx, o), &of_revision).await?;
    delete_all(&api::<ConfigMap>(ctx, o), &of_revision).await?;
    Ok(Outcome::Done)
}

async fn point_service(ctx: &Context, o: &Observed, number: i64) -> Result<Outcome, Error> {
    let namespace = o.upgrade.namespace().unwrap_or_default();
    let wanted = workload::stable_service(&namespace, status::name(o), status::uid(o), number);
    let api = api::<Service>(ctx, o);
    let name = naming::stable_service_name(status::name(o));
    let Some(mut found) = within("get Service", api.get_opt(&name)).await? else {
        create(&api, &wanted, status::uid(o)).await?;
        return Ok(Outcome::Done);
    };
    adopt(&wanted, &found, status::uid(o))?;
    found.labels_mut().extend(wanted.metadata.labels.unwrap_or_default());
    if let (Some(spec), Some(wanted)) = (&mut found.spec, wanted.spec) {
        spec.selector = wanted.selector;
        spec.ports = wanted.ports;
    }
    within("replace Service", api.replace(&name, &PostParams::default(), &found)).await?;
    Ok(Outcome::Done)
}

/// "Already exists" means: look whose it is.
pub(super) async fn create<K>(api: &Api<K>, object: &K, owner_uid: &str) -> Result<(), Error>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    match within("create", api.create(&PostParams::default(), object)).await {
        Ok(_) => Ok(()),
        Err(Error::Kube { source, call }) => match *source {
            kube::Error::Api(s) if s.is_already_exists() => {
                let found = within("get", api.get(&object.name_any())).await?;
                adopt(object, &found, owner_uid)?;
                put_labels_back(api, object, &found).await
            }
            other => Err(Error::Kube { call, source: Box::new(other) }),
        },
        Err(e) => Err(e),
    }
}

/// Whether an object of the expected name is this resource's.
///
/// # Errors
/// [`Error::Foreign`] if it is somebody else's.
pub fn adopt<K: Resource<DynamicType = ()> + Serialize>(wanted: &K, found: &K, owner_uid: &str) -> Result<(), Error> {
    let ours = match found.labels().get(labels::JOB_UID) {
        Some(uid) => uid == owner_uid,
        None => drift::is_ours(wanted, found, owner_uid),
    };
    if ours { Ok(()) } else { Err(Error::Foreign { kind: kind::<K>(), name: found.name_any() }) }
}

/// Somebody has taken the label away by which an object is found.
async fn put_labels_back<K>(api: &Api<K>, wanted: &K, found: &K) -> Result<(), Error>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    if found.labels().contains_key(labels::JOB_UID) {
        return Ok(());
    }
    let patch = serde_json::json!({"metadata": {
        "resourceVersion": found.resource_version(), "uid": found.uid(), "labels": wanted.labels(),
    }});
    within("patch", api.patch(&found.name_any(), &PatchParams::default(), &Patch::Merge(patch))).await.map(drop)
}

fn kind<K: Resource<DynamicType = ()>>() -> &'static str {
    // The kinds that are created here have static names.
    match K::kind(&()) {
        std::borrow::Cow::Borrowed(kind) => kind,
        std::borrow::Cow::Owned(_) => "object",
    }
}

async fn delete_all<K>(api: &Api<K>, params: &ListParams) -> Result<(), Error>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    for found in within("list", api.list_metadata(params)).await?.items {
        if found.metadata.deletion_timestamp.is_none() {
            delete_one(api, &found.name_any(), found.uid(), found.resource_version()).await?;
        }
    }
    Ok(())
}

async fn delete<K>(api: &Api<K>, name: &str, owner_uid: &str) -> Result<Outcome, Error>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    if let Some(found) = within("get", api.get_opt(name)).await? {
        if found.labels().get(labels::JOB_UID).is_none_or(|uid| uid != owner_uid) {
            return Err(Error::Foreign { kind: kind::<K>(), name: name.to_owned() });
        }
        delete_one(api, name, found.uid(), found.resource_version()).await?;
    }
    Ok(Outcome::Done)
}

pub(super) async fn delete_one<K>(
    api: &Api<K>,
    name: &str,
    uid: Option<String>,
    resource_version: Option<String>,
) -> Result<(), Error>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let params =
        DeleteParams { preconditions: Some(Preconditions { uid, resource_version }), ..DeleteParams::background() };
    gone(within("delete", api.delete(name, &params)).await)
}

/// One that is not there any more was deleted.
fn gone<T>(deleted: Result<T, Error>) -> Result<(), Error> {
    match deleted {
        Ok(_) => Ok(()),
        Err(Error::Kube { source, .. }) if matches!(&*source, kube::Error::Api(s) if s.is_not_found()) => Ok(()),
        Err(e) => Err(e),
    }
}
