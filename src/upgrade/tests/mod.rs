//! The planner of a FlinkJobUpgrade against a small simulated world: whole stories, every one of them interrupted at
//! every step, with what must never happen checked after each.

use super::observed::Observed;
use crate::api::{FINALIZER, RestoreFrom, UpgradeStep};

/// What a pass sees of an upgrade that fences the job before.
pub fn upgrading() -> Observed {
    upgrading_at(UpgradeStep::Starting)
}

/// What the first pass of a step sees of an upgrade.
pub fn upgrading_at(step: UpgradeStep) -> Observed {
    table_tests::upgrading_at(step)
}

/// What a pass sees of a job that has its finalizer, and nothing else yet.
pub fn about_to_start(restore_from: RestoreFrom) -> Observed {
    let mut world = world::World::new(&world::spec("v1"));
    let upgrade = world.upgrade.as_mut().unwrap();
    upgrade.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    upgrade.spec.job.restore_from = Some(restore_from);
    observe::observe(&world).unwrap()
}

/// What a pass sees of a job at rest of whose objects somebody has changed something.
pub fn changed_by_hand(what: &str) -> Observed {
    let mut world = story_tests::running();
    world.revisions.entry(1).or_default().drift.push(what.to_owned());
    let observed = observe::observe(&world);
    observed.unwrap()
}

mod act;
mod blue_green_tests;
mod crash_tests;
mod deletion_tests;
mod election;
mod fault_tests;
mod high_availability_tests;
mod invariants;
mod observe;
mod preflight_tests;
mod recovery_tests;
mod recreate_tests;
mod run;
mod story_tests;
mod suspend_tests;
mod table_tests;
mod window_tests;
mod world;
