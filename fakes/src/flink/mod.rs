//! A Flink session cluster in this process: a JobManager that answers as real ones of 1.20 and 2.3 were recorded, its
//! TaskManagers, and what high availability keeps.
//!
//! Nothing runs by itself: what is due by the time of `tokio::time` happens, in its order, before the next call is
//! answered; or at its very moment, where somebody awaits [`Cluster::run`]. So the same calls at the same times give
//! the same answers.
//!
//! Two things are simpler than in Flink: all tasks of a job are in one state, and a job that finds no slots waits for
//! them without end, as in the first five minutes of a JobManager.

mod answers;
mod cause;
mod cluster;
mod disposal;
mod files;
mod high_availability;
mod http_answer;
mod jars;
mod job;
mod lifecycle;
mod preflight;
mod process;
pub mod recorded;
mod records;
mod requests;
mod serve;
mod settings;
mod snapshots;
mod snapshotting;
mod state;
mod stopped;
mod views;

#[cfg(test)]
mod tests;

pub use cluster::{Cluster, Down};
pub use high_availability::LEADERS;
pub use records::{Records, Run, Submit};
pub use serve::Served;
pub use settings::{Format, JobScript, Main, RestartStrategy, Settings, Snapshots, Version, Vertex};
