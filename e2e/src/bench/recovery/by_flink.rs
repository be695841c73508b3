//! A job with Kubernetes high availability, which nobody helps: Flink recovers it by itself. A session cluster of the
//! same size, with the same heartbeats and the same job.

use anyhow::Result;

use super::Recovery;
use crate::{
    bench::{JOB, RATES, clock::now_ms, marks},
    job::Version,
    namespace::Sandbox,
    session::{Run, SessionCluster, Wish},
};

/// A job in nobody's hands.
pub struct ByFlink<'a> {
    sandbox: &'a Sandbox,
    cluster: SessionCluster,
    job: String,
}

impl<'a> ByFlink<'a> {
    /// Starts the cluster and the job.
    ///
    /// # Errors
    /// It does not come up, or the job writes no records.
    pub async fn start(sandbox: &'a Sandbox, version: Version) -> Result<Self> {
        let configuration = [
            ("execution.checkpointing.interval", "2s".to_owned()),
            ("execution.checkpointing.num-retained", "2".to_owned()),
            ("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION".to_owned()),
        ];
        let wish = Wish { high_availability: true, configuration: configuration.into(), ..Wish::of(version) };
        let cluster = sandbox.session_cluster("ha", wish).await?;
        let [rate, _] = RATES;
        let job = cluster.run(&Run { rate, ..Run::of(JOB) }).await?;
        marks::writes(sandbox, &job).await?;
        Ok(Self { sandbox, cluster, job })
    }

    /// Kills the JobManager's process, and waits until the job goes on.
    ///
    /// # Errors
    /// It does not, or records were lost.
    pub async fn recovery(&self) -> Result<Recovery> {
        let process = self.cluster.aim_at_job_manager().await?;
        let killed = now_ms();
        process.now().await?;
        let start = marks::again(&self.cluster.flink, &self.job, killed).await?;
        let resumed = marks::resumed(self.sandbox, killed).await?;
        Ok(Recovery {
            old_tasks_ms: resumed.last - killed,
            tasks_ms: start.running - killed,
            records_ms: resumed.first - killed,
            repeated: resumed.repeated,
        })
    }

    /// Gives the JobManager a new pod, and waits until the job goes on: a process that is killed for the second time in
    /// one pod is started again only after the kubelet's pause.
    ///
    /// # Errors
    /// It does not.
    pub async fn renew(&self) -> Result<()> {
        let begin = now_ms();
        self.cluster.replace_job_manager().await?;
        marks::again(&self.cluster.flink, &self.job, begin).await?;
        marks::resumed(self.sandbox, begin).await?;
        marks::writes(self.sandbox, &self.job).await
    }
}
