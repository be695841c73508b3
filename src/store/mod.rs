//! The FlinkSnapshotStore controller: whether a place can be used, by really using it.

pub mod check;
pub mod copies;
pub mod open;
mod orphans;
mod plan;

use kube::{Api, Resource, ResourceExt};

pub use self::orphans::counted;
use self::plan::{Observed, Probe};
use crate::api::condition::{self, types};
use crate::api::{FlinkSnapshotStore, FlinkSnapshotStoreStatus, Orphans};
use crate::context::Context;
use crate::reconcile::{Error, Next, Reconciler, write_status};

/// The controller.
#[derive(Debug, Clone, Copy)]
pub struct SnapshotStores;

impl Reconciler for SnapshotStores {
    type Object = FlinkSnapshotStore;

    const KIND: &'static str = "FlinkSnapshotStore";

    async fn pass(ctx: &Context, api: &Api<FlinkSnapshotStore>, live: FlinkSnapshotStore) -> Result<Next, Error> {
        if live.metadata.deletion_timestamp.is_some() {
            return Ok(Next::After(crate::reconcile::SETTLED));
        }
        let probe = Box::pin(probe(ctx, &live)).await?;
        let orphans = Box::pin(orphans(ctx, &live, &probe)).await?;
        let observed = Observed { now: ctx.clock.now(), store: live, probe, orphans };
        let (status, next) = plan::plan(&observed);
        if observed.store.status.as_ref() != Some(&status) {
            let before = available(observed.store.status.as_ref());
            let written = write_status(api, FlinkSnapshotStore { status: Some(status), ..observed.store }).await?;
            tell(ctx, before.as_deref(), &written);
        }
        Ok(next)
    }
}

/// Writes, reads, lists and deletes there; or only lists.
async fn probe(ctx: &Context, store: &FlinkSnapshotStore) -> Result<Probe, Error> {
    let opened = match open::open(ctx, store).await? {
        Ok(opened) => opened,
        Err(why) => return Ok(Probe::Refused(why)),
    };
    Ok(match opened.probe().await {
        Ok(()) => Probe::Fine,
        Err(e) => Probe::Failed { reason: e.reason(), message: e.to_string(), transient: e.is_transient() },
    })
}

/// What nobody keeps in order, if it is time to look for that.
async fn orphans(ctx: &Context, store: &FlinkSnapshotStore, probe: &Probe) -> Result<Option<Orphans>, Error> {
    if *probe != Probe::Fine || !plan::orphans_are_due(store, ctx.clock.now()) {
        return Ok(None);
    }
    let Ok(opened) = open::open(ctx, store).await? else { return Ok(None) };
    match orphans::look(ctx, store, &opened).await? {
        Ok(found) => Ok(Some(found)),
        Err(error) => {
            tracing::warn!(store = store.name_any(), %error, "what nobody keeps in order could not be looked for");
            Ok(None)
        }
    }
}

fn available(status: Option<&FlinkSnapshotStoreStatus>) -> Option<String> {
    condition::find(&status?.conditions, types::AVAILABLE).map(|c| c.reason.clone())
}

fn tell(ctx: &Context, before: Option<&str>, after: &FlinkSnapshotStore) {
    let conditions = after.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    let Some(found) = condition::find(conditions, types::AVAILABLE).filter(|c| before != Some(&c.reason)) else {
        return;
    };
    let (name, namespace, reason, message) = (after.name_any(), after.namespace(), &found.reason, &found.message);
    tracing::info!(store = name, namespace, available = found.status, reason, message, "snapshot store");
    let about = after.object_ref(&());
    if found.status == "True" {
        ctx.events.normal(about, reason, "Probe", message);
    } else {
        ctx.events.warning(about, reason, "Probe", message);
    }
}
