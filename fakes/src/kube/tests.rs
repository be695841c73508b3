//! The conformance cases over the fake, and what they can't show: faults, stale reads, observers, and kube's own
//! watcher and controller.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use futures::{StreamExt as _, future, pin_mut};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::api::{DeleteParams, ListParams, ObjectMeta, PartialObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::watcher::{self, watcher};
use kube::runtime::{WatchStreamExt as _, finalizer};
use kube::{Api, Client};
use serde_json::json;

use super::*;
use crate::conformance::kube as conformance;
use crate::faults::Fault;

const GROUP: &str = "group.savepoints.dev";

fn server() -> ApiServer {
    let definitions = conformance::definitions(GROUP).unwrap();
    let custom = definitions.iter().map(|definition| Kind::of_definition(definition).unwrap());
    ApiServer::new(Clock::new(DateTime::UNIX_EPOCH), Kind::built_ins().into_iter().chain(custom).collect())
}

fn client(service: Service) -> Client {
    Client::new(service, "default")
}

/// A server with the namespace `default`, and its ConfigMaps as a client without faults sees them.
async fn config_maps() -> (ApiServer, Api<ConfigMap>) {
    let server = ApiServer::new(Clock::new(DateTime::UNIX_EPOCH), Kind::built_ins());
    namespace(&server, "default").await;
    let api = Api::default_namespaced(client(server.service(Faults::none()).named("by hand")));
    (server, api)
}

fn config_map(name: &str) -> ConfigMap {
    ConfigMap { metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }, ..ConfigMap::default() }
}

async fn create(api: &Api<ConfigMap>, name: &str) -> ConfigMap {
    api.create(&PostParams::default(), &config_map(name)).await.unwrap()
}

async fn delete(api: &Api<ConfigMap>, name: &str) {
    api.delete(name, &DeleteParams::default()).await.unwrap();
}

async fn names(api: &Api<ConfigMap>, params: &ListParams) -> Vec<String> {
    api.list(params).await.unwrap().items.into_iter().filter_map(|object| object.metadata.name).collect()
}

async fn namespace(server: &ApiServer, name: &str) {
    let namespaces: Api<Namespace> = Api::all(client(server.service(Faults::none())));
    let namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn answers_as_the_real_one_did() {
    let mut transcript = String::new();
    let mut failures = Vec::new();
    for case in conformance::CASES {
        let server = server();
        namespace(&server, "conformance").await;
        match conformance::run(case, client(server.service(Faults::none())), "conformance", GROUP).await {
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

#[tokio::test(start_paused = true)]
async fn reflector_follows_the_world_over_cuts_and_lost_history() {
    let (server, api) = config_maps().await;
    let watched: Api<ConfigMap> = Api::default_namespaced(client(server.service(Faults::none()).named("reflector")));
    let asked = || server.log().iter().filter(|entry| entry.client == "reflector").count();
    create(&api, "before").await;
    for config in [watcher::Config::default().page_size(1), watcher::Config::default().streaming_lists()] {
        let (reader, writer) = reflector::store::<ConfigMap>();
        let reflected =
            watcher(watched.clone(), config).default_backoff().reflect(writer).for_each(|_| future::ready(()));
        let test = async {
            reader.wait_until_ready().await.unwrap();
            assert!(reader.get(&ObjectRef::new("before").within("default")).is_some());
            for name in ["once", "twice"] {
                create(&api, name).await;
                settle().await;
                assert!(reader.get(&ObjectRef::new(name).within("default")).is_some(), "{name}");
                let before = asked();
                server.cut_watches();
                delete(&api, name).await;
                server.compact();
                settle().await;
                assert!(reader.get(&ObjectRef::new(name).within("default")).is_none(), "{name}");
                assert!(asked() >= before + 2, "it watches again, is told 410, and begins anew");
            }
        };
        pin_mut!(test, reflected);
        assert!(matches!(future::select(test, reflected).await, future::Either::Left(_)), "the watcher ended");
    }
}

/// Longer than a watcher waits before it tries again; the clock is paused.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn controller_reconciles_with_finalizers_and_related_objects() {
    let (server, api) = config_maps().await;
    let work = client(server.service(Faults::none()).named("controller"));
    let pods: Api<PartialObjectMeta<Pod>> = Api::all(work.clone());
    let reconciled = Arc::new(AtomicUsize::new(0));
    let controller = Controller::new(Api::<ConfigMap>::all(work.clone()), watcher::Config::default())
        .watches(pods, watcher::Config::default(), |pod: PartialObjectMeta<Pod>| {
            pod.metadata.name.map(|name| ObjectRef::new(&name).within("default"))
        })
        .run(
            |object, context: Arc<(Client, Arc<AtomicUsize>)>| async move {
                context.1.fetch_add(1, Ordering::SeqCst);
                let api = Api::default_namespaced(context.0.clone());
                let nothing = |_| async { Ok::<_, kube::Error>(Action::await_change()) };
                finalizer(&api, "savepoints.dev/held", object, nothing).await
            },
            |_, error, _| panic!("{error}"),
            Arc::new((work, Arc::clone(&reconciled))),
        );
    let test = async {
        create(&api, "a").await;
        settle().await;
        assert_eq!(api.get("a").await.unwrap().metadata.finalizers, Some(vec!["savepoints.dev/held".to_owned()]));
        let before = reconciled.load(Ordering::SeqCst);
        let pod = serde_json::from_value(json!({"metadata": {"name": "a"}, "spec": {"containers": []}})).unwrap();
        let pods: Api<Pod> = Api::default_namespaced(client(server.service(Faults::none())));
        pods.create(&PostParams::default(), &pod).await.unwrap();
        settle().await;
        assert!(reconciled.load(Ordering::SeqCst) > before, "a Pod of that name asks for it");
        delete(&api, "a").await;
        settle().await;
        assert!(api.get_opt("a").await.unwrap().is_none());
        assert!(server.log().iter().any(|entry| entry.client == "controller" && entry.verb == "watch"));
    };
    let controller = controller.for_each(|_| future::ready(()));
    pin_mut!(test, controller);
    assert!(matches!(future::select(test, controller).await, future::Either::Left(_)), "the controller ended");
}

#[tokio::test(start_paused = true)]
async fn stale_lists_and_watches_lag_and_reads_do_not() {
    let (server, api) = config_maps().await;
    for name in ["a", "b", "c"] {
        create(&api, name).await;
    }
    server.stale_by(2);
    assert_eq!(names(&api, &ListParams::default().match_any()).await, ["a"]);
    assert_eq!(names(&api, &ListParams::default()).await, ["a", "b", "c"]);
    assert!(api.get_opt("c").await.unwrap().is_some());
    // With pages kube asks for no version, and sees the latest.
    let config = watcher::Config { page_size: None, ..watcher::Config::default().any_semantic() };
    let events = watcher(api.clone(), config).applied_objects();
    pin_mut!(events);
    let mut next = async || events.next().await.unwrap().unwrap().metadata.name.unwrap();
    assert_eq!(next().await, "a");
    let early = tokio::time::timeout(Duration::from_secs(5), next()).await;
    assert!(early.is_err(), "{early:?}");
    server.stale_by(0);
    assert_eq!((next().await, next().await), ("b".to_owned(), "c".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn faults_strike_where_the_write_is_done_or_is_not() {
    for (fault, written) in [(Fault::Refused, false), (Fault::AnswerLost, true)] {
        let (server, api) = config_maps().await;
        let faults = Faults::at(1, fault);
        let struck: Api<ConfigMap> = Api::default_namespaced(client(server.service(faults.clone())));
        create(&struck, "a").await;
        assert!(struck.create(&PostParams::default(), &config_map("b")).await.is_err());
        assert_eq!(api.get_opt("b").await.unwrap().is_some(), written, "{fault:?}");
        struck.patch("a", &PatchParams::default(), &Patch::Merge(json!({"data": {"x": "y"}}))).await.unwrap();
        assert_eq!(faults.calls(), ["POST configmaps", "POST configmaps", "PATCH configmaps/a"]);
    }
}

#[tokio::test(start_paused = true)]
async fn observers_see_each_write_and_the_world_after_it() {
    let (server, api) = config_maps().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&seen);
    server.on_change(Box::new(move |change| {
        let note = (change.client.to_owned(), change.old.is_some(), change.new.is_some());
        notes.lock().unwrap().push((note, change.objects("configmaps").count()));
    }));
    create(&api, "a").await;
    let same = json!({"metadata": {"labels": null}});
    api.patch("a", &PatchParams::default(), &Patch::Merge(same)).await.unwrap();
    api.patch("a", &PatchParams::default(), &Patch::Merge(json!({"data": {"x": "y"}}))).await.unwrap();
    delete(&api, "a").await;
    let by_hand = |old: bool, new: bool| ("by hand".to_owned(), old, new);
    let expected = [(by_hand(false, true), 1), (by_hand(true, true), 1), (by_hand(true, false), 0)];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn times_are_the_clock_s_and_a_namespace_ends_with_its_objects() {
    let (server, api) = config_maps().await;
    tokio::time::advance(Duration::from_secs(60)).await;
    server.state().clock.jump(TimeDelta::seconds(30));
    create(&api, "a").await;
    let a = server.object("configmaps", "default", "a").unwrap();
    assert_eq!(a.pointer("/metadata/creationTimestamp").unwrap(), "1970-01-01T00:01:30Z");
    let held = json!({"metadata": {"finalizers": ["savepoints.dev/held"]}});
    api.patch("a", &PatchParams::default(), &Patch::Merge(held)).await.unwrap();

    let namespaces: Api<Namespace> = Api::all(client(server.service(Faults::none())));
    namespaces.delete("default", &DeleteParams::default()).await.unwrap();
    server.end_namespaces();
    assert!(server.object("namespaces", "", "default").is_some(), "it still holds an object");
    assert!(api.get("a").await.unwrap().metadata.deletion_timestamp.is_some());
    let free = json!({"metadata": {"finalizers": null}});
    api.patch("a", &PatchParams::default(), &Patch::Merge(free)).await.unwrap();
    server.end_namespaces();
    assert!(server.objects("namespaces").is_empty());
    let codes: Vec<u16> = server.log().iter().map(|entry| entry.code.as_u16()).collect();
    assert_eq!(codes, [201, 201, 200, 200, 200, 200]);
}
