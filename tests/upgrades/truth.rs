//! What really happens, and what must always hold of it, whatever a status or a JobManager says.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use fakes::flink::{Records, Run, Submit};
use fakes::kube::{ApiServer, Change};
use fakes::workload::Workload;
use flink_savepoint_operator::api::condition::{self, types};
use flink_savepoint_operator::api::{
    DeletionJob, FlinkJobUpgrade, FlinkJobUpgradeStatus, FlinkSavepoint, JobPhase, JobState, OperationKind,
    RestoreFrom, SavepointPhase, UpgradeProgress, UpgradeResult, UpgradeStep, UpgradeStrategy, labels,
};
use flink_savepoint_operator::naming;
use futures::FutureExt as _;
use object_store::memory::InMemory;
use serde_json::Value;

use crate::common::{BUCKET, NAMESPACE};
use crate::snapshots::Snapshots;
use crate::world::{NAME, SAVEPOINTS, UPGRADES};

/// Looks on; what is wrong is kept, as it happens in the middle of a call.
#[derive(Clone)]
pub struct Truth {
    kube: ApiServer,
    workload: Workload,
    records: Records,
    storage: Arc<InMemory>,
    snapshots: Snapshots,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    broken: Vec<String>,
    /// The UIDs that the resource had.
    uids: Vec<String>,
    /// The ids of the jobs that warm its clusters.
    warm_ups: BTreeSet<String>,
    /// The ids of the jobs that began with nothing, as somebody asked.
    empty: BTreeSet<String>,
    /// The ids of the jobs that were begun beside the one that is active.
    forks: BTreeSet<String>,
    /// The ids of the jobs that somebody else has on its clusters.
    foreign: BTreeSet<String>,
    /// The ids of the jobs of other resources.
    others: BTreeSet<String>,
    /// Those of them that somebody else has lost.
    lost: BTreeSet<String>,
    /// Its last status.
    status: FlinkJobUpgradeStatus,
}

impl Truth {
    pub fn new(kube: ApiServer, workload: Workload, records: Records, storage: Arc<InMemory>) -> Self {
        let snapshots = Snapshots::new(storage.clone());
        Self { kube, workload, records, storage, snapshots, seen: Arc::default() }
    }

    pub fn broken(&self) -> Vec<String> {
        self.seen.lock().unwrap().broken.clone()
    }

    /// The status that was written last, even if the resource is gone.
    pub fn last_status(&self) -> FlinkJobUpgradeStatus {
        self.seen.lock().unwrap().status.clone()
    }

    pub fn know_uid(&self, uid: String) {
        self.seen.lock().unwrap().uids.push(uid);
    }

    fn must(&self, holds: bool, what: impl FnOnce() -> String) {
        self.note(if holds { Ok(()) } else { Err(what()) });
    }

    fn note(&self, told: Result<(), String>) {
        self.seen.lock().unwrap().broken.extend(told.err());
    }

    /// No file of a snapshot is gone that is needed.
    pub fn look_at_files(&self) {
        self.note(self.snapshots.look(&self.alive()));
    }

    /// What became of snapshots.
    pub fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }

    pub fn know_foreign(&self, job: &str) {
        self.seen.lock().unwrap().foreign.insert(job.to_owned());
    }

    /// It may be lost from now on.
    pub fn forget_foreign(&self, job: &str) {
        self.seen.lock().unwrap().lost.insert(job.to_owned());
    }

    /// Whether a job of somebody else may be lost.
    pub fn may_be_lost(&self, job: &str) -> bool {
        self.seen.lock().unwrap().lost.contains(job)
    }

    /// What all tasks did, those of other jobs too.
    pub fn all_runs(&self) -> Vec<Run> {
        self.records.runs()
    }

    /// Whether a job is one of those that warm a cluster.
    fn warms(&self, job: &str) -> bool {
        self.seen.lock().unwrap().warm_ups.contains(job)
    }

    /// Whether a job is of a lineage of its own.
    fn is_apart(&self, job: &str) -> bool {
        let seen = self.seen.lock().unwrap();
        [&seen.warm_ups, &seen.foreign, &seen.others].into_iter().any(|apart| apart.contains(job))
    }

    /// What the tasks of the job did, from its first start on.
    pub fn runs(&self) -> Vec<Run> {
        self.records.runs().into_iter().filter(|run| !self.is_apart(&run.job)).collect()
    }

    /// The starts of the job that a JobManager took.
    pub fn submits(&self) -> Vec<Submit> {
        self.records.submits().into_iter().filter(|submit| !self.is_apart(&submit.job)).collect()
    }

    /// The jobs whose tasks process records now.
    pub fn processing(&self) -> BTreeSet<String> {
        self.runs().into_iter().filter(Run::processes).map(|run| run.job).collect()
    }

    /// Whether a JobManager says that all tasks of a job run.
    fn said_to_run(&self, job: &str) -> bool {
        self.workload.clusters().iter().any(|cluster| cluster.running_jobs().iter().any(|running| running == job))
    }

    /// The jobs that process records, or will without anybody's doing.
    fn alive(&self) -> BTreeSet<String> {
        let live = self.workload.clusters().into_iter().flat_map(|cluster| cluster.live_jobs());
        live.filter(|job| !self.is_apart(job)).chain(self.processing()).collect()
    }

    /// Never two; and no job id is used again.
    pub fn look(&self) {
        let processing = self.processing();
        let beside = self.beside();
        let alone = processing.iter().filter(|job| beside.as_ref() != Some(job)).count();
        self.must(alone <= 1, || format!("two at once: {processing:?}"));
        let submits = self.submits();
        let ids: BTreeSet<&str> = submits.iter().map(|submit| submit.job.as_str()).collect();
        self.must(ids.len() == submits.len(), || format!("a job id was used again: {submits:?}"));
        if self.last_status().phase == Some(JobPhase::Suspended) {
            self.must(processing.is_empty(), || format!("suspended, and {processing:?} process"));
        }
        self.look_at_files();
    }

    /// The job beside which another one may run until that is promoted, and then until it has ended.
    fn beside(&self) -> Option<String> {
        let status = self.last_status();
        let forks = status.upgrade.as_ref().is_some_and(|u| u.strategy == Some(UpgradeStrategy::BlueGreen));
        status.active.filter(|_| forks).map(|active| active.submission.job_id)
    }

    fn upgrade(&self) -> Option<FlinkJobUpgrade> {
        Some(serde_json::from_value(self.kube.object(UPGRADES, NAMESPACE, NAME)?).unwrap())
    }

    /// A request to a JobManager.
    pub fn before_request(&self, request: &http::Request<Bytes>) {
        if request.method() == http::Method::GET {
            return;
        }
        let path = request.uri().path().to_owned();
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let body = || serde_json::from_slice::<Value>(request.body()).unwrap_or_default();
        let Some(upgrade) = self.upgrade() else { return };
        match parts.as_slice() {
            ["jars", jar, "run"] if *jar == naming::JOB_JAR || jar.contains("_fju-") => {
                self.before_submit(&upgrade, &body());
            }
            ["jobs", job] => self.before_cancel(&upgrade, job),
            ["jobs", job, "stop"] => self.before_stop(&upgrade, job, &body()),
            _ => {}
        }
    }

    fn before_submit(&self, upgrade: &FlinkJobUpgrade, body: &Value) {
        let status = upgrade.status.clone().unwrap_or_default();
        let job = body["jobId"].as_str().unwrap_or_default();
        let beside = self.beside();
        if beside.is_some() {
            self.seen.lock().unwrap().forks.insert(job.to_owned());
        }
        let others: Vec<String> =
            self.alive().into_iter().filter(|other| other != job && beside.as_ref() != Some(other)).collect();
        self.must(others.is_empty(), || format!("submitted while {others:?} may process records: {body}"));
        let Some(progress) = &status.upgrade else {
            return self.must(false, || format!("submitted without an upgrade in the status: {body}"));
        };
        let begun_before = Some(progress.generation) < upgrade.metadata.generation;
        self.must(begun_before || upgrade.spec.job.state() == JobState::Running, || {
            format!("submitted, and it should not run: {body}")
        });
        let intent = progress.submission.clone().unwrap_or_default();
        self.must(intent.job_id == job, || format!("submitted, and not as recorded in {intent:?}: {body}"));
        let from = body["savepointPath"].as_str();
        if let Some(from) = from {
            let mode = body["claimMode"].as_str().unwrap_or_default();
            self.note(self.snapshots.before_submit(job, from, mode));
        }
        self.must(intent.restored_from.as_deref() == from, || format!("from elsewhere than {intent:?}: {body}"));
        if let Some(wish) = upgrade.spec.job.restore_from.as_ref().filter(|_| asked(progress)) {
            return self.as_asked(wish, from, job);
        }
        if progress.from.is_none()
            && let Some(suspension) = status.suspension.as_ref().filter(|_| progress.attempt <= 1)
        {
            let left = self.newest_checkpoint(&suspension.job_id);
            let whole = from.is_some_and(|from| self.newest_savepoint().as_deref() == Some(from));
            return self.must(suspension.snapshot.as_deref() == from && (whole || left.as_deref() == from), || {
                format!("from {from:?}, and {suspension:?} is what the job has left: {body}")
            });
        }
        if progress.from.is_none() && status.suspension.is_none() {
            let own = upgrade.metadata.uid.clone().unwrap_or_default();
            let others = self.submits().into_iter().any(|submit| !is_of(&own, &status, &submit.job));
            return self.must(!others, || format!("another job of this name has left state: {body}"));
        }
        let savepoint = progress.savepoint.as_deref().and_then(|name| self.savepoint(name));
        let of_upgrade = savepoint.and_then(|savepoint| savepoint.status).is_some_and(|savepoint| {
            savepoint.phase == Some(SavepointPhase::Completed) && savepoint.location.as_deref() == from
        });
        // The state of the submission before: its newest checkpoint, or what it began with if it has none. One that ran
        // beside the job and was given up is none of its line.
        let forks = self.seen.lock().unwrap().forks.clone();
        let active = status.active.as_ref().map(|active| active.submission.job_id.as_str());
        let in_line = |submit: &Submit| {
            !forks.contains(&submit.job) || forks.contains(job) || active == Some(submit.job.as_str())
        };
        let state = self
            .submits()
            .into_iter()
            .rfind(|submit| submit.job != job && in_line(submit))
            .and_then(|before| self.newest_checkpoint(&before.job).or(before.from));
        self.must(of_upgrade || from.is_some() && state.as_deref() == from, || {
            format!("neither the upgrade's verified savepoint nor the job's state, which is {state:?}: {body}")
        });
    }

    /// What `job.restoreFrom` says is what a job starts from.
    fn as_asked(&self, wish: &RestoreFrom, from: Option<&str>, job: &str) {
        if wish.empty.is_some() {
            self.seen.lock().unwrap().empty.insert(job.to_owned());
        }
        // A job that was stopped with a savepoint has left no checkpoint.
        let before = || self.submits().into_iter().rfind(|submit| submit.job != job);
        let latest = || self.newest_checkpoint(&before()?.job).or_else(|| self.newest_savepoint());
        let expected = if wish.latest.is_some() {
            latest()
        } else if let Some(named) = &wish.savepoint_ref {
            self.savepoint(&named.name).and_then(|savepoint| savepoint.status?.location)
        } else if wish.from_job.is_some() {
            self.newest_savepoint()
        } else {
            wish.path.clone()
        };
        self.must(expected.as_deref() == from, || format!("{from:?} instead of {expected:?}, which {wish:?} is"));
    }

    /// The whole checkpoint of a job with the highest number.
    fn newest_checkpoint(&self, job: &str) -> Option<String> {
        let files = crate::common::files(&self.storage, "ck").now_or_never()?;
        let number = |file: &&String| {
            let (_, chk) = file.strip_suffix("/_metadata")?.split_once(&format!("/{job}/chk-"))?;
            chk.parse::<u64>().ok()
        };
        let newest = files.iter().filter(|file| number(file).is_some()).max_by_key(number)?;
        Some(format!("{BUCKET}/{}", newest.strip_suffix("/_metadata")?))
    }

    /// Where the savepoint lies that was complete last.
    fn newest_savepoint(&self) -> Option<String> {
        let all = self.kube.objects(SAVEPOINTS);
        let all = all.into_iter().filter_map(|s| serde_json::from_value::<FlinkSavepoint>(s).unwrap().status);
        let completed = all.filter(|s| s.phase == Some(SavepointPhase::Completed));
        completed.max_by_key(|s| s.completion_time.clone())?.location
    }

    fn savepoint(&self, name: &str) -> Option<FlinkSavepoint> {
        Some(serde_json::from_value(self.kube.object(SAVEPOINTS, NAMESPACE, name)?).unwrap())
    }

    /// Only what is being put back, or deleted with the user's leave, is cancelled.
    fn before_cancel(&self, upgrade: &FlinkJobUpgrade, job: &str) {
        let foreign = self.seen.lock().unwrap().foreign.contains(job);
        self.must(!foreign, || format!("{job} is somebody else's, and cancelled"));
        if self.warms(job) {
            return;
        }
        let status = upgrade.status.clone().unwrap_or_default();
        let fences = |progress: &UpgradeProgress| progress.step == UpgradeStep::Fencing && progress.source.is_some();
        if status.active.as_ref().is_some_and(|active| active.submission.job_id == job) {
            let chosen = status.upgrade.as_ref().is_some_and(fences);
            return self
                .must(chosen || may_be_lost(upgrade), || "the active job is cancelled without a savepoint".to_owned());
        }
        let put_back = status.upgrade.as_ref().is_some_and(|progress| {
            matches!(progress.step, UpgradeStep::PuttingBack | UpgradeStep::Fencing | UpgradeStep::Discarding)
                && progress.submission.as_ref().is_some_and(|s| s.job_id == job)
        });
        self.must(put_back, || format!("job {job} is cancelled, and is not being put back: {status:?}"));
    }

    /// A stop is that of a savepoint that says so, for the operation that holds the lock.
    fn before_stop(&self, upgrade: &FlinkJobUpgrade, job: &str, body: &Value) {
        let status = upgrade.status.clone().unwrap_or_default();
        let active = status.active.as_ref().map(|active| active.submission.job_id.as_str());
        self.must(active == Some(job), || format!("job {job} is stopped, and is not the active one"));
        let deletes = status.operation.as_ref().is_some_and(|operation| operation.kind == OperationKind::Deletion);
        let drains = deletes && upgrade.spec.deletion_job() == DeletionJob::Drain;
        self.must(body["drain"] == drains, || format!("it drains, or should: {body}"));
        let named = status.operation.and_then(|operation| operation.savepoint);
        let savepoint = named.and_then(|savepoint| self.savepoint(&savepoint.name));
        let attempt = savepoint.and_then(|s| s.status).and_then(|s| s.attempts.last().cloned());
        let recorded = attempt.as_ref().is_some_and(|attempt| {
            attempt.result.is_none() && body["triggerId"].as_str() == Some(attempt.trigger_id.as_str())
        });
        self.must(recorded, || format!("a stop that is not recorded in {attempt:?}: {body}"));
    }

    /// What a job runs on is deleted only if it may be lost, or its new revision is being given up.
    pub fn before_delete(&self, path: &str) {
        let workload = ["/statefulsets/", "/deployments/", "/pods/", "/configmaps/"];
        if !workload.iter().any(|part| path.contains(part)) {
            return;
        }
        let Some(upgrade) = self.upgrade() else { return };
        let status = upgrade.status.clone().unwrap_or_default();
        self.before_map_is_deleted(path);
        let Some(active) = &status.active else { return };
        let service = naming::revision_name(NAME, active.revision);
        let own = path.rsplit('/').next().unwrap_or_default();
        let of_active = own == service || own.starts_with(&format!("{service}-"));
        let alive = self.alive().contains(&active.submission.job_id);
        let step = status.upgrade.as_ref().map(|progress| progress.step);
        let fenced = matches!(step, Some(UpgradeStep::Fencing | UpgradeStep::Retiring));
        // On a session cluster it runs elsewhere.
        let elsewhere = upgrade.spec.flink_cluster.is_some();
        let ok = elsewhere || !of_active || !alive || fenced || may_be_lost(&upgrade);
        self.must(ok, || format!("{path} is deleted, and the active job runs there"));
    }

    /// High availability's ConfigMaps go when no pod of their cluster is there any more.
    fn before_map_is_deleted(&self, path: &str) {
        let map = path.rsplit('/').next().unwrap_or_default();
        if !map.ends_with("-config-map") {
            return;
        }
        let pods = self.kube.objects("pods");
        let names = pods.iter().filter_map(|pod| pod["metadata"]["name"].as_str());
        let runs = |pod: &&str| {
            let id = ["-jobmanager-", "-taskmanager-"].iter().find_map(|part| pod.split_once(part));
            id.is_some_and(|(id, _)| map.starts_with(&format!("{id}-")))
        };
        let of: Vec<&str> = names.filter(runs).collect();
        self.must(of.is_empty(), || format!("{map} is deleted while {of:?} are there"));
    }

    /// The savepoint of a stop is complete only once no JobManager starts its job again.
    pub fn savepoint_written(&self, change: &Change<'_>) {
        self.note(self.snapshots.savepoint_written(change));
        let phase = |object: Option<&Value>| Some(object?.pointer("/status/phase")?.as_str()?.to_owned());
        let done = Some(SavepointPhase::Completed.as_str().to_owned());
        let Some(new) = change.new.filter(|_| phase(change.new) == done && phase(change.old) != done) else { return };
        let savepoint: FlinkSavepoint = serde_json::from_value(new.clone()).unwrap();
        let attempts = savepoint.status.clone().unwrap_or_default().attempts;
        if let Some(attempt) = attempts.last().filter(|_| savepoint.spec.then().stops()) {
            let end = format!("-{}-config-map", attempt.job_id);
            let maps = change.objects("configmaps").filter_map(|map| map["metadata"]["name"].as_str());
            // Without a JobManager, and a set that makes one, nothing reads it.
            let known = ["statefulsets.apps", "pods"].map(|resource| change.objects(resource).collect::<Vec<_>>());
            let names = || known.iter().flatten().filter_map(|object| object["metadata"]["name"].as_str());
            let read = |map: &&str| {
                let id = map.strip_suffix(&end).map(|id| format!("{id}-jobmanager"));
                id.is_some_and(|id| names().any(|name| name.starts_with(&id)))
            };
            let left: Vec<&str> = maps.filter(read).collect();
            self.must(left.is_empty(), || format!("{} is complete, and {left:?} is there", change.key.name));
        }
    }

    /// Where there is no room for two of a job, there are never TaskManagers of two revisions.
    pub fn pod_made(&self, change: &Change<'_>) {
        let read = |object: &Value| serde_json::from_value::<FlinkJobUpgrade>(object.clone()).unwrap();
        if !change.objects(UPGRADES).any(|object| read(object).spec.strategy() == UpgradeStrategy::Recreate) {
            return;
        }
        let names: Vec<&str> = change.objects("pods").filter_map(|pod| pod["metadata"]["name"].as_str()).collect();
        let revision = |name: &&str| name.split_once("-taskmanager").map(|(revision, _)| revision.to_owned());
        let revisions: BTreeSet<String> = names.iter().filter_map(revision).collect();
        self.must(revisions.len() <= 1, || format!("TaskManagers of two revisions at once: {names:?}"));
    }

    /// A status never claims more than there is.
    pub fn status_written(&self, change: &Change<'_>) {
        let Some(new) = change.new else { return };
        let upgrade: FlinkJobUpgrade = serde_json::from_value(new.clone()).unwrap();
        let status = upgrade.status.clone().unwrap_or_default();
        if change.key.name != NAME {
            let jobs = status.upgrade.into_iter().filter_map(|progress| Some(progress.submission?.job_id));
            return self.seen.lock().unwrap().others.extend(jobs);
        }
        let before = {
            let mut seen = self.seen.lock().unwrap();
            if let Some(progress) = &status.upgrade {
                let uid = upgrade.metadata.uid.clone().unwrap();
                seen.warm_ups.insert(naming::warm_up_job_id(&uid, progress.to));
            }
            std::mem::replace(&mut seen.status, status.clone())
        };
        self.conditions(&status, &before);
        if status.phase == Some(JobPhase::Suspended) {
            let own = |pod: &&Value| pod.pointer("/metadata/labels").is_some_and(|l| l.get(labels::JOB_UID).is_some());
            let (alive, pods) = (self.alive(), change.objects("pods").filter(own).count());
            self.must(alive.is_empty() && pods == 0, || format!("suspended: {alive:?} in {pods} pods: {status:?}"));
        }
        let Some(active) = status.active.as_ref().filter(|active| before.active.as_ref() != Some(active)) else {
            return;
        };
        let submits = self.submits();
        let submit = submits.iter().find(|submit| submit.job == active.submission.job_id);
        self.must(submit.is_some_and(|s| s.from == active.submission.restored_from), || {
            format!("status.active names another submission than {submit:?}: {active:?}")
        });
    }

    fn conditions(&self, status: &FlinkJobUpgradeStatus, before: &FlinkJobUpgradeStatus) {
        let is = |status: &FlinkJobUpgradeStatus, type_| condition::is_true(&status.conditions, type_);
        let (reconciling, stalled) = (is(status, types::RECONCILING), is(status, types::STALLED));
        self.must(!(reconciling && stalled), || format!("Reconciling and Stalled: {status:?}"));
        if !is(status, types::READY) {
            return;
        }
        let waits = status.upgrade.as_ref().is_none_or(|progress| progress.step == UpgradeStep::Promotion);
        self.must(!reconciling && !stalled && waits, || format!("Ready, and more: {status:?}"));
        let active = status.active.as_ref().map(|active| active.submission.job_id.clone());
        if !is(before, types::READY) {
            let mut processing = self.processing();
            let beside = status.upgrade.as_ref().and_then(|progress| progress.submission.as_ref());
            processing.retain(|job| beside.is_none_or(|beside| beside.job_id != *job));
            // That its TaskManagers have just gone the JobManager may not know yet.
            let told = processing.is_empty() && active.as_ref().is_some_and(|job| self.said_to_run(job));
            self.must(told || processing.iter().eq(&active), || {
                format!("Ready with {active:?}, and {processing:?} process")
            });
        }
        // Who changes something else leaves both as they are.
        let observed = condition::find(&status.conditions, types::READY).and_then(|c| c.observed_generation);
        self.must(observed == status.observed_generation, || format!("Ready, of an older spec: {status:?}"));
    }

    /// No record is lost, and none is processed again but those of what was given up: each start goes on where the one
    /// before it ended.
    pub fn lost_or_redone(&self) -> Result<(), String> {
        let status = self.last_status();
        let uids = self.seen.lock().unwrap().uids.clone();
        let last = status.last_submission.unwrap_or_default();
        let given_up: BTreeSet<String> = status
            .history
            .iter()
            .filter(|entry| !matches!(entry.result, UpgradeResult::Succeeded | UpgradeResult::Recovered))
            // A recovery that goes on elsewhere has lost nothing.
            .filter(|entry| entry.from != Some(entry.to))
            .flat_map(|entry| (1..=last).map(|number| (entry.to, number)))
            .flat_map(|(revision, number)| uids.iter().map(move |uid| naming::job_id(uid, revision, number)))
            .collect();
        let runs = self.runs();
        let forks = self.seen.lock().unwrap().forks.clone();
        let snapshots = self.records.snapshots();
        let mut next = 0;
        for submit in self.submits() {
            let own: Vec<&Run> = runs.iter().filter(|run| run.job == submit.job).collect();
            let Some(first) = own.first() else { continue };
            // What came after a checkpoint comes again; nothing is left out.
            let begins_anew = self.seen.lock().unwrap().empty.contains(&submit.job) && first.first == 0;
            let again = submit.from.as_deref().is_some_and(|from| from.contains("/chk-")) && first.first < next;
            // The job that it was forked from went on.
            let forked = forks.contains(&submit.job)
                && first.first < next
                && submit.from.as_ref().and_then(|from| snapshots.get(from)) == Some(&first.first);
            // The first start goes on where another resource's job had come to.
            let inherited =
                next == 0 && submit.from.as_ref().and_then(|from| snapshots.get(from)) == Some(&first.first);
            if first.first != next && !again && !begins_anew && !forked && !inherited {
                return Err(format!(
                    "job {} begins with record {} instead of {next}: {runs:?}",
                    submit.job, first.first
                ));
            }
            // Flink restarts a job from its own checkpoints.
            if !given_up.contains(&submit.job) {
                next = own.last().map_or(next, |run| run.next);
            }
        }
        Ok(())
    }
}

/// What it starts from is `job.restoreFrom`'s, at its first submission.
fn asked(progress: &UpgradeProgress) -> bool {
    progress.restore_from_id.is_some() && progress.attempt <= 1
}

/// Whether a job is one of a resource's.
fn is_of(uid: &str, status: &FlinkJobUpgradeStatus, job: &str) -> bool {
    let numbers = || 1..=status.last_submission.unwrap_or_default();
    (1..=status.last_revision()).any(|revision| numbers().any(|number| naming::job_id(uid, revision, number) == job))
}

/// The user said so, or no savepoint can be had any more.
fn may_be_lost(upgrade: &FlinkJobUpgrade) -> bool {
    upgrade.metadata.deletion_timestamp.is_some() && upgrade.spec.deletion_job() == DeletionJob::Cancel
}
