//! What a run of the benchmark leaves behind: every single measurement.

use std::{fmt, fs};

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{flink::Flink, namespace::Sandbox};

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
    /// Upgrades by the operator.
    pub by_operator: Vec<OperatorUpgrade>,
    /// Upgrades by hand.
    pub by_hand: Vec<Parts>,
    /// Milliseconds from the apply of a FlinkSavepoint until it was Completed.
    pub savepoints_ms: Vec<i64>,
    /// The operator's process. Left out if it ran on another machine than the benchmark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
}

/// What a run ran on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Machine {
    /// Processors.
    pub cores: usize,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// Release of the Linux kernel.
    pub kernel: String,
    /// Version of Kubernetes.
    pub kubernetes: String,
    /// Version of Flink.
    pub flink: String,
}

impl Machine {
    /// This one, with the cluster under test and the version that a JobManager says it is of.
    ///
    /// # Errors
    /// One of them does not answer.
    pub async fn of(sandbox: &Sandbox, flink: &Flink) -> Result<Self> {
        let memory = fs::read_to_string("/proc/meminfo")?;
        let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or_default();
        let kib: u64 = memory.trim().trim_end_matches(" kB").parse().context("MemTotal of /proc/meminfo")?;
        let overview = flink.get("/overview").await?;
        let version = overview.get("flink-version").and_then(serde_json::Value::as_str);
        Ok(Self {
            cores: std::thread::available_parallelism()?.get(),
            memory_mib: kib / 1024,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            kubernetes: sandbox.client.apiserver_version().await?.git_version,
            flink: version.context("/overview without a version")?.to_owned(),
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, memory_mib, kernel, kubernetes, flink } = self;
        let (gib, kubernetes) = ((memory_mib + 512) / 1024, kubernetes.trim_start_matches('v'));
        write!(f, "{cores} cores, {gib} GiB, Linux {kernel}, Kubernetes {kubernetes}, Flink {flink}")
    }
}

/// One upgrade, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parts {
    /// From the last record of the old job to the first of the new one.
    pub records_ms: i64,
    /// From the end of the old job to the last task of the new one running, by the JobManagers: the sum of the parts
    /// `verify`, `submit` and `running`.
    pub tasks_ms: i64,
    /// From the decision to stop, as it was recorded (by hand: the request), to the end of the old job.
    pub stop_ms: i64,
    /// From the end of the old job to the decision to submit, as it was recorded (by hand: the request): in between
    /// the savepoint is known to be complete.
    pub verify_ms: i64,
    /// From there until the JobManager has taken the job up.
    pub submit_ms: i64,
    /// From there until its last task runs, its state restored.
    pub running_ms: i64,
}

/// One upgrade by the operator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OperatorUpgrade {
    /// What it shares with one by hand.
    #[serde(flatten)]
    pub parts: Parts,
    /// From the apply of the changed resource until it was Ready for it, in milliseconds.
    pub ready_ms: i64,
    /// `downtimeSeconds` of the resource's history.
    pub status_seconds: f64,
}

/// The operator's process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Process {
    /// Resident memory before the first job, in KiB.
    pub rss_idle_kib: u64,
    /// The same with one job.
    pub rss_one_job_kib: u64,
    /// The same after all upgrades and savepoints.
    pub rss_end_kib: u64,
    /// The most that it ever was.
    pub rss_peak_kib: u64,
    /// Processor time while nothing happened but one job running, in percent of one core.
    pub cpu_percent: f64,
    /// For so many seconds.
    pub cpu_seconds: f64,
}
