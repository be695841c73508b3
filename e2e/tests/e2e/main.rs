//! End-to-end tests: the operator, installed as a user would, on a real Kubernetes with real Flink.
//!
//! Each scenario runs in a namespace of its own and sees what a user sees: the resources and their status, the records
//! that a job writes, Flink's own word, the bucket. `matrix.rs` says which Flink version a scenario runs on. Those
//! whose name begins with `alone_` must run when nothing else does.

mod alone;
mod blue_green;
mod conformance_flink;
mod conformance_kube;
mod copies;
mod crash;
mod deletion;
mod failed_upgrade;
mod flink_upgraded;
mod foreign;
mod fork;
mod gitops;
mod hands;
mod high_availability;
mod jar;
mod life;
mod matrix;
mod only_what_changed;
mod operator_killed;
mod order;
mod outage;
mod preflight;
mod recovery;
mod recreate;
mod restore_modes;
mod savepoint;
mod schedule;
mod session;
mod silent;
mod start;
mod store;
mod story;
mod suspend;
mod tls;
mod two_operators;
mod windows;
