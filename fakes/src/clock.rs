//! The wall clock of the fakes: a moment, and the time of `tokio::time` since.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

/// Shows one time to all that hold it. Cheap to clone.
#[derive(Clone)]
pub struct Clock {
    started: Instant,
    base: Arc<Mutex<DateTime<Utc>>>,
}

impl Clock {
    /// A clock that shows `base` now.
    #[must_use]
    pub fn new(base: DateTime<Utc>) -> Self {
        Self { started: Instant::now(), base: Arc::new(Mutex::new(base)) }
    }

    /// What it shows.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        let base = *self.base.lock().unwrap_or_else(PoisonError::into_inner);
        base + TimeDelta::from_std(self.started.elapsed()).unwrap_or(TimeDelta::MAX)
    }

    /// Sets it forward, or back, while no time passes.
    pub fn jump(&self, by: TimeDelta) {
        *self.base.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}
