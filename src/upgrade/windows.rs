//! Windows: spans of time in which an upgrade may start. One that is under way is finished whatever the time, and a way
//! back, a recovery and a suspension wait for none.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::observed::Observed;
use super::state_source::{self, Now};
use super::status;
use super::workload::SpecError;
use crate::api::annotations::OPEN_WINDOW;
use crate::api::condition::{Conditions, Reason, types};
use crate::api::{FlinkJobUpgradeSpec, FlinkJobUpgradeStatus, Window};
use crate::cron::{self, Schedule};
use crate::time;

/// What a change waits for: the next window, if there ever is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// When it opens.
    pub next: Option<DateTime<Utc>>,
}

impl Closed {
    /// How long that is from now.
    #[must_use]
    pub fn opens_in(self, now: DateTime<Utc>) -> Duration {
        self.next.and_then(|next| (next - now).to_std().ok()).unwrap_or(Duration::MAX)
    }
}

/// Whether the windows of a spec can be read.
///
/// # Errors
/// The first that can't, with field, value and cure.
pub fn check(spec: &FlinkJobUpgradeSpec) -> Result<(), SpecError> {
    for (number, window) in of(spec).iter().enumerate() {
        read(window).map_err(|error| {
            let field = |name: &str| format!("spec.upgrade.windows[{number}].{name}");
            let (field, value, cure) = match &error {
                cron::Error::Expression(_) => {
                    (field("schedule"), window.schedule.as_str(), "give five fields such as '0 3 * * 1-5'")
                }
                cron::Error::Never => (field("schedule"), window.schedule.as_str(), "give a day that its month has"),
                cron::Error::TimeZone => {
                    let zone = window.time_zone.as_deref().unwrap_or_default();
                    (field("timeZone"), zone, "give a name such as Europe/Berlin, or leave it out for UTC")
                }
            };
            SpecError::invalid(field, value, error.to_string(), cure)
        })?;
    }
    Ok(())
}

/// What a change of a running job waits for; `None`: it may start now. A job that does not run gets its fix at once.
#[must_use]
pub fn closed(o: &Observed, now: &Now) -> Option<Closed> {
    let runs = match now {
        Now::Running | Now::Silent(_) => true,
        Now::Restarting(failures) => *failures < state_source::RESTARTS,
        Now::Failed | Now::Canceled | Now::Finished | Now::Forgotten | Now::Lost => false,
    };
    let by_hand = o.upgrade.metadata.annotations.as_ref().and_then(|all| all.get(OPEN_WINDOW));
    let opened = by_hand.is_some_and(|generation| Some(generation) == generation_of(o).as_ref());
    (runs && !opened).then(|| closed_at(of(&o.upgrade.spec), o.now)).flatten()
}

/// Says what a change waits for, or that none does.
pub fn tell(o: &Observed, draft: &mut FlinkJobUpgradeStatus, waits: Option<Closed>) {
    draft.next_window = waits.and_then(|closed| closed.next).map(time::to_k8s);
    draft.next = waits.and(o.upgrade.metadata.generation);
    let mut conditions = Conditions::new(&mut draft.conditions, o.upgrade.metadata.generation, o.now);
    let Some(closed) = waits else {
        conditions.remove(types::UPGRADE_PENDING);
        return;
    };
    let generation = generation_of(o).unwrap_or_default();
    let until = match closed.next {
        Some(next) => format!("until a window opens at {}", next.format("%Y-%m-%dT%H:%M:%SZ")),
        None => "for a window, and none opens any more".to_owned(),
    };
    let message = format!(
        "generation {generation} waits {until}; to start it now: kubectl annotate --overwrite fju {} \
         {OPEN_WINDOW}={generation}",
        status::name(o)
    );
    conditions.set(types::UPGRADE_PENDING, true, Reason::WaitingForWindow, message);
}

fn generation_of(o: &Observed) -> Option<String> {
    o.upgrade.metadata.generation.map(|generation| generation.to_string())
}

fn of(spec: &FlinkJobUpgradeSpec) -> &[Window] {
    spec.upgrade.as_ref().and_then(|upgrade| upgrade.windows.as_deref()).unwrap_or_default()
}

fn read(window: &Window) -> Result<Schedule, cron::Error> {
    Schedule::parse(&window.schedule, window.time_zone.as_deref())
}

/// Without windows every time is right.
fn closed_at(windows: &[Window], now: DateTime<Utc>) -> Option<Closed> {
    let mut next = None;
    for window in windows {
        let (Ok(schedule), Ok(open)) = (read(window), window.duration.parse()) else { continue };
        let open = TimeDelta::from_std(open).unwrap_or(TimeDelta::MAX);
        if schedule.until(now).is_some_and(|opened| now - opened < open) {
            return None;
        }
        next = schedule.after(now).into_iter().chain(next).min();
    }
    (!windows.is_empty()).then_some(Closed { next })
}

#[cfg(test)]
#[path = "windows_tests.rs"]
mod tests;
