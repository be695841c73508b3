//! Which completed savepoints of a schedule are kept: those that any rule wants, and those that something holds. The words
//! and their meaning are those of restic's `forget`, the periods those of the schedule's time zone.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike as _, Utc};
use chrono_tz::Tz;

use crate::api::Retention;

/// A completed savepoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Name of its FlinkSavepoint.
    pub name: String,
    /// When it was complete.
    pub at: DateTime<Utc>,
    /// Whether something needs it.
    pub held: bool,
}

/// Why a savepoint is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// `keepLast`.
    Last,
    /// `keepWithin`.
    Within,
    /// `keepHourly`.
    Hourly,
    /// `keepDaily`.
    Daily,
    /// `keepWeekly`, by ISO weeks.
    Weekly,
    /// `keepMonthly`.
    Monthly,
    /// Something needs it.
    Held,
}

impl Rule {
    /// The field of `spec.retention`, or `held`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Last => "keepLast",
            Self::Within => "keepWithin",
            Self::Hourly => "keepHourly",
            Self::Daily => "keepDaily",
            Self::Weekly => "keepWeekly",
            Self::Monthly => "keepMonthly",
            Self::Held => "held",
        }
    }
}

/// Whether there is no rule that could keep anything: then nothing is deleted, as nobody can mean that.
#[must_use]
pub fn keeps_nothing(retention: &Retention) -> bool {
    let counts = [
        retention.keep_last,
        retention.keep_hourly,
        retention.keep_daily,
        retention.keep_weekly,
        retention.keep_monthly,
    ];
    let within = retention.keep_within.as_ref().is_some_and(|within| within.parse().is_ok_and(|w| !w.is_zero()));
    !within && counts.into_iter().all(|limit| count(limit) == 0)
}

/// The savepoints that are kept, by name, each with all rules that want it. What is not in it may go.
#[must_use]
pub fn kept(retention: &Retention, zone: Tz, all: &[Snapshot]) -> BTreeMap<String, BTreeSet<Rule>> {
    let mut newest_first: Vec<&Snapshot> = all.iter().collect();
    // Of two of the same second the name decides, so that every look comes to the same.
    newest_first.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| b.name.cmp(&a.name)));
    let mut kept: BTreeMap<String, BTreeSet<Rule>> = BTreeMap::new();
    let mut keep = |snapshot: &Snapshot, rule: Rule| {
        kept.entry(snapshot.name.clone()).or_default().insert(rule);
    };
    let within = retention.keep_within.as_ref().and_then(|within| within.parse().ok());
    // Counted from the newest one, not from now: where no new ones come none goes.
    let newest = newest_first.first().map(|snapshot| snapshot.at);
    let oldest = within.and_then(|within| newest?.checked_sub_signed(chrono::TimeDelta::from_std(within).ok()?));
    let within = |snapshot: &Snapshot| oldest.is_some_and(|oldest| snapshot.at >= oldest);
    newest_first.iter().filter(|snapshot| within(snapshot)).for_each(|snapshot| keep(snapshot, Rule::Within));
    newest_first.iter().filter(|snapshot| snapshot.held).for_each(|snapshot| keep(snapshot, Rule::Held));
    newest_first.iter().take(count(retention.keep_last)).for_each(|snapshot| keep(snapshot, Rule::Last));
    for (rule, periods, period) in periods(retention) {
        let mut seen = BTreeSet::new();
        for snapshot in &newest_first {
            let of = period(snapshot.at.with_timezone(&zone));
            if seen.len() < periods && seen.insert(of) {
                keep(snapshot, rule);
            }
        }
    }
    kept
}

/// What a moment is in, as a number of its own.
type Period = fn(DateTime<Tz>) -> (i32, u32, u32);

fn periods(retention: &Retention) -> [(Rule, usize, Period); 4] {
    [
        // By UTC: an hour that comes twice is two.
        (Rule::Hourly, count(retention.keep_hourly), |at| {
            let at = at.to_utc();
            (at.year(), at.ordinal(), chrono::Timelike::hour(&at))
        }),
        (Rule::Daily, count(retention.keep_daily), |at| (at.year(), at.ordinal(), 0)),
        (Rule::Weekly, count(retention.keep_weekly), |at| (at.iso_week().year(), at.iso_week().week(), 0)),
        (Rule::Monthly, count(retention.keep_monthly), |at| (at.year(), at.month(), 0)),
    ]
}

fn count(limit: Option<i32>) -> usize {
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or_default()
}

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;
