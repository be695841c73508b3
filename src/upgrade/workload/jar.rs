//! The init container of a JobManager's pod that puts the job's jar where Flink looks for uploaded jars, checks its
//! SHA-256, and leaves that as its message.

use std::path::Path;

use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource, SecretKeySelector, VolumeMount};

use super::error::SpecError;
use super::template::{HELPER_VOLUME, JAR_VOLUME};
use crate::api::JobSpec;
use crate::naming::{HELPER_JAR, JAR_CONTAINER, JAR_DIRECTORY, UPLOAD_DIRECTORY};
use crate::store::open::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, SESSION_TOKEN};

const FIELD: &str = "spec.job.jarURI";

/// The variables by which OpenSSL, and `jar fetch`, are told whose certificates to trust: a file, and a folder.
const TRUST: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Where the init container finds the helper jar.
pub(super) const HELPER_DIRECTORY: &str = "/flink-helper";
/// Puts the job's jar ($1) and the helper jar ($2) where Flink looks for uploaded jars ($3), if its SHA-256 is as it
/// should be ($4; empty: any).
const COPY: &str = r#"mkdir -p "$3" && cp "$1" "$3/job.jar" && cp "$2" "$3/helper.jar" || exit
found=`sha256sum "$3/job.jar" 2>/dev/null` && found=${found%% *} || found=
if [ -n "$4" ] && [ "$found" != "$4" ]; then
  rm "$3/job.jar"
  echo "job.jarSHA256: $1 has SHA-256 ${found:-unknown, as the image has no sha256sum,} and not $4: correct it, or bring the right jar back" >&2
  exit 1
fi
[ -z "$found" ] || echo "$found" >/dev/termination-log || true"#;

/// Where a job's jar lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jar<'a> {
    /// At this path in the image of the job.
    InImage(&'a str),
    /// At this URI in S3.
    S3(&'a str),
    /// At this URI on a web server.
    Web(&'a str),
}

/// How a jar that is not in the job's image is fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetch {
    /// The operator's own image.
    pub image: String,
    /// Address of an S3-compatible server.
    pub endpoint: Option<String>,
    /// Region of the bucket.
    pub region: Option<String>,
    /// Name of the Secret with the keys of S3, in the job's namespace.
    pub secret: Option<String>,
}

impl<'a> Jar<'a> {
    /// Where the jar of a job lies.
    ///
    /// # Errors
    /// If `job.jarURI` does not name a jar.
    pub fn of(job: &'a JobSpec) -> Result<Self, SpecError> {
        let uri = job.jar_uri.as_str();
        let invalid = |problem: &str, cure: &str| Err(SpecError::invalid(FIELD, uri, problem, cure));
        let named = |rest: &str| !rest.ends_with('/') && !rest.chars().any(char::is_control);
        match uri.split_once("://") {
            Some(("local", path)) if path.starts_with('/') && named(path) => Ok(Self::InImage(path)),
            Some(("local", _)) => {
                let cure = "give its absolute path in the image, such as local:///opt/flink/usrlib/job.jar";
                invalid("is not the place of a jar", cure)
            }
            Some(("s3", place))
                if named(place) && place.split_once('/').is_some_and(|(bucket, _)| !bucket.is_empty()) =>
            {
                Ok(Self::S3(uri))
            }
            Some(("s3", _)) => invalid("is not the place of a jar", "name bucket and key, such as s3://bucket/job.jar"),
            Some(("http", _)) if job.jar_sha256.is_none() => {
                invalid("says nothing of whose bytes come", "give job.jarSHA256, or use https://")
            }
            Some(("https" | "http", place)) if named(place) && place.contains('/') && !place.contains('@') => {
                Ok(Self::Web(uri))
            }
            Some(("https" | "http", _)) => {
                invalid("is not the place of a jar", "give host and path, and no user, such as https://host/job.jar")
            }
            _ => invalid(
                "is of a scheme that jars are not fetched by",
                "use local:///path in the image, s3:// or https://, or http:// with jarSHA256",
            ),
        }
    }

    /// The init container. `of_image`: a container of the job's image; `given`: Flink's container, as the user's pod
    /// template has it.
    pub(super) fn container(
        self,
        sha256: Option<&str>,
        fetch: &Fetch,
        of_image: Container,
        given: Option<&Container>,
    ) -> Container {
        let container = match self {
            Self::InImage(path) => copied(path, sha256, of_image, given),
            Self::S3(uri) | Self::Web(uri) => fetched(uri, sha256, fetch, of_image, given),
        };
        let own = |name: &str, path: &str, read_only: Option<bool>| VolumeMount {
            name: name.to_owned(),
            mount_path: path.to_owned(),
            read_only,
            ..VolumeMount::default()
        };
        let own = [own(JAR_VOLUME, UPLOAD_DIRECTORY, None), own(HELPER_VOLUME, HELPER_DIRECTORY, Some(true))];
        let mounts = own.into_iter().chain(container.volume_mounts.unwrap_or_default()).collect();
        Container { name: JAR_CONTAINER.to_owned(), volume_mounts: Some(mounts), ..container }
    }
}

/// Also from a volume of the user's, in which another init container may have put the jar.
fn copied(path: &str, sha256: Option<&str>, of_image: Container, given: Option<&Container>) -> Container {
    let helper = format!("{HELPER_DIRECTORY}/{HELPER_JAR}");
    let sha256 = sha256.unwrap_or_default().to_ascii_lowercase();
    let command = ["sh", "-c", COPY, "sh", &as_it_is(path), &helper, JAR_DIRECTORY, &sha256];
    Container {
        command: Some(command.map(str::to_owned).into()),
        volume_mounts: Some(mounts_above(&[path], given)),
        ..of_image
    }
}

/// The volumes of Flink's container in which the paths lie.
fn mounts_above(paths: &[&str], given: Option<&Container>) -> Vec<VolumeMount> {
    let mounts = given.and_then(|given| given.volume_mounts.as_deref()).unwrap_or_default();
    let above = |mount: &&VolumeMount| paths.iter().any(|path| Path::new(path).starts_with(&mount.mount_path));
    mounts.iter().filter(above).cloned().collect()
}

/// By the authorities that Flink's container is to trust, if it names its own.
fn fetched(
    uri: &str,
    sha256: Option<&str>,
    fetch: &Fetch,
    of_image: Container,
    given: Option<&Container>,
) -> Container {
    let helper = format!("{HELPER_DIRECTORY}/{HELPER_JAR}");
    let mut args = vec!["jar".to_owned(), "fetch".to_owned(), as_it_is(uri)];
    let flags = [
        ("--into", Some(JAR_DIRECTORY)),
        ("--helper", Some(helper.as_str())),
        ("--sha256", sha256),
        ("--endpoint", fetch.endpoint.as_deref()),
        ("--region", fetch.region.as_deref()),
    ];
    for (flag, value) in flags {
        args.extend(value.map(|value| format!("{flag}={}", as_it_is(value))));
    }
    let variable = |name: &str, key: &str, optional: Option<bool>| {
        let secret = fetch.secret.as_deref()?;
        let key = SecretKeySelector { name: secret.to_owned(), key: key.to_owned(), optional };
        let source = EnvVarSource { secret_key_ref: Some(key), ..EnvVarSource::default() };
        Some(EnvVar { name: name.to_owned(), value_from: Some(source), ..EnvVar::default() })
    };
    let variables = given.and_then(|given| given.env.as_deref()).unwrap_or_default();
    let trust: Vec<&EnvVar> = variables.iter().filter(|variable| TRUST.contains(&variable.name.as_str())).collect();
    let places: Vec<&str> = trust.iter().filter_map(|variable| variable.value.as_deref()).collect();
    let mounts = mounts_above(&places, given);
    let env: Vec<EnvVar> = [
        variable("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID, None),
        variable("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY, None),
        variable("AWS_SESSION_TOKEN", SESSION_TOKEN, Some(true)),
    ]
    .into_iter()
    .flatten()
    .chain(trust.into_iter().cloned())
    .collect();
    Container {
        image: Some(fetch.image.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        args: Some(args),
        env: (!env.is_empty()).then_some(env),
        volume_mounts: (!mounts.is_empty()).then_some(mounts),
        ..of_image
    }
}

/// Kubernetes would expand `$(…)` in a command.
fn as_it_is(text: &str) -> String {
    text.replace('$', "$$")
}

#[cfg(test)]
#[path = "jar_tests.rs"]
mod tests;
