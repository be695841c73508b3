//! Savepoints that keep themselves in order: what is in the bucket is what records name.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    job::{CHECKPOINTS, Job, SAVEPOINTS, Version},
    namespace::Sandbox,
    wait::{self, Seen},
};
use flink_savepoint_operator::api::{FlinkJobUpgrade, FlinkSavepoint, FlinkSavepointSchedule, annotations};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::json;

use crate::{store, story};

/// The files of a savepoint were deleted; the resource is there.
pub const FILES_GONE: &str = "savepoint.dispose.after";
/// So many upgrades, and so many savepoints of a schedule in between.
const UPGRADES: u32 = 30;
const SAVEPOINTS_OF_EACH: u32 = 4;
/// What is kept of them.
const HISTORY: usize = 2;
const LAST: usize = 3;
/// Deletions follow one after the other, and what somebody needed is looked at again later.
const ORDERED: Duration = Duration::from_secs(180);

/// After very many upgrades and savepoints the bucket holds exactly what records name, and these are as many as the
/// limits allow. Then the newest savepoint is deleted: it waits for its job, and goes by force.
pub async fn kept_in_order(sandbox: &Sandbox, version: Version) -> Result<()> {
    sandbox.create_store(store::RIGHT).await?;
    let job = Job::counting(&sandbox.env, "orders", version)
        .never_empty()
        .set("/spec/revisionHistoryLimit", json!(HISTORY))
        .set("/spec/deletion/job", json!("Cancel"));
    let mut runs = story::started(sandbox, &job).await?;
    let template = json!({"spec": {"jobRef": {"kind": "FlinkJobUpgrade", "name": "orders"}}});
    let schedule = json!({
        "apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkSavepointSchedule",
        // Its own slots are far away.
        "spec": {"schedule": "0 0 1 1 *", "retention": {"keepLast": LAST}, "savepointTemplate": template},
    });
    sandbox.put::<FlinkSavepointSchedule>("often", schedule).await?;
    for number in 0..UPGRADES {
        let changed = job.clone().rate(200 + 10 * (number % 5 + 1));
        runs = story::upgraded(sandbox, &runs, &changed).await.with_context(|| format!("upgrade {number}"))?.job;
        for nth in 0..SAVEPOINTS_OF_EACH {
            taken(sandbox, &format!("{number}-{nth}")).await?;
        }
    }
    in_order(sandbox, &runs).await?;

    let newest = newest(sandbox).await?;
    sandbox.savepoints().delete(&newest, &DeleteParams::default()).await?;
    let waits = |s: &FlinkSavepoint| {
        let message = s.status.as_ref().and_then(|s| s.message.as_deref()).unwrap_or_default();
        message.contains("FlinkJobUpgrade orders: it is the newest verified savepoint of its job")
    };
    let held = wait::on(&sandbox.savepoints(), &newest, "says for whom it waits", story::SOON, waits).await?;
    let location = held.status.and_then(|s| s.location).context("it has a location")?;
    ensure!(sandbox.env.s3.has_metadata(&location).await?, "{location} is gone, though it is needed");
    let armed = sandbox.operator.arm(FILES_GONE, &sandbox.namespace).await?;
    let patch = Patch::Merge(json!({"metadata": {"annotations": {annotations::FORCE_DELETE: newest}}}));
    sandbox.savepoints().patch(&newest, &PatchParams::default(), &patch).await?;
    armed.fired(story::SOON).await?;
    wait::gone::<FlinkSavepoint>(&sandbox.savepoints(), &newest, story::SOON).await?;
    let left = sandbox.env.s3.list(&format!("{}/", sandbox.env.s3.key(&location)?)).await?;
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}

/// One more savepoint by the schedule, and its end.
async fn taken(sandbox: &Sandbox, id: &str) -> Result<()> {
    let api = sandbox.api::<FlinkSavepointSchedule>();
    let patch = Patch::Merge(json!({"metadata": {"annotations": {annotations::RUN_NOW: id}}}));
    api.patch("often", &PatchParams::default(), &patch).await?;
    let over = |schedule: &FlinkSavepointSchedule| {
        let status = schedule.status.clone().unwrap_or_default();
        status.run_now_id.as_deref() == Some(id) && status.active.is_empty()
    };
    wait::on(&api, "often", &format!("savepoint {id} is settled"), story::UPGRADE, over).await.map(drop)
}

/// Of savepoints and checkpoints the bucket holds what records name, and nothing else.
async fn in_order(sandbox: &Sandbox, job: &FlinkJobUpgrade) -> Result<()> {
    let submission = story::submission(job)?;
    wait::until("the bucket holds what records name", ORDERED, async || {
        let records = sandbox.savepoints().list(&ListParams::default()).await?.items;
        let named: BTreeSet<String> = records.iter().filter_map(|s| s.status.as_ref()?.location.clone()).collect();
        let there = story::directories(sandbox, SAVEPOINTS).await?;
        let prefix = format!("{CHECKPOINTS}/{}/orders/", sandbox.namespace);
        let keys = sandbox.env.s3.list(&prefix).await?;
        let jobs: BTreeSet<&str> = keys.iter().filter_map(|key| key.strip_prefix(&prefix)?.split('/').next()).collect();
        // Those of the history, and the last of the schedule.
        let enough = records.len() <= HISTORY + LAST + 1;
        let alone = jobs == BTreeSet::from([submission.job_id.as_str()]);
        Ok(if named == there && enough && alone {
            Seen::Yes(())
        } else {
            Seen::NotYet(format!("records {named:#?}, savepoints {there:#?}, jobs with checkpoints {jobs:?}"))
        })
    })
    .await
}

async fn newest(sandbox: &Sandbox) -> Result<String> {
    let records = sandbox.savepoints().list(&ListParams::default()).await?.items;
    let newest = records.iter().max_by_key(|s| s.status.as_ref().and_then(|s| s.completion_time.clone()));
    Ok(newest.context("there is no savepoint")?.name_any())
}
