//! A revision's rendering, stored in a ControllerRevision.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use serde::Deserialize as _;
use serde_json::Value;

use super::error::SpecError;
use super::render::{RENDER_VERSION, Rendered};
use crate::api::annotations;
use crate::naming;

/// Kubernetes stores 1.5 MB an object; the rest is for metadata.
const LIMIT: usize = 1_000_000;

/// Why a stored rendering cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It is not a rendering.
    #[error("ControllerRevision {name} holds no rendering: {message}; restore it from a backup")]
    Unreadable {
        /// Name of the ControllerRevision.
        name: String,
        /// What is wrong.
        message: String,
    },
    /// It was written by a newer operator.
    #[error(
        "ControllerRevision {name} has render version {version}, and {RENDER_VERSION} is the newest known; run the newer operator again"
    )]
    Newer {
        /// Name of the ControllerRevision.
        name: String,
        /// The render version.
        version: u64,
    },
}

/// The ControllerRevision that stores a rendering.
///
/// It carries no component label on purpose: a StatefulSet adopts, and later deletes, every ControllerRevision without
/// an owner that its selector matches.
///
/// # Errors
/// If the rendering is too large to be stored.
pub fn to_controller_revision(rendered: &Rendered) -> Result<ControllerRevision, SpecError> {
    let unwritable = |e: serde_json::Error| SpecError::Unwritable { format: "JSON", message: e.to_string() };
    let data = serde_json::to_value(rendered).map_err(unwritable)?;
    let bytes = data.to_string().len();
    if bytes > LIMIT {
        return Err(SpecError::TooLarge { bytes, limit: LIMIT });
    }
    let has_storage = !rendered.high_availability_directories.is_empty();
    let storage = (annotations::HIGH_AVAILABILITY_STORAGE.to_owned(), annotations::STORAGE_USED.to_owned());
    Ok(ControllerRevision {
        metadata: ObjectMeta {
            annotations: has_storage.then(|| BTreeMap::from([storage])),
            name: Some(naming::revision_name(&rendered.name, rendered.revision)),
            namespace: Some(rendered.namespace.clone()),
            labels: Some(naming::revision_labels(&rendered.name, &rendered.owner_uid, rendered.revision)),
            ..ObjectMeta::default()
        },
        revision: rendered.revision,
        data: Some(RawExtension(data)),
    })
}

/// The rendering that a ControllerRevision stores.
///
/// # Errors
/// If it stores none, or one of a newer operator.
pub fn from_controller_revision(revision: &ControllerRevision) -> Result<Rendered, RecordError> {
    let name = revision.metadata.name.clone().unwrap_or_default();
    let unreadable = |message: String| RecordError::Unreadable { name: name.clone(), message };
    let data = revision.data.as_ref().map(|data| &data.0).ok_or_else(|| unreadable("it has no data".to_owned()))?;
    let version = data.get("renderVersion").and_then(Value::as_u64);
    let version = version.ok_or_else(|| unreadable("it has no renderVersion".to_owned()))?;
    if version > u64::from(RENDER_VERSION) {
        return Err(RecordError::Newer { name, version });
    }
    Rendered::deserialize(data).map_err(|e| unreadable(e.to_string()))
}
