//! The custom resource definitions of all kinds, as they are shipped.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::json;

use super::{FlinkJobUpgrade, FlinkSavepoint, FlinkSavepointSchedule, FlinkSnapshotStore};

/// The definitions of all kinds, ordered by their names.
///
/// They differ in two things from what `CustomResourceExt::crd` gives. No field is nullable: an explicit `null` is
/// refused at admission, so that `has(self.field)` in a rule means what a reader thinks, and the operator reads what
/// was admitted. And the status of what was just created answers no generation yet, as in Flux' own kinds: kstatus, and
/// with it each tool that waits, takes a resource without a status for one that is as its spec asks.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut crds =
        vec![FlinkJobUpgrade::crd(), FlinkSavepoint::crd(), FlinkSavepointSchedule::crd(), FlinkSnapshotStore::crd()];
    for version in crds.iter_mut().flat_map(|crd| &mut crd.spec.versions) {
        if let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            strict(schema);
            if let Some(status) = schema.properties.as_mut().and_then(|all| all.get_mut("status")) {
                status.default = Some(JSON(json!({"observedGeneration": NONE_YET})));
            }
        }
    }
    crds
}

/// No generation has this number.
const NONE_YET: i64 = -1;

/// One definition as a YAML document, without a separator before it.
///
/// # Errors
/// If it cannot be written as YAML; no definition of [`crds`] is such a one.
pub fn to_yaml(crd: &CustomResourceDefinition) -> Result<String, serde_yaml::Error> {
    serde_yaml::to_string(crd)
}

/// Forbids `null` everywhere in a schema.
fn strict(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if let Some(values) = &mut schema.enum_ {
        values.retain(|value| !value.0.is_null());
    }
    for property in schema.properties.iter_mut().flatten() {
        strict(property.1);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => strict(items),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(strict),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        strict(values);
    }
}

#[cfg(test)]
#[path = "crd_tests.rs"]
mod tests;
