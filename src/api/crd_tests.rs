use super::super::{API_VERSION, GROUP, VERSION};
use super::*;

/// Calls `visit` with the path and the schema of every node.
fn walk(path: &str, schema: &JSONSchemaProps, visit: &mut impl FnMut(&str, &JSONSchemaProps)) {
    visit(path, schema);
    for (name, property) in schema.properties.iter().flatten() {
        walk(&format!("{path}.{name}"), property, visit);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        walk(&format!("{path}[]"), items, visit);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &schema.additional_properties {
        walk(&format!("{path}{{}}"), values, visit);
    }
}

fn walk_all(mut visit: impl FnMut(&str, &JSONSchemaProps)) {
    for crd in crds() {
        let schema = crd.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
        walk(&crd.spec.names.kind, schema, &mut visit);
    }
}

#[test]
fn every_kind_is_of_the_one_group_and_version() {
    assert_eq!(API_VERSION, format!("{GROUP}/{VERSION}"));
    for crd in crds() {
        assert_eq!(crd.spec.group, GROUP);
        assert_eq!(crd.spec.versions.len(), 1);
        assert_eq!(crd.spec.versions[0].name, VERSION);
        assert_eq!(crd.spec.scope, "Namespaced");
        assert!(crd.spec.versions[0].subresources.as_ref().unwrap().status.is_some());
    }
}

#[test]
fn short_names_are_those_of_the_documentation() {
    let names: Vec<_> =
        crds().into_iter().map(|crd| (crd.spec.names.kind, crd.spec.names.short_names.unwrap())).collect();
    let expected = [
        ("FlinkJobUpgrade", "fju"),
        ("FlinkSavepoint", "fsp"),
        ("FlinkSavepointSchedule", "fss"),
        ("FlinkSnapshotStore", "fst"),
    ];
    assert_eq!(names, expected.map(|(kind, short)| (kind.to_owned(), vec![short.to_owned()])));
}

#[test]
fn every_field_has_a_description() {
    let mut missing = Vec::new();
    walk_all(|path, schema| {
        // The items of a list of scalars and the values of a map are described by the list and the map.
        let inner = path.ends_with("[]") || path.ends_with("{}");
        if schema.description.as_ref().is_none_or(String::is_empty) && !inner {
            missing.push(path.to_owned());
        }
    });
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn no_field_of_a_spec_has_a_default_and_none_may_be_null() {
    walk_all(|path, schema| {
        // Until the operator has seen a resource it is on its way.
        let first = (path.matches('.').count() == 1 && path.ends_with(".status"))
            .then(|| serde_json::json!({"observedGeneration": -1}));
        assert_eq!(schema.default.as_ref().map(|default| &default.0), first.as_ref(), "{path}");
        assert_eq!(schema.nullable, None, "{path}");
        assert!(schema.enum_.iter().flatten().all(|value| value.0.is_string()), "{path}");
    });
}

#[test]
fn schemas_are_structural_and_every_format_is_known_to_kubernetes() {
    walk_all(|path, schema| {
        assert!(schema.any_of.is_none() && schema.one_of.is_none() && schema.ref_path.is_none(), "{path}");
        assert!(schema.type_.is_some(), "{path}");
        let known = ["int32", "int64", "double", "date-time"];
        assert!(schema.format.as_deref().is_none_or(|format| known.contains(&format)), "{path}: {:?}", schema.format);
    });
}

#[test]
fn conditions_are_a_map_by_type() {
    let mut seen = 0;
    walk_all(|path, schema| {
        if path.ends_with(".conditions") {
            seen += 1;
            assert_eq!(schema.x_kubernetes_list_type.as_deref(), Some("map"), "{path}");
            assert_eq!(schema.x_kubernetes_list_map_keys, Some(vec!["type".to_owned()]), "{path}");
        }
    });
    assert_eq!(seen, 4);
}

#[test]
fn the_job_scales_by_its_parallelism() {
    let crd = crds().remove(0);
    let scale = crd.spec.versions[0].subresources.as_ref().unwrap().scale.as_ref().unwrap();
    assert_eq!(scale.spec_replicas_path, ".spec.job.parallelism");
    assert_eq!(scale.status_replicas_path, ".status.parallelism");
    assert_eq!(scale.label_selector_path.as_deref(), Some(".status.selector"));
}

#[test]
fn printer_columns_point_to_fields_that_exist() {
    for crd in crds() {
        let schema = crd.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
        let mut paths = std::collections::BTreeSet::from([".metadata.creationTimestamp".to_owned()]);
        walk("", schema, &mut |path, _| {
            paths.insert(path.to_owned());
        });
        let columns = crd.spec.versions[0].additional_printer_columns.as_ref().unwrap();
        for column in columns {
            let path = match column.json_path.split_once("[?(@.type==") {
                Some((list, rest)) => format!("{list}[]{}", rest.split_once(")]").unwrap().1),
                None => column.json_path.clone(),
            };
            assert!(paths.contains(&path), "{}: {}", crd.spec.names.kind, column.json_path);
        }
        assert_eq!(columns.last().unwrap().name, "Age");
    }
}
