//! A Kubernetes operator for savepoint-driven deployments of Apache Flink jobs.

pub mod api;
pub mod cli;
pub mod flink;
pub mod naming;
pub mod runtime;
pub mod time;
