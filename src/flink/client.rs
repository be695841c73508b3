//! The REST client of a JobManager.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::answer::{self, About};
use super::error::Error;
use super::id::{JobId, TriggerId};
use super::model::{
    CheckpointOperation, Checkpoints, CheckpointsConfig, DisposalOperation, ExceptionEntry, Job, JobOverview, JobState,
    Overview, SavepointOperation, UploadedJar,
};
use super::request::{PlanRequest, RunRequest, SavepointRequest, StopRequest};
use super::tls::{self, Tls};
use super::transport::{Http, Transport, Undelivered};

/// How long a read may take.
pub const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a trigger, a stop or a cancel may take; Flink answers before it acts.
pub const TRIGGER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a submit may take: it runs the program's `main()` and waits until the job is initialised.
pub const SUBMIT_TIMEOUT: Duration = Duration::from_secs(60);
/// How many failures of a job are asked for; each brings its stack trace.
const EXCEPTIONS: u32 = 5;

/// Makes clients that share one way to JobManagers.
#[derive(Debug, Clone)]
pub struct Connector {
    transport: Arc<dyn Transport>,
    secure: Arc<tls::Clients>,
}

impl Connector {
    /// Over HTTP, with one pool of connections.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if the HTTP client can't be set up on this machine.
    pub fn new() -> Result<Self, Error> {
        Ok(Self::over(Arc::new(Http::new()?)))
    }

    /// Over another transport.
    #[must_use]
    pub fn over(transport: Arc<dyn Transport>) -> Self {
        Self { transport, secure: Arc::default() }
    }

    /// How a JobManager that speaks HTTPS is spoken to, for the name that its certificate must carry: with what a Secret
    /// has, or by the system's authorities.
    ///
    /// # Errors
    /// If that can't be used.
    pub fn tls(&self, secret: Option<&BTreeMap<String, Vec<u8>>>, server_name: &str) -> Result<Tls, tls::Invalid> {
        self.secure.get(secret, server_name)
    }

    /// A client of the JobManager at a base URL such as `http://orders-3:8081`.
    #[must_use]
    pub fn client(&self, base_url: &str) -> Client {
        let transport = Arc::clone(&self.transport);
        Client { transport, base: base_url.trim_end_matches('/').into(), authorization: None, tls: None }
    }
}

/// A client of one JobManager. Cheap to clone. Every call has a time limit, and none is repeated.
///
/// All methods fail with [`Error::Unreachable`], [`Error::Unanswered`], [`Error::Starting`], [`Error::Refused`] and
/// [`Error::Unexpected`]; those about a job with [`Error::JobNotFound`], too.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
    base: Arc<str>,
    authorization: Option<HeaderValue>,
    tls: Option<Tls>,
}

impl Client {
    /// A client with connections of its own. To talk to more than one JobManager, use one [`Connector`].
    ///
    /// # Errors
    /// [`Error::Unreachable`] if the HTTP client can't be set up on this machine.
    pub fn new(base_url: &str) -> Result<Self, Error> {
        Ok(Connector::new()?.client(base_url))
    }

    /// Sends this header with every request.
    #[must_use]
    pub fn authorized(self, authorization: Option<HeaderValue>) -> Self {
        Self { authorization, ..self }
    }

    /// Sends every request by TLS; the base URL begins with `https://` then.
    #[must_use]
    pub fn over_tls(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
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

    /// The JobManager's configuration, as it was read at its start.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn configuration(&self) -> Result<BTreeMap<String, String>, Error> {
        #[derive(Deserialize)]
        struct Option {
            key: String,
            value: String,
        }
        let options: Vec<Option> = self.get("/jobmanager/config", About::Cluster).await?;
        Ok(options.into_iter().map(|o| (o.key, o.value)).collect())
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

    /// How a job takes checkpoints, by its configuration and its code.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn checkpoints_config(&self, job: &JobId) -> Result<CheckpointsConfig, Error> {
        self.get(&format!("/jobs/{job}/checkpoints/config"), About::Job).await
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
        let body = self.send(&call, None).await?;
        answer::exceptions(&call.name(), &body)
    }

    /// Asks for a savepoint of a job that goes on running. Flink takes this for a job that it does not know, too: all
    /// but a malformed request fails in [`Client::savepoint_status`] only.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn trigger_savepoint(&self, job: &JobId, request: &SavepointRequest) -> Result<(), Error> {
        let call = Call::new(Method::POST, format!("/jobs/{job}/savepoints"), About::Job, TRIGGER_TIMEOUT);
        self.trigger(&call, &request.trigger_id, Some(json(request))).await
    }

    /// Asks for a stop with a savepoint; followed by [`Client::savepoint_status`]. It makes savepoints of the job that
    /// are under way fail.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn stop(&self, job: &JobId, request: &StopRequest) -> Result<(), Error> {
        let call = Call::new(Method::POST, format!("/jobs/{job}/stop"), About::Job, TRIGGER_TIMEOUT);
        self.trigger(&call, &request.trigger_id, Some(json(request))).await
    }

    /// What became of a savepoint or a stop.
    ///
    /// # Errors
    /// See [`Client`]; [`Error::UnknownTrigger`].
    pub async fn savepoint_status(&self, job: &JobId, trigger: &TriggerId) -> Result<SavepointOperation, Error> {
        let call = Call::new(Method::GET, format!("/jobs/{job}/savepoints/{trigger}"), About::Trigger, READ_TIMEOUT);
        let body = self.send(&call, None).await?;
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
        let body = self.send(&call, Some(json(request))).await?;
        let Started { jobid } = answer::read(&call.name(), &body)?;
        if jobid == request.job_id {
            Ok(jobid)
        } else {
            Err(answer::unexpected(&call.name(), format!("asked for job id {}, got {jobid}", request.job_id)))
        }
    }

    /// The jars that were uploaded to this JobManager, or lie in its upload directory.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn jars(&self) -> Result<Vec<UploadedJar>, Error> {
        #[derive(Deserialize)]
        struct Jars {
            files: Vec<UploadedJar>,
        }
        self.get("/jars", About::Cluster).await.map(|j: Jars| j.files)
    }

    /// Deletes an uploaded jar; jobs that were submitted from it run on. One that is not there is a 400
    /// ([`Error::Refused`]).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn delete_jar(&self, jar_id: &str) -> Result<(), Error> {
        let call = Call::new(Method::DELETE, format!("/jars/{}", escaped(jar_id)), About::Cluster, TRIGGER_TIMEOUT);
        self.send(&call, None).await.map(drop)
    }

    /// The name of the job that a jar's program would submit; nothing is submitted. Like [`Client::run_jar`] never two at
    /// once on one JobManager.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn plan_name(&self, jar_id: &str, request: &PlanRequest) -> Result<String, Error> {
        #[derive(Deserialize)]
        struct Answer {
            plan: Plan,
        }
        #[derive(Deserialize)]
        struct Plan {
            name: String,
        }
        let call = Call::new(Method::POST, format!("/jars/{}/plan", escaped(jar_id)), About::Run, SUBMIT_TIMEOUT);
        let body = self.send(&call, Some(json(request))).await?;
        answer::read(&call.name(), &body).map(|Answer { plan }| plan.name)
    }

    /// Asks for a job to be cancelled, without a savepoint. A job that has ended is a 409 ([`Error::Refused`]).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn cancel(&self, job: &JobId) -> Result<(), Error> {
        let call = Call::new(Method::PATCH, format!("/jobs/{job}?mode=cancel"), About::Job, TRIGGER_TIMEOUT);
        self.send(&call, None).await.map(drop)
    }

    /// Asks for a checkpoint of the configured kind, and answers with the id to follow it by.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn trigger_checkpoint(&self, job: &JobId) -> Result<String, Error> {
        let call = Call::new(Method::POST, format!("/jobs/{job}/checkpoints"), About::Job, TRIGGER_TIMEOUT);
        let body = self.send(&call, Some(json(&serde_json::json!({"checkpointType": "CONFIGURED"})))).await?;
        answer::read(&call.name(), &body).map(|t: Triggered| t.request_id)
    }

    /// What became of a checkpoint that was asked for.
    ///
    /// # Errors
    /// See [`Client`]; [`Error::UnknownTrigger`].
    pub async fn checkpoint_status(&self, job: &JobId, request_id: &str) -> Result<CheckpointOperation, Error> {
        let path = format!("/jobs/{job}/checkpoints/{}", escaped(request_id));
        let call = Call::new(Method::GET, path, About::Trigger, READ_TIMEOUT);
        let body = self.send(&call, None).await?;
        answer::checkpoint(&call.name(), &body)
    }

    /// Asks Flink to dispose of a savepoint, by its directory or `_metadata`, and answers with the id to follow it by.
    /// Flink deletes the files that its `_metadata` names, and the directory. No job needs to run, and whether one needs
    /// the savepoint is not looked at. A repeat is a disposal of its own, which fails where the first was carried out.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn dispose_savepoint(&self, path: &str) -> Result<String, Error> {
        let call = Call::new(Method::POST, "/savepoint-disposal".to_owned(), About::Cluster, TRIGGER_TIMEOUT);
        let body = self.send(&call, Some(json(&serde_json::json!({"savepoint-path": path})))).await?;
        answer::read(&call.name(), &body).map(|t: Triggered| t.request_id)
    }

    /// What became of a disposal. Its JobManager forgets it with its process, and some minutes after its end.
    ///
    /// # Errors
    /// See [`Client`]; [`Error::UnknownTrigger`].
    pub async fn disposal_status(&self, request_id: &str) -> Result<DisposalOperation, Error> {
        let path = format!("/savepoint-disposal/{}", escaped(request_id));
        let call = Call::new(Method::GET, path, About::Disposal, READ_TIMEOUT);
        let body = self.send(&call, None).await?;
        answer::disposal(&call.name(), &body)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, about: About) -> Result<T, Error> {
        let call = Call::new(Method::GET, path.to_owned(), about, READ_TIMEOUT);
        let body = self.send(&call, None).await?;
        answer::read(&call.name(), &body)
    }

    /// Sends a trigger, and checks that the answer is about it.
    async fn trigger(&self, call: &Call, id: &TriggerId, body: Option<Body>) -> Result<(), Error> {
        let body = self.send(call, body).await?;
        let Triggered { request_id } = answer::read(&call.name(), &body)?;
        if request_id == id.as_str() {
            Ok(())
        } else {
            Err(answer::unexpected(&call.name(), format!("asked for trigger id {id}, got {request_id:?}")))
        }
    }

    /// Sends a request once and returns the body of a 2xx.
    async fn send(&self, call: &Call, body: Option<Body>) -> Result<Vec<u8>, Error> {
        let mut request = Request::builder().method(call.method.clone()).uri(format!("{}{}", self.base, call.path));
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Some(tls) = &self.tls {
            request = request.extension(tls.clone());
        }
        let body = match body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                body.map_err(|e| answer::unexpected(&call.name(), e.to_string()))?
            }
            None => Vec::new(),
        };
        let request = request.body(body).map_err(|e| self.unreachable(e.to_string()))?;
        let response = self.transport.send(request, call.timeout).await.map_err(|e| match e {
            Undelivered::NotConnected(message) => self.unreachable(message),
            Undelivered::Unanswered(message) => Error::Unanswered { call: call.name(), message },
            Undelivered::TooLong(message) => answer::unexpected(&call.name(), message),
        })?;
        let status = response.status();
        if status.is_success() {
            Ok(response.into_body())
        } else {
            Err(answer::refusal(&call.name(), call.about, status.as_u16(), response.body()))
        }
    }

    fn unreachable(&self, message: String) -> Error {
        Error::Unreachable { address: self.base.to_string(), message }
    }
}

/// A body of JSON.
type Body = serde_json::Result<Vec<u8>>;

fn json(value: &impl Serialize) -> Body {
    serde_json::to_vec(value)
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
