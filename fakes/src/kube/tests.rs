//! The conformance cases over the fake, and what they can't show: faults, stale reads, observers, and kube's own
//! watcher and controller.

use chrono::DateTime;
use kube::Client;
use serde_json::json;

use super::*;
use crate::conformance::kube as conformance;
use crate::faults::Fault;

const GROUP: &str = "conformance.savepoints.dev";

fn server() -> ApiServer {
    let definitions = conformance::definitions(GROUP).unwrap();
    let custom = definitions.iter().map(|definition| Kind::of_definition(definition).unwrap());
    ApiServer::new(Clock::new(DateTime::UNIX_EPOCH), Kind::built_ins().into_iter().chain(custom).collect())
}

fn client(service: Service) -> Client {
    Client::new(service, "default")
}

async fn namespace(server: &ApiServer, name: &str) {
    let namespaces: kube::Api<k8s_openapi::api::core::v1::Namespace> =
        kube::Api::all(client(server.service(Faults::none())));
    let namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    namespaces.create(&kube::api::PostParams::default(), &namespace).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn answers_as_the_real_one_did() {
    let mut transcript = String::new();
    let mut failures = Vec::new();
    for case in conformance::CASES {
        let server = server();
        namespace(&server, "case").await;
        match conformance::run(case, client(server.service(Faults::none())), "case", GROUP).await {
            Ok(text) => transcript.push_str(&text),
            Err(error) => failures.push(format!("{error:#}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    similar(&transcript, conformance::RECORDED);
}

/// Shows the first line that differs, and no more.
fn similar(found: &str, expected: &str) {
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.lines().count(), expected.lines().count());
}
