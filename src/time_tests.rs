use super::*;
use chrono::TimeDelta;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn a_moment_survives_the_way_there_and_back_to_the_second() {
    let moment = at("2026-11-21T10:11:12.987654321Z");
    assert_eq!(from_k8s(&to_k8s(moment)), at("2026-11-21T10:11:12Z"));
    assert_eq!(from_k8s(&to_k8s_precise(moment)), at("2026-11-21T10:11:12.987654Z"));
}

/// As the API server keeps it: a downtime of half a second must not become none, or one.
#[test]
fn a_precise_moment_survives_json() {
    let moment = at("2026-11-21T10:11:12.987654Z");
    let text = serde_json::to_string(&to_k8s_precise(moment)).unwrap();
    assert_eq!(text, r#""2026-11-21T10:11:12.987654Z""#);
    assert_eq!(from_k8s(&serde_json::from_str::<MicroTime>(&text).unwrap()), moment);
}

#[test]
fn moments_before_1970_survive() {
    let moment = at("1969-12-31T23:59:58.25Z");
    assert_eq!(from_k8s(&to_k8s_precise(moment)), moment);
}

#[test]
fn whole_seconds_are_written_as_kubernetes_writes_them() {
    let text = serde_json::to_string(&to_k8s(at("2026-11-21T10:11:12.5Z"))).unwrap();
    assert_eq!(text, r#""2026-11-21T10:11:12Z""#);
}

#[test]
fn moments_out_of_range_are_held_at_the_bound() {
    assert_eq!(to_k8s(DateTime::<Utc>::MAX_UTC).0, Timestamp::MAX);
    assert_eq!(to_k8s(DateTime::<Utc>::MIN_UTC).0, Timestamp::MIN);
}

#[test]
fn spans_are_in_seconds_and_signed() {
    let from = at("2026-11-21T10:00:00Z");
    assert!((seconds_between(from, from + TimeDelta::milliseconds(570)) - 0.57).abs() < 1e-9);
    assert!((seconds_between(from + TimeDelta::seconds(2), from) + 2.0).abs() < 1e-9);
}
