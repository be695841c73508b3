//! Every admission rule of the shipped definitions accepts one object and refuses one, with the message checked.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::cel::{ErrorKind, Validator};
use serde_json::{Value, json};

use super::crds;

/// The schemas of the kinds, by kind.
fn schemas() -> BTreeMap<String, Value> {
    crds()
        .into_iter()
        .map(|crd| {
            let version = crd.spec.versions.into_iter().next().unwrap();
            let schema = version.schema.unwrap().open_api_v3_schema.unwrap();
            (crd.spec.names.kind, serde_json::to_value(schema).unwrap())
        })
        .collect()
}

/// An object that every rule accepts.
fn base(kind: &str) -> Value {
    let spec = match kind {
        "FlinkJobUpgrade" => json!({
            "image": "registry/orders:1", "flinkVersion": "v1_20",
            "job": {"jarURI": "local:///opt/flink/usrlib/orders.jar", "parallelism": 2},
        }),
        "FlinkSavepoint" => json!({"jobRef": {"kind": "FlinkJobUpgrade", "name": "orders"}}),
        "FlinkSavepointSchedule" => json!({
            "schedule": "0 3 * * *",
            "savepointTemplate": {"spec": {"jobRef": {"kind": "FlinkJobUpgrade", "name": "orders"}}},
        }),
        "FlinkSnapshotStore" => json!({"url": "s3://bucket/prefix"}),
        other => panic!("no such kind: {other}"),
    };
    json!({"apiVersion": super::API_VERSION, "kind": kind, "metadata": {"name": "orders"}, "spec": spec})
}

/// `target` with `patch` merged into it (RFC 7386).
fn merged(mut target: Value, patch: &Value) -> Value {
    let Value::Object(fields) = patch else { return patch.clone() };
    if !target.is_object() {
        target = json!({});
    }
    let object = target.as_object_mut().unwrap();
    for (name, value) in fields {
        if value.is_null() {
            object.remove(name);
        } else {
            let old = object.remove(name).unwrap_or(Value::Null);
            object.insert(name.clone(), merged(old, value));
        }
    }
    target
}

/// One rule: what is accepted, what is refused (both as patches of [`base`]) and what the refusal says.
struct Case {
    kind: &'static str,
    accepted: Value,
    refused: Value,
    field: &'static str,
    message: &'static str,
    /// Whether the refused object replaces the accepted one, for rules that compare with it.
    update: bool,
}

fn on(kind: &'static str, field: &'static str, accepted: Value, refused: Value, message: &'static str) -> Case {
    Case { kind, accepted, refused, field, message, update: false }
}

/// Like [`on`], with patches of the spec.
#[allow(clippy::needless_pass_by_value, reason = "a table of cases reads better without a & before each patch")]
fn spec(kind: &'static str, field: &'static str, accepted: Value, refused: Value, message: &'static str) -> Case {
    on(kind, field, json!({"spec": accepted}), json!({"spec": refused}), message)
}

/// Like [`spec`], where the refused object replaces the accepted one.
fn update(kind: &'static str, field: &'static str, accepted: Value, refused: Value, message: &'static str) -> Case {
    Case { update: true, ..spec(kind, field, accepted, refused, message) }
}

#[path = "cel_cases.rs"]
mod cases;

/// The failures of `object`, as (rule, path, message).
fn failures(schema: &Value, object: &Value, old: Option<&Value>) -> Vec<(String, String, String)> {
    let Err(errors) = Validator::new().validate(schema, object, old) else { return Vec::new() };
    errors
        .iter()
        .map(|error| {
            assert_eq!(error.kind, ErrorKind::ValidationFailure, "{}: {error}", error.rule);
            (error.rule.clone(), error.field_path.clone(), error.message.clone())
        })
        .collect()
}

/// Every rule in a schema, with the path of the node that it is on.
fn rules(path: &str, schema: &Value, found: &mut BTreeSet<(String, String)>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        found.insert((path.to_owned(), rule["rule"].as_str().unwrap().to_owned()));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        rules(&below, property, found);
    }
    if schema["items"].is_object() {
        rules(&format!("{path}[0]"), &schema["items"], found);
    }
}

#[test]
fn base_objects_are_accepted() {
    for (kind, schema) in schemas() {
        assert_eq!(failures(&schema, &base(&kind), None), vec![], "{kind}");
    }
}

#[test]
fn every_rule_accepts_and_refuses_with_its_message() {
    let schemas = schemas();
    let mut left: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    for (kind, schema) in &schemas {
        rules("", schema, left.entry(kind.clone()).or_default());
    }
    for case in cases::cases() {
        let schema = &schemas[case.kind];
        let accepted = merged(base(case.kind), &case.accepted);
        let refused = merged(base(case.kind), &case.refused);
        let of = format!("{} {} {}", case.kind, case.field, case.refused);
        assert_eq!(failures(schema, &accepted, None), vec![], "{of}: the accepted object is refused");
        if case.update {
            assert_eq!(failures(schema, &accepted, Some(&accepted)), vec![], "{of}: no change is refused");
        }
        let found = failures(schema, &refused, case.update.then_some(&accepted));
        let hit = found.iter().find(|(_, path, message)| path == case.field && message == case.message);
        let Some((rule, path, _)) = hit else { panic!("{of}: expected '{}', found {found:#?}", case.message) };
        left.get_mut(case.kind).unwrap().remove(&(path.clone(), rule.clone()));
    }
    left.retain(|_, rules| !rules.is_empty());
    assert!(left.is_empty(), "rules that no case refuses by: {left:#?}");
}

#[test]
fn a_savepoint_s_deletion_policy_may_change() {
    let schema = &schemas()["FlinkSavepoint"];
    let old = base("FlinkSavepoint");
    for value in [json!("Delete"), Value::Null] {
        let old = merged(old.clone(), &json!({"spec": {"deletionPolicy": "Retain"}}));
        let new = merged(old.clone(), &json!({"spec": {"deletionPolicy": value}}));
        assert_eq!(failures(schema, &new, Some(&old)), vec![]);
    }
}

#[test]
fn a_schedule_s_template_may_change() {
    let schema = &schemas()["FlinkSavepointSchedule"];
    let old = base("FlinkSavepointSchedule");
    let new = merged(
        old.clone(),
        &json!({"spec": {"savepointTemplate": {"spec": {"jobRef": {"name": "other"}, "formatType": "NATIVE"}}}}),
    );
    assert_eq!(failures(schema, &new, Some(&old)), vec![]);
}

#[test]
fn the_grammar_of_durations_is_that_of_the_parser() {
    let schema = &schemas()["FlinkJobUpgrade"];
    for text in ["0s", "90s", "10m", "1h30m", "7d", "1d2h3m4s", "", "10", "m", "1m1h", "1.5h", "-1s", "1h 30m", "10ms"]
    {
        let object =
            merged(base("FlinkJobUpgrade"), &json!({"spec": {"upgrade": {"stability": {"minRunning": text}}}}));
        let admitted = failures(schema, &object, None).is_empty();
        assert_eq!(admitted, super::Duration::from(text).parse().is_ok(), "{text}");
    }
}
