//! Answers, without what differs from run to run.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// What was asked and answered so far.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    lines: Vec<String>,
    versions: Names,
    uids: Names,
}

/// Names for what has another value in every run: `v1` for the first version that was seen, and so on.
#[derive(Debug, Default)]
struct Names(Vec<String>);

impl Names {
    fn of(&mut self, value: &str) -> usize {
        let known = self.0.iter().position(|seen| seen == value);
        known.unwrap_or_else(|| {
            self.0.push(value.to_owned());
            self.0.len() - 1
        }) + 1
    }
}

impl Transcript {
    /// Writes an answer down.
    pub(super) fn add(&mut self, what: &str, answer: &Value, scrub: &[(&str, &str)]) {
        let mut answer = sorted(answer);
        self.blank(&mut answer);
        let mut line = format!("{what} {answer}");
        for (number, uid) in self.uids.0.iter().enumerate() {
            line = line.replace(uid, &format!("u{}", number + 1));
        }
        for (number, version) in self.versions.0.iter().enumerate() {
            line = line.replace(&format!("({version})"), &format!("(v{})", number + 1));
        }
        for (from, to) in scrub {
            line = line.replace(from, to);
        }
        self.lines.push(line);
    }

    pub(super) fn text(&self) -> String {
        self.lines.join("\n")
    }

    fn blank(&mut self, value: &mut Value) {
        // Others write too: the version of a list or a bookmark is not that of an object here.
        let is_list =
            value.get("items").is_some() || value.pointer("/metadata/annotations/k8s.io~1initial-events-end").is_some();
        let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(fields) = value.as_object_mut() else { return };
        // Defaults of built-in kinds are not what this is about, and others write to Pods.
        let pod = kind == "Pod";
        if pod {
            fields.retain(|field, _| field != "spec" && field != "status");
        }
        if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
            self.blank_metadata(metadata, is_list || pod);
        }
        if let Some(Value::Array(items)) = fields.get_mut("items") {
            for item in items {
                self.blank(item);
            }
        }
        if let Some(Value::Object(details)) = fields.get_mut("details") {
            self.name_uid(details);
        }
        if let Some(Value::String(message)) = fields.get_mut("message") {
            // How old the oldest version is says nothing.
            if let Some((start, _)) = message.split_once(" (").filter(|(start, _)| start.starts_with("too old")) {
                *message = start.to_owned();
            }
        }
    }

    fn blank_metadata(&mut self, metadata: &mut Map<String, Value>, no_version: bool) {
        metadata.remove("managedFields");
        let generated = metadata.get("generateName").and_then(Value::as_str).map(|prefix| format!("{prefix}*"));
        for (field, value) in metadata.iter_mut() {
            match (field.as_str(), value.as_str()) {
                ("creationTimestamp" | "deletionTimestamp", _) => *value = "T".into(),
                ("name", _) if generated.is_some() => *value = generated.clone().into(),
                ("resourceVersion", _) if no_version => *value = "*".into(),
                ("resourceVersion", Some(version)) => *value = format!("v{}", self.versions.of(version)).into(),
                ("continue", Some(token)) if !token.is_empty() => *value = "*".into(),
                _ => {}
            }
        }
        // Of custom resources only, and it says the same as none.
        metadata.retain(|field, value| field != "continue" || value != "");
        self.name_uid(metadata);
    }

    fn name_uid(&mut self, fields: &mut Map<String, Value>) {
        if let Some(Value::String(uid)) = fields.get_mut("uid") {
            *uid = format!("u{}", self.uids.of(uid));
        }
    }
}

/// The same with its fields in order, whatever order `serde_json` keeps.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> = fields.iter().map(|(field, value)| (field.clone(), sorted(value))).collect();
            Value::Object(fields.into_iter().collect())
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}
