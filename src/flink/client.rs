//! The REST client of a JobManager.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::answer::{self, About};
use super::error::Error;
use super::id::{JobId, TriggerId};
use super::model::{
    CheckpointOperation, Checkpoints, ExceptionEntry, Job, JobOverview, JobState, Overview, SavepointOperation,
};
use super::request::{RunRequest, SavepointRequest, StopRequest};

/// How long a connection may take to be made. Below every other limit, so that a timeout before the request went out is
/// always seen as that.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a read may take.
pub const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a trigger, a stop or a cancel may take; Flink answers before it acts.
pub const TRIGGER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a submit may take: it runs the program's `main()` and waits until the job is initialised.
pub const SUBMIT_TIMEOUT: Duration = Duration::from_secs(60);
/// How long an idle connection is kept: enough for polling, too short to meet many dead ones.
const IDLE: Duration = Duration::from_secs(10);
/// How much of an answer is read, in bytes. The largest seen is a failed savepoint's, with 53 kB.
const LIMIT: usize = 16 * 1024 * 1024;
/// How many failures of a job are asked for; each brings its stack trace.
const EXCEPTIONS: u32 = 5;

/// Makes clients that share one pool of connections.
#[derive(Debug, Clone)]
pub struct Connector {
    http: reqwest::Client,
}

impl Connector {
    /// Sets up the pool.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if the HTTP client can't be set up on this machine.
    pub fn new() -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // A JobManager is in the cluster, never behind the proxy that leads out of it.
            .no_proxy()
            .build()
            .map_err(|e| Error::Unreachable { address: String::new(), message: chain(&e) })?;
        Ok(Self { http })
    }

    /// A client of the JobManager at a base URL such as `http://orders-3:8081`.
    #[must_use]
    pub fn client(&self, base_url: &str) -> Client {
        Client { http: self.http.clone(), base: base_url.trim_end_matches('/').into() }
    }
}

/// A client of one JobManager. Cheap to clone. Every call has a time limit, and none is repeated.
///
/// All methods fail with [`Error::Unreachable`], [`Error::Unanswered`], [`Error::Starting`], [`Error::Refused`] and
/// [`Error::Unexpected`]; those about a job with [`Error::JobNotFound`], too.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Arc<str>,
}

impl Client {
    /// A client with connections of its own. To talk to more than one JobManager, use one [`Connector`].
    ///
    /// # Errors
    /// [`Error::Unreachable`] if the HTTP client can't be set up on this machine.
    pub fn new(base_url: &str) -> Result<Self, Error> {
        Ok(Connector::new()?.client(base_url))
    }

    /// The base URL, without a slash at its end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base
    }

    /// The cluster: slots and version. Current.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn overview(&self) -> Result<Overview, Error> {
        self.get("/overview", About::Cluster).await
    }

    /// All jobs, ended ones too. Current.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn jobs(&self) -> Result<Vec<JobOverview>, Error> {
        #[derive(Deserialize)]
        struct Jobs {
            jobs: Vec<JobOverview>,
        }
        self.get("/jobs/overview", About::Cluster).await.map(|j: Jobs| j.jobs)
    }

    /// The state of a job. Current.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn job_status(&self, job: &JobId) -> Result<JobState, Error> {
        #[derive(Deserialize)]
        struct Status {
            status: JobState,
        }
        self.get(&format!("/jobs/{job}/status"), About::Job).await.map(|s: Status| s.status)
    }

    /// A job with its vertices. Up to `web.refresh-interval` old (3 s by default).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn job(&self, job: &JobId) -> Result<Job, Error> {
        self.get(&format!("/jobs/{job}"), About::Job).await
    }

    /// A job's checkpoints and savepoints, and what it was restored from. Up to `web.refresh-interval` old. A job that
    /// is being initialised has none yet, which Flink answers with a 500 ([`Error::Refused`]).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn checkpoints(&self, job: &JobId) -> Result<Checkpoints, Error> {
        self.get(&format!("/jobs/{job}/checkpoints"), About::Job).await
    }

    /// A job's newest failures, newest first. Up to `web.refresh-interval` old.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn exceptions(&self, job: &JobId) -> Result<Vec<ExceptionEntry>, Error> {
        let call = Call::new(
            Method::GET,
            format!("/jobs/{job}/exceptions?maxExceptions={EXCEPTIONS}"),
            About::Job,
            READ_TIMEOUT,
        );
        let body = self.send(&call, |r| r).await?;
        answer::exceptions(&call.name(), &body)
    }

    /// Asks for a savepoint of a job that goes on running. Flink takes this for a job that it does not know, too: all
    /// but a malformed request fails in [`Client::savepoint_status`] only.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn trigger_savepoint(&self, job: &JobId, request: &SavepointRequest) -> Result<(), Error> {
        let call = Call::new(Method::POST, format!("/jobs/{job}/savepoints"), About::Job, TRIGGER_TIMEOUT);
        self.trigger(&call, &request.trigger_id, |r| r.json(request)).await
    }

    /// Asks for a stop with a savepoint; followed by [`Client::savepoint_status`]. It makes savepoints of the job that
    /// are under way fail.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn stop(&self, job: &JobId, request: &StopRequest) -> Result<(), Error> {
        let call = Call::new(Method::POST, format!("/jobs/{job}/stop"), About::Job, TRIGGER_TIMEOUT);
        self.trigger(&call, &request.trigger_id, |r| r.json(request)).await
    }

    /// What became of a savepoint or a stop.
    ///
    /// # Errors
    /// See [`Client`]; [`Error::UnknownTrigger`].
    pub async fn savepoint_status(&self, job: &JobId, trigger: &TriggerId) -> Result<SavepointOperation, Error> {
        let call = Call::new(Method::GET, format!("/jobs/{job}/savepoints/{trigger}"), About::Trigger, READ_TIMEOUT);
        let body = self.send(&call, |r| r).await?;
        answer::savepoint(&call.name(), &body)
    }

    /// Starts a job from a jar in the JobManager's upload directory, and answers with the job's id. It returns once the
    /// job is initialised, so a snapshot that does not fit is an [`Error::Refused`] here; `RUNNING` with tasks that wait
    /// for slots is a success. Never two of these at once on one JobManager: Flink keeps the program in static fields.
    ///
    /// # Errors
    /// See [`Client`]; [`Error::AlreadySubmitted`]. After a refusal a job of this id in state `FAILED` may be listed.
    pub async fn run_jar(&self, jar_id: &str, request: &RunRequest) -> Result<JobId, Error> {
        #[derive(Deserialize)]
        struct Started {
            jobid: JobId,
        }
        let call = Call::new(Method::POST, format!("/jars/{}/run", escaped(jar_id)), About::Run, SUBMIT_TIMEOUT);
        let body = self.send(&call, |r| r.json(request)).await?;
        let Started { jobid } = answer::read(&call.name(), &body)?;
        if jobid == request.job_id {
            Ok(jobid)
        } else {
            Err(answer::unexpected(&call.name(), format!("asked for job id {}, got {jobid}", request.job_id)))
        }
    }

    /// Asks for a job to be cancelled, without a savepoint. A job that has ended is a 409 ([`Error::Refused`]).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn cancel(&self, job: &JobId) -> Result<(), Error> {
        let call = Call::new(Method::PATCH, format!("/jobs/{job}?mode=cancel"), About::Job, TRIGGER_TIMEOUT);
        self.send(&call, |r| r).await.map(drop)
    }

    /// Asks for a checkpoint of the configured kind, and answers with the id to follow it by.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn trigger_checkpoint(&self, job: &JobId) -> Result<String, Error> {
        let call = Call::new(Method::POST, format!("/jobs/{job}/checkpoints"), About::Job, TRIGGER_TIMEOUT);
        let body = self.send(&call, |r| r.json(&serde_json::json!({"checkpointType": "CONFIGURED"}))).await?;
        answer::read(&call.name(), &body).map(|t: Triggered| t.request_id)
    }

    /// What became of a checkpoint that was asked for.
    ///
    /// # Errors
    /// See [`Client`]; [`Error::UnknownTrigger`].
    pub async fn checkpoint_status(&self, job: &JobId, request_id: &str) -> Result<CheckpointOperation, Error> {
        let path = format!("/jobs/{job}/checkpoints/{}", escaped(request_id));
        let call = Call::new(Method::GET, path, About::Trigger, READ_TIMEOUT);
        let body = self.send(&call, |r| r).await?;
        answer::checkpoint(&call.name(), &body)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, about: About) -> Result<T, Error> {
        let call = Call::new(Method::GET, path.to_owned(), about, READ_TIMEOUT);
        let body = self.send(&call, |r| r).await?;
        answer::read(&call.name(), &body)
    }

    /// Sends a trigger, and checks that the answer is about it.
    async fn trigger(
        &self,
        call: &Call,
        id: &TriggerId,
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<(), Error> {
        let body = self.send(call, with).await?;
        let Triggered { request_id } = answer::read(&call.name(), &body)?;
        if request_id == id.as_str() {
            Ok(())
        } else {
            Err(answer::unexpected(&call.name(), format!("asked for trigger id {id}, got {request_id:?}")))
        }
    }

    /// Sends a request once and returns the body of a 2xx.
    async fn send(&self, call: &Call, with: impl FnOnce(RequestBuilder) -> RequestBuilder) -> Result<Vec<u8>, Error> {
        let url = format!("{}{}", self.base, call.path);
        let request = with(self.http.request(call.method.clone(), url).timeout(call.timeout));
        let mut response = request.send().await.map_err(|e| self.unsent(call, &e))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| unanswered(call, &e))? {
            if body.len() + chunk.len() > LIMIT {
                return Err(answer::unexpected(&call.name(), format!("HTTP {status} with more than {LIMIT} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            Ok(body)
        } else {
            Err(answer::refusal(&call.name(), call.about, status.as_u16(), &body))
        }
    }

    /// A request without an answer: nothing went out, or it is not known.
    fn unsent(&self, call: &Call, e: &reqwest::Error) -> Error {
        if e.is_connect() || e.is_builder() {
            Error::Unreachable { address: self.base.to_string(), message: chain(e) }
        } else {
            unanswered(call, e)
        }
    }
}

fn unanswered(call: &Call, e: &reqwest::Error) -> Error {
    let message = if e.is_timeout() { format!("none within {} s", call.timeout.as_secs()) } else { chain(e) };
    Error::Unanswered { call: call.name(), message }
}

struct Call {
    method: Method,
    path: String,
    about: About,
    timeout: Duration,
}

impl Call {
    fn new(method: Method, path: String, about: About, timeout: Duration) -> Self {
        Self { method, path, about, timeout }
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

#[derive(Deserialize)]
struct Triggered {
    #[serde(rename = "request-id")]
    request_id: String,
}

/// A path segment: anything but plain characters is percent-encoded.
fn escaped(segment: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    segment.bytes().fold(String::with_capacity(segment.len()), |out, byte| {
        if plain(byte) { out + char::from(byte).encode_utf8(&mut [0; 4]) } else { out + &format!("%{byte:02X}") }
    })
}

/// The innermost source says what happened; the outer ones only repeat the URL.
fn chain(e: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = e;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
