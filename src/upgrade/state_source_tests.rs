use rstest::rstest;

use super::*;
use crate::store::check::{Again, Failure};

const CHK: &str = "s3://b/ck/j/chk-7";
const BEFORE: &str = "s3://b/sp/savepoint-1";

fn failure() -> Failure {
    Failure { reason: Reason::FilesMissing, message: "1 file is missing".to_owned(), again: Again::WithHelp }
}

fn whole() -> Retained {
    Retained::Whole { id: 7, location: CHK.to_owned() }
}

fn broken() -> Retained {
    Retained::Broken { location: CHK.to_owned(), failure: failure() }
}

/// An answer in a word.
fn word(answer: &Answer) -> String {
    match answer {
        Answer::Stop => "stop".to_owned(),
        Answer::Keep => "keep".to_owned(),
        Answer::Look => "look".to_owned(),
        Answer::Wait(_) => "wait".to_owned(),
        Answer::Stalled(reason, _) => reason.to_string(),
        Answer::Start(source, path) => format!("{source} {}", path.as_deref().unwrap_or("nothing")),
    }
}

fn silent() -> Now {
    Now::Silent("connection refused".to_owned())
}

/// What the job does × what the spec allows, while a savepoint is worth waiting for, and after; with a whole checkpoint.
#[rstest]
#[case(Now::Running, UpgradeFrom::Savepoint, "stop", "stop")]
#[case(Now::Running, UpgradeFrom::SavepointOrCheckpoint, "stop", "stop")]
#[case(Now::Running, UpgradeFrom::Checkpoint, "Checkpoint s3://b/ck/j/chk-7", "Checkpoint s3://b/ck/j/chk-7")]
#[case(Now::Running, UpgradeFrom::Empty, "Empty nothing", "Empty nothing")]
#[case(Now::Restarting(2), UpgradeFrom::Savepoint, "wait", "Checkpoint s3://b/ck/j/chk-7")]
#[case(Now::Restarting(2), UpgradeFrom::SavepointOrCheckpoint, "wait", "Checkpoint s3://b/ck/j/chk-7")]
#[case(Now::Restarting(2), UpgradeFrom::Checkpoint, "Checkpoint s3://b/ck/j/chk-7", "Checkpoint s3://b/ck/j/chk-7")]
#[case(Now::Restarting(3), UpgradeFrom::Savepoint, "Checkpoint s3://b/ck/j/chk-7", "Checkpoint s3://b/ck/j/chk-7")]
#[case(Now::Restarting(3), UpgradeFrom::Empty, "Empty nothing", "Empty nothing")]
#[case(Now::Failed, UpgradeFrom::Savepoint, "Checkpoint s3://b/ck/j/chk-7", "Checkpoint s3://b/ck/j/chk-7")]
#[case(Now::Failed, UpgradeFrom::Empty, "Empty nothing", "Empty nothing")]
#[case(Now::Canceled, UpgradeFrom::Savepoint, "Checkpoint s3://b/ck/j/chk-7", "Checkpoint s3://b/ck/j/chk-7")]
#[case(Now::Forgotten, UpgradeFrom::Savepoint, "Checkpoint s3://b/ck/j/chk-7", "Checkpoint s3://b/ck/j/chk-7")]
#[case(Now::Lost, UpgradeFrom::Savepoint, "Checkpoint s3://b/ck/j/chk-7", "Checkpoint s3://b/ck/j/chk-7")]
#[case(Now::Lost, UpgradeFrom::Checkpoint, "Checkpoint s3://b/ck/j/chk-7", "Checkpoint s3://b/ck/j/chk-7")]
#[case(silent(), UpgradeFrom::Savepoint, "wait", "Checkpoint s3://b/ck/j/chk-7")]
#[case(silent(), UpgradeFrom::Checkpoint, "wait", "Checkpoint s3://b/ck/j/chk-7")]
#[case(silent(), UpgradeFrom::Empty, "Empty nothing", "Empty nothing")]
#[case(Now::Finished, UpgradeFrom::Savepoint, "StateUnknown", "StateUnknown")]
#[case(Now::Finished, UpgradeFrom::Checkpoint, "StateUnknown", "StateUnknown")]
#[case(Now::Finished, UpgradeFrom::Empty, "Empty nothing", "Empty nothing")]
fn what_a_successor_starts_from(
    #[case] now: Now,
    #[case] policy: UpgradeFrom,
    #[case] at_first: &str,
    #[case] later: &str,
) {
    let retained = whole();
    let q = Question {
        now,
        policy,
        savepoint_failed: false,
        waited: Duration::ZERO,
        patience: Duration::from_secs(600),
        retained: &retained,
        told: None,
        restored_from: Some(BEFORE),
    };
    assert_eq!(word(&source(&q)), at_first);
    assert_eq!(word(&source(&Question { waited: Duration::from_secs(600), ..q })), later);
}

/// Which checkpoint there is × what the submission itself was restored from. The state of another submission is never
/// an answer, and nothing is one only where the submission itself began with nothing.
#[rstest]
#[case::not_looked(Retained::NotAsked, None, Some(BEFORE), "look")]
#[case::whole(whole(), None, Some(BEFORE), "Checkpoint s3://b/ck/j/chk-7")]
#[case::whole_and_older_told(whole(), Some("s3://b/ck/j/chk-6"), None, "Checkpoint s3://b/ck/j/chk-7")]
#[case::none_yet(Retained::Nothing, None, Some(BEFORE), "Restored s3://b/sp/savepoint-1")]
#[case::none_yet_and_began_empty(Retained::Nothing, None, None, "Empty nothing")]
#[case::being_read(Retained::Reading(CHK.to_owned()), None, Some(BEFORE), "wait")]
#[case::store_down(Retained::Failed(failure()), Some(CHK), Some(BEFORE), "FilesMissing")]
#[case::broken(broken(), None, Some(BEFORE), "FilesMissing")]
#[case::no_store(Retained::NoStore("no store".to_owned()), None, Some(BEFORE), "StateUnknown")]
#[case::no_store_and_began_empty(Retained::NoStore("no store".to_owned()), None, None, "StateUnknown")]
#[case::no_store_but_told(Retained::NoStore("no store".to_owned()), Some(CHK), None, "Checkpoint s3://b/ck/j/chk-7")]
fn which_state_a_failed_job_leaves(
    #[case] retained: Retained,
    #[case] told: Option<&str>,
    #[case] restored_from: Option<&str>,
    #[case] expected: &str,
) {
    let q = Question {
        now: Now::Failed,
        policy: UpgradeFrom::Savepoint,
        savepoint_failed: false,
        waited: Duration::ZERO,
        patience: Duration::from_secs(600),
        retained: &retained,
        told,
        restored_from,
    };
    assert_eq!(word(&source(&q)), expected);
}

/// A savepoint that failed: the job that runs is kept, unless a checkpoint will do.
#[rstest]
#[case(Now::Running, UpgradeFrom::Savepoint, "keep")]
#[case(Now::Running, UpgradeFrom::SavepointOrCheckpoint, "Checkpoint s3://b/ck/j/chk-7")]
#[case(Now::Restarting(1), UpgradeFrom::Savepoint, "wait")]
#[case(Now::Failed, UpgradeFrom::Savepoint, "Checkpoint s3://b/ck/j/chk-7")]
fn after_a_savepoint_that_failed(#[case] now: Now, #[case] policy: UpgradeFrom, #[case] expected: &str) {
    let retained = whole();
    let q = Question {
        now,
        policy,
        savepoint_failed: true,
        waited: Duration::ZERO,
        patience: Duration::from_secs(600),
        retained: &retained,
        told: None,
        restored_from: None,
    };
    assert_eq!(word(&source(&q)), expected);
}

/// What can't be used says what helps.
#[test]
fn a_broken_checkpoint_names_itself_and_the_last_that_was_verified() {
    let retained = broken();
    let q = Question {
        now: Now::Lost,
        policy: UpgradeFrom::Savepoint,
        savepoint_failed: false,
        waited: Duration::ZERO,
        patience: Duration::ZERO,
        retained: &retained,
        told: None,
        restored_from: Some(BEFORE),
    };
    let Answer::Stalled(_, message) = source(&q) else { panic!() };
    for part in [CHK, BEFORE, "1 file is missing", "job.restoreFrom"] {
        assert!(message.contains(part), "{message}");
    }
}
