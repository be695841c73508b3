//! FlinkSavepoints in a simulated world: real reconcilers over the fakes, in virtual time, with a crash, a lost answer or a
//! refused connection at every single call that leaves the process.
//!
//! A scenario is told once undisturbed, with caches that are late, and then once for each call and each fault. It must come to the same end, and the
//! invariants hold after every write.

#![allow(
    clippy::indexing_slicing,
    clippy::large_futures,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that fails says where"
)]

#[path = "../common/cache.rs"]
mod cache;
#[path = "../common/mod.rs"]
mod common;
mod copies;
mod scenarios;
mod sweep;
#[path = "../common/way.rs"]
mod way;
mod world;

use sweep::{check, late, sweep};

/// A scenario, undisturbed, with what the operator knows being late, and with every fault at every call.
macro_rules! scenarios {
    ($($name:ident),+ $(,)?) => {
        mod undisturbed {
            $(#[test]
            fn $name() {
                super::check(super::scenarios::$name);
            })+
        }

        mod with_stale_reads {
            $(#[test]
            fn $name() {
                super::late(super::scenarios::$name);
            })+
        }

        mod with_every_fault {
            $(#[test]
            fn $name() {
                super::sweep(stringify!($name), super::scenarios::$name);
            })+
        }
    };
}

scenarios! {
    a_cancel,
    a_drain,
    a_savepoint,
    a_stop,
    backpressure,
    by_https,
    copied_by_a_job,
    copied_by_the_operator,
    deleted_after_a_claim,
    deleted_after_legacy,
    deleted_by_force,
    deleted_in_the_middle,
    deleted_while_a_job_copies,
    deleted_with_its_files,
    deleted_with_its_files_by_flink,
    ha_savepoint_killed_in_the_middle,
    ha_stop_killed_after_it_finished,
    ha_stop_killed_after_it_finished_on_2_3,
    ha_stop_killed_as_its_savepoint_is_whole,
    ha_stop_killed_as_its_savepoint_is_whole_on_2_3,
    ha_stop_killed_before_its_end_is_stored,
    ha_stop_killed_in_the_middle,
    killed_in_the_middle_without_ha,
    no_directory,
    no_such_bucket,
    of_a_job_that_is_starting,
    of_a_managed_job,
    snapshot_harms_the_job,
    stop_fails_after_its_savepoint,
    two_at_once,
    unknown_scheme,
    without_a_store,
    without_sight_of_pods,
}
