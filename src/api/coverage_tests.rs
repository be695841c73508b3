use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{JSONSchemaProps, JSONSchemaPropsOrArray};
use serde_json::json;

use super::*;
use crate::api::crds;

/// The leaves of the schemas of all specs, with the values that the schema lists for them.
fn leaves() -> BTreeMap<String, Vec<String>> {
    fn walk(path: &str, schema: &JSONSchemaProps, found: &mut BTreeMap<String, Vec<String>>) {
        let properties = schema.properties.as_ref().filter(|properties| !properties.is_empty());
        match (&schema.items, properties) {
            (_, Some(properties)) => {
                for (name, property) in properties {
                    walk(&format!("{path}.{name}"), property, found);
                }
            }
            (Some(JSONSchemaPropsOrArray::Schema(items)), None) if items.type_.as_deref() == Some("object") => {
                walk(&format!("{path}[]"), items, found);
            }
            _ => {
                let values = schema.enum_.iter().flatten().map(|value| value.0.as_str().unwrap().to_owned()).collect();
                assert!(found.insert(path.to_owned(), values).is_none(), "{path}");
            }
        }
    }
    let mut found = BTreeMap::new();
    for crd in crds() {
        let schema = crd.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
        let spec = &schema.properties.as_ref().unwrap()["spec"];
        walk(&format!("{}.spec", short(&crd.spec.names.kind)), spec, &mut found);
    }
    found
}

#[test]
fn every_leaf_of_the_schemas_is_used() {
    let used: Vec<_> = USED.iter().map(|used| used.path).collect();
    let unique: BTreeSet<_> = used.iter().copied().collect();
    assert_eq!(unique.len(), used.len(), "a field is listed twice");
    let leaves = leaves();
    let leaves: BTreeSet<_> = leaves.keys().map(String::as_str).collect();
    assert_eq!(leaves.difference(&unique).collect::<Vec<_>>(), Vec::<&&str>::new(), "fields that are not listed");
    assert_eq!(unique.difference(&leaves).collect::<Vec<_>>(), Vec::<&&str>::new(), "entries that are no field");
}

#[test]
fn every_value_of_the_schemas_is_acted_upon() {
    let leaves = leaves();
    for used in USED {
        let of_schema: BTreeSet<_> = leaves[used.path].iter().map(String::as_str).collect();
        match used.values {
            // A value that this version can't read is `Unknown` and must be refused, so an enum lists its values.
            Values::Any => assert!(of_schema.is_empty(), "{}", used.path),
            Values::Only(built) => {
                assert_eq!(built.iter().copied().collect::<BTreeSet<_>>(), of_schema, "{}", used.path);
            }
        }
    }
}

/// A value for a leaf, at its place in a spec.
fn setting(path: &str, value: &Value) -> (&'static str, Value) {
    let (short_name, rest) = path.split_once(".spec.").unwrap();
    let kinds = ["FlinkJobUpgrade", "FlinkSavepoint", "FlinkSavepointSchedule", "FlinkSnapshotStore"];
    let kind = kinds.into_iter().find(|kind| short(kind) == short_name).unwrap();
    let mut spec = value.clone();
    for name in rest.split('.').rev() {
        spec = match name.strip_suffix("[]") {
            Some(list) => json!({list: [spec]}),
            None => json!({name: spec}),
        };
    }
    (kind, spec)
}

#[test]
fn what_is_used_is_not_reported() {
    for used in USED {
        let values: Vec<Value> = match used.values {
            Values::Any => vec![json!("x"), json!({"any": {"depth": [1]}}), json!(["Unknown"])],
            Values::Only(values) => values.iter().map(|value| json!(value)).collect(),
        };
        for value in values {
            let (kind, spec) = setting(used.path, &value);
            assert_eq!(unknown(kind, &spec), Vec::<String>::new(), "{}", used.path);
        }
    }
}

#[test]
fn each_unknown_value_is_reported() {
    for used in USED.iter().filter(|used| used.values != Values::Any) {
        for value in [json!("Unknown"), json!(1), json!({"a": "b"})] {
            let (kind, spec) = setting(used.path, &value);
            let shown = used.path.split_once('.').unwrap().1.replace("[]", "[0]");
            assert_eq!(unknown(kind, &spec), [shown]);
        }
    }
}

#[test]
fn unknown_fields_are_reported_and_absent_ones_are_not() {
    assert_eq!(unknown("FlinkJobUpgrade", &json!({"invented": {"here": 1}})), ["spec.invented.here"]);
    assert_eq!(unknown("FlinkJobUpgrade", &json!({"upgrade": {"windows": [{"x": 1}]}})), ["spec.upgrade.windows[0].x"]);
    assert_eq!(unknown("FlinkJobUpgrade", &json!({"flinkCluster": null, "upgrade": {}})), Vec::<String>::new());
}

#[test]
fn a_typed_spec_is_looked_into_as_it_is_written() {
    use crate::api::{DeletionPolicy, FlinkJobUpgradeSpec, JobSpec, UpgradeSavepoint, UpgradeSpec};
    let of = |policy| {
        let savepoint = UpgradeSavepoint { deletion_policy: Some(policy), ..UpgradeSavepoint::default() };
        let spec = FlinkJobUpgradeSpec {
            job: JobSpec { jar_uri: "local:///a.jar".to_owned(), parallelism: 1, ..JobSpec::default() },
            upgrade: Some(UpgradeSpec { savepoint: Some(savepoint), ..UpgradeSpec::default() }),
            ..FlinkJobUpgradeSpec::default()
        };
        unknown("FlinkJobUpgrade", &serde_json::to_value(&spec).unwrap())
    };
    assert_eq!(of(DeletionPolicy::Delete), Vec::<String>::new());
    assert_eq!(of(DeletionPolicy::Unknown), ["spec.upgrade.savepoint.deletionPolicy"]);
}

/// Whether a source below `folder` has a function of that name, or a row of that name in the table of scenarios.
fn has_function(folder: &std::path::Path, name: &str) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.map(|entry| entry.unwrap().path()).any(|path| {
        if path.is_dir() {
            return has_function(&path, name);
        }
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        let text = if is_source { std::fs::read_to_string(&path).unwrap() } else { String::new() };
        text.contains(&format!("fn {name}(")) || text.contains(&format!(" {name} on "))
    })
}

#[test]
fn the_test_that_shows_each_used_field_exists() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let missing: BTreeSet<_> = USED
        .iter()
        .map(|used| used.shown_by)
        .filter(|name| !["src", "tests", "e2e"].iter().any(|folder| has_function(&root.join(folder), name)))
        .collect();
    assert_eq!(missing, BTreeSet::new());
}
