//! A Kubernetes operator for savepoint-driven deployments of Apache Flink jobs.

pub mod api;
pub mod cli;
mod cluster;
pub mod context;
pub mod controllers;
mod cron;
pub mod flink;
mod holds;
mod image;
mod jar;
pub mod naming;
pub mod reconcile;
pub mod runtime;
pub mod savepoint;
pub mod schedule;
pub mod snapshot;
pub mod store;
pub mod time;
mod tls;
pub mod upgrade;
