//! The benchmark of upgrades: the operator and, in the same run, the same by hand over Flink's REST API.
//!
//! By hand is the limit: whoever drives the requests knows at once what comes next, and records nothing. What is
//! measured is described in `docs/bench/README.md`; the project's README shows it ([`report`]).

pub mod by_hand;
pub mod by_operator;
mod clock;
mod marks;
pub mod process;
pub mod report;
pub mod samples;
mod stats;
mod timeline;

/// Rates between which the job changes from upgrade to upgrade, in records a second: the changed argument.
pub const RATES: [u32; 2] = [200, 201];
/// Name of the measured job, of its record file, and of its objects.
pub const JOB: &str = "bench";
