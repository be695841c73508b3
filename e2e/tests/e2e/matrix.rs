//! Which scenario runs on which Flink version. With `E2E_FULL=1` each runs on both.

use anyhow::{Context as _, Result};
use e2e::{
    env::Env,
    job::Version::{self, V1_20, V2_3},
    namespace::Sandbox,
};

use crate::{crash, deletion, failed_upgrade, savepoint, start, upgrade};

/// Makes a test of each row: its name, the Flink version it runs on in CI, and what it does.
macro_rules! scenarios {
    ($($name:ident on $version:ident: $body:path;)+) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() -> Result<()> {
            run(stringify!($name), $version, $body).await
        }
    )+};
}

scenarios! {
    first_start on V1_20: start::first_start;
    not_implemented_is_said on V1_20: start::not_implemented_is_said;
    state_machine_example on V1_20: start::state_machine_example;
    savepoint_canonical_and_native on V1_20: savepoint::canonical_and_native;
    savepoint_without_a_directory on V1_20: savepoint::without_a_directory;
    upgrade_no_claim on V1_20: upgrade::no_claim;
    upgrade_claim on V1_20: upgrade::claim;
    smoke_2_3 on V2_3: upgrade::whole_way;
    source_uid_changed_is_seen on V1_20: upgrade::source_uid_changed_is_seen;
    upgrade_drops_operator_with_flag on V1_20: failed_upgrade::drops_operator_with_flag;
    bad_image_leaves_the_old_job_running on V1_20: failed_upgrade::bad_image_leaves_the_old_job_running;
    main_throws_puts_the_old_job_back on V1_20: failed_upgrade::main_throws_puts_the_old_job_back;
    delete_cancels on V1_20: deletion::cancels;
    delete_saves on V1_20: deletion::saves;
    crash_before_and_after_every_effect on V1_20: crash::before_and_after_every_effect;
}

async fn run(name: &str, in_ci: Version, body: impl AsyncFn(&Sandbox, Version) -> Result<()>) -> Result<()> {
    let versions = if Env::load()?.full { vec![V1_20, V2_3] } else { vec![in_ci] };
    for version in versions {
        let test = format!("{name}-{}", version.short());
        Sandbox::run(&test, async |sandbox| body(sandbox, version).await).await.context(test)?;
    }
    Ok(())
}
