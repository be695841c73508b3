//! FlinkSavepoints as they are now, without a list of all: with a thousand in a namespace, one such list at each pass would
//! be most of what the API server does.

use std::collections::BTreeSet;

use kube::api::ListParams;
use kube::{Api, ResourceExt};

use crate::api::{FlinkSavepoint, SavepointPhase};
use crate::context::Context;
use crate::reconcile::{Error, within};

/// Those of a namespace that are wanted. What the process knows of a settled one by its watch holds for ever; others, and
/// those of these names that it does not know, are read anew. `list` is what is asked for before the watch has listed.
///
/// One that the process does not know yet no controller has acted upon, unless it is among the names.
///
/// # Errors
/// If Kubernetes can't be asked.
pub async fn savepoints(
    ctx: &Context,
    namespace: &str,
    list: &ListParams,
    names: impl IntoIterator<Item = String>,
    wanted: impl Fn(&FlinkSavepoint) -> bool,
) -> Result<Vec<FlinkSavepoint>, Error> {
    let api: Api<FlinkSavepoint> = Api::namespaced(ctx.client.clone(), namespace);
    let Some(known) = ctx.known.savepoints() else {
        let mut all = within("list FlinkSavepoints", api.list(list)).await?.items;
        all.retain(wanted);
        return Ok(all);
    };
    let mut unsettled: BTreeSet<String> = names.into_iter().collect();
    let mut found = Vec::new();
    for savepoint in known.iter().filter(|s| s.metadata.namespace.as_deref() == Some(namespace) && wanted(s)) {
        if is_settled(savepoint) {
            unsettled.remove(&savepoint.name_any());
            found.push(FlinkSavepoint::clone(savepoint));
        } else {
            unsettled.insert(savepoint.name_any());
        }
    }
    for name in unsettled {
        found.extend(within("get FlinkSavepoint", api.get_opt(&name)).await?.filter(|savepoint| wanted(savepoint)));
    }
    Ok(found)
}

/// It is complete or failed, and stays so.
#[must_use]
pub fn is_settled(savepoint: &FlinkSavepoint) -> bool {
    savepoint.status.as_ref().and_then(|s| s.phase).is_some_and(SavepointPhase::is_terminal)
}
