//! Cases that run on a fake and on the real thing, so that the fake can't drift away from it.

pub mod flink;
pub mod kube;
