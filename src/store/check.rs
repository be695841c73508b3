//! Reads a snapshot and looks for its files.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::open::{self, OpenError, Opened, Served};
use crate::api::condition::Reason;
use crate::api::{FormatType, SavepointOperator, SnapshotKind};
use crate::context::Context;
use crate::flink::SavepointFormat;
use crate::reconcile::Error;
use crate::runtime::background::{Background, Looked, Tell};
use crate::snapshot::path::Directory;
use crate::snapshot::store::{self, Progress, Snapshot, Store, StoreError, Stores};
use crate::snapshot::{self, SnapshotFacts};

/// Snapshots that are read at once: each may hold the names of very many files.
const AT_ONCE: usize = 4;
/// How long a pass looks on: a small snapshot takes a few milliseconds, and its job may be down.
const MOMENT: Duration = Duration::from_millis(300);
/// A status names at most so many operators.
const OPERATORS: usize = 100;

/// What is known of a snapshot's files.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    /// They were not looked at in this pass.
    NotAsked,
    /// No FlinkSnapshotStore of the namespace serves the place, or the named one does not.
    NoStore {
        /// Why, and the cure.
        reason: Reason,
        /// In words.
        message: String,
    },
    /// They are being looked at: how far that is.
    Running(Option<Progress>),
    /// That came to nothing.
    Failed(Failure),
    /// They were.
    Done(Box<Checked>),
}

/// Why a snapshot could not be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// The condition's reason.
    pub reason: Reason,
    /// What happened, and the cure.
    pub message: String,
    /// Whether the next try may end otherwise.
    pub again: Again,
}

impl Failure {
    /// A store did not do what was asked of it.
    #[must_use]
    pub fn of(error: &StoreError) -> Self {
        let again = if error.is_transient() { Again::Soon } else { Again::WithHelp };
        failure(error.reason(), error, again)
    }
}

/// Whether the next try may end otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// By itself.
    Soon,
    /// Once somebody has helped.
    WithHelp,
    /// The bytes are at fault.
    Never,
}

/// A snapshot that was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Checked {
    /// Its directory, in the normal form.
    pub directory: String,
    /// What its metadata says that it is.
    pub kind: Option<SnapshotKind>,
    /// Of a savepoint.
    pub format_type: Option<FormatType>,
    /// Flink's number of it.
    pub checkpoint_id: i64,
    /// The layout of its metadata.
    pub metadata_version: i32,
    /// Bytes of all its files, `_metadata` included.
    pub size_bytes: i64,
    /// Their number, `_metadata` included.
    pub file_count: i64,
    /// The first operators.
    pub operators: Vec<SavepointOperator>,
    /// The number of all operators.
    pub operator_count: i32,
    /// Urls of the stores in which it has files outside of its directory.
    pub outside: BTreeSet<String>,
    /// What became of the files; `None` where only the metadata was to be read.
    pub files: Option<store::Verification>,
    /// All that its metadata says, but for the files.
    pub facts: Option<Arc<SnapshotFacts>>,
}

/// Work of this kind.
pub type Checks = Background<Result<Checked, Failure>, Progress>;

/// None yet.
#[must_use]
pub fn checks() -> Checks {
    Background::new(AT_ONCE)
}

/// The stores by which a place is looked at.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    /// The namespace whose stores they are.
    pub namespace: &'a str,
    /// The only one that may be used; `None`: the one with the longest url that the place is below.
    pub named: Option<&'a str>,
}

/// Looks at a snapshot: its metadata, and all its files if `files` says so. `key` names who asks, as long as it is the same.
///
/// # Errors
/// If Kubernetes can't be asked for the stores.
pub async fn check(ctx: &Context, by: By<'_>, key: &str, location: &str, files: bool) -> Result<Check, Error> {
    let opened = open::of_namespace(ctx, by.namespace, by.named).await?;
    let stores = match serving(&opened, by.named, location) {
        Ok(stores) => stores.clone(),
        Err(why) => return Ok(*why),
    };
    let location = location.to_owned();
    let looked = ctx.checks.look(key, MOMENT, |tell| read(stores, location, files, tell)).await;
    Ok(match looked {
        Looked::Running(progress) => Check::Running(progress),
        Looked::Done(Ok(checked)) => Check::Done(Box::new(checked)),
        Looked::Done(Err(failure)) => Check::Failed(failure),
    })
}

/// The stores to read a place with, or why it can't be read.
fn serving<'a>(opened: &'a Opened, named: Option<&str>, location: &str) -> Result<&'a Stores, Box<Check>> {
    match (opened.serving(location), named) {
        (Served::By(_), _) => Ok(opened.stores()),
        (Served::Refused(name, why), _) => Err(Box::new(Check::Failed(refused(&name, why)))),
        (Served::Nobody, Some(name)) => Err(Box::new(Check::NoStore {
            reason: Reason::WrongStore,
            message: format!(
                "spec.storeRef.name: there is no FlinkSnapshotStore {name} in this namespace whose url {location} is \
                 below; name another, or leave storeRef out"
            ),
        })),
        (Served::Nobody, None) => Err(Box::new(Check::NoStore {
            reason: Reason::NoStore,
            message: format!(
                "no FlinkSnapshotStore of this namespace serves {location}; create one whose url it is below, and its \
                 files are checked"
            ),
        })),
    }
}

/// A store that serves a place and can't be opened.
fn refused(name: &str, why: &OpenError) -> Failure {
    let message = format!("FlinkSnapshotStore {name}: {why}");
    Failure { reason: Reason::of_error(why.reason()), message, again: Again::WithHelp }
}

/// Who serves a place.
#[derive(Debug)]
pub enum Serving {
    /// This store.
    By(Store),
    /// No FlinkSnapshotStore of the namespace, or not the named one: why.
    Nobody(String),
    /// One that can't be used.
    Refused(Failure),
}

/// The store that serves a place.
///
/// # Errors
/// If Kubernetes can't be asked for the stores.
pub async fn store_of(ctx: &Context, by: By<'_>, place: &str) -> Result<Serving, Error> {
    let opened = open::of_namespace(ctx, by.namespace, by.named).await?;
    Ok(match opened.serving(place) {
        Served::By(store) => Serving::By(store.clone()),
        Served::Nobody => Serving::Nobody(format!("no FlinkSnapshotStore of this namespace serves {place}")),
        Served::Refused(name, why) => Serving::Refused(refused(&name, why)),
    })
}

/// Whether the store that serves a place really works now: it is written to, read, listed and deleted from. `None`: it
/// does, or no store serves the place.
///
/// # Errors
/// If Kubernetes can't be asked for the stores.
pub async fn trouble(ctx: &Context, by: By<'_>, target: &str) -> Result<Option<Failure>, Error> {
    Ok(match store_of(ctx, by, target).await? {
        Serving::Nobody(_) => None,
        Serving::Refused(failure) => Some(failure),
        Serving::By(store) => store
            .probe()
            .await
            .err()
            .map(|e| Failure { message: format!("the store at {}: {e}", store.url()), ..Failure::of(&e.source) }),
    })
}

async fn read(stores: Stores, location: String, files: bool, tell: Tell<Progress>) -> Result<Checked, Failure> {
    let progress = |p| tell.now(p);
    let snapshot = store::load(&stores, &location, &progress).await.map_err(|e| unreadable(&e))?;
    let files = if files {
        Some(store::verify(&stores, &snapshot, &progress).await.map_err(|e| Failure::of(&e))?)
    } else {
        None
    };
    Ok(Checked { outside: outside(&stores, &snapshot), ..checked(snapshot, files) })
}

/// Where its other files are.
fn outside(stores: &Stores, snapshot: &Snapshot) -> BTreeSet<String> {
    let directory = Directory::new(&snapshot.directory);
    let files = snapshot.facts.files_outside(&directory);
    files.filter_map(|(location, _)| Some(stores.of(&location)?.url().to_owned())).collect()
}

fn unreadable(error: &store::LoadError) -> Failure {
    let again = match error {
        store::LoadError::Facts(snapshot::FactsError::Metadata(e)) if e.is_transient() => Again::Soon,
        store::LoadError::Facts(_) => Again::Never,
        _ if error.is_transient() => Again::Soon,
        _ => Again::WithHelp,
    };
    failure(error.reason(), error, again)
}

fn failure(reason: &str, error: &dyn std::error::Error, again: Again) -> Failure {
    Failure { reason: Reason::of_error(reason), message: error.to_string(), again }
}

fn checked(snapshot: Snapshot, files: Option<store::Verification>) -> Checked {
    let mut facts = snapshot.facts;
    let of_files = facts.files.iter().fold(snapshot.metadata_bytes, |sum, file| sum.saturating_add(file.size));
    let file_count = i64::try_from(facts.files.len()).unwrap_or(i64::MAX).saturating_add(1);
    // There may be very many of them.
    facts.files = Vec::new();
    Checked {
        directory: snapshot.directory,
        kind: facts.kind.map(|kind| match kind {
            snapshot::SnapshotKind::Savepoint => SnapshotKind::Savepoint,
            snapshot::SnapshotKind::Checkpoint => SnapshotKind::Checkpoint,
        }),
        format_type: facts.format_type.map(|format| match format {
            SavepointFormat::Canonical => FormatType::Canonical,
            SavepointFormat::Native => FormatType::Native,
        }),
        checkpoint_id: number(facts.checkpoint_id),
        metadata_version: i32::try_from(facts.version).unwrap_or(i32::MAX),
        size_bytes: number(of_files),
        file_count,
        operators: operators(&facts),
        operator_count: i32::try_from(facts.operators.len()).unwrap_or(i32::MAX),
        outside: BTreeSet::new(),
        files,
        facts: Some(Arc::new(facts)),
    }
}

fn operators(facts: &SnapshotFacts) -> Vec<SavepointOperator> {
    let first = facts.operators.iter().take(OPERATORS);
    let small = |number: u32| i32::try_from(number).ok();
    first
        .map(|o| SavepointOperator {
            id: o.id.to_string(),
            uid: o.uid.clone(),
            name: o.name.clone(),
            parallelism: small(o.parallelism),
            max_parallelism: small(o.max_parallelism),
            state_bytes: Some(number(
                o.keyed_bytes
                    .saturating_add(o.operator_bytes)
                    .saturating_add(o.channel_bytes)
                    .saturating_add(o.coordinator_bytes),
            )),
        })
        .collect()
}

/// Kubernetes' numbers have a sign.
fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
