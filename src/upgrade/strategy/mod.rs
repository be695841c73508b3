//! How a job moves from one revision to the next.

pub mod prewarm;
pub mod put_back;
