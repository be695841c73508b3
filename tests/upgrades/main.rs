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

mod blue_green;
#[path = "../common/mod.rs"]
mod common;
mod hands;
mod high_availability;
mod images;
mod jars;
mod life;
mod mishaps;
mod operator;
mod preflight;
mod races;
mod recreate;
mod restore_modes;
mod scenarios;
mod session;
mod snapshots;
mod sweep;
mod truth;
mod world;

use sweep::{check, late, sweep};

/// A scenario, undisturbed, with caches that are late, and with faults.
macro_rules! scenarios {
    ($($file:ident: $($name:ident),+;)+) => {
        mod undisturbed {
            $($(#[test]
            fn $name() {
                super::check(&super::$file::$name());
            })+)+
        }

        mod with_stale_reads {
            $($(#[test]
            fn $name() {
                super::late(&super::$file::$name());
            })+)+
        }

        mod with_faults {
            $($(#[test]
            fn $name() {
                super::sweep(stringify!($name), &super::$file::$name());
            })+)+
        }
    };
}

scenarios! {
    scenarios:
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
    no_checkpoint;
    preflight:
    lacks_an_operator,
    lacks_an_operator_unasked,
    lacks_what_it_may,
    main_hangs,
    main_throws,
    main_throws_unasked;
    recreate:
    deleted_meanwhile,
    job_manager_killed_meanwhile,
    old_job_manager_killed_meanwhile,
    task_managers_change_back,
    task_managers_change_places;
    blue_green:
    blue_is_lost,
    deleted_while_it_waits,
    green_fails,
    green_is_lost,
    green_is_replaced,
    promoted_by_a_commit,
    promoted_by_itself;
    mishaps:
    a_quota,
    a_silent_node,
    a_silent_node_without_power,
    a_silent_node_without_power_in_a_recovery,
    cancelled_by_hand,
    cut_off_and_changed,
    deleted_and_made_again,
    deleted_and_made_again_empty,
    deleted_and_made_again_from_a_path,
    deleted_and_made_again_from_the_latest,
    failed_and_fixed,
    finished,
    stopped_in_the_stop,
    stopped_job_manager,
    stopped_task_manager;
    life:
    away_for_longer_than_the_timeout,
    deleted_in_the_foreground,
    deleted_in_the_resume,
    deleted_in_the_suspension,
    deleted_orphaning,
    deleted_while_suspended,
    deleted_while_suspended_and_made_again,
    deleted_with_a_drain,
    never_started,
    refused_and_fixed,
    resumed,
    resumed_from_a_path,
    resumed_from_the_latest,
    resumed_with_another_spec,
    suspended_after_the_stop,
    suspended_and_highly_available,
    suspended_and_saved,
    suspended_as_it_is_lost,
    suspended_before_the_stop,
    suspended_five_times,
    upgraded_and_cancelled_and_made_again;
    jars:
    a_jar_of_no_store,
    a_jar_with_other_bytes;
    high_availability:
    a_first_start_with_what_an_earlier_one_has_left,
    highly_available,
    highly_available_and_changed,
    highly_available_and_deleted,
    highly_available_and_deleted_with_a_cancel,
    its_data_deleted,
    its_job_manager_evicted,
    its_job_manager_killed,
    its_job_manager_killed_after_the_stop,
    its_job_manager_killed_and_changed,
    its_job_manager_killed_before_it_is_stable,
    its_job_manager_killed_in_the_stop,
    it_runs_again_after_the_stop;
    hands:
    a_foreign_job_in_the_middle,
    a_foreign_job_is_given_up,
    a_foreign_job_is_waited_for,
    a_record_of_a_newer_version,
    a_savepoint_by_hand,
    configuration_deleted,
    job_manager_deleted,
    job_manager_scaled_to_zero,
    labels_taken,
    objects_deleted,
    objects_edited,
    rendered_by_another_version,
    rewritten_again_and_again,
    stopped_by_hand,
    task_manager_evicted,
    task_managers_scaled_to_zero,
    template_edited;
    session:
    a_full_session_cluster,
    a_jar_that_is_lost,
    a_savepoint_past_its_lock,
    cancelled_on_a_session_cluster,
    deleted_on_a_session_cluster,
    its_session_cluster_killed,
    on_a_session_cluster,
    put_back_on_a_session_cluster,
    refused_beforehand_on_a_session_cluster,
    suspended_and_resumed_on_a_session_cluster,
    upgraded_on_a_session_cluster;
    restore_modes:
    claimed,
    claimed_and_named,
    legacy,
    not_claimed;
}
