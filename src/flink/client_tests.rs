use std::collections::BTreeMap;

use axum::Router;
use axum::http::StatusCode;
use rstest::rstest;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::recorded::{Exchange, VERSIONS, serve};
use super::{
    CheckpointOperation, CheckpointStatus, ClaimMode, Client, Error, JobId, JobState, RunRequest, SavepointFailure,
    SavepointFormat, SavepointOperation, SavepointRequest, StopRequest, TaskState, TriggerId,
};

fn trigger_id(text: &str) -> TriggerId {
    TriggerId::new(text).unwrap()
}

/// What the recorded request asks for, in this client's words.
fn savepoint_request(e: &Exchange) -> SavepointRequest {
    let body = e.request.as_ref().unwrap();
    SavepointRequest {
        trigger_id: trigger_id(body["triggerId"].as_str().unwrap_or("00000000000000000000000000000abc")),
        directory: body["target-directory"].as_str().map(str::to_owned),
        format: SavepointFormat::Canonical,
    }
}

fn stop_request(e: &Exchange) -> StopRequest {
    let body = e.request.as_ref().unwrap();
    StopRequest {
        trigger_id: trigger_id(body["triggerId"].as_str().unwrap_or("00000000000000000000000000000def")),
        directory: body["targetDirectory"].as_str().map(str::to_owned),
        format: SavepointFormat::Canonical,
        drain: false,
    }
}

fn run_request(e: &Exchange) -> RunRequest {
    let body = e.request.as_ref().unwrap();
    let answer: serde_json::Value = serde_json::from_str(&e.body).unwrap();
    let args = body["programArgsList"].as_array().cloned().unwrap_or_default();
    let configuration = body["flinkConfiguration"].as_object().cloned().unwrap_or_default();
    let id = body["jobId"].as_str().or(answer["jobid"].as_str()).unwrap_or("0123456789abcdef0123456789abcdef");
    RunRequest {
        job_id: JobId::new(id).unwrap(),
        entry_class: None,
        args: args.iter().map(|a| a.as_str().unwrap().to_owned()).collect(),
        parallelism: body["parallelism"].as_i64().map(|p| i32::try_from(p).unwrap()),
        savepoint_path: body["savepointPath"].as_str().map(str::to_owned),
        allow_non_restored_state: body["allowNonRestoredState"].as_bool(),
        claim_mode: (body["claimMode"] == "CLAIM").then_some(ClaimMode::Claim),
        flink_configuration: configuration.into_iter().map(|(k, v)| (k, v.as_str().unwrap().to_owned())).collect(),
    }
}

async fn run(version: &str, name: &str) -> Result<JobId, Error> {
    let e = Exchange::load(version, name);
    e.served().await.run_jar(e.segment(1), &run_request(&e)).await
}

async fn operation(version: &str, name: &str) -> Result<SavepointOperation, Error> {
    let e = Exchange::load(version, name);
    e.served().await.savepoint_status(&e.job(), &trigger_id(e.segment(3))).await
}

async fn checkpoints(version: &str, name: &str) -> super::Checkpoints {
    let e = Exchange::load(version, name);
    e.served().await.checkpoints(&e.job()).await.unwrap()
}

#[rstest]
#[tokio::test]
async fn reads_the_cluster_and_its_jobs(#[values("1.20.5", "2.3.0")] version: &str) {
    let overview = Exchange::load(version, "overview").served().await.overview().await.unwrap();
    assert_eq!((overview.taskmanagers, overview.slots_total, overview.slots_available), (1, 4, 4));
    assert_eq!(overview.flink_version.as_deref(), Some(version));

    let none = Exchange::load(version, "jobs-overview-empty").served().await.jobs().await.unwrap();
    assert_eq!(none, []);
    let jobs = Exchange::load(version, "jobs-overview").served().await.jobs().await.unwrap();
    let [first, second] = jobs.as_slice() else { panic!("{jobs:?}") };
    assert_eq!((first.name.as_str(), first.state, first.end_time), ("stateful-v1", JobState::Running, None));
    assert!(first.start_time.unwrap() > 1_700_000_000_000);
    assert_eq!((first.tasks.all(), first.tasks.running, first.tasks.all_running()), (6, 6, true));
    assert_eq!((second.tasks.all(), second.tasks.all_running()), (3, true));

    let e = Exchange::load(version, "job-status");
    assert_eq!(e.served().await.job_status(&e.job()).await, Ok(JobState::Running));
}

#[rstest]
#[tokio::test]
async fn tells_a_running_job_from_running_tasks(#[values("1.20.5", "2.3.0")] version: &str) {
    let e = Exchange::load(version, "job-starting");
    let starting = e.served().await.job(&e.job()).await.unwrap();
    assert_eq!((starting.state, starting.all_tasks_running()), (JobState::Running, false));
    assert_eq!(starting.vertices[0].tasks.scheduled, 2);

    let e = Exchange::load(version, "job-running");
    let running = e.served().await.job(&e.job()).await.unwrap();
    assert_eq!((running.id.clone(), running.state, running.all_tasks_running()), (e.job(), JobState::Running, true));
    let vertex = &running.vertices[1];
    assert_eq!((vertex.id.as_str(), vertex.status), ("0da08f51eaa85fc298e176a139b3649a", TaskState::Running));
    assert_eq!((vertex.parallelism, vertex.max_parallelism, vertex.tasks.running), (2, 128, 2));
    assert_eq!(vertex.name, "counter-name -> buffer-name");
}

#[rstest]
#[tokio::test]
async fn reads_checkpoints(#[values("1.20.5", "2.3.0")] version: &str) {
    let none = checkpoints(version, "checkpoints-none").await;
    assert_eq!(none, super::Checkpoints::default(), "percentiles are the string NaN here");

    let busy = checkpoints(version, "checkpoints-in-progress").await;
    assert!(busy.counts.in_progress >= 2, "two savepoints at once");
    assert_eq!((busy.history[0].status, busy.history[0].is_savepoint), (CheckpointStatus::InProgress, true));
    assert_eq!(busy.history[0].external_path, None);

    let all = checkpoints(version, "checkpoints").await;
    let savepoint = all.latest.savepoint.unwrap();
    assert!(savepoint.external_path.unwrap().starts_with("file:/srv/fk/relative/dir/savepoint-"));
    assert_eq!(savepoint.checkpoint_type.as_deref(), Some("SAVEPOINT"));
    assert!(savepoint.state_size.unwrap() > 0);
    assert_eq!(all.latest.completed.unwrap().external_path, None, "it lies in the JobManager's memory");
    let failed = all.latest.failed.unwrap();
    assert_eq!(failed.status, CheckpointStatus::Failed);
    assert!(failed.failure_message.is_some());
    assert!(all.history.windows(2).all(|two| two[0].id > two[1].id));

    for (name, is_savepoint) in [("checkpoints-restored-claim", false), ("checkpoints-restored-no-claim", true)] {
        let restored = checkpoints(version, name).await.latest.restored.unwrap();
        assert_eq!(restored.is_savepoint, is_savepoint);
        assert!(restored.external_path.unwrap().contains("/savepoint-"));
    }
}

#[rstest]
#[tokio::test]
async fn reads_exceptions_newest_first(#[values("1.20.5", "2.3.0")] version: &str) {
    let e = Exchange::load(version, "exceptions-none");
    assert_eq!(e.served().await.exceptions(&e.job()).await, Ok(Vec::new()));
    let e = Exchange::load(version, "exceptions-failing");
    let failures = e.served().await.exceptions(&e.job()).await.unwrap();
    assert_eq!(failures[0].name, "java.io.IOException");
    assert_eq!(failures[0].cause.to_string(), "IOException: boom in snapshotState");
    assert!(failures[0].task.as_deref().unwrap().starts_with("counter-name -> buffer-name (1/1)"));
    assert!(failures.windows(2).all(|two| two[0].timestamp >= two[1].timestamp));
}

#[rstest]
#[tokio::test]
async fn triggers_savepoints(#[values("1.20.5", "2.3.0")] version: &str) {
    for name in ["savepoint", "savepoint-same-trigger"] {
        let e = Exchange::load(version, name);
        assert_eq!(e.served().await.trigger_savepoint(&e.job(), &savepoint_request(&e)).await, Ok(()), "{name}");
    }
    let e = Exchange::load(version, "savepoint-no-directory");
    let error = e.served().await.trigger_savepoint(&e.job(), &savepoint_request(&e)).await.unwrap_err();
    let Error::Refused { status: 400, cause, .. } = &error else { panic!("{error}") };
    assert_eq!(cause.savepoint_failure(), SavepointFailure::DirectoryMissing);
    assert!(!error.effect_possible());

    let e = Exchange::load(version, "savepoint");
    let other = SavepointRequest { trigger_id: trigger_id(&"a".repeat(32)), ..savepoint_request(&e) };
    let error = e.served().await.trigger_savepoint(&e.job(), &other).await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 418, .. }), "the recorded request is compared: {error}");
}

#[rstest]
#[tokio::test]
async fn stops(#[values("1.20.5", "2.3.0")] version: &str) {
    let e = Exchange::load(version, "stop");
    assert_eq!(e.served().await.stop(&e.job(), &stop_request(&e)).await, Ok(()));
    let e = Exchange::load(version, "stop-no-directory");
    let error = e.served().await.stop(&e.job(), &stop_request(&e)).await.unwrap_err();
    assert_eq!(error.cause().unwrap().savepoint_failure(), SavepointFailure::DirectoryMissing);
}

#[rstest]
#[tokio::test]
async fn follows_savepoints(#[values("1.20.5", "2.3.0")] version: &str) {
    assert_eq!(operation(version, "savepoint-in-progress").await, Ok(SavepointOperation::InProgress));
    let Ok(SavepointOperation::Completed { location }) = operation(version, "savepoint-completed").await else {
        panic!("not completed")
    };
    assert!(location.starts_with("file:/srv/fk/sp-"), "{location}");
    let unknown = operation(version, "savepoint-unknown-trigger").await.unwrap_err();
    assert!(matches!(unknown, Error::UnknownTrigger { .. }), "{unknown}");
    assert!(!unknown.effect_possible());

    let failures = [
        ("io", SavepointFailure::Io, "IOException: Failed to create savepoint directory at file:/proc/nope"),
        ("scheme", SavepointFailure::UnknownScheme, "UnsupportedFileSystemSchemeException: Could not find a file"),
        ("no-slots", SavepointFailure::TasksNotRunning, "CheckpointException: Checkpoint triggering task Source: "),
        ("snapshot", SavepointFailure::CoordinatorSuspending, "CheckpointException: "),
        ("cancelled", SavepointFailure::CoordinatorSuspending, "CheckpointException: Checkpoint Coordinator is "),
        ("unknown-job", SavepointFailure::JobNotFound, "FlinkJobNotFoundException: Could not find Flink job (0000"),
    ];
    for (name, kind, text) in failures {
        let result = operation(version, &format!("savepoint-failed-{name}")).await;
        let Ok(SavepointOperation::Failed { cause }) = result else { panic!("{name}: {result:?}") };
        assert_eq!(cause.savepoint_failure(), kind, "{name}");
        assert!(cause.to_string().starts_with(text), "{name}: {cause}");
    }
}

#[rstest]
#[tokio::test]
async fn triggers_and_follows_checkpoints(#[values("1.20.5", "2.3.0")] version: &str) {
    let e = Exchange::load(version, "checkpoint-trigger");
    let id = e.served().await.trigger_checkpoint(&e.job()).await.unwrap();
    let e = Exchange::load(version, "checkpoint-in-progress");
    assert_eq!(e.segment(3), id);
    assert_eq!(e.served().await.checkpoint_status(&e.job(), &id).await, Ok(CheckpointOperation::InProgress));
    let e = Exchange::load(version, "checkpoint-completed");
    let done = e.served().await.checkpoint_status(&e.job(), &id).await.unwrap();
    assert!(matches!(done, CheckpointOperation::Completed { checkpoint_id } if checkpoint_id > 0));
}

#[rstest]
#[tokio::test]
async fn starts_jobs(#[values("1.20.5", "2.3.0")] version: &str) {
    for name in ["run-with-job-id", "run-claim", "run-allow-non-restored"] {
        let id = run(version, name).await;
        assert_eq!(id, Ok(run_request(&Exchange::load(version, name)).job_id), "{name}");
    }
    let duplicate = run(version, "run-duplicate").await.unwrap_err();
    assert!(matches!(duplicate, Error::AlreadySubmitted { .. }), "{duplicate}");
    assert!(duplicate.effect_possible());

    let refusals = [
        (
            "run-missing-operator",
            400,
            "IllegalStateException: Failed to rollback to checkpoint/savepoint file:/srv/fk/",
        ),
        ("run-no-such-savepoint", 400, "FileNotFoundException: Cannot find checkpoint or savepoint file/directory"),
        ("run-main-throws", 400, "IllegalArgumentException: boom in user main()"),
        ("run-unknown-jar", 500, "RestHandlerException: Jar file /srv/flink-web-"),
    ];
    for (name, wanted, text) in refusals {
        let error = run(version, name).await.unwrap_err();
        let Error::Refused { status, cause, .. } = error else { panic!("{name}: {error}") };
        assert_eq!(status, wanted, "{name}");
        assert!(cause.to_string().starts_with(text), "{name}: {cause}");
    }
}

#[tokio::test]
async fn refuses_an_answer_about_another_id() {
    for version in VERSIONS {
        let mut e = Exchange::load(version, "run-claim");
        let request = run_request(&e);
        e.body = r#"{"jobid":"ffffffffffffffffffffffffffffffff"}"#.to_owned();
        let error = e.served().await.run_jar(e.segment(1), &request).await.unwrap_err();
        assert!(matches!(error, Error::Unexpected { .. }), "{error}");
        assert!(error.effect_possible());
        let mut e = Exchange::load(version, "stop");
        e.body = r#"{"request-id":"ffffffffffffffffffffffffffffffff"}"#.to_owned();
        let error = e.served().await.stop(&e.job(), &stop_request(&e)).await.unwrap_err();
        assert!(matches!(error, Error::Unexpected { .. }), "{error}");
    }
}

#[rstest]
#[tokio::test]
async fn cancels(#[values("1.20.5", "2.3.0")] version: &str) {
    let e = Exchange::load(version, "cancel");
    assert_eq!(e.served().await.cancel(&e.job()).await, Ok(()));
    let e = Exchange::load(version, "cancel-finished");
    let ended = e.served().await.cancel(&e.job()).await.unwrap_err();
    assert!(matches!(ended, Error::Refused { status: 409, .. }), "{ended}");
    let e = Exchange::load(version, "cancel-unknown");
    let unknown = e.served().await.cancel(&e.job()).await.unwrap_err();
    assert!(matches!(unknown, Error::JobNotFound { .. }), "{unknown}");
    let e = Exchange::load(version, "job-unknown");
    let unknown = e.served().await.job(&e.job()).await.unwrap_err();
    assert!(matches!(unknown, Error::JobNotFound { .. }), "{unknown}");
}

fn any_job() -> JobId {
    JobId::new("00000000000000000000000000000001").unwrap()
}

fn any_stop() -> StopRequest {
    StopRequest {
        trigger_id: trigger_id("00000000000000000000000000000def"),
        directory: Some("s3://bucket/savepoints".to_owned()),
        format: SavepointFormat::Native,
        drain: true,
    }
}

fn errors(texts: &[&str]) -> String {
    serde_json::json!({ "errors": texts }).to_string()
}

async fn answering(status: u16, body: String) -> Client {
    serve(Router::new().fallback(async move || (StatusCode::from_u16(status).unwrap(), body))).await
}

const NOT_FOUND: &str = "<Exception on server side:\norg.apache.flink.runtime.messages.FlinkJobNotFoundException: Could \
                         not find Flink job (00000000000000000000000000000001)\n\tat a.B.c(B.java:1)\n\nEnd of exception \
                         on server side>";
const NOT_STARTED: &str = "org.apache.flink.runtime.rpc.exceptions.EndpointNotStartedException: Discard message";
const FENCED: &str = "org.apache.flink.runtime.rpc.exceptions.FencingTokenException: Fencing token mismatch: Ignoring.";
const ASK: &str = "java.util.concurrent.TimeoutException: Invocation of [RemoteRpcInvocation(stop)] at recipient [x] \
                   timed out.";
const NO_LEADER: &str = "Service temporarily unavailable due to an ongoing leader election. Please refresh.";

#[rstest]
// Flink answers 500 where the state of an unknown job is asked for.
#[case(500, errors(&["Internal server error.", NOT_FOUND]), "JobNotFound", false)]
#[case(503, errors(&[NO_LEADER]), "JobManagerStarting", false)]
#[case(500, errors(&["Internal server error.", NOT_STARTED]), "JobManagerStarting", false)]
#[case(500, errors(&["Internal server error.", FENCED]), "JobManagerStarting", false)]
#[case(500, errors(&["Internal server error.", ASK]), "JobManagerUnanswered", true)]
#[case(500, errors(&["Internal server error."]), "Refused", true)]
#[case(403, "<html>no</html>".to_owned(), "Refused", false)]
#[case(404, "<html>no</html>".to_owned(), "Refused", false)]
#[case(503, "upstream connect error or disconnect/reset before headers".to_owned(), "JobManagerUnanswered", true)]
#[case(302, String::new(), "UnexpectedAnswer", true)]
#[case(200, "<html>hello</html>".to_owned(), "UnexpectedAnswer", true)]
#[case(200, "{}".to_owned(), "UnexpectedAnswer", true)]
#[tokio::test]
async fn tells_errors_apart(#[case] status: u16, #[case] body: String, #[case] reason: &str, #[case] effect: bool) {
    let client = answering(status, body).await;
    let error = client.stop(&any_job(), &any_stop()).await.unwrap_err();
    assert_eq!((error.reason(), error.effect_possible()), (reason, effect), "{error}");
    let error = client.job_status(&any_job()).await.unwrap_err();
    assert_eq!(error.reason(), reason, "{error}");
}

/// Whoever takes another 404 for an unknown trigger takes a second savepoint.
#[tokio::test]
async fn no_other_404_is_an_unknown_trigger() {
    let missing = errors(&["org.apache.flink.runtime.rest.NotFoundException: Unable to load requested file /jobs."]);
    for body in [missing, "404 page not found".to_owned()] {
        let client = answering(404, body).await;
        let error = client.savepoint_status(&any_job(), &any_stop().trigger_id).await.unwrap_err();
        assert!(matches!(error, Error::Refused { status: 404, .. }), "{error}");
    }
}

#[tokio::test]
async fn nothing_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::new(&url).unwrap();
    let error = client.stop(&any_job(), &any_stop()).await.unwrap_err();
    let Error::Unreachable { address, message } = &error else { panic!("{error}") };
    assert_eq!(address, &url);
    assert!(message.contains("refused"), "{message}");
    assert!(!error.effect_possible());

    let error = Client::new("not a url").unwrap().overview().await.unwrap_err();
    assert_eq!(error.reason(), "JobManagerUnreachable", "{error}");
    let error = Client::new("http://no-such-host.invalid:8081").unwrap().overview().await.unwrap_err();
    assert_eq!(error.reason(), "JobManagerUnreachable", "{error}");
}

/// A server whose queue of connections is full lets further ones wait, as a node that is gone does.
#[tokio::test]
async fn no_connection_in_time() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(connected) =
        tokio::time::timeout(std::time::Duration::from_millis(100), TcpStream::connect(address)).await
    {
        queued.push(connected.unwrap());
        assert!(queued.len() < 64, "the queue never fills");
    }
    tokio::time::pause();
    let error = Client::new(&format!("http://{address}")).unwrap().stop(&any_job(), &any_stop()).await.unwrap_err();
    assert_eq!((error.reason(), error.effect_possible()), ("JobManagerUnreachable", false), "{error}");
}

/// Reads what comes first, and says how many bytes it was.
async fn receive(connection: &TcpStream) -> usize {
    loop {
        connection.readable().await.unwrap();
        if let Ok(n) = connection.try_read(&mut [0; 4096]) {
            return n;
        }
    }
}

enum Then {
    Close,
    AnswerHalf,
    Hang,
}

/// A server that reads a request and then breaks.
async fn breaking(then: Then) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (connection, _) = listener.accept().await.unwrap();
        assert!(receive(&connection).await > 0);
        match then {
            Then::Close => {}
            Then::AnswerHalf => {
                let half = b"HTTP/1.1 202 Accepted\r\ncontent-length: 49\r\n\r\n{\"request-id\":";
                assert_eq!(connection.try_write(half).unwrap(), half.len());
            }
            Then::Hang => {
                // Nothing is left to do but to wait, so the clock jumps to the client's limit.
                tokio::time::pause();
                std::future::pending::<()>().await;
            }
        }
    });
    Client::new(&url).unwrap()
}

#[rstest]
#[case::closed(Then::Close, "")]
#[case::half(Then::AnswerHalf, "")]
#[case::hanging(Then::Hang, "none within 10 s")]
#[tokio::test]
async fn the_answer_is_lost(#[case] then: Then, #[case] text: &str) {
    let error = breaking(then).await.stop(&any_job(), &any_stop()).await.unwrap_err();
    assert_eq!((error.reason(), error.effect_possible()), ("JobManagerUnanswered", true), "{error}");
    assert!(error.to_string().starts_with("no answer to POST /jobs/00000000000000000000000000000001/stop, which "));
    assert!(error.to_string().contains(text), "{error}");
}

/// A dropped answer must not be asked for again behind the caller's back, on a connection that was used before neither.
#[tokio::test]
async fn nothing_is_sent_twice() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let requests = tokio::spawn(async move {
        let (connection, _) = listener.accept().await.unwrap();
        assert!(receive(&connection).await > 0);
        connection.try_write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
        assert!(receive(&connection).await > 0, "the connection is used again");
        drop(connection);
        let mut requests = 1;
        while let Ok(accepted) = tokio::time::timeout(std::time::Duration::from_millis(300), listener.accept()).await {
            requests += usize::from(receive(&accepted.unwrap().0).await > 0);
        }
        requests
    });
    client.overview().await.unwrap();
    let error = client.stop(&any_job(), &any_stop()).await.unwrap_err();
    assert_eq!(error.reason(), "JobManagerUnanswered", "{error}");
    assert_eq!(requests.await.unwrap(), 1);
}

/// Flink ignores fields that it does not know, so every name is held to the letter.
#[test]
fn requests_are_written_as_flink_reads_them() {
    let run = RunRequest {
        job_id: any_job(),
        entry_class: Some("a.Job".to_owned()),
        args: vec!["--x".to_owned()],
        parallelism: Some(2),
        savepoint_path: Some("s3://b/sp".to_owned()),
        allow_non_restored_state: Some(true),
        claim_mode: Some(ClaimMode::NoClaim),
        flink_configuration: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
    };
    let written = serde_json::json!({
        "jobId": "00000000000000000000000000000001",
        "entryClass": "a.Job",
        "programArgsList": ["--x"],
        "parallelism": 2,
        "savepointPath": "s3://b/sp",
        "allowNonRestoredState": true,
        "claimMode": "NO_CLAIM",
        "flinkConfiguration": {"k": "v"},
    });
    assert_eq!(serde_json::to_value(&run).unwrap(), written);
    let written = serde_json::json!({
        "triggerId": "00000000000000000000000000000def",
        "targetDirectory": "s3://bucket/savepoints",
        "formatType": "NATIVE",
        "drain": true,
    });
    assert_eq!(serde_json::to_value(any_stop()).unwrap(), written);
    let StopRequest { trigger_id, directory, format, .. } = any_stop();
    let written = serde_json::json!({
        "triggerId": "00000000000000000000000000000def",
        "target-directory": "s3://bucket/savepoints",
        "formatType": "NATIVE",
    });
    assert_eq!(serde_json::to_value(SavepointRequest { trigger_id, directory, format }).unwrap(), written);
}
