//! From a request to a typed call.

use bytes::Bytes;
use http::{Method, Request};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::http_answer::Answer;
use super::jars::file_of;
use super::settings::Format;

/// What is asked of a JobManager.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Call {
    Overview,
    Config,
    JobManagerConfig,
    Jobs,
    JobsOverview,
    Job(String),
    Status(String),
    Checkpoints(String),
    CheckpointsConfig(String),
    Exceptions { job: String, most: usize },
    Cancel(String),
    Savepoint { job: String, stop: bool, body: SavepointBody },
    SavepointResult { job: String, trigger: String },
    Checkpoint { job: String, trigger: Option<String> },
    CheckpointResult { job: String, trigger: String },
    Run { jar: String, body: RunBody },
    Plan { jar: String, body: PlanBody },
    Jars,
    UploadJar { name: String, content: String },
    DeleteJar(String),
    Dispose(String),
    DisposalResult(String),
}

/// The body of a plan.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PlanBody {
    pub entry_class: Option<String>,
    #[serde(rename = "programArgsList")]
    pub args: Vec<String>,
}

/// The body of a savepoint or a stop.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SavepointBody {
    pub directory: Option<String>,
    pub format: Format,
    pub cancel: bool,
    pub trigger: Option<String>,
}

/// The body of a run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RunBody {
    pub job: Option<String>,
    pub savepoint: Option<String>,
    pub claims: bool,
    pub allows_non_restored: bool,
    pub parallelism: Option<u32>,
    /// `execution.checkpointing.dir` of its `flinkConfiguration`.
    pub checkpoint_directory: Option<String>,
}

/// A body of the wrong form.
struct Mismatch;

impl Call {
    /// Reads a request, or says what is wrong with it.
    pub fn of(request: &Request<Bytes>) -> Result<Self, Answer> {
        let uri = request.uri();
        let segments: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
        let query = uri.query().unwrap_or_default();
        match (request.method().as_str(), segments.as_slice()) {
            ("GET", ["overview"]) => Ok(Self::Overview),
            ("GET", ["config"]) => Ok(Self::Config),
            ("GET", ["jobmanager", "config"]) => Ok(Self::JobManagerConfig),
            ("GET", ["jobs"]) => Ok(Self::Jobs),
            ("GET", ["jobs", "overview"]) => Ok(Self::JobsOverview),
            ("GET", ["jars"]) => Ok(Self::Jars),
            ("POST", ["jars", "upload"]) => {
                let (name, content) =
                    file_of(request).ok_or_else(|| Answer::refused(400, "Exactly 1 file must be sent, received 0."))?;
                Ok(Self::UploadJar { name, content })
            }
            ("DELETE", ["jars", jar]) => Ok(Self::DeleteJar((*jar).to_owned())),
            ("POST", ["savepoint-disposal"]) => {
                let path = object(request.body()).and_then(|body| text(&body, "savepoint-path"));
                let path = path.map_err(|Mismatch| mismatch("SavepointDisposalRequest"))?;
                let missing = || Answer::refused(400, "Field savepoint-path must not be omitted or be null.");
                path.map(Self::Dispose).ok_or_else(missing)
            }
            ("GET", ["savepoint-disposal", trigger]) => Ok(Self::DisposalResult(id("triggerid", trigger)?)),
            ("POST", ["jars", jar, "run"]) => {
                let body = RunBody::read(request.body()).map_err(|Mismatch| mismatch("JarRunRequestBody"))?;
                Ok(Self::Run { jar: (*jar).to_owned(), body })
            }
            ("POST", ["jars", jar, "plan"]) => {
                let body = serde_json::from_slice(request.body()).map_err(|_| mismatch("JarPlanRequestBody"))?;
                Ok(Self::Plan { jar: (*jar).to_owned(), body })
            }
            (_, ["jobs", job, rest @ ..]) => {
                let job = id("jobid", job)?;
                Self::of_job(request.method(), job, rest, query, request.body())
                    .unwrap_or_else(|| not_found(uri.path()))
            }
            _ => not_found(uri.path()),
        }
    }

    fn of_job(method: &Method, job: String, rest: &[&str], query: &str, body: &[u8]) -> Option<Result<Self, Answer>> {
        Some(Ok(match (method.as_str(), rest) {
            ("GET", []) => Self::Job(job),
            ("PATCH", []) if parameter(query, "mode").is_none_or(|mode| mode == "cancel") => Self::Cancel(job),
            ("GET", ["status"]) => Self::Status(job),
            ("GET", ["checkpoints"]) => Self::Checkpoints(job),
            ("GET", ["checkpoints", "config"]) => Self::CheckpointsConfig(job),
            ("GET", ["exceptions"]) => {
                let most = parameter(query, "maxExceptions").and_then(|most| most.parse().ok()).unwrap_or(usize::MAX);
                Self::Exceptions { job, most }
            }
            ("POST", ["savepoints"]) => match SavepointBody::read(body, "target-directory") {
                Ok(body) => Self::Savepoint { job, stop: false, body },
                Err(Mismatch) => return Some(Err(mismatch("SavepointTriggerRequestBody"))),
            },
            ("POST", ["stop"]) => match SavepointBody::read(body, "targetDirectory") {
                Ok(body) => Self::Savepoint { job, stop: true, body },
                Err(Mismatch) => return Some(Err(mismatch("StopWithSavepointRequestBody"))),
            },
            ("POST", ["checkpoints"]) => match object(body).and_then(|body| trigger_id(&body)) {
                Ok(trigger) => Self::Checkpoint { job, trigger },
                Err(Mismatch) => return Some(Err(mismatch("CheckpointTriggerRequestBody"))),
            },
            ("GET", ["savepoints", trigger]) => match id("triggerid", trigger) {
                Ok(trigger) => Self::SavepointResult { job, trigger },
                Err(refusal) => return Some(Err(refusal)),
            },
            ("GET", ["checkpoints", trigger]) => match id("triggerid", trigger) {
                Ok(trigger) => Self::CheckpointResult { job, trigger },
                Err(refusal) => return Some(Err(refusal)),
            },
            _ => return None,
        }))
    }

    /// The snapshot that a run starts from, or that is to be disposed of.
    pub fn savepoint_path(&self) -> Option<&str> {
        match self {
            Self::Run { body, .. } => body.savepoint.as_deref(),
            Self::Dispose(path) => Some(path),
            _ => None,
        }
    }
}

fn not_found(path: &str) -> Result<Call, Answer> {
    let text = format!("Unable to load requested file {path}.");
    Err(Answer::new(404, serde_json::json!({"errors": [text]})))
}

fn mismatch(body: &str) -> Answer {
    Answer::refused(400, &format!("Request did not match expected format {body}."))
}

/// An id in a path.
fn id(parameter: &str, value: &str) -> Result<String, Answer> {
    if is_id(value) {
        return Ok(value.to_ascii_lowercase());
    }
    let message = format!("Cannot resolve path parameter ({parameter}) from value \"{value}\".");
    Err(Answer::refused(400, &format!("Bad request, could not parse parameters: {message}")))
}

fn is_id(value: &str) -> bool {
    value.len() == 32 && value.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// No body is an empty object.
fn object(body: &[u8]) -> Result<Map<String, Value>, Mismatch> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(body).map_err(|_| Mismatch)
}

fn text(body: &Map<String, Value>, field: &str) -> Result<Option<String>, Mismatch> {
    match body.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Mismatch),
    }
}

fn flag(body: &Map<String, Value>, field: &str) -> Result<bool, Mismatch> {
    match body.get(field) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(Mismatch),
    }
}

fn job_id(body: &Map<String, Value>, field: &str) -> Result<Option<String>, Mismatch> {
    match text(body, field)? {
        Some(text) if !is_id(&text) => Err(Mismatch),
        other => Ok(other.map(|id| id.to_ascii_lowercase())),
    }
}

fn trigger_id(body: &Map<String, Value>) -> Result<Option<String>, Mismatch> {
    job_id(body, "triggerId")
}

impl SavepointBody {
    fn read(body: &[u8], directory: &str) -> Result<Self, Mismatch> {
        let body = object(body)?;
        let format = match text(&body, "formatType")?.as_deref() {
            None | Some("CANONICAL") => Format::Canonical,
            Some("NATIVE") => Format::Native,
            Some(_) => return Err(Mismatch),
        };
        flag(&body, "drain")?;
        Ok(Self {
            directory: text(&body, directory)?,
            format,
            cancel: flag(&body, "cancel-job")?,
            trigger: trigger_id(&body)?,
        })
    }
}

impl RunBody {
    fn read(body: &[u8]) -> Result<Self, Mismatch> {
        let body = object(body)?;
        let claim_mode = match text(&body, "claimMode")? {
            None => text(&body, "restoreMode")?,
            mode => mode,
        };
        let claims = match claim_mode.as_deref() {
            None | Some("NO_CLAIM" | "LEGACY") => false,
            Some("CLAIM") => true,
            Some(_) => return Err(Mismatch),
        };
        let parallelism = match body.get("parallelism") {
            None | Some(Value::Null) => None,
            Some(value) => Some(value.as_u64().and_then(|value| value.try_into().ok()).ok_or(Mismatch)?),
        };
        Ok(Self {
            job: job_id(&body, "jobId")?,
            savepoint: text(&body, "savepointPath")?,
            claims,
            allows_non_restored: flag(&body, "allowNonRestoredState")?,
            parallelism,
            checkpoint_directory: match body.get("flinkConfiguration") {
                Some(Value::Object(given)) => text(given, "execution.checkpointing.dir")?,
                _ => None,
            },
        })
    }
}
