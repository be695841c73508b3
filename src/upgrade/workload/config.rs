//! Flink's configuration of a revision: what the user gave, what the operator owns, and defaults for the rest.

use std::collections::BTreeMap;

use serde_json::Value;

use super::error::SpecError;
use super::keys::{
    CHECKPOINT_DIRECTORY, HA_CLUSTER_ID, HA_PORT, HA_STORAGE, HA_TYPE, JAVA_OPTS, KUBERNETES_CLUSTER_ID,
    KUBERNETES_NAMESPACE, PER_REVISION, SAVEPOINT_DIRECTORY, TASK_SLOTS, canonical, owned,
};
use super::render::Revision;
use crate::api::{FlinkConfiguration, FlinkVersion};
use crate::naming;

const FIELD: &str = "spec.flinkConfiguration";

/// What the operator prefers to Flink's own defaults; each may be set by the user.
const DEFAULTS: [(&str, &str); 6] = [
    // A job that calls System.exit() must not take its JobManager with it.
    ("cluster.intercept-user-system-exit", "THROW"),
    // A TaskManager finds a JobManager that was restarted after 0.5 s instead of 10.
    ("cluster.registration.error-delay", "500"),
    ("cluster.registration.max-timeout", "2000"),
    ("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION"),
    (TASK_SLOTS, "1"),
    // Milliseconds for which the REST API may answer from a cache: 3 s would be added to every upgrade.
    ("web.refresh-interval", "100"),
];

/// `env.java.opts.all` of the `config.yaml` that Flink is shipped with, which the mounted configuration hides.
const SHIPPED_JAVA_OPTS: &str = "--add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED \
    --add-exports=jdk.compiler/com.sun.tools.javac.api=ALL-UNNAMED \
    --add-exports=jdk.compiler/com.sun.tools.javac.file=ALL-UNNAMED \
    --add-exports=jdk.compiler/com.sun.tools.javac.parser=ALL-UNNAMED \
    --add-exports=jdk.compiler/com.sun.tools.javac.tree=ALL-UNNAMED \
    --add-exports=jdk.compiler/com.sun.tools.javac.util=ALL-UNNAMED \
    --add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED --add-opens=java.base/java.lang=ALL-UNNAMED \
    --add-opens=java.base/java.net=ALL-UNNAMED --add-opens=java.base/java.io=ALL-UNNAMED \
    --add-opens=java.base/java.nio=ALL-UNNAMED --add-opens=java.base/sun.nio.ch=ALL-UNNAMED \
    --add-opens=java.base/java.lang.reflect=ALL-UNNAMED --add-opens=java.base/java.text=ALL-UNNAMED \
    --add-opens=java.base/java.time=ALL-UNNAMED --add-opens=java.base/java.util=ALL-UNNAMED \
    --add-opens=java.base/java.util.concurrent=ALL-UNNAMED \
    --add-opens=java.base/java.util.concurrent.atomic=ALL-UNNAMED \
    --add-opens=java.base/java.util.concurrent.locks=ALL-UNNAMED";
/// What 1.20 has before those.
const SHIPPED_JAVA_OPTS_1_20: &str = "--add-exports=java.base/sun.net.util=ALL-UNNAMED";

/// The full name of the class that `kubernetes` stands for.
const KUBERNETES_HA_FACTORY: &str = "org.apache.flink.kubernetes.highavailability.KubernetesHaServicesFactory";

/// Flink's configuration of a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// Flat keys and their values.
    pub entries: BTreeMap<String, String>,
    /// Directory of the job's checkpoints, if one is configured.
    pub checkpoint_directory: Option<String>,
    /// Directory of savepoints that name no other, if one is configured.
    pub savepoint_directory: Option<String>,
    /// Directory of the checkpoints of the throw-away job that warms the cluster.
    pub warm_up_directory: Option<String>,
    /// The JobManager recovers by Kubernetes.
    pub high_availability: bool,
    /// Where that keeps its data, one revision's only.
    pub high_availability_directories: Vec<String>,
    /// Slots of one TaskManager.
    pub slots: i32,
}

/// Flattens nested maps and checks the keys: the result has each option once, by its newest name.
///
/// # Errors
/// If a key is owned by the operator or given twice, or a value is missing.
pub fn flatten(given: &FlinkConfiguration) -> Result<BTreeMap<String, String>, SpecError> {
    let mut leaves = Vec::new();
    for (key, value) in given {
        collect(key, value, &mut leaves)?;
    }
    let mut flat: BTreeMap<String, (String, String)> = BTreeMap::new();
    for (key, value) in leaves {
        let name = canonical(&key);
        let field = format!("{FIELD}.{key}");
        if let Some(cure) = owned(name) {
            return Err(SpecError::invalid(field, value, "cannot be set: the operator owns this key", cure));
        }
        if let Some((other, _)) = flat.get(name) {
            let (problem, cure) = if *other == key {
                ("is given twice, flat and nested".to_owned(), "give it once".to_owned())
            } else {
                (
                    format!("is given under its old name and its new one, here and as {other}"),
                    format!("keep {name} only"),
                )
            };
            return Err(SpecError::invalid(field, value, problem, cure));
        }
        flat.insert(name.to_owned(), (key, value));
    }
    Ok(flat.into_iter().map(|(name, (_, value))| (name, value)).collect())
}

fn collect(key: &str, value: &Value, into: &mut Vec<(String, String)>) -> Result<(), SpecError> {
    if key.is_empty()
        || key.chars().any(|c| c.is_whitespace() || c.is_control())
        || key.starts_with('.')
        || key.ends_with('.')
    {
        let cure = "use keys of Flink's configuration such as execution.checkpointing.interval";
        return Err(SpecError::invalid(FIELD, key, "is not a key", cure));
    }
    let text = match value {
        Value::Object(nested) => {
            return nested.iter().try_for_each(|(inner, value)| {
                if inner.is_empty() {
                    return collect(inner, value, into);
                }
                collect(&format!("{key}.{inner}"), value, into)
            });
        }
        Value::Null => {
            return Err(SpecError::invalid(
                format!("{FIELD}.{key}"),
                "null",
                "is no value",
                "give one, or remove the key",
            ));
        }
        Value::String(text) => text.clone(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        // JSON is YAML, and so is Flink's notation of a list.
        Value::Array(_) => value.to_string(),
    };
    into.push((key.to_owned(), text));
    Ok(())
}

/// Flink's configuration of a revision, but for its memory.
///
/// # Errors
/// If a key or a value of the user's configuration does not work here.
pub fn build(
    revision: &Revision<'_>,
    version: Option<FlinkVersion>,
    given: &FlinkConfiguration,
) -> Result<Configuration, SpecError> {
    let mut entries = flatten(given)?;
    for value in entries.values_mut() {
        *value = revision.substitute(value);
    }
    let (namespace, job, number) = (revision.namespace, revision.name, revision.number);
    let service = naming::revision_name(job, number);

    for directory in [CHECKPOINT_DIRECTORY, SAVEPOINT_DIRECTORY].iter().chain(&PER_REVISION) {
        if entries.get(*directory).is_some_and(|value| value.trim().is_empty()) {
            let cure = "give a directory such as s3://bucket/path, or remove the key";
            return Err(SpecError::invalid(format!("{FIELD}.{directory}"), "", "is not a directory", cure));
        }
    }
    let warm_up_directory =
        entries.get(CHECKPOINT_DIRECTORY).map(|base| naming::warm_up_directory(base, revision.owner_uid));
    for key in [CHECKPOINT_DIRECTORY, SAVEPOINT_DIRECTORY] {
        if let Some(base) = entries.get_mut(key) {
            *base = naming::job_directory(base, namespace, job);
        }
    }
    for key in PER_REVISION {
        if let Some(base) = entries.get_mut(key) {
            *base = naming::revision_directory(base, namespace, job, number);
        }
    }
    let high_availability = high_availability(&mut entries, namespace, &service)?;

    let mut high_availability_directories = Vec::new();
    for directory in PER_REVISION.into_iter().filter(|_| high_availability).filter_map(|key| entries.get(key)) {
        if !high_availability_directories.contains(directory) {
            high_availability_directories.push(directory.clone());
        }
    }

    for (key, value) in DEFAULTS {
        entries.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    }
    let slots = slots(&entries)?;
    let java_opts = java_opts(version, entries.get(JAVA_OPTS).map(String::as_str));
    let [rest, rpc, blob] = [naming::REST_PORT, naming::RPC_PORT, naming::BLOB_PORT].map(|port| port.to_string());
    let any = "0.0.0.0";
    let fixed: [(&str, &str); 10] = [
        ("blob.server.port", &blob),
        (JAVA_OPTS, &java_opts),
        ("jobmanager.bind-host", any),
        ("jobmanager.rpc.address", &service),
        ("jobmanager.rpc.port", &rpc),
        ("rest.address", &service),
        ("rest.bind-address", any),
        ("rest.port", &rest),
        ("taskmanager.bind-host", any),
        ("web.upload.dir", naming::UPLOAD_DIRECTORY),
    ];
    entries.extend(fixed.map(|(key, value)| (key.to_owned(), value.to_owned())));

    Ok(Configuration {
        checkpoint_directory: entries.get(CHECKPOINT_DIRECTORY).cloned(),
        savepoint_directory: entries.get(SAVEPOINT_DIRECTORY).cloned(),
        warm_up_directory,
        high_availability,
        high_availability_directories,
        slots,
        entries,
    })
}

/// Whether the JobManager recovers by Kubernetes; then the cluster gets ids of its own. Two clusters with one id would
/// be a leader and its silent standby.
fn high_availability(
    entries: &mut BTreeMap<String, String>,
    namespace: &str,
    service: &str,
) -> Result<bool, SpecError> {
    let given = entries.get(HA_TYPE).map_or("NONE", |value| value.trim());
    let on = given.eq_ignore_ascii_case("kubernetes") || given == KUBERNETES_HA_FACTORY;
    if !on && !given.eq_ignore_ascii_case("NONE") {
        let problem = "is not supported: the operator cleans up after Kubernetes' high availability only";
        return Err(SpecError::invalid(format!("{FIELD}.{HA_TYPE}"), given, problem, "use kubernetes or NONE"));
    }
    if let Some(other) = entries.get(KUBERNETES_NAMESPACE).filter(|given| *given != namespace) {
        let problem = format!("is not the job's namespace {namespace}");
        return Err(SpecError::invalid(format!("{FIELD}.{KUBERNETES_NAMESPACE}"), other, problem, "remove it"));
    }
    if !on {
        return Ok(false);
    }
    if !entries.contains_key(HA_STORAGE) {
        let problem = format!("needs {HA_STORAGE}");
        let cure = format!("set {HA_STORAGE} to a directory such as s3://bucket/ha");
        return Err(SpecError::invalid(format!("{FIELD}.{HA_TYPE}"), given, problem, cure));
    }
    let port = naming::RPC_PORT.to_string();
    for (key, value) in [
        (HA_CLUSTER_ID, service),
        (HA_PORT, &port),
        (KUBERNETES_CLUSTER_ID, service),
        (KUBERNETES_NAMESPACE, namespace),
    ] {
        entries.insert(key.to_owned(), value.to_owned());
    }
    Ok(true)
}

fn slots(entries: &BTreeMap<String, String>) -> Result<i32, SpecError> {
    let given = entries.get(TASK_SLOTS).map_or("1", String::as_str);
    given.trim().parse::<i32>().ok().filter(|slots| (1..=32_768).contains(slots)).ok_or_else(|| {
        let cure = "give a whole number from 1 to 32768";
        SpecError::invalid(format!("{FIELD}.{TASK_SLOTS}"), given, "is not a number of slots", cure)
    })
}

fn java_opts(version: Option<FlinkVersion>, given: Option<&str>) -> String {
    let first = (version == Some(FlinkVersion::V1_20)).then_some(SHIPPED_JAVA_OPTS_1_20);
    let given = given.map(str::trim).filter(|given| !given.is_empty());
    [first, Some(SHIPPED_JAVA_OPTS), given].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// The configuration as the text of `config.yaml`.
///
/// # Errors
/// If a value cannot be written as YAML.
pub fn to_yaml(entries: &BTreeMap<String, String>) -> Result<String, SpecError> {
    serde_yaml::to_string(entries).map_err(|e| SpecError::Unwritable { format: "YAML", message: e.to_string() })
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
