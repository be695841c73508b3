use rstest::rstest;

use super::{FlinkRelease, LAYOUTS, written_by};

#[rstest]
#[case("1.20", 1, 20, None)]
#[case("1.20.5", 1, 20, Some(5))]
#[case("v1_20", 1, 20, None)]
#[case("v2_3", 2, 3, None)]
#[case("2.3-SNAPSHOT", 2, 3, None)]
#[case("2.3.0-rc1", 2, 3, Some(0))]
fn reads_versions(#[case] text: &str, #[case] major: u16, #[case] minor: u16, #[case] patch: Option<u16>) {
    assert_eq!(text.parse(), Ok(FlinkRelease { major, minor, patch }));
}

#[rstest]
#[case("")]
#[case("1")]
#[case("flink")]
#[case("1.x")]
#[case("1.20.5.1")]
#[case("1.99999")]
fn refuses_what_is_no_version(#[case] text: &str) {
    let error = text.parse::<FlinkRelease>().unwrap_err();
    assert!(error.to_string().contains("1.20.5"), "{error}");
}

#[rstest]
#[case("1.2", None)]
#[case("1.10", Some(2))]
#[case("1.11", Some(3))]
#[case("1.15.4", Some(3))]
#[case("1.16", Some(4))]
#[case("1.20.5", Some(4))]
#[case("2.0", Some(5))]
#[case("2.1", Some(6))]
#[case("2.3", Some(6))]
#[case("2.4", Some(7))]
fn a_flink_writes_its_newest_layout(#[case] release: &str, #[case] layout: Option<u32>) {
    let release: FlinkRelease = release.parse().unwrap();
    assert_eq!(release.newest_layout(), layout);
    let of: Vec<u32> = LAYOUTS.iter().filter(|layout| layout.is_of(release)).map(|layout| layout.version).collect();
    assert_eq!(of, Vec::from_iter(layout));
}

#[test]
fn layouts_say_who_wrote_them() {
    let text = |version| written_by(version).map(|layout| layout.to_string());
    assert_eq!(text(4).as_deref(), Some("Flink 1.16 to 1.20"));
    assert_eq!(text(5).as_deref(), Some("Flink 2.0"));
    assert_eq!(text(7).as_deref(), Some("Flink 2.4 or later"));
    assert_eq!(text(1), None);
    assert_eq!("1.20.5".parse::<FlinkRelease>().unwrap().to_string(), "1.20.5");
}
