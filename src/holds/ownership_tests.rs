use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::api::{FlinkSavepointSpec, FlinkSavepointStatus};

const PLACE: &str = "s3://flink/sp/savepoint-1";

fn job(status: Value) -> FlinkJobUpgrade {
    let mut job = FlinkJobUpgrade::new("orders", crate::api::FlinkJobUpgradeSpec::default());
    job.status = Some(serde_json::from_value(status).unwrap());
    job
}

fn submission(mode: &str, confirmed: bool, from: &str) -> Value {
    json!({"jobId": "a", "revision": 1, "restoredFrom": from, "restoreMode": mode, "restoreConfirmed": confirmed})
}

fn active(mode: &str, confirmed: bool, from: &str) -> FlinkJobUpgrade {
    job(json!({"active": {"revision": 1, "submission": submission(mode, confirmed, from)}}))
}

fn savepoint(ownership: Option<Ownership>) -> FlinkSavepoint {
    let mut savepoint = FlinkSavepoint::new("daily", FlinkSavepointSpec::default());
    savepoint.status =
        Some(FlinkSavepointStatus { location: Some(PLACE.to_owned()), ownership, ..FlinkSavepointStatus::default() });
    savepoint
}

#[rstest]
#[case::nobody(None, "CLAIM", true, "s3://flink/sp/savepoint-2", None)]
#[case::the_users(Some(Ownership::User), "NO_CLAIM", true, PLACE, Some(Ownership::User))]
#[case::a_checkpoint_becomes_the_users(None, "NO_CLAIM", true, PLACE, Some(Ownership::User))]
#[case::claimed(Some(Ownership::User), "CLAIM", true, PLACE, Some(Ownership::Flink))]
#[case::by_its_metadata(
    Some(Ownership::User),
    "CLAIM",
    true,
    "s3a://flink/sp/savepoint-1/_metadata",
    Some(Ownership::Flink)
)]
#[case::not_confirmed(Some(Ownership::User), "CLAIM", false, PLACE, Some(Ownership::User))]
#[case::legacy(Some(Ownership::User), "LEGACY", true, PLACE, Some(Ownership::Unclear))]
#[case::unclear_for_ever(Some(Ownership::Unclear), "NO_CLAIM", true, PLACE, Some(Ownership::Unclear))]
#[case::claimed_after_all(Some(Ownership::Unclear), "CLAIM", true, PLACE, Some(Ownership::Flink))]
#[case::flinks_for_ever(Some(Ownership::Flink), "NO_CLAIM", true, PLACE, Some(Ownership::Flink))]
#[case::of_a_newer_version(Some(Ownership::User), "BORROW", true, PLACE, Some(Ownership::User))]
fn ownership_follows_the_restores(
    #[case] before: Option<Ownership>,
    #[case] mode: &str,
    #[case] confirmed: bool,
    #[case] from: &str,
    #[case] expected: Option<Ownership>,
) {
    assert_eq!(of(&savepoint(before), &[active(mode, confirmed, from)]), expected);
}

/// The job is gone, or its history does not reach back so far.
#[test]
fn what_was_claimed_stays_flinks() {
    assert_eq!(of(&savepoint(Some(Ownership::Flink)), []), Some(Ownership::Flink));
}

#[test]
fn the_upgrade_under_way_and_the_history_count_as_well() {
    let under_way = |mode, confirmed| {
        let submission = submission(mode, confirmed, PLACE);
        job(
            json!({"upgrade": {"id": "2-a", "to": 2, "generation": 1, "step": "Stabilizing", "submission": submission}}),
        )
    };
    assert_eq!(of(&savepoint(None), &[under_way("CLAIM", true)]), Some(Ownership::Flink));
    let entry = json!({"id": "2-a", "to": 2, "result": "Succeeded", "restoredFrom": PLACE, "restoreMode": "LEGACY"});
    let past = job(json!({"history": [entry]}));
    assert_eq!(of(&savepoint(None), &[past]), Some(Ownership::Unclear));
}

#[rstest]
#[case(true, None, Some(Ownership::User))]
#[case(false, Some(SnapshotKind::Savepoint), Some(Ownership::User))]
#[case(false, Some(SnapshotKind::Checkpoint), None)]
fn whose_it_is_at_first(#[case] taken: bool, #[case] kind: Option<SnapshotKind>, #[case] expected: Option<Ownership>) {
    assert_eq!(at_first(taken, kind), expected);
}
