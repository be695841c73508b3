//! The same upgrade without an operator: a new cluster made of the same objects and warmed by the same job, then stop,
//! submit and wait over Flink's REST API, asked every 20 ms; and the same by other strategies. Nothing is recorded in
//! between and nothing could be resumed, so this is the limit.

use std::{fmt::Debug, time::Duration};

use anyhow::{Context as _, Result, bail};
use flink_savepoint_operator::{
    api::{FlinkJobUpgradeSpec, UpgradeStrategy, labels},
    flink::{
        ClaimMode, Client, Connector, JobId, JobState, RunRequest, SavepointFormat, SavepointOperation,
        SavepointRequest, StopRequest, TriggerId,
    },
    naming,
    upgrade::workload::{self, Rendered},
};
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Resource, ResourceExt as _,
    api::{DeleteParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Instant, sleep};

use super::{JOB, clock::now_ms, marks, samples::Parts};
use crate::{
    flink::Flink,
    job::Job,
    namespace::Sandbox,
    wait::{self, Seen},
};

/// How often the JobManagers are asked while the job is down.
const POLL: Duration = Duration::from_millis(20);
/// For a savepoint, or until the tasks run: a gigabyte is written or read meanwhile.
const STEP: Duration = Duration::from_secs(180);
/// Pods, two JVMs, and the warm-up.
const START: Duration = Duration::from_secs(180);

/// A job in nobody's hands but ours.
pub struct ByHand<'a> {
    sandbox: &'a Sandbox,
    helper_jar: Vec<u8>,
    connector: Connector,
    active: Cluster,
    job: JobId,
}

/// A revision's cluster.
struct Cluster {
    rendered: Rendered,
    client: Client,
    flink: Flink,
}

impl<'a> ByHand<'a> {
    /// Starts the job; `helper_jar` holds the warm-up.
    ///
    /// # Errors
    /// Its cluster does not come up, or it writes no records.
    pub async fn start(sandbox: &'a Sandbox, job: &Job, helper_jar: Vec<u8>) -> Result<Self> {
        let connector = Connector::new()?;
        let active = Box::pin(cluster(sandbox, &connector, job, &helper_jar, 1)).await?;
        let id = active.submit(sandbox, None).await?;
        marks::writes(sandbox, id.as_str()).await?;
        Ok(Self { sandbox, helper_jar, connector, active, job: id })
    }

    /// The running job's id.
    #[must_use]
    pub fn job(&self) -> &str {
        self.job.as_str()
    }

    /// Upgrades the job to a changed manifest as a strategy does, until nothing is left of the old cluster. Milliseconds
    /// until all of its tasks run, and with `BlueGreen` the old job has ended.
    ///
    /// # Errors
    /// A request fails.
    pub async fn upgrade_by(
        &mut self,
        changed: &Job,
        strategy: UpgradeStrategy,
        format: SavepointFormat,
    ) -> Result<i64> {
        let begin = now_ms();
        let number = self.active.rendered.revision + 1;
        let (sandbox, connector, old) = (self.sandbox, &self.connector, &self.active);
        let new = if strategy == UpgradeStrategy::Recreate {
            let new = Box::pin(without_tasks(sandbox, connector, changed, &self.helper_jar, number)).await?;
            new.answers().await?;
            new
        } else {
            Box::pin(cluster(sandbox, connector, changed, &self.helper_jar, number)).await?
        };
        let beside = strategy == UpgradeStrategy::BlueGreen;
        let location = if beside {
            old.savepoint(sandbox, &self.job, format).await?
        } else {
            old.stop(sandbox, &self.job, format).await?
        };
        if strategy == UpgradeStrategy::Recreate {
            delete(sandbox, &old.rendered.deployment).await?;
            marks::no_pods(sandbox, &format!("{},{}={}", old.labels(), labels::COMPONENT, labels::TASKMANAGER)).await?;
            new.tasks(sandbox).await?;
        }
        let id = new.submit(sandbox, Some(location)).await?;
        if beside {
            old.stop(sandbox, &self.job, format).await?;
        }
        let ready = now_ms();
        Box::pin(self.replaced(new, id)).await?;
        Ok(ready - begin)
    }

    /// Nothing is left of the old cluster.
    async fn replaced(&mut self, new: Cluster, id: JobId) -> Result<()> {
        self.active.delete(self.sandbox).await?;
        self.active = new;
        self.job = id;
        Ok(())
    }

    /// Upgrades the job to a changed manifest, until nothing is left of the old cluster.
    ///
    /// # Errors
    /// A request fails, or records were lost or doubled.
    pub async fn upgrade(&mut self, changed: &Job) -> Result<Parts> {
        let revision = self.active.rendered.revision + 1;
        let new = Box::pin(cluster(self.sandbox, &self.connector, changed, &self.helper_jar, revision)).await?;

        let stop = now_ms();
        let location = self.active.stop(self.sandbox, &self.job, SavepointFormat::Native).await?;
        let submit = now_ms();
        let id = new.submit(self.sandbox, Some(location)).await?;

        let ended = marks::end(&self.active.flink, self.job.as_str()).await?;
        let start = marks::start(&new.flink, id.as_str()).await?;
        let records_ms = marks::gap(self.sandbox, self.job.as_str(), id.as_str()).await?;
        Box::pin(self.replaced(new, id)).await?;
        Ok(Parts {
            records_ms,
            tasks_ms: start.running - ended,
            stop_ms: ended - stop,
            verify_ms: submit - ended,
            submit_ms: start.taken_up - submit,
            running_ms: start.running - start.taken_up,
        })
    }
}

/// Makes a revision's cluster, waits for its slots, and warms it.
async fn cluster(
    sandbox: &Sandbox,
    connector: &Connector,
    job: &Job,
    helper_jar: &[u8],
    number: i64,
) -> Result<Cluster> {
    let cluster = Box::pin(without_tasks(sandbox, connector, job, helper_jar, number)).await?;
    cluster.tasks(sandbox).await?;
    cluster.warm_up(&sandbox.namespace).await?;
    cluster.slots().await?;
    Ok(cluster)
}

/// Makes a revision's cluster, without TaskManagers.
async fn without_tasks(
    sandbox: &Sandbox,
    connector: &Connector,
    job: &Job,
    helper_jar: &[u8],
    number: i64,
) -> Result<Cluster> {
    let spec = job.manifest.get("spec").cloned().context("a manifest without a spec")?;
    let spec: FlinkJobUpgradeSpec = serde_json::from_value(spec)?;
    let owner = sandbox.namespace.as_str();
    let revision = workload::Revision {
        namespace: &sandbox.namespace,
        name: JOB,
        owner_uid: owner,
        number,
        upgrade_id: &naming::upgrade_id(owner, number),
        color: "blue",
        helper_jar,
        // The jar is in the image.
        fetch: &workload::Fetch::default(),
        carrier: None,
    };
    let rendered = workload::render(&revision, &spec)?;
    create(sandbox, &rendered.config_map).await?;
    create(sandbox, &rendered.helper_config_map).await?;
    let service = create(sandbox, &rendered.service).await?;
    create(sandbox, &rendered.stateful_set).await?;

    let address =
        service.spec.as_ref().and_then(|s| s.cluster_ip.as_deref()).context("a Service without an address")?;
    let url = format!("http://{address}:{}", naming::REST_PORT);
    let flink = Flink::behind(&sandbox.client, &sandbox.namespace, &service.name_any()).await?;
    Ok(Cluster { rendered, client: connector.client(&url), flink })
}

impl Cluster {
    /// Makes its TaskManagers, and waits for their slots.
    async fn tasks(&self, sandbox: &Sandbox) -> Result<()> {
        create(sandbox, &self.rendered.deployment).await?;
        self.slots().await
    }

    async fn slots(&self) -> Result<()> {
        let wanted = self.rendered.slots;
        wait::until(&format!("{wanted} slots of revision {}", self.rendered.revision), START, async || {
            Ok(match self.client.overview().await {
                Ok(overview) if overview.slots_available >= wanted => Seen::Yes(()),
                Ok(overview) => Seen::NotYet(format!("{overview:?}")),
                // It is only coming up.
                Err(error) => Seen::NotYet(error.to_string()),
            })
        })
        .await
    }

    async fn warm_up(&self, owner: &str) -> Result<()> {
        let id = JobId::new(naming::warm_up_job_id(owner, self.rendered.revision))?;
        let directory = self.rendered.warm_up_directory.clone();
        let request = RunRequest {
            entry_class: Some(workload::WARM_UP_CLASS.to_owned()),
            args: Vec::new(),
            parallelism: Some(self.rendered.slots),
            flink_configuration: directory
                .map(|it| ("execution.checkpointing.dir".to_owned(), it))
                .into_iter()
                .collect(),
            ..self.request(id.clone())
        };
        self.client.run_jar(naming::HELPER_JAR, &request).await?;
        wait::until("the warm-up is over", START, async || {
            Ok(match self.client.job_status(&id).await? {
                JobState::Finished => Seen::Yes(()),
                state if state.is_terminal() => Seen::Never(format!("{state}")),
                state => Seen::NotYet(format!("{state}")),
            })
        })
        .await
    }

    /// Its JobManager is up.
    async fn answers(&self) -> Result<()> {
        wait::until(&format!("revision {} answers", self.rendered.revision), START, async || {
            Ok(self.client.overview().await.map_or_else(|e| Seen::NotYet(e.to_string()), |_| Seen::Yes(())))
        })
        .await
    }

    /// Stops a job with a savepoint and returns the savepoint's location.
    async fn stop(&self, sandbox: &Sandbox, job: &JobId, format: SavepointFormat) -> Result<String> {
        let trigger_id = TriggerId::new(naming::trigger_id(&sandbox.namespace, self.rendered.revision))?;
        let request = StopRequest { trigger_id: trigger_id.clone(), directory: None, format, drain: false };
        self.client.stop(job, &request).await?;
        self.location(job, &trigger_id).await
    }

    /// Takes a savepoint of a job that runs on.
    async fn savepoint(&self, sandbox: &Sandbox, job: &JobId, format: SavepointFormat) -> Result<String> {
        let owner = format!("{}-fork", sandbox.namespace);
        let trigger_id = TriggerId::new(naming::trigger_id(&owner, self.rendered.revision))?;
        let request = SavepointRequest { trigger_id: trigger_id.clone(), directory: None, format };
        self.client.trigger_savepoint(job, &request).await?;
        self.location(job, &trigger_id).await
    }

    async fn location(&self, job: &JobId, trigger: &TriggerId) -> Result<String> {
        let deadline = Instant::now() + STEP;
        while Instant::now() < deadline {
            match self.client.savepoint_status(job, trigger).await? {
                SavepointOperation::Completed { location } => return Ok(location),
                SavepointOperation::Failed { cause } => bail!("savepoint of {job}: {cause}"),
                SavepointOperation::InProgress => sleep(POLL).await,
            }
        }
        bail!("savepoint of {job}: not within {STEP:?}")
    }

    /// Submits the revision's job and waits until all of its tasks run.
    async fn submit(&self, sandbox: &Sandbox, restore: Option<String>) -> Result<JobId> {
        let id = JobId::new(naming::job_id(&sandbox.namespace, self.rendered.revision, 1))?;
        let claim_mode = restore.as_ref().map(|_| ClaimMode::NoClaim);
        let request = RunRequest { savepoint_path: restore, claim_mode, ..self.request(id.clone()) };
        self.client.run_jar(naming::JOB_JAR, &request).await?;
        let deadline = Instant::now() + STEP;
        while Instant::now() < deadline {
            let jobs = self.client.jobs().await?;
            if jobs.iter().any(|job| job.id == id && job.state == JobState::Running && job.tasks.all_running()) {
                return Ok(id);
            }
            sleep(POLL).await;
        }
        bail!("the tasks of {id} do not run within {STEP:?}")
    }

    fn request(&self, job_id: JobId) -> RunRequest {
        let submission = &self.rendered.submission;
        RunRequest {
            job_id,
            entry_class: submission.entry_class.clone(),
            args: submission.args.clone(),
            parallelism: Some(submission.parallelism),
            savepoint_path: None,
            allow_non_restored_state: None,
            claim_mode: None,
            flink_configuration: std::collections::BTreeMap::new(),
        }
    }

    async fn delete(&self, sandbox: &Sandbox) -> Result<()> {
        delete(sandbox, &self.rendered.stateful_set).await?;
        delete(sandbox, &self.rendered.deployment).await?;
        delete(sandbox, &self.rendered.service).await?;
        delete(sandbox, &self.rendered.config_map).await?;
        delete(sandbox, &self.rendered.helper_config_map).await?;
        marks::no_pods(sandbox, &self.labels()).await
    }

    /// Selects its pods.
    fn labels(&self) -> String {
        format!("{}={JOB},{}={}", labels::JOB, labels::REVISION, self.rendered.revision)
    }
}

async fn create<K>(sandbox: &Sandbox, object: &K) -> Result<K>
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
    K::DynamicType: Default,
{
    Ok(sandbox.api::<K>().create(&PostParams::default(), object).await?)
}

/// Deletes an object, which may be gone already.
async fn delete<K>(sandbox: &Sandbox, object: &K) -> Result<()>
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    K::DynamicType: Default,
{
    let name = object.meta().name.as_deref().context("an object without a name")?;
    match sandbox.api::<K>().delete(name, &DeleteParams::background()).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        deleted => Ok(deleted.map(drop)?),
    }
}
