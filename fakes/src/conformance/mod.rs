//! Cases that run on a fake and on what it stands for, so that the fake can't drift from it.

pub mod flink;
