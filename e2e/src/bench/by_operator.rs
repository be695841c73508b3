//! Upgrades and savepoints by the operator.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use flink_savepoint_operator::{
    api::{FlinkJobUpgrade, SavepointPhase, UpgradeResult, UpgradeStep, labels},
    naming,
};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;
use tokio::time::Instant;

use super::{
    JOB,
    clock::now_ms,
    marks,
    samples::{OperatorUpgrade, Parts},
    timeline::{Change, Timeline},
};
use crate::{flink::Flink, job::Job, namespace::Sandbox, wait};

/// For pods, two JVMs, the warm-up and a checkpoint.
const UPGRADE: Duration = Duration::from_secs(180);

/// A job in the hands of the operator.
pub struct ByOperator<'a> {
    sandbox: &'a Sandbox,
    job: FlinkJobUpgrade,
    flink: Flink,
}

/// What is seen of an upgrade while it goes on, milliseconds since 1970.
#[derive(Debug, Default)]
struct Course {
    stop: Option<i64>,
    ended: Option<i64>,
    submit: Option<i64>,
}

impl<'a> ByOperator<'a> {
    /// Starts the job.
    ///
    /// # Errors
    /// It does not become Ready, or writes no records.
    pub async fn start(sandbox: &'a Sandbox, job: &Job) -> Result<Self> {
        let job = started(sandbox, job, UPGRADE).await?;
        let flink = flink(sandbox, &job).await?;
        Ok(Self { sandbox, job, flink })
    }

    /// Applies a changed manifest and follows the upgrade to its end, until nothing is left of the old revision.
    ///
    /// # Errors
    /// It does not succeed, or records were lost or doubled.
    pub async fn upgrade(&mut self, changed: &Job) -> Result<OperatorUpgrade> {
        let (old, old_id) = (revision(&self.job)?, job_id(&self.job)?.to_owned());
        let mut timeline = Timeline::open(self.sandbox).await?;
        let mut course = Course::default();
        let begin = now_ms();
        let applied = self.sandbox.apply(changed).await?;
        let deadline = Instant::now() + UPGRADE;
        let ready = loop {
            let (at, change) = timeline.next(deadline).await.context("an upgrade by the operator")?;
            match change {
                Change::Savepoint(savepoint) => {
                    let attempts = savepoint.status.as_ref().map(|status| status.attempts.as_slice());
                    if attempts.unwrap_or_default().iter().any(|attempt| attempt.job_id == old_id)
                        && is_child(&savepoint.metadata)
                    {
                        course.stop.get_or_insert(at);
                    }
                }
                Change::Job(job) => {
                    if job.metadata.generation < applied.metadata.generation {
                        continue;
                    }
                    if wait::holds(&*job, "Stalled") {
                        bail!("an upgrade by the operator: {}", wait::describe(&*job));
                    }
                    if wait::holds(&*job, "Ready") {
                        self.job = *job;
                        break at;
                    }
                    let upgrade = job.status.as_ref().and_then(|status| status.upgrade.as_ref());
                    if upgrade.is_some_and(|upgrade| upgrade.submission.is_some()) {
                        course.submit.get_or_insert(at);
                    }
                    // Its JobManager is still there, and the new job runs: asking disturbs nobody any more.
                    if upgrade.is_some_and(|upgrade| upgrade.step == UpgradeStep::Stabilizing) && course.ended.is_none()
                    {
                        course.ended = Some(marks::end(&self.flink, &old_id).await?);
                    }
                }
            }
        };
        drop(timeline);
        self.flink = flink(self.sandbox, &self.job).await?;
        let new_id = job_id(&self.job)?;
        let start = marks::start(&self.flink, new_id).await?;
        let records_ms = marks::gap(self.sandbox, &old_id, new_id).await?;
        marks::no_pods(self.sandbox, &format!("{}={JOB},{}={old}", labels::JOB, labels::REVISION)).await?;

        let stop = course.stop.context("the attempt to stop was not seen")?;
        let submit = course.submit.context("the decision to submit was not seen")?;
        let ended = course.ended.context("the end of the old job was not seen")?;
        let history = self.job.status.as_ref().and_then(|status| status.history.first()).context("no history")?;
        if history.result != UpgradeResult::Succeeded {
            bail!("an upgrade by the operator: {history:?}");
        }
        Ok(OperatorUpgrade {
            parts: Parts {
                records_ms,
                tasks_ms: start.running - ended,
                stop_ms: ended - stop,
                verify_ms: submit - ended,
                submit_ms: start.taken_up - submit,
                running_ms: start.running - start.taken_up,
            },
            ready_ms: ready - begin,
            status_seconds: history.downtime_seconds.context("downtimeSeconds is missing")?,
        })
    }

    /// Takes a savepoint of the running job: milliseconds from the apply to Completed.
    ///
    /// # Errors
    /// It is not completed.
    pub async fn savepoint(&mut self, name: &str) -> Result<i64> {
        let mut timeline = Timeline::open(self.sandbox).await?;
        let begin = now_ms();
        self.sandbox.take_savepoint(name, JOB, json!({"formatType": "NATIVE"})).await?;
        let deadline = Instant::now() + marks::SOON;
        loop {
            let (at, change) = timeline.next(deadline).await.with_context(|| format!("savepoint {name}"))?;
            let Change::Savepoint(savepoint) = change else { continue };
            if savepoint.metadata.name.as_deref() != Some(name) {
                continue;
            }
            match savepoint.status.as_ref().and_then(|status| status.phase) {
                Some(SavepointPhase::Completed) => return Ok(at - begin),
                Some(SavepointPhase::Failed) => bail!("savepoint {name}: {}", wait::describe(&*savepoint)),
                _ => {}
            }
        }
    }

    /// The job's resource.
    #[must_use]
    pub fn resource(&self) -> &FlinkJobUpgrade {
        &self.job
    }

    /// The active revision's JobManager.
    #[must_use]
    pub fn flink(&self) -> &Flink {
        &self.flink
    }
}

/// Starts a job and waits until it writes records. It has a store, as a user would have one: with it every upgrade looks
/// for the files of its savepoint, while the job is down, and a recovery for the newest checkpoint.
pub(super) async fn started(sandbox: &Sandbox, job: &Job, deadline: Duration) -> Result<FlinkJobUpgrade> {
    sandbox.create_store("snapshots").await?;
    let job = sandbox.apply_ready(job, deadline).await?;
    marks::writes(sandbox, job_id(&job)?).await?;
    Ok(job)
}

/// The helper jar that the operator gives to a job's revisions.
///
/// # Errors
/// The active revision has none.
pub async fn helper_jar(sandbox: &Sandbox, job: &FlinkJobUpgrade) -> Result<Vec<u8>> {
    let name = naming::helper_name(JOB, revision(job)?);
    let map = sandbox.api::<ConfigMap>().get(&name).await?;
    let jar = map.binary_data.and_then(|mut data| data.remove(naming::HELPER_JAR));
    Ok(jar.with_context(|| format!("ConfigMap {name} has no {}", naming::HELPER_JAR))?.0)
}

pub(super) async fn flink(sandbox: &Sandbox, job: &FlinkJobUpgrade) -> Result<Flink> {
    Flink::behind(&sandbox.client, &sandbox.namespace, &naming::revision_name(JOB, revision(job)?)).await
}

fn is_child(savepoint: &kube::api::ObjectMeta) -> bool {
    savepoint.labels.as_ref().is_some_and(|labels| labels.contains_key(naming::LABEL_OPERATION))
}

pub(super) fn revision(job: &FlinkJobUpgrade) -> Result<i64> {
    let active = job.status.as_ref().and_then(|status| status.active.as_ref());
    Ok(active.context("status.active is missing")?.revision)
}

pub(super) fn job_id(job: &FlinkJobUpgrade) -> Result<&str> {
    let active = job.status.as_ref().and_then(|status| status.active.as_ref());
    Ok(&active.context("status.active is missing")?.submission.job_id)
}
