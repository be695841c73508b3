//! Namespaces: what is in them and how they end.

use serde_json::{Value, json};

use super::delete;
use super::kind::Kind;
use super::meta;
use super::request::Request;
use super::state::State;
use super::status::Failure;
use super::store::Key;

/// Their plural name.
pub(super) const RESOURCE: &str = "namespaces";

/// Refuses a new object where there is no namespace, or one that ends.
pub(super) fn check_open(state: &State, kind: &Kind, namespace: &str, name: &str) -> Result<(), Failure> {
    let key = Key { resource: RESOURCE.to_owned(), namespace: String::new(), name: namespace.to_owned() };
    match state.store.get(&key) {
        None => Err(Failure::no_namespace(namespace)),
        Some(found) if meta::has(found, "deletionTimestamp") => Err(Failure::terminating(kind, name, namespace)),
        Some(_) => Ok(()),
    }
}

/// What every new namespace has.
pub(super) fn furnish(namespace: &mut Value, name: &str) {
    let label = json!({"metadata": {"labels": {"kubernetes.io/metadata.name": name}}});
    json_patch::merge(namespace, &label);
    json_patch::merge(namespace, &json!({"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}));
}

/// It takes nothing new from now on.
pub(super) fn terminate(state: &mut State, key: Key, old: &Value) -> Value {
    if meta::has(old, "deletionTimestamp") {
        return old.clone();
    }
    let mut object = old.clone();
    meta::set(&mut object, "deletionTimestamp", Some(meta::moment(state.clock.now())));
    json_patch::merge(&mut object, &json!({"status": {"phase": "Terminating"}}));
    state.put(key, object)
}

/// One pass of the controller: deletes what terminating namespaces hold, and those that hold nothing.
pub(super) fn end(state: &mut State) {
    let all = state.store.objects().iter();
    let terminating = all.filter(|(key, object)| key.resource == RESOURCE && meta::has(object, "deletionTimestamp"));
    let terminating: Vec<Key> = terminating.map(|(key, _)| key.clone()).collect();
    for namespace in terminating {
        for key in inside(state, &namespace) {
            let kind = state.kinds.iter().find(|kind| kind.resource() == key.resource).cloned();
            if let Some(kind) = kind {
                // It is there, and there are no preconditions.
                let _ = delete::delete(state, &Request::deletion(kind, &key));
            }
        }
        if inside(state, &namespace).is_empty() {
            state.remove(namespace);
        }
    }
}

fn inside(state: &State, namespace: &Key) -> Vec<Key> {
    state.store.objects().keys().filter(|key| key.namespace == namespace.name).cloned().collect()
}
