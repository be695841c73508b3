//! How stories end in which a new job's program is asked for its operators.

use rstest::rstest;

use super::run::{Story, When};
use super::story_tests::{is, ready, ready_message, runs, story, untouched};
use super::world::World;
use crate::api::condition::{self, types};
use crate::api::{PreflightPolicy, UpgradeSpec};

fn with_policy(w: &mut World, policy: PreflightPolicy) {
    w.change(|spec| {
        spec.upgrade.get_or_insert_with(UpgradeSpec::default).preflight = Some(policy);
    });
}

fn told(w: &World) -> (String, String) {
    let conditions = w.status().conditions;
    let told = condition::find(&conditions, types::PREFLIGHT).unwrap();
    (told.status.clone(), told.reason.clone())
}

fn refused() -> (String, String) {
    ("False".to_owned(), "PreflightFailed".to_owned())
}

/// Flink would not start it, so the old job is not stopped for it.
pub fn main_throws() -> Story {
    story(&[(When::Rest, |w| w.image("throws"))], |w| {
        untouched(w, "PreflightFailed", "main() fails");
        assert_eq!(told(w), refused());
    })
}

pub fn main_throws_and_is_only_told() -> Story {
    let change: fn(&mut World) = |w| {
        with_policy(w, PreflightPolicy::Warn);
        w.image("throws");
    };
    story(&[(When::Rest, change)], |w| {
        runs(w, 2, "throws");
        assert_eq!((ready(w).0, told(w)), (true, refused()));
    })
}

/// Whatever is allowed: after the stop it would be no better.
pub fn main_does_not_end() -> Story {
    let change: fn(&mut World) = |w| {
        with_policy(w, PreflightPolicy::Warn);
        w.image("hangs");
    };
    story(&[(When::Rest, change)], |w| untouched(w, "PreflightFailed", "no topic"))
}

pub fn main_ends_its_job_manager() -> Story {
    story(&[(When::Rest, |w| w.image("exits"))], |w| {
        untouched(w, "PreflightFailed", "it ends their process");
    })
}

pub fn nobody_can_tell() -> Story {
    story(&[(When::Rest, |w| w.image("python"))], |w| {
        runs(w, 2, "python");
        assert_eq!((ready(w).0, told(w)), (true, ("Unknown".to_owned(), "PreflightNotPossible".to_owned())));
    })
}

pub fn none_is_wanted() -> Story {
    let change: fn(&mut World) = |w| {
        with_policy(w, PreflightPolicy::Skip);
        w.image("hangs");
    };
    story(&[(When::Rest, change)], |w| {
        runs(w, 2, "hangs");
        assert!(condition::find(&w.status().conditions, types::PREFLIGHT).is_none());
    })
}

/// A change of the policy alone starts nothing, unless a revision has failed by it.
pub fn the_policy_is_changed_after_a_failure() -> Story {
    let enforce: fn(&mut World) = |w| with_policy(w, PreflightPolicy::Enforce);
    let warn: fn(&mut World) = |w| with_policy(w, PreflightPolicy::Warn);
    story(&[(When::Rest, enforce), (When::Rest, |w| w.image("throws")), (When::Rest, warn)], |w| runs(w, 3, "throws"))
}

pub fn mended_after_it_was_refused() -> Story {
    story(&[(When::Rest, |w| w.image("throws")), (When::Rest, |w| w.image("v3"))], |w| {
        runs(w, 3, "v3");
        assert_eq!((ready(w).0, told(w).0), (true, "True".to_owned()));
        assert!(!is(w, types::STALLED), "{}", ready_message(w));
    })
}

#[rstest]
#[case::main_throws(main_throws)]
#[case::main_throws_and_is_only_told(main_throws_and_is_only_told)]
#[case::main_does_not_end(main_does_not_end)]
#[case::main_ends_its_job_manager(main_ends_its_job_manager)]
#[case::nobody_can_tell(nobody_can_tell)]
#[case::none_is_wanted(none_is_wanted)]
#[case::the_policy_is_changed_after_a_failure(the_policy_is_changed_after_a_failure)]
#[case::mended_after_it_was_refused(mended_after_it_was_refused)]
fn a_story_ends_as_it_should_whatever_crashes(#[case] of: fn() -> Story) {
    super::crash_tests::sweep(&of());
}
