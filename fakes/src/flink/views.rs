//! The JSON of clusters and jobs.

use serde_json::{Map, Value, json};

use super::job::{Job, JobState, Progress, Restored, Snapshot, Snapshots, Tasks};
use super::recorded;
use super::settings::{Settings, Version};
use super::snapshots::Recorded;
use super::state::State;

/// The states of tasks, as `/jobs/:id` writes them.
const TASKS: [&str; 10] = [
    "CREATED",
    "SCHEDULED",
    "DEPLOYING",
    "INITIALIZING",
    "RUNNING",
    "FINISHED",
    "CANCELING",
    "CANCELED",
    "FAILED",
    "RECONCILING",
];

/// The states of jobs, as `timestamps` has them.
const JOBS: [(&str, Option<JobState>); 11] = [
    ("INITIALIZING", Some(JobState::Initializing)),
    ("CREATED", Some(JobState::Created)),
    ("RUNNING", Some(JobState::Running)),
    ("RESTARTING", Some(JobState::Restarting)),
    ("CANCELLING", Some(JobState::Cancelling)),
    ("CANCELED", Some(JobState::Canceled)),
    ("FAILED", Some(JobState::Failed)),
    ("FINISHED", Some(JobState::Finished)),
    ("FAILING", Some(JobState::Failing)),
    ("SUSPENDED", None),
    ("RECONCILING", None),
];

pub(super) fn overview(state: &State) -> Value {
    let mut body = recorded::OVERVIEW.of(state.settings.version, &[]).body;
    let (slots, free) = state.slots();
    let jobs = |of: &[JobState]| state.jobs.iter().filter(|job| of.contains(&job.state)).count();
    let running = state.jobs.iter().filter(|job| !job.state.is_terminal()).count();
    let numbers = [
        ("taskmanagers", state.task_managers.iter().filter(|one| one.alive).count()),
        ("slots-total", slots),
        ("slots-available", free),
        ("jobs-running", running),
        ("jobs-finished", jobs(&[JobState::Finished])),
        ("jobs-cancelled", jobs(&[JobState::Canceled])),
        ("jobs-failed", jobs(&[JobState::Failed])),
    ];
    if let Some(fields) = body.as_object_mut() {
        fields.extend(numbers.map(|(name, number)| (name.to_owned(), json!(number))));
    }
    body
}

pub(super) fn config(settings: &Settings) -> Value {
    let (version, revision) = match settings.version {
        Version::V1_20 => ("1.20.5", "0980485 @ 2026-06-08T09:21:06+02:00"),
        Version::V2_3 => ("2.3.0", "c0f8d1a @ 2026-06-14T16:29:03+02:00"),
    };
    json!({
        "refresh-interval": u64::try_from(settings.refresh_interval.as_millis()).unwrap_or(u64::MAX),
        "timezone-name": "Coordinated Universal Time", "timezone-offset": 0,
        "flink-version": version, "flink-revision": revision,
        "features": {"web-submit": true, "web-cancel": true, "web-rescale": false, "web-history": false},
    })
}

pub(super) fn job_manager_config(settings: &Settings) -> Value {
    let milliseconds = |duration: std::time::Duration| format!("{} ms", duration.as_millis());
    let mut entries = vec![
        ("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION".to_owned()),
        ("heartbeat.timeout", milliseconds(settings.heartbeat_timeout)),
        ("rest.async.store-duration", milliseconds(settings.results_kept)),
        ("taskmanager.numberOfTaskSlots", settings.slots.to_string()),
        ("web.refresh-interval", milliseconds(settings.refresh_interval)),
    ];
    if settings.high_availability {
        entries.push(("high-availability.type", "kubernetes".to_owned()));
        entries.push(("kubernetes.cluster-id", settings.cluster_id.clone()));
        entries.push(("kubernetes.namespace", settings.namespace.clone()));
    }
    entries.extend(settings.checkpoint_directory.clone().map(|directory| ("execution.checkpointing.dir", directory)));
    let savepoints = settings.savepoint_directory.clone();
    entries.extend(savepoints.map(|directory| ("execution.checkpointing.savepoint-dir", directory)));
    entries.into_iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}

/// One of `/jobs/overview`.
pub(super) fn job_overview(job: &Job, version: Version, now: i64) -> Value {
    let (start, end, duration) = times(job, now);
    let total = if job.tasks == Tasks::None { 0 } else { job.script().tasks() };
    let mut tasks: Map<String, Value> = TASKS.map(|state| (state.to_ascii_lowercase(), json!(0))).into_iter().collect();
    if let Some(state) = job.tasks.word() {
        tasks.insert(state.to_ascii_lowercase(), json!(total));
    }
    tasks.insert("total".to_owned(), json!(total));
    let changed = job.times.values().copied().max().unwrap_or_default().max(job.tasks_since);
    let mut body = json!({
        "jid": job.id, "name": job.script().name, "state": job.state.word(),
        "start-time": start, "end-time": end, "duration": duration, "last-modification": changed, "tasks": tasks,
    });
    if version == Version::V2_3 {
        extend(&mut body, json!({"jobType": "STREAMING", "schedulerType": "Default", "pending-operators": 0}));
    }
    body
}

/// `/jobs/:id`.
pub(super) fn job(job: &Job, version: Version, now: i64) -> Value {
    let (start, end, duration) = times(job, now);
    let vertices: Vec<Value> = if job.tasks == Tasks::None { Vec::new() } else { vertices(job, now) };
    let timestamps: Map<String, Value> = JOBS
        .iter()
        .map(|(word, state)| ((*word).to_owned(), json!(state.map(|state| job.since(state)).unwrap_or_default())))
        .collect();
    let nodes = job.script().vertices.iter().rev().map(|vertex| {
        json!({"id": vertex.id, "parallelism": vertex.parallelism, "operator": "", "operator_strategy": "",
            "description": format!("{}<br/>", vertex.name), "optimizer_properties": {}})
    });
    let mut body = json!({
        "jid": job.id, "name": job.script().name, "isStoppable": false, "state": job.state.word(),
        "job-type": "STREAMING", "start-time": start, "end-time": end, "duration": duration, "maxParallelism": -1,
        "now": now, "timestamps": timestamps,
        "status-counts": counts(job.tasks.vertex(), vertices.len()), "vertices": vertices,
        "plan": {"jid": job.id, "name": job.script().name, "type": "STREAMING", "nodes": nodes.collect::<Value>()},
    });
    if version == Version::V2_3 {
        extend(&mut body, json!({"application-id": job.id, "schedulerType": "Default", "pending-operators": 0}));
    }
    body
}

fn vertices(job: &Job, now: i64) -> Vec<Value> {
    let started = matches!(job.tasks, Tasks::Running | Tasks::Finished | Tasks::Canceling | Tasks::Canceled);
    let (start, duration) = if started { (job.tasks_since, now - job.tasks_since) } else { (-1, -1) };
    let metrics = json!({
        "read-bytes": 0, "read-bytes-complete": false, "write-bytes": 0, "write-bytes-complete": false,
        "read-records": 0, "read-records-complete": false, "write-records": 0, "write-records-complete": false,
        "accumulated-backpressured-time": 0, "accumulated-idle-time": 0, "accumulated-busy-time": 0.0,
    });
    let vertices = job.script().vertices.iter().map(|vertex| {
        json!({
            "id": vertex.id, "slotSharingGroupId": "8f1a1efd8c6dc791bf4f67a816591600", "name": vertex.name,
            "maxParallelism": 128, "parallelism": vertex.parallelism, "status": job.tasks.vertex(),
            "start-time": start, "end-time": -1, "duration": duration,
            "tasks": counts(job.tasks.word(), vertex.parallelism), "metrics": metrics,
        })
    });
    vertices.collect()
}

/// A number of tasks that are all in one state.
fn counts(state: Option<&str>, all: impl Into<Value>) -> Value {
    let mut counts: Map<String, Value> = TASKS.map(|state| (state.to_owned(), json!(0))).into_iter().collect();
    if let Some(state) = state {
        counts.insert(state.to_owned(), all.into());
    }
    counts.into()
}

fn times(job: &Job, now: i64) -> (i64, i64, i64) {
    let start = job.since(JobState::Initializing);
    let end = if job.state.is_terminal() { job.since(job.state) } else { -1 };
    (start, end, if end < 0 { now } else { end } - start)
}

/// `/jobs/:id/exceptions`.
pub(super) fn exceptions(job: &Job, version: Version, most: usize) -> Value {
    let mut body = recorded::EXCEPTIONS_NONE.of(version, &[]).body;
    let entries: Vec<Value> = job.thrown.iter().take(most).map(|one| one.what.entry(version, one.at)).collect();
    let newest = entries.first().cloned();
    let history = json!({"entries": entries, "truncated": job.thrown.len() > most});
    extend(&mut body, json!({"exceptionHistory": history}));
    if let Some(newest) = newest.filter(|_| version == Version::V1_20) {
        let (text, at) = (newest.get("stacktrace"), newest.get("timestamp"));
        extend(&mut body, json!({"root-exception": text, "timestamp": at}));
    }
    body
}

/// `/jobs/:id/checkpoints`.
pub(super) fn checkpoints(snapshots: &Snapshots, version: Version, job: &str, tasks: u32) -> Value {
    let view = |snapshot: &Snapshot| snapshot_view(snapshot, version, job, tasks);
    let mut body = recorded::CHECKPOINTS_NONE.of(version, &[]).body;
    let counts = snapshots.counts;
    let latest = json!({
        "completed": snapshots.latest_completed.as_ref().map(view),
        "savepoint": snapshots.latest_savepoint.as_ref().map(view),
        "failed": snapshots.latest_failed.as_ref().map(view),
        "restored": snapshots.restored.as_ref().map(restored),
    });
    let counts = json!({
        "restored": counts.restored, "total": counts.total, "in_progress": snapshots.pending.len(),
        "completed": counts.completed, "failed": counts.failed,
    });
    let history: Vec<Value> = snapshots.history().into_iter().map(view).collect();
    extend(&mut body, json!({"counts": counts, "latest": latest, "history": history}));
    body
}

/// `/jobs/:id/checkpoints/config`.
pub(super) fn checkpoints_config(version: Version, on_disk: bool) -> Value {
    let mut body = recorded::CHECKPOINTS_CONFIG.of(version, &[]).body;
    let storage = if on_disk { "FileSystemCheckpointStorage" } else { "JobManagerCheckpointStorage" };
    let externalization = json!({"enabled": true, "delete_on_cancellation": false});
    extend(&mut body, json!({"externalization": externalization, "checkpoint_storage": storage}));
    body
}

fn restored(restored: &Restored) -> Value {
    json!({"id": restored.id, "restore_timestamp": restored.at, "is_savepoint": restored.is_savepoint,
        "external_path": restored.location})
}

fn snapshot_view(snapshot: &Snapshot, version: Version, job: &str, tasks: u32) -> Value {
    let (class, status) = match snapshot.progress {
        Progress::Pending => ("in_progress", "IN_PROGRESS"),
        Progress::Completed => ("completed", "COMPLETED"),
        Progress::Failed(_) => ("failed", "FAILED"),
    };
    let format = snapshot.kind.format();
    let size = if snapshot.acknowledged == 0 { 0 } else { Recorded::of(version, format).size() };
    let until = if snapshot.progress == Progress::Pending { snapshot.latest_ack } else { snapshot.ended };
    let mut body = json!({
        "className": class, "id": snapshot.id, "status": status, "is_savepoint": format.is_some(),
        "savepointFormat": format.map(super::settings::Format::word), "trigger_timestamp": snapshot.triggered,
        "latest_ack_timestamp": snapshot.latest_ack, "checkpointed_size": size, "state_size": size,
        "end_to_end_duration": (until - snapshot.triggered).max(0), "alignment_buffered": 0, "processed_data": 0,
        "persisted_data": 0, "num_subtasks": tasks, "num_acknowledged_subtasks": snapshot.acknowledged,
        "checkpoint_type": snapshot.kind.word(), "tasks": {},
    });
    match &snapshot.progress {
        Progress::Pending => {}
        Progress::Completed => {
            let nowhere = "<checkpoint-not-externally-addressable>";
            let path = snapshot.location.as_deref().unwrap_or(nowhere);
            extend(&mut body, json!({"external_path": path, "discarded": snapshot.discarded}));
        }
        Progress::Failed(cause) => {
            let message = cause.message(version, job);
            extend(&mut body, json!({"failure_timestamp": snapshot.ended, "failure_message": message}));
        }
    }
    body
}

fn extend(body: &mut Value, more: Value) {
    if let (Some(fields), Value::Object(more)) = (body.as_object_mut(), more) {
        fields.extend(more);
    }
}
