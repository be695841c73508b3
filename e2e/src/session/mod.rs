//! A Flink session cluster that nobody manages, as a user has one who names it as `flinkCluster`: its objects are the
//! test's own, jobs come by REST, and its processes can be killed at an exact moment.

mod aim;
mod objects;
pub mod process;

use std::{collections::BTreeMap, fmt, fs, io, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail};
use flink_savepoint_operator::flink::{Tls, tls};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams},
};
use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;

pub use self::{aim::Aim, process::Process};

use crate::{
    flink::Flink,
    job::{RECORDS_MOUNT, Version},
    namespace::Sandbox,
    s3::S3,
    wait::{self, Seen},
};

const REST_PORT: u16 = 8081;
/// Name of the counting job's jar among those that were uploaded.
const JAR: &str = "counting.jar";
/// Key prefix of a cluster's checkpoints, below its own.
const CHECKPOINTS: &str = "checkpoints";
/// With which code a JobManager of Flink 2.3.0 ends, each time, where it has stored that a job has ended and was killed before
/// it had cleaned up: a state that its `Dispatcher.onStart` checks does not hold.
pub const NEVER_STARTS: i32 = 239;
/// Key prefix of what its high availability keeps, below its own.
const HIGH_AVAILABILITY: &str = "ha";
/// How long a start may take, of three JVMs and more on a busy machine.
const START: Duration = Duration::from_secs(180);

/// What a session cluster is to be like: `Wish { slots: 2, ..Wish::of(version) }`.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The version of Flink.
    pub version: Version,
    /// Whether its JobManager recovers its jobs, by Kubernetes.
    pub high_availability: bool,
    /// Number of TaskManagers.
    pub task_managers: u32,
    /// Slots of each.
    pub slots: u32,
    /// Whether its REST endpoint speaks HTTPS, certified by an authority that nobody knows.
    pub tls: bool,
    /// More of Flink's configuration; it wins.
    pub configuration: BTreeMap<&'static str, String>,
}

impl Wish {
    /// One TaskManager with one slot, without high availability.
    #[must_use]
    pub fn of(version: Version) -> Self {
        Self {
            version,
            high_availability: false,
            task_managers: 1,
            slots: 1,
            tls: false,
            configuration: BTreeMap::new(),
        }
    }
}

/// A run of the counting job: `Run { parallelism: 2, ..Run::of("orders") }`.
#[derive(Debug, Clone)]
pub struct Run {
    /// The name of its record file, as [`Sandbox::records`] takes it.
    pub records: String,
    /// Numbers a second.
    pub rate: u32,
    /// Parallelism of all but its source.
    pub parallelism: u32,
    /// More fields of the request: `jobId`, `savepointPath`, `flinkConfiguration` and so on.
    pub more: Map<String, Value>,
}

impl Run {
    /// 50 numbers a second, one task each.
    #[must_use]
    pub fn of(records: &str) -> Self {
        Self { records: records.to_owned(), rate: 50, parallelism: 1, more: Map::new() }
    }
}

/// What a counting job can be made to do while it runs; `README.md` of the jobs says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Each snapshot takes so long on the task that has data.
    SnapshotsTake(Duration),
    /// Each task takes so long to commit a snapshot; the tasks of a job that is stopped end only after that.
    CommitsTake(Duration),
    /// Each snapshot fails.
    SnapshotsFail,
    /// No record is processed: as behind a sink that is stuck, a barrier does not get through.
    Held,
}

impl Behaviour {
    fn file(self, records: &str) -> String {
        let word = match self {
            Self::SnapshotsTake(_) => "slow",
            Self::CommitsTake(_) => "commit",
            Self::SnapshotsFail => "fails",
            Self::Held => "held",
        };
        format!("{records}.log.{word}")
    }
}

/// One life of a process: another one after each death.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Of the pod.
    pub uid: String,
    /// Of the container in it.
    pub restarts: i32,
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.uid, self.restarts)
    }
}

/// A session cluster in the namespace of a test, with which it ends.
#[derive(Clone)]
pub struct SessionCluster {
    /// Name of its Service; other objects' begin with it.
    pub name: String,
    /// Its JobManager, whichever process that is.
    pub flink: Flink,
    /// The certificate of the authority of its endpoint, as PEM, if that speaks HTTPS.
    pub authority: Option<String>,
    wish: Wish,
    client: Client,
    namespace: String,
    s3: S3,
    records: PathBuf,
}

impl Sandbox {
    /// Makes a session cluster and waits until all its slots are there.
    ///
    /// # Errors
    /// The API server refuses an object, or the cluster does not come up.
    pub async fn session_cluster(&self, name: &str, wish: Wish) -> Result<SessionCluster> {
        objects::apply(self, name, &wish).await.with_context(|| format!("session cluster {name}"))?;
        let mut flink = Flink::of(&self.client, &self.namespace, name).await?;
        let mut authority = None;
        if wish.tls {
            let pem = self.authority_of(name).await?;
            let secret = BTreeMap::from([(tls::CA.to_owned(), pem.clone().into_bytes())]);
            flink = flink.over_tls(Tls::new(Some(&secret), &format!("{name}.{}.svc", self.namespace))?);
            authority = Some(pem);
        }
        let cluster = SessionCluster {
            name: name.to_owned(),
            flink,
            authority,
            wish,
            client: self.client.clone(),
            namespace: self.namespace.clone(),
            s3: self.env.s3.clone(),
            records: self.env.records.join(&self.namespace),
        };
        cluster.complete().await?;
        Ok(cluster)
    }

    /// The certificate of the authority of a cluster's endpoint, as PEM: its pod makes it at its start.
    async fn authority_of(&self, cluster: &str) -> Result<String> {
        let certified = |pod: &Pod| {
            let all = pod.status.as_ref()?.init_container_statuses.as_ref()?;
            let done = all.iter().find(|one| one.name == objects::CERTIFY)?.state.as_ref()?.terminated.as_ref()?;
            done.message.clone().filter(|message| message.contains("END CERTIFICATE"))
        };
        let pods = self.api::<Pod>();
        let what = "its certificate is made";
        let pod = wait::on(&pods, &job_manager_pod(cluster), what, START, |pod| certified(pod).is_some()).await?;
        certified(&pod).context("no certificate")
    }
}

impl SessionCluster {
    /// The version of Flink.
    #[must_use]
    pub fn version(&self) -> Version {
        self.wish.version
    }

    /// Whether it has high availability.
    #[must_use]
    pub fn high_availability(&self) -> bool {
        self.wish.high_availability
    }

    /// Waits until the JobManager answers and has all slots of all TaskManagers, and of none that is dead: it believes
    /// in one for some 15 s more.
    ///
    /// # Errors
    /// Not within three minutes.
    pub async fn complete(&self) -> Result<()> {
        self.has_slots("complete", |_| true).await
    }

    /// Waits until it is complete and no slot is taken.
    ///
    /// # Errors
    /// Not within three minutes.
    pub async fn idle(&self) -> Result<()> {
        self.has_slots("idle", |known| known.get("freeSlots") == known.get("slotsNumber")).await
    }

    async fn has_slots(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Result<()> {
        wait::until(&format!("session cluster {} {what}", self.name), START, async || {
            let known = match self.task_managers().await {
                Ok(known) => known,
                Err(e) => return Ok(Seen::NotYet(format!("{e:#}"))),
            };
            let slots = |known: &Value| known.get("slotsNumber") == Some(&json!(self.wish.slots));
            let mut good = known.len() == usize::try_from(self.wish.task_managers)?;
            for one in &known {
                good = good && slots(one) && holds(one) && TcpStream::connect(address(one)).await.is_ok();
            }
            Ok(if good { Seen::Yes(()) } else { Seen::NotYet(format!("{known:?}")) })
        })
        .await
    }

    async fn task_managers(&self) -> Result<Vec<Value>> {
        let mut answer = self.flink.get("/taskmanagers").await?;
        let known = answer.get_mut("taskmanagers").and_then(Value::as_array_mut);
        known.map(std::mem::take).context("no TaskManagers in the answer")
    }

    /// Submits the counting job, and returns its id.
    ///
    /// # Errors
    /// The JobManager refuses it, or does not answer.
    pub async fn run(&self, run: &Run) -> Result<String> {
        let out = format!("{RECORDS_MOUNT}/{}.log", run.records);
        let mut body = run.more.clone();
        body.insert("entryClass".to_owned(), json!("dev.savepoints.jobs.CountingJob"));
        body.insert("parallelism".to_owned(), json!(run.parallelism));
        body.insert("programArgsList".to_owned(), json!(["--out", out, "--rate", run.rate.to_string()]));
        let path = format!("/jars/{JAR}/run");
        let (status, answer) = self.flink.request(Method::POST, &path, Some(&Value::Object(body))).await?;
        let id = answer.get("jobid").and_then(Value::as_str);
        id.map(str::to_owned).with_context(|| format!("POST {path}: {status}: {answer}"))
    }

    /// Waits until all tasks of a job run.
    ///
    /// # Errors
    /// Not within a minute, or the job has ended.
    pub async fn running(&self, job: &str) -> Result<()> {
        wait::until(&format!("all tasks of job {job} run"), Duration::from_secs(60), async || {
            let jobs = self.flink.get("/jobs/overview").await?;
            let jobs = jobs.get("jobs").and_then(Value::as_array).context("no jobs in the answer")?;
            let job = jobs.iter().find(|known| known.get("jid").and_then(Value::as_str) == Some(job));
            let at = |pointer: &str| job.and_then(|job| job.pointer(pointer));
            let state = at("/state").and_then(Value::as_str).unwrap_or("unknown");
            let all = at("/tasks/running") == at("/tasks/total") && at("/tasks/total") != Some(&json!(0));
            Ok(match state {
                "RUNNING" if all => Seen::Yes(()),
                "FINISHED" | "CANCELED" | "FAILED" => Seen::Never(state.to_owned()),
                _ => Seen::NotYet(format!("{job:?}")),
            })
        })
        .await
    }

    /// Makes the counting job with these records behave so from now on.
    ///
    /// # Errors
    /// The record volume cannot be written.
    pub fn behave(&self, records: &str, behaviour: Behaviour) -> Result<()> {
        let file = self.records.join(behaviour.file(records));
        let text = match behaviour {
            Behaviour::SnapshotsTake(time) | Behaviour::CommitsTake(time) => time.as_millis().to_string(),
            Behaviour::SnapshotsFail | Behaviour::Held => String::new(),
        };
        // Whole or not at all: the job may read it at any time.
        let part = file.with_extension("part");
        fs::write(&part, text).and_then(|()| fs::rename(&part, &file)).with_context(|| file.display().to_string())
    }

    /// Ends a behaviour, if the job shows it.
    ///
    /// # Errors
    /// The record volume cannot be written.
    pub fn behave_no_more(&self, records: &str, behaviour: Behaviour) -> Result<()> {
        let file = self.records.join(behaviour.file(records));
        match fs::remove_file(&file) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).with_context(|| file.display().to_string()),
            _ => Ok(()),
        }
    }

    /// The JobManager's process as it is now.
    ///
    /// # Errors
    /// There is none.
    pub async fn instance(&self) -> Result<Instance> {
        let pod = self.pod(&job_manager_pod(&self.name)).await?;
        let restarts = aim::restarts(&pod);
        Ok(Instance { uid: pod.metadata.uid.context("a pod without a uid")?, restarts })
    }

    /// The exit code with which the JobManager's process has ended last, if it has.
    ///
    /// # Errors
    /// The API server does not answer, or its pod is not there.
    pub async fn job_manager_exit(&self) -> Result<Option<i32>> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        // Between two pods there is none.
        let status = pods.get_opt(&job_manager_pod(&self.name)).await?.and_then(|pod| pod.status);
        let containers = status.and_then(|status| status.container_statuses).unwrap_or_default();
        let ended = containers.into_iter().find_map(|container| {
            let now = container.state.and_then(|state| state.terminated);
            now.or(container.last_state.and_then(|state| state.terminated))
        });
        Ok(ended.map(|ended| ended.exit_code))
    }

    /// Kills the JobManager's process (`kill -9`). It is started again by itself.
    ///
    /// # Errors
    /// It does not run, or not on this machine.
    pub async fn kill_job_manager(&self) -> Result<()> {
        self.aim_at_job_manager().await?.now().await
    }

    /// Replaces the JobManager's pod by a new one, in an orderly way.
    ///
    /// # Errors
    /// The API server does not answer, or the old one does not go.
    pub async fn replace_job_manager(&self) -> Result<()> {
        let name = job_manager_pod(&self.name);
        let old = self.instance().await?;
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        pods.delete(&name, &DeleteParams::default()).await?;
        let other = |pod: &Pod| pod.metadata.uid.as_ref() != Some(&old.uid);
        wait::on(&pods, &name, "another pod", START, other).await.map(drop)
    }

    /// Has it start anew, without what high availability keeps, and so without its jobs.
    ///
    /// # Errors
    /// The API server or S3 does not answer.
    pub async fn make_anew(&self) -> Result<()> {
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        for name in self.high_availability_maps().await? {
            maps.delete(&name, &DeleteParams::default()).await?;
        }
        for key in self.s3.list(&format!("{}/{HIGH_AVAILABILITY}/", self.prefix())).await? {
            self.s3.remove(&key).await?;
        }
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        pods.delete(&job_manager_pod(&self.name), &DeleteParams::default()).await?;
        Ok(())
    }

    /// Kills a TaskManager's process (`kill -9`), by its number from 0. It is started again by itself.
    ///
    /// # Errors
    /// It does not run, or not on this machine.
    pub async fn kill_task_manager(&self, number: u32) -> Result<()> {
        self.aim_at_task_manager(number).await?.now().await
    }

    /// The JobManager's process, to be killed at a moment.
    ///
    /// # Errors
    /// It does not run, or not on this machine.
    pub async fn aim_at_job_manager(&self) -> Result<Aim> {
        self.aim(&job_manager_pod(&self.name)).await
    }

    /// A TaskManager's process, by its number from 0, to be killed at a moment.
    ///
    /// # Errors
    /// It does not run, or not on this machine.
    pub async fn aim_at_task_manager(&self, number: u32) -> Result<Aim> {
        self.aim(&format!("{}-{number}", objects::task_manager(&self.name))).await
    }

    /// The number of a TaskManager of which a slot is taken.
    ///
    /// # Errors
    /// There is none.
    pub async fn busy_task_manager(&self) -> Result<u32> {
        let known = self.task_managers().await?;
        let busy = known.iter().filter(|one| one.get("freeSlots") != one.get("slotsNumber"));
        let busy: Vec<&str> = busy.filter_map(|one| address(one).split(':').next()).collect();
        for number in 0..self.wish.task_managers {
            let pod = self.pod(&format!("{}-{number}", objects::task_manager(&self.name))).await?;
            if pod.status.and_then(|status| status.pod_ip).is_some_and(|address| busy.contains(&address.as_str())) {
                return Ok(number);
            }
        }
        bail!("no TaskManager with a task has a pod: {known:?}")
    }

    /// The names of the ConfigMaps that high availability has.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn high_availability_maps(&self) -> Result<Vec<String>> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        // Not its label `configmap-type`: 2.3 has none.
        let theirs = ListParams::default().labels(&format!("app={},type=flink-native-kubernetes", self.name));
        Ok(api.list(&theirs).await?.items.into_iter().filter_map(|map| map.metadata.name).collect())
    }

    /// A key prefix of the bucket that is this cluster's own.
    #[must_use]
    pub fn prefix(&self) -> String {
        prefix(&self.namespace, &self.name)
    }

    /// The key prefix of a job's checkpoints.
    #[must_use]
    pub fn checkpoints(&self, job: &str) -> String {
        format!("{}/{CHECKPOINTS}/{job}/", self.prefix())
    }

    async fn pod(&self, name: &str) -> Result<Pod> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        Ok(api.get(name).await?)
    }

    async fn aim(&self, name: &str) -> Result<Aim> {
        let pod = self.pod(name).await?;
        let pods = Api::namespaced(self.client.clone(), &self.namespace);
        Aim::at(pod, pods, self.s3.clone())
    }
}

/// Where a TaskManager that the JobManager knows listens: its id is `<address>:<port>-<random>`.
fn address(known: &Value) -> &str {
    let id = known.get("id").and_then(Value::as_str).unwrap_or_default();
    id.rsplit_once('-').map_or(id, |(address, _)| address)
}

fn prefix(namespace: &str, cluster: &str) -> String {
    format!("sessions/{namespace}/{cluster}")
}

fn job_manager_pod(cluster: &str) -> String {
    format!("{}-0", objects::job_manager(cluster))
}
