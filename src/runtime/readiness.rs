//! What the process still waits for before it is ready.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

/// The list of what is not ready yet. Cheap to clone; all clones are the same list.
///
/// A process that does not lead watches nothing, waits for nothing, and is ready.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<BTreeSet<String>>>);

impl Readiness {
    /// A list on which nothing is.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a thing on the list, named as `/readyz` shall name it. It stays there until [`Pending::done`]; a [`Pending`] that is
    /// dropped leaves it there, because then it never became ready.
    #[must_use = "it is never ready unless done() is called"]
    pub fn wait_for(&self, name: impl Into<String>) -> Pending {
        let name = name.into();
        self.with(|waiting| waiting.insert(name.clone()));
        Pending { readiness: self.clone(), name }
    }

    /// What is waited for, sorted. Empty: ready.
    #[must_use]
    pub fn waiting_for(&self) -> Vec<String> {
        self.with(|waiting| waiting.iter().cloned().collect())
    }

    fn with<T>(&self, act: impl FnOnce(&mut BTreeSet<String>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One thing that is waited for.
#[derive(Debug)]
pub struct Pending {
    readiness: Readiness,
    name: String,
}

impl Pending {
    /// The thing is ready.
    pub fn done(self) {
        self.readiness.with(|waiting| waiting.remove(&self.name));
    }
}
