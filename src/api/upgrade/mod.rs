//! FlinkJobUpgrade: a job, and how it moves from revision to revision.

mod policy;
mod spec;
mod status;

pub use policy::*;
pub use spec::*;
pub use status::*;
