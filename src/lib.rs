//! A Kubernetes operator for savepoint-driven deployments of Apache Flink jobs.

pub mod api;
pub mod time;
