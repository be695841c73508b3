//! Reading objects: one, or a list of them.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::kind::Trait;
use super::request::Request;
use super::selector::Selector;
use super::state::State;
use super::status::Failure;
use super::store::{Key, Objects};
use super::write::Answer;

pub(super) fn get(state: &State, request: &Request) -> Answer {
    let key = Key::new(&request.kind, &request.namespace, &request.name);
    let found = state.store.get(&key).ok_or_else(|| Failure::not_found(&request.kind, &key.name))?;
    Ok((StatusCode::OK, Value::clone(found)))
}

pub(super) fn list(state: &State, request: &Request) -> Answer {
    let selector = selector(request)?;
    let limit = request.option("limit").parse::<usize>().ok().filter(|limit| *limit > 0);
    let (version, after, limit) = if let Some(token) = Token::parse(request.option("continue"))? {
        (token.version, Some((token.namespace, token.name)), limit)
    } else {
        let (version, any) = version(state, request)?;
        // A list of any version comes from the watch cache, which knows no pages.
        (version, None, limit.filter(|_| !any))
    };
    let objects = state.store.at(version).map_err(|failure| match after {
        Some(_) => Failure::expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list \
             without the continue parameter.",
        ),
        None => failure,
    })?;
    let mut found = matching(&objects, request, &selector);
    if let Some((namespace, name)) = after {
        found.retain(|(key, _)| (&key.namespace, &key.name) > (&namespace, &name));
    }
    let rest = limit.map_or(0, |limit| found.len().saturating_sub(limit));
    found.truncate(limit.unwrap_or(found.len()));

    let mut metadata = json!({"resourceVersion": version.to_string()});
    if let (Some(fields), Some((last, _)), 1..) = (metadata.as_object_mut(), found.last(), rest) {
        fields.insert("continue".to_owned(), Token::after(version, last).into());
        if selector.is_everything() {
            fields.insert("remainingItemCount".to_owned(), rest.into());
        }
    }
    let (kind, api_version) = if request.metadata_only {
        ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned())
    } else {
        (format!("{}List", request.kind.kind), request.kind.api_version())
    };
    let items: Vec<Value> = found.iter().map(|(_, object)| item(request, object)).collect();
    Ok((StatusCode::OK, json!({"kind": kind, "apiVersion": api_version, "metadata": metadata, "items": items})))
}

pub(super) fn selector(request: &Request) -> Result<Selector, Failure> {
    Selector::parse(&request.kind, request.option("labelSelector"), request.option("fieldSelector"))
}

/// The objects that a list or a watch is of.
pub(super) fn matching<'a>(
    objects: &'a Objects,
    request: &Request,
    selector: &Selector,
) -> Vec<(&'a Key, &'a Arc<Value>)> {
    objects.iter().filter(|(key, object)| is_in_scope(key, request) && selector.matches(object)).collect()
}

/// Whether an object is of the kind and the namespace that a request is about.
pub(super) fn is_in_scope(key: &Key, request: &Request) -> bool {
    let namespace = &request.namespace;
    key.resource == request.kind.resource() && (namespace.is_empty() || key.namespace == *namespace)
}

/// An object as it is answered.
pub(super) fn shown(request: &Request, object: &Value) -> Value {
    if !request.metadata_only || object.get("kind").and_then(Value::as_str) == Some("Status") {
        return object.clone();
    }
    let metadata = object.get("metadata").cloned().unwrap_or_default();
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
}

/// In a list of a built-in kind, its items do not say again what they are.
fn item(request: &Request, object: &Value) -> Value {
    let mut item = shown(request, object);
    let says_itself = request.metadata_only || request.kind.is(Trait::Custom);
    if let (false, Some(fields)) = (says_itself, item.as_object_mut()) {
        fields.remove("kind");
        fields.remove("apiVersion");
    }
    item
}

/// The version that a list shows, and whether any was asked for.
fn version(state: &State, request: &Request) -> Result<(u64, bool), Failure> {
    let current = state.store.version();
    let (wanted, how) = (request.option("resourceVersion"), request.option("resourceVersionMatch"));
    if wanted.is_empty() {
        if how.is_empty() {
            return Ok((current, false));
        }
        let why = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided";
        return Err(Failure::invalid_options("ListOptions", "FieldValueForbidden", "resourceVersionMatch", why));
    }
    let version: u64 = wanted.parse().map_err(|_| unreadable_version(wanted))?;
    if how == "Exact" {
        return Ok((version, false));
    }
    // Not older than that.
    Ok((state.cached_version().max(version.min(current)), version == 0))
}

pub(super) fn unreadable_version(text: &str) -> Failure {
    Failure::bad_request(format!(
        "invalid resource version: resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: \
         invalid syntax"
    ))
}

/// Where the next page begins: the version of the whole list, and the last object of this page.
struct Token {
    version: u64,
    namespace: String,
    name: String,
}

impl Token {
    fn after(version: u64, last: &Key) -> String {
        format!("{version}/{}/{}", last.namespace, last.name)
    }

    fn parse(text: &str) -> Result<Option<Self>, Failure> {
        if text.is_empty() {
            return Ok(None);
        }
        let mut parts = text.splitn(3, '/');
        let version = parts.next().and_then(|version| version.parse().ok());
        let (Some(version), Some(namespace), Some(name)) = (version, parts.next(), parts.next()) else {
            return Err(Failure::bad_request("invalid continue token: continue key is not valid"));
        };
        Ok(Some(Self { version, namespace: namespace.to_owned(), name: name.to_owned() }))
    }
}
