use rstest::rstest;

use super::*;
use crate::savepoint::testing;

#[rstest]
#[case::a_few(10, 3, 2)]
#[case::twice_as_many_as_it_takes(10, 20, 4)]
#[case::very_many(10, 990, 30)]
fn the_more_wait_the_later_each_looks(#[case] limit: usize, #[case] waiting: usize, #[case] seconds: u64) {
    assert_eq!(wait(Full { limit, waiting }), Duration::from_secs(seconds));
}

#[rstest]
#[case::it_can(|_: &mut Submitted| {}, true)]
#[case::its_tasks_do_not_run(|job: &mut Submitted| job.not_ready = Some("RESTARTING".to_owned()), false)]
#[case::it_would_harm(|job: &mut Submitted| job.harmed = Some("a".to_owned()), false)]
#[case::another_has_the_job(|job: &mut Submitted| job.turn = testing::locked_by("weekly", Some("b")), false)]
#[case::the_job_is_free(|job: &mut Submitted| job.turn = Turn::Lock { uid: "u".to_owned(), operation: None }, true)]
#[case::others_come_first(|job: &mut Submitted| job.turn = Turn::Queue { busy: Some("b".to_owned()), before: 1 }, false)]
fn who_could_not_begin_takes_no_room(#[case] change: fn(&mut Submitted), #[case] expected: bool) {
    let mut job = testing::job();
    change(&mut job);
    assert_eq!(could_begin(&testing::savepoint(None), &job), expected);
}
