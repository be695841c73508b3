//! How the REST endpoint of somebody else's Flink cluster is spoken to: its address, and what Secrets have for it.

use std::collections::BTreeMap;

use http::HeaderValue;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt as _};

use crate::api::condition::Reason;
use crate::api::{ClusterTls, SessionClusterRef, annotations};
use crate::context::Context;
use crate::flink::{Connector, Tls, credentials, tls};
use crate::naming;
use crate::reconcile::{Error, within};

/// Why it can't be spoken to as the spec says: for the user.
pub type Refused = (Reason, String);

/// What is needed to speak to it.
#[derive(Debug, Clone, Default)]
pub struct Means {
    /// What is sent with every request.
    pub authorization: Option<HeaderValue>,
    /// How, where it speaks HTTPS.
    pub tls: Option<Tls>,
}

/// The port of a cluster's Service.
#[must_use]
pub fn port(cluster: &SessionClusterRef) -> i32 {
    cluster.port.unwrap_or(i32::from(naming::REST_PORT))
}

/// `http`, or `https` where it speaks that.
#[must_use]
pub fn scheme(cluster: &SessionClusterRef) -> &'static str {
    if cluster.tls.is_some() { "https" } else { "http" }
}

/// Its base URL, by the name of its Service.
#[must_use]
pub fn url(cluster: &SessionClusterRef, namespace: &str) -> String {
    format!("{}://{}:{}", scheme(cluster), host(cluster, namespace), port(cluster))
}

fn host(cluster: &SessionClusterRef, namespace: &str) -> String {
    format!("{}.{namespace}.svc", cluster.service)
}

/// The name that its certificate must carry. It is asked at its pod's address, which no certificate has.
#[must_use]
pub fn server_name(cluster: &SessionClusterRef, tls: &ClusterTls, namespace: &str) -> String {
    tls.server_name.clone().unwrap_or_else(|| host(cluster, namespace))
}

/// Reads the Secrets that the spec names. Each pass does, so that one that was rotated is used.
///
/// # Errors
/// If Kubernetes can't be asked. The inner error is for the user.
pub async fn means(
    ctx: &Context,
    namespace: &str,
    cluster: &SessionClusterRef,
) -> Result<Result<Means, Refused>, Error> {
    let mut means = Means::default();
    if let Some(secret) = &cluster.auth_secret_ref {
        let found = marked(ctx, namespace, &secret.name, &cluster.service).await?;
        match authorization(found, &secret.name, &cluster.service) {
            Ok(header) => means.authorization = Some(header),
            Err(message) => return Ok(Err((Reason::SecretMalformed, message))),
        }
    }
    if let Some(tls) = &cluster.tls {
        let secret = match &tls.secret_ref {
            None => None,
            Some(secret) => Some((secret.name.as_str(), marked(ctx, namespace, &secret.name, &cluster.service).await?)),
        };
        match secured(&ctx.flink, secret, &server_name(cluster, tls, namespace), &cluster.service) {
            Ok(tls) => means.tls = Some(tls),
            Err(refused) => return Ok(Err(refused)),
        }
    }
    Ok(Ok(means))
}

/// What a Secret has, by key.
type Data = BTreeMap<String, Vec<u8>>;

/// What a Secret has, if it says itself that it may be used for a Service: who may create a FlinkSavepoint need not be one
/// who may read Secrets. Whether one without the label exists is not told.
async fn marked(ctx: &Context, namespace: &str, name: &str, service: &str) -> Result<Option<Data>, Error> {
    let secrets: Api<Secret> = Api::namespaced(ctx.client.clone(), namespace);
    let found = within("get Secret", secrets.get_opt(name)).await?;
    Ok(found.and_then(|secret| of_service(secret, service)))
}

fn of_service(secret: Secret, service: &str) -> Option<Data> {
    let marked = secret.labels().get(annotations::FLINK_SERVICE).is_some_and(|of| of == service);
    marked.then(|| secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect())
}

fn not_marked(field: &str, name: &str, service: &str, what: &str) -> String {
    format!(
        "spec.flinkCluster.{field}: Secret {name} must exist and have the label {}: {service}, which allows that it is \
         {what} there",
        annotations::FLINK_SERVICE
    )
}

/// The header for the credentials in a Secret.
fn authorization(secret: Option<Data>, name: &str, service: &str) -> Result<HeaderValue, String> {
    const FIELD: &str = "authSecretRef.name";
    let data = secret.ok_or_else(|| not_marked(FIELD, name, service, "sent"))?;
    credentials::header(&data).ok_or_else(|| {
        format!(
            "spec.flinkCluster.{FIELD}: Secret {name} must hold username and password, or token, as plain text without a line \
             break"
        )
    })
}

/// The client for what a Secret has (its name; `None`: the spec names none).
fn secured(
    flink: &Connector,
    secret: Option<(&str, Option<Data>)>,
    server_name: &str,
    service: &str,
) -> Result<Tls, Refused> {
    const FIELD: &str = "tls.secretRef.name";
    let (name, data) = match secret {
        None => (None, None),
        Some((name, Some(data))) => (Some(name), Some(data)),
        Some((name, None)) => return Err((Reason::SecretMalformed, not_marked(FIELD, name, service, "used"))),
    };
    flink.tls(data.as_ref(), server_name).map_err(|invalid| match name {
        Some(name) if invalid.is_of_secret() => {
            (Reason::SecretMalformed, format!("spec.flinkCluster.{FIELD}: Secret {name} {invalid}"))
        }
        _ => {
            let field = if matches!(invalid, tls::Invalid::ServerName(_)) { "tls.serverName" } else { "tls" };
            (Reason::InvalidSpec, format!("spec.flinkCluster.{field}: {invalid}"))
        }
    })
}

#[cfg(test)]
#[path = "endpoint_tests.rs"]
mod tests;
