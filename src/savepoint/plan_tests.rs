//! The planner of a FlinkSavepoint as tables: what was observed, what follows.

use chrono::{DateTime, TimeDelta, Utc};
use rstest::rstest;

use super::*;
use crate::api::condition::{self, types};
use crate::api::{FlinkSavepointSpec, JobKind, JobRef};
use crate::savepoint::check::Again;
use crate::snapshot::capability::Change;

const JOB_ID: &str = "00000000000000000000000000000001";
const UID: &str = "0f0e0d0c-1111-2222-3333-444455556666";

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn savepoint(then: Option<Then>) -> FlinkSavepoint {
    let spec = FlinkSavepointSpec {
        job_ref: Some(JobRef { kind: JobKind::FlinkJobUpgrade, name: "orders".to_owned() }),
        then,
        ..FlinkSavepointSpec::default()
    };
    let mut savepoint = FlinkSavepoint::new("daily", spec);
    savepoint.metadata.namespace = Some("shop".to_owned());
    savepoint.metadata.uid = Some(UID.to_owned());
    savepoint.metadata.generation = Some(1);
    savepoint
}

fn job() -> Submitted {
    Submitted {
        uid: "job-uid".to_owned(),
        operation: None,
        revision: 3,
        job_id: JobId::new(JOB_ID).unwrap(),
        savepoint_directory: Some("s3://bucket/savepoints".to_owned()),
        flink_version: Some("1.20.0".to_owned()),
        not_ready: None,
        setting: Setting::default(),
        store_trouble: None,
    }
}

fn operation(name: &str, uid: Option<&str>) -> Operation {
    Operation {
        id: "4-abcdef12".to_owned(),
        kind: OperationKind::Upgrade,
        savepoint: Some(ObjectRef { name: name.to_owned(), uid: uid.map(str::to_owned) }),
        since: None,
    }
}

fn observed(savepoint: FlinkSavepoint, job: Submitted, answer: Answer) -> Observed {
    let job_manager = Some(Process { url: "http://10.1.2.3:8081".to_owned(), instance: "pod-a/0".to_owned() });
    let (not_yet, job) = (Vec::new(), Job::Submitted(Box::new(job)));
    // Where no store serves the place, all depends on Flink's word.
    let check = Check::NoStore { reason: Reason::NoStore, message: "no store".to_owned() };
    Observed { now: now(), savepoint, not_yet, job, job_manager, answer, check }
}

/// The savepoint after its intent was recorded, `age` seconds ago.
fn triggered(then: Option<Then>, age: i64) -> FlinkSavepoint {
    let mut mine = job();
    mine.operation = Some(operation("daily", Some(UID)));
    let mut o = observed(savepoint(then), mine, Answer::NotAsked);
    o.now = now() - TimeDelta::seconds(age);
    let plan = plan(&o);
    assert_eq!(plan.status.phase, Some(SavepointPhase::Triggering));
    FlinkSavepoint { status: Some(plan.status), ..o.savepoint }
}

fn reason(plan: &Plan) -> &str {
    &condition::find(&plan.status.conditions, types::READY).unwrap().reason
}

fn is_stalled(plan: &Plan) -> bool {
    condition::is_true(&plan.status.conditions, types::STALLED)
}

#[test]
fn the_lock_is_taken_before_anything_is_recorded() {
    let plan = plan(&observed(savepoint(None), job(), Answer::NotAsked));
    let Some(Effect::TakeLock(operation)) = &plan.effect else { panic!("{:?}", plan.effect) };
    assert_eq!(operation.savepoint.as_ref().unwrap().uid.as_deref(), Some(UID));
    assert!(plan.status.attempts.is_empty());
}

#[test]
fn the_intent_is_recorded_before_the_request() {
    let mut mine = job();
    mine.operation = Some(operation("daily", Some(UID)));
    let plan = plan(&observed(savepoint(None), mine, Answer::NotAsked));
    // An effect comes after the status is written.
    assert_eq!(plan.effect.as_ref().unwrap().name(), "trigger");
    assert_eq!(plan.next, Next::Again);
    let attempt = plan.status.attempts.first().unwrap();
    assert_eq!(attempt.directory, "s3://bucket/savepoints/shop/daily-0f0e0d0c/1");
    assert_eq!(attempt.job_id, JOB_ID);
    assert_eq!(attempt.job_manager_instance.as_deref(), Some("pod-a/0"));
}

#[rstest]
#[case::continues(None, "trigger")]
#[case::stops(Some(Then::Stop), "stop")]
fn a_request_that_did_not_arrive_is_sent_again(#[case] then: Option<Then>, #[case] effect: &str) {
    let plan = plan(&observed(triggered(then, 0), job(), Answer::UnknownTrigger));
    assert_eq!(plan.effect.as_ref().unwrap().name(), effect);
}

#[rstest]
#[case::busy(None, Some(operation("other", Some("another"))), "WaitingForOperation", false)]
#[case::stop_by_a_user(Some(Then::Stop), None, "UseSuspend", true)]
#[case::stop_of_anothers_operation(Some(Then::Stop), Some(operation("other", Some("another"))), "UseSuspend", true)]
#[case::same_name_other_uid(Some(Then::Stop), Some(operation("daily", Some("another"))), "UseSuspend", true)]
fn the_lock_of_the_job_is_respected(
    #[case] then: Option<Then>,
    #[case] operation: Option<Operation>,
    #[case] expected: &str,
    #[case] stalled: bool,
) {
    let plan = plan(&observed(savepoint(then), Submitted { operation, ..job() }, Answer::NotAsked));
    assert_eq!((reason(&plan), is_stalled(&plan)), (expected, stalled));
    assert_eq!(plan.effect, None);
    assert!(plan.status.attempts.is_empty());
}

#[test]
fn neither_directory_is_said_with_the_cure() {
    let mine = Submitted { operation: Some(operation("daily", Some(UID))), savepoint_directory: None, ..job() };
    let plan = plan(&observed(savepoint(None), mine, Answer::NotAsked));
    assert_eq!((reason(&plan), is_stalled(&plan)), ("NoTargetDirectory", true));
    assert!(plan.status.message.unwrap().contains("spec.targetDirectory"));
}

#[test]
fn the_format_is_chosen_once_and_said_why() {
    let mine = Submitted {
        operation: Some(operation("daily", Some(UID))),
        setting: Setting { state_backend: None, changes: vec![Change::Graph, Change::StateBackend] },
        ..job()
    };
    let first = plan(&observed(savepoint(Some(Then::Stop)), mine, Answer::NotAsked));
    assert_eq!(first.status.format_type, Some(FormatType::Canonical));
    let because = "state backend change: a NATIVE savepoint does not allow it";
    assert_eq!(first.status.format_reason.as_deref(), Some(because));
    let sent = first.effect;
    assert!(
        matches!(&sent, Some(Effect::Stop(_, request)) if request.format == SavepointFormat::Canonical),
        "{sent:?}"
    );
    // A repeat asks for the same, though the job is not looked at any more.
    let recorded = FlinkSavepoint { status: Some(first.status), ..savepoint(Some(Then::Stop)) };
    assert_eq!(plan(&observed(recorded, job(), Answer::UnknownTrigger)).effect, sent);
}

#[test]
fn what_no_savepoint_allows_fails_before_anything_is_sent() {
    let changes = vec![Change::Flink { from: "2.3.0".parse().ok(), to: "1.20".parse().unwrap() }];
    let setting = Setting { state_backend: None, changes };
    let plan = plan(&observed(savepoint(None), Submitted { setting, ..job() }, Answer::NotAsked));
    assert_eq!((reason(&plan), plan.status.phase), ("NotPossible", Some(SavepointPhase::Failed)));
    assert_eq!((plan.effect, plan.status.attempts.len()), (None, 0));
}

#[test]
fn a_job_is_not_stopped_without_a_place_for_its_state() {
    let trouble = Failure { reason: Reason::AccessDenied, message: "may not write".to_owned(), again: Again::WithHelp };
    let mine = Submitted { operation: Some(operation("daily", Some(UID))), store_trouble: Some(trouble), ..job() };
    let plan = plan(&observed(savepoint(Some(Then::Stop)), mine, Answer::NotAsked));
    assert_eq!((reason(&plan), is_stalled(&plan)), ("AccessDenied", false));
    assert!(plan.status.message.unwrap().contains("may not write"));
    assert_eq!((plan.effect, plan.status.attempts.len()), (None, 0));
}

#[test]
fn nothing_is_sent_while_tasks_do_not_run() {
    let mine = Submitted {
        operation: Some(operation("daily", Some(UID))),
        not_ready: Some("the job is RESTARTING".to_owned()),
        ..job()
    };
    let plan = plan(&observed(savepoint(None), mine, Answer::NotAsked));
    assert_eq!(reason(&plan), "JobNotRunning");
    assert!(plan.status.attempts.is_empty());
}

#[rstest]
#[case::another_process(Some("pod-a/1"), 1)]
#[case::pod_unknown(None, 1)]
#[case::result_may_have_expired(Some("pod-a/0"), 300)]
fn a_lost_answer_is_never_repeated(#[case] instance: Option<&str>, #[case] age: i64) {
    let mut o = observed(triggered(None, age), job(), Answer::UnknownTrigger);
    o.job_manager = instance.map(|instance| Process { instance: instance.to_owned(), ..o.job_manager.unwrap() });
    let plan = plan(&o);
    assert_eq!(plan.effect, None);
    assert_eq!((reason(&plan), is_stalled(&plan)), ("AnswerLost", true));
    assert_eq!(plan.status.phase, Some(SavepointPhase::InProgress));
}

#[test]
fn a_failed_poll_is_not_a_failed_savepoint() {
    let plan = plan(&observed(triggered(None, 5), job(), Answer::Unreachable("refused".to_owned())));
    assert_eq!(plan.status.phase, Some(SavepointPhase::Triggering));
    assert_eq!((reason(&plan), is_stalled(&plan)), ("JobManagerUnreachable", false));
    assert_eq!(plan.effect, None);
}

#[rstest]
#[case::continues(None, false, SavepointPhase::Completed)]
#[case::stopped(Some(Then::Stop), true, SavepointPhase::Completed)]
#[case::whole_but_the_job_runs_on(Some(Then::Stop), false, SavepointPhase::Verifying)]
fn a_stop_is_complete_only_with_its_job(
    #[case] then: Option<Then>,
    #[case] job_ended: bool,
    #[case] phase: SavepointPhase,
) {
    let done =
        Completed { location: "s3://bucket/x".to_owned(), job_ended, checkpoint_id: Some(7), size_bytes: Some(9) };
    let plan = plan(&observed(triggered(then, 1), job(), Answer::Completed(Box::new(done))));
    assert_eq!(plan.status.phase, Some(phase));
    // The location is kept at once: the JobManager forgets it.
    assert_eq!(plan.status.location.as_deref(), Some("s3://bucket/x"));
    assert_eq!(condition::is_true(&plan.status.conditions, types::READY), phase == SavepointPhase::Completed);
}

#[test]
fn flinks_own_failure_ends_it_with_flinks_own_words() {
    let cause = Cause::parse("java.util.concurrent.CompletionException\nCaused by: java.io.IOException: disk full");
    let plan = plan(&observed(triggered(None, 1), job(), Answer::Failed(cause)));
    assert_eq!(plan.status.phase, Some(SavepointPhase::Failed));
    assert!(is_stalled(&plan));
    assert!(plan.status.message.unwrap().contains("disk full"));
}

#[rstest]
#[case(SavepointPhase::Completed)]
#[case(SavepointPhase::Failed)]
#[case(SavepointPhase::Superseded)]
#[case(SavepointPhase::Unknown)]
fn a_finished_record_never_changes(#[case] phase: SavepointPhase) {
    let mut done = triggered(None, 9);
    done.status.as_mut().unwrap().phase = Some(phase);
    let before = done.status.clone().unwrap();
    let plan = plan(&observed(done, job(), Answer::UnknownTrigger));
    assert_eq!(plan.status, before);
    assert_eq!(plan.effect, None);
}

#[test]
fn a_field_that_is_not_built_yet_is_named() {
    let mut o = observed(savepoint(None), job(), Answer::NotAsked);
    o.not_yet = vec!["spec.timeout".to_owned()];
    let plan = plan(&o);
    assert_eq!((reason(&plan), is_stalled(&plan)), ("NotImplemented", true));
}
