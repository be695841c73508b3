//! Tests of the waits after errors.

use super::*;

/// Fails each time as soon as it is due; returns the waits.
fn fails(backoff: &Backoff, uid: &str, times: usize) -> Vec<Duration> {
    let mut now = Instant::now();
    let mut waits = Vec::new();
    for _ in 0..times {
        let wait = backoff.failed(uid, now);
        waits.push(wait);
        now += wait;
    }
    waits
}

#[test]
fn doubles_up_to_the_longest() {
    let waits = fails(&Backoff::new(), "uid", 12);
    for (index, wait) in waits.iter().enumerate() {
        let full = FIRST.saturating_mul(1 << index).min(LONGEST);
        assert!(*wait <= full && *wait > full * 9 / 10, "{index}: {wait:?} of {full:?}");
    }
}

#[test]
fn never_overflows() {
    assert!(fails(&Backoff::new(), "uid", 200).iter().all(|wait| *wait <= LONGEST));
}

#[test]
fn a_success_starts_anew() {
    let backoff = Backoff::new();
    fails(&backoff, "uid", 5);
    backoff.succeeded("uid");
    assert!(fails(&backoff, "uid", 1)[0] <= FIRST);
}

#[test]
fn a_failure_before_it_was_due_does_not_count() {
    let backoff = Backoff::new();
    let now = Instant::now();
    let wait = backoff.failed("uid", now);
    let half = now + wait / 2;
    for _ in 0..10 {
        assert_eq!(backoff.failed("uid", half) + wait / 2, wait);
    }
    assert!(backoff.failed("uid", now + wait) <= FIRST * 2);
}

#[test]
fn objects_are_apart_and_bounded() {
    let backoff = Backoff::new();
    fails(&backoff, "first", 5);
    let later = Instant::now() + LONGEST * 2;
    for index in 0..OBJECTS {
        backoff.failed(&format!("uid-{index}"), later);
    }
    assert_eq!(backoff.0.lock().unwrap().len(), OBJECTS);
    assert!(backoff.failed("first", later) <= FIRST, "the oldest is forgotten first");
    assert!(backoff.failed(&format!("uid-{}", OBJECTS - 1), later + LONGEST) > FIRST, "a young one is remembered");
}
