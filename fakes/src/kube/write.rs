//! Creating and changing objects.

use std::sync::Arc;

use http::StatusCode;
use json_patch::{Patch, PatchOperation};
use serde::Deserialize as _;
use serde_json::Value;

use super::delete;
use super::kind::{Kind, Trait};
use super::meta;
use super::namespaces;
use super::request::{Request, Verb};
use super::state::State;
use super::status::Failure;
use super::store::Key;

/// Code and body of an answer.
pub(super) type Answer = Result<(StatusCode, Value), Failure>;

/// The characters of generated names: none that could spell a word or be read as another.
const NAME_CHARACTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// What no client changes in `metadata`.
const KEPT: [&str; 8] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

pub(super) fn create(state: &mut State, request: &Request) -> Answer {
    let kind = &request.kind;
    let mut object = request.body.clone();
    meta::tidy(&mut object);
    check_namespace(request, &object)?;
    let name = match (meta::text(&object, "name"), meta::text(&object, "generateName")) {
        ("", "") => {
            let why = "Required value: name or generateName is required".to_owned();
            return Err(Failure::invalid(kind, "", &[("FieldValueRequired", "metadata.name", why)]));
        }
        ("", prefix) => format!("{prefix}{}", suffix(state.store.identity())),
        (name, _) => name.to_owned(),
    };
    insert(state, kind, &request.namespace, &name, object)
}

/// Puts an object where none is.
fn insert(state: &mut State, kind: &Kind, namespace: &str, name: &str, mut object: Value) -> Answer {
    check_name(kind, name)?;
    if !namespace.is_empty() {
        namespaces::check_open(state, kind, namespace, name)?;
        meta::set(&mut object, "namespace", Some(namespace.into()));
    }
    let versioned = meta::has(&object, "resourceVersion");
    stamp(state, kind, name, &mut object);
    check_rules(kind, name, &object, None)?;
    if versioned {
        return Err(Failure::version_on_create());
    }
    let key = Key::new(kind, namespace, name);
    if let Some(found) = state.store.get(&key) {
        return Err(Failure::already_exists(kind, name, meta::has(found, "deletionTimestamp")));
    }
    Ok((StatusCode::CREATED, state.put(key, object)))
}

/// What the server, and no client, says of a new object.
fn stamp(state: &mut State, kind: &Kind, name: &str, object: &mut Value) {
    let uid = format!("00000000-0000-4000-8000-{:012x}", state.store.identity());
    meta::set(object, "name", Some(name.into()));
    meta::set(object, "uid", Some(uid.into()));
    meta::set(object, "creationTimestamp", Some(meta::moment(state.clock.now())));
    meta::set(object, "generation", kind.is(Trait::Generation).then(|| 1.into()));
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion"] {
        meta::set(object, field, None);
    }
    name_kind(kind, object);
    if kind.is(Trait::Status) {
        set_status(kind, object, None);
    }
    if kind.resource() == namespaces::RESOURCE {
        namespaces::furnish(object, name);
    }
}

/// Built-in kinds may be written without.
fn name_kind(kind: &Kind, object: &mut Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert("apiVersion".to_owned(), kind.api_version().into());
        fields.insert("kind".to_owned(), kind.kind.clone().into());
    }
}

pub(super) fn replace(state: &mut State, request: &Request) -> Answer {
    let kind = &request.kind;
    let mut object = request.body.clone();
    meta::tidy(&mut object);
    check_names(request, &object)?;
    let key = Key::new(kind, &request.namespace, &request.name);
    let uid = meta::text(&object, "uid").to_owned();
    let other_uid = |found: &str| Failure::other_uid(kind, &request.namespace, &request.name, &uid, found);
    let Some(old) = state.store.get(&key).cloned() else {
        if !kind.is(Trait::CreateOnUpdate) || request.status {
            return Err(Failure::not_found(kind, &request.name));
        }
        if !uid.is_empty() {
            return Err(other_uid(""));
        }
        meta::set(&mut object, "resourceVersion", None);
        return insert(state, kind, &request.namespace, &request.name, object);
    };
    let found = meta::text(&old, "uid");
    if !uid.is_empty() && uid != found {
        return Err(other_uid(found));
    }
    update(state, request, key, &old, object)
}

pub(super) fn patch(state: &mut State, request: &Request) -> Answer {
    let kind = &request.kind;
    let key = Key::new(kind, &request.namespace, &request.name);
    let old = state.store.get(&key).cloned().ok_or_else(|| Failure::not_found(kind, &request.name))?;
    let mut object = Value::clone(&old);
    if request.verb == Verb::MergePatch {
        json_patch::merge(&mut object, &request.body);
    } else {
        json_patch(&mut object, &request.body)?;
    }
    if !object.get("metadata").is_some_and(Value::is_object) {
        return Err(Failure::bad_request("metadata is not a JSON object"));
    }
    meta::tidy(&mut object);
    check_names(request, &object)?;
    let uid = meta::text(&object, "uid");
    if !uid.is_empty() && uid != meta::text(&old, "uid") {
        return Err(immutable(kind, &request.name, "metadata.uid", uid));
    }
    update(state, request, key, &old, object)
}

/// RFC 6902, but for what is not there: to the real one it is null.
fn json_patch(object: &mut Value, operations: &Value) -> Result<(), Failure> {
    let mut patch: Patch = Patch::deserialize(operations).map_err(|error| Failure::bad_request(error.to_string()))?;
    patch.0.retain(|operation| match operation {
        PatchOperation::Test(test) => !(test.value.is_null() && object.pointer(test.path.as_str()).is_none()),
        _ => true,
    });
    json_patch::patch(object, &patch).map_err(|_| Failure::unfit_patch())
}

/// Changes `old` to what is wanted of `object`.
fn update(state: &mut State, request: &Request, key: Key, old: &Arc<Value>, mut object: Value) -> Answer {
    let kind = &request.kind;
    let version = meta::text(&object, "resourceVersion");
    if version.is_empty() && !kind.is(Trait::UnconditionalUpdate) {
        return Err(Failure::version_missing(kind, &key.name));
    }
    if !version.is_empty() && version != meta::text(old, "resourceVersion") {
        return Err(Failure::modified(kind, &key.name));
    }
    let status_apart = kind.is(Trait::Status);
    if request.status {
        // The real one lets a status write change labels and annotations of some kinds of its own (Pods); of custom
        // resources, as here of all kinds, nothing but the status.
        let status = object.get("status").cloned();
        object = Value::clone(old);
        set_status(kind, &mut object, status);
    } else {
        if status_apart {
            set_status(kind, &mut object, old.get("status").cloned());
        }
        check_deletion(kind, &key.name, old, &object)?;
        for field in KEPT {
            meta::set(&mut object, field, old.pointer(&format!("/metadata/{field}")).cloned());
        }
        name_kind(kind, &mut object);
        if kind.is(Trait::Generation) && meta::wanted(&object, status_apart) != meta::wanted(old, status_apart) {
            let generation = meta::number(old, "generation").unwrap_or_default() + 1;
            meta::set(&mut object, "generation", Some(generation.into()));
        }
    }
    check_rules(kind, &key.name, &object, Some(old))?;
    if delete::is_over(&object) {
        // The answer is the object as it would be; what watches see is the object as it was.
        state.remove(key);
        return Ok((StatusCode::OK, object));
    }
    if object == **old {
        return Ok((StatusCode::OK, object));
    }
    Ok((StatusCode::OK, state.put(key, object)))
}

fn set_status(kind: &Kind, object: &mut Value, status: Option<Value>) {
    let Some(fields) = object.as_object_mut() else { return };
    match status.or_else(|| kind.first_status.clone()) {
        Some(status) => fields.insert("status".to_owned(), status),
        None => fields.remove("status"),
    };
}

fn check_names(request: &Request, object: &Value) -> Result<(), Failure> {
    let name = meta::text(object, "name");
    if name.is_empty() || name == request.name {
        return check_namespace(request, object);
    }
    let message = format!("the name of the object ({name}) does not match the name on the URL ({})", request.name);
    Err(Failure::bad_request(message))
}

fn check_namespace(request: &Request, object: &Value) -> Result<(), Failure> {
    let namespace = meta::text(object, "namespace");
    if namespace.is_empty() || namespace == request.namespace {
        return Ok(());
    }
    let message = "the namespace of the provided object does not match the namespace sent on the request";
    Err(Failure::bad_request(message))
}

fn check_name(kind: &Kind, name: &str) -> Result<(), Failure> {
    let fit = |part: &str| {
        part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && !(part.is_empty() || part.starts_with('-') || part.ends_with('-'))
    };
    if name.len() <= 253 && name.split('.').all(fit) {
        return Ok(());
    }
    let why = format!(
        "Invalid value: {name:?}: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
         '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for \
         validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
    );
    Err(Failure::invalid(kind, name, &[("FieldValueInvalid", "metadata.name", why)]))
}

fn check_deletion(kind: &Kind, name: &str, old: &Value, object: &Value) -> Result<(), Failure> {
    let given = meta::text(object, "deletionTimestamp");
    if !given.is_empty() && given != meta::text(old, "deletionTimestamp") {
        return Err(immutable(kind, name, "metadata.deletionTimestamp", given));
    }
    if !meta::has(old, "deletionTimestamp") {
        return Ok(());
    }
    let before = meta::finalizers(old);
    let added: Vec<String> = meta::finalizers(object).into_iter().filter(|f| !before.contains(f)).collect();
    if added.is_empty() {
        return Ok(());
    }
    let list = added.iter().map(|finalizer| format!("{finalizer:?}")).collect::<Vec<_>>().join(", ");
    let why = format!(
        "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers \
         []string{{{list}}}"
    );
    Err(Failure::invalid(kind, name, &vec![("FieldValueForbidden", "metadata.finalizers", why); 2]))
}

fn immutable(kind: &Kind, name: &str, field: &str, value: &str) -> Failure {
    let why = format!("Invalid value: {value:?}: field is immutable");
    Failure::invalid(kind, name, &vec![("FieldValueInvalid", field, why); 2])
}

fn check_rules(kind: &Kind, name: &str, object: &Value, old: Option<&Value>) -> Result<(), Failure> {
    let broken = kind.rules.as_ref().map(|rules| rules.broken(object, old)).unwrap_or_default();
    if broken.is_empty() {
        return Ok(());
    }
    let errors: Vec<(&str, &str, String)> =
        broken.iter().map(|(field, why)| ("FieldValueInvalid", field.as_str(), why.clone())).collect();
    Err(Failure::invalid(kind, name, &errors))
}

/// Five characters for a generated name.
fn suffix(mut identity: u64) -> String {
    let base = NAME_CHARACTERS.len() as u64;
    let mut text = String::new();
    for _ in 0..5 {
        let digit = usize::try_from(identity % base).unwrap_or_default();
        text.insert(0, NAME_CHARACTERS.get(digit).copied().map_or('b', char::from));
        identity /= base;
    }
    text
}
