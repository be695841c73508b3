//! Upgrades by the operator, whatever the strategy.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use flink_savepoint_operator::api::{FlinkJobUpgrade, UpgradeResult, labels};

use super::super::{
    JOB,
    by_operator::{job_id, revision, started},
    clock::now_ms,
    marks,
};
use crate::{job::Job, namespace::Sandbox, wait};

/// For pods, a gigabyte written and read, and a checkpoint.
const UPGRADE: Duration = Duration::from_secs(300);

/// A job in the hands of the operator.
pub struct ByOperator<'a> {
    sandbox: &'a Sandbox,
    job: FlinkJobUpgrade,
}

impl<'a> ByOperator<'a> {
    /// Starts the job, with a store for its snapshots.
    ///
    /// # Errors
    /// It does not become Ready, or writes no records.
    pub async fn start(sandbox: &'a Sandbox, job: &Job) -> Result<Self> {
        Ok(Self { sandbox, job: started(sandbox, job, UPGRADE).await? })
    }

    /// The running job's id.
    ///
    /// # Errors
    /// None runs.
    pub fn job(&self) -> Result<&str> {
        job_id(&self.job)
    }

    /// Its resource.
    #[must_use]
    pub fn resource(&self) -> &FlinkJobUpgrade {
        &self.job
    }

    /// Applies a changed manifest, and waits until nothing is left of the old revision. Milliseconds until it was Ready.
    ///
    /// # Errors
    /// It does not succeed.
    pub async fn upgrade(&mut self, changed: &Job) -> Result<i64> {
        let old = revision(&self.job)?;
        let begin = now_ms();
        self.sandbox.apply(changed).await?;
        // While a fork runs beside it, the job is Ready, too.
        let done = |job: &FlinkJobUpgrade| {
            wait::holds(job, "Stalled") || revision(job).is_ok_and(|now| now > old) && wait::holds(job, "Ready")
        };
        self.job = wait::on(&self.sandbox.jobs(), JOB, "it is upgraded", UPGRADE, done).await?;
        let ready = now_ms();
        let newest = self.job.status.as_ref().and_then(|status| status.history.first()).context("no history")?;
        ensure!(newest.result == UpgradeResult::Succeeded, "{newest:?}");
        marks::no_pods(self.sandbox, &format!("{}={JOB},{}={old}", labels::JOB, labels::REVISION)).await?;
        Ok(ready - begin)
    }
}
