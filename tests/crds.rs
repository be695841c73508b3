//! `crds/` holds what the types say. `UPDATE_CRDS=1 cargo test --test crds` writes it anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use flink_savepoint_operator::api;

/// What the files of `crds/` must hold, by their names.
fn expected() -> BTreeMap<String, String> {
    let header = "# Generated from src/api by `UPDATE_CRDS=1 cargo test --test crds`. Do not edit.\n";
    let file = |crd| (format!("{}.yaml", name(&crd)), format!("{header}{}", api::to_yaml(&crd).expect("valid YAML")));
    api::crds().into_iter().map(file).collect()
}

fn name(crd: &k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition) -> String {
    crd.metadata.name.clone().expect("a name")
}

#[test]
fn crds_are_what_the_types_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    let expected = expected();
    if std::env::var_os("UPDATE_CRDS").is_some() {
        fs::create_dir_all(&folder).expect("crds/ can be made");
        for entry in fs::read_dir(&folder).expect("crds/ can be read") {
            fs::remove_file(entry.expect("an entry").path()).expect("an old file can be removed");
        }
        for (name, text) in &expected {
            fs::write(folder.join(name), text).expect("a file can be written");
        }
    }
    let found: BTreeMap<String, String> = fs::read_dir(&folder)
        .expect("crds/ exists")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read_to_string(path).expect("a text file"))
        })
        .collect();
    let names: Vec<_> = found.keys().collect();
    assert_eq!(
        names,
        expected.keys().collect::<Vec<_>>(),
        "crds/ holds other files: run UPDATE_CRDS=1 cargo test --test crds"
    );
    for (name, text) in &expected {
        assert!(found.get(name) == Some(text), "crds/{name} is out of date: run UPDATE_CRDS=1 cargo test --test crds");
    }
}
