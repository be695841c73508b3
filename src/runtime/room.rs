//! Places that take only so much at once: who is there, and who waits.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Who is where. What was under way before the process began is told by those who look ([`Room::enter`]).
#[derive(Debug, Default)]
pub struct Room(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Who is there, by UID: the place.
    inside: HashMap<String, String>,
    /// Who waits, by UID: the place, and how many it takes.
    waiting: HashMap<String, (String, usize)>,
}

impl State {
    fn inside(&self, place: &str) -> impl Iterator<Item = &String> {
        self.inside.iter().filter(move |(_, at)| *at == place).map(|(who, _)| who)
    }

    fn waiting(&self, place: &str) -> usize {
        self.waiting.values().filter(|(at, _)| at == place).count()
    }
}

/// A place that takes no more now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// How many it takes.
    pub limit: usize,
    /// How many wait for it.
    pub waiting: usize,
}

impl Room {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes in, unless the place is full. `seen`: who was seen there, whoever let them in. `exists`: whether somebody by
    /// this UID is still known at all.
    ///
    /// # Errors
    /// [`Full`]: it is waited for now.
    pub fn enter(
        &self,
        place: &str,
        who: &str,
        limit: usize,
        seen: &HashSet<String>,
        exists: impl Fn(&str) -> bool,
    ) -> Result<(), Full> {
        let mut state = self.state();
        state.inside.retain(|inside, _| exists(inside));
        state.waiting.retain(|waiting, _| exists(waiting));
        if state.inside.get(who).is_some_and(|at| at == place) {
            return Ok(());
        }
        let busy: HashSet<&String> = state.inside(place).chain(seen).filter(|inside| *inside != who).collect();
        if busy.len() < limit {
            state.waiting.remove(who);
            state.inside.insert(who.to_owned(), place.to_owned());
            return Ok(());
        }
        state.waiting.insert(who.to_owned(), (place.to_owned(), limit));
        Err(Full { limit, waiting: state.waiting(place) })
    }

    /// Whether who waits for a place waits in vain, too, if they look now: by those alone who were let in.
    #[must_use]
    pub fn still_full(&self, who: &str) -> Option<Full> {
        let state = self.state();
        let (place, limit) = state.waiting.get(who)?;
        let full = state.inside(place).count() >= *limit;
        full.then(|| Full { limit: *limit, waiting: state.waiting(place) })
    }

    /// Goes out, or never comes.
    pub fn leave(&self, who: &str) {
        self.state().inside.remove(who);
    }

    /// Neither is there nor waits any more.
    pub fn forget(&self, who: &str) {
        let mut state = self.state();
        state.inside.remove(who);
        state.waiting.remove(who);
    }
}

#[cfg(test)]
#[path = "room_tests.rs"]
mod tests;
