use chrono::TimeDelta;
use rstest::rstest;

use super::*;
use crate::api::{Hold, condition};
use crate::savepoint::lineage;
use crate::savepoint::observed::Answer;
use crate::savepoint::plan::plan;
use crate::savepoint::testing::{self, now};

const PLACE: &str = "s3://bucket/savepoints/shop/daily-0f0e0d0c/1/savepoint-000000-1";

/// A savepoint that is complete, whose resource is being deleted, with its files.
fn complete() -> Observed {
    let mut o = testing::observed(testing::savepoint(None), testing::job(), Answer::NotAsked);
    o.savepoint.spec.deletion_policy = Some(DeletionPolicy::Delete);
    o.savepoint.metadata.deletion_timestamp = Some(time::to_k8s(now() - TimeDelta::seconds(1)));
    o.savepoint.status = Some(FlinkSavepointStatus {
        phase: Some(SavepointPhase::Completed),
        location: Some(PLACE.to_owned()),
        ownership: Some(Ownership::User),
        ..FlinkSavepointStatus::default()
    });
    o.savepoint.metadata.labels = lineage::missing_labels(&o.savepoint);
    o.ownership = Some(Ownership::User);
    o.holds = Some(Vec::new());
    o
}

fn needed() -> Vec<Hold> {
    let (kind, name, reason) = ("FlinkJobUpgrade", "orders", "it is needed");
    vec![Hold { kind: kind.to_owned(), name: name.to_owned(), reason: reason.to_owned(), since: None }]
}

/// The pass after: with the status that was written, and what lies there by then.
fn after(o: &Observed, place: Place) -> Observed {
    let status = Some(plan(o).status);
    Observed { savepoint: FlinkSavepoint { status, ..o.savepoint.clone() }, place, ..o.clone() }
}

fn files(files: u64) -> Place {
    Place::Contents(Contents::Snapshot(Amount { files, bytes: 1000 }))
}

/// The phase that is written, and what is done.
fn step(o: &Observed) -> (&'static str, &'static str) {
    let plan = plan(o);
    (plan.status.phase.map_or("-", SavepointPhase::as_str), plan.effect.as_ref().map_or("-", Effect::name))
}

#[test]
fn nobody_needs_it_so_its_files_go_and_then_the_resource() {
    let o = complete();
    assert_eq!(step(&o), ("Disposing", "-"), "first everybody is told");
    let o = after(&o, files(3));
    assert_eq!(step(&o), ("Disposing", "-"), "then it is recorded that there is no way back");
    let o = after(&o, files(3));
    assert_eq!(step(&o), ("Disposing", "dispose"));
    let o = after(&o, Place::Contents(Contents::Unfinished(Amount { files: 2, bytes: 900 })));
    assert_eq!(step(&o), ("Disposing", "dispose"), "only a part went");
    let o = after(&o, Place::Contents(Contents::Nothing));
    assert_eq!(step(&o), ("Disposing", "remove-finalizer"));
    assert_eq!(outcome(&o), Some((true, format!("{PLACE} is deleted: 3 files, 1000 bytes"))));
}

#[test]
fn one_that_is_needed_waits_and_says_for_whom() {
    let mut o = complete();
    o.holds = Some(needed());
    let plan = plan(&o);
    assert_eq!(step(&o), ("Completed", "-"));
    let message = plan.status.message.unwrap();
    assert!(message.contains("FlinkJobUpgrade orders: it is needed"), "{message}");
    assert!(message.contains("savepoints.dev/force-delete=daily"), "{message}");
    assert!(!condition::is_true(&plan.status.conditions, types::DELETABLE));
    assert_eq!(plan.next, Next::After(HELD));
}

#[test]
fn who_came_in_between_is_given_way_to() {
    let mut o = after(&complete(), files(3));
    o.holds = Some(needed());
    let plan = plan(&o);
    assert_eq!(step(&o), ("Completed", "-"));
    assert_eq!(plan.status.disposal, None);
    assert!(condition::is_true(&plan.status.conditions, types::READY));
    assert!(plan.status.message.unwrap().contains("waits for who needs"));
}

#[test]
fn once_files_have_begun_to_go_there_is_no_way_back() {
    let o = after(&complete(), files(3));
    let mut o = after(&o, files(3));
    o.holds = Some(needed());
    assert_eq!(step(&o), ("Disposing", "dispose"));
    o.savepoint.spec.deletion_policy = Some(DeletionPolicy::Retain);
    assert_eq!(step(&o), ("Disposing", "dispose"), "the half of a snapshot is none");
}

#[test]
fn a_person_can_force_it() {
    let mut o = complete();
    o.holds = Some(needed());
    let all = o.savepoint.metadata.annotations.get_or_insert_default();
    all.insert(annotations::FORCE_DELETE.to_owned(), "another".to_owned());
    assert_eq!(step(&o), ("Completed", "-"), "that names another one");
    let all = o.savepoint.metadata.annotations.get_or_insert_default();
    all.insert(annotations::FORCE_DELETE.to_owned(), "daily".to_owned());
    assert_eq!(step(&o), ("Disposing", "-"));
}

/// Flink has not confirmed it yet: it may own the files by now.
#[test]
fn nobody_can_force_what_is_being_claimed() {
    let mut o = complete();
    let mut holds = needed();
    holds[0].reason = Need::Claimed.words().to_owned();
    o.holds = Some(holds);
    let all = o.savepoint.metadata.annotations.get_or_insert_default();
    all.insert(annotations::FORCE_DELETE.to_owned(), "daily".to_owned());
    assert_eq!(step(&o), ("Completed", "-"));
    let message = plan(&o).status.message.unwrap();
    assert!(!message.contains("force"), "{message}");
}

#[test]
fn what_is_flink_s_is_never_deleted_by_force_either() {
    let mut o = complete();
    o.ownership = Some(Ownership::Flink);
    let all = o.savepoint.metadata.annotations.get_or_insert_default();
    all.insert(annotations::FORCE_DELETE.to_owned(), "daily".to_owned());
    assert_eq!(step(&o), ("Completed", "remove-finalizer"));
    let after = after(&o, Place::NotRead);
    assert_eq!(outcome(&after), Some((false, format!("{PLACE} stays: it is Flink's since a restore with CLAIM"))));
}

#[rstest]
#[case::a_store_that_refuses(Place::Trouble("AccessDenied".to_owned()), "AccessDenied")]
#[case::a_directory_of_something_else(Place::Contents(Contents::Unfinished(Amount { files: 2, bytes: 9 })), "no _metadata")]
#[case::flink_fails(Place::ByFlink(ByFlink::Failed("Could not dispose".to_owned())), "Could not dispose")]
fn what_can_t_be_deleted_is_tried_for_a_while(#[case] place: Place, #[case] words: &str) {
    let mut o = after(&complete(), place.clone());
    let first = plan(&o);
    assert_eq!(first.next, Next::After(AGAIN));
    assert!(first.status.message.as_ref().unwrap().contains(words), "{:?}", first.status.message);
    o = after(&o, place.clone());
    o.now = now() + TimeDelta::seconds(599);
    assert_eq!(step(&o).1, "-");
    o.now = now() + TimeDelta::seconds(600);
    assert_eq!(step(&o), ("Disposing", "remove-finalizer"));
    let (as_asked, note) = outcome(&after(&o, place)).unwrap();
    assert!(!as_asked && note.contains(PLACE), "{note}");
}

#[test]
fn what_can_t_be_removed_after_it_has_begun_is_tried_for_a_while() {
    let o = after(&complete(), files(3));
    let mut o = after(&o, files(3));
    let (status, next) = failed(&o, "AccessDenied");
    assert_eq!(next, Next::After(AGAIN));
    o.savepoint.status = Some(status);
    assert_eq!(step(&o), ("Disposing", "dispose"));
    o.now = now() + TimeDelta::seconds(601);
    assert_eq!(step(&o), ("Disposing", "remove-finalizer"));
    assert!(outcome(&o).unwrap().1.contains("AccessDenied"));
}

/// A store that was away for an hour, came back, and is away again.
#[test]
fn the_time_begins_anew_once_files_went() {
    let o = after(&complete(), files(3));
    let mut o = after(&o, files(3));
    assert_eq!(removed(&o), None, "nothing was wrong");
    o.savepoint.status = Some(failed(&o, "AccessDenied").0);
    o.savepoint.status = Some(removed(&o).unwrap());
    o.now = now() + TimeDelta::seconds(601);
    let (status, _) = failed(&o, "AccessDenied");
    o.savepoint.status = Some(status);
    assert_eq!(step(&o), ("Disposing", "dispose"));
    // The same before any went.
    let o = after(&complete(), Place::Trouble("away".to_owned()));
    let o = after(&o, Place::Trouble("away".to_owned()));
    let mut o = after(&o, files(3));
    assert!(o.savepoint.status.as_ref().unwrap().disposal.as_ref().unwrap().in_vain_since.is_some());
    o = after(&o, files(3));
    assert_eq!(o.savepoint.status.unwrap().disposal.unwrap().in_vain_since, None);
}

#[test]
fn what_a_forgotten_request_has_left_is_said() {
    let o = after(&complete(), Place::ByFlink(ByFlink::NotAsked));
    let o = after(&o, Place::ByFlink(ByFlink::NotAsked));
    let o = after(&o, Place::ByFlink(ByFlink::Gone));
    assert_eq!(step(&o), ("Disposing", "remove-finalizer"));
    let (as_asked, note) = outcome(&o).unwrap();
    assert!(!as_asked && note.contains("may be left"), "{note}");
}

#[test]
fn where_no_store_serves_the_place_a_job_manager_deletes() {
    let o = after(&complete(), Place::ByFlink(ByFlink::NotAsked));
    let o = after(&o, Place::ByFlink(ByFlink::NotAsked));
    assert_eq!(step(&o), ("Disposing", "dispose-by-flink"));
    let status = Some(asked(&o, "request-1".to_owned()));
    assert_eq!(status.as_ref().unwrap().disposal.as_ref().unwrap().request_id.as_deref(), Some("request-1"));
    let o = Observed { savepoint: FlinkSavepoint { status, ..o.savepoint.clone() }, ..o };
    let o = Observed { place: Place::ByFlink(ByFlink::UnderWay), ..o };
    assert_eq!(step(&o), ("Disposing", "-"));
    let o = after(&o, Place::ByFlink(ByFlink::Done));
    assert_eq!(step(&o), ("Disposing", "remove-finalizer"));
}

#[test]
fn in_a_namespace_that_goes_nothing_waits_long() {
    let mut o = complete();
    o.namespace_terminating = true;
    o.holds = Some(needed());
    assert_eq!(step(&o), ("Completed", "-"));
    o.now = now() + TimeDelta::seconds(10);
    assert_eq!(step(&o), ("Completed", "remove-finalizer"));
    let (as_asked, note) = outcome(&after(&o, Place::NotRead)).unwrap();
    assert!(!as_asked && note.contains("it is needed"), "{note}");
}

#[rstest]
#[case::files_go_with_it(Some(DeletionPolicy::Delete), false, "add-finalizer")]
#[case::files_stay(Some(DeletionPolicy::Retain), true, "remove-finalizer")]
#[case::by_default_they_stay(None, true, "remove-finalizer")]
#[case::it_has_it(Some(DeletionPolicy::Delete), true, "-")]
#[case::it_needs_none(None, false, "-")]
fn the_finalizer_follows_the_policy(
    #[case] policy: Option<DeletionPolicy>,
    #[case] there: bool,
    #[case] expected: &str,
) {
    let mut o = complete();
    o.savepoint.metadata.deletion_timestamp = None;
    o.savepoint.spec.deletion_policy = policy;
    if !there {
        o.savepoint.metadata.finalizers = None;
    }
    assert_eq!(step(&o), ("Completed", expected));
}

#[rstest]
#[case::nobody(Vec::new(), Some(Ownership::User), true, "NotHeld")]
#[case::somebody(needed(), Some(Ownership::User), false, "Held")]
#[case::flink(Vec::new(), Some(Ownership::Flink), false, "SnapshotOwnedByFlink")]
fn deletable_says_whether_it_could_go(
    #[case] holds: Vec<Hold>,
    #[case] ownership: Option<Ownership>,
    #[case] deletable: bool,
    #[case] reason: &str,
) {
    let mut o = complete();
    o.savepoint.metadata.deletion_timestamp = None;
    o.holds = Some(holds.clone());
    o.ownership = ownership;
    let status = plan(&o).status;
    let told = condition::find(&status.conditions, types::DELETABLE).unwrap();
    assert_eq!((told.status == "True", told.reason.as_str()), (deletable, reason));
    assert_eq!(status.holds, holds);
}
