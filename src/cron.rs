//! Cron schedules as `CronJob` has them: five fields or a macro, in a time zone of their own.

mod dialect;

use std::str::FromStr as _;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// When something happens again and again.
#[derive(Debug, Clone)]
pub struct Schedule {
    cron: Cron,
    zone: Tz,
}

/// Why a schedule can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The expression is none: why.
    #[error("is no cron expression: {0}")]
    Expression(String),
    /// It has no time at all.
    #[error("never comes true")]
    Never,
    /// The time zone is none.
    #[error("is no time zone of the IANA database")]
    TimeZone,
}

impl Schedule {
    /// Reads a cron expression, and the name of its time zone (left out: UTC).
    ///
    /// # Errors
    /// [`Error`], also for an expression that never comes true, such as the 31st of February.
    pub fn parse(expression: &str, time_zone: Option<&str>) -> Result<Self, Error> {
        let zone = time_zone.map_or(Ok(Tz::UTC), Tz::from_str).map_err(|_| Error::TimeZone)?;
        let fields = dialect::plain(expression).map_err(Error::Expression)?;
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(&fields).map_err(|error| Error::Expression(error.to_string()))?;
        cron.find_next_occurrence(&DateTime::UNIX_EPOCH.with_timezone(&zone), true).map_err(|_| Error::Never)?;
        Ok(Self { cron, zone })
    }

    /// The first time after a moment.
    #[must_use]
    pub fn after(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let found = self.cron.find_next_occurrence(&moment.with_timezone(&self.zone), false);
        found.ok().map(|found| found.with_timezone(&Utc))
    }

    /// The last time until a moment, which may be that moment.
    #[must_use]
    pub fn until(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let found = self.cron.find_previous_occurrence(&moment.with_timezone(&self.zone), true);
        found.ok().map(|found| found.with_timezone(&Utc))
    }
}

#[cfg(test)]
#[path = "cron_tests.rs"]
mod tests;
