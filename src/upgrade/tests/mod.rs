//! The planner of a FlinkJobUpgrade against a small simulated world: whole stories, every one of them interrupted at
//! every step, with what must never happen checked after each.

mod act;
mod crash_tests;
mod deletion_tests;
mod fault_tests;
mod invariants;
mod observe;
mod run;
mod story_tests;
mod table_tests;
mod world;
