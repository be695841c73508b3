//! Passes over the simulated world until it rests, as the controller makes them, and the deaths of the controller.

use std::time::Duration;

use serde_json::{Value, json};

use super::act::{Outcome, act};
use super::invariants;
use super::observe::observe;
use super::world::{Shelf, World};
use crate::api::UpgradeStep;
use crate::api::condition::{self, types};
use crate::api::kstatus::{self, Kstatus};
use crate::reconcile::Next;
use crate::upgrade::observed::Observed;
use crate::upgrade::plan::{self, AT_REST, Effect, Plan};
use crate::upgrade::preflight;

/// A pass, and a retry of one that got no answer, take this long.
const PASS: Duration = Duration::from_millis(5);
const RETRY: Duration = Duration::from_millis(500);
/// The world is looked at this often while the controller waits for a watch's report; after a second less often.
const SLICE: Duration = Duration::from_millis(25);
const LONG_SLICE: Duration = Duration::from_millis(500);
/// More passes than any story needs.
const PASSES: usize = 5000;

/// When somebody acts.
#[derive(Debug, Clone, Copy)]
pub enum When {
    /// Nothing happens any more.
    Rest,
    /// The upgrade under way is at this step.
    Step(UpgradeStep),
    /// The world is like that.
    Is(fn(&World) -> bool),
}

/// What somebody does then.
pub type Act = (When, fn(&mut World));

/// A beginning, what happens to it, and how it must end.
#[derive(Clone)]
pub struct Story {
    pub world: World,
    pub acts: Vec<Act>,
    pub end: fn(&World),
}

/// Where in a pass the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// The status is written, the effect not done.
    BeforeEffect,
    /// Some of the effect's objects are there.
    HalfWay,
    /// The effect is done; its answer is lost.
    AfterEffect,
}

/// One death, and for how long nobody acts then.
#[derive(Debug, Clone, Copy)]
pub struct Death {
    pub crash: Crash,
    pub down: Duration,
}

/// A pass that wrote or did something: the world before it, and how much of what happens to it has happened.
pub struct Step {
    pub world: World,
    pub acts: usize,
    pub effect: Option<Effect>,
}

/// A story told to its end.
pub struct Told {
    pub world: World,
    pub steps: Vec<Step>,
}

/// Tells a story to its end, checking after every step what must always hold.
pub fn tell(story: &Story) -> Told {
    go_on(story, story.world.clone(), 0, None)
}

/// Tells a story from one of its steps, in which the process dies.
pub fn tell_from(story: &Story, step: &Step, death: Death) -> World {
    go_on(story, step.world.clone(), step.acts, Some(death)).world
}

fn go_on(story: &Story, world: World, done: usize, mut death: Option<Death>) -> Told {
    let mut told = Told { world, steps: Vec::new() };
    let keeps = death.is_none();
    let mut acts = story.acts.iter().skip(done).peekable();
    let mut quiet = false;
    for _ in 0..PASSES {
        let world = &mut told.world;
        let due = |when: &When, world: &World| match when {
            When::Rest => false,
            When::Step(step) => world.status().upgrade.is_some_and(|u| u.step == *step),
            When::Is(holds) => holds(world),
        };
        if let Some((_, change)) = acts.next_if(|(when, _)| due(when, world)) {
            change(world);
            quiet = false;
        }
        let Some(o) = observe(world) else { break };
        let plan = invariants::planned(world, &o, keeps);
        let changed = o.upgrade.status.as_ref() != Some(&plan.status);
        if changed || plan.effect.is_some() {
            quiet = false;
            if keeps {
                let acts = story.acts.len() - acts.len();
                told.steps.push(Step { world: world.clone(), acts, effect: plan.effect.clone() });
            }
            match step(world, &o, &plan, death.take()) {
                Some(Next::Again) => drop(wait(world, PASS)),
                Some(Next::After(duration)) => drop(wait(world, duration)),
                None => {}
            }
            continue;
        }
        let Next::After(duration) = plan.next else { panic!("a hot loop: {}", end_state(world)) };
        if wait(world, duration) || duration < AT_REST {
            quiet = false;
        } else if !quiet {
            quiet = true;
        } else {
            rests(world);
            let Some((_, change)) = acts.next_if(|(when, _)| matches!(when, When::Rest)) else {
                assert!(acts.peek().is_none(), "at rest, and {:?} never came", acts.peek().map(|(when, _)| when));
                return told;
            };
            change(world);
            quiet = false;
        }
    }
    assert!(told.world.upgrade.is_none(), "it never comes to rest: {}", end_state(&told.world));
    assert!(acts.peek().is_none(), "gone, and {:?} never came", acts.peek().map(|(when, _)| when));
    told
}

/// Waits, but no longer than until a watch reports something.
fn wait(world: &mut World, time: Duration) -> bool {
    let mut passed = Duration::ZERO;
    while passed < time {
        let often = if passed < Duration::from_secs(1) { SLICE } else { LONG_SLICE };
        let slice = often.min(time.saturating_sub(passed));
        passed += slice;
        if world.pass(slice) {
            return true;
        }
    }
    false
}

/// Records and acts, as the controller does. `None`: the pass ended early.
fn step(world: &mut World, o: &Observed, plan: &Plan, death: Option<Death>) -> Option<Next> {
    if o.upgrade.status.as_ref() != Some(&plan.status) {
        world.write_status(&plan.status);
        invariants::written(world);
    }
    let effect = plan.effect.as_ref().filter(|_| death.is_none_or(|d| d.crash != Crash::BeforeEffect));
    if let Some(effect) = effect {
        let live = Observed { upgrade: world.upgrade.clone().unwrap(), ..o.clone() };
        invariants::before_effect(world, o, effect);
        match act(world, &live, effect, death.is_some_and(|d| d.crash == Crash::HalfWay)) {
            _ if death.is_some() => {}
            Outcome::Done => {}
            Outcome::Error => {
                wait(world, RETRY);
                return None;
            }
            outcome => {
                let mut status = world.status();
                match outcome {
                    Outcome::Refused(cause) => plan::refused(&live, &mut status, &cause),
                    Outcome::Said(said) => preflight::answered(&live, &mut status, said),
                    Outcome::Done | Outcome::Error => {}
                }
                world.write_status(&status);
                invariants::written(world);
                return Some(Next::Again);
            }
        }
    }
    let Some(death) = death else { return Some(plan.next) };
    let until = world.now + death.down;
    while let Ok(left) = (until - world.now).to_std()
        && !left.is_zero()
    {
        wait(world, left);
    }
    None
}

/// At rest nothing is written and nothing is done, however much time passes; and nobody waits for anything.
fn rests(world: &World) {
    let ready = condition::find(&world.status().conditions, types::READY).map(|c| c.reason.clone());
    // Flink itself is at work there.
    let waits = ["JobNotRunning", "JobManagerUnreachable"].contains(&ready.as_deref().unwrap_or_default());
    let kstatus = kstatus::of(world.upgrade.as_ref().unwrap());
    assert!(waits || kstatus != Kstatus::InProgress, "{kstatus:?} at rest, {ready:?}");
    let mut later = world.clone();
    for hours in [0, 24] {
        later.pass(Duration::from_secs(hours * 3600));
        let o = observe(&later).unwrap();
        let plan = invariants::planned(&later, &o, true);
        let mut status = o.upgrade.status.clone().unwrap_or_default();
        if world.shelf == Shelf::Nobody {
            // Nobody else knows it.
            status.active.as_mut().zip(plan.status.active.as_ref()).into_iter().for_each(|(a, b)| {
                a.last_checkpoint.clone_from(&b.last_checkpoint);
            });
        }
        assert_eq!(plan.status, status, "written at rest, after {hours} h");
        assert_eq!(plan.effect, None, "done at rest, after {hours} h");
    }
}

/// All that two ends must have in common: the world and the status, times aside.
pub fn end_state(world: &World) -> Value {
    let mut status = world.status();
    // Whether it was told depends on whether somebody looked in time.
    status.conditions.retain(|c| c.type_ != types::RESTORED);
    if let Some(asked) = status.upgrade.as_mut().and_then(|u| u.preflight.as_mut()) {
        asked.attempts = 1;
    }
    let status = serde_json::to_value(status).unwrap();
    let alive: Vec<Value> = world.alive().iter().map(|j| json!([j.revision, j.id, j.state.to_string()])).collect();
    let submitted: Vec<Value> =
        world.jobs.iter().filter(|j| !j.warm_up).map(|j| json!([j.revision, j.id, j.request])).collect();
    let revisions: Vec<Value> = world
        .revisions
        .iter()
        .map(|(n, r)| json!([n, r.record.is_some(), r.objects, r.pods.is_some(), r.config_maps]))
        .collect();
    let savepoints: Vec<Value> =
        world.savepoints.iter().map(|(name, s)| json!([name, s.phase(), s.object.metadata.uid])).collect();
    let mut end = json!({
        "status": world.upgrade.as_ref().map(|_| status),
        "revisions": revisions,
        "alive": alive,
        "submitted": submitted,
        "savepoints": savepoints,
        "stableService": world.stable_service,
    });
    without_times(&mut end);
    end
}

fn without_times(value: &mut Value) {
    const TIMES: [&str; 14] = [
        "since",
        "startTime",
        "stepSince",
        "stoppedAt",
        "runningAt",
        "completionTime",
        "downtimeSeconds",
        "durationSeconds",
        "lastTransitionTime",
        // How many checkpoints there were by then.
        "lastCheckpoint",
        "progress",
        "progressTime",
        "rewind",
        // Once more, where nobody could tell whether it was.
        "healed",
    ];
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !TIMES.contains(&name.as_str()));
            fields.values_mut().for_each(without_times);
        }
        Value::Array(items) => items.iter_mut().for_each(without_times),
        // Which is the newest depends on when somebody looked. That it was is an invariant.
        Value::String(text) => {
            for directory in ["s3://flink/ck/", "s3://flink/sp/"] {
                while let Some((before, snapshot)) = text.split_once(directory) {
                    let after = snapshot
                        .find(|c: char| !c.is_ascii_alphanumeric() && !"-/".contains(c))
                        .unwrap_or(snapshot.len());
                    *text = format!("{before}a snapshot{}", &snapshot[after..]);
                }
            }
        }
        _ => {}
    }
}
