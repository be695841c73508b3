//! The one place where chrono, the clock of the domain, meets the time type of the Kubernetes API.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use k8s_openapi::jiff::Timestamp;

/// Where the time comes from.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl Clock {
    /// This machine's.
    #[must_use]
    pub fn system() -> Self {
        Self::from(Utc::now)
    }

    /// Another one.
    #[must_use]
    pub fn from(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

/// The Kubernetes form of a moment, cut to whole seconds (all that Kubernetes promises to keep of it).
///
/// Moments outside of what the Kubernetes type can hold (before the year -9999, after 9999) become its nearest bound.
#[must_use]
pub fn to_k8s(moment: DateTime<Utc>) -> Time {
    Time(clamped(moment.trunc_subsecs(0)))
}

/// The Kubernetes form of a moment, kept to the microsecond; for durations that are computed from it. (A [`Time`] is
/// written in whole seconds, whatever it holds.)
#[must_use]
pub fn to_k8s_precise(moment: DateTime<Utc>) -> MicroTime {
    MicroTime(clamped(moment.trunc_subsecs(6)))
}

/// A time type of the Kubernetes API.
pub trait Moment {
    /// What it holds.
    fn timestamp(&self) -> Timestamp;
}

impl Moment for Time {
    fn timestamp(&self) -> Timestamp {
        self.0
    }
}

impl Moment for MicroTime {
    fn timestamp(&self) -> Timestamp {
        self.0
    }
}

/// The chrono form of a Kubernetes time.
#[must_use]
pub fn from_k8s(time: &impl Moment) -> DateTime<Utc> {
    // Every moment of the Kubernetes type lies within chrono's range; the fallback is only for the types' sake.
    let nanoseconds = time.timestamp().as_nanosecond();
    let second = i64::try_from(nanoseconds.div_euclid(1_000_000_000)).unwrap_or_default();
    let rest = u32::try_from(nanoseconds.rem_euclid(1_000_000_000)).unwrap_or_default();
    DateTime::from_timestamp(second, rest).unwrap_or_default()
}

/// Seconds from `from` to `to`; negative if `to` is the earlier one.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "milliseconds of any real span fit into 52 bits")]
pub fn seconds_between(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    (to - from).num_milliseconds() as f64 / 1000.0
}

fn clamped(moment: DateTime<Utc>) -> Timestamp {
    let nanosecond = i32::try_from(moment.timestamp_subsec_nanos().min(999_999_999)).unwrap_or_default();
    Timestamp::new(moment.timestamp(), nanosecond).unwrap_or(if moment.timestamp() < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

#[cfg(test)]
#[path = "time_tests.rs"]
mod tests;
