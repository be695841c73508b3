//! Label and field selectors.

use serde_json::Value;

use super::kind::{Kind, Trait};
use super::status::Failure;

/// Which objects a list or a watch is of.
#[derive(Debug, Clone, Default)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    /// JSON pointers.
    fields: Vec<(String, bool, String)>,
}

#[derive(Debug, Clone)]
enum Requirement {
    Exists(String),
    Missing(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

impl Selector {
    pub(super) fn parse(kind: &Kind, labels: &str, fields: &str) -> Result<Self, Failure> {
        let labels = terms(labels).into_iter().map(requirement).collect::<Result<_, _>>()?;
        let fields = fields.split(',').filter(|term| !term.is_empty());
        Ok(Self { labels, fields: fields.map(|term| field(kind, term)).collect::<Result<_, _>>()? })
    }

    pub(super) fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels");
        let label = |key: &String| labels.and_then(|l| l.get(key)).and_then(Value::as_str);
        let known = |values: &[String], value: &str| values.iter().any(|v| v == value);
        self.labels.iter().all(|requirement| match requirement {
            Requirement::Exists(key) => label(key).is_some(),
            Requirement::Missing(key) => label(key).is_none(),
            Requirement::In(key, values) => label(key).is_some_and(|value| known(values, value)),
            // Whoever lacks the label has none of its values.
            Requirement::NotIn(key, values) => !label(key).is_some_and(|value| known(values, value)),
        }) && self.fields.iter().all(|(field, equal, value)| {
            let found = object.pointer(field).and_then(Value::as_str).unwrap_or_default();
            (found == value) == *equal
        })
    }
}

/// Splits at commas outside of parentheses.
fn terms(selector: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let split = selector.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    split.map(str::trim).filter(|term| !term.is_empty()).collect()
}

fn requirement(term: &str) -> Result<Requirement, Failure> {
    let one = |key: &str, value: &str| (key.trim().to_owned(), vec![value.trim().to_owned()]);
    if let Some((key, value)) = term.split_once("!=") {
        let (key, values) = one(key, value);
        return checked(Requirement::NotIn(key, values));
    }
    if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        let (key, values) = one(key, value);
        return checked(Requirement::In(key, values));
    }
    if let Some((left, set)) = term.strip_suffix(')').and_then(|t| t.split_once('(')) {
        let values = set.split(',').map(|value| value.trim().to_owned()).collect();
        let mut words = left.split_whitespace();
        return match (words.next(), words.next(), words.next()) {
            (Some(key), Some("in"), None) => checked(Requirement::In(key.to_owned(), values)),
            (Some(key), Some("notin"), None) => checked(Requirement::NotIn(key.to_owned(), values)),
            _ => Err(unreadable(term)),
        };
    }
    checked(match term.strip_prefix('!') {
        Some(key) => Requirement::Missing(key.trim().to_owned()),
        None => Requirement::Exists(term.to_owned()),
    })
}

fn checked(requirement: Requirement) -> Result<Requirement, Failure> {
    let (key, values) = match &requirement {
        Requirement::Exists(key) | Requirement::Missing(key) => (key, [].as_slice()),
        Requirement::In(key, values) | Requirement::NotIn(key, values) => (key, values.as_slice()),
    };
    let fit = |text: &str, more: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c));
    if key.is_empty() || !fit(key, "-_./") || !values.iter().all(|value| fit(value, "-_.")) {
        return Err(unreadable(key));
    }
    Ok(requirement)
}

fn unreadable(term: &str) -> Failure {
    Failure::bad_request(format!("unable to parse requirement: {term}"))
}

/// Of fields, only the name and the namespace can be asked for; some built-in kinds have more.
fn field(kind: &Kind, term: &str) -> Result<(String, bool, String), Failure> {
    let parts = term.split_once("!=").map(|(field, value)| (field, false, value));
    let parts = parts.or_else(|| term.split_once("==").or_else(|| term.split_once('=')).map(|(f, v)| (f, true, v)));
    let Some((field, equal, value)) = parts else {
        return Err(Failure::bad_request(format!("invalid selector: '{term}'; can't understand '{term}'")));
    };
    match field.strip_prefix("metadata.") {
        Some(known @ ("name" | "namespace")) => Ok((format!("/metadata/{known}"), equal, value.to_owned())),
        None if kind.group == "events.k8s.io" && ["reason", "regarding.uid"].contains(&field) => {
            Ok((format!("/{}", field.replace('.', "/")), equal, value.to_owned()))
        }
        _ if kind.is(Trait::Custom) => Err(Failure::bad_request(format!("field label not supported: {field}"))),
        _ => Err(Failure::bad_request(format!(
            "\"{field}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        ))),
    }
}
