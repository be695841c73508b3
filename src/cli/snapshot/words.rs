//! What the tables of all commands have in common: how things are called, and how columns are aligned.

use comfy_table::{Cell, CellAlignment, Table, presets};
use indicatif::HumanBytes;

use crate::flink::SavepointFormat;
use crate::snapshot::{SnapshotFacts, SnapshotKind};

/// Stands where there is nothing.
pub const NOTHING: &str = "-";

/// Longest text in a table, in characters. A key of S3 has at most 1024 bytes.
const LONGEST: usize = 1100;

/// What a snapshot is, as `NATIVE savepoint 12`.
pub fn what(facts: &SnapshotFacts) -> String {
    let id = facts.checkpoint_id;
    match (facts.kind, facts.format_type) {
        (Some(SnapshotKind::Savepoint), Some(SavepointFormat::Canonical)) => format!("CANONICAL savepoint {id}"),
        (Some(SnapshotKind::Savepoint), Some(SavepointFormat::Native)) => format!("NATIVE savepoint {id}"),
        (Some(SnapshotKind::Savepoint), None) => format!("savepoint {id} of unknown format"),
        (Some(SnapshotKind::Checkpoint), _) if facts.has_channel_state => format!("unaligned checkpoint {id}"),
        (Some(SnapshotKind::Checkpoint), _) => format!("aligned checkpoint {id}"),
        (None, _) => format!("snapshot {id} of unknown kind"),
    }
}

/// Layout and who writes it, as `layout 4 (written by Flink 1.16 to 1.20)`.
pub fn layout(facts: &SnapshotFacts) -> String {
    let by = facts.written_by().map(|layout| format!(" (written by {layout})")).unwrap_or_default();
    format!("layout {}{by}", facts.version)
}

/// An operator: its uid as it is, or else its name in quotes.
pub fn operator(uid: Option<&str>, name: Option<&str>) -> String {
    match (uid, name) {
        (Some(uid), _) => uid.to_owned(),
        (None, Some(name)) => format!("{name:?}"),
        (None, None) => NOTHING.to_owned(),
    }
}

/// Whether an operator has state.
pub fn has_state(finished: bool, has_state: bool) -> &'static str {
    match (finished, has_state) {
        (true, _) => "finished",
        (false, true) => "yes",
        (false, false) => "none",
    }
}

/// So many bytes, in people's units.
pub fn bytes(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// As [`bytes`]; nothing where there are none.
pub fn some_bytes(n: u64) -> String {
    if n == 0 { NOTHING.to_owned() } else { bytes(n) }
}

/// A number and what is counted, as `1 file` and `2 files`.
pub fn count(n: impl TryInto<u64>, thing: &str) -> String {
    let n: u64 = n.try_into().unwrap_or(u64::MAX);
    let number = indicatif::HumanCount(n);
    if n == 1 { format!("{number} {thing}") } else { format!("{number} {thing}s") }
}

/// What a snapshot says may hold anything: nothing of it moves a terminal's cursor, or is endless.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for (n, c) in text.chars().enumerate() {
        if n == LONGEST {
            plain.push('…');
            break;
        }
        if c.is_control() || is_invisible(c) {
            plain.extend(c.escape_unicode());
        } else {
            plain.push(c);
        }
    }
    plain
}

/// Characters that change the order in which others are shown, or show nothing.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Lines of aligned columns. `right`: the columns that end, rather than begin, at one place.
pub fn columns(head: Option<&[&str]>, rows: &[Vec<String>], right: &[usize]) -> String {
    let cell = |(n, text): (usize, &str)| {
        let side = if right.contains(&n) { CellAlignment::Right } else { CellAlignment::Left };
        Cell::new(plain(text)).set_alignment(side)
    };
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if let Some(head) = head {
        table.set_header(head.iter().copied().enumerate().map(cell));
    }
    for row in rows {
        table.add_row(row.iter().map(String::as_str).enumerate().map(cell));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
