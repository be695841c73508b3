//! The planner of a FlinkSavepoint as tables: what was observed, what follows.

use rstest::rstest;

use super::super::format::Setting;
use super::super::observed::{Answer, Completed, JobNow, Leftovers, Submitted, Turn};
use super::super::testing::{
    DIRECTORY, JOB_ID, UID, foreign, forgotten, job, lives, locked_by, observed, outcome, process, reason, savepoint,
    triggered, whole,
};
use super::*;
use crate::api::condition::types;
use crate::api::{FlinkSavepoint, FormatType, SavepointPhase, Then};
use crate::flink::{JobState, SavepointFormat};
use crate::savepoint::observed::Found;
use crate::savepoint::testing::is;
use crate::snapshot::capability::Change;
use crate::store::check::{Again, Failure};

#[test]
fn the_lock_is_taken_before_anything_is_recorded() {
    let turn = Turn::Lock { uid: "job-uid".to_owned(), operation: None };
    let plan = plan(&observed(savepoint(None), Submitted { turn, ..job() }, Answer::NotAsked));
    let Some(Effect::TakeLock(operation)) = &plan.effect else { panic!("{:?}", plan.effect) };
    assert_eq!(operation.savepoint.as_ref().unwrap().uid.as_deref(), Some(UID));
    // That it is about to be taken is not worth a write.
    assert_eq!(plan.status, FlinkSavepointStatus::default());
}

#[test]
fn the_intent_is_recorded_before_the_request() {
    let plan = plan(&observed(savepoint(None), job(), Answer::NotAsked));
    // An effect comes after the status is written.
    assert_eq!(plan.effect.as_ref().unwrap().name(), "trigger");
    assert_eq!(plan.next, Next::Again);
    let attempt = plan.status.attempts.first().unwrap();
    assert_eq!(attempt.directory, DIRECTORY);
    assert_eq!(attempt.job_id, JOB_ID);
    assert_eq!(attempt.job_manager_instance.as_deref(), Some("pod-a/0"));
}

#[rstest]
#[case::continues(None, "trigger")]
#[case::stops(Some(Then::Stop), "stop")]
fn a_request_that_did_not_arrive_is_sent_again(#[case] then: Option<Then>, #[case] effect: &str) {
    let plan = plan(&observed(triggered(savepoint(then), 0), job(), forgotten(Found::Nothing, lives())));
    assert_eq!(plan.effect.as_ref().unwrap().name(), effect);
}

#[rstest]
#[case::busy(None, locked_by("other", Some("another")), "WaitingForOperation", false)]
#[case::stop_by_a_user(Some(Then::Stop), Turn::Lock { uid: "job-uid".to_owned(), operation: None }, "UseSuspend", true)]
#[case::stop_of_anothers_operation(Some(Then::Stop), locked_by("other", Some("another")), "UseSuspend", true)]
#[case::same_name_other_uid(Some(Then::Stop), locked_by("daily", Some("another")), "UseSuspend", true)]
fn the_lock_of_the_job_is_respected(
    #[case] then: Option<Then>,
    #[case] turn: Turn,
    #[case] expected: &str,
    #[case] stalled: bool,
) {
    let plan = plan(&observed(savepoint(then), Submitted { turn, ..job() }, Answer::NotAsked));
    assert_eq!((reason(&plan), is(&plan, types::STALLED)), (expected, stalled));
    assert_eq!(plan.effect, None);
    assert!(plan.status.attempts.is_empty());
}

#[test]
fn neither_directory_is_said_with_the_cure() {
    let mine = Submitted { savepoint_directory: None, ..job() };
    let plan = plan(&observed(savepoint(None), mine, Answer::NotAsked));
    assert_eq!((reason(&plan), is(&plan, types::STALLED)), ("NoTargetDirectory", true));
    assert!(plan.status.message.unwrap().contains("spec.targetDirectory"));
}

#[test]
fn the_format_is_chosen_once_and_said_why() {
    let mine = Submitted {
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
    assert_eq!(plan(&observed(recorded, job(), forgotten(Found::Nothing, lives()))).effect, sent);
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
    let mine = Submitted { store_trouble: Some(trouble), ..job() };
    let plan = plan(&observed(savepoint(Some(Then::Stop)), mine, Answer::NotAsked));
    assert_eq!((reason(&plan), is(&plan, types::STALLED)), ("AccessDenied", false));
    assert!(plan.status.message.unwrap().contains("may not write"));
    assert_eq!((plan.effect, plan.status.attempts.len()), (None, 0));
}

#[test]
fn nothing_is_sent_while_tasks_do_not_run() {
    let mine = Submitted { not_ready: Some("the job is RESTARTING".to_owned()), ..job() };
    let plan = plan(&observed(savepoint(None), mine, Answer::NotAsked));
    assert_eq!(reason(&plan), "JobNotRunning");
    assert!(plan.status.attempts.is_empty());
}

#[test]
fn a_failed_poll_is_not_a_failed_savepoint() {
    let plan = plan(&observed(triggered(savepoint(None), 5), job(), Answer::Unreachable("refused".to_owned())));
    assert_eq!(plan.status.phase, Some(SavepointPhase::Triggering));
    assert_eq!((reason(&plan), is(&plan, types::STALLED)), ("JobManagerUnreachable", false));
    assert_eq!(plan.effect, None);
}

fn done(job: JobNow, uncommitted: bool) -> Answer {
    let (checkpoint_id, size_bytes) = (Some(7), Some(9));
    let location = format!("{DIRECTORY}/savepoint-000000-1");
    Answer::Completed(Box::new(Completed { location, job, uncommitted, checkpoint_id, size_bytes }))
}

#[rstest]
#[case::continues(None, JobNow::NotAsked, "Completed")]
#[case::stopped(Some(Then::Stop), JobNow::Ended(JobState::Finished), "Completed")]
#[case::drained(Some(Then::Drain), JobNow::Ended(JobState::Finished), "Completed")]
#[case::cancelled_meanwhile(Some(Then::Stop), JobNow::Ended(JobState::Canceled), "Completed")]
#[case::whole_but_the_job_runs_on(Some(Then::Stop), lives(), "InProgress")]
#[case::whole_but_nobody_knows(Some(Then::Stop), JobNow::CantTell("no answer".to_owned()), "InProgress")]
#[case::whole_but_it_may_return(Some(Then::Drain), JobNow::MayReturn("ConfigMap".to_owned()), "InProgress")]
#[case::checked_before_its_job_is_cancelled(Some(Then::Cancel), JobNow::NotAsked, "Verifying")]
fn a_stop_is_complete_only_with_its_job(#[case] then: Option<Then>, #[case] job: JobNow, #[case] phase: &str) {
    let o = observed(triggered(savepoint(then), 1), super::super::testing::job(), done(job, false));
    let plan = plan(&o);
    assert_eq!(plan.status.phase.unwrap().as_str(), phase);
    // The location is kept at once: the JobManager forgets it.
    let attempt = plan.status.attempts.last().unwrap();
    let known = plan.status.location.as_ref().or(attempt.location.as_ref());
    assert_eq!(known.unwrap(), &format!("{DIRECTORY}/savepoint-000000-1"));
    assert_eq!(is(&plan, types::READY), phase == "Completed");
    assert_eq!(plan.effect, None);
}

/// A TaskManager was lost while the job was being stopped: the job fails for good, and the savepoint is its state.
#[rstest]
#[case::for_good(JobNow::Ended(JobState::Failed), "Completed")]
#[case::about_to(JobNow::Lives { all_tasks_running: false, state: JobState::Restarting }, "InProgress")]
#[case::recovered_all_the_same(lives(), "Pending")]
fn a_job_that_fails_while_it_is_stopped(#[case] job: JobNow, #[case] phase: &str) {
    let o = observed(triggered(savepoint(Some(Then::Stop)), 1), super::super::testing::job(), done(job, true));
    let plan = plan(&o);
    assert_eq!(plan.status.phase.unwrap().as_str(), phase);
    assert_eq!(plan.status.uncommitted, (phase == "Completed").then_some(true));
    if phase == "Completed" {
        assert!(plan.status.message.unwrap().contains("not committed"));
    }
}

/// Nobody knows the trigger any more. What became of the attempt is told by its directory, by the job, and by the process
/// that answers: `pod-a/0` was asked.
#[rstest]
// A savepoint that ends nothing needs only its files.
#[case::whole(None, whole(), lives(), "pod-a/0", 9, ("-", "Completed", "Completed"))]
#[case::whole_in_another_process(None, whole(), lives(), "pod-a/1", 9, ("-", "Completed", "Completed"))]
#[case::never_arrived(None, Found::Nothing, lives(), "pod-a/0", 9, ("trigger", "Triggering", "InProgress"))]
#[case::never_arrived_and_no_store(None, no_store(), lives(), "pod-a/0", 9, ("trigger", "Triggering", "InProgress"))]
#[case::expired_and_nothing_there(None, Found::Nothing, lives(), "pod-a/0", 600, ("trigger", "Triggering", "InProgress"))]
#[case::expired_and_no_store(None, no_store(), lives(), "pod-a/0", 600, ("-", "InProgress", "AnswerLost"))]
#[case::lost_and_nothing_there(None, Found::Nothing, lives(), "pod-a/1", 9, ("-", "Pending", "JobManagerLost"))]
#[case::lost_in_the_middle(None, Found::Unfinished, lives(), "pod-a/1", 9, ("-", "Pending", "JobManagerLost"))]
#[case::lost_and_no_store(None, no_store(), lives(), "pod-a/1", 9, ("-", "InProgress", "AnswerLost"))]
#[case::lost_and_store_silent(None, silent(), lives(), "pod-a/1", 9, ("-", "Triggering", "TimedOut"))]
#[case::just_arrived(None, Found::Unfinished, lives(), "pod-a/0", 9, ("-", "InProgress", "InProgress"))]
#[case::given_up_by_the_same_process(None, Found::Unfinished, lives(), "pod-a/0", 600, ("-", "Pending", "JobManagerLost"))]
#[case::process_unseen(None, Found::Nothing, lives(), "", 9, ("-", "InProgress", "AnswerLost"))]
#[case::job_has_ended(None, Found::Nothing, JobNow::Ended(JobState::Finished), "pod-a/0", 9, ("-", "Pending", "JobEnded"))]
// A stop needs the job's end, too: a whole directory does not prove it.
#[case::stop_forgotten(Some(Then::Stop), Found::Unfinished, lives(), "pod-a/1", 9, ("-", "Pending", "JobManagerLost"))]
#[case::stop_whole_and_job_runs(Some(Then::Stop), whole(), lives(), "pod-a/1", 9, ("-", "Pending", "Superseded"))]
#[case::stop_whole_and_initializing(Some(Then::Stop), whole(), JobNow::Lives { all_tasks_running: false, state: JobState::Initializing }, "pod-a/1", 9, ("-", "Pending", "Superseded"))]
#[case::stop_finished(Some(Then::Stop), whole(), JobNow::Ended(JobState::Finished), "pod-a/1", 9, ("-", "Completed", "Completed"))]
#[case::stop_unknown_and_nothing_to_recover(Some(Then::Stop), whole(), JobNow::Gone, "pod-a/1", 9, ("-", "Completed", "Completed"))]
#[case::stop_unknown_and_may_return(Some(Then::Stop), whole(), JobNow::MayReturn("ConfigMap".to_owned()), "pod-a/1", 9, ("-", "InProgress", "JobManagerUnreachable"))]
#[case::stop_failed_in_the_process_that_wrote_it(Some(Then::Stop), whole(), JobNow::Ended(JobState::Failed), "pod-a/0", 600, ("-", "Completed", "Completed"))]
#[case::stop_failed_after_it_was_recovered(Some(Then::Stop), whole(), JobNow::Ended(JobState::Failed), "pod-a/1", 9, ("-", "Pending", "Superseded"))]
#[case::stop_never_arrived(Some(Then::Stop), Found::Nothing, lives(), "pod-a/0", 9, ("stop", "Triggering", "InProgress"))]
fn a_forgotten_trigger(
    #[case] then: Option<Then>,
    #[case] found: Found,
    #[case] job: JobNow,
    #[case] instance: &str,
    #[case] age: i64,
    #[case] expected: (&str, &str, &str),
) {
    let mut o = observed(triggered(savepoint(then), age), super::super::testing::job(), forgotten(found, job));
    o.job_manager = Some(process(instance));
    if instance.is_empty() {
        o.job_manager.as_mut().unwrap().instance = None;
    }
    assert_eq!(outcome(&plan(&o)), expected);
}

fn no_store() -> Found {
    Found::NoStore("no store".to_owned())
}

fn silent() -> Found {
    Found::Trouble(Failure { reason: Reason::TimedOut, message: "silent".to_owned(), again: Again::Soon })
}

/// A request under way is waited for, and nothing is sent beside it.
#[test]
fn one_that_the_history_shows_in_progress_is_waited_for() {
    let Answer::Forgotten(mut known) = forgotten(Found::Unfinished, lives()) else { panic!() };
    known.in_progress = true;
    let plan = plan(&observed(triggered(savepoint(None), 600), job(), Answer::Forgotten(known)));
    assert_eq!(outcome(&plan), ("-", "InProgress", "InProgress"));
}

/// Without a JobManager nothing can act any more, and the directory says what there is.
#[rstest]
#[case::whole(whole(), ("-", "Completed", "Completed"))]
#[case::nothing(Found::Nothing, ("-", "Pending", "JobManagerLost"))]
fn a_cluster_that_was_removed(#[case] found: Found, #[case] expected: (&str, &str, &str)) {
    let Answer::Forgotten(mut known) = forgotten(found, JobNow::Gone) else { panic!() };
    known.gone = true;
    let mut o = observed(triggered(savepoint(None), 9), job(), Answer::Forgotten(known));
    o.job_manager = None;
    assert_eq!(outcome(&plan(&o)), expected);
}

#[rstest]
#[case(SavepointPhase::Completed)]
#[case(SavepointPhase::Failed)]
#[case(SavepointPhase::Superseded)]
#[case(SavepointPhase::Unknown)]
fn a_finished_record_never_changes(#[case] phase: SavepointPhase) {
    let mut done = triggered(savepoint(None), 9);
    done.metadata.finalizers = None;
    done.status.as_mut().unwrap().phase = Some(phase);
    let before = done.status.clone().unwrap();
    let plan = plan(&observed(done, job(), Answer::NotAsked));
    assert_eq!(plan.status, before);
    assert_eq!(plan.effect, None);
}

#[test]
fn a_field_with_an_unknown_value_is_named() {
    let mut o = observed(savepoint(None), job(), Answer::NotAsked);
    o.unknown = vec!["spec.then".to_owned()];
    let plan = plan(&o);
    assert_eq!((reason(&plan), is(&plan, types::STALLED)), ("NotImplemented", true));
}

#[test]
fn what_failed_attempts_left_is_swept() {
    let mut failed = triggered(savepoint(None), 9);
    failed.status.as_mut().unwrap().phase = Some(SavepointPhase::Failed);
    let mut o = observed(failed, job(), Answer::NotAsked);
    let files = vec![(DIRECTORY.to_owned(), vec!["savepoints/x/1".to_owned()])];
    o.leftovers = Leftovers { files: files.clone(), trouble: None };
    assert_eq!(plan(&o).effect, Some(Effect::RemoveFinalizer), "a store that refuses keeps nobody");
    // One that is being deleted is swept before it goes; but that is not waited for without end.
    o.savepoint.metadata.deletion_timestamp = Some(crate::time::to_k8s(o.now));
    assert_eq!(plan(&o).effect, Some(Effect::Sweep(files.clone())));
    o.now += chrono::TimeDelta::seconds(60);
    assert_eq!(plan(&o).effect, Some(Effect::RemoveFinalizer));
    o.savepoint.metadata.finalizers = None;
    let swept = plan(&o);
    assert_eq!(swept.effect, Some(Effect::Sweep(files)));
    assert_ne!(swept.next, Next::Again, "a store that refuses is not asked at once again");
    o.leftovers = Leftovers::default();
    assert_eq!(plan(&o).effect, None);
}

/// The one field that may change asks for something that is not known; what was begun goes on.
#[test]
fn what_is_under_way_is_followed_whatever_the_spec_asks_for() {
    let mut o = observed(triggered(savepoint(None), 1), job(), done(JobNow::NotAsked, false));
    o.unknown = vec!["spec.deletionPolicy".to_owned()];
    assert_eq!(outcome(&plan(&o)), ("-", "Completed", "Completed"));
}

#[rstest]
#[case::ends_the_job(savepoint(Some(Then::Stop)), "add-finalizer")]
#[case::foreign(foreign(None), "add-finalizer")]
#[case::protected_by_the_lock(savepoint(None), "trigger")]
fn what_must_not_be_gone_while_it_acts_gets_a_finalizer_first(#[case] it: FlinkSavepoint, #[case] effect: &str) {
    let mut o = observed(it, job(), Answer::NotAsked);
    o.savepoint.metadata.finalizers = None;
    if o.savepoint.spec.flink_cluster.is_some() {
        let turn = Turn::Queue { busy: None, before: 0 };
        o.job = super::super::observed::Job::Submitted(Box::new(Submitted { turn, ..job() }));
    }
    let plan = plan(&o);
    assert_eq!(plan.effect.as_ref().unwrap().name(), effect);
    assert_eq!(plan.status.attempts.len(), usize::from(effect == "trigger"), "not before the finalizer");
}

#[test]
fn on_a_foreign_cluster_one_waits_for_the_other() {
    let turn = Turn::Queue { busy: Some("hourly".to_owned()), before: 0 };
    let plan = plan(&observed(foreign(None), Submitted { turn, ..job() }, Answer::NotAsked));
    assert_eq!(outcome(&plan), ("-", "Pending", "WaitingForOperation"));
    assert!(plan.status.message.unwrap().contains("FlinkSavepoint hourly"));
}

#[rstest]
#[case::runs(lives(), ("cancel", "Verifying", "InProgress"))]
#[case::is_being_cancelled(JobNow::Lives { all_tasks_running: false, state: JobState::Cancelling }, ("-", "Verifying", "InProgress"))]
#[case::cancelled(JobNow::Ended(JobState::Canceled), ("-", "Completed", "Completed"))]
#[case::finished_by_itself(JobNow::Ended(JobState::Finished), ("-", "Completed", "Completed"))]
#[case::gone(JobNow::Gone, ("-", "Completed", "Completed"))]
#[case::unknown(JobNow::CantTell("no answer".to_owned()), ("-", "Verifying", "InProgress"))]
fn a_job_is_cancelled_only_after_its_savepoint(#[case] job_now: JobNow, #[case] expected: (&str, &str, &str)) {
    let taken = plan(&observed(triggered(foreign(Some(Then::Cancel)), 1), job(), done(JobNow::NotAsked, false)));
    assert_eq!((taken.effect, taken.status.phase), (None, Some(SavepointPhase::Verifying)));
    let it = FlinkSavepoint { status: Some(taken.status), ..foreign(Some(Then::Cancel)) };
    let mut o = observed(it, job(), Answer::NotAsked);
    o.job_now = job_now;
    assert_eq!(outcome(&plan(&o)), expected);
}

#[rstest]
fn a_status_of_a_later_version_is_left_alone(#[values("phase", "kind", "formatType", "ownership")] field: &str) {
    let mut it = triggered(savepoint(None), 1);
    let mut status = serde_json::to_value(&it.status).unwrap();
    status[field] = "Teleported".into();
    it.status = serde_json::from_value(status).unwrap();
    let before = it.status.clone().unwrap();
    let plan = plan(&observed(it, job(), Answer::NotAsked));
    assert_eq!((plan.status, plan.effect), (before, None));
}
