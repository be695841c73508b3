//! Who claims a snapshot, and who needs it, as the API server knows them now.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use k8s_openapi::api::core::v1::Service;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::ownership;
use super::world::World;
use crate::api::{
    FlinkJobUpgrade, FlinkSavepoint, FlinkSavepointSpec, FlinkSavepointStatus, Hold, RestoreMode, SavepointPhase,
};
use crate::context::Context;
use crate::flink::location;
use crate::reconcile::{Error, within};

/// All resources that may claim a snapshot or need it, as the API server knows them now. A place is the same whichever
/// namespace names it.
#[derive(Debug)]
pub struct Everybody {
    /// FlinkJobUpgrades.
    pub jobs: Vec<Arc<FlinkJobUpgrade>>,
    /// FlinkSavepoints.
    pub savepoints: Vec<Arc<FlinkSavepoint>>,
}

impl Everybody {
    /// Reads them.
    ///
    /// # Errors
    /// If Kubernetes can't be asked.
    pub async fn read(ctx: &Context) -> Result<Self, Error> {
        let (jobs, savepoints) = (ctx.watched::<FlinkJobUpgrade>(), ctx.watched::<FlinkSavepoint>());
        let all = ListParams::default();
        let (jobs, savepoints) = tokio::try_join!(
            within("list FlinkJobUpgrades", jobs.list(&all)),
            within("list FlinkSavepoints", savepoints.list(&all)),
        )?;
        Ok(Self {
            jobs: jobs.items.into_iter().map(Arc::new).collect(),
            savepoints: savepoints.items.into_iter().map(Arc::new).collect(),
        })
    }

    fn records<'a>(&'a self, place: &'a str) -> impl Iterator<Item = &'a FlinkSavepoint> {
        let lies_there = move |record: &&FlinkSavepoint| {
            let at = record.status.as_ref().and_then(|status| status.location.as_deref());
            at.is_some_and(|at| location::same(at, place))
        };
        self.savepoints.iter().map(AsRef::as_ref).filter(lies_there)
    }

    /// Who says that a snapshot is Flink's own: a job that was submitted with CLAIM, whether Flink has confirmed that or
    /// not, or a record.
    #[must_use]
    pub fn owner(&self, place: &str) -> Option<String> {
        let restored = |job: &&Arc<FlinkJobUpgrade>| ownership::has_restored(job, place, RestoreMode::Claim);
        let job =
            self.jobs.iter().find(restored).map(|job| format!("FlinkJobUpgrade {} claimed it", whole_name(&**job)));
        job.or_else(|| {
            let record = self.records(place).find(|record| ownership::is_flinks(record))?;
            Some(format!("FlinkSavepoint {} says that a job claimed it", whole_name(record)))
        })
    }

    /// Another job than this one that has claimed a snapshot, or is about to by an upgrade that is under way.
    #[must_use]
    pub fn claimant(&self, own: &FlinkJobUpgrade, place: &str) -> Option<String> {
        let claims = |job: &&Arc<FlinkJobUpgrade>| {
            ownership::has_restored(job, place, RestoreMode::Claim) || self.is_about_to_claim(job, place)
        };
        let claimant = self.others(own).find(claims)?;
        Some(format!("FlinkJobUpgrade {} claims it", whole_name(&**claimant)))
    }

    /// Its own savepoint an upgrade names from before there is a place.
    fn is_about_to_claim(&self, job: &FlinkJobUpgrade, place: &str) -> bool {
        let upgrade = job.status.as_ref().and_then(|s| s.upgrade.as_ref());
        let Some(upgrade) = upgrade.filter(|u| u.restore_mode == Some(RestoreMode::Claim)) else { return false };
        let places = [&upgrade.snapshot, &upgrade.savepoint_location];
        let is_its_own = |record: &FlinkSavepoint| {
            record.metadata.namespace == job.metadata.namespace && upgrade.savepoint == record.metadata.name
        };
        places.into_iter().flatten().any(|named| location::same(named, place)) || self.records(place).any(is_its_own)
    }

    /// Why others than this job need a snapshot. `service_lives`: the foreign cluster that it is of is there.
    #[must_use]
    pub fn holds(&self, own: &FlinkJobUpgrade, place: &str, service_lives: bool, now: DateTime<Utc>) -> Vec<Hold> {
        let jobs: Vec<_> = self.others(own).cloned().collect();
        let world = World { jobs: &jobs, savepoints: &self.savepoints, service_lives };
        let mut records: Vec<_> = self.records(place).cloned().collect();
        if records.is_empty() {
            records.push(unrecorded(own, place));
        }
        let mut found: Vec<Hold> = Vec::new();
        for hold in records.iter().flat_map(|record| world.holds(record, now)) {
            if !found.iter().any(|known| (&known.name, &known.reason) == (&hold.name, &hold.reason)) {
                found.push(hold);
            }
        }
        found
    }

    /// The same, with what Kubernetes says of a foreign cluster.
    ///
    /// # Errors
    /// If it can't be asked.
    pub async fn holds_of_others(&self, ctx: &Context, own: &FlinkJobUpgrade, place: &str) -> Result<Vec<Hold>, Error> {
        let mut lives = false;
        for record in self.records(place) {
            lives |= service_lives(ctx, record).await?;
        }
        Ok(self.holds(own, place, lives, ctx.clock.now()))
    }

    /// The record with which a snapshot is being deleted.
    #[must_use]
    pub fn disposing(&self, place: &str) -> Option<String> {
        let phase = |record: &FlinkSavepoint| record.status.as_ref().and_then(|s| s.phase);
        self.records(place).find(|record| phase(record) == Some(SavepointPhase::Disposing)).map(whole_name)
    }

    fn others(&self, own: &FlinkJobUpgrade) -> impl Iterator<Item = &Arc<FlinkJobUpgrade>> {
        self.jobs.iter().filter(|job| job.metadata.uid != own.metadata.uid)
    }
}

/// A record as there would be one of a place.
fn unrecorded(own: &FlinkJobUpgrade, place: &str) -> FlinkSavepoint {
    let mut record = FlinkSavepoint::new("", FlinkSavepointSpec::default());
    record.metadata.namespace.clone_from(&own.metadata.namespace);
    let phase = Some(SavepointPhase::Completed);
    record.status = Some(FlinkSavepointStatus { phase, location: Some(place.to_owned()), ..Default::default() });
    record
}

fn whole_name(resource: &impl ResourceExt) -> String {
    format!("{}/{}", resource.namespace().unwrap_or_default(), resource.name_any())
}

/// Whether the cluster of a foreign job is there: one that is gone needs no snapshot.
///
/// # Errors
/// If Kubernetes can't be asked.
pub async fn service_lives(ctx: &Context, savepoint: &FlinkSavepoint) -> Result<bool, Error> {
    let Some(cluster) = &savepoint.spec.flink_cluster else { return Ok(false) };
    let services: Api<Service> = Api::namespaced(ctx.client.clone(), &savepoint.namespace().unwrap_or_default());
    Ok(within("get Service", services.get_metadata_opt(&cluster.service)).await?.is_some())
}

#[cfg(test)]
#[path = "everybody_tests.rs"]
mod tests;
