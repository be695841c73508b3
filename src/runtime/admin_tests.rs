//! Tests of the admin server, over HTTP.

use std::time::Duration;

use super::*;

struct Server {
    url: String,
    metrics: Metrics,
    readiness: Readiness,
    stop: Shutdown,
    task: tokio::task::JoinHandle<Result<(), Error>>,
}

async fn server() -> Server {
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (metrics, readiness, stop) = (Metrics::new(), Readiness::new(), Shutdown::new());
    let task = tokio::spawn(serve(listener, metrics.clone(), readiness.clone(), stop.clone()));
    Server { url, metrics, readiness, stop, task }
}

impl Server {
    async fn get(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("{}{path}", self.url)).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

#[tokio::test]
async fn lives() {
    assert_eq!(server().await.get("/livez").await, (200, "ok\n".to_owned()));
}

#[tokio::test]
async fn ready_once_nothing_is_waited_for() {
    let server = server().await;
    assert_eq!(server.get("/readyz").await.0, 200);
    let upgrades = server.readiness.wait_for("the watch of FlinkJobUpgrades");
    let savepoints = server.readiness.wait_for("the watch of FlinkSavepoints");
    let both = "waiting for:\nthe watch of FlinkJobUpgrades\nthe watch of FlinkSavepoints\n";
    assert_eq!(server.get("/readyz").await, (503, both.to_owned()));
    upgrades.done();
    assert_eq!(server.get("/readyz").await, (503, "waiting for:\nthe watch of FlinkSavepoints\n".to_owned()));
    savepoints.done();
    assert_eq!(server.get("/readyz").await, (200, "ok\n".to_owned()));
}

#[tokio::test]
async fn what_was_dropped_never_became_ready() {
    let server = server().await;
    drop(server.readiness.wait_for("the watch of FlinkSavepoints"));
    assert_eq!(server.get("/readyz").await.0, 503);
}

#[tokio::test]
async fn serves_the_metrics() {
    let server = server().await;
    server.metrics.set_leader(true);
    server.metrics.reconciled("FlinkSavepoint", Duration::from_millis(7));
    server.metrics.reconcile_failed("FlinkSavepoint", "JobManagerUnreachable");
    server.metrics.savepoint_ended("Completed", "Stop", Some(Duration::from_millis(300)));
    server.metrics.savepoint_ended("Failed", "Continue", None);
    server.metrics.upgrade_ended("Succeeded", Some(Duration::from_millis(570)));
    let answer = reqwest::get(format!("{}/metrics", server.url)).await.unwrap();
    assert_eq!(answer.headers()["content-type"], CONTENT_TYPE);
    let page = answer.text().await.unwrap();
    for line in [
        "flink_savepoint_operator_leader 1",
        "flink_savepoint_operator_reconciles_total{kind=\"FlinkSavepoint\"} 1",
        "flink_savepoint_operator_reconcile_duration_seconds_bucket{le=\"0.005\",kind=\"FlinkSavepoint\"} 0",
        "flink_savepoint_operator_reconcile_duration_seconds_bucket{le=\"0.01\",kind=\"FlinkSavepoint\"} 1",
        "flink_savepoint_operator_reconcile_errors_total{kind=\"FlinkSavepoint\",reason=\"JobManagerUnreachable\"} 1",
        "flink_savepoint_operator_savepoints_total{result=\"Completed\",then=\"Stop\"} 1",
        "flink_savepoint_operator_savepoints_total{result=\"Failed\",then=\"Continue\"} 1",
        "flink_savepoint_operator_savepoint_duration_seconds_count 1",
        "flink_savepoint_operator_upgrades_total{result=\"Succeeded\"} 1",
        "flink_savepoint_operator_upgrade_downtime_seconds_sum 0.57",
    ] {
        assert!(page.lines().any(|there| there == line), "{line} is missing in\n{page}");
    }
    assert!(page.ends_with("# EOF\n"));
}

#[tokio::test]
async fn ends_on_request() {
    let server = server().await;
    // A connection of a client that keeps it.
    let client = reqwest::Client::new();
    client.get(format!("{}/livez", server.url)).send().await.unwrap();
    server.stop.trigger();
    tokio::time::timeout(Duration::from_secs(2), server.task).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let taken = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = taken.local_addr().unwrap();
    let error = bind(address).await.unwrap_err().to_string();
    assert!(error.contains(&format!("--admin-address (ADMIN_ADDRESS) is {address}")), "{error}");
}

#[cfg(feature = "failpoints")]
#[tokio::test]
async fn arms_failpoints() {
    use super::super::failpoint::ARMED;
    let server = server().await;
    let client = reqwest::Client::new();
    let put = async |path: &str| {
        let answer = client.put(format!("{}/failpoints/{path}", server.url)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let armed = "savepoint.trigger.after is armed for ns/orders\n".to_owned();
    assert_eq!(put("savepoint.trigger.after?key=ns/orders").await, (200, armed.clone()));
    assert_eq!(put("savepoint.trigger.after?key=ns%2Forders").await, (200, armed));
    assert!(ARMED.is_armed("savepoint.trigger.after", "ns/orders"));
    assert_eq!(put("savepoint.trigger.after").await.0, 400);
    let (status, text) = put("savepoint.triggered?key=ns").await;
    assert!(status == 404 && text.contains("known are: savepoint.intent.before"), "{status} {text}");
    assert_eq!(client.delete(format!("{}/failpoints", server.url)).send().await.unwrap().status(), 200);
    assert!(!ARMED.is_armed("savepoint.trigger.after", "ns/orders"));
}
