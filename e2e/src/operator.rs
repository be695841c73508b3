//! The operator under test: its pod, its logs and metrics, and how a test makes it die at a chosen point.

use std::{net::IpAddr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, LogParams},
};
use tokio::sync::{Mutex, MutexGuard};

use crate::wait::{self, Seen};

/// The operator's namespace.
pub const NAMESPACE: &str = "flink-savepoint-operator";
const SELECTOR: &str = "app.kubernetes.io/name=flink-savepoint-operator";
const ADMIN_PORT: u16 = 8080;
const START: Duration = Duration::from_secs(90);

/// Failpoints live in the memory of one process: who arms one must be the only one to make the operator die.
static DEATH: Mutex<()> = Mutex::const_new(());

/// The operator, wherever its pod is now.
#[derive(Clone)]
pub struct Operator {
    pods: Api<Pod>,
    http: reqwest::Client,
}

/// An armed failpoint; nobody else can arm one until it is dropped.
#[must_use = "a failpoint that nobody waits for proves nothing"]
pub struct Armed<'a> {
    operator: &'a Operator,
    name: String,
    pod: String,
    _alone: MutexGuard<'static, ()>,
}

impl Operator {
    /// The operator of a cluster.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self::installed_in(client, NAMESPACE)
    }

    /// One that was installed in another namespace.
    #[must_use]
    pub fn installed_in(client: Client, namespace: &str) -> Self {
        Self { pods: Api::namespaced(client, namespace), http: reqwest::Client::new() }
    }

    /// The one pod that runs and is ready.
    ///
    /// # Errors
    /// None becomes ready; the message says what there is.
    pub async fn pod(&self) -> Result<Pod> {
        wait::until("the operator's pod is ready", START, async || {
            let mut pods = self.pods.list(&ListParams::default().labels(SELECTOR)).await?.items;
            pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
            Ok(match pods.iter().find(|pod| is_ready(pod)) {
                Some(pod) => Seen::Yes(pod.clone()),
                None => Seen::NotYet(format!("{:#?}", pods.iter().map(|pod| &pod.status).collect::<Vec<_>>())),
            })
        })
        .await
    }

    /// Makes the operator die at a failpoint when it next passes there for an object of namespace `key`.
    ///
    /// A container that died before is restarted only after a growing pause, so a pod that has is replaced first.
    ///
    /// # Errors
    /// The operator is not there, or it has no failpoints (its image was built without the feature).
    pub async fn arm(&self, name: &str, key: &str) -> Result<Armed<'_>> {
        let alone = DEATH.lock().await;
        let mut pod = self.pod().await?;
        if restarts(&pod) > 0 {
            let old = name_of(&pod)?;
            self.pods.delete(&old, &DeleteParams::default()).await?;
            wait::gone(&self.pods, &old, START).await?;
            pod = self.pod().await?;
        }
        let url = format!("{}/failpoints/{name}?key={key}", admin(&pod)?);
        let answer =
            self.http.put(&url).timeout(Duration::from_secs(5)).send().await.context("operator's admin port")?;
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        ensure!(status.is_success(), "PUT {url}: {status}: {text} (an image for tests is built with failpoints)");
        Ok(Armed { operator: self, name: name.to_owned(), pod: name_of(&pod)?, _alone: alone })
    }

    /// The last lines of the operator's log; `previous` for those of the container that died.
    ///
    /// # Errors
    /// There is no such log.
    pub async fn log(&self, lines: i64, previous: bool) -> Result<String> {
        let mut text = String::new();
        for pod in self.pods.list(&ListParams::default().labels(SELECTOR)).await?.items {
            let parameters = LogParams { tail_lines: Some(lines), previous, ..LogParams::default() };
            text.push_str(&self.pods.logs(&name_of(&pod)?, &parameters).await?);
        }
        Ok(text)
    }

    /// The text of `/metrics`.
    ///
    /// # Errors
    /// The admin port does not answer.
    pub async fn metrics(&self) -> Result<String> {
        let url = format!("{}/metrics", admin(&self.pod().await?)?);
        let answer = self.http.get(url).timeout(Duration::from_secs(5)).send().await?.error_for_status()?;
        Ok(answer.text().await?)
    }
}

impl Armed<'_> {
    /// Waits until the operator died at the failpoint and is back.
    ///
    /// # Errors
    /// It did not die, or does not come back.
    pub async fn fired(self, deadline: Duration) -> Result<()> {
        let what = format!("the operator dies at {} and is back", self.name);
        wait::on(&self.operator.pods, &self.pod, &what, deadline, |pod| restarts(pod) > 0).await?;
        self.operator.pod().await?;
        Ok(())
    }
}

fn admin(pod: &Pod) -> Result<String> {
    let ip = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()).context("the operator's pod has no IP")?;
    let ip: IpAddr = ip.parse()?;
    Ok(match ip {
        IpAddr::V4(ip) => format!("http://{ip}:{ADMIN_PORT}"),
        IpAddr::V6(ip) => format!("http://[{ip}]:{ADMIN_PORT}"),
    })
}

fn name_of(pod: &Pod) -> Result<String> {
    pod.metadata.name.clone().context("a pod without a name")
}

fn containers(pod: &Pod) -> &[ContainerStatus] {
    pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default()
}

fn is_ready(pod: &Pod) -> bool {
    !containers(pod).is_empty() && containers(pod).iter().all(|container| container.ready)
}

fn restarts(pod: &Pod) -> i32 {
    containers(pod).iter().map(|container| container.restart_count).sum()
}
