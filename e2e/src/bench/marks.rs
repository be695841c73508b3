//! Moments that Flink itself recorded, and those of the record file: both ways of an upgrade are read by them.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use serde_json::Value;

use crate::{
    flink::Flink,
    namespace::Sandbox,
    records::{self, Record, Records},
    wait::{self, Seen},
};

use super::JOB;

/// For what takes seconds at most.
pub(super) const SOON: Duration = Duration::from_secs(60);
/// So many records show that a job works: one second's.
const SOME: usize = 200;

/// Moments of a job's start, milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start {
    /// The JobManager took the job up.
    pub taken_up: i64,
    /// The last task was running.
    pub running: i64,
}

/// Waits until all tasks of a job run, and says since when.
pub(super) async fn start(flink: &Flink, job: &str) -> Result<Start> {
    wait::until(&format!("all tasks of {job} run"), SOON, async || look(flink, job).await).await
}

/// The same after a moment, of a job whose JobManager may not answer for a while.
pub(super) async fn again(flink: &Flink, job: &str, after: i64) -> Result<Start> {
    wait::until(&format!("all tasks of {job} run again"), SOON, async || {
        Ok(match look(flink, job).await {
            Ok(Seen::Yes(start)) if start.running <= after => Seen::NotYet(format!("they have run since {start:?}")),
            Ok(seen) => seen,
            Err(e) => Seen::NotYet(format!("{e:#}")),
        })
    })
    .await
}

async fn look(flink: &Flink, job: &str) -> Result<Seen<Start>> {
    let answer = flink.get(&format!("/jobs/{job}")).await?;
    let taken_up = moment(&answer, "/timestamps/INITIALIZING").context("no timestamps in the answer")?;
    let vertices = answer.pointer("/vertices").and_then(Value::as_array).context("no vertices in the answer")?;
    let mut running: Option<i64> = None;
    for vertex in vertices {
        let id = vertex.get("id").and_then(Value::as_str).context("a vertex without an id")?;
        let times = flink.get(&format!("/jobs/{job}/vertices/{id}/subtasktimes")).await?;
        let subtasks = times.pointer("/subtasks").and_then(Value::as_array).context("no subtasks")?;
        for subtask in subtasks {
            let Some(since) = moment(subtask, "/timestamps/RUNNING") else {
                return Ok(Seen::NotYet(format!("{subtask}")));
            };
            running = running.max(Some(since));
        }
    }
    Ok(match running {
        Some(running) => Seen::Yes(Start { taken_up, running }),
        None => Seen::NotYet(format!("no tasks: {answer}")),
    })
}

/// When a job ended.
pub(super) async fn end(flink: &Flink, job: &str) -> Result<i64> {
    wait::until(&format!("{job} has ended"), SOON, async || {
        let answer = flink.get(&format!("/jobs/{job}")).await?;
        Ok(match moment(&answer, "/end-time") {
            Some(end) => Seen::Yes(end),
            None => Seen::NotYet(format!("state {:?}", answer.get("state"))),
        })
    })
    .await
}

/// Flink writes 0 or -1 where there is nothing yet.
fn moment(answer: &Value, pointer: &str) -> Option<i64> {
    answer.pointer(pointer).and_then(Value::as_i64).filter(|ms| *ms > 0)
}

/// Waits until a job writes records.
pub(super) async fn writes(sandbox: &Sandbox, job: &str) -> Result<()> {
    let what = format!("Flink job {job} writes");
    let wrote = |records: &Records| records.0.iter().rev().take_while(|r| r.job == job).count() >= SOME;
    sandbox.records_until(JOB, &what, SOON, wrote).await.map(drop)
}

/// Milliseconds without records between two jobs; over the whole file nothing was lost and nothing came twice.
pub(super) async fn gap(sandbox: &Sandbox, from: &str, to: &str) -> Result<i64> {
    writes(sandbox, to).await?;
    let summary = records::check_exactly_once(&sandbox.records(JOB)?)?;
    let handover = summary.handovers.iter().find(|handover| handover.from == from && handover.to == to);
    Ok(handover.with_context(|| format!("no handover from {from} to {to}: {summary:?}"))?.downtime_ms)
}

/// Milliseconds without records between the last two of these jobs, each of which began with a savepoint of the one
/// before it; less than 0 for as long as both wrote. From the first to the last nothing was lost and nothing came twice.
///
/// # Errors
/// Something was, or the last of them does not write.
pub async fn between(sandbox: &Sandbox, lineage: &[String]) -> Result<i64> {
    let [.., from, to] = lineage else { bail!("no two jobs: {lineage:?}") };
    writes(sandbox, to).await?;
    let all = sandbox.records(JOB)?;
    records::check_exactly_once(&all.lineage(lineage))?;
    let ended = all.0.iter().rfind(|record| record.job == *from).map(|record| record.epoch_ms);
    let began = all.0.iter().find(|record| record.job == *to).map(|record| record.epoch_ms);
    let (began, ended) = began.zip(ended).with_context(|| format!("{from} or {to} wrote nothing"))?;
    Ok(began - ended)
}

/// Where the records go on after a failure, milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resumed {
    /// The last record of the tasks before.
    pub last: i64,
    /// The first record of those that were restored.
    pub first: i64,
    /// So many records were processed again.
    pub repeated: u64,
}

/// Waits until the records go on from a snapshot, after a moment; over the whole file nothing was lost, and no two jobs
/// wrote at a time.
pub(super) async fn resumed(sandbox: &Sandbox, after: i64) -> Result<Resumed> {
    let records =
        sandbox.records_until(JOB, "they go on", SOON, |records| first_again(records, after).is_some()).await?;
    records::check(&records)?;
    first_again(&records, after).context("they do not go on")
}

/// Where another job goes on, or the same one goes back.
fn first_again(records: &Records, after: i64) -> Option<Resumed> {
    let mut next: u64 = 0; // the lowest number that has not come yet
    let mut above: Option<&Record> = None;
    for record in &records.0 {
        if let Some(above) = above.filter(|above| above.job != record.job || record.s <= above.s)
            && record.epoch_ms > after
        {
            let repeated = next.saturating_sub(record.s);
            return Some(Resumed { last: above.epoch_ms, first: record.epoch_ms, repeated });
        }
        next = next.max(record.s + 1);
        above = Some(record);
    }
    None
}

/// Waits until no pod has these labels: a JVM that ends must not disturb the next measurement.
pub(super) async fn no_pods(sandbox: &Sandbox, labels: &str) -> Result<()> {
    wait::until(&format!("no pods {labels} are left"), SOON, async || {
        let pods = sandbox.api::<Pod>().list_metadata(&ListParams::default().labels(labels)).await?;
        Ok(if pods.items.is_empty() { Seen::Yes(()) } else { Seen::NotYet(format!("{} pods", pods.items.len())) })
    })
    .await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_has_not_happened_is_no_moment() {
        let answer = json!({"end-time": -1, "timestamps": {"RUNNING": 0, "INITIALIZING": 7}});
        assert_eq!(moment(&answer, "/end-time"), None);
        assert_eq!(moment(&answer, "/timestamps/RUNNING"), None);
        assert_eq!(moment(&answer, "/timestamps/INITIALIZING"), Some(7));
    }

    #[test]
    fn records_go_on_where_another_job_begins_or_the_same_goes_back() {
        let (one, other) = ("1".repeat(32), "2".repeat(32));
        let text = |lines: &[(i64, u64, &str)]| {
            let line = |(at, s, job): &(i64, u64, &str)| format!("{at} {s} {} {job}\n", s + 1);
            Records::parse(&lines.iter().map(line).collect::<String>()).unwrap()
        };
        let before = [(10, 0, one.as_str()), (20, 1, &one), (30, 2, &one), (40, 3, &one)];
        let with = |more: &[(i64, u64, &str)]| text(&[before.as_slice(), more].concat());
        assert_eq!(first_again(&with(&[]), 25), None);
        let same = with(&[(90, 2, &one), (100, 3, &one), (110, 4, &one)]);
        assert_eq!(first_again(&same, 25), Some(Resumed { last: 40, first: 90, repeated: 2 }));
        assert_eq!(first_again(&same, 95), None, "that was before");
        let new = with(&[(90, 4, &other)]);
        assert_eq!(first_again(&new, 25), Some(Resumed { last: 40, first: 90, repeated: 0 }));
    }
}
