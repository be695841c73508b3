//! Which scenario runs on which Flink version in CI; some run in `make e2e-full` only. There, with `E2E_FULL=1`, each
//! runs on both versions.
//!
//! The start of a cluster's two JVMs is most of what a scenario costs, so those of one kind share their job.

use anyhow::{Context as _, Result};
use e2e::{
    env::Env,
    job::Version::{self, V1_20, V2_3},
    namespace::Sandbox,
};

use crate::{
    blue_green, conformance_flink, copies, crash, deletion, failed_upgrade, flink_upgraded, foreign, fork, gitops,
    hands, high_availability, jar, life, only_what_changed, operator_killed, order, outage, preflight, recovery,
    recreate, restore_modes, schedule, session, silent, start, store, suspend, tls, two_operators, windows,
};

/// Makes a test of each row: its name, where it runs, and what it does.
macro_rules! scenarios {
    ($($name:ident $where:ident $($version:ident)?: $body:path;)+) => {
        $(scenario!{ $name $where $($version)?: $body })+
    };
}

macro_rules! scenario {
    ($name:ident on $version:ident: $body:path) => {
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() -> Result<()> {
            run(stringify!($name), $version, $body).await
        }
    };
    ($name:ident in_full: $body:path) => {
        #[tokio::test(flavor = "multi_thread")]
        #[ignore = "make e2e-full runs it"]
        async fn $name() -> Result<()> {
            run(stringify!($name), V1_20, $body).await
        }
    };
}

scenarios! {
    // The longest first: two run at a time, in the order of their names.
    alone_node_silent in_full: silent::node;
    alone_s3_server_killed in_full: outage::server_killed;
    a_jobs_life on V1_20: life::from_start_to_end;
    blue_green in_full: blue_green::forked_and_promoted;
    changes_that_fail on V1_20: failed_upgrade::one_after_the_other;
    copied_away in_full: copies::restored_with_the_original_gone;
    conformance_of_flink on V1_20: conformance_flink::fake_and_real;
    by_https in_full: tls::by_https;
    crash_at_every_effect in_full: crash::at_every_effect;
    deleted_without_help in_full: deletion::whatever_is_gone;
    flink_upgraded in_full: flink_upgraded::forth_and_not_back;
    foreign_clusters on V1_20: foreign::clusters;
    forked in_full: fork::of_a_running_job;
    gitops in_full: gitops::commit_by_commit;
    gitops_by_flux in_full: gitops::by_flux;
    hands_are_put_back in_full: hands::put_back;
    ha_recovers on V1_20: high_availability::recovers;
    jar_from_s3 in_full: jar::from_s3;
    job_manager_killed in_full: foreign::killed;
    job_recovers on V1_20: recovery::lost_and_made_again;
    job_replaced in_full: recovery::cut_off_and_replaced;
    kept_in_order in_full: order::kept_in_order;
    only_what_changed in_full: only_what_changed::starts_an_upgrade;
    operator_killed_of_foreign on V1_20: operator_killed::in_the_middle;
    preflight_asked_again in_full: preflight::asked_again_and_again;
    programs_that_harm in_full: failed_upgrade::programs_that_harm;
    refused_is_said on V1_20: start::refused_is_said;
    restore_modes in_full: restore_modes::one_after_the_other;
    s3_stopped on V1_20: outage::stopped;
    scheduled in_full: schedule::beside_cron_jobs;
    session_cluster in_full: session::on_a_session_cluster;
    state_machine_example in_full: start::state_machine_example;
    stores on V1_20: store::stores;
    suspended on V1_20: suspend::suspended;
    two_operators in_full: two_operators::by_mistake;
    whole_way_on_2_3 on V2_3: life::whole_way;
    windows_open in_full: windows::opened;
    without_room in_full: recreate::without_room;
}

async fn run(name: &str, in_ci: Version, body: impl AsyncFn(&Sandbox, Version) -> Result<()>) -> Result<()> {
    let versions = if Env::load()?.full { vec![V1_20, V2_3] } else { vec![in_ci] };
    for version in versions {
        let test = format!("{name}-{}", version.short());
        Sandbox::run(&test, async |sandbox| body(sandbox, version).await).await.context(test)?;
    }
    Ok(())
}
