//! Taking turns: of those who want to begin something at one place, one after the other looks whether it may.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// Who is at the turn, by place.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

/// Being at the turn; over when dropped.
pub type Turn = OwnedMutexGuard<()>;

impl Turns {
    /// Waits for one's turn at a place.
    pub async fn take(&self, place: &str) -> Turn {
        let place = {
            let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Where nobody waits and nobody is.
            places.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(places.entry(place.to_owned()).or_default())
        };
        place.lock_owned().await
    }
}

#[cfg(test)]
#[path = "turns_tests.rs"]
mod tests;
