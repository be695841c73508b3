//! A session cluster whose REST endpoint speaks HTTPS.

use anyhow::{Context as _, Result, ensure};
use e2e::{job::Version, namespace::Sandbox, session::Wish, wait};
use flink_savepoint_operator::api::{FlinkJobUpgrade, FlinkSavepoint, annotations};
use k8s_openapi::api::core::v1::Secret;
use kube::api::DeleteParams;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};

use crate::foreign::{DEADLINE, Foreign};
use crate::{session, story};

/// The Secret with the authority's certificate.
const SECRET: &str = "flink-tls";

/// What is wrong is said; with the right authority a savepoint of its job is taken, and another job started there.
pub async fn by_https(sandbox: &Sandbox, version: Version) -> Result<()> {
    let foreign = Foreign::new(sandbox, Wish { tls: true, task_managers: 2, ..Wish::of(version) }).await?;
    let job = foreign.job("clicks", 1).await?;
    let by = |tls: Value| json!({"flinkCluster": {"service": foreign.cluster.name, "jobId": job, "tls": tls}});
    let named = json!({"secretRef": {"name": SECRET}});

    foreign.take("plain", &job, json!({})).await?;
    says(&foreign, "plain", "JobManagerUnreachable", "set flinkCluster.tls").await?;
    foreign.take("missing", &job, by(named.clone())).await?;
    says(&foreign, "missing", "SecretMalformed", "must exist and have the label savepoints.dev/flink-service: flink")
        .await?;

    trust(sandbox, &stranger()?).await?;
    foreign.take("stranger", &job, by(named.clone())).await?;
    says(&foreign, "stranger", "JobManagerUnreachable", "is of an authority that is not trusted").await?;

    trust(sandbox, foreign.cluster.authority.as_deref().context("no authority")?).await?;
    let other = json!({"secretRef": {"name": SECRET}, "serverName": "flink.example"});
    foreign.take("other-name", &job, by(other)).await?;
    let carries = format!("its certificate carries {}.{}.svc, and not flink.example", "flink", sandbox.namespace);
    says(&foreign, "other-name", "JobManagerUnreachable", &carries).await?;

    for name in ["plain", "other-name"] {
        sandbox.savepoints().delete(name, &DeleteParams::default()).await?;
        wait::gone::<FlinkSavepoint>(&sandbox.savepoints(), name, DEADLINE).await?;
    }
    // What was refused by the Secret goes on as that is mended.
    for name in ["missing", "stranger"] {
        // Until it is looked at again, it says that it is Stalled.
        wait::on(&sandbox.savepoints(), name, "Ready", DEADLINE, |s| wait::holds(s, "Ready")).await?;
        foreign.completed(name).await?;
    }

    let upgrade = session::job(sandbox, &foreign.cluster, version).await?;
    let upgrade = upgrade.set("/spec/flinkCluster/tls", named);
    story::started(sandbox, &upgrade).await?;
    sandbox.jobs().delete(&upgrade.name, &DeleteParams::default()).await?;
    wait::gone::<FlinkJobUpgrade>(&sandbox.jobs(), &upgrade.name, story::UPGRADE).await?;
    story::all_removed(sandbox, &upgrade.name).await
}

/// Puts an authority's certificate into the Secret.
async fn trust(sandbox: &Sandbox, authority: &str) -> Result<()> {
    let metadata = json!({"name": SECRET, "labels": {annotations::FLINK_SERVICE: "flink"}});
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"ca.crt": authority}});
    sandbox.put::<Secret>(SECRET, secret).await.map(drop)
}

/// The certificate of an authority that has signed nothing.
fn stranger() -> Result<String> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?.pem())
}

/// Waits until Ready of a savepoint has this reason, and this in its message.
async fn says(foreign: &Foreign<'_>, name: &str, reason: &str, message: &str) -> Result<()> {
    let savepoint = foreign.says(name, reason).await?;
    let ready = wait::condition(&savepoint, "Ready").context("no condition")?;
    let said = ready.get("message").and_then(Value::as_str).unwrap_or_default();
    ensure!(said.contains(message), "{name}: {said}");
    Ok(())
}
