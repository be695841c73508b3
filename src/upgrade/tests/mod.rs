//! The planner of a FlinkJobUpgrade against a small simulated world: whole stories, every one of them interrupted at
//! every step, with what must never happen checked after each.

use super::observed::Observed;
use crate::api::UpgradeStep;

/// What a pass sees of an upgrade that fences the job before.
pub fn upgrading() -> Observed {
    table_tests::upgrading_at(UpgradeStep::Starting)
}

mod act;
mod crash_tests;
mod deletion_tests;
mod election;
mod fault_tests;
mod high_availability_tests;
mod invariants;
mod kstatus;
mod observe;
mod preflight_tests;
mod recovery_tests;
mod run;
mod story_tests;
mod suspend_tests;
mod table_tests;
mod world;
