//! Types that several kinds share.

use std::borrow::Cow;
use std::collections::BTreeMap;

use kube::KubeSchema;
use kube::core::Rule;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::rules::{DURATION, DURATION_CURE, MAX_URL, naming_the_text, text, url};

/// An object that the schema does not look into: its fields are kept as they are.
pub(super) fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// Defines an enum that is a string in JSON, with a variant `Unknown` for every text that this version does not know.
///
/// The schema lists the known texts only and carries no description of its own, so that the field's is kept.
macro_rules! string_enum {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)+
            /// A value that this version does not know: hold still, say so, write nothing.
            #[serde(other, rename = "Unknown")]
            Unknown,
        }

        impl $name {
            /// Every value that this version knows.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The value as it stands in the API.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Unknown => "Unknown",
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                // A list of its own: the macro recurses for each item that is written into it.
                let values: &[&str] = &[$($text),+];
                schemars::json_schema!({ "type": "string", "enum": values })
            }
        }
    };
}
pub(super) use string_enum;

string_enum! {
    /// The format of a savepoint.
    pub enum FormatType {
        /// One format for all state backends.
        Canonical = "CANONICAL",
        /// The state backend's own files: fast, and bound to that backend.
        Native = "NATIVE",
    }
}

string_enum! {
    /// Who owns a snapshot's files after a restore from it; Flink's restore mode (claim mode since 2.0).
    pub enum RestoreMode {
        /// The user; the snapshot is needed until the new job's first checkpoint, a full one, is complete.
        NoClaim = "NO_CLAIM",
        /// Flink, which may delete them; never two jobs from one snapshot.
        Claim = "CLAIM",
        /// Nobody clearly: checkpoints of the new job may refer into the snapshot for ever.
        Legacy = "LEGACY",
    }
}

string_enum! {
    /// What becomes of a snapshot's files when its resource is deleted.
    pub enum DeletionPolicy {
        /// They stay.
        Retain = "Retain",
        /// They go with the resource, once nothing holds them.
        Delete = "Delete",
    }
}

/// A duration as `90s`, `10m`, `1h30m` or `7d`: whole days, hours, minutes and seconds, in this order, at least one.
///
/// It holds the text as written; a text that Kubernetes would have refused is no reason to fail reading the object,
/// so [`Duration::parse`] is where it is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Duration(pub String);

/// Why a [`Duration`] could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// The text does not follow the grammar.
    #[error("duration '{0}' cannot be read: write whole days, hours, minutes and seconds such as 90s, 10m or 1h30m")]
    Malformed(String),
    /// The text names more seconds than can be counted.
    #[error("duration '{0}' is too long: at most 365000 days can be counted")]
    TooLong(String),
}

/// The longest duration that is accepted, in seconds: a thousand years of 365 days.
const MAX_SECONDS: u64 = 365_000 * 86_400;

impl Duration {
    /// The duration of so many whole seconds.
    #[must_use]
    pub fn from_secs(seconds: u64) -> Self {
        Self(format!("{seconds}s"))
    }

    /// Reads the text.
    ///
    /// # Errors
    /// If the text is not of the form of `1h30m`, or longer than a thousand years.
    pub fn parse(&self) -> Result<std::time::Duration, DurationError> {
        let malformed = || DurationError::Malformed(self.0.clone());
        let too_long = || DurationError::TooLong(self.0.clone());
        let mut rest = self.0.as_str();
        if rest.is_empty() {
            return Err(malformed());
        }
        let mut seconds: u64 = 0;
        for (unit, factor) in [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)] {
            let Some((number, after)) = rest.split_once(unit) else { continue };
            if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(malformed());
            }
            let number: u64 = number.parse().map_err(|_| too_long())?;
            seconds = number.checked_mul(factor).and_then(|part| seconds.checked_add(part)).ok_or_else(too_long)?;
            rest = after;
        }
        match (rest.is_empty(), seconds) {
            (false, _) => Err(malformed()),
            (true, 0..=MAX_SECONDS) => Ok(std::time::Duration::from_secs(seconds)),
            (true, _) => Err(too_long()),
        }
    }
}

impl From<&str> for Duration {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl std::fmt::Display for Duration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": 32,
            "x-kubernetes-validations": [Rule::new(DURATION).message(naming_the_text(DURATION_CURE))],
        })
    }
}

/// Another object of the same namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct LocalRef {
    /// Name of the object, in the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// A named object and the UID that it had when it was recorded.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// Name of the object, in the same namespace.
    pub name: String,
    /// UID of the object; left out while it is not made yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

/// How a Flink cluster's REST endpoint is reached over TLS.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ClusterTls {
    /// Secret with `ca.crt`, and with `tls.crt` and `tls.key` where the endpoint asks for a client certificate. Without
    /// `ca.crt`, or left out: the system's certificate authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalRef>,
    /// Name that the endpoint's certificate must carry. Left out: the Service's DNS name, `<service>.<namespace>.svc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub server_name: Option<String>,
}

/// An existing Flink session cluster, by the Service of its REST endpoint.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SessionClusterRef {
    /// Name of the Service of the JobManager's REST endpoint, in the same namespace.
    #[schemars(length(min = 1, max = 63))]
    pub service: String,
    /// Port of that Service. Left out: 8081, Flink's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub port: Option<i32>,
    /// Set where the endpoint speaks HTTPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClusterTls>,
    /// Secret with `username` and `password`, or with `token`, that is sent with every request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_secret_ref: Option<LocalRef>,
}

/// A job of an existing Flink cluster, by the Service of its REST endpoint.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.jobId) && has(self.jobName))")
    .message("name the job by jobId or by jobName, not by both"))]
pub struct FlinkClusterRef {
    /// Name of the Service of the JobManager's REST endpoint, in the same namespace.
    #[schemars(length(min = 1, max = 63))]
    pub service: String,
    /// Port of that Service. Left out: 8081, Flink's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub port: Option<i32>,
    /// Set where the endpoint speaks HTTPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClusterTls>,
    /// Secret with `username` and `password`, or with `token`, that is sent with every request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_secret_ref: Option<LocalRef>,
    /// The job by its Flink job ID (32 hexadecimal digits).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = text(
        "self.matches('^[0-9a-f]{32}$')",
        "must be a Flink job ID: 32 hexadecimal digits in lower case"
    ))]
    pub job_id: Option<String>,
    /// The job by its name, which must be unique among the cluster's jobs that have not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub job_name: Option<String>,
}

impl FlinkClusterRef {
    /// The cluster, without the job.
    #[must_use]
    pub fn cluster(&self) -> SessionClusterRef {
        let Self { service, port, tls, auth_secret_ref, job_id: _, job_name: _ } = self.clone();
        SessionClusterRef { service, port, tls, auth_secret_ref }
    }
}

/// Processor and memory of one pod, as on Apache's `FlinkDeployment`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ResourceSpec {
    /// Processors of one pod: its request and its limit, such as 0.5 or 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.001, max = 1024.0))]
    pub cpu: Option<f64>,
    /// Memory of one pod, read by Flink's grammar (`2048m` is 2048 MiB; `2g`, `2 gb`, `2Gi` are understood, too).
    /// It is the pod's request and limit and the process size of Flink's memory model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = text(
        "self.matches('^[0-9]+ *([a-zA-Z]+)?$')",
        "must be an amount of memory in Flink's grammar such as 2048m or 2g, or Kubernetes' 2Gi"
    ))]
    pub memory: Option<String>,
}

/// Arbitrary Flink configuration: flat keys, nested maps, or both.
pub type FlinkConfiguration = BTreeMap<String, serde_json::Value>;

/// Where a snapshot lies.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.name) != has(self.path)")
    .message("give exactly one of name (a FlinkSavepoint) and path (a directory)"))]
pub struct SnapshotRef {
    /// Name of a completed FlinkSavepoint of the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,
    /// Directory of the snapshot, such as `s3://bucket/savepoints/savepoint-6a4c56-b1c8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_URL))]
    #[x_kube(validation = url())]
    pub path: Option<String>,
}

#[cfg(test)]
#[path = "common_tests.rs"]
mod tests;
