//! Copies that the operator itself makes.

use super::check::Failure;
use crate::runtime::background::Background;
use crate::snapshot::store::CopyProgress;

/// So many at once.
const AT_ONCE: usize = 2;

/// Work of this kind.
pub type Copies = Background<Result<(), Failure>, CopyProgress>;

/// None yet.
#[must_use]
pub fn copies() -> Copies {
    Background::new(AT_ONCE)
}
