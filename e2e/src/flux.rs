//! Flux' own kustomize-controller, a process on this machine that looks at one namespace; and the source of what it
//! applies, as its source-controller would have it.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use flink_savepoint_operator::naming;
use k8s_openapi::jiff::Timestamp;
use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{
    namespace::Sandbox,
    wait::{self, Seen},
};

/// The field manager under which it writes.
pub const MANAGER: &str = "kustomize-controller";
/// Name of its objects here.
const NAME: &str = "tree";
/// How long it may take with a revision: its own limit for what it waits for is shorter.
const APPLIED: Duration = Duration::from_secs(300);

/// Archives by their revisions.
type Archives = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// The controller, and its source.
pub struct Flux {
    controller: Child,
    source: JoinHandle<()>,
    address: String,
    archives: Archives,
    sources: Api<DynamicObject>,
    kustomizations: Api<DynamicObject>,
}

impl Drop for Flux {
    fn drop(&mut self) {
        self.source.abort();
        // It may have ended by itself.
        let _ = self.controller.kill();
        let _ = self.controller.wait();
    }
}

impl Flux {
    /// Builds it if need be, and starts it for a namespace. `log`: a file for what it says.
    ///
    /// # Errors
    /// It can't be built, or the API server refuses its kinds.
    pub async fn start(sandbox: &Sandbox, log: &Path) -> Result<Self> {
        let built = built()?;
        for kinds in kinds(&built) {
            kubectl(sandbox, &["apply", "--server-side", "-f", &kinds.display().to_string()])?;
        }
        kubectl(
            sandbox,
            &["wait", "--for=condition=Established", "crd", "kustomizations.kustomize.toolkit.fluxcd.io"],
        )?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let archives = Archives::default();
        let source = tokio::spawn(serve(listener, Arc::clone(&archives)));
        let log = File::create(log)?;
        let controller = Command::new(built.join("kustomize-controller"))
            .args(["--watch-all-namespaces=false", "--metrics-addr=127.0.0.1:0", "--health-addr=127.0.0.1:0"])
            .env("RUNTIME_NAMESPACE", &sandbox.namespace)
            .env("KUBECONFIG", &sandbox.env.kubeconfig)
            .stdout(Stdio::from(log.try_clone()?))
            .stderr(Stdio::from(log))
            .spawn()?;
        let of = |group: &str, kind: &str| {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
            Api::namespaced_with(sandbox.client.clone(), &sandbox.namespace, &resource)
        };
        let flux = Self {
            controller,
            source,
            address,
            archives,
            sources: of("source.toolkit.fluxcd.io", "GitRepository"),
            kustomizations: of("kustomize.toolkit.fluxcd.io", "Kustomization"),
        };
        flux.furnish(&sandbox.namespace).await?;
        Ok(flux)
    }

    /// Its objects and kinds go; what it has applied stays. Only it takes its finalizer off.
    ///
    /// # Errors
    /// They do not go.
    pub async fn leave(&self, sandbox: &Sandbox) -> Result<()> {
        let stays = json!({"spec": {"deletionPolicy": "Orphan"}});
        self.kustomizations.patch(NAME, &PatchParams::default(), &Patch::Merge(&stays)).await?;
        self.kustomizations.delete(NAME, &DeleteParams::default()).await?;
        wait::until("Flux' Kustomization is gone", APPLIED, async || {
            let left = self.kustomizations.get_opt(NAME).await?;
            Ok(left.map_or(Seen::Yes(()), |_| Seen::NotYet(String::new())))
        })
        .await?;
        for kinds in kinds(&built()?) {
            kubectl(sandbox, &["delete", "-f", &kinds.display().to_string()])?;
        }
        Ok(())
    }

    async fn furnish(&self, namespace: &str) -> Result<()> {
        let source = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": {"name": NAME},
            "spec": {"interval": "1h", "url": "https://example.com/tree"},
        });
        let kustomization = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": {"name": NAME},
            "spec": {
                "interval": "1h", "retryInterval": "1h", "timeout": "4m", "path": "./", "prune": true, "wait": true,
                "targetNamespace": namespace, "sourceRef": {"kind": "GitRepository", "name": NAME},
            },
        });
        let apply = PatchParams::apply("e2e").force();
        self.sources.patch(NAME, &apply, &Patch::Apply(&source)).await.context("GitRepository")?;
        self.kustomizations.patch(NAME, &apply, &Patch::Apply(&kustomization)).await.context("Kustomization")?;
        Ok(())
    }

    /// A commit is there; `archive` is its tree, a tar.gz. Returns whether it was applied and all of it is well, by the
    /// controller's own word, and that word.
    ///
    /// # Errors
    /// It does not come to an end.
    pub async fn applied(&self, commit: &str, archive: Vec<u8>) -> Result<(bool, String)> {
        let digest = format!("sha256:{}", naming::sha256_hex(&archive));
        let revision = format!("main@sha1:{commit}");
        let artifact = json!({
            "path": format!("{commit}.tar.gz"), "url": format!("http://{}/{commit}.tar.gz", self.address),
            "revision": revision, "digest": digest, "size": archive.len(), "lastUpdateTime": Timestamp::now().to_string(),
        });
        self.archives.lock().unwrap_or_else(PoisonError::into_inner).insert(commit.to_owned(), archive);
        let status = json!({"status": {"artifact": artifact}});
        self.sources.patch_status(NAME, &PatchParams::default(), &Patch::Merge(&status)).await.context("artifact")?;
        wait::until(&format!("Flux has applied {revision}"), APPLIED, async || {
            let found = self.kustomizations.get(NAME).await?;
            let empty = json!({});
            let status = found.data.get("status").unwrap_or(&empty);
            let attempted = status.get("lastAttemptedRevision").and_then(Value::as_str);
            let ready = condition(status, "Ready");
            let told = ready.map(|c| format!("{}", c.get("message").unwrap_or(&Value::Null))).unwrap_or_default();
            let word = ready.and_then(|c| c.get("status")).and_then(Value::as_str);
            Ok(match (attempted == Some(revision.as_str()), word) {
                (true, Some("True")) => Seen::Yes((true, told)),
                (true, Some("False")) => Seen::Yes((false, told)),
                _ => Seen::NotYet(format!("{status}")),
            })
        })
        .await
    }
}

fn condition<'a>(status: &'a Value, type_: &str) -> Option<&'a Value> {
    let all = status.get("conditions").and_then(Value::as_array)?;
    all.iter().find(|one| one.get("type").and_then(Value::as_str) == Some(type_))
}

/// The files that describe its kinds.
fn kinds(built: &Path) -> [PathBuf; 2] {
    [built.join("kustomizations.yaml"), Path::new(env!("CARGO_MANIFEST_DIR")).join("flux/sources.yaml")]
}

fn built() -> Result<PathBuf> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/flux/build");
    let said = Command::new(script).output().with_context(|| script.to_owned())?;
    ensure!(said.status.success(), "{script}: {}", String::from_utf8_lossy(&said.stderr));
    let text = String::from_utf8(said.stdout)?;
    Ok(PathBuf::from(text.lines().last().context("it names no folder")?))
}

fn kubectl(sandbox: &Sandbox, arguments: &[&str]) -> Result<()> {
    let said = wait::kubectl_command(&sandbox.env).args(arguments).output().context("kubectl")?;
    ensure!(said.status.success(), "kubectl {arguments:?}: {}", String::from_utf8_lossy(&said.stderr));
    Ok(())
}

/// Answers `GET /<commit>.tar.gz`.
async fn serve(listener: TcpListener, archives: Archives) {
    while let Ok((connection, _)) = listener.accept().await {
        let archives = Arc::clone(&archives);
        tokio::spawn(async move { answer(connection, &archives).await });
    }
}

async fn answer(mut connection: TcpStream, archives: &Archives) -> Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut more = [0; 1024];
        let read = connection.read(&mut more).await?;
        let Some(more) = more.get(..read).filter(|more| !more.is_empty()) else { bail!("half a request") };
        request.extend_from_slice(more);
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    let commit = text.split_whitespace().nth(1).and_then(|path| path.trim_matches('/').strip_suffix(".tar.gz"));
    let archive =
        commit.and_then(|commit| archives.lock().unwrap_or_else(PoisonError::into_inner).get(commit).cloned());
    let (status, body) = archive.map_or(("404 Not Found", Vec::new()), |archive| ("200 OK", archive));
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    connection.write_all(head.as_bytes()).await?;
    connection.write_all(&body).await?;
    Ok(connection.shutdown().await?)
}
