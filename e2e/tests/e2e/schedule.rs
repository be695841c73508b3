//! Savepoints by the clock, beside the CronJobs of Kubernetes' own controller.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use e2e::{
    job::{Job, Version},
    namespace::Sandbox,
    wait::{self, Seen},
};
use flink_savepoint_operator::{
    api::{FlinkSavepointSchedule, SavepointPhase, labels},
    naming,
};
use k8s_openapi::api::batch::v1::{CronJob, Job as BatchJob};
use kube::{
    ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::story;

/// For the slots of some minutes.
const MINUTES: Duration = Duration::from_secs(240);
/// One that starts with the next minute, one that is suspended over it, and one that then is too late.
const NAMES: [&str; 3] = ["plain", "paused", "too-late"];

/// Each schedule starts in the minutes in which a CronJob of the same fields does; and each of its savepoints is one that
/// is complete. Then the job is suspended, and its slots are skipped.
pub async fn beside_cron_jobs(sandbox: &Sandbox, version: Version) -> Result<()> {
    let job = Job::counting(&sandbox.env, "orders", version);
    story::started(sandbox, &job).await?;
    // Far from the next minute: what is created is seen before it.
    wait::until("the minute begins", MINUTES, async || {
        let seconds = Utc::now().timestamp() % 60;
        Ok(if (1..20).contains(&seconds) { Seen::Yes(()) } else { Seen::NotYet(format!("{seconds} s")) })
    })
    .await?;
    let first = Utc::now().duration_trunc(TimeDelta::minutes(1))? + TimeDelta::minutes(1);
    for name in NAMES {
        let mut fields = json!({"schedule": "* * * * *", "concurrencyPolicy": "Allow", "suspend": name != "plain"});
        if name == "too-late" {
            merged(&mut fields, json!({"startingDeadlineSeconds": 10}));
        }
        schedule(sandbox, name, fields).await?;
    }
    passed(first + TimeDelta::seconds(25)).await?;
    for name in ["paused", "too-late"] {
        let patch = Patch::Merge(json!({"spec": {"suspend": false}}));
        sandbox.api::<FlinkSavepointSchedule>().patch(name, &PatchParams::default(), &patch).await?;
        sandbox.api::<CronJob>().patch(name, &PatchParams::default(), &patch).await?;
    }
    passed(first + TimeDelta::seconds(85)).await?;
    for name in NAMES {
        let patch = Patch::Merge(json!({"spec": {"suspend": true}}));
        sandbox.api::<FlinkSavepointSchedule>().patch(name, &PatchParams::default(), &patch).await?;
        sandbox.api::<CronJob>().patch(name, &PatchParams::default(), &patch).await?;
    }
    let minutes = |started: &[i64]| -> BTreeSet<DateTime<Utc>> {
        started.iter().map(|minute| first + TimeDelta::minutes(*minute)).collect()
    };
    let expected: BTreeMap<&str, BTreeSet<DateTime<Utc>>> =
        [("plain", minutes(&[0, 1])), ("paused", minutes(&[0, 1])), ("too-late", minutes(&[1]))].into();
    for (name, expected) in &expected {
        let by_kubernetes = jobs_of(sandbox, name).await?;
        ensure!(by_kubernetes == *expected, "CronJob {name}: {by_kubernetes:?} instead of {expected:?}");
        let slots = savepoints_of(sandbox, name, first).await?;
        ensure!(slots == *expected, "FlinkSavepointSchedule {name}: {slots:?} instead of {expected:?}");
    }

    sandbox.apply_ready(&job.set("/spec/job/state", json!("suspended")), story::UPGRADE).await?;
    let patch = Patch::Merge(json!({"spec": {"suspend": false}}));
    sandbox.api::<FlinkSavepointSchedule>().patch("plain", &PatchParams::default(), &patch).await?;
    let skipped = |schedule: &FlinkSavepointSchedule| schedule.status.as_ref().is_some_and(|s| s.missed > Some(0));
    wait::on(&sandbox.api::<FlinkSavepointSchedule>(), "plain", "a slot is skipped", MINUTES, skipped).await?;
    let slots = savepoints_of(sandbox, "plain", first).await?;
    ensure!(Some(&slots) == expected.get("plain"), "of a suspended job: {slots:?}");
    Ok(())
}

/// A FlinkSavepointSchedule of the job, and a CronJob that starts no pod, with the same fields.
async fn schedule(sandbox: &Sandbox, name: &str, fields: Value) -> Result<()> {
    let template = json!({"spec": {"jobRef": {"kind": "FlinkJobUpgrade", "name": "orders"}}});
    let mut ours = json!({
        "apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkSavepointSchedule",
        "spec": {"savepointTemplate": template},
    });
    merged(&mut ours, json!({"spec": fields}));
    sandbox.put::<FlinkSavepointSchedule>(name, ours).await?;
    let container = json!({"name": "none", "image": "none"});
    let pod = json!({"spec": {"restartPolicy": "Never", "containers": [container]}});
    let mut theirs = json!({
        "apiVersion": "batch/v1", "kind": "CronJob",
        "spec": {"jobTemplate": {"spec": {"suspend": true, "template": pod}}},
    });
    merged(&mut theirs, json!({"spec": fields}));
    sandbox.put::<CronJob>(name, theirs).await.map(drop)
}

fn merged(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merged(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}

async fn passed(moment: DateTime<Utc>) -> Result<()> {
    wait::until(&format!("it is {moment}"), MINUTES, async || {
        Ok(if Utc::now() >= moment { Seen::Yes(()) } else { Seen::NotYet(Utc::now().to_string()) })
    })
    .await
}

/// The minutes of a CronJob's Jobs: the end of their names.
async fn jobs_of(sandbox: &Sandbox, cron_job: &str) -> Result<BTreeSet<DateTime<Utc>>> {
    let jobs = sandbox.api::<BatchJob>().list(&ListParams::default()).await?;
    let ours = jobs.items.iter().map(ResourceExt::name_any);
    let minutes = ours.filter_map(|name| name.strip_prefix(&format!("{cron_job}-"))?.parse::<i64>().ok());
    Ok(minutes.filter_map(|minute| DateTime::from_timestamp(minute * 60, 0)).collect())
}

/// The slots of a schedule's savepoints, each of which is complete.
async fn savepoints_of(sandbox: &Sandbox, schedule: &str, first: DateTime<Utc>) -> Result<BTreeSet<DateTime<Utc>>> {
    let label = format!("{}={schedule}", labels::SCHEDULE);
    let made = sandbox.savepoints().list(&ListParams::default().labels(&label)).await?;
    let mut slots = BTreeSet::new();
    for savepoint in made.items {
        let name = savepoint.name_any();
        let slot = (-5..10).map(|minute| first + TimeDelta::minutes(minute));
        let slot = slot.into_iter().find(|slot| naming::slot_name(schedule, *slot) == name);
        slots.insert(slot.with_context(|| format!("{name} is named after no slot"))?);
        let completed = |s: &_| phase(s) == Some(SavepointPhase::Completed);
        wait::on(&sandbox.savepoints(), &name, "it is complete", story::UPGRADE, completed).await?;
    }
    Ok(slots)
}

fn phase(savepoint: &flink_savepoint_operator::api::FlinkSavepoint) -> Option<SavepointPhase> {
    savepoint.status.as_ref().and_then(|status| status.phase)
}
