//! Kubernetes Events about the objects of the controllers.
//!
//! They are told on a best-effort basis: published in the background, so that they neither fail nor delay a reconcile, and dropped when
//! too many wait.

use std::{collections::HashMap, convert::Infallible, time::Duration};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tokio::{sync::mpsc, time::Instant};

use super::{error::chain, kube_client::within, shutdown::Shutdown};

/// The reporting controller of every Event.
pub const CONTROLLER: &str = "savepoints.dev/flink-savepoint-operator";
/// The API server refuses a longer note.
const NOTE_BYTES: usize = 1024;
const QUEUE: usize = 64;
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(3);
/// For so long Events that wait are still published after the shutdown was requested.
const DRAIN: Duration = Duration::from_secs(1);
/// kube folds Events that repeat within this time into one.
const FOLD: Duration = Duration::from_secs(360);
const FOLDED: usize = 256;

struct Told {
    event: Event,
    regarding: ObjectReference,
}

/// Tells Events. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Events(mpsc::Sender<Told>);

impl Events {
    /// The teller, and the publisher that has to run for it. `pod` is the operator's.
    #[must_use]
    pub fn new(client: Client, pod: Option<String>) -> (Self, Publisher) {
        let (sender, queue) = mpsc::channel(QUEUE);
        let reporter = Reporter { controller: CONTROLLER.to_owned(), instance: pod };
        (Self(sender), Publisher { client, reporter, queue, folded: HashMap::new() })
    }

    /// Tells that something went its way. `reason` and `action` are `UpperCamelCase`, the reason being the one of the condition.
    pub fn normal(&self, regarding: ObjectReference, reason: &str, action: &str, note: &str) {
        self.tell(EventType::Normal, regarding, reason, action, note);
    }

    /// Tells that something needs a look. `reason` and `action` are `UpperCamelCase`, the reason being the one of the condition.
    pub fn warning(&self, regarding: ObjectReference, reason: &str, action: &str, note: &str) {
        self.tell(EventType::Warning, regarding, reason, action, note);
    }

    fn tell(&self, type_: EventType, regarding: ObjectReference, reason: &str, action: &str, note: &str) {
        let note = cut(note, NOTE_BYTES);
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(note.to_owned()),
            action: action.to_owned(),
            secondary: None,
        };
        if self.0.try_send(Told { event, regarding }).is_err() {
            tracing::warn!(reason, note, "an Event was dropped: too many wait");
        }
    }
}

/// The longest beginning of `text` of at most `bytes` bytes that ends between two characters.
#[must_use]
pub fn cut(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

type Key = (Option<String>, String, String);

struct Folded {
    note: Option<String>,
    last: Instant,
    recorder: Recorder,
}

/// Publishes what [`Events`] are told.
pub struct Publisher {
    client: Client,
    reporter: Reporter,
    queue: mpsc::Receiver<Told>,
    folded: HashMap<Key, Folded>,
}

impl Publisher {
    /// Publishes until every [`Events`] is gone, or shortly after `stop`.
    ///
    /// # Errors
    /// None: an Event that can't be published is logged.
    pub async fn run(mut self, stop: Shutdown) -> Result<(), Infallible> {
        let too_late = async {
            stop.requested().await;
            tokio::time::sleep(DRAIN).await;
        };
        tokio::select! {
            () = too_late => {}
            () = self.publish_all() => {}
        }
        Ok(())
    }

    async fn publish_all(&mut self) {
        while let Some(told) = self.queue.recv().await {
            let recorder = self.recorder_for(&told);
            let published = within(PUBLISH_TIMEOUT, recorder.publish(&told.event, &told.regarding));
            if let Err(error) = published.await {
                let error = chain(&error);
                let Told { event, regarding } = told;
                let object = regarding.name.unwrap_or_default();
                tracing::warn!(%error, reason = event.reason, object, note = event.note, "an Event could not be published");
            }
        }
    }

    /// A recorder folds Events of one object, reason and action whatever their notes say, and keeps the first note. So another note
    /// gets another recorder.
    fn recorder_for(&mut self, told: &Told) -> Recorder {
        let now = Instant::now();
        self.folded.retain(|_, folded| now - folded.last < FOLD);
        if self.folded.len() >= FOLDED {
            self.folded.clear();
        }
        let key = (told.regarding.uid.clone(), told.event.reason.clone(), told.event.action.clone());
        let recorder = match self.folded.remove(&key) {
            Some(folded) if folded.note == told.event.note => folded.recorder,
            _ => Recorder::new(self.client.clone(), self.reporter.clone()),
        };
        let folded = Folded { note: told.event.note.clone(), last: now, recorder: recorder.clone() };
        self.folded.insert(key, folded);
        recorder
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
