//! Upgrades where there is no room for two of a job. That TaskManagers of two revisions are never there at once is looked
//! for all the time.

use flink_savepoint_operator::api::UpgradeResult::{RolledBack, Succeeded};
use flink_savepoint_operator::api::UpgradeStep;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::json;

use crate::scenarios::{RUNS, TIMEOUT, delete, fails, gone, job, to_v2};
use crate::sweep::{Act, Scenario, When};
use crate::world::World;

const SWAPS: When = When::Step(UpgradeStep::Swapping);

fn begin(world: World) -> BoxFuture<'static, ()> {
    async move {
        let upgrade = json!({"strategy": "Recreate", "progressDeadline": "60s"});
        world.apply("v1", json!({"upgrade": upgrade, "deletion": {"timeout": TIMEOUT}})).await;
    }
    .boxed()
}

/// An upgrade, and what happens meanwhile: it comes to its end.
fn upgraded(acts: Vec<(When, Act)>) -> Scenario {
    let mut it = job([vec![(RUNS, to_v2 as Act)], acts].concat(), "v2", &[Succeeded, Succeeded]);
    it.begin = begin;
    it
}

pub fn task_managers_change_places() -> Scenario {
    upgraded(Vec::new())
}

/// The new job restarts for ever: the TaskManagers change places once more.
pub fn task_managers_change_back() -> Scenario {
    fails(begin, |w| async move { w.image("crashes").await }.boxed(), RolledBack, "JobFailed")
}

/// `kill -9` of the new revision's JobManager while its TaskManagers start.
pub fn job_manager_killed_meanwhile() -> Scenario {
    let kill: Act = |w| async move { w.workload.kill_container("orders-2-jobmanager-0") }.boxed();
    upgraded(vec![(SWAPS, kill)])
}

/// `kill -9` of the old one, which is not needed any more.
pub fn old_job_manager_killed_meanwhile() -> Scenario {
    let kill: Act = |w| async move { w.workload.kill_container("orders-1-jobmanager-0") }.boxed();
    upgraded(vec![(SWAPS, kill)])
}

/// The way leads through.
pub fn deleted_meanwhile() -> Scenario {
    let mut it = gone(vec![(RUNS, to_v2), (SWAPS, delete)], &[Succeeded, Succeeded], 2);
    it.begin = begin;
    it
}
