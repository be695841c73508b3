use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn windows(windows: Value) -> Vec<Window> {
    serde_json::from_value(windows).unwrap()
}

fn nights() -> Vec<Window> {
    windows(json!([
        {"schedule": "0 3 * * 1-5", "timeZone": "Europe/Berlin", "duration": "2h"},
        {"schedule": "0 12 * * 6", "duration": "30m"},
    ]))
}

#[rstest]
// Sunday.
#[case::closed("2026-11-22T12:00:00Z", Some("2026-11-23T02:00:00Z"))]
#[case::a_moment_before("2026-11-23T01:59:59Z", Some("2026-11-23T02:00:00Z"))]
#[case::opens("2026-11-23T02:00:00Z", None)]
#[case::open("2026-11-23T03:59:59Z", None)]
#[case::closes("2026-11-23T04:00:00Z", Some("2026-11-24T02:00:00Z"))]
#[case::the_other_comes_first("2026-11-28T05:00:00Z", Some("2026-11-28T12:00:00Z"))]
#[case::the_other_is_open("2026-11-28T12:29:00Z", None)]
#[case::in_summer_an_hour_earlier("2026-07-06T01:00:00Z", None)]
fn a_change_waits_for_the_next_window(#[case] now: &str, #[case] next: Option<&str>) {
    assert_eq!(closed_at(&nights(), at(now)).map(|closed| closed.next), next.map(|next| Some(at(next))));
}

/// One that is longer than the time until it opens anew is always open.
#[test]
fn windows_may_overlap() {
    let always = windows(json!([{"schedule": "@hourly", "duration": "90m"}]));
    assert_eq!(closed_at(&always, at("2026-11-22T12:59:59Z")), None);
}

#[test]
fn without_windows_every_time_is_right() {
    assert_eq!(closed_at(&[], at("2026-11-22T12:00:00Z")), None);
}

#[rstest]
#[case(
    json!({"schedule": "0 3 31 2 *", "duration": "1h"}),
    "spec.upgrade.windows[0].schedule: '0 3 31 2 *' never comes true; give a day that its month has"
)]
#[case(
    json!({"schedule": "0 3 * * *", "timeZone": "Mars", "duration": "1h"}),
    "spec.upgrade.windows[0].timeZone: 'Mars' is no time zone of the IANA database; give a name such as Europe/Berlin"
)]
fn what_can_not_be_read_is_told(#[case] window: Value, #[case] message: &str) {
    let spec = json!({"job": {"jarURI": "local:///a.jar", "parallelism": 1}, "upgrade": {"windows": [window]}});
    let error = check(&serde_json::from_value(spec).unwrap()).unwrap_err().to_string();
    assert!(error.contains(message), "{error}");
}
