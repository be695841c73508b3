//! A Kubernetes API server, and the etcd behind it, for a real `kube::Client`.
//!
//! It keeps to the real one's rules of objects: versions, generations, finalizers, preconditions, selectors, pages and
//! watches; `conformance::kube` runs the same cases on both. No controller runs here: nobody makes Pods of a
//! Deployment, collects garbage or ends a namespace, unless a test does ([`ApiServer::end_namespaces`] is one pass of
//! the controller of namespaces). It serves no server-side apply, no `scale` and no deletion of collections, keeps no
//! `managedFields`, and fills in no defaults of built-in kinds. Of a CustomResourceDefinition it enforces the rules
//! (CEL), not the types, and prunes nothing.

mod delete;
mod kind;
mod log;
mod meta;
mod namespaces;
mod read;
mod request;
mod rules;
mod selector;
mod service;
mod state;
mod status;
mod store;
#[cfg(test)]
mod tests;
mod watch;
mod write;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;

use crate::clock::Clock;
use crate::faults::Faults;

pub use kind::{Kind, Trait};
pub use log::LogEntry;
pub use service::Service;
pub use store::{Change, Key, Observer};

use request::{Path, Request, Verb};
use state::State;
use status::Failure;
use store::Store;
use watch::Watch;

/// An API server. Cheap to clone; all clones and all their clients see one world.
#[derive(Clone)]
pub struct ApiServer(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    /// Wakes the watches; the number says nothing.
    writes: tokio::sync::watch::Sender<u64>,
}

impl fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServer").field("version", &self.state().store.version()).finish_non_exhaustive()
    }
}

/// What a request is answered with.
enum Answer {
    Whole(Value),
    Watch(Box<Watch>),
}

impl ApiServer {
    /// An API server without any object: the first is a Namespace.
    #[must_use]
    pub fn new(clock: Clock, kinds: Vec<Kind>) -> Self {
        let state = State {
            store: Store::new(),
            kinds: kinds.into_iter().map(Arc::new).collect(),
            clock,
            log: Vec::new(),
            client: String::new(),
            lag: 0,
            cuts: 0,
        };
        Self(Arc::new(Inner { state: Mutex::new(state), writes: tokio::sync::watch::Sender::new(0) }))
    }

    /// A way for a `kube::Client` to it; each request is a call that a fault may strike.
    #[must_use]
    pub fn service(&self, faults: Faults) -> Service {
        Service::new(self.clone(), faults)
    }

    /// All requests so far, in the order of their answers.
    #[must_use]
    pub fn log(&self) -> Vec<LogEntry> {
        self.state().log.clone()
    }

    /// An object as it is now, whatever a client may see. `resource` is plural and group: `configmaps`,
    /// `leases.coordination.k8s.io`.
    #[must_use]
    pub fn object(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        let [resource, namespace, name] = [resource, namespace, name].map(str::to_owned);
        self.state().store.get(&Key { resource, namespace, name }).map(|object| Value::clone(object))
    }

    /// All objects of a resource as they are now, by namespace and name.
    #[must_use]
    pub fn objects(&self, resource: &str) -> Vec<Value> {
        let state = self.state();
        let all = state.store.objects().iter().filter(|(key, _)| key.resource == resource);
        all.map(|(_, object)| Value::clone(object)).collect()
    }

    /// Has every write looked at by `observer`, before the next one and before its answer. It must not ask the server:
    /// what it may need is in the [`Change`].
    pub fn on_change(&self, observer: Observer) {
        self.state().store.observe(observer);
    }

    /// Lets the watch cache lag behind by so many writes, from now on: lists with `resourceVersion=0` and watches see
    /// the world as it was then. Reads of one object and lists without a version never do.
    pub fn stale_by(&self, writes: usize) {
        self.state().lag = writes;
        self.wake();
    }

    /// Forgets all history: a watch or a page of a list from before is answered by 410 Gone.
    pub fn compact(&self) {
        self.state().store.compact();
    }

    /// Ends all open watches, as a server that is restarted does.
    pub fn cut_watches(&self) {
        self.state().cuts += 1;
        self.wake();
    }

    /// One pass of the controller of namespaces: deletes what is in those that are terminating, and then those that are
    /// empty.
    pub fn end_namespaces(&self) {
        {
            let mut state = self.state();
            "namespace-controller".clone_into(&mut state.client);
            namespaces::end(&mut state);
        }
        self.wake();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.0.writes.subscribe()
    }

    fn wake(&self) {
        self.0.writes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Has a request answered at once, as a controller in the same process would; no fault strikes it. A patch is a merge
    /// patch.
    pub(crate) fn request(&self, client: &str, method: &str, path: &str, body: &Value) -> Result<Value, StatusCode> {
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let content = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let request = http::Request::builder().method(method).uri(path).header(http::header::CONTENT_TYPE, content);
        let request = request.body(body).map_err(|_| StatusCode::BAD_REQUEST)?;
        match self.answer(client, &request) {
            (code, Answer::Whole(answer)) if code.is_success() => Ok(answer),
            (code, _) => Err(code),
        }
    }

    fn answer(&self, client: &str, http: &http::Request<Bytes>) -> (StatusCode, Answer) {
        let mut state = self.state();
        client.clone_into(&mut state.client);
        let before = state.store.version();
        let request = Request::parse(http, &state.kinds);
        let verb = request.as_ref().map_or("", |request| request.verb.name());
        let (code, answer) = request
            .and_then(|request| self.dispatch(&mut state, request))
            .unwrap_or_else(|failure| (failure.code, Answer::Whole(failure.body())));
        state.log.push(entry(client, verb, http.uri().path(), code));
        let written = state.store.version() != before;
        drop(state);
        if written {
            self.wake();
        }
        (code, answer)
    }

    fn dispatch(&self, state: &mut State, request: Request) -> Result<(StatusCode, Answer), Failure> {
        let (code, object) = match request.verb {
            Verb::Watch => {
                let watch = Watch::open(self, state, request)?;
                return Ok((StatusCode::OK, Answer::Watch(Box::new(watch))));
            }
            Verb::List => return read::list(state, &request).map(|(code, list)| (code, Answer::Whole(list))),
            Verb::Get => read::get(state, &request),
            Verb::Create => write::create(state, &request),
            Verb::Replace => write::replace(state, &request),
            Verb::MergePatch | Verb::JsonPatch => write::patch(state, &request),
            Verb::Delete => delete::delete(state, &request),
        }?;
        Ok((code, Answer::Whole(read::shown(&request, &object))))
    }
}

fn entry(client: &str, verb: &'static str, path: &str, code: StatusCode) -> LogEntry {
    let Path { namespace, plural, name, subresource, .. } = Path::parse(path).unwrap_or_default();
    LogEntry { client: client.to_owned(), verb, resource: plural, namespace, name, subresource, code }
}
