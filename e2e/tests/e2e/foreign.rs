//! Savepoints of jobs that nobody manages, on a session cluster that is killed at exact moments.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    job::Version,
    namespace::Sandbox,
    session::{Behaviour, NEVER_STARTS, Run, SessionCluster, Wish},
    wait,
};
use flink_savepoint_operator::api::{FlinkSavepoint, FlinkSavepointStatus};
use kube::{ResourceExt as _, api::ListParams};
use serde_json::{Value, json};

/// How long a savepoint may take here: a JobManager's restart, and the pause before another attempt, included.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// A session cluster, and FlinkSavepoints of its jobs.
pub struct Foreign<'a> {
    pub sandbox: &'a Sandbox,
    pub cluster: SessionCluster,
}

impl<'a> Foreign<'a> {
    /// Makes the session cluster, and a FlinkSnapshotStore of the name `s3`.
    pub async fn new(sandbox: &'a Sandbox, wish: Wish) -> Result<Self> {
        let (cluster, ()) = futures::try_join!(sandbox.session_cluster("flink", wish), sandbox.create_store("s3"))?;
        Ok(Self { sandbox, cluster })
    }

    /// Starts a job, and waits until all its tasks run.
    pub async fn job(&self, records: &str, parallelism: u32) -> Result<String> {
        let job = self.cluster.run(&Run { parallelism, ..Run::of(records) }).await?;
        self.cluster.running(&job).await?;
        Ok(job)
    }

    /// Below which the savepoints go.
    pub fn target(&self) -> String {
        self.sandbox.env.s3.url(&format!("{}/savepoints", self.cluster.prefix()))
    }

    /// Creates a FlinkSavepoint of a job; `more` are fields of its spec.
    pub async fn take(&self, name: &str, job: &str, more: Value) -> Result<FlinkSavepoint> {
        let mut spec = json!({
            "flinkCluster": {"service": self.cluster.name, "jobId": job},
            "targetDirectory": self.target(),
        });
        if let (Some(spec), Value::Object(more)) = (spec.as_object_mut(), more) {
            spec.extend(more);
        }
        let manifest = json!({"apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkSavepoint", "spec": spec});
        self.sandbox.put(name, manifest).await
    }

    /// Where the savepoints of a FlinkSavepoint go.
    fn directory(&self, savepoint: &FlinkSavepoint) -> String {
        let (name, uid) = (savepoint.name_any(), savepoint.uid().unwrap_or_default());
        let first: String = uid.chars().take(8).collect();
        format!("{}/{}/{name}-{first}", self.target(), self.sandbox.namespace)
    }

    /// Waits until the savepoint is there: its files were checked, and it is the only one that is left of it.
    pub async fn completed(&self, name: &str) -> Result<FlinkSavepointStatus> {
        let savepoint = wait::ready(&self.sandbox.savepoints(), name, DEADLINE).await?;
        ensure!(wait::holds(&savepoint, "Verified"), "{name} was not checked: {}", wait::describe(&savepoint));
        let status = savepoint.status.clone().context("no status")?;
        let location = status.location.clone().context("no location")?;
        ensure!(self.sandbox.env.s3.has_metadata(&location).await?, "{location} has no _metadata");
        let own = own_directory(&status)?;
        let what = format!("{name}: only the kept savepoint is left");
        let left = wait::until(&what, DEADLINE, async || {
            let left = self.sandbox.env.s3.list(self.sandbox.env.s3.key(&own)?).await?;
            let kept = self.sandbox.env.s3.key(&location)?;
            let others: Vec<_> = left.iter().filter(|key| !key.starts_with(kept)).collect();
            Ok(if others.is_empty() { wait::Seen::Yes(left) } else { wait::Seen::NotYet(format!("{others:?}")) })
        });
        let left = left.await?;
        let whole = left.iter().filter(|key| key.ends_with("/_metadata")).count();
        ensure!(whole == 1, "{name}: {whole} savepoints are left: {left:?}");
        Ok(status)
    }

    /// Waits until Ready of a savepoint has this reason.
    pub async fn says(&self, name: &str, reason: &str) -> Result<FlinkSavepoint> {
        let of =
            |s: &FlinkSavepoint| wait::condition(s, "Ready").and_then(|c| Some(c.get("reason")?.as_str()? == reason));
        wait::on(&self.sandbox.savepoints(), name, reason, DEADLINE, |s| of(s) == Some(true)).await
    }

    /// The state of a job, by its JobManager's word.
    pub async fn state(&self, job: &str) -> Result<Option<String>> {
        let jobs = self.cluster.flink.jobs().await?;
        Ok(jobs.into_iter().find(|(id, _)| id == job).map(|(_, state)| state))
    }

    /// Nothing is stuck, and each FlinkSavepoint of this cluster has made one savepoint and no more: all that are whole
    /// in the bucket are theirs.
    pub async fn one_each(&self) -> Result<BTreeSet<String>> {
        let kept = wait::until("nothing holds a FlinkSavepoint any more", DEADLINE, async || {
            let mut kept = BTreeSet::new();
            for savepoint in self.sandbox.savepoints().list(&ListParams::default()).await?.items {
                if !savepoint.metadata.finalizers.as_ref().is_none_or(Vec::is_empty) {
                    return Ok(wait::Seen::NotYet(wait::describe(&savepoint)));
                }
                kept.extend(savepoint.status.and_then(|status| status.location));
            }
            Ok(wait::Seen::Yes(kept))
        });
        let kept = kept.await?;
        let whole = self.sandbox.env.s3.snapshots(self.sandbox.env.s3.key(&self.target())?).await?;
        ensure!(whole == kept, "whole savepoints {whole:#?}, of FlinkSavepoints {kept:#?}");
        Ok(kept)
    }

    /// The checkpoint history of a job has these savepoints, and no other was ever begun.
    pub async fn history_has(&self, job: &str, locations: &[String]) -> Result<()> {
        let expected: BTreeSet<&str> = locations.iter().map(String::as_str).collect();
        // The JobManager may answer by what it knew some seconds before.
        let entries = wait::until("the history has all savepoints", DEADLINE, async || {
            let entries = self.cluster.flink.savepoints(job).await?;
            let known: BTreeSet<&str> = entries.iter().filter_map(|at| at.as_deref()).collect();
            Ok(if known.is_superset(&expected) {
                wait::Seen::Yes(entries)
            } else {
                wait::Seen::NotYet(format!("{known:#?}, expected {expected:#?}"))
            })
        });
        let entries = entries.await?;
        ensure!(entries.len() == expected.len(), "the history has {entries:#?}, expected {expected:#?}");
        Ok(())
    }
}

/// The directory of a FlinkSavepoint's attempts.
fn own_directory(status: &FlinkSavepointStatus) -> Result<String> {
    let attempt = status.attempts.first().context("no attempt")?;
    let (own, _) = attempt.directory.rsplit_once('/').context("no directory")?;
    Ok(own.to_owned())
}

/// How each attempt ended.
pub fn results(status: &FlinkSavepointStatus) -> Vec<String> {
    let word = |result: &str| result.split(':').next().unwrap_or_default().to_owned();
    status.attempts.iter().map(|a| word(a.result.as_deref().unwrap_or_default())).collect()
}

/// Without high availability: taken, refused, stopped under backpressure, cancelled, and a stop whose TaskManager dies.
pub async fn clusters(sandbox: &Sandbox, version: Version) -> Result<()> {
    let foreign = Foreign::new(sandbox, Wish { task_managers: 2, ..Wish::of(version) }).await?;
    let job = foreign.job("plain", 1).await?;
    let named = json!({"flinkCluster": {"service": "flink"}});
    foreign.take("daily", &job, named).await?;
    let status = foreign.completed("daily").await?;
    ensure!(results(&status) == ["Completed"], "{:?}", status.attempts);
    ensure!(foreign.state(&job).await?.as_deref() == Some("RUNNING"), "the job runs on");

    // Refused, each with its reason.
    foreign.take("nobody", &"0".repeat(32), json!({})).await?;
    foreign.says("nobody", "JobNotFound").await?;
    foreign.take("hdfs", &job, json!({"targetDirectory": "hdfs://nowhere/sp"})).await?;
    foreign.says("hdfs", "UnknownFileSystem").await?;
    foreign.take("nowhere", &job, json!({"targetDirectory": "s3://no-such-bucket/sp", "backoffLimit": 0})).await?;
    foreign.says("nowhere", "StorageFailed").await?;

    // Full buffers: the stop hangs, that can be seen, and nothing second is sent.
    foreign.cluster.behave("plain", Behaviour::Held)?;
    foreign.take("held", &job, json!({"then": "Stop", "timeout": "3s"})).await?;
    let overdue = |s: &FlinkSavepoint| wait::holds(s, "Overdue") && s.metadata.finalizers.is_some();
    wait::on(&sandbox.savepoints(), "held", "Overdue", DEADLINE, overdue).await?;
    foreign.cluster.behave_no_more("plain", Behaviour::Held)?;
    let status = foreign.completed("held").await?;
    ensure!(results(&status) == ["Completed"], "{:?}", status.attempts);
    ensure!(foreign.state(&job).await?.as_deref() == Some("FINISHED"), "the job has ended");

    let job = foreign.job("cancelled", 1).await?;
    foreign.take("cancel", &job, json!({"then": "Cancel"})).await?;
    foreign.completed("cancel").await?;
    ensure!(foreign.state(&job).await?.as_deref() == Some("CANCELED"), "the job was cancelled");

    task_manager_dies(&foreign).await
}

/// ha-facts F: the savepoint of a stop is whole, and a TaskManager dies before the job has ended.
async fn task_manager_dies(foreign: &Foreign<'_>) -> Result<()> {
    foreign.cluster.behave("failing", Behaviour::CommitsTake(Duration::from_secs(5)))?;
    let job = foreign.job("failing", 2).await?;
    let number = foreign.cluster.busy_task_manager().await?;
    let aim = foreign.cluster.aim_at_task_manager(number).await?;
    let taken = foreign.take("failing", &job, json!({"then": "Stop"})).await?;
    aim.as_metadata_appears(&foreign.directory(&taken), DEADLINE).await?;
    let status = foreign.completed("failing").await?;
    ensure!(status.uncommitted == Some(true), "that it may not be committed is said: {status:?}");
    ensure!(foreign.state(&job).await?.as_deref() == Some("FAILED"), "the job has failed for good");
    Ok(())
}

/// With high availability the JobManager is killed while it takes a savepoint: the cases of ha-facts C.
pub async fn killed(sandbox: &Sandbox, version: Version) -> Result<()> {
    let wish = Wish { high_availability: true, slots: 2, ..Wish::of(version) };
    let foreign = Foreign::new(sandbox, wish).await?;
    let job = foreign.job("killed", 1).await?;
    let slow = Behaviour::SnapshotsTake(Duration::from_secs(4));

    // A savepoint, in the middle: nothing came of it, and another attempt is made.
    foreign.cluster.behave("killed", slow)?;
    foreign.take("middle", &job, json!({})).await?;
    under_way(&foreign, "middle").await?;
    foreign.cluster.kill_job_manager().await?;
    let status = foreign.completed("middle").await?;
    ensure!(results(&status) == ["JobManagerLost", "Completed"], "{:?}", status.attempts);

    // A stop, in the middle: it is forgotten, and the job runs on.
    foreign.take("stop-middle", &job, json!({"then": "Stop"})).await?;
    under_way(&foreign, "stop-middle").await?;
    foreign.cluster.kill_job_manager().await?;
    let status = foreign.completed("stop-middle").await?;
    ensure!(results(&status) == ["JobManagerLost", "Completed"], "{:?}", status.attempts);
    ended(&foreign, &job).await?;
    foreign.cluster.behave_no_more("killed", slow)?;

    // A stop, as its savepoint is whole: the job runs on from before it, so it is superseded.
    let job = foreign.job("whole", 1).await?;
    let aim = foreign.cluster.aim_at_job_manager().await?;
    let taken = foreign.take("stop-whole", &job, json!({"then": "Stop"})).await?;
    aim.as_metadata_appears(&foreign.directory(&taken), DEADLINE).await?;
    let status = foreign.completed("stop-whole").await?;
    ensure!(results(&status) == ["Superseded", "Completed"], "{:?}", status.attempts);
    ended(&foreign, &job).await?;

    // A stop, right after the job was seen FINISHED.
    let job = foreign.job("finished", 1).await?;
    let aim = foreign.cluster.aim_at_job_manager().await?;
    foreign.take("stop-finished", &job, json!({"then": "Stop"})).await?;
    wait::until("the job is FINISHED", DEADLINE, async || {
        Ok(match foreign.state(&job).await?.as_deref() {
            Some("FINISHED") => wait::Seen::Yes(()),
            other => wait::Seen::NotYet(format!("{other:?}")),
        })
    })
    .await?;
    aim.now().await?;
    if !comes_back(&foreign, "stop-finished").await? {
        ensure!(version == Version::V2_3, "the JobManager does not start any more");
        return waits_for_it(&foreign, "stop-finished").await;
    }
    let status = foreign.completed("stop-finished").await?;
    eprintln!("killed after FINISHED: {:?}", results(&status));
    ended(&foreign, &job).await
}

/// Whether a JobManager that was killed comes back.
async fn comes_back(foreign: &Foreign<'_>, name: &str) -> Result<bool> {
    wait::until("the JobManager is back, or never will be", DEADLINE, async || {
        let savepoint = foreign.sandbox.savepoints().get(name).await?;
        let exit = foreign.cluster.job_manager_exit().await?;
        Ok(match exit {
            _ if wait::holds(&savepoint, "Ready") => wait::Seen::Yes(true),
            Some(NEVER_STARTS) => wait::Seen::Yes(false),
            _ => wait::Seen::NotYet(wait::describe(&savepoint)),
        })
    })
    .await
}

/// Whether the job has ended nobody can say without its JobManager: the savepoint is known, and nothing is sent again.
async fn waits_for_it(foreign: &Foreign<'_>, name: &str) -> Result<()> {
    let savepoint = foreign.says(name, "JobManagerUnreachable").await?;
    let status = savepoint.status.context("no status")?;
    let [attempt] = status.attempts.as_slice() else { anyhow::bail!("one attempt is enough: {:?}", status.attempts) };
    let location = attempt.location.clone().context("the savepoint is not known")?;
    ensure!(attempt.result.is_none() && foreign.sandbox.env.s3.has_metadata(&location).await?, "{attempt:?}");
    eprintln!("killed after FINISHED: Flink does not start any more");
    Ok(())
}

/// Flink has accepted the request and writes.
pub async fn under_way(foreign: &Foreign<'_>, name: &str) -> Result<()> {
    let in_progress = |s: &FlinkSavepoint| {
        s.status.as_ref().and_then(|s| s.phase).is_some_and(|phase| phase.as_str() == "InProgress")
    };
    wait::on(&foreign.sandbox.savepoints(), name, "InProgress", DEADLINE, in_progress).await.map(drop)
}

/// The job does not run, and will not: nothing is left from which it could be recovered.
async fn ended(foreign: &Foreign<'_>, job: &str) -> Result<()> {
    let state = foreign.state(job).await?;
    ensure!(matches!(state.as_deref(), None | Some("FINISHED")), "the job is {state:?}");
    let maps = foreign.cluster.high_availability_maps().await?;
    ensure!(!maps.iter().any(|name| name.contains(job)), "{maps:?}");
    foreign.cluster.complete().await
}
