//! Which files a copy has, and which of them are there.

use std::collections::BTreeMap;

use futures::{TryStreamExt as _, pin_mut};

use super::super::attempts::METADATA;
use super::super::load::Snapshot;
use super::super::open::Store;
use super::CopyError;
use crate::snapshot::path::{Directory, Place};
use crate::snapshot::relocate::Relocation;

/// The files of a copy, each once, by their paths below its directory.
#[derive(Debug)]
pub(super) struct Files(BTreeMap<String, Wanted>);

/// A file of a copy.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Where it is copied from, in its normal form.
    pub location: String,
    /// Bytes that are copied.
    pub size: u64,
    /// The original may be longer.
    pub merged: bool,
    /// The copy has it.
    there: bool,
}

impl Files {
    /// Those of the snapshot, where they will be.
    pub fn of(snapshot: &Snapshot, relocation: &Relocation) -> Result<Self, CopyError> {
        let directory = Directory::new(&snapshot.directory);
        let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
        for file in &snapshot.facts.files {
            let location = match file.place(&directory) {
                Place::Inside(below) => format!("{}/{below}", snapshot.directory),
                Place::Outside(location) => location,
            };
            let below = relocation.below(file);
            if below.rsplit('/').next() == Some(METADATA) {
                return Err(CopyError::NamedMetadata { location });
            }
            match wanted.get_mut(&below) {
                None => {
                    let (size, merged) = (file.size, file.merged);
                    wanted.insert(below, Wanted { location, size, merged, there: false });
                }
                // Two paths may be of one file.
                Some(known) if known.location == location => {
                    known.size = known.size.max(file.size);
                    known.merged |= file.merged;
                }
                Some(known) => {
                    let first = known.location.clone();
                    return Err(CopyError::OneName { first, second: location, below });
                }
            }
        }
        Ok(Self(wanted))
    }

    /// Looks which of them are in the target, with the size that they have in a copy.
    pub async fn look(&mut self, to: &Store, directory: &str) -> Result<(), CopyError> {
        let own = Store::key(directory)?;
        let listed = to.list(directory)?;
        pin_mut!(listed);
        while let Some(found) = listed.try_next().await? {
            let below = found.location.as_ref().strip_prefix(own.as_ref()).unwrap_or_default().trim_start_matches('/');
            if let Some(file) = self.0.get_mut(below) {
                file.there = file.size == found.size;
            } else if below != METADATA && below.rsplit('/').next() == Some(METADATA) {
                // A folder of snapshots, taken for the directory of one.
                let (target, found) = (directory.to_owned(), format!("another snapshot below it, {below},"));
                return Err(CopyError::TargetNotEmpty { target, found });
            }
        }
        Ok(())
    }

    /// Those that the target lacks, by their paths below it.
    pub fn lacking(&self) -> Vec<(&str, &Wanted)> {
        self.0.iter().filter(|(_, file)| !file.there).map(|(below, file)| (below.as_str(), file)).collect()
    }

    /// A snapshot names these files in its directory, and no others.
    pub fn are_those_of(&self, snapshot: &Snapshot) -> bool {
        let directory = Directory::new(&snapshot.directory);
        let mut named: BTreeMap<String, u64> = BTreeMap::new();
        for file in &snapshot.facts.files {
            let Place::Inside(below) = file.place(&directory) else { return false };
            let size = named.entry(below).or_default();
            *size = file.size.max(*size);
        }
        self.0.iter().map(|(below, file)| (below, &file.size)).eq(named.iter())
    }
}
