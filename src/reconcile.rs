//! What the passes of all controllers share: when to look again, and what may go wrong.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::controller::{Action, Config, Controller};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::FINALIZER;
use crate::context::Context;
use crate::flink;
use crate::runtime::kube_client::{self, CallError};
use crate::runtime::shutdown::Shutdown;

/// When a resource is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// At once, in the same reconcile: something was written that the next pass builds on.
    Again,
    /// After this time, unless a watch reports something earlier.
    After(Duration),
}

impl Next {
    /// The earlier of the two.
    #[must_use]
    pub fn or_sooner(self, other: Self) -> Self {
        match (self, other) {
            (Self::After(a), Self::After(b)) => Self::After(a.min(b)),
            _ => Self::Again,
        }
    }
}

/// How long a call to the Kubernetes API may take.
pub const KUBE_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a pass ended early. Every variant is retried with backoff.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Kubernetes API refused or could not be reached.
    #[error("Kubernetes API, {call}: {source}")]
    Kube {
        /// What was asked of it.
        call: &'static str,
        /// What it answered.
        source: Box<kube::Error>,
    },
    /// The Kubernetes API did not answer in time.
    #[error("Kubernetes API, {call}: no answer within {} s", KUBE_TIMEOUT.as_secs())]
    Timeout {
        /// What was asked of it.
        call: &'static str,
    },
    /// Flink refused or could not be reached.
    #[error("Flink: {0}")]
    Flink(#[from] flink::Error),
    /// An object of the expected name belongs to somebody else.
    #[error("{kind} {name} exists and does not carry this resource's UID; delete or rename it")]
    Foreign {
        /// The object's kind.
        kind: &'static str,
        /// The object's name.
        name: String,
    },
    /// A stored record can't be read.
    #[error("ControllerRevision {name} can't be read: {message}")]
    Record {
        /// The object's name.
        name: String,
        /// What is wrong with it.
        message: String,
    },
    /// This process may not act now: the Lease is not held for as long as the call may take.
    #[error("not leading for long enough to act")]
    NotLeading,
}

impl Error {
    /// One stable word for metric labels and log fields.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Kube { source, .. } => match source.as_ref() {
                kube::Error::Api(s) if s.is_conflict() => "Conflict",
                kube::Error::Api(s) if s.is_forbidden() => "Forbidden",
                kube::Error::Api(_) => "KubernetesRefused",
                _ => "KubernetesUnreachable",
            },
            Self::Timeout { .. } => "KubernetesTimeout",
            Self::Flink(e) => e.reason(),
            Self::Foreign { .. } => "ForeignObject",
            Self::Record { .. } => "RecordUnreadable",
            Self::NotLeading => "NotLeading",
        }
    }

    /// An object of that name exists.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        matches!(self, Self::Kube { source, .. } if matches!(source.as_ref(), kube::Error::Api(s) if s.is_already_exists()))
    }

    /// There is no object of that name.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Kube { source, .. } if matches!(source.as_ref(), kube::Error::Api(s) if s.is_not_found()))
    }

    /// Why the request itself can't be done, so that to repeat it does not help before somebody has: in the API server's
    /// words, which name the field, the quota or the policy.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        match self {
            Self::Kube { source, .. } => match source.as_ref() {
                kube::Error::Api(s) if matches!(s.code, 400 | 403 | 404 | 422) => Some(s.message.clone()),
                _ => None,
            },
            Self::Foreign { .. } => Some(self.to_string()),
            _ => None,
        }
    }

    /// Somebody else wrote first: no error, the next pass sees what they wrote.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.reason() == "Conflict"
    }
}

/// Bounds a call to the Kubernetes API in time and names it in the error.
///
/// # Errors
/// [`Error::Kube`] or [`Error::Timeout`].
pub async fn within<T>(call: &'static str, f: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
    kube_client::within(KUBE_TIMEOUT, f).await.map_err(|e| match e {
        CallError::Kube(e) => Error::Kube { call, source: Box::new(e) },
        CallError::Timeout(_) => Error::Timeout { call },
    })
}

/// Whether a namespace is being deleted, or gone: nothing can be created in it any more.
///
/// # Errors
/// If Kubernetes can't be asked.
pub async fn namespace_terminating(ctx: &Context, namespace: &str) -> Result<bool, Error> {
    let api: Api<Namespace> = Api::all(ctx.client.clone());
    let found = within("get Namespace", api.get_metadata_opt(namespace)).await?;
    Ok(found.is_none_or(|n| n.metadata.deletion_timestamp.is_some()))
}

/// The Lease must be held for at least this long before something that can't be undone is asked for. Requests that
/// may take longer carry an id that makes a repeat by the next leader the same request.
const MUST_LEAD_FOR: Duration = Duration::from_secs(8);

/// To be asked before every irreversible effect.
///
/// # Errors
/// [`Error::NotLeading`] unless the Lease is held for long enough.
pub fn must_lead(ctx: &Context) -> Result<(), Error> {
    if ctx.leads_for(MUST_LEAD_FOR) { Ok(()) } else { Err(Error::NotLeading) }
}

/// Writes an object's status by compare-and-swap: the resourceVersion that was read goes with it.
///
/// # Errors
/// [`Error::Kube`], a conflict if somebody else wrote first, or [`Error::Timeout`].
pub async fn write_status<K>(api: &Api<K>, mut object: K) -> Result<K, Error>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    object.meta_mut().managed_fields = None;
    within("replace status", api.replace_status(&object.name_any(), &PostParams::default(), &object)).await
}

/// Puts the operator's finalizer on an object, or takes it away.
///
/// # Errors
/// [`Error::Kube`], a conflict if somebody else wrote first, or [`Error::Timeout`].
pub async fn set_finalizer<K>(api: &Api<K>, object: &K, wanted: bool) -> Result<(), Error>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let mut finalizers = object.finalizers().to_vec();
    finalizers.retain(|f| f != FINALIZER);
    if wanted {
        finalizers.push(FINALIZER.to_owned());
    }
    let meta = object.meta();
    // With the resourceVersion that was read: finalizers of others that came meanwhile are not lost.
    let patch = serde_json::json!({"metadata": {
        "resourceVersion": meta.resource_version, "uid": meta.uid, "finalizers": finalizers,
    }});
    let (name, patch) = (object.name_any(), Patch::Merge(patch));
    within("patch finalizers", api.patch_metadata(&name, &PatchParams::default(), &patch)).await.map(drop)
}

/// The message for fields with values that this version does not know.
#[must_use]
pub fn unknown_values(fields: &[String]) -> String {
    format!("{}: this version does not know the value; correct it, or update the operator", fields.join(", "))
}

/// How many passes a reconcile makes before it gives way to other objects.
const PASSES: usize = 16;
/// Reconciles at once; each is mostly waiting.
const CONCURRENCY: u16 = 32;
/// When an object that waits for nothing is due again.
pub const SETTLED: Duration = Duration::from_secs(3600);
/// After a lost compare-and-swap.
const CONFLICT: Duration = Duration::from_millis(20);

/// A controller: what one pass over an object does.
pub trait Reconciler: Send + Sync + 'static {
    /// The kind.
    type Object: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static;

    /// The kind's name, in logs and metrics.
    const KIND: &'static str;

    /// One pass: observe, plan, record, act. `live` was read just now, never taken from a cache.
    ///
    /// # Errors
    /// Whatever kept the pass from its end; it is repeated with backoff.
    fn pass(
        ctx: &Context,
        api: &Api<Self::Object>,
        live: Self::Object,
    ) -> impl Future<Output = Result<Next, Error>> + Send;
}

/// A failed reconcile, with the object that it was about.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct Failed {
    uid: String,
    source: Error,
}

/// Runs a controller, whose watches are set up by the caller, until the process is asked to stop.
///
/// # Errors
/// None: what fails is retried, object by object.
pub async fn run<R: Reconciler>(
    ctx: Context,
    controller: Controller<R::Object>,
    stop: Shutdown,
) -> Result<(), std::convert::Infallible> {
    let pending = ctx.readiness.wait_for(R::KIND);
    let store = controller.store();
    let work = controller
        .with_config(Config::default().concurrency(CONCURRENCY))
        .graceful_shutdown_on(async move { stop.requested().await })
        .run(reconcile::<R>, |_, failed, ctx| on_error(R::KIND, failed, &ctx), Arc::new(ctx))
        .for_each(|_| std::future::ready(()));
    let listed = async {
        if store.wait_until_ready().await.is_ok() {
            pending.done();
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = work => {}
        () = listed => {}
    }
    Ok(())
}

async fn reconcile<R: Reconciler>(object: Arc<R::Object>, ctx: Arc<Context>) -> Result<Action, Failed> {
    let started = tokio::time::Instant::now();
    let uid = object.uid().unwrap_or_default();
    let outcome = passes::<R>(&object, &ctx).await;
    ctx.metrics.reconciled(R::KIND, started.elapsed());
    match outcome {
        Ok(next) => {
            ctx.backoff.succeeded(&uid);
            Ok(Action::requeue(next))
        }
        Err(source) => {
            if !source.is_conflict() {
                let (namespace, name) = (object.namespace(), object.name_any());
                let reason = source.reason();
                tracing::warn!(kind = R::KIND, namespace, name, reason, error = %source, "the pass ended early");
            }
            Err(Failed { uid, source })
        }
    }
}

fn on_error(kind: &'static str, failed: &Failed, ctx: &Context) -> Action {
    if failed.source.is_conflict() {
        return Action::requeue(CONFLICT);
    }
    ctx.metrics.reconcile_failed(kind, failed.source.reason());
    Action::requeue(ctx.backoff.failed(&failed.uid, std::time::Instant::now()))
}

/// Passes until there is something to wait for, which is what a controller does with an object; how long to wait.
///
/// # Errors
/// Whatever kept a pass from its end.
pub async fn passes<R: Reconciler>(object: &R::Object, ctx: &Context) -> Result<Duration, Error> {
    let api: Api<R::Object> = Api::namespaced(ctx.client.clone(), &object.namespace().unwrap_or_default());
    for _ in 0..PASSES {
        let Some(live) = within("get", api.get_opt(&object.name_any())).await? else { return Ok(SETTLED) };
        match R::pass(ctx, &api, live).await? {
            Next::Again => {}
            Next::After(duration) => return Ok(duration),
        }
    }
    Ok(CONFLICT)
}
