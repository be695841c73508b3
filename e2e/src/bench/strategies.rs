//! The benchmark of strategies: upgrades by each of them, of both versions of Flink, with a state of some kilobytes and
//! with one of a gigabyte, by the operator and by hand. The upgrades of `make bench-upgrade` are measured more closely;
//! here it is what a user of another strategy, or of much state, has to expect.

mod by_operator;
mod setup;

use std::fmt::Write as _;

use anyhow::Result;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    benchmark::{Benchmark, seconds, three},
    samples::Machine,
};
pub use by_operator::ByOperator;
pub use setup::{Setup, State};

/// The benchmark of strategies.
pub const STRATEGIES: Benchmark<Samples> =
    Benchmark { name: "strategies", page: "docs/bench/strategies.md", table, source };

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Samples {
    /// When it was over.
    pub measured_at: DateTime<Utc>,
    /// Commit of this repository, with `-dirty` if the work tree was another.
    pub commit: String,
    /// What it ran on. Its version of Flink is that of the first setup.
    pub machine: Machine,
    /// Each setup's.
    pub setups: Vec<Measured>,
}

/// What was measured of a setup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Measured {
    /// The setup.
    pub setup: Setup,
    /// By the operator.
    pub by_operator: Vec<Upgrade>,
    /// By hand.
    pub by_hand: Vec<Upgrade>,
}

/// One upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Upgrade {
    /// From the last record of the old job to the first of the new one, in milliseconds; less than 0 for as long as both
    /// wrote.
    pub records_ms: i64,
    /// From the begin until the new job has the place, in milliseconds: by the operator until the resource is Ready for
    /// it, its first checkpoint completed; by hand until its tasks run.
    pub whole_ms: i64,
}

/// The table, in Markdown.
fn table(samples: &Samples) -> Result<String> {
    let mut text =
        "| Flink | state | savepoint | strategy | upgrades each | downtime by the operator, s | by hand, s | ratio of \
                    medians | apply to Ready, s | by hand until the tasks run, s |\n\
                    |---|---|---|---|---|---|---|---|---|---|\n"
            .to_owned();
    for Measured { setup, by_operator, by_hand } in &samples.setups {
        let of = |upgrades: &[Upgrade], time: fn(&Upgrade) -> i64| seconds(upgrades.iter().map(time));
        let downtime = (of(by_operator, |u| u.records_ms)?, of(by_hand, |u| u.records_ms)?);
        let whole = (of(by_operator, |u| u.whole_ms)?, of(by_hand, |u| u.whole_ms)?);
        // Where both write for a while, there is nothing to be compared.
        let compared = downtime.0.median > 0.0 && downtime.1.median > 0.0;
        let ratio = if compared { format!("{:.2}", downtime.0.median / downtime.1.median) } else { String::new() };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | `{}` | {} | {} | {} | {ratio} | {} | {} |",
            setup.version.tag(),
            setup.state,
            setup.format,
            setup.strategy,
            by_hand.len(),
            three(downtime.0),
            three(downtime.1),
            three(whole.0),
            three(whole.1),
        );
    }
    Ok(text)
}

/// One line about where the figures come from.
fn source(name: &str, samples: &Samples) -> String {
    format!(
        "Each figure is min / median / max; downtime is that by records, less than 0 for as long as both wrote. {} cores, {} GiB, \
         Linux {}, Kubernetes {}, at commit {}, {}. Every sample: [{name}]({name}).\n",
        samples.machine.cores,
        (samples.machine.memory_mib + 512) / 1024,
        samples.machine.kernel,
        samples.machine.kubernetes.trim_start_matches('v'),
        samples.commit,
        samples.measured_at.format("%Y-%m-%d"),
    )
}

#[cfg(test)]
#[path = "strategies_tests.rs"]
mod strategies_tests;
