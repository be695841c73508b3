//! What the counting job wrote, and the rules that tell whether a job lost, doubled or invented anything.
//!
//! Each record is one line `<epoch ms> <s> <c> <job id>`: `s` is the number that the source emitted (0, 1, 2, …), `c`
//! the number of records that the counting operator's state has seen. Both are state, of different operators, so
//! `c = s + 1` on every line says that they were snapshotted and restored together.

use std::{fs, io::ErrorKind, path::Path};

use anyhow::{Context as _, Result};
use thiserror::Error;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Wall clock when it was written, milliseconds since 1970.
    pub epoch_ms: i64,
    /// The source's sequence number.
    pub s: u64,
    /// The count in state.
    pub c: u64,
    /// Flink's job id.
    pub job: String,
}

/// All lines of a file, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records(pub Vec<Record>);

/// A broken rule; `line` counts from 1.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Violation {
    /// Nothing to judge.
    #[error("there are no records")]
    Empty,
    /// Not a record.
    #[error("line {line} is no record: {text:?}")]
    Malformed {
        /// Where.
        line: usize,
        /// What is there.
        text: String,
    },
    /// State of source and count do not belong together.
    #[error("line {line}: c = {c} at s = {s}, must be s + 1")]
    Count {
        /// Where.
        line: usize,
        /// Sequence number.
        s: u64,
        /// Count.
        c: u64,
    },
    /// Records are lost.
    #[error("line {line}: s = {s}, but {expected} is missing")]
    Missing {
        /// Where.
        line: usize,
        /// The next one that must have come.
        expected: u64,
        /// What came.
        s: u64,
    },
    /// Records again, where nothing failed.
    #[error("line {line}: s = {s} again, {repeated} records are repeated")]
    Repeated {
        /// Where.
        line: usize,
        /// What came.
        s: u64,
        /// How many.
        repeated: u64,
    },
    /// Two jobs at a time.
    #[error("line {line}: job {job} writes after its successor {successor} began")]
    Overlap {
        /// Where.
        line: usize,
        /// The job that must have ended.
        job: String,
        /// The job that had begun.
        successor: String,
    },
    /// The clock of one machine does not go back.
    #[error("line {line}: {back_ms} ms before the line above")]
    TimeBack {
        /// Where.
        line: usize,
        /// By how much.
        back_ms: i64,
    },
}

/// From one job to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handover {
    /// The old job.
    pub from: String,
    /// The new job.
    pub to: String,
    /// From the last record of the old to the first of the new.
    pub downtime_ms: i64,
    /// Records that the new job wrote again: 0 after a stop with savepoint.
    pub repeated: u64,
}

/// What a run that kept the rules looked like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Number of lines.
    pub records: usize,
    /// Job ids in the order in which they came.
    pub jobs: Vec<String>,
    /// One less than there are jobs.
    pub handovers: Vec<Handover>,
    /// Longest time between two lines.
    pub longest_gap_ms: i64,
    /// Records that were written more than once, all in all.
    pub repeated: u64,
    /// The highest sequence number.
    pub last: u64,
}

impl Records {
    /// Reads a file that a job may still be writing: a last line without its end is not there yet. A file that does
    /// not exist has no records.
    ///
    /// # Errors
    /// The file cannot be read, or a line is no record.
    pub fn read(file: &Path) -> Result<Self> {
        match fs::read_to_string(file) {
            Ok(text) => Ok(Self::parse(&text)?),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| file.display().to_string()),
        }
    }

    /// Parses the text of such a file.
    ///
    /// # Errors
    /// [`Violation::Malformed`].
    pub fn parse(text: &str) -> Result<Self, Violation> {
        let whole = text.rfind('\n').and_then(|end| text.get(..=end)).unwrap_or_default();
        let malformed =
            |(number, text): (usize, &str)| Violation::Malformed { line: number + 1, text: text.to_owned() };
        let lines = whole.split_terminator('\n').enumerate();
        lines.map(|line| record(line.1).ok_or_else(|| malformed(line))).collect::<Result<_, _>>().map(Self)
    }

    /// What led to the last of these jobs, each of which began with a savepoint of the one before it, that may have run
    /// on: of each the records up to there.
    #[must_use]
    pub fn lineage<J: AsRef<str>>(&self, jobs: &[J]) -> Self {
        let of = |job: &str| self.0.iter().filter(move |record| record.job == job).cloned().collect::<Vec<_>>();
        let mut until = u64::MAX;
        let mut lineage: Vec<Vec<Record>> = Vec::new();
        for job in jobs.iter().rev() {
            let mut own = of(job.as_ref());
            own.retain(|record| record.s < until);
            until = own.first().map_or(until, |record| record.s);
            lineage.push(own);
        }
        Self(lineage.into_iter().rev().flatten().collect())
    }

    /// The ids of the jobs that wrote, each once, in the order of their first records.
    #[must_use]
    pub fn jobs(&self) -> Vec<String> {
        let mut jobs: Vec<String> = Vec::new();
        for record in &self.0 {
            if !jobs.contains(&record.job) {
                jobs.push(record.job.clone());
            }
        }
        jobs
    }
}

fn record(line: &str) -> Option<Record> {
    let mut fields = line.split(' ');
    let record = Record {
        epoch_ms: fields.next()?.parse().ok()?,
        s: fields.next()?.parse().ok()?,
        c: fields.next()?.parse().ok()?,
        job: fields.next().filter(|job| job.len() == 32 && job.bytes().all(|b| b.is_ascii_hexdigit()))?.to_owned(),
    };
    fields.next().is_none().then_some(record)
}

/// Judges a run. A sequence number may come again, as it does after a failover, but with the same count.
///
/// # Errors
/// The first broken rule.
pub fn check(records: &Records) -> Result<Summary, Violation> {
    let first = records.0.first().ok_or(Violation::Empty)?;
    let mut summary = Summary { records: records.0.len(), jobs: vec![first.job.clone()], ..Summary::default() };
    let mut next = 0; // the lowest sequence number that has not come yet
    let mut above: Option<&Record> = None;
    for (index, record) in records.0.iter().enumerate() {
        let line = index + 1;
        if Some(record.c) != record.s.checked_add(1) {
            return Err(Violation::Count { line, s: record.s, c: record.c });
        }
        // After a rewind it goes on by one, too: what was written before does not excuse a hole.
        let expected = above.map_or(0, |above| above.s + 1);
        if record.s > expected {
            return Err(Violation::Missing { line, expected, s: record.s });
        }
        if record.s < next {
            summary.repeated += 1;
        }
        if let Some(above) = above {
            time_and_job(line, above, record, next, &mut summary)?;
        }
        next = next.max(record.s + 1);
        above = Some(record);
    }
    summary.last = next - 1;
    Ok(summary)
}

/// Judges a run in which nothing failed: no sequence number comes twice.
///
/// # Errors
/// The first broken rule.
pub fn check_exactly_once(records: &Records) -> Result<Summary, Violation> {
    let summary = check(records)?;
    let mut next = 0;
    for (index, record) in records.0.iter().enumerate() {
        if record.s < next {
            return Err(Violation::Repeated { line: index + 1, s: record.s, repeated: summary.repeated });
        }
        next = record.s + 1;
    }
    Ok(summary)
}

fn time_and_job(
    line: usize,
    above: &Record,
    record: &Record,
    next: u64,
    summary: &mut Summary,
) -> Result<(), Violation> {
    let gap = record.epoch_ms - above.epoch_ms;
    if gap < 0 {
        return Err(Violation::TimeBack { line, back_ms: -gap });
    }
    summary.longest_gap_ms = summary.longest_gap_ms.max(gap);
    if record.job == above.job {
        return Ok(());
    }
    if summary.jobs.contains(&record.job) {
        return Err(Violation::Overlap { line, job: record.job.clone(), successor: above.job.clone() });
    }
    summary.jobs.push(record.job.clone());
    summary.handovers.push(Handover {
        from: above.job.clone(),
        to: record.job.clone(),
        downtime_ms: gap,
        repeated: next.saturating_sub(record.s),
    });
    Ok(())
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod records_tests;
