//! The time of day of the simulated world.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

/// A base moment plus the time that has passed on tokio's clock; it can jump, as a machine's clock does. Cheap to
/// clone; all clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock {
    base: Arc<Mutex<DateTime<Utc>>>,
    started: Instant,
}

impl Clock {
    /// A clock that shows `base` now.
    #[must_use]
    pub fn new(base: DateTime<Utc>) -> Self {
        Self { base: Arc::new(Mutex::new(base)), started: Instant::now() }
    }

    /// The time of day.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        let base = *self.base.lock().unwrap_or_else(PoisonError::into_inner);
        // Centuries of simulated time are not meant.
        base + TimeDelta::from_std(self.started.elapsed()).unwrap_or(TimeDelta::MAX)
    }

    /// Sets it forward or back.
    pub fn jump(&self, by: TimeDelta) {
        *self.base.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn shows_what_has_passed_and_jumps() {
        let clock = Clock::new(DateTime::UNIX_EPOCH);
        let other = clock.clone();
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(other.now(), DateTime::UNIX_EPOCH + TimeDelta::seconds(90));
        other.jump(TimeDelta::seconds(-30));
        assert_eq!(clock.now(), DateTime::UNIX_EPOCH + TimeDelta::seconds(60));
    }
}
