//! How a job moves from one revision to the next.

pub mod blue_green;
pub mod confirm;
pub mod ending;
pub mod prewarm;
pub mod put_back;
pub mod recovery;
pub mod recreate;
