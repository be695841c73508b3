use chrono::{DateTime, Utc};
use rstest::rstest;

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[rstest]
#[case::every_day("0 3 * * *", None, "2026-11-22T02:59:59Z", "2026-11-22T03:00:00Z")]
#[case::not_now("0 3 * * *", None, "2026-11-22T03:00:00Z", "2026-11-23T03:00:00Z")]
#[case::monday_to_friday("0 3 * * 1-5", None, "2026-11-20T04:00:00Z", "2026-11-23T03:00:00Z")]
#[case::names("30 4 * JAN MON", None, "2026-11-22T00:00:00Z", "2027-01-04T04:30:00Z")]
#[case::steps("*/15 8-9 * * *", None, "2026-11-22T08:46:00Z", "2026-11-22T09:00:00Z")]
#[case::day_of_month_or_week("0 0 13 * 5", None, "2026-11-22T00:00:00Z", "2026-11-27T00:00:00Z")]
#[case::daily("@daily", None, "2026-11-22T12:00:00Z", "2026-11-23T00:00:00Z")]
#[case::midnight("@midnight", None, "2026-11-22T12:00:00Z", "2026-11-23T00:00:00Z")]
#[case::hourly("@hourly", None, "2026-11-22T12:00:00Z", "2026-11-22T13:00:00Z")]
#[case::zone("0 3 * * *", Some("Europe/Berlin"), "2026-11-22T00:00:00Z", "2026-11-22T02:00:00Z")]
#[case::summer("0 3 * * *", Some("Europe/Berlin"), "2026-07-01T00:00:00Z", "2026-07-01T01:00:00Z")]
#[case::half_hours("0 3 * * *", Some("Asia/Kolkata"), "2026-11-22T00:00:00Z", "2026-11-22T21:30:00Z")]
// Clocks went from 2:00 to 3:00 on 2026-03-29.
#[case::hour_that_is_not_there("30 2 * * *", Some("Europe/Berlin"), "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z")]
// And from 3:00 to 2:00 on 2026-10-25: the first 2:30 is meant.
#[case::hour_that_comes_twice("30 2 * * *", Some("Europe/Berlin"), "2026-10-24T23:00:00Z", "2026-10-25T00:30:00Z")]
#[case::only_once("30 2 * * *", Some("Europe/Berlin"), "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z")]
fn the_next_time(#[case] schedule: &str, #[case] zone: Option<&str>, #[case] now: &str, #[case] next: &str) {
    let schedule = Schedule::parse(schedule, zone).unwrap();
    assert_eq!(schedule.after(at(now)), Some(at(next)));
    assert_eq!(schedule.until(at(next)), Some(at(next)));
    assert!(schedule.until(at(now)).unwrap() <= at(now));
}

#[rstest]
#[case::too_few("0 3 * *")]
#[case::seconds("0 0 3 * * *")]
#[case::year("0 0 3 * * * 2027")]
#[case::hour("0 24 * * *")]
#[case::words("at three")]
#[case::reboot("@reboot")]
#[case::zone_within("TZ=UTC 0 3 * * *")]
fn what_is_no_schedule(#[case] schedule: &str) {
    let error = Schedule::parse(schedule, None).unwrap_err();
    assert!(matches!(error, Error::Expression(_)), "{error}");
}

#[rstest]
#[case::february("0 0 31 2 *")]
#[case::short_months("0 0 31 4,6,9,11 *")]
fn what_never_comes(#[case] schedule: &str) {
    assert_eq!(Schedule::parse(schedule, None).unwrap_err(), Error::Never);
}

/// Of lists, ranges and steps each hour of the clock is one of its own: what the change leaves out is left out, and what comes
/// twice comes twice.
#[rstest]
#[case::in_the_gap("0 2,14 * * *", "2026-03-28T14:00:00Z", &["2026-03-29T12:00:00Z"])]
#[case::twice("30 2,14 * * *", "2026-10-24T14:00:00Z", &["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T13:30:00Z"])]
#[case::every_hour_in_the_gap("0 * * * *", "2026-03-29T00:00:00Z", &["2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"])]
#[case::every_hour_twice("0 * * * *", "2026-10-25T00:00:00Z", &["2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"])]
fn when_clocks_change_lists_follow_the_clock(#[case] schedule: &str, #[case] from: &str, #[case] expected: &[&str]) {
    let schedule = Schedule::parse(schedule, Some("Europe/Berlin")).unwrap();
    let mut now = at(from);
    for next in expected {
        now = schedule.after(now).unwrap();
        assert_eq!(now, at(next));
    }
}

/// Either day alone will do, unless one of the fields is every day.
#[rstest]
#[case::both("0 0 */10 * 1", "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z")]
#[case::both_by_the_month("0 0 */10 * 1", "2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z")]
#[case::every_day_of_the_month("0 0 */1 * 1", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z")]
fn days_of_month_and_of_week(#[case] schedule: &str, #[case] now: &str, #[case] next: &str) {
    assert_eq!(Schedule::parse(schedule, None).unwrap().after(at(now)), Some(at(next)));
}

#[rstest]
#[case::unknown("Europe/Atlantis")]
#[case::of_this_machine("Local")]
#[case::empty("")]
#[case::offset("+02:00")]
fn what_is_no_time_zone(#[case] zone: &str) {
    assert_eq!(Schedule::parse("0 3 * * *", Some(zone)).unwrap_err(), Error::TimeZone);
}
