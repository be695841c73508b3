//! Which cluster the tests use, and how they reach it.
//!
//! `KUBECONFIG` is never read: a test must not write into the cluster that somebody happens to work with. The cluster
//! is the one that `e2e/cluster/up` started, described by `<cache>/cluster/env`, or, when `E2E_KUBECONFIG` is set,
//! another one, which the environment then describes completely.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::s3::S3;

/// The cluster under test.
#[derive(Debug, Clone)]
pub struct Env {
    pub(crate) kubeconfig: PathBuf,
    /// Registry of the images `flink-jobs:<version>`.
    pub registry: String,
    /// The object store of Flink's state, as pods and this process reach it.
    pub s3: S3,
    /// Directory of this machine that the cluster's node sees under the same path; record volumes are made in it.
    pub records: PathBuf,
    /// The API server's audit log, where it can be read.
    pub audit_log: Option<PathBuf>,
    /// Where a failed test leaves what it knows, one folder a test.
    pub failures: PathBuf,
    /// Whether every scenario runs on every Flink version (`E2E_FULL=1`).
    pub full: bool,
}

impl Env {
    /// Reads the description of the cluster.
    ///
    /// # Errors
    /// Names the variable that is missing and what to do about it.
    pub fn load() -> Result<Self> {
        let process: HashMap<String, String> = std::env::vars().collect();
        let cache = cache_folder(&process)?;
        let described = if process.contains_key("E2E_KUBECONFIG") {
            process.clone()
        } else {
            let file = cache.join("cluster/env");
            let text = fs::read_to_string(&file).with_context(|| {
                format!(
                    "{} cannot be read: start the cluster with e2e/cluster/up, or name another one by E2E_KUBECONFIG",
                    file.display()
                )
            })?;
            parse(&text)
        };
        let full = process.get("E2E_FULL").is_some_and(|value| value == "1");
        Self::from_variables(&described, cache.join("logs"), full)
    }

    fn from_variables(variables: &HashMap<String, String>, failures: PathBuf, full: bool) -> Result<Self> {
        let required = |name: &str| {
            variables
                .get(name)
                .filter(|value| !value.is_empty())
                .cloned()
                .with_context(|| format!("{name} is not set: another cluster needs all of E2E_KUBECONFIG, E2E_REGISTRY, E2E_S3_* and E2E_RECORDS"))
        };
        Ok(Self {
            kubeconfig: required("E2E_KUBECONFIG")?.into(),
            registry: required("E2E_REGISTRY")?,
            s3: S3 {
                endpoint: required("E2E_S3_ENDPOINT")?,
                bucket: required("E2E_S3_BUCKET")?,
                access_key: required("E2E_S3_ACCESS_KEY")?,
                secret_key: required("E2E_S3_SECRET_KEY")?,
            },
            records: required("E2E_RECORDS")?.into(),
            audit_log: variables.get("E2E_AUDIT_LOG").filter(|value| !value.is_empty()).map(PathBuf::from),
            failures,
            full,
        })
    }

    /// A client of the cluster under test.
    ///
    /// # Errors
    /// The kubeconfig cannot be read.
    pub async fn client(&self) -> Result<Client> {
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig)
            .with_context(|| format!("kubeconfig {}", self.kubeconfig.display()))?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    }
}

/// `${XDG_CACHE_HOME:-$HOME/.cache}/flink-savepoint-operator`.
fn cache_folder(variables: &HashMap<String, String>) -> Result<PathBuf> {
    let base = match variables.get("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(variables.get("HOME").context("HOME is not set")?).join(".cache"),
    };
    Ok(base.join("flink-savepoint-operator"))
}

/// Shell lines `KEY=VALUE`, the value bare or in quotes, `export` allowed.
fn parse(text: &str) -> HashMap<String, String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.strip_prefix("export ").unwrap_or(line).split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().trim_matches(['"', '\'']).to_owned()))
        .collect()
}

#[cfg(test)]
#[path = "env_tests.rs"]
mod env_tests;
