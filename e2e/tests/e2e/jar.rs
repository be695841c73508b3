//! A job whose jar is not in its image: it is fetched from the bucket, or by its address, and one with other bytes does not run.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    job::{Job, MAIN_CONTAINER, Version},
    namespace::Sandbox,
    proxy::BehindTls,
    session::Process,
};
use flink_savepoint_operator::{
    api::{FlinkJobUpgrade, UpgradeResult},
    naming,
};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, ServiceAccount};
use serde_json::json;

use crate::{
    failed_upgrade::{heals, refused},
    high_availability::highly_available,
    store, story,
};

/// Key prefix of the jars that are put into the bucket.
const JARS: &str = "jars";
const JAR: &str = "/spec/job/jarURI";
const SHA256: &str = "/spec/job/jarSHA256";
/// Name of the ConfigMap and of the volume with the certificate of a platform's own authority.
const AUTHORITIES: &str = "authorities";

/// A job with high availability by an account that the operator makes, from the image's jar to the same one in the
/// bucket, and on the web, at last by TLS. Each wrong hash is refused with both hashes named.
pub async fn from_s3(sandbox: &Sandbox, version: Version) -> Result<()> {
    sandbox.create_store(store::RIGHT).await?;
    let job = highly_available(&sandbox.env, version).unset("/spec/serviceAccount").never_empty();
    let job = job.set("/spec/deletion/job", json!("Cancel"));
    // What can't start is given up soon.
    let hasty = |job: &Job| job.clone().set("/spec/upgrade/progressDeadline", json!("20s"));
    let before = story::started(sandbox, &job).await?;
    let account = naming::account_name(&job.name);
    sandbox.api::<ServiceAccount>().get(&account).await.context("its account")?;

    let (bytes, hash) = (jar_of(sandbox, &before).await?, hash_of(&before)?);
    ensure!(naming::sha256_hex(&bytes) == hash, "the hash in status is not that of the jar");
    let key = format!("{JARS}/{}/counting.jar", sandbox.namespace);
    sandbox.env.s3.write(&key, bytes).await?;

    let wrong = "0a".repeat(32);
    let in_s3 = job.clone().set(JAR, json!(sandbox.env.s3.url(&key)));
    for changed in [hasty(&job), hasty(&in_s3)] {
        sandbox.apply(&changed.set(SHA256, json!(wrong))).await?;
        let stalled = refused(sandbox, &before, UpgradeResult::Failed, &wrong).await?;
        ensure!(stalled.reason == "PodsNotReady" && stalled.message.contains(&hash), "{stalled:?}");
        heals(sandbox, &job).await?;
    }
    let missing = hasty(&job).set(JAR, json!(sandbox.env.s3.url(&format!("{JARS}/none.jar"))));
    sandbox.apply(&missing).await?;
    refused(sandbox, &before, UpgradeResult::Failed, "none.jar does not exist").await?;

    let now = sandbox.jobs().get(&job.name).await?;
    let in_s3 = in_s3.set(SHA256, json!(hash));
    let after = story::upgraded(sandbox, &now, &in_s3).await?;
    ensure!(hash_of(&after.job)? == hash, "{:?}", story::submission(&after.job)?);
    story::handed_over(sandbox, &now, &after).await?;

    // The hash says whose bytes come.
    let on_the_web = in_s3.set(JAR, json!(sandbox.env.s3.signed_url(&key)));
    let web = story::upgraded(sandbox, &after.job, &on_the_web).await?;
    ensure!(hash_of(&web.job)? == hash, "{:?}", story::submission(&web.job)?);
    story::handed_over(sandbox, &after.job, &web).await?;
    by_a_platforms_authority(sandbox, &web.job, &job, &key).await
}

/// By `https`, from a server whose certificate only the platform's own authority vouches for.
async fn by_a_platforms_authority(sandbox: &Sandbox, before: &FlinkJobUpgrade, job: &Job, key: &str) -> Result<()> {
    let server = BehindTls::start(&sandbox.env.s3).await?;
    let job = job.clone().set(JAR, json!(server.s3.signed_url(key))).unset(SHA256);
    let hasty = job.clone().set("/spec/upgrade/progressDeadline", json!("20s"));
    sandbox.apply(&hasty).await?;
    refused(sandbox, before, UpgradeResult::Failed, "SSL_CERT_FILE").await?;

    let certificates = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"ca.crt": server.authority}});
    sandbox.put::<ConfigMap>(AUTHORITIES, certificates).await?;
    let pod = "/spec/podTemplate/spec";
    let volume = json!({"name": AUTHORITIES, "configMap": {"name": AUTHORITIES}});
    let mount = json!({"name": AUTHORITIES, "mountPath": "/etc/authorities"});
    let trusting = job
        .push(&format!("{pod}/volumes"), volume)
        .push(&format!("{pod}/containers/0/volumeMounts"), mount)
        .push(&format!("{pod}/containers/0/env"), json!({"name": "SSL_CERT_FILE", "value": "/etc/authorities/ca.crt"}));
    let after = story::upgraded(sandbox, before, &trusting).await?;
    story::handed_over(sandbox, before, &after).await.map(drop)
}

fn hash_of(job: &FlinkJobUpgrade) -> Result<String> {
    story::submission(job)?.jar_sha256.context("status.active.submission.jarSHA256 is missing")
}

/// The bytes of the jar that a job runs.
async fn jar_of(sandbox: &Sandbox, job: &FlinkJobUpgrade) -> Result<Vec<u8>> {
    let pod = naming::job_manager_pod_name("orders", story::revision(job)?);
    let pod = sandbox.api::<Pod>().get(&pod).await?;
    let jar = format!("{}/{}", naming::JAR_DIRECTORY, naming::JOB_JAR);
    Process::of(&pod, MAIN_CONTAINER)?.read(&jar)
}
