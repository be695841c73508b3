//! The benchmark of recoveries: `kill -9` of a JobManager, until its job runs again. By the operator without high
//! availability, which fences and submits anew; and, in the same run, by Flink itself with Kubernetes high
//! availability, nobody having a hand in it. Both with Flink's default heartbeats.

pub mod by_flink;
pub mod by_operator;

use std::fmt::Write as _;

use anyhow::Result;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    benchmark::{Benchmark, judged, seconds, three},
    samples::Machine,
};

/// The benchmark of recoveries.
pub const RECOVERY: Benchmark<Samples> = Benchmark { name: "recovery", page: "docs/bench/recovery.md", table, source };

/// One of the times of a recovery, in milliseconds.
type Time = fn(&Recovery) -> i64;
/// One of those of a recovery by the operator.
type Part = fn(&OperatorRecovery) -> i64;

/// What is aimed at: medians, in seconds.
const GOAL: f64 = 15.0;

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Samples {
    /// When it was over.
    pub measured_at: DateTime<Utc>,
    /// Commit of this repository, with `-dirty` if the work tree was another.
    pub commit: String,
    /// What it ran on.
    pub machine: Machine,
    /// The job, in words.
    pub job: String,
    /// By the operator, without high availability.
    pub by_operator: Vec<OperatorRecovery>,
    /// By Flink, with high availability.
    pub by_flink: Vec<Recovery>,
}

/// One recovery. Times are in milliseconds from the kill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recovery {
    /// Until the last record that tasks wrote which had lost their JobManager.
    pub old_tasks_ms: i64,
    /// Until the last task ran again, its state restored, by the new JobManager's word.
    pub tasks_ms: i64,
    /// Until the first record after that.
    pub records_ms: i64,
    /// So many records were processed again.
    pub repeated: u64,
}

/// One recovery by the operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OperatorRecovery {
    /// What it shares with one by Flink.
    #[serde(flatten)]
    pub recovery: Recovery,
    /// From the kill until the loss is recorded in the resource.
    pub noticed_ms: i64,
    /// From there until the decision to submit is recorded: the pods that knew the old process are gone, the newest
    /// checkpoint is found whole, and the new process answers.
    pub fenced_ms: i64,
    /// From there until the JobManager has taken the job up.
    pub submit_ms: i64,
    /// From there until its last task runs, its state restored: its TaskManager's pod is a new one.
    pub running_ms: i64,
}

/// The table, in Markdown.
fn table(samples: &Samples) -> Result<String> {
    let mut text =
        "| | goal (median) | this operator, without high availability | Flink's Kubernetes high availability |\n\
                    |---|---|---|---|\n"
            .to_owned();
    let mut row = |name: &str, goal: &str, operator: &str, flink: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {name} | {goal} | {operator} | {flink} |");
    };
    let both: [(&str, bool, Time); 3] = [
        ("**Until all tasks run again**, s", true, |r| r.tasks_ms),
        ("**Until the first record of the new tasks**, s", true, |r| r.records_ms),
        ("Until the last record of the old tasks, s", false, |r| r.old_tasks_ms),
    ];
    for (name, aimed, time) in both {
        let operator = seconds(samples.by_operator.iter().map(|sample| time(&sample.recovery)))?;
        let flink = seconds(samples.by_flink.iter().map(time))?;
        let goal = if aimed { judged(&format!("≤ {GOAL} s"), operator.median <= GOAL) } else { String::new() };
        row(name, &goal, &three(operator), &three(flink));
    }
    let parts: [(&str, Part); 4] = [
        ("– until the loss is recorded, s", |r| r.noticed_ms),
        ("– fence: until the decision to submit, s", |r| r.fenced_ms),
        ("– submit, until the JobManager has the job, s", |r| r.submit_ms),
        ("– until all tasks run, restored, s", |r| r.running_ms),
    ];
    for (name, part) in parts {
        row(name, "", &three(seconds(samples.by_operator.iter().map(part))?), "");
    }
    let range = |repeated: &mut dyn Iterator<Item = u64>| {
        let mut numbers: Vec<u64> = repeated.collect();
        numbers.sort_unstable();
        let at = |index: usize| numbers.get(index).copied().unwrap_or_default();
        format!("{} / **{}** / {}", at(0), at(numbers.len() / 2), at(numbers.len().saturating_sub(1)))
    };
    let operator = range(&mut samples.by_operator.iter().map(|sample| sample.recovery.repeated));
    row("Records processed again", "", &operator, &range(&mut samples.by_flink.iter().map(|sample| sample.repeated)));
    Ok(text)
}

/// One line about where the figures come from.
fn source(name: &str, samples: &Samples) -> String {
    format!(
        "{} recoveries by the operator and {} by Flink, alternately, on {}, at commit {}, {}; each figure is min / median / \
         max, times from the kill. Every sample: [{name}]({name}).\n",
        samples.by_operator.len(),
        samples.by_flink.len(),
        samples.machine,
        samples.commit,
        samples.measured_at.format("%Y-%m-%d"),
    )
}

#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;
