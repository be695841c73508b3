//! Objects as users and the operator write them are read whole and written as they were.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{FlinkJobUpgrade, FlinkSavepoint, FlinkSavepointSchedule, FlinkSnapshotStore, SavepointPhase, crds};

/// A value with every field that the schema has.
fn full(schema: &JSONSchemaProps) -> Value {
    if let Some(values) = &schema.enum_ {
        return values[0].0.clone();
    }
    match (schema.type_.as_deref(), schema.format.as_deref()) {
        (Some("string"), Some("date-time")) => json!("2026-11-21T10:11:12Z"),
        (Some("string"), _) => json!("text"),
        (Some("integer"), _) => json!(3),
        (Some("number"), _) => json!(0.5),
        (Some("boolean"), _) => json!(true),
        (Some("array"), _) => match &schema.items {
            Some(JSONSchemaPropsOrArray::Schema(items)) => json!([full(items)]),
            _ => panic!("a list without items"),
        },
        (Some("object"), _) => {
            let fields = schema.properties.iter().flatten().map(|(name, property)| (name.clone(), full(property)));
            let mut object: serde_json::Map<_, _> = fields.collect();
            if let Some(JSONSchemaPropsOrBool::Schema(values)) = &schema.additional_properties {
                object.insert("key".to_owned(), full(values));
            }
            if schema.x_kubernetes_preserve_unknown_fields == Some(true) {
                object.insert("any".to_owned(), json!({"depth": [1, "a", true]}));
            }
            Value::Object(object)
        }
        (other, _) => panic!("an unexpected type: {other:?}"),
    }
}

fn survives<K: DeserializeOwned + Serialize>(kind: &str) {
    let crd = crds().into_iter().find(|crd| crd.spec.names.kind == kind).unwrap();
    let schema = crd.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
    let mut object = full(schema);
    object["apiVersion"] = json!(super::API_VERSION);
    object["kind"] = json!(kind);
    object["metadata"] = json!({"name": "orders"});
    let read: K = serde_json::from_value(object.clone()).unwrap();
    // A time that durations are computed from is written to the microsecond.
    let written = serde_json::to_string(&read).unwrap().replace(".000000Z\"", "Z\"");
    assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), object);
}

#[test]
fn every_field_of_the_schemas_is_read_and_written() {
    survives::<FlinkJobUpgrade>("FlinkJobUpgrade");
    survives::<FlinkSavepoint>("FlinkSavepoint");
    survives::<FlinkSavepointSchedule>("FlinkSavepointSchedule");
    survives::<FlinkSnapshotStore>("FlinkSnapshotStore");
}

#[test]
fn an_empty_status_is_read_and_written_as_empty() {
    let object = json!({
        "apiVersion": super::API_VERSION, "kind": "FlinkSavepoint", "metadata": {"name": "a"},
        "spec": {"path": "s3://bucket/a"}, "status": {},
    });
    let read: FlinkSavepoint = serde_json::from_value(object.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), object);
}

#[test]
fn a_phase_of_a_newer_version_is_unknown() {
    let object = json!({
        "apiVersion": super::API_VERSION, "kind": "FlinkSavepoint", "metadata": {"name": "a"},
        "spec": {"path": "s3://bucket/a"}, "status": {"phase": "Teleporting"},
    });
    let read: FlinkSavepoint = serde_json::from_value(object).unwrap();
    assert_eq!(read.status.unwrap().phase, Some(SavepointPhase::Unknown));
}
