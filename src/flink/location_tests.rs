use rstest::rstest;

use super::location::{is_below, normalise, same};

#[rstest]
#[case("/srv/sp", "file:///srv/sp")]
#[case("file:/srv/sp", "file:///srv/sp")]
#[case("file:///srv/sp", "file:///srv/sp")]
#[case("file://localhost/srv/sp", "file:///srv/sp")]
#[case("FILE:/srv/Sp", "file:///srv/Sp")]
#[case("file:/srv/sp/", "file:///srv/sp")]
#[case("file:/srv//sp///", "file:///srv/sp")]
#[case("file:/srv/x/../sp/.", "file:///srv/sp")]
#[case("file:/srv/sp/_metadata", "file:///srv/sp")]
#[case("file:/srv/sp/_metadata/", "file:///srv/sp")]
#[case("file:/srv/sp_metadata", "file:///srv/sp_metadata")]
#[case("s3://flink/sp/savepoint-1-2", "s3://flink/sp/savepoint-1-2")]
#[case("s3a://flink/sp/", "s3://flink/sp")]
#[case("s3p://flink/sp", "s3://flink/sp")]
#[case("s3n://flink/sp", "s3://flink/sp")]
#[case("s3://flink", "s3://flink/")]
#[case("s3://flink/", "s3://flink/")]
#[case("S3://Flink/Key", "s3://Flink/Key")]
#[case("hdfs://nn:8020/sp/chk-15", "hdfs://nn:8020/sp/chk-15")]
#[case("abfs://c@a.dfs.core.windows.net/sp", "abfs://c@a.dfs.core.windows.net/sp")]
#[case("/with:colon/x", "file:///with:colon/x")]
fn has_one_normal_form(#[case] location: &str, #[case] normal: &str) {
    assert_eq!(normalise(location), normal);
    assert_eq!(normalise(normal), normal, "the normal form is stable");
    assert!(same(location, normal));
}

#[rstest]
#[case("s3://flink/sp/1", "s3://flink/sp/2")]
#[case("s3://flink/sp", "s3://other/sp")]
#[case("s3://flink/sp", "gs://flink/sp")]
#[case("s3://flink/sp", "s3://flink/SP")]
#[case("file:/flink/sp", "s3://flink/sp")]
#[case("file://host/sp", "file:///sp")]
fn keeps_places_apart(#[case] a: &str, #[case] b: &str) {
    assert!(!same(a, b));
}

#[rstest]
#[case("s3a://flink/ck/job/chk-3/_metadata", "s3://flink/ck/job/", true)]
#[case("s3://flink/ck", "s3://flink", true)]
#[case("file:/ck/job/chk-3", "/ck", true)]
#[case("s3://flink/ck/job", "s3://flink/ck/job", false)]
#[case("s3://flink/ck/job2/chk-3", "s3://flink/ck/job", false)]
#[case("s3://flink/ck/job/../job2/chk-3", "s3://flink/ck/job", false)]
#[case("s3://flink2/ck", "s3://flink", false)]
fn knows_what_lies_below(#[case] location: &str, #[case] directory: &str, #[case] below: bool) {
    assert_eq!(is_below(location, directory), below);
}
