use std::path::Path;
use std::process::Command;

use rstest::rstest;
use serde_json::{Value, json};

use super::*;

const SHA: &str = "0A0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";

fn job_of(uri: &str) -> JobSpec {
    JobSpec { jar_uri: uri.to_owned(), ..JobSpec::default() }
}

#[rstest]
#[case("local:///opt/a.jar", Ok(Jar::InImage("/opt/a.jar")))]
#[case("local:///", Err("is not the place of a jar"))]
#[case("local://a.jar", Err("is not the place of a jar"))]
#[case("s3://b/c/a.jar", Ok(Jar::S3("s3://b/c/a.jar")))]
#[case("s3://b", Err("is not the place of a jar; name bucket and key"))]
#[case("s3:///a.jar", Err("is not the place of a jar; name bucket and key"))]
#[case("s3://b/c/", Err("is not the place of a jar; name bucket and key"))]
#[case("https://host/a.jar?x=1", Ok(Jar::Web("https://host/a.jar?x=1")))]
#[case("https://host", Err("is not the place of a jar; give host and path"))]
#[case("https://me:pw@host/a.jar", Err("is not the place of a jar; give host and path, and no user"))]
#[case("http://host/a.jar", Err("says nothing of whose bytes come; give job.jarSHA256"))]
#[case("gs://b/a.jar", Err("is of a scheme that jars are not fetched by"))]
#[case("abfs://b/a.jar", Err("is of a scheme that jars are not fetched by"))]
fn a_jar_comes_from_its_place(#[case] uri: &str, #[case] expected: Result<Jar<'_>, &str>) {
    let job = job_of(uri);
    match (Jar::of(&job), expected) {
        (Ok(jar), Ok(expected)) => assert_eq!(jar, expected),
        (Err(error), Err(message)) => assert!(error.to_string().contains(message), "{error}"),
        (result, _) => panic!("{result:?}"),
    }
    let http = JobSpec { jar_sha256: Some(SHA.to_owned()), ..job_of("http://host/a.jar") };
    assert_eq!(Jar::of(&http), Ok(Jar::Web("http://host/a.jar")));
}

fn of_image() -> Container {
    Container { image: Some("job:1".to_owned()), ..Container::default() }
}

fn rendered(jar: Jar<'_>, sha256: Option<&str>, fetch: &Fetch) -> Value {
    serde_json::to_value(jar.container(sha256, fetch, of_image(), None)).unwrap()
}

#[test]
fn a_jar_of_s3_is_fetched_with_the_keys_of_the_secret() {
    let fetch = Fetch {
        image: "operator:1".to_owned(),
        endpoint: Some("http://minio:9000".to_owned()),
        region: Some("eu-west-1".to_owned()),
        secret: Some("keys".to_owned()),
    };
    let container = rendered(Jar::S3("s3://b/$(x).jar"), Some(SHA), &fetch);
    assert_eq!(container["image"], "operator:1");
    assert_eq!(container.get("command"), None, "the image's entry point is the operator");
    assert_eq!(
        container["args"],
        json!([
            "jar",
            "fetch",
            "s3://b/$$(x).jar",
            "--into=/flink-jars/flink-web-upload",
            "--helper=/flink-helper/helper.jar",
            format!("--sha256={SHA}"),
            "--endpoint=http://minio:9000",
            "--region=eu-west-1"
        ])
    );
    let of = |name: &str, key: &str| json!({"name": name, "valueFrom": {"secretKeyRef": {"name": "keys", "key": key}}});
    let mut token = of("AWS_SESSION_TOKEN", "sessionToken");
    token["valueFrom"]["secretKeyRef"]["optional"] = json!(true);
    let keys = [of("AWS_ACCESS_KEY_ID", "accessKeyId"), of("AWS_SECRET_ACCESS_KEY", "secretAccessKey"), token];
    assert_eq!(container["env"], json!(keys));
}

#[test]
fn a_jar_of_the_web_is_fetched_without_keys() {
    let fetch = Fetch { image: "operator:1".to_owned(), ..Fetch::default() };
    let container = rendered(Jar::Web("https://host/a.jar"), None, &fetch);
    assert_eq!(container.get("env"), None);
    assert_eq!(
        container["args"],
        json!([
            "jar",
            "fetch",
            "https://host/a.jar",
            "--into=/flink-jars/flink-web-upload",
            "--helper=/flink-helper/helper.jar"
        ])
    );
}

/// A platform's own authority is given to Flink's container, as to any program.
#[test]
fn a_jar_is_fetched_by_the_authorities_of_the_pod_template() {
    let given: Container = serde_json::from_value(json!({
        "name": "flink-main-container",
        "env": [
            {"name": "SSL_CERT_FILE", "value": "/etc/authorities/ca.crt"},
            {"name": "SSL_CERT_DIR", "valueFrom": {"configMapKeyRef": {"name": "authorities", "key": "folder"}}},
            {"name": "HTTPS_PROXY", "value": "http://proxy"},
        ],
        "volumeMounts": [
            {"name": "authorities", "mountPath": "/etc/authorities", "readOnly": true},
            {"name": "logs", "mountPath": "/opt/flink/log"},
        ],
    }))
    .unwrap();
    let fetch = Fetch { image: "operator:1".to_owned(), ..Fetch::default() };
    let container = Jar::Web("https://host/a.jar").container(None, &fetch, of_image(), Some(&given));
    assert_eq!(container.env.unwrap(), given.env.unwrap()[..2]);
    let names: Vec<String> = container.volume_mounts.unwrap().into_iter().map(|mount| mount.name).collect();
    assert_eq!(names, ["flink-jars", "flink-helper", "authorities"]);
}

/// Another init container may have put it there, as in Apache's sample of pod templates.
#[test]
fn a_jar_in_a_volume_is_found() {
    let given: Container = serde_json::from_value(json!({"name": "flink-main-container", "volumeMounts": [
        {"name": "downloads", "mountPath": "/opt/flink/downloads"},
        {"name": "logs", "mountPath": "/opt/flink/log"},
    ]}))
    .unwrap();
    let jar = Jar::InImage("/opt/flink/downloads/a.jar");
    let jar = jar.container(None, &Fetch::default(), of_image(), Some(&given));
    let names: Vec<String> = jar.volume_mounts.unwrap().into_iter().map(|mount| mount.name).collect();
    assert_eq!(names, ["flink-jars", "flink-helper", "downloads"]);
}

/// The script itself, by the machine's shell.
#[rstest]
#[case::any("", true)]
#[case::right("HASH", true)]
#[case::wrong("0a0a", false)]
fn a_jar_with_other_bytes_is_not_copied(#[case] expected: &str, #[case] runs: bool) {
    let folder = std::env::temp_dir().join(format!("flink-jar-{}-{expected}", std::process::id()));
    let at = |name: &str| folder.join(name).display().to_string();
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(at("a b.jar"), "jar").unwrap();
    std::fs::write(at("helper.jar"), "helper").unwrap();
    let hash = crate::naming::sha256_hex(b"jar");
    let expected = if expected == "HASH" { hash.as_str() } else { expected };
    // The message goes to a file of the test's.
    let script = COPY.replace("/dev/termination-log", &at("message"));
    let (jar, helper, upload) = (at("a b.jar"), at("helper.jar"), at("upload"));
    let done = Command::new("sh").args(["-c", &script, "sh", &jar, &helper, &upload, expected]).output().unwrap();
    assert_eq!(done.status.success(), runs, "{done:?}");
    assert_eq!(Path::new(&at("upload/job.jar")).exists(), runs);
    if runs {
        assert_eq!(std::fs::read_to_string(at("message")).unwrap().trim(), hash);
    } else {
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(said.contains(&format!("has SHA-256 {hash} and not {expected}: ")), "{said}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
