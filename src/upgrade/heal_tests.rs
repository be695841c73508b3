use rstest::rstest;

use super::*;
use crate::api::condition;
use crate::upgrade::plan::plan;
use crate::upgrade::tests::changed_by_hand;

const WHAT: &str = "Deployment orders-1-taskmanager: spec.replicas is 0 instead of 1";

fn with(healed: Option<(i64, i64)>) -> Observed {
    let mut o = changed_by_hand(WHAT);
    let at = |seconds| time::to_k8s_precise(o.now - chrono::TimeDelta::seconds(seconds));
    let healed = healed.map(|(count, seconds)| Healed { what: "before".to_owned(), count, time: at(seconds) });
    o.upgrade.status.as_mut().unwrap().healed = healed;
    o
}

fn drifted(status: &FlinkJobUpgradeStatus) -> bool {
    condition::is_true(&status.conditions, types::DRIFTED)
}

/// At once; then after 2, 4, 8 s and so on; half an hour later all begins anew.
#[rstest]
#[case::for_the_first_time(None, Some(1), false)]
#[case::at_once_again(Some((1, 1)), None, false)]
#[case::after_a_moment(Some((1, 2)), Some(2), false)]
#[case::and_again(Some((2, 3)), None, false)]
#[case::too_often(Some((3, 7)), None, true)]
#[case::once_more(Some((3, 8)), Some(4), false)]
#[case::very_often(Some((12, 599)), None, true)]
#[case::but_not_never(Some((12, 600)), Some(13), false)]
#[case::long_ago(Some((12, 1800)), Some(1), false)]
fn who_changes_it_again_and_again_is_followed_more_slowly(
    #[case] before: Option<(i64, i64)>,
    #[case] count: Option<i64>,
    #[case] told: bool,
) {
    let o = with(before);
    let plan = plan(&o);
    assert_eq!(plan.effect, count.map(|_| Effect::Heal(1)));
    let healed = plan.status.healed.clone();
    match count {
        Some(count) => assert_eq!(healed.map(|h| (h.what, h.count)), Some((WHAT.to_owned(), count))),
        None => assert_eq!(healed, o.upgrade.status.unwrap().healed),
    }
    assert_eq!(drifted(&plan.status), told);
    // The job is not worse for it.
    assert!(condition::is_true(&plan.status.conditions, types::READY));
}

#[test]
fn what_is_as_it_was_made_is_not_told_any_more() {
    let told = plan(&with(Some((3, 7)))).status;
    let mut o = with(None);
    o.revisions.get_mut(&1).unwrap().drift.clear();
    o.upgrade.status = Some(told);
    let plan = plan(&o);
    assert_eq!((plan.effect, drifted(&plan.status)), (None, false));
}

#[test]
fn what_was_deleted_is_made_again() {
    let mut o = with(None);
    o.revisions.get_mut(&1).unwrap().objects = 4;
    let plan = plan(&o);
    assert_eq!(plan.effect, Some(Effect::CreateObjects(1)));
    assert_eq!(plan.status.healed.unwrap().what, "1 of the 5 objects of revision 1 are gone");
}
