//! A job without high availability, in the hands of the operator.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use flink_savepoint_operator::{
    api::{FlinkJobUpgrade, OperationKind, UpgradeResult, labels},
    naming,
};
use k8s_openapi::api::core::v1::Pod;
use tokio::time::Instant;

use super::{OperatorRecovery, Recovery};
use crate::{
    bench::{
        JOB,
        by_operator::{flink, job_id, revision, started},
        clock::now_ms,
        marks,
        timeline::{Change, Timeline},
    },
    flink::Flink,
    job::{Job, MAIN_CONTAINER},
    namespace::Sandbox,
    session::Process,
    wait,
};

/// For pods, two JVMs, the warm-up and a checkpoint.
const DEADLINE: Duration = Duration::from_secs(180);

/// A job in the hands of the operator.
pub struct ByOperator<'a> {
    sandbox: &'a Sandbox,
    job: FlinkJobUpgrade,
}

impl<'a> ByOperator<'a> {
    /// Starts the job, with a store by which its checkpoints are looked for and verified.
    ///
    /// # Errors
    /// It does not become Ready, or writes no records.
    pub async fn start(sandbox: &'a Sandbox, job: &Job) -> Result<Self> {
        Ok(Self { sandbox, job: started(sandbox, job, DEADLINE).await? })
    }

    /// The active revision's JobManager.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn flink(&self) -> Result<Flink> {
        flink(self.sandbox, &self.job).await
    }

    /// Kills the JobManager's process, and follows the recovery to its end.
    ///
    /// # Errors
    /// It does not succeed, or records were lost, or two jobs wrote at a time.
    pub async fn recovery(&mut self) -> Result<OperatorRecovery> {
        let old = job_id(&self.job)?.to_owned();
        let name = naming::job_manager_pod_name(JOB, revision(&self.job)?);
        let pod = self.sandbox.api::<Pod>().get(&name).await?;
        let process = Process::of(&pod, MAIN_CONTAINER)?;
        let mut timeline = Timeline::open(self.sandbox).await?;
        let killed = now_ms();
        process.kill()?;

        let (mut noticed, mut submit) = (None, None);
        let deadline = Instant::now() + DEADLINE;
        loop {
            let (at, change) = timeline.next(deadline).await.context("a recovery by the operator")?;
            let Change::Job(job) = change else { continue };
            if wait::holds(&*job, "Stalled") {
                bail!("a recovery by the operator: {}", wait::describe(&*job));
            }
            let status = job.status.as_ref().context("no status")?;
            let recovers = status.operation.as_ref().is_some_and(|it| it.kind == OperationKind::Recovery);
            if recovers {
                noticed.get_or_insert(at);
            }
            if recovers && status.upgrade.as_ref().is_some_and(|upgrade| upgrade.submission.is_some()) {
                submit.get_or_insert(at);
            }
            if wait::holds(&*job, "Ready") && job_id(&job)? != old {
                self.job = *job;
                break;
            }
        }
        drop(timeline);
        let history = self.job.status.as_ref().and_then(|status| status.history.first()).context("no history")?;
        ensure!(history.result == UpgradeResult::Recovered, "{history:?}");
        let (noticed, submit) = (noticed.context("it was not noticed")?, submit.context("nothing was submitted")?);
        let start = marks::start(&self.flink().await?, job_id(&self.job)?).await?;
        let resumed = marks::resumed(self.sandbox, killed).await?;
        Ok(OperatorRecovery {
            recovery: Recovery {
                old_tasks_ms: resumed.last - killed,
                tasks_ms: start.running - killed,
                records_ms: resumed.first - killed,
                repeated: resumed.repeated,
            },
            noticed_ms: noticed - killed,
            fenced_ms: submit - noticed,
            submit_ms: start.taken_up - submit,
            running_ms: start.running - start.taken_up,
        })
    }

    /// Moves the job to new pods, by an upgrade: a process that is killed for the second time in one pod is started
    /// again only after the kubelet's pause.
    ///
    /// # Errors
    /// The upgrade does not succeed.
    pub async fn renew(&mut self, changed: &Job) -> Result<()> {
        let old = revision(&self.job)?;
        self.job = self.sandbox.apply_ready(changed, DEADLINE).await?;
        marks::writes(self.sandbox, job_id(&self.job)?).await?;
        marks::no_pods(self.sandbox, &format!("{}={JOB},{}={old}", labels::JOB, labels::REVISION)).await
    }
}
