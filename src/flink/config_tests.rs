use rstest::rstest;

use super::*;

#[rstest]
#[case::seconds("300 s", Some(300_000))]
#[case::minutes("5min", Some(300_000))]
#[case::plain("10000", Some(10_000))]
#[case::iso("PT5M", Some(300_000))]
#[case::hours("1 h", Some(3_600_000))]
#[case::no_number("soon", None)]
#[case::no_unit("3 fortnights", None)]
#[case::negative("-1 s", None)]
#[case::too_long("99999999999999999999 d", None)]
fn durations_are_read_as_flink_writes_them(#[case] text: &str, #[case] expected: Option<u64>) {
    assert_eq!(duration(text), expected.map(Duration::from_millis));
}
