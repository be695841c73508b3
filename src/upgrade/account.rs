//! The ServiceAccount of a job's pods, with Role and RoleBinding, where the operator makes it: see
//! [`workload::Account`].

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::{Api, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::act::{create, delete_one};
use super::workload;
use crate::api::{FlinkJobUpgrade, labels};
use crate::context::Context;
use crate::naming;
use crate::reconcile::{Error, within};

/// Creates what is missing of it.
///
/// # Errors
/// If Kubernetes can't be asked, or somebody else's object has the name.
pub async fn make(ctx: &Context, upgrade: &FlinkJobUpgrade, account: &workload::Account) -> Result<(), Error> {
    let uid = upgrade.uid().unwrap_or_default();
    create(&api(ctx, upgrade), &account.service_account, &uid).await?;
    create(&api(ctx, upgrade), &account.role, &uid).await?;
    create(&api(ctx, upgrade), &account.role_binding, &uid).await
}

/// Whether anything of it is there. Asked only while the resource is being deleted: nothing else depends on it.
///
/// # Errors
/// If Kubernetes can't be asked.
pub async fn is_left(ctx: &Context, upgrade: &FlinkJobUpgrade) -> Result<bool, Error> {
    if upgrade.metadata.deletion_timestamp.is_none() {
        return Ok(false);
    }
    let (account, role, binding) = tokio::try_join!(
        own::<ServiceAccount>(ctx, upgrade),
        own::<Role>(ctx, upgrade),
        own::<RoleBinding>(ctx, upgrade),
    )?;
    Ok(account.is_some() || role.is_some() || binding.is_some())
}

/// Deletes what is there of it, and nothing of that name that is somebody else's.
///
/// # Errors
/// If Kubernetes can't be asked.
pub async fn remove(ctx: &Context, upgrade: &FlinkJobUpgrade) -> Result<(), Error> {
    remove_one::<RoleBinding>(ctx, upgrade).await?;
    remove_one::<Role>(ctx, upgrade).await?;
    remove_one::<ServiceAccount>(ctx, upgrade).await
}

async fn remove_one<K>(ctx: &Context, upgrade: &FlinkJobUpgrade) -> Result<(), Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + Serialize
        + DeserializeOwned,
{
    let Some(found) = own::<K>(ctx, upgrade).await? else { return Ok(()) };
    delete_one(&api::<K>(ctx, upgrade), &found.name_any(), found.uid(), found.resource_version()).await
}

/// That of this job, by its name. Who may not look has not made it, either: that keeps no resource from its end.
async fn own<K>(ctx: &Context, upgrade: &FlinkJobUpgrade) -> Result<Option<K>, Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let name = naming::account_name(&upgrade.name_any());
    let found = match within("get", api::<K>(ctx, upgrade).get_opt(&name)).await {
        Err(Error::Kube { source, .. }) if is_forbidden(&source) => None,
        found => found?,
    };
    let uid = upgrade.uid().unwrap_or_default();
    Ok(found.filter(|found| found.labels().get(labels::JOB_UID) == Some(&uid)))
}

fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_forbidden())
}

fn api<K>(ctx: &Context, upgrade: &FlinkJobUpgrade) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    Api::namespaced(ctx.client.clone(), &upgrade.namespace().unwrap_or_default())
}
