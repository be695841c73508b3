use rstest::rstest;
use serde_json::json;

use super::*;
use crate::flink::JobState;
use crate::naming;
use crate::upgrade::observed::{Cluster, Container, HighAvailability, Revision, Up};
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
    /// So it was, and the new process has the job in this state.
    TakenUp(JobState),
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
    if let Seen::Has(state) | Seen::TakenUp(state) = seen {
        jobs.insert(JobId::new(ID).unwrap(), state);
    }
    let up = |instance: &str| Cluster::Up(Box::new(Up { instance: instance.to_owned(), jobs, ..Up::default() }));
    let cluster = match seen {
        Seen::Has(_) | Seen::KnowsNothing => up("jm/0"),
        Seen::Restarted | Seen::TakenUp(_) => up("jm/1"),
        _ => Cluster::Down("connection refused".to_owned()),
    };
    let restarts = i32::from(matches!(seen, Seen::Restarted | Seen::TakenUp(_)));
    let container = if matches!(seen, Seen::Ended) { Container::Ended } else { Container::Runs };
    let name = "orders-1-jobmanager-0".to_owned();
    let job_manager = Pod { name, uid: "jm".to_owned(), job_manager: true, restarts, container, ..Pod::default() };
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

/// With high availability whoever leads speaks for all its predecessors, and a job may come back as long as its ConfigMap
/// is there: what is seen × the ConfigMaps.
#[rstest]
#[case::finished_and_not_stored(Seen::Has(JobState::Finished), Some(true), "leaving", "leaving")]
#[case::finished_and_stored(Seen::Has(JobState::Finished), Some(false), "closed", "closed")]
#[case::finished_and_not_looked(Seen::Has(JobState::Finished), None, "leaving", "leaving")]
#[case::runs(Seen::Has(JobState::Running), Some(true), "cancel", "cancel")]
#[case::taken_up_by_the_next_leader(Seen::TakenUp(JobState::Running), Some(true), "cancel", "cancel")]
#[case::finished_by_the_next_leader(Seen::TakenUp(JobState::Finished), Some(false), "closed", "closed")]
#[case::not_taken_up_yet(Seen::Restarted, Some(true), "delete-pods", "delete-objects")]
#[case::nothing_to_take_up(Seen::Restarted, Some(false), "delete-pods", "delete-objects")]
#[case::silent(Seen::Silent, Some(true), "delete-pods", "delete-objects")]
fn with_high_availability_the_leader_speaks(
    #[case] seen: Seen,
    #[case] returns: Option<bool>,
    #[case] expected_in_place: &str,
    #[case] expected_for_good: &str,
) {
    let mut o = world(seen, &[("tm-1", false)], 5);
    let submission = Submission { high_availability: true, ..submission() };
    let of_job = naming::job_config_map(&naming::revision_name(status::name(&o), 1), ID);
    let config_maps = |returns: bool| if returns { vec![of_job.clone()] } else { Vec::new() };
    let found = returns.map(|returns| HighAvailability { config_maps: config_maps(returns), leader: None });
    o.revisions.get_mut(&1).unwrap().high_availability = found;
    let upgrade = o.upgrade.status.as_ref().unwrap().upgrade.clone().unwrap();
    assert_eq!(word(&in_place(&o, &upgrade, &submission)), expected_in_place, "in place");
    assert_eq!(word(&for_good(&o, &upgrade, &submission)), expected_for_good, "for good");
}

/// ConfigMaps go after the pods, and nothing is fenced before they are gone.
#[rstest]
#[case::pods_are_there(&[("tm-1", true)], true, "leaving")]
#[case::only_config_maps_are_left(&[], true, "delete-ha-config-maps")]
#[case::nothing_is_left(&[], false, "closed")]
fn config_maps_go_after_the_pods(#[case] pods: &[(&str, bool)], #[case] left: bool, #[case] expected: &str) {
    let mut o = world(Seen::NoPod, pods, 0);
    let submission = Submission { high_availability: true, ..submission() };
    let config_maps = if left { vec!["orders-1-cluster-config-map".to_owned()] } else { Vec::new() };
    o.revisions.get_mut(&1).unwrap().high_availability = Some(HighAvailability { config_maps, leader: None });
    let upgrade = o.upgrade.status.as_ref().unwrap().upgrade.clone().unwrap();
    assert_eq!(word(&for_good(&o, &upgrade, &submission)), expected);
}

/// A JobManager that was lost takes its job with it, but for one that the next takes up.
#[rstest]
#[case::without_high_availability(false, Seen::Restarted, false, true)]
#[case::the_next_takes_it_up(true, Seen::TakenUp(JobState::Initializing), true, false)]
#[case::the_next_will_take_it_up(true, Seen::Restarted, true, false)]
#[case::nothing_is_left_of_it(true, Seen::Restarted, false, true)]
#[case::nobody_leads_yet(true, Seen::Ended, true, false)]
#[case::its_own_process_has_forgotten_it(true, Seen::KnowsNothing, false, false)]
fn what_is_lost(#[case] high_availability: bool, #[case] seen: Seen, #[case] returns: bool, #[case] expected: bool) {
    let mut o = world(seen, &[], 5);
    let submission = Submission { high_availability, ..submission() };
    let of_job = naming::job_config_map(&naming::revision_name(status::name(&o), 1), ID);
    let config_maps = if returns { vec![of_job] } else { Vec::new() };
    o.revisions.get_mut(&1).unwrap().high_availability =
        high_availability.then_some(HighAvailability { config_maps, leader: None });
    assert_eq!(is_lost(&o, &submission), expected);
}
