//! Work that takes longer than a pass: begun by one pass, looked at by the next ones. Its successor begins it anew
//! where the process ends, so whatever effect it has is one that can be repeated.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Work that nobody has looked at for so long is given up: its object is gone.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// What became of a piece of work.
#[derive(Debug, PartialEq, Eq)]
pub enum Looked<T, P> {
    /// It is done; the next look begins it anew.
    Done(T),
    /// It goes on; how far it is, once it has said so.
    Running(Option<P>),
}

/// Pieces of work, each by the key of what it is about.
#[derive(Debug)]
pub struct Background<T, P> {
    at_once: Arc<Semaphore>,
    pieces: Mutex<HashMap<String, Piece<T, P>>>,
}

#[derive(Debug)]
struct Piece<T, P> {
    /// A set of one, which aborts it when it is dropped.
    task: JoinSet<T>,
    progress: watch::Receiver<Option<P>>,
    looked: Instant,
}

impl<T: Send + 'static, P: Clone + Send + Sync + 'static> Background<T, P> {
    /// At most so many pieces of work go on at once; the others wait.
    #[must_use]
    pub fn new(at_once: usize) -> Self {
        Self { at_once: Arc::new(Semaphore::new(at_once)), pieces: Mutex::default() }
    }

    /// Looks for a moment at a piece of work, which `start` begins if there is none under this key.
    pub async fn look<F>(&self, key: &str, moment: Duration, start: impl FnOnce(Tell<P>) -> F) -> Looked<T, P>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let found = {
            let mut pieces = self.pieces();
            pieces.retain(|_, piece| piece.looked.elapsed() < FORGOTTEN);
            pieces.remove(key)
        };
        let mut piece = found.unwrap_or_else(|| self.begin(start));
        match tokio::time::timeout(moment, piece.task.join_next()).await {
            Ok(Some(Ok(done))) => Looked::Done(done),
            // It panicked: the next look begins it anew.
            Ok(_) => Looked::Running(None),
            Err(_) => {
                let progress = piece.progress.borrow().clone();
                piece.looked = Instant::now();
                self.pieces().insert(key.to_owned(), piece);
                Looked::Running(progress)
            }
        }
    }

    /// Nobody wants it any more: it is ended where it stands.
    pub fn give_up(&self, key: &str) {
        self.pieces().remove(key);
    }

    fn pieces(&self) -> MutexGuard<'_, HashMap<String, Piece<T, P>>> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin<F>(&self, start: impl FnOnce(Tell<P>) -> F) -> Piece<T, P>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let (tell, progress) = watch::channel(None);
        let (at_once, work) = (Arc::clone(&self.at_once), start(Tell(tell)));
        let mut task = JoinSet::new();
        task.spawn(async move {
            let _turn = at_once.acquire_owned().await;
            work.await
        });
        Piece { task, progress, looked: Instant::now() }
    }
}

/// By which a piece of work says how far it is.
#[derive(Debug)]
pub struct Tell<P>(watch::Sender<Option<P>>);

impl<P> Tell<P> {
    /// Says it.
    pub fn now(&self, progress: P) {
        self.0.send_replace(Some(progress));
    }
}

#[cfg(test)]
#[path = "background_tests.rs"]
mod tests;
