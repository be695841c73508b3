//! FlinkJobUpgrade: a job, and how it moves from revision to revision.

mod end;
mod history;
mod policy;
mod spec;
mod status;

pub use end::*;
pub use history::*;
pub use policy::*;
pub use spec::*;
pub use status::*;
