//! What the end-to-end tests share: the cluster they run on, a namespace for each of them, the records that the
//! counting job writes and the rules these have to keep, and a look at the operator, at Flink, at S3 and at the
//! audit log.
//!
//! Nothing here knows what the operator does inside: it sees what a user sees.

pub mod audit;
pub mod bench;
pub mod conformance_flink;
mod dump;
pub mod env;
pub mod flink;
pub mod flux;
pub mod job;
pub mod namespace;
pub mod operator;
pub mod pause;
mod proc;
pub mod proxy;
pub mod records;
pub mod s3;
pub mod s3_server;
pub mod second_operator;
pub mod session;
pub mod wait;
