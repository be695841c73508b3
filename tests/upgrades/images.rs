//! What is in the images: a job for each tag.

use std::time::Duration;

use fakes::flink::{JobScript, Main, RestartStrategy};
use fakes::workload::{Ended, Jars};
use flink_savepoint_operator::naming;
use serde_json::Value;

/// Below this a job that fails has no checkpoint completed.
const BEFORE_A_CHECKPOINT: Duration = Duration::from_millis(20);

/// The image of a session cluster, in which there is no job.
pub const SESSION: &str = "example.com/flink:1.20";

/// The jars that an init container fetches and uploads, where the image has no job's: what is in one follows from its
/// name.
pub fn fetched(container: &Value) -> Jars {
    let args: Vec<&str> = container["args"].as_array()?.iter().filter_map(Value::as_str).collect();
    args.iter().find(|arg| arg.starts_with("--upload-to"))?;
    Some(vec![(naming::JOB_JAR.to_owned(), uploaded(args.get(2)?)?), (naming::HELPER_JAR.to_owned(), warm_up())])
}

/// The job in the jar at a place.
pub fn uploaded(uri: &str) -> Option<JobScript> {
    job(uri.rsplit('/').next()?.strip_suffix(".jar")?)
}

/// The image of a tag.
pub fn image(tag: &str) -> String {
    format!("example.com/orders:{tag}")
}

/// What comes of the init container that fetches a jar: the bytes of each jar are its own URI.
pub fn init(container: &Value) -> Ended {
    let args: Vec<&str> = container["args"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let ["jar", "fetch", uri, flags @ ..] = args.as_slice() else { return Ok(String::new()) };
    let found = naming::sha256_hex(uri.as_bytes());
    match flags.iter().find_map(|flag| flag.strip_prefix("--sha256=")) {
        Some(expected) if expected != found => Err(format!("{uri} has SHA-256 {found} and not {expected}")),
        _ => Ok(found),
    }
}

/// The jars of an image.
pub fn jars(image: &str) -> Jars {
    if image == SESSION {
        return Some(Vec::new());
    }
    let tag = image.rsplit(':').next().unwrap_or_default();
    Some(vec![(naming::JOB_JAR.to_owned(), job(tag)?), (naming::HELPER_JAR.to_owned(), warm_up())])
}

fn warm_up() -> JobScript {
    JobScript {
        deployment: Duration::from_millis(60),
        bounded: Some(Duration::from_millis(100)),
        checkpoint_interval: None,
        ..JobScript::new("warm-up", 2)
    }
}

/// The job of a tag; `None`: there is no such image.
fn job(tag: &str) -> Option<JobScript> {
    let works = JobScript {
        deployment: Duration::from_millis(60),
        snapshot: Duration::from_millis(30),
        stopping: Duration::from_millis(30),
        checkpoint_interval: Some(Duration::from_secs(10)),
        ..JobScript::new("orders", 2)
    };
    Some(match tag {
        "v1" | "v2" | "v3" => works,
        "throws" => JobScript { main: Main::Throws("no such topic".to_owned()), ..works },
        "hangs" => JobScript { main: Main::Hangs("main() did not end".to_owned()), ..works },
        "drops-operator" => JobScript { main: Main::LacksOperator, ..works },
        "crashes" => JobScript { fails_after: Some(BEFORE_A_CHECKPOINT), ..works },
        "fails" => JobScript { fails_after: Some(BEFORE_A_CHECKPOINT), restart: RestartStrategy::Never, ..works },
        // It comes to its end by itself.
        "finishes" => JobScript { bounded: Some(Duration::from_secs(60)), ..works },
        "fails-later" => {
            JobScript { fails_after: Some(Duration::from_secs(60)), restart: RestartStrategy::Never, ..works }
        }
        "slow" => JobScript { snapshot: Duration::from_millis(500), ..works },
        // No barrier gets through.
        "no-checkpoint" => JobScript { backpressure: true, ..works },
        _ => return None,
    })
}
