//! The command line: what the process can be asked for, and the commands that need no cluster.

pub mod jar;
mod run;
pub mod snapshot;

use clap::{Parser, Subcommand};

pub use run::Run;

/// Savepoint-driven deployments of Apache Flink jobs on Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "flink-savepoint-operator", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the binary can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator
    Run(Run),
    /// Print the CustomResourceDefinitions, as YAML
    Crds,
    /// Fetch jobs' jars, as the pods of JobManagers do
    #[command(subcommand)]
    Jar(jar::Command),
    /// Look into savepoints and checkpoints, without a cluster
    #[command(subcommand)]
    Snapshot(snapshot::Command),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn is_consistent() {
        Cli::command().debug_assert();
    }
}
