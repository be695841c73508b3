//! Which slots of a schedule are due, missed, and next: what the controller of `CronJob` does
//! (kubernetes/pkg/controller/cronjob/utils.go), with an offset for all of a schedule's slots.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::cron::Schedule;

/// So many slots are counted one by one; beyond it the count says "at least".
const COUNTED: u64 = 10_000;

/// How slots are looked for.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// The times.
    pub schedule: &'a Schedule,
    /// The newest slot that was acted upon, or else when the schedule came to be: only later ones are due.
    pub since: DateTime<Utc>,
    /// How long after its start a slot may still start; `None`: without limit.
    pub deadline: Option<Duration>,
    /// By how much each slot starts after its time.
    pub offset: Duration,
}

/// How it stands with the slots at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    /// The newest slot whose time has come, and whether it may still start.
    pub newest: Option<(DateTime<Utc>, bool)>,
    /// So many slots came before it and were not acted upon.
    pub passed: u64,
    /// When the next slot starts.
    pub next: Option<DateTime<Utc>>,
}

impl Search<'_> {
    /// How it stands at this moment. A clock that goes back makes no slot due again.
    #[must_use]
    pub fn at(&self, now: DateTime<Utc>) -> Slots {
        let offset = TimeDelta::from_std(self.offset).unwrap_or(TimeDelta::MAX);
        let clock = now.checked_sub_signed(offset).unwrap_or(now);
        let next = self.schedule.after(self.since.max(clock)).and_then(|slot| slot.checked_add_signed(offset));
        let Some(newest) = self.schedule.until(clock).filter(|slot| *slot > self.since) else {
            return Slots { newest: None, passed: 0, next };
        };
        let late = (clock - newest).to_std().unwrap_or_default();
        let in_time = self.deadline.is_none_or(|deadline| late <= deadline);
        Slots { newest: Some((newest, in_time)), passed: self.between(newest), next }
    }

    /// So many slots lie before one.
    fn between(&self, newest: DateTime<Utc>) -> u64 {
        let mut passed = 0;
        let mut at = self.since;
        while passed < COUNTED {
            match self.schedule.after(at).filter(|slot| *slot < newest) {
                Some(slot) => at = slot,
                None => break,
            }
            passed += 1;
        }
        passed
    }
}

#[cfg(test)]
#[path = "slots_tests.rs"]
mod tests;
