use std::future::pending;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

const MOMENT: Duration = Duration::from_millis(100);

#[tokio::test(start_paused = true)]
async fn goes_on_between_two_looks_and_is_begun_once() {
    let background = Background::<u32, &str>::new(2);
    let begun = Arc::new(AtomicU32::new(0));
    let start = |tell: Tell<&'static str>| {
        let begun = Arc::clone(&begun);
        async move {
            begun.fetch_add(1, Ordering::SeqCst);
            tell.now("half");
            tokio::time::sleep(MOMENT * 2 + MOMENT / 2).await;
            7
        }
    };
    assert_eq!(background.look("a", MOMENT, start).await, Looked::Running(Some("half")));
    assert_eq!(background.look("a", MOMENT, start).await, Looked::Running(Some("half")));
    assert_eq!(background.look("a", MOMENT, start).await, Looked::Done(7));
    assert_eq!(begun.load(Ordering::SeqCst), 1);
    assert_eq!(
        background.look("a", MOMENT, start).await,
        Looked::Running(Some("half")),
        "a further look begins it anew"
    );
    assert_eq!(begun.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn waits_for_its_turn() {
    let background = Background::<u32, ()>::new(1);
    assert_eq!(background.look("first", MOMENT, |_| pending()).await, Looked::Running(None));
    assert_eq!(background.look("second", MOMENT, |_| async { 2 }).await, Looked::Running(None), "the first goes on");
    assert_eq!(background.pieces().remove("first").map(drop), Some(()));
    assert_eq!(background.look("second", MOMENT, |_| pending()).await, Looked::Done(2));
}

#[tokio::test(start_paused = true)]
async fn is_given_up_when_nobody_looks() {
    let background = Background::<u32, ()>::new(1);
    assert_eq!(background.look("of a deleted object", MOMENT, |_| pending()).await, Looked::Running(None));
    tokio::time::advance(FORGOTTEN).await;
    assert_eq!(background.look("another", MOMENT, |_| async { 3 }).await, Looked::Done(3), "the first was aborted");
}

#[tokio::test]
async fn a_panic_is_begun_anew() {
    let background = Background::<u32, ()>::new(1);
    assert_eq!(background.look("a", MOMENT, |_| async { panic!("for the test") }).await, Looked::Running(None));
    assert_eq!(background.look("a", MOMENT, |_| async { 4 }).await, Looked::Done(4));
}
