//! Whose a snapshot is, and who needs it: what nobody deletes, claims or starts from before it has looked here (decision 0024).

mod everybody;
pub mod ownership;
pub mod references;
pub mod shared;
mod world;

pub use self::everybody::{Everybody, service_lives};
pub use self::references::Need;
pub use self::world::{World, agree, hold, listed, outdated};
