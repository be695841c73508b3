//! What is measured.

use std::fmt;

use flink_savepoint_operator::{
    api::{FormatType, UpgradeStrategy},
    flink::SavepointFormat,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::JOB;
use crate::{
    env::Env,
    job::{Job, Version},
};

/// The size of the large state, in MiB.
const LARGE: u32 = 1024;

/// A job, and how it is upgraded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Setup {
    /// The version of Flink.
    pub version: Version,
    /// Its state.
    pub state: State,
    /// The format of the savepoints.
    pub format: FormatType,
    /// The strategy.
    pub strategy: UpgradeStrategy,
}

/// How much state, and where it is while the job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Some kilobytes on the heap.
    Tiny,
    /// A gigabyte on the heap.
    LargeHeap,
    /// A gigabyte in RocksDB, with incremental checkpoints.
    LargeRocksDb,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tiny => "tiny, hashmap",
            Self::LargeHeap => "1 GiB, hashmap",
            Self::LargeRocksDb => "1 GiB, RocksDB",
        })
    }
}

impl Setup {
    /// All of them: each strategy with tiny state, and both backends with a large one, of Flink 1.20 in both formats.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for version in [Version::V1_20, Version::V2_3] {
            for strategy in [UpgradeStrategy::Prewarm, UpgradeStrategy::Recreate, UpgradeStrategy::BlueGreen] {
                all.push(Self { version, state: State::Tiny, format: FormatType::Native, strategy });
            }
            for state in [State::LargeHeap, State::LargeRocksDb] {
                for format in [FormatType::Native, FormatType::Canonical] {
                    // What a format costs is the backend's, which hardly differs from version to version.
                    if version == Version::V1_20 || format == FormatType::Native {
                        all.push(Self { version, state, format, strategy: UpgradeStrategy::Prewarm });
                    }
                }
            }
        }
        all
    }

    /// So many upgrades each way, of this number for tiny state: a large one takes minutes.
    #[must_use]
    pub fn rounds(self, tiny: usize) -> usize {
        if self.state == State::Tiny { tiny } else { tiny.min(2) }
    }

    /// The format, in a request to Flink.
    #[must_use]
    pub fn request_format(self) -> SavepointFormat {
        if self.format == FormatType::Canonical { SavepointFormat::Canonical } else { SavepointFormat::Native }
    }

    /// The counting job with such a state, and this rate.
    #[must_use]
    pub fn job(self, env: &Env, rate: u32) -> Job {
        let job = Job::counting(env, JOB, self.version)
            .set("/spec/upgrade/strategy", json!(self.strategy))
            .set("/spec/upgrade/savepoint/formatType", json!(self.format));
        let state = LARGE.to_string();
        let configured = |job: Job, key: &str, value: Value| job.set(&format!("/spec/flinkConfiguration/{key}"), value);
        match self.state {
            State::Tiny => job.rate(rate),
            State::LargeHeap => {
                let job = configured(job, "taskmanager.memory.task.heap.size", json!("2560m"));
                with_room(job, "3200Mi").counting_with(rate, &["--state-mib", &state])
            }
            State::LargeRocksDb => {
                let job = configured(job, "state.backend.type", json!("rocksdb"));
                let job = configured(job, "execution.checkpointing.incremental", json!(true));
                let job = configured(job, "taskmanager.memory.task.heap.size", json!("256m"));
                let job = configured(job, "taskmanager.memory.managed.size", json!("512m"));
                with_room(job, "1400Mi").counting_with(rate, &["--state-mib", &state])
            }
        }
    }
}

/// Memory for its TaskManager, and time for a checkpoint.
fn with_room(job: Job, memory: &str) -> Job {
    job.set("/spec/taskManager/resource/memory", json!(memory))
        .set("/spec/flinkConfiguration/execution.checkpointing.interval", json!("20s"))
}
