//! What a revision of a job on a session cluster has of its own: one pod, for the time of an upgrade. Its init container
//! fetches the jar and uploads it to the session cluster; then a JobManager of the same image, with no TaskManagers, runs
//! the job's `main()` for the preflight.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, SecretKeySelector};

use super::error::SpecError;
use super::jar::Jar;
use crate::api::{FlinkJobUpgradeSpec, JobManagerSpec, LocalRef, ResourceSpec};
use crate::flink::config::{CHECKPOINT_DIRECTORY, Key, SAVEPOINT_DIRECTORY};
use crate::flink::{credentials, tls};

/// Enough for a JobManager that runs no job.
const MEMORY: &str = "1g";
/// What the configuration of one job begins with; all else is a cluster's.
const OF_A_JOB: [&str; 5] = ["execution.", "pipeline.", "restart-strategy.", "state.", "table."];

/// What a carrier is made of: how the session cluster is, when the revision is born.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carrier {
    /// The image of the session cluster's JobManager.
    pub image: String,
    /// With which that is pulled.
    pub pull_secrets: Vec<String>,
    /// Base URL of the session cluster's REST API.
    pub url: String,
    /// The Secret with the credentials for it.
    pub auth_secret: Option<String>,
    /// Where it speaks HTTPS: the name that its certificate must carry.
    pub server_name: Option<String>,
    /// The Secret with the authorities that have signed it, and with the client certificate for it.
    pub tls_secret: Option<String>,
    /// Where its jobs have their checkpoints, if they say nothing else.
    pub checkpoint_directory: Option<String>,
    /// Where its jobs have their savepoints, if nothing else is said.
    pub savepoint_directory: Option<String>,
}

/// Stands for whatever a session cluster will be like.
pub(super) static ANY_CARRIER: Carrier = Carrier {
    image: String::new(),
    pull_secrets: Vec::new(),
    url: String::new(),
    auth_secret: None,
    server_name: None,
    tls_secret: None,
    checkpoint_directory: None,
    savepoint_directory: None,
};

impl Carrier {
    /// The spec of a revision that has its pods from this.
    pub(super) fn spec(&self, given: &FlinkJobUpgradeSpec) -> FlinkJobUpgradeSpec {
        let secrets: Vec<LocalRef> = self.pull_secrets.iter().map(|name| LocalRef { name: name.clone() }).collect();
        let resource = Some(ResourceSpec { memory: Some(MEMORY.to_owned()), ..ResourceSpec::default() });
        FlinkJobUpgradeSpec {
            image: Some(self.image.clone()),
            image_pull_secrets: (!secrets.is_empty()).then_some(secrets),
            job_manager: Some(JobManagerSpec { resource, ..JobManagerSpec::default() }),
            ..given.clone()
        }
    }

    /// What its init container is told of where the jar goes. `prefix`: what the file's name begins with there.
    pub(super) fn args(&self, prefix: &str) -> Vec<(&'static str, String)> {
        let to = [("--upload-to", self.url.clone()), ("--upload-as", prefix.to_owned())];
        to.into_iter().chain(self.server_name.clone().map(|name| ("--upload-server-name", name))).collect()
    }

    /// The credentials for the session cluster, for the init container. Which of them the Secrets have is their matter.
    pub(super) fn env(&self) -> Vec<EnvVar> {
        let variable = |secret: &str, name: &str, key: &str| EnvVar {
            name: name.to_owned(),
            value_from: Some(EnvVarSource {
                secret_key_ref: Some(SecretKeySelector {
                    name: secret.to_owned(),
                    key: key.to_owned(),
                    optional: Some(true),
                }),
                ..EnvVarSource::default()
            }),
            ..EnvVar::default()
        };
        let of = |secret: &Option<String>, keys: [(&str, &str); 3]| -> Vec<EnvVar> {
            secret.iter().flat_map(|secret| keys.map(|(name, key)| variable(secret, name, key))).collect()
        };
        let mut variables = of(&self.auth_secret, credentials::VARIABLES);
        variables.extend(of(&self.tls_secret, tls::VARIABLES));
        variables
    }
}

/// Whether a job on a session cluster can be what the spec says.
///
/// # Errors
/// If its jar is in an image, or its configuration one of a cluster.
pub(super) fn check(spec: &FlinkJobUpgradeSpec, jar: Jar<'_>) -> Result<(), SpecError> {
    if let Jar::InImage(_) = jar {
        return Err(SpecError::invalid(
            "spec.job.jarURI",
            spec.job.jar_uri.as_str(),
            "is a jar in the job's own image, which a job on a session cluster (spec.flinkCluster) does not have",
            "put the jar where it can be fetched from: s3:// or https://",
        ));
    }
    let nothing = crate::api::FlinkConfiguration::new();
    let given = super::config::flatten(spec.flink_configuration.as_ref().unwrap_or(&nothing))?;
    match given.into_iter().find(|(key, _)| !is_of_a_job(key)) {
        None => Ok(()),
        Some((key, value)) => Err(SpecError::invalid(
            format!("spec.flinkConfiguration.{key}"),
            value,
            "is not of a job but of its cluster, and that one is there already (spec.flinkCluster)",
            "set it in the configuration of the session cluster",
        )),
    }
}

fn is_of_a_job(key: &str) -> bool {
    OF_A_JOB.iter().any(|part| key.starts_with(part))
}

/// The configuration that is sent with a job: its own, and that its checkpoints outlive it.
pub(super) fn of_the_job(entries: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    entries.iter().filter(|(key, _)| is_of_a_job(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Where a session cluster's jobs have their checkpoints and savepoints, by its JobManager's configuration.
#[must_use]
pub fn directories(configuration: &BTreeMap<String, String>) -> (Option<String>, Option<String>) {
    let given = |key: Key| key.get(configuration).filter(|value| !value.trim().is_empty()).map(str::to_owned);
    (given(CHECKPOINT_DIRECTORY), given(SAVEPOINT_DIRECTORY))
}

#[cfg(test)]
#[path = "carrier_tests.rs"]
mod tests;
