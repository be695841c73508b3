//! What somebody has changed or deleted of the active revision's objects is put back, and told. What starts pods anew has
//! done so by then: a template is put back as it was, and its controller makes the pods again; a StatefulSet's pod stays.

use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::act::{adopt, api, helper_config_map};
use super::objects::Lists;
use super::observed::{Observed, Record, Revision};
use super::plan::{Decision, Effect};
use super::{drift, status, workload};
use crate::api::condition::{Conditions, Reason, types};
use crate::api::{FlinkJobUpgradeStatus, Healed};
use crate::context::Context;
use crate::reconcile::{Error, Next, within};
use crate::time;

/// Whoever changes it once more is followed after this time, and each time after twice as long.
const BACKOFF: Duration = Duration::from_secs(2);
const LONGEST_BACKOFF: Duration = Duration::from_secs(600);
/// After so long without a change it counts from the beginning.
const FORGOTTEN: Duration = Duration::from_secs(1800);
/// From so many times on it is said that somebody works against it.
const OFTEN: i64 = 3;

/// What is there of all revisions, whole.
#[derive(Debug, Default)]
pub struct Live {
    /// `ConfigMaps`.
    pub config_maps: Vec<ConfigMap>,
    /// Services, the stable one as well.
    pub services: Vec<Service>,
    /// `JobManagers`.
    pub stateful_sets: Vec<StatefulSet>,
    /// `TaskManagers`.
    pub deployments: Vec<Deployment>,
}

impl Live {
    /// Services were listed before.
    ///
    /// # Errors
    /// When the Kubernetes API can't be read.
    pub async fn list(lists: &Lists<'_>) -> Result<Self, Error> {
        let (config_maps, stateful_sets, deployments) = tokio::try_join!(lists.whole(), lists.whole(), lists.whole())?;
        Ok(Self { config_maps, services: Vec::new(), stateful_sets, deployments })
    }

    /// Notes how many of a revision's objects are there, by their names, and how they differ from its record.
    pub fn compare(&self, revision: &mut Revision, namespace: &str) {
        let Some(Record { rendered, .. }) = revision.record.as_deref() else { return };
        let stable = workload::stable_service(namespace, &rendered.name, &rendered.owner_uid, rendered.revision);
        let points_here = self.services.iter().find(|s| s.name_any() == stable.name_any()).filter(|found| {
            let selector = |service: &Service| service.spec.as_ref().and_then(|spec| spec.selector.clone());
            selector(&stable).zip(selector(found)).is_some_and(|(stable, found)| {
                stable.get(crate::api::labels::REVISION) == found.get(crate::api::labels::REVISION)
            })
        });
        let compared = [
            found(&rendered.config_map, &self.config_maps),
            found(&rendered.helper_config_map, &self.config_maps),
            found(&rendered.service, &self.services),
            found(&rendered.stateful_set, &self.stateful_sets),
            found(&rendered.deployment, &self.deployments),
        ];
        let deployment = self.deployments.iter().find(|d| d.name_any() == rendered.deployment.name_any());
        revision.task_managers = deployment.and_then(|d| d.spec.as_ref()?.replicas);
        revision.objects = compared.iter().flatten().count();
        let of_stable = points_here.and_then(|found| drift::of(&stable, found));
        revision.drift = compared.into_iter().flatten().flatten().chain(of_stable.map(|d| d.message)).collect();
    }
}

/// How the object of that name differs, if it is there.
fn found<K: Resource<DynamicType = ()> + Serialize>(stored: &K, live: &[K]) -> Option<Vec<String>> {
    let found = live.iter().find(|one| one.name_any() == stored.name_any())?;
    Some(drift::of(stored, found).map(|drift| drift.message).into_iter().collect())
}

/// What follows from what was changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Healing {
    /// Nothing was.
    Nothing,
    /// It is put back.
    Now(Decision),
    /// It was put back before, and is again after this time.
    Later(Duration),
}

/// Whether the objects of a revision are as they were made.
pub fn decide(o: &Observed, draft: &mut FlinkJobUpgradeStatus, number: i64) -> Healing {
    // A revision on a session cluster has objects for the time of an upgrade only.
    if o.session.is_some() {
        return Healing::Nothing;
    }
    let revision = o.revisions.get(&number);
    let missing = workload::OBJECTS.saturating_sub(revision.map_or(0, |r| r.objects));
    let (what, effect) = match revision.and_then(|r| r.drift.first()) {
        _ if missing > 0 => {
            let what = format!("{missing} of the {} objects of revision {number} are gone", workload::OBJECTS);
            (what, Effect::CreateObjects(number))
        }
        Some(_) => (revision.map(|r| r.drift.join("; ")).unwrap_or_default(), Effect::Heal(number)),
        None => {
            Conditions::new(&mut draft.conditions, o.upgrade.metadata.generation, o.now).remove(types::DRIFTED);
            return Healing::Nothing;
        }
    };
    let since = |healed: &Healed| o.since(time::from_k8s(&healed.time));
    let before = draft.healed.as_ref().filter(|healed| since(healed) < FORGOTTEN);
    let count = before.map_or(0, |healed| healed.count);
    let wait = before.map_or(Duration::ZERO, |healed| backoff(count).saturating_sub(since(healed)));
    if !wait.is_zero() {
        if count >= OFTEN {
            let message = format!(
                "{what}; that was put back before, and is put back again, at longer and longer intervals: find out who \
                 changes it (kubectl get --show-managed-fields)"
            );
            let mut conditions = Conditions::new(&mut draft.conditions, o.upgrade.metadata.generation, o.now);
            conditions.set(types::DRIFTED, true, Reason::HealedInVain, message);
        }
        return Healing::Later(wait);
    }
    draft.healed = Some(Healed { what, count: count + 1, time: time::to_k8s_precise(o.now) });
    Healing::Now((Some(effect), Next::Again))
}

fn backoff(count: i64) -> Duration {
    let exponent = u32::try_from(count.saturating_sub(1)).unwrap_or_default();
    BACKOFF.saturating_mul(2_u32.saturating_pow(exponent)).min(LONGEST_BACKOFF)
}

/// Puts back what differs of a revision's objects now.
///
/// # Errors
/// Whatever the Kubernetes API answered; a conflict if somebody else wrote meanwhile.
pub async fn put_back(ctx: &Context, o: &Observed, number: i64) -> Result<(), Error> {
    let Some(Record { rendered, .. }) = o.record(number) else { return Ok(()) };
    let config_maps = api::<ConfigMap>(ctx, o);
    let namespace = o.upgrade.namespace().unwrap_or_default();
    let uid = status::uid(o);
    one(&config_maps, &rendered.config_map, uid).await?;
    one(&config_maps, &helper_config_map(ctx, rendered), uid).await?;
    one(&api::<Service>(ctx, o), &rendered.service, uid).await?;
    one(&api::<StatefulSet>(ctx, o), &rendered.stateful_set, uid).await?;
    one(&api::<Deployment>(ctx, o), &rendered.deployment, uid).await?;
    if o.stable_service == Some(number) {
        one(&api::<Service>(ctx, o), &workload::stable_service(&namespace, status::name(o), uid, number), uid).await?;
    }
    Ok(())
}

async fn one<K>(api: &Api<K>, stored: &K, owner_uid: &str) -> Result<(), Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    K: Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    let name = stored.name_any();
    let Some(found) = within("get", api.get_opt(&name)).await? else { return Ok(()) };
    adopt(stored, &found, owner_uid)?;
    let Some(drift) = drift::of(stored, &found) else { return Ok(()) };
    tracing::info!(what = drift.message, "putting back what somebody has changed");
    within("patch", api.patch(&name, &PatchParams::default(), &Patch::Merge(drift.patch))).await.map(drop)
}

#[cfg(test)]
#[path = "heal_tests.rs"]
mod tests;
