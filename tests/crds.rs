//! `crds/` holds what the types say. `UPDATE_CRDS=1 cargo test --test crds` writes it anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use flink_savepoint_operator::api;

const CURE: &str = "run UPDATE_CRDS=1 cargo test --test crds";

/// What the files of `crds/` must hold, by their names.
fn expected() -> Result<BTreeMap<String, String>> {
    let header = "# Generated from src/api by `UPDATE_CRDS=1 cargo test --test crds`. Do not edit.\n";
    let crds = api::crds().into_iter();
    crds.map(|crd| {
        let text = api::to_yaml(&crd)?;
        Ok((format!("{}.yaml", crd.metadata.name.context("a definition without a name")?), format!("{header}{text}")))
    })
    .collect()
}

/// What the files of a folder hold, by their names.
fn found(folder: &Path) -> Result<BTreeMap<String, String>> {
    fs::read_dir(folder)?
        .map(|entry| {
            let entry = entry?;
            Ok((entry.file_name().to_string_lossy().into_owned(), fs::read_to_string(entry.path())?))
        })
        .collect()
}

#[test]
fn crds_are_what_the_types_say() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    let expected = expected()?;
    if std::env::var_os("UPDATE_CRDS").is_some() {
        fs::create_dir_all(&folder)?;
        for name in found(&folder)?.keys() {
            fs::remove_file(folder.join(name))?;
        }
        for (name, text) in &expected {
            fs::write(folder.join(name), text)?;
        }
    }
    let found = found(&folder).context("crds/ cannot be read")?;
    let names: Vec<_> = found.keys().collect();
    assert_eq!(names, expected.keys().collect::<Vec<_>>(), "crds/ holds other files than it must: {CURE}");
    for (name, text) in &expected {
        assert!(found.get(name) == Some(text), "crds/{name} is out of date: {CURE}");
    }
    Ok(())
}
