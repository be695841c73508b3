//! Waiting for a condition, with a deadline. Nothing else in the tests sleeps.

use std::{
    fmt::Debug,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use kube::{Api, Resource};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::env::Env;

/// Time between two looks.
const POLL: Duration = Duration::from_millis(100);
/// How long the API server may be out of reach before a wait gives up early.
const TOLERATED_ERRORS: usize = 50;

/// What was seen of a condition.
#[derive(Debug)]
pub enum Seen<T> {
    /// It holds, and this is what the caller wants to know.
    Yes(T),
    /// It does not hold yet; the text is what a failure will show.
    NotYet(String),
    /// It can no longer come to hold.
    Never(String),
}

/// Looks every 100 ms until `look` says yes.
///
/// # Errors
/// The deadline passed, or the condition can no longer hold; the message tells what was seen last.
pub async fn until<T>(what: &str, deadline: Duration, mut look: impl AsyncFnMut() -> Result<Seen<T>>) -> Result<T> {
    let start = Instant::now();
    let mut errors = 0;
    loop {
        let last = match look().await {
            Ok(Seen::Yes(value)) => return Ok(value),
            Ok(Seen::Never(why)) => bail!("{what}: cannot come any more, after {:.1?}\n{why}", start.elapsed()),
            Ok(Seen::NotYet(last)) => {
                errors = 0;
                last
            }
            Err(error) => {
                errors += 1;
                if errors > TOLERATED_ERRORS {
                    return Err(error.context(format!("{what}: {errors} looks failed in a row")));
                }
                format!("last look failed: {error:#}")
            }
        };
        if start.elapsed() >= deadline {
            bail!("{what}: not within {deadline:.0?}\n{last}");
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Waits until `condition` holds on the resource of that name.
///
/// # Errors
/// See [`until`]; the message shows the resource's status.
pub async fn on<K>(
    api: &Api<K>,
    name: &str,
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut(&K) -> bool,
) -> Result<K>
where
    K: Resource + Clone + Debug + Serialize + DeserializeOwned,
{
    until(&format!("{name}: {what}"), deadline, async || {
        Ok(match api.get_opt(name).await? {
            Some(object) if condition(&object) => Seen::Yes(object),
            Some(object) => Seen::NotYet(describe(&object)),
            None => Seen::NotYet("there is no such object".to_owned()),
        })
    })
    .await
}

/// Waits until the resource is `Ready` for the generation it has now.
///
/// # Errors
/// See [`until`]. `Stalled` for that same generation ends the wait at once.
pub async fn ready<K>(api: &Api<K>, name: &str, deadline: Duration) -> Result<K>
where
    K: Resource + Clone + Debug + Serialize + DeserializeOwned,
{
    until(&format!("{name}: Ready"), deadline, async || {
        let Some(object) = api.get_opt(name).await? else {
            return Ok(Seen::NotYet("there is no such object".to_owned()));
        };
        Ok(if holds(&object, "Ready") {
            Seen::Yes(object)
        } else if holds(&object, "Stalled") {
            Seen::Never(describe(&object))
        } else {
            Seen::NotYet(describe(&object))
        })
    })
    .await
}

/// Waits until the resource is `Stalled` for the generation it has now, and returns its condition's reason and message.
///
/// # Errors
/// See [`until`].
pub async fn stalled<K>(api: &Api<K>, name: &str, deadline: Duration) -> Result<Stalled>
where
    K: Resource + Clone + Debug + Serialize + DeserializeOwned,
{
    let object = on(api, name, "Stalled", deadline, |object| holds(object, "Stalled")).await?;
    let condition = condition(&object, "Stalled").unwrap_or_default();
    let text = |field: &str| condition.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Stalled { reason: text("reason"), message: text("message") })
}

/// Why a resource is stalled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stalled {
    /// The stable word.
    pub reason: String,
    /// What a user reads.
    pub message: String,
}

/// What `kubectl wait` says of a resource, named as `fju/orders`: kubectl itself, as a pipeline would call it. Ready and
/// Stalled must be of the spec as it is, so that the wait begins when somebody has applied it and ends when it is over.
///
/// # Errors
/// kubectl does not run, or the condition does not come to hold within a minute; with its own words.
pub fn kubectl(env: &Env, namespace: &str, object: &str, condition: &str) -> Result<()> {
    let condition = format!("--for=condition={condition}");
    let mut command = kubectl_command(env);
    let said = command.args(["wait", "--namespace", namespace, "--timeout=60s", &condition, object]).output();
    let said = said.context("kubectl")?;
    let words = String::from_utf8_lossy(&said.stderr);
    ensure!(said.status.success(), "kubectl wait {condition} {object}: {words}");
    Ok(())
}

/// kubectl, for the cluster of the tests.
#[must_use]
pub fn kubectl_command(env: &Env) -> Command {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/cluster/kubectl"));
    command.env("E2E_KUBECONFIG", &env.kubeconfig);
    command
}

/// Waits until no resource of that name is left.
///
/// # Errors
/// See [`until`].
pub async fn gone<K>(api: &Api<K>, name: &str, deadline: Duration) -> Result<()>
where
    K: Resource + Clone + Debug + Serialize + DeserializeOwned,
{
    until(&format!("{name}: gone"), deadline, async || {
        Ok(match api.get_opt(name).await? {
            None => Seen::Yes(()),
            Some(object) => Seen::NotYet(format!("finalizers {:?}\n{}", object.meta().finalizers, describe(&object))),
        })
    })
    .await
}

/// The condition of that type, as JSON, if the resource has one.
#[must_use]
pub fn condition<K: Serialize>(object: &K, kind: &str) -> Option<Value> {
    let object = serde_json::to_value(object).ok()?;
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| condition.get("type").and_then(Value::as_str) == Some(kind)).cloned()
}

/// Whether the condition of that type is True, and says so about the generation the resource has now.
#[must_use]
pub fn holds<K: Resource + Serialize>(object: &K, kind: &str) -> bool {
    condition(object, kind).is_some_and(|condition| {
        condition.get("status").and_then(Value::as_str) == Some("True")
            && condition.get("observedGeneration").and_then(Value::as_i64) == object.meta().generation
    })
}

/// The status as YAML, with the generation it has to be compared with.
pub fn describe<K: Resource + Serialize>(object: &K) -> String {
    let status = serde_json::to_value(object).ok().and_then(|object| object.get("status").cloned());
    let status = status.and_then(|status| serde_yaml::to_string(&status).ok());
    format!(
        "generation {}, status:\n{}",
        object.meta().generation.unwrap_or_default(),
        status.unwrap_or_else(|| "none".to_owned())
    )
}

#[cfg(test)]
#[path = "wait_tests.rs"]
mod wait_tests;
