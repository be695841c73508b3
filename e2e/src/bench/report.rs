//! From measurements to the table in the project's README.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};

use super::{
    benchmark::{Benchmark, judged, seconds, three},
    samples::{OperatorUpgrade, Parts, Samples},
    stats::Stats,
};

/// The benchmark of upgrades.
pub const UPGRADE: Benchmark<Samples> = Benchmark { name: "upgrade", page: "README.md", table, source };
/// One of the measurements of an upgrade, in milliseconds.
type Part = fn(&Parts) -> i64;

/// The incumbent, measured in the same way on the same kind of machine: see `docs/bench/README.md`.
mod incumbent {
    pub const NAME: &str = "Apache Flink Kubernetes Operator 1.15.0, measured on the same kind of machine";
    pub const RECORDS: &str = "12.25 / 13.69 / 14.43";
    pub const TASKS: &str = "12.34 / 13.75 / 14.40";
    pub const READY: &str = "24.90 / 30.54 / 40.13";
    pub const SAVEPOINT: &str = "15.20 / 15.24 / 15.33";
    pub const MEMORY_IDLE: &str = "231";
    pub const MEMORY_ONE_JOB: &str = "333";
    pub const MEMORY_END: &str = "459";
    pub const CPU: &str = "0.52";
}

/// What is aimed at.
mod goal {
    /// Median downtime, in seconds, and as a multiple of that by hand.
    pub const DOWNTIME: f64 = 0.7;
    pub const TO_BY_HAND: f64 = 1.3;
    /// Median from apply to Completed, in seconds.
    pub const SAVEPOINT: f64 = 0.5;
    /// Resident memory at the end, in MiB.
    pub const MEMORY: f64 = 15.0;
}

/// One line about where the figures come from.
fn source(name: &str, samples: &Samples) -> String {
    format!(
        "{} upgrades by the operator and {} by hand, alternately, on {}, at commit {}, {}; each figure is min / median / max. Every \
         sample: [docs/bench/{name}](docs/bench/{name}); what is measured, and how: [docs/bench](docs/bench/README.md).\n",
        samples.by_operator.len(),
        samples.by_hand.len(),
        samples.machine,
        samples.commit,
        samples.measured_at.format("%Y-%m-%d"),
    )
}

/// The table, in Markdown.
///
/// # Errors
/// There are no samples of something.
pub fn table(samples: &Samples) -> Result<String> {
    let mut rows = Rows::default();
    rows.head();
    let both = |part: Part| -> Result<(Stats, Stats)> {
        let operator = seconds(samples.by_operator.iter().map(|upgrade| part(&upgrade.parts)))?;
        Ok((operator, seconds(samples.by_hand.iter().map(part))?))
    };
    let (records, by_hand) = both(|parts| parts.records_ms)?;
    let goal = format!("≤ {} s, ≤ {} × by hand", goal::DOWNTIME, goal::TO_BY_HAND);
    let met = records.median <= goal::DOWNTIME && ratio(records, by_hand) <= goal::TO_BY_HAND;
    rows.compared("**Downtime by records**, s", &judged(&goal, met), records, by_hand, incumbent::RECORDS);
    let lines: [(&str, Part, &str); 5] = [
        ("Downtime by task states, s", |parts| parts.tasks_ms, incumbent::TASKS),
        ("– stop with savepoint, s", |parts| parts.stop_ms, ""),
        ("– verify: the job's end to the submit, s", |parts| parts.verify_ms, ""),
        ("– submit, until the JobManager has the job, s", |parts| parts.submit_ms, ""),
        ("– until all tasks run, restored, s", |parts| parts.running_ms, ""),
    ];
    for (name, part, incumbent) in lines {
        let (operator, by_hand) = both(part)?;
        rows.compared(name, "", operator, by_hand, incumbent);
    }
    let upgrades = || samples.by_operator.iter();
    let status = Stats::of(upgrades().map(|upgrade| upgrade.status_seconds)).context("no upgrades")?;
    rows.alone("Downtime as the resource's history says, s", "", status, "");
    let ready = seconds(upgrades().map(|upgrade: &OperatorUpgrade| upgrade.ready_ms))?;
    rows.alone("Apply to Ready, s", "", ready, incumbent::READY);
    let savepoint = seconds(samples.savepoints_ms.iter().copied())?;
    let goal = format!("≤ {} s", goal::SAVEPOINT);
    let met = savepoint.median <= goal::SAVEPOINT;
    rows.alone("**FlinkSavepoint: apply to Completed**, s", &judged(&goal, met), savepoint, incumbent::SAVEPOINT);
    if let Some(process) = &samples.process {
        let mib = |kib: u64| as_f64(kib) / 1024.0;
        rows.single("Resident memory: no job, MiB", "", mib(process.rss_idle_kib), incumbent::MEMORY_IDLE);
        rows.single("– one job, MiB", "", mib(process.rss_one_job_kib), incumbent::MEMORY_ONE_JOB);
        let end = mib(process.rss_end_kib);
        let goal = judged(&format!("≤ {} MiB", goal::MEMORY), end <= goal::MEMORY);
        rows.single("– **after all upgrades and savepoints**, MiB", &goal, end, incumbent::MEMORY_END);
        rows.single("Processor at rest, one job, % of a core", "", process.cpu_percent, incumbent::CPU);
    }
    Ok(rows.0)
}

#[derive(Default)]
struct Rows(String);

impl Rows {
    fn head(&mut self) {
        self.row(["", "goal (median)", "this operator", "by hand over REST", "ratio of medians", incumbent::NAME]);
        self.0.push_str("|---|---|---|---|---|---|\n");
    }

    fn compared(&mut self, name: &str, goal: &str, operator: Stats, by_hand: Stats, incumbent: &str) {
        let ratio = format!("{:.2}", ratio(operator, by_hand));
        // A part of a few milliseconds says nothing when it is divided.
        let ratio = if by_hand.median.abs() < 0.02 { String::new() } else { ratio };
        self.row([name, goal, &three(operator), &three(by_hand), &ratio, incumbent]);
    }

    fn alone(&mut self, name: &str, goal: &str, operator: Stats, incumbent: &str) {
        self.row([name, goal, &three(operator), "", "", incumbent]);
    }

    fn single(&mut self, name: &str, goal: &str, number: f64, incumbent: &str) {
        self.row([name, goal, &format!("{number:.2}"), "", "", incumbent]);
    }

    fn row(&mut self, cells: [&str; 6]) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "| {} |", cells.join(" | "));
    }
}

fn ratio(operator: Stats, by_hand: Stats) -> f64 {
    operator.median / by_hand.median
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn as_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod report_tests;
