//! Who else depends on a snapshot that a job is about to start from, or is about to delete it.
//!
//! A job's status says what it starts from, and in which mode, before this is looked at. So of two jobs one always sees the
//! other, and of one that starts and one that deletes, too; of two that see each other none starts (decision 0024).

use std::sync::Arc;

use chrono::{DateTime, Utc};
use kube::ResourceExt;
use kube::api::ListParams;

use super::observed::Observed;
use super::references::Need;
use super::{ended, ownership, snapshots};
use crate::api::{
    FlinkJobUpgrade, FlinkSavepoint, FlinkSavepointSpec, FlinkSavepointStatus, Hold, RestoreMode, SavepointPhase,
    StateSource,
};
use crate::flink::location;
use crate::reconcile::{Error, within};
use crate::runtime::Context;
use crate::savepoint::{self, holds, holds::World};

/// Why a job can't be started from a snapshot now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contest {
    /// It is being deleted: whose it is.
    Disposing(String),
    /// Another one has it, or needs it: why, and what helps.
    Lost(String),
}

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
            let record = self.records(place).find(|record| snapshots::owned_by_flink(record))?;
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
        let mut service_lives = false;
        for record in self.records(place) {
            service_lives |= savepoint::service_lives(ctx, record).await?;
        }
        Ok(self.holds(own, place, service_lives, ctx.clock.now()))
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

/// That a snapshot is Flink's, and what helps.
#[must_use]
pub fn owned(place: &str, owner: &str) -> String {
    format!(
        "{place} is Flink's own, which may delete it at any time: {owner}; name another snapshot, or a copy of this one, \
         which a FlinkSavepoint with copyOf makes"
    )
}

/// That others need a snapshot which a job is to claim, and what helps.
#[must_use]
pub fn needed(place: &str, holds: &[Hold]) -> String {
    format!(
        "job.restoreMode: CLAIM would give {place} to Flink, which may delete it at any time, but others need it: {}; set \
         NO_CLAIM, or name a copy of it, which a FlinkSavepoint with copyOf makes",
        holds::listed(holds)
    )
}

/// What is in the way of a job that is about to be submitted from a snapshot. That it is about to is in its status by
/// now: who begins to delete or to claim from here on sees that.
///
/// # Errors
/// If Kubernetes can't be asked.
pub async fn contested(ctx: &Context, o: &Observed, place: &str) -> Result<Option<Contest>, Error> {
    let Some(upgrade) = o.upgrade.status.as_ref().and_then(|s| s.upgrade.as_ref()) else { return Ok(None) };
    let claims = upgrade.submission.as_ref().and_then(|s| s.restore_mode) == Some(RestoreMode::Claim);
    let source = upgrade.source;
    // The upgrade's own was needed from before it was taken.
    if source == Some(StateSource::Savepoint) && !claims {
        return Ok(None);
    }
    let everybody = Everybody::read(ctx).await?;
    let names_a_place = source == Some(StateSource::RestoreFrom);
    if source != Some(StateSource::Savepoint)
        && let Some(record) = everybody.disposing(place)
    {
        return Ok(Some(Contest::Disposing(format!("FlinkSavepoint {record}"))));
    }
    if names_a_place && let Some(job) = ended::sweeper(place, everybody.jobs.iter().map(AsRef::as_ref)) {
        return Ok(Some(Contest::Disposing(format!("a checkpoint of FlinkJobUpgrade {job}"))));
    }
    if let Some(owner) = everybody.claimant(&o.upgrade, place) {
        return Ok(Some(Contest::Lost(owned(place, &owner))));
    }
    if !claims {
        return Ok(None);
    }
    let mut holds = everybody.holds_of_others(ctx, &o.upgrade, place).await?;
    // Who has only asked for it sees the claim. Its own savepoint is to be claimed from before it was taken: only a job that
    // has begun to start from it counts.
    holds.retain(|hold| hold.reason != Need::RestoreFrom.words() && (names_a_place || hold.kind == "FlinkJobUpgrade"));
    Ok((!holds.is_empty()).then(|| Contest::Lost(needed(place, &holds))))
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
