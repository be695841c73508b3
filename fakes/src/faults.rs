//! Faults that strike at one call out of all that leave the process, whoever it is made to.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use tokio::sync::watch;

/// What goes wrong at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The process dies before the call has an effect.
    CrashBefore,
    /// The process dies after the call had its effect and before it sees the answer.
    CrashAfter,
    /// The call has no effect, and no connection is made.
    Refused,
    /// The call has its effect, and its answer is lost.
    AnswerLost,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::CrashBefore, Self::CrashAfter, Self::Refused, Self::AnswerLost];
}

/// Why a call has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// No connection was made.
    #[error("connection refused (a fault of this test)")]
    Refused,
    /// The connection was cut before the answer.
    #[error("connection cut before the answer (a fault of this test)")]
    Answer,
}

/// Counts all calls of a process, and lets a fault strike at one of them. Cheap to clone; all clones count together.
#[derive(Clone)]
pub struct Faults(Arc<Inner>);

struct Inner {
    strike: Mutex<Option<(usize, Fault)>>,
    meanwhile: Mutex<Option<(usize, BoxFuture<'static, ()>)>>,
    before: Mutex<Option<(String, BoxFuture<'static, ()>)>>,
    calls: Mutex<Vec<String>>,
    crashed: watch::Sender<bool>,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").field("calls", &self.calls().len()).finish_non_exhaustive()
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self(Arc::new(Inner {
            strike: Mutex::new(None),
            meanwhile: Mutex::new(None),
            before: Mutex::new(None),
            calls: Mutex::new(Vec::new()),
            crashed: watch::Sender::new(false),
        }))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Faults {
    /// Calls are counted, and all is well.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// A fault at a call, counted from 0; once.
    #[must_use]
    pub fn at(call: usize, fault: Fault) -> Self {
        let faults = Self::default();
        faults.strike(call, fault);
        faults
    }

    /// A fault at a call that is still to come; once.
    pub fn strike(&self, call: usize, fault: Fault) {
        *locked(&self.0.strike) = Some((call, fault));
    }

    /// Lets somebody else do something right before a call has its effect: the call waits for that, the process's other
    /// calls do not.
    pub fn meanwhile(&self, call: usize, act: BoxFuture<'static, ()>) {
        *locked(&self.0.meanwhile) = Some((call, act));
    }

    /// The same before the next call of this name.
    pub fn before(&self, name: &str, act: BoxFuture<'static, ()>) {
        *locked(&self.0.before) = Some((name.to_owned(), act));
    }

    /// The names of all calls so far, in their order.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        locked(&self.0.calls).clone()
    }

    /// Whether the fault has struck.
    #[must_use]
    pub fn struck(&self) -> bool {
        locked(&self.0.strike).is_none()
    }

    /// Waits until the process is to die: who runs it drops it then, which is what SIGKILL does.
    pub async fn crash(&self) {
        let mut crashed = self.0.crashed.subscribe();
        // The sender lives as long as this does.
        let _ = crashed.wait_for(|crashed| *crashed).await;
    }

    /// Makes a call; `name` is what a failing test shows.
    ///
    /// # Errors
    /// [`Lost`] if the fault strikes here and the process lives on.
    pub async fn around<T>(&self, name: &str, call: impl Future<Output = T>) -> Result<T, Lost> {
        let (number, strike) = self.strikes(name);
        let meanwhile = locked(&self.0.meanwhile).take_if(|(at, _)| *at == number).map(|(_, act)| act);
        let before = locked(&self.0.before).take_if(|(of, _)| *of == name).map(|(_, act)| act);
        for act in meanwhile.into_iter().chain(before) {
            // Done to its end, even if nobody waits for the call any more.
            let _ = tokio::spawn(act).await;
        }
        match strike {
            None => Ok(call.await),
            Some(Fault::CrashBefore) => self.die().await,
            Some(Fault::CrashAfter) => {
                call.await;
                self.die().await
            }
            Some(Fault::Refused) => Err(Lost::Refused),
            Some(Fault::AnswerLost) => {
                call.await;
                Err(Lost::Answer)
            }
        }
    }

    /// The number of a call that is made now, and what goes wrong at it.
    fn strikes(&self, name: &str) -> (usize, Option<Fault>) {
        let mut calls = locked(&self.0.calls);
        let number = calls.len();
        calls.push(name.to_owned());
        (number, locked(&self.0.strike).take_if(|(at, _)| *at == number).map(|(_, fault)| fault))
    }

    async fn die<T>(&self) -> T {
        self.0.crashed.send_replace(true);
        std::future::pending().await
    }
}
