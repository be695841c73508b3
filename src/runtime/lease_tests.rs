//! Tests of the Lease: the decision by a table, the rest against a server that keeps `resourceVersion`.

use std::sync::{Arc, Mutex};

use axum::http::{Method, StatusCode};
use rstest::rstest;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::*;
use crate::runtime::fake_api;

/// Long enough that a busy machine does not miss a renewal.
const DURATION: Duration = Duration::from_secs(2);

fn identity(pod: Option<&str>, holder: &str) -> Identity {
    Identity { pod: pod.map(ToOwned::to_owned), holder: holder.to_owned() }
}

fn held_by(holder: &str, seconds: i32) -> Object {
    let spec = LeaseSpec {
        holder_identity: Some(holder.to_owned()),
        lease_duration_seconds: Some(seconds),
        lease_transitions: Some(4),
        ..LeaseSpec::default()
    };
    let metadata = ObjectMeta { name: Some("operator".to_owned()), ..ObjectMeta::default() };
    Object { metadata, spec: Some(spec) }
}

fn lost(holder: &str) -> Action {
    Action::Lost { holder: holder.to_owned() }
}

#[rstest]
#[case::free("", 10, 0, false, Action::Acquire)]
#[case::released_while_leading("", 10, 0, true, Action::Acquire)]
#[case::ours("pod-a_2", 10, 99, true, Action::Renew)]
#[case::ours_although_the_answer_was_lost("pod-a_2", 10, 0, false, Action::Renew)]
#[case::earlier_process_of_the_pod("pod-a_1", 10, 0, false, Action::Acquire)]
#[case::twin_while_leading("pod-a_1", 10, 0, true, lost("pod-a_1"))]
#[case::pod_of_a_longer_name("pod-a-b_1", 10, 0, false, Action::Wait(Duration::from_secs(10)))]
#[case::another_pod("pod-b_1", 10, 3, false, Action::Wait(Duration::from_secs(7)))]
#[case::another_pod_expired("pod-b_1", 10, 10, false, Action::Acquire)]
#[case::another_pod_while_leading("pod-b_1", 10, 99, true, lost("pod-b_1"))]
#[case::a_holder_without_duration("pod-b_1", 0, 0, false, Action::Wait(DURATION))]
#[case::another_programs_holder("pod-b", 10, 0, false, Action::Wait(Duration::from_secs(10)))]
fn decides(
    #[case] holder: &str,
    #[case] seconds: i32,
    #[case] unchanged: u64,
    #[case] leading: bool,
    #[case] action: Action,
) {
    let since = Instant::now();
    let now = since + Duration::from_secs(unchanged);
    let seen = Seen { object: held_by(holder, seconds), unchanged_since: since };
    let me = identity(Some("pod-a"), "pod-a_2");
    assert_eq!(decide(now, Some(&seen), &me, leading, DURATION), action);
}

#[test]
fn decides_to_create_what_is_not_there() {
    for leading in [false, true] {
        assert_eq!(decide(Instant::now(), None, &identity(None, "a_1"), leading, DURATION), Action::Create);
    }
}

#[test]
fn outside_a_pod_no_process_succeeds_another() {
    assert!(!identity(None, "host_2").succeeds("host_1"));
    assert!(identity(Some("host"), "host_2").succeeds("host_1"));
}

#[tokio::test]
async fn two_processes_of_a_pod_have_two_identities() {
    let (first, second) = (Identity::of_process(Some("pod-a")), Identity::of_process(Some("pod-a")));
    assert_ne!(first.holder(), second.holder());
    assert!(second.succeeds(first.holder()));
}

#[tokio::test(start_paused = true)]
async fn a_claim_runs_out() {
    let claim = Claim::Held { until: Instant::now() + DURATION };
    assert_eq!(claim.held_for(), DURATION);
    tokio::time::advance(DURATION / 4).await;
    assert_eq!(claim.held_for(), DURATION * 3 / 4);
    tokio::time::advance(DURATION * 3 / 4).await;
    assert!(!claim.is_held());
    assert_eq!(Claim::Standby.held_for(), Duration::ZERO);
}

/// What the server keeps, and how it behaves.
#[derive(Default)]
struct Server {
    object: Option<Object>,
    version: u64,
    down: bool,
    /// Writes take effect, but their answers are lost.
    mute: bool,
    writes: usize,
}

impl Server {
    fn put(&mut self, mut object: Object) -> Object {
        self.version += 1;
        object.metadata.resource_version = Some(self.version.to_string());
        self.object = Some(object.clone());
        object
    }

    fn answer(&mut self, method: &Method, body: Value) -> (StatusCode, Value) {
        if self.down {
            return fake_api::refused(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable");
        }
        if method == Method::GET {
            return match &self.object {
                Some(object) => (StatusCode::OK, serde_json::to_value(object).unwrap()),
                None => fake_api::refused(StatusCode::NOT_FOUND, "NotFound"),
            };
        }
        let object: Object = serde_json::from_value(body).unwrap();
        let there = self.object.as_ref().and_then(|object| object.metadata.resource_version.clone());
        if there != object.metadata.resource_version {
            return fake_api::refused(StatusCode::CONFLICT, "Conflict");
        }
        self.writes += 1;
        let object = self.put(object);
        if self.mute {
            return fake_api::refused(StatusCode::GATEWAY_TIMEOUT, "Timeout");
        }
        (StatusCode::OK, serde_json::to_value(object).unwrap())
    }

    fn spec(&self) -> LeaseSpec {
        self.object.clone().unwrap().spec.unwrap()
    }
}

async fn server(object: Option<Object>) -> (Client, Arc<Mutex<Server>>) {
    let server = Arc::new(Mutex::new(Server::default()));
    if let Some(object) = object {
        server.lock().unwrap().put(object);
    }
    let behind = server.clone();
    let client = fake_api::serve(move |asked| behind.lock().unwrap().answer(&asked.method, asked.body)).await;
    (client, server)
}

struct Candidate {
    claim: watch::Receiver<Claim>,
    stop: Shutdown,
    metrics: Metrics,
    task: JoinHandle<Result<(), Error>>,
}

fn candidate(client: &Client, identity: Identity) -> Candidate {
    let settings =
        LeaseSettings { namespace: "ns".to_owned(), name: "operator".to_owned(), duration: DURATION, identity };
    let (stop, metrics) = (Shutdown::new(), Metrics::new());
    let lease = Lease::new(client.clone(), settings, metrics.clone());
    Candidate { claim: lease.watch(), task: tokio::spawn(lease.run(stop.clone())), stop, metrics }
}

impl Candidate {
    async fn leads(&mut self) {
        let leads = self.claim.wait_for(Claim::is_held);
        tokio::time::timeout(DURATION * 5, leads).await.expect("does not lead in time").unwrap();
    }

    async fn ends(self) -> Result<(), Error> {
        tokio::time::timeout(DURATION * 5, self.task).await.expect("does not end in time").unwrap()
    }
}

#[tokio::test]
async fn creates_renews_and_releases() {
    let (client, server) = server(None).await;
    let mut only = candidate(&client, identity(None, "a_1"));
    only.leads().await;
    assert!(only.metrics.encode().unwrap().contains("flink_savepoint_operator_leader 1"));
    let first = server.lock().unwrap().spec();
    assert_eq!((first.holder_identity.as_deref(), first.lease_transitions), (Some("a_1"), Some(0)));
    assert_eq!(first.lease_duration_seconds, Some(2));
    tokio::time::sleep(DURATION * 2).await;
    assert!(only.claim.borrow().is_held());
    let renewed = server.lock().unwrap().spec();
    assert!(renewed.renew_time > first.renew_time);
    assert_eq!(renewed.acquire_time, first.acquire_time);
    only.stop.trigger();
    let metrics = only.metrics.clone();
    only.ends().await.unwrap();
    assert!(metrics.encode().unwrap().contains("flink_savepoint_operator_leader 0"));
    assert_eq!(server.lock().unwrap().spec().holder_identity, None);
}

#[tokio::test]
async fn a_second_stands_by_until_the_first_releases() {
    let (client, server) = server(None).await;
    let mut first = candidate(&client, identity(Some("pod-a"), "pod-a_1"));
    first.leads().await;
    let mut second = candidate(&client, identity(Some("pod-b"), "pod-b_1"));
    second.claim.wait_for(Claim::is_known).await.unwrap();
    tokio::time::sleep(DURATION * 2).await;
    assert_eq!(*second.claim.borrow(), Claim::Standby);
    assert!(first.claim.borrow().is_held());
    first.stop.trigger();
    first.ends().await.unwrap();
    second.leads().await;
    let spec = server.lock().unwrap().spec();
    assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("pod-b_1"), Some(1)));
}

#[tokio::test]
async fn a_silent_holder_is_given_its_duration() {
    let (client, _server) = server(Some(held_by("pod-b_1", 2))).await;
    let began = Instant::now();
    let mut late = candidate(&client, identity(Some("pod-a"), "pod-a_1"));
    late.leads().await;
    assert!(began.elapsed() >= DURATION, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_restarted_container_does_not_wait() {
    let (client, server) = server(Some(held_by("pod-a_1", 3600))).await;
    let mut again = candidate(&client, identity(Some("pod-a"), "pod-a_2"));
    again.leads().await;
    assert_eq!(server.lock().unwrap().spec().lease_transitions, Some(5));
}

#[tokio::test]
async fn whoever_finds_another_holder_ends() {
    let (client, server) = server(None).await;
    let mut first = candidate(&client, identity(None, "a_1"));
    first.leads().await;
    server.lock().unwrap().put(held_by("b_1", 1));
    let claim = first.claim.clone();
    let error = first.ends().await.unwrap_err();
    assert!(matches!(&error, Error::LeaseTaken { holder, .. } if holder == "b_1"), "{error}");
    assert!(!claim.borrow().is_held());
    assert_eq!(server.lock().unwrap().spec().holder_identity.as_deref(), Some("b_1"), "another's Lease is left alone");
}

#[tokio::test]
async fn whoever_can_not_renew_ends_before_another_may_lead() {
    let (client, server) = server(None).await;
    let mut first = candidate(&client, identity(None, "a_1"));
    first.leads().await;
    server.lock().unwrap().down = true;
    let Claim::Held { until } = *first.claim.borrow() else { panic!("does not lead") };
    let error = first.ends().await.unwrap_err();
    assert!(matches!(error, Error::LeaseExpired { .. }), "{error}");
    assert!(until.elapsed() < DURATION / 2, "ended {:?} after the claim", until.elapsed());
}

#[tokio::test]
async fn a_short_outage_and_lost_answers_cost_nothing() {
    let (client, server) = server(None).await;
    let mut first = candidate(&client, identity(None, "a_1"));
    first.leads().await;
    for outage in [true, false] {
        // The answer of a write that took effect is lost, or nothing is answered at all.
        let writes = server.lock().unwrap().writes;
        (server.lock().unwrap().mute, server.lock().unwrap().down) = (!outage, outage);
        tokio::time::sleep(DURATION / 2).await;
        (server.lock().unwrap().mute, server.lock().unwrap().down) = (false, false);
        tokio::time::sleep(DURATION).await;
        assert!(first.claim.borrow().is_held());
        assert!(server.lock().unwrap().writes > writes);
    }
    assert_eq!(server.lock().unwrap().spec().lease_transitions, Some(0));
}

#[tokio::test]
async fn an_edit_by_somebody_else_costs_nothing() {
    let (client, server) = server(None).await;
    let mut first = candidate(&client, identity(None, "a_1"));
    first.leads().await;
    let mut edited = server.lock().unwrap().object.clone().unwrap();
    edited.metadata.annotations = Some([("note".to_owned(), "by hand".to_owned())].into());
    server.lock().unwrap().put(edited);
    tokio::time::sleep(DURATION * 2).await;
    assert!(first.claim.borrow().is_held());
    let kept = server.lock().unwrap().object.clone().unwrap().metadata.annotations.unwrap();
    assert_eq!(kept.get("note").map(String::as_str), Some("by hand"));
}
