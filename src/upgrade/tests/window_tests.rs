//! How stories end in which a change has to wait for a window.

use chrono::{DateTime, TimeDelta, Utc};
use rstest::rstest;

use super::crash_tests::sweep;
use super::recovery_tests::fail;
use super::run::{Story, When, tell};
use super::story_tests::{is, ready, ready_message, runs, story};
use super::world::World;
use crate::api::annotations::OPEN_WINDOW;
use crate::api::condition::types;
use crate::api::{Duration, Window};
use crate::time;

/// The simulated world begins on a fifteenth of January, at eight.
fn window() -> Window {
    Window { schedule: "0 12 1 * *".to_owned(), time_zone: None, duration: Duration::from_secs(3600) }
}

fn change(world: &mut World) {
    world.change(|spec| {
        spec.image = Some("example.com/orders:v2".to_owned());
        spec.upgrade.get_or_insert_default().windows = Some(vec![window()]);
    });
}

/// The old job runs, as it did before, and the change is announced.
fn waits(world: &World) {
    runs(world, 1, "v1");
    assert_eq!(ready(world), (true, "Running".to_owned()), "{}", ready_message(world));
    assert!(is(world, types::UPGRADE_PENDING));
    let told = "; generation 2 waits until a window opens at 2027-02-01T12:00:00Z; to start it now: kubectl annotate ";
    assert!(ready_message(world).contains(told), "{}", ready_message(world));
    let status = world.status();
    assert_eq!(status.observed_generation, world.upgrade.as_ref().unwrap().metadata.generation);
    assert_eq!(status.next, status.observed_generation);
    assert_eq!(status.next_window.map(|t| time::from_k8s(&t).to_rfc3339()).unwrap(), "2027-02-01T12:00:00+00:00");
}

fn upgraded(world: &World) {
    runs(world, 2, "v2");
    assert_eq!(ready(world), (true, "Running".to_owned()), "{}", ready_message(world));
    let status = world.status();
    assert!(!is(world, types::UPGRADE_PENDING));
    assert_eq!((status.next, status.next_window), (None, None));
}

fn opens() -> DateTime<Utc> {
    "2027-02-01T12:00:00Z".parse().unwrap()
}

fn announced() -> Story {
    story(&[(When::Rest, change)], waits)
}

fn opened() -> Story {
    story(&[(When::Rest, change), (When::Rest, |w| w.now = opens())], upgraded)
}

fn opened_by_hand() -> Story {
    let open = |w: &mut World| annotate(w, 0);
    story(&[(When::Rest, change), (When::Rest, open)], upgraded)
}

/// What was opened for one change is not open for the next.
fn opened_for_another() -> Story {
    let open = |w: &mut World| annotate(w, -1);
    story(&[(When::Rest, change), (When::Rest, open)], waits)
}

fn taken_back() -> Story {
    let back = |w: &mut World| w.image("v1");
    let end = |w: &World| {
        runs(w, 1, "v1");
        assert!(!is(w, types::UPGRADE_PENDING) && w.status().next_window.is_none());
    };
    story(&[(When::Rest, change), (When::Rest, back)], end)
}

/// Nobody is served by a job that is down.
fn fix_of_a_failed_job() -> Story {
    story(&[(When::Rest, fail), (When::Rest, change)], upgraded)
}

/// One under way is finished, whatever the time.
fn closed_meanwhile() -> Story {
    let begin = |w: &mut World| {
        w.now = opens() + TimeDelta::minutes(59);
        change(w);
    };
    let later = |w: &mut World| w.now += TimeDelta::hours(1);
    let stopping = |w: &World| w.savepoints.values().any(|s| s.holds_lock.is_some());
    story(&[(When::Rest, begin), (When::Is(stopping), later)], upgraded)
}

fn annotate(world: &mut World, other: i64) {
    let metadata = &mut world.upgrade.as_mut().unwrap().metadata;
    let generation = metadata.generation.unwrap() + other;
    metadata.annotations.get_or_insert_default().insert(OPEN_WINDOW.to_owned(), generation.to_string());
}

#[rstest]
#[case::announced(announced)]
#[case::opened(opened)]
#[case::opened_by_hand(opened_by_hand)]
#[case::opened_for_another(opened_for_another)]
#[case::taken_back(taken_back)]
#[case::fix_of_a_failed_job(fix_of_a_failed_job)]
#[case::closed_meanwhile(closed_meanwhile)]
fn a_change_that_waits_ends_as_it_should(#[case] story: fn() -> Story) {
    let told = tell(&story());
    (story().end)(&told.world);
}

#[rstest]
#[case::opened(opened)]
#[case::opened_by_hand(opened_by_hand)]
#[case::closed_meanwhile(closed_meanwhile)]
fn a_change_that_waits_ends_as_it_should_whatever_crashes(#[case] story: fn() -> Story) {
    sweep(&story());
}
