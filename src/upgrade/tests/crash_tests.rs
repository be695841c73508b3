//! The controller dies in every pass of a story: before its effect, in the middle of it, after it. The end is the same.

use std::time::Duration;

use serde_json::Value;

use super::run::{Crash, Death, Step, Story, end_state, tell, tell_from};
use crate::upgrade::plan::Effect;

/// The next process takes over at once, or past the deadline of a lost submit.
const DOWN: [u64; 2] = [0, 40];

/// Tells a story without a death, then with each.
pub fn sweep(story: &Story) {
    let told = tell(story);
    (story.end)(&told.world);
    let expected = end_state(&told.world);
    for (number, step) in told.steps.iter().enumerate() {
        for death in deaths(step) {
            let world = tell_from(story, step, death);
            let mut end = end_state(&world);
            // A deletion that comes between a submit's record and its request makes the request needless.
            if world.upgrade.is_none() && is_a_part(&end["submitted"], &expected["submitted"]) {
                end["submitted"] = expected["submitted"].clone();
            }
            let effect = step.effect.as_ref().map(Effect::name);
            assert_eq!(differ("", &end, &expected), Vec::<String>::new(), "{death:?} in step {number}, {effect:?}");
        }
    }
}

/// Where two ends differ, and in what.
fn differ(place: &str, one: &Value, other: &Value) -> Vec<String> {
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            let nothing = Value::Null;
            let each = |key: &String| (a.get(key).unwrap_or(&nothing), b.get(key).unwrap_or(&nothing));
            keys.into_iter().flat_map(|key| differ(&format!("{place}/{key}"), each(key).0, each(key).1)).collect()
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().flat_map(|(n, (a, b))| differ(&format!("{place}/{n}"), a, b)).collect()
        }
        _ if one == other => Vec::new(),
        _ => vec![format!("{place}: {one}, without a death {other}")],
    }
}

fn is_a_part(some: &Value, all: &Value) -> bool {
    some.as_array().unwrap().iter().all(|one| all.as_array().unwrap().contains(one))
}

/// All deaths that make a difference.
fn deaths(step: &Step) -> Vec<Death> {
    let crashes: &[Crash] = match &step.effect {
        None => &[Crash::BeforeEffect],
        Some(Effect::CreateObjects(_) | Effect::CreateWithoutTaskManagers(_) | Effect::DeleteObjects(_)) => {
            &[Crash::BeforeEffect, Crash::HalfWay, Crash::AfterEffect]
        }
        Some(_) => &[Crash::BeforeEffect, Crash::AfterEffect],
    };
    let pairs = crashes.iter().flat_map(|crash| DOWN.map(|down| (*crash, down)));
    // To die after a status was written and at once go on is to go on.
    let pairs = pairs.filter(|(_, down)| step.effect.is_some() || *down > 0);
    pairs.map(|(crash, down)| Death { crash, down: Duration::from_secs(down) }).collect()
}
