//! The flags of `run`. Each can be given as an environment variable, too.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;

use crate::runtime::telemetry::LogFormat;

/// The flags of `run`.
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// The one namespace to watch; left out: all
    #[arg(long, env = "WATCH_NAMESPACE", value_parser = namespace)]
    pub namespace: Option<String>,
    /// The operator's own pod; left out: not in a pod
    #[arg(long, env = "POD_NAME")]
    pub pod_name: Option<String>,
    /// The operator's own namespace, that of its Lease; left out: that of the `ServiceAccount` or kubeconfig
    #[arg(long, env = "POD_NAMESPACE", value_parser = namespace)]
    pub pod_namespace: Option<String>,
    /// The operator's own image, which pods run that fetch a jar from S3 or the web; left out: that of its own pod
    #[arg(long, env = "OPERATOR_IMAGE")]
    pub image: Option<String>,
    /// The jar with the warm-up job, part of each release
    #[arg(long, env = "HELPER_JAR", default_value = "/usr/share/flink-savepoint-operator/helper.jar")]
    pub helper_jar: PathBuf,
    /// Directories of the operator's own volumes that a FlinkSnapshotStore with a file:// url may be in, separated by
    /// commas; left out: none
    #[arg(long, env = "LOCAL_STORES", value_delimiter = ',', value_parser = directory)]
    pub local_stores: Vec<PathBuf>,
    /// Snapshots of at most so many bytes the operator copies itself, if they have few files; larger ones a Job of its image
    #[arg(long, env = "SMALL_COPY_BYTES", default_value_t = 8 * 1024 * 1024, value_parser = clap::value_parser!(u64).range(..=64 * 1024 * 1024))]
    pub small_copy_bytes: u64,
    /// Where /livez, /readyz and /metrics are served
    #[arg(long, env = "ADMIN_ADDRESS", default_value = "0.0.0.0:8080")]
    pub admin_address: SocketAddr,
    /// How a log line looks
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,
    /// What is logged: a level, or levels by module, as "info,kube=debug"
    #[arg(long, env = "LOG", default_value = "info")]
    pub log: String,
    /// The Lease whose holder acts
    #[arg(long, env = "LEASE_NAME", default_value = "flink-savepoint-operator")]
    pub lease_name: String,
    /// How long the Lease holds without being renewed; a successor waits that long after a crash of the node
    #[arg(long, env = "LEASE_DURATION_SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u16).range(5..=300))]
    pub lease_duration_seconds: u16,
}

impl Run {
    /// How long the Lease holds without being renewed.
    #[must_use]
    pub fn lease_duration(&self) -> Duration {
        Duration::from_secs(self.lease_duration_seconds.into())
    }

    /// The one namespace to watch. A variable that is set to nothing counts as left out.
    #[must_use]
    pub fn watched_namespace(&self) -> Option<String> {
        self.namespace.clone().filter(|namespace| !namespace.is_empty())
    }

    /// The operator's own pod. A variable that is set to nothing counts as left out.
    #[must_use]
    pub fn pod(&self) -> Option<String> {
        self.pod_name.clone().filter(|pod| !pod.is_empty())
    }

    /// The operator's own image. A variable that is set to nothing counts as left out.
    #[must_use]
    pub fn own_image(&self) -> Option<String> {
        self.image.clone().filter(|image| !image.is_empty())
    }

    /// The operator's own namespace, or else the given one.
    #[must_use]
    pub fn own_namespace(&self, default: &str) -> String {
        self.pod_namespace.clone().filter(|namespace| !namespace.is_empty()).unwrap_or_else(|| default.to_owned())
    }
}

/// A namespace's name, or nothing.
fn namespace(value: &str) -> Result<String, String> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if value.len() <= 63 && value.chars().all(inner) && !value.starts_with('-') && !value.ends_with('-') {
        Ok(value.to_owned())
    } else {
        Err("not the name of one namespace; give one name, or leave it out for all namespaces".to_owned())
    }
}

/// An absolute directory that is not the root.
fn directory(value: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(value);
    let plain = path.components().all(|part| !matches!(part, std::path::Component::ParentDir));
    if path.is_absolute() && path.parent().is_some() && plain {
        Ok(path)
    } else {
        Err("not an absolute directory below /, without ..; name the mount points of volumes".to_owned())
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
