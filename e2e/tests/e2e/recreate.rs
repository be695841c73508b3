//! A namespace without room for two of a job.

use anyhow::Result;
use e2e::{
    job::{Job, Version},
    namespace::Sandbox,
};
use flink_savepoint_operator::api::UpgradeResult;
use k8s_openapi::{
    api::core::v1::{ResourceQuota, ResourceQuotaSpec},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::{Api, api::PostParams};
use serde_json::json;

use crate::{crash, failed_upgrade, story};

/// A job and one more JobManager: with `Prewarm` no upgrade would begin here. The TaskManagers change places, also if the
/// operator dies meanwhile; and change back, when Flink refuses the state.
pub async fn without_room(sandbox: &Sandbox, version: Version) -> Result<()> {
    let quotas: Api<ResourceQuota> = Api::namespaced(sandbox.client.clone(), &sandbox.namespace);
    let hard = Some([("pods".to_owned(), Quantity("3".to_owned()))].into());
    let mut quota = ResourceQuota { spec: Some(ResourceQuotaSpec { hard, ..<_>::default() }), ..<_>::default() };
    quota.metadata.name = Some("three-pods".to_owned());
    quotas.create(&PostParams::default(), &quota).await?;

    let job = Job::counting(&sandbox.env, "orders", version).set("/spec/upgrade/strategy", json!("Recreate"));
    let first = story::started(sandbox, &job).await?;
    let job = job.rate(250);
    let second = crash::survived(sandbox, &first, &job, "upgrade.scale.after").await?.job;

    let dropping = job.clone().counting_with(250, &["--variant", "drops"]);
    sandbox.apply(&dropping.set("/spec/upgrade/preflight", json!("Skip"))).await?;
    failed_upgrade::refused(sandbox, &second, UpgradeResult::RolledBack, "allowNonRestoredState").await?;
    failed_upgrade::heals(sandbox, &job).await
}
