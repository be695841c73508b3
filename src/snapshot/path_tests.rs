use rstest::rstest;

use super::{Directory, PathProblem, Place, check_relative};

#[rstest]
#[case("0afd37d5-eb19-4106-b903-cd7dd4feda31")]
#[case("sub/0afd37d5")]
#[case("./a//b/.")]
#[case("a..b")]
#[case("..a/b..")]
#[case("100%")]
#[case("a%20b")]
#[case("ünïcødé")]
fn a_file_below_the_directory_is_fine(#[case] path: &str) {
    assert_eq!(check_relative(path), Ok(()));
}

#[rstest]
#[case::up("../other/f", PathProblem::Climbs, "PathClimbs")]
#[case::up_within("a/../../f", PathProblem::Climbs, "PathClimbs")]
#[case::up_and_back("a/../f", PathProblem::Climbs, "PathClimbs")]
#[case::up_at_the_end("a/..", PathProblem::Climbs, "PathClimbs")]
#[case::up_alone("..", PathProblem::Climbs, "PathClimbs")]
#[case::up_trimmed(" ../f", PathProblem::Climbs, "PathClimbs")]
#[case::up_backslash("a\\..\\..\\f", PathProblem::Climbs, "PathClimbs")]
#[case::root("/etc/passwd", PathProblem::Absolute, "PathAbsolute")]
#[case::backslash("\\\\host\\share", PathProblem::Absolute, "PathAbsolute")]
#[case::scheme("s3://other/f", PathProblem::Absolute, "PathAbsolute")]
#[case::short_scheme("file:f", PathProblem::Absolute, "PathAbsolute")]
#[case::encoded("%2e%2e/f", PathProblem::Encoded, "PathEncoded")]
#[case::encoded_upper("a/%2E./f", PathProblem::Encoded, "PathEncoded")]
#[case::encoded_slash("..%2ff", PathProblem::Encoded, "PathEncoded")]
#[case::encoded_backslash("..%5Cf", PathProblem::Encoded, "PathEncoded")]
#[case::encoded_twice("%252e%252e/f", PathProblem::Encoded, "PathEncoded")]
#[case::encoded_often("%25252525252f", PathProblem::Encoded, "PathEncoded")]
#[case::encoded_nul("f%00", PathProblem::Encoded, "PathEncoded")]
#[case::nothing("", PathProblem::NoFile, "PathEmpty")]
#[case::itself("./", PathProblem::NoFile, "PathEmpty")]
#[case::nul("f\0.sst", PathProblem::Control, "PathControlCharacter")]
#[case::line("f\n", PathProblem::Control, "PathControlCharacter")]
fn another_path_is_refused(#[case] path: &str, #[case] problem: PathProblem, #[case] reason: &str) {
    let error = check_relative(path).unwrap_err();
    assert_eq!((error.problem, error.reason()), (problem, reason));
    assert!(error.to_string().contains("must name a file below the snapshot's directory"), "{error}");
}

#[test]
fn a_long_path_is_refused_in_few_words_and_no_time() {
    let path = "%25".repeat(20_000) + "%2e";
    let error = check_relative(&path).unwrap_err();
    assert_eq!((error.problem, error.path.len()), (PathProblem::Encoded, 200));
}

#[rstest]
#[case("s3://b/sp/1", "s3://b/sp/1/f", Some("f"))]
#[case("s3://b/sp/1/_metadata", "s3a://b/sp/1/sub//f", Some("sub/f"))]
#[case("s3p://b/sp/1/", "s3://b/sp/1/f", Some("f"))]
#[case("file:/sp/1", "file:///sp/1/f", Some("f"))]
#[case("/sp/1", "file:/sp/1/f", Some("f"))]
#[case("s3://b", "s3://b/f", Some("f"))]
#[case("file:///sp/1", "file:/sp/10/f", None)]
#[case("file:///sp/1", "file:/sp/1", None)]
#[case("file:///sp/1", "file:/sp/1/../2/f", None)]
#[case("file:///sp/1", "file:/sp/2/../1/f", Some("f"))]
#[case("file:///sp/1", "file:/sp/1/%2e%2e/2/f", None)]
#[case("s3://b/sp/1", "s3://c/sp/1/f", None)]
#[case("s3://b/sp/1", "gs://b/sp/1/f", None)]
fn knows_what_lies_in_the_directory(#[case] directory: &str, #[case] file: &str, #[case] below: Option<&str>) {
    let directory = Directory::new(directory);
    match (directory.place_of(file), below) {
        (Place::Inside(found), Some(below)) => assert_eq!(found, below),
        (Place::Outside(location), None) => assert!(location.contains("://"), "{location}"),
        (found, expected) => panic!("{found:?}, expected {expected:?} below {}", directory.as_str()),
    }
}
