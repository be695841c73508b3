//! What happens to the files of snapshots, and what must always hold of them: a job starts only from one that is whole, which
//! stays until the job has a checkpoint of its own; and files go only as their FlinkSavepoint says that they do, which nobody
//! needed when it began to say so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use fakes::kube::Change;
use flink_savepoint_operator::api::{FlinkJobUpgrade, FlinkSavepoint, RestoreMode, SavepointPhase};
use futures::FutureExt as _;
use object_store::memory::InMemory;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::common::{self, BUCKET};
use crate::world::UPGRADES;

/// The end of what a snapshot is made of last.
const METADATA: &str = "/_metadata";

/// Looks on at the files of snapshots. Each method answers with what is wrong.
#[derive(Clone)]
pub struct Snapshots {
    storage: Arc<InMemory>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    /// The files of each snapshot, by its place, since it is whole.
    whole: BTreeMap<String, BTreeSet<String>>,
    /// The places of which a FlinkSavepoint says that their files go.
    going: BTreeSet<String>,
    /// Who had claimed a place when its FlinkSavepoint said for the first time that nobody may start from it any more.
    claimed: BTreeMap<String, Vec<String>>,
    /// The jobs that were submitted, have completed no checkpoint since, and the place that each was submitted from.
    needs: BTreeMap<String, String>,
    /// The places of which a FlinkSavepoint has said that its snapshot is complete, and its name.
    recorded: BTreeMap<String, String>,
    /// Submits from what another job needs or has claimed.
    shared: Vec<String>,
    /// The places that were given to Flink with CLAIM, each with the job that did first.
    flinks: BTreeMap<String, String>,
}

/// What a write of a FlinkSavepoint says of its place: that its files go, or that they may.
struct Said {
    place: String,
    disposing: bool,
    begun: bool,
}

impl Snapshots {
    pub fn new(storage: Arc<InMemory>) -> Self {
        Self { storage, seen: Arc::default() }
    }

    /// What is in the bucket, in memory.
    fn files(&self) -> BTreeSet<String> {
        let listed = common::files(&self.storage, "").now_or_never().unwrap();
        listed.into_iter().map(|file| format!("{BUCKET}/{file}")).collect()
    }

    /// A JobManager is told to start a job: `from` is whole.
    pub fn before_submit(&self, job: &str, from: &str, mode: &str) -> Result<(), String> {
        let files = self.files();
        let mut seen = self.seen.lock().unwrap();
        let place = from.trim_end_matches('/').to_owned();
        if !files.contains(&format!("{place}{METADATA}")) {
            return Err(format!("job {job} is submitted from {place}, and there is no _metadata: {files:?}"));
        }
        let lost: Vec<_> = seen.whole.get(&place).into_iter().flatten().filter(|file| !files.contains(*file)).collect();
        if !lost.is_empty() {
            return Err(format!("job {job} is submitted from {place}, of which these are gone: {lost:?}"));
        }
        let claims = mode == RestoreMode::Claim.as_str();
        let claimed = seen.flinks.get(&place).filter(|claimant| *claimant != job).cloned();
        let needed = seen.needs.iter().find(|(other, from)| *other != job && **from == place);
        if let Some(other) = claimed.or_else(|| needed.filter(|_| claims).map(|(other, _)| other.clone())) {
            let submitted = format!("job {job} is submitted from {place} with {mode}");
            seen.shared.push(format!("{submitted}, and job {other} needs it or has claimed it"));
        }
        if claims {
            seen.flinks.entry(place.clone()).or_insert_with(|| job.to_owned());
        }
        seen.needs.insert(job.to_owned(), place);
        Ok(())
    }

    /// Submits from a place that another job has claimed, or that is claimed while another job needs it.
    pub fn shared(&self) -> Vec<String> {
        self.seen.lock().unwrap().shared.clone()
    }

    /// What has become of files since. `alive`: the jobs that process records, or will by themselves.
    pub fn look(&self, alive: &BTreeSet<String>) -> Result<(), String> {
        let files = self.files();
        let mut seen = self.seen.lock().unwrap();
        let Seen { whole, recorded, going, needs, flinks, .. } = &mut *seen;
        let checkpointed = |job: &str| {
            let below = format!("/{job}/chk-");
            files.iter().any(|file| file.contains(&below) && file.ends_with(METADATA))
        };
        // One that was refused, or has ended, needs nothing: who starts it again submits it again.
        needs.retain(|job, _| alive.contains(job) && !checkpointed(job));
        for (place, of_it) in whole.iter() {
            let Some(lost) = of_it.iter().find(|file| !files.contains(*file)) else { continue };
            if let Some((job, _)) = needs.iter().find(|(_, from)| *from == place) {
                return Err(format!("{lost} is gone, and job {job} has completed no checkpoint since it began there"));
            }
            if recorded.contains_key(place) && !flinks.contains_key(place) && !going.contains(place) {
                return Err(format!("{lost} is gone, and no FlinkSavepoint says so"));
            }
        }
        whole.retain(|place, _| files.contains(&format!("{place}{METADATA}")));
        for metadata in files.iter().filter_map(|file| file.strip_suffix(METADATA)) {
            let below = format!("{metadata}/");
            let of_it = files.iter().filter(|file| file.starts_with(&below)).cloned();
            whole.entry(metadata.to_owned()).or_default().extend(of_it);
        }
        Ok(())
    }

    /// The operator has written a FlinkSavepoint.
    pub fn savepoint_written(&self, change: &Change<'_>) -> Result<(), String> {
        let (old, new) = (change.old.and_then(said), change.new.and_then(said));
        let Some(new) = new else { return Ok(()) };
        let mut seen = self.seen.lock().unwrap();
        if !new.disposing {
            seen.claimed.remove(&new.place);
            seen.recorded.insert(new.place, change.key.name.clone());
            return Ok(());
        }
        if !old.as_ref().is_some_and(|old| old.disposing) {
            seen.claimed.insert(new.place.clone(), claimants(change, &new.place));
        }
        if new.begun && seen.going.insert(new.place.clone()) {
            let before = seen.claimed.get(&new.place).cloned().unwrap_or_default();
            let still: Vec<String> =
                claimants(change, &new.place).into_iter().filter(|job| before.contains(job)).collect();
            if !still.is_empty() {
                return Err(format!("the files of {} go, which {still:?} had claimed before", new.place));
            }
            if change.new.is_some_and(|object| object.pointer("/metadata/deletionTimestamp").is_none()) {
                return Err(format!("the files of {} go, and nobody has deleted {}", new.place, change.key.name));
            }
        }
        Ok(())
    }

    /// The places and names of the FlinkSavepoints that were ever complete.
    pub fn recorded(&self) -> BTreeMap<String, String> {
        self.seen.lock().unwrap().recorded.clone()
    }

    /// Nothing lies below any more.
    pub fn is_empty(&self, place: &str) -> bool {
        let below = format!("{}/", place.trim_end_matches('/'));
        self.files().iter().all(|file| !file.starts_with(&below))
    }
}

fn read<T: DeserializeOwned>(object: &Value) -> T {
    serde_json::from_value(object.clone()).unwrap()
}

fn said(object: &Value) -> Option<Said> {
    let status = read::<FlinkSavepoint>(object).status?;
    let begun = status.disposal.as_ref().is_some_and(|disposal| disposal.begun);
    let place = status.location?.trim_end_matches('/').to_owned();
    Some(Said { place, disposing: status.phase == Some(SavepointPhase::Disposing), begun })
}

/// Who says in its status that its job is about to start from a place, or has and has completed no checkpoint since.
fn claimants(change: &Change<'_>, place: &str) -> Vec<String> {
    let is_there = |at: Option<&String>| at.is_some_and(|at| at.trim_end_matches('/') == place);
    let claims = |job: &FlinkJobUpgrade| {
        let status = job.status.clone().unwrap_or_default();
        let upgrade = status.upgrade.as_ref();
        let submitted = upgrade.and_then(|upgrade| upgrade.submission.as_ref());
        let runs = status.active.as_ref().map(|active| &active.submission).filter(|one| !one.checkpointed);
        is_there(upgrade.and_then(|upgrade| upgrade.snapshot.as_ref()))
            || submitted.into_iter().chain(runs).any(|one| is_there(one.restored_from.as_ref()))
    };
    let jobs = change.objects(UPGRADES).map(read::<FlinkJobUpgrade>);
    jobs.filter(claims).filter_map(|job| job.metadata.name).collect()
}
