use clap::Parser as _;

use super::*;
use crate::cli::{self, Cli};
use crate::snapshot::store::stub_s3::Stub;
use crate::snapshot::store::testing::Folder;

fn parsed(args: &[&str]) -> Fetch {
    let Cli { command } = Cli::parse_from([&["flink-savepoint-operator", "jar", "fetch"], args].concat());
    let cli::Command::Jar(Command::Fetch(fetch)) = command else { panic!("{command:?}") };
    fetch
}

#[tokio::test]
async fn the_jar_the_helper_and_the_hash_are_left_behind() {
    let (stub, folder) = (Stub::start("flink", None, 2).await.unwrap(), Folder::new());
    stub.put("jars/orders.jar", "jar");
    folder.put("mounted/helper.jar", "helper");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let web = format!("{}/flink/jars/orders.jar", stub.endpoint);
    for uri in ["s3://flink/jars/orders.jar", &web] {
        let [into, helper, result] = ["upload/flink-web-upload", "mounted/helper.jar", "termination-log"].map(at);
        let options =
            parsed(&[uri, "--into", &into, "--helper", &helper, "--result", &result, "--endpoint", &stub.endpoint]);
        fetch(&options, Retry::default()).await.unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("upload/flink-web-upload/job.jar"), "jar");
        assert_eq!(read("upload/flink-web-upload/helper.jar"), "helper");
        assert_eq!(read("termination-log"), naming::sha256_hex(b"jar"));
        fs::remove_dir_all(folder.path().join("upload")).unwrap();
    }
}

#[tokio::test]
async fn a_hash_is_left_of_a_right_jar_only() {
    let (stub, folder) = (Stub::start("flink", None, 2).await.unwrap(), Folder::new());
    stub.put("orders.jar", "jar");
    let [into, result] = ["upload", "termination-log"].map(|name| folder.path().join(name).display().to_string());
    let sha = "0a".repeat(32);
    let options = parsed(&[
        "s3://flink/orders.jar",
        "--into",
        &into,
        "--result",
        &result,
        "--endpoint",
        &stub.endpoint,
        "--sha256",
        &sha,
    ]);
    let error = fetch(&options, Retry::default()).await.unwrap_err().to_string();
    assert!(error.contains(&sha) && error.contains(&naming::sha256_hex(b"jar")), "{error}");
    assert!(!folder.path().join("termination-log").exists());
    let error = source(&parsed(&["gs://flink/a.jar", "--into", "/x"])).unwrap_err().to_string();
    assert_eq!(error, "gs://flink/a.jar: is of a scheme that jars are not fetched by: use s3://, https:// or http://");
}
