//! The operator's process: its controllers, until it dies.

use std::collections::BTreeMap;
use std::time::Duration;

use fakes::faults::Faults;
use flink_savepoint_operator::context::Context;
use flink_savepoint_operator::reconcile::{Reconciler, passes};
use flink_savepoint_operator::savepoint::Savepoints;
use flink_savepoint_operator::upgrade::Upgrades;
use tokio::time::{Instant, sleep_until};

use crate::world::{SAVEPOINTS, UPGRADES, World};

/// Something under way is looked at at least so often.
const OFTEN: Duration = Duration::from_secs(15);
/// What follows an error.
const AFTER_ERROR: Duration = Duration::from_secs(1);
/// What follows a lost compare-and-swap.
const AFTER_CONFLICT: Duration = Duration::from_millis(20);

/// Runs all controllers, until one does what none may.
pub async fn run(world: &World, faults: &Faults) -> String {
    let (upgrades, savepoints) = (world.operator(UPGRADES, faults), world.operator(SAVEPOINTS, faults));
    tokio::select! {
        biased;
        broken = control::<Upgrades>(UPGRADES, world, &upgrades, |world| world.status().upgrade.is_some()) => broken,
        broken = control::<Savepoints>(SAVEPOINTS, world, &savepoints, |_| false) => broken,
    }
}

/// Looks at each object when it is due, or when a watch reports something that this controller has not written itself.
async fn control<R: Reconciler>(
    controller: &'static str,
    world: &World,
    ctx: &Context,
    under_way: fn(&World) -> bool,
) -> String {
    let mut due: BTreeMap<String, Instant> =
        world.names(controller).into_iter().map(|name| (name, Instant::now())).collect();
    // A cache reports what it has only once it has it.
    let mut late: Vec<(Instant, String)> = Vec::new();
    loop {
        let known = Instant::now() + *world.stale.lock().unwrap();
        late.extend(world.watches.take(controller).into_iter().map(|name| (known, name)));
        due.extend(late.extract_if(.., |(at, _)| *at <= Instant::now()).map(|(at, name)| (name, at)));
        let next = async {
            match due.values().chain(late.iter().map(|(at, _)| at)).min() {
                Some(next) => sleep_until(*next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = world.watches.reported(controller) => continue,
            () = next => {}
        }
        let now: Vec<String> = due.iter().filter(|(_, at)| **at <= Instant::now()).map(|(n, _)| n.clone()).collect();
        for name in now {
            due.remove(&name);
            let Some(object) = world.cached::<R::Object>(controller, &name) else { continue };
            let wait = match passes::<R>(&object, ctx).await {
                Ok(wait) if under_way(world) && wait > OFTEN => {
                    return format!("{name} is under way, and is looked at only after {wait:?}");
                }
                Ok(wait) => wait,
                Err(e) if e.is_conflict() => AFTER_CONFLICT,
                Err(_) => AFTER_ERROR,
            };
            due.insert(name, Instant::now() + wait);
        }
    }
}
