//! FlinkJobUpgrades in a simulated world: both real reconcilers, of upgrades and of their savepoints, over the fakes of
//! Kubernetes, its controllers, and Flink, in virtual time; with a crash, a lost answer or a refused connection at the
//! calls that leave the process.
//!
//! A scenario is told once undisturbed, and then once for each struck call and each fault. It must come to the same end,
//! and the invariants hold after every call. What really runs is known from the tasks themselves (`fakes::flink::Records`)
//! and not from any JobManager.

#![allow(
    clippy::indexing_slicing,
    clippy::large_futures,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that fails says where"
)]

#[path = "../common/mod.rs"]
mod common;
mod images;
mod operator;
mod scenarios;
mod sweep;
mod truth;
mod world;

use sweep::{check, sweep};

/// A scenario, undisturbed and with faults.
macro_rules! scenarios {
    ($($name:ident),+ $(,)?) => {
        mod undisturbed {
            $(#[test]
            fn $name() {
                super::check(super::scenarios::$name);
            })+
        }

        mod with_faults {
            $(#[test]
            fn $name() {
                super::sweep(stringify!($name), super::scenarios::$name);
            })+
        }
    };
}

scenarios! {
    a_bad_image_and_a_fix,
    a_first_start,
    a_savepoint_first,
    a_savepoint_of_two_attempts,
    an_upgrade,
    changed_after_the_stop,
    changed_before_the_stop,
    changed_five_times,
    crash_loop,
    deleted_after_the_stop,
    deleted_before_the_stop,
    deleted_with_a_cancel,
    deleted_with_a_savepoint,
    evicted_and_recovered,
    fails_for_good,
    job_manager_killed,
    lost_and_changed,
    lost_and_recovered,
    main_throws,
    no_checkpoint,
    refused,
}
