//! A git working tree that is applied commit by commit, as a GitOps controller does it: server-side apply, prune, and
//! health by the rules of kstatus; and by a GitOps controller. The commits are those of `config/samples/gitops`.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    env::Env,
    flux::{Flux, MANAGER},
    job::{Job, Version},
    namespace::Sandbox,
    records,
    wait::{self, Seen},
};
use flink_savepoint_operator::api::{
    FlinkJobUpgrade, UpgradeStep,
    kstatus::{self, Kstatus},
};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{store, story};

/// The label by which is found what was applied of the tree.
const OF_THE_TREE: (&str, &str) = ("kustomize.toolkit.fluxcd.io/name", "orders");
const FILE: &str = "orders.yaml";

/// First rollout, a fork in two commits, a change, a bad commit and its revert, suspend and resume, prune, and the same
/// once more.
pub async fn commit_by_commit(sandbox: &Sandbox, version: Version) -> Result<()> {
    Box::pin(story_of(&Tree::init(sandbox, version)?)).await
}

/// The same, applied by Flux.
pub async fn by_flux(sandbox: &Sandbox, version: Version) -> Result<()> {
    let mut tree = Tree::init(sandbox, version)?;
    // A tree with nothing in it is an error to it.
    let note = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "about-the-tree"}});
    fs::write(tree.folder.join("about.yaml"), serde_yaml::to_string(&note)?)?;
    tree.git(&["add", "about.yaml"])?;
    let log = std::env::temp_dir().join(format!("flux-of-{}.log", sandbox.namespace));
    tree.flux = Some(Flux::start(sandbox, &log).await?);
    let told = Box::pin(story_of(&tree)).await.inspect_err(|_| {
        eprintln!("kustomize-controller:\n{}", fs::read_to_string(&log).unwrap_or_default());
    });
    fs::remove_file(&log)?;
    let left = match &tree.flux {
        Some(flux) => flux.leave(sandbox).await.context("Flux leaves"),
        None => Ok(()),
    };
    told.and(left)
}

async fn story_of(tree: &Tree<'_>) -> Result<()> {
    let sandbox = tree.sandbox;
    sandbox.create_store(store::RIGHT).await?;
    let first = rolled_out(tree, "1-first-rollout", Kstatus::Current).await?;
    let blue = story::submission(&first)?.job_id;
    story::writes(sandbox, "orders", &blue).await?;

    let forked = rolled_out(tree, "2-fork", Kstatus::Current).await?;
    let waits = forked.status.as_ref().and_then(|status| status.upgrade.clone());
    ensure!(waits.is_some_and(|upgrade| upgrade.step == UpgradeStep::Promotion), "{}", wait::describe(&forked));
    ensure!(story::submission(&forked)?.job_id == blue, "{}", wait::describe(&forked));
    let promoted = rolled_out(tree, "3-promote", Kstatus::Current).await?;
    let green = story::submission(&promoted)?.job_id;
    ensure!(green != blue && wait::holds(&promoted, "Promoted"), "{}", wait::describe(&promoted));

    let changed = rolled_out(tree, "4-change", Kstatus::Current).await?;
    let third = story::submission(&changed)?.job_id;
    tree.change("a bad commit", "/spec/job/args", json!(["--variant", "throws"]))?;
    let bad = tree.reconciled(Kstatus::Failed).await.context("a bad commit")?;
    ensure!(story::submission(&bad)?.job_id == third, "{}", wait::describe(&bad));
    tree.git(&["revert", "--no-edit", "HEAD"])?;
    let reverted = tree.reconciled(Kstatus::Current).await.context("its revert")?;
    ensure!(story::submission(&reverted)?.job_id == third, "{}", wait::describe(&reverted));

    let suspended = rolled_out(tree, "5-suspend", Kstatus::Current).await?;
    ensure!(suspended.status.is_some_and(|status| status.active.is_none()), "it should be suspended");
    let resumed = rolled_out(tree, "6-resume", Kstatus::Current).await?;
    let fourth = story::submission(&resumed)?.job_id;
    story::writes(sandbox, "orders", &fourth).await?;

    tree.git(&["rm", FILE])?;
    tree.git(&["commit", "-m", "the job is not needed any more"])?;
    tree.apply_and_prune(Kstatus::Current).await?;
    wait::gone::<FlinkJobUpgrade>(&sandbox.jobs(), "orders", story::UPGRADE).await?;
    story::all_removed(sandbox, "orders").await?;
    tree.git(&["revert", "--no-edit", "HEAD"])?;
    let stalled = tree.reconciled(Kstatus::Failed).await.context("made again")?;
    let why = wait::condition(&stalled, "Stalled").context("no condition Stalled")?;
    ensure!(why.get("reason") == Some(&json!("StateExists")), "{why}");
    let again = rolled_out(tree, "7-made-again", Kstatus::Current).await?;
    let fifth = story::submission(&again)?.job_id;

    let all = story::writes(sandbox, "orders", &fifth).await?;
    let lineage = [&blue, &green, &third, &fourth, &fifth].map(String::as_str);
    let jobs = records::check_exactly_once(&all.lineage(&lineage))?.jobs;
    ensure!(jobs == lineage, "{jobs:?}, {lineage:?} expected");
    Ok(())
}

/// A commit of the samples is applied.
async fn rolled_out(tree: &Tree<'_>, commit: &str, end: Kstatus) -> Result<FlinkJobUpgrade> {
    tree.commit_sample(commit)?;
    tree.reconciled(end).await.with_context(|| commit.to_owned())
}

/// A working tree, and the controller that looks at it.
struct Tree<'a> {
    sandbox: &'a Sandbox,
    folder: PathBuf,
    /// What differs from the samples here: image, storage, memory.
    here: Job,
    /// Who applies it; else this test does.
    flux: Option<Flux>,
}

impl Drop for Tree<'_> {
    fn drop(&mut self) {
        // It may be gone, and is nobody's.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl<'a> Tree<'a> {
    fn init(sandbox: &'a Sandbox, version: Version) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("tree-of-{}", sandbox.namespace));
        fs::create_dir_all(&folder)?;
        let here = Job::counting(&sandbox.env, "orders", version);
        let tree = Self { sandbox, folder, here, flux: None };
        tree.git(&["init", "--quiet", "--initial-branch=main"])?;
        Ok(tree)
    }

    fn git(&self, arguments: &[&str]) -> Result<String> {
        Ok(String::from_utf8(self.git_bytes(arguments)?)?)
    }

    fn git_bytes(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        let who = ["-c", "user.name=e2e", "-c", "user.email=e2e@example.com"];
        let said = Command::new("git").arg("-C").arg(&self.folder).args(who).args(arguments).output().context("git")?;
        ensure!(said.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&said.stderr));
        Ok(said.stdout)
    }

    /// What kustomize makes of a sample, on this cluster.
    fn commit_sample(&self, commit: &str) -> Result<()> {
        let folder = format!("{}/../config/samples/gitops/commits/{commit}", env!("CARGO_MANIFEST_DIR"));
        let text = kustomize(&self.sandbox.env, &folder)?;
        let mut job = Job { name: "orders".to_owned(), manifest: serde_yaml::from_str(&text).context(folder)? };
        for field in ["image", "flinkVersion", "podTemplate", "jobManager", "taskManager"] {
            let field = format!("/spec/{field}");
            job = job.set(&field, self.here(&field)?.clone());
        }
        for (option, value) in self.here("/spec/flinkConfiguration")?.as_object().into_iter().flatten() {
            job = job.set(&format!("/spec/flinkConfiguration/{option}"), value.clone());
        }
        self.write(commit, job)
    }

    fn here(&self, field: &str) -> Result<&Value> {
        self.here.manifest.pointer(field).with_context(|| field.to_owned())
    }

    /// Somebody commits a change of a field.
    fn change(&self, message: &str, field: &str, value: Value) -> Result<()> {
        let manifest = serde_yaml::from_str(&fs::read_to_string(self.folder.join(FILE))?)?;
        self.write(message, Job { name: "orders".to_owned(), manifest }.set(field, value))
    }

    /// What is committed writes its records where this test reads them.
    fn write(&self, message: &str, job: Job) -> Result<()> {
        let written = job.manifest.pointer("/spec/job/args").and_then(Value::as_array).context("no args")?;
        let job = if written.contains(&json!("--out")) {
            job
        } else {
            let out = self.here("/spec/job/args/1")?.clone();
            job.push("/spec/job/args", json!("--out")).push("/spec/job/args", out)
        };
        fs::write(self.folder.join(FILE), serde_yaml::to_string(&job.manifest)?)?;
        self.git(&["add", FILE])?;
        self.git(&["commit", "--quiet", "-m", message]).map(drop)
    }

    /// The tree's last commit is applied, and what it does not have any more is deleted, in the foreground. `end`: what a
    /// controller that waits for it has to say in the end.
    async fn apply_and_prune(&self, end: Kstatus) -> Result<()> {
        let jobs = self.sandbox.jobs();
        if let Some(flux) = &self.flux {
            let archive = self.git_bytes(&["archive", "--format=tar.gz", "HEAD"])?;
            let (well, word) = flux.applied(self.git(&["rev-parse", "HEAD"])?.trim(), archive).await?;
            eprintln!("Flux: {word}");
            ensure!(well == (end == Kstatus::Current), "{end:?}, and Flux says {word}");
            let job = jobs.get_opt("orders").await?.filter(|job| well && job.metadata.deletion_timestamp.is_none());
            let is = job.as_ref().map_or(end, kstatus::of);
            ensure!(is == end, "too early: {is:?}, and Flux says {word}");
            return Ok(());
        }
        let files = self.git(&["ls-tree", "--name-only", "HEAD"])?;
        let mut applied = Vec::new();
        for file in files.lines() {
            let manifest = serde_yaml::from_str(&self.git(&["show", &format!("HEAD:{file}")])?)?;
            let job = Job { name: "orders".to_owned(), manifest };
            let job = job.set("/metadata/labels", json!({OF_THE_TREE.0: OF_THE_TREE.1}));
            jobs.patch(&job.name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&job.manifest)).await?;
            applied.push(job.name);
        }
        let of_the_tree = ListParams::default().labels(&format!("{}={}", OF_THE_TREE.0, OF_THE_TREE.1));
        for job in jobs.list(&of_the_tree).await?.items {
            if !applied.contains(&job.name_any()) {
                jobs.delete(&job.name_any(), &DeleteParams::foreground()).await?;
            }
        }
        Ok(())
    }

    /// Applied, and what it comes to. Once more the same changes nothing; and nobody but this controller writes the spec.
    async fn reconciled(&self, end: Kstatus) -> Result<FlinkJobUpgrade> {
        let jobs = self.sandbox.jobs();
        self.apply_and_prune(end).await?;
        let settled = wait::until(&format!("orders is {end:?}"), story::UPGRADE, async || {
            let job = jobs.get("orders").await?;
            Ok(match kstatus::of(&job) {
                Kstatus::InProgress => Seen::NotYet(wait::describe(&job)),
                _ => Seen::Yes(job),
            })
        })
        .await?;
        let is = kstatus::of(&settled);
        ensure!(is == end, "{is:?} instead of {end:?}: {}", wait::describe(&settled));
        self.apply_and_prune(end).await?;
        let same = jobs.get("orders").await?;
        ensure!(same.metadata.generation == settled.metadata.generation, "the same, applied again, is a change");
        for writer in same.metadata.managed_fields.iter().flatten() {
            let fields = writer.fields_v1.as_ref().map(|fields| &fields.0);
            let of_spec = fields.is_some_and(|fields| fields.get("f:spec").is_some());
            let name = writer.manager.as_deref().unwrap_or_default();
            ensure!(name == MANAGER || !of_spec, "{name} has written into the spec: {fields:?}");
        }
        Ok(settled)
    }
}

fn kustomize(env: &Env, folder: &str) -> Result<String> {
    let said = wait::kubectl_command(env).args(["kustomize", folder]).output().context("kubectl")?;
    ensure!(said.status.success(), "kubectl kustomize {folder}: {}", String::from_utf8_lossy(&said.stderr));
    Ok(String::from_utf8(said.stdout)?)
}
