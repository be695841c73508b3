//! Tests of the common end.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::*;

const GRACE: Duration = Duration::from_millis(200);

fn obedient(tasks: &mut Tasks, stop: &Shutdown) -> Arc<AtomicBool> {
    let (ended, requested) = (Arc::new(AtomicBool::new(false)), stop.requested());
    let mark = ended.clone();
    tasks.spawn("obedient", async move {
        requested.await;
        mark.store(true, Ordering::SeqCst);
        anyhow::Ok(())
    });
    ended
}

#[tokio::test]
async fn all_end_on_request() {
    let (mut tasks, stop) = (Tasks::new(), Shutdown::new());
    let ended = obedient(&mut tasks, &stop);
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { tasks.run(&stop, GRACE).await }
    });
    tokio::task::yield_now().await;
    assert!(!running.is_finished());
    stop.trigger();
    running.await.unwrap().unwrap();
    assert!(ended.load(Ordering::SeqCst));
}

#[tokio::test]
async fn the_end_of_one_is_the_end_of_all() {
    type Spawn = fn(&mut Tasks);
    let tests: [(Spawn, &str); 3] = [
        (|tasks| tasks.spawn("one", async { anyhow::Ok(()) }), "one ended"),
        (|tasks| tasks.spawn("one", async { Err(anyhow::anyhow!("no route")) }), "one failed: no route"),
        (|tasks| tasks.spawn::<anyhow::Error>("one", async { panic!("on purpose") }), "one panicked"),
    ];
    for (spawn, message) in tests {
        let (mut tasks, stop) = (Tasks::new(), Shutdown::new());
        let ended = obedient(&mut tasks, &stop);
        spawn(&mut tasks);
        assert_eq!(tasks.run(&stop, GRACE).await.unwrap_err().to_string(), message);
        assert!(stop.is_requested() && ended.load(Ordering::SeqCst));
    }
}

#[tokio::test]
async fn whoever_does_not_end_is_named() {
    let (mut tasks, stop) = (Tasks::new(), Shutdown::new());
    tasks.spawn("the stubborn one", pending::<anyhow::Result<()>>());
    obedient(&mut tasks, &stop);
    stop.trigger();
    let error = tasks.run(&stop, GRACE).await.unwrap_err().to_string();
    assert_eq!(error, "did not end within 0.2s: the stubborn one");
}

#[tokio::test]
async fn a_failure_while_ending_is_told() {
    let (mut tasks, stop) = (Tasks::new(), Shutdown::new());
    let requested = stop.requested();
    tasks.spawn("one", async move {
        requested.await;
        Err::<(), _>(anyhow::anyhow!("half done"))
    });
    stop.trigger();
    assert_eq!(tasks.run(&stop, GRACE).await.unwrap_err().to_string(), "one failed: half done");
}
