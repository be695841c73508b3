//! A second operator, as when somebody installs it twice: in another namespace it has a Lease of its own, so both act.

use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{EnvVar, Pod, ServiceAccount},
    rbac::v1::Role,
};
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use serde_json::json;

use crate::{
    namespace::Sandbox,
    operator::{NAMESPACE, Operator},
    wait::{self, Seen},
};

/// Name of its objects; and of those of the first, which has the name of its namespace.
const NAME: &str = NAMESPACE;
/// How long its end may take: it ends the calls that are under way.
const END: Duration = Duration::from_secs(40);
/// What it says last, where the test fails.
const LOG_LINES: i64 = 150;

impl Sandbox {
    /// Runs a part of a test with a second operator, the same as the first, which acts in this namespace only. At the
    /// end it is removed, whatever became of the test.
    ///
    /// # Errors
    /// Those of the test; or it does not start, or does not end.
    pub async fn with_second_operator(&self, body: impl AsyncFnOnce(&Operator) -> Result<()>) -> Result<()> {
        let second = Operator::installed_in(self.client.clone(), &self.namespace);
        let outcome = match self.install_second().await.context("second operator") {
            Ok(()) => match second.pod().await {
                Ok(_) => body(&second).await,
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        if outcome.is_err() {
            let log = second.log(LOG_LINES, false).await.unwrap_or_else(|error| format!("{error:#}"));
            eprintln!("the second operator's log:\n{log}");
        }
        let removed = self.remove_second().await.context("the second operator is to be removed");
        outcome.and(removed)
    }

    async fn install_second(&self) -> Result<()> {
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount"});
        self.put::<ServiceAccount>(NAME, account).await?;
        let of_first: Api<Role> = Api::namespaced(self.client.clone(), NAMESPACE);
        let rules = of_first.get(NAME).await?.rules;
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "rules": rules});
        self.put::<Role>(NAME, role).await?;
        self.bind(&format!("{NAME}-lease"), "Role", NAME, NAME).await?;
        self.bind(NAME, "ClusterRole", NAME, NAME).await?;

        let of_first: Api<Deployment> = Api::namespaced(self.client.clone(), NAMESPACE);
        let first = of_first.get(NAME).await?.spec.context("a Deployment without a spec")?;
        let mut template = first.template;
        let pod = template.spec.as_mut().context("a pod template without a spec")?;
        pod.service_account_name = Some(NAME.to_owned());
        let container = pod.containers.first_mut().context("a pod template without a container")?;
        let only = EnvVar { name: "WATCH_NAMESPACE".to_owned(), value: Some(self.namespace.clone()), value_from: None };
        container.env.get_or_insert_default().push(only);
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {
            "replicas": 1, "selector": first.selector, "template": template,
        }});
        self.put::<Deployment>(NAME, deployment).await.map(drop)
    }

    async fn remove_second(&self) -> Result<()> {
        let deployments = self.api::<Deployment>();
        let selector = match deployments.get_opt(NAME).await? {
            Some(deployment) => deployment.spec.and_then(|spec| spec.selector.match_labels).unwrap_or_default(),
            None => return Ok(()),
        };
        deployments.delete(NAME, &DeleteParams::background()).await?;
        let selector: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let pods = ListParams::default().labels(&selector.join(","));
        wait::until("the second operator is gone", END, async || {
            let left = self.api::<Pod>().list(&pods).await?.items;
            Ok(if left.is_empty() { Seen::Yes(()) } else { Seen::NotYet(format!("{} pods", left.len())) })
        })
        .await
    }
}
