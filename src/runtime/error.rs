//! The errors of the runtime layer. Each of them ends the process.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Why the process can't start, or can't go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log filter can't be read.
    #[error("--log (LOG) is {value:?}, which is no log filter: {cause}; give one like \"info\" or \"info,kube=debug\"")]
    LogFilter {
        /// The filter as it was given.
        value: String,
        /// What the parser says.
        cause: String,
    },
    /// A subscriber was installed before.
    #[error("logging is set up already: {0}")]
    LogTwice(String),
    /// No way to the API server was found.
    #[error("no way to the Kubernetes API: {0}; run in a pod with a ServiceAccount, or set KUBECONFIG")]
    KubeConfig(String),
    /// The client can't be built from the configuration that was found.
    #[error("the Kubernetes client can't be built: {0}")]
    KubeClient(#[source] kube::Error),
    /// The helper jar is not there.
    #[error("--helper-jar (HELPER_JAR) is {path}, which can't be read: {source}; name the helper.jar of this release")]
    HelperJar {
        /// The file that was asked for.
        path: PathBuf,
        /// What the file system says.
        source: std::io::Error,
    },
    /// The helper jar would not fit into a `ConfigMap`.
    #[error(
        "--helper-jar (HELPER_JAR) is {path} of {size} bytes, and a ConfigMap takes at most {limit} of it; \
         name the helper.jar of this release"
    )]
    HelperJarTooLarge {
        /// The file that was asked for.
        path: PathBuf,
        /// Its size in bytes.
        size: usize,
        /// The largest size in bytes.
        limit: usize,
    },
    /// The admin server can't listen.
    #[error("--admin-address (ADMIN_ADDRESS) is {address}, where nothing can listen: {source}; give a free address")]
    AdminAddress {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The admin server ended.
    #[error("the admin server ended: {0}")]
    Admin(#[source] std::io::Error),
    /// SIGTERM and SIGINT can't be caught.
    #[error("SIGTERM and SIGINT can't be caught: {0}")]
    Signals(#[source] std::io::Error),
    /// Another process leads. This one must not act any more.
    #[error("the Lease {lease} was taken by {holder}")]
    LeaseTaken {
        /// Namespace and name of the Lease.
        lease: String,
        /// Who holds it now.
        holder: String,
    },
    /// The Lease could not be renewed in time. Another process may lead.
    #[error("the Lease {lease} could not be renewed within {}s, the last try: {cause}", duration.as_secs_f32())]
    LeaseExpired {
        /// Namespace and name of the Lease.
        lease: String,
        /// How long a renewal holds.
        duration: Duration,
        /// Why the last renewal failed.
        cause: String,
    },
    /// A part of the process ended although nobody asked for it.
    #[error("{name} ended")]
    TaskEnded {
        /// The part.
        name: &'static str,
    },
    /// A part of the process failed.
    #[error("{name} failed: {source}")]
    TaskFailed {
        /// The part.
        name: &'static str,
        /// Its error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A part of the process panicked.
    #[error("{name} panicked")]
    TaskPanicked {
        /// The part.
        name: &'static str,
    },
    /// Parts of the process did not end in time: they may still act.
    #[error("did not end within {}s: {}", grace.as_secs_f32(), names.join(", "))]
    StillRunning {
        /// Who did not end.
        names: Vec<&'static str>,
        /// The time they had.
        grace: Duration,
    },
}

/// An error with all its causes, in one line. The outermost alone often says only that something failed ("client error").
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::chain;

    #[test]
    fn names_all_causes_once() {
        let cause =
            anyhow::anyhow!("connection refused").context("can't connect").context("can't connect: client error");
        assert_eq!(chain(cause.as_ref()), "can't connect: client error: connection refused");
    }
}
