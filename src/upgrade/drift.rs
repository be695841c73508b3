//! What somebody has changed of a revision's objects: they are compared with what was stored at the revision's birth,
//! never with what this version would render. What others add, and what the API server fills in, is no difference.

use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// How a part of an object is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// What was stored must be there.
    Contains,
    /// Nothing else must be there: Flink 1.20 prefers a `flink-conf.yaml`, and one more label selects no pod.
    Equals,
    /// There must be something under each key: the content is the operator's, and not the revision's.
    HasKeys,
}

/// A part of an object, by its path.
type Part = (Vec<String>, How);

/// How an object differs from what was stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Drift {
    /// Kind, name and the fields, for people.
    pub message: String,
    /// The merge patch that puts it back, for this version of the object.
    pub patch: Value,
}

/// How an object differs from what was stored of it; `None`: it does not.
#[must_use]
pub fn of<K: Resource<DynamicType = ()> + Serialize>(stored: &K, found: &K) -> Option<Drift> {
    let (wanted, is) = (serde_json::to_value(stored).ok()?, serde_json::to_value(found).ok()?);
    let (mut fields, mut patch) = (Vec::new(), json!({}));
    for (path, how) in parts(&K::kind(&()), &wanted) {
        let (wanted, is) = (at(&wanted, &path), at(&is, &path));
        let Some(difference) = wanted.and_then(|wanted| difference(wanted, is, how, &path.join("."))) else { continue };
        fields.push(difference);
        set(&mut patch, &path, put_back(wanted, is, how));
    }
    if fields.is_empty() {
        return None;
    }
    let meta = found.meta();
    set(&mut patch, &["metadata".to_owned(), "resourceVersion".to_owned()], json!(meta.resource_version));
    set(&mut patch, &["metadata".to_owned(), "uid".to_owned()], json!(meta.uid));
    Some(Drift { message: format!("{} {}: {}", K::kind(&()), found.name_any(), fields.join(", ")), patch })
}

/// Whether an object that has lost its labels is what was stored: nobody else has pods of this owner, and nobody else's
/// configuration is the same.
#[must_use]
pub fn is_ours<K: Resource<DynamicType = ()> + Serialize>(stored: &K, found: &K, owner_uid: &str) -> bool {
    let (Ok(wanted), Ok(is)) = (serde_json::to_value(stored), serde_json::to_value(found)) else { return false };
    match &*K::kind(&()) {
        "Service" | "StatefulSet" | "Deployment" => {
            let selector = is.pointer("/spec/selector");
            let labels = selector.and_then(|selector| selector.get("matchLabels").unwrap_or(selector).as_object());
            labels.is_some_and(|labels| labels.values().any(|value| value.as_str() == Some(owner_uid)))
        }
        "ConfigMap" => {
            let keys =
                |object: &Value| Some(object.get("binaryData")?.as_object()?.keys().cloned().collect::<Vec<_>>());
            wanted.get("data") == is.get("data") && keys(&wanted) == keys(&is)
        }
        _ => false,
    }
}

/// The parts of an object that are put back by themselves.
fn parts(kind: &str, stored: &Value) -> Vec<Part> {
    let path = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut parts = Vec::new();
    for group in ["labels", "annotations"] {
        let keys = at(stored, &path(&["metadata", group])).and_then(Value::as_object);
        parts.extend(keys.into_iter().flatten().map(|(key, _)| (path(&["metadata", group, key]), How::Equals)));
    }
    for (field, value) in stored.as_object().into_iter().flatten() {
        match field.as_str() {
            "apiVersion" | "kind" | "metadata" | "status" => {}
            "spec" => {
                let how =
                    |name: &str| if (kind, name) == ("Service", "selector") { How::Equals } else { How::Contains };
                parts.extend(
                    value.as_object().into_iter().flatten().map(|(name, _)| (path(&["spec", name]), how(name))),
                );
            }
            "binaryData" => parts.push((path(&[field]), How::HasKeys)),
            _ => parts.push((path(&[field]), How::Equals)),
        }
    }
    parts
}

fn at<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |object, name| object.get(name))
}

fn set(object: &mut Value, path: &[String], value: Value) {
    let mut place = object;
    for name in path {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        let Value::Object(fields) = place else { return };
        place = fields.entry(name.clone()).or_insert(Value::Null);
    }
    *place = value;
}

/// What a merge patch puts in the place of a part; what is not to be there is null in it.
fn put_back(stored: Option<&Value>, found: Option<&Value>, how: How) -> Value {
    let mut wanted = stored.cloned().unwrap_or_default();
    if let (How::Equals, Value::Object(wanted), Some(Value::Object(found))) = (how, &mut wanted, found) {
        for key in found.keys().filter(|key| !wanted.contains_key(*key)).cloned().collect::<Vec<_>>() {
            wanted.insert(key, Value::Null);
        }
    }
    if let (How::HasKeys, Value::Object(wanted), Some(Value::Object(found))) = (how, &mut wanted, found) {
        wanted.retain(|key, _| !found.contains_key(key));
    }
    wanted
}

/// Where a part differs first, and how if that is a number.
fn difference(stored: &Value, found: Option<&Value>, how: How, path: &str) -> Option<String> {
    match (how, stored, found) {
        (How::HasKeys, Value::Object(stored), _) => {
            let missing = |key: &&String| found.and_then(|found| found.get(key.as_str())).is_none();
            stored.keys().find(missing).map(|key| format!("{path}.{key}"))
        }
        (How::Equals, Value::Object(stored), Some(Value::Object(found))) => {
            let more = || found.keys().find(|key| !stored.contains_key(*key));
            let differs = || stored.iter().find(|(key, value)| found.get(*key) != Some(value)).map(|(key, _)| key);
            differs().or_else(more).map(|key| format!("{path}.{key}"))
        }
        _ => contained(stored, found, path),
    }
}

/// Where something that was stored is not there any more.
fn contained(stored: &Value, found: Option<&Value>, path: &str) -> Option<String> {
    match (stored, found.filter(|found| !found.is_null())) {
        (stored, None) => (!is_nothing(stored, path)).then(|| path.to_owned()),
        (Value::Object(stored), Some(Value::Object(found))) => {
            stored.iter().find_map(|(key, value)| contained(value, found.get(key), &format!("{path}.{key}")))
        }
        (Value::Array(stored), Some(Value::Array(found))) => items(stored, found, path),
        (Value::String(stored), Some(Value::String(found))) => {
            (stored != found && !(is_amount(path) && same_amount(stored, found))).then(|| path.to_owned())
        }
        (Value::Number(stored), Some(Value::Number(found))) => {
            (stored != found).then(|| format!("{path} is {found} instead of {stored}"))
        }
        (stored, Some(found)) => (stored != found).then(|| path.to_owned()),
    }
}

/// Lists whose items have keys are compared item by item, of others each item must be there; texts are compared as a
/// whole, as their order matters.
fn items(stored: &[Value], found: &[Value], path: &str) -> Option<String> {
    let text = |item: &Value, key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
    // A volume may be mounted twice, so the path comes first.
    let key = ["mountPath", "name"].into_iter().find(|key| stored.iter().all(|item| text(item, key).is_some()));
    match key {
        Some(key) => stored.iter().find_map(|item| {
            let name = text(item, key)?;
            let same = found.iter().find(|other| text(other, key).as_ref() == Some(&name));
            contained(item, same, &format!("{path}[{name}]"))
        }),
        None if stored.iter().all(Value::is_object) => {
            let is_there = |item: &Value| found.iter().any(|other| contained(item, Some(other), path).is_none());
            stored.iter().any(|item| !is_there(item)).then(|| path.to_owned())
        }
        None => (stored != found).then(|| path.to_owned()),
    }
}

/// What the API server leaves out when it is written.
fn is_nothing(value: &Value, path: &str) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty() && !path.ends_with(".emptyDir"),
        Value::Bool(true) => false,
    }
}

/// Whether Kubernetes keeps an amount there, which it writes in a form of its own.
fn is_amount(path: &str) -> bool {
    [".limits.", ".requests."].iter().any(|part| path.contains(part)) || path.ends_with(".sizeLimit")
}

fn same_amount(one: &str, other: &str) -> bool {
    let near = |(a, b): (f64, f64)| (a - b).abs() <= 1e-9 * a.abs().max(b.abs());
    amount(one).zip(amount(other)).is_some_and(near)
}

/// A quantity of Kubernetes: a decimal number, and a suffix or an exponent.
fn amount(text: &str) -> Option<f64> {
    const SUFFIXES: [(&str, f64); 15] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    let with_suffix =
        || SUFFIXES.iter().find_map(|(suffix, factor)| Some(text.strip_suffix(suffix)?.parse::<f64>().ok()? * factor));
    text.parse().ok().or_else(with_suffix)
}

#[cfg(test)]
#[path = "drift_tests.rs"]
mod tests;
