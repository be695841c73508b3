//! Leadership by a Lease of `coordination.k8s.io`: only its holder acts.
//!
//! Every write is a create or a replace with `resourceVersion`, so that two processes can't both win. Whether another's Lease has
//! expired is judged by this process' own monotonic clock since it saw the Lease change last, as client-go does: clocks of nodes
//! need not agree. Whoever loses the Lease ends.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease as Object, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::{sync::watch, time::Instant};

use super::{
    Error,
    error::chain,
    kube_client::{CallError, within},
    metrics::Metrics,
    shutdown::Shutdown,
};

/// How long the release at the end may take. The Lease expires by itself if it fails.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(1);

/// Which Lease, and who wants it.
#[derive(Clone, Debug)]
pub struct LeaseSettings {
    /// The Lease's namespace.
    pub namespace: String,
    /// The Lease's name.
    pub name: String,
    /// How long a renewal holds; whole seconds, at least 1.
    pub duration: Duration,
    /// Who wants it.
    pub identity: Identity,
}

/// Who holds a Lease: one process, never two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The pod, where it is known.
    pod: Option<String>,
    /// What stands in `holderIdentity`.
    holder: String,
}

impl Identity {
    /// The identity of this process, in the pod of this name if it runs in one.
    #[must_use]
    pub fn of_process(pod: Option<&str>) -> Self {
        let host =
            pod.map_or_else(|| std::env::var("HOSTNAME").unwrap_or_else(|_| "unknown".to_owned()), ToOwned::to_owned);
        // In a container the process id is always the same; the time of the start is not.
        let start = Timestamp::now().as_nanosecond();
        Self { pod: pod.map(ToOwned::to_owned), holder: format!("{host}_{}-{start:x}", std::process::id()) }
    }

    /// What stands in `holderIdentity`.
    #[must_use]
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// Whether the holder is an earlier process of the same pod. It is dead: a container starts only after the one before has ended,
    /// and a pod's name is not used again while the pod exists. (No pod's name has an underscore.)
    fn succeeds(&self, holder: &str) -> bool {
        let pod_of_holder = holder.split_once('_').map(|(pod, _)| pod);
        holder != self.holder && self.pod.is_some() && self.pod.as_deref() == pod_of_holder
    }
}

/// What this process knows about its leadership.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Claim {
    /// The Lease was not seen yet.
    #[default]
    Unknown,
    /// Another process leads.
    Standby,
    /// This process leads.
    Held {
        /// Until then no other process can take the Lease.
        until: Instant,
    },
}

impl Claim {
    /// For how long from now on no other process can lead. An effect that can't be undone needs more of it than its call may take.
    #[must_use]
    pub fn held_for(&self) -> Duration {
        match self {
            Self::Held { until } => until.saturating_duration_since(Instant::now()),
            Self::Unknown | Self::Standby => Duration::ZERO,
        }
    }

    /// Whether the Lease was seen.
    #[must_use]
    pub fn is_known(&self) -> bool {
        *self != Self::Unknown
    }

    /// Whether this process leads now.
    #[must_use]
    pub fn is_held(&self) -> bool {
        !self.held_for().is_zero()
    }
}

/// The Lease as it was read last.
#[derive(Clone, Debug)]
struct Seen {
    object: Object,
    /// Since when, at the latest, its spec is as it is, by the local clock.
    unchanged_since: Instant,
}

/// What to do about the Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Create,
    /// Free, expired, or of an earlier process of this pod.
    Acquire,
    Renew,
    Wait(Duration),
    Lost {
        holder: String,
    },
}

fn decide(now: Instant, seen: Option<&Seen>, me: &Identity, leading: bool, duration: Duration) -> Action {
    let Some(seen) = seen else { return Action::Create };
    let spec = seen.object.spec.as_ref();
    let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
    if holder.is_empty() {
        return Action::Acquire;
    }
    if holder == me.holder {
        return Action::Renew;
    }
    if leading {
        return Action::Lost { holder: holder.to_owned() };
    }
    if me.succeeds(holder) {
        return Action::Acquire;
    }
    // The holder trusts in its own duration, not in this process'.
    let seconds = spec.and_then(|spec| spec.lease_duration_seconds).and_then(|seconds| u64::try_from(seconds).ok());
    let theirs = seconds.filter(|seconds| *seconds > 0).map_or(duration, Duration::from_secs);
    let expired = seen.unchanged_since + theirs;
    if now >= expired { Action::Acquire } else { Action::Wait(expired - now) }
}

/// A candidate for leadership.
#[derive(Debug)]
pub struct Lease {
    api: Api<Object>,
    settings: LeaseSettings,
    metrics: Metrics,
    claim: watch::Sender<Claim>,
    seen: Option<Seen>,
}

impl Lease {
    /// A candidate that has not tried yet.
    #[must_use]
    pub fn new(client: Client, settings: LeaseSettings, metrics: Metrics) -> Self {
        let api = Api::namespaced(client, &settings.namespace);
        Self { api, settings, metrics, claim: watch::Sender::default(), seen: None }
    }

    /// The claim, kept up to date while [`Lease::run`] runs.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Claim> {
        self.claim.subscribe()
    }

    /// Acquires the Lease and renews it until `stop`, then releases it. Request `stop` only when nobody acts any more.
    ///
    /// # Errors
    /// [`Error::LeaseTaken`] and [`Error::LeaseExpired`]: this process led and does not any more; it has to end at once.
    pub async fn run(mut self, stop: Shutdown) -> Result<(), Error> {
        let mut stopped = std::pin::pin!(stop.requested());
        loop {
            let pause = tokio::select! {
                biased;
                () = &mut stopped => break,
                pause = self.step() => pause.inspect_err(|_| self.set(Claim::Standby))?,
            };
            tokio::select! {
                biased;
                () = &mut stopped => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.release().await;
        Ok(())
    }

    /// One try; returns when to try next.
    async fn step(&mut self) -> Result<Duration, Error> {
        let retry = (self.settings.duration / 10).max(Duration::from_millis(100));
        let renewal = self.settings.duration / 3;
        let leading = matches!(*self.claim.borrow(), Claim::Held { .. });
        let limit = if leading { self.claim.borrow().held_for().min(renewal) } else { renewal };
        let tried = within_limit(limit, self.attempt(leading)).await;
        let cause = match tried {
            Ok(Attempt::Held { since }) => {
                if !leading {
                    tracing::info!(lease = self.name(), holder = self.settings.identity.holder, "leading");
                }
                self.set(Claim::Held { until: since + self.settings.duration });
                return Ok(renewal);
            }
            Ok(Attempt::Waiting { holder, pause }) => {
                if *self.claim.borrow() == Claim::Unknown {
                    tracing::info!(lease = self.name(), holder, "standing by");
                }
                self.set(Claim::Standby);
                return Ok(pause.min(retry));
            }
            Ok(Attempt::Lost { holder }) => return Err(Error::LeaseTaken { lease: self.name(), holder }),
            Err(error) => chain(&error),
        };
        tracing::warn!(lease = self.name(), leading, error = cause, "the Lease could not be acquired or renewed");
        let left = self.claim.borrow().held_for();
        if leading && left.is_zero() {
            return Err(Error::LeaseExpired { lease: self.name(), duration: self.settings.duration, cause });
        }
        Ok(if leading { retry.min(left) } else { renewal })
    }

    async fn attempt(&mut self, leading: bool) -> Result<Attempt, CallError> {
        // A leader's own last write is what it would read, unless somebody interfered; then the write conflicts.
        if !leading {
            self.look().await?;
        }
        match self.act(leading).await {
            Err(CallError::Kube(error)) if is_conflict(&error) => {
                self.look().await?;
                self.act(leading).await
            }
            other => other,
        }
    }

    async fn look(&mut self) -> Result<(), CallError> {
        let found = self.api.get_opt(&self.settings.name).await?;
        let now = Instant::now();
        self.seen = found.map(|object| {
            let before = self.seen.take().filter(|before| before.object.spec == object.spec);
            Seen { object, unchanged_since: before.map_or(now, |before| before.unchanged_since) }
        });
        Ok(())
    }

    async fn act(&mut self, leading: bool) -> Result<Attempt, CallError> {
        // Taken before the request: whoever sees its result later counts from later.
        let since = Instant::now();
        let action = decide(since, self.seen.as_ref(), &self.settings.identity, leading, self.settings.duration);
        let holder_of = |seen: Option<&Seen>| {
            seen.and_then(|seen| seen.object.spec.as_ref()?.holder_identity.clone()).unwrap_or_default()
        };
        let written = match action {
            Action::Create => self.api.create(&PostParams::default(), &self.desired(true)).await?,
            Action::Acquire => self.replace(&self.desired(true)).await?,
            Action::Renew => self.replace(&self.desired(false)).await?,
            Action::Wait(pause) => return Ok(Attempt::Waiting { holder: holder_of(self.seen.as_ref()), pause }),
            Action::Lost { holder } => return Ok(Attempt::Lost { holder }),
        };
        self.seen = Some(Seen { object: written, unchanged_since: Instant::now() });
        Ok(Attempt::Held { since })
    }

    async fn replace(&self, object: &Object) -> kube::Result<Object> {
        self.api.replace(&self.settings.name, &PostParams::default(), object).await
    }

    /// The Lease as this process wants it, based on what it saw (`resourceVersion` included).
    fn desired(&self, new_holder: bool) -> Object {
        let now = MicroTime(Timestamp::now());
        let seen = self.seen.as_ref().map(|seen| seen.object.clone());
        let mut object = seen.clone().unwrap_or_else(|| self.empty());
        let spec = object.spec.get_or_insert_with(LeaseSpec::default);
        spec.holder_identity = Some(self.settings.identity.holder.clone());
        spec.lease_duration_seconds = i32::try_from(self.settings.duration.as_secs()).ok();
        spec.renew_time = Some(now.clone());
        if new_holder {
            spec.acquire_time = Some(now);
            let before = spec.lease_transitions.unwrap_or_default();
            spec.lease_transitions = Some(if seen.is_some() { before.saturating_add(1) } else { 0 });
        }
        object
    }

    fn empty(&self) -> Object {
        let labels = [("app.kubernetes.io/managed-by".to_owned(), "flink-savepoint-operator".to_owned())];
        let metadata =
            ObjectMeta { name: Some(self.settings.name.clone()), labels: Some(labels.into()), ..ObjectMeta::default() };
        Object { metadata, spec: None }
    }

    /// Gives the Lease back, so that the next process need not wait until it expires.
    async fn release(&mut self) {
        self.set(Claim::Standby);
        let released = within(RELEASE_TIMEOUT, async {
            // Read anew: the last renewal may have been cut off before its answer.
            let Some(mut object) = self.api.get_opt(&self.settings.name).await? else { return Ok(()) };
            let Some(spec) = object.spec.as_mut() else { return Ok(()) };
            if spec.holder_identity.as_deref() != Some(self.settings.identity.holder()) {
                return Ok(());
            }
            spec.holder_identity = None;
            spec.renew_time = Some(MicroTime(Timestamp::now()));
            self.replace(&object).await.map(|_| ())
        });
        match released.await {
            Ok(()) => tracing::info!(lease = self.name(), "released"),
            Err(error) => tracing::warn!(lease = self.name(), error = chain(&error), "not released; it will expire"),
        }
    }

    fn set(&self, claim: Claim) {
        self.metrics.set_leader(matches!(claim, Claim::Held { .. }));
        self.claim.send_replace(claim);
    }

    fn name(&self) -> String {
        format!("{}/{}", self.settings.namespace, self.settings.name)
    }
}

enum Attempt {
    Held { since: Instant },
    Waiting { holder: String, pause: Duration },
    Lost { holder: String },
}

async fn within_limit<T>(limit: Duration, tried: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
    tokio::time::timeout(limit, tried).await.unwrap_or(Err(CallError::Timeout(limit)))
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
