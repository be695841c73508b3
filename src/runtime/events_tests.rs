//! Tests of the Events.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use axum::http::{Method, StatusCode};
use rstest::rstest;

use super::*;
use crate::runtime::fake_api::{self, Asked};

#[rstest]
#[case::short("abc", 5, "abc")]
#[case::exact("abc", 3, "abc")]
#[case::long("abcdef", 3, "abc")]
#[case::between_two_characters("aäb", 2, "a")]
#[case::after_a_character("aäb", 3, "aä")]
#[case::nothing_fits("€", 2, "")]
fn cuts(#[case] text: &str, #[case] bytes: usize, #[case] expected: &str) {
    assert_eq!(cut(text, bytes), expected);
}

fn orders() -> ObjectReference {
    ObjectReference {
        kind: Some("FlinkSavepoint".to_owned()),
        name: Some("orders".to_owned()),
        namespace: Some("ns".to_owned()),
        uid: Some("uid-1".to_owned()),
        ..ObjectReference::default()
    }
}

async fn server() -> (Client, Arc<Mutex<Vec<Asked>>>, Arc<AtomicBool>) {
    let (all, down) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let (seen, refuses) = (all.clone(), down.clone());
    let client = fake_api::serve(move |asked: Asked| {
        seen.lock().unwrap().push(asked.clone());
        if refuses.load(Ordering::SeqCst) {
            return fake_api::refused(StatusCode::FORBIDDEN, "Forbidden");
        }
        (StatusCode::OK, asked.body)
    })
    .await;
    (client, all, down)
}

#[tokio::test]
async fn repeats_are_folded_and_other_notes_are_not() {
    let (client, all, _) = server().await;
    let (events, publisher) = Events::new(client, Some("operator-0".to_owned()));
    for note in ["attempt 1", "attempt 1", "attempt 2"] {
        events.warning(orders(), "SavepointFailed", "TakeSavepoint", note);
    }
    drop(events);
    publisher.run(Shutdown::new()).await.unwrap();
    let all = all.lock().unwrap();
    let told: Vec<_> = all.iter().map(|asked| (asked.method.clone(), asked.body["note"].as_str().unwrap())).collect();
    assert_eq!(told, [(Method::POST, "attempt 1"), (Method::PATCH, "attempt 1"), (Method::POST, "attempt 2")]);
    assert_eq!(all[1].body["series"]["count"], 2);
    assert_eq!(all[0].path, "/apis/events.k8s.io/v1/namespaces/ns/events");
    let first = &all[0].body;
    assert_eq!((&first["type"], &first["reason"]), (&"Warning".into(), &"SavepointFailed".into()));
    assert_eq!(
        (&first["reportingController"], &first["reportingInstance"]),
        (&CONTROLLER.into(), &"operator-0".into())
    );
    assert_eq!(first["regarding"]["uid"], "uid-1");
}

#[tokio::test]
async fn a_long_note_is_cut() {
    let (client, all, _) = server().await;
    let (events, publisher) = Events::new(client, None);
    events.normal(orders(), "Completed", "TakeSavepoint", &"ä".repeat(2000));
    drop(events);
    publisher.run(Shutdown::new()).await.unwrap();
    assert_eq!(all.lock().unwrap()[0].body["note"].as_str().unwrap().len(), NOTE_BYTES);
}

#[tokio::test]
async fn a_refusal_does_not_end_the_publisher() {
    let (client, all, down) = server().await;
    let (events, publisher) = Events::new(client, None);
    let stop = Shutdown::new();
    let running = tokio::spawn(publisher.run(stop.clone()));
    down.store(true, Ordering::SeqCst);
    events.normal(orders(), "Refused", "TakeSavepoint", "");
    while all.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    down.store(false, Ordering::SeqCst);
    events.normal(orders(), "Completed", "TakeSavepoint", "");
    // While a teller is left, only the shutdown ends it.
    let teller = events.clone();
    drop(events);
    stop.trigger();
    running.await.unwrap().unwrap();
    drop(teller);
    let reasons: Vec<_> = all.lock().unwrap().iter().map(|asked| asked.body["reason"].clone()).collect();
    assert_eq!(reasons, ["Refused", "Completed"]);
}

#[tokio::test]
async fn too_many_are_dropped_without_waiting() {
    let (client, all, _) = server().await;
    let (events, publisher) = Events::new(client, None);
    for index in 0..QUEUE * 2 {
        events.normal(orders(), "Completed", "TakeSavepoint", &index.to_string());
    }
    drop(events);
    publisher.run(Shutdown::new()).await.unwrap();
    assert_eq!(all.lock().unwrap().len(), QUEUE);
}
