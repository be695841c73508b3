//! `snapshot verify`: is every file of a snapshot there, with its size?

use serde::Serialize;

use super::output::{Answer, NO_ANSWER};
use super::words;
use crate::snapshot::store::{FileFault, Snapshot, Verification};

/// A snapshot, and what was found of its files. Serialised: its location and the verification.
#[derive(Debug, Serialize)]
pub struct Verified<'a> {
    /// The snapshot's directory.
    location: &'a str,
    #[serde(flatten)]
    verification: Verification,
    #[serde(skip)]
    snapshot: &'a Snapshot,
}

impl<'a> Verified<'a> {
    /// Of this snapshot.
    pub fn new(snapshot: &'a Snapshot, verification: Verification) -> Self {
        Self { location: &snapshot.directory, verification, snapshot }
    }

    /// Each kind of fault: its name, its first ones, and how many there are.
    fn faults(&self) -> [(&'static str, &[FileFault], u64); 3] {
        let found = &self.verification;
        [
            ("missing", &found.missing, found.missing_count),
            ("wrong size", &found.wrong_size, found.wrong_size_count),
            ("out of reach", &found.unreachable, found.unreachable_count),
        ]
    }
}

impl Answer for Verified<'_> {
    fn table(&self) -> String {
        let found = &self.verification;
        let verdict = match self.exit_code() {
            0 => "WHOLE",
            NO_ANSWER => "UNKNOWN",
            _ => "NOT WHOLE",
        };
        let details = match (found.files, found.is_whole()) {
            (0, true) => "it has no files: all of its state is in the metadata".to_owned(),
            (files, true) => {
                let (files, bytes) = (words::count(files, "file"), words::bytes(found.bytes));
                format!("{files} checked, {bytes}: all there, with the right sizes")
            }
            // The faults themselves are in the table.
            (files, false) => {
                let faults = self.faults();
                let all = faults.iter().fold(files, |sum, (.., count)| sum.saturating_add(*count));
                let faults = faults.iter().filter(|(.., count)| *count > 0);
                let faults: Vec<_> =
                    faults.map(|(name, _, count)| format!("{} {name}", indicatif::HumanCount(*count))).collect();
                format!("of {}: {}", words::count(all, "file"), faults.join(", "))
            }
        };
        let (what, location) = (words::what(&self.snapshot.facts), words::plain(self.location));
        let mut text = format!("{verdict}: {what} at {location}\n{details}\n");
        let mut rows = Vec::new();
        for (name, faults, count) in self.faults() {
            for fault in faults {
                let size = fault.found.map_or_else(|| words::NOTHING.to_owned(), exactly);
                rows.push(vec![name.to_owned(), exactly(fault.expected), size, fault.location.clone()]);
            }
            let more = count.saturating_sub(u64::try_from(faults.len()).unwrap_or(u64::MAX));
            if more > 0 {
                rows.push(vec![
                    name.to_owned(),
                    String::new(),
                    String::new(),
                    format!("and {} more", indicatif::HumanCount(more)),
                ]);
            }
        }
        if !rows.is_empty() {
            text.push('\n');
            text.push_str(&words::columns(Some(&["FAULT", "EXPECTED", "FOUND", "FILE"]), &rows, &[1, 2]));
        }
        text
    }

    /// Files that no store serves say nothing about the others.
    fn exit_code(&self) -> u8 {
        let found = &self.verification;
        match (found.is_whole(), found.missing_count, found.wrong_size_count) {
            (true, ..) => 0,
            (false, 0, 0) => NO_ANSWER,
            (false, ..) => 1,
        }
    }
}

/// One byte makes a difference here.
fn exactly(bytes: u64) -> String {
    format!("{} B", indicatif::HumanCount(bytes))
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
