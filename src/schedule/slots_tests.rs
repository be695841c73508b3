use rstest::rstest;

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn slots(schedule: &str, zone: Option<&str>, since: &str, deadline: Option<u64>, now: &str) -> Slots {
    let schedule = Schedule::parse(schedule, zone).unwrap();
    let deadline = deadline.map(Duration::from_secs);
    Search { schedule: &schedule, since: at(since), deadline, offset: Duration::ZERO }.at(at(now))
}

// As Kubernetes' own tests of `mostRecentScheduleTime` and of `syncCronJob` have them: the schedule is created at half past
// nine, and starts every hour.
#[rstest]
#[case::not_come_yet("2026-11-22T09:59:59Z", None, None, 0)]
#[case::has_just_come("2026-11-22T10:00:00Z", None, Some(("2026-11-22T10:00:00Z", true)), 0)]
#[case::came_a_minute_ago("2026-11-22T10:01:00Z", None, Some(("2026-11-22T10:00:00Z", true)), 0)]
#[case::within_the_deadline("2026-11-22T10:01:00Z", Some(60), Some(("2026-11-22T10:00:00Z", true)), 0)]
#[case::past_the_deadline("2026-11-22T10:01:01Z", Some(60), Some(("2026-11-22T10:00:00Z", false)), 0)]
#[case::a_deadline_of_nothing("2026-11-22T10:00:00Z", Some(0), Some(("2026-11-22T10:00:00Z", true)), 0)]
#[case::only_the_newest_of_several("2026-11-22T12:10:00Z", None, Some(("2026-11-22T12:00:00Z", true)), 2)]
#[case::a_year_later("2027-11-22T09:30:00Z", None, Some(("2027-11-22T09:00:00Z", true)), 8759)]
#[case::a_clock_that_goes_back("2026-11-22T08:00:00Z", None, None, 0)]
fn what_is_due(
    #[case] now: &str,
    #[case] deadline: Option<u64>,
    #[case] newest: Option<(&str, bool)>,
    #[case] passed: u64,
) {
    let slots = slots("0 * * * *", None, "2026-11-22T09:30:00Z", deadline, now);
    assert_eq!(slots.newest, newest.map(|(slot, in_time)| (at(slot), in_time)));
    assert_eq!(slots.passed, passed);
}

/// What was acted upon comes no second time.
#[test]
fn a_slot_is_due_once() {
    let slots = slots("0 * * * *", None, "2026-11-22T10:00:00Z", None, "2026-11-22T10:59:59Z");
    assert_eq!((slots.newest, slots.passed), (None, 0));
    assert_eq!(slots.next, Some(at("2026-11-22T11:00:00Z")));
}

#[rstest]
#[case::after_now("2026-11-22T09:30:00Z", "2026-11-22T10:00:00Z", "2026-11-22T11:00:00Z")]
#[case::a_clock_that_goes_back("2026-11-22T10:00:00Z", "2026-11-22T08:00:00Z", "2026-11-22T11:00:00Z")]
fn when_the_next_starts(#[case] since: &str, #[case] now: &str, #[case] next: &str) {
    assert_eq!(slots("0 * * * *", None, since, None, now).next, Some(at(next)));
}

// Central European time ends summer time on 2026-10-25 at three, and begins it on 2027-03-28 at two.
#[rstest]
#[case::an_hour_that_comes_twice(
    "30 2 * * *",
    "2026-10-24T12:00:00Z",
    "2026-10-25T12:00:00Z",
    "2026-10-25T00:30:00Z",
    0
)]
#[case::an_hour_that_is_left_out(
    "30 2 * * *",
    "2027-03-27T12:00:00Z",
    "2027-03-28T12:00:00Z",
    "2027-03-28T01:00:00Z",
    0
)]
#[case::each_day_of_that_year("0 3 * * *", "2026-01-01T00:00:00Z", "2026-12-31T23:00:00Z", "2026-12-31T02:00:00Z", 364)]
fn in_a_zone_with_summer_time(
    #[case] schedule: &str,
    #[case] since: &str,
    #[case] now: &str,
    #[case] newest: &str,
    #[case] passed: u64,
) {
    let slots = slots(schedule, Some("Europe/Berlin"), since, None, now);
    assert_eq!((slots.newest, slots.passed), (Some((at(newest), true)), passed));
}

/// All slots of a schedule start by the same time later, and their deadlines begin there.
#[test]
fn an_offset_moves_all_slots() {
    let schedule = Schedule::parse("0 * * * *", None).unwrap();
    let search = Search {
        schedule: &schedule,
        since: at("2026-11-22T09:30:00Z"),
        deadline: Some(Duration::from_secs(60)),
        offset: Duration::from_secs(600),
    };
    assert_eq!(search.at(at("2026-11-22T10:09:59Z")).newest, None);
    assert_eq!(search.at(at("2026-11-22T10:09:59Z")).next, Some(at("2026-11-22T10:10:00Z")));
    assert_eq!(search.at(at("2026-11-22T10:11:00Z")).newest, Some((at("2026-11-22T10:00:00Z"), true)));
    assert_eq!(search.at(at("2026-11-22T10:11:01Z")).newest, Some((at("2026-11-22T10:00:00Z"), false)));
    assert_eq!(search.at(at("2026-11-22T10:11:00Z")).next, Some(at("2026-11-22T11:10:00Z")));
}

/// The status keeps whole seconds, and nobody counts for ever.
#[test]
fn counting_ends() {
    let slots = slots("* * * * *", None, "2026-01-01T00:00:00Z", None, "2027-01-01T00:00:00Z");
    assert_eq!(slots.passed, COUNTED);
}
