//! Jobs whose jar is not in their image, but in S3.

use flink_savepoint_operator::api::UpgradeResult::{Failed, Succeeded};
use flink_savepoint_operator::api::condition::{self, types};
use flink_savepoint_operator::{api, naming};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::common::{self, NAMESPACE};
use crate::images;
use crate::scenarios::{RUNS, job};
use crate::sweep::{Act, Scenario, When};
use crate::world::World;

const FIRST: &str = "s3://flink/jars/v1.jar";
const SECOND: &str = "s3://flink/jars/v2.jar";
/// In no store's bucket.
const ELSEWHERE: &str = "s3://elsewhere/v2.jar";

/// A jar's SHA-256 as [`images::init`] finds it.
fn sha256(uri: &str) -> String {
    naming::sha256_hex(uri.as_bytes())
}

fn apply(world: World) -> BoxFuture<'static, ()> {
    async move {
        let jar = json!({"jarURI": FIRST, "jarSHA256": sha256(FIRST)});
        world.apply("v1", json!({"job": jar, "upgrade": {"progressDeadline": "2s"}})).await;
    }
    .boxed()
}

/// The second revision, with its jar and that one's hash.
fn second(jar: &str, sha256: &Value) -> Value {
    json!({"image": images::image("v2"), "job": {"jarURI": jar, "jarSHA256": sha256}})
}

/// The one that is refused names both hashes, and the job was not touched; the right one runs, and its hash is known.
pub fn a_jar_with_other_bytes() -> Scenario {
    let wrong: Act = |w| async move { w.change(second(SECOND, &json!(sha256(FIRST)))).await }.boxed();
    let refused = When::Is(|w| {
        let message = condition::find(&w.status().conditions, types::READY).map(|c| c.message.clone());
        let both = |m: String| m.contains(&sha256(FIRST)) && m.contains(&sha256(SECOND)) && m.contains("runs on");
        w.is_not_ready("PodsNotReady") && message.is_some_and(both)
    });
    let right: Act = |w| async move { w.change(second(SECOND, &json!(sha256(SECOND)))).await }.boxed();
    let is_known: Act = |w| {
        let known = w.status().active.unwrap().submission.jar_sha256;
        async move { assert_eq!(known, Some(sha256(SECOND))) }.boxed()
    };
    let acts = vec![(RUNS, wrong), (refused, right), (When::Rest, is_known)];
    Scenario { begin: apply, ..job(acts, "v2", &[Succeeded, Failed, Succeeded]) }
}

/// Nobody's credentials are known for it; then they are.
pub fn a_jar_of_no_store() -> Scenario {
    let change: Act = |w| async move { w.change(second(ELSEWHERE, &Value::Null)).await }.boxed();
    let stalled = When::Is(|w| w.is_not_ready("InvalidSpec"));
    let create: Act = |w| {
        async move {
            let store = json!({"metadata": {"name": "elsewhere"}, "spec": {"url": "s3://elsewhere"}});
            common::create(&w.kube, api::API_VERSION, "FlinkSnapshotStore", Some(NAMESPACE), store).await;
        }
        .boxed()
    };
    Scenario { begin: apply, ..job(vec![(RUNS, change), (stalled, create)], "v2", &[Succeeded, Succeeded]) }
}
