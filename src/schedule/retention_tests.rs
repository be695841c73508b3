use chrono::TimeDelta;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn retention(rules: &Value) -> Retention {
    serde_json::from_value(rules.clone()).unwrap()
}

const NOW: &str = "2026-11-22T12:30:00Z";

/// Every six hours for forty days; named after the hours before now.
fn every_six_hours() -> Vec<Snapshot> {
    let snapshot = |n: i64| Snapshot {
        name: format!("h{:04}", n * 6),
        at: at("2026-11-22T12:00:00Z") - TimeDelta::hours(n * 6),
        held: false,
    };
    (0..160).map(snapshot).collect()
}

fn names(rules: &Value, all: &[Snapshot]) -> Vec<String> {
    kept(&retention(rules), Tz::UTC, all).into_keys().collect()
}

#[rstest]
#[case::last(json!({"keepLast": 2}), &["h0000", "h0006"])]
#[case::last_none(json!({"keepLast": 0}), &[])]
#[case::within(json!({"keepWithin": "13h"}), &["h0000", "h0006", "h0012"])]
#[case::hourly(json!({"keepHourly": 3}), &["h0000", "h0006", "h0012"])]
// The newest of each day: at six in the evening, but for today.
#[case::daily(json!({"keepDaily": 3}), &["h0000", "h0018", "h0042"])]
// Sunday; the Sundays before.
#[case::weekly(json!({"keepWeekly": 3}), &["h0000", "h0162", "h0330"])]
#[case::monthly(json!({"keepMonthly": 2}), &["h0000", "h0522"])]
#[case::any_rule_will_do(json!({"keepLast": 1, "keepMonthly": 2}), &["h0000", "h0522"])]
fn what_is_kept(#[case] rules: Value, #[case] expected: &[&str]) {
    assert_eq!(names(&rules, &every_six_hours()), expected);
}

/// Only periods that have one count.
#[test]
fn periods_without_a_savepoint_do_not_count() {
    let mut few = every_six_hours();
    few.retain(|snapshot| ["h0000", "h0162", "h0522"].contains(&snapshot.name.as_str()));
    assert_eq!(names(&json!({"keepDaily": 2}), &few), ["h0000", "h0162"]);
}

#[test]
fn days_are_those_of_the_zone() {
    let late = Snapshot { name: "late".to_owned(), at: at("2026-11-21T23:30:00Z"), held: false };
    let early = Snapshot { name: "early".to_owned(), at: at("2026-11-22T00:30:00Z"), held: false };
    let days = retention(&json!({"keepDaily": 7}));
    let kept = |zone| kept(&days, zone, &[late.clone(), early.clone()]).len();
    assert_eq!((kept(Tz::UTC), kept(Tz::Europe__Berlin)), (2, 1));
}

#[test]
fn each_says_by_which_rules() {
    let mut all = every_six_hours();
    all[2].held = true;
    let kept = kept(&retention(&json!({"keepLast": 1, "keepDaily": 1})), Tz::UTC, &all);
    let expected: BTreeMap<String, BTreeSet<Rule>> =
        [("h0000".to_owned(), [Rule::Last, Rule::Daily].into()), ("h0012".to_owned(), [Rule::Held].into())].into();
    assert_eq!(kept, expected);
}

/// Numbers that look as if they came by chance, and are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        // xorshift64 (Marsaglia, 2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn rules(&mut self) -> Retention {
        let mut count = || (self.below(2) == 0).then(|| i32::try_from(self.below(6)).unwrap());
        let (keep_last, keep_hourly, keep_daily) = (count(), count(), count());
        let (keep_weekly, keep_monthly) = (count(), count());
        let keep_within = (self.below(2) == 0).then(|| crate::api::Duration::from_secs(self.below(1_000_000)));
        Retention { keep_last, keep_within, keep_hourly, keep_daily, keep_weekly, keep_monthly }
    }

    fn snapshots(&mut self) -> Vec<Snapshot> {
        let count = self.below(40);
        let mut snapshot = |n| Snapshot {
            name: format!("s{n}"),
            // Some of the same second, and some of the future: clocks differ.
            at: at(NOW) + TimeDelta::hours(3)
                - TimeDelta::seconds(i64::try_from(self.below(5_000_000) / 600 * 600).unwrap()),
            held: self.below(8) == 0,
        };
        (0..count).map(&mut snapshot).collect()
    }
}

/// What any rule, or any hold, keeps is kept; another rule never lets more go; and the order in which they come, or a
/// second look when the others have gone, changes nothing.
#[test]
fn rules_only_ever_keep() {
    let mut chance = Chance(0x2545_f491_4f6c_dd1d);
    for _ in 0..2000 {
        let (rules, more, mut all) = (chance.rules(), chance.rules(), chance.snapshots());
        let both = Retention {
            keep_last: rules.keep_last.max(more.keep_last),
            keep_hourly: rules.keep_hourly.max(more.keep_hourly),
            keep_daily: rules.keep_daily.max(more.keep_daily),
            keep_weekly: rules.keep_weekly.max(more.keep_weekly),
            keep_monthly: rules.keep_monthly.max(more.keep_monthly),
            keep_within: rules.keep_within.clone().or_else(|| more.keep_within.clone()),
        };
        let of = |rules: &Retention, all: &[Snapshot]| kept(rules, Tz::Europe__Berlin, all);
        let first = of(&rules, &all);
        let wider = of(&both, &all);
        assert!(first.keys().all(|name| wider.contains_key(name)), "{rules:?} and {more:?} on {all:?}");
        assert!(all.iter().filter(|s| s.held).all(|s| first.contains_key(&s.name)), "{rules:?} on {all:?}");
        all.reverse();
        assert_eq!(of(&rules, &all), first, "{rules:?} on {all:?}");
        all.retain(|snapshot| first.contains_key(&snapshot.name));
        let again: Vec<String> = of(&rules, &all).into_keys().collect();
        assert_eq!(again, first.into_keys().collect::<Vec<_>>(), "{rules:?} on {all:?}");
    }
}

/// A job that gives no savepoints any more keeps the last ones.
#[test]
fn within_counts_from_the_newest() {
    let mut old = every_six_hours();
    for snapshot in &mut old {
        snapshot.at -= TimeDelta::days(365);
    }
    assert_eq!(names(&json!({"keepWithin": "13h"}), &old), ["h0000", "h0006", "h0012"]);
}
