//! The ServiceAccount by which Flink's high availability reaches Kubernetes, where the user gives none. One a job: it
//! outlives the revisions, whose pods may follow each other closely.

use k8s_openapi::api::core::v1::{PodSpec, ServiceAccount};
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::render::Revision;
use crate::naming;

/// What Flink's JobManager does with its ConfigMaps; it uses no others, no Leases, and no pods. The operator's own
/// rights must hold all of them, or it could not hand them on.
const VERBS: [&str; 7] = ["create", "delete", "get", "list", "patch", "update", "watch"];
const RBAC: &str = "rbac.authorization.k8s.io";

/// A ServiceAccount with the rights of Flink's high availability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The account.
    pub service_account: ServiceAccount,
    /// Its rights.
    pub role: Role,
    /// That it has them.
    pub role_binding: RoleBinding,
}

impl Account {
    /// The account of a job, if a pod of the revision runs under it and it is not one that the spec gives.
    #[must_use]
    pub fn used_by(revision: &Revision<'_>, given: Option<&str>, pods: [Option<&PodSpec>; 2]) -> Option<Self> {
        let name = naming::account_name(revision.name);
        let uses = |pod: &PodSpec| pod.service_account_name.as_ref() == Some(&name);
        (given != Some(&name) && pods.into_iter().flatten().any(uses)).then(|| Self::of(revision))
    }

    fn of(revision: &Revision<'_>) -> Self {
        let name = naming::account_name(revision.name);
        let metadata = ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(revision.namespace.to_owned()),
            labels: Some(naming::job_labels(revision.name, revision.owner_uid)),
            ..ObjectMeta::default()
        };
        let rule = PolicyRule {
            api_groups: Some(vec![String::new()]),
            resources: Some(vec!["configmaps".to_owned()]),
            verbs: VERBS.map(str::to_owned).into(),
            ..PolicyRule::default()
        };
        let subject = Subject {
            kind: "ServiceAccount".to_owned(),
            name: name.clone(),
            namespace: Some(revision.namespace.to_owned()),
            ..Subject::default()
        };
        Self {
            service_account: ServiceAccount {
                metadata: metadata.clone(),
                // Pods that need the token ask for it.
                automount_service_account_token: Some(false),
                ..ServiceAccount::default()
            },
            role: Role { metadata: metadata.clone(), rules: Some(vec![rule]) },
            role_binding: RoleBinding {
                metadata,
                role_ref: RoleRef { api_group: RBAC.to_owned(), kind: "Role".to_owned(), name },
                subjects: Some(vec![subject]),
            },
        }
    }
}
