use rstest::rstest;

use super::*;
use crate::api::condition;
use crate::flink::JobState;
use crate::upgrade::observed::Cluster;
use crate::upgrade::plan::plan;
use crate::upgrade::tests::{changed_by_hand, upgrading_at};

const ID: &str = "00000000000000000000000000000bad";

/// A job of somebody else on the first revision's cluster.
fn beside(mut o: Observed, state: JobState) -> Observed {
    let Some(Cluster::Up(up)) = o.revisions.get_mut(&1).map(|r| &mut r.cluster) else { panic!() };
    up.jobs.insert(JobId::new(ID).unwrap(), state);
    o
}

fn at_rest() -> Observed {
    let mut o = changed_by_hand("");
    o.revisions.get_mut(&1).unwrap().drift.clear();
    o
}

#[rstest]
#[case(JobState::Running, true)]
#[case(JobState::Created, true)]
#[case(JobState::Finished, false)]
fn a_job_that_lives_is_told_of(#[case] state: JobState, #[case] told: bool) {
    let status = plan(&beside(at_rest(), state)).status;
    let condition = condition::find(&status.conditions, types::FOREIGN_JOBS);
    assert_eq!(condition.is_some_and(|c| c.message.contains(ID)), told);
    assert!(condition::is_true(&status.conditions, types::READY));
    // And no more once it has ended.
    let mut o = at_rest();
    o.upgrade.status = Some(status);
    assert!(condition::find(&plan(&o).status.conditions, types::FOREIGN_JOBS).is_none());
}

/// The resource's own: the job, those before it, and the throw-away one.
#[test]
fn its_own_jobs_are_not_foreign() {
    let mut o = at_rest();
    let uid = status::uid(&o).to_owned();
    o.upgrade.status.as_mut().unwrap().last_submission = Some(3);
    let Some(Cluster::Up(up)) = o.revisions.get_mut(&1).map(|r| &mut r.cluster) else { panic!() };
    for id in [naming::job_id(&uid, 1, 3), naming::warm_up_job_id(&uid, 1)] {
        up.jobs.insert(JobId::new(&id).unwrap(), JobState::Running);
    }
    assert_eq!(jobs(&o, 1), Some(Vec::new()));
    assert_eq!(would_end(&o, 1), None);
}

#[rstest]
#[case::nobody_says_anything(None, false)]
#[case::another(Some("00000000000000000000000000000001"), false)]
#[case::this_one(Some(ID), true)]
#[case::among_others(Some("00000000000000000000000000000001, 00000000000000000000000000000bad"), true)]
fn an_upgrade_waits_for_it(#[case] given_up: Option<&str>, #[case] begins: bool) {
    let mut o = beside(at_rest(), JobState::Running);
    o.upgrade.spec.image = Some("example.com/orders:v2".to_owned());
    let annotation = given_up.map(|ids| (DISCARD.to_owned(), ids.to_owned()));
    o.upgrade.metadata.annotations = Some(annotation.into_iter().collect());
    let status = plan(&o).status;
    assert_eq!(status.upgrade.is_some(), begins);
    let stalled = condition::find(&status.conditions, types::STALLED);
    assert_eq!(stalled.is_some_and(|c| c.reason == "ForeignJob" && c.message.contains(ID)), !begins);
}

/// It came while the new revision started: the old job is not stopped.
#[test]
fn nothing_is_stopped_beside_it() {
    use crate::api::UpgradeStep::Savepoint;
    let o = upgrading_at(Savepoint);
    assert!(plan(&o).status.upgrade.unwrap().savepoint.is_some());
    let status = plan(&beside(o, JobState::Running)).status;
    assert_eq!(status.upgrade.unwrap().savepoint, None);
    assert_eq!(condition::find(&status.conditions, types::STALLED).unwrap().reason, "ForeignJob");
}
