//! Compares JSON with what was recorded: which fields it has and of what type they are, not their values.

use anyhow::{Result, ensure};
use serde_json::Value;

/// The answer has the recorded one's shape. What is `null` or empty on one side may be anything on the other.
pub(super) fn same(recorded: &Value, answered: &Value) -> Result<()> {
    let differences = differences("", recorded, answered);
    ensure!(differences.is_empty(), "not as recorded: {}; the answer: {answered}", differences.join("; "));
    Ok(())
}

fn differences(path: &str, recorded: &Value, answered: &Value) -> Vec<String> {
    match (recorded, answered) {
        // A JobManager writes "NaN" where there is no number.
        (Value::Null, _)
        | (_, Value::Null)
        | (Value::Bool(_), Value::Bool(_))
        | (Value::String(_), Value::String(_) | Value::Number(_))
        | (Value::Number(_), Value::Number(_)) => Vec::new(),
        (Value::Number(_), Value::String(text)) if text == "NaN" => Vec::new(),
        (Value::Object(recorded), Value::Object(answered)) => {
            let lacks = recorded.keys().filter(|key| !answered.contains_key(*key));
            let has = answered.keys().filter(|key| !recorded.contains_key(*key));
            let both = recorded.iter().filter_map(|(key, value)| Some((key, value, answered.get(key)?)));
            lacks
                .map(|key| format!("{path}/{key} is missing"))
                .chain(has.map(|key| format!("{path}/{key} was not recorded")))
                .chain(both.flat_map(|(key, a, b)| differences(&format!("{path}/{key}"), a, b)))
                .collect()
        }
        (Value::Array(recorded), Value::Array(answered)) => match recorded.first() {
            Some(first) => answered.iter().flat_map(|one| differences(&format!("{path}/0"), first, one)).collect(),
            None => Vec::new(),
        },
        _ => vec![format!("{path} is of another type")],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tells_a_field_that_is_missing_from_one_that_was_not_recorded() {
        let said = |a, b| differences("", &a, &b);
        assert_eq!(said(json!({"a": 1}), json!({"b": 1})), ["/a is missing", "/b was not recorded"]);
        assert_eq!(said(json!([{"a": 1}]), json!([{"a": 1}, {"a": "x"}])), ["/0/a is of another type"]);
        assert_eq!(said(json!({"a": {"b": true}}), json!({"a": {"b": 1}})), ["/a/b is of another type"]);
    }

    #[test]
    fn lets_values_be_what_they_are() {
        let recorded = json!({"a": 1, "b": null, "c": [], "d": "x", "e": 1.5});
        assert!(same(&recorded, &json!({"a": 2, "b": {"x": 1}, "c": [1], "d": null, "e": "NaN"})).is_ok());
    }
}
