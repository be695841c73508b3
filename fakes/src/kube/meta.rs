//! Fields of `metadata`, read and written in plain JSON.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

/// A text of `metadata`; empty if it has none.
pub(super) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get("metadata").and_then(|m| m.get(field)).and_then(Value::as_str).unwrap_or_default()
}

/// A number of `metadata`.
pub(super) fn number(object: &Value, field: &str) -> Option<i64> {
    object.get("metadata")?.get(field)?.as_i64()
}

/// Whether `metadata` has the field.
pub(super) fn has(object: &Value, field: &str) -> bool {
    object.get("metadata").and_then(|m| m.get(field)).is_some()
}

/// Sets a field of `metadata`, or takes it away.
pub(super) fn set(object: &mut Value, field: &str, value: Option<Value>) {
    let Some(metadata) = metadata(object) else { return };
    match value {
        Some(value) => metadata.insert(field.to_owned(), value),
        None => metadata.remove(field),
    };
}

/// Finalizers, in their order.
pub(super) fn finalizers(object: &Value) -> Vec<String> {
    let list = object.pointer("/metadata/finalizers").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Replaces all finalizers.
pub(super) fn set_finalizers(object: &mut Value, finalizers: &[String]) {
    set(object, "finalizers", (!finalizers.is_empty()).then(|| json!(finalizers)));
}

/// A moment as `metadata` has it.
pub(super) fn moment(at: DateTime<Utc>) -> Value {
    at.to_rfc3339_opts(SecondsFormat::Secs, true).into()
}

/// What `generation` counts the changes of: the object without `metadata`, and without a `status` that is written apart.
pub(super) fn wanted(object: &Value, status_apart: bool) -> Map<String, Value> {
    let mut fields = object.as_object().cloned().unwrap_or_default();
    fields.remove("metadata");
    if status_apart {
        fields.remove("status");
    }
    fields
}

/// As the real one stores an object: fields that are null or hold nothing are left out.
pub(super) fn tidy(object: &mut Value) {
    strip_nulls(object);
    let Some(metadata) = metadata(object) else { return };
    metadata.retain(|_, value| match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => true,
    });
}

fn strip_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(strip_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_nulls),
        _ => {}
    }
}

/// Of an object, as all are here: a request whose body is none is refused before.
fn metadata(object: &mut Value) -> Option<&mut Map<String, Value>> {
    object.as_object_mut()?.entry("metadata").or_insert_with(|| json!({})).as_object_mut()
}
