//! The Job that copies a snapshot. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, EnvVar, EnvVarSource, LocalObjectReference, PodSecurityContext, PodSpec, PodTemplateSpec,
    ResourceRequirements, SeccompProfile, SecretKeySelector, SecurityContext,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::{FlinkSnapshotStoreSpec, labels};
use crate::naming;
use crate::store::open::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, SESSION_TOKEN};

/// Name of its container.
pub const CONTAINER: &str = "copy";
/// A pod that failed is followed by so many others.
const RETRIES: i32 = 3;
/// A chunk of 8 MiB is on its way for each of a few files.
const MEMORY: &str = "192Mi";
/// One that is over stays so long for whoever wants to read its log; then Kubernetes deletes it.
const KEPT_SECONDS: i32 = 3600;

/// What is to be copied, by which image, with whose credentials.
#[derive(Debug, Clone, PartialEq)]
pub struct Copy {
    /// Namespace of the FlinkSavepoint.
    pub namespace: String,
    /// Its name.
    pub savepoint: String,
    /// Its UID.
    pub uid: String,
    /// The operator's own image.
    pub image: String,
    /// The Secrets that it is pulled with.
    pub pull_secrets: Vec<String>,
    /// Directory of the snapshot.
    pub from: String,
    /// Directory of the copy.
    pub to: String,
    /// The store of the snapshot.
    pub source: FlinkSnapshotStoreSpec,
    /// The store of the copy.
    pub target: FlinkSnapshotStoreSpec,
}

/// Renders it.
#[must_use]
pub fn render(copy: &Copy) -> Job {
    let mut args: Vec<String> = ["snapshot", "copy", "--no-progress", &copy.from, &copy.to].map(str::to_owned).into();
    let mut flag = |name: &str, value: Option<&String>| args.extend(value.map(|value| format!("{name}={value}")));
    flag("--endpoint", copy.source.endpoint.as_ref());
    flag("--region", copy.source.region.as_ref());
    flag("--to-endpoint", endpoint(&copy.target, &copy.source).as_ref());
    flag("--to-region", copy.target.region.as_ref());
    let env = credentials("AWS", &copy.source).chain(credentials("TO_AWS", &copy.target)).collect();
    let memory = || BTreeMap::from([("memory".to_owned(), Quantity(MEMORY.to_owned()))]);
    let container = Container {
        name: CONTAINER.to_owned(),
        image: Some(copy.image.clone()),
        args: Some(args),
        env: Some(env),
        resources: Some(ResourceRequirements {
            limits: Some(memory()),
            requests: Some(memory()),
            ..ResourceRequirements::default()
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
            read_only_root_filesystem: Some(true),
            ..SecurityContext::default()
        }),
        // Its last words are in the status of the pod.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    };
    let pod = PodSpec {
        containers: vec![container],
        image_pull_secrets: (!copy.pull_secrets.is_empty())
            .then(|| copy.pull_secrets.iter().map(|name| LocalObjectReference { name: name.clone() }).collect()),
        restart_policy: Some("Never".to_owned()),
        // It asks nothing of Kubernetes.
        automount_service_account_token: Some(false),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
            ..PodSecurityContext::default()
        }),
        ..PodSpec::default()
    };
    let labels = labels_of(&copy.uid);
    Job {
        metadata: ObjectMeta {
            name: Some(naming::copy_job_name(&copy.savepoint, &copy.uid)),
            namespace: Some(copy.namespace.clone()),
            labels: Some(labels.clone()),
            ..ObjectMeta::default()
        },
        spec: Some(JobSpec {
            backoff_limit: Some(RETRIES),
            ttl_seconds_after_finished: Some(KEPT_SECONDS),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta { labels: Some(labels), ..ObjectMeta::default() }),
                spec: Some(pod),
            },
            ..JobSpec::default()
        }),
        ..Job::default()
    }
}

/// Left out, that of the source would be taken.
fn endpoint(target: &FlinkSnapshotStoreSpec, source: &FlinkSnapshotStoreSpec) -> Option<String> {
    let of_amazon = || {
        let region = target.region.as_deref().unwrap_or("us-east-1");
        source.endpoint.as_ref().map(|_| format!("https://s3.{region}.amazonaws.com"))
    };
    target.endpoint.clone().or_else(of_amazon)
}

/// Labels of the Job and its pods.
#[must_use]
pub fn labels_of(uid: &str) -> BTreeMap<String, String> {
    [(labels::MANAGED_BY, labels::MANAGER), (labels::SAVEPOINT_UID, uid)]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

/// The keys of a store's Secret; the last one may be missing.
fn credentials<'a>(prefix: &'a str, store: &'a FlinkSnapshotStoreSpec) -> impl Iterator<Item = EnvVar> + 'a {
    let keys = [
        ("ACCESS_KEY_ID", ACCESS_KEY_ID, false),
        ("SECRET_ACCESS_KEY", SECRET_ACCESS_KEY, false),
        ("SESSION_TOKEN", SESSION_TOKEN, true),
    ];
    let secret = store.credentials_secret_ref.as_ref();
    keys.into_iter().filter_map(move |(variable, key, optional)| {
        Some(EnvVar {
            name: format!("{prefix}_{variable}"),
            value_from: Some(EnvVarSource {
                secret_key_ref: Some(SecretKeySelector {
                    name: secret?.name.clone(),
                    key: key.to_owned(),
                    optional: Some(optional),
                }),
                ..EnvVarSource::default()
            }),
            ..EnvVar::default()
        })
    })
}

#[cfg(test)]
#[path = "job_tests.rs"]
mod tests;
