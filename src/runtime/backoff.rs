//! How long to wait before an object whose reconcile failed is tried again.
//!
//! Only for what passes by itself (the API server away, a conflict). What is counted in an object's status, such as the attempts of
//! a savepoint, is computed from there, so that a restart does not forget it.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The first wait.
pub const FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
pub const LONGEST: Duration = Duration::from_secs(300);
/// How many objects are remembered; the one that failed longest ago is forgotten first.
const OBJECTS: usize = 4096;

#[derive(Debug)]
struct Failures {
    count: u32,
    due: Instant,
}

/// Consecutive failures by the object's UID.
#[derive(Debug, Default)]
pub struct Backoff(Mutex<HashMap<String, Failures>>);

impl Backoff {
    /// Nothing has failed yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The object's reconcile failed at `now`: how long to wait. Doubles from [`FIRST`] to [`LONGEST`], with up to a tenth less, so
    /// that objects that failed together don't come back together.
    ///
    /// A failure before the last wait was over (a watch event came in between) does not count: it gets the rest of that wait.
    pub fn failed(&self, uid: &str, now: Instant) -> Duration {
        let mut objects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = match objects.get(uid) {
            Some(last) if now < last.due => return last.due - now,
            Some(last) => last.count.saturating_add(1),
            None => 1,
        };
        if objects.len() >= OBJECTS && !objects.contains_key(uid) {
            let oldest = objects.iter().min_by_key(|(_, failures)| failures.due).map(|(uid, _)| uid.clone());
            oldest.and_then(|uid| objects.remove(&uid));
        }
        let wait = wait(uid, count);
        objects.insert(uid.to_owned(), Failures { count, due: now + wait });
        wait
    }

    /// The object's reconcile succeeded, or the object is gone: the next failure is the first.
    pub fn succeeded(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

fn wait(uid: &str, count: u32) -> Duration {
    let doubled = FIRST.saturating_mul(2_u32.saturating_pow(count.saturating_sub(1))).min(LONGEST);
    let mut hasher = DefaultHasher::new();
    (uid, count).hash(&mut hasher);
    let thousandths = u32::try_from(hasher.finish() % 100).unwrap_or_default();
    doubled.saturating_sub(doubled * thousandths / 1000)
}

#[cfg(test)]
#[path = "backoff_tests.rs"]
mod tests;
