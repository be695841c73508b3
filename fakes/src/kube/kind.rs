//! The kinds that an API server serves, and in what they differ.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::rules::Rules;

/// API group of roles.
const RBAC: &str = "rbac.authorization.k8s.io";

/// In what a kind differs from others, as the real API server's registry has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trait {
    /// Of a CustomResourceDefinition.
    Custom,
    /// Not in a namespace.
    ClusterScoped,
    /// `status` is written through its own path only.
    Status,
    /// `metadata.generation` counts the changes of what is wanted.
    Generation,
    /// A replacement without a resourceVersion is taken as it is.
    UnconditionalUpdate,
    /// Replacing what does not exist creates it.
    CreateOnUpdate,
    /// On a node, a deleted object stays until its grace period is over.
    Graceful,
    /// A deletion answers with the object that it deleted.
    AnswersDeleted,
}

/// A kind that the API server serves, in one version.
#[derive(Clone)]
pub struct Kind {
    /// API group; empty for the core.
    pub group: String,
    /// Version, such as `v1`.
    pub version: String,
    /// Name in paths, such as `configmaps`.
    pub plural: String,
    /// Name in objects, such as `ConfigMap`.
    pub kind: String,
    pub(super) traits: BTreeSet<Trait>,
    pub(super) rules: Option<Arc<Rules>>,
    /// What its schema puts in the place of a status that is missing.
    pub(super) first_status: Option<Value>,
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.resource())
    }
}

impl Kind {
    /// A kind of Kubernetes' own.
    #[must_use]
    pub fn built_in(group: &str, version: &str, plural: &str, kind: &str, traits: &[Trait]) -> Self {
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            plural: plural.to_owned(),
            kind: kind.to_owned(),
            traits: traits.iter().copied().collect(),
            rules: None,
            first_status: None,
        }
    }

    /// The same, whose schema puts this in the place of a status that is missing.
    #[must_use]
    pub fn with_first_status(self, status: Option<Value>) -> Self {
        Self { first_status: status, ..self }
    }

    /// Kubernetes' own kinds, as far as an operator of Flink jobs meets them.
    #[must_use]
    pub fn built_ins() -> Vec<Self> {
        use Trait::{AnswersDeleted, ClusterScoped, CreateOnUpdate, Generation, Graceful, Status, UnconditionalUpdate};
        let workload = &[Status, Generation, UnconditionalUpdate];
        vec![
            Self::built_in("", "v1", "configmaps", "ConfigMap", &[UnconditionalUpdate]),
            Self::built_in("", "v1", "namespaces", "Namespace", &[ClusterScoped, Status, UnconditionalUpdate]),
            Self::built_in(
                "",
                "v1",
                "pods",
                "Pod",
                &[Status, Generation, UnconditionalUpdate, Graceful, AnswersDeleted],
            ),
            Self::built_in("", "v1", "secrets", "Secret", &[UnconditionalUpdate]),
            Self::built_in(
                "",
                "v1",
                "services",
                "Service",
                &[Status, UnconditionalUpdate, CreateOnUpdate, AnswersDeleted],
            ),
            Self::built_in("", "v1", "serviceaccounts", "ServiceAccount", &[UnconditionalUpdate, AnswersDeleted]),
            Self::built_in(RBAC, "v1", "roles", "Role", &[UnconditionalUpdate, CreateOnUpdate]),
            Self::built_in(RBAC, "v1", "rolebindings", "RoleBinding", &[UnconditionalUpdate, CreateOnUpdate]),
            Self::built_in("apps", "v1", "controllerrevisions", "ControllerRevision", &[UnconditionalUpdate]),
            Self::built_in("apps", "v1", "deployments", "Deployment", workload),
            Self::built_in("apps", "v1", "statefulsets", "StatefulSet", workload),
            Self::built_in("batch", "v1", "jobs", "Job", workload),
            Self::built_in("coordination.k8s.io", "v1", "leases", "Lease", &[CreateOnUpdate]),
            Self::built_in("events.k8s.io", "v1", "events", "Event", &[CreateOnUpdate, UnconditionalUpdate]),
        ]
    }

    /// The kind of a CustomResourceDefinition, in the version that it stores; `None` if `definition` is none.
    #[must_use]
    pub fn of_definition(definition: &Value) -> Option<Self> {
        let spec = definition.get("spec")?;
        let text = |path: &str| spec.pointer(path)?.as_str().map(str::to_owned);
        let versions = spec.get("versions")?.as_array()?;
        let version = versions.iter().find(|v| v.get("storage").and_then(Value::as_bool) == Some(true))?;
        let mut traits = BTreeSet::from([Trait::Custom, Trait::Generation]);
        if version.pointer("/subresources/status").is_some() {
            traits.insert(Trait::Status);
        }
        if text("/scope")? == "Cluster" {
            traits.insert(Trait::ClusterScoped);
        }
        Some(Self {
            group: text("/group")?,
            version: version.get("name")?.as_str()?.to_owned(),
            plural: text("/names/plural")?,
            kind: text("/names/kind")?,
            traits,
            rules: version.pointer("/schema/openAPIV3Schema").map(|schema| Arc::new(Rules::new(schema))),
            first_status: version.pointer("/schema/openAPIV3Schema/properties/status/default").cloned(),
        })
    }

    /// `apiVersion` of its objects.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Plural and group: `configmaps`, `leases.coordination.k8s.io`.
    #[must_use]
    pub fn resource(&self) -> String {
        self.with_group(&self.plural)
    }

    /// Kind and group: `ConfigMap`, `Lease.coordination.k8s.io`.
    pub(super) fn qualified(&self) -> String {
        self.with_group(&self.kind)
    }

    fn with_group(&self, name: &str) -> String {
        if self.group.is_empty() { name.to_owned() } else { format!("{name}.{}", self.group) }
    }

    pub(super) fn is(&self, what: Trait) -> bool {
        self.traits.contains(&what)
    }
}
