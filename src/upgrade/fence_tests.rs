use rstest::rstest;
use serde_json::json;

use super::*;
use crate::flink::JobState;
use crate::upgrade::observed::{Cluster, Revision, Up};
use crate::upgrade::tests::upgrading;

const ID: &str = "0123456789abcdef0123456789abcdef";

/// What there is of the submission's revision.
#[derive(Debug, Clone, Copy)]
enum Seen {
    /// Its own JobManager's process answers, and has the job in this state.
    Has(JobState),
    /// It answers, and does not know the job.
    KnowsNothing,
    /// It does not answer.
    Silent,
    /// Its container was started anew, and the new process answers with no job.
    Restarted,
    /// Its container has ended.
    Ended,
    /// There is no JobManager's pod.
    NoPod,
}

fn submission() -> Submission {
    Submission {
        job_id: ID.to_owned(),
        revision: 1,
        job_manager_instance: Some("jm/0".to_owned()),
        ..Submission::default()
    }
}

fn world(seen: Seen, task_managers: &[(&str, bool)], objects: usize) -> Observed {
    let mut o = upgrading();
    let status = o.upgrade.status.as_mut().unwrap();
    status.active.as_mut().unwrap().submission = submission();
    let u = status.upgrade.as_mut().unwrap();
    u.step = crate::api::UpgradeStep::Fencing;
    u.step_since = Some(time::to_k8s_precise(o.now));
    u.fenced_pods = vec!["tm-1".to_owned()];
    let mut jobs = std::collections::BTreeMap::new();
    if let Seen::Has(state) = seen {
        jobs.insert(JobId::new(ID).unwrap(), state);
    }
    let up = |instance: &str| Cluster::Up(Box::new(Up { instance: instance.to_owned(), jobs, ..Up::default() }));
    let cluster = match seen {
        Seen::Has(_) | Seen::KnowsNothing => up("jm/0"),
        Seen::Restarted => up("jm/1"),
        _ => Cluster::Down("connection refused".to_owned()),
    };
    let restarts = i32::from(matches!(seen, Seen::Restarted));
    let ended = matches!(seen, Seen::Ended);
    let name = "orders-1-jobmanager-0".to_owned();
    let job_manager = Pod { name, uid: "jm".to_owned(), job_manager: true, restarts, ended, ..Pod::default() };
    let mut pods: Vec<Pod> = task_managers
        .iter()
        .map(|(uid, leaving)| Pod {
            name: format!("pod-{uid}"),
            uid: (*uid).to_owned(),
            leaving: *leaving,
            node: Some("node-a".to_owned()),
            ..Pod::default()
        })
        .collect();
    if !matches!(seen, Seen::NoPod) {
        pods.push(job_manager);
    }
    o.revisions.insert(1, Revision { objects, pods, cluster, ..Revision::default() });
    o
}

fn word(fence: &Fence) -> &'static str {
    match fence {
        Fence::Closed => "closed",
        Fence::Act(effect, _) => effect.name(),
        Fence::Leaving(_) => "leaving",
        Fence::Stuck(_) => "stuck",
    }
}

/// What is seen × the TaskManager pods that are there (`tm-1` knew the process, `tm-2` came later).
#[rstest]
#[case::finished(Seen::Has(JobState::Finished), &[("tm-1", false)], "closed")]
#[case::failed(Seen::Has(JobState::Failed), &[("tm-1", false)], "closed")]
#[case::runs(Seen::Has(JobState::Running), &[("tm-1", false)], "cancel")]
#[case::restarts(Seen::Has(JobState::Restarting), &[("tm-1", false)], "cancel")]
#[case::is_being_cancelled(Seen::Has(JobState::Cancelling), &[("tm-1", false)], "leaving")]
#[case::forgotten_by_its_own_process(Seen::KnowsNothing, &[("tm-1", false)], "closed")]
#[case::an_empty_list_of_the_next_process_proves_nothing(Seen::Restarted, &[("tm-1", false)], "delete-pods")]
#[case::its_task_manager_goes(Seen::Restarted, &[("tm-1", true)], "leaving")]
#[case::its_task_manager_is_gone(Seen::Restarted, &[("tm-2", false)], "closed")]
#[case::ended(Seen::Ended, &[("tm-1", false)], "delete-pods")]
#[case::ended_and_task_manager_gone(Seen::Ended, &[], "closed")]
#[case::no_pod(Seen::NoPod, &[("tm-1", true)], "leaving")]
#[case::no_pod_and_task_manager_gone(Seen::NoPod, &[("tm-2", false)], "closed")]
#[case::silent(Seen::Silent, &[("tm-2", false)], "leaving")]
fn in_place_it_takes_the_pods_that_knew_the_process(
    #[case] seen: Seen,
    #[case] task_managers: &[(&str, bool)],
    #[case] expected: &str,
) {
    let o = world(seen, task_managers, 5);
    let upgrade = o.upgrade.status.as_ref().unwrap().upgrade.clone().unwrap();
    assert_eq!(word(&in_place(&o, &upgrade, &submission())), expected);
}

/// A revision that is not needed any more loses all of its pods.
#[rstest]
#[case::finished(Seen::Has(JobState::Finished), 5, "closed")]
#[case::runs(Seen::Has(JobState::Running), 5, "cancel")]
#[case::silent(Seen::Silent, 5, "delete-objects")]
#[case::silent_and_on_its_way(Seen::Silent, 0, "leaving")]
#[case::restarted(Seen::Restarted, 5, "delete-objects")]
#[case::restarted_and_on_its_way(Seen::Restarted, 0, "leaving")]
fn for_good_it_takes_all_pods(#[case] seen: Seen, #[case] objects: usize, #[case] expected: &str) {
    let o = world(seen, &[("tm-2", true)], objects);
    let upgrade = o.upgrade.status.as_ref().unwrap().upgrade.clone().unwrap();
    assert_eq!(word(&for_good(&o, &upgrade, &submission())), expected);
    let mut gone = o;
    gone.revisions.get_mut(&1).unwrap().pods.clear();
    if objects == 0 {
        assert_eq!(for_good(&gone, &upgrade, &submission()), Fence::Closed);
    }
}

/// One whose checkpoints are needed is never cancelled.
#[rstest]
#[case::failed(Seen::Has(JobState::Failed), "closed")]
#[case::runs(Seen::Has(JobState::Running), "delete-objects")]
#[case::restarts(Seen::Has(JobState::Restarting), "delete-objects")]
#[case::silent(Seen::Silent, "delete-objects")]
fn where_checkpoints_are_needed_nothing_is_cancelled(#[case] seen: Seen, #[case] expected: &str) {
    let o = world(seen, &[], 5);
    let upgrade = o.upgrade.status.as_ref().unwrap().upgrade.clone().unwrap();
    assert_eq!(word(&keeping_checkpoints(&o, &upgrade, &submission())), expected);
}

/// A cancel that takes too long, and pods that do not go.
#[test]
fn what_takes_too_long_is_told() {
    let mut o = world(Seen::Has(JobState::Running), &[], 5);
    let upgrade = o.upgrade.status.as_ref().unwrap().upgrade.clone().unwrap();
    o.now += chrono::TimeDelta::seconds(31);
    assert_eq!(word(&for_good(&o, &upgrade, &submission())), "delete-objects");
    let mut o = world(Seen::Restarted, &[("tm-1", true)], 5);
    o.now += chrono::TimeDelta::seconds(31);
    let Fence::Stuck(message) = in_place(&o, &upgrade, &submission()) else { panic!() };
    for part in ["pod-tm-1 on node node-a", ID, FENCED, "out-of-service"] {
        assert!(message.contains(part), "{message}");
    }
}

/// The word of a person counts for the one job that it names.
#[rstest]
#[case(ID, true)]
#[case("fedcba9876543210fedcba9876543210", false)]
fn somebody_may_have_made_sure(#[case] named: &str, #[case] closed: bool) {
    let mut o = world(Seen::Restarted, &[("tm-1", true)], 5);
    o.upgrade.metadata.annotations = serde_json::from_value(json!({FENCED: named})).unwrap();
    let upgrade = o.upgrade.status.as_ref().unwrap().upgrade.clone().unwrap();
    assert_eq!(in_place(&o, &upgrade, &submission()) == Fence::Closed, closed);
    assert_eq!(for_good(&o, &upgrade, &submission()) == Fence::Closed, closed);
}

/// A pass that reads by name sees only a JobManager's pod, which proves nothing.
#[test]
fn a_pass_that_sees_one_pod_only_closes_nothing() {
    let mut o = world(Seen::Restarted, &[], 0);
    o.upgrade.status.as_mut().unwrap().upgrade.as_mut().unwrap().step = crate::api::UpgradeStep::Restoring;
    o.revisions.get_mut(&1).unwrap().pods.clear();
    let upgrade = o.upgrade.status.as_ref().unwrap().upgrade.clone().unwrap();
    assert_eq!(word(&for_good(&o, &upgrade, &submission())), "leaving");
    assert_eq!(word(&in_place(&o, &upgrade, &submission())), "leaving");
}
