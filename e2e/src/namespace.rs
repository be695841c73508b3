//! A namespace for each test, with what a Flink job needs in it, and its end.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    panic::{AssertUnwindSafe, resume_unwind},
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use flink_savepoint_operator::api::{FlinkJobUpgrade, FlinkSavepoint, FlinkSnapshotStore};
use futures::FutureExt as _;
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        core::v1::{Namespace, PersistentVolume, PersistentVolumeClaim, Secret, ServiceAccount},
        rbac::v1::{Role, RoleBinding},
    },
};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{dump, env::Env, flink::Flink, job::Job, operator::Operator, records::Records, wait};

/// Name of the volume claim that the counting job writes to, and of the volume in its pods.
pub const RECORDS: &str = "records";
/// The user that Flink's images run as.
const FLINK_UID: u32 = 9999;
/// How long the claim of a ready volume may take to be bound.
const BOUND: Duration = Duration::from_secs(30);
/// How long the first probe of a store may take.
const STORE: Duration = Duration::from_secs(30);
/// Who applies manifests.
const MANAGER: &str = "e2e";

/// A namespace of one test.
pub struct Sandbox {
    /// The cluster.
    pub env: Env,
    /// A client of the cluster.
    pub client: Client,
    /// The operator under test.
    pub operator: Operator,
    /// Name of the namespace.
    pub namespace: String,
    test: String,
}

impl Sandbox {
    /// Runs a test in a namespace of its own, which goes when the test succeeds. When it fails the namespace stays,
    /// and what is known of it is written to `<cache>/logs/<test>`.
    ///
    /// # Errors
    /// Those of the test, or of making and removing the namespace.
    pub async fn run(test: &str, body: impl AsyncFnOnce(&Self) -> Result<()>) -> Result<()> {
        let sandbox = Self::new(test).await?;
        let outcome = AssertUnwindSafe(body(&sandbox)).catch_unwind().await;
        let outcome = match outcome {
            Ok(Ok(())) => AssertUnwindSafe(sandbox.remove()).catch_unwind().await,
            failed => failed,
        };
        if !matches!(outcome, Ok(Ok(()))) {
            dump::write(&sandbox.client, &sandbox.operator, &sandbox.namespace, &sandbox.failure_folder()).await;
        }
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Makes the namespace, the Secret `s3`, and the volume claim `records`.
    ///
    /// # Errors
    /// There is no cluster, or it refuses.
    pub async fn new(test: &str) -> Result<Self> {
        let env = Env::load()?;
        let client = env.client().await?;
        let namespace = format!("e2e-{}-{}", test.replace('_', "-"), unique()?);
        let operator = Operator::new(client.clone());
        let sandbox = Self { env, client, operator, namespace, test: test.to_owned() };
        sandbox.furnish().await.with_context(|| format!("namespace {}", sandbox.namespace))?;
        Ok(sandbox)
    }

    async fn furnish(&self) -> Result<()> {
        let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
        let namespace = json!({"metadata": {"name": self.namespace, "labels": labels}});
        create::<Namespace>(&Api::all(self.client.clone()), namespace).await?;

        let s3 = &self.env.s3;
        let keys = json!({"AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key});
        create::<Secret>(&self.api(), json!({"metadata": {"name": "s3"}, "stringData": keys})).await?;

        let folder = self.records_folder();
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777))?;
        // Only root can; everybody may write there anyhow.
        let _ = chown(&folder, Some(FLINK_UID), Some(FLINK_UID));
        let volume = json!({
            "metadata": {"name": self.namespace},
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteMany"],
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": "",
                "claimRef": {"namespace": self.namespace, "name": RECORDS},
                "hostPath": {"path": folder, "type": "Directory"},
            },
        });
        create::<PersistentVolume>(&Api::all(self.client.clone()), volume).await?;
        let claim = json!({
            "metadata": {"name": RECORDS},
            "spec": {
                "accessModes": ["ReadWriteMany"],
                "storageClassName": "",
                "volumeName": self.namespace,
                "resources": {"requests": {"storage": "1Gi"}},
            },
        });
        create::<PersistentVolumeClaim>(&self.api(), claim).await?;
        // A pod that comes before the claim is bound is put off for many seconds.
        let bound = |c: &PersistentVolumeClaim| c.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Bound");
        wait::on(&self.api::<PersistentVolumeClaim>(), RECORDS, "bound", BOUND, bound).await?;
        Ok(())
    }

    /// The API of a namespaced kind in this namespace.
    #[must_use]
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The jobs in this namespace.
    #[must_use]
    pub fn jobs(&self) -> Api<FlinkJobUpgrade> {
        self.api()
    }

    /// The savepoints in this namespace.
    #[must_use]
    pub fn savepoints(&self) -> Api<FlinkSavepoint> {
        self.api()
    }

    /// The snapshot stores in this namespace.
    #[must_use]
    pub fn stores(&self) -> Api<FlinkSnapshotStore> {
        self.api()
    }

    /// Applies the manifest of an object of that name, as `kubectl apply --server-side` does.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn put<K>(&self, name: &str, mut manifest: Value) -> Result<K>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
        K::DynamicType: Default,
    {
        if let Some(fields) = manifest.as_object_mut() {
            fields.entry("metadata").or_insert_with(|| json!({"name": name}));
        }
        let parameters = PatchParams::apply(MANAGER).force();
        self.api().patch(name, &parameters, &Patch::Apply(&manifest)).await.with_context(|| format!("apply {name}"))
    }

    /// Gives a ServiceAccount of this namespace the rights of a role in it; `kind` is `Role` or `ClusterRole`.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn bind(&self, name: &str, kind: &str, role: &str, account: &str) -> Result<()> {
        let group = "rbac.authorization.k8s.io";
        let binding = json!({
            "apiVersion": format!("{group}/v1"), "kind": "RoleBinding",
            "roleRef": {"apiGroup": group, "kind": kind, "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": self.namespace}],
        });
        self.put::<RoleBinding>(name, binding).await.map(drop)
    }

    /// A ServiceAccount of that name, which may do what Flink's processes do for Kubernetes high availability.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn grant_high_availability(&self, account: &str) -> Result<()> {
        let manifest = json!({"apiVersion": "v1", "kind": "ServiceAccount"});
        self.put::<ServiceAccount>(account, manifest).await?;
        let verbs = ["create", "delete", "get", "list", "patch", "update", "watch"];
        let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs}]);
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "rules": rules});
        self.put::<Role>(account, role).await?;
        self.bind(account, "Role", account, account).await
    }

    /// Applies a job's manifest, as `kubectl apply --server-side` does: a field that is left out is taken away.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn apply(&self, job: &Job) -> Result<FlinkJobUpgrade> {
        self.put(&job.name, job.manifest.clone()).await
    }

    /// Applies a job's manifest and waits until it is Ready.
    ///
    /// # Errors
    /// It is refused, Stalled, or not Ready within the deadline.
    pub async fn apply_ready(&self, job: &Job, deadline: Duration) -> Result<FlinkJobUpgrade> {
        self.apply(job).await?;
        wait::ready(&self.jobs(), &job.name, deadline).await
    }

    /// Creates a savepoint of a job; `spec` holds what is asked for besides the job.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn take_savepoint(&self, name: &str, job: &str, mut spec: Value) -> Result<FlinkSavepoint> {
        if let Some(fields) = spec.as_object_mut() {
            fields.insert("jobRef".to_owned(), json!({"kind": "FlinkJobUpgrade", "name": job}));
        }
        let manifest = json!({
            "apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkSavepoint",
            "spec": spec,
        });
        self.put(name, manifest).await
    }

    /// A snapshot store of the whole bucket, with the right keys, under this name; its Secret has the same.
    ///
    /// # Errors
    /// It does not become Ready.
    pub async fn create_store(&self, name: &str) -> Result<()> {
        let s3 = &self.env.s3;
        let keys = json!({"accessKeyId": s3.access_key, "secretAccessKey": s3.secret_key});
        self.put::<Secret>(name, json!({"apiVersion": "v1", "kind": "Secret", "stringData": keys})).await?;
        self.put_store(name, &s3.endpoint, name, json!({})).await?;
        wait::ready(&self.stores(), name, STORE).await.map(drop)
    }

    /// A snapshot store of the whole bucket, at an endpoint, with the keys of a Secret; `more` holds what is set besides.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn put_store(&self, name: &str, endpoint: &str, secret: &str, more: Value) -> Result<()> {
        let mut spec = json!({
            "url": self.env.s3.url("").trim_end_matches('/'),
            "endpoint": endpoint,
            "credentialsSecretRef": {"name": secret},
        });
        if let (Some(spec), Value::Object(more)) = (spec.as_object_mut(), more) {
            spec.extend(more);
        }
        let manifest = json!({"apiVersion": "savepoints.dev/v1alpha1", "kind": "FlinkSnapshotStore", "spec": spec});
        self.put::<FlinkSnapshotStore>(name, manifest).await.map(drop)
    }

    /// All records that the counting job of that name has written up to now.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else.
    pub fn records(&self, job: &str) -> Result<Records> {
        Records::read(&self.records_folder().join(format!("{job}.log")))
    }

    /// Waits until the records of a job are as wanted.
    ///
    /// # Errors
    /// They are not within the deadline.
    pub async fn records_until(
        &self,
        job: &str,
        what: &str,
        deadline: Duration,
        condition: impl Fn(&Records) -> bool,
    ) -> Result<Records> {
        wait::until(&format!("records of {job}: {what}"), deadline, async || {
            let records = self.records(job)?;
            Ok(if condition(&records) {
                wait::Seen::Yes(records)
            } else {
                wait::Seen::NotYet(format!("{} records, jobs {:?}", records.0.len(), records.jobs()))
            })
        })
        .await
    }

    /// The JobManager of the active revision of a job, through its stable Service.
    ///
    /// # Errors
    /// There is no such Service.
    pub async fn flink(&self, job: &str) -> Result<Flink> {
        Flink::behind(&self.client, &self.namespace, &format!("{job}-rest")).await
    }

    fn records_folder(&self) -> PathBuf {
        self.env.records.join(&self.namespace)
    }

    fn failure_folder(&self) -> PathBuf {
        self.env.failures.join(&self.test)
    }

    /// Jobs first: the operator ends them, and its finalizers must let go while the namespace still is a whole one.
    async fn remove(&self) -> Result<()> {
        const DEADLINE: Duration = Duration::from_secs(90);
        let jobs = self.jobs();
        for job in names(&jobs).await? {
            // The test is over: what the job knows need not be kept.
            let cancel = json!({"spec": {"deletion": {"job": "Cancel"}}});
            let patched = jobs.patch(&job, &PatchParams::default(), &Patch::Merge(cancel)).await;
            patched.with_context(|| format!("{job}: deletion.job: Cancel"))?;
            jobs.delete(&job, &DeleteParams::default()).await?;
            wait::gone(&jobs, &job, DEADLINE).await?;
        }
        let savepoints = self.savepoints();
        for savepoint in names(&savepoints).await? {
            // Where the test has no store nobody can delete its files.
            let retain = Patch::Merge(json!({"spec": {"deletionPolicy": "Retain"}}));
            savepoints.patch(&savepoint, &PatchParams::default(), &retain).await?;
            savepoints.delete(&savepoint, &DeleteParams::default()).await?;
            wait::gone(&savepoints, &savepoint, DEADLINE).await?;
        }
        let background = DeleteParams::background();
        // A test may have deleted it.
        let deleted = Api::<Namespace>::all(self.client.clone()).delete(&self.namespace, &background).await;
        if !matches!(&deleted, Err(kube::Error::Api(status)) if status.is_not_found()) {
            deleted?;
        }
        Api::<PersistentVolume>::all(self.client.clone()).delete(&self.namespace, &background).await?;
        let folder = self.records_folder();
        fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())
    }
}

async fn create<K>(api: &Api<K>, manifest: Value) -> Result<()>
where
    K: Resource + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    let object: K = serde_json::from_value(manifest)?;
    api.create(&PostParams::default(), &object).await?;
    Ok(())
}

async fn names<K>(api: &Api<K>) -> Result<Vec<String>>
where
    K: Resource + Clone + std::fmt::Debug + DeserializeOwned,
{
    let objects = api.list(&ListParams::default()).await?;
    Ok(objects.items.iter().filter_map(|object| object.meta().name.clone()).collect())
}

/// Six characters that no other test of this minute gets.
fn unique() -> Result<String> {
    const DIGITS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut rest = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
    let mut text = String::new();
    for _ in 0..6 {
        let digit = DIGITS.get(usize::try_from(rest % 36)?).copied().unwrap_or(b'0');
        text.insert(0, char::from(digit));
        rest /= 36;
    }
    Ok(text)
}
