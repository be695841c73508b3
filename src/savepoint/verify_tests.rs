//! The end of a FlinkSavepoint as tables: what was found of its files, what follows.

use chrono::{DateTime, Utc};
use rstest::rstest;

use super::super::copy::Copying;
use super::super::observed::{Answer, Job, Leftovers, Place};
use super::super::plan::{Plan, plan};
use super::*;
use crate::api::condition::{self, types};
use crate::api::{FlinkSavepoint, FlinkSavepointSpec, FormatType, SavepointAttempt, SnapshotKind};
use crate::snapshot::store;

const LOCATION: &str = "s3://bucket/savepoints/savepoint-1";

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

/// A savepoint that Flink has finished, or with `path` one that exists.
fn savepoint(path: Option<&str>, wish: Option<Verification>) -> FlinkSavepoint {
    let spec =
        FlinkSavepointSpec { path: path.map(str::to_owned), verification: wish, ..FlinkSavepointSpec::default() };
    let mut savepoint = FlinkSavepoint::new("daily", spec);
    if path.is_none() {
        let attempt =
            SavepointAttempt { number: 1, result: Some("Completed".to_owned()), ..SavepointAttempt::default() };
        savepoint.status = Some(FlinkSavepointStatus {
            phase: Some(SavepointPhase::Verifying),
            location: Some(LOCATION.to_owned()),
            format_type: Some(FormatType::Native),
            attempts: vec![attempt],
            ..FlinkSavepointStatus::default()
        });
    }
    savepoint
}

fn planned(savepoint: FlinkSavepoint, check: Check) -> Plan {
    plan(&Observed {
        now: now(),
        savepoint,
        unknown: Vec::new(),
        job: Job::NotRead,
        job_manager: None,
        answer: Answer::NotAsked,
        job_now: JobNow::NotAsked,
        check,
        leftovers: Leftovers::default(),
        ownership: None,
        holds: None,
        copying: Copying::NotAsked,
        place: Place::NotRead,
        namespace_terminating: false,
    })
}

fn fault(location: &str) -> store::FileFault {
    store::FileFault { location: location.to_owned(), expected: 9, found: None }
}

fn read(files: Option<store::Verification>) -> Check {
    Check::Done(Box::new(Checked {
        directory: "s3://bucket/chk-7".to_owned(),
        kind: Some(SnapshotKind::Checkpoint),
        format_type: None,
        checkpoint_id: 7,
        metadata_version: 4,
        size_bytes: 1234,
        file_count: 3,
        operators: Vec::new(),
        operator_count: 2,
        outside: std::collections::BTreeSet::new(),
        files,
        facts: None,
    }))
}

fn whole() -> store::Verification {
    store::Verification { files: 2, bytes: 1200, ..store::Verification::default() }
}

fn missing() -> store::Verification {
    store::Verification { missing: vec![fault("s3://bucket/a")], missing_count: 1, ..whole() }
}

fn unreachable() -> store::Verification {
    store::Verification { unreachable: vec![fault("s3://other/a")], unreachable_count: 1, ..whole() }
}

fn failed(again: Again) -> Check {
    Check::Failed(Failure { reason: Reason::TimedOut, message: "no answer".to_owned(), again })
}

fn unknown_layout() -> Check {
    let (reason, message) = (Reason::UnknownMetadataVersion, "layout 8".to_owned());
    Check::Failed(Failure { reason, message, again: Again::Never })
}

fn no_store(reason: Reason) -> Check {
    Check::NoStore { reason, message: "create one".to_owned() }
}

/// Phase; status and reason of Verified; reason of Ready; whether it is Stalled.
fn told(plan: &Plan) -> (SavepointPhase, String, String, bool) {
    let conditions = &plan.status.conditions;
    let verified = condition::find(conditions, types::VERIFIED).map(|c| format!("{} {}", c.status, c.reason));
    let ready = condition::find(conditions, types::READY).map(|c| c.reason.clone()).unwrap_or_default();
    let stalled = condition::is_true(conditions, types::STALLED);
    (plan.status.phase.unwrap(), verified.unwrap_or_default(), ready, stalled)
}

use SavepointPhase::{Completed, Failed, Verifying};

#[rstest]
#[case::whole(read(Some(whole())), Completed, "True FilesChecked", "Completed", false)]
#[case::missing(read(Some(missing())), Verifying, "False FilesMissing", "FilesMissing", true)]
#[case::elsewhere(read(Some(unreachable())), Completed, "Unknown FilesNotServed", "Completed", false)]
#[case::no_store(no_store(Reason::NoStore), Completed, "Unknown NoStore", "Completed", false)]
#[case::wrong_store(no_store(Reason::WrongStore), Verifying, "Unknown WrongStore", "WrongStore", true)]
#[case::store_away(failed(Again::Soon), Verifying, "Unknown TimedOut", "TimedOut", false)]
#[case::store_refuses(failed(Again::WithHelp), Verifying, "Unknown TimedOut", "TimedOut", true)]
#[case::metadata_broken(failed(Again::Never), Verifying, "Unknown TimedOut", "TimedOut", true)]
#[case::newer_than_this_reader(unknown_layout(), Completed, "Unknown UnknownMetadataVersion", "Completed", false)]
#[case::still_read(Check::Running(None), Verifying, "", "InProgress", false)]
fn a_savepoint_that_flink_wrote(
    #[case] check: Check,
    #[case] phase: SavepointPhase,
    #[case] verified: &str,
    #[case] ready: &str,
    #[case] stalled: bool,
) {
    let plan = planned(savepoint(None, None), check);
    assert_eq!(told(&plan), (phase, verified.to_owned(), ready.to_owned(), stalled));
    assert_eq!(plan.status.location.as_deref(), Some(LOCATION), "as Flink reported it, whatever was found");
    assert_eq!(plan.status.format_type, Some(FormatType::Native));
    assert_eq!(plan.effect, None);
}

#[rstest]
#[case::whole(read(Some(whole())), Completed, "True FilesChecked", "Completed", false)]
#[case::missing(read(Some(missing())), Verifying, "False FilesMissing", "FilesMissing", true)]
#[case::no_store(no_store(Reason::NoStore), Verifying, "Unknown NoStore", "NoStore", true)]
#[case::store_away(failed(Again::Soon), Verifying, "Unknown TimedOut", "TimedOut", false)]
#[case::metadata_broken(failed(Again::Never), Failed, "Unknown TimedOut", "TimedOut", true)]
fn one_that_exists_is_registered(
    #[case] check: Check,
    #[case] phase: SavepointPhase,
    #[case] verified: &str,
    #[case] ready: &str,
    #[case] stalled: bool,
) {
    let plan = planned(savepoint(Some("s3://bucket/chk-7/_metadata"), None), check);
    assert_eq!(told(&plan), (phase, verified.to_owned(), ready.to_owned(), stalled));
}

#[test]
fn what_was_read_is_in_the_status() {
    let plan = planned(savepoint(Some("s3a://bucket/chk-7/_metadata"), None), read(Some(whole())));
    let status = plan.status;
    assert_eq!(status.location.as_deref(), Some("s3://bucket/chk-7"), "the directory, in the normal form");
    assert_eq!((status.kind, status.format_type), (Some(SnapshotKind::Checkpoint), None), "it says which it is");
    assert_eq!((status.checkpoint_id, status.metadata_version), (Some(7), Some(4)));
    assert_eq!((status.size_bytes, status.file_count, status.operator_count), (Some(1234), Some(3), Some(2)));
    assert_eq!(status.start_time, Some(time::to_k8s(now())));
    assert_eq!(status.completion_time, Some(time::to_k8s(now())));
}

#[rstest]
#[case::metadata_suffices(Verification::Metadata, read(None), Completed, "True MetadataRead")]
#[case::metadata_needs_a_store(Verification::Metadata, no_store(Reason::NoStore), Verifying, "Unknown NoStore")]
#[case::full_needs_a_store(Verification::Full, no_store(Reason::NoStore), Verifying, "Unknown NoStore")]
#[case::full_needs_all_files(Verification::Full, read(Some(unreachable())), Verifying, "Unknown FilesNotServed")]
fn the_wish_decides_what_must_be_checked(
    #[case] wish: Verification,
    #[case] check: Check,
    #[case] phase: SavepointPhase,
    #[case] verified: &str,
) {
    let plan = planned(savepoint(None, Some(wish)), check);
    let (found, shown, _, stalled) = told(&plan);
    assert_eq!((found, shown.as_str(), stalled), (phase, verified, phase == Verifying));
}

#[test]
fn files_that_come_back_heal_it() {
    let missing = planned(savepoint(None, None), read(Some(missing())));
    assert_eq!(missing.next, Next::After(HELP));
    let before = FlinkSavepoint { status: Some(missing.status), ..savepoint(None, None) };
    let healed = planned(before, read(Some(whole())));
    assert_eq!(told(&healed), (Completed, "True FilesChecked".to_owned(), "Completed".to_owned(), false));
}

#[test]
fn progress_is_shown() {
    let shown = |progress| planned(savepoint(None, None), Check::Running(progress)).status.message.unwrap();
    assert_eq!(shown(None), "its metadata is about to be read");
    let read = Progress::Metadata { read: 5, of: Some(9) };
    assert_eq!(shown(Some(read)), "its metadata is read: 5 of 9 bytes");
    let listed = Progress::Listed { files: 1000, of: 50_000 };
    assert_eq!(shown(Some(listed)), "its files are looked for: 1000 of 50000 found");
}
