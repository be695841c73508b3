//! What a case has at hand: a client, a namespace, and a memory of all answers.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::transcript::Transcript;

/// Asks for metadata only.
pub(super) const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
/// Asks for a list of metadata only.
pub(super) const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
/// Patches as RFC 7386 has it.
pub(super) const MERGE: &str = "application/merge-patch+json";
/// Plain JSON.
pub(super) const JSON: &str = "application/json";
/// The longest that an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a case has at hand.
pub struct World {
    client: Client,
    namespace: String,
    group: String,
    transcript: Transcript,
}

/// An answer as it came.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) body: Value,
}

impl Answer {
    /// Checks code and reason; an answer that does not refuse has no reason.
    pub(super) fn is(self, code: u16, reason: &str) -> Result<Self> {
        let found = self.body.get("reason").and_then(Value::as_str).unwrap_or_default();
        ensure!(self.code == code && found == reason, "expected {code} {reason:?}, got {self:?}");
        Ok(self)
    }

    /// What is there; null if nothing is.
    pub(super) fn at(&self, pointer: &str) -> Value {
        self.body.pointer(pointer).cloned().unwrap_or_default()
    }

    pub(super) fn version(&self) -> String {
        self.at("/metadata/resourceVersion").as_str().unwrap_or_default().to_owned()
    }

    /// The names of a list's items.
    pub(super) fn names(&self) -> Vec<String> {
        let items = self.at("/items");
        let names = items.as_array().into_iter().flatten().filter_map(|item| item.pointer("/metadata/name")?.as_str());
        names.map(str::to_owned).collect()
    }
}

impl World {
    pub(super) fn new(client: Client, namespace: &str, group: &str) -> Self {
        let (namespace, group) = (namespace.to_owned(), group.to_owned());
        Self { client, namespace, group, transcript: Transcript::default() }
    }

    pub(super) fn transcript(&self) -> String {
        self.transcript.text()
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// A FlinkSavepoint that all rules accept.
    pub(super) fn savepoint(&self, name: &str) -> Value {
        json!({
            "apiVersion": format!("{}/v1alpha1", self.group), "kind": "FlinkSavepoint", "metadata": {"name": name},
            "spec": {"jobRef": {"kind": "FlinkJobUpgrade", "name": "orders"}},
        })
    }

    pub(super) async fn get(&mut self, path: &str) -> Result<Answer> {
        self.send("GET", path, JSON, JSON, None).await
    }

    pub(super) async fn post(&mut self, path: &str, body: Value) -> Result<Answer> {
        self.send("POST", path, JSON, JSON, Some(body)).await
    }

    pub(super) async fn put(&mut self, path: &str, body: Value) -> Result<Answer> {
        self.send("PUT", path, JSON, JSON, Some(body)).await
    }

    pub(super) async fn merge(&mut self, path: &str, changes: Value) -> Result<Answer> {
        self.send("PATCH", path, MERGE, JSON, Some(changes)).await
    }

    pub(super) async fn delete(&mut self, path: &str, options: Value) -> Result<Answer> {
        self.send("DELETE", path, JSON, JSON, Some(options)).await
    }

    /// A patch whose answer is not always the same.
    pub(super) async fn merge_unrecorded(&mut self, path: &str, changes: Value) -> Result<()> {
        answer(self.request("PATCH", path, MERGE, JSON, Some(changes)).await?).await?.is(200, "").map(drop)
    }

    /// A read whose answer, or path, is not always the same.
    pub(super) async fn get_unrecorded(&mut self, path: &str) -> Result<Answer> {
        answer(self.request("GET", path, JSON, JSON, None).await?).await
    }

    /// Sends a request about what is in the case's namespace, such as `configmaps/a`.
    pub(super) async fn send(
        &mut self,
        method: &str,
        path: &str,
        content: &str,
        accept: &str,
        body: Option<Value>,
    ) -> Result<Answer> {
        let answer = answer(self.request(method, path, content, accept, body).await?).await?;
        // Tokens differ from run to run.
        let shown = path.split("&continue=").next().unwrap_or_default();
        self.note(&format!("{method} {shown}: {}", answer.code), &answer.body);
        Ok(answer)
    }

    async fn request(
        &self,
        method: &str,
        path: &str,
        content: &str,
        accept: &str,
        body: Option<Value>,
    ) -> Result<http::Response<Body>> {
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string().into_bytes()));
        let request = http::Request::builder()
            .method(method)
            .uri(self.uri(path))
            .header(http::header::CONTENT_TYPE, content)
            .header(http::header::ACCEPT, accept)
            .body(body)?;
        Ok(timeout(PATIENCE, self.client.send(request)).await.context(path.to_owned())??)
    }

    /// Opens a watch of at most two seconds, in which the rest of the case happens.
    pub(super) async fn open(&mut self, path: &str, accept: &str) -> Result<Watch> {
        let path = format!("{path}{}watch=true&timeoutSeconds=2", if path.contains('?') { '&' } else { '?' });
        let response = self.request("GET", &path, JSON, accept, None).await?;
        // Versions differ from run to run.
        let shown = path.split("resourceVersion=").next().unwrap_or_default().trim_end_matches(['?', '&']).to_owned();
        Ok(Watch { shown, response })
    }

    /// All events of a watch: what happened, and to which object.
    pub(super) async fn events(&mut self, watch: Watch) -> Result<Vec<(String, Value)>> {
        let Watch { shown, response } = watch;
        if !response.status().is_success() {
            bail!("{shown}: the watch was refused: {:?}", answer(response).await?);
        }
        let bytes = timeout(PATIENCE, response.into_body().collect()).await??.to_bytes();
        let mut events = Vec::new();
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let event: Value = serde_json::from_slice(line)?;
            let what = event.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
            let object = event.get("object").cloned().unwrap_or_default();
            // Bookmarks that end nothing come when the server likes.
            if what == "BOOKMARK" && object.pointer("/metadata/annotations").is_none() {
                continue;
            }
            self.note(&format!("WATCH {shown}: {what}"), &object);
            events.push((what, object));
        }
        Ok(events)
    }

    /// A watch that all events have happened before.
    pub(super) async fn watch(&mut self, path: &str, accept: &str) -> Result<Vec<(String, Value)>> {
        let watch = self.open(path, accept).await?;
        self.events(watch).await
    }

    fn note(&mut self, what: &str, answer: &Value) {
        let namespace = self.namespace.clone();
        let group = self.group.clone();
        self.transcript.add(what, answer, &[(&namespace, "NAMESPACE"), (&group, "GROUP")]);
    }

    fn uri(&self, path: &str) -> String {
        let plural = path.split(['/', '?']).next().unwrap_or_default();
        let prefix = match plural {
            "namespaces" => return format!("/api/v1/{path}"),
            "leases" => "/apis/coordination.k8s.io/v1".to_owned(),
            "flinksavepoints" | "flinkjobupgrades" => format!("/apis/{}/v1alpha1", self.group),
            _ => "/api/v1".to_owned(),
        };
        format!("{prefix}/namespaces/{}/{path}", self.namespace)
    }
}

/// A watch that is open.
pub(super) struct Watch {
    shown: String,
    response: http::Response<Body>,
}

async fn answer(response: http::Response<Body>) -> Result<Answer> {
    let code = response.status().as_u16();
    let bytes = timeout(PATIENCE, response.into_body().collect()).await??.to_bytes();
    let body = serde_json::from_slice(&bytes).with_context(|| String::from_utf8_lossy(&bytes).into_owned())?;
    Ok(Answer { code, body })
}
