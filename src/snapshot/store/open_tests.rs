use rstest::rstest;

use super::super::testing::{SECRETS, credentials, settings};
use super::{Settings, Store, Stores};

fn open(url: &str) -> Store {
    Store::open(&settings(url)).unwrap()
}

#[rstest]
#[case("s3a://flink/sp/", "s3://flink/sp")]
#[case("s3://flink", "s3://flink/")]
#[case("file:/srv/sp", "file:///srv/sp")]
#[case("file:///srv/50%25 of it", "file:///srv/50%25 of it")]
#[case("/srv/sp", "file:///srv/sp")]
fn has_one_url(#[case] url: &str, #[case] normal: &str) {
    assert_eq!(open(url).url(), normal);
}

#[rstest]
#[case("gs://bucket/sp", "UnsupportedScheme", "use s3:// or file://")]
#[case("https://bucket/sp", "UnsupportedScheme", "scheme https")]
#[case("hdfs://nn:8020/sp", "UnsupportedScheme", "scheme hdfs")]
#[case("s3://", "InvalidUrl", "must name a bucket")]
#[case("s3:///sp", "InvalidUrl", "must name a bucket")]
#[case("s3://AKIAIDOFTHEKEY:SecretOfTheKey@bucket/sp", "InvalidUrl", "must name a bucket")]
#[case("s3://bucket/a\u{7}b", "InvalidUrl", "control characters")]
#[case("file://host/sp", "InvalidUrl", "absolute directory")]
#[case("file:sp", "InvalidUrl", "absolute directory")]
#[case("sp", "InvalidUrl", "absolute directory")]
#[case("sp/x", "InvalidUrl", "absolute directory")]
#[case("", "InvalidUrl", "absolute directory")]
fn a_url_that_can_not_be_used_is_refused(#[case] url: &str, #[case] reason: &str, #[case] says: &str) {
    let settings = settings(url);
    let error = Store::open(&settings).unwrap_err();
    assert_eq!((error.reason(), error.is_transient()), (reason, false));
    let told = format!("{error} {error:?} {settings:?}");
    assert!(told.contains(says), "{told}");
    assert!(!SECRETS.iter().any(|secret| told.contains(secret)), "{told}");
}

#[rstest]
#[case("s3://flink", "minio:9000")]
#[case("s3://flink", "ftp://minio")]
#[case("s3://flink", "http://minio:9000/path")]
#[case("s3://flink", "http://AKIAIDOFTHEKEY:SecretOfTheKey@minio:9000")]
#[case("s3://flink", "http://minio:9000?x=1")]
#[case("s3://flink", "")]
#[case("file:///srv", "http://minio:9000")]
fn an_endpoint_that_can_not_be_used_is_refused(#[case] url: &str, #[case] endpoint: &str) {
    let settings = Settings { endpoint: Some(endpoint.to_owned()), ..settings(url) };
    let error = Store::open(&settings).unwrap_err();
    assert_eq!(error.reason(), "InvalidEndpoint");
    let told = format!("{error} {error:?} {settings:?}");
    assert!(!SECRETS.iter().any(|secret| told.contains(secret)), "{told}");
}

#[rstest]
#[case("s3://flink/sp", true)]
#[case("s3a://flink/sp/", true)]
#[case("s3://flink/sp/savepoint-1/_metadata", true)]
#[case("s3://flink/sp2/savepoint-1", false)]
#[case("s3://flink/sp/../other", false)]
#[case("s3://flink", false)]
#[case("s3://flink2/sp", false)]
#[case("file:///sp", false)]
fn serves_what_lies_below(#[case] location: &str, #[case] serves: bool) {
    assert_eq!(open("s3://flink/sp").serves(location), serves);
}

#[test]
fn of_several_the_longest_serves() {
    let stores = Stores::new(["s3://flink", "s3://flink/team/a", "s3://flink/team", "file:///"].map(open).to_vec());
    let of = |location: &str| stores.of(location).map(|store| store.url().to_owned());
    assert_eq!(of("s3://flink/x").as_deref(), Some("s3://flink/"));
    assert_eq!(of("s3p://flink/team/b").as_deref(), Some("s3://flink/team"));
    assert_eq!(of("s3://flink/team/a").as_deref(), Some("s3://flink/team/a"));
    assert_eq!(of("/x/y").as_deref(), Some("file:///"));
    assert_eq!(of("s3://other/x"), None);
    assert!(Stores::default().of("s3://flink/x").is_none());
}

#[test]
fn shows_no_secret() {
    let settings = Settings { credentials: Some(credentials()), ..settings("s3://flink/sp") };
    let store = Store::open(&settings).unwrap();
    let stores = Stores::new(vec![store.clone()]);
    let told = format!("{settings:?} {settings:#?} {store:?} {store:#?} {stores:?} {:?}", credentials());
    assert!(!SECRETS.iter().any(|secret| told.contains(secret)), "{told}");
    assert!(told.contains("s3://flink/sp") && told.contains("https://s3.us-east-1.amazonaws.com"), "{told}");
}
