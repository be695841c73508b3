use rstest::rstest;

use super::super::Error;
use super::{Keys, Reach, location, root};

#[rstest]
#[case::s3("s3://bucket/a/b")]
#[case::s3a("s3a://bucket/a/_metadata")]
#[case::file("file:///a/b")]
#[case::file_as_flink_writes_it("file:/a/b")]
#[case::other("hdfs://name/a")]
fn a_location_stays_as_it_is(#[case] argument: &str) {
    assert_eq!(location(argument).unwrap(), argument);
}

#[test]
fn a_path_becomes_a_whole_location() {
    let here = std::env::current_dir().unwrap();
    assert_eq!(location("/a/b").unwrap(), "file:///a/b");
    assert_eq!(location("a/b").unwrap(), format!("file://{}/a/b", here.display()));
    assert_eq!(location("./s3:x").unwrap(), format!("file://{}/s3:x", here.display()), "not a scheme");
    assert!(matches!(location(""), Err(Error::Path { .. })), "no path at all");
}

#[rstest]
#[case("s3://bucket/a/b", "s3://bucket/")]
#[case("s3p://bucket", "s3://bucket/")]
#[case("file:/a/b", "file:///")]
#[case("file:///_metadata", "file:///")]
#[case("hdfs://name:8020/a", "hdfs://name:8020/")]
fn a_store_is_as_wide_as_can_be(#[case] location: &str, #[case] expected: &str) {
    assert_eq!(root(location), expected);
}

/// Keys of an environment with these variables, in words.
fn keys(variables: &[(&str, &str)]) -> String {
    let variables = variables.to_vec();
    let value = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
    match Keys::of(value) {
        Keys::Whole(keys) => format!("{} {} {:?}", keys.access_key_id, keys.secret_access_key, keys.session_token),
        Keys::None => "none".to_owned(),
        Keys::Half { missing, present } => format!("{missing} is missing, {present} is there"),
    }
}

#[test]
fn keys_are_whole_or_an_error() {
    let (id, secret, token) = (("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_SESSION_TOKEN", "c"));
    let no_secret = ("AWS_SECRET_ACCESS_KEY", "");
    assert_eq!(keys(&[]), "none");
    assert_eq!(keys(&[no_secret]), "none", "set to nothing");
    assert_eq!(keys(&[id, secret]), "a b None");
    assert_eq!(keys(&[id, secret, token]), r#"a b Some("c")"#);
    assert_eq!(keys(&[id]), "AWS_SECRET_ACCESS_KEY is missing, AWS_ACCESS_KEY_ID is there");
    assert_eq!(keys(&[id, no_secret]), "AWS_SECRET_ACCESS_KEY is missing, AWS_ACCESS_KEY_ID is there");
    assert_eq!(keys(&[secret, token]), "AWS_ACCESS_KEY_ID is missing, AWS_SECRET_ACCESS_KEY is there");
    assert_eq!(keys(&[token]), "AWS_ACCESS_KEY_ID is missing, AWS_SESSION_TOKEN is there");
}

#[test]
fn half_of_the_keys_is_no_fault_where_none_are_needed() {
    let half = || Keys::Half { missing: "AWS_SECRET_ACCESS_KEY", present: "AWS_ACCESS_KEY_ID" };
    let reach = Reach::new(None, Some(String::new()), half());
    assert!(reach.stores("file:///a").is_ok());
    let error = reach.stores("s3://bucket/a").unwrap_err();
    assert_eq!(
        error.to_string(),
        "AWS_SECRET_ACCESS_KEY is not set, but AWS_ACCESS_KEY_ID is: set both, or neither to send requests without a \
         signature"
    );
}
