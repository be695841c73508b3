//! Upgrades that succeed.

use anyhow::{Result, bail, ensure};
use e2e::{
    job::{Job, SOURCE_UID, Version},
    namespace::Sandbox,
    records::{self, Violation},
    wait,
};
use flink_savepoint_operator::api::RestoreMode;
use serde_json::json;

use crate::story::{self, Upgraded};

/// With CLAIM the savepoint becomes the new job's own.
pub async fn is_claimed(sandbox: &Sandbox, upgraded: &Upgraded) -> Result<()> {
    let mode = story::submission(&upgraded.job)?.restore_mode;
    ensure!(mode == Some(RestoreMode::Claim), "{mode:?}");
    // Flink deletes a claimed savepoint with its second checkpoint or so: the mode was really set.
    wait::until("Flink deletes the savepoint that it claimed", story::SOON, async || {
        Ok(if sandbox.env.s3.has_metadata(&upgraded.location).await? {
            wait::Seen::NotYet(format!("{} is whole", upgraded.location))
        } else {
            wait::Seen::Yes(())
        })
    })
    .await
}

/// The rules that the records are judged by can go red on a real run: a source whose uid was changed starts anew, and
/// the count does not.
pub async fn source_uid_changed_is_seen(sandbox: &Sandbox, version: Version) -> Result<()> {
    let job = Job::counting(&sandbox.env, "orders", version);
    let before = story::started(sandbox, &job).await?;
    let other = format!("other-{SOURCE_UID}");
    let changed = job.counting_with(200, &["--source-uid", &other]).set("/spec/job/allowNonRestoredState", json!(true));
    let after = story::upgraded(sandbox, &before, &changed).await?;
    let records = story::writes(sandbox, "orders", &story::submission(&after.job)?.job_id).await?;
    match records::check(&records) {
        Err(Violation::Count { s: 0, c, .. }) if c > 1 => Ok(()),
        other => bail!("the source's state was dropped, and the rules say {other:?}"),
    }
}
