//! The fake API server is held to the real one: each case runs on both, and both answer as it was recorded.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    env::Env,
    wait::{self, Seen},
};
use fakes::{
    clock::Clock,
    conformance::kube::{self as conformance, CASES, Case},
    faults::Faults,
    kube::{ApiServer, Kind},
};
use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client,
    api::{DeleteParams, PostParams},
};
use serde_json::json;

/// How long new kinds may take until they are served.
const SERVED: Duration = Duration::from_secs(30);

/// With `UPDATE_RECORDED=1` the real one's answers become the record.
#[tokio::test]
async fn conformance_kube() -> Result<()> {
    let real = Env::load()?.client().await?;
    let run = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    // In a group of its own: the operator on this cluster must not write to these objects.
    let group = format!("conformance-{run}.savepoints.dev");
    define(&real, &group).await?;
    let compared = compare(&real, &format!("conformance-{run}"), &group).await;
    undefine(&real, &group).await?;
    let (answers, mut failures) = compared?;
    if std::env::var("UPDATE_RECORDED").is_ok_and(|value| value == "1") {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../fakes/src/conformance/kube/recorded.txt");
        std::fs::write(file, &answers).with_context(|| file.to_owned())?;
    } else {
        failures.extend(differences("all", ("real", &answers), ("recorded", conformance::RECORDED)));
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    eprintln!("kube: {} cases x 2", CASES.len());
    Ok(())
}

/// Runs all cases on both: what the real one answered, and where the fake did otherwise.
async fn compare(real: &Client, prefix: &str, group: &str) -> Result<(String, Vec<String>)> {
    let mut answers = String::new();
    let mut failures = Vec::new();
    for (number, case) in CASES.iter().enumerate() {
        let namespace = format!("{prefix}-{number}");
        let fake = run(case, &fake(group)?, &namespace, group).await;
        match (run(case, real, &namespace, group).await, fake) {
            (Ok(real), Ok(fake)) => {
                failures.extend(differences(case.name, ("real", &real), ("fake", &fake)));
                answers.push_str(&real);
            }
            (real, fake) => {
                failures.extend(real.err().map(|error| format!("real: {error:#}")));
                failures.extend(fake.err().map(|error| format!("fake: {error:#}")));
            }
        }
    }
    Ok((answers, failures))
}

/// The first answer that differs: those after it differ as well, or say nothing more.
fn differences(case: &str, (left, here): (&str, &str), (right, there): (&str, &str)) -> Option<String> {
    let differs = here.lines().zip(there.lines()).find(|(here, there)| here != there);
    match differs {
        Some((here, there)) => Some(format!("{case}\n  {left}: {here}\n  {right}: {there}")),
        None if here.lines().count() != there.lines().count() => {
            Some(format!("{case}: {left} has not as many answers as {right}"))
        }
        None => None,
    }
}

fn fake(group: &str) -> Result<Client> {
    let definitions = conformance::definitions(group)?;
    let custom = definitions.iter().filter_map(Kind::of_definition);
    let server = ApiServer::new(Clock::new(chrono::Utc::now()), Kind::built_ins().into_iter().chain(custom).collect());
    Ok(Client::new(server.service(Faults::none()), "default"))
}

/// One case in a namespace of its own.
async fn run(case: &Case, client: &Client, namespace: &str, group: &str) -> Result<String> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let manifest = serde_json::from_value(json!({"metadata": {"name": namespace}}))?;
    namespaces.create(&PostParams::default(), &manifest).await?;
    let outcome = conformance::run(case, client.clone(), namespace, group).await;
    // A case may have deleted it.
    let gone = namespaces.delete(namespace, &DeleteParams::background()).await;
    if !matches!(&gone, Err(kube::Error::Api(status)) if status.is_not_found()) {
        gone?;
    }
    outcome
}

async fn define(client: &Client, group: &str) -> Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in conformance::definitions(group)? {
        let definition: CustomResourceDefinition = serde_json::from_value(definition)?;
        api.create(&PostParams::default(), &definition).await?;
        let name = definition.metadata.name.unwrap_or_default();
        let established = |definition: &CustomResourceDefinition| {
            let conditions = definition.status.iter().flat_map(|status| status.conditions.iter().flatten());
            conditions.into_iter().any(|condition| condition.type_ == "Established" && condition.status == "True")
        };
        wait::on(&api, &name, "Established", SERVED, established).await?;
        // Established a moment before it is served.
        let plural = name.split('.').next().unwrap_or_default();
        wait::until("served", SERVED, async || {
            let request = http::Request::get(format!("/apis/{group}/v1alpha1/{plural}")).body(Vec::new())?;
            client.request_text(request).await?;
            Ok(Seen::Yes(()))
        })
        .await?;
    }
    Ok(())
}

async fn undefine(client: &Client, group: &str) -> Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in conformance::definitions(group)? {
        let name = definition.pointer("/metadata/name").and_then(serde_json::Value::as_str).unwrap_or_default();
        api.delete(name, &DeleteParams::default()).await?;
    }
    Ok(())
}
