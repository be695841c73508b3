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

fn not_yet_fields() -> Vec<&'static str> {
    NOT_YET.iter().copied().filter(|entry| !entry.contains('=')).collect()
}

#[test]
fn every_leaf_of_the_schemas_is_in_exactly_one_list() {
    let used: Vec<_> = USED.iter().map(|used| used.path).collect();
    let listed: Vec<_> = used.iter().copied().chain(not_yet_fields()).collect();
    let unique: BTreeSet<_> = listed.iter().copied().collect();
    assert_eq!(unique.len(), listed.len(), "a field is listed twice");
    let leaves = leaves();
    let leaves: BTreeSet<_> = leaves.keys().map(String::as_str).collect();
    assert_eq!(leaves.difference(&unique).collect::<Vec<_>>(), Vec::<&&str>::new(), "fields in no list");
    assert_eq!(unique.difference(&leaves).collect::<Vec<_>>(), Vec::<&&str>::new(), "entries that are no field");
}

#[test]
fn every_value_of_a_used_field_is_either_acted_upon_or_not_yet() {
    let leaves = leaves();
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (path, value) in NOT_YET.iter().filter_map(|entry| entry.split_once('=')) {
        assert!(values.entry(path).or_default().insert(value), "{path}={value} is listed twice");
    }
    for used in USED {
        let of_schema: BTreeSet<_> = leaves[used.path].iter().map(String::as_str).collect();
        let mut not_yet = values.remove(used.path).unwrap_or_default();
        match used.values {
            // A value that this version cannot read is `Unknown` and must be refused, so an enum lists its values.
            Values::Any => assert!(of_schema.is_empty() && not_yet.is_empty(), "{}", used.path),
            Values::Only(built) if !of_schema.is_empty() => {
                assert!(built.iter().all(|value| !not_yet.contains(value)), "{}", used.path);
                not_yet.extend(built);
                assert_eq!(not_yet, of_schema, "{}", used.path);
            }
            Values::Only(_) => assert!(not_yet.is_empty(), "{}", used.path),
            Values::StartingWith(built) => assert!(built.iter().all(|p| !not_yet.contains(p)), "{}", used.path),
        }
    }
    assert!(values.is_empty(), "values of fields that are not used: {values:?}");
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
fn each_field_and_value_that_is_not_yet_is_found_and_named() {
    for entry in NOT_YET {
        let (path, value) = entry.split_once('=').unwrap_or((entry, "x"));
        let (kind, spec) = setting(path, &json!(value));
        let shown = path.split_once('.').unwrap().1.replace("[]", "[0]");
        let expected = if entry.contains('=') { format!("{shown}={value}") } else { shown };
        assert_eq!(not_yet(kind, &spec), [expected]);
    }
}

#[test]
fn what_is_used_is_not_reported() {
    for used in USED {
        let values: Vec<Value> = match used.values {
            Values::Any => vec![json!("x"), json!({"any": {"depth": [1]}}), json!(["Unknown"])],
            Values::Only(values) => values.iter().map(|value| json!(value)).collect(),
            Values::StartingWith(built) => built.iter().map(|prefix| json!(format!("{prefix}/a"))).collect(),
        };
        for value in values {
            let (kind, spec) = setting(used.path, &value);
            assert_eq!(not_yet(kind, &spec), Vec::<String>::new(), "{}", used.path);
        }
    }
}

#[test]
fn numbers_unknown_values_and_unknown_fields_are_reported() {
    let policy = |policy: &str| json!({"deletionPolicy": policy});
    assert_eq!(not_yet("FlinkSavepoint", &policy("Retain")), Vec::<String>::new());
    assert_eq!(not_yet("FlinkSavepoint", &policy("Delete")), ["spec.deletionPolicy=Delete"]);
    assert_eq!(not_yet("FlinkJobUpgrade", &json!({"imagePullPolicy": "Unknown"})), ["spec.imagePullPolicy=Unknown"]);
    assert_eq!(not_yet("FlinkJobUpgrade", &json!({"invented": {"here": 1}})), ["spec.invented.here"]);
    assert_eq!(not_yet("FlinkJobUpgrade", &json!({"flinkCluster": null, "upgrade": {}})), Vec::<String>::new());
}

#[test]
fn a_typed_spec_is_looked_into_as_it_is_written() {
    use crate::api::{DeletionPolicy, FlinkJobUpgradeSpec, JobSpec, UpgradeSavepoint, UpgradeSpec};
    let savepoint = UpgradeSavepoint { deletion_policy: Some(DeletionPolicy::Delete), ..UpgradeSavepoint::default() };
    let spec = FlinkJobUpgradeSpec {
        job: JobSpec { jar_uri: "local:///a.jar".to_owned(), parallelism: 1, ..JobSpec::default() },
        upgrade: Some(UpgradeSpec { savepoint: Some(savepoint), ..UpgradeSpec::default() }),
        ..FlinkJobUpgradeSpec::default()
    };
    let spec = serde_json::to_value(&spec).unwrap();
    assert_eq!(not_yet("FlinkJobUpgrade", &spec), ["spec.upgrade.savepoint.deletionPolicy"]);
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
