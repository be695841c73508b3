//! Amounts of memory: Flink's grammar, the pod's quantity, and what Flink is told.

use std::collections::BTreeMap;

use super::error::SpecError;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// Units in lower case, as case does not count. Flink's grammar is binary throughout (`m` is a mebibyte); Kubernetes'
/// binary units are understood, too. A number without a unit counts bytes.
const UNITS: [(&[&str], u64); 5] = [
    (&["", "b", "bytes"], 1),
    (&["k", "kb", "kibibytes", "ki"], KIB),
    (&["m", "mb", "mebibytes", "mi"], MIB),
    (&["g", "gb", "gibibytes", "gi"], GIB),
    (&["t", "tb", "tebibytes", "ti"], TIB),
];

/// A part of a Flink cluster, with what its memory depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// The JobManager.
    JobManager,
    /// A TaskManager.
    TaskManager,
}

impl Process {
    /// Name of the part of the spec that describes it.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::JobManager => "spec.jobManager",
            Self::TaskManager => "spec.taskManager",
        }
    }

    /// The key that sets the memory of the whole process.
    const fn process_size(self) -> &'static str {
        match self {
            Self::JobManager => "jobmanager.memory.process.size",
            Self::TaskManager => "taskmanager.memory.process.size",
        }
    }

    /// Groups of keys each of which lets Flink do without a process size: with all of a group given, a process size
    /// beside it would have to match to the byte. Other component keys (metaspace, overhead, network) divide the
    /// process size and need it.
    const fn sufficient(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::JobManager => &[
                &["jobmanager.memory.process.size"],
                &["jobmanager.memory.flink.size"],
                &["jobmanager.memory.heap.size"],
                &["jobmanager.heap.size"],
                &["jobmanager.heap.mb"],
            ],
            Self::TaskManager => &[
                &["taskmanager.memory.process.size"],
                &["taskmanager.memory.flink.size"],
                &["taskmanager.memory.task.heap.size", "taskmanager.memory.managed.size"],
                &["taskmanager.heap.size"],
                &["taskmanager.heap.mb"],
            ],
        }
    }

    /// The process size of the configuration that Flink is shipped with.
    const fn shipped(self) -> &'static str {
        match self {
            Self::JobManager => "1600m",
            Self::TaskManager => "1728m",
        }
    }
}

/// Reads an amount of memory, in bytes.
///
/// # Errors
/// If the text is not a whole number above 0 with one of the known units, or more than can be counted.
pub fn parse(field: &str, text: &str) -> Result<u64, SpecError> {
    let invalid = |problem: &str| {
        SpecError::invalid(
            field,
            text,
            problem,
            "give a whole number with a unit of Flink, such as 2048m or 2g, or 2Gi",
        )
    };
    let trimmed = text.trim();
    let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = trimmed.split_at(digits);
    if number.is_empty() {
        return Err(invalid("is not an amount of memory"));
    }
    let unit = unit.trim().to_ascii_lowercase();
    let factor = UNITS.iter().find(|(names, _)| names.contains(&unit.as_str())).map(|(_, factor)| *factor);
    let factor = factor.ok_or_else(|| invalid("has no known unit"))?;
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    // Kubernetes counts in signed 64 bits.
    match bytes.filter(|bytes| i64::try_from(*bytes).is_ok()) {
        Some(0) => Err(invalid("is nothing")),
        Some(bytes) => Ok(bytes),
        None => Err(invalid("is more than can be counted")),
    }
}

/// An amount as Kubernetes writes it: `2Gi`, `1728Mi`, or plain bytes.
#[must_use]
pub fn quantity(bytes: u64) -> String {
    match bytes {
        b if b % TIB == 0 => format!("{}Ti", b / TIB),
        b if b % GIB == 0 => format!("{}Gi", b / GIB),
        b if b % MIB == 0 => format!("{}Mi", b / MIB),
        b if b % KIB == 0 => format!("{}Ki", b / KIB),
        b => b.to_string(),
    }
}

/// An amount as Flink writes it: `1728m`, or bytes.
fn flink_size(bytes: u64) -> String {
    if bytes.is_multiple_of(MIB) { format!("{}m", bytes / MIB) } else { format!("{bytes}b") }
}

/// The memory of a process' pod in bytes, if it is known; adds the process size to Flink's configuration unless that
/// already says enough.
///
/// Without `resource.memory` and without such keys it is what Flink is shipped with. Without `resource.memory` but with
/// such keys the pod gets neither request nor limit.
///
/// # Errors
/// If `resource.memory` cannot be read.
pub fn apply(
    process: Process,
    given: Option<&str>,
    configuration: &mut BTreeMap<String, String>,
) -> Result<Option<u64>, SpecError> {
    let field = format!("{}.resource.memory", process.field());
    let given = given.map(|text| parse(&field, text)).transpose()?;
    if process.sufficient().iter().any(|group| group.iter().all(|key| configuration.contains_key(*key))) {
        return Ok(given);
    }
    let bytes = given.map_or_else(|| parse(&field, process.shipped()), Ok)?;
    configuration.insert(process.process_size().to_owned(), flink_size(bytes));
    Ok(Some(bytes))
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
