//! A look at Flink itself, past the operator: the REST interface of a revision's JobManager.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fakes::conformance::flink::multipart;
use flink_savepoint_operator::flink::{Tls, Transport as _, transport::Http};
use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client};
use reqwest::Method;
use serde_json::Value;

use crate::wait::{self, Seen};

const PORT: u16 = 8081;
/// For the proxy of the node.
const ANSWERS: Duration = Duration::from_secs(30);

/// One JobManager.
#[derive(Debug, Clone)]
pub struct Flink {
    base: String,
    http: reqwest::Client,
    tls: Option<Tls>,
}

/// Where a job started from, in the JobManager's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Location of the snapshot.
    pub path: String,
    /// False under the claim mode CLAIM, where the savepoint became the job's own checkpoint.
    pub is_savepoint: bool,
}

impl Flink {
    /// The JobManager behind a Service, as soon as it answers there: a node's proxy follows a Service only after a while.
    ///
    /// # Errors
    /// There is no such Service, it has no address, or nobody answers.
    pub async fn behind(client: &Client, namespace: &str, service: &str) -> Result<Self> {
        let flink = Self::of(client, namespace, service).await?;
        wait::until(&format!("Service {service} answers"), ANSWERS, async || {
            Ok(match flink.get("/overview").await {
                Ok(_) => Seen::Yes(()),
                Err(e) => Seen::NotYet(format!("{e:#}")),
            })
        })
        .await?;
        Ok(flink)
    }

    /// The JobManager behind a Service, whether it answers or not.
    ///
    /// # Errors
    /// There is no such Service, or it has no address.
    pub async fn of(client: &Client, namespace: &str, service: &str) -> Result<Self> {
        let api: Api<Service> = Api::namespaced(client.clone(), namespace);
        let ip = api.get(service).await?.spec.and_then(|spec| spec.cluster_ip).filter(|ip| ip != "None");
        let ip = ip.with_context(|| format!("Service {service} has no cluster IP"))?;
        // A connection that is kept leads to the pod that was behind the Service when it was made.
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).build()?;
        Ok(Self { base: format!("http://{ip}:{PORT}"), http, tls: None })
    }

    /// The same by HTTPS.
    #[must_use]
    pub fn over_tls(self, tls: Tls) -> Self {
        Self { base: self.base.replacen("http:", "https:", 1), tls: Some(tls), ..self }
    }

    /// A GET below the REST root, `path` with its leading slash.
    ///
    /// # Errors
    /// Flink does not answer, or not with 200.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let (status, body) = self.request(Method::GET, path, None).await?;
        ensure!((200..300).contains(&status), "GET {}{path}: {status}: {body}", self.base);
        Ok(body)
    }

    /// A request below the REST root, `path` with its leading slash: the status code, and the body as JSON or, if it is
    /// none, as one JSON string.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let url = format!("{}{path}", self.base);
        // The first submit to a JobManager takes seconds.
        let timeout = if method == Method::GET { Duration::from_secs(10) } else { Duration::from_secs(60) };
        if let Some(tls) = &self.tls {
            let request = http::Request::builder().method(method).uri(&url).extension(tls.clone());
            let request = request.header("Content-Type", "application/json");
            let body = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
            let answer = Http::new()?.send(request.body(body)?, timeout).await?;
            let text = String::from_utf8_lossy(answer.body()).into_owned();
            return Ok((answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text))));
        }
        let mut request = self.http.request(method, &url).timeout(timeout);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// Uploads a file by this name as a jar: the status code and the body.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn upload(&self, name: &str, content: &str) -> Result<(u16, Value)> {
        let (boundary, body) = multipart(name, content);
        let request = self.http.post(format!("{}/jars/upload", self.base)).timeout(ANSWERS).body(body);
        let answer = request.header("Content-Type", format!("multipart/form-data; boundary={boundary}")).send().await?;
        let status = answer.status().as_u16();
        Ok((status, answer.json().await?))
    }

    /// Id and state of every job that this JobManager knows, the throw-away one of the warm-up included.
    ///
    /// # Errors
    /// See [`Flink::get`].
    pub async fn jobs(&self) -> Result<Vec<(String, String)>> {
        let answer = self.get("/jobs").await?;
        let jobs = answer.pointer("/jobs").and_then(Value::as_array).context("no jobs in the answer")?;
        let text = |job: &Value, field: &str| job.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(jobs.iter().map(|job| (text(job, "id"), text(job, "status"))).collect())
    }

    /// What a job was restored from; nothing if it started empty.
    ///
    /// # Errors
    /// See [`Flink::get`].
    pub async fn restored(&self, job: &str) -> Result<Option<Restored>> {
        let answer = self.get(&format!("/jobs/{job}/checkpoints")).await?;
        let Some(restored) = answer.pointer("/latest/restored").filter(|restored| !restored.is_null()) else {
            return Ok(None);
        };
        let path = restored.get("external_path").and_then(Value::as_str).context("restored without a path")?;
        let is_savepoint = restored.get("is_savepoint").and_then(Value::as_bool).context("restored without a kind")?;
        Ok(Some(Restored { path: path.to_owned(), is_savepoint }))
    }

    /// The format (`CANONICAL`, `NATIVE`) of the savepoint at a location, as the job's checkpoint history has it.
    ///
    /// # Errors
    /// See [`Flink::get`]; or the history does not know the location.
    pub async fn savepoint_format(&self, job: &str, location: &str) -> Result<String> {
        let history = self.history(job).await?;
        let at = |entry: &&Value| entry.get("external_path").and_then(Value::as_str) == Some(location);
        let format = history.iter().find(at).and_then(|entry| entry.get("savepointFormat")).and_then(Value::as_str);
        format.map(str::to_owned).with_context(|| format!("{location} is not in the history: {history:#?}"))
    }
    /// Where each savepoint lies that was ever begun of a job, the newest first, as far as its checkpoint history goes
    /// back; `None`: nothing came of it, or not yet.
    ///
    /// # Errors
    /// See [`Flink::get`].
    pub async fn savepoints(&self, job: &str) -> Result<Vec<Option<String>>> {
        let mut history = self.history(job).await?;
        history.retain(|entry| entry.get("is_savepoint").and_then(Value::as_bool) == Some(true));
        let path = |entry: &Value| Some(entry.get("external_path")?.as_str()?.to_owned());
        Ok(history.iter().map(path).collect())
    }

    async fn history(&self, job: &str) -> Result<Vec<Value>> {
        let mut answer = self.get(&format!("/jobs/{job}/checkpoints")).await?;
        let history = answer.get_mut("history").and_then(Value::as_array_mut);
        history.map(std::mem::take).context("no history in the answer")
    }
}
