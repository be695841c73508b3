//! Deleting objects: preconditions, finalizers and grace periods.

use chrono::TimeDelta;
use http::StatusCode;
use serde_json::Value;

use super::kind::{Kind, Trait};
use super::meta;
use super::namespaces;
use super::request::Request;
use super::state::State;
use super::status::{self, Failure};
use super::store::Key;
use super::write::Answer;

/// The finalizer by which the garbage collector first deletes the dependents.
const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer by which the garbage collector first lets go of the dependents.
const ORPHAN: &str = "orphan";
/// Seconds that a Pod which says nothing else may take to end.
const GRACE_PERIOD: i64 = 30;

/// Whether nothing holds a deleted object any more.
pub(super) fn is_over(object: &Value) -> bool {
    meta::has(object, "deletionTimestamp")
        && meta::finalizers(object).is_empty()
        && meta::number(object, "deletionGracePeriodSeconds") == Some(0)
}

pub(super) fn delete(state: &mut State, request: &Request) -> Answer {
    let kind = &request.kind;
    let policy = request.body.get("propagationPolicy").and_then(Value::as_str);
    if let Some(other) = policy.filter(|policy| !matches!(*policy, "Foreground" | "Background" | "Orphan")) {
        let why = format!(
            "Unsupported value: {other:?}: supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
        );
        return Err(Failure::invalid_options("DeleteOptions", "FieldValueNotSupported", "propagationPolicy", &why));
    }
    let key = Key::new(kind, &request.namespace, &request.name);
    let old = state.store.get(&key).cloned().ok_or_else(|| Failure::not_found(kind, &key.name))?;
    check_preconditions(kind, &key.name, &request.body, &old)?;
    if kind.resource() == namespaces::RESOURCE {
        return Ok((StatusCode::OK, namespaces::terminate(state, key, &old)));
    }
    let grace = grace(kind, &old, request.body.get("gracePeriodSeconds").and_then(Value::as_i64));
    let mut object = Value::clone(&old);
    meta::set_finalizers(&mut object, &finalizers(&old, policy));
    if mark(&mut object, state, grace) && meta::has(&old, "generation") {
        let generation = meta::number(&old, "generation").unwrap_or_default() + 1;
        meta::set(&mut object, "generation", Some(generation.into()));
    }
    if !is_over(&object) {
        let answer = if object == *old { object } else { state.put(key, object) };
        return Ok((StatusCode::OK, answer));
    }
    let uid = meta::text(&old, "uid");
    let answer = if kind.is(Trait::AnswersDeleted) { object } else { status::deleted(kind, &key.name, uid) };
    state.remove(key);
    Ok((StatusCode::OK, answer))
}

/// Writes down until when it may live; says whether it is deleted for the first time.
fn mark(object: &mut Value, state: &State, grace: i64) -> bool {
    let first = !meta::has(object, "deletionTimestamp");
    let before = meta::number(object, "deletionGracePeriodSeconds");
    if before.is_none_or(|before| grace < before) {
        let end = state.clock.now() + TimeDelta::seconds(grace);
        meta::set(object, "deletionTimestamp", Some(meta::moment(end)));
        meta::set(object, "deletionGracePeriodSeconds", Some(grace.into()));
    }
    first
}

/// How long the kubelet may take to end it. A pod that no node has, or that has ended, goes at once.
fn grace(kind: &Kind, object: &Value, asked: Option<i64>) -> i64 {
    let phase = object.pointer("/status/phase").and_then(Value::as_str).unwrap_or_default();
    let on_a_node = object.pointer("/spec/nodeName").and_then(Value::as_str).is_some_and(|node| !node.is_empty());
    if !kind.is(Trait::Graceful) || !on_a_node || matches!(phase, "Succeeded" | "Failed") {
        return 0;
    }
    let own = object.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_i64);
    asked.or(own).unwrap_or(GRACE_PERIOD)
}

/// The finalizers that a deletion leaves: the garbage collector's are the last deletion's wish.
fn finalizers(object: &Value, policy: Option<&str>) -> Vec<String> {
    let mut finalizers = meta::finalizers(object);
    if let Some(policy) = policy {
        finalizers.retain(|finalizer| finalizer != FOREGROUND && finalizer != ORPHAN);
        match policy {
            "Foreground" => finalizers.push(FOREGROUND.to_owned()),
            "Orphan" => finalizers.push(ORPHAN.to_owned()),
            _ => {}
        }
    }
    finalizers
}

fn check_preconditions(kind: &Kind, name: &str, options: &Value, object: &Value) -> Result<(), Failure> {
    for (field, what) in [("uid", "UID"), ("resourceVersion", "ResourceVersion")] {
        let wanted = options.get("preconditions").and_then(|p| p.get(field)).and_then(Value::as_str);
        let found = meta::text(object, field);
        if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
            return Err(Failure::precondition(kind, name, what, wanted, found));
        }
    }
    Ok(())
}
