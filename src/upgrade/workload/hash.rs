//! Hashes of a spec: they tell a change that is an upgrade from one that is not.

use serde_json::Value;

use crate::api::{FlinkJobUpgradeSpec, JobState};
use crate::naming::sha256_hex;

/// Fields of the spec that say how a job moves, not what runs.
const NOT_OF_THE_REVISION: [&str; 4] = ["revisionName", "upgrade", "deletion", "revisionHistoryLimit"];
/// The same within `job`.
const NOT_OF_THE_REVISION_JOB: [&str; 5] =
    ["state", "restoreMode", "allowNonRestoredState", "allowedDroppedOperators", "restoreFrom"];

/// SHA-256 over the revision part of a spec: all that changes what runs. Fields that are left out do not count, so
/// that a field added to the API later changes no hash.
#[must_use]
pub fn revision_hash(spec: &FlinkJobUpgradeSpec) -> String {
    hash("revision", &revision_part(spec))
}

/// SHA-256 over all that can change how an attempt at this revision ends: the revision part, the restore mode, what
/// state may be dropped, what a preflight does, which `job.restoreFrom` it acts on, and whether the job shall run at all. A
/// failed attempt is repeated only under another one.
#[must_use]
pub fn attempt_hash(spec: &FlinkJobUpgradeSpec) -> String {
    let mut restore = serde_json::json!({
        "restoreMode": spec.job.restore_mode().as_str(),
        "allowNonRestoredState": spec.job.allow_non_restored_state(),
        "allowedDroppedOperators": spec.job.allowed_dropped_operators.as_deref().unwrap_or_default(),
        "preflight": spec.preflight_policy().as_str(),
    });
    if let Some(fields) = restore.as_object_mut() {
        if let Some(from) = &spec.job.restore_from {
            fields.insert("restoreFrom".to_owned(), Value::from(from.id.as_str()));
        }
        if spec.job.state() == JobState::Suspended {
            fields.insert("state".to_owned(), Value::from(JobState::Suspended.as_str()));
        }
    }
    hash("attempt", &Value::Array(vec![revision_part(spec), restore]))
}

fn revision_part(spec: &FlinkJobUpgradeSpec) -> Value {
    // A spec is plain data with text keys: it can always be written as JSON.
    let mut part = serde_json::to_value(spec).unwrap_or_default();
    if let Some(fields) = part.as_object_mut() {
        for field in NOT_OF_THE_REVISION {
            fields.remove(field);
        }
        if let Some(job) = fields.get_mut("job").and_then(Value::as_object_mut) {
            for field in NOT_OF_THE_REVISION_JOB {
                job.remove(field);
            }
        }
    }
    part
}

fn hash(kind: &str, value: &Value) -> String {
    let mut text = format!("savepoints.dev/v1 {kind}\n");
    write_sorted(value, &mut text);
    sha256_hex(text.as_bytes())
}

/// JSON with its keys in order, whatever order the library's maps keep.
fn write_sorted(value: &Value, into: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(key, _)| *key);
            into.push('{');
            for (key, value) in sorted {
                into.push_str(&Value::from(key.as_str()).to_string());
                into.push(':');
                write_sorted(value, into);
                into.push(',');
            }
            into.push('}');
        }
        Value::Array(items) => {
            into.push('[');
            for item in items {
                write_sorted(item, into);
                into.push(',');
            }
            into.push(']');
        }
        plain => into.push_str(&plain.to_string()),
    }
}

#[cfg(test)]
#[path = "hash_tests.rs"]
mod tests;
