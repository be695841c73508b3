use futures::FutureExt as _;

use super::*;

#[tokio::test]
async fn one_at_a_time_at_each_place() {
    let turns = Turns::default();
    let first = turns.take("a").await;
    assert!(turns.take("b").now_or_never().is_some(), "another place is free");
    let mut second = Box::pin(turns.take("a"));
    assert!((&mut second).now_or_never().is_none(), "the second waits");
    drop(first);
    assert!(second.now_or_never().is_some(), "and comes when the first has left");
    drop(turns.take("c").await);
    assert_eq!(turns.0.lock().unwrap().len(), 1, "places where nobody is are forgotten");
}
