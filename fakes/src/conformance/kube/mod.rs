//! What an operator may count on with an API server, as cases over a `kube::Client`.
//!
//! A case sends plain requests, and all answers are written down without what differs from run to run. What a real
//! API server answered is kept in `recorded.txt`; the fake must answer the same to the letter, and so must the real one
//! whenever the end-to-end tests run.

mod deletion;
mod lists;
mod objects;
mod status;
mod transcript;
mod watches;
mod world;

use anyhow::{Context as _, Result};
use futures::future::BoxFuture;
use kube::Client;
use serde_json::Value;

pub use world::World;

/// What a real API server answered.
pub const RECORDED: &str = include_str!("recorded.txt");

/// One case.
pub struct Case {
    /// What it shows.
    pub name: &'static str,
    run: for<'a> fn(&'a mut World) -> BoxFuture<'a, Result<()>>,
}

macro_rules! cases {
    ($($theme:ident: $($name:ident)*;)*) => {
        &[$($(Case {
            name: concat!(stringify!($theme), "::", stringify!($name)),
            run: |world| Box::pin($theme::$name(world)),
        }),*),*]
    };
}

/// All cases.
pub const CASES: &[Case] = cases! {
    objects:
        created created_twice no_name generated_name bad_name version_on_create other_namespace no_such_namespace
        no_such_resource missing metadata_only replaced replaced_by_nothing_new replaced_what_is_not_there
        lease_replaced renamed other_uid merged merged_conditionally not_a_patch json_patched;
    status:
        written_apart keeps_metadata conflicts not_there patched generation rules immutable;
    deletion:
        deleted preconditions held while_held let_go foreground policy pod namespace;
    lists:
        pages labels fields unreadable metadata built_in cached at_a_version;
    watches:
        from_a_version finalizers in_and_out metadata_of initial_events streamed_list too_old live;
};

/// Runs one case in a namespace of its own and tells what was answered.
///
/// # Errors
/// An answer is not what the case says, or there is none.
pub async fn run(case: &Case, client: Client, namespace: &str, group: &str) -> Result<String> {
    let mut world = World::new(client, namespace, group);
    let outcome = (case.run)(&mut world).await;
    let transcript = world.transcript();
    outcome.with_context(|| format!("{}\n{transcript}", case.name))?;
    Ok(format!("# {}\n{transcript}\n", case.name))
}

/// The project's CustomResourceDefinitions in another group, where no operator looks at their objects.
///
/// # Errors
/// A definition is not YAML.
pub fn definitions(group: &str) -> Result<Vec<Value>> {
    let files = [
        include_str!("../../../../crds/flinkjobupgrades.savepoints.dev.yaml"),
        include_str!("../../../../crds/flinksavepoints.savepoints.dev.yaml"),
    ];
    files
        .into_iter()
        .map(|text| {
            let mut definition: Value = serde_yaml::from_str(text)?;
            let plural =
                definition.pointer("/spec/names/plural").and_then(Value::as_str).unwrap_or_default().to_owned();
            for (path, value) in [("/spec/group", group.to_owned()), ("/metadata/name", format!("{plural}.{group}"))] {
                *definition.pointer_mut(path).context("not a CustomResourceDefinition")? = value.into();
            }
            Ok(definition)
        })
        .collect()
}
