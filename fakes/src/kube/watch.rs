//! Watches: the writes from a version on, as they come.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::ApiServer;
use super::read::{self, is_in_scope};
use super::request::Request;
use super::selector::Selector;
use super::state::State;
use super::status::Failure;
use super::store::Write;

/// How often a watch is told how far it is.
const BOOKMARKS: Duration = Duration::from_secs(60);
/// The end of a watch that does not say how long it wants to last.
const LONGEST: Duration = Duration::from_secs(1800);

/// An open watch.
pub(super) struct Watch {
    server: ApiServer,
    writes: tokio::sync::watch::Receiver<u64>,
    request: Request,
    selector: Selector,
    /// All writes up to this one have been told.
    seen: u64,
    cuts: u64,
    lines: VecDeque<Bytes>,
    bookmark: Option<Instant>,
    end: Instant,
    over: bool,
}

impl Watch {
    /// Opens a watch; what is wrong with a request's version comes as its first event, as with the real one.
    pub(super) fn open(server: &ApiServer, state: &State, request: Request) -> Result<Self, Failure> {
        let selector = read::selector(&request)?;
        let version = request.option("resourceVersion");
        let unversioned = version.is_empty();
        let initial = check_initial_events(&request)?;
        let from: Option<u64> = match version {
            "" | "0" => None,
            text => Some(text.parse().map_err(|_| read::unreadable_version(text))?),
        };
        let bookmarks = request.is_set("allowWatchBookmarks");
        let now = Instant::now();
        let seconds = request.option("timeoutSeconds").parse().map_or(LONGEST, Duration::from_secs);
        let mut watch = Self {
            server: server.clone(),
            writes: server.writes(),
            selector,
            seen: state.cached_version().max(from.unwrap_or_default()),
            cuts: state.cuts,
            lines: VecDeque::new(),
            bookmark: bookmarks.then_some(now + BOOKMARKS),
            end: now + seconds,
            over: false,
            request,
        };
        if let (Some(from), false) = (from, initial) {
            watch.seen = from;
        } else {
            for (_, object) in read::matching(&state.store.at(watch.seen)?, &watch.request, &watch.selector) {
                watch.tell("ADDED", object);
            }
            // A watch that names no version is an older way to ask for the same.
            if initial || (unversioned && bookmarks) {
                watch.mark(Some(json!({"k8s.io/initial-events-end": "true"})));
            }
        }
        Ok(watch)
    }

    /// The lines of the answer.
    pub(super) fn lines(self) -> impl Stream<Item = Bytes> + Send {
        futures::stream::unfold(self, |mut watch| async move { watch.next().await.map(|line| (line, watch)) })
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            if self.over {
                return None;
            }
            // Marked as seen before it is looked at: what comes meanwhile wakes it again.
            self.writes.borrow_and_update();
            self.look();
            if !self.lines.is_empty() || self.over {
                continue;
            }
            let bookmark = self.bookmark.unwrap_or(self.end);
            tokio::select! {
                changed = self.writes.changed() => self.over = changed.is_err(),
                () = sleep_until(self.end) => self.over = true,
                () = sleep_until(bookmark) => {
                    self.mark(None);
                    self.bookmark = Some(bookmark + BOOKMARKS);
                }
            }
        }
    }

    /// Collects what the watch cache has got since.
    fn look(&mut self) {
        let server = self.server.clone();
        let state = server.state();
        if state.cuts != self.cuts {
            self.over = true;
            return;
        }
        let cached = state.cached_version();
        match state.store.since(self.seen) {
            Ok(writes) => writes.take_while(|write| write.version <= cached).for_each(|write| self.collect(write)),
            Err(failure) => {
                self.tell("ERROR", &failure.body());
                self.over = true;
            }
        }
        self.seen = self.seen.max(cached);
    }

    fn collect(&mut self, write: &Write) {
        if !is_in_scope(&write.key, &self.request) {
            return;
        }
        let matches = |object: &&Value| self.selector.matches(object);
        match (write.old.as_deref().filter(matches), write.new.as_deref().filter(matches)) {
            (None, Some(new)) => self.tell("ADDED", new),
            (Some(_), Some(new)) => self.tell("MODIFIED", new),
            (Some(_), None) => {
                if let Some(last) = write.last() {
                    self.tell("DELETED", &last);
                }
            }
            (None, None) => {}
        }
    }

    fn mark(&mut self, annotations: Option<Value>) {
        let mut metadata = json!({"resourceVersion": self.seen.to_string()});
        if let (Some(fields), Some(annotations)) = (metadata.as_object_mut(), annotations) {
            fields.insert("annotations".to_owned(), annotations);
        }
        let kind = &self.request.kind;
        let object = json!({"kind": kind.kind, "apiVersion": kind.api_version(), "metadata": metadata});
        self.tell("BOOKMARK", &object);
    }

    fn tell(&mut self, what: &str, object: &Value) {
        let event = json!({"type": what, "object": read::shown(&self.request, object)});
        self.lines.push_back(format!("{event}\n").into());
    }
}

/// Whether a watch begins with all there is (`sendInitialEvents`), which asks for some care.
fn check_initial_events(request: &Request) -> Result<bool, Failure> {
    let initial = request.is_set("sendInitialEvents");
    if initial && request.option("resourceVersionMatch") != "NotOlderThan" {
        let why = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        return Err(Failure::invalid_options("ListOptions", "FieldValueForbidden", "resourceVersionMatch", why));
    }
    Ok(initial)
}
