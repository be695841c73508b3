use rstest::rstest;

use super::*;

#[rstest]
#[case("0s", 0)]
#[case("90s", 90)]
#[case("10m", 600)]
#[case("1h30m", 5_400)]
#[case("1d2h3m4s", 93_784)]
#[case("36499d", 36_499 * 86_400)]
fn durations_are_read(#[case] text: &str, #[case] seconds: u64) {
    assert_eq!(Duration::from(text).parse(), Ok(std::time::Duration::from_secs(seconds)));
}

#[rstest]
#[case("")]
#[case("10")]
#[case("s")]
#[case("1m1h")]
#[case("1m1m")]
#[case("-1s")]
#[case("+1s")]
#[case("1.5h")]
#[case("1h 30m")]
#[case("10ms")]
fn what_is_no_duration_is_refused_with_the_cure(#[case] text: &str) {
    let error = Duration::from(text).parse().unwrap_err();
    assert_eq!(error, DurationError::Malformed(text.to_owned()));
    assert_eq!(
        error.to_string(),
        format!(
            "duration '{text}' cannot be read: write whole days, hours, minutes and seconds such as 90s, 10m or 1h30m"
        )
    );
}

#[rstest]
#[case("36501d")]
#[case("99999999999999999999s")]
#[case("9999999999999999999d")]
fn durations_out_of_range_are_refused(#[case] text: &str) {
    assert_eq!(Duration::from(text).parse(), Err(DurationError::TooLong(text.to_owned())));
}

#[test]
fn a_duration_is_written_as_it_was_read() {
    let duration: Duration = serde_json::from_str(r#""60m""#).unwrap();
    assert_eq!(serde_json::to_string(&duration).unwrap(), r#""60m""#);
    assert_eq!(Duration::from_secs(90), Duration::from("90s"));
}

#[test]
fn enums_are_read_and_written_in_flink_s_spelling() {
    for mode in RestoreMode::ALL {
        let text = serde_json::to_string(mode).unwrap();
        assert_eq!(text, format!("\"{mode}\""));
        assert_eq!(serde_json::from_str::<RestoreMode>(&text).unwrap(), *mode);
    }
    assert_eq!(RestoreMode::NoClaim.as_str(), "NO_CLAIM");
    assert_eq!(FormatType::Canonical.as_str(), "CANONICAL");
}

#[test]
fn a_value_that_is_not_known_does_not_make_an_object_unreadable() {
    assert_eq!(serde_json::from_str::<RestoreMode>(r#""SHARED""#).unwrap(), RestoreMode::Unknown);
}
