use std::time::Duration;

use clap::Parser as _;

use super::super::{Cli, Command};
use super::{LogFormat, Run};

fn run(args: &[&str]) -> Result<Run, String> {
    let all = ["flink-savepoint-operator", "run"].iter().chain(args);
    match Cli::try_parse_from(all) {
        Ok(Cli { command: Command::Run(run) }) => Ok(run),
        Ok(other) => Err(format!("{other:?}")),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn has_defaults() {
    let run = run(&[]).unwrap();
    assert_eq!(run.watched_namespace(), None);
    assert_eq!(run.own_namespace("from-the-token"), "from-the-token");
    assert_eq!(run.helper_jar.to_str(), Some("/usr/share/flink-savepoint-operator/helper.jar"));
    assert_eq!(run.admin_address.to_string(), "0.0.0.0:8080");
    assert_eq!((run.log_format, run.log.as_str()), (LogFormat::Json, "info"));
    assert_eq!(run.lease_duration(), Duration::from_secs(15));
}

#[test]
fn nothing_is_left_out() {
    let run = run(&["--namespace=", "--pod-name=", "--pod-namespace="]).unwrap();
    assert_eq!((run.watched_namespace(), run.pod()), (None, None));
    assert_eq!(run.own_namespace("default"), "default");
}

#[test]
fn takes_values() {
    let run = run(&["--namespace=jobs", "--pod-namespace=operator", "--lease-duration-seconds=30"]).unwrap();
    assert_eq!(run.watched_namespace().as_deref(), Some("jobs"));
    assert_eq!(run.own_namespace("default"), "operator");
    assert_eq!(run.lease_duration(), Duration::from_secs(30));
}

#[test]
fn refuses_with_field_value_and_cure() {
    let error = run(&["--namespace=a,b"]).unwrap_err();
    assert!(error.contains("'a,b' for '--namespace") && error.contains("leave it out for all namespaces"), "{error}");
    let error = run(&["--lease-duration-seconds=1"]).unwrap_err();
    assert!(error.contains("'1' for '--lease-duration-seconds") && error.contains("5..=300"), "{error}");
}
