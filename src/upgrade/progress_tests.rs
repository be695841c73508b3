use chrono::TimeDelta;
use rstest::rstest;

use super::super::observed::{Cluster, Container, JobFacts, Observed, Pod, Up};
use super::super::tests::upgrading;
use super::{note, stuck_for};
use crate::api::Submission;
use crate::flink::{JobId, JobState};
use crate::time;

const JOB: &str = "00000000000000000000000000000abc";

/// An upgrade that is at a step for ten minutes, with this to be seen.
fn seen(change: impl FnOnce(&mut Observed)) -> Observed {
    let mut o = upgrading();
    let upgrade = o.upgrade.status.as_mut().unwrap().upgrade.as_mut().unwrap();
    upgrade.step_since = Some(time::to_k8s_precise(o.now - TimeDelta::minutes(10)));
    upgrade.submission = Some(Submission { job_id: JOB.to_owned(), revision: upgrade.to, ..Submission::default() });
    let to = upgrade.to;
    o.revisions.entry(to).or_default().pods.clear();
    change(&mut o);
    o
}

fn up(o: &mut Observed, free_slots: i32, job: Option<JobFacts>) {
    let to = o.upgrade.status.as_ref().unwrap().upgrade.as_ref().unwrap().to;
    let up = Up { free_slots: Some(free_slots), job, ..Up::default() };
    o.revisions.entry(to).or_default().cluster = Cluster::Up(Box::new(up));
}

fn pods(o: &mut Observed, placed: usize, running: usize) {
    let to = o.upgrade.status.as_ref().unwrap().upgrade.as_ref().unwrap().to;
    let pod = |n: usize| Pod {
        node: (n < placed).then(|| "node".to_owned()),
        container: if n < running { Container::Runs } else { Container::Waits },
        ..Pod::default()
    };
    o.revisions.entry(to).or_default().pods = (0..3).map(pod).collect();
}

fn job(tasks_running: i64, completed_checkpoints: i64, checkpoint_bytes: i64) -> JobFacts {
    JobFacts {
        completed_checkpoints,
        checkpoint_bytes,
        tasks_running,
        ..JobFacts::of(JobId::new(JOB).unwrap(), JobState::Running)
    }
}

/// Looks once, and again an hour later.
fn made_progress(before: impl FnOnce(&mut Observed), after: impl FnOnce(&mut Observed)) -> bool {
    let mut o = seen(before);
    let mut status = o.upgrade.status.clone().unwrap();
    let upgrade = status.upgrade.clone().unwrap();
    note(&o, &mut status, &upgrade);
    o = Observed { now: o.now + TimeDelta::hours(1), ..seen(after) };
    let upgrade = status.upgrade.clone().unwrap();
    note(&o, &mut status, &upgrade);
    stuck_for(&o, status.upgrade.as_ref().unwrap()).is_zero()
}

#[rstest]
#[case::a_pod_finds_a_node(|o: &mut Observed| pods(o, 1, 0), |o: &mut Observed| pods(o, 2, 0), true)]
#[case::a_pod_starts(|o: &mut Observed| pods(o, 2, 0), |o: &mut Observed| pods(o, 2, 1), true)]
#[case::a_pod_that_ran_waits_again(|o: &mut Observed| pods(o, 2, 2), |o: &mut Observed| pods(o, 2, 1), false)]
#[case::the_same_pods(|o: &mut Observed| pods(o, 2, 1), |o: &mut Observed| pods(o, 2, 1), false)]
#[case::a_slot_is_registered(|o: &mut Observed| up(o, 1, None), |o: &mut Observed| up(o, 2, None), true)]
#[case::a_slot_is_lost(|o: &mut Observed| up(o, 2, None), |o: &mut Observed| up(o, 1, None), false)]
#[case::a_task_starts(|o: &mut Observed| up(o, 0, Some(job(1, 0, 0))), |o: &mut Observed| up(o, 0, Some(job(2, 0, 0))), true)]
#[case::tasks_run_no_more(|o: &mut Observed| up(o, 0, Some(job(2, 0, 0))), |o: &mut Observed| up(o, 0, Some(job(0, 0, 0))), false)]
#[case::a_checkpoint(|o: &mut Observed| up(o, 0, Some(job(2, 0, 0))), |o: &mut Observed| up(o, 0, Some(job(2, 1, 0))), true)]
#[case::bytes(|o: &mut Observed| up(o, 0, Some(job(2, 0, 1000))), |o: &mut Observed| up(o, 0, Some(job(2, 0, 2000))), true)]
#[case::a_checkpoint_begins_anew(|o: &mut Observed| up(o, 0, Some(job(2, 0, 2000))), |o: &mut Observed| up(o, 0, Some(job(2, 0, 1000))), false)]
fn more_than_ever_before_is_progress(
    #[case] before: fn(&mut Observed),
    #[case] after: fn(&mut Observed),
    #[case] expected: bool,
) {
    assert_eq!(made_progress(before, after), expected);
}

/// While a job is down every write costs.
#[test]
fn a_step_that_has_just_begun_is_not_noted() {
    let mut o = seen(|o: &mut Observed| up(o, 4, None));
    let mut status = o.upgrade.status.clone().unwrap();
    let upgrade = status.upgrade.as_mut().unwrap();
    upgrade.step_since = Some(time::to_k8s_precise(o.now - TimeDelta::seconds(4)));
    let upgrade = upgrade.clone();
    note(&o, &mut status, &upgrade);
    assert_eq!(status.upgrade.as_ref().unwrap().progress, 0);
    o.now += TimeDelta::seconds(2);
    note(&o, &mut status, &upgrade);
    assert_eq!(status.upgrade.as_ref().unwrap().progress, 4);
}
