//! How stories end of jobs that Flink itself recovers: the operator stays out of the way, and leaves nothing behind from
//! which a job would start by itself.

use rstest::rstest;

use super::crash_tests::sweep;
use super::election::{job_map, with_high_availability};
use super::observe::observe;
use super::run::{Act, Story, When, tell};
use super::story_tests::{is, ready, ready_message, runs};
use super::world::World;
use crate::api::condition::{self, types};
use crate::api::{DeletionJob, UpgradeResult, UpgradeStep};
use crate::flink::JobState;
use crate::naming;
use crate::upgrade::observed::Cluster;
use crate::upgrade::plan::plan;

fn first_start() -> Story {
    Story { world: World::new(&with_high_availability("v1")), acts: Vec::new(), end: |w| only(w, 1, "v1") }
}

fn story(acts: &[Act], end: fn(&World)) -> Story {
    Story { world: tell(&first_start()).world, acts: acts.to_vec(), end }
}

/// The job runs, and what its high availability needs is there and nothing else.
fn only(world: &World, revision: i64, tag: &str) {
    runs(world, revision, tag);
    assert_eq!(ready(world), (true, "Running".to_owned()));
    let submission = world.status().active.unwrap().submission;
    assert!(submission.high_availability);
    for (number, r) in &world.revisions {
        let expected = if *number == revision { 2 } else { 0 };
        assert_eq!(r.config_maps.len(), expected, "revision {number}: {:?}", r.config_maps);
        let settled = r.record.as_ref().is_none_or(|r| r.high_availability_storage_settled);
        assert_eq!(settled, *number != revision, "revision {number}");
    }
    assert!(world.returns(world.alive()[0]));
}

fn kill(world: &mut World) {
    world.restart_job_manager(1);
}

/// One submission, whatever happened to its JobManager.
fn by_flink(world: &World) {
    only(world, 1, "v1");
    assert_eq!(world.jobs.iter().filter(|j| !j.warm_up).count(), 1);
    assert_eq!(world.status().history.len(), 1);
    assert!(world.jobs.iter().all(|j| j.warm_up || j.recovered.is_some()));
}

fn killed() -> Story {
    story(&[(When::Rest, kill)], by_flink)
}

fn killed_before_it_is_stable() -> Story {
    let at: Act = (When::Step(UpgradeStep::Stabilizing), kill);
    Story { acts: vec![at], end: |w| only(w, 1, "v1"), ..first_start() }
}

fn upgraded() -> Story {
    story(&[(When::Rest, |w| w.image("v2"))], |w| {
        only(w, 2, "v2");
        let old = w.jobs.iter().find(|j| !j.warm_up).unwrap();
        assert_eq!(old.state, JobState::Finished);
    })
}

fn put_back() -> Story {
    story(&[(When::Rest, |w| w.image("fails"))], |w| {
        runs(w, 1, "v1");
        assert_eq!(w.status().history[0].result, UpgradeResult::RolledBack);
        assert!(w.revisions[&2].config_maps.is_empty());
    })
}

/// Somebody deletes what Flink would recover the job from: it is lost, and goes on from its newest checkpoint.
fn its_data_is_deleted() -> Story {
    story(&[(When::Rest, |w| w.delete_config_maps(1))], |w| {
        only(w, 1, "v1");
        assert_eq!(w.status().history[0].result, UpgradeResult::Recovered);
        let first = w.jobs.iter().find(|j| !j.warm_up).unwrap();
        assert_eq!(w.alive()[0].request.savepoint_path, w.retained(first.id.as_str()).map(|(_, path)| path));
    })
}

/// Objects of the revision are deleted by hand: they are made again, and Flink recovers the job.
fn its_objects_are_deleted() -> Story {
    let delete: fn(&mut World) = |w| {
        let now = w.now;
        let revision = w.revisions.get_mut(&1).unwrap();
        revision.objects = 0;
        revision.pods.as_mut().unwrap().deleted = Some(now);
    };
    story(&[(When::Rest, delete)], by_flink)
}

fn deleted() -> Story {
    let cancel: fn(&mut World) = |w| {
        w.upgrade.as_mut().unwrap().spec.deletion =
            Some(serde_json::from_value(serde_json::json!({"job": DeletionJob::Cancel})).unwrap());
        w.delete();
    };
    story(&[(When::Rest, cancel)], |w| {
        assert!(w.upgrade.is_none());
        assert!(w.revisions.values().all(|r| r.config_maps.is_empty()), "{:?}", w.revisions);
    })
}

/// What an earlier cluster of the same id has left, and its job.
fn left() -> World {
    let mut world = World::new(&with_high_availability("v1"));
    let map = naming::job_config_map(&naming::revision_name(super::world::NAME, 1), "00000000000000000000000000000abc");
    world.revisions.entry(1).or_default().config_maps.insert(map);
    world
}

fn data_of_an_earlier_cluster() -> Story {
    Story {
        world: left(),
        acts: Vec::new(),
        end: |w| {
            assert_eq!(ready(w), (false, "HighAvailabilityDataExists".to_owned()));
            assert!(is(w, types::STALLED) && ready_message(w).contains("kubectl delete configmap -l app=orders-1,"));
            assert!(w.revisions.values().all(|r| r.objects == 0 && r.pods.is_none()));
        },
    }
}

fn data_of_an_earlier_cluster_is_deleted() -> Story {
    let delete: fn(&mut World) = |w| w.revisions.get_mut(&1).unwrap().config_maps.clear();
    Story { acts: vec![(When::Rest, delete)], end: |w| only(w, 1, "v1"), ..data_of_an_earlier_cluster() }
}

fn another_cluster_leads() -> Story {
    story(&[(When::Rest, |w| w.image("standby"))], |w| {
        runs(w, 1, "v1");
        assert_eq!(ready(w), (false, "ForeignLeader".to_owned()));
        assert!(ready_message(w).contains("others-1"), "{}", ready_message(w));
        assert!(w.revisions[&2].config_maps.is_empty());
    })
}

#[rstest]
#[case::first_start(first_start)]
#[case::killed(killed)]
#[case::upgraded(upgraded)]
#[case::put_back(put_back)]
#[case::its_data_is_deleted(its_data_is_deleted)]
#[case::its_objects_are_deleted(its_objects_are_deleted)]
#[case::deleted(deleted)]
#[case::data_of_an_earlier_cluster(data_of_an_earlier_cluster)]
#[case::data_of_an_earlier_cluster_is_deleted(data_of_an_earlier_cluster_is_deleted)]
#[case::another_cluster_leads(another_cluster_leads)]
fn a_job_that_flink_recovers_ends_as_it_should_whatever_crashes(#[case] of: fn() -> Story) {
    sweep(&of());
}

/// Whether it was stable before depends on whether somebody looked: it is told without deaths.
#[test]
fn a_job_manager_that_is_lost_before_the_job_is_stable_is_no_reason_to_submit_again() {
    let told = tell(&killed_before_it_is_stable());
    only(&told.world, 1, "v1");
    assert_eq!(told.world.jobs.len(), 1);
    assert!(told.world.returns(&told.world.jobs[0]), "{}", job_map(&told.world.jobs[0]));
}

/// Its process runs, its pod is Ready, and it can't do its work: as Flink 1.20 was seen to say with 96m of metaspace.
#[rstest]
#[case::no_metaspace(
    "GET /jobs/overview: Internal server error: Metaspace. The metaspace out-of-memory error has occurred.",
    "JobManagerUnhealthy",
    true
)]
#[case::no_heap("GET /jobs/overview: java.lang.OutOfMemoryError: Java heap space", "JobManagerUnhealthy", true)]
#[case::no_answer("GET /jobs/overview: connection refused", "JobManagerUnreachable", false)]
fn a_job_manager_without_memory_is_said(#[case] why: &str, #[case] reason: &str, #[case] stalled: bool) {
    let world = tell(&first_start()).world;
    let mut o = observe(&world).unwrap();
    o.revisions.get_mut(&1).unwrap().cluster = Cluster::Down(why.to_owned());
    let plan = plan(&o);
    let ready = condition::find(&plan.status.conditions, types::READY).unwrap();
    assert_eq!((ready.reason.as_str(), condition::is_true(&plan.status.conditions, types::STALLED)), (reason, stalled));
    assert!(ready.message.contains(why), "{}", ready.message);
    assert_eq!(plan.effect, None, "Flink recovers the job, or a person does");
}
