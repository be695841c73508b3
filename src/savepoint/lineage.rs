//! Where a snapshot comes from, in words that outlive what they name. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::ResourceExt;

use crate::api::{
    FlinkJobUpgrade, FlinkSavepoint, HistoryEntry, SavepointPhase, SavepointSource, UpgradeResult, labels,
};
use crate::flink::id::JobId;
use crate::flink::location;
use crate::naming;

/// A snapshot names at most so many ancestors, the nearest first.
const ANCESTORS: usize = 16;

/// What is known of the job of a FlinkJobUpgrade, for a savepoint that is about to be taken of it.
#[must_use]
pub fn of_job(job: &FlinkJobUpgrade, savepoint: &FlinkSavepoint, known: &[Arc<FlinkSavepoint>]) -> SavepointSource {
    let Some(active) = job.status.as_ref().and_then(|s| s.active.as_ref()) else { return SavepointSource::default() };
    let ancestors = ancestors(job, known);
    SavepointSource {
        revision: Some(active.revision),
        flink_cluster: job.spec.flink_cluster.clone(),
        upgrade: savepoint.labels().get(naming::LABEL_OPERATION).cloned(),
        image: active.submission.image_digest.clone().or_else(|| job.spec.image.clone()),
        job_id: Some(active.submission.job_id.clone()),
        parent: ancestors.first().cloned(),
        ancestors,
    }
}

/// What is known of a foreign cluster's job: what it was restored from, by Flink's word.
#[must_use]
pub fn of_foreign(job: &JobId, restored_from: Option<String>, known: &[Arc<FlinkSavepoint>]) -> SavepointSource {
    let ancestors = continued(restored_from.into_iter().collect(), known);
    let parent = ancestors.first().cloned();
    SavepointSource { job_id: Some(job.to_string()), parent, ancestors, ..SavepointSource::default() }
}

/// A copy comes from where its original comes from, and descends from that itself. `record`: of the original, if it has one.
#[must_use]
pub fn of_copy(original: &str, record: Option<&FlinkSavepoint>) -> SavepointSource {
    let mut source = record.and_then(|s| s.status.as_ref()?.source.clone()).unwrap_or_default();
    source.parent = Some(original.to_owned());
    source.ancestors.insert(0, original.to_owned());
    source.ancestors.truncate(ANCESTORS);
    source
}

/// What the job was restored from, what that one's job was restored from, and so on: as the records say, and where one is
/// gone, as the history does, down to a start with nothing.
fn ancestors(job: &FlinkJobUpgrade, known: &[Arc<FlinkSavepoint>]) -> Vec<String> {
    let status = job.status.as_ref();
    let active = status.and_then(|s| s.active.as_ref()?.submission.restored_from.clone());
    // One that began with nothing has none, whatever was before it.
    let Some(active) = active else { return Vec::new() };
    let began_with_nothing =
        |entry: &&HistoryEntry| entry.result == UpgradeResult::Succeeded && entry.restored_from.is_none();
    let past = status.into_iter().flat_map(|s| &s.history).take_while(|entry| !began_with_nothing(entry));
    let mut places = vec![active];
    for place in past.filter_map(|entry| entry.restored_from.clone()) {
        let Some(last) = places.last() else { break };
        if location::same(last, &place) {
            continue;
        }
        // Its record knows better: it may be of another job, or of one that was there before what was undone.
        if recorded(last, known).is_some() {
            break;
        }
        if !places.iter().any(|known| location::same(known, &place)) {
            places.push(place);
        }
    }
    continued(places, known)
}

/// The records of the places know more.
fn continued(mut places: Vec<String>, known: &[Arc<FlinkSavepoint>]) -> Vec<String> {
    let mut at = 0;
    while let Some(place) = places.get(at).filter(|_| places.len() < ANCESTORS).cloned() {
        let before = recorded(&place, known).map(|source| source.ancestors.clone()).unwrap_or_default();
        for older in before {
            if !places.iter().any(|known| location::same(known, &older)) {
                places.push(older);
            }
        }
        at += 1;
    }
    places.truncate(ANCESTORS);
    places
}

/// Where the snapshot of a place comes from, by a record of it.
fn recorded<'a>(place: &str, known: &'a [Arc<FlinkSavepoint>]) -> Option<&'a SavepointSource> {
    let at = |savepoint: &&Arc<FlinkSavepoint>| located(savepoint).is_some_and(|there| location::same(there, place));
    known.iter().filter(at).find_map(|savepoint| savepoint.status.as_ref()?.source.as_ref())
}

fn located(savepoint: &FlinkSavepoint) -> Option<&str> {
    savepoint.status.as_ref()?.location.as_deref()
}

/// The labels by which snapshots are found by their ancestors; `None`: they are there, or it is not complete.
#[must_use]
pub fn missing_labels(savepoint: &FlinkSavepoint) -> Option<BTreeMap<String, String>> {
    let status = savepoint.status.as_ref()?;
    let complete = matches!(status.phase, Some(SavepointPhase::Completed | SavepointPhase::Superseded));
    let location = status.location.as_ref().filter(|_| complete)?;
    let mut wanted = BTreeMap::from([(labels::SNAPSHOT.to_owned(), naming::snapshot_id(location))]);
    let source = status.source.clone().unwrap_or_default();
    wanted.extend(source.revision.map(|revision| (labels::REVISION.to_owned(), revision.to_string())));
    for (distance, ancestor) in source.ancestors.iter().enumerate() {
        let key = format!("{}{}", labels::ANCESTOR, naming::snapshot_id(ancestor));
        wanted.insert(key, (distance + 1).to_string());
    }
    let there = savepoint.labels();
    wanted.retain(|key, value| there.get(key) != Some(value));
    (!wanted.is_empty()).then_some(wanted)
}

#[cfg(test)]
#[path = "lineage_tests.rs"]
mod tests;
